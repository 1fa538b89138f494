//! Which generations of which objects are recorded, as the names of the records say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::subject::State;

/// What is known of one space.
#[derive(Debug, Default)]
struct Listing {
    recorded: BTreeMap<String, State>,
    /// Objects of which nobody knows whether they are still there: the newest generation that is recorded.
    unsure: BTreeMap<String, i64>,
}

/// All spaces whose records were listed. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Roll {
    spaces: Arc<Mutex<BTreeMap<String, Listing>>>,
    turns: Arc<Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>>,
}

impl Roll {
    /// The names of all records of a space. The first time, what they are of may be gone since.
    pub fn listed<'a>(&self, space: &str, names: impl Iterator<Item = &'a String>) {
        let mut spaces = lock(&self.spaces);
        let first = !spaces.contains_key(space);
        let listing = spaces.entry(space.to_owned()).or_default();
        for (stem, state) in names.filter_map(|name| State::of_record(name)) {
            learn(&mut listing.recorded, stem, state);
        }
        if first {
            let ends =
                listing.recorded.iter().filter(|(stem, _)| ["change-", "block-"].iter().any(|of| stem.starts_with(of)));
            let newest = ends.filter_map(|(stem, state)| match state {
                State::Generation(generation) => Some((stem.clone(), *generation)),
                State::Deleted => None,
            });
            listing.unsure = newest.collect();
        }
    }

    /// Whether the records of a space were listed.
    #[must_use]
    pub fn knows(&self, space: &str) -> bool {
        lock(&self.spaces).contains_key(space)
    }

    /// A record is there, whoever wrote it.
    pub fn written(&self, space: &str, (stem, state): (&str, State)) {
        if let Some(listing) = lock(&self.spaces).get_mut(space) {
            learn(&mut listing.recorded, stem, state);
        }
    }

    /// The newest state of an object that is recorded.
    #[must_use]
    pub fn newest(&self, space: &str, stem: &str) -> Option<State> {
        lock(&self.spaces).get(space)?.recorded.get(stem).cloned()
    }

    /// Objects of which nobody knows whether they are still there.
    #[must_use]
    pub fn unsure(&self, space: &str) -> BTreeMap<String, i64> {
        lock(&self.spaces).get(space).map(|listing| listing.unsure.clone()).unwrap_or_default()
    }

    /// Whether an object is still there is known.
    pub fn sure(&self, space: &str, stem: &str) {
        if let Some(listing) = lock(&self.spaces).get_mut(space) {
            listing.unsure.remove(stem);
        }
    }

    /// A space is going.
    pub fn forget(&self, space: &str) {
        lock(&self.spaces).remove(space);
        lock(&self.turns).remove(space);
    }

    /// Whoever holds it lists the records of a space, and nobody else does meanwhile.
    #[must_use]
    pub fn turn(&self, space: &str) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(lock(&self.turns).entry(space.to_owned()).or_default())
    }
}

fn learn(recorded: &mut BTreeMap<String, State>, stem: &str, state: State) {
    match recorded.get_mut(stem) {
        Some(known) => *known = state.max(known.clone()),
        None => drop(recorded.insert(stem.to_owned(), state)),
    }
}

/// A panic while the lock was held left a map that is still whole: every change is complete before the next begins.
fn lock<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_records_say_what_is_recorded_and_which_ends_nobody_saw() {
        let roll = Roll::default();
        assert!(!roll.knows("shop"));
        let names = ["change-a-b-9", "change-a-b-10", "change-c-1", "change-c-deleted", "block-d-2", "promotion-x-1"];
        let names = names.map(str::to_owned);
        roll.listed("shop", names.iter());
        assert!(roll.knows("shop") && !roll.knows("other"));
        assert_eq!(roll.newest("shop", "change-a-b"), Some(State::Generation(10)));
        assert_eq!(roll.newest("shop", "change-c"), Some(State::Deleted));
        assert_eq!(roll.newest("shop", "block-d"), Some(State::Generation(2)));
        assert_eq!(roll.newest("shop", "promotion-x"), None);
        assert_eq!(roll.unsure("shop"), [("block-d".to_owned(), 2), ("change-a-b".to_owned(), 10)].into());
        roll.sure("shop", "change-a-b");
        roll.sure("shop", "block-d");
        roll.listed("shop", names.iter());
        assert!(roll.unsure("shop").is_empty(), "only the first listing is older than what this process saw");
        roll.written("shop", ("change-a-b", State::Generation(9)));
        assert_eq!(roll.newest("shop", "change-a-b"), Some(State::Generation(10)));
    }
}
