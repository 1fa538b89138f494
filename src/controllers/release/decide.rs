//! What becomes of a release: sealed once, and rows that follow the ends of promotions. Pure and total.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::attempts::Found;
use super::automatic::{self, Wanted};
use super::block;
use super::observe::Observed;
use super::phases;
use super::problem::{self, Problem};
use super::rows;
use super::seal::Seal;
use super::secrets;
use crate::api::condition::{self, ConditionType, Fact, Reason, Standing};
use crate::api::v1alpha1::release::{ReleaseColumns, ResolvedPackage};
use crate::api::v1alpha1::{Release, ReleaseStatus};
use crate::controllers::columns;
use crate::controllers::decision::{self, Next, Note, Severity};
use crate::domain::lifecycle::journey::Journey;
use crate::domain::promotion::outcome::Outcome;
use crate::domain::version;

/// What one run of a release will do.
pub type Decision = decision::Decision<ReleaseStatus, Effect>;

/// A change of another object.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Stores the snapshot: before the status names it.
    StoreSnapshot(Arc<Seal>),
    /// Makes a promotion to an automatic environment: before the status remembers it.
    Promote(Wanted),
}

/// Whether a release is what it will always be.
#[must_use]
pub fn is_sealed(release: &Release) -> bool {
    release.status.as_ref().is_some_and(|status| status.sealed_at.is_some() && status.snapshot.is_some())
}

/// Decides.
#[must_use]
pub fn decide(observed: &Observed) -> Decision {
    let mut status = observed.release.status.clone().unwrap_or_default();
    let known = std::mem::take(&mut status.environments);
    let uid = observed.release.metadata.uid.as_deref().unwrap_or_default();
    let joined = rows::join(known, uid, observed.outcomes.iter().map(AsRef::<Outcome>::as_ref));
    let kept = rows::cut(joined, |name| observed.environments.contains(name));
    let stayed = observed.happened.stayed(kept);
    status.environments = rows::current(stayed, (&observed.release.spec.version, uid), &observed.runs);
    let block = block::tell(&mut status, observed);
    let mut decision = match &observed.sealing {
        None => sealed(observed, status),
        Some(Found::Underway) => at_rest(status),
        Some(Found::Sealable(seal)) => seal_now(observed, status, seal),
        Some(Found::Blocked { problems, again }) => {
            let next = again.map_or(Next::Await, Next::At);
            Decision { next, ..unsealable(observed, status, problems) }
        }
    };
    decision.events.extend(block);
    decision.status.columns = columns::shown(columns(&decision.status));
    decision
}

/// Where it runs, and where it is due.
fn columns(status: &ReleaseStatus) -> ReleaseColumns {
    let runs = status.environments.iter().filter(|row| row.current).map(|row| row.name.clone());
    ReleaseColumns { deployed: columns::line(runs), due: columns::line(status.due.iter().cloned()) }
}

fn at_rest(status: ReleaseStatus) -> Decision {
    Decision { status, effects: Vec::new(), events: Vec::new(), next: Next::Await }
}

/// Once it is sealed, only what follows from promotions and the lifecycle changes: and that it goes on by itself, where it may.
fn sealed(observed: &Observed, status: ReleaseStatus) -> Decision {
    let (mut decision, journey) = fixed(observed, status);
    let (wanted, notes) = automatic::plan(observed, &mut decision.status, journey.as_ref());
    decision.events.extend(secrets::tell(&mut decision.status, observed));
    decision.next = decision.next.sooner(secrets::look_again(&decision.status, observed));
    decision.effects.extend(wanted.into_iter().map(Effect::Promote));
    decision.events.extend(notes);
    decision
}

/// What it is, and how far; the latter changes by itself when a soak ends.
fn fixed(observed: &Observed, mut status: ReleaseStatus) -> (Decision, Option<Journey>) {
    status.observed_generation = observed.release.metadata.generation;
    let journey = observed.journey(&status.environments);
    rows::progress(&mut status, journey.as_ref());
    let events = phases::tell(&mut status, observed).into_iter().collect();
    let message = match status.packages.as_slice() {
        [] => "the process is fixed by its snapshot; there are no packages".to_owned(),
        packages => format!("fixed by digest: {}; the process by its snapshot", listed(packages)),
    };
    let because = (Reason::Sealed.as_str(), message.as_str());
    say(&mut status, (Standing::Ready, because), observed);
    let again = [journey.as_ref().and_then(Journey::look_again), observed.happened.look_again()];
    let next = again.into_iter().flatten().min().map_or(Next::Await, Next::At);
    (Decision { events, next, ..at_rest(status) }, journey)
}

