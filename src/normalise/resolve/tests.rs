use super::names::CHANGES_MAX;
use super::*;
use crate::event::File;

/// `/lib -> usr/lib`, `/etc -> real/etc` and so on.
struct Image;

impl Provenance for Image {
    fn layer_of(&mut self, _: &[u8]) -> Option<u16> {
        None
    }
    fn entry_at(&mut self, path: &[u8]) -> ImageEntry {
        match path {
            b"/bin" => ImageEntry::Link(b"usr/bin".to_vec()),
            b"/var/run" => ImageEntry::Link(b"/run".to_vec()),
            b"/opt/up" => ImageEntry::Link(b"../etc".to_vec()),
            b"/opt/loop" => ImageEntry::Link(b"loop".to_vec()),
            b"/jail/etc" => ImageEntry::Link(b"/secret".to_vec()),
            b"" | b"/etc" | b"/usr" | b"/usr/bin" | b"/var" | b"/run" | b"/opt" | b"/jail" | b"/tmp" => {
                ImageEntry::Directory
            }
            b"/etc/passwd" => ImageEntry::Other,
            _ => ImageEntry::Absent,
        }
    }
    fn digest_of(&mut self, _: &File, _: crate::normalise::Start) -> Option<[u8; 32]> {
        None
    }
}

fn argument(text: &str, base: &str) -> PathArgument {
    PathArgument { text: text.into(), base: base.into(), cwd: b"/home".to_vec(), ..PathArgument::default() }
}

fn check_of(names: &mut Names, argument: &PathArgument, last: Last, expected: &str) {
    let resolved = names.resolve(argument, last, 7, &mut Image);
    let sure = if resolved.sure { "" } else { "?" };
    let shown = format!("{}{sure}", String::from_utf8_lossy(&resolved.path));
    assert_eq!(shown, expected, "{}", argument);
}

fn check(names: &mut Names, text: &str, expected: &str) {
    check_of(names, &argument(text, "/tmp"), Last::Keep, expected);
}

#[test]
fn links_of_the_image_are_followed_on_the_way_and_kept_at_the_end() {
    let names = &mut Names::new();
    for (text, expected) in [
        ("/bin/sh", "/usr/bin/sh"),
        ("/bin", "/bin"),
        ("/bin/", "/bin"),
        ("/var/run/x/../y", "/run/y"),
        ("/var/run/../x", "/x"),
        ("/opt/up/cron.d/j", "/etc/cron.d/j"),
        ("/opt/loop/x", "/opt/loop/x?"),
        ("../../..//etc/./passwd", "/etc/passwd"),
        ("", "/tmp"),
    ] {
        check(names, text, expected);
    }
    check_of(names, &argument("/bin", ""), Last::Follow, "/usr/bin");
}

#[test]
fn the_magic_links_of_proc_lead_where_the_kernel_said() {
    let names = &mut Names::new();
    for (text, expected) in [
        ("/proc/self/root/etc/x", "/etc/x"),
        ("/proc/thread-self/root/etc/x", "/etc/x"),
        ("/proc/7/task/9/root/etc/x", "/etc/x"),
        ("/proc/1/root/etc/x", "/etc/x"),
        ("/proc/self/cwd/x", "/home/x"),
        ("/proc/7/cwd/x", "/home/x"),
        ("/proc/8/cwd/x", "/proc/8/cwd/x?"),
        ("/proc/self/fd/5/x", "/proc/self/fd/5/x?"),
        ("/proc/sys/kernel/x", "/proc/sys/kernel/x"),
    ] {
        check(names, text, expected);
    }
    for text in ["/proc/self/fd/5/x", "/dev/fd/5/x", "/proc/thread-self/fd/5/x", "/proc/7/fd/5/x"] {
        let link = b"/etc/cron.d".to_vec();
        check_of(names, &PathArgument { link, ..argument(text, "") }, Last::Keep, "/etc/cron.d/x");
    }
    let stream = PathArgument { link: b"/srv/log".to_vec(), ..argument("/dev/stdout", "") };
    check_of(names, &stream, Last::Follow, "/srv/log");
}

