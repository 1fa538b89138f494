//! Registries by host: asked one question at a time, and left alone for as long as they wish.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::OwnedMutexGuard;

/// The longest that a wish to be left alone is heeded.
const LONGEST_WISH: SignedDuration = SignedDuration::from_hours(1);

/// What is known of each host.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    known: Arc<Mutex<HashMap<String, Host>>>,
}

#[derive(Debug, Default)]
struct Host {
    turn: Arc<tokio::sync::Mutex<()>>,
    alone_until: Option<Timestamp>,
}

impl Hosts {
    /// Waits until nobody else asks this host. The turn ends when the guard is dropped.
    pub async fn turn(&self, host: &str) -> OwnedMutexGuard<()> {
        let turn = Arc::clone(&self.lock().entry(host.to_owned()).or_default().turn);
        turn.lock_owned().await
    }

    /// How long the host still wants to be left alone.
    #[must_use]
    pub fn wish(&self, host: &str, now: Timestamp) -> Option<Duration> {
        let until = self.lock().get(host)?.alone_until?;
        Duration::try_from(until.duration_since(now)).ok().filter(|rest| !rest.is_zero())
    }

    /// The host wants to be left alone from now on for this long.
    pub fn wishes(&self, host: &str, (pause, now): (Duration, Timestamp)) {
        let pause = SignedDuration::try_from(pause).unwrap_or(LONGEST_WISH).min(LONGEST_WISH);
        self.lock().entry(host.to_owned()).or_default().alone_until = now.checked_add(pause).ok();
    }

    /// A panic while the lock was held left a map that is still whole: every change is one call.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_host_is_asked_one_question_at_a_time() {
        let hosts = Hosts::default();
        let first = hosts.turn("ghcr.io").await;
        let other = hosts.turn("docker.io").await;
        assert!(futures::poll!(std::pin::pin!(hosts.turn("ghcr.io"))).is_pending());
        drop((first, other));
        let _again = hosts.turn("ghcr.io").await;
    }

    #[test]
    fn a_host_is_left_alone_for_as_long_as_it_wishes_but_no_longer_than_an_hour() {
        let (hosts, at) = (Hosts::default(), |second| Timestamp::from_second(second).unwrap());
        assert_eq!(hosts.wish("ghcr.io", at(0)), None);
        hosts.wishes("ghcr.io", (Duration::from_secs(10), at(0)));
        assert_eq!(hosts.wish("ghcr.io", at(4)), Some(Duration::from_secs(6)));
        assert_eq!((hosts.wish("ghcr.io", at(10)), hosts.wish("docker.io", at(4))), (None, None));
        hosts.wishes("ghcr.io", (Duration::MAX, at(0)));
        assert_eq!(hosts.wish("ghcr.io", at(0)), Some(Duration::from_hours(1)));
    }
}
