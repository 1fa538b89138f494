//! How a project is doing in an environment: what should be there against what is. Pure.

use super::expected::Piece;
use super::workload::{State, Workload};
use crate::api::v1alpha1::project::Health;
use crate::steps::apply::object::ObjectRef;

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The worst of all objects.
    pub health: Health,
    /// The first object that is so, and why; nothing when all are healthy.
    pub because: Option<Finding>,
    /// The first object of which somebody changed what was applied.
    pub drift: Option<Finding>,
}

/// What is said of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The object.
    pub object: ObjectRef,
    /// One sentence that names it.
    pub message: String,
}

/// Judges every object that should be there, with what is known of it.
#[must_use]
pub fn judge<'a>(objects: impl IntoIterator<Item = (&'a Piece, Option<&'a Workload>)>) -> Standing {
    let mut standing = Standing::default();
    for (piece, found) in objects {
        if let Some((health, message)) = health(piece, found).filter(|(health, _)| *health > standing.health) {
            standing.health = health;
            standing.because = Some(Finding { object: piece.object(), message });
        }
        if standing.drift.is_none() && found.is_some_and(|found| is_changed(piece, found)) {
            let object = piece.object();
            let message = format!("{object}: what the release had set was changed since");
            standing.drift = Some(Finding { object, message });
        }
    }
    standing
}

/// How one object is, if it is not healthy.
fn health(piece: &Piece, found: Option<&Workload>) -> Option<(Health, String)> {
    match found.map(|found| &found.state) {
        Some(State::Healthy) => None,
        Some(State::Progressing(message)) => Some((Health::Progressing, message.to_string())),
        Some(State::Degraded(message)) => Some((Health::Degraded, message.to_string())),
        // What was only about to be applied is missed by nobody, nor is a Job that was cleaned up when it was done.
        None if !piece.was_applied || !piece.kind.stays => None,
        None => Some((Health::Missing, format!("{}: is gone, or has lost its labels", piece.object()))),
    }
}

fn is_changed(piece: &Piece, found: &Workload) -> bool {
    !piece.fields.is_empty() && piece.fields != found.fields
}

#[cfg(test)]
mod tests;
