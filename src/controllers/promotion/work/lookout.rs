//! Watches what a step applied, and finds out more where it is not healthy: the last log lines.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::core::{ApiResource, GroupVersionKind};

use super::PromotionController;
use super::bench::Job;
use super::progress::{Evidence, State};
use super::redaction::redacted;
use super::survey::{self, Survey, survey};
use crate::api::v1alpha1::promotion_status::FailureRecord;
use crate::cluster::error::ClusterError;
use crate::cluster::watches::{Subscription, Topic};
use crate::controllers::promotion::decide::timeout;
use crate::controllers::promotion::observe::Observed;
use crate::steps::apply::deployer::Deployer;
use crate::steps::apply::write::Applied;
use crate::steps::health::interest::Interest;
use crate::steps::health::{ContainerRef, Failure, logs, refusal};

/// How long the first state of a watch is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Watches every kind that was applied, and what lies beneath it.
///
/// # Errors
/// When the kinds cannot be discovered.
pub async fn watch(
    controller: &PromotionController,
    deployer: &Deployer,
    applied: &[Applied],
) -> Result<Vec<Arc<Subscription>>, ClusterError> {
    let mut topics: Vec<Topic> = Vec::new();
    let Some(namespace) = applied.first().map(|one| one.object.namespace.clone()) else { return Ok(Vec::new()) };
    let looked_at = applied.iter().filter(|one| one.interest != Interest::Nothing);
    let mut kinds: Vec<GroupVersionKind> = looked_at.map(|one| one.object.gvk()).collect();
    let most = applied.iter().map(|one| one.interest).max().unwrap_or(Interest::Nothing);
    if most >= Interest::WithPods {
        kinds.push(GroupVersionKind::gvk("", "v1", "Pod"));
    }
    if most >= Interest::WithReplicaSets {
        kinds.push(GroupVersionKind::gvk("apps", "v1", "ReplicaSet"));
    }
    for gvk in kinds {
        if let Some(kind) = deployer.discovery.kind(&gvk).await? {
            let topic = Topic { namespace: namespace.clone(), resource: kind.resource, fields: "" };
            if !topics.contains(&topic) {
                topics.push(topic);
            }
        }
    }
    let watches: Vec<_> = topics.iter().map(|topic| controller.watches.subscribe(&deployer.client, topic)).collect();
    for watch in &watches {
        settled(watch).await;
    }
    Ok(watches)
}

/// Waits until a watch shows everything, or cannot: then what waits for it says so.
pub(super) async fn settled(watch: &Subscription) {
    // One that hangs has neither come about nor failed; it goes on in the background.
    let _ = tokio::time::timeout(PATIENCE, watch.objects.settled()).await;
}

/// Watches Events of pods that could not be made.
async fn watch_refusals(controller: &PromotionController, job: &mut Job) {
    let context = &controller.context;
    let Ok(deployer) = Deployer::of(&context.cluster, &context.discovery, &job.namespace) else { return };
    let resource = ApiResource::erase::<Event>(&());
    let topic = Topic { namespace: job.namespace.clone(), resource, fields: refusal::FIELDS };
    let watch = controller.watches.subscribe(&deployer.client, &topic);
    settled(&watch).await;
    job.watches.push(watch);
}

/// Whether everything that was applied is healthy; and if the step has no time left to become so, what the container logged that
/// it waits for.
pub async fn assess(controller: &PromotionController, observed: &Observed, job: &mut Job) -> (State, Option<Evidence>) {
    if survey::lacks_refusals(job) {
        watch_refusals(controller, job).await;
    }
    let job = &*job;
    if let Some(gone) = gone(controller, job).await {
        return (State::Failed(gone), None);
    }
    let (message, witness, recheck) = match survey(observed, job) {
        Survey::Healthy => return (State::Done, None),
        Survey::Failed { object, failure } => {
            return (State::Failed(record(controller, job, (&object, failure)).await), None);
        }
        Survey::Waiting { message, witness, recheck } => (message, witness, recheck),
    };
    let over = timeout::deadline(observed).is_some_and(|deadline| deadline <= Timestamp::now());
    let evidence = match witness.filter(|_| over) {
        Some((object, container)) => {
            let log = tail(controller, job, &container).await;
            Some(Evidence { object, container: container.to_string(), log })
        }
        None => None,
    };
    (State::Waiting { message, recheck }, evidence)
}

/// The failure of an object that was applied and that somebody deleted, or made anew, before it was healthy: nobody applies it
/// again. The watch may lag behind, so it is read.
async fn gone(controller: &PromotionController, job: &Job) -> Option<FailureRecord> {
    let missing = survey::missing(job, Timestamp::now())?;
    let context = &controller.context;
    let deployer = Deployer::of(&context.cluster, &context.discovery, &job.namespace).ok()?;
    let what = match deployer.uid(&missing.object).await {
        Ok(Some(uid)) if uid == missing.uid => return None,
        Ok(Some(_)) => "was deleted and made again by somebody else",
        Ok(None) => "was deleted by somebody",
        // Without an answer the watch goes on being waited for.
        Err(_) => return None,
    };
    Some(FailureRecord {
        object: Some(missing.object.slashed()),
        reason: "ObjectGone".to_owned(),
        message: format!("{} {what} while it was waited for: promote again", missing.object),
        ..FailureRecord::default()
    })
}

async fn record(controller: &PromotionController, job: &Job, (object, failure): (&str, Failure)) -> FailureRecord {
    let log = match &failure.container {
        Some(container) => tail(controller, job, container).await,
        None => Vec::new(),
    };
    FailureRecord {
        object: Some(object.to_owned()),
        reason: failure.reason.as_str().to_owned(),
        message: failure.message,
        details: Vec::new(),
        container: failure.container.map(|container| container.to_string()),
        log,
    }
}

async fn tail(controller: &PromotionController, job: &Job, container: &ContainerRef) -> Vec<String> {
    let context = &controller.context;
    match Deployer::of(&context.cluster, &context.discovery, &job.namespace) {
        Ok(deployer) => redacted(logs::tail(&deployer, container).await, &job.secrets),
        Err(_) => Vec::new(),
    }
}
