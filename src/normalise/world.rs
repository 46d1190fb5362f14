//! What the simulated internet heard.

use super::{Normaliser, Provenance};
use crate::event::Event;
use crate::internet::testimony::Testimony;

impl<P: Provenance> Normaliser<P> {
    /// The events that a testimony tells of.
    pub fn hear(&mut self, testimony: Testimony) -> Vec<Event> {
        let _ = testimony;
        Vec::new()
    }
}
