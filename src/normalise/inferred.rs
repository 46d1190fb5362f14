//! The capability that a refused call most likely lacked, where the kernel does not tell (before 6.17 or so it has
//! no `cap_capable` tracepoint): what the call asks for, by capabilities(7). Marked as inferred.

use crate::event::Call;

const EPERM: i32 = 1;

// include/uapi/linux/capability.h
const CHOWN: u8 = 0;
const DAC_READ_SEARCH: u8 = 2;
const SETGID: u8 = 6;
const SETUID: u8 = 7;
const SETPCAP: u8 = 8;
const NET_RAW: u8 = 13;
const SYS_MODULE: u8 = 16;
const SYS_RAWIO: u8 = 17;
const SYS_CHROOT: u8 = 18;
const SYS_PTRACE: u8 = 19;
const SYS_PACCT: u8 = 20;
const SYS_ADMIN: u8 = 21;
const SYS_BOOT: u8 = 22;
const SYS_TIME: u8 = 25;
const SYS_TTY_CONFIG: u8 = 26;
const MKNOD: u8 = 27;
const SYSLOG: u8 = 34;
const PERFMON: u8 = 38;
const BPF: u8 = 39;

/// Adds what the kernel did not tell of a call that failed with `errno`. What a filter answered was never asked.
pub(super) fn infer(call: &mut Call, errno: i32) {
    if errno != EPERM || call.capability.is_some() || call.filtered || call.own_filter {
        return;
    }
    call.capability = asked_by(call);
    call.inferred = call.capability.is_some();
}

fn asked_by(call: &Call) -> Option<u8> {
    // include/linux/net.h, include/linux/socket.h
    const SOCK_RAW: u64 = 3;
    const AF_PACKET: u64 = 17;
    Some(match &*call.call {
        b"mount" | b"umount" | b"umount2" | b"pivot_root" | b"open_tree" | b"open_tree_attr"
        | b"move_mount" | b"fsopen" | b"fsconfig" | b"fsmount" | b"fspick" | b"mount_setattr" | b"setns"
        | b"unshare" | b"clone" | b"clone3" | b"sethostname" | b"setdomainname" | b"swapon" | b"swapoff"
        | b"quotactl" | b"quotactl_fd" | b"fanotify_init" | b"name_to_handle_at" => SYS_ADMIN,
        b"chroot" => SYS_CHROOT,
        b"init_module" | b"finit_module" | b"delete_module" => SYS_MODULE,
        b"reboot" | b"kexec_load" | b"kexec_file_load" => SYS_BOOT,
        b"settimeofday" | b"clock_settime" | b"clock_settime64" | b"adjtimex" | b"clock_adjtime"
        | b"clock_adjtime64" | b"stime" => SYS_TIME,
        b"acct" => SYS_PACCT,
        b"iopl" | b"ioperm" => SYS_RAWIO,
        b"syslog" => SYSLOG,
        b"open_by_handle_at" => DAC_READ_SEARCH,
        b"ptrace" | b"process_vm_readv" | b"process_vm_writev" | b"pidfd_getfd" | b"kcmp" => SYS_PTRACE,
        b"setuid" | b"setreuid" | b"setresuid" | b"setuid32" | b"setreuid32" | b"setresuid32" => SETUID,
        b"setgid" | b"setregid" | b"setresgid" | b"setgroups" | b"setgid32" | b"setregid32"
        | b"setresgid32" | b"setgroups32" => SETGID,
        b"capset" => SETPCAP,
        b"chown" | b"lchown" | b"fchown" | b"fchownat" => CHOWN,
        b"mknod" | b"mknodat" => MKNOD,
        b"vhangup" => SYS_TTY_CONFIG,
        b"perf_event_open" => PERFMON,
        b"bpf" => BPF,
        b"socket" if call.args[1] & 15 == SOCK_RAW || call.args[0] == AF_PACKET => NET_RAW,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_is_inferred_only_where_nobody_else_answered() {
        let of = |name: &str| Call { call: name.as_bytes().into(), ..Call::default() };
        let check = |mut call: Call, errno, expected: Option<u8>| {
            let told = call.capability;
            infer(&mut call, errno);
            assert_eq!((call.capability, call.inferred), (expected, expected.is_some() && told.is_none()));
        };
        check(of("mount"), 1, Some(21));
        check(of("chroot"), 1, Some(18));
        check(of("mount"), 13, None);
        check(of("read"), 1, None);
        check(Call { filtered: true, ..of("mount") }, 1, None);
        check(Call { own_filter: true, ..of("mount") }, 1, None);
        check(Call { capability: Some(3), ..of("mount") }, 1, Some(3));
        check(Call { args: [2, 3, 1, 0, 0, 0], ..of("socket") }, 1, Some(13));
        check(Call { args: [2, 1, 0, 0, 0, 0], ..of("socket") }, 1, None);
    }
}
