//! From a step of a snapshot to objects that the apply step takes. Pure.

use crate::api::v1alpha1::Promotion;
use crate::api::v1alpha1::history::PinnedPackage;
use crate::api::v1alpha1::promotion_status::StepRecord;
use crate::cluster::error::ClusterError;
use crate::controllers::release::snapshot::SnapshotStep;
use crate::domain::name::InvalidName;
use crate::steps::apply::image::PinnedImage;
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

/// The images of a sealed release. What does not parse pins nothing, so its containers are refused.
fn images(packages: &[PinnedPackage]) -> Vec<PinnedImage> {
    let image = |package: &PinnedPackage| {
        Some(PinnedImage {
            repository: package.image.parse().ok()?,
            tag: package.version.as_ref().and_then(|version| version.parse().ok()),
            digest: package.digest.parse().ok()?,
        })
    };
    packages.iter().filter_map(image).collect()
}
