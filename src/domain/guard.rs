//! Whether the API server says the truth about who asked: what is known of Gantry's admission policies, and since when.
//!
//! While they do not act nothing is promoted, and what was made meanwhile counts as never stamped, for ever: whose name it carries
//! is anybody's claim.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

/// How old a look may be; after that nobody knows.
pub const STALE: SignedDuration = SignedDuration::from_mins(3);
/// How many times without policies are remembered; older ones are joined.
const GAPS: usize = 64;

/// The policies that a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Since when the policies of each kind exist.
    pub since: BTreeMap<&'static str, Timestamp>,
    /// Which they are: another one whenever one of them was changed, or made anew.
    pub version: String,
    /// Whether none was ever changed since it was made.
    pub untouched: bool,
}

/// What outlives a process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// Which policies acted last.
    pub version: Option<String>,
    /// Since when they do not act, if they do not.
    pub broken: Option<Timestamp>,
    /// When they did not act.
    pub gaps: Vec<(Timestamp, Timestamp)>,
}

/// What one look at the policies found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// They are there, and refused a forged request.
    Acts(Found),
    /// One is not there, is not what it should be, or let a forged request through.
    Broken {
        /// Which, and what to do.
        why: String,
    },
    /// Nobody could look.
    Failed {
        /// Why.
        why: String,
    },
}

/// What is known of the policies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guard {
    since: BTreeMap<&'static str, Timestamp>,
    acted: Option<Timestamp>,
    /// Until when an earlier process watched them.
    watched: Option<Timestamp>,
    /// Which policies acted last.
    version: Option<String>,
    /// Why nobody has been able to look so far.
    unanswered: Option<String>,
    broken: Option<Broken>,
    gaps: Vec<(Timestamp, Timestamp)>,
}

/// The policies do not act.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Broken {
    why: String,
    /// When they were last known to act.
    from: Timestamp,
}

impl Guard {
    /// Begins with what an earlier process knew. It watched them until then, and nobody has since.
    pub fn recall(&mut self, memory: Memory, watched: Timestamp) {
        let why = || "they did not act when they were last looked at".to_owned();
        self.broken = memory.broken.map(|from| Broken { why: why(), from });
        (self.version, self.gaps, self.watched) = (memory.version, memory.gaps, Some(watched));
    }

    /// Learns what another process knew besides.
    pub fn learn(&mut self, memory: &Memory, now: Timestamp) {
        let is_known = |from: Timestamp| self.gaps.iter().any(|known| known.0 <= from && from <= known.1);
        let open = memory.broken.filter(|from| self.broken.is_none() && !is_known(*from)).map(|from| (from, now));
        let new: Vec<_> = memory.gaps.iter().filter(|gap| !self.gaps.contains(gap)).copied().chain(open).collect();
        self.gaps.extend(new);
        self.gaps.sort_unstable();
        self.join();
    }

    /// What is to be remembered, once something is known.
    #[must_use]
    pub fn memory(&self) -> Option<Memory> {
        let broken = self.broken.as_ref().map(|broken| broken.from);
        let is_known = self.version.is_some() || broken.is_some();
        is_known.then(|| Memory { version: self.version.clone(), broken, gaps: self.gaps.clone() })
    }

    /// Learns from a look.
    pub fn saw(&mut self, look: Look, now: Timestamp) {
        // When they were last known to act.
        let last = self.acted.or(self.watched).unwrap_or(Timestamp::MIN);
        match look {
            Look::Acts(found) => {
                let from = match (self.broken.take(), &self.version) {
                    (Some(broken), _) => Some(broken.from),
                    (None, Some(known)) => (*known != found.version).then_some(last),
                    (None, None) => (!found.untouched).then_some(Timestamp::MIN),
                };
                self.gaps.extend(from.map(|from| (from, now)));
                self.join();
                (self.since, self.acted, self.unanswered) = (found.since, Some(now), None);
                self.version = Some(found.version);
            }
            Look::Broken { why } => {
                let from = self.broken.as_ref().map_or(last, |known| known.from);
                self.broken = Some(Broken { why, from });
            }
            Look::Failed { why } => match self.acted {
                // As little is known as before the first look: it says nothing about the policies.
                None => self.unanswered = Some(why),
                Some(acted) if now.duration_since(acted) > STALE => self.saw(Look::Broken { why }, now),
                Some(_) => {}
            },
        }
    }

    /// Makes one of the two oldest gaps while there are too many.
    fn join(&mut self) {
        while self.gaps.len() > GAPS {
            let joined = self.gaps.remove(0);
            if let Some(first) = self.gaps.first_mut() {
                first.0 = joined.0.min(first.0);
            }
        }
    }

    /// Why nothing may be promoted, if so.
    #[must_use]
    pub fn broken(&self) -> Option<&str> {
        match (&self.broken, self.acted) {
            (Some(broken), _) => Some(&broken.why),
            (None, None) => Some(self.unanswered.as_deref().unwrap_or("nobody has looked at them yet")),
            (None, Some(_)) => None,
        }
    }

