//! Everything that one run of a release knows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::arrivals::{Happened, Sources};
use super::attempts::Found;
use super::rows::Runs;
use crate::api::condition::Stamp;
use crate::api::convert;
use crate::api::v1alpha1::history::DeploymentRow;
use crate::api::v1alpha1::project::Current;
use crate::api::v1alpha1::release::ReleaseEnvironment;
use crate::api::v1alpha1::{Environment, Project, Promotion, Release};
use crate::cluster::cache::Key;
use crate::controllers::context::Context;
use crate::controllers::guard::vouched::is_vouched;
use crate::controllers::lifecycle::course::{self, Course, Governing};
use crate::controllers::lifecycle::reads;
use crate::controllers::secret_versions::Sighting;
use crate::domain::lifecycle::journey::Journey;
use crate::domain::lifecycle::overtaken::{self as lifecycle, Made, Success};
use crate::domain::name::EnvironmentName;
use crate::domain::promotion::outcome::Outcome;
use crate::domain::remade::are_two;

/// What one run knows.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The release.
    pub release: Arc<Release>,
    /// What is known of its sealing; nothing once it is sealed.
    pub sealing: Option<Found>,
    /// Ends of its promotions that may not be in its rows yet.
    pub outcomes: Vec<Arc<Outcome>>,
    /// What runs of its project, from everybody who knows.
    pub runs: Vec<Runs>,
    /// The environments of the space.
    pub environments: BTreeSet<String>,
    /// What happened where it may have been.
    pub happened: Happened,
    /// Its lifecycle as it is now.
    pub governing: Governing,
    /// An environment that does not read as one and without which nobody knows how far the release is: its name, and why.
    pub unreadable: Option<(String, Arc<str>)>,
    /// The environments that stay, as lifecycles name them.
    pub places: BTreeSet<EnvironmentName>,
    /// Environments where a release of the project that was made later runs, or is on its way to.
    pub overtaken: BTreeSet<EnvironmentName>,
    /// Environments where a pin says what runs of the project: nothing goes there by itself.
    pub pinned: BTreeSet<String>,
    /// Its promotions that have not ended: environment and name.
    pub underway: BTreeMap<String, Vec<String>>,
    /// Promotions that it would get by itself and that could not be made in this run: environment, and why.
    pub unmade: BTreeMap<EnvironmentName, String>,
    /// Whether nobody vouches for who made it.
    pub unvouched: bool,
    /// What was seen of the Secrets of the space that it refers to, by name.
    pub secrets: BTreeMap<String, Sighting>,
    /// The time of the run.
    pub now: Timestamp,
}

impl Observed {
    /// Its name, which the API server makes sure follows from its project and version.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.release.spec.project, self.release.spec.version)
    }

    /// How far it is, with these rows; nothing where nobody knows.
    #[must_use]
    pub fn journey(&self, rows: &[ReleaseEnvironment]) -> Option<Journey> {
        if self.unreadable.is_some() {
            return None;
        }
        let course = Course {
            governing: self.governing.clone(),
            lifecycle: None,
            environments: self.places.clone(),
            arrivals: self.happened.arrivals(rows),
            // What is said to a promotion; the rows of a release are its own.
            made_again: BTreeSet::new(),
            blocked: self.release.spec.blocked.as_ref().map(|block| block.reason.clone()),
            now: self.now,
        };
        course.journey()
    }

    /// When and for which generation conditions are written.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp { now: self.now, generation: self.release.metadata.generation }
    }
}

/// Reads the caches.
#[must_use]
pub fn observe(context: &Context, release: Arc<Release>, sealing: Option<Found>) -> Observed {
    let space = release.metadata.namespace.clone().unwrap_or_default();
    let (spec, stores) = (&release.spec, &context.stores);
    let uid = release.metadata.uid.as_deref().unwrap_or_default();
    let environments = stores.environments.in_namespace(&space);
    let broken = stores.environments.broken_in_namespace(&space);
    let orders = convert::orders(course::staying(environments.iter().map(AsRef::as_ref)));
    let project = stores.projects.get(&Key::new(&space, &spec.project));
    let runs = runs(context, (&space, &spec.project), (project.as_deref(), &environments));
    let unfinished = unfinished(context, &space, &spec.project);
    let outcomes = context.outcomes.of_project(&space, &spec.project);
    let now = Timestamp::now();
    let sources = Sources {
        now,
        project: project.as_deref(),
        environments: &environments,
        outcomes: &outcomes,
        unfinished: &unfinished,
    };
    let mut underway: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for promotion in unfinished.iter().filter(|promotion| promotion.spec.version == spec.version) {
        let names = underway.entry(promotion.spec.environment.clone()).or_default();
        names.extend(promotion.metadata.name.clone());
    }
    let choice = reads::choice(context, &space, (project.as_deref(), Some(&release)));
    let governing = choice.governing(&orders);
    let names = environments.iter().filter_map(|known| known.metadata.name.clone());
    Observed {
        outcomes: own(context.outcomes.of_version(&space, &spec.project, &spec.version), uid),
        overtaken: overtaken(context, &release, (&runs, &unfinished)),
        pinned: pinned(context, &space, &spec.project),
        underway,
        unmade: BTreeMap::new(),
        unvouched: is_unvouched(context, &release),
        runs,
        environments: names.chain(broken.keys().cloned()).collect(),
        happened: Happened::of(uid, (&spec.project, sources)),
        unreadable: broken.into_iter().find(|(name, _)| governing.concerns(choice.object().is_some(), name)),
        governing,
        secrets: secrets(context, &space, (&release, sealing.as_ref())),
        sealing,
        places: orders.into_iter().map(|(name, _)| name).collect(),
        now,
        release,
    }
}

