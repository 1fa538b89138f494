//! A cache fed with events, and with an API server that is a function.

use futures::StreamExt;
use http::{Request, Response};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::client::Body;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::*;

fn guarded<K: serde::de::DeserializeOwned + Resource>(object: Value) -> DeserializeGuard<K> {
    serde_json::from_value(object).unwrap()
}

fn map(namespace: &str, name: &str, version: u64) -> DeserializeGuard<ConfigMap> {
    guarded(json!({"metadata": {
        "namespace": namespace, "name": name, "uid": format!("{name}-1"), "resourceVersion": version.to_string(),
        "managedFields": [{"manager": "kubectl"}],
    }}))
}

async fn feed<K: Resource + Clone + Debug + Send + Sync + 'static>(
    cache: &Cache<K>,
    events: impl IntoIterator<Item = Event<DeserializeGuard<K>>, IntoIter: Send>,
) {
    let events: Vec<_> = events.into_iter().collect();
    let events = futures::stream::iter(events.into_iter().map(Ok::<_, watcher::Error>));
    follow("trials".into(), cache.clone(), events).await;
}

/// What was told since it was last asked: `+name` is there, `-name` is gone.
fn told<K>(changes: &mut mpsc::UnboundedReceiver<Change<K>>) -> Vec<String> {
    let sign = |change: &Change<K>| if change.gone { "-" } else { "+" };
    std::iter::from_fn(|| changes.try_recv().ok())
        .map(|change| format!("{}{}", sign(&change), change.key.name))
        .collect()
}

#[tokio::test]
async fn an_object_that_does_not_read_is_kept_with_the_reason_and_stops_nobody() {
    let cache = Cache::<Pod>::default();
    let broken = json!({"metadata": {"namespace": "shop", "name": "bad"}, "spec": {"containers": "none"}});
    let good = json!({"metadata": {"namespace": "shop", "name": "good"}});
    feed(&cache, [Event::Init, Event::InitApply(guarded(broken)), Event::InitApply(guarded(good)), Event::InitDone])
        .await;
    assert!(cache.is_synced());
    assert!(cache.get(&Key::new("shop", "good")).is_some());
    assert_eq!((cache.get(&Key::new("shop", "bad")), cache.len()), (None, 2));
    assert!(
        cache
            .broken(&Key::new("shop", "bad"))
            .is_some_and(|why| why.contains("containers") || why.contains("sequence"))
    );
}

#[tokio::test]
async fn managed_fields_are_not_kept() {
    let cache = Cache::default();
    feed(&cache, [Event::Apply(map("shop", "a", 1))]).await;
    assert_eq!(cache.get(&Key::new("shop", "a")).unwrap().metadata.managed_fields, None);
}

#[tokio::test]
async fn a_list_after_a_broken_watch_tells_only_what_is_different() {
    let cache = Cache::default();
    let mut changes = cache.subscribe();
    let listed = |objects: &[(&str, u64)]| {
        let objects = objects.iter().map(|(name, version)| Event::InitApply(map("shop", name, *version)));
        [Event::Init].into_iter().chain(objects).chain([Event::InitDone]).collect::<Vec<_>>()
    };
    feed(&cache, listed(&[("a", 1), ("b", 2), ("c", 3)])).await;
    assert_eq!(told(&mut changes), ["+a", "+b", "+c"]);
    feed(&cache, listed(&[("a", 1), ("b", 5), ("d", 6)])).await;
    assert_eq!(told(&mut changes), ["-c", "+b", "+d"]);
}

#[tokio::test]
async fn what_a_watch_replays_does_not_undo_what_is_known() {
    let cache = Cache::default();
    feed(&cache, [Event::Apply(map("shop", "a", 7))]).await;
    let mut changes = cache.subscribe();
    let _ = told(&mut changes);
    feed(&cache, [Event::Apply(map("shop", "a", 6)), Event::Delete(map("shop", "x", 1))]).await;
    assert_eq!(told(&mut changes), Vec::<String>::new());
    let known = cache.get(&Key::new("shop", "a")).unwrap();
    assert_eq!(known.metadata.resource_version.as_deref(), Some("7"));
}

#[tokio::test]
async fn an_object_made_again_under_its_name_replaces_the_old_one_whatever_its_version() {
    let cache = Cache::default();
    let mut other = map("shop", "a", 3);
    other.0.as_mut().unwrap().metadata.uid = Some("another".into());
    feed(&cache, [Event::Apply(map("shop", "a", 7)), Event::Apply(other)]).await;
    assert_eq!(cache.get(&Key::new("shop", "a")).unwrap().metadata.uid.as_deref(), Some("another"));
}

#[tokio::test]
async fn who_subscribes_late_is_told_what_is_there_and_then_what_happens() {
    let cache = Cache::default();
    feed(&cache, [Event::Apply(map("shop", "a", 1))]).await;
    let mut changes = cache.subscribe();
    feed(&cache, [Event::Apply(map("shop", "b", 2)), Event::Delete(map("shop", "a", 3))]).await;
    assert_eq!(told(&mut changes), ["+a", "+b", "-a"]);
}

#[tokio::test]
async fn a_namespace_does_not_contain_another_that_begins_like_it() {
    let cache = Cache::default();
    let all = [map("shop", "a", 1), map("shop-dev", "b", 2), map("sho", "c", 3), map("shop", "d", 4)];
    feed(&cache, all.map(Event::Apply)).await;
    let names: Vec<_> = cache.in_namespace("shop").iter().filter_map(|object| object.metadata.name.clone()).collect();
    assert_eq!(names, ["a", "d"]);
}

/// An API server that refuses the first lists, then serves an empty one and watches without events.
fn refusing(times: usize) -> Client {
    let left = Arc::new(std::sync::atomic::AtomicUsize::new(times));
    let server = tower::service_fn(move |request: Request<Body>| {
        let order = std::sync::atomic::Ordering::SeqCst;
        let watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let refused = !watch && left.fetch_update(order, order, |left| left.checked_sub(1)).is_ok();
        let body = match (watch, refused) {
            (true, _) => {
                axum::body::Body::from_stream(futures::stream::pending::<Result<String, std::io::Error>>().boxed())
            }
            (false, true) => axum::body::Body::from(
                r#"{"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "no right"}"#,
            ),
            (false, false) => axum::body::Body::from(r#"{"metadata": {"resourceVersion": "1"}, "items": []}"#),
        };
        let status = if refused { 403 } else { 200 };
        std::future::ready(Ok::<_, std::convert::Infallible>(Response::builder().status(status).body(body).unwrap()))
    });
    Client::new(server, "default")
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_forbidden_says_so_and_comes_about_once_it_is_allowed() {
    let api: Api<DeserializeGuard<ConfigMap>> = Api::all(refusing(3));
    let (cache, task) = Cache::watch(api, watcher::Config::default());
    let task = tokio::spawn(task);
    let trouble = cache.settled().await.expect_err("a refusal");
    assert!(trouble.forbidden && trouble.message.contains("no right"), "{trouble:?}");
    assert!(cache.trouble().is_some() && !cache.is_synced());
    cache.until_synced().await;
    assert!(cache.trouble().is_none() && cache.settled().await.is_ok());
    task.abort();
}
