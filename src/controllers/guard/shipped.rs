//! The admission policies as this version of Gantry ships them, and in what others differ from them. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::policies::Named;

/// What people install; Helm renders the same for its own namespace.
const TEXT: &str = include_str!("../../../deploy/policies.yaml");
/// As whom the operator runs there.
const ACCOUNT: &str = "system:serviceaccount:gantry-system:gantry";
/// Its namespace there, as expressions write it.
const NAMESPACE: &str = "'gantry-system'";
/// The kinds that policies are made of.
pub const KINDS: [&str; 4] = [
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
];

/// What every policy and binding must be.
#[derive(Debug, Clone, Default)]
pub struct Shipped {
    specs: BTreeMap<Named, Value>,
}

impl Shipped {
    /// The policies that confine and believe this account of this namespace, and no other.
    ///
    /// # Errors
    /// When they cannot be read: a bug of ours.
    pub fn to(namespace: &str, account: &str) -> Result<Self, String> {
        let documents = serde_saphyr::from_multiple::<Value>(TEXT)
            .map_err(|error| format!("the shipped policies cannot be read: {error}"))?;
        let mut specs = BTreeMap::new();
        for mut document in documents.into_iter().filter(|document| !document.is_null()) {
            let text = |pointer| document.pointer(pointer).and_then(Value::as_str);
            let kind = text("/kind").and_then(|kind| KINDS.into_iter().find(|known| *known == kind));
            let (Some(kind), Some(name)) = (kind, text("/metadata/name").map(str::to_owned)) else {
                return Err("the shipped policies have a document of another kind, or without a name".to_owned());
            };
            let mut spec = document.get_mut("spec").map(Value::take).unwrap_or_default();
            rewrite(&mut spec, &|text| text.replace(ACCOUNT, account).replace(NAMESPACE, &format!("'{namespace}'")));
            specs.insert((kind, name), normalised(kind, spec));
        }
        Ok(Self { specs })
    }

    /// The kind and name of every policy and binding.
    pub fn names(&self) -> impl Iterator<Item = &Named> {
        self.specs.keys()
    }

    /// What a policy or binding must say.
    #[must_use]
    pub fn spec(&self, named: &Named) -> Option<&Value> {
        self.specs.get(named)
    }

    /// The first thing in which a policy or binding differs from the shipped one.
    #[must_use]
    pub fn difference(&self, named: &Named, found: &Value) -> Option<String> {
        match self.spec(named) {
            Some(expected) => differs("spec", expected, &normalised(named.0, found.clone())),
            None => Some("is not shipped".to_owned()),
        }
    }
}

/// Changes every text in a value.
fn rewrite(value: &mut Value, change: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| rewrite(field, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A spec as the API server writes it: with its defaults, and without what is empty.
fn normalised(kind: &str, mut spec: Value) -> Value {
    without_empty(&mut spec);
    let Value::Object(fields) = &mut spec else { return spec };
    if !kind.ends_with("Binding") {
        fields.entry("failurePolicy").or_insert(json!("Fail"));
    }
    if kind == "MutatingAdmissionPolicy" {
        fields.entry("reinvocationPolicy").or_insert(json!("Never"));
    }
    for resources in ["matchConstraints", "matchResources"] {
        if let Some(Value::Object(resources)) = fields.get_mut(resources) {
            constrain(resources);
        }
    }
    spec
}

/// Writes the defaults of what a policy or a binding matches.
fn constrain(resources: &mut Map<String, Value>) {
    resources.entry("matchPolicy").or_insert(json!("Equivalent"));
    resources.entry("namespaceSelector").or_insert(json!({}));
    resources.entry("objectSelector").or_insert(json!({}));
    for rules in ["resourceRules", "excludeResourceRules"] {
        let rules = resources.get_mut(rules).and_then(Value::as_array_mut);
        for rule in rules.into_iter().flatten().filter_map(Value::as_object_mut) {
            rule.entry("scope").or_insert(json!("*"));
        }
    }
}

/// Drops nulls and empty lists. An empty object may say something: a selector of everything.
fn without_empty(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null() && field.as_array().is_none_or(|list| !list.is_empty()));
            fields.values_mut().for_each(without_empty);
        }
        Value::Array(items) => items.iter_mut().for_each(without_empty),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The first difference, by path.
fn differs(path: &str, expected: &Value, found: &Value) -> Option<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let known = expected.iter().find_map(|(key, expected)| {
                let path = format!("{path}.{key}");
                found.get(key).map_or_else(|| Some(lacks(&path)), |found| differs(&path, expected, found))
            });
            known.or_else(|| {
                let more = found.keys().find(|key| !expected.contains_key(*key))?;
                Some(has(&format!("{path}.{more}")))
            })
        }
        (Value::Array(expected), Value::Array(found)) => {
            let pairs = expected.iter().zip(found).enumerate();
            let same = pairs.map(|(at, (expected, found))| differs(&format!("{path}[{at}]"), expected, found));
            let first = same.flatten().next();
            first.or_else(|| match expected.len().cmp(&found.len()) {
                std::cmp::Ordering::Less => Some(has(&format!("{path}[{}]", expected.len()))),
                std::cmp::Ordering::Equal => None,
                std::cmp::Ordering::Greater => Some(lacks(&format!("{path}[{}]", found.len()))),
            })
        }
        (expected, found) => (expected != found).then(|| format!("has another {path}")),
    }
}

fn lacks(path: &str) -> String {
    format!("has no {path}")
}

fn has(path: &str) -> String {
    format!("has a {path} that is not shipped")
}

#[cfg(test)]
mod tests;
