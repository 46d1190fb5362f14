//! `report.json`, `lazaret.report/v1`: the published types.
//!
//! Others rely on these names. A reader should ignore names that it does not know; within `v1` names
//! are added, never changed. Every list has a bound, and what was left out is counted beside it.

mod run;

pub use run::{
    Coverage, CoverageState, Environment, EventCount, Exit, ExitReason, Inputs, Layer, Named, PhaseTime,
    Recording, Request, Run, Subject, Unchanged, Visibility,
};

/// More layers than any engine accepts.
pub const LAYERS_MAX: usize = 512;
pub const UNEXPLAINED_MAX: usize = 200;
