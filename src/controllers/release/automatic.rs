//! Which promotions a release gets by itself, and what became of them. Pure.
//!
//! A row is the memory that a promotion was made: it is written after the promotion, whose name follows from the release's UID
//! and the environment. Whoever dies in between makes the same one again, and finds that it exists.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::observe::Observed;
use crate::api::condition::{self, ConditionType, Fact, Reason};
use crate::api::v1alpha1::promotion::{Cause, WhenNotReady};
use crate::api::v1alpha1::release::AutomaticPromotion;
use crate::api::v1alpha1::{Promotion, PromotionSpec, Release, ReleaseStatus};
use crate::controllers::decision::{Note, Severity};
use crate::controllers::lifecycle::course::Governing;
use crate::domain::lifecycle::choice;
use crate::domain::lifecycle::journey::Journey;
use crate::domain::name::EnvironmentName;
use crate::domain::promotion::phase::Phase;
use crate::domain::variable::FaultReason;

/// The kind of cause that promotions have which a lifecycle makes.
pub const CAUSE: &str = "Release";
/// Why nothing is promoted by itself for a release that anybody may have made.
const UNVOUCHED: &str = "the API server did not record who made this release, or nobody knows that it did, so nothing is promoted in that name: promote it yourself, or make another version";
/// How many rows there is room for.
const MOST: usize = 256;

/// Why a promotion ends that nobody answers.
const UNANSWERED: &str = FaultReason::PromptUnanswered.as_str();

/// A promotion to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// The environment.
    pub environment: EnvironmentName,
}

/// Writes into the status what was and will be promoted; gives back what is to be made now, and what to say.
#[must_use]
pub fn plan(observed: &Observed, status: &mut ReleaseStatus, journey: Option<&Journey>) -> (Vec<Wanted>, Vec<Note>) {
    remember(observed, status);
    ended(observed, status);
    let automatic = journey.map(|journey| journey.automatic(&observed.overtaken)).unwrap_or_default();
    let is_made = |rows: &[AutomaticPromotion], name: &EnvironmentName| {
        rows.iter().any(|row| row.environment == name.as_str()) || observed.underway.contains_key(name.as_str())
    };
    let (mut wanted, mut held) = (Vec::new(), false);
    for environment in automatic.due {
        if status.automatic.len() >= MOST || is_made(&status.automatic, &environment) {
            continue;
        }
        if observed.pinned.contains(environment.as_str()) {
            status.automatic.push(left_to_its_pin(observed, environment.as_str()));
            continue;
        }
        if observed.unmade.contains_key(&environment) {
            continue;
        }
        if observed.unvouched {
            held = true;
            continue;
        }
        let name = name(&observed.release, &environment);
        status.automatic.push(made(environment.as_str(), &name));
        wanted.push(Wanted { name, environment });
    }
    status.automatic.sort_by(|one, other| one.environment.cmp(&other.environment));
    let late: Vec<_> = automatic.overtaken.iter().filter(|name| !is_made(&status.automatic, name)).collect();
    let mut notes: Vec<Note> = wanted.iter().map(note).collect();
    notes.extend(say(observed, status, (&late, held)));
    (wanted, notes)
}

/// The promotion as Gantry makes it.
#[must_use]
pub fn promotion(release: &Release, wanted: &Wanted) -> Promotion {
    let spec = PromotionSpec {
        project: release.spec.project.clone(),
        version: release.spec.version.clone(),
        environment: wanted.environment.to_string(),
        reason: Some("automatic environment of its lifecycle".to_owned()),
        // What the lifecycle lets through now may be edited or blocked before its turn comes.
        when_not_ready: WhenNotReady::Wait,
        requested_by: release.spec.created_by.clone(),
        cause: Some(cause(release)),
        ..PromotionSpec::default()
    };
    let mut promotion = Promotion::new(&wanted.name, spec);
    promotion.metadata.namespace.clone_from(&release.metadata.namespace);
    promotion
}

/// What the promotions of a release come from.
#[must_use]
pub fn cause(release: &Release) -> Cause {
    Cause {
        kind: CAUSE.to_owned(),
        name: release.metadata.name.clone().unwrap_or_default(),
        uid: release.metadata.uid.clone().unwrap_or_default(),
        generation: None,
    }
}

/// The name: `checkout-1.4.2-dev-5f0c29ab`. People call theirs without the end, and names are used once; a release that is
/// deleted and made again has another UID, and so another name. At most 200 characters, as its parts are bounded.
#[must_use]
pub fn name(release: &Release, environment: &EnvironmentName) -> String {
    let digest = Sha256::digest(format!("{}/{environment}", release.metadata.uid.as_deref().unwrap_or_default()));
    let end = digest.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    format!("{}-{}-{environment}-{end:08x}", release.spec.project, release.spec.version)
}

fn made(environment: &str, name: &str) -> AutomaticPromotion {
    AutomaticPromotion {
        environment: environment.to_owned(),
        promotion: name.to_owned(),
        ..AutomaticPromotion::default()
    }
}

/// A row for what is never made, also when the pin goes: the pin says what runs there.
fn left_to_its_pin(observed: &Observed, environment: &str) -> AutomaticPromotion {
    AutomaticPromotion {
        environment: environment.to_owned(),
        phase: Some(Phase::Superseded.as_str().to_owned()),
        message: Some(format!("pin {}.{environment} says what runs there", observed.release.spec.project)),
        ..AutomaticPromotion::default()
    }
}

