//! Whose turn it is, among the unfinished promotions of one project and environment.
//!
//! The order is total: higher priority, then earlier creation, then, since creation is told in whole seconds, what the
//! [`Origin`] says, then name. What puts back what ran before a failure comes
//! before all of them, and what brings only a part of its release replaces none of them. [`standing`] answers for
//! one promotion, and every promotion that asks over the same entries gets an answer that fits the
//! others': of those that wait, at most one is [`Standing::Next`].

pub mod pinned;

use std::cmp::Reverse;

use jiff::Timestamp;

use super::lifecycle::overtaken::Made;

/// An unfinished promotion that wants the slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The promotion's name.
    pub name: String,
    /// The promotion's uid: what makes it this one.
    pub uid: String,
    /// When the promotion was created.
    pub created: Timestamp,
    /// Who asked for it.
    pub origin: Origin,
    /// Whether it runs, or holds the slot. Such a one is never replaced, and all others are behind it.
    pub running: bool,
    /// What its last judgement means for the others.
    pub claim: Claim,
    /// Higher goes first; 0 unless said otherwise.
    pub priority: i32,
    /// Whether it leaves out targets or steps of its release. Such a one replaces no other.
    pub partial: bool,
    /// Whether it may start in spite of freezes.
    pub passes_freezes: bool,
    /// The uid of the promotion that failed, where this one puts back what ran before. It takes that one's turn, and replaces no
    /// other.
    pub rollback_of: Option<String>,
}

/// Who asked for a promotion, which orders those of one second: what goes on by itself comes before what somebody asks for, and
/// that before what a pin says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Origin {
    /// Gantry, since a lifecycle says so, for the release that was made then: an older release never comes after a newer one.
    Lifecycle(Made),
    /// Somebody, or a failure.
    #[default]
    Asked,
    /// A pin, in this generation of it.
    Pin(i64),
}

impl Origin {
    /// Whether this one certainly came later, and not only in the order that is made up for one second.
    fn follows(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Lifecycle(_), Self::Lifecycle(_)) | (Self::Pin(_), Self::Pin(_)) => self > other,
            (Self::Lifecycle(_) | Self::Asked | Self::Pin(_), _) => false,
        }
    }
}

/// What is known of a promotion's claim to the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// It was not judged yet. It may be about to be refused, so it replaces nothing; it may be about to start, so it keeps its
    /// place.
    Unjudged,
    /// Its time has not come. Until then it is as if it were not there.
    Scheduled,
    /// What holds every promotion to the environment held it, too. It replaces nothing before it is judged again, and keeps its
    /// place; older ones that it would replace wait for that, so the newest of those that were held together runs alone.
    AllHeld,
    /// A freeze holds it. It replaces nothing meanwhile, and keeps its place but to those that pass freezes.
    Frozen,
    /// It waits for something of its own, such as its release. It keeps nobody waiting meanwhile.
    Held,
    /// It waits for nothing but its turn.
    Fit,
}

/// What a newer promotion means for older ones that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Policy {
    /// Nothing: each gets its turn.
    #[default]
    Queue,
    /// It replaces them, unless they have a higher priority.
    Supersede,
}

/// A promotion's place among those that want the same slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is its turn.
    Next,
    /// It is not.
    Behind {
        /// The name of the promotion that it waits for.
        promotion: String,
    },
    /// It will never be.
    SupersededBy {
        /// The name of the newest promotion that replaces it.
        promotion: String,
    },
    /// Nothing says whose turn it is.
    Ambiguous {
        /// The names of the other promotions that wait, sorted.
        others: Vec<String>,
    },
}

