//! Whose a flow is, what its far end is called, and which questions were seen on their way.
//!
//! The probes see sockets, the world sees packets: they meet at the transport, the sandbox's port and
//! the far end. Everything here is bounded; the oldest is forgotten first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};

use crate::event::{self, Bytes, Process, Protocol, Question};
use crate::internet::testimony::{Flow, Transport};

/// Flows whose opener is remembered.
const FLOWS_MAX: usize = 1 << 15;
/// Openers of one flow after another, where ports are used again.
const OPENERS_MAX: usize = 4;
const NAMES_MAX: usize = 1 << 15;
const QUESTIONS_MAX: usize = 1 << 12;

/// A datagram is heard before the call that sent it returns, where its record is made: so much later,
/// in nanoseconds, may the record of what opened a flow come.
pub const SLACK: u64 = 500_000_000;

/// What is known of the flows of a run.
pub(super) struct Flows {
    openers: Bounded<Key, VecDeque<Opener>>,
    names: Bounded<IpAddr, Bytes>,
    questions: Bounded<(u16, Question), u64>,
    /// The name that TLS asked for, by the two ends.
    server_names: Bounded<(SocketAddr, SocketAddr), Option<Bytes>>,
    /// Counts what is told of flows, so that others see whether there is anything new.
    pub(super) learnt: u64,
    /// Testimony of flows that nobody was seen opening.
    pub(super) unjoined: u64,
}

/// A flow, by what both witnesses know. Without a far end: any flow of this port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    protocol: Protocol,
    port: u16,
    far: Option<SocketAddr>,
}

/// `process` is `None` for the sandbox's own.
struct Opener {
    time: u64,
    process: Option<Process>,
}

impl Flows {
    pub(super) fn new() -> Flows {
        Flows {
            openers: Bounded::new(FLOWS_MAX),
            names: Bounded::new(NAMES_MAX),
            questions: Bounded::new(QUESTIONS_MAX),
            server_names: Bounded::new(QUESTIONS_MAX),
            learnt: 0,
            unjoined: 0,
        }
    }

    /// Remembers who used a socket with these ends.
    pub(super) fn opened(
        &mut self,
        protocol: Protocol,
        near: SocketAddr,
        far: Option<SocketAddr>,
        time: u64,
        process: Option<Process>,
    ) {
        let key = Key { protocol, port: near.port(), far: far.map(canonical) }.settled();
        if protocol == Protocol::Udp && far.is_some() {
            // Its other datagrams may go elsewhere by ways that are not seen one by one.
            self.add(Key { far: None, ..key }, time, process.clone());
        }
        self.add(key, time, process);
    }

    fn add(&mut self, key: Key, time: u64, process: Option<Process>) {
        let openers = self.openers.entry(key);
        let who = |process: &Option<Process>| process.as_ref().map(|it| (it.key, it.program.id));
        if openers.back().is_some_and(|last| who(&last.process) == who(&process)) {
            return;
        }
        openers.push_back(Opener { time, process });
        if openers.len() > OPENERS_MAX {
            openers.pop_front();
        }
    }

    /// Who used the flow last before `time`, or else first after it. `Some(None)`: the sandbox itself.
    pub(super) fn opener(&self, flow: &Flow, time: u64) -> Option<Option<&Process>> {
        let exact = Key::of(flow);
        let openers = self.openers.get(&exact).or_else(|| self.openers.get(&Key { far: None, ..exact }))?;
        let before = openers.iter().rev().find(|opener| opener.time <= time);
        let opener = before.or_else(|| openers.iter().find(|opener| opener.time <= time + SLACK))?;
        Some(opener.process.as_ref())
    }

    /// Remembers the name for which an address was given.
    pub(super) fn named(&mut self, address: IpAddr, name: &Bytes) {
        let address = address.to_canonical();
        if !address.is_loopback() && !address.is_unspecified() && !name.is_empty() {
            *self.names.entry(address) = name.clone();
        }
    }

    pub(super) fn name(&self, address: IpAddr) -> Option<&Bytes> {
        self.names.get(&address.to_canonical())
    }

    pub(super) fn greeted(&mut self, flow: &event::Flow, server_name: Option<&[u8]>) {
        let name = server_name.map(|name| Bytes::from(name.to_ascii_lowercase()));
        *self.server_names.entry((flow.client, flow.server)) = name;
    }

    pub(super) fn server_name(&self, flow: &event::Flow) -> Option<&Bytes> {
        self.server_names.get(&(flow.client, flow.server))?.as_ref()
    }

    /// Notes that the probes saw a question leave from this port, so many times.
    pub(super) fn asked(&mut self, port: u16, question: &Question, count: u64) {
        let seen = self.questions.entry((port, question.clone()));
        *seen = seen.saturating_add(count);
    }

    /// True where the probes saw a question that was not heard yet.
    pub(super) fn was_asked(&self, port: u16, question: &Question) -> bool {
        self.questions.get(&(port, question.clone())).is_some_and(|seen| *seen > 0)
    }

    /// Takes a question that was heard off those seen; false where the probes saw none.
    pub(super) fn answered(&mut self, port: u16, question: &Question) -> bool {
        match self.questions.entries.get_mut(&(port, question.clone())) {
            Some(seen) if *seen > 0 => {
                *seen -= 1;
                true
            }
            _ => false,
        }
    }
}

impl Key {
    fn of(flow: &Flow) -> Key {
        let far = Some(canonical(flow.server));
        Key { protocol: protocol(flow.transport), port: flow.client.port(), far }.settled()
    }

    /// An echo has no ports: what stands in their place is the program's own number.
    fn settled(self) -> Key {
        match self.protocol {
            Protocol::Icmp => {
                let far = self.far.map(|far| SocketAddr::new(far.ip(), 0));
                Key { port: 0, far, ..self }
            }
            _ => self,
        }
    }
}

pub(super) fn protocol(transport: Transport) -> Protocol {
    match transport {
        Transport::Tcp => Protocol::Tcp,
        Transport::Udp => Protocol::Udp,
        Transport::Icmp => Protocol::Icmp,
    }
}

/// Without a zone, and IPv4 as itself also where it came mapped.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// A table that forgets what was first put in.
struct Bounded<K, V> {
    entries: HashMap<K, V>,
    order: VecDeque<K>,
    bound: usize,
}

impl<K: Clone + Eq + Hash, V: Default> Bounded<K, V> {
    fn new(bound: usize) -> Bounded<K, V> {
        Bounded { entries: HashMap::new(), order: VecDeque::new(), bound }
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    fn entry(&mut self, key: K) -> &mut V {
        if !self.entries.contains_key(&key) {
            if self.order.len() >= self.bound
                && let Some(oldest) = self.order.pop_front()
            {
                self.entries.remove(&oldest);
            }
            self.order.push_back(key.clone());
        }
        self.entries.entry(key).or_default()
    }
}
