//! What the simulated internet heard, joined to the process that said it: [`Testimony`] → [`Event`]s.
//!
//! The world tells of every question that reached it. The probes tell of those in datagrams, and their
//! event stands; only of a question that they could not see (in a stream, in TLS) one is made here.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use super::flows::{canonical, protocol};
use super::{Normaliser, Provenance, dns, net};
use crate::event::{
    Act, BaitAct, Bytes, Carrier, CommandAct, DnsAct, DnsAnswer, Endpoint, Event, Flow, Handshake, HttpAct,
    NetAct, NetAction, Outcome, Process, Protocol, Question, StreamAct, TlsAct,
};
use crate::internet::testimony::{self, Loss, Said, Testimony};
use crate::record::{Body, KernelSocket, Task};

const DNS_PORT: u16 = 53;
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;

/// What the world itself could not take or tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorldLosses {
    pub datagrams: u64,
    /// That are missing in the capture.
    pub packets: u64,
    pub connections: u64,
    pub testimony: u64,
}

impl<P: Provenance> Normaliser<P> {
    /// The events that a testimony tells of. Give testimonies and records by time.
    pub fn hear(&mut self, testimony: Testimony) -> Vec<Event> {
        let Testimony { time, flow, said } = testimony;
        let Some(flow) = flow else {
            self.note_loss(said);
            return Vec::new();
        };
        let process = self.opener(&flow, time);
        if let Said::Dns(said) = &said {
            self.learn_names(said);
        }
        let flow = self.flow(&flow);
        let question = match &said {
            Said::Dns(said) => self.unseen_question(&flow, said),
            _ => None,
        };
        if let Said::Tls(said) = &said {
            self.flows.greeted(&flow, said.server_name.as_deref());
        }
        let Some(act) = act(flow, said) else {
            self.unreadable += 1;
            return Vec::new();
        };
        let act = self.with_server_name(act);
        let returned = self.asked_again(&act, process.as_ref(), time);
        let acts = question.map(Act::Dns).into_iter().chain([act]).chain(returned);
        acts.map(|act| self.event(process.clone(), time, act, Outcome::Done)).collect()
    }

    /// True where a record that belongs to this testimony has not come yet, but still may.
    pub fn expects(&self, testimony: &Testimony) -> bool {
        let Some(flow) = &testimony.flow else { return false };
        if self.flows.opener(flow, testimony.time).is_none() {
            return true;
        }
        match &testimony.said {
            Said::Dns(said) if is_seen_by_probes(flow.server.port(), said) => {
                let question = question(said);
                question.is_some_and(|question| !self.flows.was_asked(flow.client.port(), &question))
            }
            _ => false,
        }
    }

    /// Grows with every record that can end the waiting of a testimony.
    pub fn learnt(&self) -> u64 {
        self.flows.learnt
    }

    /// Takes in whose socket it is that a record tells of, and what was asked through it.
    pub(super) fn learn(&mut self, time: u64, task: &Task, count: u64, body: &Body) {
        let (socket, local, remote) = match body {
            Body::Connect { socket, local, remote, .. }
            | Body::Send { socket, local, remote, .. }
            | Body::Accept { socket, local, remote }
            | Body::Source { socket, local, remote } => (socket, local, remote),
            Body::Query { socket, local, server, payload, result } => {
                let question = dns::question(payload).filter(|_| *result >= 0);
                if let (Some(near), Some(question)) = (inet(local), question) {
                    self.flows.asked(near.port(), &question, count);
                }
                (socket, local, server)
            }
            _ => return,
        };
        self.flows.learnt += 1;
        if let Some(near) = inet(local) {
            self.opened(time, task, socket, near, inet(remote));
        }
    }

    fn opened(
        &mut self,
        time: u64,
        task: &Task,
        socket: &KernelSocket,
        near: SocketAddr,
        far: Option<SocketAddr>,
    ) {
        let process = (!self.lineage.is_own(task)).then(|| self.lineage.process(task));
        self.flows.opened(net::protocol(socket), near, far, time, process);
    }

    fn opener(&mut self, flow: &testimony::Flow, time: u64) -> Option<Process> {
        match self.flows.opener(flow, time) {
            Some(process) => process.cloned(),
            None => {
                // An echo can come from a socket that has no address of its own.
                self.flows.unjoined += u64::from(protocol(flow.transport) != Protocol::Icmp);
                None
            }
        }
    }

    fn flow(&self, flow: &testimony::Flow) -> Flow {
        Flow {
            protocol: protocol(flow.transport),
            client: canonical(flow.client),
            server: canonical(flow.server),
            name: self.flows.name(flow.server.ip()).cloned(),
        }
    }

    fn with_server_name(&self, act: Act) -> Act {
        match act {
            Act::Http(act) if act.secure => {
                Act::Http(HttpAct { server_name: self.flows.server_name(&act.flow).cloned(), ..act })
            }
            act => act,
        }
    }

    /// A web request after a pause; the connection may be an old one.
    fn asked_again(&mut self, act: &Act, process: Option<&Process>, time: u64) -> Option<Act> {
        let (Act::Http(act), Some(process)) = (act, process) else { return None };
        let Flow { protocol, server, ref name, .. } = act.flow;
        let kin = self.lineage.line(process.key);
        let times = self.pace.reached(server, name.as_ref(), kin, time)?;
        let (action, remote) = (NetAction::Return { times }, Some(Endpoint::Inet(server)));
        Some(Act::Net(NetAct { action, protocol, local: None, remote, name: name.clone() }))
    }

