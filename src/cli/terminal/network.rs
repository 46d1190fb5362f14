//! Whom the image spoke to, and what became of the decoys: the essentials, a few lines.

use anstyle::{AnsiColor, Style};

use super::page::Page;
use super::{base_name, plural, quoted};
use crate::report::document::{BaitDeed, BaitUse, Behaviour, Command, DnsQuestion, Flow, HttpRequest};

/// Entries of each kind that are shown; the others are in the report.
const SHOWN: usize = 6;

pub fn network(page: &mut Page, behaviour: &Behaviour) {
    let network = &behaviour.network;
    let outside: Vec<&Flow> = network.flows.iter().filter(|flow| is_outside(flow)).collect();
    if network.dns.is_empty() && outside.is_empty() && network.http.is_empty() && behaviour.baits.is_empty() {
        return;
    }
    page.blank();
    let list = behaviour.baits.iter().map(bait);
    entries(page, AnsiColor::Red.on_default(), "decoy", list, behaviour.baits_omitted);
    names(page, &network.dns, network.dns_omitted);
    entries(page, Style::new(), "spoke to", outside.into_iter().map(flow), network.flows_omitted);
    entries(page, Style::new(), "asked for", network.http.iter().map(request), network.http_omitted);
    let said: Vec<&Command> = network.commands.iter().filter(|it| is_telling(it)).collect();
    entries(page, Style::new(), "said", said.into_iter().map(command), 0);
}

/// Left out: what stays inside (unix sockets, loopback), what the name server was told, and datagram
/// sockets that were only connected, as resolvers do to see which way leads out.
fn is_outside(flow: &Flow) -> bool {
    let Some(address) = flow.address.as_ref().and_then(|it| it.parse::<std::net::IpAddr>().ok()) else {
        return false;
    };
    let is_dns = flow.port == Some(53) && flow.protocol == "udp";
    let is_silent = flow.port == Some(0);
    !is_dns && !is_silent && !address.is_loopback() && !address.is_unspecified()
}

fn entries(
    page: &mut Page,
    style: Style,
    label: &str,
    list: impl ExactSizeIterator<Item = String>,
    omitted: u64,
) {
    let all = list.len() as u64 + omitted;
    let mut label = label;
    for text in list.take(SHOWN) {
        page.entry(style, label, &text);
        label = "";
    }
    if all > SHOWN as u64 {
        page.entry(Style::new(), label, &format!("… and {} more in the report", all - SHOWN as u64));
    }
}

/// On one line, each name once.
fn names(page: &mut Page, questions: &[DnsQuestion], omitted: u64) {
    let mut names: Vec<String> = Vec::new();
    for question in questions {
        let name = match question.kind.as_str() {
            "A" | "AAAA" => quoted(&question.name),
            kind => format!("{} ({kind})", quoted(&question.name)),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return;
    }
    let hidden = names.len().saturating_sub(SHOWN) as u64 + omitted;
    names.truncate(SHOWN);
    if hidden > 0 {
        names.push(format!("… and {hidden} more"));
    }
    page.entry(Style::new(), "names", &names.join(", "));
}

fn flow(flow: &Flow) -> String {
    let place = match (&flow.name, flow.port) {
        (Some(name), Some(port)) => quoted(&format!("{name}:{port}")),
        _ => quoted(&flow.remote),
    };
    let service = flow.service.as_ref().map(|service| format!(", {service}")).unwrap_or_default();
    let mut text = format!("{place} ({}{service})", flow.protocol);
    if !flow.exe.is_empty() {
        text.push_str(&format!(" by {}", quoted(base_name(&flow.exe))));
    }
    if flow.sent > 0 || flow.received > 0 {
        text.push_str(&format!(", {} out, {} in", bytes(flow.sent), bytes(flow.received)));
    }
    match (flow.count, flow.failed) {
        (0 | 1, 0) => {}
        (count, 0) => text.push_str(&format!(", {}", plural(count, "time"))),
        (count, failed) => text.push_str(&format!(", {failed} of {count} refused")),
    }
    text
}

fn request(request: &HttpRequest) -> String {
    let scheme = if request.secure { "https" } else { "http" };
    let body = match request.body_size {
        0 => String::new(),
        size => format!(" with {}", bytes(size)),
    };
    let times = if request.count > 1 { format!(", {} times", request.count) } else { String::new() };
    let HttpRequest { method, host, target, status, .. } = request;
    let what = quoted(&format!("{scheme}://{host}{target}"));
    format!("{} {what}{body}, answered {status}{times}", quoted(method))
}

/// Log-ins, what a machine was told to run, and what was taken or brought: not what every client says.
fn is_telling(command: &Command) -> bool {
    const VERBS: [&str; 21] = [
        "APPE",
        "AUTH",
        "CONFIG",
        "DATA",
        "FORWARD",
        "JOIN",
        "KEY",
        "LISTEN",
        "LOGIN",
        "login",
        "mining.authorize",
        "OPEN",
        "PASS",
        "PRIVMSG",
        "PUBLISH",
        "QUERY",
        "RCPT",
        "READ",
        "RUN",
        "STOR",
        "WRITE",
    ];
    VERBS.contains(&command.verb.as_str())
}

fn command(command: &Command) -> String {
    /// Of what was said, so many characters.
    const TEXT: usize = 80;
    let Command { service, verb, text, remote, exe, .. } = command;
    let cut: String = text.chars().take(TEXT).collect();
    let cut = if cut.len() < text.len() { format!("{cut}…") } else { cut };
    let by = if exe.is_empty() { String::new() } else { format!(" by {}", quoted(base_name(exe))) };
    format!("{} {} ({}) to {}{by}", quoted(verb), quoted(&cut), quoted(service), quoted(remote))
}

fn bait(bait: &BaitUse) -> String {
    let by = match bait.exe.as_str() {
        "" => String::new(),
        exe => format!(" by {}", quoted(base_name(exe))),
    };
    let remote = bait.remote.as_ref().map(|remote| format!(" to {}", quoted(remote))).unwrap_or_default();
    match bait.what {
        BaitDeed::Read => format!("{} read{by}", bait.bait),
        BaitDeed::CarriedOff => format!("{} carried off{by} in {}{remote}", bait.bait, bait.place),
        BaitDeed::Used => format!("{} used{by} at {}", bait.bait, bait.place),
    }
}

/// `812 B`, `1.2 kB`, `10 GB`.
fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            let digits = usize::from(value < 10.0 && unit != "B");
            return format!("{value:.digits$} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.0} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_shown_where_it_tells_something() {
        let said = |verb: &str, text: &str| Command {
            service: "ssh".into(),
            verb: verb.into(),
            text: text.into(),
            remote: "evil.example:22".into(),
            exe: "/usr/bin/ssh".into(),
            count: 1,
            first_seen: 0.0,
        };
        assert!(!is_telling(&said("BANNER", "SSH-2.0-x")));
        let login = said("LOGIN", "root hunter2");
        assert!(is_telling(&login));
        assert_eq!(command(&login), "LOGIN \"root hunter2\" (ssh) to evil.example:22 by ssh");
        assert!(command(&said("DATA", &"x".repeat(200))).len() < 150);
    }

    #[test]
    fn bytes_are_shown_in_a_unit_that_fits() {
        let check = |count, expected: &str| assert_eq!(bytes(count), expected);
        check(0, "0 B");
        check(812, "812 B");
        check(1234, "1.2 kB");
        check(123_456, "123 kB");
        check(10 << 30, "11 GB");
        check(u64::MAX, "18446744 TB");
    }
}
