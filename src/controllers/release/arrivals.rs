//! What a release achieved where: its rows, completed by everything that is known of the environments it was in. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use crate::api::v1alpha1::history::HistoryEntry;
use crate::api::v1alpha1::project::{Current, EnvironmentRow, Health};
use crate::api::v1alpha1::release::{ReleaseEnvironment, StayRow};
use crate::api::v1alpha1::{Environment, Project, Promotion};
use crate::domain::lifecycle::arrival::{self, Arrival, Arrivals, End, Stay, Turn};
use crate::domain::name::EnvironmentName;
use crate::domain::promotion::outcome::Outcome;
use crate::domain::promotion::phase::Phase;

/// What happened to one project in the environments of its space, by environment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Happened {
    turns: BTreeMap<String, Vec<Turn>>,
    underway: BTreeMap<String, Vec<Timestamp>>,
    /// Where the release runs and is not well, and when that was seen.
    unwell: BTreeMap<String, Timestamp>,
}

/// For how long after a success what is said of the health may still be about what ran before: rows are a second behind.
const SETTLED: SignedDuration = SignedDuration::from_secs(10);

/// Who knows what happened to a project.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The project, whose rows know what runs and what ended last.
    pub project: Option<&'a Project>,
    /// The environments of the space, which know the newest ends.
    pub environments: &'a [Arc<Environment>],
    /// Ends of the project's promotions that are not in all of these yet.
    pub outcomes: &'a [Arc<Outcome>],
    /// Its promotions that have not ended.
    pub unfinished: &'a [Arc<Promotion>],
    /// When they were asked.
    pub now: Timestamp,
}

