//! What freezes mean for a promotion: which concern it, which hold it, which it passed. Pure.

pub mod reads;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::decide::between;
use super::observe::Observed;
use super::reads as promotion_reads;
use super::recording::news::News;
use super::rollback;
use crate::api::condition;
use crate::api::convert::freezes as convert;
use crate::api::v1alpha1::promotion_status::FreezeOverrideRecord;
use crate::api::v1alpha1::{Freeze as Object, Promotion};
use crate::controllers::decision::{Next, Note};
use crate::domain::freeze::{self, Freeze, Freezes};
use crate::domain::promotion::window::Window;

/// How many freezes the status of a promotion lists.
const LISTED: usize = 16;

/// The freezes of a space.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// Those that read as such.
    pub objects: Vec<Arc<Object>>,
    /// Why the others do not, by name.
    pub broken: BTreeMap<String, Arc<str>>,
    /// Whether they were read live.
    pub live: bool,
}

impl Read {
    /// All of them that concern a promotion, by name.
    fn concerning(&self, promotion: &Promotion) -> Vec<Freeze> {
        let readable = self.objects.iter().map(|object| convert::freeze(object));
        let broken = self.broken.iter().map(|(name, why)| convert::unreadable(name, why));
        let mut concerning: Vec<Freeze> = readable.chain(broken).collect();
        concerning.retain(|freeze| freeze.concerns(&promotion.spec.project, &promotion.spec.environment));
        concerning.sort_by(|one, other| one.name.cmp(&other.name));
        concerning
    }
}

/// The freezes that concern the promotion, and which of them it may pass.
#[must_use]
pub fn concerning(observed: &Observed) -> Freezes {
    with(&observed.promotion, observed.freezes.concerning(&observed.promotion))
}

/// Whether a freeze holds back a promotion that has not ended.
#[must_use]
pub fn holds(freeze: &Freeze, promotion: &Promotion, now: Timestamp) -> bool {
    let spec = &promotion.spec;
    if !freeze.concerns(&spec.project, &spec.environment) {
        return false;
    }
    let freezes = with(promotion, vec![freeze.clone()]);
    if promotion_reads::is_underway(promotion) {
        return between::is_paused(promotion) && !freezes.pausing(now).is_empty();
    }
    !freezes.holding(window(promotion).intended(now)).is_empty()
}

fn with(promotion: &Promotion, concerning: Vec<Freeze>) -> Freezes {
    let overridden = promotion.spec.freeze_override.as_ref().map(|given| given.names.clone()).unwrap_or_default();
    // What puts back what ran before a failure is the end of something that ran already.
    Freezes { concerning, overridden, exempt: rollback::rollback_of(promotion).is_some() }
}

fn window(promotion: &Promotion) -> Window {
    let not_before = promotion.spec.not_before.as_ref().map(|time| time.0);
    Window { not_before, ..Window::default() }
}

/// When the promotion was asked for.
#[must_use]
pub fn asked(observed: &Observed) -> Timestamp {
    observed.promotion.metadata.creation_timestamp.as_ref().map_or(observed.now, |time| time.0)
}

/// When to look again at a promotion that waits, although nothing changed: at the next time at which a freeze begins or ends. Before
/// its own time comes, it is the freezes of that time that count.
#[must_use]
pub fn look_again(observed: &Observed) -> Next {
    if window(&observed.promotion).not_yet(observed.now).is_some() {
        return Next::Await;
    }
    concerning(observed).border(observed.now).map_or(Next::Await, Next::At)
}

/// What keeps a promotion that runs from its next step, until when at the latest nothing changes by itself.
#[must_use]
pub fn pausing(observed: &Observed) -> Option<(String, Next)> {
    let freezes = concerning(observed);
    let holding = freezes.pausing(observed.now);
    let told = (!holding.is_empty()).then(|| freeze::told(&holding))?;
    Some((told, freezes.border(observed.now).map_or(Next::Await, Next::At)))
}

/// The freezes that the promotion passes now because it names them.
#[must_use]
pub fn record(observed: &Observed) -> Option<FreezeOverrideRecord> {
    let given = observed.promotion.spec.freeze_override.as_ref()?;
    let freezes = concerning(observed);
    let passed: Vec<String> =
        freezes.overrode(observed.now).iter().map(|freeze| freeze.name.clone()).take(LISTED).collect();
    let (by, reason) = (observed.promotion.spec.requested_by.clone(), condition::plain(&given.reason));
    (!passed.is_empty()).then_some(FreezeOverrideRecord { passed, by, reason })
}

/// A word on a promotion that starts in spite of freezes.
#[must_use]
pub fn overridden(observed: &Observed) -> Option<Note> {
    let FreezeOverrideRecord { passed, by, reason } = record(observed)?;
    let by = by.map(|by| by.username).unwrap_or_default();
    let spec = &observed.promotion.spec;
    let message = format!(
        "{} {} goes to {} in spite of freeze {}, since {by} overrode that: {reason}",
        spec.project,
        spec.version,
        spec.environment,
        passed.join(", ")
    );
    Some(News::FreezeOverridden.note(message))
}

/// The freezes that the gate looked at.
pub fn decided_on(observed: &Observed) -> impl Iterator<Item = &Arc<Object>> {
    let (project, environment) = (&observed.promotion.spec.project, &observed.promotion.spec.environment);
    let concerns = move |object: &&Arc<Object>| convert::freeze(object).concerns(project, environment);
    observed.freezes.objects.iter().filter(concerns).take(LISTED)
}
