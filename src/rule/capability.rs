//! Names of capabilities by number (include/uapi/linux/capability.h of Linux 6.18), without `CAP_`.

/// The name, or `other` for a number that has none.
pub fn name(number: u8) -> &'static str {
    NAMES.get(usize::from(number)).copied().unwrap_or("other")
}

/// The names in a set, lowest number first.
pub fn names(set: u64) -> impl Iterator<Item = &'static str> {
    (0..64).filter(move |number| set >> number & 1 == 1).map(name)
}

#[rustfmt::skip]
const NAMES: &[&str] = &[
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control",
    "setfcap", "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read",
    "perfmon", "bpf", "checkpoint_restore",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_header() {
        for (number, expected) in [(0, "chown"), (7, "setuid"), (21, "sys_admin"), (39, "bpf"), (63, "other")]
        {
            assert_eq!(name(number), expected);
        }
        assert_eq!(names(1 << 21 | 1).collect::<Vec<_>>(), ["chown", "sys_admin"]);
    }
}
