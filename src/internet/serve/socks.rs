//! SOCKS 5 (RFC 1928), as far as a client needs it to be led on: no login, every connection succeeds,
//! and what is inside is a connection like any other.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::testimony::{Command, Said};
use super::connection::{Connection, Inside};
use super::pipe::Pipe;

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const SUCCEEDED: u8 = 0;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// `greeting` is whole: version and methods.
pub async fn serve(connection: &Connection, greeting: Vec<u8>, pipe: Pipe) -> io::Result<Inside> {
    connection.named("socks");
    let mut ear = connection.ear(greeting, pipe).await;
    // What stands in front was read already.
    let mut greeting = [0; 2];
    ear.read_exact(&mut greeting).await?;
    ear.read_exact(&mut vec![0; greeting[1].into()]).await?;
    ear.write_all(&[VERSION, NO_LOGIN]).await?;
    let mut request = [0; 4];
    ear.read_exact(&mut request).await?;
    let host = match request[3] {
        IPV4 => ear.read_u32().await.map(|it| std::net::Ipv4Addr::from(it).to_string().into_bytes())?,
        IPV6 => ear.read_u128().await.map(|it| std::net::Ipv6Addr::from(it).to_string().into_bytes())?,
        NAME => {
            let mut name = vec![0; ear.read_u8().await?.into()];
            ear.read_exact(&mut name).await?;
            name
        }
        _ => return Ok(Inside::End),
    };
    let port = ear.read_u16().await?;
    let text = [&host[..], b":", port.to_string().as_bytes()].concat();
    let size = text.len() as u64;
    let command = Command { service: "socks".into(), verb: b"CONNECT".into(), text, size };
    connection.say(Said::Command(command)).await;
    ear.write_all(&[VERSION, SUCCEEDED, 0, IPV4, 0, 0, 0, 0, 0, 0]).await?;
    Ok(Inside::Pipe(Box::new(ear), port))
}
