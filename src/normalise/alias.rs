//! Names under which rules know a file, and that the path of an act does not show.
//!
//! A rule says `/etc/passwd`. The kernel says truly that `/tmp/a` was written, where that is a hard link to
//! it; or `/data/jobs/x`, where the image brings `/etc/cron.d` as a link to `/data/jobs`. Either act is told
//! a second time, by the name that the rest of the world will read the file by.
//!
//! Followed are hard links made in the run, and those places of the image that rules watch. Links that are
//! made in the run are acts of their own, with the name that they stand at.

use std::collections::{BTreeMap, HashMap};

use super::resolve::{Last, Names};
use super::{Normaliser, Provenance};
use crate::event::{Bytes, File, FileAct, Origin};
use crate::record::PathArgument;

/// Hard links that are followed; more are counted.
const LINKS_MAX: usize = 1 << 14;

/// Of what was made in the run, links to files in these are followed: stores of packages are links by the
/// thousand.
const SYSTEM: [&[u8]; 8] =
    [b"/etc/", b"/usr/", b"/bin/", b"/sbin/", b"/lib/", b"/lib64/", b"/root/.", b"/var/spool/"];

/// Places that make something run, let somebody in, or take effect in every program.
const WATCHED: &[&str] = &[
    "/etc/at.allow",
    "/etc/bash.bashrc",
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.hourly",
    "/etc/cron.monthly",
    "/etc/cron.weekly",
    "/etc/crontab",
    "/etc/crontabs",
    "/etc/group",
    "/etc/init.d",
    "/etc/inittab",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/modules-load.d",
    "/etc/pam.d",
    "/etc/passwd",
    "/etc/periodic",
    "/etc/profile",
    "/etc/profile.d",
    "/etc/rc.local",
    "/etc/security",
    "/etc/shadow",
    "/etc/ssh",
    "/etc/ssh/sshd_config",
    "/etc/ssh/sshd_config.d",
    "/etc/ssl/certs",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/systemd",
    "/etc/systemd/system",
    "/etc/udev/rules.d",
    "/etc/update-motd.d",
    "/etc/xdg/autostart",
    "/root/.bash_profile",
    "/root/.bashrc",
    "/root/.config",
    "/root/.profile",
    "/root/.ssh",
    "/root/.ssh/authorized_keys",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/var/spool/at",
    "/var/spool/cron",
    "/var/spool/cron/atjobs",
    "/var/spool/cron/crontabs",
    "/var/spool/cron/tabs",
];

/// Where other names lead.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    /// Hard links made in the run, by their own name.
    links: BTreeMap<Vec<u8>, Source>,
    /// How many of them each source has.
    sources: BTreeMap<Vec<u8>, usize>,
    /// Links that there was no room for.
    pub forgotten: u64,
    /// Watched places by where the image really has them; `None` until it was asked.
    places: Option<HashMap<Vec<u8>, &'static str>>,
}

/// What a hard link was made of.
#[derive(Clone, Debug)]
struct Source {
    name: Vec<u8>,
    /// It was not made in the run: who reads it reads what was there before.
    is_old: bool,
}

impl Aliases {
    pub fn linked(&mut self, from: &File, to: &[u8]) {
        let own = Source { name: from.path.to_vec(), is_old: from.origin != Origin::Written };
        // A link of a link is one of the first.
        let source = self.links.get(&from.path[..]).cloned().unwrap_or(own);
        if !source.is_old && !SYSTEM.iter().any(|place| source.name.starts_with(place)) {
            return;
        }
        if self.links.len() >= LINKS_MAX {
            self.forgotten += 1;
            return;
        }
        self.insert(to.to_vec(), source);
    }

    pub fn unlinked(&mut self, path: &[u8]) {
        self.remove(path);
        if self.sources.remove(path).is_some() {
            self.links.retain(|_, source| source.name != path);
        }
    }

    /// Also of a directory, with all that is below it.
    pub fn renamed(&mut self, from: &[u8], to: &[u8]) {
        if self.links.is_empty() {
            return;
        }
        self.unlinked(to);
        if !stands_below(&self.sources, from) && !stands_below(&self.links, from) {
            return;
        }
        self.sources.clear();
        for (name, source) in std::mem::take(&mut self.links) {
            let source_name = moved(&source.name, from, to).unwrap_or(source.name);
            self.insert(moved(&name, from, to).unwrap_or(name), Source { name: source_name, ..source });
        }
    }

    pub fn exchanged(&mut self, one: &[u8], other: &[u8]) {
        // No name of an image ends so.
        let aside = [one, b"/\0"].concat();
        self.renamed(one, &aside);
        self.renamed(other, one);
        self.renamed(&aside, other);
    }

    fn insert(&mut self, name: Vec<u8>, source: Source) {
        self.remove(&name);
        *self.sources.entry(source.name.clone()).or_default() += 1;
        self.links.insert(name, source);
    }

    fn remove(&mut self, name: &[u8]) {
        let Some(source) = self.links.remove(name) else { return };
        if let Some(count) = self.sources.get_mut(&source.name) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&source.name);
            }
        }
    }

    /// The first name of what stands at a hard link.
    fn first_name(&self, path: &[u8], is_change: bool) -> Option<Vec<u8>> {
        let source = self.links.get(path)?;
        (is_change || source.is_old).then(|| source.name.clone())
    }

    /// The watched name of what lies at or below a place.
    fn watched_name(
        &mut self,
        path: &[u8],
        names: &mut Names,
        image: &mut dyn Provenance,
    ) -> Option<Vec<u8>> {
        let places = self.places.get_or_insert_with(|| places(names, image));
        if places.is_empty() {
            return None;
        }
        let ends = (1..=path.len()).rev().filter(|&end| end == path.len() || path[end] == b'/');
        let found = ends.filter_map(|end| Some((places.get(&path[..end])?, &path[end..])));
        found.map(|(place, rest)| [place.as_bytes(), rest].concat()).next()
    }
}

