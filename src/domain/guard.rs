//! Whether the API server says the truth about who asked: what is known of Gantry's admission policies, and since when.
//!
//! While they do not act nothing is promoted, and what was made meanwhile counts as never stamped, for ever: whose name it carries
//! is anybody's claim.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

/// How old a look may be; after that nobody knows.
pub const STALE: SignedDuration = SignedDuration::from_mins(3);
/// How much longer a gap lasts than it was seen, at either end, and how long policies that were just made are not believed: every
/// API server loads each policy by itself, some moments later, and creation is told in whole seconds.
const MARGIN: SignedDuration = SignedDuration::from_secs(5);
/// For how long they must have acted before anything is promoted. Whatever is made once that is said is later than the margin, so
/// nobody who waits for it is disbelieved.
const SETTLED: SignedDuration = SignedDuration::from_secs(7);
/// What is said meanwhile.
const SETTLING: &str = "they act, and it is waited for some seconds until every API server must have loaded all of them: nothing is to be done, what is asked for after that is believed";
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
    /// Whether they were made so lately that not every API server must have loaded them.
    new: bool,
    gaps: Vec<(Timestamp, Timestamp)>,
}

/// The policies do not act, or have not for long enough.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Broken {
    why: String,
    /// When they were last known to act.
    from: Timestamp,
    /// Since when they act again, if they do.
    again: Option<Timestamp>,
}

impl Guard {
    /// Begins with what an earlier process knew. It watched them until then, and nobody has since.
    pub fn recall(&mut self, memory: Memory, watched: Timestamp) {
        let why = || "they did not act when they were last looked at".to_owned();
        self.broken = memory.broken.map(|from| Broken { why: why(), from, again: None });
        (self.version, self.gaps, self.watched) = (memory.version, memory.gaps, Some(watched));
    }

    /// Learns what another process knew besides.
    pub fn learn(&mut self, memory: &Memory, now: Timestamp) {
        let is_known = |from: Timestamp| self.gaps.iter().any(|known| known.0 <= from && from <= known.1);
        let open = memory.broken.filter(|from| self.broken.is_none() && !is_known(*from));
        let new: Vec<_> = memory.gaps.iter().filter(|gap| !self.gaps.contains(gap)).copied().collect();
        if let Some(from) = open {
            self.broken = Some(Broken { why: SETTLING.to_owned(), from, again: Some(now) });
        }
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
        match look {
            Look::Acts(found) => {
                self.acts(&found, now);
                (self.since, self.acted, self.unanswered) = (found.since, Some(now), None);
                self.version = Some(found.version);
            }
            Look::Broken { why } => {
                let from = self.broken.as_ref().map_or(self.last(), |known| known.from);
                self.broken = Some(Broken { why, from, again: None });
            }
            Look::Failed { why } => match self.acted {
                // As little is known as before the first look: it says nothing about the policies.
                None => self.unanswered = Some(why),
                Some(acted) if now.duration_since(acted) > STALE => self.saw(Look::Broken { why }, now),
                Some(_) => {}
            },
        }
    }

    /// They act: a gap is over once they have for long enough, without another change of them.
    fn acts(&mut self, found: &Found, now: Timestamp) {
        let changed = match &self.version {
            Some(known) => (*known != found.version).then_some(self.last()),
            None => (!found.untouched).then_some(Timestamp::MIN),
        };
        let known = self.broken.take().map(|broken| (broken.from, broken.again.filter(|_| changed.is_none())));
        if let Some((from, again)) = known.or(changed.map(|from| (from, None))) {
            let again = again.unwrap_or(now);
            if now.duration_since(again) < SETTLED {
                self.broken = Some(Broken { why: SETTLING.to_owned(), from, again: Some(again) });
            } else {
                self.gaps.push((from, again));
                self.join();
            }
        }
        self.new = found.since.values().any(|since| now.duration_since(*since) < SETTLED);
    }

    /// When they were last known to act.
    fn last(&self) -> Timestamp {
        self.acted.or(self.watched).unwrap_or(Timestamp::MIN)
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
            (None, Some(_)) => self.new.then_some(SETTLING),
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
        let old = self.since.get(kind).is_none_or(|since| from.as_second() <= after(*since).as_second());
        !old && self.acted_between((from, until))
    }

