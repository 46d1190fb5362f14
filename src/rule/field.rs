//! The fields that rules may name: each has a name, a type, a meaning and a way to read it.
//!
//! A field is a fact about the kernel's objects wherever the kernel has one; text that a program chose
//! (arguments, thread names) is offered too and says so. What would need a program in a rule (joining,
//! resolving, comparing) is computed here and offered as a field of its own.
//!
//! The fields themselves stand in the table beside this file.

mod content;
mod read;
mod table;
mod world;

use std::net::IpAddr;

use super::subject::Subject;
use crate::event::{Act, Event};

/// A kind of event, as `logsource.category` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Category {
    Exec,
    Process,
    Memory,
    File,
    Net,
    Dns,
    DnsAnswer,
    Http,
    Tls,
    Command,
    Stream,
    Bait,
    Kernel,
    Denied,
    Sandbox,
}

impl Category {
    /// Every category.
    pub const ALL: [Category; 15] = [
        Category::Exec,
        Category::Process,
        Category::Memory,
        Category::File,
        Category::Net,
        Category::Dns,
        Category::DnsAnswer,
        Category::Http,
        Category::Tls,
        Category::Command,
        Category::Stream,
        Category::Bait,
        Category::Kernel,
        Category::Denied,
        Category::Sandbox,
    ];

    /// The name in `logsource.category`.
    pub fn name(self) -> &'static str {
        match self {
            Category::Exec => "exec",
            Category::Process => "process",
            Category::Memory => "memory",
            Category::Kernel => "kernel",
            Category::File => "file",
            Category::Net => "net",
            Category::Dns => "dns",
            Category::DnsAnswer => "dns_answer",
            Category::Http => "http",
            Category::Tls => "tls",
            Category::Command => "command",
            Category::Stream => "stream",
            Category::Bait => "bait",
            Category::Denied => "denied",
            Category::Sandbox => "sandbox",
        }
    }

    /// The category of an event.
    pub fn of(event: &Event) -> Category {
        match event.act {
            Act::Exec(_) => Category::Exec,
            Act::Process(_) => Category::Process,
            Act::Memory(_) => Category::Memory,
            Act::Kernel(_) => Category::Kernel,
            Act::File(_) => Category::File,
            Act::Net(_) => Category::Net,
            Act::Dns(_) => Category::Dns,
            Act::DnsAnswer(_) => Category::DnsAnswer,
            Act::Http(_) => Category::Http,
            Act::Tls(_) => Category::Tls,
            Act::Command(_) => Category::Command,
            Act::Stream(_) => Category::Stream,
            Act::Bait(_) => Category::Bait,
            Act::Denied(_) => Category::Denied,
            Act::Sandbox(_) => Category::Sandbox,
        }
    }
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Flag,
    Address,
}

impl Kind {
    /// The name in `rules fields`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Number => "a number",
            Kind::Flag => "true or false",
            Kind::Address => "an IP address",
        }
    }
}

/// One entry of the table.
pub struct Field {
    pub name: &'static str,
    /// One sentence, for `rules fields`.
    pub doc: &'static str,
    /// The categories in which it can be present.
    pub categories: &'static [Category],
    /// The only values it ever has; empty where it may have any.
    pub values: &'static [&'static str],
    /// The same from run to run, so that it may be part of a finding's identity.
    pub stable: bool,
    /// It is a fact about the program, so it is the same for all events of one program.
    pub of_program: bool,
    pub(super) read: Read,
}

/// How a field is read from a subject; absence is `None`.
pub(super) enum Read {
    Text(for<'a> fn(Subject<'a>) -> Option<&'a [u8]>),
    /// Text that must be put together.
    Made(fn(Subject<'_>) -> Option<Vec<u8>>),
    /// Several texts; the visitor says `true` to stop, and that is the answer.
    Texts(fn(Subject<'_>, Visit<'_>) -> bool),
    Number(fn(Subject<'_>) -> Option<u64>),
    Flag(fn(Subject<'_>) -> Option<bool>),
    Address(fn(Subject<'_>) -> Option<IpAddr>),
}

pub(super) type Visit<'v> = &'v mut dyn FnMut(&[u8]) -> bool;

impl Field {
    /// What its values are.
    pub fn kind(&self) -> Kind {
        match self.read {
            Read::Text(_) | Read::Made(_) | Read::Texts(_) => Kind::Text,
            Read::Number(_) => Kind::Number,
            Read::Flag(_) => Kind::Flag,
            Read::Address(_) => Kind::Address,
        }
    }

    /// It can hold several values; a test holds where it holds for one of them.
    pub fn is_list(&self) -> bool {
        matches!(self.read, Read::Texts(_))
    }

    /// Hands every value to `visit` as text, for evidence and identity.
    pub(super) fn show(&self, subject: Subject<'_>, visit: &mut dyn FnMut(&[u8])) {
        let mut all = |value: &[u8]| {
            visit(value);
            false
        };
        match self.read {
            Read::Text(read) => read(subject).map(&mut all),
            Read::Made(read) => read(subject).map(|text| all(&text)),
            Read::Texts(read) => Some(read(subject, &mut all)),
            Read::Number(read) => read(subject).map(|number| all(number.to_string().as_bytes())),
            Read::Flag(read) => read(subject).map(|flag| all(if flag { b"true" } else { b"false" })),
            Read::Address(read) => read(subject).map(|ip| all(ip.to_string().as_bytes())),
        };
    }
}

/// All fields, in the order in which they are listed.
pub fn fields() -> impl Iterator<Item = &'static Field> {
    table::FIELDS.iter().chain(world::FIELDS)
}

/// Finds a field by its name.
pub fn field(name: &str) -> Option<&'static Field> {
    fields().find(|field| field.name == name)
}
