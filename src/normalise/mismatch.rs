//! What a program passed, held against what the kernel took.
//!
//! The kernel reads an argument once; another thread may rewrite it before and after. For an open, the
//! string that stands there when the call has returned is walked again ([`super::resolve`]) and must end in
//! the path of the kernel's own file. Where the walk itself is not sure, nothing is said: a difference is a
//! fact about the program, not about the walk.
//!
//! Of a call on names the kernel keeps nothing to compare with: there the name when the call began stands
//! against the one when it had returned.

use super::{Normaliser, Provenance, net};
use crate::event::{Bytes, Endpoint, KernelAct, Mismatch};
use crate::record::{Addressed, KernelFile, PathArgument};

use super::resolve::Last;

// include/uapi/asm-generic/fcntl.h; O_NOFOLLOW is that of x86-64.
const O_CREAT: u32 = 0o100;
const O_EXCL: u32 = 0o200;
const O_NOFOLLOW: u32 = 0o400_000;
const O_TMPFILE: u32 = 0o20_000_000;
// include/uapi/linux/magic.h
const PROC: u64 = 0x9fa0;
const SYSFS: u64 = 0x6265_6572;

impl<P: Provenance> Normaliser<P> {
    /// What the string of an open led to, where that is not the file that was opened.
    pub(super) fn other_file(
        &mut self,
        passed: &PathArgument,
        file: &KernelFile,
        flags: u32,
        pid: u32,
    ) -> Option<KernelAct> {
        // A file without a name of its own is not reached by a walk over names.
        let is_nameless = !file.path.starts_with(b"/") || flags & O_TMPFILE != 0 || file.unlinked;
        if is_nameless || self.names.is_in_doubt() {
            return None;
        }
        let keeps = flags & O_NOFOLLOW != 0 || flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL;
        let last = if keeps { Last::Keep } else { Last::Follow };
        let resolved = self.names.resolve(passed, last, pid, &mut self.provenance);
        // `self` and every number of a process are names of the reader's own in /proc; the links in /sys are the
        // kernel's, and nobody was asked where they lead.
        let below = |root: &[u8]| resolved.path.starts_with(root) && file.path.starts_with(root);
        let is_kernels = file.magic == PROC && resolved.path.starts_with(b"/proc/")
            || file.magic == SYSFS && below(b"/sys/");
        if !resolved.sure || resolved.path == file.path || is_kernels {
            return None;
        }
        let taken = Bytes::from(file.path.as_slice());
        Some(KernelAct::Mismatch(Mismatch {
            call: text("open"),
            passed: resolved.path.into(),
            taken,
            verified: true,
        }))
    }
}

/// The same of an address, which the probes compared already.
pub(super) fn other_address(call: Addressed, passed: &[u8], actual: &[u8]) -> KernelAct {
    let call = match call {
        Addressed::Connect => "connect",
        Addressed::Bind => "bind",
        Addressed::Send => "send",
    };
    let (passed, taken) = (address(passed), address(actual));
    KernelAct::Mismatch(Mismatch { call: text(call), passed, taken, verified: true })
}

/// The same of a name, of which the kernel keeps nothing.
pub(super) fn other_name(call: Bytes, before: Vec<u8>, after: Vec<u8>) -> KernelAct {
    KernelAct::Mismatch(Mismatch { call, passed: before.into(), taken: after.into(), verified: false })
}

fn text(text: &str) -> Bytes {
    Bytes::from(text.as_bytes())
}

fn address(sockaddr: &[u8]) -> Bytes {
    match net::endpoint(sockaddr) {
        Some(Endpoint::Inet(address)) => text(&address.to_string()),
        Some(Endpoint::Unix(path)) => path,
        Some(Endpoint::Other) | None => text("another family"),
    }
}
