//! Which steps of a process run in a promotion, in which targets, and why the others do not.

pub mod retry;

use std::fmt;

use crate::domain::variable::Subject;

/// Where a step runs: within one kind of names any may match, and every kind that is given must. Without any, everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Environments.
    pub environments: Vec<String>,
    /// Channels of the release.
    pub channels: Vec<String>,
    /// Roles of the target.
    pub roles: Vec<String>,
}

/// After what a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum RunOn {
    /// As long as no step has failed.
    #[default]
    Success,
    /// Once a step before it has failed.
    Failure,
    /// Whatever happened before it.
    Always,
}

/// Why a step does not run in a target: one word for programs. The words are part of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skip {
    /// It runs in other environments.
    Environment,
    /// It runs for releases of other channels.
    Channel,
    /// It runs in targets of other roles.
    Roles,
    /// The promotion goes to other targets only.
    TargetLeftOut,
    /// The promotion leaves it out.
    SkippedByPerson,
    /// Its condition is false.
    When,
    /// It runs after a failure, and nothing before it had failed.
    NothingFailed,
    /// An earlier step failed.
    AfterFailure,
    /// The promotion was canceled before its turn.
    Canceled,
}

/// A step that does not run in a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Why, in one word.
    pub reason: Skip,
    /// Why, in one sentence.
    pub message: String,
}

impl Skip {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 9] = [
        Self::Environment,
        Self::Channel,
        Self::Roles,
        Self::TargetLeftOut,
        Self::SkippedByPerson,
        Self::When,
        Self::NothingFailed,
        Self::AfterFailure,
        Self::Canceled,
    ];

    /// The sentence for one that is passed over when its turn would have come.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NothingFailed => "it runs after a failure only, and nothing before it failed",
            Self::AfterFailure => "a step failed before its turn",
            Self::Canceled => "the promotion was canceled before its turn",
            Self::Environment
            | Self::Channel
            | Self::Roles
            | Self::TargetLeftOut
            | Self::SkippedByPerson
            | Self::When => "it does not run here",
        }
    }

    /// The reason as it is written in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "Environment",
            Self::Channel => "Channel",
            Self::Roles => "Roles",
            Self::TargetLeftOut => "TargetLeftOut",
            Self::SkippedByPerson => "SkippedByPerson",
            Self::When => "When",
            Self::NothingFailed => "NothingFailed",
            Self::AfterFailure => "AfterFailure",
            Self::Canceled => "Canceled",
        }
    }
}

impl RunOn {
    /// Every one, in the order of declaration.
    pub const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Always];

    /// Whether the step runs, when a step before it has failed or none has.
    #[must_use]
    pub const fn runs(self, failed: bool) -> bool {
        match self {
            Self::Success => !failed,
            Self::Failure => failed,
            Self::Always => true,
        }
    }

    /// The word as it is written in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Failure => "Failure",
            Self::Always => "Always",
        }
    }

    /// What is written as `text`, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Conditions {
    /// Why the step does not run for a subject, if it does not.
    #[must_use]
    pub fn skipped(&self, subject: &Subject) -> Option<Skipped> {
        let fits = |names: &[String], of: &str| names.is_empty() || names.iter().any(|name| name == of);
        let (environment, channel) = (&subject.environment, subject.channel.as_deref());
        if !fits(&self.environments, environment) {
            let message = format!("it runs in {} only, and this is {environment}", listed(&self.environments));
            return Some(Skipped { reason: Skip::Environment, message });
        }
        if !fits(&self.channels, channel.unwrap_or_default()) {
            let has = channel.map_or("has no channel".to_owned(), |channel| format!("is of channel {channel}"));
            let message =
                format!("it runs for releases of channel {} only, and this one {has}", listed(&self.channels));
            return Some(Skipped { reason: Skip::Channel, message });
        }
        if !self.roles.is_empty() && !self.roles.iter().any(|role| subject.roles.contains(role)) {
            let (target, roles) = (&subject.target, listed(&self.roles));
            let message = match subject.roles.as_slice() {
                [] => format!("it runs in targets of role {roles} only, and target {target} has no role"),
                theirs => {
                    format!("it runs in targets of role {roles} only, and target {target} has {}", listed(theirs))
                }
            };
            return Some(Skipped { reason: Skip::Roles, message });
        }
        None
    }
}

/// Names as a person lists them: `a, b or c`.
fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests;
