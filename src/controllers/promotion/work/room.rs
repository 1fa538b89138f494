//! Whether the inventories have room for what a promotion is about to apply. An inventory that could not be written would leave
//! objects that nobody knows of, so this is looked at before the first effect, for all steps together.

use std::collections::BTreeMap;

use kube::Client;

use super::inventory::Stored;
use crate::api::v1alpha1::Promotion;
use crate::cluster::error::ClusterError;
use crate::controllers::promotion::plan::PlannedStep;
use crate::steps::apply::check::Checked;
use crate::steps::apply::inventory::Inventory;
use crate::steps::apply::object::ObjectRef;
use crate::steps::apply::problem::{Problem, ProblemReason, Problems};

/// How long an inventory may get: the annotations of an object are 256 KiB at most (`TotalAnnotationSizeLimitB` of apimachinery),
/// and a part of it is for what others write there.
const LARGEST: usize = 252 * 1024;

/// What does not fit; `planned` is what each step applies.
///
/// # Errors
/// When an inventory cannot be read.
pub async fn missing(
    client: &Client,
    promotion: &Promotion,
    planned: &[(&PlannedStep, Vec<ObjectRef>)],
) -> Result<Problems, ClusterError> {
    let mut targets: BTreeMap<&str, Vec<&(&PlannedStep, Vec<ObjectRef>)>> = BTreeMap::new();
    for one in planned {
        targets.entry(&one.0.record.target).or_default().push(one);
    }
    let mut problems = Problems::default();
    for (target, steps) in targets {
        let stored = Stored::read(client, promotion, target).await?;
        problems.extend(too_many(&stored.inventory, (target, &steps)));
    }
    Ok(problems)
}

/// What was checked, without the rest.
#[must_use]
pub fn objects(checked: &[Checked]) -> Vec<ObjectRef> {
    checked.iter().map(|one| one.prepared.object.clone()).collect()
}

fn too_many(known: &Inventory, (target, steps): (&str, &[&(&PlannedStep, Vec<ObjectRef>)])) -> Option<Problem> {
    let after = steps.iter().fold(known.clone(), |known, (planned, objects)| {
        known.merged(&Inventory::planned(objects).by(&planned.record.name))
    });
    let (longest, step) = (after.longest(), &steps.first()?.0.record.name);
    (longest > LARGEST).then(|| Problem {
        step: step.clone(),
        targets: Vec::new(),
        object: format!("target {target}"),
        path: String::new(),
        reason: ProblemReason::InvalidManifest,
        message: format!(
            "the project would have {} objects there, whose list is longer than the {} KiB that there is room for: split the project, or give them shorter names",
            after.entries().len(),
            LARGEST / 1024
        ),
    })
}
