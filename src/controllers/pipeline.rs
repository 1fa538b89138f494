//! The one shape of a reconcile: observe → decide → act, then status, then Events.

use std::fmt::Debug;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::decision::{Decision, Next, Note, Severity};
use crate::api::condition;
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::cluster::events::{Events, Said};
use crate::cluster::{runner, status};

/// One controller: how its kind is observed, judged and acted upon.
pub trait Controller: Send + Sync + 'static {
    /// The kind whose status it writes.
    type Kind: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static;
    /// The status of that kind.
    type Status: Serialize + Clone + Default + Debug + Send + Sync;
    /// Everything that one run knows.
    type Observed: Send + Sync;
    /// One change of another object.
    type Effect: Clone + Send + Sync;

    /// Its name in metrics and logs.
    const NAME: &'static str;

    /// Reads everything that the decision needs. Nothing means that there is nothing to do: the object is gone.
    fn observe(&self, key: &Key) -> impl Future<Output = Result<Option<Self::Observed>, ClusterError>> + Send;

    /// The object that was observed.
    fn object(observed: &Self::Observed) -> &Self::Kind;

    /// The status that the object had.
    fn status(observed: &Self::Observed) -> Self::Status;

    /// Judges. Pure and total.
    fn decide(observed: &Self::Observed) -> Decision<Self::Status, Self::Effect>;

    /// Carries out one effect.
    fn act(
        &self,
        observed: &Self::Observed,
        effect: &Self::Effect,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Shows in metrics what was decided. Nothing by default.
    fn show(&self, _key: &Key, _observed: &Self::Observed, _status: &Self::Status) {}

    /// Says what has changed of other objects than its own, once the status is written. Nothing by default.
    fn tell(&self, _observed: &Self::Observed, _status: &Self::Status) {}

    /// The status that tells of an effect that failed; nothing when it is not worth telling, which is the default.
    fn failed(_observed: &Self::Observed, _error: &ClusterError) -> Option<Self::Status> {
        None
    }

    /// Whether no other effect, and nothing of the status but what tells of it, builds on this one: when it fails the rest is done
    /// all the same. None by default.
    fn stands_alone(_effect: &Self::Effect) -> bool {
        false
    }

    /// What is known once effects that stand alone have failed: the status is decided by that. As before by default.
    fn after(observed: Self::Observed, _failed: &[(Self::Effect, ClusterError)]) -> Self::Observed {
        observed
    }
}

/// Runs one controller for one key.
///
/// # Errors
/// When something could not be read or written; it is tried again.
pub async fn reconcile<C: Controller>(
    controller: &C,
    (client, events): (&Client, &Events),
    key: &Key,
) -> Result<runner::Next, ClusterError> {
    let Some(observed) = controller.observe(key).await? else { return Ok(runner::Next::Await) };
    let mut observed = observed;
    let mut decision = C::decide(&observed);
    let api: Api<C::Kind> = Api::namespaced(client.clone(), &key.namespace);
    let before = C::status(&observed);
    let mut failed: Vec<(C::Effect, ClusterError)> = Vec::new();
    for effect in &decision.effects {
        match controller.act(&observed, effect).await {
            Ok(()) => {}
            Err(error) if C::stands_alone(effect) => failed.push((effect.clone(), error)),
            Err(error) => {
                if let Some(told) = C::failed(&observed, &error) {
                    status::write(&api, C::object(&observed), (&before, &told)).await?;
                }
                return Err(error);
            }
        }
    }
    if !failed.is_empty() {
        observed = C::after(observed, &failed);
        decision = C::decide(&observed);
    }
    status::write(&api, C::object(&observed), (&before, &decision.status)).await?;
    controller.show(key, &observed, &decision.status);
    controller.tell(&observed, &decision.status);
    let regarding = reference(C::object(&observed));
    for note in decision.events {
        say(events, note, (regarding.clone(), None));
    }
    if let Some((_, error)) = failed.pop() {
        return Err(error);
    }
    Ok(from_now(decision.next))
}

/// Says one note about an object, and about another that has to do with it: Events that differ in that are not folded into one.
/// What is about the object alone is also logged, so logs tell the same story.
pub fn say(events: &Events, note: Note, (regarding, related): (ObjectReference, Option<ObjectReference>)) {
    let note = plain(note);
    if related.is_none() {
        log(&note, &regarding);
    }
    events.say(Said { related, ..said(note, regarding) });
}

/// Says on an object what is said of another in full: many of these within seconds become one.
pub fn mention(events: &Events, note: Note, (regarding, of): (ObjectReference, ObjectReference)) {
    events.say(Said { related: Some(of), foldable: true, ..said(plain(note), regarding) });
}

/// People's own words may be part of a note.
fn plain(mut note: Note) -> Note {
    note.message = condition::plain(&note.message);
    note
}

fn said(note: Note, regarding: ObjectReference) -> Said {
    Said {
        regarding,
        warning: note.severity == Severity::Warning,
        reason: note.reason.to_owned(),
        action: note.action.to_owned(),
        note: note.message,
        related: None,
        foldable: false,
    }
}

fn log(note: &Note, regarding: &ObjectReference) {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let (kind, namespace, name) = (text(&regarding.kind), text(&regarding.namespace), text(&regarding.name));
    let (reason, message) = (note.reason, note.message.as_str());
    match note.severity {
        Severity::Normal => tracing::info!(kind, namespace, name, reason, "{message}"),
        Severity::Warning => tracing::warn!(kind, namespace, name, reason, "{message}"),
    }
}

/// How an Event names an object.
pub fn reference<K: Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    object.object_ref(&())
}

/// The pause until the next run.
#[must_use]
pub fn from_now(next: Next) -> runner::Next {
    match next {
        Next::Await => runner::Next::Await,
        Next::Again => runner::Next::Again,
        Next::At(at) => {
            let pause = at.duration_since(Timestamp::now());
            runner::Next::After(Duration::try_from(pause).unwrap_or(Duration::ZERO))
        }
    }
}
