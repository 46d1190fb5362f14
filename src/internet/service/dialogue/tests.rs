//! Each conversation as a table: what is said to the world, what it answers, what it reports.

mod clients;

use super::*;
use crate::internet::service::tests::world;

/// What is said in turn, each with the beginning of the answer; the verbs that are reported.
fn check(port: u16, turns: &[(&str, &str)], verbs: &[&str]) {
    let mut dialogue = dialogue(&world(), port, b"");
    dialogue.greet();
    let mut reported = Vec::new();
    for (said, expected) in turns {
        let mut turn = Turn::default();
        dialogue.hear(said.as_bytes(), &mut turn);
        let answer = String::from_utf8_lossy(&turn.say);
        assert!(
            answer.starts_with(expected) && answer.is_empty() == expected.is_empty(),
            "{said:?}: {answer:?}"
        );
        reported.extend(turn.commands.into_iter().map(|(verb, _, _)| String::from_utf8(verb).unwrap()));
    }
    assert_eq!(reported, verbs, "port {port}");
    // The same in single bytes leads to the same answers and reports.
    let mut dialogue = super::dialogue(&world(), port, b"");
    dialogue.greet();
    let mut turn = Turn::default();
    let all: String = turns.iter().map(|(said, _)| *said).collect();
    for byte in all.bytes() {
        dialogue.hear(&[byte], &mut turn);
    }
    let again: Vec<String> =
        turn.commands.into_iter().map(|(verb, _, _)| String::from_utf8(verb).unwrap()).collect();
    assert_eq!(again, verbs, "port {port}, byte by byte");
}

#[test]
fn a_mail_is_taken_with_its_log_in() {
    let turns = [
        ("EHLO me\r\n", "250-mail\r\n250-PIPELINING"),
        ("AUTH LOGIN\r\n", "334 VXNlcm5hbWU6"),
        ("dXNlcg==\r\n", "334 UGFzc3dvcmQ6"),
        ("c2VjcmV0\r\n", "235 "),
        ("AUTH PLAIN AHUAcA==\r\n", "235 "),
        ("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n", "250 2.1.0 Ok\r\n250 2.1.0 Ok\r\n354 "),
        ("Subject: x\r\n\r\n..dot\r\n.\r\n", "250 2.0.0 Ok: queued"),
        ("QUIT\r\n", "221 "),
    ];
    check(25, &turns, &["EHLO", "AUTH", "AUTH", "AUTH", "AUTH", "MAIL", "RCPT", "DATA", "DATA", "QUIT"]);
}

#[test]
fn a_mail_keeps_its_first_part_and_its_size() {
    let mut dialogue = dialogue(&world(), 587, b"");
    let mut turn = Turn::default();
    dialogue.hear(b"DATA\r\n", &mut turn);
    for _ in 0..2000 {
        dialogue.hear(&[&[b'x'; 98][..], b"\r\n"].concat(), &mut turn);
    }
    dialogue.hear(b".\r\n", &mut turn);
    let (verb, text, size) = turn.commands.pop().unwrap();
    assert_eq!((verb.as_slice(), text.len(), size), (&b"DATA"[..], BODY_MAX, 200_000));
}

#[test]
fn nothing_said_in_the_clear_counts_inside_tls() {
    let mut dialogue = dialogue(&world(), 587, b"");
    let mut turn = Turn::default();
    dialogue.hear(b"EHLO a\r\nSTARTTLS\r\nMAIL FROM:<a@b>\r\n", &mut turn);
    assert!(turn.say.ends_with(b"220 2.0.0 Ready to start TLS\r\n"));
    assert_eq!(turn.commands.len(), 2);
    let mut turn = Turn::default();
    dialogue.hear(b"EHLO a\r\n", &mut turn);
    assert!(!String::from_utf8(turn.say).unwrap().contains("STARTTLS"));
}

#[test]
fn files_go_both_ways() {
    let turns = [
        ("USER anonymous\r\n", "331 "),
        ("PASS x\r\n", "230 "),
        ("PASV\r\n", "227 Entering Passive Mode (172,17,0,1,195,101)"),
        ("STOR loot.tgz\r\n", "150 "),
        ("EPSV\r\n", "229 Entering Extended Passive Mode (|||50021|)"),
        ("PORT 127,0,0,1,1,1\r\nLIST\r\n", "200 PORT command successful.\r\n425 "),
        ("QUIT\r\n", "221 "),
    ];
    check(21, &turns, &["USER", "PASS", "PASV", "STOR", "EPSV", "PORT", "LIST", "QUIT"]);
}

#[test]
fn a_bot_gets_into_its_channel() {
    let turns = [
        ("NICK bot1\r\n", ""),
        ("USER a 0 * :a\r\n", ":irc.network 001 bot1 "),
        ("JOIN #c key\r\n", ":bot1!bot1@host JOIN #c\r\n"),
        ("PING :1\r\n", ":irc.network PONG irc.network :1\r\n"),
        ("PRIVMSG #c :hello\r\n", ""),
        ("QUIT\r\n", "ERROR"),
    ];
    check(6667, &turns, &["NICK", "USER", "JOIN", "PING", "PRIVMSG", "QUIT"]);
}

