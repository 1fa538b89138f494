//! Removing one finalizer, and only that one.

use std::fmt::Debug;

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::error::ClusterError;

/// Takes one finalizer off an object, on the version that was read. One that is not there, or whose object is gone, is done.
///
/// # Errors
/// When the API server does not take it; a conflict means that somebody else wrote since.
pub async fn remove<K>(api: &Api<K>, object: &K, finalizer: &str) -> Result<(), ClusterError>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    let meta = object.meta();
    let kept: Vec<&String> = meta.finalizers.iter().flatten().filter(|known| *known != finalizer).collect();
    if kept.len() == meta.finalizers.iter().flatten().count() {
        return Ok(());
    }
    let patch = json!({"metadata": {
        "resourceVersion": meta.resource_version,
        "uid": meta.uid,
        "finalizers": kept,
    }});
    let name = meta.name.clone().unwrap_or_default();
    match api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(ClusterError::api(format!("release {name}"), error)),
        Ok(_) => Ok(()),
    }
}
