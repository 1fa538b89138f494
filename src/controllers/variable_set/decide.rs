//! Can the variables of a set be used, and who uses them. Pure.

use super::Observed;
use crate::api::condition::{self, Reason, Stamp, Standing};
use crate::api::v1alpha1::VariableSetStatus;
use crate::api::v1alpha1::variable_set::VariableSetColumns;
use crate::api::variables;
use crate::controllers::columns;
use crate::controllers::decision::{self, Next};
use crate::controllers::scopes;
use crate::domain::variable::resolve::Unresolved;
use crate::domain::variable::tie::ambiguities;
use crate::domain::variable::{Declared, Source, stray};

/// A set changes nothing but its own status.
pub type Decision = decision::Decision<VariableSetStatus, ()>;

/// As many projects as status has room for.
const LISTED: usize = 256;

/// Decides.
#[must_use]
pub fn decide(observed: &Observed) -> Decision {
    let generation = observed.set.metadata.generation;
    let mut status = observed.set.status.clone().unwrap_or_default();
    status.observed_generation = generation;
    status.projects = observed.projects.iter().take(LISTED).cloned().collect();
    status.project_count = i64::try_from(observed.projects.len()).unwrap_or(i64::MAX);
    let name = observed.set.metadata.name.as_deref().unwrap_or_default();
    let declared = variables::declared(Source::Set(name.into()), &observed.set.spec.variables);
    let stamp = Stamp { now: observed.now, generation };
    let scoped = stray::of_variables(&declared.variables);
    scopes::tell(&mut status.conditions, (&scoped, &observed.names), stamp);
    let (standing, reason, message) = judge(observed, declared);
    condition::set_standing(&mut status.conditions, &standing, (reason.as_str(), &message), stamp);
    let variables = observed.set.spec.variables.iter().map(|variable| variable.name.clone());
    status.columns = columns::shown(VariableSetColumns {
        variables: columns::line(variables),
        used_by: columns::line(observed.projects.iter().cloned()),
    });
    Decision { status, effects: Vec::new(), events: Vec::new(), next: Next::Await }
}

fn judge(observed: &Observed, declared: Declared) -> (Standing, Reason, String) {
    let wrong = variables::validate(&observed.set.spec.variables, "spec.variables");
    if !wrong.is_empty() {
        let sentences: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        return (Standing::Stalled, Reason::Invalid, sentences.join("; "));
    }
    let ties = ambiguities(&[declared]).into_iter();
    let sentences: Vec<String> = ties.map(|(name, places)| Unresolved::Ambiguous(places).sentence(&name)).collect();
    if !sentences.is_empty() {
        return (Standing::Stalled, Reason::AmbiguousVariable, format!("spec.variables: {}", sentences.join("; ")));
    }
    (Standing::Ready, Reason::Valid, "projects can use the variables".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::condition::ConditionType;

    fn observed(variables: &Value, projects: usize) -> Observed {
        let object = json!({"metadata": {"name": "shared", "generation": 3}, "spec": {"variables": variables}});
        Observed {
            set: Arc::new(serde_json::from_value(object).unwrap()),
            projects: (0..projects).map(|number| format!("p{number:03}")).collect(),
            names: scopes::names([], []),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    fn said(status: &VariableSetStatus, kind: ConditionType) -> (String, String, String) {
        let found = condition::find(&status.conditions, kind).unwrap().clone();
        (found.status, found.reason, found.message)
    }

    #[test]
    fn a_set_says_who_uses_it_and_that_it_can_be_used() {
        let status = decide(&observed(&json!([{"name": "A", "values": [{"value": 1}]}]), 2)).status;
        assert_eq!((status.observed_generation, status.project_count), (Some(3), 2));
        assert_eq!(status.projects, ["p000", "p001"]);
        assert_eq!(said(&status, ConditionType::Ready).1, "Valid");
        let many = decide(&observed(&json!([]), 300)).status;
        assert_eq!((many.projects.len(), many.project_count), (256, 300));
    }

    #[test]
    fn what_cannot_be_used_needs_a_person_and_is_named_by_its_path() {
        let status = decide(&observed(&json!([{"name": "A", "values": [{}]}]), 0)).status;
        let (_, reason, message) = said(&status, ConditionType::Stalled);
        assert_eq!(reason, "Invalid");
        assert!(message.starts_with("spec.variables[0].values[0]: it has neither value nor secretKeyRef"), "{message}");
        let status = decide(&observed(&json!([{"name": "A", "values": [{"value": 1}, {"value": 2}]}]), 0)).status;
        let (_, reason, message) = said(&status, ConditionType::Stalled);
        assert_eq!(reason, "AmbiguousVariable");
        assert!(message.contains("VariableSet shared, value 1 and VariableSet shared, value 2"), "{message}");
    }

    #[test]
    fn a_scope_that_names_nothing_is_told_beside_a_set_that_can_be_used() {
        let scoped = json!([{"name": "A", "values": [{"value": 1, "scope": {"environments": ["dve"]}}]}]);
        let status = decide(&observed(&scoped, 0)).status;
        assert_eq!(said(&status, ConditionType::Ready).0, "True");
        let (holds, reason, message) = said(&status, ConditionType::ScopesKnown);
        assert_eq!((holds.as_str(), reason.as_str()), ("False", "UnknownName"));
        assert!(message.contains("environment dve (A, value 1)"), "{message}");
    }
}
