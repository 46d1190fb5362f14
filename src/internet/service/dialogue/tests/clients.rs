//! Conversations in bytes, as real clients begin them.

use super::super::ssh::client::Client;
use super::super::ssh::exchange::string;
use super::*;

/// What is said in turn to the dialogue that the first of it chooses at `port`: all answers, and what was
/// reported, verb and text.
fn talk(port: u16, turns: &[&[u8]]) -> (&'static str, Vec<u8>, Vec<String>) {
    let mut dialogue = dialogue(&world(), port, turns[0]);
    let service = dialogue.service();
    dialogue.greet();
    let (mut said, mut reported) = (Vec::new(), Vec::new());
    for bytes in turns {
        let mut turn = Turn::default();
        dialogue.hear(bytes, &mut turn);
        said.extend(&turn.say);
        reported.extend(turn.commands.iter().map(|(verb, text, _)| {
            format!("{} {}", String::from_utf8_lossy(verb), String::from_utf8_lossy(text))
        }));
        if turn.close || turn.start_tls {
            break;
        }
    }
    (service, said, reported)
}

#[test]
fn one_line_is_asked_and_answered() {
    let check = |port, asked: &[u8], answer: &str, reported: &str| {
        let (_, said, commands) = talk(port, &[asked]);
        assert!(String::from_utf8_lossy(&said).starts_with(answer), "{port}: {said:?}");
        assert_eq!(commands, [reported], "{port}");
    };
    check(43, b"example.org\r\n", "Domain Name: example.org\r\n", "QUERY example.org");
    check(79, b"root\r\n", "Login: root\r\n", "QUERY root");
    check(70, b"/x\r\n", "iWelcome", "QUERY /x");
    check(2628, b"DEFINE * word\r\n", "552 ", "DEFINE * word");
    check(119, b"AUTHINFO USER u\r\n", "281 ", "AUTHINFO USER u");
    check(873, b"@RSYNCD: 31.0 md5\n", "", "HELLO @RSYNCD: 31.0 md5");
    check(873, b"loot\n", "@ERROR", "MODULE loot");
    check(3690, b"( 2 ( ) 8:svn://a/ ) ", "( failure ", "HELLO ( 2 ( ) 8:svn://a/ ) ");
    check(5900, b"RFB 003.008\n", "\u{1}\u{1}", "VERSION RFB 003.008");
}

#[test]
fn a_directory_lets_in_and_finds_nothing() {
    let bind = b"\x30\x1a\x02\x01\x01\x60\x15\x02\x01\x03\x04\x08cn=admin\x80\x06secret";
    let search = b"\x30\x25\x02\x01\x02\x63\x20\x04\x04dc=x\x0a\x01\x02\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00\x87\x03uid\x30\x04\x04\x02cn";
    let (service, said, commands) = talk(9999, &[bind, search, b"\x30\x05\x02\x01\x03\x42\x00"]);
    assert_eq!(
        (service, commands),
        ("ldap", vec!["LOGIN cn=admin secret".into(), "SEARCH dc=x uid cn".into(), "UNBIND ".into()])
    );
    let bound = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
    assert_eq!(said, [&bound[..], b"\x30\x0c\x02\x01\x02\x65\x07\x0a\x01\x00\x04\x00\x04\x00"].concat());
    let start_tls = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
    let mut turn = Turn::default();
    dialogue(&world(), 389, start_tls).hear(start_tls, &mut turn);
    assert!(turn.start_tls && turn.say[5] == 0x78);
    for wrong in
        [&b"\x30\x80\x02\x01\x01"[..], b"\x30\xff\x02", b"\x31\x05\x02\x01\x03\x42\x00", b"\x30\x02\x02\x09"]
    {
        let mut turn = Turn::default();
        dialogue(&world(), 389, b"").hear(wrong, &mut turn);
        assert!(turn.close && turn.say.is_empty(), "{wrong:?}");
    }
}

fn mongo(code: u32, head: &[u8], document: &[u8]) -> Vec<u8> {
    let length = (16 + head.len() + document.len()) as u32;
    let words: Vec<u8> = [length, 7, 0, code].into_iter().flat_map(u32::to_le_bytes).collect();
    [&words[..], head, document].concat()
}