/// The ends of the release with this UID, of those of its version.
fn own(mut outcomes: Vec<Arc<Outcome>>, uid: &str) -> Vec<Arc<Outcome>> {
    outcomes.retain(|outcome| outcome.is_of(uid));
    outcomes
}

/// Whether the policies did not act when a release was made. While they do not act now, nobody knows.
fn is_unvouched(context: &Context, release: &Release) -> bool {
    let guard = context.guard.known();
    guard.broken().is_none() && !is_vouched(&guard, release)
}

/// What was seen of the Secrets that a release refers to, or will once it is sealed.
fn secrets(context: &Context, space: &str, release: (&Release, Option<&Found>)) -> BTreeMap<String, Sighting> {
    let rows = match release {
        (_, Some(Found::Sealable(seal))) => seal.secrets.as_slice(),
        (release, _) => release.status.as_ref().map(|status| status.secrets.as_slice()).unwrap_or_default(),
    };
    let seen = rows.iter().filter_map(|row| {
        let sighting = context.secret_versions.known(&Key::new(space, &row.name))?;
        Some((row.name.clone(), sighting))
    });
    seen.collect()
}

/// Promotions of a project that have not ended.
fn unfinished(context: &Context, space: &str, project: &str) -> Vec<Arc<Promotion>> {
    let mut unfinished = context.stores.unfinished.in_namespace(space);
    unfinished.retain(|promotion| promotion.spec.project == project);
    unfinished
}

/// Environments with a pin of the project.
fn pinned(context: &Context, space: &str, project: &str) -> BTreeSet<String> {
    let pins = context.stores.pins.starting_with(space, &format!("{project}."));
    pins.into_iter()
        .filter(|(_, pin)| pin.spec.project == project)
        .map(|(_, pin)| pin.spec.environment.clone())
        .collect()
}

/// When a release was made, among those of its project.
#[must_use]
pub fn made(release: &Release) -> Made {
    let at = release.metadata.creation_timestamp.as_ref().map_or(Timestamp::MIN, |time| time.0);
    Made::new(at, &release.spec.version)
}

/// Environments where a release that was made later is, or will be.
fn overtaken(
    context: &Context,
    release: &Release,
    (runs, unfinished): (&[Runs], &[Arc<Promotion>]),
) -> BTreeSet<EnvironmentName> {
    let space = release.metadata.namespace.as_deref().unwrap_or_default();
    // One that was made again is not the one that runs, so nobody knows when that was made.
    let of = |version: &str, uid: Option<&str>| {
        let name = format!("{}-{version}", release.spec.project);
        let other = context.stores.releases.get(&Key::new(space, name));
        other.filter(|other| !are_two(uid, other.metadata.uid.as_deref())).map(|other| made(&other))
    };
    let environment = |name: &str| EnvironmentName::try_from(name).ok();
    let successes = runs.iter().filter_map(|one| {
        let (finished, promotion_uid) = (one.since, one.promotion_uid.clone());
        let made = of(&one.version, one.release_uid.as_deref());
        Some(Success { environment: environment(&one.environment)?, finished, promotion_uid, made })
    });
    // One that leaves something out does not bring its release there.
    let whole = unfinished.iter().filter(|promotion| !promotion.spec.is_partial());
    let underway = whole.filter_map(|promotion| {
        let uid = promotion.status.as_ref().and_then(|status| status.release_uid());
        Some((environment(&promotion.spec.environment)?, of(&promotion.spec.version, uid)?))
    });
    lifecycle::overtaken(&made(release), successes, underway)
}

/// What runs of a project: in the project's rows, in the environments' rows, and in ends that neither has yet.
fn runs(
    context: &Context,
    (space, project): (&str, &str),
    (known, environments): (Option<&Project>, &[Arc<Environment>]),
) -> Vec<Runs> {
    let rows = known.and_then(|project| project.status.as_ref()).map(|status| status.environments.as_slice());
    let by_project = rows
        .unwrap_or_default()
        .iter()
        .filter_map(|row| row.current.as_ref().map(|current| from_project(&row.name, current)));
    let by_environment = environments.iter().filter_map(|environment| {
        let row = environment.status.as_ref()?.deployments.iter().find(|row| row.project == project)?;
        Some(from_environment(environment.metadata.name.as_deref()?, row))
    });
    let outcomes = context.outcomes.of_project(space, project);
    let pending = outcomes.iter().filter(|outcome| outcome.is_success()).map(|outcome| from_outcome(outcome));
    by_project.chain(by_environment).chain(pending).collect()
}

fn from_project(environment: &str, current: &Current) -> Runs {
    Runs {
        environment: environment.to_owned(),
        version: current.version.clone(),
        release_uid: current.release_uid.clone(),
        since: current.since.0,
        promotion_uid: current.promotion_uid.clone(),
    }
}

fn from_environment(environment: &str, row: &DeploymentRow) -> Runs {
    Runs {
        environment: environment.to_owned(),
        version: row.version.clone(),
        release_uid: row.release_uid.clone(),
        since: row.since.0,
        promotion_uid: row.promotion_uid.clone(),
    }
}

fn from_outcome(outcome: &Outcome) -> Runs {
    Runs {
        environment: outcome.environment.to_string(),
        version: outcome.version.to_string(),
        release_uid: outcome.release_uid.clone(),
        since: outcome.finished,
        promotion_uid: outcome.uid.clone(),
    }
}
