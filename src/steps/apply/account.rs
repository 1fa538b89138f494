//! The accounts of an environment that Gantry acts as, which no pod of a release runs as.

use serde_json::Value;

/// As what releases are applied.
pub const DEPLOYER: &str = "gantry-deployer";
/// As what commands run.
pub const CONSOLE: &str = "gantry-console";

/// Fields in which pods name their account; the second is the old name of the first.
const FIELDS: [&str; 2] = ["serviceAccountName", "serviceAccount"];

/// Where in an object, a kind that nobody knows included, pods would run as one of these accounts: the path, and a sentence.
pub(super) fn taken(body: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if let Some(spec) = body.get("spec") {
        look(spec, "spec", &mut found);
    }
    found
}

fn look(value: &Value, path: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = format!("{path}.{key}");
                match value.as_str() {
                    Some(account) if FIELDS.contains(&key.as_str()) && [DEPLOYER, CONSOLE].contains(&account) => {
                        let message = format!(
                            "{account} is for Gantry to act as, and no pod runs as it: name another ServiceAccount"
                        );
                        found.push((path, message));
                    }
                    _ => look(value, &path, found),
                }
            }
        }
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                look(item, &format!("{path}[{place}]"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
