//! Baits in a run: where they lie, who is seen to read them, and that what carries them off is found.
//!
//! Needs root, LAZARET_LIVE=1 and the Debian packages busybox-static and curl.
#![cfg(feature = "live")]
#![allow(clippy::unwrap_used)] // a test that cannot go on is a test that failed

#[path = "../support/mod.rs"]
mod support;

#[path = "../live_analyze/place.rs"]
#[allow(dead_code)] // live_analyze uses all of it
mod place;

mod odd;
mod read;
mod sent;

use std::process::Command;

use place::{Place, busybox, run};
use serde_json::Value;
use support::image::LayerBuilder;

/// Where a bait lies by default, and its name.
pub const PLACES: [(&str, &str); 20] = [
    ("/root/.aws/credentials", "aws-credentials"),
    ("/root/.azure/msal_token_cache.json", "azure-credentials"),
    ("/root/backup/wallet.dat", "bitcoin-wallet"),
    ("/var/backups/orders-2024-03-11.sql.gz", "database-dump"),
    ("/opt/orders/.env", "dotenv"),
    (
        "/root/.ethereum/keystore/UTC--2021-09-14T08-21-37.418290713Z--5a3f1c6e0d9b47a28cfe13b0964d7e2185ab30fd",
        "ethereum-wallet",
    ),
    (
        "/root/.config/gcloud/legacy_credentials/deploy@orders-prod.iam.gserviceaccount.com/adc.json",
        "gcp-credentials",
    ),
    ("/root/.git-credentials", "github-token"),
    ("/root/.kube/config", "kube-config"),
    ("/var/run/secrets/kubernetes.io/serviceaccount/token", "kube-token"),
    ("/root/.my.cnf", "mysql-login"),
    ("/root/.netrc", "netrc-login"),
    ("/root/.npmrc", "npm-token"),
    ("/root/.pgpass", "postgres-login"),
    ("/root/.pypirc", "pypi-token"),
    ("/root/.docker/config.json", "registry-login"),
    ("/root/.bash_history", "shell-history"),
    ("/root/.config/solana/id.json", "solana-wallet"),
    ("/root/.ssh/id_ed25519", "ssh-key"),
    ("/root/.ssh/id_rsa", "ssh-key"),
];

/// Runs a shell script in an image of busybox, with `more` in it; gives the report.
pub fn report_of(place: &Place, script: &str, more: impl FnOnce(LayerBuilder) -> LayerBuilder) -> Value {
    let mut layer = busybox();
    for applet in ["base64", "fold", "head", "ln", "mv", "od", "printf", "tr"] {
        layer = layer.symlink(format!("bin/{applet}"), "busybox");
    }
    let image = place.image(run(more(layer), &["/bin/sh", "-c", script]));
    let said = place.analyze(&["--duration", "120s", "--disk", "256m", &image]);
    assert!([0, 1, 4].contains(&said.code), "{}{}", said.stdout, said.stderr);
    place.assert_clean();
    place.report()
}

/// The findings of a rule.
pub fn findings<'r>(report: &'r Value, rule: &'r str) -> impl Iterator<Item = &'r Value> {
    let all = report["findings"].as_array().unwrap().iter();
    all.filter(move |finding| finding["rule"]["name"] == rule || finding["rule"] == rule)
}

/// A program of this host, with all that it is linked to.
pub fn from_host(mut layer: LayerBuilder, program: &str) -> LayerBuilder {
    let linked = Command::new("ldd").arg(program).output().expect("ldd").stdout;
    let linked = String::from_utf8(linked).unwrap();
    let words = linked.split_whitespace().filter(|word| word.starts_with('/'));
    for path in words.chain([program]) {
        let content = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        layer = layer.file(path.trim_start_matches('/'), &content, 0o755);
    }
    layer
}
