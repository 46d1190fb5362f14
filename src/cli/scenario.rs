//! The scenario that `--scenario` names, with the files beside it.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::failure::{Failure, Kind};
use super::load;
use crate::image::Digest;
use crate::internet::world::Scenario;
use crate::report::document::Named;
use crate::report::escape;

/// Larger files are no scenarios.
const FILE_MAX: u64 = crate::yaml::BYTES_MAX as u64;

/// Reads it whole. The digest is of the file and, behind it, of all payloads in their order.
pub fn load(path: &Path) -> Result<(Scenario, Named), Failure> {
    let what = || format!("cannot use the scenario {}", path.display());
    let bytes = load::read(path, FILE_MAX).map_err(|error| {
        let hint = "name a scenario file; fixtures/scenarios/README.md shows one";
        Failure::new(Kind::Usage, what()).because(error).hint(hint)
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut digest = Sha256::new_with_prefix(&bytes);
    let mut payload = |name: &str, most: u64| {
        let bytes = load::read(&folder.join(name), most)?;
        digest.update(&bytes);
        Ok(bytes)
    };
    let scenario = Scenario::parse(&path.display().to_string(), &bytes, &mut payload).map_err(|error| {
        Failure::new(Kind::Usage, what()).because(error).hint("mend the line named above")
    })?;
    let name = escape::text(path.as_os_str().as_encoded_bytes()).into_owned();
    let digest: [u8; 32] = digest.finalize().into();
    Ok((scenario, Named { name, digest: Digest::from(digest).to_string() }))
}
