//! What health is: the values that rules take and give. Pure.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::steps::apply::problem::shortened;

/// The most characters of a message, as status bounds it.
const SENTENCE: usize = 1000;
/// How far the clocks of the operator and the API server may differ before an old failure is taken for a new one.
const SKEW: SignedDuration = SignedDuration::from_secs(5);

/// How one object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// All of it is there.
    Healthy,
    /// It may become healthy.
    Progressing {
        /// What it waits for, in one sentence.
        message: String,
        /// The container that it waits for, whose log may say why.
        container: Option<ContainerRef>,
    },
    /// It will certainly not become healthy by itself.
    Failed(Failure),
}

/// Health, and when to look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// How it is.
    pub health: Health,
    /// When the answer changes although nothing else does.
    pub recheck: Option<Timestamp>,
}

impl Assessment {
    /// All of it is there.
    #[must_use]
    pub const fn healthy() -> Self {
        Self { health: Health::Healthy, recheck: None }
    }

    /// It waits for something.
    #[must_use]
    pub fn progressing(message: impl Into<String>, container: Option<ContainerRef>) -> Self {
        let message = shortened(&message.into(), SENTENCE);
        Self { health: Health::Progressing { message, container }, recheck: None }
    }

    /// The worse of both, the first of equals; the earlier time to look again.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        let recheck = [self.recheck, other.recheck].into_iter().flatten().min();
        let health = if other.health.rank() > self.health.rank() { other.health } else { self.health };
        Self { health, recheck }
    }
}

impl Health {
    fn rank(&self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Progressing { .. } => 1,
            Self::Failed(_) => 2,
        }
    }
}

impl From<Failure> for Assessment {
    fn from(failure: Failure) -> Self {
        Self { health: Health::Failed(failure), recheck: None }
    }
}

/// What failed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The class, for programs.
    pub reason: FailureReason,
    /// The object, the class, the cause, and where, in one sentence.
    pub message: String,
    /// The container whose log may say more.
    pub container: Option<ContainerRef>,
}

impl Failure {
    /// A failure of no container.
    #[must_use]
    pub fn new(reason: FailureReason, message: &str) -> Self {
        Self { reason, message: shortened(message, SENTENCE), container: None }
    }

    /// The same failure of a container.
    #[must_use]
    pub fn of(self, container: ContainerRef) -> Self {
        Self { container: Some(container), ..self }
    }
}

/// A container, and which of its runs the log is to be read of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerRef {
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// Whether the run before the present one is meant: the one that crashed.
    pub previous: bool,
}

impl fmt::Display for ContainerRef {
    /// `checkout-6d5f/api`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pod, self.container)
    }
}

/// When a failure that may heal by itself counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailAfter {
    /// How long an image may fail to be pulled for a reason that may go away.
    pub image_pull: Duration,
    /// How often a container may crash.
    pub crash_loop: u32,
    /// How long a pod may find no node, or no room in a quota.
    pub unschedulable: Duration,
}

/// What certainty depends on besides the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long things may fail.
    pub fail_after: FailAfter,
    /// When the objects were applied: what failed before that, and has not been tried again since, proves nothing.
    pub applied: Timestamp,
    /// The time.
    pub now: Timestamp,
}

impl Limits {
    /// A failure that is certain `delay` after `since`, and no sooner than the image-pull time after the apply if it is older than
    /// the apply.
    pub(super) fn certain(&self, since: Timestamp, delay: Duration, failure: Failure) -> Assessment {
        let stale = later(since, SKEW) < self.applied;
        let at = if stale {
            later(self.applied, signed(delay.max(self.fail_after.image_pull)))
        } else {
            later(since, signed(delay))
        };
        if at <= self.now {
            return failure.into();
        }
        let Failure { message, container, .. } = failure;
        Assessment { health: Health::Progressing { message, container }, recheck: Some(at) }
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

fn later(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

/// The classes of failures; the words are part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureReason {
    /// An image cannot be pulled.
    ImagePullBackOff,
    /// An image's name is none.
    InvalidImageName,
    /// An image must be on the node already, and is not.
    ErrImageNeverPull,
    /// A container refers to what is not there, such as a Secret.
    CreateContainerConfigError,
    /// A container keeps crashing.
    CrashLoopBackOff,
    /// A pod finds no node.
    Unschedulable,
    /// The namespace's quota has no room.
    QuotaExceeded,
    /// The namespace's Pod Security level refuses the pods.
    PodSecurity,
    /// Something else refuses the pods.
    PodsRefused,
    /// The rollout took longer than the object itself allows.
    ProgressDeadlineExceeded,
    /// The job failed.
    JobFailed,
    /// The pod failed.
    PodFailed,
    /// The volume is gone.
    ClaimLost,
    /// The object's controller says that it is stuck.
    Stalled,
    /// It was rolled out, and none of its pods is available now.
    Unavailable,
}

impl FailureReason {
    /// The class as it is written in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ImagePullBackOff => "ImagePullBackOff",
            Self::InvalidImageName => "InvalidImageName",
            Self::ErrImageNeverPull => "ErrImageNeverPull",
            Self::CreateContainerConfigError => "CreateContainerConfigError",
            Self::CrashLoopBackOff => "CrashLoopBackOff",
            Self::Unschedulable => "Unschedulable",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::PodSecurity => "PodSecurity",
            Self::PodsRefused => "PodsRefused",
            Self::ProgressDeadlineExceeded => "ProgressDeadlineExceeded",
            Self::JobFailed => "JobFailed",
            Self::PodFailed => "PodFailed",
            Self::ClaimLost => "ClaimLost",
            Self::Stalled => "Stalled",
            Self::Unavailable => "Unavailable",
        }
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
