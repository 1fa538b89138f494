//! What has to change in one target's namespace. Pure.

use super::bounds;
use super::claim::{Claim, claim};
use super::desired::{self, Grant};
use super::differs::{self, Difference};
use super::effect::{Effect, Identity, Object};
use super::observed::{Observed, Place};
use super::pull_secrets;
use super::report::{self, Problem};
use crate::api::condition::{Reason, Standing};
use crate::api::v1alpha1::environment::TargetStatus;
use crate::controllers::decision::Note;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Which edition of what Gantry puts into every namespace this is: one more whenever a version has more of it than the one before.
/// 0 had no network policy, no limits and no quota.
const EDITION: i32 = 1;

/// Whose doing it is that something in a namespace is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// Nobody's: the namespace is new, or the spec has changed.
    Nobody,
    /// An older version of Gantry provisioned it, which did not have that.
    OlderGantry,
    /// Somebody changed or removed it.
    Somebody,
}

impl Blame {
    /// The same if this holds, otherwise nobody's.
    pub(super) fn only_if(self, holds: bool) -> Self {
        if holds { self } else { Self::Nobody }
    }
}

/// What a claimed namespace held when the status last spoke of this very spec was whole, as far as the version of Gantry went that wrote
/// it: a difference is somebody's doing.
fn blame(observed: &Observed, place: &Place) -> Blame {
    let row = observed.row(&place.namespace).filter(|row| row.uid.as_deref() == place.uid());
    match row.filter(|_| observed.is_settled()) {
        None => Blame::Nobody,
        Some(row) if row.edition < EDITION => Blame::OlderGantry,
        Some(_) => Blame::Somebody,
    }
}

/// What a run adds up to.
#[derive(Debug, Default)]
pub struct Work {
    /// Changes, in their order.
    pub effects: Vec<Effect>,
    /// Namespaces that are claimed.
    pub rows: Vec<TargetStatus>,
    /// What is not as it should be.
    pub problems: Vec<Problem>,
    /// What happened.
    pub notes: Vec<Note>,
    /// What somebody had changed, and is put back.
    pub corrected: Vec<String>,
    /// Namespaces that became the environment's in this run.
    pub claimed: Vec<TargetStatus>,
    /// Whether there is more to do once the effects are done.
    pub again: bool,
}

/// Adds what has to change in a namespace that the spec wants.
pub fn provision(observed: &Observed, place: &Place, work: &mut Work) {
    let row = observed.row(&place.namespace);
    match claim(&observed.owner, place, row) {
        Claim::Refused { reason, message } => {
            work.problems.push(Problem { standing: Standing::Stalled, reason, message });
        }
        Claim::Terminating => {
            work.rows.extend(row.cloned());
            let message = format!("namespace {} is being deleted; it is made again once it is gone", place.namespace);
            work.problems.push(reconciling(Reason::NamespaceTerminating, message));
        }
        Claim::Absent => create(observed, place, work),
        Claim::Ours { uid, created } => {
            let (name, namespace) = (place.target.clone(), place.namespace.clone());
            let claimed = TargetStatus { name, namespace, uid: Some(uid), created, edition: EDITION };
            if row.and_then(|row| row.uid.as_ref()) != claimed.uid.as_ref() {
                work.claimed.push(claimed.clone());
            }
            work.rows.push(claimed);
            furnish(observed, place, work);
        }
    }
}

/// Work under way.
pub(super) fn reconciling(reason: Reason, message: String) -> Problem {
    Problem { standing: Standing::Reconciling, reason, message }
}

fn create(observed: &Observed, place: &Place, work: &mut Work) {
    let namespace = desired::namespace(&observed.owner, &place.namespace, &observed.environment.spec);
    work.effects.push(Effect::CreateNamespace(Box::new(namespace)));
    let message = format!("namespace {} is being made", place.namespace);
    work.problems.push(reconciling(Reason::Provisioning, message));
    work.again = true;
    if let Some(row) = observed.row(&place.namespace) {
        work.rows.push(row.clone());
        let what = format!("namespace {}", place.namespace);
        note(observed, Blame::Somebody, ("RestoreNamespace", what), work);
    }
}

/// Everything inside a namespace that is ours.
fn furnish(observed: &Observed, place: &Place, work: &mut Work) {
    let (owner, namespace) = (&observed.owner, place.namespace.as_str());
    let blame = blame(observed, place);
    label(observed, place, blame, work);
    // Before anybody can run something there.
    bounds::furnish(observed, place, blame, work);
    for (name, action) in [(desired::DEPLOYER, "RestoreAccount"), (desired::CONSOLE, "RestoreConsoleAccount")] {
        let wanted = desired::account(owner, namespace, name);
        if differs::furnishing(place.inside.accounts.get(name), &wanted) != Difference::None {
            change(work, Effect::Apply(Object::Account(Box::new(wanted))));
            note(observed, blame, (action, format!("ServiceAccount {namespace}/{name}")), work);
        }
    }
    for (grant, action) in [
        (Grant::Deployer, "RestoreDeployer"),
        (Grant::Console, "RestoreConsole"),
        (Grant::Impersonator, "RestoreImpersonator"),
    ] {
        let role = grant.role(&observed.environment.spec);
        bind(place, grant, desired::binding(owner, namespace, grant, role), work)
            .then(|| note(observed, blame, (action, format!("RoleBinding {namespace}/{}", grant.name())), work));
    }
    pull_secrets::furnish(observed, place, blame, work);
}

fn label(observed: &Observed, place: &Place, blame: Blame, work: &mut Work) {
    let Some(found) = &place.found else { return };
    let labels = desired::namespace_labels(&observed.owner, &observed.environment.spec);
    let wanted = ObjectMeta { labels: Some(labels), ..ObjectMeta::default() };
    if differs::has_metadata(&found.metadata, &wanted) {
        return;
    }
    // The version that was judged: somebody else may be labelling it for himself at this moment.
    let metadata = ObjectMeta {
        name: Some(place.namespace.clone()),
        uid: found.metadata.uid.clone(),
        resource_version: found.metadata.resource_version.clone(),
        ..wanted
    };
    let namespace = k8s_openapi::api::core::v1::Namespace { metadata, ..Default::default() };
    change(work, Effect::LabelNamespace(Box::new(namespace)));
    note(observed, blame, ("RestoreLabels", format!("namespace {}", place.namespace)), work);
}

/// Adds the change of a binding, if it needs one.
pub(super) fn bind(
    place: &Place,
    grant: Grant,
    wanted: k8s_openapi::api::rbac::v1::RoleBinding,
    work: &mut Work,
) -> bool {
    let found = place.inside.bindings.get(&grant);
    match (differs::binding(found, &wanted), found) {
        (Difference::None, _) => return false,
        (Difference::Replace, Some(found)) => {
            change(work, Effect::Replace(Object::Binding(Box::new(wanted)), Identity::of(found)));
        }
        (Difference::Apply | Difference::Replace, _) => change(work, Effect::Apply(Object::Binding(Box::new(wanted)))),
    }
    true
}

pub(super) fn change(work: &mut Work, effect: Effect) {
    work.effects.push(effect);
}

/// Tells of something that somebody changed and that is put back, or that an older version of Gantry did not make.
pub(super) fn note(observed: &Observed, blame: Blame, (action, what): (&'static str, String), work: &mut Work) {
    let environment = &observed.owner.environment;
    match blame {
        Blame::Nobody => {}
        Blame::OlderGantry => work.notes.push(report::added(action, &what, environment)),
        Blame::Somebody => {
            work.notes.push(report::corrected(action, &what, environment));
            work.corrected.push(what);
        }
    }
}
