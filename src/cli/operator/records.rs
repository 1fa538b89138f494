//! Starts whoever records, and whoever seals records.

use std::sync::Arc;
use std::time::Duration;

use super::Started;
use crate::cluster::cache::Key;
use crate::cluster::runner::{Queue, Quiet};
use crate::cluster::tasks::Tasks;
use crate::controllers::audit::AuditController;
use crate::controllers::records::desk::Desk;
use crate::controllers::records::recorder::Recorder;

/// A record is sealed at once, and in a burst many with one checkpoint.
const SEALS: Quiet = Quiet { least: Duration::from_secs(1), most: Duration::from_secs(10) };

/// Starts both.
pub(super) fn start(started: &Started, tasks: &mut Tasks) {
    seal(started, tasks);
    record(started, tasks);
}

fn seal(started: &Started, tasks: &mut Tasks) {
    let audit = AuditController { context: Arc::clone(&started.context) };
    let (spaces, requests) = Queue::new();
    started.context.ledger.attach(spaces.clone());
    for space in started.context.stores.spaces() {
        spaces.add(Key::new(space, ""));
    }
    let seal = move |key: Key| {
        let audit = audit.clone();
        async move { audit.reconcile(key).await }
    };
    started.run(tasks, ("audit", requests, SEALS), seal);
}

fn record(started: &Started, tasks: &mut Tasks) {
    let recorder = Recorder { context: Arc::clone(&started.context), desk: Desk::default() };
    let (spaces, requests) = Queue::new();
    // What was deleted while nobody looked may have been all that a space had of its kind.
    for space in started.context.stores.spaces() {
        spaces.add(Key::new(space, ""));
    }
    let listener = recorder.clone();
    let keep = move |key: Key| {
        let recorder = recorder.clone();
        async move { recorder.reconcile(key).await }
    };
    started.run(tasks, ("record", requests, Quiet::NONE), keep);
    started.until_stopped(tasks, "the eyes of the recorder", listener.listen(spaces));
}
