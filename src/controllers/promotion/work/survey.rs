//! What the watches show of everything that a step applied. Nothing is read here.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};

use super::bench::Job;
use super::redaction::hidden;
use crate::api::PROJECT_LABEL;
use crate::api::v1alpha1::Promotion;
use crate::cluster::cache::{Cache, Key};
use crate::controllers::promotion::observe::Observed;
use crate::steps::apply::write::Applied;
use crate::steps::health::interest::Interest;
use crate::steps::health::{ContainerRef, FailAfter, Failure, Health, Limits, Related, assess, needs_events, refusal};

/// How everything is, taken together.
#[derive(Debug)]
pub enum Survey {
    /// All of it is healthy.
    Healthy,
    /// Some of it is not, and may become so.
    Waiting {
        /// What, and what it waits for, in one sentence.
        message: String,
        /// The container that it waits for, with the object that has it.
        witness: Option<Witness>,
        /// When the answer changes although nothing else does.
        recheck: Option<Timestamp>,
    },
    /// Some of it will certainly not become healthy.
    Failed {
        /// The object: `Deployment/checkout`.
        object: String,
        /// What failed.
        failure: Failure,
    },
}

/// An object, and the container that it waits for.
pub type Witness = (String, ContainerRef);

/// Looks at everything. What containers and others say of it is shown without the secrets that the promotion has used.
#[must_use]
pub fn survey(observed: &Observed, job: &Job) -> Survey {
    match look(observed, job) {
        Survey::Healthy => Survey::Healthy,
        Survey::Waiting { message, witness, recheck } => {
            Survey::Waiting { message: hidden(message, &job.secrets), witness, recheck }
        }
        Survey::Failed { object, failure } => {
            let message = hidden(failure.message, &job.secrets);
            Survey::Failed { object, failure: Failure { message, ..failure } }
        }
    }
}

fn look(observed: &Observed, job: &Job) -> Survey {
    let limits = limits(observed, job);
    let related = Related::new(&all(job, "Pod"), &all(job, "ReplicaSet")).with_refusals(&all(job, "Event"));
    let (mut recheck, mut waits): (Option<Timestamp>, Option<(String, Option<Witness>)>) = (None, None);
    for one in job.applied.iter().filter(|one| one.interest != Interest::Nothing) {
        let Some(object) = seen(job, one) else {
            waits.get_or_insert_with(|| (unseen(job, one), None));
            let lag = job.progress.applied_at.and_then(|applied| applied.checked_add(LAG).ok());
            recheck = [recheck, lag.filter(|lag| *lag > observed.now)].into_iter().flatten().min();
            continue;
        };
        let assessment = assess(&one.object, &object, &related, &limits);
        recheck = [recheck, assessment.recheck].into_iter().flatten().min();
        let object = one.object.slashed();
        match assessment.health {
            Health::Healthy => {}
            Health::Progressing { message, container } => {
                waits.get_or_insert((message, container.map(|container| (object, container))));
            }
            Health::Failed(failure) => return Survey::Failed { object, failure },
        }
    }
    waits.map_or(Survey::Healthy, |(message, witness)| Survey::Waiting { message, witness, recheck })
}

/// Whether more is to be found out than the watches show.
#[must_use]
pub fn needs_a_look(job: &Job) -> bool {
    lacks_refusals(job) || missing(job, Timestamp::now()).is_some()
}

/// How far a watch may lag behind what was applied before it is asked whether somebody deleted it.
const LAG: SignedDuration = SignedDuration::from_secs(1);

/// What was applied and is not, or no longer, in a watch that shows everything.
#[must_use]
pub fn missing(job: &Job, now: Timestamp) -> Option<&Applied> {
    if job.progress.applied_at.is_none_or(|applied| now.duration_since(applied) < LAG) {
        return None;
    }
    job.applied.iter().filter(|one| one.interest != Interest::Nothing).find(|one| {
        let shows_all = |store: &&Cache<DynamicObject>| store.is_synced() && store.trouble().is_none();
        let Some(store) = store(job, &one.object.gvk()).filter(shows_all) else { return false };
        let known = store.get(&Key::new(&one.object.namespace, &one.object.name));
        known.is_none_or(|known| known.metadata.uid.as_deref() != Some(&one.uid))
    })
}

/// Whether something lacks pods, and only Events could say why, which nobody watches yet.
#[must_use]
pub fn lacks_refusals(job: &Job) -> bool {
    let lacks = |one: &Applied| seen(job, one).is_some_and(|object| needs_events(&one.object, &object));
    !job.watches.iter().any(|watch| watch.topic.fields == refusal::FIELDS) && job.applied.iter().any(lacks)
}

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

/// What is watched of a kind, but for what belongs to other projects.
fn all(job: &Job, kind: &str) -> Vec<Arc<DynamicObject>> {
    let watch = job.watches.iter().find(|watch| {
        let resource = &watch.topic.resource;
        resource.kind == kind && ["", "apps", "events.k8s.io"].contains(&resource.group.as_str())
    });
    let mut objects = watch.map(|watch| watch.objects.all()).unwrap_or_default();
    objects.retain(|object| {
        let owner = object.metadata.labels.as_ref().and_then(|labels| labels.get(PROJECT_LABEL));
        owner.is_none_or(|owner| *owner == job.project)
    });
    objects
}

fn limits(observed: &Observed, job: &Job) -> Limits {
    let fail_after = observed.environment.as_ref().map(|known| known.spec.fail_after.clone()).unwrap_or_default();
    let duration = |text: &str, otherwise: Duration| {
        let read = text.parse::<SignedDuration>().ok().and_then(|read| Duration::try_from(read).ok());
        read.unwrap_or(otherwise)
    };
    Limits {
        fail_after: FailAfter {
            image_pull: duration(&fail_after.image_pull, Duration::from_mins(2)),
            crash_loop: u32::try_from(fail_after.crash_loop).unwrap_or(3),
            unschedulable: duration(&fail_after.unschedulable, Duration::from_mins(5)),
        },
        applied: since(&observed.promotion, job, observed.now),
        now: observed.now,
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
    let recorded = steps
        .get(job.progress.step)
        .and_then(|step| [&step.applied_at, &step.attempted_at, &step.started_at].into_iter().flatten().next());
    recorded.map_or(here, |time| time.0.min(here))
}

#[cfg(test)]
mod tests;
