//! What registries said of each trigger, and when to ask again. In memory only: after a restart they are asked anew, and
//! releases that there are tell what was made.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::cluster::cache::Key;
use crate::controllers::pause;
use crate::controllers::release::problem::Problem;
use crate::domain::name::{PackageName, ReleaseVersion, TriggerName};
use crate::domain::trigger::{Candidate, Seen, Trigger};
use crate::registry;

/// The first pause after a failure.
const FIRST: SignedDuration = SignedDuration::from_secs(5);

/// What was looked at: when it changes, what was found says nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// UID of the project.
    pub uid: Option<String>,
    /// Generation of its spec.
    pub generation: Option<i64>,
}

/// The ETags of lists.
pub type ETags = BTreeMap<PackageName, registry::ETags>;

/// What was heard in one round of questions.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// All lists are what they were.
    Unchanged,
    /// What the tags amount to.
    Tags(Option<Candidate>, ETags),
    /// Why they amount to nothing.
    Problems(Vec<Problem>),
}

/// What is known of one trigger.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// What the tags amounted to when they were last heard.
    pub candidate: Option<(Candidate, Seen)>,
    /// Why nothing was heard the last time.
    pub problems: Vec<Problem>,
    /// Why the API server did not take the release, since tags were last heard.
    pub refused: Option<String>,
    /// The version of the release that was made last, which caches may not have yet.
    pub made: Option<ReleaseVersion>,
}

/// One trigger's look at its registries.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// What is known; nothing before the first answer.
    pub known: Option<Known>,
    /// The ETags to ask with, when somebody is to ask now.
    pub ask: Option<ETags>,
    /// When to ask; nothing while somebody does.
    pub next: Option<Timestamp>,
}

#[derive(Debug)]
struct Entry {
    basis: Basis,
    etags: ETags,
    known: Option<Known>,
    failures: u32,
    next: Option<Timestamp>,
}

/// All looks.
#[derive(Clone, Debug, Default)]
pub struct Looks {
    known: Arc<Mutex<BTreeMap<(Key, TriggerName), Entry>>>,
}

impl Looks {
    /// What is known of a trigger, and whether to ask now, which is then noted as begun.
    #[must_use]
    pub fn look(&self, id: &(Key, TriggerName), basis: &Basis, now: Timestamp) -> Look {
        let mut all = self.lock();
        let Some(entry) = all.get_mut(id).filter(|entry| &entry.basis == basis) else {
            let entry = Entry { basis: basis.clone(), etags: ETags::new(), known: None, failures: 0, next: None };
            all.insert(id.clone(), entry);
            return Look { known: None, ask: Some(ETags::new()), next: None };
        };
        let due = entry.next.is_some_and(|next| next <= now);
        if due {
            entry.next = None;
        }
        Look { known: entry.known.clone(), ask: due.then(|| entry.etags.clone()), next: entry.next }
    }

    /// Keeps what was heard, unless something else is looked at by now.
    pub fn heard(&self, (key, trigger): (&Key, &Trigger), basis: &Basis, (heard, now): (Heard, Timestamp)) {
        let id = (key.clone(), trigger.name.clone());
        let mut all = self.lock();
        let Some(entry) = all.get_mut(&id).filter(|entry| &entry.basis == basis) else { return };
        let mut known = entry.known.take().unwrap_or_default();
        known.refused = None;
        match heard {
            Heard::Problems(problems) => {
                // What is wrong must be seen again: an unchanged list would hide it.
                entry.etags.clear();
                entry.failures = entry.failures.saturating_add(1);
                known.problems = problems;
            }
            Heard::Unchanged => {
                (entry.failures, known.problems) = (0, Vec::new());
                known.candidate.iter_mut().for_each(|(_, seen)| seen.last = now);
            }
            Heard::Tags(candidate, etags) => {
                (entry.failures, known.problems, entry.etags) = (0, Vec::new(), etags);
                let before = known.candidate.take();
                known.candidate = candidate.map(|candidate| {
                    let since = before.filter(|(known, _)| *known == candidate).map_or(now, |(_, seen)| seen.since);
                    (candidate, Seen { since, last: now })
                });
            }
        }
        let pause = pause(&id, trigger, (&known, entry.failures));
        // A time that cannot be written never comes.
        entry.next = Some(now.checked_add(pause).unwrap_or(Timestamp::MAX));
        entry.known = Some(known);
    }

