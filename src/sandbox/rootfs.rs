//! The root file system: idmapped layers under an overlay, made ready for the runtime.
//!
//! Runs in the helper, in its own mount namespace, so that every mount dies with it. All of them lie on a
//! small tmpfs with neutral names: the image can read mount options in /proc/self/mountinfo, and the
//! container's root could not walk through the 0700 state directory anyway.
//!
//! Everything in the merged tree is hostile. What is made in it goes through descriptors, below the root,
//! through no link.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, SFlag, fstatat, makedev, mkdirat, mknod};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, pipe, unlinkat};

use super::helper::{Failure, step};
use super::order::Order;
use super::state::{LAYER_IDS, RANGE};
use crate::sys::{mount as tree, process};

/// Where the helper mounts: each layer at its number in hexadecimal (so no other name here is made of the
/// digits `0` to `f`), the writable files at `w`, the root at `r`, the runtime's files beside them. It
/// exists everywhere, and is the helper's own once the tmpfs is on it.
pub(super) const BASE: &str = "/tmp";

/// Must be directories before the runtime mounts on them or we write into them.
const DIRECTORIES: [&str; 6] = ["dev", "proc", "sys", "etc", "run", "tmp"];

/// What engines give a container, as major and minor number (Documentation/admin-guide/devices.txt); the runtime
/// binds each from this /dev to the container's.
const DEVICES: [(&str, u64, u64); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Makes device nodes of the run's own: a node of the host, even one that anybody may use, can be locked, watched and
/// touched from inside.
pub(super) fn own_devices(id_base: u32) -> io::Result<()> {
    mount(Some("tmpfs"), "/dev", Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=755,size=65536k"))?;
    for (name, major, minor) in DEVICES {
        let path = Path::new("/dev").join(name);
        mknod(&path, SFlag::S_IFCHR, Mode::empty(), makedev(major, minor))?;
        chown(&path, Some(id_base), Some(id_base))?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666))?;
    }
    Ok(())
}

/// Mounts everything that `order` asks for, and gives back the root.
pub(super) fn mount_root(order: &Order) -> Result<PathBuf, Failure> {
    let namespace = id_namespace(order.layer_id_base, order.id_base).map_err(step("map the layers' ids"))?;
    let mut layers = Vec::new();
    for layer in &order.layers {
        layers.push(shifted(layer, namespace.as_fd())?);
    }
    let files = tree::clone_tree(&order.run_dir.join("fs")).map_err(step("open the upper layer"))?;
    own_upper(order).map_err(step("give the upper layer to the run"))?;

    let options = Some("mode=755,size=4m");
    mount(Some("tmpfs"), BASE, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, options)
        .map_err(step("mount the helper's own directory"))?;
    attach(&layers, files).map_err(step("mount the layers"))?;
    let root = Path::new(BASE).join("r");
    overlay(layers.len(), Path::new(BASE)).map_err(step("mount the overlay"))?;
    let top = File::open(&root).map_err(step("open the root"))?;
    prepare(&top, order)?;
    Ok(root)
}

/// Whether this host mounts what [`mount_root`] does, tried in the directory of a run that does not come to
/// be: in a process of its own, with whose namespace the mounts are gone. Of a process with one thread only.
pub(super) fn trial(directory: &Path, id_base: u32) -> Result<(), Failure> {
    let (answer, answer_end) = pipe().map_err(step("ask a process of its own"))?;
    let child = process::fork(move || {
        if let Err(Failure::Step { step, detail }) = mount_all(directory, id_base) {
            let _ = write!(File::from(answer_end), "{step}: {detail}");
        }
        0
    });
    let child = child.map_err(step("ask a process of its own"))?;
    let mut detail = String::new();
    let read = File::from(answer).read_to_string(&mut detail);
    nix::sys::wait::waitpid(child, None).map_err(step("ask a process of its own"))?;
    read.map_err(step("ask a process of its own"))?;
    if detail.is_empty() { Ok(()) } else { Err(Failure::Step { step: "set up the root", detail }) }
}

fn mount_all(directory: &Path, id_base: u32) -> Result<(), Failure> {
    let (none, private) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
    unshare(CloneFlags::CLONE_NEWNS).map_err(step("make a mount namespace"))?;
    mount(none, "/", none, private, none).map_err(step("make a mount namespace"))?;
    for name in ["0", "w", "w/upper", "w/work", "r"] {
        std::fs::create_dir(directory.join(name)).map_err(step("make a directory"))?;
    }
    let layer = directory.join("0");
    let namespace = id_namespace(LAYER_IDS, id_base).map_err(step("map the layers' ids"))?;
    let tree = shifted(&layer, namespace.as_fd())?;
    tree::attach_tree(tree, &layer).map_err(step("mount the layers"))?;
    overlay(1, directory).map_err(step("mount the overlay"))
}

/// A user namespace that maps `inside` to `outside`: what an idmapped mount is told.
fn id_namespace(inside: u32, outside: u32) -> io::Result<OwnedFd> {
    let (ready, ready_end) = pipe()?;
    let (hold, hold_end) = pipe()?;
    let child = process::fork(move || {
        drop(hold_end);
        let unshared = unshare(CloneFlags::CLONE_NEWUSER).is_ok();
        let told = unshared && File::from(ready_end).write_all(b"1").is_ok();
        // Ends when the parent drops its end, or dies.
        let _ = io::Read::read(&mut File::from(hold), &mut [0]);
        i32::from(!told)
    })?;
    let mapped = (|| {
        io::Read::read_exact(&mut File::from(ready), &mut [0])?;
        for map in ["uid_map", "gid_map"] {
            std::fs::write(format!("/proc/{child}/{map}"), format!("{inside} {outside} {RANGE}"))?;
        }
        File::open(format!("/proc/{child}/ns/user")).map(OwnedFd::from)
    })();
    let _ = kill(child, Signal::SIGKILL);
    let _ = nix::sys::wait::waitpid(child, None);
    mapped
}

