//! Which commands a change of a Job wakes.

use super::job::PREFIX;
use crate::cluster::cache::{Cache, Key};
use crate::cluster::runner::Queue;
use crate::controllers::stores::Stores;
use crate::controllers::workloads::Workloads;

/// Wakes commands by the Jobs of their scripts, until the caches end.
pub async fn wake(workloads: Workloads, stores: Stores, commands: Queue) {
    let Some(jobs) = workloads.jobs() else { return };
    let mut changes = Cache::subscribe(jobs);
    while let Some(change) = changes.recv().await {
        if !change.key.name.starts_with(PREFIX) {
            continue;
        }
        for command in stores.commands.all() {
            let status = command.status.as_ref().filter(|status| !status.finished);
            let rows = status.iter().flat_map(|status| &status.targets);
            let mut mine = rows.filter(|row| row.namespace == change.key.namespace);
            if mine.any(|row| row.job.as_deref() == Some(change.key.name.as_str())) {
                commands.add(Key::of(command.as_ref()));
            }
        }
    }
}
