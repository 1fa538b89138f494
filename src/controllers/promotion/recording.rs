//! From the end of a promotion to every history: the audit record of what it overrode, that of its end, then the rows, then the
//! finalizer goes.

pub mod news;
pub mod record;
pub mod telling;

use kube::Api;

use super::reads;
use crate::api::RECORDED_FINALIZER;
use crate::api::v1alpha1::Promotion;
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::cluster::finalizer;
use crate::controllers::context::Context;
use crate::controllers::{deployments, project, records, release};
use crate::domain::promotion::outcome::Outcome;

/// Whether a promotion has ended, its audit record is written, and rows are still missing: then there is nothing to be done
/// for it, and nothing is read.
#[must_use]
pub fn waits_for_rows(context: &Context, key: &Key) -> bool {
    let ended = context.outcomes.waiting_for_rows(&key.namespace, &key.name);
    ended.is_some_and(|outcome| !is_recorded(context, &outcome))
}

/// Takes a finished promotion one step further towards being recorded everywhere. Harmless to repeat.
///
/// # Errors
/// When something could not be written; it is tried again.
pub async fn record(context: &Context, promotion: &Promotion) -> Result<(), ClusterError> {
    let uid = promotion.metadata.uid.as_deref().unwrap_or_default();
    let held = promotion.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == RECORDED_FINALIZER);
    if !held {
        context.outcomes.forget(uid);
        return Ok(());
    }
    if !context.outcomes.is_audited(uid) {
        records::overridden(context, promotion).await?;
    }
    if let Some(audit) = record::record(promotion) {
        // Once the rows are written the promotion comes here again, and its record is there.
        if !context.outcomes.is_audited(uid) {
            let again = context.outcomes.begins_audit(uid);
            // One that is there although this process did not hear so is its own: somebody else's was told by whoever wrote it.
            if records::keep(context, &audit).await? || again {
                telling::end(context, promotion);
            }
            context.outcomes.audited(uid);
        }
        let outcome = record::outcome(promotion);
        if let Some(outcome) = outcome.filter(Outcome::counts) {
            let everywhere = is_recorded(context, &outcome);
            context.outcomes.add(outcome);
            if !everywhere {
                return Ok(());
            }
        }
    }
    let api: Api<Promotion> =
        Api::namespaced(context.cluster.client(), promotion.metadata.namespace.as_deref().unwrap_or_default());
    finalizer::remove(&api, promotion, RECORDED_FINALIZER).await?;
    context.outcomes.forget(uid);
    Ok(())
}

/// Whether every object that is still there has the end in its rows.
fn is_recorded(context: &Context, outcome: &Outcome) -> bool {
    let stores = &context.stores;
    let environment = |name: &str| stores.environments.get(&Key::new(&outcome.space, name)).is_some();
    let project = |name: &str| stores.projects.get(&Key::new(&outcome.space, name)).is_some();
    let by_project = stores.projects.get(&Key::new(&outcome.space, outcome.project.as_str())).is_none_or(|known| {
        known.status.as_ref().is_some_and(|status| project::rows::records(&status.environments, outcome, environment))
    });
    let by_environment =
        stores.environments.get(&Key::new(&outcome.space, outcome.environment.as_str())).is_none_or(|known| {
            known.status.as_ref().is_some_and(|status| deployments::rows::records(status, outcome, project))
        });
    let by_release = stores.releases.get(&reads::release_key(outcome)).is_none_or(|known| {
        let uid = known.metadata.uid.as_deref().unwrap_or_default();
        known.status.as_ref().is_some_and(|status| release::rows::records((uid, status), outcome, environment))
    });
    by_project && by_environment && by_release
}
