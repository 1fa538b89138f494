//! Whether the Secrets that a release's variables refer to changed since it was sealed. Pure.
//!
//! A release holds references, no values: what is promoted has the values of that moment. A resourceVersion says that something
//! of a Secret changed, and nothing of what is in it.

use std::collections::BTreeMap;

use super::observe::Observed;
use crate::api::condition::{self, ConditionType, Fact, Reason};
use crate::api::v1alpha1::ReleaseStatus;
use crate::api::v1alpha1::release::SealedSecret;
use crate::api::v1alpha1::variable::{SecretFrom, Variable};
use crate::controllers::decision::{Next, Note, Severity};
use crate::controllers::secret_versions::{FRESH, Seen};

/// As many as status has room for.
pub const MOST: usize = 64;
/// As many as a message names.
const NAMED: usize = 8;

/// The Secrets that variables refer to, by name; of those of the space, none is seen yet.
#[must_use]
pub fn referenced<'a>(variables: impl IntoIterator<Item = &'a Variable>) -> Vec<SealedSecret> {
    let values = variables.into_iter().flat_map(|variable| &variable.values);
    let references = values.filter_map(|value| value.secret_key_ref.as_ref());
    let all: BTreeMap<_, _> = references
        .map(|reference| {
            let secret = SealedSecret { name: reference.name.clone(), from: reference.from, resource_version: None };
            ((reference.name.clone(), reference.from == SecretFrom::Space), secret)
        })
        .collect();
    all.into_values().take(MOST).collect()
}

/// What is known of all of them together.
#[derive(Default)]
struct Found<'a> {
    changed: Vec<&'a str>,
    gone: Vec<&'a str>,
    unreadable: Vec<&'a str>,
    unseen: bool,
    of_space: bool,
    never_read: Vec<&'a str>,
}

/// Writes the condition `SecretsChanged`, which only releases have that refer to Secrets; says once that one changed. One that was
/// not there when the release was sealed counts from when it is seen first.
pub fn tell(status: &mut ReleaseStatus, observed: &Observed) -> Option<Note> {
    let mut rows = std::mem::take(&mut status.secrets);
    for row in rows.iter_mut().filter(|row| row.resource_version.is_none()) {
        if let Some(Seen::There(version)) = observed.secrets.get(&row.name).map(|sighting| &sighting.seen)
            && row.from == SecretFrom::Space
        {
            row.resource_version = Some(version.clone());
        }
    }
    let found = found(&rows, observed);
    let before = condition::find(&status.conditions, ConditionType::SecretsChanged);
    let known = before.is_some_and(|known| known.status == "True");
    // Before everything was looked at, what was said stays.
    let told = if rows.is_empty() || found.unseen { None } else { Some(sentence(&found)) };
    let mut note = None;
    if let Some((holds, reason, message)) = told {
        let spec = &observed.release.spec;
        note = (holds == Some(true) && !known).then(|| Note {
            severity: Severity::Normal,
            reason: reason.as_str(),
            action: "Compare",
            message: condition::cut(&format!("{} {}: {message}", spec.project, spec.version), 1024),
        });
        let fact = Fact { kind: ConditionType::SecretsChanged, holds, reason: reason.as_str(), message };
        condition::set(&mut status.conditions, &fact, observed.stamp());
    }
    status.secrets = rows;
    note
}

fn found<'a>(rows: &'a [SealedSecret], observed: &Observed) -> Found<'a> {
    let mut found = Found::default();
    for row in rows {
        let name = row.name.as_str();
        if row.from == SecretFrom::Target {
            found.never_read.push(name);
            continue;
        }
        found.of_space = true;
        match (observed.secrets.get(name).map(|sighting| &sighting.seen), &row.resource_version) {
            (None, _) => found.unseen = true,
            (Some(Seen::There(now)), Some(then)) if now != then => found.changed.push(name),
            (Some(Seen::Missing), Some(_)) => found.gone.push(name),
            (Some(Seen::Unreadable), _) => found.unreadable.push(name),
            (Some(Seen::There(_) | Seen::Missing), _) => {}
        }
    }
    found
}

fn sentence(found: &Found<'_>) -> (Option<bool>, Reason, String) {
    let mut parts = Vec::new();
    if !found.changed.is_empty() {
        parts.push(format!(
            "{} changed since it was sealed: what is promoted from now on has the new values; promote it again where it runs",
            secrets(&found.changed)
        ));
    }
    if !found.gone.is_empty() {
        parts.push(format!("{} is gone since it was sealed: create it again", secrets(&found.gone)));
    }
    if !found.unreadable.is_empty() {
        parts.push(format!(
            "{} cannot be read now: bind ClusterRole gantry-space to Gantry's ServiceAccount in this space",
            secrets(&found.unreadable)
        ));
    }
    let changed = !found.changed.is_empty() || !found.gone.is_empty();
    let (holds, reason) = match (changed, found.unreadable.is_empty(), found.of_space) {
        (true, ..) => (Some(true), Reason::SecretChanged),
        (false, false, _) => (None, Reason::SecretUnreadable),
        (false, true, true) => (Some(false), Reason::Unchanged),
        (false, true, false) => (None, Reason::NotRead),
    };
    if parts.is_empty() && found.of_space {
        parts.push("no Secret of the space that it refers to changed since it was sealed".to_owned());
    }
    if !found.never_read.is_empty() {
        parts.push(format!(
            "{} of targets is never read, so nothing is known of its changes",
            secrets(&found.never_read)
        ));
    }
    (holds, reason, parts.join("; "))
}

/// `Secret a, b`.
fn secrets(names: &[&str]) -> String {
    let mut listed: Vec<String> = names.iter().take(NAMED).map(|name| (*name).to_owned()).collect();
    if names.len() > NAMED {
        listed.push(format!("{} more", names.len() - NAMED));
    }
    format!("Secret {}", listed.join(", "))
}

/// When to look at the Secrets again: only where the release runs does a change concern anybody before the next promotion.
#[must_use]
pub fn look_again(status: &ReleaseStatus, observed: &Observed) -> Next {
    if !status.environments.iter().any(|row| row.current) {
        return Next::Await;
    }
    let of_space = status.secrets.iter().filter(|row| row.from == SecretFrom::Space);
    let seen = of_space.filter_map(|row| observed.secrets.get(&row.name)).map(|sighting| sighting.at);
    seen.min().and_then(|oldest| oldest.checked_add(FRESH).ok()).map_or(Next::Await, Next::At)
}

#[cfg(test)]
mod tests;
