//! What runs now where a promotion goes, and what the promotion is to it. Pure.

use jiff::Timestamp;

use super::course::Known;
use crate::api::v1alpha1::Promotion;
use crate::api::v1alpha1::history::{DeploymentRow, Previous};
use crate::api::v1alpha1::project::Current as CurrentRow;
use crate::controllers::promotion::observe::Observed;
use crate::controllers::promotion::rollback::rollback_of;
use crate::domain::promotion::history::{Ended, Latest};
use crate::domain::promotion::mode::{Aged, Mode};
use crate::domain::promotion::outcome::Outcome;

/// The newest success in an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// The promotion.
    pub promotion: String,
    /// Its UID.
    pub promotion_uid: String,
    /// The version that it brought.
    pub version: String,
    /// The UID of its release, where that was written down.
    pub release_uid: Option<String>,
    /// When it ended.
    pub since: Timestamp,
    /// When the release was made, if it still exists: one that was made again is another one.
    pub made: Option<Timestamp>,
}

impl Current {
    /// It as the status of what comes after it has it.
    #[must_use]
    pub fn row(&self) -> Previous {
        Previous {
            version: self.version.clone(),
            release_uid: self.release_uid.clone(),
            promotion: self.promotion.clone(),
        }
    }
}

impl Ended for Current {
    fn finished(&self) -> Timestamp {
        self.since
    }
    fn uid(&self) -> &str {
        &self.promotion_uid
    }
}

/// The newest success of the project in the environment, of all that anybody knows.
#[must_use]
pub fn current(promotion: &Promotion, known: Known<'_>) -> Option<Current> {
    let (project, environment) = (&promotion.spec.project, &promotion.spec.environment);
    let rows = known.project.and_then(|project| project.status.as_ref()).map(|status| status.environments.as_slice());
    let row = rows.unwrap_or_default().iter().find(|row| row.name == *environment);
    let by_project = row.and_then(|row| row.current.as_ref()).map(of_project);
    let place = known.environments.iter().find(|known| known.metadata.name.as_ref() == Some(environment));
    let deployments = place.and_then(|known| known.status.as_ref()).map(|status| status.deployments.as_slice());
    let deployment = deployments.unwrap_or_default().iter().find(|row| row.project == *project);
    let ends = known
        .outcomes
        .iter()
        .filter(|end| end.is_success() && end.project.as_str() == project && end.environment.as_str() == environment);
    let all = by_project.into_iter().chain(deployment.map(of_environment)).chain(ends.map(|end| of_outcome(end)));
    all.fold(Latest(None), Latest::join).0
}

/// What the promotion is to what runs there: what was written when it started, else what it would be now. Where something failed,
/// some of that runs, so what puts back what ran before is a step back, too.
#[must_use]
pub fn mode(observed: &Observed) -> Mode {
    let status = observed.promotion.status.as_ref();
    if let Some(written) = status.and_then(|status| Mode::parse(status.mode.as_deref()?)) {
        return written;
    }
    if rollback_of(&observed.promotion).is_some() {
        return Mode::Rollback;
    }
    let meta = observed.release.as_ref().map(|release| &release.metadata);
    let made = meta.and_then(|meta| meta.creation_timestamp.as_ref());
    let release = Aged {
        version: &observed.promotion.spec.version,
        uid: meta.and_then(|meta| meta.uid.as_deref()),
        made: made.map(|time| time.0),
    };
    let current = observed.current.as_ref().map(|known| Aged {
        version: &known.version,
        uid: known.release_uid.as_deref(),
        made: known.made,
    });
    Mode::of(&release, current.as_ref())
}

fn of_project(row: &CurrentRow) -> Current {
    Current {
        promotion: row.promotion.clone(),
        promotion_uid: row.promotion_uid.clone(),
        version: row.version.clone(),
        release_uid: row.release_uid.clone(),
        since: row.since.0,
        made: None,
    }
}

fn of_environment(row: &DeploymentRow) -> Current {
    Current {
        promotion: row.promotion.clone(),
        promotion_uid: row.promotion_uid.clone(),
        version: row.version.clone(),
        release_uid: row.release_uid.clone(),
        since: row.since.0,
        made: None,
    }
}

fn of_outcome(end: &Outcome) -> Current {
    Current {
        promotion: end.promotion.clone(),
        promotion_uid: end.uid.clone(),
        version: end.version.to_string(),
        release_uid: end.release_uid.clone(),
        since: end.finished,
        made: None,
    }
}
