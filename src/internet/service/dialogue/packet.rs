//! Packets with a length in front, bounded.

/// Of a packet, so many bytes are kept; the rest is counted.
const PACKET_MAX: usize = 16 << 10;

/// The packet that is not complete yet.
#[derive(Default)]
pub struct Packets {
    head: Vec<u8>,
    /// Bytes of the body that are to come, once the head is complete.
    left: Option<u64>,
    body: Vec<u8>,
    size: u64,
}

/// A complete packet: its head, the first part of its body, bytes of the whole.
pub struct Packet {
    pub head: Vec<u8>,
    pub body: Vec<u8>,
    pub size: u64,
}

impl Packets {
    /// Takes what came up to the end of a packet. `measure` says how long the body is, once the head is
    /// long enough to tell.
    pub fn next(&mut self, bytes: &mut &[u8], measure: impl Fn(&[u8]) -> Option<u64>) -> Option<Packet> {
        while self.left.is_none() {
            let (byte, rest) = bytes.split_first()?;
            *bytes = rest;
            self.head.push(*byte);
            self.size += 1;
            self.left = measure(&self.head);
        }
        let left = self.left.expect("the head is complete");
        let (piece, rest) = bytes.split_at((bytes.len() as u64).min(left) as usize);
        *bytes = rest;
        let room = PACKET_MAX - self.body.len();
        self.body.extend(&piece[..piece.len().min(room)]);
        self.size += piece.len() as u64;
        self.left = Some(left - piece.len() as u64);
        (self.left == Some(0)).then(|| {
            let Packets { head, body, size, .. } = std::mem::take(self);
            Packet { head, body, size }
        })
    }
}

/// The text before the next zero byte, and what follows it.
pub fn text(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_the_same_however_they_are_cut() {
        let measure = |head: &[u8]| Some(u64::from(*head.first()?));
        let bytes = [2, b'a', b'b', 0, 1, b'c'];
        for cut in 0..bytes.len() {
            let mut packets = Packets::default();
            let mut found = Vec::new();
            for mut piece in [&bytes[..cut], &bytes[cut..]] {
                while let Some(packet) = packets.next(&mut piece, measure) {
                    found.push(packet.body);
                }
            }
            assert_eq!(found, [&b"ab"[..], b"", b"c"], "cut at {cut}");
        }
    }
}
