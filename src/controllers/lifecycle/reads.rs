//! How the lifecycle that counts is read: from the cache, or live where a decision cannot be taken back.

use std::sync::Arc;

use kube::Api;

use super::course::{self, Choice};
use crate::api::v1alpha1::{Lifecycle, Project, Release};
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;
use crate::domain::lifecycle::choice::Chosen;

/// The lifecycle that a release of a project follows, as the cache knows it.
#[must_use]
pub fn choice(context: &Context, space: &str, (project, release): (Option<&Project>, Option<&Release>)) -> Choice {
    let name = match course::chosen(project, release) {
        Chosen::ByOrder => return Choice::ByOrder,
        Chosen::NoChannel(channel) => return Choice::NoChannel(channel.to_owned()),
        Chosen::Named(name) => name,
    };
    let (key, lifecycles) = (Key::new(space, name), &context.stores.lifecycles);
    Choice::Named { name: name.to_owned(), object: lifecycles.get(&key), broken: lifecycles.broken(&key) }
}

/// The lifecycle that was chosen as the API server has it now. Where none was nothing is read.
///
/// # Errors
/// When it cannot be read.
pub async fn live_choice(context: &Context, space: &str, chosen: Chosen<'_>) -> Result<Choice, ClusterError> {
    let name = match chosen {
        Chosen::ByOrder => return Ok(Choice::ByOrder),
        Chosen::NoChannel(channel) => return Ok(Choice::NoChannel(channel.to_owned())),
        Chosen::Named(name) => name,
    };
    let api: Api<Lifecycle> = Api::namespaced(context.cluster.client(), space);
    let read = api.get_opt(name).await;
    let object = read.map_err(|error| ClusterError::api(format!("read lifecycle {name}"), error))?.map(Arc::new);
    Ok(Choice::Named { name: name.to_owned(), object, broken: None })
}
