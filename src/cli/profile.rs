//! `--profile NAME|FILE`: which decoys the image finds.

use std::path::Path;

use super::failure::{Failure, Kind};
use super::load;
use crate::bait::Profile;
use crate::report::escape;

/// Larger profiles are not read.
const BYTES_MAX: u64 = 64 << 10;

/// A shipped profile, or one from a file.
pub fn load(name: &Path) -> Result<Profile, Failure> {
    if let Some(profile) = name.to_str().and_then(Profile::shipped) {
        return Ok(profile);
    }
    let shown = escape::text(name.as_os_str().as_encoded_bytes()).into_owned();
    let what = || format!("cannot use the profile {shown}");
    let bytes = load::read(name, BYTES_MAX).map_err(|error| {
        let names: Vec<&str> = Profile::names().collect();
        let hint = format!("name a shipped profile ({}) or a profile file", names.join(", "));
        Failure::new(Kind::Usage, what()).because(error).hint(hint)
    })?;
    Profile::parse(&shown, &bytes)
        .map_err(|error| Failure::new(Kind::Usage, what()).because(error).hint("mend the line named above"))
}
