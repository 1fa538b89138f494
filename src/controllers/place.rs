//! What happened to what runs of a project in an environment, from everybody who remembers it. Pure.

use std::sync::Arc;

use crate::api::v1alpha1::{Environment, Project};
use crate::domain::pin::Touch;
use crate::domain::promotion::history::Latest;
use crate::domain::promotion::outcome::Outcome;
use crate::domain::promotion::phase::Phase;

/// Everything that says what happened: rows, and ends that may not be in them yet.
#[derive(Clone, Copy)]
pub struct Memory<'a> {
    /// The project.
    pub project: Option<&'a Project>,
    /// The environment.
    pub environment: Option<&'a Environment>,
    /// Ends of the project's promotions.
    pub outcomes: &'a [Arc<Outcome>],
}

/// What happened in a place, in brief.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// What happened last to what runs there; nothing where nothing was ever changed.
    pub newest: Option<Touch>,
    /// Whether any release of the project ever succeeded there.
    pub succeeded: bool,
}

/// What happened to what runs of `project` in `environment`.
#[must_use]
pub fn past((project, environment): (&str, &str), memory: Memory<'_>) -> Past {
    let outcomes = memory.outcomes.iter().filter(|outcome| {
        outcome.counts() && (outcome.project.as_str(), outcome.environment.as_str()) == (project, environment)
    });
    let touches = by_project(environment, memory.project)
        .chain(by_environment(project, memory.environment))
        .chain(outcomes.filter_map(|outcome| of_outcome(outcome)));
    touches.fold(Past::default(), |past, touch| Past {
        succeeded: past.succeeded || touch.arrived,
        newest: Latest(past.newest).join(touch).0,
    })
}

fn by_project<'a>(environment: &'a str, project: Option<&'a Project>) -> impl Iterator<Item = Touch> + 'a {
    let rows = project.and_then(|known| known.status.as_ref()).map(|status| status.environments.as_slice());
    let row = rows.unwrap_or_default().iter().find(|row| row.name == environment);
    let runs = row.and_then(|row| row.current.as_ref()).map(|current| Touch {
        at: current.since.0,
        uid: current.promotion_uid.clone(),
        promotion: current.promotion.clone(),
        version: current.version.clone(),
        release_uid: current.release_uid.clone(),
        arrived: true,
    });
    let last = row.and_then(|row| row.last.as_ref()).and_then(|last| {
        Some(Touch {
            at: last.at.0,
            uid: last.promotion_uid.clone(),
            promotion: last.promotion.clone(),
            version: last.version.clone(),
            release_uid: last.release_uid.clone(),
            arrived: arrived(&last.phase, (last.applied, last.partial))?,
        })
    });
    runs.into_iter().chain(last)
}

fn by_environment<'a>(project: &'a str, environment: Option<&'a Environment>) -> impl Iterator<Item = Touch> + 'a {
    let status = environment.and_then(|known| known.status.as_ref());
    let runs = status.into_iter().flat_map(|status| &status.deployments).filter(move |row| row.project == project);
    let runs = runs.map(|row| Touch {
        at: row.since.0,
        uid: row.promotion_uid.clone(),
        promotion: row.promotion.clone(),
        version: row.version.clone(),
        release_uid: row.release_uid.clone(),
        arrived: true,
    });
    let ends = status.into_iter().flat_map(|status| &status.history).filter(move |end| end.project == project);
    let ends = ends.filter_map(|end| {
        Some(Touch {
            at: end.finished.0,
            uid: end.promotion_uid.clone(),
            promotion: end.promotion.clone(),
            version: end.version.clone(),
            release_uid: end.release_uid.clone(),
            arrived: arrived(&end.phase, (end.applied, end.partial))?,
        })
    });
    runs.chain(ends)
}

fn of_outcome(outcome: &Outcome) -> Option<Touch> {
    Some(Touch {
        at: outcome.finished,
        uid: outcome.uid.clone(),
        promotion: outcome.promotion.clone(),
        version: outcome.version.to_string(),
        release_uid: outcome.release_uid.clone(),
        arrived: arrived(outcome.phase.as_str(), (outcome.applied, outcome.partial))?,
    })
}

