//! Finds the user and groups that the image's configuration names, in the image's own passwd and group.
//!
//! Runs inside the cage; the texts are hostile: bounded by the caller, taken line by line as bytes, what
//! does not parse is passed over.

use super::state::RANGE;

/// As whom the program runs. Ids are those of the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub uid: u32,
    pub gid: u32,
    /// The first is `gid` itself, as engines have it since CVE-2022-36109: a group that is denied something
    /// must not be left out by becoming primary.
    pub groups: Vec<u32>,
    /// Absolute.
    pub home: Vec<u8>,
}

/// Supplementary groups that are taken; the kernel's own bound is 65536.
const GROUPS_MAX: usize = 1024;

impl User {
    /// Finds what `text` (`user`, `uid`, `user:group`, `uid:gid`, mixed, or nothing) means. `Err` names the
    /// part that is neither known nor a number in range.
    pub fn find(text: &str, passwd: &[u8], group: &[u8]) -> Result<User, String> {
        let (name, wanted) = match text.split_once(':') {
            Some((name, wanted)) => (name, Some(wanted).filter(|wanted| !wanted.is_empty())),
            None => (text, None),
        };
        let name = if name.is_empty() { "0" } else { name };
        let entry = find_user(name, passwd);
        let uid = match &entry {
            Some(entry) => entry.uid,
            None => number(name.as_bytes()).ok_or(name)?,
        };
        let gid = match wanted {
            Some(wanted) => find_group(wanted, group).ok_or(wanted)?,
            None => entry.as_ref().map_or(0, |entry| entry.gid),
        };
        let mut groups = vec![gid];
        if let (Some(entry), None) = (&entry, wanted) {
            groups.extend(memberships(&entry.name, group).filter(|more| *more != gid).take(GROUPS_MAX));
        }
        let home = entry.map(|entry| entry.home).filter(|home| home.starts_with(b"/"));
        Ok(User { uid, gid, groups, home: home.unwrap_or_else(|| b"/".to_vec()) })
    }
}

struct Entry {
    name: Vec<u8>,
    uid: u32,
    gid: u32,
    home: Vec<u8>,
}

/// By name, else by number.
fn find_user(name: &str, passwd: &[u8]) -> Option<Entry> {
    let entries = || lines(passwd).filter_map(entry);
    let by_name = entries().find(|entry| entry.name == name.as_bytes());
    by_name.or_else(|| {
        let uid = number(name.as_bytes())?;
        entries().find(|entry| entry.uid == uid)
    })
}

/// `name:password:uid:gid:comment:home:shell`
fn entry(line: &[u8]) -> Option<Entry> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
    let [name, _, uid, gid, _, home, ..] = fields[..] else { return None };
    Some(Entry { name: name.to_vec(), uid: number(uid)?, gid: number(gid)?, home: home.to_vec() })
}

/// `name:password:gid:members`, by name, else by number, which needs no line.
fn find_group(name: &str, group: &[u8]) -> Option<u32> {
    let by_name = lines(group).find_map(|line| {
        let (found, gid, _) = group_entry(line)?;
        (found == name.as_bytes()).then_some(gid)
    });
    by_name.or_else(|| number(name.as_bytes()))
}

fn memberships(name: &[u8], group: &[u8]) -> impl Iterator<Item = u32> {
    lines(group).filter_map(move |line| {
        let (_, gid, members) = group_entry(line)?;
        members.split(|byte| *byte == b',').any(|member| member == name).then_some(gid)
    })
}

fn group_entry(line: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let mut fields = line.split(|byte| *byte == b':');
    let (name, _, gid) = (fields.next()?, fields.next()?, number(fields.next()?)?);
    Some((name, gid, fields.next().unwrap_or_default()))
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

/// An id that the container's user namespace maps.
fn number(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id < RANGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] =
        b"root:x:0:0:root:/root:/bin/sh\njunk\nredis:x:999:998::/var/lib/redis:/bin/false\n\
        bad:x:nine:1::/:\n12:x:13:13::relative:\nhuge:x:70000:1::/:\n";
    const GROUP: &[u8] = b"root:x:0:\nredis:x:998:\ntls:x:101:redis,other\ndisk:x:6:other,redisx\n";

    #[test]
    fn users_are_found_by_name_and_number() {
        let check = |text: &str, expected: Result<(u32, u32, &[u32], &str), &str>| {
            let found = User::find(text, PASSWD, GROUP);
            let expected = expected.map(|(uid, gid, groups, home)| User {
                uid,
                gid,
                groups: groups.to_vec(),
                home: home.into(),
            });
            assert_eq!(found, expected.map_err(String::from), "{text:?}");
        };
        check("", Ok((0, 0, &[0], "/root")));
        check("redis", Ok((999, 998, &[998, 101], "/var/lib/redis")));
        check("999", Ok((999, 998, &[998, 101], "/var/lib/redis")));
        check("redis:root", Ok((999, 0, &[0], "/var/lib/redis")));
        check("1000:1001", Ok((1000, 1001, &[1001], "/")));
        check("1000", Ok((1000, 0, &[0], "/")));
        check(":tls", Ok((0, 101, &[101], "/root")));
        check("redis:", Ok((999, 998, &[998, 101], "/var/lib/redis")));
        check("12", Ok((13, 13, &[13], "/"))); // a name before a number
        check("nobody", Err("nobody"));
        check("redis:nogroup", Err("nogroup"));
        check("65536", Err("65536"));
        check("huge", Err("huge"));
        check("-1", Err("-1"));
        check("+5", Err("+5"));
    }

    #[test]
    fn an_image_without_files_has_root_and_numbers() {
        assert_eq!(User::find("", b"", b"").unwrap().home, b"/");
        assert_eq!(User::find("7:8", b"", b"").unwrap().gid, 8);
    }
}
