//! Whole messages, with descriptors, over a SEQPACKET socket.
//!
//! Every length is bounded: a message longer than the caller's bound, or with more descriptors than fit,
//! is an error, never a cut message.
#![allow(unsafe_code)] // A received descriptor is a bare number until somebody owns it.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg,
    socketpair,
};

/// At most this many descriptors travel with one message.
pub const DESCRIPTORS_MAX: usize = 4;

/// Two connected ends, both closed on exec.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// Sends one message. A closed peer is an error, not a signal.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    let sent = retry(|| {
        sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None)
    })?;
    if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Takes one message of at most `bound` bytes; `None` when the peer has closed. With `MSG_DONTWAIT` in
/// `flags` an empty queue is `WouldBlock`.
pub fn receive(
    socket: BorrowedFd<'_>,
    bound: usize,
    flags: MsgFlags,
) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; bound];
    let mut control = nix::cmsg_space!([RawFd; DESCRIPTORS_MAX]);
    let (length, descriptors, cut) = retry(|| {
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags)?;
        let mut descriptors = Vec::new();
        for entry in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(numbers) = entry {
                // SAFETY: the kernel has just put these descriptors into our table for this message, and
                // nothing else knows their numbers.
                descriptors.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
            }
        }
        let cut = message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC);
        Ok((message.bytes, descriptors, cut))
    })?;
    if cut {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message longer than its bound"));
    }
    if length == 0 {
        return Ok(None);
    }
    bytes.truncate(length);
    Ok(Some((bytes, descriptors)))
}

fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return Ok(result?),
        }
    }
}
