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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    use http::{Request, Response};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Client;
    use kube::client::Body;
    use serde_json::Value;

    /// An API server that answers with this code, and the patches that it was sent.
    fn server(code: u16) -> (Api<ConfigMap>, Arc<Mutex<Vec<Value>>>) {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&sent);
        let service = tower::service_fn(move |request: Request<Body>| {
            let received = Arc::clone(&received);
            async move {
                let body = request.into_body().collect_bytes().await.unwrap();
                received.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                let kind = if code == 200 { "ConfigMap" } else { "Status" };
                let answer = json!({"kind": kind, "code": code, "reason": "", "metadata": {}}).to_string();
                let answer = Response::builder().status(code).body(axum::body::Body::from(answer)).unwrap();
                Ok::<_, std::convert::Infallible>(answer)
            }
        });
        (Api::namespaced(Client::new(service, "shop"), "shop"), sent)
    }

    fn held_by(finalizers: &[&str]) -> ConfigMap {
        serde_json::from_value(json!({"metadata": {
            "name": "a", "uid": "u", "resourceVersion": "7", "finalizers": finalizers,
        }}))
        .unwrap()
    }

    #[tokio::test]
    async fn only_that_finalizer_is_removed_and_only_from_the_version_that_was_read() {
        let (api, sent) = server(200);
        remove(&api, &held_by(&["x/keep", "gantry.dev/recorded", "y/keep"]), "gantry.dev/recorded").await.unwrap();
        let patch = json!({"metadata": {"resourceVersion": "7", "uid": "u", "finalizers": ["x/keep", "y/keep"]}});
        assert_eq!(*sent.lock().unwrap(), [patch]);
    }

    #[tokio::test]
    async fn one_that_is_not_there_is_not_written() {
        let (api, sent) = server(200);
        remove(&api, &held_by(&["x/keep"]), "gantry.dev/recorded").await.unwrap();
        assert!(sent.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_object_that_is_gone_is_done_and_one_that_changed_is_a_conflict() {
        let object = held_by(&["gantry.dev/recorded"]);
        assert!(remove(&server(404).0, &object, "gantry.dev/recorded").await.is_ok());
        let changed = remove(&server(409).0, &object, "gantry.dev/recorded").await.unwrap_err();
        assert!(changed.is_conflict());
    }
}
