//! How what a promotion knows is read: cheaply from the caches, or live where a decision cannot be taken back.

pub mod course;
pub mod current;
pub mod environments;
pub mod object;
pub mod snapshots;

use std::sync::Arc;

use jiff::Timestamp;
use kube::Client;
use kube::api::ListParams;
use kube::core::DeserializeGuard;

use super::approvals;
use super::freezes;
use super::observe::{Observed, Trace, Unreadable};
use super::pinned::{self, Pinned};
use super::plan::PlanState;
use super::recording::record;
use super::rollback;
use crate::api::RECORDED_FINALIZER;
use crate::api::v1alpha1::{Environment, Pin, Project, Promotion, Release};
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;
use crate::controllers::lifecycle::course::{Course, chosen as chosen_name};
use crate::controllers::lifecycle::reads as lifecycle;
use crate::controllers::place::{self, Memory, Past};
use crate::controllers::release::{automatic, observe as release};
use crate::domain::lifecycle::overtaken::Made;
use crate::domain::name::release_name;
use crate::domain::promotion::machine::{NameUse, Slot as Holder};
use crate::domain::promotion::outcome::Outcome;
use crate::domain::promotion::phase::Phase;
use crate::domain::promotion::reason::Reason;
use crate::domain::promotion::rollback::Rollback;
use crate::domain::queue::{Claim, Entry, Origin};
use crate::domain::remade::are_two;
use course::Known;
use current::{Current, current};
use object::{all, get, read};

/// What the caches say. Enough to wait; never enough to start or to end.
#[must_use]
pub fn cached(context: &Context, promotion: Arc<Promotion>) -> Observed {
    let space = promotion.metadata.namespace.clone().unwrap_or_default();
    let stores = &context.stores;
    let environments = stores.environments.in_namespace(&space);
    let (project, release) = (Key::new(&space, &promotion.spec.project), Key::new(&space, release_of(&promotion)));
    let unreadable = Unreadable {
        project: stores.projects.broken(&project),
        release: stores.releases.broken(&release),
        environments: stores.environments.broken_in_namespace(&space),
    };
    let release = stores.releases.get(&release);
    let rivals = stores.unfinished.in_namespace(&space);
    let project = stores.projects.get(&project);
    let (now, outcomes) = (Timestamp::now(), context.outcomes.of_project(&space, &promotion.spec.project));
    let known = Known {
        project: project.as_deref(),
        release: release.as_deref(),
        environments: &environments,
        outcomes: &outcomes,
        unfinished: &rivals,
        now,
    };
    let choice = lifecycle::choice(context, &space, (project.as_deref(), release.as_deref()));
    Observed {
        now,
        unreadable,
        course: course::course(&promotion, &choice, known),
        freezes: freezes::reads::cached(stores, &space),
        approvals: approvals::reads::cached(context, &Key::of(promotion.as_ref())),
        pinned: Pinned {
            pin: stores.pins.get(&Key::new(&space, pinned::pin_name(&promotion))),
            past: past(&promotion, known),
        },
        project,
        rivals: entries(context, &promotion, rivals.iter().map(AsRef::as_ref), now),
        history: has_history(context, &space, environments.iter().map(AsRef::as_ref)),
        release,
        ..alone(context, promotion)
    }
}

/// The promotion and its environment, and nothing that gates look at: enough for a step that runs.
#[must_use]
pub fn alone(context: &Context, promotion: Arc<Promotion>) -> Observed {
    let space = promotion.metadata.namespace.as_deref().unwrap_or_default();
    let now = Timestamp::now();
    Observed {
        now,
        fresh: false,
        project: None,
        unreadable: Unreadable::default(),
        environment: context.stores.environments.get(&Key::new(space, &promotion.spec.environment)),
        course: Course::unknown(now),
        current: None,
        rivals: Vec::new(),
        guard: context.guard.known(),
        account: context.account.clone(),
        freezes: freezes::Read::default(),
        approvals: Vec::new(),
        pinned: Pinned::default(),
        history: false,
        release: None,
        // A promotion that has started had looked its name up before.
        name_use: if is_underway(&promotion) { NameUse::Fresh } else { NameUse::Unknown },
        slot: Holder::Unknown,
        plan: PlanState::Unknown,
        faults: None,
        progress: None,
        hindrance: None,
        rollback: Rollback::Unknown,
        trace: Trace::Perhaps,
        looked: false,
        promotion,
    }
}

