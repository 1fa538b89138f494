//! Why a promotion waits, and why it ended: one word for programs. The words are part of the API.

use std::fmt;

/// Why a promotion is where it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The API server does not enforce who may do what. Waits.
    Unguarded,
    /// Nobody is recorded as its requester, so nobody's rights were checked. Refuses.
    NotStamped,
    /// The project does not exist. Waits.
    ProjectNotFound,
    /// The release does not exist. Waits.
    ReleaseNotFound,
    /// The release exists and is not sealed. Waits.
    ReleaseNotSealed,
    /// Gantry made it for a release that was deleted and made again. Refuses.
    ReleaseMadeAgain,
    /// The environment does not exist. Waits.
    EnvironmentNotFound,
    /// The environment is not provisioned, or its provisioning broke. Waits.
    EnvironmentNotReady,
    /// The environment lets nothing start. Waits.
    EnvironmentPaused,
    /// It leaves out a step that its release does not have. Refuses.
    StepNotFound,
    /// It goes to a target that its environment does not have. Refuses.
    TargetNotFound,
    /// An earlier phase of the lifecycle is not complete. Refuses, or waits if the promotion says so.
    LifecycleNotReached,
    /// The lifecycle does not hold the environment. Refuses, or waits if the promotion says so.
    NotInLifecycle,
    /// The project names a lifecycle that does not exist. Waits.
    LifecycleNotFound,
    /// The project does not have the release's channel any more. Waits.
    ChannelNotFound,
    /// The lifecycle that the project names cannot be used. Waits.
    LifecycleInvalid,
    /// Somebody blocked the release. Refuses, or waits if the promotion says so.
    ReleaseBlocked,
    /// A freeze holds its project and environment. Refuses what is asked for meanwhile, or waits if the promotion says so; holds
    /// what waits already, and what runs before its next step, where the freeze says so.
    Frozen,
    /// Its time has not come. Waits.
    NotYet,
    /// Too few people agreed. Waits.
    ApprovalsMissing,
    /// Approvals must be of others than who asked, and nobody knows who that is. Refuses, or waits if the promotion says so.
    RequesterUnknown,
    /// Another promotion comes first. Waits.
    QueuedBehind,
    /// Several promotions wait and nothing says which was first. Waits.
    AmbiguousOrder,
    /// Another promotion holds the slot. Waits.
    SlotHeld,
    /// Something that the operator cannot clear keeps it from going on: a foreign Lease, say. Waits.
    Blocked,
    /// Its steps are being carried out.
    InProgress,
    /// It failed, and another promotion puts back what ran before.
    RollingBack,
    /// Every step is done and everything is healthy. An end.
    Deployed,
    /// A promotion of this name and content had ended before; this is that end. Nothing was done.
    AlreadyRecorded,
    /// A promotion of this name with other content had ended before. An end.
    NameUsed,
    /// Its spec asked to cancel. An end.
    CancelRequested,
    /// It was deleted before its end. An end.
    Deleted,
    /// Somebody rejected it. An end.
    Rejected,
    /// A newer promotion replaced it. An end.
    Superseded,
    /// It had not started when its time was over. An end.
    Expired,
    /// A step failed; the word is the step's own: `ImagePullBackOff`, `Conflict`. An end.
    Step(String),
}

impl Reason {
    /// Every reason that is not a step's own, in the order of declaration.
    pub const ALL: [Self; 35] = [
        Self::Unguarded,
        Self::NotStamped,
        Self::ProjectNotFound,
        Self::ReleaseNotFound,
        Self::ReleaseNotSealed,
        Self::ReleaseMadeAgain,
        Self::EnvironmentNotFound,
        Self::EnvironmentNotReady,
        Self::EnvironmentPaused,
        Self::StepNotFound,
        Self::TargetNotFound,
        Self::LifecycleNotReached,
        Self::NotInLifecycle,
        Self::LifecycleNotFound,
        Self::ChannelNotFound,
        Self::LifecycleInvalid,
        Self::ReleaseBlocked,
        Self::Frozen,
        Self::NotYet,
        Self::ApprovalsMissing,
        Self::RequesterUnknown,
        Self::QueuedBehind,
        Self::AmbiguousOrder,
        Self::SlotHeld,
        Self::Blocked,
        Self::InProgress,
        Self::RollingBack,
        Self::Deployed,
        Self::AlreadyRecorded,
        Self::NameUsed,
        Self::CancelRequested,
        Self::Deleted,
        Self::Rejected,
        Self::Superseded,
        Self::Expired,
    ];

