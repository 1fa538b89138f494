//! Live reads of objects that may not read as their kind.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Client};

use crate::cluster::error::ClusterError;

/// An object, and else why it does not read as its kind, if it exists.
pub(in crate::controllers::promotion) fn read<K>(found: Option<DeserializeGuard<K>>) -> (Option<K>, Option<Arc<str>>) {
    match found {
        Some(DeserializeGuard(Ok(object))) => (Some(object), None),
        Some(DeserializeGuard(Err(broken))) => (None, Some(broken.error.as_str().into())),
        None => (None, None),
    }
}

/// One object, if it exists, whether or not it reads as its kind.
///
/// # Errors
/// When the API server does not answer.
pub(in crate::controllers::promotion) async fn get<K>(
    client: &Client,
    space: &str,
    name: &str,
) -> Result<Option<DeserializeGuard<K>>, ClusterError>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let api: Api<DeserializeGuard<K>> = Api::namespaced(client.clone(), space);
    api.get_opt(name).await.map_err(|error| ClusterError::api(format!("read {name}"), error))
}

/// The objects of a kind that read as it, and those that do not by name: one of them stops nobody else.
///
/// # Errors
/// When the API server does not answer.
pub(in crate::controllers::promotion) async fn all<K>(
    client: &Client,
    space: &str,
    which: ListParams,
) -> Result<Listed<K>, ClusterError>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let api: Api<DeserializeGuard<K>> = Api::namespaced(client.clone(), space);
    let kind = K::plural(&());
    let listed = api.list(&which).await.map_err(|error| ClusterError::api(format!("list {kind}"), error))?;
    let (mut readable, mut broken) = (Vec::new(), BTreeMap::new());
    for object in listed.items {
        match object.0 {
            Ok(object) => readable.push(object),
            Err(wrong) => {
                broken.insert(wrong.metadata.name.unwrap_or_default(), Arc::from(wrong.error));
            }
        }
    }
    Ok((readable, broken))
}

/// Readable objects, and why the others are not.
pub(in crate::controllers::promotion) type Listed<K> = (Vec<K>, BTreeMap<String, Arc<str>>);
