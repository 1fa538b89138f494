//! What every manifest must have, wherever it stands: enough to tell what it is, and nothing that belongs to the API server.
//!
//! Pure. Whether its kind exists, and whether the environment's account may apply it, is known only where it is applied.

use serde_json::Value;

use super::GROUP;
use crate::domain::invalid::{Invalid, InvalidReason};

/// What tells one manifest from another in one process: group, kind, namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    group: String,
    kind: String,
    namespace: String,
    name: String,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// Reads what a manifest is. `path` is where it stands: `spec.process[0].apply.manifests[2]`.
///
/// # Errors
/// Everything that is wrong with it, each with its own path and remedy.
pub fn identity(manifest: &Value, path: &str) -> Result<Identity, Vec<Invalid>> {
    let Value::Object(_) = manifest else {
        let message = format!("it is {} and no object: write apiVersion, kind and metadata", sort(manifest));
        return Err(vec![Invalid::new(path, InvalidReason::Malformed, message)]);
    };
    let mut wrong = Vec::new();
    let mut text = |field: &str, example: &str| match manifest.pointer(&format!("/{}", field.replace('.', "/"))) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::String(_) | Value::Null) | None => {
            let message = format!("it is missing: add {field}, e.g. {example}");
            wrong.push(Invalid::new(format!("{path}.{field}"), InvalidReason::Required, message));
            String::new()
        }
        Some(other) => {
            let message = format!("it is {} and no text: quote it, e.g. {example}", sort(other));
            wrong.push(Invalid::new(format!("{path}.{field}"), InvalidReason::Malformed, message));
            String::new()
        }
    };
    let (version, kind) = (text("apiVersion", "apps/v1"), text("kind", "Deployment"));
    let name = if kind == "List" { String::new() } else { text("metadata.name", "checkout") };
    let group = version.split_once('/').map_or("", |(group, _)| group).to_owned();
    wrong.extend(forbidden(manifest, (&group, &kind), path));
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let namespace = manifest.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Identity { group, kind, namespace, name })
}

/// What a manifest may not be or have, whatever the cluster.
fn forbidden(manifest: &Value, (group, kind): (&str, &str), path: &str) -> Vec<Invalid> {
    let wrong =
        |field: &str, message: String| Invalid::new(format!("{path}{field}"), InvalidReason::Forbidden, message);
    let mut found = Vec::new();
    if group == GROUP {
        found.push(wrong(".apiVersion", format!("a process does not apply Gantry's own kinds: remove the {kind}")));
    }
    if kind == "List" {
        found.push(wrong(".kind", "a List is not applied: write its items as documents of their own".to_owned()));
    }
    for field in ["ownerReferences", "finalizers"] {
        let given = manifest.pointer(&format!("/metadata/{field}"));
        if given.is_some_and(|value| !is_empty(value)) {
            let message = format!("a process must not set {field}: remove them");
            found.push(wrong(&format!(".metadata.{field}"), message));
        }
    }
    found
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// What sort of value it is, for people.
fn sort(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(manifest: &Value) -> Vec<String> {
        identity(manifest, "m").err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_manifest_is_told_apart_by_group_kind_namespace_and_name() {
        let deployment = |version: &str, name: &str| {
            identity(&json!({"apiVersion": version, "kind": "Deployment", "metadata": {"name": name}}), "m").unwrap()
        };
        assert_eq!(deployment("apps/v1", "a"), deployment("apps/v1beta1", "a"));
        assert_ne!(deployment("apps/v1", "a"), deployment("apps/v1", "b"));
        assert_ne!(deployment("apps/v1", "a"), deployment("v1", "a"));
        assert_eq!(deployment("apps/v1", "a").to_string(), "Deployment/a");
    }

    #[test]
    fn everything_that_is_missing_is_named_at_once() {
        let wrong = wrong(&json!({"kind": 1}));
        assert_eq!(
            wrong,
            [
                "m.apiVersion: it is missing: add apiVersion, e.g. apps/v1",
                "m.kind: it is a number and no text: quote it, e.g. Deployment",
                "m.metadata.name: it is missing: add metadata.name, e.g. checkout",
            ]
        );
    }

    // Attack T10.
    #[test]
    fn what_belongs_to_others_is_refused() {
        assert_eq!(wrong(&json!("text")), ["m: it is text and no object: write apiVersion, kind and metadata"]);
        let list = wrong(&json!({"apiVersion": "v1", "kind": "List", "items": []}));
        assert_eq!(list, ["m.kind: a List is not applied: write its items as documents of their own"]);
        let ours = wrong(&json!({"apiVersion": "gantry.dev/v1alpha1", "kind": "Promotion", "metadata": {"name": "x"}}));
        assert_eq!(ours, ["m.apiVersion: a process does not apply Gantry's own kinds: remove the Promotion"]);
        let owned = wrong(&json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "finalizers": ["a"], "ownerReferences": []}
        }));
        assert_eq!(owned, ["m.metadata.finalizers: a process must not set finalizers: remove them"]);
    }
}
