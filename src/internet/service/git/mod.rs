//! git over HTTP (gitprotocol-http(5), gitprotocol-v2(5)): every repository exists, holds one commit,
//! and takes what is pushed.

mod line;
mod pack;

pub(super) use line::FLUSH;
use line::{banded, line, lines};
use pack::Repository;

use super::{Answer, Request};
use crate::internet::world::World;

const SERVICE: &str = "git";
/// The commit was made so long ago.
const AGE: u64 = 90 * 86_400;
/// Branches and tags that a client asks for by name and that are made for it, at most.
const NAMES_MAX: usize = 8;
const NAME_MAX: usize = 200;

const READS: &str = "side-band-64k shallow ofs-delta object-format=sha1 agent=git/2.43.0";
const WRITES: &str = "report-status delete-refs side-band-64k ofs-delta object-format=sha1 agent=git/2.43.0";
const PUSHERS: &[&str] = &["github-token", "netrc-login"];

pub fn answer(world: &World, request: &Request<'_>) -> Option<Answer> {
    let path = request.path();
    let repository = Repository::new(world.now.saturating_sub(AGE));
    let asked = request.parameter("service");
    if path.ends_with("/info/refs") {
        return match asked.as_deref() {
            Some("git-upload-pack") => Some(reads(request, &repository)),
            Some("git-receive-pack") => Some(writes(request, &repository)),
            _ => None,
        };
    }
    if request.method != "POST" {
        return None;
    }
    if path.ends_with("/git-upload-pack") {
        return Some(upload_pack(request, &repository));
    }
    path.ends_with("/git-receive-pack").then(|| receive_pack(request))
}

/// What git's own daemon says first of its repositories; over HTTP there is a line before it.
pub(super) fn advertise(now: u64, is_second: bool) -> Vec<u8> {
    references(&Repository::new(now.saturating_sub(AGE)), is_second)
}

/// What that daemon answers to a whole question.
pub(super) fn answer_to(now: u64, is_second: bool, question: &[u8]) -> Vec<u8> {
    upload(&Repository::new(now.saturating_sub(AGE)), is_second, question)
}

/// The lines of a question.
pub(super) fn wanted(question: &[u8]) -> Vec<u8> {
    lines(question).join(&b' ')
}

pub(super) fn refuse(why: &str) -> Vec<u8> {
    line(&format!("ERR {why}\n"))
}

fn message(kind: &'static str, body: Vec<u8>) -> Answer {
    Answer::with(SERVICE, kind, body).header("cache-control", "no-cache").accepts(PUSHERS)
}

fn is_second(request: &Request<'_>) -> bool {
    request.header("git-protocol").is_some_and(|protocol| protocol.split(':').any(|word| word == "version=2"))
}

fn reads(request: &Request<'_>, repository: &Repository) -> Answer {
    let mut body = [line("# service=git-upload-pack\n"), FLUSH.to_vec()].concat();
    body.extend(references(repository, is_second(request)));
    message("application/x-git-upload-pack-advertisement", body)
}

fn references(repository: &Repository, is_second: bool) -> Vec<u8> {
    let mut body = Vec::new();
    if is_second {
        let abilities = ["version 2", "agent=git/2.43.0", "ls-refs", "fetch=shallow", "object-format=sha1"];
        body.extend(abilities.iter().flat_map(|ability| line(&format!("{ability}\n"))));
    } else {
        let head = repository.head();
        body.extend(line(&format!("{head} HEAD\0symref=HEAD:refs/heads/main {READS}\n")));
        body.extend(line(&format!("{head} refs/heads/main\n")));
    }
    body.extend(FLUSH);
    body
}

/// A push must be signed, so that the client shows the credentials that it has.
fn writes(request: &Request<'_>, repository: &Repository) -> Answer {
    if !request.is_signed_in() {
        return Answer::text(SERVICE, "Authentication required\n")
            .status(401)
            .header("www-authenticate", "Basic realm=\"git\"");
    }
    // Whoever pushes finds it empty, as one that was made for it: nothing there is newer than what he has.
    let none = "0".repeat(repository.head().len());
    let refs = line(&format!("{none} capabilities^{{}}\0{WRITES}\n"));
    let body = [line("# service=git-receive-pack\n"), FLUSH.to_vec(), refs, FLUSH.to_vec()].concat();
    message("application/x-git-receive-pack-advertisement", body)
}

fn upload_pack(request: &Request<'_>, repository: &Repository) -> Answer {
    let body = upload(repository, is_second(request), request.body);
    message("application/x-git-upload-pack-result", body)
}

fn upload(repository: &Repository, is_second: bool, question: &[u8]) -> Vec<u8> {
    let asked = lines(question);
    let has = |word: &[u8]| asked.iter().any(|line| line.starts_with(word));
    if !is_second {
        first_version(repository, &asked)
    } else if has(b"command=ls-refs") {
        list(repository, &asked)
    } else {
        [line("packfile\n"), banded(&repository.pack()), FLUSH.to_vec()].concat()
    }
}