/// What the API server says now. What was already looked up (name, slot, plan) is kept.
///
/// # Errors
/// When something cannot be read.
pub async fn live(context: &Context, observed: Observed) -> Result<Observed, ClusterError> {
    let client = context.cluster.client();
    let promotion = Arc::clone(&observed.promotion);
    let space = promotion.metadata.namespace.clone().unwrap_or_default();
    let release_name = release_of(&promotion);
    let chosen = chosen_name(observed.project.as_deref(), observed.release.as_deref());
    // An end that is recorded while the rest is read may be missing there and forgotten here by then.
    let mut outcomes = context.outcomes.of_project(&space, &promotion.spec.project);
    let (project, release, environments, rivals, choice, pin, freezes) = futures::try_join!(
        get::<Project>(&client, &space, &promotion.spec.project),
        get::<Release>(&client, &space, &release_name),
        environments::live(context, &space),
        all::<Promotion>(&client, &space, unfinished(&promotion)),
        lifecycle::live_choice(context, &space, chosen),
        pin(&client, &observed),
        freezes::reads::live(&client, &space),
    )?;
    let ((project, no_project), (release, no_release)) = (read(project), read(release));
    let (environments, broken) = environments;
    let unreadable = Unreadable { project: no_project, release: no_release, environments: broken };
    let now_chosen = chosen_name(project.as_ref(), release.as_ref());
    let choice =
        if chosen == now_chosen { choice } else { lifecycle::live_choice(context, &space, now_chosen).await? };
    outcomes.extend(context.outcomes.of_project(&space, &promotion.spec.project));
    let running = context.stores.unfinished.in_namespace(&space);
    let environment =
        environments.iter().find(|known| known.metadata.name.as_ref() == Some(&promotion.spec.environment)).cloned();
    let now = Timestamp::now();
    let judged = |release: Option<&Release>, outcomes: &[Arc<Outcome>]| {
        let project = project.as_ref();
        let known = Known { project, release, environments: &environments, outcomes, unfinished: &running, now };
        (course::course(&promotion, &choice, known), current(&promotion, known), past(&promotion, known))
    };
    let (mut course, mut current, mut past) = judged(release.as_ref(), &outcomes);
    if context.outcomes.expects_any(&space) || course::may_be_missing(&course, &promotion) {
        let missing = unrecorded(&client, &promotion).await?.into_iter().map(Arc::new);
        let all: Vec<_> = outcomes.iter().cloned().chain(missing).collect();
        let again = same(&client, (&space, &release_name), release.as_ref()).await?;
        (course, current, past) = judged(again.as_ref().or(release.as_ref()), &all);
    }
    Ok(Observed {
        now,
        fresh: true,
        freezes,
        course,
        pinned: Pinned { pin: pin.map(Arc::new), past },
        project: project.map(Arc::new),
        release: release.map(Arc::new),
        unreadable,
        environment,
        current: current.map(|known| aged(context, &promotion, known)),
        rivals: entries(context, &promotion, rivals.0.iter(), now),
        history: has_history(context, &space, environments.iter().map(AsRef::as_ref)),
        ..observed
    })
}

/// The same release once more: an end that is no longer kept anywhere else went into its rows before, perhaps after they were read.
/// One that was made again meanwhile is another one.
async fn same(
    client: &Client,
    (space, name): (&str, &str),
    before: Option<&Release>,
) -> Result<Option<Release>, ClusterError> {
    let (now, _) = read(get::<Release>(client, space, name).await?);
    Ok(now.filter(|now| before.is_some_and(|before| before.metadata.uid == now.metadata.uid)))
}

