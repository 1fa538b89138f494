//! Feeds a watch into a cache.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt};
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::{Cache, Entry, Key, Trouble, Versioned};

/// Objects per page of a list: a small start peak (50 measured against 500 in kube's memory guide).
const PAGE: u32 = 100;
/// How long one watch lasts, in seconds. A connection that went silent is noticed 5 seconds later (kube's margin), which must
/// be within the minute in which everything converges after a fault; kube's own 290 seconds are not.
const WATCH: u32 = 45;

/// How every watch of this process is made.
pub(in crate::cluster) fn tuned(config: watcher::Config) -> watcher::Config {
    config.page_size(PAGE).timeout(WATCH)
}

impl<K> Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    /// A cache and the task that keeps it in step until it is dropped. It never ends by itself: a watch that breaks is begun
    /// again with back-off.
    pub fn watch(api: Api<DeserializeGuard<K>>, config: watcher::Config) -> (Self, impl Future<Output = ()> + Send) {
        let cache = Self::default();
        let task = follow(K::plural(&()), cache.clone(), watcher(api, tuned(config)));
        (cache, task)
    }
}

/// A cache of metadata only, for objects whose content nobody needs in memory.
pub fn metadata<K>(
    api: Api<PartialObjectMeta<K>>,
    config: watcher::Config,
) -> (Cache<PartialObjectMeta<K>>, impl Future<Output = ()> + Send)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let cache = Cache::default();
    let events = watcher(api, tuned(config)).map_ok(|event| each(event, |object| DeserializeGuard(Ok(object))));
    (cache.clone(), follow(K::plural(&()), cache, events))
}

/// A cache of what is made of every object of a watch of `what`, for objects of which little is needed: each is dropped, with
/// all that its managers wrote, as soon as it was read.
pub fn summarized<K, S>(
    what: &'static str,
    (api, config): (Api<K>, watcher::Config),
    summarize: impl Fn(&K) -> S + Send + 'static,
) -> (Cache<S>, impl Future<Output = ()> + Send)
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    S: Versioned + Clone + Debug + Send + Sync + 'static,
{
    let cache = Cache::default();
    let entry = move |object: K| (Key::of(&object), Entry::Readable(Arc::new(summarize(&object))));
    let events = watcher(api, tuned(config)).map_ok(move |event| each(event, &entry));
    (cache.clone(), feed(Cow::Borrowed(what), cache, events))
}

/// Feeds a watch of `what` into a cache.
pub(in crate::cluster) async fn follow<K, S>(what: Cow<'_, str>, cache: Cache<K>, events: S)
where
    K: Resource + Clone + Debug + Send + Sync + 'static,
    S: Stream<Item = Result<Event<DeserializeGuard<K>>, watcher::Error>> + Send,
{
    feed(what, cache, events.map_ok(|event| each(event, entry))).await;
}

async fn feed<K, S>(what: Cow<'_, str>, cache: Cache<K>, events: S)
where
    K: Versioned + Clone + Debug + Send + Sync + 'static,
    S: Stream<Item = Result<Event<(Key, Entry<K>)>, watcher::Error>> + Send,
{
    let mut events = std::pin::pin!(events.default_backoff());
    let mut listed = BTreeMap::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply((key, entry))) => drop(listed.insert(key, entry)),
            Ok(Event::InitDone) => cache.replace(std::mem::take(&mut listed)),
            Ok(Event::Apply((key, entry))) => cache.put(key, entry),
            Ok(Event::Delete((key, _))) => cache.remove(&key),
            Err(error) => take_note(&what, &cache, &error),
        }
    }
}

/// A watch that ends is begun again, which is no news; one that does not come about is.
fn take_note<K: Clone + Debug + Send + Sync + 'static>(what: &str, cache: &Cache<K>, error: &watcher::Error) {
    let source = match error {
        watcher::Error::InitialListFailed(source) | watcher::Error::WatchStartFailed(source) => source,
        watcher::Error::WatchError(_) | watcher::Error::WatchFailed(_) | watcher::Error::NoResourceVersion => {
            tracing::debug!(what, %error, "a watch ended and is begun again");
            return;
        }
    };
    let forbidden = matches!(source, kube::Error::Api(status) if status.code == 403);
    if cache.trouble().is_none() {
        tracing::warn!(what, %error, forbidden, "a watch does not come about and is tried again");
    }
    cache.trouble.send_replace(Some(Trouble::new(&source.to_string(), forbidden)));
}

fn entry<K: Resource>(object: DeserializeGuard<K>) -> (Key, Entry<K>) {
    match object.0 {
        Ok(mut object) => {
            object.meta_mut().managed_fields = None;
            (Key::of(&object), Entry::Readable(Arc::new(object)))
        }
        Err(broken) => {
            let meta = &broken.metadata;
            let key = Key::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default());
            (key, Entry::Broken(broken.error.as_str().into()))
        }
    }
}

/// The same event with what is made of its object.
pub(in crate::cluster) fn each<A, B>(event: Event<A>, make: impl Fn(A) -> B) -> Event<B> {
    match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(object) => Event::InitApply(make(object)),
        Event::Apply(object) => Event::Apply(make(object)),
        Event::Delete(object) => Event::Delete(make(object)),
    }
}
