//! Requests that a policy must refuse, tried as dry runs: nothing of them is ever stored.

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

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

/// Tries every forged request.
///
/// # Errors
/// The first one that was not refused by the policy that must refuse it.
pub async fn refused(client: &Client, own_namespace: &str) -> Result<(), Problem> {
    for (policy, object) in requests(own_namespace) {
        one(client, policy, &object).await?;
    }
    Ok(())
}

/// Each with the policy that refuses it. All of them are what the operator's own rights would allow.
fn requests(own_namespace: &str) -> [(&'static str, Value); 6] {
    let promotion = json!({"project": "forged", "version": "1", "environment": "forged",
        "requestedBy": {"username": NOBODY}});
    let release = json!({"project": "forged", "version": "1", "createdBy": {"username": NOBODY}});
    [
        (
            "promotion-rights.gantry.dev",
            json!({"apiVersion": "gantry.dev/v1alpha1", "kind": "Promotion",
            "metadata": {"name": "forged", "namespace": own_namespace}, "spec": promotion}),
        ),
        (
            "release-cause.gantry.dev",
            json!({"apiVersion": "gantry.dev/v1alpha1", "kind": "Release",
            "metadata": {"name": "forged-1", "namespace": own_namespace}, "spec": release}),
        ),
        (
            "operator-leases.gantry.dev",
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "gantry-forged", "namespace": "default"}}),
        ),
        (
            "operator-namespaces.gantry.dev",
            json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "gantry-forged"}}),
        ),
        (
            "operator-accounts.gantry.dev",
            json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "gantry-forged", "namespace": "default"}}),
        ),
        (
            "operator-revisions.gantry.dev",
            json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 1, "data": {},
            "metadata": {"name": "gantry-forged", "namespace": "default"}}),
        ),
    ]
}

async fn one(client: &Client, policy: &str, object: &Value) -> Result<(), Problem> {
    let unsent = |error: String| Problem::NoAnswer { why: format!("no forged request can be made: {error}") };
    let object: DynamicObject = serde_json::from_value(object.clone()).map_err(|error| unsent(error.to_string()))?;
    let types = object.types.clone().unwrap_or_default();
    let kind = GroupVersionKind::try_from(&types).map_err(|error| unsent(error.to_string()))?;
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = match object.metadata.namespace.as_deref() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    judge(policy, &kind.kind, api.create(&dry, &object).await.map(|_| ()))
}

/// Only a refusal by that policy is one: another refusal says nothing about it.
fn judge(policy: &str, kind: &str, answer: Result<(), kube::Error>) -> Result<(), Problem> {
    match answer {
        Err(kube::Error::Api(status)) if status.message.contains(&format!("'{policy}'")) => Ok(()),
        // An API server that has just started refuses what its policies or roles, not loaded yet, would decide.
        Err(kube::Error::Api(status)) if status.code >= 500 || matches!(status.code, 403 | 429) => {
            Err(Problem::NoAnswer {
                why: format!("the API server refused a forged {kind} for another reason: {}", status.message),
            })
        }
        Ok(()) | Err(kube::Error::Api(_)) => {
            Err(Problem::LetThrough { what: format!("a forged {kind} that policy {policy} must refuse") })
        }
        Err(error) => Err(Problem::NoAnswer { why: format!("the API server does not answer: {error}") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, message: &str) -> Result<(), kube::Error> {
        let status = kube::core::Status { code, message: message.to_owned(), ..kube::core::Status::default() };
        Err(kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn only_a_refusal_by_that_policy_shows_that_it_acts() {
        let name = "promotion-rights.gantry.dev";
        let said = |answer| judge(name, "Promotion", answer);
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
