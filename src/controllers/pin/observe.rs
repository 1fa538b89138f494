//! Everything that one run of a pin knows.

use std::sync::Arc;

use jiff::Timestamp;
use kube::Api;

use super::witness;
use crate::api::condition::Stamp;
use crate::api::v1alpha1::pin::Witness;
use crate::api::v1alpha1::{AuditRecord, Pin, PinStatus, Promotion};
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;
use crate::controllers::place::{self, Memory, Past};
use crate::controllers::promotion::reads;
use crate::controllers::promotion::recording::record;
use crate::domain::guard::Guard;
use crate::domain::pin::{Own, Running};
use crate::domain::promotion::phase::Phase;
use crate::domain::promotion::reason::Reason;

/// What one run knows.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The pin.
    pub pin: Arc<Pin>,
    /// What happened to what runs there.
    pub past: Past,
    /// The UID of the release that it names, if there is one.
    pub release_uid: Option<String>,
    /// The promotion that runs there now: of the pin's own version where there is a choice.
    pub running: Option<Running>,
    /// The promotion that carries out this generation, once there is one.
    pub own: Option<(String, Own)>,
    /// What is to be written down of who changed it last, if something is.
    pub witnessed: Option<Witness>,
    /// Why nobody vouches for anything now, if nobody does.
    pub unguarded: Option<String>,
    /// The time of the run.
    pub now: Timestamp,
}

impl Observed {
    /// When and for which generation conditions are written.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp { now: self.now, generation: self.pin.metadata.generation }
    }
}

/// Reads the caches, and its own promotion live where they no longer have it.
///
/// # Errors
/// When that promotion or its record cannot be read.
pub async fn observe(context: &Context, pin: Arc<Pin>) -> Result<Observed, ClusterError> {
    let space = pin.metadata.namespace.clone().unwrap_or_default();
    let (project, environment) = (pin.spec.project.as_str(), pin.spec.environment.as_str());
    let known_project = context.stores.projects.get(&Key::new(&space, project));
    let known_environment = context.stores.environments.get(&Key::new(&space, environment));
    let own = match carried_out_by(&pin) {
        Some((name, status)) => Some((name.to_owned(), own(context, &space, (name, status)).await?)),
        None => None,
    };
    // After its own promotion, whose end may be among them by now.
    let outcomes = context.outcomes.of_project(&space, project);
    let memory =
        Memory { project: known_project.as_deref(), environment: known_environment.as_deref(), outcomes: &outcomes };
    let guard = context.guard.known();
    Ok(Observed {
        witnessed: witnessed(context, &pin, &guard).await?,
        unguarded: guard.broken().map(str::to_owned),
        past: place::past((project, environment), memory),
        release_uid: release_uid(context, &space, &pin),
        running: running(context, &space, &pin),
        own,
        now: Timestamp::now(),
        pin,
    })
}

/// What is to be written down of who changed the pin last. It is read live: the cache may not have what was written in a gap.
async fn witnessed(context: &Context, pin: &Pin, guard: &Guard) -> Result<Option<Witness>, ClusterError> {
    let now = context.guard.now();
    if !witness::is_due(pin, guard, now) {
        return Ok(None);
    }
    let (space, name) = (pin.metadata.namespace.as_deref().unwrap_or_default(), pin.metadata.name.as_deref());
    let pins: Api<Pin> = Api::namespaced(context.cluster.client(), space);
    let live =
        pins.get_opt(name.unwrap_or_default()).await.map_err(|error| ClusterError::api("read the pin", error))?;
    let same = |live: &Pin| {
        let version = |pin: &Pin| (pin.metadata.uid.clone(), pin.metadata.generation);
        version(live) == version(pin)
    };
    match live.filter(same) {
        Some(live) => Ok(Some(witness::of(&live, guard, now))),
        None => Err(ClusterError::Busy { object: format!("pin {}", name.unwrap_or_default()) }),
    }
}

/// The promotion by which this generation was carried out, as status remembers it.
fn carried_out_by(pin: &Pin) -> Option<(&str, &PinStatus)> {
    let status = pin.status.as_ref()?;
    let is_current = status.carried_out.is_some() && status.carried_out == pin.metadata.generation;
    Some((status.promotion.as_deref().filter(|_| is_current)?, status))
}

/// How its promotion is doing: from what is written down, the cache, the ends that are known, and else the API server.
async fn own(context: &Context, space: &str, (name, status): (&str, &PinStatus)) -> Result<Own, ClusterError> {
    let written = status.phase.as_deref().and_then(Phase::parse).filter(|phase| phase.is_finished());
    if let (Some(phase), Some(at)) = (written, &status.finished_at) {
        return Ok(Own::Ended { phase, at: at.0, message: status.message.clone().unwrap_or_default() });
    }
    if let Some(promotion) = context.stores.unfinished.get(&Key::new(space, name)) {
        return Ok(of_promotion(&promotion));
    }
    let client = context.cluster.client();
    let promotions: Api<Promotion> = Api::namespaced(client.clone(), space);
    let read = promotions.get_opt(name).await;
    if let Some(promotion) = read.map_err(|error| ClusterError::api(format!("read promotion {name}"), error))? {
        return Ok(of_promotion(&promotion));
    }
    let records: Api<AuditRecord> = Api::namespaced(client, space);
    let read = records.get_opt(&record::record_name(name)).await;
    let record = read.map_err(|error| ClusterError::api(format!("read the record of promotion {name}"), error))?;
    let recorded = record.and_then(|record| {
        let ended = record.spec.ended?;
        Some(Own::Ended { phase: Phase::parse(&ended.phase)?, at: ended.finished_at.0, message: ended.message })
    });
    Ok(recorded.unwrap_or_else(|| Own::Ended {
        phase: Phase::Canceled,
        at: Timestamp::now(),
        message: format!("promotion {name} is gone, and no record says how it ended"),
    }))
}

fn of_promotion(promotion: &Promotion) -> Own {
    let status = promotion.status.clone().unwrap_or_default();
    let phase = status.phase.as_deref().and_then(Phase::parse).unwrap_or(Phase::Pending);
    let message = status.message.unwrap_or_default();
    match status.finished_at.filter(|_| status.finished) {
        Some(at) => Own::Ended { phase, at: at.0, message },
        None => Own::Underway { phase, reason: status.reason.as_deref().map(Reason::parse), message },
    }
}

/// The promotion that runs in the place.
fn running(context: &Context, space: &str, pin: &Pin) -> Option<Running> {
    let mut running = context.stores.unfinished.in_namespace(space);
    running.retain(|promotion| {
        (&promotion.spec.project, &promotion.spec.environment) == (&pin.spec.project, &pin.spec.environment)
            && reads::is_running(promotion)
    });
    let same = running.iter().find(|promotion| promotion.spec.version == pin.spec.version).or(running.first())?;
    Some(Running {
        promotion: same.metadata.name.clone().unwrap_or_default(),
        version: same.spec.version.clone(),
        release_uid: same.status.as_ref().and_then(|status| status.release_uid()).map(str::to_owned),
    })
}

/// The UID of the release that a pin names.
fn release_uid(context: &Context, space: &str, pin: &Pin) -> Option<String> {
    let name = format!("{}-{}", pin.spec.project, pin.spec.version);
    context.stores.releases.get(&Key::new(space, name))?.metadata.uid.clone()
}
