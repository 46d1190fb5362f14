//! WebSocket (RFC 6455), as far as a client needs it to go on talking: every upgrade is agreed to, pings
//! are answered, and what is said is unmasked, kept and looked through. Nothing is said back.

use std::io;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::testimony::{BODY_MAX, Command, Said};
use super::connection::Connection;
use super::pipe::Pipe;
use crate::bait::Scan;

const SERVICE: &str = "websocket";
/// What every server adds to the client's key (section 1.3).
const SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Of control frames (section 5.5).
const CONTROL_MAX: u64 = 125;
/// Read at one time.
const PIECE: usize = 16 << 10;

const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Where a request asks for it: what is to be said in `sec-websocket-accept`.
pub fn accept(headers: &[(Vec<u8>, Vec<u8>)]) -> Option<String> {
    let value = |name: &[u8]| headers.iter().find(|(other, _)| other == name).map(|(_, value)| &value[..]);
    let upgrade = value(b"upgrade")?;
    let key = value(b"sec-websocket-key").filter(|_| upgrade.eq_ignore_ascii_case(b"websocket"))?;
    Some(BASE64_STANDARD.encode(Sha1::new().chain_update(key).chain_update(SUFFIX).finalize()))
}

struct Frame {
    opcode: u8,
    length: u64,
    mask: [u8; 4],
}

/// Listens to the end.
pub async fn serve(connection: &Connection, mut pipe: Pipe) -> io::Result<()> {
    connection.named(SERVICE);
    let mut scan = connection.servers.scanner.scan();
    loop {
        let frame = read(&mut pipe).await?;
        let content = content(connection, &mut scan, &frame, &mut pipe).await?;
        match frame.opcode {
            CLOSE => {
                pipe.write_all(&answer(CLOSE, &content)).await?;
                return pipe.shutdown().await;
            }
            PING => pipe.write_all(&answer(PONG, &content)).await?,
            _ => {}
        }
        tell(connection, &frame, content).await;
    }
}

async fn read(pipe: &mut Pipe) -> io::Result<Frame> {
    let [first, second] = pipe.read_u16().await?.to_be_bytes();
    let length = match second & 0x7f {
        126 => pipe.read_u16().await?.into(),
        127 => pipe.read_u64().await?,
        length => length.into(),
    };
    let opcode = first & 0x0f;
    let is_masked = second & 0x80 != 0;
    if !is_masked || (opcode >= CLOSE && length > CONTROL_MAX) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Frame { opcode, length, mask: pipe.read_u32().await?.to_be_bytes() })
}

/// The first part of it; all of it is looked through.
async fn content(
    connection: &Connection,
    scan: &mut Scan<'static>,
    frame: &Frame,
    pipe: &mut Pipe,
) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let lease = connection.servers.room.lease(frame.length.min(BODY_MAX as u64) as usize);
    let mut read = 0u64;
    let mut piece = vec![0; PIECE.min(frame.length as usize)];
    while read < frame.length {
        let most = (frame.length - read).min(PIECE as u64) as usize;
        let length = pipe.read(&mut piece[..most]).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (at, byte) in (read..).zip(&mut piece[..length]) {
            *byte ^= frame.mask[(at % 4) as usize];
        }
        let room = lease.bytes().saturating_sub(content.len());
        content.extend_from_slice(&piece[..length.min(room)]);
        read += length as u64;
        connection.saw(scan.feed(&piece[..length]), SERVICE, None).await;
    }
    Ok(content)
}

async fn tell(connection: &Connection, frame: &Frame, text: Vec<u8>) {
    let verb: &[u8] = match frame.opcode {
        0 => b"CONTINUATION",
        1 => b"TEXT",
        2 => b"BINARY",
        PING | PONG => return,
        _ => b"OTHER",
    };
    let verb = verb.to_vec();
    connection.say(Said::Command(Command { service: SERVICE.into(), verb, text, size: frame.length })).await;
}

/// A whole frame of the server's, which are not masked.
fn answer(opcode: u8, content: &[u8]) -> Vec<u8> {
    let content = &content[..content.len().min(CONTROL_MAX as usize)];
    [&[0x80 | opcode, content.len() as u8], content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(upgrade: &str, key: Option<&str>, expected: Option<&str>) {
        let mut headers = vec![(b"upgrade".to_vec(), upgrade.as_bytes().to_vec())];
        headers.extend(key.map(|key| (b"sec-websocket-key".to_vec(), key.as_bytes().to_vec())));
        assert_eq!(accept(&headers).as_deref(), expected);
    }

    #[test]
    fn the_key_of_the_standard_is_accepted_as_the_standard_says() {
        let key = Some("dGhlIHNhbXBsZSBub25jZQ==");
        check("WebSocket", key, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        check("h2c", key, None);
        check("websocket", None, None);
    }
}
