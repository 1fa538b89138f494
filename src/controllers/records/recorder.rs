//! Sees every generation of what gates look at, and every block, and records each once.
//!
//! Which generations are recorded say the names of the records, which are listed when this process begins to lead. What it did not
//! see, because no process ran or a watch was cut, is said in the next record as a range; an object that is gone and whose end nobody has
//! recorded was deleted meanwhile.

use std::sync::Arc;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Api, Resource};

use super::desk::{Desk, Pile};
use super::keep;
use super::subject::{self, Sighting, State, Subject};
use crate::api::v1alpha1::AuditRecord;
use crate::cluster::cache::{Change, Key};
use crate::cluster::error::ClusterError;
use crate::cluster::runner::{Next, Queue};
use crate::controllers::audit::look;
use crate::controllers::context::Context;
use crate::domain::guard::Guard as Known;

/// How many objects of a space are recorded at once.
const AT_ONCE: usize = 8;

/// Records what people write. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    /// What it works with.
    pub context: Arc<Context>,
    /// What waits.
    pub desk: Desk,
}

impl Recorder {
    /// Puts everything that changes on the desk, until the caches end.
    pub async fn listen(self, queue: Queue) {
        // Before that nobody could say whose name to believe. The guard lives as long as the operator.
        let _ = self.context.guard.changes().wait_for(Known::was_looked_at).await;
        let stores = &self.context.stores;
        let mut environments = stores.environments.subscribe();
        let mut lifecycles = stores.lifecycles.subscribe();
        let mut projects = stores.projects.subscribe();
        let mut freezes = stores.freezes.subscribe();
        let mut releases = stores.releases.subscribe();
        let mut promotions = stores.unfinished.subscribe();
        loop {
            tokio::select! {
                Some(change) = environments.recv() => self.see(&queue, change, Subject::Environment),
                Some(change) = lifecycles.recv() => self.see(&queue, change, Subject::Lifecycle),
                Some(change) = projects.recv() => self.see(&queue, change, Subject::Project),
                Some(change) = freezes.recv() => self.see(&queue, change, Subject::Freeze),
                Some(change) = promotions.recv() => self.see(&queue, change, Subject::Promotion),
                Some(change) = releases.recv() => self.see(&queue, change, Subject::Release),
                else => return,
            }
        }
    }

    /// A status is none of its business, and what does not read as its kind says nothing that could be recorded.
    fn see<K: Resource>(&self, queue: &Queue, change: Change<K>, subject: impl Fn(Arc<K>) -> Subject) {
        let Change { key, object: Some(object), before, gone } = change else { return };
        let spec = |known: &K| (known.meta().uid.clone(), known.meta().generation);
        let (now, then) = (spec(&object), before.as_deref().map(spec));
        if then.as_ref() == Some(&now) {
            return;
        }
        let is_known = then.is_some();
        // Its end was between two looks, and another one has its name.
        let ended = before.filter(|_| then.is_some_and(|(uid, _)| uid != now.0)).map(|before| (subject(before), true));
        let at = Timestamp::now();
        let guard = self.context.guard.known();
        // What is seen for the first time was written at some time before this process began to look.
        let seen = guard.broken().is_none() && (is_known || !guard.was_unwatched());
        for (subject, gone) in ended.into_iter().chain([(subject(object), gone)]) {
            if let Some(state) = subject.state(gone) {
                let vouched = subject.is_vouched(&guard, seen);
                self.desk.put(&key.namespace, Sighting { subject, state, at, vouched });
                queue.add(Key::new(key.namespace.as_str(), ""));
            }
        }
    }

