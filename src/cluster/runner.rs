//! Runs reconciles: keyed, one at a time per key, bounded in number, retried with back-off per key.
//!
//! kube-runtime's `applier` reconciles objects of a store; a finished promotion leaves the store of unfinished ones and must
//! still be reconciled, so the queue here holds keys. The waiting itself is tokio-util's `DelayQueue`.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue;

use super::cache::Key;
use crate::error::Class;
use crate::telemetry::metrics::{Metrics, RunOutcome};

/// First and longest pause between two tries (style of client-go: exponential, but with full jitter).
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long a broken invariant rests before it is looked at again.
const BUG_PAUSE: Duration = Duration::from_secs(300);

/// What a run asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing until the key is asked for again.
    Await,
    /// Another run at once.
    Again,
    /// Another run after this time, if nothing asks earlier.
    After(Duration),
}

/// Why a run failed.
pub trait RunError: std::fmt::Display + Send + 'static {
    /// How it is to be taken.
    fn class(&self) -> Class;
    /// Somebody else wrote in between: the first of these is repeated at once.
    fn is_conflict(&self) -> bool;
}

impl RunError for super::error::ClusterError {
    fn class(&self) -> Class {
        Self::class(self)
    }
    fn is_conflict(&self) -> bool {
        Self::is_conflict(self)
    }
}

/// The way into a runner: whoever holds it can ask for runs.
#[derive(Clone, Debug)]
pub struct Queue {
    sender: mpsc::UnboundedSender<Key>,
}

impl Queue {
    /// A queue and its end for a runner.
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Key>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender }, receiver)
    }

    /// Asks for a run of this key, at once or after the run that is under way.
    pub fn add(&self, key: Key) {
        // A runner that has ended needs no more runs.
        let _ = self.sender.send(key);
    }
}

/// How a runner behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name, in metrics and logs.
    pub name: &'static str,
    /// How many keys run at once.
    pub workers: usize,
    /// Least time between the starts of two runs of one key; coalesces bursts. The first runs at once.
    pub quiet: Duration,
}

/// Runs until the token is cancelled; runs under way are finished first.
pub async fn run<F, Fut, E>(
    settings: Settings,
    requests: mpsc::UnboundedReceiver<Key>,
    (metrics, stop): (Metrics, CancellationToken),
    reconcile: F,
) where
    F: Fn(Key) -> Fut,
    Fut: Future<Output = Result<Next, E>> + Send + 'static,
    E: RunError,
{
    let mut requests = requests;
    let mut work = Work::new(settings, metrics);
    loop {
        while let Some(key) = work.startable() {
            let run = reconcile(key.clone());
            work.start(key, run);
        }
        tokio::select! {
            () = stop.cancelled() => break,
            Some(key) = requests.recv() => work.ask(key),
            Some(due) = work.waiting.next(), if !work.waiting.is_empty() => work.ripen(due.into_inner()),
            Some(ended) = work.running.join_next_with_id() => work.end(ended),
        }
    }
    while let Some(ended) = work.running.join_next_with_id().await {
        work.end(ended);
    }
}

/// Everything that waits, is ready, or runs.
struct Work<E> {
    settings: Settings,
    metrics: Metrics,
    waiting: DelayQueue<Key>,
    places: HashMap<Key, (Instant, delay_queue::Key)>,
    ready: VecDeque<Key>,
    queued: HashSet<Key>,
    running: JoinSet<Result<Next, E>>,
    tasks: HashMap<Id, (Key, Instant)>,
    busy: HashSet<Key>,
    asked_again: HashSet<Key>,
    failures: HashMap<Key, u32>,
}

impl<E: RunError> Work<E> {
    fn new(settings: Settings, metrics: Metrics) -> Self {
        Self {
            settings,
            metrics,
            waiting: DelayQueue::new(),
            places: HashMap::new(),
            ready: VecDeque::new(),
            queued: HashSet::new(),
            running: JoinSet::new(),
            tasks: HashMap::new(),
            busy: HashSet::new(),
            asked_again: HashSet::new(),
            failures: HashMap::new(),
        }
    }