impl Happened {
    /// Everything that happened, as far as the stays of the release with this UID go. One of the same version and another UID, or of
    /// which nobody wrote down which it was, is any other release, and disturbs as such.
    #[must_use]
    pub fn of(uid: &str, (space_project, sources): (&str, Sources<'_>)) -> Self {
        let mut happened = Self::default();
        for environment in sources.environments {
            let name = environment.metadata.name.clone().unwrap_or_default();
            let history = environment.status.as_ref().map(|status| status.history.as_slice()).unwrap_or_default();
            let mine = history.iter().filter(|entry| entry.project == space_project);
            happened.add(&name, mine.filter_map(|entry| from_history(uid, entry)));
        }
        let rows = sources.project.and_then(|project| project.status.as_ref());
        for row in rows.map(|status| status.environments.as_slice()).unwrap_or_default() {
            happened.add(&row.name, from_row(uid, row));
            if is_unwell(uid, row) {
                happened.unwell.insert(row.name.clone(), sources.now);
            }
        }
        for outcome in sources.outcomes.iter().filter(|outcome| outcome.counts()) {
            happened.add(outcome.environment.as_str(), from_outcome(uid, outcome));
        }
        for promotion in sources.unfinished {
            happened.add_unfinished(uid, promotion);
        }
        happened
    }

    /// What runs may come to nothing; what is rolled back has failed.
    fn add_unfinished(&mut self, uid: &str, promotion: &Promotion) {
        let (Some(status), environment) = (promotion.status.as_ref(), &promotion.spec.environment) else { return };
        let Some(started) = status.started_at.as_ref() else { return };
        match status.phase.as_deref().and_then(Phase::parse) {
            Some(Phase::Running) if !is(uid, status.release_uid()) => {
                self.underway.entry(environment.clone()).or_default().push(started.0);
            }
            Some(Phase::RollingBack) if status.applied => {
                let ended = status.finished_at.as_ref().unwrap_or(started).0;
                self.add(environment, [Turn { arrives: false, began: started.0, ended }]);
            }
            _ => {}
        }
    }

    fn add(&mut self, environment: &str, turns: impl IntoIterator<Item = Turn>) {
        let mut turns = turns.into_iter().peekable();
        if turns.peek().is_some() {
            self.turns.entry(environment.to_owned()).or_default().extend(turns);
        }
    }

    /// The rows with their stays.
    #[must_use]
    pub fn stayed(&self, mut rows: Vec<ReleaseEnvironment>) -> Vec<ReleaseEnvironment> {
        for row in rows.iter_mut().filter(|row| row.succeeded) {
            let mut turns = self.turns.get(&row.name).cloned().unwrap_or_default();
            if let Some(seen) = self.unwell.get(&row.name).filter(|seen| **seen >= self.settled(&row.name)) {
                turns.push(Turn { arrives: false, began: *seen, ended: *seen });
            }
            let stays = arrival::stays(&known(row), &turns);
            let written = |stay: Stay| StayRow { from: MicroTime(stay.from), until: stay.until.map(MicroTime) };
            row.stays = stays.into_iter().map(written).collect();
        }
        rows
    }

    /// From when on what is said of the health in an environment is surely about what arrived there last.
    fn settled(&self, environment: &str) -> Timestamp {
        let turns = self.turns.get(environment).into_iter().flatten();
        let newest = turns.filter(|turn| turn.arrives).map(|turn| turn.ended).max();
        newest.and_then(|newest| newest.checked_add(SETTLED).ok()).unwrap_or(Timestamp::MIN)
    }

    /// When to look again at what was not well: what ends by then was about what ran before, and what lasts ends a stay.
    #[must_use]
    pub fn look_again(&self) -> Option<Timestamp> {
        let unwell = self.unwell.iter().map(|(environment, seen)| (self.settled(environment), seen));
        unwell.filter(|(settled, seen)| settled > *seen).map(|(settled, _)| settled).min()
    }

    /// What the rows stand for, with all that is under way.
    #[must_use]
    pub fn arrivals(&self, rows: &[ReleaseEnvironment]) -> Arrivals {
        let arrival = |row: &ReleaseEnvironment| {
            let name = EnvironmentName::try_from(row.name.as_str()).ok()?;
            let at = row.succeeded_at.as_ref().unwrap_or(&row.at).0;
            let underway = self.underway.get(&row.name).into_iter().flatten();
            let disturbed: Vec<_> = underway.chain(self.unwell.get(&row.name)).copied().collect();
            Some((name, Arrival { at, stays: known(row) }.disturbed(&disturbed)))
        };
        rows.iter().filter(|row| row.succeeded).filter_map(arrival).collect()
    }
}

fn known(row: &ReleaseEnvironment) -> Vec<Stay> {
    let stay = |row: &StayRow| Stay { from: row.from.0, until: row.until.as_ref().map(|until| until.0) };
    row.stays.iter().map(stay).collect()
}

/// Whether what is written down says that it was this release.
fn is(uid: &str, written: Option<&str>) -> bool {
    written == Some(uid)
}

/// Whether the release runs there and something of it has failed or is gone.
fn is_unwell(uid: &str, row: &EnvironmentRow) -> bool {
    let current = row.current.as_ref().filter(|_| row.running.is_none());
    let runs = current.is_some_and(|current| is(uid, current.release_uid.as_deref()));
    runs && matches!(row.health, Some(Health::Degraded | Health::Missing))
}

fn from_history(uid: &str, entry: &HistoryEntry) -> Option<Turn> {
    let ended = entry.finished.0;
    let began = entry.started.as_ref().map_or(ended, |started| started.0);
    let end = End::of(&entry.phase, entry.partial);
    Turn::of((is(uid, entry.release_uid.as_deref()), end), entry.applied, (began, ended))
}

fn from_row(uid: &str, row: &EnvironmentRow) -> Vec<Turn> {
    let success = |current: &Current| {
        let since = current.since.0;
        Turn::of((is(uid, current.release_uid.as_deref()), End::Success), true, (since, since))
    };
    let last = row.last.as_ref().and_then(|last| {
        let end = End::of(&last.phase, last.partial);
        Turn::of((is(uid, last.release_uid.as_deref()), end), last.applied, (last.at.0, last.at.0))
    });
    let runs = row.current.iter().chain(&row.previous).filter_map(success);
    runs.chain(last).collect()
}

fn from_outcome(uid: &str, outcome: &Outcome) -> Option<Turn> {
    let began = outcome.started.unwrap_or(outcome.finished);
    let mine = is(uid, outcome.release_uid.as_deref());
    Turn::of((mine, End::of(outcome.phase.as_str(), outcome.partial)), outcome.applied, (began, outcome.finished))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn time(second: i64) -> String {
        format!("2026-01-01T00:00:{second:02}.000000Z")
    }

    fn at(second: i64) -> Timestamp {
        time(second).parse().unwrap()
    }

    fn row() -> ReleaseEnvironment {
        let row = json!({
            "name": "test", "succeeded": true, "releaseUid": "uid-1.0.0", "current": true, "promotion": "p", "promotionUid": "u",
            "phase": "Succeeded", "at": time(10), "succeededAt": time(10),
        });
        serde_json::from_value(row).unwrap()
    }

    fn entry(version: &str, phase: &str, (started, finished): (i64, i64), applied: bool) -> serde_json::Value {
        json!({
            "project": "checkout", "version": version, "releaseUid": format!("uid-{version}"),
            "promotion": "p", "promotionUid": format!("{version}-{finished}"),
            "by": "alice", "phase": phase, "started": time(started), "finished": time(finished), "message": "",
            "applied": applied,
        })
    }

    fn stays(history: &[serde_json::Value]) -> Vec<Stay> {
        let environment = json!({"metadata": {"name": "test"}, "spec": {"order": 1}, "status": {"history": history}});
        let environments = [Arc::new(serde_json::from_value(environment).unwrap())];
        let sources =
            Sources { project: None, environments: &environments, outcomes: &[], unfinished: &[], now: at(59) };
        let happened = Happened::of("uid-1.0.0", ("checkout", sources));
        let rows = happened.stayed(vec![row()]);
        assert_eq!(happened.stayed(rows.clone()), rows, "a second look changes nothing");
        known(&rows[0])
    }

    #[test]
    fn a_release_stays_until_another_begins_to_replace_it_or_something_of_its_own_fails() {
        let mine = entry("1.0.0", "Succeeded", (8, 10), true);
        let (from, until) = (at(10), |second| Some(at(second)));
        for (next, expected) in [
            (None, None),
            (Some(entry("1.1.0", "Succeeded", (20, 25), true)), until(20)),
            (Some(entry("1.1.0", "Failed", (20, 25), true)), until(20)),
            (Some(entry("1.1.0", "Failed", (20, 25), false)), None),
            (Some(entry("1.0.0", "Failed", (20, 25), true)), until(20)),
            (Some(entry("1.0.0", "Refused", (20, 25), false)), None),
        ] {
            let history: Vec<_> = std::iter::once(mine.clone()).chain(next.clone()).collect();
            assert_eq!(stays(&history), [Stay { from, until: expected }], "{next:?}");
        }
    }

    #[test]
    fn a_part_of_another_release_disturbs_and_a_part_of_its_own_does_not() {
        let part = |version: &str| {
            let mut entry = entry(version, "Succeeded", (20, 25), true);
            entry["partial"] = true.into();
            entry
        };
        let mine = entry("1.0.0", "Succeeded", (8, 10), true);
        assert_eq!(stays(&[mine.clone(), part("1.1.0")]), [Stay { from: at(10), until: Some(at(20)) }]);
        assert_eq!(stays(&[mine, part("1.0.0")]), [Stay { from: at(10), until: None }]);
        assert_eq!(stays(&[part("1.0.0")]), [], "and begins nothing");
    }

    #[test]
    fn what_failed_and_is_rolled_back_has_ended_the_stay_before_and_not_the_one_after() {
        let failed = entry("1.1.0", "RolledBack", (20, 25), true);
        let again = entry("1.0.0", "Succeeded", (26, 30), true);
        let mine = entry("1.0.0", "Succeeded", (8, 10), true);
        let before = Stay { from: at(10), until: Some(at(20)) };
        assert_eq!(stays(&[mine, failed, again]), [before, Stay { from: at(30), until: None }]);
        let promotion = json!({
            "metadata": {"name": "p"},
            "spec": {"project": "checkout", "version": "1.0.0", "environment": "test"},
            "status": {
                "phase": "RollingBack", "finished": false, "applied": true, "startedAt": time(20), "finishedAt": time(25),
            },
        });
        let unfinished = [Arc::new(serde_json::from_value(promotion).unwrap())];
        let sources = Sources { project: None, environments: &[], outcomes: &[], unfinished: &unfinished, now: at(59) };
        let mut row = row();
        row.stays = vec![StayRow { from: MicroTime(at(10)), until: None }];
        let rows = Happened::of("uid-1.0.0", ("checkout", sources)).stayed(vec![row]);
        assert_eq!(known(&rows[0]), [before], "what failed is known before its rollback has ended");
    }

    #[test]
    fn a_promotion_that_runs_disturbs_as_long_as_it_may_come_to_something() {
        let promotion = json!({
            "metadata": {"name": "p"},
            "spec": {"project": "checkout", "version": "1.1.0", "environment": "test"},
            "status": {"phase": "Running", "finished": false, "applied": false, "startedAt": time(30)},
        });
        let unfinished = [Arc::new(serde_json::from_value(promotion).unwrap())];
        let sources = Sources { project: None, environments: &[], outcomes: &[], unfinished: &unfinished, now: at(59) };
        let happened = Happened::of("uid-1.0.0", ("checkout", sources));
        let mut row = row();
        row.stays = vec![StayRow { from: MicroTime(at(10)), until: None }];
        let arrivals = happened.arrivals(&[row.clone()]);
        let arrival = &arrivals[&EnvironmentName::try_from("test").unwrap()];
        assert_eq!(arrival.stays, [Stay { from: at(10), until: Some(at(30)) }]);
        assert_eq!(happened.stayed(vec![row.clone()]), [row], "nothing of it is written");
    }

    #[test]
    fn what_is_not_well_ends_a_stay_unless_it_may_be_about_what_ran_before() {
        let stays = |health: &str, now: i64| {
            let current = json!({"version": "1.0.0", "releaseUid": "uid-1.0.0", "promotion": "p", "promotionUid": "u", "by": "alice", "since": time(10)});
            let row_of_project = json!({"name": "test", "current": current, "health": health});
            let project = json!({
                "metadata": {"name": "checkout"}, "spec": {"process": []}, "status": {"environments": [row_of_project]},
            });
            let project = serde_json::from_value(project).unwrap();
            let sources =
                Sources { project: Some(&project), environments: &[], outcomes: &[], unfinished: &[], now: at(now) };
            let happened = Happened::of("uid-1.0.0", ("checkout", sources));
            let rows = happened.stayed(vec![row()]);
            let arrivals = happened.arrivals(&rows);
            let until = arrivals[&EnvironmentName::try_from("test").unwrap()].stays[0].until;
            (known(&rows[0])[0].until, until, happened.look_again())
        };
        assert_eq!(stays("Healthy", 50), (None, None, None));
        assert_eq!(stays("Progressing", 50), (None, None, None));
        assert_eq!(stays("Degraded", 50), (Some(at(50)), Some(at(50)), None));
        assert_eq!(stays("Missing", 15), (None, Some(at(15)), Some(at(20))), "held, not written, and looked at again");
        assert_eq!(stays("Missing", 20), (Some(at(20)), Some(at(20)), None), "by then it is about what runs");
    }

    // Attack T20.
    #[test]
    fn another_release_of_the_same_version_disturbs_as_any_other_and_begins_no_stay() {
        let of = |uid: Option<&str>, times: (i64, i64)| {
            let mut entry = entry("1.0.0", "Succeeded", times, true);
            entry["releaseUid"] = uid.into();
            entry
        };
        let mine = of(Some("uid-1.0.0"), (8, 10));
        for another in [Some("made-again"), None] {
            assert_eq!(
                stays(&[of(another, (1, 3)), mine.clone()]),
                [Stay { from: at(10), until: None }],
                "{another:?}"
            );
            let replaced = [Stay { from: at(10), until: Some(at(20)) }];
            assert_eq!(stays(&[mine.clone(), of(another, (20, 25))]), replaced, "{another:?}");
            assert_eq!(stays(&[of(another, (8, 10))]), [], "{another:?}");
        }
        let running = |uid: &str| {
            let promotion = json!({
                "metadata": {"name": "p"},
                "spec": {"project": "checkout", "version": "1.0.0", "environment": "test"},
                "status": {
                    "phase": "Running", "finished": false, "applied": false, "startedAt": time(30),
                    "decidedOn": [{"kind": "Release", "name": "checkout-1.0.0", "uid": uid, "generation": 1}],
                },
            });
            let unfinished = [Arc::new(serde_json::from_value(promotion).unwrap())];
            let sources =
                Sources { project: None, environments: &[], outcomes: &[], unfinished: &unfinished, now: at(59) };
            let mut row = row();
            row.stays = vec![StayRow { from: MicroTime(at(10)), until: None }];
            let arrivals = Happened::of("uid-1.0.0", ("checkout", sources)).arrivals(&[row]);
            arrivals[&EnvironmentName::try_from("test").unwrap()].stays[0].until
        };
        assert_eq!((running("uid-1.0.0"), running("made-again")), (None, Some(at(30))));
    }
}
