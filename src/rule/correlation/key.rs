//! Which groups an event belongs to: by scope, and by the values of the `group-by` fields.

use std::sync::Arc;

use super::Scope;
use crate::event::{Executable, Process, ProcessKey, ProgramId};
use crate::rule::field::Field;
use crate::rule::subject::Subject;

/// A lineage's group reaches so many programs up from the one that acted, itself included. With the whole
/// way up, every event would belong to the image's first program, and a lineage would be the run.
const GENERATIONS: usize = 4;
/// So many values of one list are looked at.
const VALUES_MAX: usize = 8;
/// So many combinations of values are looked at.
const COMBINATIONS_MAX: usize = 16;

/// One group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// It counts the completed groups of its owner.
    of_groups: bool,
    owner: Owner,
    values: Values,
}

type Values = Arc<[Box<[u8]>]>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Owner {
    Run,
    Process(ProcessKey),
    Program(ProgramId),
}

/// The groups of one event; none where a `group-by` field is absent.
pub struct Keys {
    /// For each combination of values: the groups from the nearest owner to the farthest.
    pub combinations: Vec<Vec<Key>>,
    /// Values beyond the bounds.
    pub left_out: u64,
}

impl Keys {
    pub fn of(scope: Scope, group: &[&'static Field], subject: Subject<'_>) -> Keys {
        let mut left_out = 0;
        let mut combinations: Vec<Vec<Box<[u8]>>> = vec![Vec::new()];
        for field in group {
            let values = values(field, subject, &mut left_out);
            let longer = combinations.iter().flat_map(|before| {
                values.iter().map(move |value| before.iter().chain([value]).cloned().collect())
            });
            combinations = longer.collect();
            left_out += combinations.len().saturating_sub(COMBINATIONS_MAX) as u64;
            combinations.truncate(COMBINATIONS_MAX);
        }
        let owners = owners(scope, subject.process());
        let keys = |values: Vec<Box<[u8]>>| {
            let values: Values = values.into();
            owners.iter().map(|&owner| Key { of_groups: false, owner, values: values.clone() }).collect()
        };
        Keys { combinations: combinations.into_iter().map(keys).collect(), left_out }
    }
}

impl Key {
    /// The group that counts the completed groups of the same owner.
    pub fn of_groups(&self) -> Key {
        Key { of_groups: true, owner: self.owner, values: Values::default() }
    }

    /// The executable that stands for the group in a finding's identity: its owner's, or the acting one.
    pub fn executable<'p>(&self, process: &'p Process) -> &'p Executable {
        let program = &process.program;
        let Owner::Program(id) = self.owner else { return &program.exe };
        let ancestor = program.lineage.iter().find(|ancestor| ancestor.id == id);
        ancestor.map_or(&program.exe, |ancestor| &ancestor.exe)
    }

    /// Bytes that the group holds.
    pub fn weight(&self) -> usize {
        self.values.iter().map(|value| value.len()).sum()
    }
}

fn owners(scope: Scope, process: Option<&Process>) -> Vec<Owner> {
    match (scope, process) {
        (Scope::Run, _) => vec![Owner::Run],
        (_, None) => Vec::new(),
        (Scope::Process, Some(process)) => vec![Owner::Process(process.key)],
        (Scope::Lineage, Some(process)) => {
            let program = &process.program;
            let above = program.lineage.iter().map(|ancestor| ancestor.id);
            let ids = std::iter::once(program.id).chain(above);
            ids.take(GENERATIONS).map(Owner::Program).collect()
        }
    }
}

/// The first values of a field; those beyond the bound are counted.
pub fn values(field: &Field, subject: Subject<'_>, left_out: &mut u64) -> Vec<Box<[u8]>> {
    let mut values: Vec<Box<[u8]>> = Vec::new();
    field.show(subject, &mut |value| {
        if values.iter().any(|other| &**other == value) {
            return;
        }
        if values.len() < VALUES_MAX {
            values.push(value.into());
        } else {
            *left_out += 1;
        }
    });
    values
}
