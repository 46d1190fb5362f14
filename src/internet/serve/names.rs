//! Secrets that are carried off in DNS names, cut into several questions.
//!
//! Of each zone that is asked for, the labels below it are strung together in the order of the questions,
//! and looked through as one stream. A label that is a short number is left out: it counts the pieces.

use std::collections::HashMap;

use crate::bait::{Scan, Scanner, Sighting};

/// Zones that are followed at one time.
const ZONES_MAX: usize = 64;
/// Digits of a counter.
const COUNTER_MAX: usize = 5;

pub struct Names {
    scanner: &'static Scanner,
    zones: HashMap<Vec<u8>, Zone>,
    clock: u64,
}

struct Zone {
    scan: Scan<'static>,
    last: Vec<u8>,
    used: u64,
}

impl Names {
    pub fn new(scanner: &'static Scanner) -> Names {
        Names { scanner, zones: HashMap::new(), clock: 0 }
    }

    /// Takes in the next name that was asked for; gives what became whole with it, but not what the name
    /// alone has shown already.
    pub fn hear(&mut self, name: &[u8], known: &[Sighting]) -> Vec<Sighting> {
        let labels: Vec<&[u8]> = name.split(|byte| *byte == b'.').collect();
        let Some(split) = labels.len().checked_sub(2).filter(|below| *below > 0) else { return Vec::new() };
        let (below, zone) = labels.split_at(split);
        let piece: Vec<u8> =
            below.iter().filter(|label| !is_counter(label)).flat_map(|it| it.to_vec()).collect();
        let zone = self.zone(zone.join(&b'.'));
        // A question is asked again for the other address family, and when its answer is late.
        if piece == zone.last {
            return Vec::new();
        }
        let seen = zone.scan.feed(&piece);
        zone.last = piece;
        let is_new =
            |it: &Sighting| !known.iter().any(|other| (&other.name, &other.field) == (&it.name, &it.field));
        seen.into_iter().filter(is_new).map(in_labels).collect()
    }

    fn zone(&mut self, name: Vec<u8>) -> &mut Zone {
        self.clock += 1;
        if self.zones.len() >= ZONES_MAX && !self.zones.contains_key(&name) {
            let oldest = self.zones.iter().min_by_key(|(_, zone)| zone.used).map(|(name, _)| name.clone());
            oldest.map(|name| self.zones.remove(&name));
        }
        let zone = self.zones.entry(name);
        let zone = zone.or_insert_with(|| Zone { scan: self.scanner.scan(), last: Vec::new(), used: 0 });
        zone.used = self.clock;
        zone
    }
}

fn is_counter(label: &[u8]) -> bool {
    label.len() <= COUNTER_MAX && label.iter().all(u8::is_ascii_digit)
}

fn in_labels(sighting: Sighting) -> Sighting {
    let encoding = match sighting.encoding.as_str() {
        "plain" => "dns-labels".into(),
        inner => format!("dns-labels+{inner}"),
    };
    Sighting { encoding, ..sighting }
}
