//! Manifests with expressions to manifests without, or everything that is wrong with them. Pure.
//!
//! Expressions are replaced in texts of the parsed object, so no value can change the structure around it. A secret that is read
//! may land in the data of a Secret or become the value of an environment variable, through a Secret of Gantry's own; one that is
//! only referred to becomes a reference. Anything else would show it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::image::LISTS;
use super::manifest::Manifest;
use super::ownership::Scope;
use super::problem::{Problem, ProblemReason, Problems};
use crate::domain::variable::function::{sha256, text};
use crate::domain::variable::{Bindings, Fault, FaultReason, SecretReference, SecretText, Text};

/// Fields whose values are texts whatever the kind, so that `replicas: "${{ … }}"` is a number and a label is not.
const TEXTS: [&str; 3] = ["labels", "annotations", "matchLabels"];
/// Stands for the name of the Secret that Gantry makes until it is known. No name holds such a character.
const OWN: &str = "\u{0}";
/// The most bytes of a Secret that Gantry makes; Kubernetes takes 1 MiB.
const SECRET_MAX: usize = 512 * 1024;

/// What became of the manifests of a step.
#[derive(Clone, Debug, Default)]
pub struct Substituted {
    /// The manifests, and the Secret that they need.
    pub manifests: Vec<Manifest>,
    /// Every secret text that is in them.
    pub secrets: Vec<SecretText>,
}

/// Replaces every expression.
///
/// # Errors
/// All problems of all manifests.
pub fn substitute(
    manifests: Vec<Manifest>,
    scope: &Scope,
    bindings: &mut Bindings<'_>,
) -> Result<Substituted, Problems> {
    let mut step =
        Step { scope, bindings, problems: Problems::default(), entries: BTreeMap::new(), secrets: Vec::new() };
    let mut done = Vec::with_capacity(manifests.len() + 1);
    for mut manifest in manifests {
        let object = named(&manifest);
        let place = Place::of(&manifest.value);
        Walk { step: &mut step, object: &object }.value(&mut manifest.value, "", place);
        done.push(manifest);
    }
    let Step { problems, entries, secrets, .. } = step;
    if let Some((name, body)) = own_secret(scope, &entries) {
        for manifest in &mut done {
            fill(&mut manifest.value, &name);
        }
        done.push(Manifest { origin: format!("Secret {name}"), value: body });
    }
    problems.or(Substituted { manifests: done, secrets })
}

/// Whether there is an expression in a manifest.
#[must_use]
pub fn has_expressions(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${{"),
        Value::Array(items) => items.iter().any(has_expressions),
        Value::Object(fields) => fields.values().any(has_expressions),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The Secret with the values of environment variables. Its name is its content, so that a new value is a new Secret and pods
/// restart; hashed with the UIDs of the Secrets that were read, so that nobody can guess it.
fn own_secret(scope: &Scope, entries: &BTreeMap<String, SecretText>) -> Option<(String, Value)> {
    if entries.is_empty() {
        return None;
    }
    let content = |(key, text): (&String, &SecretText)| (key.clone(), json!([text.reveal(), text.salt()]));
    let content = Value::Object(entries.iter().map(content).collect());
    let hash: String = sha256(&content.to_string()).chars().take(16).collect();
    let name = format!("{}-{}-{hash}", scope.project, scope.step);
    let data: Map<String, Value> = entries.iter().map(|(key, text)| (key.clone(), text.reveal().into())).collect();
    let body = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
        "type": "Opaque", "immutable": true, "stringData": data,
    });
    Some((name, body))
}

/// Where in an object a value is, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The root of a Secret.
    Secret,
    /// The root of a ConfigMap.
    ConfigMap,
    /// The data of a Secret, as a whole.
    SecretMap,
    /// An entry of it.
    SecretData,
    /// A map whose values are texts.
    TextMap,
    /// Such a value.
    Text,
    /// A list of containers.
    Containers,
    /// A container.
    Container,
    /// The environment variables of a container.
    Variables,
    /// One of them.
    Variable,
    /// `secretKeyRef` in a container: a reference may stand here.
    KeyReference,
    /// Anywhere else.
    Elsewhere,
}