/// The pin of the place, where there may be one.
async fn pin(client: &Client, observed: &Observed) -> Result<Option<Pin>, ClusterError> {
    let promotion = &observed.promotion;
    if observed.pinned.pin.is_none() && !pinned::is_of_a_pin(promotion) {
        return Ok(None);
    }
    let space = promotion.metadata.namespace.as_deref().unwrap_or_default();
    Ok(read(get::<Pin>(client, space, &pinned::pin_name(promotion)).await?).0)
}

/// What happened to what runs where the promotion goes.
fn past(promotion: &Promotion, known: Known<'_>) -> Past {
    let (project, environment) = (promotion.spec.project.as_str(), promotion.spec.environment.as_str());
    let named = |other: &&Arc<Environment>| other.metadata.name.as_deref() == Some(environment);
    let memory = Memory {
        project: known.project,
        environment: known.environments.iter().find(named).map(AsRef::as_ref),
        outcomes: known.outcomes,
    };
    place::past((project, environment), memory)
}

/// Whether a promotion says that it runs.
#[must_use]
pub fn is_running(promotion: &Promotion) -> bool {
    promotion.status.as_ref().and_then(|status| status.phase.as_deref()) == Some(Phase::Running.as_str())
}

/// Whether a promotion says that it has started and not ended: it runs, or failed and is rolled back.
#[must_use]
pub fn is_underway(promotion: &Promotion) -> bool {
    is_running(promotion) || is_rolling_back(promotion)
}

/// Whether a promotion says that it failed and is rolled back.
#[must_use]
pub fn is_rolling_back(promotion: &Promotion) -> bool {
    promotion.status.as_ref().and_then(|status| status.phase.as_deref()) == Some(Phase::RollingBack.as_str())
}

/// The UID of the release of this version that the project of a promotion has now, by a live read.
///
/// # Errors
/// When it cannot be read.
pub async fn release_uid(
    client: &Client,
    promotion: &Promotion,
    version: &str,
) -> Result<Option<String>, ClusterError> {
    let space = promotion.metadata.namespace.as_deref().unwrap_or_default();
    let known = get::<Release>(client, space, &format!("{}-{version}", promotion.spec.project)).await?;
    Ok(known.and_then(|DeserializeGuard(release)| match release {
        Ok(release) => release.metadata.uid,
        Err(broken) => broken.metadata.uid,
    }))
}

/// What runs, with the age of its release.
fn aged(context: &Context, promotion: &Promotion, known: Current) -> Current {
    let space = promotion.metadata.namespace.as_deref().unwrap_or_default();
    let release = Key::new(space, format!("{}-{}", promotion.spec.project, known.version));
    let release = context.stores.releases.get(&release);
    // One that was made again is not the one that runs.
    let ran = release.filter(|release| !are_two(known.release_uid.as_deref(), release.metadata.uid.as_deref()));
    let made = ran.and_then(|release| release.metadata.creation_timestamp.clone());
    Current { made: made.map(|time| time.0), ..known }
}

/// Whether a promotion says that it has ended.
#[must_use]
pub fn has_finished(promotion: &Promotion) -> bool {
    promotion.status.as_ref().is_some_and(|status| status.finished)
}

/// The name of the release that a promotion brings.
#[must_use]
pub fn release_of(promotion: &Promotion) -> String {
    format!("{}-{}", promotion.spec.project, promotion.spec.version)
}

fn unfinished(promotion: &Promotion) -> ListParams {
    let (project, environment) = (&promotion.spec.project, &promotion.spec.environment);
    ListParams::default()
        .fields(&format!("status.finished!=true,spec.project={project},spec.environment={environment}"))
}

