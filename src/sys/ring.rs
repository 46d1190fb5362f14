//! A BPF ring buffer as shared memory: positions, and the records between them.
//!
//! The data is mapped once, not twice in a row as usual: a record that wraps is put together in a
//! buffer. Every page of a mapping counts as resident, so this halves the memory of a large ring.
//! Reading goes up to a position that the caller took before, so that a flood cannot keep it busy.
//!
//! Layout: kernel/bpf/ringbuf.c (consumer page, producer page, data; 8-byte record heads).
#![allow(unsafe_code)] // memory that the kernel writes

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
const HEAD: u64 = 8;

/// The reader's side of one ring. There must be only one per ring.
pub struct Ring {
    fd: OwnedFd,
    consumer: Mapping,
    /// The producer's page, then the data.
    producer: Mapping,
    page: usize,
    size: u64,
    wrapped: Vec<u8>,
}

/// Whether reading reached the position it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    End,
    /// A record before it was still being written.
    Busy,
}

impl Ring {
    /// Maps the ring buffer `fd`, whose data area has `size` bytes (a power of two).
    pub fn map(fd: BorrowedFd<'_>, size: u32) -> io::Result<Ring> {
        let page = page_size();
        let length = page + size as usize;
        Ok(Ring {
            consumer: Mapping::new(fd, page, 0, libc::PROT_READ | libc::PROT_WRITE)?,
            producer: Mapping::new(fd, length, page, libc::PROT_READ)?,
            fd: fd.try_clone_to_owned()?,
            page,
            size: u64::from(size),
            wrapped: Vec::new(),
        })
    }

    /// Size of the data area in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Up to where records are reserved, in bytes since the beginning.
    pub fn reserved(&self) -> u64 {
        self.producer.position().load(Ordering::Acquire)
    }

    /// Up to where records were read.
    pub fn read(&self) -> u64 {
        self.consumer.position().load(Ordering::Acquire)
    }

    /// Hands every record before `end` to `sink`, once, and gives its room back.
    pub fn drain(&mut self, end: u64, sink: &mut dyn FnMut(&[u8])) -> Reached {
        let mut at = self.read();
        while at < end {
            let head = self.head(at).load(Ordering::Acquire);
            if head & BUSY != 0 {
                return Reached::Busy;
            }
            let length = u64::from(head & !DISCARDED);
            if head & DISCARDED == 0 {
                self.hand_over(at + HEAD, length, sink);
            }
            at += (HEAD + length).next_multiple_of(8);
            self.consumer.position().store(at, Ordering::Release);
        }
        Reached::End
    }

    fn head(&self, at: u64) -> &AtomicU32 {
        let offset = self.page + (at & (self.size - 1)) as usize;
        // SAFETY: positions are multiples of 8 below the size, so the four bytes lie in the mapping
        // and are aligned; the kernel writes them atomically.
        unsafe { self.producer.address.add(offset).cast::<AtomicU32>().as_ref() }
    }

    fn hand_over(&mut self, at: u64, length: u64, sink: &mut dyn FnMut(&[u8])) {
        let begin = at & (self.size - 1);
        let length = length.min(self.size);
        let first = length.min(self.size - begin);
        if first == length {
            return sink(self.bytes(begin, length));
        }
        let mut wrapped = std::mem::take(&mut self.wrapped);
        wrapped.clear();
        wrapped.extend_from_slice(self.bytes(begin, first));
        wrapped.extend_from_slice(self.bytes(0, length - first));
        sink(&wrapped);
        self.wrapped = wrapped;
    }

    fn bytes(&self, begin: u64, length: u64) -> &[u8] {
        let offset = self.page + begin as usize;
        // SAFETY: `begin + length` is at most the size, so the range lies in the mapping. The record
        // is committed (its busy bit is clear) and not yet given back, so the kernel does not write
        // to it while the slice lives.
        unsafe { std::slice::from_raw_parts(self.producer.address.add(offset).as_ptr(), length as usize) }
    }
}

impl AsFd for Ring {
    /// Becomes readable when the probes ask for a drain.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

struct Mapping {
    address: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping is owned and shared only with the kernel; access goes through atomics or
// through `&mut Ring`.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, length: usize, offset: usize, access: i32) -> io::Result<Mapping> {
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing of ours.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                access,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                offset as libc::off_t,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let address = NonNull::new(address.cast::<u8>()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Mapping { address, length })
    }

    /// The position that stands at the beginning of both pages.
    fn position(&self) -> &AtomicU64 {
        // SAFETY: the mapping is page-aligned and at least a page long; the kernel and we access the
        // position only atomically. (The producer's page is mapped for reading and only loaded.)
        unsafe { self.address.cast::<AtomicU64>().as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `new` with this length, and no reference outlives `self`.
        unsafe { libc::munmap(self.address.as_ptr().cast(), self.length) };
    }
}

fn page_size() -> usize {
    // SAFETY: sysconf has no preconditions.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}
