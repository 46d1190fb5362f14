//! SOCKS 4, 4a and 5 (RFC 1928, RFC 1929), as far as a client needs it to be led on: every log-in and every
//! connection succeeds, and what is inside is a connection like any other.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::testimony::{Command, Said};
use super::connection::{Connection, Inside};
use super::pipe::{Ear, Pipe};

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const SUCCEEDED: u8 = 0;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// What a client of version 4 is told: granted; it has no use for port and address.
const GRANTED: [u8; 8] = [0, 90, 0, 0, 0, 0, 0, 0];

/// `greeting` is whole: version and methods; or of version 4 its first part.
pub async fn serve(connection: &Connection, greeting: Vec<u8>, pipe: Pipe) -> io::Result<Inside> {
    connection.named("socks");
    let is_fourth = greeting.first() == Some(&4);
    let ear = connection.ear(greeting, pipe).await;
    if is_fourth { fourth(connection, ear).await } else { fifth(connection, ear).await }
}

async fn fourth(connection: &Connection, mut ear: Ear) -> io::Result<Inside> {
    ear.read_u16().await?;
    let (port, address) = (ear.read_u16().await?, ear.read_u32().await?);
    let user = word(&mut ear).await?;
    if !user.is_empty() {
        say(connection, b"LOGIN", user).await;
    }
    // 0.0.0.x: a name follows (4a).
    let host = match address {
        1..=255 => word(&mut ear).await?,
        _ => std::net::Ipv4Addr::from(address).to_string().into_bytes(),
    };
    say(connection, b"CONNECT", [&host[..], b":", port.to_string().as_bytes()].concat()).await;
    ear.write_all(&GRANTED).await?;
    Ok(Inside::Pipe(Box::new(ear), port))
}

/// Up to a zero byte, within bounds.
async fn word(ear: &mut Ear) -> io::Result<Vec<u8>> {
    let mut word = Vec::new();
    loop {
        match ear.read_u8().await? {
            0 => return Ok(word),
            byte if word.len() < 255 => word.push(byte),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

async fn say(connection: &Connection, verb: &[u8], text: Vec<u8>) {
    let size = text.len() as u64;
    connection.say(Said::Command(Command { service: "socks".into(), verb: verb.into(), text, size })).await;
}

/// RFC 1929: both with a length in front.
async fn log_in(connection: &Connection, ear: &mut Ear) -> io::Result<()> {
    ear.write_all(&[VERSION, PASSWORD]).await?;
    ear.read_u8().await?;
    let mut user = vec![0; ear.read_u8().await?.into()];
    ear.read_exact(&mut user).await?;
    let mut password = vec![0; ear.read_u8().await?.into()];
    ear.read_exact(&mut password).await?;
    say(connection, b"LOGIN", [&user[..], b" ", &password].concat()).await;
    ear.write_all(&[1, 0]).await
}

async fn fifth(connection: &Connection, mut ear: Ear) -> io::Result<Inside> {
    // What stands in front was read already.
    let mut greeting = [0; 2];
    ear.read_exact(&mut greeting).await?;
    let mut methods = vec![0; greeting[1].into()];
    ear.read_exact(&mut methods).await?;
    // Who has a password shall show it.
    match methods.contains(&PASSWORD) {
        true => log_in(connection, &mut ear).await?,
        false => ear.write_all(&[VERSION, NO_LOGIN]).await?,
    }
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
    say(connection, b"CONNECT", [&host[..], b":", port.to_string().as_bytes()].concat()).await;
    ear.write_all(&[VERSION, SUCCEEDED, 0, IPV4, 0, 0, 0, 0, 0, 0]).await?;
    Ok(Inside::Pipe(Box::new(ear), port))
}
