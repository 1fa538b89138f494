//! The guard: looks whether the API server enforces who may do what, at start, every minute and whenever a policy changes. While
//! it does not, nothing is promoted. What follows from what was seen: [`crate::domain::guard`].

pub mod forged;
pub mod memory;
pub mod policies;
pub mod shipped;
pub mod vouched;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

use crate::cluster::cache::{self, Cache, Change};
use crate::cluster::error::ClusterError;
use crate::cluster::tasks::Tasks;
use crate::domain::guard::{Guard as Known, Look};
use policies::{Named, OURS, Seen};
use shipped::Shipped;

/// How soon it is tried again while the policies do not act, and after a change: that takes seconds to act.
const AGAIN: Duration = Duration::from_secs(2);
/// How many times after a change.
const TIMES: u32 = 5;

/// As whom the operator runs.
#[derive(Debug, Clone)]
pub struct Own {
    /// Its namespace.
    pub namespace: String,
    /// Its name, as the API server authenticates it.
    pub account: String,
    /// The policies that believe it.
    pub shipped: Arc<Result<Shipped, String>>,
}

impl Own {
    /// An operator of this namespace and account.
    #[must_use]
    pub fn new(namespace: &str, account: String) -> Self {
        let shipped = Arc::new(Shipped::to(namespace, &account));
        Self { namespace: namespace.to_owned(), account, shipped }
    }
}

/// Knows whether the policies act. Cheap to clone.
#[derive(Clone)]
pub struct Guard {
    validating: Cache<Seen>,
    validating_bindings: Cache<Seen>,
    mutating: Cache<Seen>,
    mutating_bindings: Cache<Seen>,
    known: Arc<watch::Sender<Known>>,
    /// By how many milliseconds the API server's clock is ahead.
    ahead: Arc<AtomicI64>,
}

impl Guard {
    /// Begins the watches; the tasks end with `tasks`.
    #[must_use]
    pub fn start(client: &Client, tasks: &mut Tasks) -> Self {
        Self {
            validating: watched::<ValidatingAdmissionPolicy>("validating policies", client, tasks),
            validating_bindings: watched::<ValidatingAdmissionPolicyBinding>(
                "bindings of validating policies",
                client,
                tasks,
            ),
            mutating: watched::<MutatingAdmissionPolicy>("mutating policies", client, tasks),
            mutating_bindings: watched::<MutatingAdmissionPolicyBinding>(
                "bindings of mutating policies",
                client,
                tasks,
            ),
            known: Arc::new(watch::channel(Known::default()).0),
            ahead: Arc::new(AtomicI64::new(0)),
        }
    }

    /// Waits until the first list of every kind is complete.
    pub async fn until_synced(&self) {
        for (_, cache) in self.caches() {
            cache.until_synced().await;
        }
    }

