//! How the freezes of a space are read: from the cache, or live before a promotion starts and before it goes on.

use std::sync::Arc;

use kube::Client;
use kube::api::ListParams;

use super::Read;
use crate::api::v1alpha1::Freeze;
use crate::cluster::error::ClusterError;
use crate::controllers::promotion::reads::object::all;
use crate::controllers::stores::Stores;

/// Those that the cache knows.
#[must_use]
pub fn cached(stores: &Stores, space: &str) -> Read {
    let objects = stores.freezes.in_namespace(space);
    Read { objects, broken: stores.freezes.broken_in_namespace(space), live: false }
}

/// Those that the API server has now.
///
/// # Errors
/// When they cannot be read.
pub async fn live(client: &Client, space: &str) -> Result<Read, ClusterError> {
    let (objects, broken) = all::<Freeze>(client, space, ListParams::default()).await?;
    Ok(Read { objects: objects.into_iter().map(Arc::new).collect(), broken, live: true })
}
