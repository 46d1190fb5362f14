//! A list in which the first of each kind are kept.

use std::collections::HashMap;
use std::hash::Hash;

/// Entries by key, in the order in which they came, up to a bound; what does not fit is counted.
pub struct Kept<K, T> {
    list: Vec<T>,
    places: HashMap<K, usize>,
    bound: usize,
    omitted: u64,
}

impl<K: Eq + Hash, T> Kept<K, T> {
    pub fn new(bound: usize) -> Kept<K, T> {
        Kept { list: Vec::new(), places: HashMap::new(), bound, omitted: 0 }
    }

    pub fn get(&mut self, key: &K) -> Option<&mut T> {
        let place = *self.places.get(key)?;
        self.list.get_mut(place)
    }

    /// The entry of this key, made where there is none. `None` where there is no room for it: then
    /// `count` acts are left out.
    pub fn entry(&mut self, key: K, count: u64, make: impl FnOnce() -> T) -> Option<&mut T> {
        let next = self.list.len();
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None if next >= self.bound => {
                self.omitted = self.omitted.saturating_add(count);
                return None;
            }
            None => {
                self.places.insert(key, next);
                self.list.push(make());
                next
            }
        };
        self.list.get_mut(place)
    }

    /// The list, and how much was left out.
    pub fn finish(self) -> (Vec<T>, u64) {
        (self.list, self.omitted)
    }
}
