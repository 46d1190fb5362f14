//! The few uses of bpf(2) that the loader's library has no words for: a map whose key is a
//! descriptor, programs of one instruction that only ask whether their kind is allowed, and one that runs when it
//! is told to.
//!
//! Not here: which maps and programs. See [`crate::trace`].
#![allow(unsafe_code)] // bpf(2) takes a union by address

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const BPF_MAP_UPDATE_ELEM: libc::c_int = 2;
const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_TEST_RUN: libc::c_int = 10;

/// `union bpf_attr`, as BPF_MAP_UPDATE_ELEM reads it.
#[repr(C)]
struct UpdateElement {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// `union bpf_attr`, as BPF_PROG_LOAD reads it, up to `attach_btf_id`.
#[repr(C)]
#[derive(Default)]
struct LoadProgram {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    expected_attach: u32,
    btf_fd: u32,
    func_info_size: u32,
    func_info: u64,
    func_info_count: u32,
    line_info_size: u32,
    line_info: u64,
    line_info_count: u32,
    attach_btf_id: u32,
    attach_btf_fd: u32,
    core_relocation_count: u32,
}

/// `union bpf_attr`, as BPF_PROG_TEST_RUN reads it, up to `data_out`.
#[repr(C)]
struct TestRun {
    program: u32,
    returned: u32,
    size_in: u32,
    size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
}

/// What kind of program: `BPF_PROG_TYPE_*`, `BPF_*` attach type, and the BTF id it attaches to (or 0).
#[derive(Clone, Copy, Debug, Default)]
pub struct ProgramKind {
    pub program: u32,
    pub attach: u32,
    pub btf_id: u32,
}

/// Sets one element of a map whose key is a descriptor or index and whose value has any size.
///
/// Task storage takes a pidfd as its key, a cgroup array a cgroup's descriptor as its value.
pub fn update(map: BorrowedFd<'_>, key: u32, value: &[u8]) -> io::Result<()> {
    let attributes = UpdateElement {
        map_fd: map.as_raw_fd() as u32,
        pad: 0,
        key: (&raw const key) as u64,
        value: value.as_ptr() as u64,
        flags: 0,
    };
    // SAFETY: key and value outlive the call; the kernel reads as many bytes of them as the map was
    // made for, which the caller's types fix (a shorter value would fault, not write).
    unsafe { bpf(BPF_MAP_UPDATE_ELEM, &attributes) }.map(drop)
}

/// Runs a program that looks at packets once, with a packet of nothing.
pub fn run(program: BorrowedFd<'_>) -> io::Result<()> {
    // An Ethernet header, which is the least that the kernel takes (net/bpf/test_run.c, `bpf_test_init`).
    let packet = [0u8; 64];
    let attributes = TestRun {
        program: program.as_raw_fd() as u32,
        returned: 0,
        size_in: packet.len() as u32,
        size_out: 0,
        data_in: packet.as_ptr() as u64,
        data_out: 0,
        repeat: 1,
        duration: 0,
    };
    // SAFETY: the packet outlives the call and has the size that is told; nothing is asked back.
    unsafe { bpf(BPF_PROG_TEST_RUN, &attributes) }.map(drop)
}

/// Loads `return 0` as a program of this kind, to learn whether the kernel lets us.
pub fn load_nothing(kind: ProgramKind) -> io::Result<OwnedFd> {
    // mov r0, 0; exit
    let instructions: [[u8; 8]; 2] = [[0xb7, 0, 0, 0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];
    let license = c"GPL";
    let attributes = LoadProgram {
        kind: kind.program,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        expected_attach: kind.attach,
        attach_btf_id: kind.btf_id,
        ..LoadProgram::default()
    };
    // SAFETY: instructions and licence outlive the call, the count is theirs.
    let fd = unsafe { bpf(BPF_PROG_LOAD, &attributes) }?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// SAFETY: `attributes` must be what `command` reads, its addresses valid for the call.
unsafe fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<i32> {
    // SAFETY: as the caller promises; the size is that of the attributes.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result as i32)
}