    /// Somebody asks for a run.
    fn ask(&mut self, key: Key) {
        if self.busy.contains(&key) {
            self.asked_again.insert(key);
        } else {
            self.wait(key, Instant::now());
        }
    }

    /// A run is due at this time, or earlier if one was due earlier.
    fn wait(&mut self, key: Key, at: Instant) {
        if self.queued.contains(&key) {
            return;
        }
        match self.places.get(&key) {
            Some((known, _)) if *known <= at => return,
            Some((_, place)) => drop(self.waiting.try_remove(place)),
            None => {}
        }
        self.places.remove(&key);
        if at <= Instant::now() {
            self.queued.insert(key.clone());
            self.ready.push_back(key);
            return;
        }
        let place = self.waiting.insert_at(key.clone(), at);
        self.places.insert(key, (at, place));
    }

    fn ripen(&mut self, key: Key) {
        self.places.remove(&key);
        if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    fn startable(&mut self) -> Option<Key> {
        if self.running.len() >= self.settings.workers {
            return None;
        }
        self.ready.pop_front()
    }

    fn start(&mut self, key: Key, run: impl Future<Output = Result<Next, E>> + Send + 'static) {
        self.queued.remove(&key);
        self.busy.insert(key.clone());
        let task = self.running.spawn(run);
        self.tasks.insert(task.id(), (key, Instant::now()));
    }

    fn end(&mut self, ended: Result<(Id, Result<Next, E>), JoinError>) {
        let (id, result) = match ended {
            Ok((id, result)) => (id, Ok(result)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some((key, begun)) = self.tasks.remove(&id) else { return };
        self.busy.remove(&key);
        let (outcome, pause) = match result {
            Ok(Ok(next)) => (RunOutcome::Ok, self.succeed(&key, next)),
            Ok(Err(error)) => self.fail(&key, &error),
            Err(panic) => self.quarantine(&key, &panic),
        };
        self.metrics.run(self.settings.name, outcome, begun.elapsed());
        let again = self.asked_again.remove(&key);
        // Who asked while a run failed waits for the pause: otherwise a hot object would defeat the back-off.
        let pause = if again && outcome == RunOutcome::Ok { Some(Duration::ZERO) } else { pause };
        if let Some(pause) = pause {
            let quiet_until = begun + self.settings.quiet;
            self.wait(key, (Instant::now() + pause).max(quiet_until));
        }
    }

    fn succeed(&mut self, key: &Key, next: Next) -> Option<Duration> {
        self.failures.remove(key);
        match next {
            Next::Await => None,
            Next::Again => Some(Duration::ZERO),
            Next::After(pause) => Some(pause),
        }
    }

    fn fail(&mut self, key: &Key, error: &E) -> (RunOutcome, Option<Duration>) {
        let failures = self.failures.entry(key.clone()).or_insert(0);
        let first = *failures == 0;
        *failures = failures.saturating_add(1);
        let tries = *failures;
        if first && error.is_conflict() {
            return (RunOutcome::Conflict, Some(Duration::ZERO));
        }
        let controller = self.settings.name;
        let (namespace, name) = (&key.namespace, &key.name);
        let pause = match error.class() {
            Class::Terminal => return (RunOutcome::Failed, Some(FIRST_PAUSE)),
            Class::Bug => BUG_PAUSE,
            Class::Retryable | Class::Blocked => pause(tries),
        };
        tracing::warn!(controller, namespace, name, %error, tries, "a run failed and is tried again");
        (RunOutcome::Failed, Some(pause))
    }

    /// A panic stops nobody but the object that caused it.
    fn quarantine(&mut self, key: &Key, panic: &JoinError) -> (RunOutcome, Option<Duration>) {
        let controller = self.settings.name;
        tracing::error!(controller, namespace = key.namespace, name = key.name, error = %panic, "a run panicked");
        (RunOutcome::Panicked, Some(BUG_PAUSE))
    }
}

/// Full jitter over a doubling pause. Every `RandomState` has keys of its own, which is randomness enough here.
fn pause(tries: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    let share = u32::try_from(RandomState::new().build_hasher().finish() % 1000).unwrap_or(0);
    longest.mul_f64(f64::from(share) / 1000.0).max(Duration::from_millis(50))
}