#[test]
fn redis_takes_commands_of_both_forms() {
    let turns = [
        ("*1\r\n$4\r\nping\r\n", "+PONG"),
        ("AUTH secret\r\n", "+OK"),
        ("*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$3\r\ndir\r\n$5\r\n/root\r\n", "+OK"),
        ("*2\r\n$3\r\nGET\r\n$1\r\nx\r\n", "$-1"),
        ("*3\r\n$7\r\nSLAVEOF\r\n$7\r\n1.2.3.4\r\n$4\r\n6379\r\n", "+OK"),
        ("INFO\r\n", "$1"),
        ("QUIT\r\n", "+OK"),
    ];
    check(6379, &turns, &["PING", "AUTH", "CONFIG", "GET", "SLAVEOF", "INFO", "QUIT"]);
}

#[test]
fn redis_keeps_the_first_part_of_a_long_word() {
    let mut dialogue = dialogue(&world(), 6379, b"");
    let mut turn = Turn::default();
    dialogue.hear(b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$1000000\r\n", &mut turn);
    for _ in 0..1000 {
        dialogue.hear(&[b'v'; 1000], &mut turn);
    }
    dialogue.hear(b"\r\n", &mut turn);
    let (_, text, size) = turn.commands.pop().unwrap();
    assert!(text.len() <= BODY_MAX && size > 1_000_000, "{} {size}", text.len());
    // The last word is complete, whatever became of the rest.
    dialogue.hear(b"PING\r\n", &mut turn);
    assert!(turn.say.ends_with(b"+PONG\r\n"));
}

#[test]
fn what_is_no_redis_ends() {
    let check = |said: &str| {
        let mut turn = Turn::default();
        dialogue(&world(), 6379, b"").hear(said.as_bytes(), &mut turn);
        assert!(turn.close, "{said}");
    };
    check("*x\r\n");
    check("*1\r\n+PING\r\n");
    check("*1\r\n$99999999999\r\n");
    check("*99999999999999999999\r\n");
}

#[test]
fn values_are_stored_and_forgotten() {
    let turns = [
        ("set a 0 0 3\r\nabc\r\n", "STORED"),
        ("set a 0 0 3 noreply\r\nabc\r\n", ""),
        ("get a\r\n", "END"),
        ("stats\r\n", "STAT"),
        ("set a\r\n", "CLIENT_ERROR"),
    ];
    check(11211, &turns, &["SET", "SET", "GET", "STATS", "SET"]);
}

#[test]
fn a_bot_finds_a_shell_behind_telnet() {
    let turns = [
        ("root\r\n", "Password: "),
        ("xc3511\r\n", "\r\n\r\nBusyBox"),
        ("/bin/busybox ECCHI\r\n", "ECCHI: applet not found\r\n# "),
        ("echo 'ok'\r\n", "ok\r\n# "),
        ("exit\r\n", "# "),
    ];
    check(23, &turns, &["USER", "PASS", "RUN", "RUN", "RUN"]);
}

#[test]
fn wishes_of_a_terminal_are_no_text() {
    let mut dialogue = dialogue(&world(), 23, b"");
    let mut turn = Turn::default();
    dialogue.hear(b"\xff\xfd\x01\xff\xfa\x18\x00xterm\xff\xf0root\r\0\xff\xf1p\r\n", &mut turn);
    let texts: Vec<&[u8]> = turn.commands.iter().map(|command| command.1.as_slice()).collect();
    assert_eq!(texts, [&b"root"[..], b"p"]);
}

#[test]
fn mailboxes_are_open_and_empty() {
    check(
        110,
        &[("USER a\r\n", "+OK"), ("PASS b\r\n", "+OK"), ("STAT\r\n", "+OK 0 0")],
        &["USER", "PASS", "STAT"],
    );
    let login = [
        ("a1 AUTHENTICATE PLAIN\r\n", "+ "),
        ("AHUAcA==\r\n", "a1 OK"),
        ("a2 AUTHENTICATE PLAIN AA==\r\n", "a2 OK"),
    ];
    check(143, &login, &["AUTHENTICATE", "AUTHENTICATE", "AUTHENTICATE"]);
    check(143, &[("a1 LOGIN u p\r\n", "a1 OK"), ("a2 LOGOUT\r\n", "* BYE")], &["LOGIN", "LOGOUT"]);
}

#[test]
fn miners_of_all_dialects_get_work() {
    let turns = [
        (
            "{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"login\",\"params\":{\"login\":\"4wallet\",\"pass\":\"x\"}}\n",
            "{\"error\":null,\"id\":1,\"jsonrpc\":\"2.0\",\"result\":{",
        ),
        ("{\"id\":2,\"method\":\"keepalived\",\"params\":{}}\n", "{\"error\":null,\"id\":2"),
        (
            "{\"id\":3,\"method\":\"mining.subscribe\",\"params\":[]}\n",
            "{\"error\":null,\"id\":3,\"result\":[[[",
        ),
        (
            "{\"id\":4,\"method\":\"mining.authorize\",\"params\":[\"w\",\"x\"]}\n",
            "{\"error\":null,\"id\":4,\"result\":true}",
        ),
        ("no json\n", ""),
    ];
    let mut dialogue = dialogue(&world(), 443, turns[0].0.as_bytes());
    assert_eq!(dialogue.service(), "stratum");
    for (said, expected) in turns {
        let mut turn = Turn::default();
        dialogue.hear(said.as_bytes(), &mut turn);
        let answer = String::from_utf8(turn.say).unwrap();
        assert!(answer.starts_with(expected), "{said}: {answer}");
        assert_eq!(turn.commands.len(), 1, "{said}");
    }
}

#[test]
fn databases_let_everybody_in() {
    let mut mysql = dialogue(&world(), 3306, b"");
    let greeting = mysql.greet();
    assert_eq!(greeting.len(), usize::from(greeting[0]) + 4);
    let mut turn = Turn::default();
    let body = [&[0; 32][..], b"root\0\0"].concat();
    mysql.hear(&[&[body.len() as u8, 0, 0, 1][..], &body].concat(), &mut turn);
    assert_eq!(
        (turn.commands[0].1.as_slice(), turn.say.as_slice()),
        (&b"root"[..], &[7, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0][..])
    );
    mysql.hear(b"\x09\0\0\0\x03SELECT 1", &mut turn);
    assert_eq!(turn.commands[1], (b"QUERY".to_vec(), b"SELECT 1".to_vec(), 13));

    let start = b"\0\0\0\x11\0\x03\0\0user\0me\0\0";
    let mut postgres = dialogue(&world(), 9999, start);
    assert_eq!(postgres.service(), "postgres");
    let mut turn = Turn::default();
    postgres.hear(b"\0\0\0\x08\x04\xd2\x16\x30", &mut turn);
    assert_eq!(turn.say, b"N");
    postgres.hear(start, &mut turn);
    postgres.hear(b"p\0\0\0\x07pw\0", &mut turn);
    assert_eq!(turn.commands[0].1, b"user me");
    assert_eq!(turn.commands[1].1, b"pw");
    assert!(turn.say.ends_with(b"Z\0\0\0\x05I"));
}

#[test]
fn a_message_is_acknowledged() {
    let mut mqtt = dialogue(&world(), 9999, b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0");
    assert_eq!(mqtt.service(), "mqtt");
    let mut turn = Turn::default();
    mqtt.hear(b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0\x32\x07\0\x01a\0\x05hi\xc0\0", &mut turn);
    assert_eq!(turn.say, [0x20, 2, 0, 0, 0x40, 2, 0, 5, 0xd0, 0]);
}

#[test]
fn a_client_that_begins_is_recognised_on_any_port() {
    let check = |first: &[u8], expected: &str| {
        assert_eq!(
            dialogue(&world(), 8443, first).service(),
            expected,
            "{:?}",
            String::from_utf8_lossy(first)
        );
    };
    check(b"{\"id\":1,\"method\":\"mining.subscribe\"", "stratum");
    check(b"SSH-2.0-Go\r\n", "ssh");
    check(b"EHLO x\r\n", "smtp");
    check(b"NICK a\r\n", "irc");
    check(b"USER a 0 * :a\r\n", "irc");
    check(b"USER a\r\n", "raw");
    check(b"*1\r\n$4\r\nPING\r\n", "redis");
    check(b"** starred\r\n", "raw");
    check(b"bash-5.2$ ", "shell");
    check(b"total 4$\n", "raw");
    check(b"", "raw");
}

#[test]
fn a_prompt_is_asked_who_it_is() {
    let mut shell = dialogue(&world(), 4444, b"/ # ");
    let mut say = |said: &[u8]| {
        let mut turn = Turn::default();
        shell.hear(said, &mut turn);
        String::from_utf8(turn.say).unwrap()
    };
    assert_eq!(say(b"/ # "), "id\n");
    assert_eq!(say(b"uid=0(root)\n"), "");
    assert_eq!(say(b"/ # "), "uname -a\n");
    assert_eq!(say(b"Linux\n/ # "), "");
}

#[test]
fn a_prompt_that_another_program_wrote_behind_is_asked_after_a_while() {
    let mut shell = dialogue(&world(), 4444, b"bash: no job control in this shell\n");
    let mut turn = Turn::default();
    shell.hear(b"bash: no job control in this shell\n/ # started\n", &mut turn);
    assert!(turn.say.is_empty());
    assert_eq!(shell.prompt(), "id\n");
    shell.hear(b"uid=0(root)\n/ # ", &mut turn);
    assert_eq!(turn.say, b"uname -a\n");
    assert_eq!(shell.prompt(), "");
}
