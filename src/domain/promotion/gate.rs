//! What stands between a promotion and its start: a chain of small named checks.
//!
//! [`judge`] asks them in order and reports the first that is not open. A decision that cannot be
//! taken back (to refuse, to replace, to start) is only taken on facts that were read live; on
//! cached ones the verdict is [`Verdict::Recheck`]. A new gate is a variant of [`Gate`], its place in
//! [`Gate::CHAIN`], and one function.

mod approvals;
mod facts;
mod freezes;

pub use facts::{EnvironmentFact, GateFacts, PartsFact, Presence, ReleaseFact, Subject, WhenNotReady};

use super::parts::Missing;
use super::reason::Reason;
use crate::domain::lifecycle::reach::Reach;
use crate::domain::queue::Standing;

/// The gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gate {
    /// The API server enforces who may do what.
    Guarded,
    /// The API server recorded who asked.
    Stamped,
    /// The project exists.
    ProjectFound,
    /// The release exists and is sealed.
    ReleaseSealed,
    /// The environment exists, is ready and not paused.
    EnvironmentReady,
    /// The steps and targets exist that it names.
    PartsKnown,
    /// The lifecycle lets the release go there.
    LifecycleReached,
    /// Nobody blocked the release, or it has come so far already.
    NotBlocked,
    /// No freeze holds its project and environment.
    NotFrozen,
    /// Its time has come.
    InTime,
    /// Enough people agreed.
    Approved,
    /// No other promotion comes first.
    Turn,
}

/// What the gates say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every gate is open, on facts read live.
    Open,
    /// A gate is not open and may open.
    Waiting {
        /// The gate.
        gate: Gate,
        /// Why, in one word.
        reason: Reason,
        /// Why, and what to do, in one sentence.
        message: String,
    },
    /// A gate is closed for good, on facts that cannot be out of date.
    Closed {
        /// The gate.
        gate: Gate,
        /// Why, in one word.
        reason: Reason,
        /// Why, and what to do, in one sentence.
        message: String,
    },
    /// Its time is over, whatever it waits for.
    Expired {
        /// Why, and what to do, in one sentence.
        message: String,
    },
    /// Somebody rejected it.
    Rejected {
        /// Who, and what to do, in one sentence.
        message: String,
    },
    /// The next decision cannot be taken back, and the facts may be out of date: read them live.
    Recheck,
}

/// Asks every gate in turn; the first that is not open decides. The time until which it may start, like the requester, is
/// written once: a cached promotion is as good as a live one.
#[must_use]
pub fn judge(facts: &GateFacts) -> Verdict {
    if let Some(message) = facts.window.expired(facts.now) {
        return Verdict::Expired { message };
    }
    if let Some(message) = approvals::rejected(facts) {
        // What is rejected is a plan, and that may have changed.
        return if facts.fresh { Verdict::Rejected { message } } else { Verdict::Recheck };
    }
    let first = Gate::CHAIN.into_iter().map(|gate| gate.check(facts)).find(|verdict| *verdict != Verdict::Open);
    match first {
        None if facts.fresh => Verdict::Open,
        None => Verdict::Recheck,
        Some(Verdict::Waiting { .. }) if is_superseded(&facts.standing) && !facts.fresh => Verdict::Recheck,
        Some(verdict) => verdict,
    }
}

impl Gate {
    /// The gates in the order in which they are asked: what can never change first, the turn last.
    pub const CHAIN: [Self; 12] = [
        Self::Guarded,
        Self::Stamped,
        Self::ProjectFound,
        Self::ReleaseSealed,
        Self::EnvironmentReady,
        Self::PartsKnown,
        Self::LifecycleReached,
        Self::NotBlocked,
        Self::NotFrozen,
        Self::InTime,
        Self::Approved,
        Self::Turn,
    ];

    /// What this gate alone says of these facts.
    #[must_use]
    pub fn check(self, facts: &GateFacts) -> Verdict {
        match self {
            Self::Guarded => self.guarded(facts),
            Self::Stamped => self.stamped(facts),
            Self::ProjectFound => self.project_found(facts),
            Self::ReleaseSealed => self.release_sealed(facts),
            Self::EnvironmentReady => self.environment_ready(facts),
            Self::PartsKnown => self.parts_known(facts),
            Self::LifecycleReached => self.lifecycle_reached(facts),
            Self::NotBlocked => self.not_blocked(facts),
            Self::NotFrozen => self.not_frozen(facts),
            Self::InTime => self.in_time(facts),
            Self::Approved => self.approved(facts),
            Self::Turn => self.turn(facts),
        }
    }

