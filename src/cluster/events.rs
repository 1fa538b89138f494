//! Events (events.k8s.io/v1) of what happened, for `kubectl describe`. A courtesy: a failed one never fails a run.

mod folds;

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::folds::Folds;
use crate::telemetry::metrics::Metrics;

/// How many Events may wait to be written by each writer; a burst beyond that drops the newest, and counts them.
const BACKLOG: usize = 2048;
/// How many are written at once. Those of one object are written by one writer, in the order in which they were said.
const WRITERS: usize = 4;
/// After how many Events a writer forgets what it wrote: in a burst, six minutes of them would be most of the memory.
const KEPT: usize = 128;
/// Longest note that the API server takes (events.k8s.io/v1 validation).
const LONGEST_NOTE: usize = 1024;

/// One Event to be written.
#[derive(Clone, Debug, PartialEq)]
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
    /// Whether many of its kind within seconds may become one, because each is told elsewhere, too.
    pub foldable: bool,
}

/// The way to say something.
#[derive(Clone)]
pub struct Events {
    writers: Arc<[mpsc::Sender<Said>]>,
    metrics: Metrics,
    /// Nothing more is said: what was said before is still written.
    closing: CancellationToken,
    /// All is written.
    written: CancellationToken,
}

impl Events {
    /// The way to say something, and the task that writes it. The task ends once every way is dropped, or closed, and all is
    /// written.
    pub fn new(client: &Client, instance: &str, metrics: Metrics) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (closing, written) = (CancellationToken::new(), CancellationToken::new());
        let (writers, tasks): (Vec<_>, Vec<_>) = (0..WRITERS)
            .map(|_| {
                let (writer, said) = mpsc::channel(BACKLOG);
                (writer, write_all(Writer::new(client, instance, &metrics), (said, closing.clone())))
            })
            .unzip();
        let done = written.clone().drop_guard();
        let all_written = async move {
            futures::future::join_all(tasks).await;
            drop(done);
        };
        (Self { writers: writers.into(), metrics, closing, written }, all_written)
    }

    /// Waits until everything that was said is written, but no longer than this; nothing can be said any more.
    pub async fn finish(&self, within: Duration) {
        self.closing.cancel();
        if tokio::time::timeout(within, self.written.cancelled()).await.is_err() {
            tracing::warn!(?within, "some Events could not be written in time");
        }
    }

    /// Says something, soon. Never waits.
    pub fn say(&self, said: Said) {
        let taken = self.writer_of(&said.regarding).is_some_and(|writer| writer.try_send(said).is_ok());
        if !taken {
            self.metrics.event_dropped();
        }
    }

    fn writer_of(&self, object: &ObjectReference) -> Option<&mpsc::Sender<Said>> {
        let mut hasher = DefaultHasher::new();
        (&object.kind, &object.namespace, &object.name, &object.uid).hash(&mut hasher);
        let count = u64::try_from(self.writers.len()).ok()?;
        self.writers.get(usize::try_from(hasher.finish().checked_rem(count)?).ok()?)
    }
}

async fn write_all(mut writer: Writer, (mut queue, closing): (mpsc::Receiver<Said>, CancellationToken)) {
    let mut folds = Folds::default();
    loop {
        let due = folds.due();
        let said = tokio::select! {
            biased;
            () = closing.cancelled(), if !queue.is_closed() => {
                queue.close();
                continue;
            }
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                for said in folds.ripe(Instant::now()) {
                    writer.write(said).await;
                }
                continue;
            }
            said = queue.recv() => said,
        };
        let Some(said) = said else { break };
        if let Some(said) = folds.take(said, Instant::now()) {
            writer.write(said).await;
        }
    }
    for said in folds.rest() {
        writer.write(said).await;
    }
}

/// Writes Events of some of the objects.
struct Writer {
    client: Client,
    reporter: Reporter,
    metrics: Metrics,
    /// Folds what is repeated, for which it keeps every Event of the last six minutes.
    recorder: Recorder,
    kept: usize,
}

impl Writer {
    fn new(client: &Client, instance: &str, metrics: &Metrics) -> Self {
        let reporter = Reporter { controller: "gantry.dev/gantry".to_owned(), instance: Some(instance.to_owned()) };
        let recorder = Recorder::new(client.clone(), reporter.clone());
        Self { client: client.clone(), reporter, metrics: metrics.clone(), recorder, kept: 0 }
    }

