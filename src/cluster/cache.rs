//! One watch and one store per kind and selector, shared by everybody who reads that kind.
//!
//! Objects that do not read as their type are kept apart with the reason, so one broken object stops neither the list nor the
//! others. Managed fields are dropped before anything is stored: they are most of an object's memory.

mod follow;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use kube::Resource;
use tokio::sync::{mpsc, watch};

pub(super) use self::follow::{each, follow, tuned};
pub use self::follow::{metadata, summarized};

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
    /// The state before that, if one was known and it is not gone.
    pub before: Option<Arc<K>>,
    /// Whether it is gone, or no longer matches the selector.
    pub gone: bool,
}

/// What a cache must know of whatever it stores: which version of which object it is.
pub trait Versioned {
    /// The uid of the object.
    fn uid(&self) -> Option<&str>;
    /// Its resourceVersion.
    fn resource_version(&self) -> Option<&str>;
}

impl<K: Resource> Versioned for K {
    fn uid(&self) -> Option<&str> {
        self.meta().uid.as_deref()
    }
    fn resource_version(&self) -> Option<&str> {
        self.meta().resource_version.as_deref()
    }
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

/// Why a cache may be behind: its list or watch does not come about.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// What came back.
    pub message: Arc<str>,
    /// The right to list or watch is missing, so trying again will not help by itself.
    pub forbidden: bool,
    at: Instant,
}

/// A watch in trouble tells again with every try, and those are at most a minute apart (kube's back-off is 30 seconds, with
/// as much jitter). A trouble that is older is over, though nothing has changed since.
const TROUBLE_LASTS: Duration = Duration::from_secs(75);

impl Trouble {
    fn new(message: &str, forbidden: bool) -> Self {
        Self { message: message.into(), forbidden, at: Instant::now() }
    }
}

/// A store that a watch keeps in step with the API server.
#[derive(Debug)]
pub struct Cache<K> {
    entries: Arc<RwLock<BTreeMap<Key, Entry<K>>>>,
    listeners: Arc<RwLock<Vec<mpsc::UnboundedSender<Change<K>>>>>,
    synced: watch::Sender<bool>,
    trouble: watch::Sender<Option<Trouble>>,
}

impl<K> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self {
            entries: Arc::clone(&self.entries),
            listeners: Arc::clone(&self.listeners),
            synced: self.synced.clone(),
            trouble: self.trouble.clone(),
        }
    }
}

