//! One watch and one store per kind and selector, shared by everybody who reads that kind.
//!
//! Objects that do not read as their type are kept apart with the reason, so one broken object stops neither the list nor the
//! others. Managed fields are dropped before anything is stored: they are most of an object's memory.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock};

use futures::{StreamExt, TryStreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};

/// Objects per page of a list: a small start peak (50 measured against 500 in kube's memory guide).
const PAGE: u32 = 100;

/// Namespace and name. Cluster-scoped objects have an empty namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Key {
    /// The key of an object in a namespace.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of an object.
    #[must_use]
    pub fn of<K: Resource>(object: &K) -> Self {
        let meta = object.meta();
        Self::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
    }
}

/// Something changed.
#[derive(Clone, Debug)]
pub struct Change<K> {
    /// What changed.
    pub key: Key,
    /// Its newest state; its last known one when it is gone; nothing if it never read as its type.
    pub object: Option<Arc<K>>,
    /// Whether it is gone, or no longer matches the selector.
    pub gone: bool,
}

/// An object that is there, as its type or as the reason why it is not readable.
#[derive(Clone, Debug)]
enum Entry<K> {
    Readable(Arc<K>),
    Broken(Arc<str>),
}

impl<K> Entry<K> {
    fn readable(&self) -> Option<Arc<K>> {
        match self {
            Self::Readable(object) => Some(Arc::clone(object)),
            Self::Broken(_) => None,
        }
    }
}

/// A store that a watch keeps in step with the API server.
#[derive(Debug)]
pub struct Cache<K> {
    entries: Arc<RwLock<BTreeMap<Key, Entry<K>>>>,
    listeners: Arc<RwLock<Vec<mpsc::UnboundedSender<Change<K>>>>>,
    synced: watch::Sender<bool>,
}

impl<K> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self { entries: Arc::clone(&self.entries), listeners: Arc::clone(&self.listeners), synced: self.synced.clone() }
    }
}

impl<K> Default for Cache<K> {
    fn default() -> Self {
        Self { entries: Arc::default(), listeners: Arc::default(), synced: watch::channel(false).0 }
    }
}

impl<K: Clone + Debug + Send + Sync + 'static> Cache<K> {
    /// The object, if it is there and readable.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.read(|entries| entries.get(key).and_then(Entry::readable))
    }

    /// Why the object does not read as its type, if it does not.
    #[must_use]
    pub fn broken(&self, key: &Key) -> Option<Arc<str>> {
        self.read(|entries| match entries.get(key) {
            Some(Entry::Broken(why)) => Some(Arc::clone(why)),
            Some(Entry::Readable(_)) | None => None,
        })
    }

    /// Every readable object of a namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let from = Key::new(namespace, "");
        self.read(|entries| {
            entries
                .range(from..)
                .take_while(|(key, _)| key.namespace == namespace)
                .filter_map(|(_, entry)| entry.readable())
                .collect()
        })
    }

    /// Every readable object.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<K>> {
        self.read(|entries| entries.values().filter_map(Entry::readable).collect())
    }

    /// How many objects there are, readable or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read(BTreeMap::len)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every change from now on, and every object that is there already as a first change.
    #[must_use]
    pub fn subscribe(&self) -> mpsc::UnboundedReceiver<Change<K>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut listeners = self.listeners.write().unwrap_or_else(PoisonError::into_inner);
        self.read(|entries| {
            for (key, entry) in entries {
                // The receiver is ours until we return it.
                let _ = sender.send(Change { key: key.clone(), object: entry.readable(), gone: false });
            }
        });
        listeners.push(sender);
        receiver
    }

    /// Whether the first list is complete.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Waits until the first list is complete.
    pub async fn until_synced(&self) {
        // The sender lives in self.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    fn read<T>(&self, look: impl FnOnce(&BTreeMap<Key, Entry<K>>) -> T) -> T {
        look(&self.entries.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, key: Key, entry: Option<Entry<K>>) {
        let before = {
            let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
            match &entry {
                Some(entry) => entries.insert(key.clone(), entry.clone()),
                None => entries.remove(&key),
            }
        };
        let gone = entry.is_none();
        let object = entry.or(before).and_then(|entry| entry.readable());
        self.tell(&Change { key, object, gone });
    }

    /// Replaces everything after a list, and tells what is new or gone.
    fn replace(&self, listed: &BTreeMap<Key, Entry<K>>) {
        let before = {
            let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *entries, listed.clone())
        };
        for (key, entry) in before.iter().filter(|(key, _)| !listed.contains_key(*key)) {
            self.tell(&Change { key: key.clone(), object: entry.readable(), gone: true });
        }
        for (key, entry) in listed {
            self.tell(&Change { key: key.clone(), object: entry.readable(), gone: false });
        }
        self.synced.send_replace(true);
    }

    fn tell(&self, change: &Change<K>) {
        let mut listeners = self.listeners.write().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.send(change.clone()).is_ok());
    }
}

impl<K> Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    /// A cache and the task that keeps it in step until it is dropped. It never ends by itself: a watch that breaks is begun
    /// again with back-off.
    pub fn watch(api: Api<DeserializeGuard<K>>, config: watcher::Config) -> (Self, impl Future<Output = ()> + Send) {
        let cache = Self::default();
        let task = follow(cache.clone(), watcher(api, config.page_size(PAGE)));
        (cache, task)
    }
}

/// Feeds a watch into a cache.
pub(super) async fn follow<K, S>(cache: Cache<K>, events: S)
where
    K: Resource + Clone + Debug + Send + Sync + 'static,
    S: futures::Stream<Item = Result<Event<DeserializeGuard<K>>, watcher::Error>> + Send,
{
    let mut events = std::pin::pin!(events.default_backoff());
    let mut listed = BTreeMap::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                let (key, entry) = entry(object);
                listed.insert(key, entry);
            }
            Ok(Event::InitDone) => cache.replace(&std::mem::take(&mut listed)),
            Ok(Event::Apply(object)) => {
                let (key, entry) = entry(object);
                cache.put(key, Some(entry));
            }
            Ok(Event::Delete(object)) => cache.put(entry(object).0, None),
            Err(error) => tracing::debug!(%error, "a watch broke and is begun again"),
        }
    }
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

/// A cache of metadata only, for objects whose content nobody needs in memory.
pub fn metadata<K>(
    api: Api<kube::core::PartialObjectMeta<K>>,
    config: watcher::Config,
) -> (Cache<kube::core::PartialObjectMeta<K>>, impl Future<Output = ()> + Send)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let cache = Cache::default();
    let events = watcher(api, config.page_size(PAGE)).map_ok(guarded);
    (cache.clone(), follow(cache, events))
}

/// The same event with an object that is known to read.
fn guarded<K: Resource>(event: Event<K>) -> Event<DeserializeGuard<K>> {
    let guard = |object| DeserializeGuard(Ok(object));
    match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(object) => Event::InitApply(guard(object)),
        Event::Apply(object) => Event::Apply(guard(object)),
        Event::Delete(object) => Event::Delete(guard(object)),
    }
}
