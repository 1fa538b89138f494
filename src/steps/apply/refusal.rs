//! What the API server said against an object, as problems with field and remedy. Pure.

use std::collections::BTreeMap;

use kube::core::Status;
use kube::core::response::StatusCause;

use super::object::ObjectRef;
use super::ownership::{ENVIRONMENT, PROJECT, SPACE, Scope};
use super::problem::{Problem, ProblemReason};

/// How a conflict of fields is marked among the causes.
pub(super) const FIELD_CONFLICT: &str = "FieldManagerConflict";
/// Manifests that do not read as their kind, which the API server takes for errors of its own.
const UNREADABLE: [&str; 2] = ["failed to create typed patch object", "failed to convert new object"];
/// What is said of data of a Secret that is not encoded.
const NOT_BASE64: &str = "illegal base64";
/// The most fields that one sentence names.
const FIELDS: usize = 8;

/// The problems that an answer means; none if it says nothing about the object, and trying again may help.
pub(super) fn problems(scope: &Scope, object: &ObjectRef, status: &Status) -> Vec<Problem> {
    let found = match status.code {
        409 => conflicts(scope, status),
        422 => invalid(object, status),
        403 if is_about_us(status) => Vec::new(),
        403 => vec![forbidden(status)],
        400 | 405 | 413 | 415 => vec![whole(ProblemReason::InvalidManifest, told(object, status))],
        _ if UNREADABLE.iter().any(|word| status.message.contains(word)) => {
            vec![whole(ProblemReason::InvalidManifest, told(object, status))]
        }
        _ => Vec::new(),
    };
    let in_scope = |(reason, path, message): Found| Problem {
        step: scope.step.clone(),
        targets: Vec::new(),
        object: object.to_string(),
        path,
        reason,
        message,
    };
    found.into_iter().map(in_scope).collect()
}

/// Whether a conflict is about fields, and not about a resourceVersion.
pub(super) fn is_field_conflict(status: &Status) -> bool {
    causes(status).iter().any(|cause| cause.reason == FIELD_CONFLICT)
}

/// The words of a message that say what is wrong with a manifest, without what they are about.
pub(super) fn recognised(said: &str) -> Option<String> {
    let known = UNREADABLE.into_iter().chain([NOT_BASE64]).filter(|words| said.contains(words));
    let known: Vec<&str> = known.collect();
    (!known.is_empty()).then(|| known.join(": "))
}

/// Class, field, sentence.
type Found = (ProblemReason, String, String);

fn whole(reason: ProblemReason, message: String) -> Found {
    (reason, String::new(), message)
}

/// One problem for each manager that has fields which the manifest sets.
fn conflicts(scope: &Scope, status: &Status) -> Vec<Found> {
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for cause in causes(status).iter().filter(|cause| cause.reason == FIELD_CONFLICT) {
        fields.entry(applier(&cause.message)).or_default().push(plain(&cause.field));
    }
    fields.into_iter().map(|(applier, fields)| conflict(scope, &applier, &fields)).collect()
}

fn conflict(scope: &Scope, applier: &str, fields: &[String]) -> Found {
    let path = fields.first().cloned().unwrap_or_default();
    let ours = |field: &String| [SPACE, PROJECT, ENVIRONMENT].iter().any(|label| field.contains(label));
    if applier.starts_with("gantry/") && applier != scope.applies_as() || fields.iter().any(ours) {
        let message = format!("belongs to another project ({applier}): give the object another name");
        return whole(ProblemReason::OwnedByOther, message);
    }
    let named = fields.iter().take(FIELDS).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if fields.len() > FIELDS { format!(" and {} more", fields.len() - FIELDS) } else { String::new() };
    let message = format!(
        "{named}{more} is managed by {applier}: remove it from the manifest, or set forceConflicts: true on the step"
    );
    (ProblemReason::Conflict, path, message)
}

/// `conflict with "kubectl" using apps/v1` names the manager in quotes.
fn applier(message: &str) -> String {
    message.split('"').nth(1).map_or_else(|| message.to_owned(), str::to_owned)
}

fn invalid(object: &ObjectRef, status: &Status) -> Vec<Found> {
    let causes = causes(status);
    if causes.is_empty() {
        return vec![whole(ProblemReason::InvalidManifest, told(object, status))];
    }
    let found = |cause: &StatusCause| {
        // What is wrong with a Secret may quote it.
        let said = if object.is_secret() { &cause.reason } else { &cause.message };
        (ProblemReason::InvalidManifest, plain(&cause.field), format!("{said}: correct the manifest"))
    };
    causes.iter().map(found).collect()
}

fn forbidden(status: &Status) -> Found {
    let said = status.message.split_once(" is forbidden: ").map_or(status.message.as_str(), |(_, said)| said);
    if said.contains("violates PodSecurity") {
        return pod_security(said);
    }
    let remedy = if said.contains(" cannot ") {
        "let the environment's deployer role do it, or remove the object"
    } else {
        "correct the manifest, or ask who keeps the cluster"
    };
    whole(ProblemReason::Forbidden, format!("{said}: {remedy}"))
}

/// The sentence about a pod that the namespace's level refuses.
pub(super) fn pod_security(said: &str) -> Found {
    let remedy = "correct the securityContext, or choose another podSecurity for the environment";
    whole(ProblemReason::PodSecurity, format!("{said}: {remedy}"))
}

/// The operator itself may not act as the deployer: nothing about the object.
fn is_about_us(status: &Status) -> bool {
    status.message.contains("cannot impersonate")
        || causes(status).iter().any(|cause| cause.reason == "NamespaceTerminating")
}