    /// Keeps why a release was not taken; it is tried again when tags are heard again.
    pub fn refused(&self, id: &(Key, TriggerName), why: String) {
        let mut all = self.lock();
        if let Some(known) = all.get_mut(id).and_then(|entry| entry.known.as_mut()) {
            known.refused = Some(why);
        }
    }

    /// Keeps that a release was made.
    pub fn made(&self, id: &(Key, TriggerName), version: ReleaseVersion) {
        let mut all = self.lock();
        if let Some(known) = all.get_mut(id).and_then(|entry| entry.known.as_mut()) {
            known.made = Some(version);
        }
    }

    /// Drops the looks of a project's triggers, but those of these.
    pub fn keep(&self, key: &Key, triggers: &[Trigger]) {
        self.lock().retain(|(known, name), _| known != key || triggers.iter().any(|trigger| trigger.name == *name));
    }

    /// A panic while the lock was held left a map that is still whole.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Key, TriggerName), Entry>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pause before the next question: the interval, give or take a tenth, so that triggers do not ask in step; less while it
/// has to become quiet; after failures as little as is polite.
fn pause(id: &(Key, TriggerName), trigger: &Trigger, (known, failures): (&Known, u32)) -> SignedDuration {
    if failures > 0 {
        let wish = pause::wished(&known.problems).unwrap_or_default();
        let ours = pause::doubled(FIRST, failures, trigger.interval);
        return pause::spread(ours, (750, 250), &(id, failures)).max(wish);
    }
    let seed = (id, known.candidate.as_ref().map(|(_, seen)| seen.last));
    let jittered = pause::spread(trigger.interval, (900, 200), &seed);
    let rest =
        known.candidate.as_ref().map(|(_, seen)| trigger.settle.saturating_sub(seen.last.duration_since(seen.since)));
    match rest {
        Some(rest) if rest.is_positive() => rest.min(jittered),
        Some(_) | None => jittered,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::condition::Reason;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn basis(generation: i64) -> Basis {
        Basis { uid: Some("p".into()), generation: Some(generation) }
    }

    fn key() -> Key {
        Key::new("shop", "checkout")
    }

    fn trigger(settle: i64) -> Trigger {
        Trigger {
            name: "new".parse().unwrap(),
            channel: None,
            packages: vec!["api".parse().unwrap()],
            version_of: crate::domain::trigger::VersionOf::Package("api".parse().unwrap()),
            same_version: false,
            settle: SignedDuration::from_secs(settle),
            interval: SignedDuration::from_secs(300),
        }
    }

    fn tags(version: &str) -> Heard {
        let candidate = Candidate {
            version: version.parse().unwrap(),
            rank: version.parse().unwrap(),
            packages: BTreeMap::from([("api".parse().unwrap(), version.parse().unwrap())]),
        };
        Heard::Tags(Some(candidate), ETags::from([("api".parse().unwrap(), registry::ETags::default())]))
    }

    fn id() -> (Key, TriggerName) {
        (key(), "new".parse().unwrap())
    }

    #[test]
    fn nobody_asks_twice_at_once_and_the_next_time_with_the_etag() {
        let (looks, trigger) = (Looks::default(), trigger(0));
        assert!(looks.look(&id(), &basis(1), at(0)).ask.is_some());
        assert_eq!(looks.look(&id(), &basis(1), at(0)), Look { known: None, ask: None, next: None });
        looks.heard((&key(), &trigger), &basis(1), (tags("1.0.0"), at(10)));
        let look = looks.look(&id(), &basis(1), at(11));
        let next = look.next.unwrap();
        assert!(look.ask.is_none() && next >= at(10 + 270) && next <= at(10 + 330), "{next}");
        assert_eq!(looks.look(&id(), &basis(1), next).ask.unwrap().len(), 1);
        assert_eq!(
            looks.look(&id(), &basis(2), at(12)).ask,
            Some(ETags::new()),
            "a changed project is another question"
        );
        looks.keep(&key(), &[]);
        assert!(looks.look(&id(), &basis(2), at(13)).ask.is_some());
    }

    #[test]
    fn since_when_it_is_quiet_is_known_over_failures_and_the_end_of_it_is_looked_at() {
        let (looks, trigger) = (Looks::default(), trigger(30));
        let hear = |heard, second| {
            looks.heard((&key(), &trigger), &basis(1), (heard, at(second)));
            let look = looks.look(&id(), &basis(1), at(second));
            (look.known.unwrap().candidate.map(|(_, seen)| seen), look.next.unwrap())
        };
        let _ = looks.look(&id(), &basis(1), at(0));
        assert_eq!(hear(tags("1.0.0"), 0), (Some(Seen { since: at(0), last: at(0) }), at(30)));
        assert_eq!(hear(tags("1.1.0"), 20), (Some(Seen { since: at(20), last: at(20) }), at(50)));
        let down = Heard::Problems(vec![Problem::new(Reason::RegistryUnreachable, "down")]);
        let (seen, next) = hear(down, 50);
        assert_eq!(seen, Some(Seen { since: at(20), last: at(20) }));
        assert!(next > at(53) && next <= at(55), "{next}");
        assert_eq!(hear(tags("1.1.0"), 55).0, Some(Seen { since: at(20), last: at(55) }));
        assert_eq!(hear(Heard::Unchanged, 90).0, Some(Seen { since: at(20), last: at(90) }));
    }

    #[test]
    fn a_refusal_is_known_until_tags_are_heard_again() {
        let (looks, trigger) = (Looks::default(), trigger(0));
        let _ = looks.look(&id(), &basis(1), at(0));
        looks.heard((&key(), &trigger), &basis(1), (tags("1.0.0"), at(0)));
        looks.refused(&id(), "no".into());
        assert_eq!(looks.look(&id(), &basis(1), at(1)).known.unwrap().refused.as_deref(), Some("no"));
        looks.heard((&key(), &trigger), &basis(1), (Heard::Unchanged, at(2)));
        assert_eq!(looks.look(&id(), &basis(1), at(3)).known.unwrap().refused, None);
    }

    #[test]
    fn while_nothing_fails_the_interval_is_kept_give_or_take_a_tenth_and_differs_between_triggers() {
        let of = |project: &str| {
            let id = (Key::new("shop", project), id().1);
            super::pause(&id, &trigger(0), (&Known::default(), 0)).as_millis()
        };
        let pauses: BTreeSet<i128> = ["checkout", "payments", "stock", "search"].into_iter().map(of).collect();
        let whole = trigger(0).interval.as_millis();
        assert!(pauses.iter().all(|pause| (whole * 9 / 10..=whole * 11 / 10).contains(pause)), "{pauses:?}");
        assert_eq!(pauses.len(), 4, "they do not ask in step: {pauses:?}");
    }

    #[test]
    fn after_failures_pauses_double_up_to_the_interval_differ_between_triggers_and_a_wish_counts() {
        let known = |pause| Known {
            problems: vec![Problem { pause, ..Problem::new(Reason::RegistryUnreachable, "busy") }],
            ..Known::default()
        };
        let of = |id: &(Key, TriggerName), failures, pause| {
            super::pause(id, &trigger(0), (&known(pause), failures)).as_millis()
        };
        for (failures, whole) in [(1, 5_000), (2, 10_000), (3, 20_000), (7, 300_000), (99, 300_000)] {
            let pause = of(&id(), failures, None);
            assert!(pause >= whole * 3 / 4 && pause <= whole, "{failures}: {pause}");
        }
        let other = (Key::new("shop", "payments"), id().1);
        assert_ne!(of(&id(), 7, None), of(&other, 7, None), "those who failed together do not ask in step");
        assert_eq!(of(&id(), 1, Some(std::time::Duration::from_mins(2))), 120_000);
    }
}