    /// The gate's name, as people read it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Guarded => "Guarded",
            Self::Stamped => "Stamped",
            Self::ProjectFound => "ProjectFound",
            Self::ReleaseSealed => "ReleaseSealed",
            Self::EnvironmentReady => "EnvironmentReady",
            Self::PartsKnown => "PartsKnown",
            Self::LifecycleReached => "LifecycleReached",
            Self::NotBlocked => "NotBlocked",
            Self::NotFrozen => "NotFrozen",
            Self::InTime => "InTime",
            Self::Approved => "Approved",
            Self::Turn => "Turn",
        }
    }

    fn waiting(self, reason: Reason, message: String) -> Verdict {
        Verdict::Waiting { gate: self, reason, message }
    }

    /// It is there, so making it is no remedy.
    fn unreadable(self, (kind, name): (&str, &str), why: &str) -> Verdict {
        let message = format!(
            "{kind} {name} exists and cannot be read: {why}; apply it again as this version of Gantry understands it, or cancel \
             this promotion"
        );
        self.waiting(Reason::Blocked, message)
    }

    fn guarded(self, facts: &GateFacts) -> Verdict {
        match &facts.unguarded {
            None => Verdict::Open,
            Some(why) => self.waiting(
                Reason::Unguarded,
                format!("nothing is promoted while Gantry's admission policies do not act: {why}"),
            ),
        }
    }

    /// The requester is written once, at creation: here a cached promotion is as good as a live one.
    fn stamped(self, facts: &GateFacts) -> Verdict {
        match facts.stamped {
            Some(_) => Verdict::Open,
            None => Verdict::Closed {
                gate: self,
                reason: Reason::NotStamped,
                message: "the API server did not record who asked, or nobody knows that it did: install Gantry's admission policies, \
                          then create the promotion again under another name"
                    .to_owned(),
            },
        }
    }

    fn project_found(self, facts: &GateFacts) -> Verdict {
        let project = &facts.subject.project;
        match &facts.project {
            Presence::Found => Verdict::Open,
            Presence::Unreadable { why } => self.unreadable(("project", project.as_ref()), why),
            Presence::Absent => self.waiting(
                Reason::ProjectNotFound,
                format!(
                    "project {project} (spec.project) does not exist in this space: create it, or cancel this promotion"
                ),
            ),
        }
    }

    fn release_sealed(self, facts: &GateFacts) -> Verdict {
        let release = facts.subject.release();
        match &facts.release {
            ReleaseFact::Sealed => Verdict::Open,
            ReleaseFact::Unreadable { why } => self.unreadable(("release", &release), why),
            ReleaseFact::Absent => self.waiting(
                Reason::ReleaseNotFound,
                format!(
                    "release {release} (spec.version) does not exist in this space: create it, or cancel this promotion"
                ),
            ),
            ReleaseFact::MadeAgain if !facts.fresh => Verdict::Recheck,
            ReleaseFact::MadeAgain => Verdict::Closed {
                gate: self,
                reason: Reason::ReleaseMadeAgain,
                message: format!(
                    "release {release} was deleted and made again, and this promotion was made for the one before: the one of now gets \
                     its own where its lifecycle says so, promote it yourself elsewhere"
                ),
            },
            ReleaseFact::NotSealed { message, stalled: true } => {
                self.waiting(Reason::ReleaseNotSealed, format!("release {release} cannot be sealed: {message}"))
            }
            ReleaseFact::NotSealed { message, stalled: false } => {
                self.waiting(Reason::ReleaseNotSealed, format!("release {release} is not sealed yet: {message}"))
            }
        }
    }

    fn environment_ready(self, facts: &GateFacts) -> Verdict {
        let environment = &facts.subject.environment;
        match &facts.environment {
            EnvironmentFact::Ready => Verdict::Open,
            EnvironmentFact::Unreadable { name, why } => self.unreadable(("environment", name), why),
            EnvironmentFact::Absent => self.waiting(
                Reason::EnvironmentNotFound,
                format!("environment {environment} (spec.environment) does not exist in this space: create it, or cancel this promotion"),
            ),
            EnvironmentFact::NotReady { message } => {
                self.waiting(Reason::EnvironmentNotReady, format!("environment {environment} is not ready: {message}"))
            }
            EnvironmentFact::Paused => self.waiting(
                Reason::EnvironmentPaused,
                format!("environment {environment} is paused: set its spec.paused to false to let promotions start"),
            ),
        }
    }

    /// What does not exist would be left out without a word, so whoever misspells it is told at once.
    fn parts_known(self, facts: &GateFacts) -> Verdict {
        let Subject { environment, .. } = &facts.subject;
        match &facts.parts {
            PartsFact::Known => Verdict::Open,
            PartsFact::Unread | PartsFact::Unknown(_) if !facts.fresh => Verdict::Recheck,
            PartsFact::Unread => {
                let message = format!("the process of release {} was not read yet", facts.subject.release());
                self.waiting(Reason::ReleaseNotSealed, message)
            }
            PartsFact::Unknown(unknown) => {
                let (reason, whose) = match unknown.kind {
                    Missing::Step => (Reason::StepNotFound, format!("release {}", facts.subject.release())),
                    Missing::Target => (Reason::TargetNotFound, format!("environment {environment}")),
                };
                Verdict::Closed { gate: self, reason, message: unknown.sentence(&whose) }
            }
        }
    }

    fn lifecycle_reached(self, facts: &GateFacts) -> Verdict {
        let message = facts.lifecycle.message(&facts.subject.environment, &facts.subject.release()).unwrap_or_default();
        match facts.lifecycle {
            Reach::Reachable => Verdict::Open,
            Reach::Unreached(_) if facts.recovering => Verdict::Open,
            Reach::Unreached(_) => self.refused(facts, Reason::LifecycleNotReached, message),
            Reach::NotInLifecycle => self.refused(facts, Reason::NotInLifecycle, message),
            // What nobody knows lets nothing through, and refuses nothing.
            Reach::NoLifecycle { .. } => self.waiting(Reason::LifecycleNotFound, message),
            Reach::NoChannel { .. } => self.waiting(Reason::ChannelNotFound, message),
            Reach::BrokenLifecycle { .. } => self.waiting(Reason::LifecycleInvalid, message),
        }
    }

    fn not_blocked(self, facts: &GateFacts) -> Verdict {
        let Some(why) = &facts.blocked else { return Verdict::Open };
        let message = format!(
            "release {} is blocked ({why}): it may go to environments of its first phase and of phases that it has entered, and {} is none; remove its spec.blocked to let it go on",
            facts.subject.release(),
            facts.subject.environment
        );
        self.refused(facts, Reason::ReleaseBlocked, message)
    }

    fn in_time(self, facts: &GateFacts) -> Verdict {
        match facts.window.not_yet(facts.now) {
            None => Verdict::Open,
            Some(message) => self.waiting(Reason::NotYet, message),
        }
    }

    /// A gate that no waiting opens is closed, unless the promotion wants to wait all the same.
    fn refused(self, facts: &GateFacts, reason: Reason, message: String) -> Verdict {
        match (facts.when_not_ready, facts.fresh) {
            (WhenNotReady::Wait, _) => self.waiting(reason, message),
            (WhenNotReady::Refuse, true) => Verdict::Closed { gate: self, reason, message },
            (WhenNotReady::Refuse, false) => Verdict::Recheck,
        }
    }

    fn turn(self, facts: &GateFacts) -> Verdict {
        let Subject { project, environment, .. } = &facts.subject;
        match &facts.standing {
            Standing::Next => Verdict::Open,
            Standing::Behind { promotion } => {
                self.waiting(Reason::QueuedBehind, format!("promotion {promotion} of {project} to {environment} comes first"))
            }
            Standing::SupersededBy { promotion } => {
                self.waiting(Reason::QueuedBehind, format!("promotion {promotion} of {project} to {environment} is newer and replaces this one"))
            }
            Standing::Ambiguous { others } => self.waiting(
                Reason::AmbiguousOrder,
                format!(
                    "{} more promotions of {project} wait for {environment} and this space has no history that says which comes first: cancel all but one",
                    others.len()
                ),
            ),
        }
    }
}

fn is_superseded(standing: &Standing) -> bool {
    matches!(standing, Standing::SupersededBy { .. })
}

#[cfg(test)]
pub(in crate::domain) mod tests;
