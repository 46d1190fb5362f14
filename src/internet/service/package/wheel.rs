//! Python packages: a wheel for every name and version (PEP 427), with one module that takes any use.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::super::payload::archive::Member;
use super::super::payload::zip;

/// A module of which every attribute exists, can be called and does nothing: what was installed can be
/// imported, so that the program goes on.
const ANY: &str = include_str!("module/any.py");
/// One that does what it is installed for, as far as it goes: else what was to be sent would not be.
const REQUESTS: &str = include_str!("module/requests.py");

/// `module` is the project's name with underscores.
pub fn wheel(module: &str, version: &str) -> Vec<u8> {
    let info = format!("{module}-{version}.dist-info");
    let metadata = format!("Metadata-Version: 2.1\nName: {module}\nVersion: {version}\nSummary: {module}\n");
    let tags =
        "Wheel-Version: 1.0\nGenerator: bdist_wheel (0.43.0)\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let code = if module == "requests" { REQUESTS } else { ANY };
    let mut members = vec![
        Member::new(format!("{module}/__init__.py"), code),
        Member::new(format!("{info}/METADATA"), metadata),
        Member::new(format!("{info}/WHEEL"), tags),
        Member::new(format!("{info}/top_level.txt"), format!("{module}\n")),
    ];
    let record = format!("{info}/RECORD");
    let mut lines: String = members.iter().map(line).collect();
    lines.push_str(&format!("{record},,\n"));
    members.push(Member::new(record, lines));
    zip::store(&members)
}

/// Path, digest and size of a file.
fn line(member: &Member) -> String {
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(&member.content));
    format!("{},sha256={digest},{}\n", member.name, member.content.len())
}
