//! How well each family was seen, from every counter that can tell.

use std::collections::BTreeMap;

use crate::event::Family;
use crate::normalise::WorldLosses;
use crate::report::document::{Coverage, CoverageState};

/// What was lost or never seen, by cause. Every counter of every stage that can lose ends here.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    /// Records that found no room in a ring or a map, by family.
    pub records: BTreeMap<Family, u64>,
    /// Bytes from the probes that no decoder could read.
    pub unreadable: u64,
    /// Argument vectors without their program, or the other way round.
    pub unjoined: u64,
    /// Argument vectors or environments longer than the probes' bound.
    pub cut_arguments: u64,
    /// Processes whose beginning was not seen.
    pub strangers: u64,
    /// Paths that were longer than the probes' bound.
    pub cut_paths: u64,
    /// Programs made in the run that ran without their hash being known.
    pub unhashed: u64,
    /// Executions that went by before they could be looked at.
    pub uncaptured: u64,
    /// Why executed files could not be captured at all, or not to the end; empty where they were.
    pub capture: String,
    /// Changes on disk that no event explains.
    pub unexplained: u64,
    /// Why the changes on disk could not be held against the events; empty where they were.
    pub comparison: String,
    /// Names that could not be walked to the file that they led to.
    pub unresolved: u64,
    /// Threads that were not asked which call they had not returned from.
    pub unasked: u64,
    /// Nobody called at the image's ports to the end, though there were some.
    pub unvisited: bool,
    /// What went out through connections that nobody was seen opening.
    pub flows: u64,
    /// What the simulated internet could not take or tell.
    pub world: WorldLosses,
    /// Why its testimony may have holes; empty where it has none.
    pub deaf: String,
    /// Whether somebody listened to what was said to the world.
    pub heard: bool,
    /// What the image could not do on this host's network; no loss, but what it would have done is unknown.
    pub narrowness: String,
    /// Probes that this kernel has no place for.
    pub absent: Vec<&'static str>,
}

