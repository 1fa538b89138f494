//! Which variables are ambiguous somewhere: told on the objects that declare them, before anybody promotes.
//!
//! An early warning and no gate: what holds is resolved again for every promotion, so a search may end early. It has to, since it
//! runs whenever a project is looked at, and what people write may be of any shape.

use std::collections::{BTreeMap, BTreeSet};

use super::resolve::Place;
use super::scope::{Scope, Specificity, Subject};
use super::{Declared, Source};

/// How many pairs of values are compared in one search. Tens of thousands of variables with a few values each need fewer.
const COMPARED: usize = 50_000;

/// One value: where it is declared, and where it holds.
type Valued<'a> = (Place, &'a Scope);

/// Variables of a project and its sets that are ambiguous somewhere, with the places of values that tie there.
#[must_use]
pub fn ambiguities(declared: &[Declared]) -> BTreeMap<String, Vec<Place>> {
    Search { left: COMPARED }.run(declared)
}

struct Search {
    /// How many pairs may still be compared.
    left: usize,
}

impl Search {
    fn run(&mut self, declared: &[Declared]) -> BTreeMap<String, Vec<Place>> {
        let mut by_name: BTreeMap<&str, Vec<Valued<'_>>> = BTreeMap::new();
        for Declared { source, variables } in declared {
            for variable in variables {
                let place = |index| Place { source: source.clone(), index };
                let values = variable.values.iter().enumerate().map(|(index, value)| (place(index), &value.scope));
                by_name.entry(&variable.name).or_default().extend(values);
            }
        }
        let tie = |(name, values): (&str, Vec<Valued<'_>>)| Some((name.to_owned(), self.tie(&values)?));
        by_name.into_iter().filter_map(tie).collect()
    }

    /// Values of one variable that tie for some subject. A subject of which nothing more is known than two scopes of one rank ask
    /// for is met by none of a higher rank: that one asks for more.
    fn tie(&mut self, values: &[Valued<'_>]) -> Option<Vec<Place>> {
        let mut by_rank: BTreeMap<Specificity, Vec<&Valued<'_>>> = BTreeMap::new();
        for value in values {
            by_rank.entry(value.1.specificity()).or_default().push(value);
        }
        by_rank.values().find_map(|same| {
            let by_name = by_name(same);
            by_name.iter().find_map(|(name, values)| self.tie_for(*name, values))
        })
    }

    /// Values that tie where the subject has this name of its kind: two of the project, or two of sets where the project has none.
    fn tie_for(&mut self, name: Named<'_>, values: &[&Valued<'_>]) -> Option<Vec<Place>> {
        let (own, shared): (Vec<_>, Vec<_>) = values.iter().partition(|(place, _)| place.source == Source::Project);
        let of_project = self.subject(name, &own, |_| true);
        let (subject, rivals) = if let Some(subject) = of_project {
            (subject, own)
        } else {
            let is_free = |subject: &Subject| !own.iter().any(|(_, scope)| scope.applies(subject));
            (self.subject(name, &shared, is_free)?, shared)
        };
        let mut places: Vec<Place> =
            rivals.iter().filter(|(_, scope)| scope.applies(&subject)).map(|(place, _)| place.clone()).collect();
        places.sort();
        Some(places)
    }

    /// A subject for which two of the values hold. Of those that hold in exactly the same places two are enough to know.
    fn subject(
        &mut self,
        name: Named<'_>,
        values: &[&&Valued<'_>],
        fits: impl Fn(&Subject) -> bool,
    ) -> Option<Subject> {
        let mut distinct: BTreeMap<&Scope, usize> = BTreeMap::new();
        for (_, scope) in values {
            *distinct.entry(*scope).or_default() += 1;
        }
        let scopes: Vec<(&Scope, usize)> = distinct.into_iter().collect();
        let mut seen = BTreeSet::new();
        for (at, (one, times)) in scopes.iter().enumerate() {
            let twin = (*times > 1).then_some(*one);
            for two in twin.into_iter().chain(scopes.iter().skip(at + 1).map(|(scope, _)| *scope)) {
                self.left = self.left.checked_sub(1)?;
                let Some(subject) = one.witness(two).map(|subject| name.given_to(subject)) else { continue };
                if !seen.contains(&subject) {
                    if fits(&subject) {
                        return Some(subject);
                    }
                    seen.insert(subject);
                }
            }
        }
        None
    }
}

/// One name of one kind that scopes give.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Named<'a> {
    kind: &'static str,
    name: &'a str,
}

impl Named<'_> {
    fn given_to(self, subject: Subject) -> Subject {
        let name = self.name.to_owned();
        match self.kind {
            "steps" => Subject { step: name, ..subject },
            "targets" => Subject { target: name, ..subject },
            "roles" => Subject { roles: vec![name], ..subject },
            "environments" => Subject { environment: name, ..subject },
            "channels" => Subject { channel: Some(name), ..subject },
            _ => subject,
        }
    }
}

/// Values of one rank by the names of one of the kinds that they all give: only those that share one can tie. Of these kinds the
/// one with the most names parts them best.
fn by_name<'a>(same: &[&'a Valued<'a>]) -> BTreeMap<Named<'a>, Vec<&'a Valued<'a>>> {
    let kinds = (0..Scope::KINDS).map(|at| {
        let mut by_name: BTreeMap<Named<'a>, Vec<&'a Valued<'a>>> = BTreeMap::new();
        for value in same {
            let Some((kind, names)) = value.1.kinds().into_iter().nth(at) else { continue };
            for name in names.iter().collect::<BTreeSet<_>>() {
                by_name.entry(Named { kind, name }).or_default().push(value);
            }
        }
        by_name
    });
    let widest = kinds.max_by_key(BTreeMap::len).filter(|by_name| !by_name.is_empty());
    widest.unwrap_or_else(|| BTreeMap::from([(Named { kind: "", name: "" }, same.to_vec())]))
}

