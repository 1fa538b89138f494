//! How far the release of a promotion is, from what was read. Pure.

use std::sync::Arc;

use jiff::Timestamp;

use crate::api::convert;
use crate::api::v1alpha1::{Environment, Project, Promotion, Release};
use crate::controllers::lifecycle::course::{Choice, Course, Governing, staying};
use crate::controllers::release::arrivals::{Happened, Sources};
use crate::controllers::release::{made_again, rows};
use crate::domain::lifecycle::Lifecycle;
use crate::domain::lifecycle::reach::Reach;
use crate::domain::name::EnvironmentName;
use crate::domain::promotion::outcome::Outcome;

/// What was read, from the caches or live.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The project.
    pub project: Option<&'a Project>,
    /// The release.
    pub release: Option<&'a Release>,
    /// The environments of the space.
    pub environments: &'a [Arc<Environment>],
    /// Ends of the project's promotions that may not be in rows yet.
    pub outcomes: &'a [Arc<Outcome>],
    /// Promotions that have not ended.
    pub unfinished: &'a [Arc<Promotion>],
    /// The time.
    pub now: Timestamp,
}

/// How far the release is, on the lifecycle that was chosen.
#[must_use]
pub fn course(promotion: &Promotion, choice: &Choice, known: Known<'_>) -> Course {
    let spec = &promotion.spec;
    let orders = convert::orders(staying(known.environments.iter().map(AsRef::as_ref)));
    let governing = choice.governing(&orders);
    // What was achieved is of the release with this UID: whatever had its name before was another one.
    let uid = known.release.and_then(|release| release.metadata.uid.as_deref()).unwrap_or_default();
    let status = known.release.and_then(|release| release.status.as_ref());
    let recorded = status.map(|status| status.environments.clone()).unwrap_or_default();
    let mine = known.outcomes.iter().filter(|outcome| outcome.version.as_str() == spec.version);
    let joined = rows::join(recorded, uid, mine.map(AsRef::<Outcome>::as_ref));
    let Known { project, environments, outcomes, now, .. } = known;
    let sources = Sources { project, environments, outcomes, unfinished: &[], now };
    // How long it stayed matters to a soak alone.
    let soaks = matches!(&governing, Governing::Known(lifecycle) if Lifecycle::soaks(lifecycle));
    let happened = if soaks { happened(uid, (&spec.project, sources), known.unfinished) } else { Happened::default() };
    Course {
        arrivals: happened.arrivals(&happened.stayed(joined)),
        made_again: made_again::places((&spec.version, uid), (&spec.project, sources)),
        blocked: known.release.and_then(|release| release.spec.blocked.as_ref()).map(|block| block.reason.clone()),
        environments: orders.into_iter().map(|(name, _)| name).collect(),
        governing,
        lifecycle: choice.object(),
        now: known.now,
    }
}

fn happened(uid: &str, (project, sources): (&str, Sources<'_>), unfinished: &[Arc<Promotion>]) -> Happened {
    let mut unfinished = unfinished.to_vec();
    unfinished.retain(|other| other.spec.project == project);
    Happened::of(uid, (project, Sources { unfinished: &unfinished, ..sources }))
}

/// Whether an end that no row has yet could let the promotion through.
#[must_use]
pub fn may_be_missing(course: &Course, promotion: &Promotion) -> bool {
    let Ok(environment) = EnvironmentName::try_from(promotion.spec.environment.as_str()) else { return false };
    matches!(course.reach(&environment), Reach::Unreached(_)) || course.block(&environment).is_some()
}
