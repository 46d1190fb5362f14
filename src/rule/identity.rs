//! Names that stay the same from run to run, from which a finding's id is made.
//!
//! Left out on purpose: pids, times, ports chosen by the kernel, and names that were made up during the
//! run: of such a file only the class of its directory and a plain suffix remain.

use crate::event::{Executable, File, Origin};

use super::subject::{extension, hex};

/// An executable: its path where the image has it, its content where it came about during the run.
pub fn executable(exe: &Executable) -> Vec<u8> {
    let mut text = match (exe.file.origin, &exe.sha256) {
        (Origin::Layer(_) | Origin::Supplied | Origin::Kernel, _) => exe.file.path.to_vec(),
        (_, Some(hash)) => format!("sha256:{}", hex(hash)).into_bytes(),
        _ => place(&exe.file),
    };
    if let Some(script) = &exe.script {
        text.push(b' ');
        text.extend(place(script));
    }
    text
}

/// A file: its path where the image or the kernel has it (`N` for process ids), else the class of its
/// directory and a plain suffix, as `/tmp/*.sh`.
pub fn place(file: &File) -> Vec<u8> {
    match file.origin {
        Origin::Layer(_) | Origin::Supplied => file.path.to_vec(),
        Origin::Kernel => without_pids(&file.path),
        Origin::Memfd => b"memfd:*".to_vec(),
        Origin::Written | Origin::Unknown => written(&file.path),
    }
}

/// Directories that say what a file in them is for; the first that fits is the class.
#[rustfmt::skip]
const CLASSES: [&str; 42] = [
    "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock", "/var/lock",
    "/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly",
    "/etc/periodic", "/etc/crontabs", "/etc/profile.d", "/etc/systemd", "/etc/init.d", "/etc/sudoers.d",
    "/etc/pam.d", "/etc/ssh", "/etc", "/var/spool/cron", "/var/log", "/var/cache", "/var/lib", "/var",
    "/usr/local/bin", "/usr/local/sbin", "/usr/local", "/usr/lib/systemd", "/usr/lib", "/usr/bin",
    "/usr/sbin", "/usr", "/bin", "/sbin", "/lib", "/root/.ssh", "/root", "/home", "/opt", "/run", "/srv",
];

fn written(path: &[u8]) -> Vec<u8> {
    let mut text = class(path).to_vec();
    text.extend_from_slice(b"/*");
    if let Some(suffix) = extension(path).filter(|suffix| is_plain(suffix)) {
        text.push(b'.');
        text.extend_from_slice(suffix);
    }
    text
}

/// A whole path that every image has (`/etc/passwd`) would be stable too, but nothing tells it from one
/// that was made up.
fn class(path: &[u8]) -> &[u8] {
    let inside = |class: &&str| path.starts_with(class.as_bytes()) && path.get(class.len()) == Some(&b'/');
    CLASSES.iter().find(|class| inside(class)).map(|class| class.as_bytes()).unwrap_or(b"")
}

fn is_plain(suffix: &[u8]) -> bool {
    suffix.len() <= 5 && suffix.iter().all(u8::is_ascii_lowercase)
}

fn without_pids(path: &[u8]) -> Vec<u8> {
    let is_pid = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let parts = path.split(|&byte| byte == b'/').map(|part| if is_pid(part) { b"N" } else { part });
    parts.collect::<Vec<_>>().join(&b'/')
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::FileKind;

    fn file(path: &str, origin: Origin) -> File {
        File {
            path: Arc::from(path.as_bytes()),
            verified: true,
            inode: None,
            kind: FileKind::Regular,
            origin,
            bait: None,
        }
    }

    #[test]
    fn a_place_keeps_what_is_the_same_in_every_run() {
        let check = |path, origin, expected: &str| {
            assert_eq!(String::from_utf8(place(&file(path, origin))).unwrap(), expected);
        };
        check("/usr/bin/redis-server", Origin::Layer(3), "/usr/bin/redis-server");
        check("/tmp/.x81f/kworker", Origin::Written, "/tmp/*");
        check("/tmp/a8f.sh", Origin::Written, "/tmp/*.sh");
        check("/tmp/a.x8f", Origin::Written, "/tmp/*");
        check("/etc/cron.d/8f", Origin::Written, "/etc/cron.d/*");
        check("/data/x/y", Origin::Written, "/*");
        check("/proc/17/task/18/mem", Origin::Kernel, "/proc/N/task/N/mem");
    }

    #[test]
    fn an_executable_written_in_the_run_is_its_content() {
        let mut exe = Executable {
            file: file("/tmp/x", Origin::Written),
            sha256: Some([0xab; 32]),
            deleted: false,
            script: None,
            script_sha256: None,
        };
        assert_eq!(executable(&exe), format!("sha256:{}", "ab".repeat(32)).into_bytes());
        exe.sha256 = None;
        assert_eq!(executable(&exe), b"/tmp/*");
        exe.file = file("/bin/sh", Origin::Layer(0));
        exe.script = Some(file("/tmp/y.sh", Origin::Written));
        assert_eq!(executable(&exe), b"/bin/sh /tmp/*.sh");
    }
}
