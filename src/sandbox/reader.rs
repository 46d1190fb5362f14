//! The readers of foreign bytes that have no other way in, for the fuzzer alone.
//!
//! Each takes any bytes and panics where a promise of its reader is broken. In a run they are called
//! inside the cage ([`super::program`], [`super::user`]) or with what came out of it
//! ([`super::message`]).

use std::io::Cursor;

use super::message::{MESSAGE_MAX, Message};
use super::order::Order;
use super::program;
use super::state::RANGE;
use super::user::User;

/// What helper and init say to the runner: whatever is read can be said again, within the bound.
pub fn message(bytes: &[u8]) {
    let message = Message::decode(bytes);
    let again = message.encode();
    assert!(again.len() <= MESSAGE_MAX, "{message:?}");
    // Bytes that are no text become signs that take three bytes each, and may be cut when they are sent.
    assert_eq!(Message::decode(&again) == Message::Unreadable, message == Message::Unreadable);
}

/// What the runner tells the helper: the same order, or none.
pub fn order(bytes: &[u8]) {
    if let Some(order) = Order::decode(bytes) {
        // Compared as bytes, because a limit may be no number (NaN).
        let again = order.encode();
        assert_eq!(Order::decode(&again).map(|order| order.encode()), Some(again));
    }
}

/// The user that `text` means in an image with these files: ids that the cage maps, an absolute home.
pub fn user(text: &str, passwd: &[u8], group: &[u8]) {
    match User::find(text, passwd, group) {
        Ok(User { uid, gid, groups, home }) => {
            assert!(uid < RANGE && gid < RANGE && groups.iter().all(|group| *group < RANGE));
            assert!(groups.first() == Some(&gid) && groups.len() <= 1025, "{groups:?}");
            assert!(home.starts_with(b"/"));
        }
        Err(part) => assert!(text.contains(&part), "{part:?}"),
    }
}

/// The head of a program: an interpreter to look for, none, or a refusal.
pub fn program(bytes: &[u8]) {
    if let Ok(Some(path)) = program::interpreter(&mut Cursor::new(bytes)) {
        assert!(path.is_absolute(), "{path:?}");
    }
}
