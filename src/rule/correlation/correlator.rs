//! Holds the base matches of a recording against all plans.
//!
//! Cost: an event without a base match costs one comparison; one with a match costs a few look-ups, and
//! at most a plan's threshold of comparisons. Memory: each plan keeps so many bytes;
//! beyond that the group that was quiet for longest is forgotten, and counted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::absence::Absence;
use super::group::{Group, Kept, Tag};
use super::key::{Key, Keys, values};
use super::{GivenUp, Kind};
use crate::event::{Act, Event};
use crate::rule::finding::{FindingId, correlation_id};
use crate::rule::metadata::Rule;
use crate::rule::set::{Feed, RuleSet};
use crate::rule::subject::{ProgramFacts, Subject};

/// A plan keeps about so many bytes of groups and events: some 40,000 groups of one event.
const WEIGHT_MAX: usize = 32 << 20;
/// What a kept event weighs beside its names.
const EVENT_WEIGHT: usize = 512;
/// What a group weighs beside its events and values.
const GROUP_WEIGHT: usize = 256;
/// So many events of one moment are sorted together.
const MOMENT_MAX: usize = 1024;

/// A correlation that was completed, or went on.
pub struct Completed<'r> {
    pub rule: &'r Rule,
    pub id: FindingId,
    /// How many acts this stands for.
    pub count: u64,
    /// Step (in the plan of the rule) and event, in their order.
    pub events: Vec<(usize, Arc<Event>)>,
    /// The plan's place in the set.
    pub plan: usize,
    /// One event for each step.
    pub is_ordered: bool,
}

/// What is remembered for all correlations of a set.
pub struct Correlator<'r> {
    rules: &'r RuleSet,
    states: Vec<State<'r>>,
    /// Matches of one moment, that wait for the others of the same moment.
    moment: Vec<(Feed, Arc<Event>)>,
    now: Duration,
}

#[derive(Default)]
struct State<'r> {
    groups: HashMap<Key, Live>,
    /// Groups by their last event: the first was quiet for longest.
    by_age: BTreeMap<(Duration, u64), Key>,
    serial: u64,
    weight: usize,
    given_up: u64,
    absence: Absence<'r>,
}

struct Live {
    group: Group,
    age: (Duration, u64),
    weight: usize,
}

impl<'r> Correlator<'r> {
    pub fn new(rules: &'r RuleSet) -> Correlator<'r> {
        let states = rules.plans().iter().map(|_| State::default()).collect();
        Correlator { rules, states, moment: Vec::new(), now: Duration::ZERO }
    }

    /// Ends the moment that is waiting, where this event is of a later one.
    pub fn due(&mut self, event: &Event) -> Vec<Completed<'r>> {
        if self.moment.is_empty() || (event.at <= self.now && self.moment.len() < MOMENT_MAX) {
            return Vec::new();
        }
        self.end_moment()
    }

    /// Takes in an event that matched bases.
    pub fn take(&mut self, event: &Event, feeds: impl Iterator<Item = Feed>) {
        let mut kept: Option<Arc<Event>> = None;
        for feed in feeds {
            let event = kept.get_or_insert_with(|| Arc::new(without_environment(event))).clone();
            self.moment.push((feed, event));
        }
        self.now = self.now.max(event.at);
    }

    /// Ends the run: what was absent until now stays absent.
    pub fn finish(mut self) -> (Vec<Completed<'r>>, Vec<GivenUp>) {
        let mut completed = self.end_moment();
        let mut given_up = Vec::new();
        for (plan, mut state) in self.rules.plans().iter().zip(self.states) {
            match state.absence.finish() {
                Ok(absent) => completed.extend(absent),
                Err(undecided) => state.given_up += undecided,
            }
            if state.given_up > 0 {
                let mut categories: Vec<_> = plan.steps.iter().map(|step| step.category).collect();
                categories.dedup();
                let rule = self.rules.rules()[plan.rule].name.clone();
                given_up.push(GivenUp { rule, categories, events: state.given_up });
            }
        }
        (completed, given_up)
    }

    fn end_moment(&mut self) -> Vec<Completed<'r>> {
        let mut moment = std::mem::take(&mut self.moment);
        // By time before all: an event that came late stands in its own place, and completes no order that
        // never was.
        moment.sort_by_key(|(feed, event)| (event.at, feed.plan, feed.step, event.id));
        let mut completed = Vec::new();
        for (feed, event) in moment {
            let (rules, now) = (self.rules, self.now);
            let mut step = Stepping { rules, at: feed.plan, state: &mut self.states[feed.plan], now };
            step.take(feed.step, &event, &mut completed);
        }
        completed
    }
}

