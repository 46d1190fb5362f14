//! Conversations that are not HTTP, and how they are recognised: by the first bytes of a client that
//! begins by itself, on any port, else by the port.
//!
//! Each is a state machine over bytes as the network cuts them. What it keeps is bounded, whatever it is
//! sent; what it does not understand it passes over.

mod amqp;
mod ftp;
mod git;
mod irc;
mod knock;
mod ldap;
mod lines;
mod lookup;
mod mail;
mod memcached;
mod mongo;
mod mqtt;
mod mysql;
mod packet;
mod postgres;
mod redis;
mod shell;
mod smtp;
mod ssh;
mod stranger;
mod stratum;
mod telnet;
#[cfg(test)]
mod tests;

use super::scripted::Scripted;
use crate::bait::Sighting;
use crate::internet::testimony::BODY_MAX;
use crate::internet::world::World;

pub(super) use lines::Lines;

/// One side of a conversation that is not HTTP.
pub trait Dialogue {
    /// `smtp`, `ftp`, `irc`, …; `raw` where nobody knows it. It may turn out later.
    fn service(&self) -> &'static str;

    /// What the server says before it has heard anything; empty where the client begins. Asked once, before
    /// anything is heard, also where the client did not wait for it.
    fn greet(&mut self) -> Vec<u8>;

    /// The greeting is all that the server says: its side of the connection ends after it, while the client
    /// may go on sending.
    fn ends_with_greeting(&self) -> bool {
        false
    }

    /// What is said cannot be read in the stream: secrets are looked for in what is reported.
    fn is_sealed(&self) -> bool {
        false
    }

    /// Takes in what came, in pieces as the network cut them; says what to answer.
    fn hear(&mut self, bytes: &[u8], turn: &mut Turn);

    /// What to say to a client that has fallen silent; asked once. Empty: nothing, its turn lasts.
    fn prompt(&mut self) -> &'static str {
        ""
    }
}

/// What one piece of a conversation led to.
#[derive(Debug, Default)]
pub struct Turn {
    pub say: Vec<u8>,
    /// Commands that became complete: verb, text, bytes of the whole.
    pub commands: Vec<(Vec<u8>, Vec<u8>, u64)>,
    /// Credentials of baits that were shown in another form than their own.
    pub used: Vec<Sighting>,
    /// After `say`, the conversation is over.
    pub close: bool,
    /// After `say`, the conversation goes on inside TLS; what was heard behind the wish for it does not
    /// count.
    pub start_tls: bool,
}

impl Turn {
    /// Reports a command; of a long text the first part.
    pub(super) fn command(&mut self, verb: &[u8], text: &[u8], size: u64) {
        let text = &text[..text.len().min(BODY_MAX)];
        self.commands.push((verb.to_vec(), text.to_vec(), size));
    }

    fn say(&mut self, text: &str) {
        self.say.extend(text.bytes());
    }
}

/// The dialogue for a port, or for the first bytes of a client that began by itself (`first` empty: the
/// client waits for us).
pub fn dialogue(world: &World, port: u16, first: &[u8]) -> Box<dyn Dialogue> {
    if let Some(script) = world.scenario.script(port) {
        return Box::new(Scripted::new(script));
    }
    let known = by_first(world, first).or_else(|| by_port(world, port, first));
    known.unwrap_or_else(|| Box::new(stranger::Stranger::new()))
}

fn by_first(world: &World, first: &[u8]) -> Option<Box<dyn Dialogue>> {
    let is = |words: &[&[u8]]| words.iter().any(|word| first.to_ascii_uppercase().starts_with(word));
    Some(match first {
        _ if stratum::is_begun(first) => Box::new(stratum::Stratum::new()),
        _ if is(&[b"SSH-"]) => Box::new(ssh::Ssh::new(world)),
        _ if is(&[b"EHLO ", b"HELO ", b"LHLO "]) => Box::new(smtp::Smtp::new(world)),
        _ if is(&[b"NICK ", b"CAP LS", b"CAP REQ"]) || irc::is_begun(first) => Box::new(irc::Irc::new(world)),
        _ if redis::is_begun(first) => Box::new(redis::Redis::new()),
        _ if mqtt::is_begun(first) => Box::new(mqtt::Mqtt::new()),
        _ if postgres::is_begun(first) => Box::new(postgres::Postgres::new()),
        _ if amqp::is_begun(first) => Box::new(amqp::Amqp::new()),
        _ if git::is_begun(first) => Box::new(git::Git::new(world.now)),
        _ if mongo::is_begun(first) => Box::new(mongo::Mongo::new()),
        _ if ldap::is_begun(first) => Box::new(ldap::Ldap::new()),
        _ if shell::is_begun(first) => Box::new(shell::Shell::new()),
        _ => return knock::Knock::by_first(first).map(|it| Box::new(it) as Box<dyn Dialogue>),
    })
}

fn by_port(world: &World, port: u16, first: &[u8]) -> Option<Box<dyn Dialogue>> {
    Some(match port {
        21 | 990 | 2121 => Box::new(ftp::Ftp::new(world)),
        ftp::DATA => Box::new(ftp::Listing),
        22 | 2222 => Box::new(ssh::Ssh::new(world)),
        23 | 2323 => Box::new(telnet::Telnet::new(world)),
        25 | 465 | 587 | 2525 => Box::new(smtp::Smtp::new(world)),
        110 | 995 => Box::new(mail::Pop::new()),
        143 | 993 => Box::new(mail::Imap::new()),
        389 | 636 | 1389 => Box::new(ldap::Ldap::new()),
        1883 | 8883 => Box::new(mqtt::Mqtt::new()),
        5671 | 5672 => Box::new(amqp::Amqp::new()),
        9418 => Box::new(git::Git::new(world.now)),
        27017..=27019 => Box::new(mongo::Mongo::new()),
        3306 => Box::new(mysql::MySql::new()),
        5432 => Box::new(postgres::Postgres::new()),
        6379 | 6380 => Box::new(redis::Redis::new()),
        // Whoever speaks IRC and begins is known by that, but for the password.
        6660..=6669 | 6697 if first.is_empty() || first.starts_with(b"PASS ") => {
            Box::new(irc::Irc::new(world))
        }
        11211 => Box::new(memcached::Memcached::new()),
        _ => {
            let lookup = lookup::Lookup::at(port).map(|it| Box::new(it) as Box<dyn Dialogue>);
            return lookup.or_else(|| knock::Knock::at(port).map(|it| Box::new(it) as Box<dyn Dialogue>));
        }
    })
}
