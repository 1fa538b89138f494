//! What is sealed in a space.

use std::collections::BTreeSet;

use gantry::api::seal;
use gantry::api::v1alpha1::{AuditCheckpoint, AuditRecord, Environment, Freeze, Lifecycle, Project};
use gantry::domain::audit::Checkpoint;
use kube::ResourceExt;
use kube::api::ListParams;

use super::space::Space;
use super::wait;

/// The checkpoints of a space, in their order.
pub async fn checkpoints(space: &Space) -> Vec<Checkpoint> {
    let all = space.api::<AuditCheckpoint>().list(&ListParams::default()).await.expect("checkpoints").items;
    all.iter().map(|object| seal::checkpoint(object).expect("a checkpoint")).collect()
}

/// Waits until what gates look at is recorded as it is now, and every record is sealed: until somebody changes something, nothing
/// more is written of it. Gives back the names of the sealed records, in their order.
pub async fn everything(space: &Space) -> Vec<String> {
    wait::eventually("everything is recorded and sealed", || async {
        let all = ListParams::default();
        let records = space.api::<AuditRecord>().list(&all).await.expect("records").items;
        let records: BTreeSet<String> = records.iter().map(ResourceExt::name_any).collect();
        let sealed: Vec<String> =
            checkpoints(space).await.into_iter().flat_map(|one| one.records).map(|one| one.record).collect();
        let is_sealed = |name: &String| sealed.contains(name);
        let is_recorded = changes(space).await.is_subset(&records);
        (is_recorded && !records.is_empty() && records.iter().all(is_sealed)).then_some(sealed)
    })
    .await
}

/// The names of the records that there are to be of what gates look at, as it is now.
async fn changes(space: &Space) -> BTreeSet<String> {
    let mut names = of::<Environment>(space).await;
    names.extend(of::<Lifecycle>(space).await);
    names.extend(of::<Project>(space).await);
    names.extend(of::<Freeze>(space).await);
    names.into_iter().collect()
}

async fn of<K>(space: &Space) -> Vec<String>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let all = space.api::<K>().list(&ListParams::default()).await.expect("objects").items;
    let name = |object: &K| {
        let meta = object.meta();
        format!("change-{}-{}", meta.uid.clone().unwrap_or_default(), meta.generation.unwrap_or(1))
    };
    all.iter().map(name).collect()
}
