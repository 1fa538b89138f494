//! Runs reconciles: keyed, one at a time per key, bounded in number, retried with back-off per key.
//!
//! kube-runtime's `applier` reconciles objects of a store; a finished promotion leaves the store of unfinished ones and must
//! still be reconciled, so the queue here holds keys. The waiting itself is tokio-util's `DelayQueue`.

mod pause;
mod work;

use std::future::Future;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::work::Work;
use super::cache::Key;
use crate::error::Class;
use crate::telemetry::metrics::Metrics;

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
    /// How long a key rests between the starts of two of its runs.
    pub quiet: Quiet,
}

/// Least time between the starts of two runs of one key; coalesces bursts. The first runs at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// Between two runs, as long as few ask.
    pub least: Duration,
    /// Between two runs while many ask: the rest doubles up to this with every run that more than a few have asked for.
    pub most: Duration,
}

/// How many may ask for the same run before it counts as a burst: a run that writes is asked for again by its own write, and what
/// caused it often comes in two changes.
const FEW: u32 = 3;

impl Quiet {
    /// No rest at all.
    pub const NONE: Self = Self::always(Duration::ZERO);

    /// The same rest, however many ask.
    #[must_use]
    pub const fn always(rest: Duration) -> Self {
        Self { least: rest, most: rest }
    }

    /// The rest after a run that so many asked for, when the last one was this long.
    fn after(self, last: Duration, asked: u32) -> Duration {
        if asked > FEW { last.saturating_mul(2).clamp(self.least, self.most) } else { self.least }
    }
}

/// How often the loop says that it is alive.
const BEAT: Duration = Duration::from_secs(5);
/// How long runs under way may take to finish once the runner is told to stop; a pod has 30 seconds in all.
const GRACE: Duration = Duration::from_secs(20);

/// Runs until the token is cancelled; runs under way are finished first, if they do not take long.
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
    let pulse = metrics.pulse().clone();
    let name = settings.name;
    let mut work = Work::new(settings, metrics);
    let mut beat = tokio::time::interval(BEAT);
    loop {
        // Everything that was asked for before a run begins is part of it.
        while let Ok(key) = requests.try_recv() {
            work.ask(key);
        }
        while let Some(key) = work.startable() {
            let run = reconcile(key.clone());
            work.start(key, run);
        }
        tokio::select! {
            () = stop.cancelled() => break,
            Some(key) = requests.recv() => work.ask(key),
            Some(due) = work.waiting.next(), if !work.waiting.is_empty() => work.ripen(due.into_inner()),
            Some(ended) = work.running.join_next_with_id() => work.end(ended),
            _ = beat.tick() => pulse.beat(name),
        }
    }
    pulse.stopped(name);
    work.finish(Instant::now() + GRACE).await;
}

#[cfg(test)]
mod tests;
