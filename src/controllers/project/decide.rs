//! Is the project well-formed, and what runs where. Pure.

use super::observe::Observed;
use super::{health, rows, trigger};
use crate::api::condition::{self, ConditionType, Reason, Stamp, Standing};
use crate::api::convert;
use crate::api::v1alpha1::project::{EnvironmentRow, Health, ProjectColumns};
use crate::api::v1alpha1::{ProjectStatus, Promotion, Release};
use crate::api::variables;
use crate::controllers::{columns, decision, scopes};
use crate::domain::promotion::outcome::Outcome;
use crate::domain::variable::resolve::Unresolved;
use crate::domain::variable::tie::ambiguities;
use crate::domain::variable::{Declared, Source, stray};

/// What one run of a project will do.
pub type Decision = decision::Decision<ProjectStatus, Effect>;

/// A change of another object.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Makes a release that a trigger wants. A refusal is remembered, and told by the next run.
    MakeRelease(Box<Release>),
}

/// Decides.
#[must_use]
pub fn decide(observed: &Observed) -> Decision {
    let project = &observed.project;
    let mut status = project.status.clone().unwrap_or_default();
    status.observed_generation = project.metadata.generation;
    let stamp = Stamp { now: observed.now, generation: project.metadata.generation };
    let wrong = convert::validate(&project.spec);
    let (standing, reason, message) = match (wrong.as_slice(), &observed.missing_lifecycle) {
        ([], None) => match of_variables(observed) {
            None => (Standing::Ready, Reason::Valid, "the project can be released".to_owned()),
            Some((reason, message)) => (Standing::Stalled, reason, message),
        },
        ([], Some(name)) => {
            let message = format!(
                "lifecycle {name} does not exist in this space, so nothing is promoted: create it, or correct spec.lifecycle"
            );
            (Standing::Reconciling, Reason::LifecycleNotFound, message)
        }
        (wrong, _) => (Standing::Stalled, Reason::Invalid, sentence(wrong)),
    };
    condition::set_standing(&mut status.conditions, &standing, (reason.as_str(), &message), stamp);
    let own = variables::declared(Source::Project, &project.spec.variables);
    let mut scoped = stray::of_variables(&own.variables);
    scoped.extend(scopes::of_steps(&project.spec.process));
    scopes::tell(&mut status.conditions, (&scoped, &observed.names), stamp);
    let triggered = trigger::decide(observed);
    status.triggers = triggered.rows;
    match triggered.fact {
        Some(fact) => condition::set(&mut status.conditions, &fact, stamp),
        None if observed.triggers.is_empty() => {
            status.conditions.retain(|known| known.type_ != ConditionType::Triggered.as_str());
        }
        None => {}
    }
    let outcomes = observed.outcomes.iter().map(std::convert::AsRef::<Outcome>::as_ref);
    // The end of a promotion may be known before the watch has shown that it no longer runs.
    let has_ended =
        |promotion: &&Promotion| observed.outcomes.iter().any(|end| Some(&end.uid) == promotion.metadata.uid.as_ref());
    let unfinished = observed.unfinished.iter().map(std::convert::AsRef::as_ref);
    let unfinished: Vec<&Promotion> = unfinished.filter(|promotion| !has_ended(promotion)).collect();
    let known = std::mem::take(&mut status.environments);
    let rows = rows::underway(rows::join(known, outcomes), &unfinished);
    let rows = rows::cut(rows, |name| observed.order.contains_key(name));
    let (rows, next) = health::judged(rows::sorted(rows, &observed.order), observed);
    status.columns = columns::shown(columns(&rows));
    status.environments = rows;
    Decision { status, effects: triggered.effects, events: Vec::new(), next: next.sooner(triggered.next) }
}

/// Where what runs, and where it is not well.
fn columns(rows: &[EnvironmentRow]) -> ProjectColumns {
    let deployed = |row: &EnvironmentRow| Some(format!("{} {}", row.name, row.current.as_ref()?.version));
    let unhealthy = |row: &EnvironmentRow| {
        row.health.filter(|health| *health != Health::Healthy).map(|health| format!("{} {}", row.name, health.as_str()))
    };
    ProjectColumns {
        deployed: columns::line(rows.iter().filter_map(deployed)),
        unhealthy: columns::line(rows.iter().filter_map(unhealthy)),
    }
}

/// What is wrong with the variables of the project and its sets together.
fn of_variables(observed: &Observed) -> Option<(Reason, String)> {
    let missing = observed.variable_sets.iter().filter(|(_, set)| set.is_none()).map(|(name, _)| name.as_str());
    let missing: Vec<&str> = missing.collect();
    if !missing.is_empty() {
        let message = format!(
            "spec.variableSets: VariableSet {} does not exist in this space: create it, or correct the list",
            missing.join(", ")
        );
        return Some((Reason::VariableSetNotFound, message));
    }
    let sets = observed.variable_sets.iter().filter_map(|(name, set)| Some((name, set.as_ref()?)));
    let wrong = sets.clone().flat_map(|(name, set)| {
        variables::validate(&set.spec.variables, &format!("VariableSet {name}: spec.variables"))
    });
    let wrong: Vec<_> = wrong.collect();
    if !wrong.is_empty() {
        return Some((Reason::Invalid, sentence(&wrong)));
    }
    let sets = sets.map(|(name, set)| variables::declared(Source::Set(name.as_str().into()), &set.spec.variables));
    let own = variables::declared(Source::Project, &observed.project.spec.variables);
    let declared: Vec<Declared> = std::iter::once(own).chain(sets).collect();
    let ties = ambiguities(&declared);
    let sentences: Vec<String> =
        ties.into_iter().map(|(name, places)| Unresolved::Ambiguous(places).sentence(&name)).collect();
    (!sentences.is_empty()).then(|| (Reason::AmbiguousVariable, format!("spec.variables: {}", sentences.join("; "))))
}

/// Everything that is wrong, as one message.
fn sentence(wrong: &[crate::domain::invalid::Invalid]) -> String {
    let each: Vec<String> = wrong.iter().map(|one| format!("{}: {}", one.path, one.message)).collect();
    each.join("; ")
}

#[cfg(test)]
mod tests;
