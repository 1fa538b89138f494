//! Writes of the status subresource: only what differs, and only on the version that was read.

use std::fmt::Debug;

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::error::ClusterError;

/// Writes the difference between two statuses, with the resourceVersion that `before` was read at. Nothing is sent when they
/// are the same. Fields that are the same in both are not touched, so two writers of different fields do not undo each other.
///
/// # Errors
/// When the API server does not take it; a conflict means that somebody else wrote since.
pub async fn write<K, S>(api: &Api<K>, object: &K, (before, after): (&S, &S)) -> Result<Option<K>, ClusterError>
where
    K: Resource + Clone + Debug + DeserializeOwned,
    S: Serialize,
{
    let unreadable = |error: serde_json::Error| ClusterError::Bug(format!("a status does not serialize: {error}"));
    let before = serde_json::to_value(before).map_err(unreadable)?;
    let after = serde_json::to_value(after).map_err(unreadable)?;
    let Some(difference) = difference(&before, &after) else { return Ok(None) };
    let meta = object.meta();
    let name = meta.name.clone().unwrap_or_default();
    let patch = json!({
        "metadata": { "resourceVersion": meta.resource_version, "uid": meta.uid },
        "status": difference,
    });
    let written = api.patch_status(&name, &PatchParams::default(), &Patch::Merge(patch)).await;
    written.map(Some).map_err(|error| ClusterError::api(format!("write the status of {name}"), error))
}

/// The JSON merge patch (RFC 7386) that turns `before` into `after`; nothing if they are the same.
#[must_use]
pub fn difference(before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    let (Value::Object(old), Value::Object(new)) = (before, after) else { return Some(after.clone()) };
    let mut patch = Map::new();
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, value) in new {
        match old.get(name) {
            Some(known) => patch.extend(difference(known, value).map(|change| (name.clone(), change))),
            None => drop(patch.insert(name.clone(), value.clone())),
        }
    }
    Some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_status_needs_no_patch() {
        let status = json!({"a": 1, "b": [1, 2]});
        assert_eq!(difference(&status, &status), None);
    }

    #[test]
    fn a_patch_holds_what_changed_and_null_for_what_is_gone() {
        let before = json!({"a": 1, "b": [1, 2], "c": {"d": 1, "e": 2}, "f": "x"});
        let after = json!({"a": 1, "b": [2], "c": {"d": 1, "e": 3}});
        assert_eq!(difference(&before, &after), Some(json!({"b": [2], "c": {"e": 3}, "f": null})));
    }

    #[tokio::test]
    async fn what_is_written_is_the_difference_on_the_version_that_was_read() {
        use std::sync::{Arc, Mutex};
        let sent = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&sent);
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let received = Arc::clone(&received);
            async move {
                let path = request.uri().path().to_owned();
                let body: Value = serde_json::from_slice(&request.into_body().collect_bytes().await.unwrap()).unwrap();
                received.lock().unwrap().push((path, body));
                let answer = axum::body::Body::from(r#"{"metadata": {"name": "web", "resourceVersion": "8"}}"#);
                Ok::<_, std::convert::Infallible>(http::Response::new(answer))
            }
        });
        let api: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(kube::Client::new(service, "shop"), "shop");
        let metadata = json!({"metadata": {"name": "web", "uid": "u", "resourceVersion": "7"}});
        let pod = serde_json::from_value(metadata).unwrap();
        let (before, after) = (json!({"phase": "Pending", "message": "x"}), json!({"phase": "Running"}));
        assert_eq!(write(&api, &pod, (&after, &after)).await.unwrap(), None);
        let written = write(&api, &pod, (&before, &after)).await.unwrap().unwrap();
        assert_eq!(written.metadata.resource_version.as_deref(), Some("8"));
        let patch = json!({
            "metadata": {"resourceVersion": "7", "uid": "u"},
            "status": {"phase": "Running", "message": null},
        });
        assert_eq!(*sent.lock().unwrap(), [("/api/v1/namespaces/shop/pods/web/status".to_owned(), patch)]);
    }
}
