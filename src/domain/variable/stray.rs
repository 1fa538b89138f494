//! Scopes that match nowhere, because they name something that nobody has. That is told: else a value silently never holds, and a
//! step never runs.

use std::collections::BTreeSet;

use super::{Candidate, Scope, Variable};

/// How many names a message lists.
const NAMED: usize = 8;

/// The names that scopes may use. Of a kind that is `None` nothing is known, so nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Steps of the processes that the variables are for.
    pub steps: Option<BTreeSet<String>>,
    /// Targets of the space's environments.
    pub targets: Option<BTreeSet<String>>,
    /// Roles of those targets.
    pub roles: Option<BTreeSet<String>>,
    /// Environments of the space.
    pub environments: Option<BTreeSet<String>>,
    /// Channels of the projects that the variables are for.
    pub channels: Option<BTreeSet<String>>,
}

/// A name in a scope that nobody has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stray {
    /// What it should be: `environment`.
    pub kind: &'static str,
    /// The name.
    pub name: String,
    /// Where it is written: `LEVEL, value 2`, or `step deploy`.
    pub place: String,
}

/// A scope, and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scoped {
    /// Where.
    pub place: String,
    /// The scope.
    pub scope: Scope,
}

/// The scopes of variables. What holds everywhere has none.
#[must_use]
pub fn of_variables(variables: &[Variable]) -> Vec<Scoped> {
    let values =
        variables.iter().flat_map(|variable| variable.values.iter().zip(1..).map(move |value| (variable, value)));
    let scoped = values.filter(|(_, (value, _))| value.scope != Scope::default());
    let place = |(variable, (value, number)): (&Variable, (&Candidate, usize))| Scoped {
        place: format!("{}, value {number}", variable.name),
        scope: value.scope.clone(),
    };
    scoped.map(place).collect()
}

/// Every name in a scope that nobody has, in the order in which they are written.
#[must_use]
pub fn strays(scoped: &[Scoped], names: &Names) -> Vec<Stray> {
    let stray = |Scoped { place, scope }: &Scoped| {
        let missing = |kind, used: &[String], known: &Option<BTreeSet<String>>| {
            let unknown = used.iter().filter(|name| known.as_ref().is_some_and(|known| !known.contains(*name)));
            unknown.map(|name| Stray { kind, name: name.clone(), place: place.clone() }).collect::<Vec<_>>()
        };
        [
            missing("step", &scope.steps, &names.steps),
            missing("target", &scope.targets, &names.targets),
            missing("role", &scope.roles, &names.roles),
            missing("environment", &scope.environments, &names.environments),
            missing("channel", &scope.channels, &names.channels),
        ]
        .concat()
    };
    scoped.iter().flat_map(stray).collect()
}

/// All of them as one sentence; nothing when there are none.
#[must_use]
pub fn sentence(strays: &[Stray]) -> Option<String> {
    let one = |stray: &Stray| format!("{} {} ({})", stray.kind, stray.name, stray.place);
    let mut named: Vec<String> = strays.iter().take(NAMED).map(one).collect();
    if strays.len() > NAMED {
        named.push(format!("{} more", strays.len() - NAMED));
    }
    (!named.is_empty()).then(|| {
        format!(
            "scopes name what does not exist, so they match nothing there: {}; create it, or correct the name",
            named.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::variable::Content;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn variable(name: &str, scopes: &[Scope]) -> Variable {
        let value = |scope: &Scope| Candidate { content: Content::Value(json!(1)), scope: scope.clone() };
        Variable { name: name.into(), values: scopes.iter().map(value).collect(), prompt: None }
    }

    fn environments(names: &[&str]) -> Scope {
        Scope { environments: names.iter().map(|name| (*name).to_owned()).collect(), ..Scope::default() }
    }

    #[test]
    fn a_name_that_nobody_has_is_told_with_its_kind_variable_and_value() {
        let names = Names {
            environments: Some(set(&["dev"])),
            roles: Some(set(&[])),
            channels: Some(set(&["stable"])),
            ..Names::default()
        };
        let both =
            Scope { roles: vec!["wbe".into()], channels: vec!["stable".into()], ..environments(&["dve", "dev"]) };
        let found = strays(&of_variables(&[variable("LEVEL", &[Scope::default(), both])]), &names);
        assert_eq!(
            sentence(&found).unwrap(),
            "scopes name what does not exist, so they match nothing there: role wbe (LEVEL, value 2), \
             environment dve (LEVEL, value 2); create it, or correct the name"
        );
    }

    #[test]
    fn of_a_kind_that_nobody_knows_nothing_is_said() {
        let scope = Scope { steps: vec!["deploy".into()], targets: vec!["eu".into()], ..Scope::default() };
        assert_eq!(strays(&of_variables(&[variable("A", &[scope])]), &Names::default()), []);
        assert_eq!(sentence(&[]), None);
    }

    #[test]
    fn many_names_are_counted() {
        let names = Names { environments: Some(set(&[])), ..Names::default() };
        let many: Vec<String> = (0..11).map(|number| format!("e{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let said = sentence(&strays(&of_variables(&[variable("A", &[environments(&many)])]), &names)).unwrap();
        assert!(said.contains("environment e7 (A, value 1), 3 more; create it"), "{said}");
    }

    #[test]
    fn only_a_value_with_a_scope_is_scoped() {
        assert_eq!(of_variables(&[variable("A", &[Scope::default()])]), []);
        let both = of_variables(&[variable("A", &[Scope::default()]), variable("B", &[environments(&["dev"])])]);
        assert_eq!(both.iter().map(|scoped| scoped.place.as_str()).collect::<Vec<_>>(), ["B, value 1"]);
    }
}
