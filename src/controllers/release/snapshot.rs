//! What a release keeps of its project: the process with every manifest, the packages, the variables. Addressed by content,
//! so releases with the same process share one snapshot, and a snapshot that was tampered with has another name. Pure.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use super::revision::load;
use crate::api::v1alpha1::variable::Variable;

/// The largest snapshot, in bytes of JSON. An object in etcd has a bound of 1.5 MiB (etcd's `--max-request-bytes`), and every
/// promotion reads one.
pub const LARGEST: usize = 256 * 1024;

/// The process of a project as it was when a release was sealed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The steps, in order.
    pub process: Vec<SnapshotStep>,
    /// The packages of the project.
    pub packages: Vec<SnapshotPackage>,
    /// Always the same, and read by nobody: which lifecycle counts for a release is judged as it is now. It is written so that a
    /// process keeps the name of its snapshot.
    pub lifecycle: SnapshotLifecycle,
    /// The variables of the project; secrets are references.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
    /// The variable sets that the project uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variable_sets: Vec<SnapshotVariableSet>,
}

/// A variable set as it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotVariableSet {
    /// Its name.
    pub name: String,
    /// Its variables.
    pub variables: Vec<Variable>,
}

/// One step of the process, with everything that it needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotStep {
    /// Its name.
    pub name: String,
    /// How long it may take, as the project writes it: `10m`.
    pub timeout: String,
    /// Environments that it runs in; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// Channels whose releases it runs for; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// Roles of targets that it runs in; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The condition that decides whether it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// After what it runs, where that is not `Success`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_on: Option<String>,
    /// How often it is begun again after it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<i32>,
    /// What it applies.
    pub apply: SnapshotApply,
}

/// Manifests to apply.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotApply {
    /// The objects, in the order in which they were written.
    pub manifests: Vec<SnapshotManifest>,
    /// Whether fields of other managers are taken over.
    pub force_conflicts: bool,
}

/// One object, and where a person finds it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotManifest {
    /// `manifests[0]`, or the ConfigMap, key and document that it was read from.
    pub origin: String,
    /// The object as it was written.
    pub object: Value,
}

/// A package of the project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotPackage {
    /// Its name.
    pub name: String,
    /// The image as manifests write it.
    pub image: String,
    /// Secret of the space that the registry was asked with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_secret: Option<String>,
}

/// What stands in a snapshot where a lifecycle would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotLifecycle {
    /// The only one.
    #[default]
    ByOrder,
}

/// A snapshot as it is stored: canonical JSON, and the hash that names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// The JSON, as a value.
    pub data: Value,
    /// Its length in bytes.
    pub bytes: usize,
    /// SHA-256 of the canonical text, in hexadecimal.
    pub hash: String,
}

/// Why what is stored under a name is not the snapshot of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotThisSnapshot {
    /// Its content has another hash: somebody replaced it.
    #[error(
        "snapshot {0} does not have the content that its name stands for, so somebody replaced it; make a new release"
    )]
    Replaced(String),
    /// It is not there any more.
    #[error("snapshot {0} is gone; make a new release")]
    Missing(String),
    /// It is no snapshot of this version of Gantry.
    #[error("snapshot {name} cannot be read ({message}); make a new release")]
    Unreadable {
        /// Its name.
        name: String,
        /// What is wrong with it.
        message: String,
    },
}

impl Snapshot {
    /// The snapshot as it is stored.
    ///
    /// # Errors
    /// When it cannot be written as JSON that reads back as itself, which is a bug of ours.
    pub fn content(&self) -> Result<Content, serde_json::Error> {
        let mut text = canonical(&serde_json::to_value(self)?);
        // Reading a decimal fraction may move its last digit once; what is hashed must read back as itself.
        for _ in 0..3 {
            let again = canonical(&serde_json::from_str(&text)?);
            if again == text {
                break;
            }
            text = again;
        }
        Ok(Content { data: serde_json::from_str(&text)?, bytes: text.len(), hash: hash(&text) })
    }

