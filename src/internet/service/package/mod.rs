//! Package indexes that the usual installers accept: every project exists, and holds nothing.

mod npm;
mod pypi;
mod version;
mod wheel;

use super::{Answer, Request};
use crate::internet::world::World;

pub fn answer(world: &World, request: &Request<'_>) -> Option<Answer> {
    pypi::answer(world, request).or_else(|| npm::answer(world, request)).or_else(|| absent(request))
}

/// Hosts of distributions and languages whose installers verify what they get: they find nothing, and
/// say so at once.
const ABSENT: [&str; 27] = [
    "deb.debian.org",
    "security.debian.org",
    "ftp.debian.org",
    "archive.ubuntu.com",
    "security.ubuntu.com",
    "ports.ubuntu.com",
    "dl-cdn.alpinelinux.org",
    "mirrors.fedoraproject.org",
    "mirrorlist.centos.org",
    "mirror.centos.org",
    "vault.centos.org",
    "mirrors.rockylinux.org",
    "cdn-ubi.redhat.com",
    "geo.mirror.pkgbuild.com",
    "rubygems.org",
    "index.rubygems.org",
    "index.crates.io",
    "crates.io",
    "static.crates.io",
    "proxy.golang.org",
    "sum.golang.org",
    "repo.maven.apache.org",
    "repo1.maven.org",
    "repo.packagist.org",
    "packagist.org",
    "cpan.metacpan.org",
    "conda.anaconda.org",
];

/// Files by which package lists are known at any mirror.
const LISTS: [&str; 5] =
    ["/inrelease", "/release", "/release.gpg", "/apkindex.tar.gz", "/repodata/repomd.xml"];

fn absent(request: &Request<'_>) -> Option<Answer> {
    let path = request.path().to_ascii_lowercase();
    let is_list = LISTS.iter().any(|list| path.ends_with(list)) || path.contains("/dists/");
    let known = request.is_at_any(&ABSENT) || is_list;
    known.then(|| Answer::text("packages", "404 Not Found\n").status(404))
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::super::tests::{get, world};

    #[test]
    fn a_distribution_has_no_packages_at_any_mirror() {
        let check = |host: &str, path: &str| {
            let answer = answer(&world(), &get(host, path));
            assert_eq!((answer.status, answer.service), (404, "packages"), "{host}{path}");
        };
        check("deb.debian.org", "/debian/dists/bookworm/InRelease");
        check("mirror.example", "/debian/dists/bookworm/main/binary-amd64/Packages.xz");
        check("mirror.example", "/alpine/v3.20/main/x86_64/APKINDEX.tar.gz");
        check("proxy.golang.org", "/github.com/a/b/@v/list");
    }
}
