//! Requests that a policy must refuse, tried as dry runs: nothing of them is ever stored.

use jiff::{SignedDuration, Timestamp};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::domain::guard::ahead;

/// Why the policies do not stand the test.
#[derive(Debug)]
pub enum Problem {
    /// They let something through.
    LetThrough {
        /// What.
        what: String,
    },
    /// The API server gave no answer that says whether they would.
    NoAnswer {
        /// Why.
        why: String,
    },
}

/// Whom forged requests claim to be from.
const NOBODY: &str = "nobody";

/// How the policies that check a stamp refuse one that nobody wrote over.
const UNSTAMPED: &str = "must be the caller";

/// Tries every forged request. Gives back by how much the API server's clock is ahead, which one of the answers tells.
///
/// # Errors
/// The first one that was not refused by the policy that must refuse it, or that nobody stamped.
pub async fn refused(client: &Client, own_namespace: &str) -> Result<SignedDuration, Problem> {
    for (policy, stamp, object) in requests(own_namespace) {
        let kind = kind(&object);
        judge((policy, stamp), kind, tried(client, object.clone()).await?.map(|_| ()))?;
    }
    let asked = Timestamp::now();
    let release = tried(client, release(own_namespace)).await?;
    told(stamped(release)?, (asked, Timestamp::now()))
}

/// Each with the policy that refuses it, and the one that stamps it, if that shows. All of them are what the operator's own rights
/// would allow.
fn requests(own_namespace: &str) -> [(&'static str, Option<&'static str>, Value); 7] {
    let by = json!({"username": NOBODY});
    let of_ours = |kind: &str, name: &str, spec: Value| {
        json!({"apiVersion": "gantry.dev/v1alpha1", "kind": kind,
            "metadata": {"name": name, "namespace": own_namespace}, "spec": spec})
    };
    let of_kubernetes = |api_version: &str, kind: &str, namespace: Option<&str>| {
        json!({"apiVersion": api_version, "kind": kind,
            "metadata": {"name": "gantry-forged", "namespace": namespace}})
    };
    let promotion = json!({"project": "forged", "version": "1", "environment": "forged", "requestedBy": by});
    let release = json!({"project": "forged", "version": "1", "createdBy": by});
    let mut revision = of_kubernetes("apps/v1", "ControllerRevision", Some("default"));
    if let Some(fields) = revision.as_object_mut() {
        fields.extend([("revision".to_owned(), json!(1)), ("data".to_owned(), json!({}))]);
    }
    [
        (
            "promotion-rights.gantry.dev",
            Some("promotion-stamp.gantry.dev"),
            of_ours("Promotion", "forged", promotion.clone()),
        ),
        ("pin-rights.gantry.dev", Some("pin-stamp.gantry.dev"), of_ours("Pin", "forged.forged", promotion)),
        ("release-cause.gantry.dev", None, of_ours("Release", "forged-1", release)),
        ("operator-leases.gantry.dev", None, of_kubernetes("coordination.k8s.io/v1", "Lease", Some("default"))),
        ("operator-namespaces.gantry.dev", None, of_kubernetes("v1", "Namespace", None)),
        ("operator-accounts.gantry.dev", None, of_kubernetes("v1", "ServiceAccount", Some("default"))),
        ("operator-revisions.gantry.dev", None, revision),
    ]
}

/// One that the API server takes, because only Gantry makes such, and whose forged author it must write over.
fn release(own_namespace: &str) -> Value {
    json!({"apiVersion": "gantry.dev/v1alpha1", "kind": "Release",
        "metadata": {"name": "forged-1", "namespace": own_namespace},
        "spec": {"project": "forged", "version": "1", "createdBy": {"username": NOBODY},
            "cause": {"kind": "Trigger", "name": "forged"}}})
}

fn kind(object: &Value) -> &str {
    object.get("kind").and_then(Value::as_str).unwrap_or_default()
}

/// What the API server answers to a dry run.
async fn tried(client: &Client, object: Value) -> Result<Result<DynamicObject, kube::Error>, Problem> {
    let unsent = |error: String| Problem::NoAnswer { why: format!("no forged request can be made: {error}") };
    let object: DynamicObject = serde_json::from_value(object).map_err(|error| unsent(error.to_string()))?;
    let types = object.types.clone().unwrap_or_default();
    let kind = GroupVersionKind::try_from(&types).map_err(|error| unsent(error.to_string()))?;
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = match object.metadata.namespace.as_deref() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    Ok(api.create(&dry, &object).await)
}

