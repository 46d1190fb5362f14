//! Has the image trust the run's authority: its certificate in the bundles that libraries read, and the
//! bundle in the variables that other libraries ask.
//!
//! Java looks for a store of its own beside the one that it ships (`jssecacerts`), and is given one.
//!
//! Not covered, and clients there see an unknown authority (which is a fact that is recorded): programs with
//! a bundle inside them, as those of Rust's webpki-roots; pinned certificates.

mod keystore;
mod place;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::image::Rootfs;
use crate::sandbox::{How, Plan, Plant};

/// Where OpenSSL, GnuTLS and Go look: Debian's, Alpine's, Red Hat's, openSUSE's.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
];

/// Made where the image has none of these: where Debian's package would put it.
const OWN: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What else is asked: Python's requests, pip and ssl; curl; git; the AWS client; Deno and Node, which adds
/// it to its own.
const VARIABLES: [&str; 10] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "DENO_CERT",
    "NODE_EXTRA_CA_CERTS",
    "CARGO_HTTP_CAINFO",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
];

/// What Java's own authorities are replaced with, where it is there.
const JAVA_STORE: &str = "jssecacerts";

/// Adds `certificate` (PEM) to what the plan plants, and the variables that the image does not set.
pub fn trust(certificate: &str, plan: &mut Plan, rootfs: &Rootfs) {
    let present = BUNDLES.into_iter().filter(|path| rootfs.open_file(path.as_bytes()).is_some());
    trust_in(certificate, plan, &present.collect::<Vec<_>>());
    let carried = place::bundles(rootfs).into_iter();
    plan.plants.extend(carried.map(|path| plant(&path, appended(certificate), How::Append)));
    let home =
        plan.env.iter().find_map(|entry| entry.to_str()?.strip_prefix("JAVA_HOME=")).map(str::to_owned);
    if let Some(store) = keystore::keystore(certificate) {
        let places = place::stores(rootfs, home.as_deref()).into_iter();
        plan.plants.extend(places.map(|it| plant(&format!("{it}/{JAVA_STORE}"), store.clone(), How::New)));
    }
}

/// A bundle that ends without a line's end would swallow the first line.
fn appended(certificate: &str) -> Vec<u8> {
    format!("\n{}\n", certificate.trim_end()).into_bytes()
}

fn plant(path: &str, content: Vec<u8>, how: How) -> Plant {
    Plant { path: path.into(), content, mode: 0o644, how }
}

fn trust_in(certificate: &str, plan: &mut Plan, bundles: &[&str]) {
    let content = appended(certificate);
    plan.plants.extend(bundles.iter().map(|path| plant(path, content.clone(), How::Append)));
    if bundles.is_empty() {
        plan.plants.push(plant(OWN, content, How::New));
    }
    let bundle = bundles.first().copied().unwrap_or(OWN);
    for name in VARIABLES {
        let set = format!("{name}=");
        if !plan.env.iter().any(|entry| entry.as_bytes().starts_with(set.as_bytes())) {
            plan.env.push(OsString::from(set + bundle));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Config;
    use crate::sandbox::{Options, RunId};

    fn plan(env: &[&str]) -> Plan {
        let env = env.iter().map(OsString::from).collect();
        let config = Config { cmd: vec!["/x".into()], env, ..Config::default() };
        let run = RunId::random().unwrap();
        Plan::new(&config, &Options::default(), &run).unwrap()
    }

    fn value(plan: &Plan, name: &str) -> String {
        let set = format!("{name}=");
        let mut all = plan.env.iter().filter_map(|it| it.to_str()?.strip_prefix(&set));
        let value = all.next().unwrap().to_owned();
        assert_eq!(all.next(), None, "{name} is set twice");
        value
    }

    #[test]
    fn every_bundle_of_the_image_gets_the_certificate_and_variables_name_the_first() {
        let mut plan = plan(&[]);
        trust_in("-----BEGIN", &mut plan, &BUNDLES[1..3]);
        let planted: Vec<_> = plan.plants.iter().map(|plant| (&plant.path[..], plant.how)).collect();
        let expected = BUNDLES[1..3].iter().map(|path| (path.as_bytes(), How::Append));
        assert_eq!(planted, expected.collect::<Vec<_>>());
        assert_eq!(plan.plants[0].content, b"\n-----BEGIN\n");
        assert_eq!(value(&plan, "SSL_CERT_FILE"), BUNDLES[1]);
    }

    #[test]
    fn an_image_without_bundles_gets_one() {
        let mut plan = plan(&[]);
        trust_in("c", &mut plan, &[]);
        assert_eq!((&plan.plants[0].path[..], plan.plants[0].how), (OWN.as_bytes(), How::New));
        assert_eq!(value(&plan, "NODE_EXTRA_CA_CERTS"), OWN);
    }

    #[test]
    fn what_the_image_sets_stays() {
        let mut plan = plan(&["PIP_CERT=/own", "SSL_CERT_FILE="]);
        trust_in("c", &mut plan, &BUNDLES[..1]);
        assert_eq!((value(&plan, "PIP_CERT"), value(&plan, "SSL_CERT_FILE")), ("/own".into(), String::new()));
    }
}
