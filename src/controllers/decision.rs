//! What one run of a controller will do, as plain data.

use jiff::Timestamp;

/// Everything one run will do. Written in this order: effects, status, events.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<Status, Effect> {
    /// The status to be written, if it differs from the one that is there.
    pub status: Status,
    /// Changes of other objects, each harmless to repeat, in the order in which they must happen.
    pub effects: Vec<Effect>,
    /// Transitions that have happened once status is written.
    pub events: Vec<Note>,
    /// When to look again although nothing changed.
    pub next: Next,
}

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At the next change of something that is watched.
    Await,
    /// At once: there is more to do, and this run has left a legal state.
    Again,
    /// At this time, even if nothing changes.
    At(Timestamp),
}

impl Next {
    /// Whichever comes first.
    #[must_use]
    pub fn sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::Again, _) | (_, Self::Again) => Self::Again,
            (Self::At(a), Self::At(b)) => Self::At(a.min(b)),
            (Self::At(at), Self::Await) | (Self::Await, Self::At(at)) => Self::At(at),
            (Self::Await, Self::Await) => Self::Await,
        }
    }
}

/// One Event to be: a transition that happened. The text is constant per reason and object, since repeated Events are folded
/// and keep the first text (kube-runtime's recorder).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whether a person should worry.
    pub severity: Severity,
    /// One word: what happened.
    pub reason: &'static str,
    /// One word: what Gantry was doing.
    pub action: &'static str,
    /// One sentence.
    pub message: String,
}

/// How bad an Event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Progress.
    Normal,
    /// Something failed or waits for a person.
    Warning,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sooner_of_two_is_never_later_than_either() {
        let early = Next::At(Timestamp::from_second(1).unwrap());
        let late = Next::At(Timestamp::from_second(2).unwrap());
        assert_eq!(early.sooner(late), early);
        assert_eq!(late.sooner(Next::Await), late);
        assert_eq!(Next::Await.sooner(Next::Again), Next::Again);
    }
}