/// Only a refusal by that policy is one: another refusal says nothing about it. What it refuses for the stamp, nobody stamped.
fn judge((policy, stamp): (&str, Option<&str>), kind: &str, answer: Result<(), kube::Error>) -> Result<(), Problem> {
    match answer {
        Err(kube::Error::Api(status)) if status.message.contains(&format!("'{policy}'")) => match stamp {
            Some(stamp) if status.message.contains(UNSTAMPED) => Err(unstamped(kind, stamp)),
            Some(_) | None => Ok(()),
        },
        Ok(()) => Err(let_through(kind, policy)),
        Err(error) => Err(unclear(kind, policy, error)),
    }
}

/// The release that the API server would have made, with its author written over.
fn stamped(answer: Result<DynamicObject, kube::Error>) -> Result<DynamicObject, Problem> {
    let stamp = "release-stamp.gantry.dev";
    match answer {
        Ok(made) if made.data.pointer("/spec/createdBy/username").is_some_and(|by| by != NOBODY) => Ok(made),
        Err(kube::Error::Api(status)) if status.code != 403 || !status.message.contains(UNSTAMPED) => {
            Err(unclear("Release", stamp, kube::Error::Api(status)))
        }
        Ok(_) | Err(kube::Error::Api(_)) => Err(unstamped("Release", stamp)),
        Err(error) => Err(unclear("Release", stamp, error)),
    }
}

fn told(release: DynamicObject, between: (Timestamp, Timestamp)) -> Result<SignedDuration, Problem> {
    let made = release.metadata.creation_timestamp.map(|time| ahead(time.0, between));
    made.ok_or_else(|| Problem::NoAnswer { why: "the API server does not say when a release would be made".to_owned() })
}

/// An answer that is not the one that shows that a policy acts.
fn unclear(kind: &str, policy: &str, error: kube::Error) -> Problem {
    match error {
        // An API server that has just started refuses what its policies or roles, not loaded yet, would decide.
        kube::Error::Api(status) if status.code >= 500 || matches!(status.code, 403 | 429) => Problem::NoAnswer {
            why: format!("the API server refused a forged {kind} for another reason: {}", status.message),
        },
        kube::Error::Api(_) => let_through(kind, policy),
        error => Problem::NoAnswer { why: format!("the API server does not answer: {error}") },
    }
}

fn let_through(kind: &str, policy: &str) -> Problem {
    Problem::LetThrough { what: format!("a forged {kind} that policy {policy} must refuse was not refused") }
}

fn unstamped(kind: &str, stamp: &str) -> Problem {
    Problem::LetThrough { what: format!("the forged author of a {kind} was not written over by policy {stamp}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, message: &str) -> Result<(), kube::Error> {
        let status = kube::core::Status { code, message: message.to_owned(), ..kube::core::Status::default() };
        Err(kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn a_stamp_acts_if_it_wrote_over_the_forged_author() {
        let (rights, stamp) = ("pin-rights.gantry.dev", "pin-stamp.gantry.dev");
        let refusal = |says: &str| answer(403, &format!("ValidatingAdmissionPolicy '{rights}' denied request: {says}"));
        let said = |says| judge((rights, Some(stamp)), "Pin", refusal(says));
        assert!(said("spec.environment: gantry may not promote").is_ok());
        let unstamped = said("spec.requestedBy must be the caller; leave it out");
        assert!(matches!(unstamped, Err(Problem::LetThrough { what }) if what.contains(stamp) && what.contains("Pin")));

        let release = |by: &str| serde_json::from_value(json!({"spec": {"createdBy": {"username": by}}})).unwrap();
        assert!(stamped(Ok(release("gantry"))).is_ok());
        let refused = || answer(403, "spec.createdBy must be the caller").map(|()| release("gantry"));
        for forged in [Ok(release(NOBODY)), refused()] {
            assert!(matches!(stamped(forged), Err(Problem::LetThrough { what }) if what.contains("release-stamp")));
        }
        let unknown = answer(403, "not yet ready to handle request").map(|()| release("gantry"));
        assert!(matches!(stamped(unknown), Err(Problem::NoAnswer { .. })));
    }

    #[test]
    fn only_a_refusal_by_that_policy_shows_that_it_acts() {
        let name = "promotion-rights.gantry.dev";
        let said = |answer| judge((name, None), "Promotion", answer);
        let refusal = format!("ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: …");
        assert!(said(answer(403, &refusal)).is_ok());
        for other in [Ok(()), answer(422, "spec.project is invalid")] {
            assert!(matches!(said(other), Err(Problem::LetThrough { what }) if what.contains(name)));
        }
        let starting = answer(403, "promotions.gantry.dev \"forged\" is forbidden: not yet ready to handle request");
        for unknown in [answer(503, "later"), answer(429, "slow down"), answer(403, "User cannot create"), starting] {
            assert!(matches!(said(unknown), Err(Problem::NoAnswer { .. })));
        }
    }
}
