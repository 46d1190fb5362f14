//! System calls.

use crate::attempt::attempt;
use crate::support::live;

#[test]
fn calls_that_leave_a_container_are_refused_and_reported() {
    if !live() {
        return;
    }
    for (class, rules) in [
        ("mounts", &["escape-call-denied"][..]),
        ("namespaces", &["namespace-creation-denied"]),
        ("kernel", &["kernel-tampering-denied"]),
        ("surface", &["kernel-surface-denied", "machine-control-denied"]),
        ("machine", &["machine-control-denied"]),
        ("sockets", &["raw-network-denied", "raw-socket-denied", "hypervisor-socket-denied"]),
        ("devices", &["device-node-denied"]),
        ("narrow", &["escape-call-denied"]),
    ] {
        let answers = attempt("escape_calls", &[class]);
        answers.assert_reported(rules);
    }
}
