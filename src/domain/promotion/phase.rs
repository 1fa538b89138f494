//! The phases of a promotion. Their names are part of the API.

use std::fmt;

/// Where a promotion is between its request and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It waits: for a gate, for its turn, for the slot. Nothing was applied.
    Pending,
    /// It holds the slot and changes its environment.
    Running,
    /// Everything was applied and became healthy.
    Succeeded,
    /// It ran and did not get there.
    Failed,
    /// A gate refused it; it never ran.
    Refused,
    /// Somebody canceled it, before or while it ran.
    Canceled,
    /// A newer promotion took its place while it waited.
    Superseded,
}

impl Phase {
    /// Every phase, in the order of declaration.
    pub const ALL: [Self; 7] =
        [Self::Pending, Self::Running, Self::Succeeded, Self::Failed, Self::Refused, Self::Canceled, Self::Superseded];

    /// Whether this is an end. No promotion ever leaves an end.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        match self {
            Self::Pending | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Refused | Self::Canceled | Self::Superseded => true,
        }
    }

    /// The phase as it is written in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Refused => "Refused",
            Self::Canceled => "Canceled",
            Self::Superseded => "Superseded",
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
