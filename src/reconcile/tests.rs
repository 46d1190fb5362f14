use std::time::Duration;

use super::*;
use crate::event::{Bytes, EventId, Origin, Phase, Protocol};

const WRITE: OpenMode =
    OpenMode { read: false, write: true, append: false, truncate: false, created: false, permissions: 0 };

fn inode(number: u64) -> Inode {
    Inode { device: 1, number }
}

fn file(path: &str, number: u64) -> File {
    File {
        path: Bytes::from(path.as_bytes()),
        verified: true,
        inode: Some(inode(number)),
        kind: FileKind::Regular,
        origin: Origin::Written,
        bait: None,
    }
}

fn named(path: &str) -> File {
    File { inode: None, verified: false, kind: FileKind::Unknown, ..file(path, 0) }
}

fn write(path: &str, number: u64) -> Act {
    Act::File(FileAct::Open { file: file(path, number), mode: WRITE })
}

fn rename(from: &str, to: &str) -> Act {
    Act::File(FileAct::Rename { from: named(from), to: named(to) })
}

fn link(from: &str, to: &str) -> Act {
    Act::File(FileAct::Link { from: named(from), to: named(to) })
}

fn symlink(target: &str, path: &str) -> Act {
    Act::File(FileAct::Symlink { target: Bytes::from(target.as_bytes()), file: named(path) })
}

fn unlink(path: &str) -> Act {
    Act::File(FileAct::Unlink { file: named(path) })
}

fn mkdir(path: &str) -> Act {
    Act::File(FileAct::Mkdir { file: named(path) })
}

fn chmod(path: &str) -> Act {
    Act::File(FileAct::Chmod { file: named(path), mode: 0o755 })
}

fn change(path: &str, change: FileChange) -> Act {
    Act::File(FileAct::Change { file: named(path), change })
}

fn bind(path: &str) -> Act {
    let local = Some(Endpoint::Unix(Bytes::from(path.as_bytes())));
    Act::Net(NetAct { action: NetAction::Bind, protocol: Protocol::Unix, local, remote: None, name: None })
}

fn event(act: Act, outcome: Outcome) -> Event {
    Event {
        id: EventId(1),
        at: Duration::ZERO,
        phase: Phase::Start,
        process: None,
        act,
        outcome,
        count: 1,
        cut: false,
    }
}

fn ledger(acts: &[Act]) -> Ledger {
    let mut ledger = Ledger::default();
    acts.iter().for_each(|act| ledger.observe(&event(act.clone(), Outcome::Done)));
    ledger
}

fn check(acts: &[Act], path: &str, found: Found<'_>, expected: Answer) {
    let answer = ledger(acts).explain(path.as_bytes(), &found);
    assert_eq!(answer, expected, "{path}: {found:?} after {acts:#?}");
}

use Answer::{Explained, Unexplained};

