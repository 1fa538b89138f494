//! Whether the loops of this process still turn: what `/healthz` asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A loop that was silent for this long hangs; loops beat every few seconds.
pub const SILENT_AFTER: Duration = Duration::from_mins(1);

/// When each loop was last heard of. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Pulse {
    beats: Arc<Mutex<BTreeMap<&'static str, Instant>>>,
}

impl Pulse {
    /// A loop is alive.
    pub fn beat(&self, name: &'static str) {
        self.lock().insert(name, Instant::now());
    }

    /// A loop ended because it was told to, and is not missed.
    pub fn stopped(&self, name: &'static str) {
        self.lock().remove(name);
    }

    /// The loops that were not heard of for this long.
    #[must_use]
    pub fn silent(&self, longer_than: Duration) -> Vec<&'static str> {
        let beats = self.lock();
        beats.iter().filter(|(_, last)| last.elapsed() > longer_than).map(|(name, _)| *name).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Instant>> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_hangs_is_named_and_one_that_was_stopped_is_not() {
        let pulse = Pulse::default();
        pulse.beat("promotion");
        pulse.beat("release");
        assert!(pulse.silent(SILENT_AFTER).is_empty());
        pulse.stopped("release");
        assert_eq!(pulse.silent(Duration::ZERO), ["promotion"]);
    }
}
