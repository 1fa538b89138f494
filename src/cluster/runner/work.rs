//! Everything that waits, is ready, or runs.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::time::{DelayQueue, delay_queue};
use tracing::Instrument;

use super::{Next, RunError, Settings, pause};
use crate::cluster::cache::Key;
use crate::error::Class;
use crate::telemetry::metrics::{Metrics, RunOutcome};

/// After this many runs, keys of which nothing is left to know are forgotten.
const SWEEP: u32 = 1024;

/// What is known of one key.
#[derive(Default)]
struct Slot {
    /// Its timer, and when it is due.
    timer: Option<(Instant, delay_queue::Key)>,
    /// It is in the queue of ready keys.
    ready: bool,
    /// It runs.
    busy: bool,
    /// Somebody asked while it ran.
    asked_again: bool,
    /// How often it failed in a row.
    failures: u32,
    /// It runs no earlier: bursts are coalesced.
    quiet_until: Option<Instant>,
    /// How long it rested last.
    rest: Duration,
    /// How many asked for its next run.
    asked: u32,
    /// Nobody wakes it earlier: it failed.
    held_until: Option<Instant>,
}

impl Slot {
    /// Nothing is known that would be missed.
    fn is_blank(&self, now: Instant) -> bool {
        let idle = self.timer.is_none() && !self.ready && !self.busy;
        let passed = |until: Option<Instant>| until.is_none_or(|until| until <= now);
        idle && self.failures == 0 && passed(self.quiet_until) && passed(self.held_until)
    }
}

pub(super) struct Work<E> {
    settings: Settings,
    metrics: Metrics,
    /// Keys whose time has not come.
    pub(super) waiting: DelayQueue<Key>,
    /// Runs under way.
    pub(super) running: JoinSet<Result<Next, E>>,
    slots: HashMap<Key, Slot>,
    ready: VecDeque<Key>,
    tasks: HashMap<Id, (Key, Instant)>,
    runs_until_sweep: u32,
}

impl<E: RunError> Work<E> {
    pub(super) fn new(settings: Settings, metrics: Metrics) -> Self {
        Self {
            settings,
            metrics,
            waiting: DelayQueue::new(),
            running: JoinSet::new(),
            slots: HashMap::new(),
            ready: VecDeque::new(),
            tasks: HashMap::new(),
            runs_until_sweep: SWEEP,
        }
    }

    /// Somebody asks for a run.
    pub(super) fn ask(&mut self, key: Key) {
        let slot = self.slots.entry(key.clone()).or_default();
        slot.asked = slot.asked.saturating_add(1);
        if slot.busy {
            slot.asked_again = true;
            return;
        }
        let now = Instant::now();
        let earliest = slot.held_until.unwrap_or(now).max(now);
        self.wait(key, earliest);
    }

    /// A run is due at this time, or earlier if one was due earlier, but not before its quiet time has passed.
    fn wait(&mut self, key: Key, at: Instant) {
        let slot = self.slots.entry(key.clone()).or_default();
        let at = slot.quiet_until.map_or(at, |quiet| quiet.max(at));
        if slot.ready || slot.timer.as_ref().is_some_and(|(known, _)| *known <= at) {
            return;
        }
        if let Some((_, timer)) = slot.timer.take() {
            self.waiting.try_remove(&timer);
        }
        if at <= Instant::now() {
            slot.ready = true;
            self.ready.push_back(key);
            return;
        }
        slot.timer = Some((at, self.waiting.insert_at(key, at)));
    }

    /// The time of a key has come.
    pub(super) fn ripen(&mut self, key: Key) {
        let slot = self.slots.entry(key.clone()).or_default();
        slot.timer = None;
        if !std::mem::replace(&mut slot.ready, true) {
            self.ready.push_back(key);
        }
    }

    /// The next key that may run, if a worker is free.
    pub(super) fn startable(&mut self) -> Option<Key> {
        if self.running.len() >= self.settings.workers {
            return None;
        }
        self.ready.pop_front()
    }

    pub(super) fn start(&mut self, key: Key, run: impl Future<Output = Result<Next, E>> + Send + 'static) {
        let slot = self.slots.entry(key.clone()).or_default();
        slot.ready = false;
        slot.busy = true;
        slot.rest = self.settings.quiet.after(slot.rest, std::mem::take(&mut slot.asked));
        let (controller, namespace, name) = (self.settings.name, &key.namespace, &key.name);
        // Not `name`: in JSON a span has that of itself.
        let span = tracing::info_span!("run", controller, namespace, object = name);
        let task = self.running.spawn(run.instrument(span));
        self.tasks.insert(task.id(), (key, Instant::now()));
    }