impl Losses {
    /// Records that the kernel could not hand over, in all.
    pub fn total(&self) -> u64 {
        let all = self.records.values().chain([&self.unreadable, &self.unjoined]);
        all.fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// One entry for each family.
    pub fn coverage(&self) -> Vec<Coverage> {
        Family::ALL.into_iter().map(|family| self.of(family)).collect()
    }

    fn of(&self, family: Family) -> Coverage {
        let reasons = match family {
            Family::Http | Family::Tls if !self.heard => {
                return entry(family, CoverageState::None, UNHEARD.into());
            }
            Family::Sandbox => {
                let unvisited = "the process that calls at the image's ports ended early";
                self.unvisited.then(|| unvisited.to_owned()).into_iter().collect()
            }
            Family::Kernel => [self.reasons(family), self.unseen()].concat(),
            _ => self.reasons(family),
        };
        let reasons = match family {
            Family::Dns if !self.heard => [vec![DNS.into()], reasons].concat(),
            _ => reasons,
        };
        match reasons.is_empty() {
            true if family == Family::Network => entry(family, CoverageState::Full, self.narrowness.clone()),
            true => entry(family, CoverageState::Full, String::new()),
            false => entry(family, CoverageState::Partial, reasons.join("; ")),
        }
    }

    /// What the probes that are absent would have told of the kernel.
    fn unseen(&self) -> Vec<String> {
        self.absent.iter().map(|probe| format!("this kernel has no place for the probe {probe}")).collect()
    }

    fn reasons(&self, family: Family) -> Vec<String> {
        // A lost record of the network may have been a question.
        let recorded = if family == Family::Dns { Family::Network } else { family };
        let lost = self.records.get(&recorded).copied().unwrap_or(0);
        let process = |count| if family == Family::Process { count } else { 0 };
        let said = match family {
            Family::Process => Some(&self.capture),
            Family::File => Some(&self.comparison),
            Family::Network | Family::Dns | Family::Http | Family::Tls => Some(&self.deaf),
            _ => None,
        };
        let kernel = |count| if family == Family::Kernel { count } else { 0 };
        let file = |count| if family == Family::File { count } else { 0 };
        let world = |count| if is_of_world(family) { count } else { 0 };
        let dns = |count| if family == Family::Dns { count } else { 0 };
        let network = |count| if family == Family::Network { count } else { 0 };
        [
            (lost, "records lost"),
            (self.unreadable, "records unreadable"),
            (process(self.unjoined), "records not joined"),
            (process(self.cut_arguments), "argument vectors or environments cut"),
            (process(self.strangers), "processes whose beginning was not seen"),
            (process(self.unhashed), "programs made in the run without a hash"),
            (process(self.uncaptured), "executions not captured"),
            (file(self.cut_paths), "paths cut"),
            (file(self.unexplained), "changes on disk that no event explains"),
            (file(self.unresolved), "names not walked to their end"),
            (kernel(self.unasked), "threads not asked which call they were in at the end"),
            (network(self.flows), "things said through connections that nobody was seen opening"),
            (dns(self.world.datagrams) + network(self.world.datagrams), "datagrams not taken by the world"),
            (world(self.world.connections), "connections not taken by the world"),
            (world(self.world.testimony), "things said to the world not told"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .chain(said.filter(|text| !text.is_empty()).cloned())
        .collect()
    }
}

fn is_of_world(family: Family) -> bool {
    matches!(family, Family::Network | Family::Dns | Family::Http | Family::Tls)
}

/// Why nothing is known of what was said.
const UNHEARD: &str = "there was no world outside that listened";

/// What of the name service is seen without a world.
const DNS: &str = "questions in datagrams to port 53; not those over TCP, TLS or HTTPS, and no answers";

fn entry(family: Family, state: CoverageState, reason: String) -> Coverage {
    Coverage { family: family.name().into(), state, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(losses: &Losses, family: Family) -> (CoverageState, String) {
        let coverage = losses.coverage();
        let found = coverage.iter().find(|entry| entry.family == family.name()).expect("every family");
        (found.state, found.reason.clone())
    }

    #[test]
    fn nothing_lost_is_full_for_what_is_built_and_none_for_what_is_not() {
        let losses = Losses::default();
        let built =
            [Family::Process, Family::Memory, Family::File, Family::Network, Family::Kernel, Family::Sandbox];
        for family in built {
            assert_eq!(state(&losses, family), (CoverageState::Full, String::new()));
        }
        for family in [Family::Http, Family::Tls] {
            assert_eq!(state(&losses, family), (CoverageState::None, UNHEARD.into()));
        }
        assert_eq!(state(&losses, Family::Dns), (CoverageState::Partial, DNS.into()));
        let losses = Losses { heard: true, ..losses };
        for family in [Family::Http, Family::Tls, Family::Dns] {
            assert_eq!(state(&losses, family), (CoverageState::Full, String::new()));
        }
    }

    #[test]
    fn a_simulated_internet_shows_what_is_asked_until_it_fails() {
        let mut losses = Losses { heard: true, ..Losses::default() };
        let families = [Family::Network, Family::Dns, Family::Http, Family::Tls];
        for family in families {
            assert_eq!(state(&losses, family), (CoverageState::Full, String::new()));
        }
        losses.deaf = "gone".into();
        for family in families {
            assert_eq!(state(&losses, family), (CoverageState::Partial, "gone".into()));
        }
    }

    #[test]
    fn a_narrow_network_is_seen_in_full_and_said() {
        let losses = Losses { narrowness: "no IPv6".into(), ..Losses::default() };
        assert_eq!(state(&losses, Family::Network), (CoverageState::Full, "no IPv6".into()));
    }

    #[test]
    fn every_counter_lowers_a_family() {
        let check = |change: fn(&mut Losses), family, reason: &str| {
            let mut losses = Losses { heard: true, ..Losses::default() };
            change(&mut losses);
            assert_eq!(state(&losses, family), (CoverageState::Partial, reason.to_owned()));
        };
        check(|it| it.records.extend([(Family::File, 3)]), Family::File, "3 records lost");
        check(|it| it.unreadable = 1, Family::Network, "1 records unreadable");
        check(|it| it.unjoined = 2, Family::Process, "2 records not joined");
        check(|it| it.cut_arguments = 2, Family::Process, "2 argument vectors or environments cut");
        check(|it| it.strangers = 1, Family::Process, "1 processes whose beginning was not seen");
        check(|it| it.cut_paths = 4, Family::File, "4 paths cut");
        check(|it| it.unhashed = 1, Family::Process, "1 programs made in the run without a hash");
        check(|it| it.uncaptured = 1, Family::Process, "1 executions not captured");
        check(|it| it.unexplained = 2, Family::File, "2 changes on disk that no event explains");
        check(|it| it.comparison = "why".into(), Family::File, "why");
        check(|it| it.capture = "why".into(), Family::Process, "why");
        check(|it| it.unresolved = 5, Family::File, "5 names not walked to their end");
        check(
            |it| it.unvisited = true,
            Family::Sandbox,
            "the process that calls at the image's ports ended early",
        );
        let flows = "3 things said through connections that nobody was seen opening";
        check(|it| it.flows = 3, Family::Network, flows);
        check(|it| it.world.datagrams = 3, Family::Dns, "3 datagrams not taken by the world");
        check(|it| it.world.connections = 3, Family::Http, "3 connections not taken by the world");
        check(|it| it.world.testimony = 3, Family::Tls, "3 things said to the world not told");
        check(|it| it.absent = vec!["uring"], Family::Kernel, "this kernel has no place for the probe uring");
    }
}
