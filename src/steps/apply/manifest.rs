//! Manifests as people write them: objects in a process, or YAML and JSON text in a `ConfigMap`. Pure.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_saphyr::{Options, budget, options};

use super::problem::{Problem, ProblemReason, shortened};

/// One document, and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Where: `manifests[0]`, `ConfigMap checkout, key app.yaml, document 2`.
    pub origin: String,
    /// What.
    pub value: Value,
}

/// The objects that a process holds itself.
#[must_use]
pub fn inline(manifests: &[Value]) -> Vec<Manifest> {
    let numbered = manifests.iter().enumerate();
    numbered.map(|(at, value)| Manifest { origin: format!("manifests[{at}]"), value: value.clone() }).collect()
}

/// The documents in the keys of a `ConfigMap`, in the order of the keys. Empty documents are left out.
///
/// # Errors
/// One problem for each key that is no YAML.
pub fn config_map(step: &str, name: &str, data: &BTreeMap<String, String>) -> Result<Vec<Manifest>, Vec<Problem>> {
    let mut manifests = Vec::new();
    let mut problems = Vec::new();
    for (key, text) in data {
        let origin = format!("ConfigMap {name}, key {key}");
        match documents(text) {
            Ok(values) => manifests.extend(
                values
                    .into_iter()
                    .enumerate()
                    .map(|(at, value)| Manifest { origin: format!("{origin}, document {}", at + 1), value }),
            ),
            Err(why) => problems.push(Problem {
                step: step.to_owned(),
                targets: Vec::new(),
                object: origin,
                path: String::new(),
                reason: ProblemReason::InvalidManifest,
                message: format!("is not YAML that can be read ({why}): correct the text"),
            }),
        }
    }
    if problems.is_empty() { Ok(manifests) } else { Err(problems) }
}

fn documents(text: &str) -> Result<Vec<Value>, String> {
    serde_saphyr::from_multiple_with_options::<Value>(text, bounds()).map_err(|error| {
        let text = error.to_string();
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason given");
        shortened(line, 300)
    })
}

/// Bounds that no sensible manifest reaches, and every text made to exhaust a parser does.
fn bounds() -> Options {
    options! {
        budget: budget! {
            max_depth: 64,
            max_documents: 512,
            max_nodes: 100_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_total_scalar_bytes: 4 * 1024 * 1024,
        },
        // As kubectl reads it: `defaultMode: 0644` is 420.
        legacy_octal_numbers: true,
        // A picture of the text would put parts of it into messages.
        with_snippet: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Vec<Manifest>, Vec<Problem>> {
        config_map("deploy", "checkout", &BTreeMap::from([("app.yaml".to_owned(), text.to_owned())]))
    }

    #[test]
    fn documents_are_numbered_and_empty_ones_left_out() {
        let read = read("a: 1\n---\n# nothing\n---\nb: [p, q]\n").unwrap();
        let expected = [json!({"a": 1}), json!({"b": ["p", "q"]})];
        assert_eq!(read.iter().map(|manifest| manifest.value.clone()).collect::<Vec<_>>(), expected);
        assert_eq!(read[1].origin, "ConfigMap checkout, key app.yaml, document 2");
    }

    #[test]
    fn json_is_yaml() {
        assert_eq!(
            read("{\"a\": {\"b\": [true, null, 1.5]}}").unwrap()[0].value,
            json!({"a": {"b": [true, null, 1.5]}})
        );
    }

    #[test]
    fn scalars_mean_what_kubectl_takes_them_for() {
        let value =
            read("mode: 0644\non: on\nport: 80\nquoted: '80'\nyes: 'yes'\nversion: 1.10.0\nnothing: ~\n").unwrap();
        assert_eq!(
            value[0].value,
            json!({"mode": 420, "on": true, "port": 80, "quoted": "80", "yes": "yes", "version": "1.10.0", "nothing": null})
        );
    }

    // Attack T26.
    #[test]
    fn aliases_work_and_a_bomb_of_them_is_refused() {
        assert_eq!(read("a: &x {k: v}\nb: *x\n").unwrap()[0].value, json!({"a": {"k": "v"}, "b": {"k": "v"}}));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let before = level - 1;
            let aliases = vec![format!("*a{before}"); 10].join(", ");
            bomb.extend([format!("a{level}: &a{level} [{aliases}]\n")]);
        }
        let problem = read(&bomb).unwrap_err();
        assert_eq!(problem[0].reason, ProblemReason::InvalidManifest);
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(read(&format!("{}{}", "[".repeat(5000), "]".repeat(5000))).is_err());
    }

    #[test]
    fn every_broken_key_is_a_problem_with_its_place() {
        let data = [("a.yaml", "a: [1"), ("b.yaml", "a: 1\na: 2"), ("c.yaml", "c: 1")];
        let data = data.map(|(key, text)| (key.to_owned(), text.to_owned()));
        let problems = config_map("deploy", "checkout", &data.into()).unwrap_err();
        assert_eq!(problems.len(), 2);
        assert!(problems[0].to_string().starts_with("ConfigMap checkout, key a.yaml: is not YAML"), "{}", problems[0]);
        assert!(!problems[0].to_string().contains('\n'));
    }

    #[test]
    fn inline_manifests_are_numbered() {
        assert_eq!(inline(&[json!({}), json!(1)])[1].origin, "manifests[1]");
    }
}
