//! The one shape of "this input is wrong": where, why, and what to do.

use std::fmt;

/// A value that a person wrote and that Gantry cannot use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Invalid {
    /// The field, as a person would look for it: `spec.packages[0].image`.
    pub path: String,
    /// The class of the mistake, for programs.
    pub reason: InvalidReason,
    /// One sentence: the value, what is wrong with it, and the remedy.
    pub message: String,
}

impl Invalid {
    /// A mistake of class `reason` at `path`.
    pub fn new(path: impl Into<String>, reason: InvalidReason, message: impl fmt::Display) -> Self {
        Self { path: path.into(), reason, message: message.to_string() }
    }
}

/// The classes of mistakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InvalidReason {
    /// A value that must be given is missing.
    Required,
    /// The text does not have the form it must have.
    Malformed,
    /// The value is larger than its bound.
    TooLarge,
    /// The same name is given twice.
    Duplicate,
    /// The value names something that does not exist.
    Unknown,
    /// The value has the right form and is not permitted.
    Forbidden,
}

impl InvalidReason {
    /// Every class, in the order of declaration.
    pub const ALL: [Self; 6] =
        [Self::Required, Self::Malformed, Self::TooLarge, Self::Duplicate, Self::Unknown, Self::Forbidden];

    /// The class as it is written in conditions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "Required",
            Self::Malformed => "Malformed",
            Self::TooLarge => "TooLarge",
            Self::Duplicate => "Duplicate",
            Self::Unknown => "Unknown",
            Self::Forbidden => "Forbidden",
        }
    }
}

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
