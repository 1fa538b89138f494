//! From a step of a snapshot to objects that the apply step takes. Pure.

use serde_json::Value;

use crate::api::v1alpha1::Promotion;
use crate::api::v1alpha1::history::PinnedPackage;
use crate::api::v1alpha1::promotion_status::StepRecord;
use crate::cluster::error::ClusterError;
use crate::controllers::release::manifests::images;
use crate::controllers::release::snapshot::SnapshotStep;
use crate::domain::name::InvalidName;
use crate::steps::apply::inventory::Entry;
use crate::steps::apply::manifest::Manifest;
use crate::steps::apply::ownership::Scope;
use crate::steps::apply::prepare::{Prepared, prepare};
use crate::steps::apply::problem::Problems;

/// The manifests of a step as they were written, expressions and all.
#[must_use]
pub fn written(step: &SnapshotStep) -> Vec<Manifest> {
    let manifests = step.apply.manifests.iter();
    manifests.map(|one| Manifest { origin: one.origin.clone(), value: one.object.clone() }).collect()
}

/// Whether a step may have an object, as far as can be seen without evaluating anything: an expression may be anything.
#[must_use]
pub fn may_have(step: &SnapshotStep, entry: &Entry) -> bool {
    let is = |written: Option<&Value>, text: &str| {
        written.and_then(Value::as_str).is_some_and(|written| written == text || written.contains("${{"))
    };
    step.apply.manifests.iter().any(|manifest| {
        let field = |pointer: &str| manifest.object.pointer(pointer);
        let group = field("/apiVersion")
            .and_then(Value::as_str)
            .map(|version| version.split_once('/').map_or("", |parts| parts.0));
        let group = group.is_some_and(|group| group == entry.group || group.contains("${{"));
        group && is(field("/kind"), &entry.kind) && is(field("/metadata/name"), &entry.name)
    })
}

/// The objects of manifests with labels and images, or everything that is wrong with them.
///
/// # Errors
/// All problems of all manifests.
pub fn prepared(
    manifests: Vec<Manifest>,
    scope: &Scope,
    packages: &[PinnedPackage],
) -> Result<Vec<Prepared>, Problems> {
    prepare(manifests, scope, &images(packages))
}

/// For whom a step works, and where.
///
/// # Errors
/// When a name in the promotion is none; those were refused before it started.
pub fn scope(promotion: &Promotion, record: &StepRecord) -> Result<Scope, ClusterError> {
    let spec = &promotion.spec;
    let wrong = |error: InvalidName| ClusterError::Bug(format!("a promotion runs whose spec does not read: {error}"));
    Ok(Scope {
        step: record.name.clone(),
        space: promotion.metadata.namespace.clone().unwrap_or_default(),
        project: spec.project.as_str().try_into().map_err(wrong)?,
        environment: spec.environment.as_str().try_into().map_err(wrong)?,
        version: spec.version.as_str().try_into().map_err(wrong)?,
        namespace: record.namespace.clone(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controllers::release::snapshot::{SnapshotApply, SnapshotManifest};

    #[test]
    fn a_step_may_have_what_it_writes_by_name_and_whatever_an_expression_may_become() {
        let manifest = |object| SnapshotManifest { origin: String::new(), object };
        let manifests = vec![
            manifest(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}})),
            manifest(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x-${{ target.name }}"}})),
        ];
        let apply = SnapshotApply { manifests, force_conflicts: false };
        let step = SnapshotStep { apply, ..SnapshotStep::default() };
        let has = |group: &str, kind: &str, name: &str| {
            let entry = json!({"group": group, "kind": kind, "namespace": "n", "name": name, "version": "v1"});
            may_have(&step, &serde_json::from_value(entry).unwrap())
        };
        assert!(has("apps", "Deployment", "api") && has("", "ConfigMap", "x-eu") && has("", "ConfigMap", "other"));
        assert!(!has("apps", "Deployment", "web") && !has("", "Deployment", "api") && !has("", "Secret", "x-eu"));
    }
}
