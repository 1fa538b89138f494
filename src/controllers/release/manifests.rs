//! From what a step says to the objects that it applies, and everything that is wrong with them and can be seen before there
//! is an environment. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::problem::Problem;
use super::snapshot::{SnapshotManifest, SnapshotStep};
use crate::api::condition::Reason;
use crate::api::v1alpha1::ReleaseSpec;
use crate::api::v1alpha1::history::PinnedPackage;
use crate::api::v1alpha1::project::Manifest;
use crate::api::variables;
use crate::domain::name::{EnvironmentName, InvalidName, ProjectName, ReleaseVersion};
use crate::domain::variable::function::sha256;
use crate::steps::apply::image::PinnedImage;
use crate::steps::apply::manifest;
use crate::steps::apply::ownership::Scope;
use crate::steps::apply::prepare::prepare;
use crate::steps::apply::problem::Problem as StepProblem;

/// The manifests that a step writes out itself.
#[must_use]
pub fn inline(manifests: &[Manifest]) -> Vec<SnapshotManifest> {
    let values: Vec<_> = manifests.iter().map(|manifest| manifest.0.clone()).collect();
    manifest::inline(&values).into_iter().map(kept).collect()
}

/// The YAML documents of a ConfigMap, key by key.
///
/// # Errors
/// Every key that is no YAML, or that there is no document at all.
pub fn documents(
    (step, config_map): (&str, &str),
    files: &BTreeMap<String, String>,
) -> Result<Vec<SnapshotManifest>, Vec<Problem>> {
    let read = manifest::config_map(step, config_map, files)
        .map_err(|problems| problems.iter().map(problem).collect::<Vec<_>>())?;
    if read.is_empty() {
        let message = format!(
            "step {step}: ConfigMap {config_map} has no manifest: add a key with YAML documents, or remove the step"
        );
        return Err(vec![Problem::new(Reason::ManifestsNotFound, message)]);
    }
    Ok(read.into_iter().map(kept).collect())
}

/// Everything that the step would refuse in every environment: what is no manifest, and images that the release does not pin.
#[must_use]
pub fn check(step: &SnapshotStep, spec: &ReleaseSpec, packages: &[PinnedPackage]) -> Vec<Problem> {
    let scope = match scope(step, spec) {
        Ok(scope) => scope,
        Err(wrong) => return vec![Problem::new(Reason::Invalid, wrong.to_string())],
    };
    let manifests = step.apply.manifests.iter().map(anywhere).collect();
    let mut found: Vec<Problem> = step.apply.manifests.iter().flat_map(|manifest| unreadable(step, manifest)).collect();
    if let Err(problems) = prepare(manifests, &scope, &images(packages)) {
        found.extend(problems.told().iter().map(problem));
    }
    found
}

/// Every expression in a manifest that cannot be read. What its names mean is known only where it is promoted to.
fn unreadable(step: &SnapshotStep, manifest: &SnapshotManifest) -> Vec<Problem> {
    let mut wrong = Vec::new();
    variables::expressions(&manifest.object, &manifest.origin, &mut wrong);
    wrong.iter().map(|one| Problem::new(Reason::Invalid, format!("step {}, {one}", step.name))).collect()
}

