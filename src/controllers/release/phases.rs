//! That nobody knows how far a release is, and why, as a condition and an Event. Pure.

use super::observe::Observed;
use crate::api::condition::{self, ConditionType, Fact, Reason};
use crate::api::v1alpha1::ReleaseStatus;
use crate::controllers::decision::{Note, Severity};
use crate::controllers::lifecycle::course::Governing;
use crate::domain::lifecycle::choice;

/// Writes the condition `PhasesKnown`, which only releases have whose progress nobody knows, and says once why.
pub fn tell(status: &mut ReleaseStatus, observed: &Observed) -> Option<Note> {
    let before = condition::find(&status.conditions, ConditionType::PhasesKnown).map(|known| known.reason.clone());
    let Some((reason, message)) = unknown(observed) else {
        status.conditions.retain(|known| known.type_ != ConditionType::PhasesKnown.as_str());
        return None;
    };
    let fact = Fact { kind: ConditionType::PhasesKnown, holds: Some(false), reason: reason.as_str(), message };
    condition::set(&mut status.conditions, &fact, observed.stamp());
    // That its channel is gone is an Event of what it does by itself.
    let news = reason != Reason::ChannelNotFound && before.as_deref() != Some(reason.as_str());
    news.then(|| Note {
        severity: Severity::Warning,
        reason: reason.as_str(),
        action: "Judge",
        message: condition::cut(&fact.message, 1024),
    })
}

/// Why nobody knows how far the release is, if so. Meanwhile it goes nowhere.
fn unknown(observed: &Observed) -> Option<(Reason, String)> {
    let release = observed.name();
    let why = match (&observed.governing, &observed.unreadable) {
        (Governing::Absent { name }, _) => (Reason::LifecycleNotFound, choice::absent(&release, name)),
        (Governing::NoChannel { name }, _) => (Reason::ChannelNotFound, choice::without_channel(&release, name)),
        (Governing::Broken { name, problem }, _) => (Reason::Invalid, choice::broken(&release, name, problem)),
        (Governing::Known(_), Some((name, why))) => {
            let message = format!(
                "environment {name} exists and cannot be read: {why}; apply it again as this version of Gantry understands it: until \
                 then nobody knows how far {release} is, and it goes nowhere"
            );
            (Reason::EnvironmentUnreadable, message)
        }
        (Governing::Known(_), None) => return None,
    };
    Some(why)
}
