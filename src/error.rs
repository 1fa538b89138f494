//! How an error is to be taken: the one question that every layer's errors answer.

/// What an error asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It may go away by itself: conflicts, overload, a connection that broke. Tried again with back-off.
    Retryable,
    /// A person must change something first: a right, a quota, a missing kind. Tried again slowly.
    Blocked,
    /// This process must not go on with this work: it no longer leads.
    Terminal,
    /// An invariant of ours is broken. Logged and counted.
    Bug,
}
