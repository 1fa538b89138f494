//! What a release achieved in an environment: that it succeeded there, and how long it stayed.
//!
//! Stays are a join: whatever the order in which ends of promotions become known, and however often,
//! the result is the same, and a stay that is known to have ended never grows again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::domain::name::EnvironmentName;
use crate::domain::promotion::phase::Phase;

/// What a release achieved, by environment.
pub type Arrivals = BTreeMap<EnvironmentName, Arrival>;

/// That a release has succeeded in an environment, and how long it was what ran there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The first success.
    pub at: Timestamp,
    /// When it ran there without being replaced or failing.
    pub stays: Vec<Stay>,
}

/// A time in which a release ran in an environment undisturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stay {
    /// The success that it began with.
    pub from: Timestamp,
    /// When another release came, or a promotion or the workload failed; nothing while it lasts.
    pub until: Option<Timestamp>,
}

/// Something that happened in an environment and may begin or end a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Whether the release runs undisturbed since.
    pub arrives: bool,
    /// When it began; a release that is replaced is disturbed from here on.
    pub began: Timestamp,
    /// When it was over.
    pub ended: Timestamp,
}

/// How a promotion ended, as far as stays go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The whole release succeeded.
    Success,
    /// A part of it did.
    PartialSuccess,
    /// Anything else.
    Other,
}

impl End {
    /// The end in this phase; `partial` says whether targets or steps were left out.
    #[must_use]
    pub fn of(phase: &str, partial: bool) -> Self {
        match (phase == Phase::Succeeded.as_str(), partial) {
            (true, false) => Self::Success,
            (true, true) => Self::PartialSuccess,
            (false, _) => Self::Other,
        }
    }
}

impl Turn {
    /// An end as a turn: a success of the release itself (`mine`) arrives, another success or an end that changed something
    /// (`applied`) disturbs. A part of the release that was put there again and is well does neither.
    #[must_use]
    pub fn of((mine, end): (bool, End), applied: bool, (began, ended): (Timestamp, Timestamp)) -> Option<Self> {
        let arrives = mine && end == End::Success;
        let part = mine && end == End::PartialSuccess;
        ((arrives || end == End::Success || applied) && !part).then_some(Self { arrives, began, ended })
    }
}

/// When a success counts for its phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// Since then.
    Since(Timestamp),
    /// From then on, if nothing disturbs it.
    From(Timestamp),
    /// Only after another success there: it was disturbed too early.
    Never,
}

impl Arrival {
    /// When the success counts for a phase with this soak.
    #[must_use]
    pub fn counts(&self, soak: SignedDuration, now: Timestamp) -> Counts {
        if !soak.is_positive() {
            return Counts::Since(self.at);
        }
        let due = |stay: &Stay| {
            let due = stay.from.saturating_add(soak).unwrap_or(Timestamp::MAX);
            stay.until.is_none_or(|until| until >= due).then_some(due)
        };
        match self.stays.iter().filter_map(due).min() {
            Some(due) if due <= now => Counts::Since(due),
            Some(due) => Counts::From(due),
            None => Counts::Never,
        }
    }

    /// The same, disturbed at these times by what is not over yet and may come to nothing.
    #[must_use]
    pub fn disturbed(mut self, times: &[Timestamp]) -> Self {
        for stay in &mut self.stays {
            let first = times.iter().filter(|time| **time >= stay.from).min().copied();
            stay.until = earlier(stay.until, first);
        }
        self
    }
}

/// What is known of the stays of a release in one environment, with these turns joined in.
///
/// Three are kept at most: a shorter one that is over will never count where a longer one does not. That holds for turns
/// that do not overlap, as the slot lets promotions run. A workload that was seen unwell within one may shorten the longest later:
/// then a success has to be repeated, and none counts that should not.
#[must_use]
pub fn stays(known: &[Stay], turns: &[Turn]) -> Vec<Stay> {
    let mut begun: BTreeMap<Timestamp, Option<Timestamp>> = BTreeMap::new();
    let arrived = turns.iter().filter(|turn| turn.arrives).map(|turn| Stay { from: whole(turn.ended), until: None });
    for stay in known.iter().copied().chain(arrived) {
        let until = begun.entry(whole(stay.from)).or_default();
        *until = earlier(*until, stay.until.map(whole));
    }
    for (from, until) in &mut begun {
        let disturbances = turns.iter().filter(|turn| !turn.arrives && whole(turn.ended) > *from);
        *until = earlier(*until, disturbances.map(|turn| whole(turn.began).max(*from)).min());
    }
    pruned(begun.into_iter().map(|(from, until)| Stay { from, until }).collect::<Vec<_>>().as_slice())
}

/// The newest, the longest that is over, and the first of those that last.
fn pruned(stays: &[Stay]) -> Vec<Stay> {
    let length = |stay: &&Stay| stay.until.map(|until| until.duration_since(stay.from));
    let over = stays.iter().rev().filter(|stay| stay.until.is_some()).max_by_key(length);
    let lasting = stays.iter().find(|stay| stay.until.is_none());
    over.into_iter().chain(lasting).chain(stays.last()).copied().collect::<BTreeSet<_>>().into_iter().collect()
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// In microseconds, because that is what a status keeps of a time.
fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

#[cfg(test)]
mod tests;