#[test]
fn each_kind_of_change_needs_its_kind_of_act() {
    let all = [write("/a", 7), mkdir("/d"), symlink("t", "/l"), unlink("/g"), chmod("/c"), bind("/s")];
    let kinds: [(&str, Found<'_>); 6] = [
        ("/a", Found::Content(&[inode(7)])),
        ("/d", Found::Directory),
        ("/l", Found::Link(b"t")),
        ("/g", Found::Gone),
        ("/c", Found::Attributes),
        ("/s", Found::Node),
    ];
    let inode = [inode(7)];
    for (path, own) in &kinds {
        check(&all, path, own.clone(), Explained);
        let others = [
            Found::Gone,
            Found::Attributes,
            Found::Directory,
            Found::Link(b"t"),
            Found::Content(&inode),
            Found::Node,
        ];
        for other in others {
            // What was made anew as it stood before differs in its attributes only: its time.
            let also = other == Found::Attributes && *path != "/g";
            if other != *own && !also {
                check(&all, path, other, Unexplained);
            }
        }
        check(&all, "/never", own.clone(), Unexplained);
        check(&[], path, own.clone(), Unexplained);
    }
}

#[test]
fn other_changes_explain_what_they_change() {
    let number = [inode(7)];
    let content = || Found::Content(&number);
    check(&[change("/f", FileChange::Mknod { device: 0 })], "/f", Found::Node, Explained);
    check(&[change("/f", FileChange::Truncate { length: 0 })], "/f", content(), Explained);
    for act in [
        FileChange::Chown { uid: Some(1), gid: None },
        FileChange::Times { modified: None, behind: 0 },
        FileChange::RemoveXattr { name: Bytes::from(&b"user.x"[..]) },
        FileChange::SetFlags { immutable: true, append_only: false },
    ] {
        check(&[change("/f", act.clone())], "/f", Found::Attributes, Explained);
        check(&[change("/f", act)], "/f", content(), Unexplained);
    }
}

#[test]
fn extended_attributes_need_a_change_of_them_and_move_with_their_file() {
    let xattr = || FileChange::SetXattr {
        name: Bytes::from(&b"user.x"[..]),
        value: Bytes::from(&b""[..]),
        capabilities: 0,
    };
    check(&[change("/f", xattr())], "/f", Found::Xattrs, Explained);
    check(&[change("/f", xattr()), rename("/f", "/g"), link("/g", "/h")], "/h", Found::Xattrs, Explained);
    check(&[chmod("/f"), write("/f", 7)], "/f", Found::Xattrs, Unexplained);
    check(&[rename("/f", "/g")], "/g", Found::Xattrs, Answer::IfFrom(b"/f".to_vec()));
}

#[test]
fn a_failed_act_explains_nothing() {
    let mut ledger = Ledger::default();
    for act in [write("/a", 7), mkdir("/a"), unlink("/a"), chmod("/a"), rename("/b", "/a")] {
        ledger.observe(&event(act, Outcome::Failed(13)));
    }
    for found in [Found::Gone, Found::Attributes, Found::Directory, Found::Content(&[inode(7)])] {
        assert_eq!(ledger.explain(b"/a", &found), Unexplained);
    }
}

#[test]
fn new_content_must_be_a_file_that_was_seen_open_for_writing() {
    let other = [inode(8)];
    check(&[write("/a", 7)], "/a", Found::Content(&other), Unexplained);
    check(&[write("/a", 7), unlink("/a")], "/a", Found::Content(&other), Unexplained);
    // The kernel knows a file that was copied up by the number of the layer's.
    check(&[write("/a", 7)], "/a", Found::Content(&[inode(8), inode(7)]), Explained);
    // Right file, but nobody named it so.
    check(&[write("/a", 7)], "/b", Found::Content(&[inode(7)]), Unexplained);
}

#[test]
fn a_request_to_io_uring_explains_what_it_may_have_made() {
    let mut ledger = Ledger::default();
    let open = FileAct::Open { file: named("/a"), mode: OpenMode { created: true, ..WRITE } };
    ledger.observe(&event(Act::File(open), Outcome::Done));
    assert_eq!(ledger.explain(b"/a", &Found::Content(&[inode(7)])), Explained);
}

#[test]
fn acts_move_with_their_names() {
    let content = || Found::Content(&[Inode { device: 1, number: 7 }]);
    let chain = [write("/a", 7), rename("/a", "/b"), rename("/b", "/c")];
    check(&chain, "/c", content(), Explained);
    check(&chain, "/a", Found::Gone, Explained);
    check(&chain, "/b", Found::Gone, Explained);
    let directory = [
        mkdir("/d"),
        mkdir("/d/e"),
        write("/d/e/f", 7),
        symlink("x", "/d/l"),
        rename("/d", "/n"),
        rename("/n/e", "/m"),
    ];
    check(&directory, "/n", Found::Directory, Explained);
    check(&directory, "/m", Found::Directory, Explained);
    check(&directory, "/m/f", content(), Explained);
    check(&directory, "/n/l", Found::Link(b"x"), Explained);
    for path in ["/d/e/f", "/n/e/f"] {
        check(&directory, path, content(), Unexplained);
    }
    check(&directory, "/d/l", Found::Link(b"x"), Unexplained);
}

#[test]
fn a_file_of_the_image_is_compared_with_its_first_name() {
    let content = || Found::Content(&[Inode { device: 1, number: 9 }]);
    let from = Answer::IfFrom(b"/bin/a".to_vec());
    check(&[rename("/bin/a", "/b"), rename("/b", "/c")], "/c", content(), from.clone());
    check(&[link("/bin/a", "/b")], "/b", content(), from.clone());
    check(&[rename("/bin/a", "/b")], "/b", Found::Link(b"x"), from.clone());
    check(&[rename("/bin/a", "/b")], "/b", Found::Node, from.clone());
    check(&[rename("/bin/a", "/b")], "/b", Found::Directory, Unexplained);
    check(&[link("/bin/a", "/b")], "/bin/a", Found::Attributes, Explained);
    check(&[chmod("/bin/a"), rename("/bin/a", "/b")], "/b", Found::Attributes, Explained);
}

#[test]
fn two_names_can_be_swapped() {
    let swap = || Act::File(FileAct::Exchange { from: named("/a"), to: named("/d") });
    let acts = [write("/a", 7), mkdir("/d"), mkdir("/d/e"), swap()];
    let number = [inode(7)];
    check(&acts, "/d", Found::Content(&number), Explained);
    check(&acts, "/a", Found::Directory, Explained);
    check(&acts, "/a/e", Found::Directory, Explained);
    check(&acts, "/d/e", Found::Directory, Unexplained);
    check(&[swap()], "/d", Found::Content(&number), Answer::IfFrom(b"/a".to_vec()));
}

#[test]
fn two_records_in_the_other_order_are_explained_all_the_same() {
    // Made anew by another process while the first was still on its way out of the kernel.
    let content = || Found::Content(&[Inode { device: 1, number: 7 }]);
    check(&[write("/log", 7), rename("/log", "/log.1")], "/log", content(), Explained);
    check(&[write("/lock", 7), unlink("/lock")], "/lock", content(), Explained);
    check(&[mkdir("/d/e"), mkdir("/d")], "/d/e", Found::Directory, Explained);
}

#[test]
fn nothing_becomes_its_own_parent() {
    for (from, to) in [("/a", "/a/b"), ("/a/b", "/a"), ("/", "/a"), ("/a", "/a"), ("//a/", "/a/b/")] {
        check(&[mkdir("/a"), mkdir("/a/b"), rename(from, to)], "/a/b", Found::Directory, Explained);
    }
}

#[test]
fn a_deep_tree_and_a_wide_one_are_bounded_and_counted() {
    let mut ledger = Ledger::default();
    let deep = "/a".repeat(5000);
    ledger.observe(&event(mkdir(&deep), Outcome::Done));
    assert_eq!(ledger.forgotten(), 1);
    for number in 0..300_000 {
        ledger.observe(&event(write(&format!("/w/{number}"), number), Outcome::Done));
    }
    assert!(ledger.forgotten() > 30_000);
    assert_eq!(ledger.explain(b"/w/299999", &Found::Content(&[inode(299_999)])), Unexplained);
    assert_eq!(ledger.explain(b"/w/9", &Found::Content(&[inode(9)])), Explained);
}

#[test]
fn what_stood_there_before_is_followed_when_it_is_moved() {
    let mut ledger = Ledger::default();
    ledger.stood_directory(b"/root/.kube");
    ledger.stood_file(b"/root/.kube/config");
    let from = |path: &str| Answer::IfFrom(path.as_bytes().to_vec());
    let content = Found::Content(&[]);
    assert_eq!(ledger.explain(b"/root/.kube/config", &content), from("/root/.kube/config"));
    ledger.tree.rename(b"/root/.kube", b"/tmp/k");
    assert_eq!(ledger.explain(b"/tmp/k", &Found::Directory), Answer::Explained);
    assert_eq!(ledger.explain(b"/tmp/k/config", &content), from("/root/.kube/config"));
    assert_eq!(ledger.explain(b"/root/.kube", &Found::Gone), Answer::Explained);
    ledger.tree.rename(b"/tmp/k/config", b"/tmp/c");
    assert_eq!(ledger.explain(b"/tmp/c", &content), from("/root/.kube/config"));
    assert_eq!(ledger.explain(b"/tmp/other", &content), Answer::Unexplained);
}
