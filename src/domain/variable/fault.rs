//! Why an expression has no value: the class, the sentence, and the variables through which it was reached.

use std::fmt;

/// The classes of faults; the words are part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultReason {
    /// It is no expression, or does something that cannot be done.
    InvalidExpression,
    /// A name that it uses has no value here.
    UnresolvedVariable,
    /// A variable that it uses has several values of the same rank.
    AmbiguousVariable,
    /// Variables refer to each other in a circle.
    VariableCycle,
    /// It costs too much, or makes too much.
    ExpressionTooCostly,
    /// A secret that is never read would have to be read.
    SecretInPlainText,
    /// A secret cannot be read.
    SecretUnavailable,
    /// A person must answer, and has not or not well.
    PromptUnanswered,
}

impl FaultReason {
    /// The class as it is written in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidExpression => "InvalidExpression",
            Self::UnresolvedVariable => "UnresolvedVariable",
            Self::AmbiguousVariable => "AmbiguousVariable",
            Self::VariableCycle => "VariableCycle",
            Self::ExpressionTooCostly => "ExpressionTooCostly",
            Self::SecretInPlainText => "SecretInPlainText",
            Self::SecretUnavailable => "SecretUnavailable",
            Self::PromptUnanswered => "PromptUnanswered",
        }
    }
}

/// Why an expression has no value. Names and literals of the expression may be in it, values never.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// The class, for programs.
    pub reason: FaultReason,
    /// What is wrong and what to do.
    pub message: String,
    /// Whether `default(x, y)` may stand in: something optional is not there.
    pub optional: bool,
    /// The variables through which it was reached, outermost first.
    pub chain: Vec<String>,
}

impl Fault {
    /// A fault.
    pub fn new(reason: FaultReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), optional: false, chain: Vec::new() }
    }

    /// Something that cannot be done.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(FaultReason::InvalidExpression, message)
    }

    /// Something optional that is not there.
    pub fn missing(message: impl Into<String>) -> Self {
        Self { optional: true, ..Self::new(FaultReason::UnresolvedVariable, message) }
    }

    /// The same fault, reached through a variable.
    #[must_use]
    pub fn through(mut self, variable: &str) -> Self {
        self.chain.insert(0, variable.to_owned());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.chain.as_slice() {
            [] => Ok(()),
            chain => write!(f, " (reached through {})", chain.join(" → ")),
        }
    }
}
