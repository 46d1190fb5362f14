//! A verdict as an exit code.

use crate::report::document::Decision;

/// 0 pass, 1 fail, 3 inconclusive, 4 review. For ever: orchestrators rely on it.
pub fn exit_code(decision: Decision) -> u8 {
    match decision {
        Decision::Pass => 0,
        Decision::Fail => 1,
        Decision::Inconclusive => 3,
        Decision::Review => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_for_ever() {
        let codes = [Decision::Pass, Decision::Fail, Decision::Inconclusive, Decision::Review].map(exit_code);
        assert_eq!(codes, [0, 1, 3, 4]);
    }
}
