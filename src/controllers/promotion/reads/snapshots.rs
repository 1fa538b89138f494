//! Snapshots that were read lately. A snapshot's name is the hash of its content, which was verified: it cannot go out of date.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use kube::Client;

use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::controllers::release::revision;
use crate::controllers::release::snapshot::{NotThisSnapshot, Snapshot};

/// How many are kept: promotions of one release come close together, and a snapshot may have 256 KiB.
const KEPT: usize = 32;

/// The newest snapshots, the one that was used last at the end.
#[derive(Clone, Debug, Default)]
pub struct Snapshots {
    kept: Arc<Mutex<Kept>>,
}

/// Each with its space and name.
type Kept = VecDeque<(Key, Arc<Snapshot>)>;

impl Snapshots {
    /// The snapshot of this name in a space, read if it is not known.
    ///
    /// # Errors
    /// When it cannot be read now; inside, when it can never be used.
    pub async fn load(
        &self,
        client: &Client,
        space: &str,
        name: &str,
    ) -> Result<Result<Arc<Snapshot>, NotThisSnapshot>, ClusterError> {
        let key = Key::new(space, name);
        if let Some(known) = self.take(&key) {
            return Ok(Ok(self.keep(key, known)));
        }
        Ok(revision::load(client, space, name).await?.map(|read| self.keep(key, Arc::new(read))))
    }

    fn take(&self, key: &Key) -> Option<Arc<Snapshot>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|(known, _)| known == key)?;
        kept.remove(place).map(|(_, snapshot)| snapshot)
    }

    fn keep(&self, key: Key, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((key, Arc::clone(&snapshot)));
        snapshot
    }
}
