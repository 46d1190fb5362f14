use super::message::{Message, NEW, answers};

#[test]
fn messages_have_the_lengths_and_padding_of_the_protocol() {
    let message = Message::new(0x1234, NEW, &[9, 9, 9, 9])
        .text(3, "ab")
        .nest(5, |inner| inner.number(1, 7).network(2, 7))
        .finish(42);
    let expected: &[&[u8]] = &[
        &48u32.to_ne_bytes(),
        &0x1234u16.to_ne_bytes(),
        &0x605u16.to_ne_bytes(),
        &42u32.to_ne_bytes(),
        &[0; 4],
        &[9; 4],
        &7u16.to_ne_bytes(),
        &3u16.to_ne_bytes(),
        b"ab\0\0",
        &20u16.to_ne_bytes(),
        &0x8005u16.to_ne_bytes(),
        &8u16.to_ne_bytes(),
        &1u16.to_ne_bytes(),
        &7u32.to_ne_bytes(),
        &8u16.to_ne_bytes(),
        &2u16.to_ne_bytes(),
        &7u32.to_be_bytes(),
    ];
    assert_eq!(message, expected.concat());
}

#[test]
fn answers_are_read_to_their_end_and_no_further() {
    let answer = |number: u32, error: i32| {
        let mut message = Message::unanswered(2, &(-error).to_ne_bytes()).finish(number);
        message[6..8].copy_from_slice(&[0, 0]);
        message
    };
    let both = [answer(3, 0), answer(4, 17)].concat();
    assert_eq!(answers(&both), [(3, 0), (4, 17)]);
    assert_eq!(answers(&both[..both.len() - 1]), [(3, 0)]);
    assert_eq!(answers(&[1, 0, 0, 0, 9, 9]), []);
    assert_eq!(answers(&[0; 64]), []);
}
