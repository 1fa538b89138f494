//! Promotions that releases got by themselves a moment ago, which caches may not have yet: of two releases that are looked at within
//! that moment the one that was made earlier must not come last.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::cluster::cache::Key;
use crate::domain::lifecycle::overtaken::Made;
use crate::domain::name::EnvironmentName;

/// For how long one is kept: caches follow within a second.
const KEPT: SignedDuration = SignedDuration::from_secs(60);

/// A project and an environment.
pub type Place = (Key, EnvironmentName);

/// The newest release for each place.
#[derive(Clone, Default)]
pub struct Recent {
    known: Arc<Mutex<HashMap<Place, (Made, Timestamp)>>>,
}

impl Recent {
    /// Whether a release may go to a place now, as far as this process knows; remembers it if so.
    #[must_use]
    pub fn admits(&self, place: Place, made: &Made, now: Timestamp) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (_, since)| now.duration_since(*since) < KEPT);
        match known.entry(place) {
            Entry::Occupied(newest) if newest.get().0 > *made => false,
            Entry::Occupied(mut newest) => {
                newest.insert((made.clone(), now));
                true
            }
            Entry::Vacant(none) => {
                none.insert((made.clone(), now));
                true
            }
        }
    }

    /// The promotion of this release could not be made.
    pub fn forget(&self, place: &Place, made: &Made) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(place).is_some_and(|(newest, _)| newest == made) {
            known.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn place(environment: &str) -> Place {
        (Key::new("shop", "checkout"), EnvironmentName::try_from(environment).unwrap())
    }

    #[test]
    fn what_was_made_earlier_does_not_follow_within_the_moment_that_caches_need() {
        let recent = Recent::default();
        let (old, new) = (Made::new(at(1), "1.0.0"), Made::new(at(2), "1.1.0"));
        assert!(recent.admits(place("dev"), &old, at(10)) && recent.admits(place("dev"), &new, at(10)));
        assert!(recent.admits(place("dev"), &new, at(11)), "it is tried again");
        assert!(!recent.admits(place("dev"), &old, at(12)) && recent.admits(place("test"), &old, at(12)));
        assert!(recent.admits(place("dev"), &old, at(71)), "by then caches know");
        assert!(recent.admits(place("dev"), &new, at(72)));
        recent.forget(&place("dev"), &old);
        assert!(!recent.admits(place("dev"), &old, at(73)));
        recent.forget(&place("dev"), &new);
        assert!(recent.admits(place("dev"), &old, at(74)), "the newer one could not be made");
    }
}
