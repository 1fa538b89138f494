//! What the API server has of a space's records, looked up page by page: done once when this process begins to lead, and again
//! when it is in doubt.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client};

use super::ledger::Found;
use crate::api::seal;
use crate::api::v1alpha1::{AuditCheckpoint, AuditRecord};
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;
use crate::domain::audit::{Anchor, Sealed};

/// How many objects are asked for at once.
const PAGE: u32 = 500;
/// How many records are read at once.
const AT_ONCE: usize = 8;

/// Finds out which checkpoint is the newest of a space, and which records none has sealed.
///
/// # Errors
/// When something cannot be read, and when a checkpoint is none: then nobody knows what follows from what.
pub(crate) async fn look(context: &Context, space: &str) -> Result<(), ClusterError> {
    // Who records and who seals may both want to know.
    let turn = context.ledger.roll.turn(space);
    let _turn = turn.lock().await;
    if context.ledger.roll.knows(space) && context.ledger.account(space).head.is_some() {
        return Ok(());
    }
    let doubts = context.ledger.account(space).doubts;
    let client = context.cluster.client();
    // In this order: a record that is written in between is told to the ledger by whoever writes it.
    let records = records(&client, space).await?;
    context.ledger.roll.listed(space, records.iter());
    let (head, sealed) = checkpoints(&client, space).await?;
    let unsealed: Vec<String> = records.into_iter().filter(|record| !sealed.contains(record)).collect();
    let unsealed = read(&client, space, unsealed).await?;
    context.ledger.looked(space, doubts, Found { head, unsealed, sealed });
    Ok(())
}

/// All records of a space, as they say what they say.
pub(crate) fn records_of(client: &Client, space: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), space, &ApiResource::erase::<AuditRecord>(&()))
}

async fn records(client: &Client, space: &str) -> Result<BTreeSet<String>, ClusterError> {
    let api = records_of(client, space);
    let (mut names, mut page) = (BTreeSet::new(), ListParams::default().limit(PAGE));
    loop {
        let listed = api.list_metadata(&page).await.map_err(|e| ClusterError::api("list audit records", e))?;
        names.extend(listed.items.into_iter().filter_map(|record| record.metadata.name));
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(names),
        }
    }
}

/// The newest checkpoint, and the names of all records that are sealed.
async fn checkpoints(client: &Client, space: &str) -> Result<(Option<Anchor>, BTreeSet<String>), ClusterError> {
    let api: Api<AuditCheckpoint> = Api::namespaced(client.clone(), space);
    let (mut head, mut sealed) = (None::<Anchor>, BTreeSet::new());
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let listed = api.list(&page).await.map_err(|e| ClusterError::api("list checkpoints", e))?;
        for object in &listed.items {
            let checkpoint = seal::checkpoint(object).map_err(|unreadable| ClusterError::Unreadable {
                object: format!("AuditCheckpoint {}", unreadable.name),
                message: format!("{} {}; find out who wrote it, then delete it", unreadable.path, unreadable.why),
            })?;
            if head.is_none_or(|head| head.number < checkpoint.number) {
                head = Some(checkpoint.anchor());
            }
            sealed.extend(checkpoint.records.into_iter().map(|sealed| sealed.record));
        }
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok((head, sealed)),
        }
    }
}

async fn read(client: &Client, space: &str, names: Vec<String>) -> Result<Vec<Sealed>, ClusterError> {
    let api = records_of(client, space);
    let reads = names.into_iter().map(|name| {
        let api = api.clone();
        async move { api.get_opt(&name).await.map_err(|e| ClusterError::api("read an audit record", e)) }
    });
    let found: Vec<Option<DynamicObject>> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    Ok(found.iter().flatten().map(seal::sealed).collect())
}
