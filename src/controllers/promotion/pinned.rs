//! What a pin means for the promotions of its place: a newer generation ends what an older one made and still waits; where nothing
//! of the project ever ran, the pin comes first, and a recovery of the environment lets it through the lifecycle. Pure.

use std::sync::Arc;

use super::approvals;
use super::observe::Observed;
use crate::api::v1alpha1::environment::Recovery;
use crate::api::v1alpha1::{Pin, Promotion};
use crate::controllers::environment::recovery;
use crate::controllers::pin::promote;
use crate::controllers::place::Past;
use crate::domain::lifecycle::reach::Reach;
use crate::domain::name::EnvironmentName;
use crate::domain::queue::pinned::{self, OfPin};
use crate::domain::queue::{self, Entry, Policy, Standing};

/// What is known of the pin of a promotion's place.
#[derive(Clone, Debug, Default)]
pub struct Pinned {
    /// The pin, if the place has one.
    pub pin: Option<Arc<Pin>>,
    /// What happened to what runs in the place.
    pub past: Past,
}

/// The name of the pin of a promotion's place.
#[must_use]
pub fn pin_name(promotion: &Promotion) -> String {
    format!("{}.{}", promotion.spec.project, promotion.spec.environment)
}

/// Whether Gantry made the promotion for a pin.
#[must_use]
pub fn is_of_a_pin(promotion: &Promotion) -> bool {
    promotion.spec.cause.as_ref().is_some_and(|cause| cause.kind == promote::CAUSE)
}

/// Whether the pin that the promotion was made for says something else by now. Generations only grow, so a pin that was read a while
/// ago is enough to know it.
#[must_use]
pub fn is_outdated(observed: &Observed) -> bool {
    let (promotion, Some(pin)) = (&observed.promotion, &observed.pinned.pin) else { return false };
    let Some(cause) = promotion.spec.cause.as_ref().filter(|_| is_of_a_pin(promotion)) else { return false };
    if pin.metadata.uid.as_ref() == Some(&cause.uid) {
        return pin.metadata.generation > cause.generation;
    }
    // It was deleted and made again.
    pin.metadata.creation_timestamp > promotion.metadata.creation_timestamp
}

/// The place of a promotion among those that want the same slot.
#[must_use]
pub fn standing(observed: &Observed, (me, rivals): (&Entry, &[Entry]), policy: Policy) -> Standing {
    let pin = observed.pinned.pin.as_ref().filter(|pin| pin.spec.requested_by.is_some());
    let Some(pin) = pin.filter(|_| observed.pinned.past.newest.is_none()) else {
        return queue::standing(me, rivals, policy, observed.history);
    };
    let wanted = promote::name(pin);
    let uid = rivals.iter().find(|entry| entry.name == wanted).map(|entry| entry.uid.clone());
    // Where the pin has decided, nothing is ambiguous.
    pinned::standing(me, rivals, &OfPin { wanted, uid }).unwrap_or_else(|| queue::standing(me, rivals, policy, true))
}

/// The recovery that lets the promotion through lifecycle and approvals: of a pin, where no release of the project ever succeeded,
/// in an environment where nothing had run when it was opened.
#[must_use]
pub fn recovery(observed: &Observed) -> Option<&Recovery> {
    let environment = observed.environment.as_ref().filter(|_| is_of_a_pin(&observed.promotion))?;
    recovery::lets_through(environment, (observed.pinned.past.succeeded, observed.now))
}

/// The recovery that it needed: without it, lifecycle or approvals would not let it through.
#[must_use]
pub fn recovered(observed: &Observed) -> Option<&Recovery> {
    let environment = EnvironmentName::try_from(observed.promotion.spec.environment.as_str()).ok()?;
    let unreached = || matches!(observed.course.reach(&environment), Reach::Unreached(_));
    let unapproved = || approvals::tally(observed).missing() > 0;
    recovery(observed).filter(|_| unreached() || unapproved())
}
