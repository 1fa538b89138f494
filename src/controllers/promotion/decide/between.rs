//! Between two steps: the next one begins, unless a freeze that pauses what runs has begun meanwhile. Pure.
//!
//! Freezes are read live before a step begins. While it is paused a promotion runs as far as everybody else is concerned: it
//! holds its slot. One in which a step has failed is not paused: its clean-up belongs to its end.

use super::turn;
use super::{Decision, Effect, effect, finish, rest, unreadable};
use crate::api::v1alpha1::Promotion;
use crate::controllers::decision::Next;
use crate::controllers::promotion::freezes;
use crate::controllers::promotion::observe::Observed;
use crate::controllers::promotion::reads;
use crate::controllers::promotion::recording::news::News;
use crate::controllers::promotion::status;
use crate::controllers::promotion::work::progress::{self, Progress};
use crate::domain::promotion::reason::Reason;

/// Whether a promotion runs and is kept from its next step.
#[must_use]
pub fn is_paused(promotion: &Promotion) -> bool {
    reads::is_running(promotion) && progress::running(promotion).is_none()
}

/// A step is done and another one comes after it.
#[must_use]
pub fn done(observed: &Observed, progress: &Progress) -> Decision {
    match halt(observed, Some(progress)) {
        Some(decision) => decision,
        None => Decision { status: status::advanced(observed, progress), next: Next::Again, ..rest(observed) },
    }
}

/// No step runs, since one was kept from beginning.
#[must_use]
pub fn steps(observed: &Observed) -> Decision {
    if !turn::goes_on(&observed.promotion, turn::has_failed(&observed.promotion).is_some()) {
        return finish(observed, &unreadable("its status has no step that runs"));
    }
    if let Some(decision) = halt(observed, None) {
        return decision;
    }
    let spec = &observed.promotion.spec;
    let message = format!("{} {} to {} goes on: the freeze is over", spec.project, spec.version, spec.environment);
    let event = News::Resumed.note(message);
    Decision { status: status::resumed(observed), events: vec![event], next: Next::Again, ..rest(observed) }
}

/// What is done instead of beginning the next step.
fn halt(observed: &Observed, done: Option<&Progress>) -> Option<Decision> {
    if turn::has_failed(&observed.promotion).is_some() {
        return None;
    }
    let Some((holding, next)) = freezes::pausing(observed) else {
        return (!observed.freezes.live).then(|| effect(observed, Effect::ReadFreezes));
    };
    let message = format!("paused before its next step by {holding}: it goes on by itself afterwards, or cancel it");
    let known = observed.promotion.status.as_ref().and_then(|status| status.reason.as_deref());
    let event = News::Paused.note(message.clone());
    let events = if known == Some(Reason::Frozen.as_str()) { Vec::new() } else { vec![event] };
    Some(Decision { status: status::paused(observed, done, &message), effects: Vec::new(), events, next })
}

#[cfg(test)]
mod tests;