#[test]
fn what_a_standard_stream_leads_to_is_no_name() {
    let names = &mut Names::new();
    names.made_link(b"/var/log/access.log", b"/dev/stdout");
    for (text, expected, stream) in [
        ("/dev/stdout", "/proc/self/fd/1", false),
        ("/proc/self/fd/9", "/proc/self/fd/9", false),
        ("/dev/fd/9/x", "/proc/self/fd/9/x?", false),
        ("/var/log/access.log", "/proc/self/fd/1?", true),
        ("/var/log/access.log/x", "/proc/self/fd/1/x?", false),
        ("/proc/8/fd/2", "/proc/8/fd/2?", true),
        ("/proc/8/fd/3", "/proc/8/fd/3?", false),
        ("/proc/8/cwd", "/proc/8/cwd?", false),
    ] {
        check_of(names, &argument(text, ""), Last::Follow, expected);
        let resolved = names.resolve(&argument(text, ""), Last::Follow, 7, &mut Image);
        assert_eq!(resolved.stream, stream, "{text}");
    }
}

#[test]
fn a_chroot_is_the_root_of_strings_links_and_climbing() {
    let names = &mut Names::new();
    for (text, expected) in [
        ("/x", "/jail/x"),
        ("/../../x", "/jail/x"),
        ("/etc/x", "/jail/secret/x"),
        ("/proc/self/root/x", "/jail/proc/self/root/x"),
    ] {
        check_of(
            names,
            &PathArgument { root: b"/jail".to_vec(), ..argument(text, "") },
            Last::Keep,
            expected,
        );
    }
}

#[test]
fn links_of_the_run_are_followed_wherever_they_are_moved() {
    let names = &mut Names::new();
    names.made_link(b"/tmp/a/e", b"/etc");
    names.made_link(b"/tmp/a-b", b"/usr");
    check(names, "a/e/cron.d/j", "/etc/cron.d/j");
    names.renamed(b"/tmp/a", b"/tmp/z", &mut Image);
    check(names, "z/e/j", "/etc/j");
    check(names, "a/e/j", "/tmp/a/e/j");
    check(names, "a-b/j", "/usr/j");
    names.linked(b"/tmp/z/e", b"/tmp/hard", &mut Image);
    check(names, "hard/j", "/etc/j");
    names.removed(b"/tmp/z/e", &mut Image);
    check(names, "z/e/j", "/tmp/z/e/j");
    names.made_link(b"/tmp/one", b"/run");
    names.exchanged(b"/tmp/one", b"/tmp/hard", &mut Image);
    check(names, "one/j", "/etc/j");
    check(names, "hard/j", "/run/j");
}

#[test]
fn a_directory_of_the_image_takes_its_links_along() {
    let names = &mut Names::new();
    names.renamed(b"/opt", b"/tmp/opt", &mut Image);
    check(names, "opt/up/j", "/tmp/etc/j");
    check(names, "/opt/up/j", "/opt/up/j");
    names.renamed(b"/tmp/opt", b"/var/deep", &mut Image);
    check(names, "/var/deep/up/j", "/var/etc/j");
    names.renamed(b"/var/deep", b"/opt", &mut Image);
    check(names, "/opt/up/j", "/etc/j");
    names.removed(b"/opt/up", &mut Image);
    check(names, "/opt/up/j", "/opt/up/j");
    names.renamed(b"/bin", b"/tmp/bin", &mut Image);
    check(names, "/tmp/bin/sh", "/tmp/usr/bin/sh");
    check(names, "/bin/sh", "/bin/sh");
}

#[test]
fn what_finds_no_room_is_counted() {
    let names = &mut Names::new();
    for number in 0..CHANGES_MAX {
        names.made_link(format!("/tmp/{number}").as_bytes(), b"x");
    }
    assert!(names.forgotten > 0);
    let before = names.forgotten;
    names.removed(b"/tmp/1", &mut Image);
    names.made_link(b"/tmp/1", b"y");
    assert_eq!(names.forgotten, before);
}