impl Place {
    fn of(object: &Value) -> Self {
        let text = |field: &str| object.get(field).and_then(Value::as_str);
        match (text("apiVersion"), text("kind")) {
            (Some("v1"), Some("Secret")) => Self::Secret,
            (Some("v1"), Some("ConfigMap")) => Self::ConfigMap,
            _ => Self::Elsewhere,
        }
    }

    /// The place of a field.
    fn field(self, key: &str) -> Self {
        match self {
            Self::Secret if matches!(key, "data" | "stringData") => Self::SecretMap,
            Self::ConfigMap if key == "data" => Self::TextMap,
            Self::SecretMap => Self::SecretData,
            Self::TextMap => Self::Text,
            Self::Container if key == "env" => Self::Variables,
            _ if LISTS.contains(&key) => Self::Containers,
            _ if TEXTS.contains(&key) => Self::TextMap,
            _ if key == "secretKeyRef" => Self::KeyReference,
            _ => Self::Elsewhere,
        }
    }

    /// The place of an item.
    fn item(self) -> Self {
        match self {
            Self::Containers => Self::Container,
            Self::Variables => Self::Variable,
            _ => Self::Elsewhere,
        }
    }
}

/// What one step collects.
struct Step<'a, 'b> {
    scope: &'a Scope,
    bindings: &'a mut Bindings<'b>,
    problems: Problems,
    /// The entries of the Secret that Gantry makes.
    entries: BTreeMap<String, SecretText>,
    secrets: Vec<SecretText>,
}

/// The way through one manifest.
struct Walk<'a, 'b, 'c> {
    step: &'a mut Step<'b, 'c>,
    object: &'a str,
}

