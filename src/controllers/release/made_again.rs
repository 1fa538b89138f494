//! Where another release of a version succeeded that was deleted: what people may expect to count, and does not. Pure.

use std::collections::BTreeSet;

use super::arrivals::Sources;
use crate::api::v1alpha1::history::HistoryEntry;
use crate::api::v1alpha1::project::Current;
use crate::domain::name::EnvironmentName;
use crate::domain::promotion::phase::Phase;
use crate::domain::remade::are_two;

/// The environments where one succeeded that is known not to have had this UID, as far back as rows go.
#[must_use]
pub fn places((version, uid): (&str, &str), (project, sources): (&str, Sources<'_>)) -> BTreeSet<EnvironmentName> {
    let another = |known: &str, written: Option<&str>| known == version && are_two(written, Some(uid));
    let ended = |entry: &HistoryEntry| {
        entry.project == project
            && another(&entry.version, entry.release_uid.as_deref())
            && Phase::parse(&entry.phase) == Some(Phase::Succeeded)
            && !entry.partial
    };
    let by_environment = sources.environments.iter().filter_map(|environment| {
        let history = environment.status.as_ref().map(|status| status.history.as_slice()).unwrap_or_default();
        environment.metadata.name.as_deref().filter(|_| history.iter().any(ended))
    });
    let ran = |current: &Current| another(&current.version, current.release_uid.as_deref());
    let rows = sources.project.and_then(|known| known.status.as_ref()).map(|status| status.environments.as_slice());
    let by_project = rows.unwrap_or_default().iter().filter(|row| row.current.iter().chain(&row.previous).any(ran));
    let pending = sources.outcomes.iter().filter(|outcome| outcome.is_success_of_another(version, uid));
    let names = by_environment.chain(by_project.map(|row| row.name.as_str()));
    names
        .chain(pending.map(|outcome| outcome.environment.as_str()))
        .filter_map(|name| EnvironmentName::try_from(name).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::domain::promotion::outcome::example::success;

    // Attack T20.
    #[test]
    fn where_another_release_of_its_version_succeeded_is_known_from_every_row_and_from_ends_that_are_in_none() {
        const AT: &str = "2026-01-01T00:00:10.000000Z";
        let entry = |version: &str, uid: Option<&str>, phase: &str| {
            json!({
                "project": "checkout", "version": version, "releaseUid": uid, "promotion": "p", "promotionUid": "u",
                "by": "alice", "phase": phase, "finished": AT, "applied": true, "message": "",
            })
        };
        let environment = |name: &str, history: serde_json::Value| {
            let object = json!({"metadata": {"name": name}, "spec": {"order": 1}, "status": {"history": [history]}});
            Arc::new(serde_json::from_value(object).unwrap())
        };
        let environments = [
            environment("before", entry("1.0.0", Some("before"), "Succeeded")),
            environment("failed", entry("1.0.0", Some("before"), "Failed")),
            environment("own", entry("1.0.0", Some("mine"), "Succeeded")),
            environment("other", entry("1.1.0", Some("before"), "Succeeded")),
            environment("unknown", entry("1.0.0", None, "Succeeded")),
        ];
        let current = json!({
            "version": "1.0.0", "releaseUid": "before", "promotion": "p", "promotionUid": "u", "by": "alice", "since": AT,
        });
        let project = json!({
            "metadata": {"name": "checkout"}, "spec": {"process": []},
            "status": {"environments": [{"name": "runs", "current": current}]},
        });
        let project = serde_json::from_value(project).unwrap();
        let outcomes = [Arc::new(success("pending", Timestamp::UNIX_EPOCH))];
        let sources = Sources {
            project: Some(&project),
            environments: &environments,
            outcomes: &outcomes,
            unfinished: &[],
            now: Timestamp::UNIX_EPOCH,
        };
        let found = places(("1.0.0", "mine"), ("checkout", sources));
        assert_eq!(found.iter().map(EnvironmentName::as_str).collect::<Vec<_>>(), ["before", "pending", "runs"]);
    }
}
