//! When a step has taken longer than it may. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::api::condition;
use crate::api::v1alpha1::promotion_status::{FailureRecord, StepRecord};
use crate::controllers::promotion::observe::Observed;
use crate::controllers::promotion::work::progress::{self, Progress, State};
use crate::domain::promotion::reason::Reason;

/// How long a step may take when its snapshot says nothing readable: the API's default.
const FALLBACK: SignedDuration = SignedDuration::from_mins(10);

/// The step that runs, with its place in the list.
#[must_use]
pub fn current(observed: &Observed) -> Option<(usize, &StepRecord)> {
    progress::running(&observed.promotion)
}

/// When the step that runs has taken as long as it may.
#[must_use]
pub fn deadline(observed: &Observed) -> Option<Timestamp> {
    let (_, step) = current(observed)?;
    let started = step.started_at.as_ref()?.0;
    let allowed = step.timeout.parse::<SignedDuration>().unwrap_or(FALLBACK);
    started.checked_add(allowed).ok()
}

/// A step that takes longer than this says what it waits for, and not more often: most steps are done sooner and cost no write.
pub(super) const TELL: SignedDuration = SignedDuration::from_secs(10);

/// When the promotion's status is to say what its step waits for; nothing if it says just that already.
#[must_use]
pub fn telling(observed: &Observed, progress: &Progress, message: &str) -> Option<Timestamp> {
    let status = observed.promotion.status.as_ref();
    let says = |field: Option<&String>, text: &str| field.is_some_and(|said| said == text);
    let in_progress = says(status.and_then(|status| status.reason.as_ref()), Reason::InProgress.as_str());
    let same = says(status.and_then(|status| status.message.as_ref()), &condition::cut(message, 1024));
    match (in_progress, same) {
        (true, true) => None,
        // What blocked it is cleared.
        (false, _) => Some(observed.now),
        (true, false) => progress.told_at.or(progress.applied_at).unwrap_or(observed.now).checked_add(TELL).ok(),
    }
}

/// How long after its deadline a step still gets a last look, which may find it done; without an answer it fails then.
const LAST_LOOK: SignedDuration = SignedDuration::from_secs(30);

/// The failure of a step that has taken longer than it may and is not done.
#[must_use]
pub fn expired(observed: &Observed) -> Option<FailureRecord> {
    let (index, step) = current(observed)?;
    let deadline = deadline(observed)?;
    let patience = if observed.looked { SignedDuration::ZERO } else { LAST_LOOK };
    if deadline.checked_add(patience).ok()? > observed.now {
        return None;
    }
    let progress = observed.progress.as_ref().filter(|progress| progress.step == index);
    let waits_for = match progress.map(|progress| &progress.state) {
        Some(State::Done | State::Failed(_)) => return None,
        Some(State::Waiting { message, .. }) => message.clone(),
        None if step.retry_at.is_some() => step.message.clone().unwrap_or_default(),
        None => observed
            .hindrance
            .as_ref()
            .filter(|hindrance| hindrance.step == index)
            .map_or_else(|| "it could not be applied".to_owned(), |hindrance| hindrance.message.clone()),
    };
    let evidence = progress.and_then(|progress| progress.evidence.clone());
    let (object, container, log) = evidence
        .map_or((None, None, Vec::new()), |evidence| (Some(evidence.object), Some(evidence.container), evidence.log));
    Some(FailureRecord {
        object,
        reason: "Timeout".to_owned(),
        message: format!("step {} did not finish within {}: {waits_for}", step.name, step.timeout),
        details: Vec::new(),
        container,
        log,
    })
}
