//! Watches what a step applied, and judges whether it is healthy.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Event;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};

use super::PromotionController;
use super::bench::Job;
use super::observe::Observed;
use super::progress::{Evidence, State};
use super::redaction::redacted;
use super::timeout;
use crate::api::v1alpha1::Promotion;
use crate::api::v1alpha1::promotion_status::FailureRecord;
use crate::cluster::cache::{Cache, Key};
use crate::cluster::error::ClusterError;
use crate::cluster::watches::{Subscription, Topic};
use crate::steps::apply::deployer::Deployer;
use crate::steps::apply::write::Applied;
use crate::steps::health::interest::Interest;
use crate::steps::health::{ContainerRef, FailAfter, Failure, Health, Limits, Related, assess as judge, needs_events};
use crate::steps::health::{logs, refusal};

/// How long the first state of a watch is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

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
async fn settled(watch: &Subscription) {
    // One that hangs has neither come about nor failed; it goes on in the background.
    let _ = tokio::time::timeout(PATIENCE, watch.objects.settled()).await;
}

/// Watches Events of pods that could not be made, if something lacks pods whose controller says so nowhere else.
async fn watch_refusals(controller: &PromotionController, job: &mut Job) {
    let known = job.watches.iter().any(|watch| watch.topic.fields == refusal::FIELDS);
    let lacks = |one: &Applied| seen(job, one).is_some_and(|object| needs_events(&one.object, &object));
    if known || !job.applied.iter().any(lacks) {
        return;
    }
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
    watch_refusals(controller, job).await;
    let job = &*job;
    let limits = limits(observed, job);
    let related = Related::new(&all(job, "Pod"), &all(job, "ReplicaSet")).with_refusals(&all(job, "Event"));
    let (mut recheck, mut waits): (Option<Timestamp>, Option<(String, Option<Witness>)>) = (None, None);
    for one in job.applied.iter().filter(|one| one.interest != Interest::Nothing) {
        let Some(object) = seen(job, one) else {
            waits.get_or_insert_with(|| (unseen(job, one), None));
            continue;
        };
        let assessment = judge(&one.object, &object, &related, &limits);
        recheck = [recheck, assessment.recheck].into_iter().flatten().min();
        match assessment.health {
            Health::Healthy => {}
            Health::Progressing { message, container } => {
                waits.get_or_insert((message, container.map(|container| (one.object.slashed(), container))));
            }
            Health::Failed(failure) => {
                return (State::Failed(record(controller, job, (&one.object.slashed(), failure)).await), None);
            }
        }
    }
    let Some((message, witness)) = waits else { return (State::Done, None) };
    let over = timeout::deadline(observed).is_some_and(|deadline| deadline <= limits.now);
    let evidence = match witness.filter(|_| over) {
        Some((object, container)) => {
            let log = tail(controller, job, &container).await;
            Some(Evidence { object, container: container.to_string(), log })
        }
        None => None,
    };
    (State::Waiting { message, recheck }, evidence)
}

/// An object, and the container that it waits for.
type Witness = (String, ContainerRef);

/// An object as its watch shows it, once that is no older than what was applied.
fn seen(job: &Job, one: &Applied) -> Option<Arc<DynamicObject>> {
    let found = store(job, &one.object.gvk())?.get(&Key::new(&one.object.namespace, &one.object.name));
    found.filter(|object| is_new_enough(object, one))
}

/// Why an object is not seen.
fn unseen(job: &Job, one: &Applied) -> String {
    let trouble = store(job, &one.object.gvk()).and_then(Cache::trouble);
    match trouble {
        Some(trouble) if trouble.forbidden => format!(
            "{}: cannot be watched: {}; let cluster role gantry-deployer get, list and watch it",
            one.object, trouble.message
        ),
        Some(trouble) => format!("{}: cannot be watched now: {}", one.object, trouble.message),
        None => format!("{}: waits for the watch to show the change", one.object),
    }
}

/// Only states that are no older than what was applied count.
fn is_new_enough(object: &DynamicObject, applied: &Applied) -> bool {
    if object.metadata.uid.as_deref() != Some(&applied.uid) {
        return false;
    }
    let number = |version: &str| version.parse::<u64>().unwrap_or(u64::MAX);
    let seen = object.metadata.resource_version.as_deref().map_or(0, number);
    seen >= number(&applied.resource_version)
}

fn store<'a>(job: &'a Job, gvk: &GroupVersionKind) -> Option<&'a Cache<DynamicObject>> {
    let same = |resource: &ApiResource| (&resource.group, &resource.kind) == (&gvk.group, &gvk.kind);
    job.watches.iter().find(|watch| same(&watch.topic.resource)).map(|watch| &watch.objects)
}

fn all(job: &Job, kind: &str) -> Vec<Arc<DynamicObject>> {
    let watch = job.watches.iter().find(|watch| watch.topic.resource.kind == kind);
    watch.map(|watch| watch.objects.all()).unwrap_or_default()
}

fn limits(observed: &Observed, job: &Job) -> Limits {
    let fail_after = observed.environment.as_ref().map(|known| known.spec.fail_after.clone()).unwrap_or_default();
    let duration = |text: &str| {
        let read = text.parse::<SignedDuration>().ok().and_then(|read| Duration::try_from(read).ok());
        read.unwrap_or(Duration::from_mins(2))
    };
    Limits {
        fail_after: FailAfter {
            image_pull: duration(&fail_after.image_pull),
            crash_loop: u32::try_from(fail_after.crash_loop).unwrap_or(3),
            unschedulable: duration(&fail_after.unschedulable),
        },
        applied: since(&observed.promotion, job, observed.now),
        now: Timestamp::now(),
    }
}

/// When the objects were applied. A process that applied again what its predecessor had changed nothing: then the clock has run
/// since the predecessor did, which is when the step was recorded as started.
fn since(promotion: &Promotion, job: &Job, now: Timestamp) -> Timestamp {
    let here = job.progress.applied_at.unwrap_or(now);
    if job.applied.iter().any(|one| one.changed) {
        return here;
    }
    let steps = promotion.status.as_ref().map(|status| status.steps.as_slice()).unwrap_or_default();
    let recorded = steps.get(job.progress.step).and_then(|step| step.applied_at.as_ref().or(step.started_at.as_ref()));
    recorded.map_or(here, |time| time.0.min(here))
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

#[cfg(test)]
mod tests;
