//! From what a step says to the objects that it applies: inline ones, or the YAML documents of a ConfigMap. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::problem::Problem;
use super::snapshot::SnapshotManifest;
use crate::api::condition::Reason;
use crate::api::manifest;
use crate::api::v1alpha1::project::Manifest;

/// The manifests that a step writes out itself. Their content was checked with the project.
#[must_use]
pub fn inline(manifests: &[Manifest]) -> Vec<SnapshotManifest> {
    let origin = |index| format!("manifests[{index}]");
    manifests
        .iter()
        .enumerate()
        .map(|(index, manifest)| SnapshotManifest { origin: origin(index), object: manifest.0.clone() })
        .collect()
}

/// The YAML documents of a ConfigMap, key by key.
///
/// # Errors
/// Every document that does not read, or is no manifest.
pub fn documents(
    (step, config_map): (&str, &str),
    files: &BTreeMap<String, String>,
) -> Result<Vec<SnapshotManifest>, Vec<Problem>> {
    let place = |source: &str| format!("step {step}, ConfigMap {config_map}, {source}");
    let (mut read, mut problems) = (Vec::new(), Vec::new());
    let mut seen: BTreeMap<manifest::Identity, String> = BTreeMap::new();
    for (key, text) in files {
        let objects = match parse(text) {
            Ok(objects) => objects,
            Err(error) => {
                let message = format!("{}: it is no YAML ({error}): correct the ConfigMap", place(key));
                problems.push(Problem::new(Reason::Invalid, message));
                continue;
            }
        };
        for (index, object) in objects.into_iter().enumerate() {
            let source = format!("{key}[{index}]");
            match manifest::identity(&object, &place(&source)) {
                Err(wrong) => problems.extend(wrong.iter().map(Problem::invalid)),
                Ok(identity) => {
                    if let Some(first) = seen.get(&identity) {
                        let message =
                            format!("{}: {identity} is there already, as {first}: remove one", place(&source));
                        problems.push(Problem::new(Reason::Invalid, message));
                    }
                    seen.entry(identity).or_insert_with(|| source.clone());
                    read.push(SnapshotManifest { origin: source, object });
                }
            }
        }
    }
    if read.is_empty() && problems.is_empty() {
        let message = format!(
            "step {step}: ConfigMap {config_map} has no manifest: add a key with YAML documents, or remove the step"
        );
        problems.push(Problem::new(Reason::ManifestsNotFound, message));
    }
    if problems.is_empty() { Ok(read) } else { Err(problems) }
}

/// Reads YAML as kubectl does (numbers such as `0644` are octal), with bounds on aliases and depth.
fn parse(text: &str) -> Result<Vec<Value>, String> {
    let options = serde_saphyr::options! {
        legacy_octal_numbers: true,
        with_snippet: false,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::Reject,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| one_line(&error.to_string()))
}

/// A parser's message, made fit for a condition.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 200;
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Vec<SnapshotManifest>, Vec<String>> {
        let files = files.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        documents(("deploy", "checkout"), &files)
            .map_err(|problems| problems.into_iter().map(|problem| problem.message).collect())
    }

    const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n";

    #[test]
    fn every_document_of_every_key_is_an_object_in_the_order_of_keys() {
        let config =
            "---\n# nothing\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {mode: 0644}\n---\n";
        let found = read(&[("b.yaml", POD), ("a.yaml", config)]).unwrap();
        let sources: Vec<_> = found.iter().map(|one| one.origin.as_str()).collect();
        assert_eq!(sources, ["a.yaml[0]", "b.yaml[0]"]);
        assert_eq!(found[0].object.pointer("/data/mode"), Some(&Value::from(0o644)));
    }

    #[test]
    fn every_document_that_is_no_manifest_is_named_with_step_key_and_remedy() {
        let wrong =
            read(&[("a.yaml", "kind: [Pod"), ("b.yaml", POD), ("c.yaml", POD), ("d.yaml", "- x\n")]).unwrap_err();
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(wrong[0].starts_with("step deploy, ConfigMap checkout, a.yaml: it is no YAML ("), "{wrong:?}");
        assert_eq!(
            wrong[1],
            "step deploy, ConfigMap checkout, c.yaml[0]: Pod/a is there already, as b.yaml[0]: remove one"
        );
        assert!(wrong[2].starts_with("step deploy, ConfigMap checkout, d.yaml[0]: it is a list"), "{wrong:?}");
    }

    #[test]
    fn a_bomb_of_aliases_and_a_key_given_twice_are_refused() {
        let bomb = format!("a: &a [{}]\nb: &b [{}]\nc: [{}]\n", "x,".repeat(500), "*a,".repeat(500), "*b,".repeat(500));
        assert!(read(&[("bomb.yaml", &bomb)]).unwrap_err()[0].contains("it is no YAML"));
        let twice = format!("{POD}kind: Secret\n");
        assert!(read(&[("twice.yaml", &twice)]).unwrap_err()[0].contains("it is no YAML"));
    }

    #[test]
    fn a_config_map_without_any_manifest_says_so() {
        assert!(read(&[]).unwrap_err()[0].contains("has no manifest"));
        assert!(read(&[("a.yaml", "# later\n")]).unwrap_err()[0].contains("has no manifest"));
    }
}
