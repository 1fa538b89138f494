//! What becomes of a recovery that somebody opened: decided once, by [`crate::domain::recovery`]. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::condition::Reason;
use crate::api::v1alpha1::environment::{Recovery, RecoveryStatus};
use crate::api::v1alpha1::{Environment, EnvironmentStatus};
use crate::controllers::decision::{Note, Severity};
use crate::domain::recovery::{self, Judged, Opening};

/// Writes down what was decided, and says once where it opens nothing.
#[must_use]
pub fn judged(environment: &Environment, status: &mut EnvironmentStatus) -> Option<Note> {
    let has_run = !status.deployments.is_empty() || status.history.iter().any(|end| end.applied);
    let before = status.recovery.take();
    let known = before.as_ref().map(read);
    let judged = recovery::judge(environment.spec.recovery.as_ref().map(opening), known, has_run);
    status.recovery = judged.map(|judged| RecoveryStatus {
        reason: judged.opening.reason,
        until: Time(judged.opening.until),
        lost: judged.lost,
    });
    let void = status.recovery.as_ref().filter(|now| !now.lost && status.recovery != before)?;
    Some(Note {
        severity: Severity::Warning,
        reason: Reason::NothingLost.as_str(),
        action: "Recover",
        message: format!(
            "releases ran here before the recovery was opened ({}), so it lets nothing through: remove spec.recovery, and approve what waits",
            void.reason
        ),
    })
}

/// Whether the recovery of an environment lets a promotion of a pin through.
#[must_use]
pub fn lets_through(environment: &Environment, (succeeded, now): (bool, jiff::Timestamp)) -> Option<&Recovery> {
    let open = environment.spec.recovery.as_ref().filter(|open| open.by.is_some())?;
    let judged = environment.status.as_ref().and_then(|status| status.recovery.as_ref()).map(read);
    recovery::lets_through(&opening(open), judged.as_ref(), (succeeded, now)).then_some(open)
}

fn opening(recovery: &Recovery) -> Opening {
    Opening { reason: recovery.reason.clone(), until: recovery.until.0 }
}

fn read(status: &RecoveryStatus) -> Judged {
    Judged { opening: Opening { reason: status.reason.clone(), until: status.until.0 }, lost: status.lost }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn environment(reason: &str) -> Environment {
        let recovery = json!({"reason": reason, "until": "2099-01-01T00:00:00Z", "by": {"username": "alice"}});
        serde_json::from_value(json!({"metadata": {"name": "dev"}, "spec": {"order": 1, "recovery": recovery}}))
            .unwrap()
    }

    fn ran() -> EnvironmentStatus {
        let row = json!({
            "project": "cart", "release": "cart-1", "version": "1", "promotion": "a", "promotionUid": "a", "by": "alice",
            "since": "2026-01-01T00:00:01.000000Z",
        });
        serde_json::from_value(json!({"deployments": [row]})).unwrap()
    }

    #[test]
    fn what_was_opened_where_another_project_ran_opens_nothing_and_says_so_once() {
        let (mut environment, mut status) = (environment("INC-42"), ran());
        let note = judged(&environment, &mut status).unwrap();
        assert_eq!((note.reason, note.severity), ("NothingLost", Severity::Warning));
        assert!(note.message.contains("(INC-42), so it lets nothing through"), "{}", note.message);
        assert_eq!(judged(&environment, &mut status), None, "said once");
        environment.status = Some(status);
        assert_eq!(lets_through(&environment, (false, jiff::Timestamp::UNIX_EPOCH)), None);
    }

    #[test]
    fn what_was_opened_where_nothing_ran_stays_open_for_projects_that_have_not_succeeded() {
        let (mut environment, mut status) = (environment("INC-42"), EnvironmentStatus::default());
        assert_eq!(lets_through(&environment, (false, jiff::Timestamp::UNIX_EPOCH)), None, "not decided yet");
        assert_eq!(judged(&environment, &mut status), None);
        status.deployments = ran().deployments;
        assert_eq!(judged(&environment, &mut status), None);
        environment.status = Some(status);
        assert!(lets_through(&environment, (false, jiff::Timestamp::UNIX_EPOCH)).is_some());
        assert!(lets_through(&environment, (true, jiff::Timestamp::UNIX_EPOCH)).is_none());
        environment.spec.recovery.as_mut().unwrap().reason = "another".to_owned();
        assert!(lets_through(&environment, (false, jiff::Timestamp::UNIX_EPOCH)).is_none());
    }
}
