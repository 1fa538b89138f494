//! When a command looks again although nothing woke it. Pure.

use jiff::{SignedDuration, Timestamp};

use super::job::Span;
use crate::controllers::decision::Next;

/// For what no change of a Job tells: an image that cannot be pulled, a container that cannot be made.
pub const LOOK: SignedDuration = SignedDuration::from_secs(10);
/// For a registry that did not answer.
pub const REGISTRY: SignedDuration = SignedDuration::from_secs(5);

/// This much later.
#[must_use]
pub fn after(now: Timestamp, pause: SignedDuration) -> Next {
    now.checked_add(pause).map_or(Next::Await, Next::At)
}

/// When the next time of a script comes: that its timeout is over, or that nobody will know any more.
#[must_use]
pub fn deadline(span: Span, now: Timestamp) -> Next {
    match [span.over, span.last].into_iter().find(|time| *time > now) {
        Some(time) => Next::At(time),
        None => after(now, LOOK),
    }
}
