//! What this process found when it tried to seal, and when it may try again. In memory only: after a restart it looks anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::problem::{Cure, Problem};
use super::seal::Seal;
use crate::cluster::cache::Key;
use crate::controllers::pause;

/// The first pause.
const FIRST: SignedDuration = SignedDuration::from_secs(1);
/// The longest pause where only the API server is asked.
const LONGEST_SPACE: SignedDuration = SignedDuration::from_secs(30);
/// The longest pause between two questions to a registry.
const LONGEST_REGISTRY: SignedDuration = SignedDuration::from_mins(5);

/// What was looked at: when it changes, what was found says nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// UID of the release.
    pub release: Option<String>,
    /// UID and generation of its project.
    pub project: Option<(Option<String>, Option<i64>)>,
}

/// What is known of the sealing of one release.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Somebody is looking.
    Underway,
    /// It can be sealed.
    Sealable(Arc<Seal>),
    /// It cannot.
    Blocked {
        /// Why.
        problems: Arc<[Problem]>,
        /// When to look again although nothing that is watched changed.
        again: Option<Timestamp>,
    },
}

#[derive(Debug)]
struct Attempt {
    basis: Basis,
    tries: u32,
    found: Found,
}

/// Everything that was tried and did not end in a sealed release yet.
#[derive(Clone, Debug, Default)]
pub struct Attempts {
    known: Arc<Mutex<BTreeMap<Key, Attempt>>>,
}

impl Attempts {
    /// What is known; nothing when it is time to look (again), which is then noted as begun.
    #[must_use]
    pub fn look(&self, key: &Key, basis: &Basis, now: Timestamp) -> Option<Found> {
        let mut known = self.lock();
        let fresh = known.get(key).filter(|attempt| &attempt.basis == basis);
        let tries = match fresh.map(|attempt| (&attempt.found, attempt.tries)) {
            Some((Found::Blocked { again: Some(again), .. }, tries)) if *again <= now => tries,
            Some((found, _)) => return Some(found.clone()),
            None => 0,
        };
        known.insert(key.clone(), Attempt { basis: basis.clone(), tries, found: Found::Underway });
        None
    }

    /// Keeps what was found, unless something else is looked at by now.
    pub fn found(&self, key: &Key, basis: &Basis, (result, now): (Result<Seal, Vec<Problem>>, Timestamp)) {
        let mut known = self.lock();
        let Some(attempt) = known.get_mut(key).filter(|attempt| &attempt.basis == basis) else { return };
        attempt.tries = attempt.tries.saturating_add(1);
        attempt.found = match result {
            Ok(seal) => Found::Sealable(Arc::new(seal)),
            Err(problems) => {
                let again = pause(key, attempt.tries, &problems).and_then(|pause| now.checked_add(pause).ok());
                Found::Blocked { problems: problems.into(), again }
            }
        };
    }

    /// Drops what was found: the release is sealed or gone.
    pub fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// A panic while the lock was held left a map that is still whole: every change is one call.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Attempt>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pause before the next try: it doubles, and differs between releases so that they do not ask in step. None where a
/// watch says when to look.
fn pause(key: &Key, tries: u32, problems: &[Problem]) -> Option<SignedDuration> {
    let longest = match problems.iter().map(|problem| problem.cure).max()? {
        Cure::Watched => return None,
        Cure::Space => LONGEST_SPACE,
        Cure::Registry => LONGEST_REGISTRY,
    };
    let ours = pause::spread(pause::doubled(FIRST, tries, longest), (750, 250), &(key, tries));
    Some(pause::wished(problems).map_or(ours, |theirs| ours.max(theirs)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::condition::Reason;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn basis(generation: i64) -> Basis {
        Basis { release: Some("r".into()), project: Some((Some("p".into()), Some(generation))) }
    }

    fn down() -> Result<Seal, Vec<Problem>> {
        Err(vec![Problem::new(Reason::RegistryUnreachable, "down")])
    }

    #[test]
    fn nobody_looks_twice_at_the_same_time_or_before_the_pause_is_over() {
        let (attempts, key) = (Attempts::default(), Key::new("shop", "checkout-1.0.0"));
        assert_eq!(attempts.look(&key, &basis(1), at(0)), None);
        assert_eq!(attempts.look(&key, &basis(1), at(0)), Some(Found::Underway));
        attempts.found(&key, &basis(1), (down(), at(0)));
        assert!(matches!(attempts.look(&key, &basis(1), at(0)), Some(Found::Blocked { .. })));
        assert_eq!(attempts.look(&key, &basis(1), at(1)), None, "a second later it is time");
    }

    #[test]
    fn a_changed_project_is_looked_at_at_once_and_what_was_found_before_is_dropped() {
        let (attempts, key) = (Attempts::default(), Key::new("shop", "checkout-1.0.0"));
        assert_eq!(attempts.look(&key, &basis(1), at(0)), None);
        assert_eq!(attempts.look(&key, &basis(2), at(0)), None);
        attempts.found(&key, &basis(1), (down(), at(0)));
        assert_eq!(attempts.look(&key, &basis(2), at(0)), Some(Found::Underway));
    }

    #[test]
    fn pauses_double_up_to_a_bound_that_depends_on_whom_is_asked() {
        let key = Key::new("shop", "checkout-1.0.0");
        let seconds = |tries, reason| pause(&key, tries, &[Problem::new(reason, "x")]).map(|pause| pause.as_millis());
        for (tries, whole) in [(1, 1000), (2, 2000), (5, 16_000), (9, 256_000), (12, 300_000), (99, 300_000)] {
            let pause = seconds(tries, Reason::TagNotFound).unwrap();
            assert!(pause >= whole * 3 / 4 && pause <= whole, "{tries}: {pause}");
        }
        assert!(seconds(99, Reason::ManifestsNotFound).unwrap() <= 30_000);
        assert_eq!(seconds(1, Reason::ProjectNotFound), None);
        let busy = |seconds| {
            let wish = Some(std::time::Duration::from_secs(seconds));
            let problem = Problem { pause: wish, ..Problem::new(Reason::RegistryUnreachable, "busy") };
            pause(&key, 1, &[problem]).unwrap().as_secs()
        };
        assert_eq!((busy(0), busy(60), busy(u64::MAX)), (0, 60, 3600), "a registry's wish counts, within reason");
        assert_eq!(pause(&key, 1, &[Problem::new(Reason::Invalid, "x").watched()]), None);
    }
}