/// Whether a name is this one or below it.
fn stands_below<T>(names: &BTreeMap<Vec<u8>, T>, path: &[u8]) -> bool {
    let below = [path, b"/"].concat();
    let next = names.range(below.clone()..).next();
    names.contains_key(path) || next.is_some_and(|(name, _)| name.starts_with(&below))
}

/// The new name of what stands at or below a name that was moved.
fn moved(name: &[u8], from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
    let rest = name.strip_prefix(from).filter(|rest| matches!(rest, [] | [b'/', ..]))?;
    Some([to, rest].concat())
}

fn places(names: &mut Names, image: &mut dyn Provenance) -> HashMap<Vec<u8>, &'static str> {
    let place = |watched: &&'static str| {
        let argument = PathArgument { text: watched.as_bytes().to_vec(), ..PathArgument::default() };
        let resolved = names.resolve(&argument, Last::Follow, 0, image);
        (resolved.sure && resolved.path != watched.as_bytes()).then_some((resolved.path, *watched))
    };
    // In the order of the list: the last of several is the nearest to the file.
    WATCHED.iter().filter_map(place).collect()
}

impl<P: Provenance> Normaliser<P> {
    /// The same act by another name of the file, if it has one.
    pub(super) fn by_other_name(&mut self, act: &FileAct) -> Option<FileAct> {
        let (file, is_change) = match act {
            FileAct::Open { file, mode } => (file, mode.write || mode.created || mode.truncate),
            FileAct::Chmod { file, .. } | FileAct::Change { file, .. } | FileAct::Symlink { file, .. } => {
                (file, true)
            }
            FileAct::Rename { to, .. } | FileAct::Link { to, .. } => (to, true),
            _ => return None,
        };
        // A decoy is known under every name.
        if !is_change && file.bait.is_some() {
            return None;
        }
        let is_of_file = matches!(act, FileAct::Open { .. } | FileAct::Chmod { .. } | FileAct::Change { .. });
        let first = self.aliases.first_name(&file.path, is_change).filter(|_| is_of_file);
        let name = match first {
            None if is_change => self.aliases.watched_name(&file.path, &mut self.names, &mut self.provenance),
            first => first,
        }?;
        let mut act = act.clone();
        match &mut act {
            FileAct::Open { file, .. }
            | FileAct::Chmod { file, .. }
            | FileAct::Change { file, .. }
            | FileAct::Symlink { file, .. }
            | FileAct::Rename { to: file, .. }
            | FileAct::Link { to: file, .. } => file.path = Bytes::from(name),
            _ => return None,
        }
        Some(act)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FileKind;

    fn file(path: &str, origin: Origin) -> File {
        let (path, kind) = (Bytes::from(path.as_bytes()), FileKind::Regular);
        File { path, verified: true, inode: None, kind, origin, bait: None }
    }

    fn first(aliases: &Aliases, path: &str, is_change: bool) -> Option<String> {
        aliases.first_name(path.as_bytes(), is_change).map(|name| String::from_utf8(name).unwrap())
    }

    #[test]
    fn a_hard_link_is_followed_to_its_first_name() {
        let mut aliases = Aliases::default();
        aliases.linked(&file("/etc/passwd", Origin::Layer(0)), b"/tmp/d/a");
        aliases.linked(&file("/tmp/d/a", Origin::Layer(0)), b"/tmp/b");
        aliases.linked(&file("/etc/new", Origin::Written), b"/tmp/c");
        aliases.linked(&file("/store/new", Origin::Written), b"/tmp/y");
        aliases.renamed(b"/tmp/d", b"/tmp/e");
        aliases.exchanged(b"/tmp/b", b"/tmp/x");
        let check = |path: &str, is_change, expected: Option<&str>| {
            assert_eq!(first(&aliases, path, is_change).as_deref(), expected, "{path}");
        };
        check("/tmp/e/a", true, Some("/etc/passwd"));
        check("/tmp/x", false, Some("/etc/passwd"));
        check("/tmp/d/a", true, None);
        check("/tmp/b", true, None);
        // Reading what was made in the run says nothing new.
        check("/tmp/c", true, Some("/etc/new"));
        check("/tmp/c", false, None);
        check("/tmp/y", true, None);
    }

    #[test]
    fn a_name_that_is_gone_or_anothers_is_followed_no_more() {
        let mut aliases = Aliases::default();
        for to in ["/tmp/a", "/tmp/b"] {
            aliases.linked(&file("/etc/passwd", Origin::Layer(0)), to.as_bytes());
        }
        aliases.unlinked(b"/tmp/a");
        assert_eq!(first(&aliases, "/tmp/a", true), None);
        aliases.renamed(b"/etc/passwd", b"/etc/old");
        assert_eq!(first(&aliases, "/tmp/b", true).as_deref(), Some("/etc/old"));
        aliases.renamed(b"/etc/new", b"/etc/old");
        assert_eq!(first(&aliases, "/tmp/b", true), None);
    }
}