/// The references, and those that a client asks for by their whole name.
fn list(repository: &Repository, asked: &[&[u8]]) -> Vec<u8> {
    let head = repository.head();
    let mut body = line(&format!("{head} HEAD symref-target:refs/heads/main\n"));
    let named = asked.iter().filter_map(|line| std::str::from_utf8(line.strip_prefix(b"ref-prefix ")?).ok());
    let mut names = vec!["refs/heads/main"];
    names.extend(named.filter(|name| is_branch(name)).take(NAMES_MAX));
    names.sort_unstable();
    names.dedup();
    body.extend(names.iter().flat_map(|name| line(&format!("{head} {name}\n"))));
    body.extend(FLUSH);
    body
}

fn is_branch(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let rest = name.strip_prefix("refs/heads/").unwrap_or_default();
    !rest.is_empty() && name.len() <= NAME_MAX && !rest.ends_with('/') && name.chars().all(plain)
}

/// Version 0: `done` asks for the pack, before it there is nothing in common.
fn first_version(repository: &Repository, asked: &[&[u8]]) -> Vec<u8> {
    let has = |word: &[u8]| asked.iter().any(|line| line.starts_with(word));
    let mut body = Vec::new();
    if has(b"deepen") {
        // The history has one commit: no depth cuts it.
        body.extend(FLUSH);
    }
    // Who only asked for the depth asks again.
    if has(b"done") || has(b"have") {
        body.extend(line("NAK\n"));
    }
    if has(b"done") {
        let wide = asked.iter().any(|line| line.windows(13).any(|word| word == b"side-band-64k"));
        match wide {
            true => body.extend([banded(&repository.pack()), FLUSH.to_vec()].concat()),
            false => body.extend(repository.pack()),
        }
    }
    body
}

/// Takes every reference that is pushed.
fn receive_pack(request: &Request<'_>) -> Answer {
    let kind = "application/x-git-receive-pack-result";
    // `old new name`; the first also has what the client can do.
    let commands: Vec<&[u8]> =
        lines(request.body).into_iter().take_while(|line| !line.starts_with(b"PACK")).collect();
    if commands.is_empty() {
        return message(kind, FLUSH.to_vec());
    }
    let mut report = line("unpack ok\n");
    for command in &commands {
        let command = command.split(|byte| *byte == 0).next().unwrap_or_default();
        let name = command.splitn(3, |byte| *byte == b' ').nth(2).unwrap_or_default();
        report.extend(line(&format!("ok {}\n", String::from_utf8_lossy(name))));
    }
    report.extend(FLUSH);
    let wide = commands[0].windows(13).any(|word| word == b"side-band-64k");
    let body = if wide { [banded(&report), FLUSH.to_vec()].concat() } else { report };
    message(kind, body)
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::super::tests::{get, headers, with_headers, world};
    use super::*;

    fn contains(body: &[u8], part: &str) -> bool {
        body.windows(part.len()).any(|window| window == part.as_bytes())
    }

    #[test]
    fn a_repository_is_advertised_in_both_versions() {
        let target = "/a/b.git/info/refs?service=git-upload-pack";
        let first = answer(&world(), &get("github.com", target));
        assert!(contains(&first.body, "refs/heads/main\n") && contains(&first.body, "side-band-64k"));
        let second = headers(&[("git-protocol", "version=2")]);
        let second = answer(&world(), &with_headers(get("github.com", target), &second));
        assert!(contains(&second.body, "000eversion 2\n"));
    }

    #[test]
    fn a_push_shows_its_credentials_and_is_taken() {
        let target = "/a/b.git/info/refs?service=git-receive-pack";
        let refused = answer(&world(), &get("github.com", target));
        assert_eq!(refused.status, 401);
        let signed = headers(&[("authorization", "Basic dXNlcjp0b2tlbg==")]);
        let taken = answer(&world(), &with_headers(get("github.com", target), &signed));
        assert_eq!((taken.status, taken.accepts), (200, PUSHERS));
        let body = [line("0 1 refs/heads/x\0report-status"), FLUSH.to_vec(), b"PACK".to_vec()].concat();
        let pushed =
            Request { method: "POST", body: &body, ..get("github.com", "/a/b.git/git-receive-pack") };
        assert_eq!(answer(&world(), &pushed).body, b"000eunpack ok\n0014ok refs/heads/x\n0000");
    }

    #[test]
    fn a_branch_that_is_asked_for_exists() {
        let check = |name: &str, expected: bool| assert_eq!(is_branch(name), expected, "{name}");
        check("refs/heads/v1.2", true);
        check("refs/heads/", false);
        check("refs/tags/v1.2", false);
        check("refs/heads/a\nb", false);
    }
}