#[cfg(test)]
mod tests {
    use super::super::resolve::{Unresolved, listed, resolve};
    use super::super::{Candidate, Content, Variable};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn environments(environments: &[&str]) -> Scope {
        Scope { environments: environments.iter().map(|name| (*name).to_owned()).collect(), ..Scope::default() }
    }

    fn declared(source: Source, scopes: impl IntoIterator<Item = Scope>) -> Declared {
        let candidate = |scope| Candidate { content: Content::Value(json!("x")), scope };
        let values = scopes.into_iter().map(candidate).collect();
        Declared { source, variables: vec![Variable { name: "LOG_LEVEL".into(), values, prompt: None }] }
    }

    fn set(name: &str, scopes: impl IntoIterator<Item = Scope>) -> Declared {
        declared(Source::Set(name.into()), scopes)
    }

    fn found(declared: &[Declared]) -> Option<String> {
        ambiguities(declared).get("LOG_LEVEL").map(|places| listed(places))
    }

    /// How many pairs are compared, and what is found.
    fn compared(declared: &[Declared]) -> (usize, bool) {
        let mut search = Search { left: COMPARED };
        let found = search.run(declared);
        (COMPARED - search.left, !found.is_empty())
    }

    #[test]
    fn an_ambiguity_is_found_before_anybody_promotes() {
        let levels = [environments(&["dev", "test"]), environments(&["test", "production"]), Scope::default()];
        let tie = found(&[declared(Source::Project, levels)]);
        assert_eq!(tie.as_deref(), Some("Project, value 1 and Project, value 2"));
        let fine = [environments(&["dev"]), environments(&["test"])];
        assert_eq!(found(&[declared(Source::Project, fine)]), None);
    }

    #[test]
    fn what_the_project_says_somewhere_is_no_tie_of_its_sets_there_and_one_elsewhere() {
        let both = || environments(&["dev", "test"]);
        let sets = || [set("a", [both()]), set("b", [both()])];
        let with = |own: &[&str]| {
            let [a, b] = sets();
            found(&[declared(Source::Project, [environments(own)]), a, b])
        };
        assert_eq!(found(&sets()).as_deref(), Some("VariableSet a, value 1 and VariableSet b, value 1"));
        assert_eq!(with(&["dev"]).as_deref(), Some("VariableSet a, value 1 and VariableSet b, value 1"), "in test");
        assert_eq!(with(&["dev", "test"]), None);
    }

    #[test]
    fn however_many_values_there_are_few_are_compared() {
        // A thousand sets that say the same of one environment, for which the project has a value.
        let sets = (0..1_000).map(|n| set(&format!("s{n}"), [environments(&["dev"])]));
        let covered: Vec<_> =
            std::iter::once(declared(Source::Project, [environments(&["dev"])])).chain(sets).collect();
        assert_eq!(compared(&covered), (1, false));
        // A thousand values, each for an environment of its own, and the last one for the first again.
        let own = (0..1_000).map(|n| environments(&[&format!("e{n}")]));
        assert_eq!(compared(&[declared(Source::Project, own.clone())]), (0, false));
        let twice = own.chain([environments(&["e0"])]);
        assert_eq!(compared(&[declared(Source::Project, twice)]), (1, true));
        // Scopes that all differ, meet everywhere, and are covered by the project.
        let overlapping = |n: usize| environments(&["dev", &format!("e{n}")]);
        let sets = (0..1_020).map(|n| set(&format!("s{n}"), [overlapping(n)]));
        let worst: Vec<_> = std::iter::once(declared(Source::Project, [environments(&["dev"])])).chain(sets).collect();
        assert_eq!(compared(&worst), (COMPARED, false), "and where it would be many, the search ends");
    }

    fn scope() -> impl Strategy<Value = Scope> {
        let some = |names: &'static [&'static str]| {
            proptest::sample::subsequence(names, 0..=names.len())
                .prop_map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        let kinds = (some(&["deploy"]), some(&["eu", "us"]), some(&["web", "db"]), some(&["dev", "test"]));
        kinds.prop_map(|(steps, targets, roles, environments)| Scope {
            steps,
            targets,
            roles,
            environments,
            channels: Vec::new(),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

        #[test]
        fn what_is_ambiguous_for_a_subject_is_found_and_what_is_found_is_ambiguous_for_one(
            own in proptest::collection::vec(scope(), 0..4),
            shared in proptest::collection::vec(scope(), 0..4),
        ) {
            let declared = [declared(Source::Project, own), set("a", shared)];
            let is_ambiguous = |subject: &Subject| {
                matches!(resolve(&declared, &[], subject).remove("LOG_LEVEL"), Some(Err(Unresolved::Ambiguous(_))))
            };
            // One role at a time: nobody has to have both.
            let mut any = false;
            for step in ["deploy", ""] {
                for target in ["eu", "us", ""] {
                    for role in ["web", "db", ""] {
                        for environment in ["dev", "test", ""] {
                            any |= is_ambiguous(&Subject {
                                environment: environment.into(), target: target.into(), roles: vec![role.into()],
                                channel: None, step: step.into(),
                            });
                        }
                    }
                }
            }
            prop_assert!(found(&declared).is_none() || any, "{:?}", found(&declared));
            let no_own = !declared[0].variables[0].values.iter().any(|value| value.scope.specificity() > Scope::default().specificity());
            // Where the project has values of its own a tie of sets may hide behind them.
            prop_assert!(!any || found(&declared).is_some() || !no_own);
        }
    }
}
