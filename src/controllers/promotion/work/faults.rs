//! What is wrong with the steps of a promotion that cannot start: told at once, and not one a try.

use std::sync::Arc;

use super::manifests;
use super::rendering::Renderer;
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;
use crate::controllers::promotion::conditions;
use crate::controllers::promotion::observe::Observed;
use crate::controllers::promotion::plan;
use crate::controllers::promotion::plan::PlanState;
use crate::steps::apply::problem::Problems;

/// Everything that is wrong with the steps of a promotion that cannot start, as far as it is seen without asking the targets.
///
/// # Errors
/// When a Secret could not be read now.
pub async fn faults(context: &Context, observed: &Observed) -> Result<Problems, ClusterError> {
    let PlanState::Known(plan) = &observed.plan else { return Ok(Problems::default()) };
    let mut begun = observed.clone();
    let status = Arc::make_mut(&mut begun.promotion).status.get_or_insert_default();
    status.steps = conditions::choose(observed, plan).records;
    let renderer = Renderer { context, observed: &begun, plan };
    let mut problems = Problems::default();
    for (_, planned) in plan.steps.iter().enumerate().filter(|(index, _)| !plan::is_skipped(&begun.promotion, *index)) {
        let scope = manifests::scope(&begun.promotion, &planned.record)?;
        if let Err(found) = renderer.render(planned, &scope).await? {
            problems.append(plan.placed(found, planned));
        }
    }
    Ok(problems)
}
