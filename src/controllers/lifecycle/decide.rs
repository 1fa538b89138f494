//! Does a lifecycle make sense. Pure.

use super::Observed;
use crate::api::condition::{self, Reason, Stamp, Standing};
use crate::api::convert::lifecycle;
use crate::api::v1alpha1::LifecycleStatus;
use crate::api::v1alpha1::lifecycle::LifecycleColumns;
use crate::controllers::columns;
use crate::controllers::decision::{self, Next};

/// A lifecycle changes nothing but its own status.
pub type Decision = decision::Decision<LifecycleStatus, ()>;

/// Decides.
#[must_use]
pub fn decide(observed: &Observed) -> Decision {
    let generation = observed.lifecycle.metadata.generation;
    let mut status = observed.lifecycle.status.clone().unwrap_or_default();
    status.observed_generation = generation;
    let (standing, reason, message) = judge(observed);
    let stamp = Stamp { now: observed.now, generation };
    condition::set_standing(&mut status.conditions, &standing, (reason.as_str(), &message), stamp);
    let phases = observed.lifecycle.spec.phases.iter().map(|phase| phase.name.clone());
    status.columns = columns::shown(LifecycleColumns { phases: columns::line(phases) });
    Decision { status, effects: Vec::new(), events: Vec::new(), next: Next::Await }
}

fn judge(observed: &Observed) -> (Standing, Reason, String) {
    let lifecycle = match lifecycle::lifecycle(&observed.lifecycle.spec) {
        Ok(lifecycle) => lifecycle,
        Err(wrong) => {
            let sentences: Vec<String> = wrong.iter().map(ToString::to_string).collect();
            return (Standing::Stalled, Reason::Invalid, sentences.join("; "));
        }
    };
    if lifecycle.is_all_optional() {
        let message = "every phase is optional, so none is ever current and every environment is open to every release: \
                       set optional: false in the phases that others wait for";
        return (Standing::Stalled, Reason::OnlyOptionalPhases, message.to_owned());
    }
    // Environments may be applied after the lifecycle: then it heals by itself.
    let unknown = lifecycle.unknown(&observed.environments);
    if !unknown.is_empty() {
        let named: Vec<String> = unknown.iter().map(|(path, name)| format!("{name} ({path})")).collect();
        let message = format!(
            "this space has no environment {}: create it, or correct the name; until then it counts as one without a success",
            named.join(", ")
        );
        return (Standing::Reconciling, Reason::UnknownEnvironment, message);
    }
    (Standing::Ready, Reason::Valid, "every environment exists".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::api::condition::ConditionType;

    fn said(phases: &serde_json::Value, environments: &[&str]) -> (String, String, String) {
        let object = json!({"metadata": {"name": "standard", "generation": 3}, "spec": {"phases": phases}});
        let observed = Observed {
            lifecycle: Arc::new(serde_json::from_value(object).unwrap()),
            environments: environments.iter().map(|name| name.parse().unwrap()).collect(),
            now: Timestamp::UNIX_EPOCH,
        };
        let decision = decide(&observed);
        assert_eq!(decision.status.observed_generation, Some(3));
        let conditions = &decision.status.conditions;
        let standing = [ConditionType::Ready, ConditionType::Reconciling, ConditionType::Stalled]
            .into_iter()
            .find(|kind| condition::is_true(conditions, *kind))
            .unwrap();
        let ready = condition::find(conditions, ConditionType::Ready).unwrap();
        (standing.as_str().to_owned(), ready.reason.clone(), ready.message.clone())
    }

    #[test]
    fn a_lifecycle_is_ready_when_all_that_it_names_is_there() {
        let phases = json!([{"name": "dev", "environments": ["dev"]}, {"name": "rest"}]);
        assert_eq!(said(&phases, &["dev", "x"]), ("Ready".into(), "Valid".into(), "every environment exists".into()));
    }

    #[test]
    fn an_environment_that_is_not_there_is_named_and_waited_for() {
        let phases = json!([{"name": "dev", "environments": ["dev", "dve"]}]);
        let (standing, reason, message) = said(&phases, &["dev"]);
        assert_eq!((standing.as_str(), reason.as_str()), ("Reconciling", "UnknownEnvironment"));
        assert!(message.contains("no environment dve (spec.phases[0].environments): create it"), "{message}");
    }

    #[test]
    fn optional_phases_alone_and_what_cannot_be_read_need_a_person() {
        let phases = json!([{"name": "dev", "environments": ["dev"], "optional": true}]);
        let (standing, reason, message) = said(&phases, &["dev"]);
        assert_eq!((standing.as_str(), reason.as_str()), ("Stalled", "OnlyOptionalPhases"));
        assert!(message.contains("optional: false"), "{message}");
        let phases = json!([{"name": "dev", "environments": ["dev"], "soak": "9999h"}]);
        let (standing, reason, message) = said(&phases, &["dev"]);
        assert_eq!((standing.as_str(), reason.as_str()), ("Stalled", "Invalid"));
        assert!(message.contains("spec.phases[0].soak"), "{message}");
    }
}
