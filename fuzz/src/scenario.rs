//! A scenario file.

use lazaret::internet::scenario::Scenario;

pub fn check(bytes: &[u8]) {
    let mut payload = |name: &str, most: u64| {
        assert!(!name.contains('/') && !name.starts_with('.'), "{name}");
        Ok(vec![b'x'; (most as usize).min(100)])
    };
    match Scenario::parse("fuzzed.yaml", bytes, &mut payload) {
        Ok(scenario) => {
            assert!(scenario.refused_ports().iter().all(|(first, last)| first <= last && *first > 0));
            let _ = (scenario.name("a.example"), scenario.is_nxdomain("a.example"));
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            // YAML also breaks lines at a carriage return alone.
            let lines = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1;
            assert!((1..=lines + 1).contains(&error.line), "{error} in {lines} lines");
        }
    }
}
