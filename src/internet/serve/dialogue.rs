//! Drives a conversation of [`super::super::service`] over a stream.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::super::service::{Dialogue, Turn};
use super::super::testimony::{BODY_MAX, Command, Said, TEXT_MAX};
use super::connection::Connection;
use super::pipe::{Ear, Pipe};

/// Read at one time.
const PIECE: usize = 16 << 10;
/// After so long a client that waits has nothing more to say.
const SILENCE: Duration = Duration::from_millis(700);
/// Verbs with which one logs in: what follows is shown as a credential.
const LOGINS: [&[u8]; 10] = [
    b"AUTH",
    b"KEY",
    b"PASS",
    b"LOGIN",
    b"USER",
    b"HELLO",
    b"AUTHENTICATE",
    b"OPER",
    b"mining.authorize",
    b"login",
];

/// How a conversation went on.
pub enum Turned {
    End,
    /// The client asked for TLS, and was told to begin.
    StartTls(Pipe),
}

pub async fn drive(connection: &Connection, ear: Ear, dialogue: &mut dyn Dialogue) -> io::Result<Turned> {
    connection.named(dialogue.service());
    let mut ear = ear;
    let mut piece = vec![0; PIECE];
    let mut silence = Some(SILENCE);
    loop {
        let length = match patient(&mut ear, &mut piece, silence).await {
            Some(read) => read?,
            None => {
                silence = None;
                ear.write_all(dialogue.prompt().as_bytes()).await?;
                ear.flush().await?;
                continue;
            }
        };
        if length == 0 {
            return Ok(Turned::End);
        }
        let mut turn = Turn::default();
        let dialogue = &mut *dialogue;
        dialogue.hear(&piece[..length], &mut turn);
        connection.named(dialogue.service());
        tell(connection, &ear, dialogue, &mut turn).await;
        ear.write_all(&turn.say).await?;
        ear.flush().await?;
        if turn.close {
            ear.shutdown().await?;
            return Ok(Turned::End);
        }
        if turn.start_tls {
            return Ok(Turned::StartTls(Box::new(ear)));
        }
    }
}

/// Reads; `None`: nothing came for so long.
async fn patient(ear: &mut Ear, piece: &mut [u8], most: Option<Duration>) -> Option<io::Result<usize>> {
    match most {
        Some(most) => timeout(most, ear.read(piece)).await.ok(),
        None => Some(ear.read(piece).await),
    }
}

async fn tell(connection: &Connection, ear: &Ear, dialogue: &dyn Dialogue, turn: &mut Turn) {
    let service = dialogue.service();
    connection.saw(std::mem::take(&mut turn.used), service, Some(service)).await;
    for (verb, text, size) in turn.commands.drain(..) {
        let is_login = LOGINS.contains(&&verb[..]);
        if is_login || dialogue.is_sealed() {
            let mut scan = connection.servers.scanner.scan();
            let mut sightings = scan.feed(&text);
            sightings.extend(scan.feed(b"\n"));
            match is_login {
                true => connection.saw(sightings, service, Some(service)).await,
                false => connection.saw_new(sightings, service).await,
            }
        }
        let cut = |text: &[u8], most: usize| text[..text.len().min(most)].to_vec();
        let (verb, text) = (cut(&verb, TEXT_MAX), cut(&text, BODY_MAX));
        connection.say(Said::Command(Command { service: service.into(), verb, text, size })).await;
    }
    let sightings = ear.heard.borrow_mut().take_sightings();
    connection.saw_new(sightings, service).await;
}
