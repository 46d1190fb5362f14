//! What is remembered of one group, and when it is complete. Total; its memory is bounded by the plan's
//! threshold.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Kind;
use super::plan::Plan;
use crate::event::Event;
use crate::rule::finding::FindingId;

/// An event of a group.
#[derive(Clone)]
pub struct Kept {
    /// The group's own time: the event's, never before that of an earlier one.
    pub at: Duration,
    pub step: usize,
    pub event: Arc<Event>,
    /// What binds it to others of its chain; `None` where the step is not bound.
    pub bound: Arc<[Option<Values>]>,
}

/// The values of one bound field.
pub type Values = Vec<Box<[u8]>>;

/// Events of the first steps, never none.
type Chain = Vec<Kept>;

/// A group keeps so many chains for each step.
const CHAINS_MAX: usize = 32;

/// What makes two events count as one.
#[derive(Clone, PartialEq)]
pub enum Tag {
    /// Nothing: each counts.
    Each,
    Step(usize),
    Value(Box<[u8]>),
}

/// One group of a plan.
#[derive(Default)]
pub struct Group {
    /// Events (or the first of each value or rule) by the time they were last seen.
    items: VecDeque<Item>,
    /// For `temporal_ordered`: chains that reached so far, by their last step.
    chains: Vec<Vec<Chain>>,
    /// Chains that found no room.
    pub dropped: u64,
    /// It was completed, and more of the same only repeats it.
    pub completed: Option<FindingId>,
}

struct Item {
    seen: Duration,
    tag: Tag,
    first: Kept,
}

impl Group {
    /// Takes in an event; returns the events that completed the group with it, in their order.
    pub fn take(&mut self, plan: &Plan, tag: Tag, kept: &Kept) -> Option<Vec<Kept>> {
        match plan.kind {
            Kind::TemporalOrdered => self.chain(plan, kept),
            _ => self.count(plan, plan.threshold, tag, kept),
        }
    }

    /// Takes in a completed group by the event that completed it.
    pub fn repeat(&mut self, plan: &Plan, repeats: u64, tag: Tag, kept: &Kept) -> Option<Vec<Kept>> {
        self.count(plan, repeats, tag, kept)
    }

    /// Events held now.
    pub fn held(&self) -> usize {
        self.items.len() + self.chains.iter().flatten().map(Vec::len).sum::<usize>()
    }

    fn count(&mut self, plan: &Plan, threshold: u64, tag: Tag, kept: &Kept) -> Option<Vec<Kept>> {
        let before = match tag {
            Tag::Each => None,
            _ => self.items.iter().position(|item| item.tag == tag).and_then(|at| self.items.remove(at)),
        };
        let begin = kept.at.saturating_sub(plan.timespan);
        let is_recent = |kept: &Kept| kept.at >= begin;
        let first = before.map(|item| item.first).filter(is_recent).unwrap_or_else(|| kept.clone());
        self.items.push_back(Item { seen: kept.at, tag, first });
        while self.items.front().is_some_and(|item| item.seen < begin) {
            self.items.pop_front();
        }
        if self.sum(plan) < threshold {
            return None;
        }
        let mut events: Vec<Kept> = self.items.drain(..).map(|item| item.first).collect();
        if events.iter().all(|other| other.event.id != kept.event.id) {
            events.push(kept.clone());
        }
        events.sort_by_key(|kept| kept.event.id);
        events.dedup_by_key(|kept| kept.event.id);
        Some(events)
    }

    fn sum(&self, plan: &Plan) -> u64 {
        match plan.kind {
            Kind::EventCount => self.items.iter().map(|item| item.first.event.count).sum(),
            _ => self.items.len() as u64,
        }
    }

    /// Of all chains that a step fits, the one that began last can be completed longest.
    fn chain(&mut self, plan: &Plan, kept: &Kept) -> Option<Vec<Kept>> {
        self.chains.resize(plan.wanted, Vec::new());
        let begin = kept.at.saturating_sub(plan.timespan);
        let mut longer: Vec<Chain> = match kept.step {
            0 => vec![vec![kept.clone()]],
            step => {
                let fitting = self.chains[step - 1].iter().filter(|chain| kept.fits(chain, begin));
                fitting.map(|chain| chain.iter().chain([kept]).cloned().collect()).collect()
            }
        };
        if kept.step + 1 < plan.wanted {
            longer.into_iter().for_each(|chain| self.keep(kept.step, chain));
            return None;
        }
        longer.sort_by_key(|chain| chain[0].at);
        let chain = longer.pop()?;
        self.chains.clear();
        Some(chain)
    }

    /// Of chains that are bound to the same values one is enough.
    fn keep(&mut self, step: usize, chain: Chain) {
        let chains = &mut self.chains[step];
        let same = |old: &Chain| old.iter().map(|kept| &kept.bound).eq(chain.iter().map(|kept| &kept.bound));
        match chains.iter().position(same) {
            Some(at) if chains[at][0].at <= chain[0].at => chains[at] = chain,
            Some(_) => {}
            None => chains.push(chain),
        }
        if chains.len() > CHAINS_MAX {
            chains.remove(0);
            self.dropped += 1;
        }
    }
}

impl Kept {
    /// True where this can follow a chain that began no earlier than `begin`: no event counts twice, and
    /// what binds them has a value in common.
    fn fits(&self, chain: &[Kept], begin: Duration) -> bool {
        let bound = |one: &Option<Values>, other: &Option<Values>| match (one, other) {
            (Some(one), Some(other)) => one.iter().any(|value| other.contains(value)),
            _ => true,
        };
        let follows = |earlier: &Kept| {
            let mut pairs = earlier.bound.iter().zip(&*self.bound);
            earlier.event.id != self.event.id && pairs.all(|(one, other)| bound(one, other))
        };
        chain[0].at >= begin && chain.iter().all(follows)
    }
}
