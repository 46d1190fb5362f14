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
    "command-and-control/download-tool-run.yaml"
    "command-and-control/foreign-program-connects.yaml"
    "command-and-control/raw-socket-denied.yaml"
    "command-and-control/written-program-connects.yaml"
    "credential-access/cloud-metadata-contacted.yaml"
    "credential-access/credential-file-read.yaml"
    "credential-access/process-environment-read.yaml"
    "credential-access/raw-network-denied.yaml"
    "credential-access/service-token-read.yaml"
    "credential-access/shadow-read-by-tool.yaml"
    "credential-access/ssh-private-key-read.yaml"
    "defense-impairment/log-removed.yaml"
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
    "impact/miner-arguments.yaml"
    "impact/miner-port-contacted.yaml"
    "impact/service-killed.yaml"
    "persistence/account-database-changed.yaml"
    "persistence/account-database-replaced.yaml"
    "persistence/authorized-keys-written.yaml"
    "persistence/cron-job-replaced.yaml"
    "persistence/cron-job-written.yaml"
    "persistence/shadow-written.yaml"
    "persistence/shell-profile-changed.yaml"
    "persistence/system-program-overwritten.yaml"
    "persistence/system-service-written.yaml"
    "privilege-escalation/cgroup-left.yaml"
    "privilege-escalation/device-node-denied.yaml"
    "privilege-escalation/empty-argument-vector.yaml"
    "privilege-escalation/escape-call-denied.yaml"
    "privilege-escalation/host-device-opened.yaml"
    "privilege-escalation/hypervisor-socket-denied.yaml"
    "privilege-escalation/kernel-setting-written.yaml"
    "privilege-escalation/kernel-surface-denied.yaml"
    "privilege-escalation/kernel-tampering-denied.yaml"
    "privilege-escalation/machine-control-denied.yaml"
    "privilege-escalation/namespace-creation-denied.yaml"
    "privilege-escalation/namespace-made.yaml"
    "privilege-escalation/root-regained.yaml"
    "privilege-escalation/runtime-socket-used.yaml"
    "privilege-escalation/setuid-bit-in-odd-place.yaml"
    "privilege-escalation/setuid-bit-set.yaml"
    "privilege-escalation/sudoers-changed.yaml"
    "privilege-escalation/user-fault-asked.yaml"
    "stealth/debugger-check.yaml"
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
