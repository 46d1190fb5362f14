//! `capture.pcapng`: every packet of the wire, up to a bound.
//!
//! A second look for people with other tools; nothing of a verdict hangs on it. Format: pcapng
//! (draft-ietf-opsawg-pcapng), one section, one interface, times in nanoseconds; in front of the packets
//! of a TLS session the secrets with which Wireshark reads them.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::io::unix::AsyncFd;

use super::tls::Secrets;
use crate::sys::packet::{Packet, PacketRing};
use crate::sys::ready;

/// A packet that the kernel joined from segments has up to 64 KiB and its headers: it must fit in a block.
const BLOCK: u32 = 256 << 10;
const BLOCKS: u32 = 32;
/// How long a packet may lie in a block that is not full, in milliseconds.
const PATIENCE: u32 = 8;
/// Of one packet, so much is kept.
const PACKET_MAX: u32 = 128 << 10;
/// The loopback's number in every namespace.
const LO: u32 = 1;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;
const SECRETS: u32 = 10;
/// The kind of secrets: lines as NSS logs them ("TLSK").
const TLS_KEY_LOG: u32 = 0x544c_534b;
const ETHERNET: u16 = 1;

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    pub packets: u64,
    /// Of the file.
    pub bytes: u64,
    /// The bound was reached: what came later is not in it.
    pub truncated: bool,
    /// Packets that went by too fast.
    pub dropped: u64,
}

/// Packets on their way from the kernel into the file.
pub struct Capture {
    ring: Option<(AsyncFd<OwnedFd>, PacketRing)>,
    file: PcapNg<File>,
    captured: Captured,
    secrets: Arc<Secrets>,
}

/// Begins to take in packets: before the process gives up the right to.
pub fn open() -> io::Result<PacketRing> {
    PacketRing::open(BLOCK, BLOCKS, PATIENCE)
}

impl Capture {
    /// Writes what `ring` takes in to `file`, of which `max` bytes may be used, and `secrets` before it.
    /// Inside a runtime.
    pub fn new(ring: PacketRing, file: File, max: u64, secrets: Arc<Secrets>) -> io::Result<Capture> {
        let file = PcapNg::begin(file, max)?;
        let ready = ready::readable(ring.as_fd())?;
        Ok(Capture { ring: Some((ready, ring)), file, captured: Captured::default(), secrets })
    }

    /// Goes on until the bound is reached; then for ever, doing nothing.
    pub async fn run(&mut self) -> io::Result<()> {
        while let Some((ready, _)) = &self.ring {
            // Cleared before the ring is read: what comes meanwhile makes it ready again.
            ready.readable().await?.clear_ready();
            self.drain()?;
        }
        std::future::pending().await
    }

    /// Reads what is ready, and ends the file.
    pub fn finish(&mut self) -> io::Result<Captured> {
        self.drain()?;
        self.captured.dropped += self.count_dropped();
        self.file.end(&self.captured)?;
        self.captured.bytes = self.file.written;
        Ok(self.captured)
    }

    fn drain(&mut self) -> io::Result<()> {
        let Some((_, ring)) = &mut self.ring else { return Ok(()) };
        let (file, captured) = (&mut self.file, &mut self.captured);
        // A reader wants them before the packets: a session's are there before its first sealed packet, or
        // at the latest before the kernel hands that packet over.
        file.secrets(&self.secrets.take());
        let mut result = Ok(());
        ring.drain(&mut |packet| {
            if packet.interface == LO || captured.truncated || result.is_err() {
                return;
            }
            match file.packet(&packet) {
                Ok(true) => captured.packets += 1,
                Ok(false) => captured.truncated = true,
                Err(error) => result = Err(error),
            }
        });
        file.flush()?;
        if self.captured.truncated {
            self.captured.dropped += self.count_dropped();
            // What nobody wants costs nothing.
            self.ring = None;
        }
        result
    }

    fn count_dropped(&self) -> u64 {
        let statistics = self.ring.as_ref().and_then(|(_, ring)| ring.statistics().ok());
        statistics.map_or(0, |(_, dropped)| u64::from(dropped))
    }
}

/// A file in the making, never longer than its bound.
struct PcapNg<W> {
    to: W,
    buffer: Vec<u8>,
    written: u64,
    max: u64,
}

/// What the end of a file takes.
const END: u64 = 64;
/// So much is gathered for one write.
const GATHERED: usize = 256 << 10;

impl<W: Write> PcapNg<W> {
    fn begin(to: W, max: u64) -> io::Result<PcapNg<W>> {
        let mut file = PcapNg { to, buffer: Vec::new(), written: 0, max };
        // Byte order, version 1.0, length unknown.
        let mut section = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
        section.extend([1, 0, 0, 0]);
        section.extend(u64::MAX.to_le_bytes());
        file.block(SECTION, &section);
        let mut interface = ETHERNET.to_le_bytes().to_vec();
        interface.extend([0, 0]);
        interface.extend(PACKET_MAX.to_le_bytes());
        option(&mut interface, 2, b"eth0");
        option(&mut interface, 9, &[9]);
        option(&mut interface, 0, &[]);
        file.block(INTERFACE, &interface);
        file.flush()?;
        Ok(file)
    }

