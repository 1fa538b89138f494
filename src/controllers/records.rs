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

use kube::Client;
use kube::api::{DynamicObject, PostParams};

use crate::api::seal;
use crate::api::v1alpha1::AuditRecord;
use crate::cluster::error::ClusterError;
use crate::controllers::audit;
use crate::controllers::context::Context;

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