/// The manifest without its expressions: what they would be can be anything. A name becomes one that no other has.
fn without_expressions(value: &mut Value, name: bool) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, field| name && key == "name" || !field.as_str().is_some_and(is_template));
            fields.iter_mut().for_each(|(key, field)| without_expressions(field, key == "metadata"));
        }
        Value::Array(items) => {
            items.retain(|item| !item.as_str().is_some_and(is_template));
            for item in items {
                without_expressions(item, false);
            }
        }
        Value::String(text) if is_template(text) => *text = format!("x{}", sha256(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_template(text: &str) -> bool {
    text.contains("${{")
}

/// The manifest without its namespace, which only a target can judge.
fn anywhere(manifest: &SnapshotManifest) -> manifest::Manifest {
    let mut value = manifest.object.clone();
    if let Some(metadata) = value.get_mut("metadata").and_then(serde_json::Value::as_object_mut) {
        metadata.remove("namespace");
    }
    without_expressions(&mut value, false);
    manifest::Manifest { origin: manifest.origin.clone(), value }
}

/// A scope without a target: its namespace is nobody's.
fn scope(step: &SnapshotStep, spec: &ReleaseSpec) -> Result<Scope, InvalidName> {
    Ok(Scope {
        step: step.name.clone(),
        space: String::new(),
        project: ProjectName::try_from(spec.project.as_str())?,
        environment: EnvironmentName::try_from("any")?,
        version: ReleaseVersion::try_from(spec.version.as_str())?,
        namespace: String::new(),
    })
}

/// The images that the release pins. What does not parse pins nothing, so its containers are refused.
#[must_use]
pub fn images(packages: &[PinnedPackage]) -> Vec<PinnedImage> {
    let image = |package: &PinnedPackage| {
        Some(PinnedImage {
            repository: package.image.parse().ok()?,
            tag: package.version.as_ref().and_then(|version| version.parse().ok()),
            digest: package.digest.parse().ok()?,
        })
    };
    packages.iter().filter_map(image).collect()
}

fn kept(manifest: manifest::Manifest) -> SnapshotManifest {
    SnapshotManifest { origin: manifest.origin, object: manifest.value }
}

fn problem(found: &StepProblem) -> Problem {
    Problem::new(Reason::Invalid, format!("step {}, {found}", found.step))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::snapshot::SnapshotApply;
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Vec<SnapshotManifest>, Vec<(Reason, String)>> {
        let files = files.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        documents(("deploy", "checkout"), &files)
            .map_err(|problems| problems.into_iter().map(|problem| (problem.reason, problem.message)).collect())
    }

    fn checked(objects: &[Value]) -> Vec<String> {
        let manifests: Vec<_> = objects.iter().cloned().map(Manifest).collect();
        let apply = SnapshotApply { manifests: inline(&manifests), force_conflicts: false };
        let step = SnapshotStep { name: "deploy".into(), timeout: "10m".into(), apply, ..SnapshotStep::default() };
        let spec = ReleaseSpec { project: "checkout".into(), version: "1.0.0".into(), ..ReleaseSpec::default() };
        let package = PinnedPackage {
            name: "api".into(),
            image: "ghcr.io/acme/checkout".into(),
            version: None,
            digest: format!("sha256:{}", "a".repeat(64)),
        };
        check(&step, &spec, &[package]).into_iter().map(|problem| problem.message).collect()
    }

    fn pod(image: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "somewhere"},
            "spec": {"containers": [{"name": "api", "image": image}]},
        })
    }

    #[test]
    fn a_key_that_is_no_yaml_is_named_with_step_and_remedy() {
        let wrong = read(&[("a.yaml", "kind: [Pod"), ("b.yaml", "a: 1")]).unwrap_err();
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        let (reason, message) = &wrong[0];
        assert_eq!(*reason, Reason::Invalid);
        assert!(message.starts_with("step deploy, ConfigMap checkout, key a.yaml: is not YAML"), "{message}");
    }

    #[test]
    fn a_config_map_without_any_manifest_says_so() {
        for files in [&[][..], &[("a.yaml", "# later\n")][..]] {
            let wrong = read(files).unwrap_err();
            assert!(wrong[0].0 == Reason::ManifestsNotFound && wrong[0].1.contains("has no manifest"), "{wrong:?}");
        }
    }

    #[test]
    fn an_image_that_is_no_package_is_refused_before_there_is_an_environment() {
        assert!(checked(&[pod("ghcr.io/acme/other")])[0].contains("ghcr.io/acme/other"));
    }

    #[test]
    fn a_namespace_is_judged_by_the_target_alone() {
        assert_eq!(checked(&[pod("ghcr.io/acme/checkout")]), [""; 0]);
    }

    #[test]
    fn an_expression_may_be_anything_but_must_be_readable() {
        let mut pod = pod("${{ packages.api.image }}");
        pod["metadata"]["name"] = "api-${{ environment.name }}".into();
        pod["metadata"]["labels"] = json!({"a": "${{ variables.A }}"});
        let mut other = pod.clone();
        other["metadata"]["name"] = "api-${{ target.name }}".into();
        other["spec"]["containers"][0]["args"] = json!(["${{ variables.MISSING }}", "b"]);
        assert_eq!(checked(&[pod.clone(), other]), [""; 0]);
        pod["spec"]["replicas"] = "${{ int( }}".into();
        let said = checked(&[pod]);
        assert!(said[0].starts_with("step deploy, manifests[0].spec.replicas: the expression is not CEL"), "{said:?}");
    }

    #[test]
    fn what_is_no_manifest_is_named_by_its_place() {
        let said = checked(&[json!({"kind": "Pod"})]);
        assert!(said[0].starts_with("step deploy, manifests[0]: apiVersion"), "{said:?}");
    }
}
