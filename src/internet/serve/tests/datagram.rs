//! Datagrams, without the sockets that only a network namespace of one's own has.

use std::net::SocketAddr;
use std::rc::Rc;

use super::super::super::tell;
use super::super::super::testimony::{Said, Stream};
use super::super::super::tls::authority::Authority;
use super::super::Rehearsal;
use super::super::udp::FLOWS_MAX;
use super::stage::{frames, world};

fn client(number: u16) -> SocketAddr {
    SocketAddr::from(([172, 17, (number >> 8) as u8, number as u8], 40_000))
}

fn server(port: u16) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 7], port))
}

fn rehearse<F: Future<Output = ()>>(act: impl FnOnce(Rehearsal) -> F) -> Vec<Said> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let written = tokio::task::LocalSet::new().block_on(&runtime, async {
        let (tell, scribe) = tell::channel();
        let authority = Authority::generate(world().now).unwrap();
        let scribe = tokio::task::spawn_local(async {
            let mut written = Vec::new();
            scribe.write(&mut written).await.unwrap();
            written
        });
        act(Rehearsal::new(Rc::new(world()), authority, tell)).await;
        scribe.await.unwrap()
    });
    frames(&written)
}

fn raw(first: &[u8], sent: u64, datagrams: u64) -> Said {
    Said::Stream(Stream { service: "raw".into(), first: first.to_vec(), sent, received: 0, datagrams })
}

#[test]
fn an_unknown_datagram_gets_no_answer_and_its_flow_is_told_once() {
    let said = rehearse(|world| async move {
        for part in [&b"one"[..], b"two", b"three"] {
            assert_eq!(world.datagram(client(1), server(9999), part).await, None);
        }
        world.flush().await;
        // Nothing was sent since.
        world.flush().await;
        world.datagram(client(1), server(9999), b"four").await;
        world.flush().await;
    });
    assert_eq!(said, [raw(b"onetwothree", 11, 3), raw(b"onetwothreefour", 15, 4)]);
}

#[test]
fn a_flood_of_flows_is_told_to_the_last_and_bounded() {
    const FLOOD: u16 = 3 * FLOWS_MAX as u16;
    let said = rehearse(|world| async move {
        for number in 0..FLOOD {
            world.datagram(client(number), server(1), b"x").await;
        }
        world.flush().await;
    });
    assert_eq!(said, vec![raw(b"x", 1, 1); FLOOD.into()]);
}

#[test]
fn what_is_no_question_at_the_port_of_a_name_server_is_kept() {
    let said = rehearse(|world| async move {
        world.datagram(client(1), server(53), b"not a question").await;
        world.datagram(client(1), server(53), b"x").await;
        world.flush().await;
    });
    let [Said::Dns(first), Said::Dns(second), Said::Stream(stream)] = &said[..] else { panic!("{said:?}") };
    assert_eq!((&first.question, &second.question), (&None, &None));
    assert_eq!(&stream.first[..], b"not a questionx");
}