impl<K> Default for Cache<K> {
    fn default() -> Self {
        Self {
            entries: Arc::default(),
            listeners: Arc::default(),
            synced: watch::channel(false).0,
            trouble: watch::channel(None).0,
        }
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

    /// The names of objects of a namespace that do not read as their type, and why.
    #[must_use]
    pub fn broken_in_namespace(&self, namespace: &str) -> BTreeMap<String, Arc<str>> {
        let from = Key::new(namespace, "");
        let broken = |(key, entry): (&Key, &Entry<K>)| match entry {
            Entry::Broken(why) => Some((key.name.clone(), Arc::clone(why))),
            Entry::Readable(_) => None,
        };
        self.read(|entries| {
            entries.range(from..).take_while(|(key, _)| key.namespace == namespace).filter_map(broken).collect()
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

    /// Every readable object of a namespace whose name begins so.
    #[must_use]
    pub fn starting_with(&self, namespace: &str, beginning: &str) -> Vec<(Key, Arc<K>)> {
        let from = Key::new(namespace, beginning);
        self.read(|entries| {
            entries
                .range(from..)
                .take_while(|(key, _)| key.namespace == namespace && key.name.starts_with(beginning))
                .filter_map(|(key, entry)| Some((key.clone(), entry.readable()?)))
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
                let _ = sender.send(Change { key: key.clone(), object: entry.readable(), before: None, gone: false });
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

    /// Waits until the first list is complete, or cannot be had.
    ///
    /// # Errors
    /// When it cannot be had now; the watch goes on trying.
    pub async fn settled(&self) -> Result<(), Trouble> {
        let (mut synced, mut trouble) = (self.synced.subscribe(), self.trouble.subscribe());
        tokio::select! {
            biased;
            _ = synced.wait_for(|synced| *synced) => Ok(()),
            Ok(known) = trouble.wait_for(Option::is_some) => known.clone().map_or(Ok(()), Err),
            else => Ok(()),
        }
    }

    /// Why this may be behind the API server, if it may be.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble.borrow().clone().filter(|trouble| trouble.at.elapsed() < TROUBLE_LASTS)
    }

    fn read<T>(&self, look: impl FnOnce(&BTreeMap<Key, Entry<K>>) -> T) -> T {
        look(&self.entries.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<K: Versioned + Clone + Debug + Send + Sync + 'static> Cache<K> {
    /// An object as it is now, unless something newer is known of it: a broken connection may replay what was.
    fn put(&self, key: Key, entry: Entry<K>) {
        let object = entry.readable();
        let before = {
            let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
            if entries.get(&key).is_some_and(|known| is_older(&entry, known)) {
                return;
            }
            entries.insert(key.clone(), entry)
        };
        let before = before.and_then(|before| before.readable());
        self.tell(&Change { key, object, before, gone: false });
    }

    /// An object is gone.
    fn remove(&self, key: &Key) {
        let before = self.entries.write().unwrap_or_else(PoisonError::into_inner).remove(key);
        if let Some(before) = before {
            self.tell(&Change { key: key.clone(), object: before.readable(), before: None, gone: true });
        }
    }

    /// Replaces everything after a list, and tells what is new, different or gone.
    fn replace(&self, listed: BTreeMap<Key, Entry<K>>) {
        let mut changes = Vec::new();
        {
            let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
            for (key, entry) in entries.iter().filter(|(key, _)| !listed.contains_key(*key)) {
                changes.push(Change { key: key.clone(), object: entry.readable(), before: None, gone: true });
            }
            for (key, entry) in &listed {
                let known = entries.get(key);
                if !known.is_some_and(|known| is_same(entry, known)) {
                    let before = known.and_then(Entry::readable);
                    changes.push(Change { key: key.clone(), object: entry.readable(), before, gone: false });
                }
            }
            *entries = listed;
        }
        for change in &changes {
            self.tell(change);
        }
        self.trouble.send_replace(None);
        self.synced.send_replace(true);
    }

    fn tell(&self, change: &Change<K>) {
        let mut listeners = self.listeners.write().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.send(change.clone()).is_ok());
    }
}

/// Whether two entries are one version of one object.
fn is_same<K: Versioned>(one: &Entry<K>, other: &Entry<K>) -> bool {
    match (one, other) {
        (Entry::Readable(one), Entry::Readable(other)) => version(one.as_ref()) == version(other.as_ref()),
        (Entry::Broken(one), Entry::Broken(other)) => one == other,
        (Entry::Readable(_), Entry::Broken(_)) | (Entry::Broken(_), Entry::Readable(_)) => false,
    }
}

/// Whether an entry is an earlier version of the same object. Versions are numbers that grow (KEP-5504).
fn is_older<K: Versioned>(one: &Entry<K>, known: &Entry<K>) -> bool {
    let (Entry::Readable(one), Entry::Readable(known)) = (one, known) else { return false };
    let ((one_uid, one), (known_uid, known)) = (version(one.as_ref()), version(known.as_ref()));
    let number = |version: Option<&str>| version.and_then(|version| version.parse::<u64>().ok());
    one_uid == known_uid && number(one).zip(number(known)).is_some_and(|(one, known)| one < known)
}

fn version<K: Versioned>(object: &K) -> (Option<&str>, Option<&str>) {
    (object.uid(), object.resource_version())
}

#[cfg(test)]
mod tests;