/// Seals: the snapshot is stored, then the status names it, on the version of the release that was read.
fn seal_now(observed: &Observed, mut status: ReleaseStatus, seal: &Arc<Seal>) -> Decision {
    status.sealed_at = Some(MicroTime(observed.now));
    status.snapshot = Some(seal.name.clone());
    status.channel.clone_from(&seal.channel);
    status.packages.clone_from(&seal.packages);
    status.secrets.clone_from(&seal.secrets);
    let spec = &observed.release.spec;
    let note = Note {
        severity: Severity::Normal,
        reason: Reason::Sealed.as_str(),
        action: "Seal",
        message: match seal.packages.as_slice() {
            [] => format!("{} {} is sealed; it has no packages", spec.project, spec.version),
            packages => format!("{} {} is sealed: {}", spec.project, spec.version, listed(packages)),
        },
    };
    let effects = vec![Effect::StoreSnapshot(Arc::clone(seal))];
    let mut decision = Decision { effects, ..fixed(observed, status).0 };
    decision.events.splice(0..0, std::iter::once(note).chain(moving(&seal.packages)));
    // What was just seen is what it is compared with: there is nothing to say as an Event.
    let _ = secrets::tell(&mut decision.status, observed);
    decision
}

/// A warning about packages whose tag is the one that always moves.
fn moving(packages: &[ResolvedPackage]) -> Option<Note> {
    let moves = |package: &&ResolvedPackage| package.version.as_deref() == Some(version::LATEST);
    let package = packages.iter().find(moves)?;
    let message = format!(
        "package {} is made of the tag latest, which says nothing and moves: only the digest of now is deployed; push versions",
        package.name
    );
    Some(Note { severity: Severity::Warning, reason: Reason::MovingTag.as_str(), action: "Seal", message })
}

/// Says why it is not sealed, and once for every new reason as an Event.
fn unsealable(observed: &Observed, mut status: ReleaseStatus, problems: &[Problem]) -> Decision {
    status.observed_generation = observed.release.metadata.generation;
    let (standing, reason, message) = problem::summary(problems);
    let before = condition::find(&status.conditions, ConditionType::Ready).map(|ready| ready.reason.clone());
    let note = Note {
        severity: Severity::Warning,
        reason: reason.as_str(),
        action: "Seal",
        message: condition::cut(&message, 1024),
    };
    let events = if before.as_deref() == Some(reason.as_str()) { Vec::new() } else { vec![note] };
    say(&mut status, (standing, (reason.as_str(), &message)), observed);
    Decision { events, ..at_rest(status) }
}

/// Writes the conditions.
fn say(status: &mut ReleaseStatus, (standing, because): (Standing, (&'static str, &str)), observed: &Observed) {
    let stamp = observed.stamp();
    let sealed = Fact {
        kind: ConditionType::Sealed,
        holds: Some(standing == Standing::Ready),
        reason: because.0,
        message: because.1.to_owned(),
    };
    condition::set(&mut status.conditions, &sealed, stamp);
    condition::set_standing(&mut status.conditions, &standing, because, stamp);
}

/// The packages with version and the beginning of the digest, for people; the whole digest is in `packages`.
fn listed(packages: &[ResolvedPackage]) -> String {
    const SHOWN: usize = 8;
    const DIGEST: usize = "sha256:".len() + 12;
    let one = |package: &ResolvedPackage| {
        let digest = package.digest.get(..DIGEST).unwrap_or(&package.digest);
        let version = package.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
        format!("{}{version} is {digest}", package.name)
    };
    let mut shown: Vec<String> = packages.iter().take(SHOWN).map(one).collect();
    if packages.len() > SHOWN {
        shown.push(format!("{} more", packages.len() - SHOWN));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests;