impl Walk<'_, '_, '_> {
    fn value(&mut self, value: &mut Value, path: &str, place: Place) {
        match value {
            Value::String(text) => {
                if let Some(replaced) = self.text(text, path, place) {
                    *value = replaced;
                }
            }
            Value::Array(items) => {
                for (at, item) in items.iter_mut().enumerate() {
                    self.value(item, &format!("{path}[{at}]"), place.item());
                }
            }
            Value::Object(fields) => self.object(fields, path, place),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn object(&mut self, fields: &mut Map<String, Value>, path: &str, place: Place) {
        let whole = place == Place::Variable && self.variable(fields, path);
        for (key, field) in fields.iter_mut() {
            // What was replaced is not looked at again: a value is no expression.
            if whole && matches!(key.as_str(), "value" | "valueFrom") {
                continue;
            }
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            if key.contains("${{") {
                let message = "a key cannot hold an expression: make the whole map one expression";
                self.add(ProblemReason::Variable(FaultReason::InvalidExpression), &path, message.to_owned());
            }
            if matches!(path.as_str(), "apiVersion" | "kind") && has_expressions(field) {
                let message = "cannot be an expression: a release knows what it applies";
                self.add(ProblemReason::Variable(FaultReason::InvalidExpression), &path, message.to_owned());
                continue;
            }
            self.value(field, &path, place.field(key));
        }
    }

    /// An environment variable: its value is a text, or comes from a Secret. Whether there was anything to replace.
    fn variable(&mut self, fields: &mut Map<String, Value>, path: &str) -> bool {
        let Some(Value::String(written)) = fields.get("value") else { return false };
        let path = format!("{path}.value");
        let replaced = match self.step.bindings.text(written) {
            Ok(None) => return false,
            Ok(Some(replaced)) => replaced,
            Err(fault) => {
                self.fault(&fault, &path);
                return true;
            }
        };
        match replaced {
            Text::Plain(value) => match text(&value) {
                Ok(text) => drop(fields.insert("value".into(), text.into())),
                Err(fault) => self.fault(&fault, &path),
            },
            Text::Reference(reference) => refer(fields, &reference.name, &reference.key),
            Text::Secret(secret) => {
                let name = fields.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
                let key = self.entry(&name, secret, &path);
                refer(fields, OWN, &key);
            }
        }
        true
    }

    /// Puts a text into the Secret that Gantry makes; gives back its key.
    fn entry(&mut self, name: &str, secret: SecretText, path: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
        let name: String = name.chars().map(plain).take(200).collect();
        let mut keys = std::iter::once(name.clone()).chain((2..).map(|n| format!("{name}.{n}")));
        let free = |key: &String| self.step.entries.get(key).is_none_or(|known| *known == secret);
        let key = keys.find(free).unwrap_or(name);
        self.step.secrets.push(secret.clone());
        self.step.entries.insert(key.clone(), secret);
        let size: usize = self.step.entries.values().map(|text| text.reveal().len()).sum();
        if size > SECRET_MAX {
            let message = format!("the secrets of the step are larger than {} KiB: split it", SECRET_MAX / 1024);
            self.add(ProblemReason::Variable(FaultReason::ExpressionTooCostly), path, message);
        }
        key
    }

    /// What a text becomes; nothing if it stays as it is.
    fn text(&mut self, written: &str, path: &str, place: Place) -> Option<Value> {
        let replaced = match self.step.bindings.text(written) {
            Ok(replaced) => replaced?,
            Err(fault) => {
                self.fault(&fault, path);
                return None;
            }
        };
        match (replaced, place) {
            (Text::Plain(value), Place::Text | Place::SecretData) => match text(&value) {
                Ok(text) => Some(text.into()),
                Err(fault) => {
                    self.fault(&fault, path);
                    None
                }
            },
            (Text::Plain(value), _) => Some(value),
            (Text::Secret(secret), Place::SecretData) => {
                let text = secret.reveal().into();
                self.step.secrets.push(secret);
                Some(text)
            }
            (Text::Reference(SecretReference { name, key, .. }), Place::KeyReference) => {
                Some(json!({"name": name, "key": key}))
            }
            (Text::Secret(_) | Text::Reference(_), _) => {
                let message = "would show a secret to everybody who may read the object: put it into the data of a Secret, or into the value of an environment variable";
                self.add(ProblemReason::Variable(FaultReason::SecretInPlainText), path, message.to_owned());
                None
            }
        }
    }

    fn fault(&mut self, fault: &Fault, path: &str) {
        self.add(ProblemReason::Variable(fault.reason), path, fault.to_string());
    }

    fn add(&mut self, reason: ProblemReason, path: &str, message: String) {
        let (step, object) = (self.step.scope.step.clone(), self.object.to_owned());
        self.step.problems.push(Problem { step, targets: Vec::new(), object, path: path.to_owned(), reason, message });
    }
}

/// Makes an environment variable come from an entry of a Secret.
fn refer(fields: &mut Map<String, Value>, name: &str, key: &str) {
    fields.remove("value");
    fields.insert("valueFrom".into(), json!({"secretKeyRef": {"name": name, "key": key}}));
}

/// Writes the name of the Secret that Gantry makes, which is known when all its entries are, wherever it is referred to.
fn fill(value: &mut Value, name: &str) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(key, field)| match field.get_mut("name") {
            Some(known) if key == "secretKeyRef" && *known == OWN => *known = name.into(),
            Some(_) | None => fill(field, name),
        }),
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `Deployment checkout`, or where the manifest is written.
fn named(manifest: &Manifest) -> String {
    let text = |pointer: &str| manifest.value.pointer(pointer).and_then(Value::as_str);
    match (text("/kind"), text("/metadata/name")) {
        (Some(kind), Some(name)) if !format!("{kind}{name}").contains("${{") => format!("{kind} {name}"),
        _ => manifest.origin.clone(),
    }
}

#[cfg(test)]
mod tests;
