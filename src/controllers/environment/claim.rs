//! Whose namespace it is. Pure.
//!
//! A namespace is an environment's if Gantry created it for that environment, or if somebody who may label namespaces gave it
//! the space's label beforehand. Two environments never share one: who holds it keeps it, otherwise the older one gets it.

use jiff::Timestamp;

use super::desired::CREATED_FOR;
use super::observed::{Owner, Place, Rival};
use crate::api::condition::Reason;
use crate::api::v1alpha1::environment::TargetStatus;
use crate::api::{ENVIRONMENT_LABEL, SPACE_LABEL};
use crate::domain::name::forbidden_namespace;

/// What a namespace is to an environment.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// It does not exist and may be created.
    Absent,
    /// It is the environment's.
    Ours {
        /// UID of the namespace.
        uid: String,
        /// Whether Gantry created it for this environment.
        created: bool,
    },
    /// It is being deleted; whose it will be is decided when it is gone.
    Terminating,
    /// It can not be had.
    Refused {
        /// Why, as a condition says it.
        reason: Reason,
        /// Why, with the remedy.
        message: String,
    },
}

/// Judges a namespace; `row` is what the environment's status says of it.
#[must_use]
pub fn claim(owner: &Owner, place: &Place, row: Option<&TargetStatus>) -> Claim {
    if let Some(message) = forbidden(owner, place) {
        return Claim::Refused { reason: Reason::NamespaceForbidden, message: format!("{}: {message}", place.field) };
    }
    let held = row.and_then(|row| row.uid.as_deref());
    if let Some(rival) = stronger(owner, place, held) {
        let (name, Rival { space, environment, .. }) = (&place.namespace, rival);
        return taken(place, &format!("namespace {name} belongs to environment {environment} of space {space}"));
    }
    let Some(uid) = place.uid() else { return Claim::Absent };
    if place.is_terminating() {
        return Claim::Terminating;
    }
    // Who may label namespaces can take one away; all other labels are put back.
    if held == Some(uid) && place.label(SPACE_LABEL) == Some(&owner.space) {
        return Claim::Ours { uid: uid.to_owned(), created: row.is_some_and(|row| row.created) };
    }
    labelled(owner, place, uid)
}

/// Judges a namespace that exists and that nobody holds by what its labels say.
fn labelled(owner: &Owner, place: &Place, uid: &str) -> Claim {
    let (name, space) = (&place.namespace, &owner.space);
    match (place.label(SPACE_LABEL), place.label(ENVIRONMENT_LABEL)) {
        (None, _) => {
            let message = format!(
                "namespace {name} exists already and is not labelled for this space; let somebody who may do so label it {SPACE_LABEL}={space}"
            );
            Claim::Refused {
                reason: Reason::NamespaceTaken,
                message: format!("{}: {message}, or choose another namespace", place.field),
            }
        }
        (Some(other), _) if other != space => taken(place, &format!("namespace {name} belongs to space {other}")),
        (Some(_), Some(other)) if other != owner.environment => taken(
            place,
            &format!(
                "namespace {name} is labelled for environment {other} of space {space}, remove the label {ENVIRONMENT_LABEL} if that is over"
            ),
        ),
        (Some(_), _) => Claim::Ours { uid: uid.to_owned(), created: is_created_for(owner, place) },
    }
}

/// Whether Gantry created the namespace for this environment, as the namespace says.
#[must_use]
pub fn is_created_for(owner: &Owner, place: &Place) -> bool {
    let annotations = place.found.as_ref().and_then(|found| found.metadata.annotations.as_ref());
    annotations.and_then(|annotations| annotations.get(CREATED_FOR)) == Some(&owner.uid)
}

fn taken(place: &Place, why: &str) -> Claim {
    let message = format!("{}: {why}; choose another namespace", place.field);
    Claim::Refused { reason: Reason::NamespaceTaken, message }
}

/// Why a namespace can never be a target of this environment, whoever it belongs to.
#[must_use]
pub fn forbidden(owner: &Owner, place: &Place) -> Option<String> {
    let name = &place.namespace;
    if let Some(forbidden) = forbidden_namespace(name, &owner.operator.namespace) {
        return Some(forbidden.to_string());
    }
    if *name == owner.space {
        return Some(format!(
            "namespace {name} is the space itself, where workloads never run; choose another namespace"
        ));
    }
    let message = || format!("namespace {name} is a space, where workloads never run; choose another namespace");
    place.is_space.then(message)
}

/// The other environment that has the stronger claim, if there is one.
fn stronger<'a>(owner: &Owner, place: &'a Place, held: Option<&str>) -> Option<&'a Rival> {
    let mine = (owner.created, owner.space.as_str(), owner.environment.as_str());
    let oldest = |rivals: Vec<&'a Rival>| rivals.into_iter().min_by_key(|rival| age(rival));
    let older = |rivals: Vec<&'a Rival>| oldest(rivals).filter(|rival| age(rival) < mine);
    let rivals = |is: &dyn Fn(&Rival) -> bool| place.rivals.iter().filter(|rival| is(rival)).collect::<Vec<_>>();
    let Some(uid) = place.uid() else {
        // Nobody's yet: who had it before it vanished makes it again.
        let holders = rivals(&|rival| rival.holds.is_some() && rival.wants);
        let hopefuls = if held.is_some() { Vec::new() } else { rivals(&|rival| rival.wants) };
        return if held.is_some() { older(holders) } else { oldest(holders).or_else(|| older(hopefuls)) };
    };
    let holders = rivals(&|rival| rival.holds.as_deref() == Some(uid));
    if held == Some(uid) {
        return older(holders);
    }
    // A wish alone counts only where the labels leave it open: nobody may block a namespace that he could not have.
    let open = place.label(SPACE_LABEL) == Some(&owner.space) && place.label(ENVIRONMENT_LABEL).is_none();
    let hopefuls = rivals(&|rival| open && rival.wants && rival.space == owner.space);
    oldest(holders).or_else(|| older(hopefuls))
}

fn age(rival: &Rival) -> (Option<Timestamp>, &str, &str) {
    (rival.created, &rival.space, &rival.environment)
}
