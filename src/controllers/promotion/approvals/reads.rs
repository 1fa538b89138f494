//! How the decisions on a promotion are read: from the cache, or live before it starts.

use std::sync::Arc;

use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Client};

use super::tally;
use crate::api::v1alpha1::Approval;
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;
use crate::controllers::promotion::observe::Observed;

/// The decisions on a promotion that the cache knows.
#[must_use]
pub fn cached(context: &Context, promotion: &Key) -> Vec<Arc<Approval>> {
    let mut known = context.stores.approvals.in_namespace(&promotion.namespace);
    known.retain(|approval| approval.spec.promotion == promotion.name);
    known
}

/// The same with what the API server says now, where the promotion cannot start without it. What does not read as its kind counts for
/// nothing.
///
/// # Errors
/// When they cannot be read.
pub async fn live(client: &Client, observed: Observed) -> Result<Observed, ClusterError> {
    if tally(&observed).needed == 0 {
        return Ok(observed);
    }
    let Key { namespace, name } = Key::of(observed.promotion.as_ref());
    let api: Api<DeserializeGuard<Approval>> = Api::namespaced(client.clone(), &namespace);
    let of_promotion = ListParams::default().fields(&format!("spec.promotion={name}"));
    let listed = api.list(&of_promotion).await.map_err(|error| ClusterError::api("list approvals", error))?;
    let readable = listed.items.into_iter().filter_map(|read| read.0.ok()).map(Arc::new);
    Ok(Observed { approvals: readable.collect(), ..observed })
}
