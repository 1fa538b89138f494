//! The pin controller: one promotion for each generation of a pin's spec, and how that one is doing.
//!
//! The promotion's name follows from the pin's UID and the generation, and status remembers that it was made. Whoever dies in
//! between makes the same one again, and finds that it exists. What ends a promotion of an older generation that still waits is the
//! promotion itself: `promotion/pinned.rs`.

pub mod decide;
pub mod observe;
pub mod promote;
pub mod witness;

use std::sync::Arc;

use crate::api::condition::{self, Reason, Standing};
use crate::api::v1alpha1::{Pin, PinStatus};
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;
use crate::controllers::pipeline::Controller;
use decide::{Decision, Effect};
use observe::Observed;

/// Makes the promotions that pins ask for.
#[derive(Clone)]
pub struct PinController {
    /// What it works with.
    pub context: Arc<Context>,
}

impl Controller for PinController {
    type Kind = Pin;
    type Status = PinStatus;
    type Observed = Observed;
    type Effect = Effect;

    const NAME: &'static str = "pin";

    async fn observe(&self, key: &Key) -> Result<Option<Observed>, ClusterError> {
        match self.context.stores.pins.get(key) {
            Some(pin) => observe::observe(&self.context, pin).await.map(Some),
            None => Ok(None),
        }
    }

    fn object(observed: &Observed) -> &Pin {
        &observed.pin
    }

    fn status(observed: &Observed) -> PinStatus {
        observed.pin.status.clone().unwrap_or_default()
    }

    fn decide(observed: &Observed) -> Decision {
        decide::decide(observed)
    }

    async fn act(&self, observed: &Observed, effect: &Effect) -> Result<(), ClusterError> {
        match effect {
            Effect::Promote => match &observed.unguarded {
                // Nobody knows yet whose change it is.
                Some(why) => Err(ClusterError::Unguarded { why: why.clone() }),
                None => promote::promote(&self.context, &observed.pin).await,
            },
        }
    }

    fn failed(observed: &Observed, error: &ClusterError) -> Option<PinStatus> {
        let mut status = Self::status(observed);
        let because = (Reason::Failed.as_str(), error.to_string());
        condition::set_standing(
            &mut status.conditions,
            &Standing::Reconciling,
            (because.0, &because.1),
            observed.stamp(),
        );
        Some(status)
    }
}