/// One plan, taking in one event.
struct Stepping<'s, 'r> {
    rules: &'r RuleSet,
    at: usize,
    state: &'s mut State<'r>,
    now: Duration,
}

/// What became of a group with one more event.
enum Put {
    Waits,
    /// It was complete before.
    Goes(FindingId),
    Completes(Vec<Kept>),
}

impl<'r> Stepping<'_, 'r> {
    fn take(&mut self, step: usize, event: &Arc<Event>, completed: &mut Vec<Completed<'r>>) {
        let plan = &self.rules.plans()[self.at];
        let facts = event.process.as_ref().map(|process| ProgramFacts::new(process.program.clone()));
        let subject = Subject { event, program: facts.as_ref() };
        let keys = Keys::of(plan.scope, &plan.steps[step].group, subject);
        let mut left_out = keys.left_out;
        if step >= plan.wanted {
            let refutes = step < plan.wanted + plan.without;
            let field = plan.steps[step].field;
            let different = field.map(|field| values(field, subject, &mut left_out));
            for key in keys.combinations.into_iter().flatten() {
                match (refutes, &different) {
                    (true, None) => self.state.absence.refute(key, self.now, plan.within),
                    (true, Some(values)) => {
                        self.state.absence.count(key, values, plan.absent, self.now, plan.within);
                    }
                    (false, _) => self.state.begin_anew(&key),
                }
            }
            self.state.given_up += left_out;
            return;
        }
        self.state.expire(self.now.saturating_sub(plan.timespan));
        let tags = match (plan.kind, plan.steps[step].field) {
            (Kind::ValueCount, Some(field)) => {
                values(field, subject, &mut left_out).into_iter().map(Tag::Value).collect()
            }
            (Kind::EventCount, _) => vec![Tag::Each],
            _ => vec![Tag::Step(step)],
        };
        let bound = plan.steps[step].bound.iter().map(|field| {
            let field = (*field)?;
            Some(values(field, subject, &mut left_out))
        });
        let bound = bound.collect();
        let kept = Kept { at: self.now, step, event: event.clone(), bound };
        self.state.given_up += left_out;
        for groups in keys.combinations {
            for tag in &tags {
                completed.extend(self.nearest(&groups, tag, &kept));
            }
        }
    }

    /// Takes an event into its groups, from the nearest owner on; one that is complete keeps it.
    fn nearest(&mut self, groups: &[Key], tag: &Tag, kept: &Kept) -> Option<Completed<'r>> {
        let plan = &self.rules.plans()[self.at];
        for (at, key) in groups.iter().enumerate() {
            match (self.put(key, kept, |group| group.take(plan, tag.clone(), kept)), plan.repeats) {
                (Put::Waits, _) => {}
                (Put::Goes(id), _) => return self.found(key, id, std::slice::from_ref(kept)),
                (Put::Completes(events), None) => return self.complete(key, &events),
                (Put::Completes(_), Some(repeats)) => return self.repeat(&groups[at..], repeats, kept),
            }
        }
        None
    }

    /// Counts a completed group, by the values of the field in the event that completed it.
    fn repeat(&mut self, groups: &[Key], repeats: u64, kept: &Kept) -> Option<Completed<'r>> {
        let plan = &self.rules.plans()[self.at];
        let event = &kept.event;
        let facts = event.process.as_ref().map(|process| ProgramFacts::new(process.program.clone()));
        let subject = Subject { event, program: facts.as_ref() };
        let value =
            values(plan.steps[kept.step].field?, subject, &mut self.state.given_up).into_iter().next()?;
        for key in groups.iter().map(Key::of_groups) {
            let tag = Tag::Value(value.clone());
            match self.put(&key, kept, |group| group.repeat(plan, repeats, tag, kept)) {
                Put::Waits => {}
                Put::Goes(id) => return self.found(&key, id, std::slice::from_ref(kept)),
                Put::Completes(events) => return self.complete(&key, &events),
            }
        }
        None
    }

    /// Puts an event into one group.
    fn put(&mut self, key: &Key, kept: &Kept, take: impl FnOnce(&mut Group) -> Option<Vec<Kept>>) -> Put {
        let mut live = self.state.open(key, self.now);
        let before = live.group.held();
        let put = match live.group.completed {
            Some(id) => Put::Goes(id),
            None => take(&mut live.group).map_or(Put::Waits, Put::Completes),
        };
        live.reweigh(before, kept);
        self.state.given_up += std::mem::take(&mut live.group.dropped);
        self.state.close(key.clone(), live);
        put
    }

    /// The events complete a group: what counts goes on as long as more comes, an order begins anew.
    fn complete(&mut self, key: &Key, events: &[Kept]) -> Option<Completed<'r>> {
        let plan = &self.rules.plans()[self.at];
        let id = self.id(key, events);
        if !plan.is_chain() {
            let mut live = self.state.open(key, self.now);
            live.group.completed = Some(id);
            self.state.close(key.clone(), live);
        }
        self.found(key, id, events)
    }

    fn id(&self, key: &Key, events: &[Kept]) -> FindingId {
        let plan = &self.rules.plans()[self.at];
        let rule = &self.rules.rules()[plan.rule];
        let first = events.iter().min_by_key(|kept| match plan.kind {
            Kind::Temporal | Kind::TemporalOrdered => (kept.step, kept.event.id),
            _ => (0, kept.event.id),
        });
        let first = &first.expect("what is complete has an event").event;
        let exe = first.process.as_ref().map(|process| key.executable(process));
        correlation_id(rule, exe, first)
    }

    fn found(&mut self, key: &Key, id: FindingId, events: &[Kept]) -> Option<Completed<'r>> {
        let plan = &self.rules.plans()[self.at];
        let count = if plan.is_chain() { 1 } else { events.iter().map(|it| it.event.count).sum() };
        let rule = &self.rules.rules()[plan.rule];
        let events = events.iter().map(|kept| (kept.step, kept.event.clone())).collect();
        let is_ordered = plan.is_chain();
        let completed = Completed { rule, id, count, events, plan: self.at, is_ordered };
        if plan.without == 0 {
            return Some(completed);
        }
        if !self.state.absence.keep(key, completed, self.now, plan.within) {
            self.state.given_up += 1;
        }
        None
    }
}

