//! Applies YAML as `kubectl apply --server-side` does, with any client.

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{self, Scope};
use kube::{Client, ResourceExt};
use serde_json::Value;

/// Why a manifest could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not YAML.
    #[error("document {number} is not YAML: {source}")]
    Unreadable {
        /// Its place in the text, from 1.
        number: usize,
        /// What is wrong.
        source: serde_saphyr::Error,
    },
    /// It is not a Kubernetes object.
    #[error("document {number} has no {field}")]
    Incomplete {
        /// Its place in the text, from 1.
        number: usize,
        /// The field that is missing.
        field: &'static str,
    },
    /// The API server does not know the kind, or refused the object.
    #[error("{object}: {source}")]
    Refused {
        /// Kind and name.
        object: String,
        /// What the API server said.
        source: Box<kube::Error>,
    },
}

/// Every document of a YAML text; empty ones are left out.
///
/// # Errors
/// When a document is not YAML.
pub fn documents(text: &str) -> Result<Vec<Value>, ManifestError> {
    let split = text.split("\n---").map(|document| document.trim_start_matches("---"));
    let mut found = Vec::new();
    for (index, document) in split.enumerate() {
        let value: Option<Value> = serde_saphyr::from_str(document)
            .map_err(|source| ManifestError::Unreadable { number: index + 1, source })?;
        found.extend(value.filter(|value| !value.is_null()));
    }
    Ok(found)
}

/// Applies every document in order and gives back what the API server answered.
///
/// # Errors
/// The first document that cannot be applied.
pub async fn apply(client: &Client, manager: &str, text: &str) -> Result<Vec<DynamicObject>, ManifestError> {
    let mut applied = Vec::new();
    for (index, document) in documents(text)?.into_iter().enumerate() {
        applied.push(apply_one(client, manager, (index + 1, document)).await?);
    }
    Ok(applied)
}

async fn apply_one(
    client: &Client,
    manager: &str,
    (number, document): (usize, Value),
) -> Result<DynamicObject, ManifestError> {
    let incomplete = |field| ManifestError::Incomplete { number, field };
    let object: DynamicObject = serde_json::from_value(document.clone()).map_err(|_| incomplete("metadata"))?;
    let types = object.types.clone().ok_or_else(|| incomplete("kind"))?;
    let name = object.metadata.name.clone().ok_or_else(|| incomplete("metadata.name"))?;
    let refused = |source: kube::Error| ManifestError::Refused {
        object: format!("{} {name}", types.kind),
        source: Box::new(source),
    };
    let gvk = GroupVersionKind::try_from(&types).map_err(|_| incomplete("apiVersion"))?;
    let (resource, capabilities) = discovery::oneshot::pinned_kind(client, &gvk).await.map_err(refused)?;
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = object.namespace().unwrap_or_else(|| client.default_namespace().to_owned());
            Api::namespaced_with(client.clone(), &namespace, &resource)
        }
    };
    api.patch(&name, &PatchParams::apply(manager), &Patch::Apply(&document)).await.map_err(refused)
}
