//! What was seen and is not yet recorded, of each space.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::subject::{Sighting, State};

/// The sightings of one object, in the order of what they are of.
pub type Pile = BTreeMap<State, Sighting>;

/// Sightings that wait for their record. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Desk {
    spaces: Arc<Mutex<BTreeMap<String, BTreeMap<String, Pile>>>>,
}

impl Desk {
    /// Puts down what was seen. The first sighting of a state stays: it was nearer to what it tells of.
    pub fn put(&self, space: &str, sighting: Sighting) {
        let mut spaces = self.lock();
        let pile = spaces.entry(space.to_owned()).or_default().entry(sighting.subject.stem()).or_default();
        pile.entry(sighting.state.clone()).or_insert(sighting);
    }

    /// What waits in a space, by object.
    #[must_use]
    pub fn of_space(&self, space: &str) -> BTreeMap<String, Pile> {
        self.lock().get(space).cloned().unwrap_or_default()
    }

    /// A sighting is recorded.
    pub fn done(&self, space: &str, stem: &str, state: &State) {
        let mut spaces = self.lock();
        let Some(of_space) = spaces.get_mut(space) else { return };
        if let Some(pile) = of_space.get_mut(stem) {
            pile.remove(state);
            if pile.is_empty() {
                of_space.remove(stem);
            }
        }
        if of_space.is_empty() {
            spaces.remove(space);
        }
    }

    /// A panic while the lock was held left a map that is still whole: what is half done is an empty pile.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<String, Pile>>> {
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
