//! What the gates look at.

use jiff::Timestamp;

use crate::domain::freeze::Freezes;
use crate::domain::lifecycle::reach::Reach;
use crate::domain::name::{EnvironmentName, ProjectName, ReleaseVersion, release_name};
use crate::domain::promotion::approval::{Person, Tally};
use crate::domain::promotion::parts::Unknown;
use crate::domain::promotion::window::Window;
use crate::domain::queue::Standing;

/// Everything the gates look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateFacts {
    /// What the promotion asks for.
    pub subject: Subject,
    /// Why the API server does not enforce who may do what, if so.
    pub unguarded: Option<String>,
    /// Who asked, as the API server authenticated them; nobody, if it was never recorded.
    pub stamped: Option<Person>,
    /// The project.
    pub project: Presence,
    /// The release.
    pub release: ReleaseFact,
    /// The environment.
    pub environment: EnvironmentFact,
    /// Whether the release may go to the environment.
    pub lifecycle: Reach,
    /// Whether it may pass the lifecycle and start without approvals because the history that they ask for was lost.
    pub recovering: bool,
    /// Why somebody blocked the release, if that keeps it out of the environment.
    pub blocked: Option<String>,
    /// Whether what it leaves out of its release exists.
    pub parts: PartsFact,
    /// What the promotion wants if it may not.
    pub when_not_ready: WhenNotReady,
    /// Who must agree, and who did.
    pub approvals: Tally,
    /// The freezes of its project and environment.
    pub freezes: Freezes,
    /// When it may start.
    pub window: Window,
    /// When it was asked for.
    pub asked: Timestamp,
    /// The time.
    pub now: Timestamp,
    /// Its place among the promotions that want the same slot.
    pub standing: Standing,
    /// Whether all of this was read live, not from a cache.
    pub fresh: bool,
}

/// What a promotion asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The project.
    pub project: ProjectName,
    /// The version of its release.
    pub version: ReleaseVersion,
    /// Where it should go.
    pub environment: EnvironmentName,
}

impl Subject {
    /// The name of the release: `checkout-1.4.2`.
    #[must_use]
    pub fn release(&self) -> String {
        release_name(&self.project, &self.version)
    }
}

/// Whether an object exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// It does.
    Found,
    /// It does not.
    Absent,
    /// It does, and does not read as its kind.
    Unreadable {
        /// What is wrong with it.
        why: String,
    },
}

/// What is known of the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseFact {
    /// It does not exist.
    Absent,
    /// It exists, and does not read as its kind.
    Unreadable {
        /// What is wrong with it.
        why: String,
    },
    /// It is another one than Gantry made the promotion for, which was deleted.
    MadeAgain,
    /// Its packages and process are not fixed yet.
    NotSealed {
        /// What its own condition says.
        message: String,
        /// Whether it needs a person to go on.
        stalled: bool,
    },
    /// It is what it will always be.
    Sealed,
}

/// What is known of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvironmentFact {
    /// It does not exist.
    Absent,
    /// It, or another one that the lifecycle depends on, exists and does not read as its kind: then nobody knows the lifecycle.
    Unreadable {
        /// Which.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// Its targets cannot be used.
    NotReady {
        /// What its own condition says.
        message: String,
    },
    /// It is ready and lets nothing start.
    Paused,
    /// It can be used.
    Ready,
}

/// What a promotion wants when a gate that does not open by waiting is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum WhenNotReady {
    /// To be refused.
    #[default]
    Refuse,
    /// To wait all the same.
    Wait,
}

/// Whether the steps and targets exist that a promotion names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartsFact {
    /// They do, or it names none.
    Known,
    /// Nobody looked at the process of its release yet.
    Unread,
    /// One does not.
    Unknown(Unknown),
}