/// Ends of the same project that are written and not yet in all rows: their promotions still carry the finalizer.
async fn unrecorded(client: &Client, promotion: &Promotion) -> Result<Vec<Outcome>, ClusterError> {
    let space = promotion.metadata.namespace.as_deref().unwrap_or_default();
    let ended = ListParams::default().fields(&format!("status.finished=true,spec.project={}", promotion.spec.project));
    let (ended, _) = all::<Promotion>(client, space, ended).await?;
    let kept = |known: &&Promotion| {
        known.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == RECORDED_FINALIZER)
    };
    Ok(ended.iter().filter(kept).filter_map(record::outcome).collect())
}

/// Whether anything was ever promoted in the space.
fn has_history<'a>(context: &Context, space: &str, environments: impl Iterator<Item = &'a Environment>) -> bool {
    let mut environments = environments;
    environments.any(|known| known.status.as_ref().is_some_and(|status| !status.history.is_empty()))
        || context.outcomes.any_of_space(space)
}

/// The unfinished promotions of the same project and environment, as the queue sees them.
fn entries<'a>(
    context: &Context,
    mine: &Promotion,
    known: impl Iterator<Item = &'a Promotion>,
    now: Timestamp,
) -> Vec<Entry> {
    let same = |other: &&Promotion| {
        (&other.spec.project, &other.spec.environment) == (&mine.spec.project, &mine.spec.environment)
            && !has_finished(other)
    };
    let entry = |known: &Promotion| entry(known, origin(context, known), now);
    let mut entries: Vec<Entry> = known.filter(same).map(entry).collect();
    if !entries.iter().any(|entry| Some(&entry.uid) == mine.metadata.uid.as_ref()) {
        entries.push(entry(mine));
    }
    entries
}

/// Who asked for a promotion. A release that is not known was made a moment ago.
fn origin(context: &Context, promotion: &Promotion) -> Origin {
    let Some(cause) = &promotion.spec.cause else { return Origin::Asked };
    if pinned::is_of_a_pin(promotion) {
        return Origin::Pin(cause.generation.unwrap_or_default());
    }
    if cause.kind != automatic::CAUSE {
        return Origin::Asked;
    }
    let space = promotion.metadata.namespace.as_deref().unwrap_or_default();
    let release = context.stores.releases.get(&Key::new(space, release_of(promotion)));
    let made = || Made::new(created(promotion), &promotion.spec.version);
    Origin::Lifecycle(release.map_or_else(made, |release| release::made(&release)))
}

fn created(promotion: &Promotion) -> Timestamp {
    promotion.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

fn entry(promotion: &Promotion, origin: Origin, now: Timestamp) -> Entry {
    let meta = &promotion.metadata;
    Entry {
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        created: created(promotion),
        origin,
        running: is_underway(promotion),
        claim: claim(promotion, now),
        priority: promotion.spec.priority,
        partial: promotion.spec.is_partial(),
        passes_freezes: promotion.spec.freeze_override.is_some(),
        rollback_of: rollback::rollback_of(promotion).map(str::to_owned),
    }
}

/// What the reason that a promotion waits for says about its claim.
fn claim(promotion: &Promotion, now: Timestamp) -> Claim {
    if promotion.spec.not_before.as_ref().is_some_and(|time| time.0 > now) {
        return Claim::Scheduled;
    }
    let reason = promotion.status.as_ref().and_then(|status| status.reason.as_deref()).map(Reason::parse);
    match reason {
        Some(reason) if reason.is_turn() || reason == Reason::InProgress => Claim::Fit,
        Some(Reason::Frozen) => Claim::Frozen,
        Some(reason) if reason.is_own() => Claim::Held,
        Some(reason) if reason.is_of_all() => Claim::AllHeld,
        Some(_) | None => Claim::Unjudged,
    }
}

/// The name of the release that an outcome is of.
#[must_use]
pub fn release_key(outcome: &Outcome) -> Key {
    Key::new(&outcome.space, release_name(&outcome.project, &outcome.version))
}
