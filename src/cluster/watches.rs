//! Watches that are shared and end when nobody needs them: one per kind and namespace. Whoever subscribes to one acts as the
//! deployer of that namespace.
//!
//! A promotion that runs watches what it applied, and the pods beneath, in its target's namespace, as that namespace's account.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures::{Stream, TryStreamExt};
use kube::core::{ApiResource, DeserializeGuard, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cache::{self, Cache, Change};

/// What is watched, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    /// Namespace of the objects.
    pub namespace: String,
    /// Group, version and plural of the kind.
    pub resource: ApiResource,
    /// Only objects with these fields, as a field selector; all if it is empty.
    pub fields: &'static str,
}

/// A watch that lives as long as somebody holds it.
#[derive(Debug)]
pub struct Subscription {
    /// What is watched.
    pub topic: Topic,
    /// The objects as they are now, and the trouble that their watch may be in.
    pub objects: Cache<DynamicObject>,
    _ends_with_us: DropGuard,
}

/// What a watch says.
type Seen = Result<watcher::Event<DeserializeGuard<DynamicObject>>, watcher::Error>;

/// Takes out of an object of a kind what nobody looks at, before it is kept.
pub type Trim = fn(&GroupVersionKind, &mut DynamicObject);

/// All shared watches.
#[derive(Clone)]
pub struct Watches {
    running: Arc<Mutex<HashMap<Topic, Weak<Subscription>>>>,
    changed: mpsc::UnboundedSender<Change<DynamicObject>>,
    trim: Trim,
}

impl Watches {
    /// No watches yet. Whenever an object of one changes, that is sent to `changed`, as `trim` leaves it.
    #[must_use]
    pub fn new(changed: mpsc::UnboundedSender<Change<DynamicObject>>, trim: Trim) -> Self {
        Self { running: Arc::default(), changed, trim }
    }

    /// The watch of a topic; it is begun with `client` if there is none.
    #[must_use]
    pub fn subscribe(&self, client: &Client, topic: &Topic) -> Arc<Subscription> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = running.get(topic).and_then(Weak::upgrade) {
            return known;
        }
        running.retain(|_, watch| watch.strong_count() > 0);
        let begun = Arc::new(self.begin(client.clone(), topic));
        running.insert(topic.clone(), Arc::downgrade(&begun));
        begun
    }

    fn begin(&self, client: Client, topic: &Topic) -> Subscription {
        let objects: Cache<DynamicObject> = Cache::default();
        let stop = CancellationToken::new();
        let what = format!("{} in {}", topic.resource.plural, topic.namespace).into();
        let all = watcher::Config::default();
        let config = if topic.fields.is_empty() { all } else { all.fields(topic.fields) };
        let api: Api<DeserializeGuard<DynamicObject>> = Api::namespaced_with(client, &topic.namespace, &topic.resource);
        let follow =
            cache::follow(what, objects.clone(), self.trimmed(&topic.resource, watcher(api, cache::tuned(config))));
        tokio::spawn(stop.clone().run_until_cancelled_owned(follow));
        let mut changes = objects.subscribe();
        let wake = self.changed.clone();
        let forward = async move {
            while let Some(change) = changes.recv().await {
                if wake.send(change).is_err() {
                    return;
                }
            }
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(forward));
        Subscription { topic: topic.clone(), objects, _ends_with_us: stop.drop_guard() }
    }

    /// The same events, of as much of each object as is kept.
    fn trimmed<S: Stream<Item = Seen>>(&self, resource: &ApiResource, events: S) -> impl Stream<Item = Seen> + use<S> {
        let (kind, trim) = (GroupVersionKind::gvk(&resource.group, &resource.version, &resource.kind), self.trim);
        events.map_ok(move |event| {
            cache::each(event, |mut object| {
                if let Ok(object) = &mut object.0 {
                    trim(&kind, object);
                }
                object
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::cache::Key;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::StreamExt;
    use http::{Request, Response};
    use kube::client::Body;

    /// Counts while it lives.
    struct Open(Arc<AtomicUsize>);

    impl Drop for Open {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// An API server with one pod, whose watches stay open; and how many are.
    fn server() -> (Client, Arc<AtomicUsize>) {
        let open = Arc::new(AtomicUsize::new(0));
        let watches = Arc::clone(&open);
        let service = tower::service_fn(move |request: Request<Body>| {
            let body = if request.uri().query().is_some_and(|query| query.contains("watch=true")) {
                watches.fetch_add(1, Ordering::SeqCst);
                let guard = Open(Arc::clone(&watches));
                let silence = futures::stream::pending::<Result<String, std::io::Error>>();
                axum::body::Body::from_stream(silence.map(move |nothing| {
                    let _ = &guard;
                    nothing
                }))
            } else {
                axum::body::Body::from(
                    r#"{"metadata": {"resourceVersion": "1"}, "items": [{"metadata": {"namespace": "shop-dev", "name": "a"}}]}"#,
                )
            };
            std::future::ready(Ok::<_, std::convert::Infallible>(Response::new(body)))
        });
        (Client::new(service, "default"), open)
    }

    async fn until(open: &AtomicUsize, wanted: usize) {
        let reached = async {
            while open.load(Ordering::SeqCst) != wanted {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reached).await.expect("within 20 seconds");
    }

    #[tokio::test]
    async fn a_watch_is_shared_wakes_and_ends_with_its_last_holder() {
        let (client, open) = server();
        let (changed, mut woken) = mpsc::unbounded_channel();
        let watches = Watches::new(changed, |_, _| ());
        let resource = ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&());
        let topic = Topic { namespace: "shop-dev".into(), resource, fields: "" };
        let (first, second) = (watches.subscribe(&client, &topic), watches.subscribe(&client, &topic));
        assert!(Arc::ptr_eq(&first, &second));
        first.objects.until_synced().await;
        assert_eq!(woken.recv().await.map(|change| change.key), Some(Key::new("shop-dev", "a")));
        until(&open, 1).await;
        drop(first);
        assert!(second.objects.get(&Key::new("shop-dev", "a")).is_some());
        assert_eq!(open.load(Ordering::SeqCst), 1, "somebody still holds it");
        drop(second);
        until(&open, 0).await;
        let again = watches.subscribe(&client, &topic);
        again.objects.until_synced().await;
        until(&open, 1).await;
    }
}
