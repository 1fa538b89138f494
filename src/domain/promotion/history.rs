//! How ends become rows: joins that forget nothing they must keep, whatever the order in which ends
//! arrive and however often.
//!
//! Each row type is a join-semilattice: `join` is commutative, associative and idempotent, and
//! `records` is true for everything that was joined, for ever. So a crash between two writes, a
//! repeated run or a batch of a hundred ends all give the same row. The rows are generic, because
//! each status keeps another part of an end.

use jiff::Timestamp;

/// An end of a promotion, or the part of it that a row keeps. Two with one uid are the same end.
pub trait Ended {
    /// When the promotion ended.
    fn finished(&self) -> Timestamp;
    /// The promotion's uid.
    fn uid(&self) -> &str;
}

/// The successful end of a promotion.
pub trait Success: Ended {
    /// The version that runs since.
    fn version(&self) -> &str;
}

/// The total order of ends.
fn order<T: Ended>(end: &T) -> (i64, &str) {
    place(end.finished(), end.uid())
}

/// In microseconds, because that is what a status keeps of a time: an end that was just decided must
/// be the same end when it is read back.
fn place(finished: Timestamp, uid: &str) -> (i64, &str) {
    (finished.as_microsecond(), uid)
}

/// The last end of all that were joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest<T>(pub Option<T>);

impl<T: Ended> Latest<T> {
    /// This row with one more end.
    #[must_use]
    pub fn join(self, end: T) -> Self {
        match self.0 {
            Some(known) if order(&known) >= order(&end) => Self(Some(known)),
            Some(_) | None => Self(Some(end)),
        }
    }

    /// Whether joining `end` would change nothing.
    #[must_use]
    pub fn records(&self, end: &impl Ended) -> bool {
        self.0.as_ref().is_some_and(|known| order(known) >= order(end))
    }
}

/// What runs, and what ran before it, of all successes that were joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed<T> {
    /// The last success.
    pub current: Option<T>,
    /// The last success before it that had another version: where a rollback goes.
    pub previous: Option<T>,
}

impl<T: Success> Deployed<T> {
    /// This row with one more success.
    ///
    /// Nothing else needs to be kept: a success that is dropped is older than one of its own version
    /// that stays, or older than two of different versions that stay.
    #[must_use]
    pub fn join(self, success: T) -> Self {
        let Some(current) = self.current else {
            return Self { current: Some(success), previous: None };
        };
        let (newer, older) = if order(&success) > order(&current) { (success, current) } else { (current, success) };
        let other_version = |end: &T| end.version() != newer.version();
        let previous = match (Some(older).filter(other_version), self.previous.filter(other_version)) {
            (Some(a), Some(b)) => Some(if order(&a) >= order(&b) { a } else { b }),
            (a, b) => a.or(b),
        };
        Self { current: Some(newer), previous }
    }

    /// Whether joining `success` would change nothing.
    #[must_use]
    pub fn records(&self, success: &impl Success) -> bool {
        let covers = |known: &T| order(known) >= order(success);
        self.current.as_ref().is_some_and(|current| {
            covers(current) && (current.version() == success.version() || self.previous.as_ref().is_some_and(covers))
        })
    }
}

/// How many ends a history keeps: enough to see a bad week, and about 10 KiB of status.
pub const KEPT: usize = 20;

/// The newest ends of all that were joined, newest first, at most [`KEPT`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest<T>(Vec<T>);

impl<T: Ended> Newest<T> {
    /// The history that holds these ends, which may be in any order.
    #[must_use]
    pub fn of(ends: Vec<T>) -> Self {
        let mut kept = ends;
        kept.sort_by(|a, b| order(b).cmp(&order(a)));
        kept.dedup_by(|a, b| a.uid() == b.uid());
        kept.truncate(KEPT);
        Self(kept)
    }

    /// This history with one more end.
    #[must_use]
    pub fn join(self, end: T) -> Self {
        let mut ends = self.0;
        if ends.iter().any(|known| known.uid() == end.uid()) {
            return Self(ends);
        }
        let place = ends.partition_point(|known| order(known) > order(&end));
        ends.insert(place, end);
        ends.truncate(KEPT);
        Self(ends)
    }

    /// Whether joining the end of promotion `uid` at `finished` would change nothing: it is there, or
    /// it is older than everything that is kept.
    #[must_use]
    pub fn contains_or_older(&self, uid: &str, finished: Timestamp) -> bool {
        self.0.iter().any(|known| known.uid() == uid)
            || (self.0.len() >= KEPT && self.0.last().is_some_and(|oldest| place(finished, uid) < order(oldest)))
    }

    /// The ends, newest first.
    #[must_use]
    pub fn ends(&self) -> &[T] {
        &self.0
    }

    /// The ends, newest first.
    #[must_use]
    pub fn into_ends(self) -> Vec<T> {
        self.0
    }
}

#[cfg(test)]
mod tests;
