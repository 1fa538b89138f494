//! Copies of the space's pull secrets in a target's namespace. Pure.
//!
//! The binding that lets Gantry keep the copies also remembers their names, and is written before the first copy and narrowed
//! after the last removal: so no copy is forgotten, and Gantry needs no right to list Secrets.

use std::collections::BTreeSet;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

use super::desired::{self, Grant, MANAGED_BY_LABEL, MANAGER, SOURCE_VERSION};
use super::differs::{self, Difference};
use super::effect::{Effect, Identity, Object};
use super::observed::{Observed, Place, Source};
use super::provision::{self, Blame, Work, bind, change, note};
use super::report::Problem;
use crate::api::condition::{self, ConditionType, Reason, Standing};

/// What is wrong with the secrets of the space that the spec names.
#[must_use]
pub fn problems(observed: &Observed) -> Vec<Problem> {
    let named = observed.environment.spec.pull_secrets.iter().enumerate();
    named
        .filter_map(|(index, name)| match observed.sources.get(name) {
            Some(Source::Unusable(why)) => Some(invalid(index, why)),
            Some(Source::Found { .. }) | None => None,
        })
        .collect()
}

fn invalid(index: usize, why: &str) -> Problem {
    let message = format!("spec.pullSecrets[{index}]: {why}");
    Problem { standing: Standing::Stalled, reason: Reason::PullSecretInvalid, message }
}

/// Adds what has to change for the pull secrets of a namespace that is ours.
pub(super) fn furnish(observed: &Observed, place: &Place, blame: Blame, work: &mut Work) {
    let named = observed.environment.spec.pull_secrets.iter();
    let wanted: BTreeSet<String> = named.filter(|name| desired::is_name(name)).cloned().collect();
    let binding = place.inside.bindings.get(&Grant::PullSecrets);
    let known = desired::remembered(binding);
    if wanted.is_empty() && binding.is_none() {
        offer(&Site { observed, place, blame }, &[], &known, work);
        return;
    }
    let namespace = place.namespace.as_str();
    if !wanted.is_empty() {
        let all: BTreeSet<String> = wanted.union(&known).cloned().collect();
        if bind(place, Grant::PullSecrets, desired::copies_binding(&observed.owner, namespace, &all), work) {
            let what = format!("RoleBinding {namespace}/{}", Grant::PullSecrets.name());
            note(observed, blame, ("RestorePullSecretsRight", what), work);
            // Only with this right can be seen which copies there are.
            let message = format!("pull secrets are being copied to namespace {namespace}");
            work.problems.push(provision::reconciling(Reason::Provisioning, message));
            work.again = true;
            return;
        }
    }
    // A copy may be missing because its source was unusable so far, which is nobody's doing.
    let was_whole = condition::is_true(&observed.status().conditions, ConditionType::Ready);
    let site = Site { observed, place, blame: blame.only_if(was_whole) };
    let usable = copy_all(&site, work);
    offer(&site, &usable, &known, work);
    let stale: BTreeSet<String> = known.difference(&wanted).cloned().collect();
    let found = stale.iter().filter_map(|name| place.inside.copies.get(name)).filter(|copy| is_copy(copy));
    work.effects.extend(found.map(|copy| Effect::RemoveCopy(Identity::of(copy))));
    match binding {
        Some(binding) if wanted.is_empty() => {
            change(work, Effect::RemoveBinding(Identity::of(binding)));
        }
        Some(_) if !stale.is_empty() => {
            let narrowed = desired::copies_binding(&observed.owner, namespace, &wanted);
            change(work, Effect::Apply(Object::Binding(Box::new(narrowed))));
        }
        Some(_) | None => {}
    }
}

/// One namespace, and whether what differs there was changed by somebody.
struct Site<'a> {
    observed: &'a Observed,
    place: &'a Place,
    blame: Blame,
}

/// Adds the copies that are missing or differ; the names of those that are, or will be, there.
fn copy_all(site: &Site, work: &mut Work) -> Vec<String> {
    let Site { observed, place, .. } = *site;
    let mut usable = Vec::new();
    for (index, name) in observed.environment.spec.pull_secrets.iter().enumerate() {
        let found = place.inside.copies.get(name);
        if let Some(found) = found.filter(|found| !is_copy(found)) {
            let object = Identity::of(found);
            let why = format!(
                "Secret {name} exists in namespace {} and is not Gantry's copy; remove or rename it",
                object.namespace
            );
            work.problems.push(invalid(index, &why));
            continue;
        }
        match observed.sources.get(name) {
            Some(Source::Found { version, content }) => {
                copy(site, (name, version, content), work);
                usable.push(name.clone());
            }
            // The last copy stays as long as its source is listed: pods may still need it.
            Some(Source::Unusable(_)) | None => usable.extend(found.map(|_| name.clone())),
        }
    }
    usable
}

fn copy(site: &Site, (name, version, content): (&str, &str, &ByteString), work: &mut Work) {
    let Site { observed, place, blame } = *site;
    let wanted = desired::copy(&observed.owner, (&place.namespace, name), (version, content));
    let found = place.inside.copies.get(name);
    match (differs::copy(found, &wanted), found) {
        (Difference::None, _) => return,
        (Difference::Replace, Some(found)) => {
            change(work, Effect::Replace(Object::Secret(Box::new(wanted)), Identity::of(found)));
        }
        (Difference::Apply | Difference::Replace, _) => change(work, Effect::Apply(Object::Secret(Box::new(wanted)))),
    }
    // A copy of an older source is behind, not changed by somebody.
    let is_behind = found.and_then(source_version).is_some_and(|copied| copied != version);
    note(
        observed,
        blame.only_if(!is_behind),
        ("RestorePullSecret", format!("Secret {}/{name}", place.namespace)),
        work,
    );
}

/// Adds the change of the account that pods have by default: it names our copies, and what others added stays.
fn offer(site: &Site, usable: &[String], known: &BTreeSet<String>, work: &mut Work) {
    let Site { observed, place, blame } = *site;
    let account = place.inside.default_account.as_ref();
    let found: Vec<String> = account
        .and_then(|account| account.image_pull_secrets.as_ref())
        .map(|references| references.iter().map(|reference| reference.name.clone()).collect())
        .unwrap_or_default();
    let foreign = found.iter().filter(|name| !known.contains(*name) && !usable.contains(name));
    let all: Vec<String> = foreign.chain(usable).cloned().collect();
    let sorted = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
    let token = observed.environment.spec.default_token;
    let wanted = desired::default_account(&observed.owner, &place.namespace, (&all, token));
    if sorted(&found) == sorted(&all) && differs::furnishing(account, &wanted) == Difference::None {
        return;
    }
    change(work, Effect::Apply(Object::Account(Box::new(wanted))));
    note(observed, blame, ("RestoreDefaultAccount", format!("ServiceAccount {}/default", place.namespace)), work);
}

/// Whether a Secret is a copy of ours, even if somebody took one of its marks off.
fn is_copy(secret: &Secret) -> bool {
    let labels = secret.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(MANAGED_BY_LABEL)).is_some_and(|by| by == MANAGER)
        || source_version(secret).is_some()
}

fn source_version(secret: &Secret) -> Option<&str> {
    secret.metadata.annotations.as_ref()?.get(SOURCE_VERSION).map(String::as_str)
}
