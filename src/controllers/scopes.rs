//! What the scopes of variables and steps may name, and the condition that says so. Pure.

use std::collections::BTreeSet;

use crate::api::condition::{self, ConditionType, Fact, Reason, Stamp};
use crate::api::v1alpha1::project::Step;
use crate::api::v1alpha1::{Environment, Project};
use crate::controllers::environment::desired;
use crate::domain::variable::Scope;
use crate::domain::variable::stray::{self, Names, Scoped};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// What the environments of a space have, and the projects that some variables are for. Without projects nobody knows which steps
/// and channels there will be.
pub fn names<'a>(
    environments: impl IntoIterator<Item = &'a Environment>,
    projects: impl IntoIterator<Item = &'a Project>,
) -> Names {
    let (mut places, mut targets, mut roles) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for environment in environments {
        places.extend(environment.metadata.name.clone());
        for target in desired::targets(environment) {
            targets.insert(target.name);
            roles.extend(target.roles);
        }
    }
    let (mut steps, mut channels, mut any) = (BTreeSet::new(), BTreeSet::new(), false);
    for project in projects {
        any = true;
        steps.extend(project.spec.process.iter().map(|step| step.name.clone()));
        channels.extend(project.spec.channels.iter().map(|channel| channel.name.clone()));
    }
    Names {
        steps: any.then_some(steps),
        targets: Some(targets),
        roles: Some(roles),
        environments: Some(places),
        channels: any.then_some(channels),
    }
}

/// Where the steps of a process run, as scopes. Their channels are checked with the project.
#[must_use]
pub fn of_steps(steps: &[Step]) -> Vec<Scoped> {
    let scoped = |step: &Step| Scoped {
        place: format!("step {}", step.name),
        scope: Scope { environments: step.environments.clone(), roles: step.roles.clone(), ..Scope::default() },
    };
    steps.iter().map(scoped).filter(|step| step.scope != Scope::default()).collect()
}

/// Writes whether everything that these scopes name exists; nothing where there is none.
pub fn tell(conditions: &mut Vec<Condition>, (scoped, names): (&[Scoped], &Names), stamp: Stamp) {
    if scoped.is_empty() {
        conditions.retain(|known| known.type_ != ConditionType::ScopesKnown.as_str());
        return;
    }
    let said = stray::sentence(&stray::strays(scoped, names));
    let reason = if said.is_none() { Reason::NamesKnown } else { Reason::UnknownName };
    let fact = Fact {
        kind: ConditionType::ScopesKnown,
        holds: Some(said.is_none()),
        reason: reason.as_str(),
        message: said.unwrap_or_else(|| "everything that scopes name exists".to_owned()),
    };
    condition::set(conditions, &fact, stamp);
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::api::variables;
    use crate::domain::variable::Source;

    #[test]
    fn a_target_and_its_roles_an_environment_a_step_and_a_channel_may_be_named() {
        let plain: Environment = serde_json::from_value(json!({
            "metadata": {"name": "dev", "namespace": "shop"}, "spec": {"order": 1},
        }))
        .unwrap();
        let two: Environment = serde_json::from_value(json!({
            "metadata": {"name": "live"},
            "spec": {"order": 2, "targets": [{"name": "eu", "namespace": "shop-eu", "roles": ["web"]}]},
        }))
        .unwrap();
        let project: Project = serde_json::from_value(json!({
            "metadata": {}, "spec": {"process": [{"name": "deploy", "timeout": "2m"}], "channels": [{"name": "stable", "default": true}]},
        }))
        .unwrap();
        let set = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        let known = names([&plain, &two], [&project]);
        let wanted = Names {
            steps: set(&["deploy"]),
            targets: set(&["default", "eu"]),
            roles: set(&["web"]),
            environments: set(&["dev", "live"]),
            channels: set(&["stable"]),
        };
        assert_eq!(known, wanted);
        assert_eq!(names([&plain], []).steps, None, "a set that nobody uses yet");
    }

    #[test]
    fn the_condition_is_there_as_long_as_a_value_has_a_scope() {
        let declared = |scope: serde_json::Value| {
            let variables =
                serde_json::from_value::<Vec<_>>(json!([{"name": "A", "values": [{"value": 1, "scope": scope}]}]));
            stray::of_variables(&variables::declared(Source::Project, &variables.unwrap()).variables)
        };
        let stamp = Stamp { now: Timestamp::UNIX_EPOCH, generation: Some(1) };
        let (names, mut conditions) = (names([], []), Vec::new());
        tell(&mut conditions, (&declared(json!({"environments": ["dve"]})), &names), stamp);
        let said = condition::find(&conditions, ConditionType::ScopesKnown).unwrap();
        assert_eq!((said.status.as_str(), said.reason.as_str()), ("False", "UnknownName"));
        assert!(said.message.contains("environment dve (A, value 1)"), "{}", said.message);
        tell(&mut conditions, (&declared(json!({"steps": ["deploy"]})), &names), stamp);
        assert!(condition::is_true(&conditions, ConditionType::ScopesKnown));
        tell(&mut conditions, (&declared(json!({})), &names), stamp);
        assert_eq!(condition::find(&conditions, ConditionType::ScopesKnown), None);
    }

    #[test]
    fn a_step_may_name_environments_and_roles() {
        let steps: Vec<Step> = serde_json::from_value(json!([
            {"name": "warm", "timeout": "2m", "environments": ["dve"], "roles": ["wbe"]}, {"name": "deploy", "timeout": "2m"},
        ]))
        .unwrap();
        let strays = stray::strays(&of_steps(&steps), &names([], []));
        let said = stray::sentence(&strays).unwrap();
        assert!(said.contains("role wbe (step warm), environment dve (step warm); create it"), "{said}");
    }
}
