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
}

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
    /// For `temporal_ordered`: the chain that reached so far and began last, by its last step.
    chains: Vec<Option<Vec<Kept>>>,
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

    /// Of all chains that reached a step, the one that began last can be completed longest.
    fn chain(&mut self, plan: &Plan, kept: &Kept) -> Option<Vec<Kept>> {
        self.chains.resize(plan.wanted, None);
        let begin = kept.at.saturating_sub(plan.timespan);
        let chain = match kept.step {
            0 => vec![kept.clone()],
            step => {
                let before = self.chains[step - 1].as_ref()?;
                let stands = before.first().is_some_and(|first| first.at >= begin)
                    && before.iter().all(|other| other.event.id != kept.event.id);
                stands.then(|| before.iter().chain([kept]).cloned().collect())?
            }
        };
        if kept.step + 1 == plan.wanted {
            self.chains.iter_mut().for_each(|chain| *chain = None);
            return Some(chain);
        }
        let began = |chain: &Vec<Kept>| chain.first().map(|first| first.at);
        if self.chains[kept.step].as_ref().is_none_or(|old| began(old) <= began(&chain)) {
            self.chains[kept.step] = Some(chain);
        }
        None
    }
}