    /// Whether anything is known yet.
    #[must_use]
    pub const fn was_looked_at(&self) -> bool {
        self.acted.is_some() || self.broken.is_some()
    }

    /// Whether the stamp of an object of this kind that was written at some time between these is the API server's.
    #[must_use]
    pub fn vouches_between(&self, kind: &str, (from, until): (Timestamp, Timestamp)) -> bool {
        let old = self.since.get(kind).is_none_or(|since| from.as_second() <= since.as_second());
        !old && self.acted_between((from, until))
    }

    /// Whether they are not known to have not acted at some time between these.
    #[must_use]
    pub fn acted_between(&self, (from, until): (Timestamp, Timestamp)) -> bool {
        let now = self.broken.as_ref().is_some_and(|broken| broken.from <= until);
        !now && !self.gaps.iter().any(|gap| from <= gap.1 && gap.0 <= until)
    }

    /// Whether they were changed while nobody watched, before this process began to.
    #[must_use]
    pub fn was_unwatched(&self) -> bool {
        self.watched.is_some_and(|watched| self.gaps.iter().any(|gap| gap.0 == watched))
    }

    /// Whether the stamp of an object of this kind that was made then is the API server's. Creation is told in whole seconds.
    #[must_use]
    pub fn vouches_for(&self, kind: &str, made: Timestamp) -> bool {
        let after = |from: Timestamp| made.as_second() >= from.as_second();
        let before = |until: Timestamp| made.as_second() <= until.as_second();
        let old = self.since.get(kind).is_none_or(|since| before(*since));
        let now = self.broken.as_ref().is_some_and(|broken| after(broken.from));
        !old && !now && !self.gaps.iter().any(|(from, until)| after(*from) && before(*until))
    }
}

