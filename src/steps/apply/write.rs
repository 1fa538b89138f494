//! Server-side apply of checked objects, fenced: nothing that somebody else has written since it was read is overwritten.

use std::time::Instant;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::check::{Checked, Terms, owned_by_other, refused};
use super::deployer::Deployer;
use super::fence::{Fence, Lost, NEVER, TRIES};
use super::fingerprint::fingerprint;
use super::live::Live;
use super::object::ObjectRef;
use super::problem::Problems;
use super::{refusal, unquoted};
use crate::cluster::error::ClusterError;
use crate::error::Class;
use crate::steps::health::interest::Interest;

/// One object as the API server has it after it was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Which object.
    pub object: ObjectRef,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion; no older state of it counts as its state.
    pub resource_version: String,
    /// Its generation, for kinds that have one.
    pub generation: Option<i64>,
    /// Which fields the project has set, as a [`fingerprint`]; empty if the API server does not say.
    pub fields: String,
    /// Whether the apply changed anything.
    pub changed: bool,
    /// What is to be watched to know whether it is healthy.
    pub interest: Interest,
}

/// Why an object was not written. If the API server gave no answer, it may have been all the same.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The right to write is lost, or could not be verified.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The API server could not be asked, or does not answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The API server refuses the object, although it did not when it was checked.
    #[error(transparent)]
    Refused(#[from] Problems),
    /// Others write the object all the time.
    #[error("{0} cannot be written now: others change it all the time; it is tried again")]
    Busy(ObjectRef),
    /// The object is being deleted.
    #[error("{0} is being deleted and not gone yet: it is applied once it is; its finalizers say what it waits for")]
    Leaving(ObjectRef),
}

impl WriteError {
    /// How it is to be taken.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Lost(lost) => lost.class(),
            Self::Cluster(error) => error.class(),
            Self::Refused(_) => Class::Blocked,
            Self::Busy(_) | Self::Leaving(_) => Class::Retryable,
        }
    }
}

/// Applies one object, and only if it is as it was when it was read and the slot is still ours after that.
///
/// # Errors
/// See [`WriteError`].
pub async fn write<F: Fence>(
    deployer: &Deployer,
    checked: &Checked,
    (terms, fence): (&Terms, &F),
) -> Result<Applied, WriteError> {
    let object = &checked.prepared.object;
    let (mut live, mut read) = (checked.live.clone(), checked.read);
    for _ in 0..TRIES {
        if live.as_ref().is_some_and(|live| live.leaving) {
            return Err(WriteError::Leaving(object.clone()));
        }
        fence.verify(read).await?;
        match apply(deployer, checked, (terms, live.as_ref())).await {
            Ok(meta) => return Ok(applied(checked, meta, (terms, live.as_ref()))),
            Err(error) if is_stale(&error) => {}
            Err(error) => return Err(refusal_of(terms, object, error)),
        }
        live = deployer.live(&checked.kind, object).await?;
        read = Instant::now();
        if let Some(problem) = live.as_ref().and_then(|live| owned_by_other(&terms.scope, object, live)) {
            return Err(Problems::from(problem).into());
        }
    }
    Err(WriteError::Busy(object.clone()))
}

async fn apply(
    deployer: &Deployer,
    checked: &Checked,
    (terms, live): (&Terms, Option<&Live>),
) -> Result<ObjectMeta, ClusterError> {
    let object = &checked.prepared.object;
    let params =
        PatchParams { field_manager: Some(terms.scope.applies_as()), force: terms.force, ..PatchParams::default() };
    let body = fenced(&checked.prepared.body, live);
    let written = deployer.api(&checked.kind).patch_metadata(&object.name, &params, &Patch::Apply(&body)).await;
    written.map(|written| written.metadata).map_err(|error| unquoted::error(object, "apply", error))
}

/// The object with what must be true of the stored one.
fn fenced(body: &Value, live: Option<&Live>) -> Value {
    let mut body = body.clone();
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".into(), json!(live.map_or(NEVER, |live| &live.resource_version)));
        if let Some(live) = live {
            metadata.insert("uid".into(), json!(live.uid));
        }
    }
    body
}

/// Somebody wrote, made or deleted it since it was read.
pub(super) fn is_stale(error: &ClusterError) -> bool {
    error.status().is_some_and(|status| status.code == 409 && !refusal::is_field_conflict(status))
}

pub(super) fn refusal_of(terms: &Terms, object: &ObjectRef, error: ClusterError) -> WriteError {
    match refused(&terms.scope, object, error) {
        Ok(found) => {
            let mut problems = Problems::default();
            problems.extend(found);
            problems.into()
        }
        Err(error) => error.into(),
    }
}

fn applied(checked: &Checked, meta: ObjectMeta, (terms, before): (&Terms, Option<&Live>)) -> Applied {
    let object = &checked.prepared.object;
    let resource_version = meta.resource_version.unwrap_or_default();
    let managed = meta.managed_fields.unwrap_or_default();
    Applied {
        object: object.clone(),
        fields: fingerprint(&managed, &terms.scope.applies_as()).unwrap_or_default(),
        uid: meta.uid.unwrap_or_default(),
        changed: before.is_none_or(|before| before.resource_version != resource_version),
        resource_version,
        generation: meta.generation,
        interest: Interest::of(object, &checked.prepared.body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_carries_what_was_read_and_an_absent_one_what_no_object_has() {
        let body = json!({"metadata": {"name": "x"}, "data": {}});
        assert_eq!(fenced(&body, None), json!({"metadata": {"name": "x", "resourceVersion": "1"}, "data": {}}));
        let live = Live {
            uid: "u1".into(),
            resource_version: "77".into(),
            labels: [].into(),
            annotations: [].into(),
            leaving: false,
        };
        let expected = json!({"metadata": {"name": "x", "resourceVersion": "77", "uid": "u1"}, "data": {}});
        assert_eq!(fenced(&body, Some(&live)), expected);
    }
}