    /// False where the bound does not allow for it.
    fn packet(&mut self, packet: &Packet<'_>) -> io::Result<bool> {
        let kept = packet.bytes.len().min(PACKET_MAX as usize);
        let size = (32 + kept.next_multiple_of(4)) as u64;
        if self.written + self.buffer.len() as u64 + size + END > self.max {
            return Ok(false);
        }
        let time = u64::from(packet.time.0) * 1_000_000_000 + u64::from(packet.time.1);
        let mut head = [0; 20];
        head[4..8].copy_from_slice(&((time >> 32) as u32).to_le_bytes());
        head[8..12].copy_from_slice(&(time as u32).to_le_bytes());
        head[12..16].copy_from_slice(&(kept as u32).to_le_bytes());
        head[16..].copy_from_slice(&packet.length.to_le_bytes());
        self.pieces(PACKET, &[&head, &packet.bytes[..kept]]);
        if self.buffer.len() >= GATHERED {
            self.flush()?;
        }
        Ok(true)
    }

    /// Lines of a key log, where the bound allows for them.
    fn secrets(&mut self, lines: &[u8]) {
        let size = (20 + lines.len().next_multiple_of(4)) as u64;
        if !lines.is_empty() && self.written + self.buffer.len() as u64 + size + END <= self.max {
            let head = [TLS_KEY_LOG, lines.len() as u32].map(u32::to_le_bytes).concat();
            self.pieces(SECRETS, &[&head, lines]);
        }
    }

    fn end(&mut self, captured: &Captured) -> io::Result<()> {
        let mut statistics = vec![0; 12];
        option(&mut statistics, 4, &(captured.packets + captured.dropped).to_le_bytes());
        option(&mut statistics, 5, &captured.dropped.to_le_bytes());
        option(&mut statistics, 0, &[]);
        self.block(STATISTICS, &statistics);
        self.flush()
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        self.pieces(kind, &[body]);
    }

    /// One block: kind, length, body padded to four bytes, length again.
    fn pieces(&mut self, kind: u32, pieces: &[&[u8]]) {
        let body: usize = pieces.iter().map(|piece| piece.len()).sum();
        let length = (12 + body.next_multiple_of(4)) as u32;
        self.buffer.extend(kind.to_le_bytes());
        self.buffer.extend(length.to_le_bytes());
        for piece in pieces {
            self.buffer.extend_from_slice(piece);
        }
        self.buffer.resize(self.buffer.len() + body.next_multiple_of(4) - body, 0);
        self.buffer.extend(length.to_le_bytes());
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.write_all(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

fn option(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
    to.extend(kind.to_le_bytes());
    to.extend((value.len() as u16).to_le_bytes());
    to.extend(value);
    to.resize(to.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(bytes: &[u8]) -> Packet<'_> {
        Packet { time: (7, 9), interface: 2, bytes, length: bytes.len() as u32 }
    }

    /// Kinds and bodies; every length stands twice and fits.
    fn blocks(mut file: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let word = |bytes: &[u8]| u32::from_le_bytes(*bytes.first_chunk().unwrap());
        let mut blocks = Vec::new();
        while !file.is_empty() {
            let length = word(&file[4..]) as usize;
            assert_eq!((length % 4, word(&file[length - 4..])), (0, length as u32));
            blocks.push((word(file), file[8..length - 4].to_vec()));
            file = &file[length..];
        }
        blocks
    }

    #[test]
    fn the_file_has_a_section_an_interface_its_packets_and_their_count() {
        let mut file = PcapNg::begin(Vec::new(), 1 << 20).unwrap();
        assert!(file.packet(&packet(b"hello")).unwrap());
        file.end(&Captured { packets: 1, dropped: 2, ..Captured::default() }).unwrap();
        assert_eq!(file.written, file.to.len() as u64);
        let blocks = blocks(&file.to);
        let kinds: Vec<_> = blocks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [SECTION, INTERFACE, PACKET, STATISTICS]);
        let time = 7_000_000_009_u64;
        let head: Vec<u8> =
            [0, (time >> 32) as u32, time as u32, 5, 5].iter().flat_map(|it| it.to_le_bytes()).collect();
        assert_eq!(blocks[2].1, [&head[..], b"hello\0\0\0"].concat());
    }

    #[test]
    fn secrets_stand_in_a_block_of_their_own_within_the_bound() {
        let mut file = PcapNg::begin(Vec::new(), 1000).unwrap();
        file.secrets(b"");
        file.secrets(b"CLIENT_RANDOM 1 2\n");
        file.secrets(&[b'x'; 1000]);
        file.end(&Captured::default()).unwrap();
        let blocks = blocks(&file.to);
        let kinds: Vec<_> = blocks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [SECTION, INTERFACE, SECRETS, STATISTICS]);
        let expected = [b"KSLT", &18_u32.to_le_bytes()[..], b"CLIENT_RANDOM 1 2\n\0\0"].concat();
        assert_eq!(blocks[2].1, expected);
    }

    #[test]
    fn the_bound_holds_with_the_end_of_the_file() {
        let mut file = PcapNg::begin(Vec::new(), 1000).unwrap();
        let mut taken = 0;
        while file.packet(&packet(&[1; 61])).unwrap() {
            taken += 1;
        }
        file.end(&Captured::default()).unwrap();
        assert!(file.to.len() <= 1000 && taken > 5, "{} {taken}", file.to.len());
        assert_eq!(blocks(&file.to).len(), 3 + taken);
    }
}
