//! A static program that makes system calls one after the other, made here byte by byte: the selftest
//! needs no compiler, no library and no file of the host.
//!
//! ```text
//! file 0       ELF header, two program headers, code    → 0x00400000  r-x
//! file 0x1000  the calls (64 bytes each), then strings  → 0x10000000  rw-
//! ```
//! All addresses lie below 4 GiB, so that the 32-bit entry reaches them too.

const CODE_AT: u64 = 0x0040_0000;
const DATA_AT: u64 = 0x1000_0000;
const CALL_SIZE: usize = 64;
const CALLS_MAX: usize = 256;
const HEADERS: usize = 64 + 2 * 56;

/// Flags beside the number of a call.
const COMPAT: u64 = 1 << 32;
const CHILD_ENDS: u64 = 1 << 33;

/// Walks the calls: loads six arguments (those in the mask through a pointer), makes the call by syscall or
/// int 0x80, keeps what it returned in the place of the mask. With CHILD_ENDS, a result of 0 ends the
/// process. The last call must not return.
#[rustfmt::skip]
const CODE: &[u8] = &[
    0x41, 0xbe, 0x00, 0x00, 0x00, 0x10, // mov r14d, DATA_AT
    0x4d, 0x8b, 0x26,                   // next: mov r12, [r14]
    0x4d, 0x8b, 0x6e, 0x38,             // mov r13, [r14+56]
    0x31, 0xc9,                         // xor ecx, ecx
    0x49, 0x8b, 0x44, 0xce, 0x08,       // argument: mov rax, [r14+rcx*8+8]
    0x49, 0x0f, 0xa3, 0xcd,             // bt r13, rcx
    0x73, 0x03,                         // jnc plain
    0x48, 0x8b, 0x00,                   // mov rax, [rax]
    0x50,                               // plain: push rax
    0xff, 0xc1,                         // inc ecx
    0x83, 0xf9, 0x06,                   // cmp ecx, 6
    0x72, 0xea,                         // jb argument
    0x41, 0x59, 0x41, 0x58, 0x41, 0x5a, // pop r9, r8, r10
    0x5a, 0x5e, 0x5f,                   // pop rdx, rsi, rdi
    0x44, 0x89, 0xe0,                   // mov eax, r12d
    0x49, 0x0f, 0xba, 0xe4, 0x20,       // bt r12, 32
    0x72, 0x04,                         // jc compat
    0x0f, 0x05,                         // syscall
    0xeb, 0x06,                         // jmp returned
    0x89, 0xfb,                         // compat: mov ebx, edi
    0x89, 0xf1,                         // mov ecx, esi
    0xcd, 0x80,                         // int 0x80
    0x49, 0x89, 0x46, 0x38,             // returned: mov [r14+56], rax
    0x49, 0x0f, 0xba, 0xe4, 0x21,       // bt r12, 33
    0x73, 0x0e,                         // jnc go_on
    0x48, 0x85, 0xc0,                   // test rax, rax
    0x75, 0x09,                         // jnz go_on
    0x31, 0xff,                         // xor edi, edi
    0xb8, 0xe7, 0x00, 0x00, 0x00,       // mov eax, 231 (exit_group)
    0x0f, 0x05,                         // syscall
    0x49, 0x83, 0xc6, 0x40,             // go_on: add r14, 64
    0xeb, 0xa5,                         // jmp next
];

/// An argument of a call.
#[derive(Clone, Copy)]
pub enum Argument {
    Number(u64),
    /// What an earlier call returned.
    Result(Returned),
}

/// The place of what a call returned.
#[derive(Clone, Copy)]
pub struct Returned(u64);

impl From<u64> for Argument {
    fn from(number: u64) -> Argument {
        Argument::Number(number)
    }
}

impl From<Returned> for Argument {
    fn from(result: Returned) -> Argument {
        Argument::Result(result)
    }
}

/// A program in the making.
#[derive(Default)]
pub struct Program {
    calls: Vec<[u64; 8]>,
    data: Vec<u8>,
}

