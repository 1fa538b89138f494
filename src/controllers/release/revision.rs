//! Snapshots as ControllerRevisions of the space: stored once, never changed (the API server refuses another `data`).

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use kube::api::PostParams;
use kube::{Api, Client};

use super::snapshot::{Content, NotThisSnapshot, Snapshot};
use crate::api::PROJECT_LABEL;
use crate::cluster::error::ClusterError;

/// Reads a snapshot and verifies that its content is what its name stands for.
///
/// # Errors
/// When it cannot be read now; inside, when it can never be used.
pub async fn load(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Result<Snapshot, NotThisSnapshot>, ClusterError> {
    let api: Api<ControllerRevision> = Api::namespaced(client.clone(), namespace);
    let stored = api.get_opt(name).await.map_err(|error| ClusterError::api(format!("read snapshot {name}"), error))?;
    let Some(revision) = stored else { return Ok(Err(NotThisSnapshot::Missing(name.to_owned()))) };
    Ok(Snapshot::read(name, &revision.data.map(|data| data.0).unwrap_or_default()))
}

/// Stores a snapshot under its name. One that is there already is what it should be, or an error.
///
/// # Errors
/// When it cannot be written, or when somebody put something else there.
pub async fn store(
    client: &Client,
    (namespace, project): (&str, &str),
    (name, content): (&str, &Content),
) -> Result<(), ClusterError> {
    let api: Api<ControllerRevision> = Api::namespaced(client.clone(), namespace);
    let revision = ControllerRevision {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from([(PROJECT_LABEL.to_owned(), project.to_owned())])),
            ..ObjectMeta::default()
        },
        data: Some(RawExtension(content.data.clone())),
        revision: 1,
    };
    let Err(error) = api.create(&PostParams::default(), &revision).await else { return Ok(()) };
    let exists = matches!(&error, kube::Error::Api(status) if status.reason == "AlreadyExists");
    if !exists {
        return Err(ClusterError::api(format!("store snapshot {name}"), error));
    }
    match load(client, namespace, name).await? {
        Ok(_) => Ok(()),
        Err(_) => Err(ClusterError::Unreadable {
            object: format!("ControllerRevision {name}"),
            message: "it is not the snapshot that its name stands for; delete it, and the release is sealed".to_owned(),
        }),
    }
}
