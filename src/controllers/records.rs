//! What is recorded for good: one record of each thing that happened, written once, under a name that follows from what it is of.
//!
//! Whoever judges something writes its record before its status says so: promotions
//! ([`crate::controllers::promotion::recording`]), approvals, environments and commands. What people write and nobody has to
//! judge (blocks, and changes of what gates look at) is seen by the [`recorder`], generation by generation. Records are sealed by
//! [`crate::controllers::audit`].

pub mod desk;
pub mod fit;
pub mod recorder;
pub mod roll;
pub mod subject;

use std::sync::Arc;

use jiff::Timestamp;
use kube::Client;
use kube::api::{DynamicObject, PostParams};

use crate::api::seal;
use crate::api::v1alpha1::{AuditRecord, Promotion};
use crate::cluster::error::ClusterError;
use crate::controllers::audit::{self, look};
use crate::controllers::context::Context;
use subject::{Sighting, Subject};

/// Writes a record, if it is not there already; whether it was not. Where the namespace is going nothing can be created: the
/// record goes to the log instead, so that the space can always be deleted.
///
/// # Errors
/// When the API server does not take it for another reason than that it is there.
pub async fn keep(context: &Context, record: &AuditRecord) -> Result<bool, ClusterError> {
    let space = record.metadata.namespace.as_deref().unwrap_or_default();
    match write(&context.cluster.client(), record).await {
        Ok(Some(written)) => {
            context.ledger.written(space, seal::sealed(&written));
            Ok(true)
        }
        // It may have been written before this process began, or by a request whose answer was lost.
        Ok(None) => {
            context.ledger.doubt(space);
            Ok(false)
        }
        Err(error) if error.is_terminating() => {
            let name = record.metadata.name.as_deref().unwrap_or_default();
            let record = serde_json::to_string(&record.spec).unwrap_or_default();
            tracing::warn!(space, name, record, "the space is being deleted; this is its audit record");
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// Makes sure that it is recorded what a promotion was to override, if anything: whoever listens may have died before. Harmless to
/// repeat.
///
/// # Errors
/// When something could not be read or written; it is tried again.
pub async fn overridden(context: &Context, promotion: &Promotion) -> Result<(), ClusterError> {
    if promotion.spec.freeze_override.is_none() {
        return Ok(());
    }
    let subject = Subject::Promotion(Arc::new(promotion.clone()));
    let Some(state) = subject.state(false) else { return Ok(()) };
    let (space, stem) = (promotion.metadata.namespace.as_deref().unwrap_or_default(), subject.stem());
    let roll = &context.ledger.roll;
    if !roll.knows(space) {
        look::look(context, space).await?;
    }
    if roll.newest(space, &stem).is_some() {
        return Ok(());
    }
    let vouched = subject.is_vouched(&context.guard.known(), false);
    let sighting = Sighting { subject, state: state.clone(), at: Timestamp::now(), vouched };
    keep(context, &subject::record(&sighting, None)).await?;
    roll.written(space, (&stem, state));
    Ok(())
}

/// Writes a record and gives it back as it is stored. One that is there already is left alone, and nothing is given back.
async fn write(client: &Client, record: &AuditRecord) -> Result<Option<DynamicObject>, ClusterError> {
    let unwritable = |error: serde_json::Error| ClusterError::Bug(format!("a record does not serialize: {error}"));
    let fitting = fit::fit(record.clone());
    let object =
        serde_json::to_value(&fitting).and_then(serde_json::from_value::<DynamicObject>).map_err(unwritable)?;
    let space = record.metadata.namespace.as_deref().unwrap_or_default();
    match audit::records_of(client, space).create(&PostParams::default(), &object).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(None),
        Err(error) => Err(ClusterError::api("write the audit record", error)),
        Ok(written) => Ok(Some(written)),
    }
}