impl Program {
    /// Puts bytes into the program, aligned to eight; their address.
    pub fn bytes(&mut self, bytes: &[u8]) -> u64 {
        let at = self.data.len();
        self.data.extend_from_slice(bytes);
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        DATA_AT + (CALLS_MAX * CALL_SIZE + at) as u64
    }

    /// The same for a string, with the NUL behind it.
    pub fn text(&mut self, text: &str) -> u64 {
        self.bytes(&[text.as_bytes(), &[0]].concat())
    }

    /// The same on a page of its own, which nothing has touched when it is needed.
    pub fn untouched(&mut self, text: &str) -> u64 {
        self.data.resize(self.data.len().next_multiple_of(4096) + 4096, 0);
        let at = self.text(text);
        self.data.resize(self.data.len() + 8192, 0);
        at
    }

    pub fn call(&mut self, number: i64, arguments: &[Argument]) -> Returned {
        self.add(number as u64, arguments)
    }

    /// By `int 0x80`, with the number of i386; two arguments.
    pub fn compat_call(&mut self, number: u32, arguments: [u64; 2]) -> Returned {
        self.add(u64::from(number) | COMPAT, &arguments.map(Argument::Number))
    }

    /// A call that returns twice; the child ends at once.
    pub fn forking_call(&mut self, number: i64, arguments: &[Argument]) -> Returned {
        self.add(number as u64 | CHILD_ENDS, arguments)
    }

    fn add(&mut self, number: u64, arguments: &[Argument]) -> Returned {
        let mut call = [0; 8];
        call[0] = number;
        for (index, argument) in arguments.iter().enumerate() {
            match argument {
                Argument::Number(number) => call[1 + index] = *number,
                Argument::Result(result) => {
                    call[1 + index] = result.0;
                    call[7] |= 1 << index;
                }
            }
        }
        self.calls.push(call);
        assert!(self.calls.len() <= CALLS_MAX, "the selftest's own calls fit");
        Returned(DATA_AT + (self.calls.len() * CALL_SIZE - 8) as u64)
    }

    /// The program as a file (System V ABI, ELF-64).
    pub fn elf(&self) -> Vec<u8> {
        let mut data: Vec<u8> = self.calls.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        data.resize(CALLS_MAX * CALL_SIZE, 0);
        data.extend_from_slice(&self.data);
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        // ET_EXEC, EM_X86_64, EV_CURRENT
        file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        file.extend([CODE_AT + HEADERS as u64, 64, 0].map(u64::to_le_bytes).concat());
        file.extend([0u8; 4]);
        file.extend([64u16, 56, 2, 0, 0, 0].map(u16::to_le_bytes).concat());
        file.extend(segment(5, 0, CODE_AT, HEADERS + CODE.len()));
        file.extend(segment(6, 4096, DATA_AT, data.len()));
        file.extend(CODE);
        file.resize(4096, 0);
        file.extend(data);
        file
    }
}

/// A program header of type PT_LOAD.
fn segment(flags: u32, offset: u64, address: u64, size: usize) -> Vec<u8> {
    let mut header = [1u32, flags].map(u32::to_le_bytes).concat();
    let size = size as u64;
    header.extend([offset, address, address, size, size, 4096].map(u64::to_le_bytes).concat());
    header
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_program_made_here_runs_and_passes_results_on() {
        let mut program = Program::default();
        let text = program.untouched("seen\n");
        program.forking_call(libc::SYS_fork, &[]);
        let written = program.call(libc::SYS_write, &[1u64.into(), text.into(), 5u64.into()]);
        program.call(libc::SYS_exit_group, &[written.into()]);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&program.elf()).unwrap();
        file.as_file().set_permissions(PermissionsExt::from_mode(0o700)).unwrap();
        let path = file.into_temp_path();
        let output = Command::new(&path).output().unwrap();
        assert_eq!(output.stdout, b"seen\n");
        assert_eq!(output.status.code(), Some(5));
    }
}