/// The merged root's own owner and mode are those of the upper directory.
fn own_upper(order: &Order) -> io::Result<()> {
    let upper = order.run_dir.join("fs/upper");
    chown(&upper, Some(order.id_base), Some(order.id_base))?;
    std::fs::set_permissions(&upper, PermissionsExt::from_mode(0o755))
}

/// The layer as a detached mount, its ids as `namespace` has them.
fn shifted(layer: &Path, namespace: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    let tree = tree::clone_tree(layer).map_err(step("open a layer"))?;
    tree::set_idmap(tree.as_fd(), namespace)
        .map_err(step("shift the ids of a layer (its file system must allow idmapped mounts)"))?;
    Ok(tree)
}

fn attach(layers: &[OwnedFd], files: OwnedFd) -> io::Result<()> {
    let at = |name: String| -> io::Result<PathBuf> {
        let path = Path::new(BASE).join(name);
        std::fs::create_dir(&path)?;
        Ok(path)
    };
    for (number, layer) in layers.iter().enumerate() {
        tree::attach_tree(layer, &at(format!("{number:x}"))?)?;
    }
    tree::attach_tree(files, &at("w".to_owned())?)?;
    at("r".to_owned()).map(drop)
}

/// At `r` of `base`, with relative paths, which is what mountinfo then shows. Fails with `ArgumentListTooLong` where the
/// list of layers does not fit the page that mount(2) takes.
fn overlay(layers: usize, base: &Path) -> io::Result<()> {
    std::env::set_current_dir(base)?;
    let lower = (0..layers).rev().map(|number| format!("{number:x}")).collect::<Vec<_>>().join(":");
    let options = format!("lowerdir={lower},upperdir=w/upper,workdir=w/work,userxattr");
    if options.len() >= 4096 {
        return Err(io::ErrorKind::ArgumentListTooLong.into());
    }
    let flags = MsFlags::MS_NODEV;
    mount(Some("overlay"), "r", Some("overlay"), flags, Some(options.as_str()))?;
    std::env::set_current_dir("/")
}

/// Makes the directories that must be there, refuses an image that has something else in their place, and
/// supplies the three files that engines supply.
fn prepare(top: &File, order: &Order) -> Result<(), Failure> {
    for name in DIRECTORIES {
        make_directory(top, name, order.id_base)?;
    }
    let etc = open_below(top, "etc", OFlag::O_DIRECTORY | OFlag::O_RDONLY).map_err(step("open /etc"))?;
    let name = &order.hostname;
    let (address, resolver) = match order.network {
        Some(network) => (network.address, format!("nameserver {}\n", network.resolver)),
        None => (Ipv4Addr::new(127, 0, 1, 1), "nameserver 127.0.0.11\noptions ndots:0\n".to_owned()),
    };
    let hosts = format!(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
         ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n{address}\t{name}\n"
    );
    supply(&etc, "hosts", &hosts, order.id_base)?;
    supply(&etc, "hostname", &format!("{name}\n"), order.id_base)?;
    supply(&etc, "resolv.conf", &resolver, order.id_base)
}

fn make_directory(top: &File, name: &str, owner: u32) -> Result<(), Failure> {
    let mode = if name == "tmp" { 0o1777 } else { 0o755 };
    match open_below(top, name, OFlag::O_PATH | OFlag::O_DIRECTORY) {
        Ok(_) => return Ok(()),
        Err(Errno::ENOENT) => {}
        Err(_) => return Err(Failure::Hostile { what: format!("/{name} is no directory") }),
    }
    mkdirat(top.as_fd(), name, Mode::from_bits_truncate(0o755)).map_err(step("make a directory"))?;
    let made = open_below(top, name, OFlag::O_DIRECTORY).map_err(step("open a directory"))?;
    own(&made, owner, mode).map_err(step("own a directory"))
}

/// Replaces whatever is there (ordinary images have a link in place of resolv.conf) by a plain file.
fn supply(etc: &OwnedFd, name: &str, text: &str, owner: u32) -> Result<(), Failure> {
    match fstatat(etc.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(stat) if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR => {
            return Err(Failure::Hostile { what: format!("/etc/{name} is a directory") });
        }
        Ok(_) => {
            unlinkat(etc.as_fd(), name, UnlinkatFlags::NoRemoveDir).map_err(step("replace a file in /etc"))?
        }
        Err(_) => {}
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
    let file = open_below(etc, name, flags).map_err(step("make a file in /etc"))?;
    own(&file, owner, 0o644).map_err(step("own a file in /etc"))?;
    File::from(file).write_all(text.as_bytes()).map_err(step("write a file in /etc"))
}

fn own(file: &OwnedFd, owner: u32, mode: u32) -> io::Result<()> {
    fchown(file, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner)))?;
    Ok(nix::sys::stat::fchmod(file, Mode::from_bits_truncate(mode))?)
}

/// Opens one name of a directory: through no link, and on the same mount.
fn open_below(directory: impl AsFd, name: &str, flags: OFlag) -> nix::Result<OwnedFd> {
    let mode = if flags.contains(OFlag::O_CREAT) { Mode::from_bits_truncate(0o644) } else { Mode::empty() };
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW).mode(mode).resolve(
        ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS
            | ResolveFlag::RESOLVE_NO_XDEV,
    );
    openat2(directory, name, how)
}