    /// Reads what is stored under `name`, and verifies that it is what the name stands for.
    ///
    /// # Errors
    /// When it is something else.
    pub fn read(name: &str, data: &Value) -> Result<Self, NotThisSnapshot> {
        if !name.ends_with(&format!("-{}", hash(&canonical(data)))) {
            return Err(NotThisSnapshot::Replaced(name.to_owned()));
        }
        serde_json::from_value(data.clone())
            .map_err(|error| NotThisSnapshot::Unreadable { name: name.to_owned(), message: error.to_string() })
    }
}

/// The name of the ControllerRevision of a project with this content: `checkout-<sha256>`.
#[must_use]
pub fn revision_name(project: &str, content: &Content) -> String {
    format!("{project}-{}", content.hash)
}

/// JSON without spaces and with sorted keys: the same for the same value, whoever writes it.
fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort();
            text.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                fields.get(key).into_iter().for_each(|value| write_canonical(value, text));
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                write_canonical(item, text);
            }
            text.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text.push_str(&value.to_string()),
    }
}

fn hash(text: &str) -> String {
    let mut hexadecimal = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing to a String does not fail.
        let _ = write!(hexadecimal, "{byte:02x}");
    }
    hexadecimal
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn snapshot(object: Value) -> Snapshot {
        Snapshot {
            process: vec![SnapshotStep {
                name: "deploy".into(),
                timeout: "10m".into(),
                apply: SnapshotApply {
                    manifests: vec![SnapshotManifest { origin: "manifests[0]".into(), object }],
                    force_conflicts: false,
                },
                ..SnapshotStep::default()
            }],
            ..Snapshot::default()
        }
    }

    #[test]
    fn the_same_content_has_one_name_and_other_content_another() {
        let one = snapshot(json!({"a": 1, "b": {"c": [1, 2], "d": null}})).content().unwrap();
        let same = snapshot(json!({"b": {"d": null, "c": [1, 2]}, "a": 1})).content().unwrap();
        let other = snapshot(json!({"a": 1, "b": {"c": [2, 1], "d": null}})).content().unwrap();
        assert_eq!(revision_name("checkout", &one), revision_name("checkout", &same));
        assert_ne!(one.hash, other.hash);
        assert_eq!(revision_name("checkout", &one).len(), "checkout-".len() + 64);
    }

    #[test]
    fn a_snapshot_reads_back_as_itself_even_with_fractions() {
        for object in
            [json!({"x": 0.1}), json!({"x": 1.0}), json!({"x": 5e-324}), json!({"x": 2.225_073_858_507_201e-308})]
        {
            let snapshot = snapshot(object);
            let content = snapshot.content().unwrap();
            let stored: Value = serde_json::from_str(&content.data.to_string()).unwrap();
            let read = Snapshot::read(&revision_name("checkout", &content), &stored).unwrap();
            assert_eq!(read.content().unwrap().hash, content.hash);
        }
    }

    #[test]
    fn a_step_without_conditions_is_stored_as_it_was_before_there_were_any() {
        let stored = snapshot(json!({})).content().unwrap().data["process"][0].clone();
        let fields: Vec<&String> = stored.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["apply", "name", "timeout"], "releases keep the name of their snapshot");
    }

    #[test]
    fn a_replaced_snapshot_is_noticed() {
        let content = snapshot(json!({"a": 1})).content().unwrap();
        let name = revision_name("checkout", &content);
        let evil = snapshot(json!({"a": 2})).content().unwrap();
        assert_eq!(Snapshot::read(&name, &evil.data), Err(NotThisSnapshot::Replaced(name.clone())));
        assert_eq!(Snapshot::read("checkout-", &content.data), Err(NotThisSnapshot::Replaced("checkout-".into())));
        assert!(Snapshot::read(&name, &content.data).is_ok());
    }
}