    /// Whether they are not known to have not acted at some time between these.
    #[must_use]
    pub fn acted_between(&self, (from, until): (Timestamp, Timestamp)) -> bool {
        let now = self.broken.as_ref().is_some_and(|broken| before(broken.from) <= until);
        !now && !self.gaps.iter().any(|gap| from <= after(gap.1) && before(gap.0) <= until)
    }

    /// Whether they were changed while nobody watched, before this process began to.
    #[must_use]
    pub fn was_unwatched(&self) -> bool {
        self.watched.is_some_and(|watched| self.gaps.iter().any(|gap| gap.0 == watched))
    }

    /// Whether the stamp of an object of this kind that was made then is the API server's. Creation is told in whole seconds.
    #[must_use]
    pub fn vouches_for(&self, kind: &str, made: Timestamp) -> bool {
        let is_after = |from: Timestamp| made.as_second() >= before(from).as_second();
        let is_before = |until: Timestamp| made.as_second() <= after(until).as_second();
        let old = self.since.get(kind).is_none_or(|since| is_before(*since));
        let now = self.broken.as_ref().is_some_and(|broken| is_after(broken.from));
        !old && !now && !self.gaps.iter().any(|(from, until)| is_after(*from) && is_before(*until))
    }
}

/// From when a gap that was seen then lasts.
fn before(time: Timestamp) -> Timestamp {
    time.checked_sub(MARGIN).unwrap_or(Timestamp::MIN)
}

/// Until when it does.
fn after(time: Timestamp) -> Timestamp {
    time.checked_add(MARGIN).unwrap_or(Timestamp::MAX)
}

