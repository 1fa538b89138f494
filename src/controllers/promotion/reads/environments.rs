//! The environments of a space as the API server has them now, with little said: it is asked which there are and in which
//! version, and only those that the cache has in another one are read.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Client};

use super::object::{Listed, all};
use crate::api::v1alpha1::Environment;
use crate::cluster::cache::{Key, Versioned};
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;

/// How many are read at once.
const AT_ONCE: usize = 8;

/// All environments of a space that read as such, and why the others do not.
///
/// # Errors
/// When they cannot be read.
pub(super) async fn live(context: &Context, space: &str) -> Result<Listed<Arc<Environment>>, ClusterError> {
    let client = context.cluster.client();
    let api: Api<DeserializeGuard<Environment>> = Api::namespaced(client.clone(), space);
    let listed = api.list_metadata(&ListParams::default()).await;
    let listed = listed.map_err(|error| ClusterError::api("list environments", error))?;
    let mut known = Listed::default();
    let mut unknown = Vec::new();
    for meta in listed.items {
        let name = meta.metadata.name.clone().unwrap_or_default();
        let cached = context.stores.environments.get(&Key::new(space, &name));
        match cached.filter(|cached| is_same(cached.as_ref(), &meta)) {
            Some(cached) => known.0.push(cached),
            None => unknown.push(name),
        }
    }
    // One that went between the two reads is not there.
    for (found, broken) in read_each(&client, space, unknown).await? {
        known.0.extend(found.into_iter().map(Arc::new));
        known.1.extend(broken);
    }
    known.0.sort_by(|one, other| one.metadata.name.cmp(&other.metadata.name));
    Ok(known)
}

fn is_same(cached: &impl Versioned, live: &impl Versioned) -> bool {
    cached.uid() == live.uid() && cached.resource_version() == live.resource_version()
}

/// The operator may list environments, and an answer to a list of one is as good as that to a read.
async fn read_each(client: &Client, space: &str, names: Vec<String>) -> Result<Vec<Listed<Environment>>, ClusterError> {
    let one = |name: String| {
        all::<Environment>(client, space, ListParams::default().fields(&format!("metadata.name={name}")))
    };
    stream::iter(names).map(one).buffered(AT_ONCE).try_collect().await
}
