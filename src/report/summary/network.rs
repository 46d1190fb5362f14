//! What was said to others, in bounded lists.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;

use super::kept::Kept;
use crate::event::{
    Act, BaitAct, Bytes, Carrier, CommandAct, DnsAct, DnsAnswer, Endpoint, Event, Flow as Said, Handshake,
    HttpAct, NetAct, NetAction, Protocol, Question, SandboxAct, StreamAct, TlsAct, Visit,
};
use crate::report::convert::seconds;
use crate::report::document::{
    ADDRESSES_MAX, ANSWERS_MAX, BAITS_MAX, BaitDeed, BaitUse, COMMANDS_MAX, Command, DNS_MAX, DnsQuestion,
    FLOWS_MAX, Flow, HTTP_MAX, HttpRequest, LISTENERS_MAX, Listener, Network, PAYLOAD_MAX, PortAnswer,
    TEXT_MAX, TLS_MAX, TlsHello,
};
use crate::report::escape::short_text;

/// Of a sent text, so many bytes are looked at for the report.
const FIRST_MAX: usize = 512;
/// UDP flows whose sum so far is remembered; and those that were not used so far.
const SUMS_MAX: usize = 1 << 14;

type Text = (String, String, String);
type Deed = (BaitDeed, String, String, String, String);

/// Collects what is said of the network and of baits.
pub struct NetworkSummary {
    dns: Kept<Text, DnsQuestion>,
    flows: Kept<Text, Counted>,
    /// Datagram sockets that were connected and not used so far, which is no flow: a resolver asks the
    /// kernel so which way leads to an address (RFC 6724), once or twice for each name.
    unused: HashMap<Text, Counted>,
    http: Kept<(Text, String, u16, bool), HttpRequest>,
    tls: Kept<(Option<String>, String, String, String), TlsHello>,
    commands: Kept<(Text, String, String), Command>,
    listeners: Kept<(String, String), Listener>,
    baits: Kept<Deed, BaitUse>,
    /// What was told of datagrams so far, by their two ends.
    sums: HashMap<(SocketAddr, SocketAddr), (u64, u64)>,
}

/// A flow, with the bytes that the world counted; the probes' own are in the flow. They see the same.
struct Counted {
    flow: Flow,
    sent: u64,
    received: u64,
}

impl NetworkSummary {
    pub fn new() -> NetworkSummary {
        NetworkSummary {
            dns: Kept::new(DNS_MAX),
            flows: Kept::new(FLOWS_MAX),
            unused: HashMap::new(),
            http: Kept::new(HTTP_MAX),
            tls: Kept::new(TLS_MAX),
            commands: Kept::new(COMMANDS_MAX),
            listeners: Kept::new(LISTENERS_MAX),
            baits: Kept::new(BAITS_MAX),
            sums: HashMap::new(),
        }
    }

    pub fn observe(&mut self, event: &Event) {
        match &event.act {
            Act::Net(act) => self.net(act, event),
            Act::Dns(act) => self.asked(act, event),
            Act::DnsAnswer(act) => self.answered(act, event),
            Act::Http(act) => self.http(act, event),
            Act::Tls(act) => self.tls(act, event),
            Act::Command(act) => self.command(act, event),
            Act::Stream(act) => self.stream(act, event),
            Act::Bait(act) => self.bait(act, event),
            Act::Sandbox(SandboxAct::Visited(visit)) => self.visited(visit),
            _ => {}
        }
    }

    pub fn finish(self) -> (Network, Vec<BaitUse>, u64) {
        let (flows, flows_omitted) = self.flows.finish();
        let flow = |it: Counted| {
            let (sent, received) = (it.flow.sent.max(it.sent), it.flow.received.max(it.received));
            Flow { sent, received, ..it.flow }
        };
        let mut network =
            Network { flows: flows.into_iter().map(flow).collect(), flows_omitted, ..Network::default() };
        (network.dns, network.dns_omitted) = self.dns.finish();
        (network.http, network.http_omitted) = self.http.finish();
        (network.tls, network.tls_omitted) = self.tls.finish();
        (network.commands, network.commands_omitted) = self.commands.finish();
        (network.listeners, network.listeners_omitted) = self.listeners.finish();
        let (baits, baits_omitted) = self.baits.finish();
        (network, baits, baits_omitted)
    }

