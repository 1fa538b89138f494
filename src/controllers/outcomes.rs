//! Ends of promotions that are not yet part of every history.
//!
//! A finished promotion leaves the cache of unfinished ones; until Project, Environment, Release and audit have recorded its
//! end, the end is kept here, and the finalizer on the promotion brings it back here after a restart. The rows are joins
//! ([`crate::domain::promotion::history`]), so it does no harm when an end arrives twice or late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use crate::domain::promotion::outcome::Outcome;

/// How many changes a slow listener may lag behind before it looks at everything (a burst of promotions fits).
const BACKLOG: usize = 4096;

/// The ends that are still to be recorded somewhere.
#[derive(Clone, Debug)]
pub struct Outcomes {
    known: Arc<Mutex<BTreeMap<String, Arc<Outcome>>>>,
    audited: Arc<Mutex<BTreeSet<String>>>,
    begun: Arc<Mutex<BTreeSet<String>>>,
    told: Arc<Mutex<BTreeSet<String>>>,
    expected: Arc<Mutex<BTreeMap<String, String>>>,
    added: broadcast::Sender<Arc<Outcome>>,
}

impl Default for Outcomes {
    fn default() -> Self {
        Self {
            known: Arc::default(),
            audited: Arc::default(),
            begun: Arc::default(),
            told: Arc::default(),
            expected: Arc::default(),
            added: broadcast::channel(BACKLOG).0,
        }
    }
}

impl Outcomes {
    /// Keeps an end until it is forgotten, and wakes those who record it.
    pub fn add(&self, outcome: Outcome) {
        let outcome = Arc::new(outcome);
        // In this order: whoever finds it expected no more finds it here.
        let uid = outcome.uid.clone();
        let fresh = lock(&self.known).insert(outcome.uid.clone(), Arc::clone(&outcome)).is_none();
        if fresh {
            // Nobody listens before the controllers run; they look at everything when they start.
            let _ = self.added.send(outcome);
        }
        lock(&self.expected).remove(&uid);
    }

    /// An end that an earlier process wrote, and that is not part of every history: its promotion brings it here.
    pub fn await_end(&self, uid: &str, space: &str) {
        lock(&self.expected).insert(uid.to_owned(), space.to_owned());
    }

    /// Whether ends of a space may be known to nobody but the API server.
    #[must_use]
    pub fn expects_any(&self, space: &str) -> bool {
        lock(&self.expected).values().any(|expected| expected == space)
    }

    /// Drops an end that everybody has recorded.
    pub fn forget(&self, uid: &str) {
        lock(&self.known).remove(uid);
        lock(&self.expected).remove(uid);
        lock(&self.audited).remove(uid);
        lock(&self.begun).remove(uid);
        lock(&self.told).remove(uid);
    }

    /// Remembers that this process has said how a promotion ended; whether that is news.
    #[must_use = "what is no news is not said again"]
    pub fn told(&self, uid: &str) -> bool {
        lock(&self.told).insert(uid.to_owned())
    }

    /// Remembers that this process writes the audit record of an end; whether it has begun to before, and heard no answer.
    #[must_use = "one that is there already was told by whoever wrote it"]
    pub fn begins_audit(&self, uid: &str) -> bool {
        !lock(&self.begun).insert(uid.to_owned())
    }

    /// Remembers that the audit record of an end is written.
    pub fn audited(&self, uid: &str) {
        lock(&self.audited).insert(uid.to_owned());
    }

    /// Whether this process knows that the audit record of an end is written.
    #[must_use]
    pub fn is_audited(&self, uid: &str) -> bool {
        lock(&self.audited).contains(uid)
    }

    /// The end of a promotion whose audit record is written: only rows are missing.
    #[must_use]
    pub fn waiting_for_rows(&self, space: &str, promotion: &str) -> Option<Arc<Outcome>> {
        let found = self.matching(|outcome| outcome.space == space && outcome.promotion == promotion).pop()?;
        self.is_audited(&found.uid).then_some(found)
    }

    /// The ends of promotions of a project, oldest first.
    #[must_use]
    pub fn of_project(&self, space: &str, project: &str) -> Vec<Arc<Outcome>> {
        self.matching(|outcome| outcome.space == space && outcome.project.as_str() == project)
    }

    /// The ends of promotions to an environment, oldest first.
    #[must_use]
    pub fn of_environment(&self, space: &str, environment: &str) -> Vec<Arc<Outcome>> {
        self.matching(|outcome| outcome.space == space && outcome.environment.as_str() == environment)
    }

    /// The ends of promotions of whatever release had a version when they started, oldest first: which one says each.
    #[must_use]
    pub fn of_version(&self, space: &str, project: &str, version: &str) -> Vec<Arc<Outcome>> {
        self.matching(|outcome| {
            outcome.space == space && outcome.project.as_str() == project && outcome.version.as_str() == version
        })
    }

    /// Whether anything of a space is still to be recorded.
    #[must_use]
    pub fn any_of_space(&self, space: &str) -> bool {
        lock(&self.known).values().any(|outcome| outcome.space == space)
    }

    /// Ends as they are added.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Outcome>> {
        self.added.subscribe()
    }

    fn matching(&self, wanted: impl Fn(&Outcome) -> bool) -> Vec<Arc<Outcome>> {
        let mut found: Vec<_> = lock(&self.known).values().filter(|outcome| wanted(outcome)).cloned().collect();
        found.sort();
        found
    }
}

/// A panic while the lock was held left a map that is still whole: every change is one call.
fn lock<T>(known: &Mutex<T>) -> MutexGuard<'_, T> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::promotion::outcome::example::success;
    use jiff::Timestamp;

    #[test]
    fn an_end_that_an_earlier_process_wrote_is_expected_until_it_is_known() {
        let outcomes = Outcomes::default();
        let end = success("dev", Timestamp::UNIX_EPOCH);
        outcomes.await_end(&end.uid, "shop");
        outcomes.await_end("of-no-history", "shop");
        assert!(outcomes.expects_any("shop") && !outcomes.expects_any("other"));
        outcomes.add(end);
        assert!(outcomes.expects_any("shop"), "one is still missing");
        outcomes.forget("of-no-history");
        assert!(!outcomes.expects_any("shop"));
    }
}