    /// What time it is by the API server's clock, which says when objects were made.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_millis(self.ahead.load(Ordering::Relaxed));
        Timestamp::now().saturating_add(ahead).unwrap_or(Timestamp::MAX)
    }

    /// What is known now.
    #[must_use]
    pub fn known(&self) -> Known {
        self.known.borrow().clone()
    }

    /// Changes whenever what is known does.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Known> {
        self.known.subscribe()
    }

    /// Whether Gantry may make something that carries somebody's name.
    ///
    /// # Errors
    /// While the policies do not act; it is tried again.
    pub fn admits(&self) -> Result<(), ClusterError> {
        match self.known().broken() {
            Some(why) => Err(ClusterError::Unguarded { why: why.to_owned() }),
            None => Ok(()),
        }
    }

    /// Begins with what was remembered; waits until that is read, because whoever knows nothing of the past vouches for nothing.
    pub async fn recall(&self, client: &Client, own: &Own, leader: &str) {
        loop {
            match memory::recalled(client, &own.namespace, leader).await {
                Ok(None) => return,
                Ok(Some((memory, watched))) => {
                    self.known.send_modify(|known| known.recall(memory, watched));
                    return;
                }
                Err(why) => {
                    tracing::warn!(
                        why,
                        "what is remembered of the admission policies cannot be read, and is read again"
                    );
                    self.known.send_modify(|known| known.saw(Look::Failed { why }, self.now()));
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Keeps in memory what is known, for ever. Nothing is written that changes nothing.
    pub async fn remember(self, client: Client, own: Own) {
        let mut changes = self.changes();
        loop {
            changes.borrow_and_update();
            let kept = memory::keep(&client, (&own.namespace, self.now()), |stored| {
                self.known.send_if_modified(|known| {
                    let before = known.memory();
                    if let Some(stored) = stored {
                        known.learn(stored, self.now());
                    }
                    before != known.memory()
                });
                self.known().memory()
            });
            match kept.await {
                Ok(()) if changes.changed().await.is_err() => return,
                Ok(()) => {}
                Err(why) => {
                    tracing::warn!(why, "what is known of the admission policies cannot be kept, and is written again");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// Looks now.
    pub async fn look(&self, client: &Client, own: &Own) {
        let shipped = own.shipped.as_ref().as_ref();
        let look = match shipped.map_err(Clone::clone).and_then(|shipped| policies::found(shipped, &self.seen())) {
            Err(why) => Look::Broken { why },
            Ok(found) => match forged::refused(client, &own.namespace).await {
                Ok(ahead) => {
                    self.ahead.store(ahead.as_millis().try_into().unwrap_or_default(), Ordering::Relaxed);
                    Look::Acts(found)
                }
                Err(forged::Problem::LetThrough { what }) => {
                    Look::Broken { why: format!("{what}: {}", policies::REMEDY) }
                }
                Err(forged::Problem::NoAnswer { why }) => Look::Failed { why },
            },
        };
        self.known.send_if_modified(|known| {
            let before = known.clone();
            known.saw(look, self.now());
            let changed = before.broken() != known.broken();
            if let Some(why) = known.broken().filter(|_| changed) {
                tracing::warn!(why, "the admission policies do not act, or nobody knows");
            }
            changed || before.memory() != known.memory()
        });
    }

    /// Looks for ever: every so many seconds although nothing changed.
    pub async fn run(self, (client, own): (Client, Own), seconds: u16) {
        let every = Duration::from_secs(seconds.into());
        let mut changes = Changes(self.caches().map(|(_, cache)| cache.subscribe()));
        let mut known = self.changes();
        let mut soon = 0_u32;
        loop {
            changes.forget();
            self.look(&client, &own).await;
            let is_broken = self.known().broken().is_some();
            let pause = if soon > 0 || is_broken { AGAIN.min(every) } else { every };
            soon = tokio::select! {
                () = changes.next() => TIMES,
                // Another process knew more.
                Ok(_) = known.wait_for(|known| known.broken().is_some()), if !is_broken => soon,
                () = tokio::time::sleep(pause) => soon.saturating_sub(1),
            };
        }
    }

    fn caches(&self) -> [(&'static str, &Cache<Seen>); 4] {
        let [validating, validating_binding, mutating, mutating_binding] = shipped::KINDS;
        [
            (validating, &self.validating),
            (validating_binding, &self.validating_bindings),
            (mutating, &self.mutating),
            (mutating_binding, &self.mutating_bindings),
        ]
    }

    fn seen(&self) -> BTreeMap<Named, Arc<Seen>> {
        let of = |(kind, cache): (&'static str, &Cache<Seen>)| {
            cache.starting_with("", "").into_iter().map(move |(key, seen)| ((kind, key.name), seen))
        };
        self.caches().into_iter().flat_map(of).collect()
    }
}

/// What happens to policies and bindings, by kind.
struct Changes([UnboundedReceiver<Change<Seen>>; 4]);

impl Changes {
    /// The next one.
    async fn next(&mut self) {
        let [validating, validating_bindings, mutating, mutating_bindings] = &mut self.0;
        tokio::select! {
            Some(_) = validating.recv() => {}
            Some(_) = validating_bindings.recv() => {}
            Some(_) = mutating.recv() => {}
            Some(_) = mutating_bindings.recv() => {}
            else => std::future::pending().await,
        }
    }

    /// Leaves out those that are already there: the look that follows sees them.
    fn forget(&mut self) {
        for changes in &mut self.0 {
            while changes.try_recv().is_ok() {}
        }
    }
}

/// Watches our policies of a kind. As whatever they are: a field that this version of Gantry does not know may weaken them, too.
fn watched<K: Resource<DynamicType = ()>>(what: &'static str, client: &Client, tasks: &mut Tasks) -> Cache<Seen> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::erase::<K>(&()));
    let (cache, task) = cache::summarized(what, (api, watcher::Config::default().labels(OURS)), seen);
    tasks.spawn(format!("the watch of {what}"), task);
    cache
}

/// What there is to know of one.
fn seen(object: &DynamicObject) -> Seen {
    let meta = &object.metadata;
    Seen {
        uid: meta.uid.clone().unwrap_or_default(),
        version: meta.resource_version.clone().unwrap_or_default(),
        made: meta.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0),
        generation: meta.generation.unwrap_or(i64::MAX),
        spec: object.data.get("spec").cloned().unwrap_or_default(),
    }
}