    /// The reason as it is written in status.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Unguarded => "Unguarded",
            Self::NotStamped => "NotStamped",
            Self::ProjectNotFound => "ProjectNotFound",
            Self::ReleaseNotFound => "ReleaseNotFound",
            Self::ReleaseNotSealed => "ReleaseNotSealed",
            Self::ReleaseMadeAgain => "ReleaseMadeAgain",
            Self::EnvironmentNotFound => "EnvironmentNotFound",
            Self::EnvironmentNotReady => "EnvironmentNotReady",
            Self::EnvironmentPaused => "EnvironmentPaused",
            Self::StepNotFound => "StepNotFound",
            Self::TargetNotFound => "TargetNotFound",
            Self::LifecycleNotReached => "LifecycleNotReached",
            Self::NotInLifecycle => "NotInLifecycle",
            Self::LifecycleNotFound => "LifecycleNotFound",
            Self::ChannelNotFound => "ChannelNotFound",
            Self::LifecycleInvalid => "LifecycleInvalid",
            Self::ReleaseBlocked => "ReleaseBlocked",
            Self::Frozen => "Frozen",
            Self::NotYet => "NotYet",
            Self::ApprovalsMissing => "ApprovalsMissing",
            Self::RequesterUnknown => "RequesterUnknown",
            Self::QueuedBehind => "QueuedBehind",
            Self::AmbiguousOrder => "AmbiguousOrder",
            Self::SlotHeld => "SlotHeld",
            Self::Blocked => "Blocked",
            Self::InProgress => "InProgress",
            Self::RollingBack => "RollingBack",
            Self::Deployed => "Deployed",
            Self::AlreadyRecorded => "AlreadyRecorded",
            Self::NameUsed => "NameUsed",
            Self::CancelRequested => "CancelRequested",
            Self::Deleted => "Deleted",
            Self::Rejected => "Rejected",
            Self::Superseded => "Superseded",
            Self::Expired => "Expired",
            Self::Step(reason) => reason,
        }
    }

    /// Whether it waits for nothing but its turn.
    #[must_use]
    pub const fn is_turn(&self) -> bool {
        matches!(self, Self::QueuedBehind | Self::AmbiguousOrder | Self::SlotHeld)
    }

    /// Whether it may wait for long without anything being wrong: for people, a freeze, or a time.
    #[must_use]
    pub const fn lasts(&self) -> bool {
        matches!(
            self,
            Self::EnvironmentPaused
                | Self::LifecycleNotReached
                | Self::ReleaseBlocked
                | Self::Frozen
                | Self::NotYet
                | Self::ApprovalsMissing
                | Self::RequesterUnknown
                | Self::AmbiguousOrder
        )
    }

    /// Whether it waits until somebody changes what was written: no other promotion, approval or time opens it.
    #[must_use]
    pub const fn needs_an_edit(&self) -> bool {
        matches!(self, Self::NotInLifecycle | Self::ChannelNotFound)
    }

    /// Whether it waits for something that concerns itself alone, and no other promotion to the environment.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        matches!(
            self,
            Self::ReleaseNotFound
                | Self::ReleaseNotSealed
                | Self::LifecycleNotReached
                | Self::NotInLifecycle
                | Self::ChannelNotFound
                | Self::ReleaseBlocked
                | Self::NotYet
                | Self::ApprovalsMissing
                | Self::RequesterUnknown
        )
    }

    /// Whether it holds every promotion to the same environment.
    #[must_use]
    pub const fn is_of_all(&self) -> bool {
        matches!(
            self,
            Self::Unguarded
                | Self::ProjectNotFound
                | Self::EnvironmentNotFound
                | Self::EnvironmentNotReady
                | Self::EnvironmentPaused
        )
    }

    /// The reason that is written as `text`; a word that is none of ours is a step's.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).unwrap_or_else(|| Self::Step(text.to_owned()))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_reads_back_as_itself() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), reason);
        }
        assert_eq!(Reason::parse("ImagePullBackOff"), Reason::Step("ImagePullBackOff".into()));
    }
}