    /// A run has ended.
    pub(super) fn end(&mut self, ended: Result<(Id, Result<Next, E>), JoinError>) {
        let (id, result) = match ended {
            Ok((id, result)) => (id, Ok(result)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some((key, begun)) = self.tasks.remove(&id) else { return };
        let mut slot = self.slots.remove(&key).unwrap_or_default();
        slot.busy = false;
        slot.quiet_until = (!slot.rest.is_zero()).then(|| begun + slot.rest);
        let (outcome, next) = match result {
            Ok(Ok(next)) => succeed(&mut slot, next),
            Ok(Err(error)) => self.fail((&key, begun), &mut slot, &error),
            Err(panic) => self.quarantine(&key, &mut slot, &panic),
        };
        self.metrics.run(self.settings.name, outcome, begun.elapsed());
        let asked_again = std::mem::take(&mut slot.asked_again);
        self.slots.insert(key.clone(), slot);
        if let Some(pause) = next {
            self.wait(key.clone(), Instant::now() + pause);
        }
        if asked_again {
            self.ask(key);
        }
        self.sweep();
    }

    fn fail(&self, (key, begun): (&Key, Instant), slot: &mut Slot, error: &E) -> (RunOutcome, Option<Duration>) {
        let first = slot.failures == 0;
        slot.failures = slot.failures.saturating_add(1);
        if first && error.is_conflict() {
            slot.held_until = None;
            return (RunOutcome::Conflict, Some(Duration::ZERO));
        }
        let tries = slot.failures;
        // The write of somebody else that caused a conflict is on its way here, and is the best moment to try again.
        let woken_soon = error.is_conflict() && tries <= pause::CONFLICTS;
        slot.held_until = (!woken_soon).then(|| begun + pause::hold(tries));
        let controller = self.settings.name;
        let (namespace, name) = (&key.namespace, &key.name);
        let pause = match error.class() {
            // Whoever leads now does this work; the process is about to end.
            Class::Terminal => return (RunOutcome::Failed, Some(pause::hold(tries))),
            Class::Bug => {
                tracing::error!(controller, namespace, name, %error, "a run found an invariant broken; report this");
                return (RunOutcome::Failed, Some(pause::QUARANTINE));
            }
            Class::Retryable | Class::Blocked => pause::after_failures(tries),
        };
        if !woken_soon {
            tracing::warn!(controller, namespace, name, %error, tries, "a run failed and is tried again");
        }
        (RunOutcome::Failed, Some(pause))
    }

    /// A panic stops nobody but the object that caused it, and nothing wakes that one.
    fn quarantine(&self, key: &Key, slot: &mut Slot, panic: &JoinError) -> (RunOutcome, Option<Duration>) {
        let controller = self.settings.name;
        tracing::error!(controller, namespace = key.namespace, name = key.name, error = %panic, "a run panicked");
        slot.held_until = Some(Instant::now() + pause::QUARANTINE);
        (RunOutcome::Panicked, Some(pause::QUARANTINE))
    }

    /// Forgets keys of which nothing is left to know; objects come and go for years.
    fn sweep(&mut self) {
        self.runs_until_sweep = self.runs_until_sweep.saturating_sub(1);
        if self.runs_until_sweep == 0 {
            self.runs_until_sweep = SWEEP;
            let now = Instant::now();
            self.slots.retain(|_, slot| !slot.is_blank(now));
        }
    }

    /// Waits for the runs under way, until the deadline.
    pub(super) async fn finish(mut self, deadline: Instant) {
        let all = async {
            while let Some(ended) = self.running.join_next_with_id().await {
                self.end(ended);
            }
        };
        if tokio::time::timeout_at(deadline, all).await.is_err() {
            let (controller, runs) = (self.settings.name, self.running.len());
            tracing::warn!(controller, runs, "runs took too long to finish and are cut off");
        }
    }
}

fn succeed(slot: &mut Slot, next: Next) -> (RunOutcome, Option<Duration>) {
    slot.failures = 0;
    slot.held_until = None;
    let pause = match next {
        Next::Await => None,
        Next::Again => Some(Duration::ZERO),
        Next::After(pause) => Some(pause::asked(pause)),
    };
    (RunOutcome::Ok, pause)
}
