//! What Events say of a promotion: a closed set, and where each is told. Pure.

use crate::controllers::decision::{Note, Severity};
use crate::domain::promotion::phase::Phase;

/// One thing that happened to a promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It waits, for another reason than before.
    Waiting,
    /// It takes its turn.
    Started,
    /// It goes around lifecycle or approvals, since somebody opened a recovery.
    Recovered,
    /// It starts in spite of a freeze.
    FreezeOverridden,
    /// A freeze keeps its next step from beginning.
    Paused,
    /// The freeze is over.
    Resumed,
    /// A step failed and is begun again.
    Retrying,
    /// A step failed for good, and steps for that case run.
    StepFailed,
    /// It has come to this phase.
    Became(Phase),
}

impl News {
    /// What may be told; of the phases those that are news of their own.
    const ALL: [Self; 17] = [
        Self::Waiting,
        Self::Started,
        Self::Recovered,
        Self::FreezeOverridden,
        Self::Paused,
        Self::Resumed,
        Self::Retrying,
        Self::StepFailed,
        Self::Became(Phase::RollingBack),
        Self::Became(Phase::Succeeded),
        Self::Became(Phase::Failed),
        Self::Became(Phase::RolledBack),
        Self::Became(Phase::Refused),
        Self::Became(Phase::Rejected),
        Self::Became(Phase::Canceled),
        Self::Became(Phase::Superseded),
        Self::Became(Phase::Expired),
    ];

    /// The reason of its Event.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::Started => "Started",
            Self::Recovered => "Recovered",
            Self::FreezeOverridden => "FreezeOverridden",
            Self::Paused => "Paused",
            Self::Resumed => "Resumed",
            Self::Retrying => "Retrying",
            Self::StepFailed => "StepFailed",
            Self::Became(phase) => phase.as_str(),
        }
    }

    /// What is said of it.
    #[must_use]
    pub const fn note(self, message: String) -> Note {
        Note { severity: self.severity(), reason: self.as_str(), action: "Promote", message }
    }

    /// Whether the Event of this reason is also told on the environment and the release: every transition from phase to phase is,
    /// and what went around a rule. What happens within a phase is told on the promotion alone.
    #[must_use]
    pub fn is_told_elsewhere(reason: &str) -> bool {
        Self::ALL.into_iter().any(|news| news.as_str() == reason && news.concerns_others())
    }

    const fn concerns_others(self) -> bool {
        match self {
            Self::Started | Self::Recovered | Self::FreezeOverridden | Self::Became(_) => true,
            Self::Waiting | Self::Paused | Self::Resumed | Self::Retrying | Self::StepFailed => false,
        }
    }

    const fn severity(self) -> Severity {
        match self {
            Self::Waiting
            | Self::Started
            | Self::Paused
            | Self::Resumed
            | Self::Became(Phase::Pending | Phase::Running | Phase::Succeeded | Phase::Superseded | Phase::Canceled) => {
                Severity::Normal
            }
            Self::Recovered
            | Self::FreezeOverridden
            | Self::Retrying
            | Self::StepFailed
            | Self::Became(
                Phase::RollingBack
                | Phase::Failed
                | Phase::RolledBack
                | Phase::Refused
                | Phase::Rejected
                | Phase::Expired,
            ) => Severity::Warning,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_that_a_promotion_comes_to_after_its_start_is_news_also_for_environment_and_release() {
        let told = Phase::ALL.into_iter().filter(|phase| News::is_told_elsewhere(phase.as_str()));
        let ends = Phase::ALL.into_iter().filter(|phase| phase.is_finished() || *phase == Phase::RollingBack);
        assert_eq!(told.collect::<Vec<_>>(), ends.collect::<Vec<_>>());
        for within in ["Waiting", "Paused", "Resumed", "Retrying", "StepFailed", "Unheard"] {
            assert!(!News::is_told_elsewhere(within), "{within}");
        }
    }
}