/// A guard for tests: the policies of these kinds have always been there.
#[cfg(test)]
pub(crate) fn always() -> Guard {
    let mut guard = Guard::default();
    let since =
        ["promotions", "approvals", "commandruns", "pins", "releases"].map(|kind| (kind, Timestamp::MIN)).into();
    guard.saw(Look::Acts(Found { since, version: String::new(), untouched: true }), Timestamp::UNIX_EPOCH);
    guard
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn found(since: i64, version: &str) -> Found {
        Found { since: [("promotions", at(since))].into(), version: version.to_owned(), untouched: true }
    }

    fn acts(since: i64) -> Look {
        Look::Acts(found(since, "a"))
    }

    fn broken() -> Look {
        Look::Broken { why: "gone".to_owned() }
    }

    fn failed() -> Look {
        Look::Failed { why: "no answer".to_owned() }
    }

    fn after(looks: &[(Look, i64)]) -> Guard {
        let mut guard = Guard::default();
        for (look, second) in looks {
            guard.saw(look.clone(), at(*second));
        }
        guard
    }

    /// The seconds of those that it vouches for.
    fn vouched(guard: &Guard) -> Vec<i64> {
        (1..=20).filter(|second| guard.vouches_for("promotions", at(*second))).collect()
    }

    #[test]
    fn nothing_is_promoted_before_somebody_looked_and_while_the_policies_do_not_act() {
        assert!(Guard::default().broken().is_some());
        assert_eq!(after(&[(acts(1), 2)]).broken(), None);
        assert_eq!(after(&[(acts(1), 2), (broken(), 3)]).broken(), Some("gone"));
        assert_eq!(after(&[(acts(1), 2), (broken(), 3), (acts(1), 4)]).broken(), None);
    }

    #[test]
    fn a_look_that_failed_changes_nothing_until_nobody_has_looked_for_long() {
        assert_eq!(after(&[(acts(1), 2), (failed(), 3)]).broken(), None);
        assert_eq!(after(&[(acts(1), 2), (failed(), 2 + 181)]).broken(), Some("no answer"));
        assert_eq!(after(&[(failed(), 3)]).broken(), Some("no answer"));
        assert_eq!(after(&[(acts(1), 2), (broken(), 3), (failed(), 4)]).broken(), Some("gone"));
    }

    #[test]
    fn what_is_as_old_as_the_policies_or_was_made_while_they_did_not_act_is_never_vouched_for() {
        assert_eq!(vouched(&after(&[(acts(5), 6)])), (6..=20).collect::<Vec<_>>());
        let gone = after(&[(acts(5), 8), (broken(), 11)]);
        assert_eq!(vouched(&gone), [6, 7], "since they were last seen to act nobody knows");
        let back = after(&[(acts(5), 8), (broken(), 11), (acts(5), 14)]);
        assert_eq!(vouched(&back), [6, 7, 15, 16, 17, 18, 19, 20]);
        let again = after(&[(acts(5), 8), (broken(), 9), (broken(), 10), (acts(9), 11)]);
        assert_eq!(vouched(&again), (12..=20).collect::<Vec<_>>(), "they were made anew");
        let late = after(&[(broken(), 8), (acts(1), 12)]);
        assert_eq!(vouched(&late), (13..=20).collect::<Vec<_>>(), "nobody knows since when they did not act");
        assert!(!late.vouches_for("approvals", at(15)), "nobody looked at the policies of that kind");
    }

    #[test]
    fn an_api_server_that_does_not_answer_yet_makes_nothing_that_was_made_before_a_forgery() {
        let starting = after(&[(failed(), 3), (failed(), 5)]);
        assert_eq!((starting.broken(), starting.was_looked_at()), (Some("no answer"), false));
        assert!(vouched(&starting).is_empty());
        let seen = after(&[(failed(), 3), (acts(1), 6)]);
        assert_eq!((seen.broken(), vouched(&seen)), (None, (2..=20).collect::<Vec<_>>()));
        let lost = after(&[(failed(), 3), (broken(), 4), (failed(), 5), (acts(1), 6)]);
        assert_eq!(vouched(&lost), (7..=20).collect::<Vec<_>>(), "an answer that shows a gap stays one");
    }

    #[test]
    fn however_often_they_are_lost_no_gap_is_forgotten() {
        let mut guard = after(&[(acts(0), 1)]);
        for second in 1..=200 {
            guard.saw(broken(), at(second * 10 + 1));
            guard.saw(acts(0), at(second * 10 + 2));
        }
        assert!((1..=200).all(|second| !guard.vouches_for("promotions", at(second * 10 + 1))));
        assert!(guard.gaps.len() <= GAPS);
    }

    /// A process that recalls what this one knew, and that it watched until then.
    fn restarted(guard: &Guard, watched: i64) -> Guard {
        let mut next = Guard::default();
        next.recall(guard.memory().unwrap(), at(watched));
        next
    }

    #[test]
    fn a_restart_forgets_no_gap_and_makes_none() {
        let before = after(&[(acts(1), 2), (broken(), 3), (acts(1), 5)]);
        let mut next = restarted(&before, 8);
        assert!(next.broken().is_some() && !next.was_looked_at(), "it has not looked yet");
        next.saw(acts(1), at(15));
        assert_eq!(vouched(&next), (6..=20).collect::<Vec<_>>());
        assert_eq!(next.memory(), before.memory(), "nothing is to be written");
    }

    #[test]
    fn what_was_changed_while_nobody_watched_makes_a_gap_from_when_somebody_last_did() {
        let before = after(&[(acts(1), 2)]);
        let mut edited = restarted(&before, 8);
        edited.saw(Look::Acts(found(1, "edited and put back")), at(12));
        assert_eq!(vouched(&edited), [2, 3, 4, 5, 6, 7, 13, 14, 15, 16, 17, 18, 19, 20]);
        let mut gone = restarted(&before, 8);
        gone.saw(broken(), at(12));
        assert!(vouched(&gone).is_empty(), "nobody knows yet since when those that come back act");
        let mut still = restarted(&gone, 14);
        assert_eq!(still.broken(), Some("they did not act when they were last looked at"));
        still.saw(acts(1), at(15));
        assert_eq!(vouched(&still), [2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20]);
        let during = after(&[(acts(1), 2), (Look::Acts(found(1, "b")), 9)]);
        assert_eq!(vouched(&during), (10..=20).collect::<Vec<_>>(), "between two looks");
    }

    #[test]
    fn where_nothing_is_remembered_only_what_was_never_changed_has_acted_since_it_was_made() {
        assert_eq!(vouched(&after(&[(acts(5), 9)])), (6..=20).collect::<Vec<_>>());
        let changed = Look::Acts(Found { untouched: false, ..found(5, "a") });
        assert_eq!(vouched(&after(&[(changed, 9)])), (10..=20).collect::<Vec<_>>());
    }

    #[test]
    fn a_process_that_takes_over_learns_what_the_other_knew() {
        let mut own = after(&[(acts(1), 2), (broken(), 6), (acts(1), 7)]);
        let same = own.memory();
        own.learn(&same.clone().unwrap(), at(9));
        assert_eq!(own.memory(), same, "of itself it learns nothing");
        own.learn(&after(&[(acts(1), 10), (broken(), 11), (acts(1), 12)]).memory().unwrap(), at(13));
        own.learn(&after(&[(acts(1), 15), (broken(), 16)]).memory().unwrap(), at(17));
        assert_eq!(vouched(&own), [8, 9, 13, 14, 18, 19, 20]);
    }

    #[test]
    fn what_was_written_at_some_time_between_two_is_vouched_for_if_they_acted_all_the_time() {
        let guard = after(&[(acts(1), 5), (broken(), 8), (acts(1), 10)]);
        let vouched = |from, until| guard.vouches_between("promotions", (at(from), at(until)));
        assert!(vouched(2, 4) && vouched(11, 20));
        assert!(!vouched(2, 5) && !vouched(4, 11) && !vouched(6, 9) && !vouched(10, 12) && !vouched(1, 3));
        assert!(guard.acted_between((at(1), at(4))) && !guard.acted_between((at(7), at(7))));
        let gone = after(&[(acts(1), 5), (broken(), 8)]);
        assert!(!gone.vouches_between("promotions", (at(3), at(9))));
        assert!(!guard.was_unwatched(), "it saw all of it");
        let mut next = restarted(&guard, 12);
        next.saw(Look::Acts(found(1, "b")), at(15));
        assert!(next.was_unwatched());
    }
}
