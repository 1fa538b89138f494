//! That somebody keeps a release from going further, as a condition and an Event. Pure.

use super::observe::Observed;
use crate::api::condition::{self, ConditionType, Fact, Reason};
use crate::api::v1alpha1::ReleaseStatus;
use crate::controllers::decision::{Note, Severity};

/// Writes the condition `Blocked`, which only releases have that were blocked once, and says once when it changes.
pub fn tell(status: &mut ReleaseStatus, observed: &Observed) -> Option<Note> {
    let known = condition::find(&status.conditions, ConditionType::Blocked).map(|known| known.status == "True");
    let spec = &observed.release.spec;
    let (reason, message) = match (&spec.blocked, known) {
        (None, None) => return None,
        (None, Some(_)) => (Reason::Unblocked, "it may go wherever its lifecycle lets it".to_owned()),
        (Some(block), _) => {
            let by = block.by.as_ref().map(|by| format!(", says {}", by.username)).unwrap_or_default();
            let message = format!(
                "{}{by}: it may go only to environments of its first phase and of phases that it has entered; remove spec.blocked to let it go on",
                block.reason
            );
            (Reason::Blocked, message)
        }
    };
    let holds = reason == Reason::Blocked;
    let fact = Fact { kind: ConditionType::Blocked, holds: Some(holds), reason: reason.as_str(), message };
    condition::set(&mut status.conditions, &fact, observed.stamp());
    (known != Some(holds)).then(|| Note {
        severity: if holds { Severity::Warning } else { Severity::Normal },
        reason: reason.as_str(),
        action: "Block",
        message: condition::cut(
            &format!("{} {} is {}: {}", spec.project, spec.version, reason.as_str().to_lowercase(), fact.message),
            1024,
        ),
    })
}