/// How much the API server's clock is ahead of one's own: the least that explains that it told this time, in whole seconds, when it
/// answered between these.
#[must_use]
pub fn ahead(told: Timestamp, (asked, answered): (Timestamp, Timestamp)) -> SignedDuration {
    let latest = told.checked_add(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX);
    match (told > answered, latest < asked) {
        (true, _) => told.duration_since(answered),
        (false, true) => latest.duration_since(asked),
        (false, false) => SignedDuration::ZERO,
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

    /// The first and last seconds of those that it vouches for, of a hundred.
    fn vouched(guard: &Guard) -> Vec<(i64, i64)> {
        let mut ranges: Vec<(i64, i64)> = Vec::new();
        for second in (1..=100).filter(|second| guard.vouches_for("promotions", at(*second))) {
            match ranges.last_mut().filter(|range| range.1 == second - 1) {
                Some(range) => range.1 = second,
                None => ranges.push((second, second)),
            }
        }
        ranges
    }

    #[test]
    fn nothing_is_promoted_before_somebody_looked_and_while_the_policies_do_not_act() {
        assert!(Guard::default().broken().is_some());
        assert_eq!(after(&[(acts(1), 20)]).broken(), None);
        assert_eq!(after(&[(acts(1), 20), (broken(), 30)]).broken(), Some("gone"));
        assert_eq!(after(&[(acts(1), 20), (broken(), 30), (acts(1), 40)]).broken(), Some(SETTLING));
        assert_eq!(after(&[(acts(1), 20), (broken(), 30), (acts(1), 40), (acts(1), 47)]).broken(), None);
    }

    #[test]
    fn what_is_made_once_something_is_promoted_again_is_always_believed_and_what_is_made_some_moments_after_they_act_never()
     {
        let other = || Look::Acts(found(1, "b"));
        for (before, last, doubted) in [
            (vec![], acts(10), 15),
            (vec![(broken(), 9)], acts(10), 17),
            (vec![(acts(1), 8), (broken(), 9)], acts(1), 17),
            (vec![(acts(1), 8)], other(), 17),
        ] {
            let mut guard = after(&before);
            let mut now = 12;
            guard.saw(last.clone(), at(now));
            while guard.broken().is_some() {
                assert_eq!(guard.broken(), Some(SETTLING), "it goes on by itself: {before:?}");
                now += 1;
                guard.saw(last.clone(), at(now));
            }
            assert!((10..=doubted).all(|second| !guard.vouches_for("promotions", at(second))), "{before:?}");
            // Told in whole seconds, an API server's clock may be as much behind.
            assert!((now - 1..=100).all(|second| guard.vouches_for("promotions", at(second))), "{before:?}");
            assert!(now <= 19, "nobody waits long: {before:?}");
        }
    }

    #[test]
    fn a_change_while_it_is_waited_for_begins_that_anew() {
        let other = || Look::Acts(found(1, "b"));
        let edited = after(&[(acts(1), 20), (broken(), 30), (acts(1), 40), (other(), 44), (other(), 48)]);
        assert_eq!(edited.broken(), Some(SETTLING));
        let lost = after(&[(acts(1), 20), (broken(), 30), (acts(1), 40), (broken(), 44), (acts(1), 48)]);
        assert_eq!(lost.broken(), Some(SETTLING));
        for (mut guard, look) in [(edited, other()), (lost, acts(1))] {
            guard.saw(look, at(55));
            assert_eq!((guard.broken(), vouched(&guard).first()), (None, Some(&(7, 14))));
        }
    }

    #[test]
    fn a_look_that_failed_changes_nothing_until_nobody_has_looked_for_long() {
        assert_eq!(after(&[(acts(1), 20), (failed(), 21)]).broken(), None);
        assert_eq!(after(&[(acts(1), 20), (failed(), 20 + 181)]).broken(), Some("no answer"));
        assert_eq!(after(&[(failed(), 3)]).broken(), Some("no answer"));
        assert_eq!(after(&[(acts(1), 20), (broken(), 30), (failed(), 40)]).broken(), Some("gone"));
    }

    #[test]
    fn what_is_as_old_as_the_policies_or_was_made_while_they_did_not_act_is_never_vouched_for() {
        assert_eq!(vouched(&after(&[(acts(5), 20)])), [(11, 100)]);
        let gone = after(&[(acts(5), 30), (broken(), 40)]);
        assert_eq!(vouched(&gone), [(11, 24)], "since they were last seen to act nobody knows");
        let back = after(&[(acts(5), 30), (broken(), 40), (acts(5), 50), (acts(5), 57)]);
        assert_eq!(vouched(&back), [(11, 24), (56, 100)]);
        let again = after(&[(acts(5), 30), (broken(), 40), (broken(), 45), (acts(44), 50), (acts(44), 57)]);
        assert_eq!(vouched(&again), [(56, 100)], "they were made anew");
        let late = after(&[(broken(), 8), (acts(1), 12), (acts(1), 20)]);
        assert_eq!(vouched(&late), [(18, 100)], "nobody knows since when they did not act");
        assert!(!late.vouches_for("approvals", at(30)), "nobody looked at the policies of that kind");
    }

    #[test]
    fn an_api_server_that_does_not_answer_yet_makes_nothing_that_was_made_before_a_forgery() {
        let starting = after(&[(failed(), 3), (failed(), 5)]);
        assert_eq!((starting.broken(), starting.was_looked_at()), (Some("no answer"), false));
        assert!(vouched(&starting).is_empty());
        let seen = after(&[(failed(), 3), (acts(1), 16)]);
        assert_eq!((seen.broken(), vouched(&seen)), (None, vec![(7, 100)]));
        let lost = after(&[(failed(), 3), (broken(), 14), (failed(), 15), (acts(1), 16), (acts(1), 23)]);
        assert_eq!(vouched(&lost), [(22, 100)], "an answer that shows a gap stays one");
    }

    #[test]
    fn however_often_they_are_lost_no_gap_is_forgotten() {
        let mut guard = after(&[(acts(0), 10)]);
        for time in (1..=200).map(|time| time * 100) {
            guard.saw(broken(), at(time));
            guard.saw(acts(0), at(time + 10));
            guard.saw(acts(0), at(time + 20));
        }
        assert!((1..=200).all(|time| !guard.vouches_for("promotions", at(time * 100))));
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
        let before = after(&[(acts(1), 20), (broken(), 30), (acts(1), 50), (acts(1), 57)]);
        let mut next = restarted(&before, 80);
        assert!(next.broken().is_some() && !next.was_looked_at(), "it has not looked yet");
        next.saw(acts(1), at(90));
        assert_eq!(next.broken(), None, "it waits for nothing");
        assert_eq!(vouched(&next), [(7, 14), (56, 100)]);
        assert_eq!(next.memory(), before.memory(), "nothing is to be written");
    }

    #[test]
    fn what_was_changed_while_nobody_watched_makes_a_gap_from_when_somebody_last_did() {
        let before = after(&[(acts(1), 20)]);
        let edited = || Look::Acts(found(1, "edited and put back"));
        let mut next = restarted(&before, 40);
        next.saw(edited(), at(60));
        assert_eq!(vouched(&next), [(7, 34)]);
        next.saw(edited(), at(67));
        assert_eq!(vouched(&next), [(7, 34), (66, 100)]);
        let mut gone = restarted(&before, 40);
        gone.saw(broken(), at(60));
        assert!(vouched(&gone).is_empty(), "nobody knows yet since when those that come back act");
        let mut still = restarted(&gone, 70);
        assert_eq!(still.broken(), Some("they did not act when they were last looked at"));
        still.saw(acts(1), at(75));
        still.saw(acts(1), at(82));
        assert_eq!(vouched(&still), [(7, 34), (81, 100)]);
        let during = after(&[(acts(1), 20), (edited(), 50), (edited(), 57)]);
        assert_eq!(vouched(&during), [(7, 14), (56, 100)], "between two looks");
    }

    #[test]
    fn where_nothing_is_remembered_only_what_was_never_changed_has_acted_since_it_was_made() {
        assert_eq!(vouched(&after(&[(acts(5), 30)])), [(11, 100)]);
        let changed = || Look::Acts(Found { untouched: false, ..found(5, "a") });
        assert_eq!(vouched(&after(&[(changed(), 30), (changed(), 37)])), [(36, 100)]);
    }

    #[test]
    fn a_process_that_takes_over_learns_what_the_other_knew_and_waits_as_it_would_have() {
        let mut own = after(&[(acts(1), 20), (broken(), 30), (acts(1), 40), (acts(1), 47)]);
        let same = own.memory();
        own.learn(&same.clone().unwrap(), at(48));
        assert_eq!(own.memory(), same, "of itself it learns nothing");
        let other = after(&[(acts(1), 55), (broken(), 58), (acts(1), 60), (acts(1), 67)]);
        own.learn(&other.memory().unwrap(), at(70));
        assert_eq!((own.broken(), vouched(&own)), (None, vec![(7, 14), (46, 49), (66, 100)]));
        own.learn(&after(&[(acts(1), 75), (broken(), 76)]).memory().unwrap(), at(77));
        assert_eq!(own.broken(), Some(SETTLING));
        own.saw(acts(1), at(84));
        assert_eq!((own.broken(), vouched(&own)), (None, vec![(7, 14), (46, 49), (66, 69), (83, 100)]));
    }

    #[test]
    fn what_was_written_at_some_time_between_two_is_vouched_for_if_they_acted_all_the_time() {
        let guard = after(&[(acts(1), 30), (broken(), 35), (acts(1), 40), (acts(1), 47)]);
        let vouched = |from, until| guard.vouches_between("promotions", (at(from), at(until)));
        assert!(vouched(7, 24) && vouched(46, 60));
        assert!(!vouched(7, 25) && !vouched(24, 46) && !vouched(36, 39) && !vouched(45, 60) && !vouched(6, 24));
        assert!(guard.acted_between((at(1), at(24))) && !guard.acted_between((at(37), at(37))));
        let gone = after(&[(acts(1), 30), (broken(), 40)]);
        assert!(!gone.vouches_between("promotions", (at(7), at(41))));
        assert!(!guard.was_unwatched(), "it saw all of it");
        let mut next = restarted(&guard, 60);
        next.saw(Look::Acts(found(1, "b")), at(65));
        next.saw(Look::Acts(found(1, "b")), at(72));
        assert!(next.was_unwatched());
    }

    #[test]
    fn the_api_servers_clock_is_ahead_by_the_least_that_explains_what_it_told() {
        let told = |seconds, asked, answered| ahead(at(seconds), (at(asked), at(answered))).as_secs();
        assert_eq!(told(10, 10, 10), 0);
        assert_eq!(told(10, 11, 12), 0, "it tells the whole second in which it was");
        assert_eq!(told(10, 8, 9), 1);
        assert_eq!(told(100, 8, 9), 91);
        assert_eq!(told(10, 12, 13), -1);
        assert_eq!(told(10, 71, 73), -60);
    }
}
