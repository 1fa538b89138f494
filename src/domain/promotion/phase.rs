//! The phases of a promotion. Their names are part of the API.

use std::fmt;

/// Where a promotion is between its request and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It waits: for a gate, for its turn, for the slot. Nothing was applied.
    Pending,
    /// It holds the slot and changes its environment.
    Running,
    /// It ran and did not get there, and waits for the promotion that puts back what ran before.
    RollingBack,
    /// Everything was applied and became healthy.
    Succeeded,
    /// It ran and did not get there.
    Failed,
    /// It ran and did not get there, and what ran before was put back.
    RolledBack,
    /// A gate refused it; it never ran.
    Refused,
    /// Somebody who may approve said no; it never ran.
    Rejected,
    /// Somebody canceled it, before or while it ran.
    Canceled,
    /// A newer promotion took its place while it waited.
    Superseded,
    /// The time was over until which it could start.
    Expired,
}

impl Phase {
    /// Every phase, in the order of declaration.
    pub const ALL: [Self; 11] = [
        Self::Pending,
        Self::Running,
        Self::RollingBack,
        Self::Succeeded,
        Self::Failed,
        Self::RolledBack,
        Self::Refused,
        Self::Rejected,
        Self::Canceled,
        Self::Superseded,
        Self::Expired,
    ];

    /// Whether this is an end. No promotion ever leaves an end.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        match self {
            Self::Pending | Self::Running | Self::RollingBack => false,
            Self::Succeeded
            | Self::Failed
            | Self::RolledBack
            | Self::Refused
            | Self::Rejected
            | Self::Canceled
            | Self::Superseded
            | Self::Expired => true,
        }
    }

    /// The phase as it is written in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::RollingBack => "RollingBack",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::RolledBack => "RolledBack",
            Self::Refused => "Refused",
            Self::Rejected => "Rejected",
            Self::Canceled => "Canceled",
            Self::Superseded => "Superseded",
            Self::Expired => "Expired",
        }
    }

    /// The phase that is written as `text`, if there is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_reads_back_as_itself() {
        for phase in Phase::ALL {
            assert_eq!(Phase::parse(phase.as_str()), Some(phase));
        }
        assert_eq!(Phase::parse("succeeded"), None);
    }
}
