//! Where else than in the system's bundle programs look for authorities: bundles that Python's packages
//! carry, and the homes of Java.

use crate::image::Rootfs;

/// Of each kind, so many are looked for: an image has one or two.
const FOUND_MAX: usize = 24;

/// Where environments of Python are.
const PYTHON: [&str; 9] = [
    "/usr/local/lib",
    "/usr/lib",
    "/usr/lib64",
    "/opt/venv/lib",
    "/venv/lib",
    "/app/.venv/lib",
    "/app/venv/lib",
    "/opt/conda/lib",
    "/root/.local/lib",
];
/// Bundles of packages that ask no variable.
const BUNDLES: [&str; 4] = [
    "certifi/cacert.pem",
    "pip/_vendor/certifi/cacert.pem",
    "botocore/cacert.pem",
    "grpc/_cython/_credentials/roots.pem",
];
/// Where homes of Java are, and such homes themselves.
const JAVA: [&str; 4] = ["/usr/lib/jvm", "/usr/java", "/usr/local", "/opt"];
const JAVA_HOMES: [&str; 3] = ["/opt/java/openjdk", "/opt/java", "/usr/local/java"];
/// A home has its authorities there; before Java 9 below the runtime.
const STORES: [&str; 2] = ["lib/security", "jre/lib/security"];

/// Files to which a certificate is to be added.
pub fn bundles(rootfs: &Rootfs) -> Vec<String> {
    let mut found = Vec::new();
    for place in PYTHON {
        let names = rootfs.names(place.as_bytes(), |name| name.starts_with(b"python3"));
        for name in names {
            let name = String::from_utf8_lossy(&name).into_owned();
            for (packages, bundle) in
                ["site-packages", "dist-packages"].iter().flat_map(|it| BUNDLES.map(|b| (it, b)))
            {
                let path = format!("{place}/{name}/{packages}/{bundle}");
                if found.len() < FOUND_MAX && rootfs.open_file(path.as_bytes()).is_some() {
                    found.push(path);
                }
            }
        }
    }
    found
}

/// Directories in which Java has its authorities. `home`: what the image says of it.
pub fn stores(rootfs: &Rootfs, home: Option<&str>) -> Vec<String> {
    let looks_so = |name: &[u8]| {
        [&b"java"[..], b"jdk", b"jre", b"jvm", b"openjdk", b"zulu", b"temurin", b"graal", b"default"]
            .iter()
            .any(|word| name.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word)))
    };
    let mut homes: Vec<String> = home.into_iter().chain(JAVA_HOMES).map(str::to_owned).collect();
    for place in JAVA {
        let names = rootfs.names(place.as_bytes(), looks_so);
        homes.extend(names.iter().map(|name| format!("{place}/{}", String::from_utf8_lossy(name))));
    }
    let mut found: Vec<String> = Vec::new();
    for path in
        homes.iter().flat_map(|home| STORES.map(|store| format!("{}/{store}", home.trim_end_matches('/'))))
    {
        let has = rootfs.entry(format!("{path}/cacerts").as_bytes()).is_some();
        if has && found.len() < FOUND_MAX && !found.contains(&path) {
            found.push(path);
        }
    }
    found
}
