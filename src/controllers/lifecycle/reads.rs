//! How the lifecycle that counts is read: from the cache, or live where a decision cannot be taken back.

use std::sync::Arc;

use kube::Api;

use super::course::{self, Choice};
use crate::api::v1alpha1::{Lifecycle, Project, Release};
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;

/// The lifecycle that a release of a project follows, as the cache knows it.
#[must_use]
pub fn choice(context: &Context, space: &str, (project, release): (Option<&Project>, Option<&Release>)) -> Choice {
    let Some(name) = course::chosen(project, release) else { return Choice::ByOrder };
    let (key, lifecycles) = (Key::new(space, name), &context.stores.lifecycles);
    Choice::Named { name: name.to_owned(), object: lifecycles.get(&key), broken: lifecycles.broken(&key) }
}

/// The lifecycle of this name as the API server has it now. Where none was chosen nothing is read.
///
/// # Errors
/// When it cannot be read.
pub async fn live_choice(context: &Context, space: &str, name: Option<&str>) -> Result<Choice, ClusterError> {
    let Some(name) = name else { return Ok(Choice::ByOrder) };
    let api: Api<Lifecycle> = Api::namespaced(context.cluster.client(), space);
    let read = api.get_opt(name).await;
    let object = read.map_err(|error| ClusterError::api(format!("read lifecycle {name}"), error))?.map(Arc::new);
    Ok(Choice::Named { name: name.to_owned(), object, broken: None })
}