/// The place of `me` among `entries` (which may hold `me` itself, in any order).
///
/// `history` says whether the space has any: in one that has none, such as a cluster restored from a
/// repository, creation times say nothing, so several waiting promotions are ambiguous.
#[must_use]
pub fn standing(me: &Entry, entries: &[Entry], policy: Policy, history: bool) -> Standing {
    if me.running {
        return Standing::Next;
    }
    let others = || entries.iter().filter(|other| other.uid != me.uid);
    if let Some(newest) =
        others().filter(|other| history && supersedes(other, me, policy)).max_by_key(|other| age(other))
    {
        return Standing::SupersededBy { promotion: newest.name.clone() };
    }
    if others().any(|other| other.running && is_rollback_of(me, other)) {
        return Standing::Next;
    }
    if let Some(running) = others().filter(|other| other.running).min_by_key(|other| rank(other)) {
        return Standing::Behind { promotion: running.name.clone() };
    }
    let rivals = || others().filter(|other| is_rival(me, other));
    if !history && rivals().next().is_some() {
        let mut names: Vec<String> = rivals().map(|other| other.name.clone()).collect();
        names.sort();
        return Standing::Ambiguous { others: names };
    }
    if let Some(newest) = rivals().filter(|other| may_supersede(other, me, policy)).max_by_key(|other| age(other)) {
        return Standing::Behind { promotion: newest.name.clone() };
    }
    let remains =
        |entry: &Entry| !others().any(|newer| supersedes(newer, entry, policy)) && !supersedes(me, entry, policy);
    match rivals().filter(|other| rank(other) < rank(me) && remains(other)).max_by_key(|other| rank(other)) {
        Some(before) => Standing::Behind { promotion: before.name.clone() },
        None => Standing::Next,
    }
}

/// The place of `me` where a release `runs` already, which was made then and came with that promotion; nothing where the others
/// decide. What goes on by itself never goes backwards, however late it is looked at.
#[must_use]
pub fn overtaken(me: &Entry, runs: Option<(&str, &Made)>) -> Option<Standing> {
    let (promotion, newer) = runs?;
    match &me.origin {
        Origin::Lifecycle(made) if newer > made && !me.running => {
            Some(Standing::SupersededBy { promotion: promotion.to_owned() })
        }
        Origin::Lifecycle(_) | Origin::Asked | Origin::Pin(_) => None,
    }
}

/// Whether `other`, which does not run, may have its turn before `me`.
fn is_rival(me: &Entry, other: &Entry) -> bool {
    match other.claim {
        Claim::Held | Claim::Scheduled => false,
        Claim::Frozen => !me.passes_freezes,
        Claim::Unjudged | Claim::AllHeld | Claim::Fit => true,
    }
}

/// Whether `me` puts back what ran before `other` failed.
fn is_rollback_of(me: &Entry, other: &Entry) -> bool {
    me.rollback_of.as_ref() == Some(&other.uid)
}

/// Whether `newer` takes the place of `older`, which only waits.
fn supersedes(newer: &Entry, older: &Entry, policy: Policy) -> bool {
    // Creation times are whole seconds. One that runs may have had its turn before one of the same second was there to be replaced.
    let is_newer = if newer.running {
        newer.created > older.created || (newer.created == older.created && newer.origin.follows(&older.origin))
    } else {
        newer.claim == Claim::Fit && age(newer) > age(older)
    };
    let replaces = !newer.partial && newer.rollback_of.is_none();
    let is_replaceable = !older.running && older.claim != Claim::Scheduled;
    match policy {
        Policy::Queue => false,
        Policy::Supersede => replaces && is_replaceable && newer.priority >= older.priority && is_newer,
    }
}

/// Whether `newer` takes the place of `older` as soon as it is judged again and found fit.
fn may_supersede(newer: &Entry, older: &Entry, policy: Policy) -> bool {
    newer.claim == Claim::AllHeld && supersedes(&Entry { claim: Claim::Fit, ..newer.clone() }, older, policy)
}

/// Creation order. The uid decides nothing between two objects that exist at once, whose names differ.
fn age(entry: &Entry) -> (Timestamp, &Origin, &str, &str) {
    (entry.created, &entry.origin, &entry.name, &entry.uid)
}

/// The order in which the slot is given.
fn rank(entry: &Entry) -> (Reverse<i32>, (Timestamp, &Origin, &str, &str)) {
    (Reverse(entry.priority), age(entry))
}

#[cfg(test)]
mod tests;