impl State<'_> {
    /// Forgets groups that nothing was seen of since `begin`.
    fn expire(&mut self, begin: Duration) {
        while self.by_age.first_key_value().is_some_and(|(age, _)| age.0 < begin) {
            self.forget_oldest();
        }
    }

    fn begin_anew(&mut self, key: &Key) {
        if let Some(live) = self.groups.remove(key) {
            self.by_age.remove(&live.age);
            self.weight -= live.weight;
        }
    }

    fn forget_oldest(&mut self) -> u64 {
        let Some((_, key)) = self.by_age.pop_first() else { return 0 };
        let Some(live) = self.groups.remove(&key) else { return 0 };
        self.weight -= live.weight;
        live.group.held() as u64
    }

    /// Takes a group out, to be changed; [`State::close`] puts it back, unless it holds nothing.
    fn open(&mut self, key: &Key, now: Duration) -> Live {
        self.serial += 1;
        let age = (now, self.serial);
        match self.groups.remove(key) {
            Some(mut live) => {
                self.by_age.remove(&live.age);
                self.weight -= live.weight;
                live.age = age;
                live
            }
            None => Live { group: Group::default(), age, weight: key.weight() + GROUP_WEIGHT },
        }
    }

    fn close(&mut self, key: Key, live: Live) {
        if live.group.held() == 0 && live.group.completed.is_none() {
            return;
        }
        self.weight += live.weight;
        self.by_age.insert(live.age, key.clone());
        self.groups.insert(key, live);
        while self.weight > WEIGHT_MAX && self.groups.len() > 1 {
            self.given_up += self.forget_oldest();
        }
    }
}

impl Live {
    /// Weighs what changed, roughly: a new event by its names, one that left by what is usual.
    fn reweigh(&mut self, before: usize, kept: &Kept) {
        let held = self.group.held();
        let own = self.weight.saturating_sub(before.saturating_sub(held) * EVENT_WEIGHT);
        self.weight = own + held.saturating_sub(before) * weight(&kept.event);
    }
}

/// The environment can be large, and no evidence shows it.
fn without_environment(event: &Event) -> Event {
    let mut event = event.clone();
    if let Act::Exec(exec) = &mut event.act {
        exec.env = Vec::new();
    }
    event
}

/// Names are the only part of an event that can be large.
fn weight(event: &Event) -> usize {
    let subject = Subject { event, program: None };
    let files = [subject.file(), subject.from()];
    let names: usize = files.into_iter().flatten().map(|file| file.path.len()).sum();
    EVENT_WEIGHT + names
}
