//! How the lifecycle that counts is read: from the cache, or live where a decision cannot be taken back.

use std::sync::Arc;

use kube::Api;

use super::course::{self, Choice};
use crate::api::v1alpha1::{Lifecycle, Project};
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;

/// The lifecycle that the releases of a project follow, as the cache knows it.
#[must_use]
pub fn choice(context: &Context, space: &str, project: Option<&Project>) -> Choice {
    let Some(name) = course::chosen(project) else { return Choice::ByOrder };
    let (key, lifecycles) = (Key::new(space, name), &context.stores.lifecycles);
    Choice::Named { name: name.to_owned(), object: lifecycles.get(&key), broken: lifecycles.broken(&key) }
}

/// The same as the API server says it now. Where none was chosen nothing is read.
///
/// # Errors
/// When it cannot be read.
pub async fn live_choice(context: &Context, space: &str, project: Option<&Project>) -> Result<Choice, ClusterError> {
    let Some(name) = course::chosen(project) else { return Ok(Choice::ByOrder) };
    let api: Api<Lifecycle> = Api::namespaced(context.cluster.client(), space);
    let read = api.get_opt(name).await;
    let object = read.map_err(|error| ClusterError::api(format!("read lifecycle {name}"), error))?.map(Arc::new);
    Ok(Choice::Named { name: name.to_owned(), object, broken: None })
}
