//! Testimony of the world in the order of the probes' records.
//!
//! Both have the same clock, but come on different ways: what is heard waits until the records of its time
//! are read.

use std::collections::BTreeMap;

use crate::internet::testimony::Testimony;

/// Testimony that waits for its time.
#[derive(Debug, Default)]
pub struct Hearing {
    waiting: BTreeMap<(u64, u64), Testimony>,
    number: u64,
}

impl Hearing {
    pub fn hear(&mut self, said: Vec<Testimony>) {
        for testimony in said {
            self.number += 1;
            self.waiting.insert((testimony.time, self.number), testimony);
        }
    }

    /// The next that was said before `time`.
    pub fn next_before(&mut self, time: u64) -> Option<Testimony> {
        let first = self.waiting.first_entry().filter(|first| first.key().0 < time)?;
        Some(first.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::internet::testimony::{Loss, Said};

    #[test]
    fn testimony_waits_for_its_time_and_keeps_its_order() {
        let said =
            |time, count| Testimony { time, flow: None, said: Said::Lost { what: Loss::Packets, count } };
        let mut hearing = Hearing::default();
        hearing.hear(vec![said(5, 1), said(3, 2), said(5, 3)]);
        hearing.hear(vec![said(9, 4), said(3, 5)]);
        let mut until = |time| std::iter::from_fn(|| hearing.next_before(time)).collect::<Vec<_>>();
        assert_eq!(until(3), []);
        assert_eq!(until(6), [said(3, 2), said(3, 5), said(5, 1), said(5, 3)]);
        assert_eq!(until(u64::MAX), [said(9, 4)]);
    }
}
