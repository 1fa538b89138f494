//! Waiting for conditions: by watch where there is an object, by trying again where there is none. Never by sleeping.

use std::fmt::Debug;
use std::time::Duration;

use kube::runtime::wait::{Condition, await_condition};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long anything may take before a test fails: two cores, everything at once.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Waits until an object fulfils a condition, and gives it back. Fails with what the object looked like.
pub async fn until<K>(api: &Api<K>, name: &str, what: &str, condition: impl Condition<K>) -> Option<K>
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
{
    match tokio::time::timeout(PATIENCE, await_condition(api.clone(), name, condition)).await {
        Ok(Ok(object)) => object,
        Ok(Err(error)) => panic!("waiting until {name} is {what}: {error}"),
        Err(_) => {
            let last = api.get_opt(name).await;
            let shown = last.map(|object| serde_json::to_string_pretty(&object).unwrap_or_default());
            panic!("{name} is not {what} after {PATIENCE:?}; it is {}", shown.unwrap_or_else(|error| error.to_string()))
        }
    }
}

/// Waits until an object that must exist fulfils a condition.
pub async fn object<K>(api: &Api<K>, name: &str, what: &str, condition: impl Fn(&K) -> bool) -> K
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
{
    let found = until(api, name, what, |object: Option<&K>| object.is_some_and(&condition)).await;
    found.unwrap_or_else(|| panic!("{name} is gone"))
}

/// Waits until an object is gone.
pub async fn gone<K>(api: &Api<K>, name: &str)
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
{
    until(api, name, "gone", |object: Option<&K>| object.is_none()).await;
}

/// Tries until something is there.
pub async fn eventually<T, F>(what: &str, attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    eventually_within(PATIENCE, what, attempt).await
}

/// Tries until something is there, for at most this long.
pub async fn eventually_within<T, F>(patience: Duration, what: &str, mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let tried = async {
        let mut pause = tokio::time::interval(Duration::from_millis(100));
        loop {
            pause.tick().await;
            if let Some(found) = attempt().await {
                return found;
            }
        }
    };
    tokio::time::timeout(patience, tried).await.unwrap_or_else(|_| panic!("{what}: not after {patience:?}"))
}
