//! The rules that are shipped, embedded.
//!
//! The list is written by hand, one line per file below `rules/`; a test holds it against the folder.

use super::RuleSet;

macro_rules! rules {
    ($($path:literal)*) => {
        &[$(($path, include_str!(concat!("../../rules/", $path)))),*]
    };
}

/// Path below `rules/`, and content.
pub const SHIPPED: &[(&str, &str)] = rules! {
    "command-and-control/dead-drop-service-asked-for.yaml"
    "command-and-control/download-tool-run.yaml"
    "command-and-control/downloaded-file-made-executable-and-run.yaml"
    "command-and-control/foreign-program-connects.yaml"
    "command-and-control/name-service-carries-data.yaml"
    "command-and-control/raw-socket-denied.yaml"
    "command-and-control/written-file-made-executable-and-run.yaml"
    "command-and-control/written-program-connects.yaml"
    "command-and-control/written-program-listens.yaml"
    "credential-access/cloud-metadata-contacted.yaml"
    "credential-access/credential-file-read.yaml"
    "credential-access/credential-stores-read-in-mass.yaml"
    "credential-access/login-attempts-in-series.yaml"
    "credential-access/process-environment-read.yaml"
    "credential-access/raw-network-denied.yaml"
    "credential-access/service-token-read.yaml"
    "credential-access/shadow-read-by-tool.yaml"
    "credential-access/ssh-private-key-read.yaml"
    "defense-impairment/file-made-immutable.yaml"
    "defense-impairment/log-removed.yaml"
    "discovery/discovery-burst.yaml"
    "discovery/hosts-probed.yaml"
    "discovery/ports-probed.yaml"
    "execution/compat-entry-used.yaml"
    "execution/download-piped-to-shell.yaml"
    "execution/hidden-program-run.yaml"
    "execution/package-manager-run.yaml"
    "execution/program-run-from-temporary-directory.yaml"
    "execution/program-written-and-run.yaml"
    "execution/reverse-shell-command.yaml"
    "execution/reverse-shell.yaml"
    "execution/shell-opens-connection.yaml"
    "execution/shell-reaches-outside.yaml"
    "execution/socket-on-standard-input.yaml"
    "execution/socket-on-standard-stream.yaml"
    "execution/written-library-loaded.yaml"
    "impact/data-removed-everywhere.yaml"
    "impact/data-removed-in-mass.yaml"
    "impact/data-renamed-after-rewriting.yaml"
    "impact/data-replaced-by-copies.yaml"
    "impact/files-renamed-to-one-suffix.yaml"
    "impact/miner-arguments.yaml"
    "impact/miner-port-contacted.yaml"
    "impact/mining-pool-asked-for.yaml"
    "impact/process-limit-reached.yaml"
    "impact/processes-ended-in-mass.yaml"
    "impact/ransom-note-spread.yaml"
    "impact/service-killed.yaml"
    "impact/signals-sent-in-mass.yaml"
    "persistence/account-database-changed.yaml"
    "persistence/account-database-replaced.yaml"
    "persistence/authorized-keys-written.yaml"
    "persistence/cron-job-replaced.yaml"
    "persistence/cron-job-written.yaml"
    "persistence/persistence-in-several-places.yaml"
    "persistence/shadow-written.yaml"
    "persistence/shell-profile-changed.yaml"
    "persistence/system-program-overwritten.yaml"
    "persistence/system-service-written.yaml"
    "privilege-escalation/cgroup-left.yaml"
    "privilege-escalation/device-node-denied.yaml"
    "privilege-escalation/empty-argument-vector.yaml"
    "privilege-escalation/escape-attempts-in-series.yaml"
    "privilege-escalation/escape-call-denied.yaml"
    "privilege-escalation/file-capabilities-set.yaml"
    "privilege-escalation/host-device-opened.yaml"
    "privilege-escalation/hypervisor-socket-denied.yaml"
    "privilege-escalation/kernel-setting-written.yaml"
    "privilege-escalation/kernel-surface-denied.yaml"
    "privilege-escalation/kernel-tampering-denied.yaml"
    "privilege-escalation/machine-control-denied.yaml"
    "privilege-escalation/namespace-creation-denied.yaml"
    "privilege-escalation/namespace-made.yaml"
    "privilege-escalation/root-like-file-capability-set.yaml"
    "privilege-escalation/root-regained.yaml"
    "privilege-escalation/runtime-socket-used.yaml"
    "privilege-escalation/setuid-bit-in-odd-place.yaml"
    "privilege-escalation/setuid-bit-set.yaml"
    "privilege-escalation/sudoers-changed.yaml"
    "privilege-escalation/user-fault-asked.yaml"
    "stealth/argument-rewritten.yaml"
    "stealth/debugger-check.yaml"
    "stealth/decoded-text-interpreted.yaml"
    "stealth/dropped-program-removed.yaml"
    "stealth/file-time-set-back.yaml"
    "stealth/fileless-program-run.yaml"
    "stealth/image-program-removed-itself.yaml"
    "stealth/kernel-thread-masquerade.yaml"
    "stealth/ld-preload-written.yaml"
    "stealth/memory-file-mapped-as-code.yaml"
    "stealth/memory-written-then-run.yaml"
    "stealth/other-process-changed.yaml"
    "stealth/preload-environment.yaml"
    "stealth/process-memory-written.yaml"
    "stealth/process-tampering-denied.yaml"
    "stealth/program-removed-itself.yaml"
    "stealth/program-runs-on-without-file.yaml"
    "stealth/running-program-removed.yaml"
    "stealth/shell-history-removed.yaml"
    "stealth/thread-named-like-kernel.yaml"
};

impl RuleSet {
    /// The shipped rules.
    pub fn shipped() -> RuleSet {
        match RuleSet::load(SHIPPED.iter().copied()) {
            Ok(rules) => rules,
            Err(errors) => panic!("the shipped rules are wrong: {errors:?}"),
        }
    }
}