    fn net(&mut self, act: &NetAct, event: &Event) {
        match (act.action, &act.remote, &act.local) {
            (NetAction::Connect | NetAction::Send, Some(remote), _) => self.flow(act, remote, event),
            (NetAction::Close { sent, received }, Some(remote), _) => {
                let key = (protocol(act.protocol), endpoint(remote).unwrap_or_default(), exe(event));
                if sent > 0 || received > 0 {
                    self.used(&key);
                }
                if let Some(known) = self.flows.get(&key) {
                    known.flow.sent = known.flow.sent.saturating_add(sent);
                    known.flow.received = known.flow.received.saturating_add(received);
                }
            }
            (NetAction::Listen, _, Some(local)) => self.listener(act, local, event),
            // A datagram socket that is bound hears without listen(2).
            (NetAction::Bind, _, Some(local)) if act.protocol == Protocol::Udp => {
                self.listener(act, local, event);
            }
            _ => {}
        }
    }

    fn flow(&mut self, act: &NetAct, remote: &Endpoint, event: &Event) {
        let Some(shown) = endpoint(remote) else { return };
        let socket = match remote {
            Endpoint::Inet(address) => Some(*address),
            _ => None,
        };
        let failed = if event.outcome.is_done() { 0 } else { event.count };
        let made = || flow(protocol(act.protocol), shown.clone(), socket, event);
        let key = (protocol(act.protocol), shown.clone(), exe(event));
        let only_asks = act.protocol == Protocol::Udp && act.action == NetAction::Connect && failed == 0;
        if only_asks && self.flows.get(&key).is_none() && self.unused.len() < SUMS_MAX {
            let known = self.unused.entry(key).or_insert_with(made);
            known.flow.count = known.flow.count.saturating_add(event.count);
            return name(&mut known.flow, act.name.as_ref());
        }
        self.used(&key);
        let Some(known) = self.flows.entry(key, event.count, made) else { return };
        known.flow.count = known.flow.count.saturating_add(event.count);
        known.flow.failed = known.flow.failed.saturating_add(failed);
        name(&mut known.flow, act.name.as_ref());
    }

    fn stream(&mut self, act: &StreamAct, event: &Event) {
        let (sent, received) = self.more(act);
        let said = &act.flow;
        let (protocol, shown) = (protocol(said.protocol), said.server.to_string());
        let made = || flow(protocol.clone(), shown.clone(), Some(said.server), event);
        let key = (protocol.clone(), shown.clone(), exe(event));
        self.used(&key);
        let Some(known) = self.flows.entry(key, event.count, made) else { return };
        known.sent = known.sent.saturating_add(sent);
        known.received = known.received.saturating_add(received);
        name(&mut known.flow, said.name.as_ref());
        // Where the probes did not see it begin, it is counted here.
        known.flow.count = known.flow.count.max(event.count);
        known.flow.service.get_or_insert_with(|| short_text(&act.service, TEXT_MAX));
        if known.flow.first.is_none() && !act.first.is_empty() {
            known.flow.first = Some(payload(&act.first));
        }
    }

    /// What was connected before is a flow from now on.
    fn used(&mut self, key: &Text) {
        if let Some(known) = self.unused.remove(key) {
            self.flows.entry(key.clone(), known.flow.count, || known);
        }
    }

    /// Of a connection, all; of datagrams, which are told with their sum so far, what is new.
    fn more(&mut self, act: &StreamAct) -> (u64, u64) {
        let ends = (act.flow.client, act.flow.server);
        if act.flow.protocol == Protocol::Tcp
            || (self.sums.len() >= SUMS_MAX && !self.sums.contains_key(&ends))
        {
            return (act.sent, act.received);
        }
        let before = self.sums.insert(ends, (act.sent, act.received)).unwrap_or_default();
        // A smaller sum is that of other sockets with the same ends.
        let more = |now: u64, before| now.checked_sub(before).unwrap_or(now);
        (more(act.sent, before.0), more(act.received, before.1))
    }

    fn asked(&mut self, act: &DnsAct, event: &Event) {
        let Some(question) = &act.question else { return };
        let Some(known) = self.question(question, event) else { return };
        known.count = known.count.saturating_add(event.count);
        carried(known, act.carrier.name());
    }

    fn answered(&mut self, act: &DnsAnswer, event: &Event) {
        let Some(question) = &act.question else { return };
        let Some(known) = self.question(question, event) else { return };
        carried(known, act.carrier.name());
        if known.code.is_none() {
            known.code = Some(act.code);
            known.addresses = act.addresses.iter().take(ADDRESSES_MAX).map(ToString::to_string).collect();
        }
        if act.carrier == Carrier::Udp {
            self.used(&(protocol(act.flow.protocol), act.flow.server.to_string(), exe(event)));
            self.served(&act.flow, "dns", b"", event);
        }
    }

