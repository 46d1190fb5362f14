//! Packets of every interface of a network namespace, through a ring that the kernel fills
//! (AF_PACKET, `TPACKET_V3`: packet(7), net/packet/af_packet.c).
//!
//! The kernel hands whole blocks over; a block is read by its own words, each checked against its length,
//! and given back.
#![allow(unsafe_code)] // memory that the kernel writes, and options that nix does not know

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

/// `block_status` in `struct tpacket_block_desc`, behind version and offset; what else its header holds.
const STATUS: usize = 8;
const COUNT: usize = 12;
const FIRST: usize = 16;
const BLOCK_HEADER: usize = 48;
/// Offsets in `struct tpacket3_hdr`, and of the `sockaddr_ll` behind it.
const NEXT: usize = 0;
const SECONDS: usize = 4;
const NANOSECONDS: usize = 8;
const KEPT: usize = 12;
const LENGTH: usize = 16;
const FRAME: usize = 24;
const INTERFACE: usize = 48 + 4;

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'p> {
    /// Seconds and nanoseconds since 1970.
    pub time: (u32, u32),
    pub interface: u32,
    /// From the link's header on; as much as was kept.
    pub bytes: &'p [u8],
    /// How long it was on the wire.
    pub length: u32,
}

/// The reader's side of a ring.
#[derive(Debug)]
pub struct PacketRing {
    socket: OwnedFd,
    address: NonNull<u8>,
    block: usize,
    blocks: usize,
    next: usize,
}

impl PacketRing {
    /// Takes in all packets from now on. Needs `CAP_NET_RAW` over the network namespace. `block`: bytes, a
    /// multiple of the page; one that is not full is handed over after `patience` milliseconds.
    pub fn open(block: u32, blocks: u32, patience: u32) -> io::Result<PacketRing> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
        let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
        set(&socket, libc::PACKET_VERSION, &version)?;
        let frame = 2048; // only a unit of account in this version
        let request = libc::tpacket_req3 {
            tp_block_size: block,
            tp_block_nr: blocks,
            tp_frame_size: frame,
            tp_frame_nr: block / frame * blocks,
            tp_retire_blk_tov: patience,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set(&socket, libc::PACKET_RX_RING, &request)?;
        let (block, blocks) = (block as usize, blocks as usize);
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing of ours.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                block * blocks,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let address = NonNull::new(address.cast::<u8>()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(PacketRing { socket, address, block, blocks, next: 0 })
    }

    /// Hands every packet of the blocks that are ready to `sink`; once round at most.
    pub fn drain(&mut self, sink: &mut dyn FnMut(Packet<'_>)) {
        for _ in 0..self.blocks {
            if self.status().load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
                return;
            }
            // SAFETY: the block lies in the mapping, and is ours until its status says otherwise: the
            // kernel does not write to it meanwhile (prb_dispatch_next_block).
            let block = unsafe { std::slice::from_raw_parts(self.begin().as_ptr(), self.block) };
            packets(block, sink);
            self.status().store(libc::TP_STATUS_KERNEL, Ordering::Release);
            self.next = (self.next + 1) % self.blocks;
        }
    }

    /// Packets that came since the last question, and of them those that found no room.
    pub fn statistics(&self) -> io::Result<(u32, u32)> {
        let mut statistics = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
        let mut length = size_of_val(&statistics) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes into a live structure of that size.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut length,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((statistics.tp_packets, statistics.tp_drops))
    }

    fn begin(&self) -> NonNull<u8> {
        // SAFETY: `next` is below the number of blocks, so the block lies in the mapping.
        unsafe { self.address.add(self.next * self.block) }
    }

    fn status(&self) -> &AtomicU32 {
        // SAFETY: in the mapping, aligned (blocks are page-aligned), and accessed only atomically while
        // the kernel may write it.
        unsafe { self.begin().add(STATUS).cast::<AtomicU32>().as_ref() }
    }
}

impl AsFd for PacketRing {
    /// Readable when a block is ready.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for PacketRing {
    fn drop(&mut self) {
        // SAFETY: made by `open` with this length, and no reference outlives `self`.
        unsafe { libc::munmap(self.address.as_ptr().cast(), self.block * self.blocks) };
    }
}

fn set<T>(socket: &OwnedFd, option: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: the kernel reads as many bytes as the live value has.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn packets(block: &[u8], sink: &mut dyn FnMut(Packet<'_>)) {
    let (Some(count), Some(first)) = (u32_at(block, COUNT), u32_at(block, FIRST)) else { return };
    let mut at = first as usize;
    for _ in 0..count {
        let Some(record) = block.get(at..).filter(|_| at >= BLOCK_HEADER) else { return };
        let Some(packet) = packet(record) else { return };
        sink(packet);
        match u32_at(record, NEXT) {
            Some(next) if next > 0 => at += next as usize,
            _ => return,
        }
    }
}

fn packet(record: &[u8]) -> Option<Packet<'_>> {
    let frame = usize::from(u16::from_ne_bytes(*record.get(FRAME..)?.first_chunk()?));
    let kept = u32_at(record, KEPT)? as usize;
    Some(Packet {
        time: (u32_at(record, SECONDS)?, u32_at(record, NANOSECONDS)?),
        interface: u32_at(record, INTERFACE)?,
        bytes: record.get(frame..)?.get(..kept)?,
        length: u32_at(record, LENGTH)?,
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_lies_about_itself_is_read_no_further_than_it_goes() {
        let mut block = vec![0; 256];
        let mut put = |at: usize, value: u32| block[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        put(COUNT, 2);
        put(FIRST, 48);
        for (at, next) in [(48, 96), (144, 0)] {
            put(at + NEXT, next);
            put(at + KEPT, 4);
            put(at + FRAME, 80);
            put(at + INTERFACE, 7);
        }
        let check = |block: &[u8], expected: usize| {
            let mut seen = 0;
            packets(block, &mut |packet| {
                seen += 1;
                assert_eq!((packet.interface, packet.bytes.len()), (7, 4));
            });
            assert_eq!(seen, expected);
        };
        check(&block, 2);
        check(&block[..200], 1);
        check(&block[..100], 0);
        let with = |at: usize, value: u32| {
            let mut block = block.clone();
            block[at..at + 4].copy_from_slice(&value.to_ne_bytes());
            block
        };
        check(&with(COUNT, u32::MAX), 2);
        check(&with(48 + NEXT, u32::MAX), 1);
        check(&with(48 + KEPT, u32::MAX), 0);
        check(&with(FIRST, 8), 0);
    }
}