#[test]
fn a_document_store_is_primary_and_empty() {
    let hello =
        mongo(2004, b"\0\0\0\0admin.$cmd\0\0\0\0\0\xff\xff\xff\xff", b"\x13\0\0\0\x10isMaster\0\x01\0\0\0\0");
    let drop = mongo(2013, &[0; 5], b"\x2c\0\0\0\x10dropDatabase\0\x01\0\0\0\x02$db\0\x06\0\0\0users\0\0");
    let (service, said, commands) = talk(9999, &[&hello, &drop]);
    assert_eq!(
        (service, &commands[..]),
        ("mongodb", &["isMaster isMaster".to_owned(), "dropDatabase dropDatabase $db users".to_owned()][..])
    );
    let first = u32::from_le_bytes(*said.first_chunk().unwrap()) as usize;
    assert_eq!((said[8], said[12], &said[first + 12..first + 14]), (7, 1, &[0xdd, 7][..]));
    assert_eq!(said.len(), first + u32::from_le_bytes(*said[first..].first_chunk().unwrap()) as usize);
    let (_, said, _) = talk(27_017, &[&mongo(2013, &[0; 5], b"\x14\0\0\0\x10saslStart\0\x01\0\0\0\0")]);
    assert!(said.windows(21).any(|part| part == b"Authentication failed"));
    assert_eq!(talk(27_017, &[&mongo(2013, &[0; 5], b"\x05\0\0\0\0")]).1, b"", "no command");
}

#[test]
fn a_broker_takes_what_it_is_sent() {
    let frame = |kind: u8, body: &[u8]| {
        [&[kind, 0, 1][..], &(body.len() as u32).to_be_bytes(), body, &[0xce]].concat()
    };
    let login = frame(1, b"\0\x0a\0\x0b\0\0\0\0\x05PLAIN\0\0\0\x0a\0user\0word\x05en_US");
    let publish = frame(1, b"\0\x3c\0\x28\0\0\0\x05queue\0");
    let close = frame(1, b"\0\x0a\0\x32\0\xc8\0\0\0\0\0");
    let turns = [&b"AMQP\0\0\x09\x01"[..], &login, &publish, &frame(3, b"hi"), &close];
    let (service, said, commands) = talk(9999, &turns);
    assert_eq!(service, "amqp");
    assert_eq!(commands, ["LOGIN PLAIN user word en_US", "PUBLISH queue", "MESSAGE hi", "CLOSE "]);
    assert!(said.starts_with(b"\x01\0\0\0\0\0\x1c\0\x0a\0\x0a\0\x09") && said.ends_with(b"\0\x0a\0\x33\xce"));
    // The same in single bytes.
    let bytes: Vec<u8> = turns.concat();
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    let mut dialogue = dialogue(&world(), 5672, b"");
    let mut turn = Turn::default();
    single.iter().for_each(|byte| dialogue.hear(byte, &mut turn));
    assert_eq!((turn.say, turn.commands.len()), (said, 4));
    assert_eq!(talk(5672, &[b"AMQP\x03\x01\0\0"]).1, b"AMQP\0\0\x09\x01", "another version");
}

#[test]
fn gits_own_daemon_has_every_repository() {
    let ask = b"0032git-upload-pack /a/b.git\0host=git.example\0\0\0version=2\0";
    let ask = [format!("{:04x}", ask.len()).as_bytes(), &ask[4..]].concat();
    let list = b"0014command=ls-refs\n0000";
    let (service, said, commands) = talk(9999, &[&ask, list, b"0000"]);
    assert_eq!(service, "git");
    assert_eq!(commands, ["git-upload-pack /a/b.git host=git.example version=2", "FETCH command=ls-refs"]);
    assert!(said.starts_with(b"000eversion 2\n") && said.windows(15).any(|part| part == b"refs/heads/main"));
    let old = b"0022git-upload-pack /a/b.git\0host=x\0";
    let old = [format!("{:04x}", old.len()).as_bytes(), &old[4..]].concat();
    let (_, said, commands) =
        talk(9418, &[&old, b"0032want 0000000000000000000000000000000000000000\n0000", b"0009done\n"]);
    assert_eq!(commands.len(), 2);
    assert!(said.windows(4).any(|part| part == b"PACK"));
    let push = b"001fgit-receive-pack /a\0host=x\0";
    let push = [format!("{:04x}", push.len()).as_bytes(), &push[4..]].concat();
    assert!(talk(9418, &[&push]).1.windows(4).any(|part| part == b"ERR "));
    assert_eq!(talk(9418, &[b"zzzz"]).2, Vec::<String>::new());
}

#[test]
fn a_log_in_to_a_broker_of_things_is_read_in_all_versions() {
    let old = b"\x10\x1c\0\x06MQIsdp\x03\xc2\0\x3c\0\x02id\0\x04user\0\x04word";
    let (service, said, commands) = talk(9999, &[old]);
    assert_eq!((service, &said[..]), ("mqtt", &[0x20, 2, 0, 0][..]));
    assert_eq!(commands, ["CONNECT id", "LOGIN user word"]);
    let new = b"\x10\x1e\0\x04MQTT\x05\xc2\0\x3c\x03\x21\0\x14\0\x02id\0\x04user\0\x04word";
    let will = b"\x10\x19\0\x04MQTT\x04\x04\0\x3c\0\x02id\0\x03off\0\x04gone";
    let publish = b"\x30\x0a\0\x05topic\0hi";
    let (_, said, commands) = talk(1883, &[new, publish]);
    assert_eq!(said, [0x20, 3, 0, 0, 0]);
    assert_eq!(commands, ["CONNECT id", "LOGIN user word", "PUBLISH topic hi"]);
    assert_eq!(talk(1883, &[will]).2, ["CONNECT id", "WILL off gone"]);
}

