//! Why a command ended as it did in a target: one word for programs. The words are part of the API.

use std::fmt;

/// Why it ended so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It was carried out.
    Done,
    /// The script ended with another exit code than 0.
    ExitCode,
    /// What it is about is not there.
    NotFound,
    /// No release of the project made what it is about.
    NotOfProject,
    /// The account may not do it.
    Forbidden,
    /// The API server does not take it.
    Refused,
    /// Others change the object all the time.
    Busy,
    /// What it asks for is not understood.
    NotUnderstood,
    /// The container of the script cannot be made, or cannot run.
    CannotRun,
    /// No node took the script.
    Unschedulable,
    /// The script had not ended after its timeout.
    TimedOut,
    /// Somebody canceled it.
    Canceled,
    /// Somebody deleted the Job of the script, or its pod.
    JobGone,
    /// The API server or a node gave no answer from which it could be known.
    NoAnswer,
}

impl Reason {
    /// Every one, in the order of declaration.
    pub const ALL: [Self; 14] = [
        Self::Done,
        Self::ExitCode,
        Self::NotFound,
        Self::NotOfProject,
        Self::Forbidden,
        Self::Refused,
        Self::Busy,
        Self::NotUnderstood,
        Self::CannotRun,
        Self::Unschedulable,
        Self::TimedOut,
        Self::Canceled,
        Self::JobGone,
        Self::NoAnswer,
    ];

    /// The word as it is written in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "Done",
            Self::ExitCode => "ExitCode",
            Self::NotFound => "NotFound",
            Self::NotOfProject => "NotOfProject",
            Self::Forbidden => "Forbidden",
            Self::Refused => "Refused",
            Self::Busy => "Busy",
            Self::NotUnderstood => "NotUnderstood",
            Self::CannotRun => "CannotRun",
            Self::Unschedulable => "Unschedulable",
            Self::TimedOut => "TimedOut",
            Self::Canceled => "Canceled",
            Self::JobGone => "JobGone",
            Self::NoAnswer => "NoAnswer",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let words: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
    }
}
