//! How far the release of a promotion is, from what was read. Pure.

use std::sync::Arc;

use jiff::Timestamp;

use crate::api::convert;
use crate::api::v1alpha1::{Environment, Project, Promotion, Release};
use crate::controllers::lifecycle::course::{Choice, Course, Governing, staying};
use crate::controllers::release::arrivals::{Happened, Sources};
use crate::controllers::release::rows;
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
    let status = known.release.and_then(|release| release.status.as_ref());
    let recorded = status.map(|status| status.environments.clone()).unwrap_or_default();
    let mine = known.outcomes.iter().filter(|outcome| outcome.version.as_str() == spec.version);
    let joined = rows::join(recorded, mine.map(AsRef::<Outcome>::as_ref));
    // How long it stayed matters to a soak alone.
    let soaks = matches!(&governing, Governing::Known(lifecycle) if Lifecycle::soaks(lifecycle));
    let happened = if soaks { happened(promotion, known) } else { Happened::default() };
    Course {
        arrivals: happened.arrivals(&happened.stayed(joined)),
        blocked: known.release.and_then(|release| release.spec.blocked.as_ref()).map(|block| block.reason.clone()),
        environments: orders.into_iter().map(|(name, _)| name).collect(),
        governing,
        lifecycle: choice.object(),
        now: known.now,
    }
}

fn happened(promotion: &Promotion, known: Known<'_>) -> Happened {
    let project = &promotion.spec.project;
    let mut unfinished = known.unfinished.to_vec();
    unfinished.retain(|other| &other.spec.project == project);
    let Known { environments, outcomes, .. } = known;
    let sources = Sources { project: known.project, environments, outcomes, unfinished: &unfinished, now: known.now };
    Happened::of(&promotion.spec.version, (project, sources))
}

/// Whether an end that no row has yet could let the promotion through.
#[must_use]
pub fn may_be_missing(course: &Course, promotion: &Promotion) -> bool {
    let Ok(environment) = EnvironmentName::try_from(promotion.spec.environment.as_str()) else { return false };
    matches!(course.reach(&environment), Reach::Unreached(_)) || course.block(&environment).is_some()
}
