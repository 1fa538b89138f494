//! Which version of each Secret this process saw last, so that a release can say which of its Secrets changed. In memory only.
//!
//! Secrets are not watched, because that is a right to read them all. They are seen when a promotion uses them, and looked at by
//! name every few minutes where a release runs that refers to them: their metadata only, so no value comes into this process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::cluster::cache::Key;

/// How long what was seen counts. A thousand Secrets are then three reads a second.
pub const FRESH: SignedDuration = SignedDuration::from_mins(5);
/// How long what nobody asks for is remembered.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// What was seen of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is there, with this resourceVersion.
    There(String),
    /// It is not there.
    Missing,
    /// Gantry may not read it, or the API server did not answer.
    Unreadable,
}

/// What was seen, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// What.
    pub seen: Seen,
    /// When.
    pub at: Timestamp,
}

#[derive(Debug, Default)]
struct Entry {
    sighting: Option<Sighting>,
    begun: Option<Timestamp>,
}

/// What is known of Secrets.
#[derive(Clone, Debug, Default)]
pub struct SecretVersions {
    known: Arc<Mutex<BTreeMap<Key, Entry>>>,
}

impl SecretVersions {
    /// What was seen last.
    #[must_use]
    pub fn known(&self, key: &Key) -> Option<Sighting> {
        self.lock().get(key).and_then(|entry| entry.sighting.clone())
    }

    /// Keeps what was seen.
    pub fn saw(&self, key: Key, seen: Seen, now: Timestamp) {
        let entry = Entry { sighting: Some(Sighting { seen, at: now }), begun: None };
        self.lock().insert(key, entry);
    }

    /// Those of the Secrets that it is time to look at, which is then noted as begun.
    #[must_use]
    pub fn due(&self, keys: impl IntoIterator<Item = Key>, now: Timestamp) -> Vec<Key> {
        let mut known = self.lock();
        let since = |time: Timestamp| now.duration_since(time);
        let newest = |entry: &Entry| entry.begun.max(entry.sighting.as_ref().map(|sighting| sighting.at));
        known.retain(|_, entry| newest(entry).is_some_and(|time| since(time) < KEPT));
        let mut due: Vec<Key> = keys.into_iter().collect();
        due.retain(|key| {
            let entry = known.entry(key.clone()).or_default();
            let is_due = newest(entry).is_none_or(|time| since(time) >= FRESH);
            if is_due {
                entry.begun = Some(now);
            }
            is_due
        });
        due
    }

    /// Looks at a Secret: at its metadata.
    pub async fn look(&self, client: &Client, key: Key) {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &key.namespace);
        let seen = match secrets.get_metadata_opt(&key.name).await {
            Ok(found) => of(found.map(|secret| secret.metadata.resource_version)),
            Err(_) => Seen::Unreadable,
        };
        self.saw(key, seen, Timestamp::now());
    }

    /// A panic while the lock was held left a map that is still whole: every change is one call.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Entry>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A Secret that is there, with its resourceVersion, or not.
#[must_use]
pub fn of(found: Option<Option<String>>) -> Seen {
    found.map_or(Seen::Missing, |version| Seen::There(version.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    #[test]
    fn a_secret_is_looked_at_by_one_at_a_time_and_again_when_what_was_seen_is_old() {
        let (versions, key) = (SecretVersions::default(), Key::new("shop", "database"));
        let due = |now| !versions.due([key.clone()], now).is_empty();
        assert!(due(at(0)));
        assert!(!due(at(1)), "somebody looks");
        versions.saw(key.clone(), Seen::There("7".into()), at(1));
        assert!(!due(at(5)), "seen four minutes ago");
        assert!(due(at(6)));
        assert_eq!(versions.known(&key), Some(Sighting { seen: Seen::There("7".into()), at: at(1) }));
        assert!(due(at(12)), "who looked never came back");
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten() {
        let (versions, key) = (SecretVersions::default(), Key::new("shop", "database"));
        versions.saw(key.clone(), Seen::Missing, at(0));
        assert_eq!(versions.due([], at(61)), []);
        assert_eq!(versions.known(&key), None);
    }
}