#[test]
fn who_asks_for_tls_is_told_to_begin() {
    let check = |port, asked: &[u8], answer: &str| {
        let mut dialogue = dialogue(&world(), port, b"");
        let mut turn = Turn::default();
        dialogue.hear(&[asked, b"USER in-the-clear\r\nUSER p"].concat(), &mut turn);
        assert!(turn.start_tls && turn.say == answer.as_bytes(), "{port}: {turn:?}");
        assert_eq!(turn.commands.len(), usize::from(port != 5432), "what follows does not count");
        // Inside it goes on as if nothing had been said.
        let mut turn = Turn::default();
        dialogue.hear(if port == 143 { b"a NOOP\r\n" } else { b"NOOP\r\n" }, &mut turn);
        assert!(port == 5432 || turn.commands[0].0 == b"NOOP", "{port}: {turn:?}");
    };
    check(21, b"AUTH TLS\r\n", "234 Proceed with negotiation.\r\n");
    check(110, b"STLS\r\n", "+OK Begin TLS negotiation now.\r\n");
    check(143, b"a STARTTLS\r\n", "a OK completed.\r\n");
    check(587, b"STARTTLS\r\n", "220 2.0.0 Ready to start TLS\r\n");
    check(5432, b"\0\0\0\x08\x04\xd2\x16\x2f", "S");
}

#[test]
fn a_mailbox_takes_a_log_in_of_every_kind() {
    let turns: [&[u8]; 4] = [b"AUTH LOGIN\r\n", b"dXNlcg==\r\n", b"d29yZA==\r\n", b"AUTH PLAIN AHUAcA==\r\n"];
    let (_, said, commands) = talk(110, &turns);
    assert_eq!(commands, ["AUTH LOGIN", "AUTH dXNlcg==", "AUTH d29yZA==", "AUTH PLAIN AHUAcA=="]);
    assert_eq!(said, b"+ \r\n+ \r\n+OK Logged in.\r\n+OK Logged in.\r\n");
}

#[test]
fn who_knocks_in_a_tongue_that_is_not_spoken_is_told_and_let_go() {
    let check = |port, first: &[u8], service: &str, text: &str| {
        let mut dialogue = dialogue(&world(), port, first);
        assert_eq!(dialogue.service(), service);
        let mut turn = Turn::default();
        dialogue.hear(first, &mut turn);
        assert!(turn.close && turn.say.is_empty());
        assert_eq!(String::from_utf8_lossy(&turn.commands[0].1), text, "{service}");
    };
    check(
        4444,
        b"\x03\0\0\x2a\x25\xe0\0\0\0\0\0Cookie: mstshash=admin\r\n\x01\0\x08\0\x03\0\0\0",
        "rdp",
        "Cookie: mstshash=admin",
    );
    check(4444, b"\0\0\0\x2f\xffSMBr\0\0\0\0\x02NT LM 0.12\0", "smb", "SMBr NT LM 0.12");
    check(4444, b"\x13BitTorrent protocol\0\0\0\0", "bittorrent", "BitTorrent protocol");
    check(
        554,
        b"DESCRIBE rtsp://a/ RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        "rtsp",
        "DESCRIBE rtsp://a/ RTSP/1.0 CSeq: 1",
    );
    check(5060, b"OPTIONS sip:a SIP/2.0\r\n\r\n", "sip", "OPTIONS sip:a SIP/2.0");
    check(9092, b"\0\0\0\x14\0\x12\0\0\0\0\0\x01\0\x06client", "kafka", "client");
    check(1433, b"\x10\x01\0\x20\0\0\x01\0s\0a\0p\0a\0s\0s\0", "mssql", "sapass");
}

/// A client's first message: no cookie to speak of, and what a client of that kind has.
fn ssh_hello(cipher: &str) -> Vec<u8> {
    let lists = [
        "curve25519-sha256,ext-info-c",
        "rsa-sha2-512,ssh-ed25519",
        cipher,
        cipher,
        "hmac-sha2-256",
        "hmac-sha2-256",
        "none",
        "none",
        "",
        "",
    ];
    let lists: Vec<u8> = lists.iter().flat_map(|list| string(list.as_bytes())).collect();
    [&[20][..], &[7; 16], &lists, &[0; 5]].concat()
}