    /// Records what waits in a space.
    ///
    /// # Errors
    /// When something could not be read or written; it is tried again.
    pub async fn reconcile(&self, key: Key) -> Result<Next, ClusterError> {
        let space = key.namespace.as_str();
        let piles = self.desk.of_space(space);
        if !self.context.ledger.roll.knows(space) {
            look::look(&self.context, space).await?;
        }
        let mut written =
            stream::iter(piles).map(|(stem, pile)| self.write(space, stem, pile)).buffer_unordered(AT_ONCE);
        let mut failed = None;
        while let Some(result) = written.next().await {
            failed = failed.or(result.err());
        }
        match failed {
            Some(error) => Err(error),
            None => self.unseen_ends(space).await.map(|()| Next::Await),
        }
    }

    /// One object's, in their order: each says which was the one before.
    async fn write(&self, space: &str, stem: String, pile: Pile) -> Result<(), ClusterError> {
        for (state, sighting) in pile {
            let known = self.context.ledger.roll.newest(space, &stem);
            if known.as_ref().is_none_or(|known| *known < state) {
                let generation = known.and_then(|known| match known {
                    State::Generation(generation) => Some(generation),
                    State::Deleted => None,
                });
                keep(&self.context, &subject::record(&sighting, generation)).await?;
                self.context.ledger.roll.written(space, (&stem, state.clone()));
            }
            self.desk.done(space, &stem, &state);
        }
        Ok(())
    }

    /// Objects that are recorded and gone, and whose end is not: looked for once, when the records were listed.
    async fn unseen_ends(&self, space: &str) -> Result<(), ClusterError> {
        for (stem, generation) in self.context.ledger.roll.unsure(space) {
            if !self.is_cached(space, &stem) {
                self.unseen_end(space, &stem, generation).await?;
            }
            self.context.ledger.roll.sure(space, &stem);
        }
        Ok(())
    }

    async fn unseen_end(&self, space: &str, stem: &str, generation: i64) -> Result<(), ClusterError> {
        let client = self.context.cluster.client();
        let records: Api<AuditRecord> = Api::namespaced(client.clone(), space);
        let newest = records.get_opt(&State::Generation(generation).record(stem)).await;
        let newest = newest.map_err(|error| ClusterError::api("read an audit record", error))?;
        let Some(ended) = newest.and_then(|newest| subject::deleted_unseen(&newest, stem, Timestamp::now())) else {
            return Ok(());
        };
        // The record of one that was made a moment ago may be there before the cache has heard of it.
        if self.is_there(space, &ended).await? {
            return Ok(());
        }
        keep(&self.context, &ended).await?;
        self.context.ledger.roll.written(space, (stem, State::Deleted));
        Ok(())
    }

    async fn is_there(&self, space: &str, record: &AuditRecord) -> Result<bool, ClusterError> {
        let Some(object) = &record.spec.object else { return Ok(false) };
        let kind = GroupVersionKind::gvk("gantry.dev", "v1alpha1", &object.kind);
        let client = self.context.cluster.client();
        let api: Api<DynamicObject> = Api::namespaced_with(client, space, &ApiResource::from_gvk(&kind));
        let named = ListParams::default().fields(&format!("metadata.name={}", object.name));
        let found = api.list_metadata(&named).await;
        let found = found.map_err(|error| ClusterError::api(format!("look for {}", object.name), error))?;
        Ok(found.items.iter().any(|known| known.metadata.uid.as_ref() == Some(&object.uid)))
    }

    fn is_cached(&self, space: &str, stem: &str) -> bool {
        let stores = &self.context.stores;
        let (what, uid) = stem.split_once('-').unwrap_or_default();
        let is = |known: Option<&String>| known.is_some_and(|known| known == uid);
        if what == "block" {
            return stores.releases.in_namespace(space).iter().any(|known| is(known.metadata.uid.as_ref()));
        }
        stores.environments.in_namespace(space).iter().any(|known| is(known.metadata.uid.as_ref()))
            || stores.lifecycles.in_namespace(space).iter().any(|known| is(known.metadata.uid.as_ref()))
            || stores.freezes.in_namespace(space).iter().any(|known| is(known.metadata.uid.as_ref()))
            || stores.projects.in_namespace(space).iter().any(|known| is(known.metadata.uid.as_ref()))
    }
}