fn told(object: &ObjectRef, status: &Status) -> String {
    if object.is_secret() && status.message.contains(NOT_BASE64) {
        return "has data that is not base64: encode it, or write it as stringData".to_owned();
    }
    if object.is_secret() {
        return "is refused as it is: correct the manifest".to_owned();
    }
    format!("{}: correct the manifest", status.message)
}

fn causes(status: &Status) -> &[StatusCause] {
    status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default()
}

/// `.spec.replicas` as people write it.
fn plain(field: &str) -> String {
    field.trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::apply::ownership::example::scope;
    use serde_json::{Value, json};

    fn said(kind: &str, status: Value) -> Vec<Problem> {
        let object = ObjectRef {
            group: String::new(),
            version: "v1".into(),
            kind: kind.into(),
            namespace: "shop-dev".into(),
            name: "checkout".into(),
        };
        problems(&scope(), &object, &serde_json::from_value(status).unwrap())
    }

    fn conflict_of(causes: &[(&str, &str)]) -> Value {
        let cause = |(applier, field): &(&str, &str)| json!({"reason": FIELD_CONFLICT, "field": field, "message": format!("conflict with \"{applier}\" using apps/v1")});
        json!({"code": 409, "reason": "Conflict", "message": "Apply failed", "details": {"causes": causes.iter().map(cause).collect::<Vec<_>>()}})
    }

    #[test]
    fn a_conflict_names_each_manager_and_its_fields() {
        let found = said(
            "Service",
            conflict_of(&[("kubectl", ".spec.ports"), ("hpa", ".spec.replicas"), ("kubectl", ".spec.type")]),
        );
        let sentences: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            sentences,
            [
                "Service checkout: spec.replicas: spec.replicas is managed by hpa: remove it from the manifest, or set forceConflicts: true on the step",
                "Service checkout: spec.ports: spec.ports, spec.type is managed by kubectl: remove it from the manifest, or set forceConflicts: true on the step",
            ]
        );
        assert!(found.iter().all(|problem| problem.reason == ProblemReason::Conflict));
    }

    #[test]
    fn a_conflict_with_another_project_cannot_be_forced() {
        for causes in [("gantry/billing", ".spec.type"), ("somebody", ".metadata.labels.gantry.dev/project")] {
            assert_eq!(said("Service", conflict_of(&[causes]))[0].reason, ProblemReason::OwnedByOther);
        }
    }

    #[test]
    fn a_stale_version_is_no_problem_of_the_object() {
        assert_eq!(
            said("Service", json!({"code": 409, "reason": "Conflict", "message": "the object has been modified"})),
            []
        );
    }

    #[test]
    fn every_invalid_field_is_a_problem() {
        let status = json!({"code": 422, "reason": "Invalid", "message": "is invalid", "details": {"causes": [
            {"reason": "FieldValueInvalid", "field": "spec.ports[0].port", "message": "Invalid value: 0: must be between 1 and 65535"},
            {"reason": "FieldValueRequired", "field": "spec.x", "message": "Required value"}]}});
        let found = said("Service", status.clone());
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].path, "spec.ports[0].port");
        let secret = said("Secret", status);
        assert_eq!(secret[0].message, "FieldValueInvalid: correct the manifest");
    }

    #[test]
    fn a_missing_right_and_a_pod_security_level_are_told_apart() {
        let right = said(
            "Service",
            json!({"code": 403, "reason": "Forbidden",
            "message": "services \"checkout\" is forbidden: User \"system:serviceaccount:shop-dev:gantry-deployer\" cannot patch resource \"services\" in API group \"\" in the namespace \"shop-dev\""}),
        );
        assert_eq!(right[0].reason, ProblemReason::Forbidden);
        assert!(right[0].message.ends_with("let the environment's deployer role do it, or remove the object"));
        let level = said(
            "Pod",
            json!({"code": 403, "reason": "Forbidden", "message": "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot != true"}),
        );
        assert_eq!(level[0].reason, ProblemReason::PodSecurity);
    }

    #[test]
    fn what_is_not_about_the_object_is_no_problem_of_it() {
        for status in [
            json!({"code": 403, "message": "serviceaccounts \"gantry-deployer\" is forbidden: User \"gantry\" cannot impersonate resource \"serviceaccounts\""}),
            json!({"code": 403, "message": "x is forbidden: being terminated", "details": {"causes": [{"reason": "NamespaceTerminating"}]}}),
            json!({"code": 500, "message": "etcdserver: leader changed"}),
            json!({"code": 429, "message": "too many requests"}),
            json!({"code": 404, "message": "namespaces \"shop-dev\" not found"}),
        ] {
            assert_eq!(said("Service", status.clone()), [], "{status}");
        }
    }

    #[test]
    fn an_unknown_field_is_a_problem_whatever_the_code() {
        let message = "failed to create typed patch object (shop-dev/checkout; /v1, Kind=Service): .spec.prots: field not declared in schema";
        let secret = "failed to convert new object (shop-dev/x; /v1, Kind=Secret) to proper version: illegal base64 data at input byte 3";
        let found = said("Secret", json!({"code": 500, "message": secret}));
        assert_eq!(found[0].message, "has data that is not base64: encode it, or write it as stringData");
        for code in [400, 500] {
            assert_eq!(
                said("Service", json!({"code": code, "message": message}))[0].reason,
                ProblemReason::InvalidManifest
            );
        }
    }
}