/// Whether an end brought its release, or changed only something; nothing for one that changed nothing. What was rolled back is
/// told by the promotion that did so.
fn arrived(phase: &str, (applied, partial): (bool, bool)) -> Option<bool> {
    match Phase::parse(phase) {
        Some(Phase::Succeeded) => Some(!partial),
        Some(Phase::RolledBack) => None,
        _ => applied.then_some(false),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn environment(history: &serde_json::Value, deployments: &serde_json::Value) -> Environment {
        let object = json!({
            "metadata": {"name": "dev"}, "spec": {"order": 1}, "status": {"history": history, "deployments": deployments},
        });
        serde_json::from_value(object).unwrap()
    }

    fn end(promotion: &str, phase: &str, (second, applied): (u8, bool)) -> serde_json::Value {
        json!({
            "project": "checkout", "version": promotion, "promotion": promotion, "promotionUid": promotion, "by": "alice",
            "phase": phase, "finished": format!("2026-01-01T00:00:0{second}.000000Z"), "applied": applied, "message": "m",
        })
    }

    fn of(history: &serde_json::Value) -> Past {
        let known = environment(history, &json!([]));
        past(("checkout", "dev"), Memory { project: None, environment: Some(&known), outcomes: &[] })
    }

    #[test]
    fn what_changed_something_last_says_what_runs() {
        assert_eq!(of(&json!([])), Past::default());
        let refused = end("a", "Refused", (1, false));
        assert_eq!(of(&json!([refused])), Past::default(), "nothing was changed");
        let said = of(&json!([end("b", "Succeeded", (1, true)), end("c", "Refused", (2, false))]));
        let newest = said.newest.unwrap();
        assert_eq!((newest.promotion.as_str(), newest.arrived, said.succeeded), ("b", true, true));
        let said = of(&json!([end("b", "Succeeded", (1, true)), end("c", "Failed", (2, true))]));
        let newest = said.newest.unwrap();
        assert_eq!((newest.promotion.as_str(), newest.arrived, said.succeeded), ("c", false, true));
        let mut part = end("d", "Succeeded", (3, true));
        part["partial"] = true.into();
        let newest = of(&json!([end("b", "Succeeded", (1, true)), part])).newest.unwrap();
        assert_eq!((newest.promotion.as_str(), newest.arrived), ("d", false), "only a part of it");
        let said = of(&json!([end("back", "Succeeded", (1, true)), end("c", "RolledBack", (2, true))]));
        let newest = said.newest.unwrap();
        assert_eq!((newest.promotion.as_str(), newest.arrived), ("back", true), "what was put back runs");
        let said = of(&json!([end("c", "Canceled", (2, true))]));
        assert!(!said.succeeded && said.newest.is_some());
    }

    #[test]
    fn other_projects_do_not_count_and_every_row_does() {
        let row = json!({
            "project": "checkout", "release": "checkout-1", "version": "1", "promotion": "a", "promotionUid": "a", "by": "alice",
            "since": "2026-01-01T00:00:01.000000Z",
        });
        let known = environment(&json!([end("b", "Succeeded", (2, true))]), &json!([row]));
        let memory = Memory { project: None, environment: Some(&known), outcomes: &[] };
        assert_eq!(past(("cart", "dev"), memory), Past::default());
        assert_eq!(past(("checkout", "dev"), memory).newest.unwrap().promotion, "b");
        let project = json!({"metadata": {"name": "checkout"}, "spec": {"process": []}, "status": {"environments": [{
            "name": "dev",
            "current": {"version": "3", "promotion": "c", "promotionUid": "c", "by": "alice", "since": "2026-01-01T00:00:03.000000Z"},
            "last": {"version": "4", "promotion": "d", "promotionUid": "d", "phase": "Failed", "at": "2026-01-01T00:00:04.000000Z", "applied": true, "message": "m"},
        }]}});
        let project: Project = serde_json::from_value(project).unwrap();
        let newest = past(("checkout", "dev"), Memory { project: Some(&project), ..memory }).newest.unwrap();
        assert_eq!((newest.promotion.as_str(), newest.arrived), ("d", false));
    }
}
