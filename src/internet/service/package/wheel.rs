//! Python packages: a wheel for every name and version (PEP 427), with one module that takes any use.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::super::payload::archive::Member;
use super::super::payload::zip;

/// A module of which every attribute exists, can be called and does nothing: what was installed can be
/// imported, so that the program goes on.
const MODULE: &str = "\
__version__ = '1.0'


class _Any:
    def __call__(self, *args, **kwargs):
        return self

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *args):
        return False

    def __iter__(self):
        return iter(())

    def __bool__(self):
        return True

    def __str__(self):
        return ''


def __getattr__(name):
    if name.startswith('__'):
        raise AttributeError(name)
    return _Any()
";

/// `module` is the project's name with underscores.
pub fn wheel(module: &str, version: &str) -> Vec<u8> {
    let info = format!("{module}-{version}.dist-info");
    let metadata = format!("Metadata-Version: 2.1\nName: {module}\nVersion: {version}\nSummary: {module}\n");
    let tags =
        "Wheel-Version: 1.0\nGenerator: bdist_wheel (0.43.0)\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let mut members = vec![
        Member::new(format!("{module}/__init__.py"), MODULE),
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