    fn question(&mut self, question: &Question, event: &Event) -> Option<&mut DnsQuestion> {
        let (name, kind) = (short_text(&question.name, TEXT_MAX), question.type_name());
        let key = (name.clone(), kind.clone(), exe(event));
        // The question itself is counted, and not once more with its answer.
        let count = if matches!(event.act, Act::Dns(_)) { event.count } else { 0 };
        self.dns.entry(key, count, || DnsQuestion {
            name,
            kind,
            carriers: Vec::new(),
            exe: exe(event),
            count: 0,
            code: None,
            addresses: Vec::new(),
            first_seen: seconds(event.at),
        })
    }

    fn http(&mut self, act: &HttpAct, event: &Event) {
        let (method, host) = (short_text(&act.method, TEXT_MAX), short_text(&act.host, TEXT_MAX));
        let (target, exe) = (short_text(&act.target, TEXT_MAX), exe(event));
        let key = ((method.clone(), host.clone(), target.clone()), exe.clone(), act.status, act.secure);
        let agent = act.headers.iter().find_map(|header| header.strip_prefix(b"user-agent: "));
        let known = self.http.entry(key, event.count, || HttpRequest {
            method,
            secure: act.secure,
            host,
            target,
            status: act.status,
            service: short_text(&act.service, TEXT_MAX),
            user_agent: agent.map(|agent| short_text(agent, TEXT_MAX)),
            body_size: 0,
            body: None,
            exe,
            count: 0,
            first_seen: seconds(event.at),
        });
        if let Some(known) = known {
            known.count = known.count.saturating_add(event.count);
            known.body_size = known.body_size.saturating_add(act.body_size);
            if known.body.is_none() && !act.body.is_empty() {
                known.body = Some(payload(&act.body));
            }
        }
        let first = [&act.method, &b" "[..], &act.target].concat();
        self.served(&act.flow, if act.secure { "https" } else { "http" }, &first, event);
    }

    /// Says of a flow what it turned out to be.
    fn served(&mut self, said: &Said, service: &str, first: &[u8], event: &Event) {
        let key = (protocol(said.protocol), said.server.to_string(), exe(event));
        let Some(known) = self.flows.get(&key) else { return };
        known.flow.service.get_or_insert_with(|| service.to_owned());
        if known.flow.first.is_none() && !first.is_empty() {
            known.flow.first = Some(payload(first));
        }
    }

    fn tls(&mut self, act: &TlsAct, event: &Event) {
        let text = |text: &Bytes| short_text(text, TEXT_MAX);
        let (server_name, ja4, exe) = (act.server_name.as_ref().map(text), text(&act.ja4), exe(event));
        let outcome = act.outcome.name().to_owned();
        let key = (server_name.clone(), ja4.clone(), outcome.clone(), exe.clone());
        let alert = match &act.outcome {
            Handshake::Refused { alert } => Some(text(alert)),
            _ => None,
        };
        let alpn = act.alpn.iter().take(ADDRESSES_MAX).map(text).collect();
        let first_seen = seconds(event.at);
        let made = || TlsHello { server_name, ja4, alpn, outcome, alert, exe, count: 0, first_seen };
        if let Some(known) = self.tls.entry(key, event.count, made) {
            known.count = known.count.saturating_add(event.count);
        }
        if act.outcome != Handshake::Done {
            self.served(&act.flow, "tls", b"", event);
        }
    }

    fn command(&mut self, act: &CommandAct, event: &Event) {
        let (service, verb) = (short_text(&act.service, TEXT_MAX), short_text(&act.verb, PAYLOAD_MAX));
        let (text, remote, exe) = (payload(&act.text), remote(&act.flow), exe(event));
        let key = ((service.clone(), verb.clone(), text.clone()), remote.clone(), exe.clone());
        let first_seen = seconds(event.at);
        let made = || Command { service, verb, text, remote, exe, count: 0, first_seen };
        if let Some(known) = self.commands.entry(key, event.count, made) {
            known.count = known.count.saturating_add(event.count);
        }
    }

    fn bait(&mut self, act: &BaitAct, event: &Event) {
        let text = |text: &Bytes| short_text(text, TEXT_MAX);
        let (what, place) = match &act.used_at {
            Some(service) => (BaitDeed::Used, text(service)),
            None => (BaitDeed::CarriedOff, text(&act.place)),
        };
        let (bait, field, encoding) = (text(&act.name), text(&act.field), text(&act.encoding));
        let key = (what, bait.clone(), format!("{field} {encoding}"), place.clone(), exe(event));
        let (field, encoding, remote) = (Some(field), Some(encoding), Some(remote(&act.flow)));
        self.deed(key, event, |seen| BaitUse { bait, what, field, encoding, place, remote, ..seen });
    }

