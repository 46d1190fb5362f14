//! The first bytes of a TLS client.

use lazaret::internet::tls::hello::{self, Reading};
use lazaret::internet::tls::ja4;

pub fn check(bytes: &[u8]) {
    match hello::read(bytes) {
        Reading::Hello(hello) => {
            let print = ja4(&hello);
            assert!(print.len() == 36 && print.is_ascii(), "{print}");
            let more = [bytes, &[0xff; 9]].concat();
            assert_eq!(hello::read(&more), Reading::Hello(hello), "what follows changes nothing");
        }
        // What is none, none can become.
        Reading::Other => assert_eq!(hello::read(&[bytes, &[0; 9]].concat()), Reading::Other),
        Reading::More => assert!(bytes.len() < 6 * hello::HELLO_MAX),
    }
}