    async fn write(&mut self, said: Said) {
        let event = Event {
            type_: if said.warning { EventType::Warning } else { EventType::Normal },
            reason: said.reason,
            note: Some(cut(said.note)),
            action: said.action,
            secondary: said.related,
        };
        if let Err(error) = self.recorder.publish(&event, &said.regarding).await {
            self.metrics.event_dropped();
            tracing::warn!(%error, reason = event.reason, "an Event was not written");
        }
        self.kept = self.kept.saturating_add(1);
        if self.kept >= KEPT {
            self.recorder = Recorder::new(self.client.clone(), self.reporter.clone());
            self.kept = 0;
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::Value;

    /// An API server that takes, or refuses, every Event; and what it was sent.
    fn server(takes: bool) -> (Client, Arc<Mutex<Vec<Value>>>) {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&sent);
        let service = tower::service_fn(move |request: Request<Body>| {
            let received = Arc::clone(&received);
            async move {
                let body = request.into_body().collect_bytes().await.unwrap();
                received.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                let refusal = br#"{"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden"}"#;
                let (code, answer) = if takes { (201, body.to_vec()) } else { (403, refusal.to_vec()) };
                let answer = Response::builder().status(code).body(axum::body::Body::from(answer)).unwrap();
                Ok::<_, std::convert::Infallible>(answer)
            }
        });
        (Client::new(service, "default"), sent)
    }

    pub(super) fn said(object: &str, reason: &str) -> Said {
        let name = Some(object.to_owned());
        Said {
            regarding: ObjectReference { name, namespace: Some("shop".into()), ..ObjectReference::default() },
            warning: false,
            reason: reason.to_owned(),
            action: "Promoting".to_owned(),
            note: "It went well.".to_owned(),
            related: None,
            foldable: false,
        }
    }

    #[tokio::test]
    async fn what_is_said_of_one_object_is_written_in_order_and_all_of_it_before_the_task_ends() {
        let (client, sent) = server(true);
        let (events, task) = Events::new(&client, "me", Metrics::new().unwrap());
        for n in 0..50 {
            events.say(said(&format!("object-{}", n % 5), &format!("Reason{n}")));
        }
        drop(events);
        task.await;
        let sent = sent.lock().unwrap();
        assert_eq!(sent.len(), 50);
        for object in 0..5 {
            let of_object = |event: &&Value| event["regarding"]["name"] == format!("object-{object}");
            let reasons: Vec<_> = sent.iter().filter(of_object).map(|event| event["reason"].clone()).collect();
            let expected: Vec<_> = (0..10).map(|n| Value::from(format!("Reason{}", n * 5 + object))).collect();
            assert_eq!(reasons, expected);
        }
    }

    #[tokio::test]
    async fn what_was_said_before_an_orderly_stop_is_still_written() {
        let (client, sent) = server(true);
        let (events, task) = Events::new(&client, "me", Metrics::new().unwrap());
        for n in 0..50 {
            events.say(said("a", &format!("Reason{n}")));
        }
        let still_held = events.clone();
        let task = tokio::spawn(task);
        still_held.finish(Duration::from_secs(20)).await;
        assert_eq!(sent.lock().unwrap().len(), 50);
        task.await.unwrap();
        events.say(said("a", "TooLate"));
        assert_eq!(sent.lock().unwrap().len(), 50);
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_holds_up_no_stop() {
        let silent = tower::service_fn(|_: Request<Body>| async {
            std::future::pending::<Result<Response<axum::body::Body>, std::convert::Infallible>>().await
        });
        let (events, task) = Events::new(&Client::new(silent, "default"), "me", Metrics::new().unwrap());
        events.say(said("a", "Stopping"));
        let task = tokio::spawn(task);
        let finish = events.finish(Duration::from_millis(20));
        tokio::time::timeout(Duration::from_secs(20), finish).await.expect("it waits no longer than it was told to");
        task.abort();
    }

    #[tokio::test]
    async fn what_is_repeated_is_folded() {
        let (client, sent) = server(true);
        let (events, task) = Events::new(&client, "me", Metrics::new().unwrap());
        events.say(said("a", "Waiting"));
        events.say(said("a", "Waiting"));
        drop(events);
        task.await;
        let sent = sent.lock().unwrap();
        assert_eq!((sent[0]["series"].clone(), sent[1]["series"]["count"].clone()), (Value::Null, Value::from(2)));
    }

    #[tokio::test]
    async fn what_was_written_long_ago_is_forgotten() {
        let (client, sent) = server(true);
        let (events, task) = Events::new(&client, "me", Metrics::new().unwrap());
        events.say(said("a", "Waiting"));
        for n in 1..KEPT {
            events.say(said("a", &format!("Reason{n}")));
        }
        events.say(said("a", "Waiting"));
        drop(events);
        task.await;
        let sent = sent.lock().unwrap();
        assert_eq!((sent.len(), sent[KEPT]["series"].clone()), (KEPT + 1, Value::Null));
    }

    #[tokio::test]
    async fn what_cannot_be_written_or_kept_is_counted_and_stops_nobody() {
        let (client, _) = server(false);
        let metrics = Metrics::new().unwrap();
        let (events, task) = Events::new(&client, "me", metrics.clone());
        for n in 0..=BACKLOG {
            events.say(said("a", &format!("Reason{n}")));
        }
        assert!(metrics.text().unwrap().contains("gantry_events_dropped_total 1\n"), "one too many for the backlog");
        drop(events);
        task.await;
        let all = format!("gantry_events_dropped_total {}\n", BACKLOG + 1);
        assert!(metrics.text().unwrap().contains(&all));
    }

    #[test]
    fn a_long_note_is_cut_between_characters() {
        let cut = cut("é".repeat(LONGEST_NOTE)) + &cut(format!("x{}", "é".repeat(LONGEST_NOTE)));
        assert_eq!((cut.len(), cut.chars().filter(|c| *c == 'é').count()), (1024 + 1023, 512 + 511));
    }
}
