//! Events (events.k8s.io/v1) of what happened, for `kubectl describe`. A courtesy: a failed one never fails a run.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc;

use crate::telemetry::metrics::Metrics;

/// How many Events may wait to be written; a burst beyond that drops the newest, and counts them.
const BACKLOG: usize = 8192;
/// How many are written at once.
const WRITERS: usize = 4;
/// Longest note that the API server takes (events.k8s.io/v1 validation).
const LONGEST_NOTE: usize = 1024;

/// One Event to be written.
#[derive(Clone, Debug)]
pub struct Said {
    /// The object that it is about.
    pub regarding: ObjectReference,
    /// Whether a person should worry.
    pub warning: bool,
    /// One word: what happened.
    pub reason: String,
    /// One word: what Gantry was doing.
    pub action: String,
    /// One sentence.
    pub note: String,
    /// Another object that it is about.
    pub related: Option<ObjectReference>,
}

/// The way to say something. One recorder writes for the whole process, so that repetitions are folded.
#[derive(Clone)]
pub struct Events {
    sender: mpsc::Sender<Said>,
    metrics: Metrics,
}

impl Events {
    /// The way to say something, and the task that writes it until every way is dropped.
    pub fn new(client: Client, instance: &str, metrics: Metrics) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let reporter = Reporter { controller: "gantry.dev/gantry".to_owned(), instance: Some(instance.to_owned()) };
        let task = write_all(Recorder::new(client, reporter), receiver, metrics.clone());
        (Self { sender, metrics }, task)
    }

    /// Says something, soon. Never waits.
    pub fn say(&self, said: Said) {
        if self.sender.try_send(said).is_err() {
            self.metrics.event_dropped();
        }
    }
}

async fn write_all(recorder: Recorder, receiver: mpsc::Receiver<Said>, metrics: Metrics) {
    let said = futures::stream::unfold(receiver, |mut receiver| async move {
        let next = receiver.recv().await?;
        Some((next, receiver))
    });
    futures::StreamExt::for_each_concurrent(said, WRITERS, |said| {
        let (recorder, metrics) = (recorder.clone(), metrics.clone());
        async move {
            let event = Event {
                type_: if said.warning { EventType::Warning } else { EventType::Normal },
                reason: said.reason,
                note: Some(cut(said.note)),
                action: said.action,
                secondary: said.related,
            };
            if let Err(error) = recorder.publish(&event, &said.regarding).await {
                metrics.event_dropped();
                tracing::debug!(%error, reason = event.reason, "an Event was not written");
            }
        }
    })
    .await;
}

fn cut(mut note: String) -> String {
    if note.len() > LONGEST_NOTE {
        let mut end = LONGEST_NOTE;
        while !note.is_char_boundary(end) {
            end -= 1;
        }
        note.truncate(end);
    }
    note
}