    /// From now on what goes to these addresses goes to this name. Other kinds of answers may hold
    /// addresses that nobody asked for.
    fn learn_names(&mut self, said: &testimony::Dns) {
        let Some(question) = question(said).filter(|it| matches!(it.kind, TYPE_A | TYPE_AAAA)) else {
            return;
        };
        said.addresses.iter().for_each(|address| self.flows.named(*address, &question.name));
    }

    /// The question, where no record of the probes told of it.
    fn unseen_question(&mut self, flow: &Flow, said: &testimony::Dns) -> Option<DnsAct> {
        let question = question(said);
        if is_seen_by_probes(flow.server.port(), said) {
            let Some(question) = &question else { return None };
            if self.flows.answered(flow.client.port(), question) {
                return None;
            }
        }
        let server = Some(Endpoint::Inet(flow.server));
        Some(DnsAct { server, carrier: carrier(said.carrier), question })
    }

    fn note_loss(&mut self, said: Said) {
        let losses = &mut self.world_losses;
        let (sum, count) = match said {
            Said::Lost { what: Loss::Datagrams, count } => (&mut losses.datagrams, count),
            Said::Lost { what: Loss::Packets, count } => (&mut losses.packets, count),
            Said::Lost { what: Loss::Connections, count } => (&mut losses.connections, count),
            Said::Lost { what: Loss::Testimony, count } => (&mut losses.testimony, count),
            // Something was said, and nobody knows through what.
            _ => (&mut self.unreadable, 1),
        };
        *sum = sum.saturating_add(count);
    }
}

/// Datagrams to this port are read by the probes; what is no question they tell as such.
fn is_seen_by_probes(port: u16, said: &testimony::Dns) -> bool {
    port == DNS_PORT && said.carrier == testimony::Carrier::Udp
}

fn question(said: &testimony::Dns) -> Option<Question> {
    said.question.as_ref().map(|question| Question { name: lower(&question.name), kind: question.kind })
}

fn carrier(carrier: testimony::Carrier) -> Carrier {
    match carrier {
        testimony::Carrier::Udp => Carrier::Udp,
        testimony::Carrier::Tcp => Carrier::Tcp,
        testimony::Carrier::Tls => Carrier::Tls,
        testimony::Carrier::Https => Carrier::Https,
    }
}

/// `None` of what belongs to no flow.
fn act(flow: Flow, said: Said) -> Option<Act> {
    Some(match said {
        Said::Dns(said) => Act::DnsAnswer(DnsAnswer {
            flow,
            carrier: carrier(said.carrier),
            question: question(&said),
            code: said.code,
            addresses: said.addresses,
        }),
        Said::Http(said) => Act::Http(http(flow, said)),
        Said::Tls(said) => Act::Tls(TlsAct {
            flow,
            server_name: said.server_name.map(|name| lower(&name)),
            alpn: said.alpn.into_iter().map(Bytes::from).collect(),
            ja4: text(said.ja4),
            outcome: match said.outcome {
                testimony::Handshake::Done => Handshake::Done,
                testimony::Handshake::Refused { alert } => Handshake::Refused { alert: text(alert) },
                testimony::Handshake::Broken => Handshake::Broken,
            },
        }),
        Said::Command(said) => {
            let (service, verb) = (text(said.service), said.verb.into());
            Act::Command(CommandAct { flow, service, verb, text: said.text.into(), size: said.size })
        }
        Said::Stream(said) => {
            let testimony::Stream { service, first, sent, received, datagrams } = said;
            let (service, first) = (text(service), first.into());
            Act::Stream(StreamAct { flow, service, first, sent, received, datagrams })
        }
        Said::Bait(said) => Act::Bait(BaitAct {
            flow,
            name: text(said.name),
            field: text(said.field),
            encoding: text(said.encoding),
            place: text(said.place),
            used_at: said.used_at.map(text),
        }),
        Said::Lost { .. } => return None,
    })
}

fn http(flow: Flow, said: testimony::Http) -> HttpAct {
    let header = |(name, value): (Vec<u8>, Vec<u8>)| {
        let mut header = name;
        header.extend_from_slice(b": ");
        header.extend_from_slice(&value);
        Bytes::from(header)
    };
    HttpAct {
        flow,
        secure: said.secure,
        server_name: None,
        version: text(said.version),
        method: said.method.into(),
        host: lower(&said.host),
        target: said.target.into(),
        headers: said.headers.into_iter().map(header).collect(),
        headers_omitted: said.headers_omitted,
        body: said.body.into(),
        body_size: said.body_size,
        status: said.status,
        service: text(said.service),
    }
}

fn inet(sockaddr: &[u8]) -> Option<SocketAddr> {
    match net::endpoint(sockaddr)? {
        Endpoint::Inet(address) => Some(address),
        _ => None,
    }
}

/// Names are compared without regard to case.
fn lower(name: &[u8]) -> Bytes {
    Bytes::from(name.to_ascii_lowercase())
}

fn text(text: String) -> Bytes {
    Bytes::from(text.into_bytes())
}
