//! Variables: named values that differ by environment, target, role, channel and step, and the expressions that use them.
//!
//! 1. [`resolve`]: which of the values of a variable holds for one [`Subject`], and why.
//! 2. [`template`]: `${{ … }}` in a text, as parts; [`expression`]: one parsed expression (CEL).
//! 3. [`bindings`]: what the names in expressions mean for one subject; evaluates, bounded in every direction.
//! 4. [`tie`]: variables that are ambiguous somewhere; [`stray`]: values whose scopes name what nobody has.
//!
//! A text that holds a secret is [`Text::Secret`]: whatever an expression makes of a secret is one again.

pub mod bindings;
pub mod budget;
pub mod condition;
pub mod datum;
pub mod evaluate;
pub mod expression;
pub mod fault;
pub mod function;
pub mod operator;
pub mod prompt;
pub mod resolve;
pub mod scope;
pub mod secret;
pub mod stray;
pub mod template;
mod text_function;
pub mod tie;
mod time_function;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

pub use bindings::{Bindings, Text};
pub use fault::{Fault, FaultReason};
pub use prompt::Prompt;
pub use scope::{Scope, Subject};
pub use secret::{SecretReference, SecretText};

/// The longest name of a variable.
pub const NAME_MAX: usize = 63;

/// A variable as it is declared in one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Its name, as expressions use it.
    pub name: String,
    /// Its values; which one holds is decided by scope.
    pub values: Vec<Candidate>,
    /// How people are asked for it, if they are.
    pub prompt: Option<Prompt>,
}

/// One value of a variable, and where it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What it is.
    pub content: Content,
    /// Where it holds.
    pub scope: Scope,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Plain: a text, number, boolean, list or map, in which texts may hold expressions.
    Value(Value),
    /// An entry of a Secret.
    Secret(SecretReference),
}

/// Where variables are declared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The project itself.
    Project,
    /// A set of variables that the project uses.
    Set(Arc<str>),
    /// The promotion.
    Promotion,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project => f.write_str("Project"),
            Self::Set(name) => write!(f, "VariableSet {name}"),
            Self::Promotion => f.write_str("Promotion"),
        }
    }
}

/// Variables with the place where they are declared.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// Where.
    pub source: Source,
    /// Which.
    pub variables: Vec<Variable>,
}

/// A value given with a promotion: it beats every scope.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// Of which variable.
    pub name: String,
    /// The value; a text is read as what the variable's prompt, or the value that it replaces, is.
    pub content: Content,
}

/// Whether a text can be the name of a variable: expressions must be able to write it.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= NAME_MAX
        && bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