    /// A decoy was opened for reading.
    pub fn bait_read(&mut self, bait: &[u8], path: &[u8], event: &Event) {
        let (bait, place) = (short_text(bait, TEXT_MAX), short_text(path, TEXT_MAX));
        let what = BaitDeed::Read;
        let key = (what, bait.clone(), String::new(), place.clone(), exe(event));
        self.deed(key, event, |seen| BaitUse { bait, what, place, ..seen });
    }

    fn deed(&mut self, key: Deed, event: &Event, fill: impl FnOnce(BaitUse) -> BaitUse) {
        let seen = BaitUse {
            bait: String::new(),
            what: key.0,
            field: None,
            encoding: None,
            place: String::new(),
            remote: None,
            exe: exe(event),
            count: 0,
            event: event.id.0,
            first_seen: seconds(event.at),
        };
        if let Some(known) = self.baits.entry(key, event.count, || fill(seen)) {
            known.count = known.count.saturating_add(event.count);
        }
    }

    fn listener(&mut self, act: &NetAct, local: &Endpoint, event: &Event) {
        let Some(local) = endpoint(local).filter(|_| event.outcome.is_done()) else { return };
        let protocol = protocol(act.protocol);
        let (exe, first_seen) = (exe(event), seconds(event.at));
        let key = (protocol.clone(), local.clone());
        self.listeners.entry(key, 1, || Listener { protocol, local, exe, first_seen, answers: Vec::new() });
    }

    /// Keeps what a port answered with the listener that has the port.
    fn visited(&mut self, visit: &Visit) {
        let port = visit.remote.port();
        let places = [visit.remote.to_string(), format!("0.0.0.0:{port}"), format!("[::]:{port}")];
        let place = places
            .into_iter()
            .find(|local| self.listeners.get(&(protocol(visit.protocol), local.clone())).is_some());
        let known = place.and_then(|local| self.listeners.get(&(protocol(visit.protocol), local)));
        let room = |known: &&mut Listener| visit.said > 0 && known.answers.len() < ANSWERS_MAX;
        let Some(known) = known.filter(room) else { return };
        let (request, first) = (visit.request.clone(), short_text(&visit.answer, TEXT_MAX));
        known.answers.push(PortAnswer { request, first, bytes: visit.said });
    }
}

fn flow(protocol: String, remote: String, socket: Option<SocketAddr>, event: &Event) -> Counted {
    let (address, port) = (socket.map(|it| it.ip().to_string()), socket.map(|it| it.port()));
    let (exe, first_seen) = (exe(event), seconds(event.at));
    let flow = Flow { protocol, remote, address, port, exe, first_seen, ..Flow::default() };
    Counted { flow, sent: 0, received: 0 }
}

fn name(flow: &mut Flow, name: Option<&Bytes>) {
    if flow.name.is_none() {
        flow.name = name.map(|name| short_text(name, TEXT_MAX));
    }
}

fn carried(question: &mut DnsQuestion, carrier: &str) {
    if !question.carriers.iter().any(|known| known == carrier) {
        question.carriers.push(carrier.to_owned());
    }
}

fn exe(event: &Event) -> String {
    let exe = event.process.as_ref().map(|process| &process.program.exe.file.path);
    exe.map(|path| short_text(path, TEXT_MAX)).unwrap_or_default()
}

fn payload(bytes: &[u8]) -> String {
    short_text(&bytes[..bytes.len().min(FIRST_MAX)], PAYLOAD_MAX)
}

/// Where something was said: by name where there is one.
fn remote(said: &Said) -> String {
    match &said.name {
        Some(name) => format!("{}:{}", short_text(name, TEXT_MAX), said.server.port()),
        None => said.server.to_string(),
    }
}

fn endpoint(endpoint: &Endpoint) -> Option<String> {
    match endpoint {
        Endpoint::Inet(address) => Some(address.to_string()),
        Endpoint::Unix(path) => Some(short_text(path, TEXT_MAX)),
        Endpoint::Other => None,
    }
}

fn protocol(protocol: Protocol) -> String {
    match protocol {
        Protocol::Tcp => "tcp".to_owned(),
        Protocol::Udp => "udp".to_owned(),
        Protocol::Icmp => "icmp".to_owned(),
        Protocol::Raw => "raw".to_owned(),
        Protocol::Packet => "packet".to_owned(),
        Protocol::Netlink => "netlink".to_owned(),
        Protocol::Unix => "unix".to_owned(),
        Protocol::Vsock => "vsock".to_owned(),
        Protocol::Other(family) => format!("family-{family}"),
    }
}
