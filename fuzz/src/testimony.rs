//! What the internet process tells the runner.

use lazaret::internet::testimony::{FRAME_MAX, Testimony};

pub fn check(bytes: &[u8]) {
    let Some(testimony) = Testimony::decode(bytes) else { return };
    // Numbers may be written longer than they need be, so that the bytes can differ.
    let frame = testimony.encode().expect("what fits a frame fits it again");
    assert!(frame.len() <= 4 + bytes.len() && frame.len() <= 4 + FRAME_MAX);
    assert_eq!(Testimony::decode(&frame[4..]), Some(testimony));
}