/// What a client says once it is in, in turn; what was reported since.
fn ssh_talk(world: &World, cipher: &str, inside: &[Vec<u8>]) -> (Vec<String>, Vec<Vec<u8>>) {
    let mut server = dialogue(world, 22, b"");
    assert!(server.greet().starts_with(b"SSH-2.0-"));
    let mut client = Client::new(b"SSH-2.0-test", &ssh_hello(cipher));
    let (mut reported, mut heard) = (Vec::new(), Vec::new());
    let mut tell = |said: &[u8], client: &mut Client| {
        let mut turn = Turn::default();
        // In pieces, as from a slow network.
        said.chunks(11).for_each(|piece| server.hear(piece, &mut turn));
        reported.extend(turn.commands.iter().map(|(verb, text, _)| {
            format!("{} {}", String::from_utf8_lossy(verb), String::from_utf8_lossy(text))
        }));
        reported.extend(turn.used.iter().map(|it| format!("used {} {}", it.name, it.field)));
        client.hear(&turn.say)
    };
    let begin = client.begin();
    tell(&begin, &mut client);
    let exchange = client.exchange();
    tell(&exchange, &mut client);
    let keys = client.keys(cipher);
    tell(&keys, &mut client);
    for payload in inside {
        let packet = client.pack(payload);
        heard.extend(tell(&packet, &mut client));
    }
    (reported, heard)
}

#[test]
fn who_logs_in_by_ssh_shows_password_commands_and_what_it_sends() {
    let text = |parts: &[&str]| parts.iter().flat_map(|it| string(it.as_bytes())).collect::<Vec<u8>>();
    let service = [&[5][..], &text(&["ssh-userauth"])].concat();
    let login =
        [&[50][..], &text(&["root", "ssh-connection", "password"]), &[0], &text(&["hunter2"])].concat();
    let open = [&[90][..], &text(&["session"]), &[0, 0, 0, 9, 0, 0x10, 0, 0, 0, 0, 0x80, 0]].concat();
    let run = [&[98, 0, 0, 0, 0][..], &text(&["exec"]), &[1], &text(&["cat > /tmp/x"])].concat();
    let data = [&[94, 0, 0, 0, 0][..], &text(&["loot\n"])].concat();
    let end = [96, 0, 0, 0, 0].to_vec();
    for cipher in ["aes128-gcm@openssh.com", "aes128-ctr"] {
        let inside = [&service, &login, &open, &run, &data, &end].map(Clone::clone);
        let (reported, heard) = ssh_talk(&world(), cipher, &inside);
        let lists = format!("KEXINIT curve25519-sha256,ext-info-c;rsa-sha2-512,ssh-ed25519;{cipher}");
        let expected =
            ["BANNER SSH-2.0-test", &lists, "LOGIN root hunter2", "RUN cat > /tmp/x", "DATA loot\n"];
        assert_eq!(reported, expected);
        let kinds: Vec<u8> = heard.iter().map(|payload| payload[0]).collect();
        assert_eq!(kinds, [6, 52, 91, 99, 93, 94, 98, 96, 97], "{cipher}");
    }
}

#[test]
fn a_key_that_is_a_bait_is_known_again_when_one_logs_in_with_it() {
    let world = World { baits: crate::bait::Baits::new([7; 32]), ..world() };
    let log_in = |blob: &[u8], signed: u8| {
        let names: Vec<u8> =
            [&b"root"[..], b"ssh-connection", b"publickey"].iter().flat_map(|it| string(it)).collect();
        [&[50][..], &names, &[signed], &string(b"ssh-ed25519"), &string(blob), &string(b"signature")].concat()
    };
    let key = &world.baits.ssh_keys()[0];
    let (reported, heard) = ssh_talk(&world, "aes128-ctr", &[log_in(&key.2, 0), log_in(&key.2, 1)]);
    assert_eq!(reported.iter().filter(|it| *it == "used ssh-key private_key").count(), 1, "{reported:?}");
    assert_eq!((heard[0][0], heard[1][0]), (60, 52));
    let (reported, _) = ssh_talk(&world, "aes128-ctr", &[log_in(&[9; 51], 1)]);
    assert!(!reported.iter().any(|it| it.starts_with("used")), "{reported:?}");
}

#[test]
fn what_is_no_ssh_ends_it() {
    for said in [
        &b"SSH-2.0-x\r\n\0\0\0\x04"[..],
        b"SSH-2.0-x\r\n\0\0\0\x0c\x0a\x1e",
        b"SSH-2.0-x\r\n\xff\xff\xff\xff",
    ] {
        let mut turn = Turn::default();
        let said = [said, &[0; 16]].concat();
        dialogue(&world(), 22, b"").hear(&said, &mut turn);
        assert!(turn.close && turn.commands.len() == 1, "{said:?}");
    }
}