/// Adds rows for promotions that were made and not written down, since the operator died in between.
fn remember(observed: &Observed, status: &mut ReleaseStatus) {
    let underway = observed
        .underway
        .iter()
        .flat_map(|(place, names)| names.iter().map(move |name| (place.as_str(), name.as_str())));
    let ended = status.environments.iter().map(|row| (row.name.as_str(), row.promotion.as_str()));
    let pending = observed.outcomes.iter().map(|outcome| (outcome.environment.as_str(), outcome.promotion.as_str()));
    let ours = |(place, promotion): &(&str, &str)| {
        let environment = EnvironmentName::try_from(*place);
        environment.is_ok_and(|environment| name(&observed.release, &environment) == **promotion)
    };
    let found: Vec<_> =
        underway.chain(ended).chain(pending).filter(ours).map(|(place, name)| made(place, name)).collect();
    for row in found {
        if status.automatic.len() < MOST && status.automatic.iter().all(|known| known.environment != row.environment) {
            status.automatic.push(row);
        }
    }
}

/// Writes into the rows what became of their promotions.
fn ended(observed: &Observed, status: &mut ReleaseStatus) {
    for row in status.automatic.iter_mut().filter(|row| row.phase.is_none()) {
        let outcome = observed.outcomes.iter().find(|outcome| outcome.promotion == row.promotion);
        let newest = status.environments.iter().find(|known| known.promotion == row.promotion);
        row.phase =
            outcome.map(|outcome| outcome.phase.as_str().to_owned()).or(newest.map(|known| known.phase.clone()));
        let failed = outcome.filter(|outcome| !outcome.is_success());
        row.reason = failed.map(|outcome| condition::cut(outcome.reason.as_str(), 64));
        row.message = match (outcome, row.phase.as_deref()) {
            (Some(outcome), _) => (!outcome.is_success()).then(|| condition::cut(&outcome.message, 512)),
            // The end is known from the row of the environment alone, which keeps no message.
            (None, Some(phase)) if phase != Phase::Succeeded.as_str() => {
                Some(format!("the reason is in its AuditRecord, promotion-{}", row.promotion))
            }
            (None, _) => None,
        };
    }
}

fn note(wanted: &Wanted) -> Note {
    Note {
        severity: Severity::Normal,
        reason: "AutomaticPromotion",
        action: "Promote",
        message: format!("promotion {} to {} is made, since its lifecycle says so", wanted.name, wanted.environment),
    }
}

/// Writes the condition, and says once when it becomes false.
fn say(observed: &Observed, status: &mut ReleaseStatus, (late, held): (&[&EnvironmentName], bool)) -> Option<Note> {
    let before =
        condition::find(&status.conditions, ConditionType::AutomaticallyPromoted).map(|known| known.reason.clone());
    let unvouched = held.then_some(UNVOUCHED);
    let unmade: BTreeSet<&str> = observed.unmade.values().map(String::as_str).chain(unvouched).collect();
    let failed = problems(status);
    let (reason, message) = if let Governing::NoChannel { name } = &observed.governing {
        (Reason::ChannelNotFound, choice::without_channel(&observed.name(), name))
    } else if !unmade.is_empty() || !failed.is_empty() {
        let asks = failed.iter().all(|(row, _)| row.reason.as_deref() == Some(UNANSWERED)) && unmade.is_empty();
        let reason = if asks { Reason::PromptRequired } else { Reason::NotPromoted };
        // What could not be made may have one cause in several environments.
        let sentences = unmade.into_iter().chain(failed.iter().map(|(_, sentence)| sentence.as_str()));
        (reason, sentences.collect::<Vec<_>>().join("; "))
    } else if !late.is_empty() {
        let names: Vec<&str> = late.iter().map(|name| name.as_str()).collect();
        let message = format!(
            "a release that was made later runs in the phase of {}, or is on its way there: promote this one there yourself",
            names.join(", ")
        );
        (Reason::Overtaken, message)
    } else if status.automatic.is_empty() {
        status.conditions.retain(|known| known.type_ != ConditionType::AutomaticallyPromoted.as_str());
        return None;
    } else {
        (Reason::Promoted, "every automatic environment that it may go to has its promotion".to_owned())
    };
    write(status, observed, (reason, &message));
    let news = reason != Reason::Promoted && before.as_deref() != Some(reason.as_str());
    news.then(|| Note { severity: Severity::Warning, reason: reason.as_str(), action: "Promote", message })
}

/// Writes the condition.
fn write(status: &mut ReleaseStatus, observed: &Observed, (reason, message): (Reason, &str)) {
    let fact = Fact {
        kind: ConditionType::AutomaticallyPromoted,
        holds: Some(reason == Reason::Promoted),
        reason: reason.as_str(),
        message: message.to_owned(),
    };
    condition::set(&mut status.conditions, &fact, observed.stamp());
}

/// What went wrong and was not made good by somebody else, each with its sentence.
fn problems(status: &ReleaseStatus) -> Vec<(&AutomaticPromotion, String)> {
    let is_there = |name: &str| status.environments.iter().any(|row| row.name == name && row.succeeded);
    let open = status.automatic.iter().filter(|row| !is_there(&row.environment));
    open.filter_map(|row| Some((row, problem(row)?))).collect()
}

fn problem(row: &AutomaticPromotion) -> Option<String> {
    let phase = Phase::parse(row.phase.as_deref()?)?;
    match phase {
        Phase::Pending | Phase::Running | Phase::RollingBack | Phase::Succeeded | Phase::Superseded => return None,
        Phase::Failed | Phase::RolledBack | Phase::Refused | Phase::Rejected | Phase::Canceled | Phase::Expired => {}
    }
    let why = row.message.as_deref().unwrap_or_default();
    Some(format!(
        "promotion {} to {} is {}: {why}; it is not made again, promote the release there yourself",
        row.promotion,
        row.environment,
        phase.as_str()
    ))
}

#[cfg(test)]
mod tests;
