use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::variable::prompt::PromptKind;
use crate::domain::variable::secret::SecretPlace;
use crate::domain::variable::{SecretReference, Variable};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn everywhere() -> Scope {
    Scope::default()
}

fn environments(environments: &[&str]) -> Scope {
    Scope { environments: names(environments), ..Scope::default() }
}

fn variable(name: &str, values: &[(&str, Scope)]) -> Variable {
    let candidate =
        |(text, scope): &(&str, Scope)| Candidate { content: Content::Value(json!(text)), scope: scope.clone() };
    Variable { name: name.into(), values: values.iter().map(candidate).collect(), prompt: None }
}

fn project(variables: Vec<Variable>) -> Declared {
    Declared { source: Source::Project, variables }
}

fn set(name: &str, variables: Vec<Variable>) -> Declared {
    Declared { source: Source::Set(name.into()), variables }
}

fn subject(environment: &str, target: &str) -> Subject {
    Subject {
        environment: environment.into(),
        target: target.into(),
        roles: names(&["web"]),
        channel: None,
        step: "deploy".into(),
    }
}

fn value(declared: &[Declared], subject: &Subject) -> Result<String, Unresolved> {
    let resolved = resolve(declared, &[], subject).remove("LOG_LEVEL").unwrap()?;
    match resolved.content.into_owned() {
        Content::Value(value) => Ok(value.as_str().unwrap().to_owned()),
        Content::Secret(_) => panic!("a secret"),
    }
}

#[test]
fn the_value_of_the_most_specific_scope_holds() {
    let levels = variable(
        "LOG_LEVEL",
        &[
            ("Info", everywhere()),
            ("Warn", environments(&["staging", "production"])),
            ("Debug", Scope { targets: names(&["eu"]), ..Scope::default() }),
        ],
    );
    let declared = [project(vec![levels])];
    assert_eq!(value(&declared, &subject("dev", "us")), Ok("Info".into()));
    assert_eq!(value(&declared, &subject("production", "us")), Ok("Warn".into()));
    assert_eq!(value(&declared, &subject("production", "eu")), Ok("Debug".into()));
}

#[test]
fn a_target_alone_beats_role_environment_and_channel_together() {
    let three = Scope {
        roles: names(&["web"]),
        environments: names(&["dev"]),
        channels: names(&["stable"]),
        ..Scope::default()
    };
    let one = Scope { targets: names(&["eu"]), ..Scope::default() };
    let declared = [project(vec![variable("LOG_LEVEL", &[("three", three), ("one", one)])])];
    let subject = Subject { channel: Some("stable".into()), ..subject("dev", "eu") };
    assert_eq!(value(&declared, &subject), Ok("one".into()));
}

#[test]
fn a_project_beats_a_set_at_an_exact_tie_and_only_there() {
    let declared = [
        set("shared", vec![variable("LOG_LEVEL", &[("set", everywhere()), ("prod", environments(&["production"]))])]),
        project(vec![variable("LOG_LEVEL", &[("project", everywhere())])]),
    ];
    assert_eq!(value(&declared, &subject("dev", "eu")), Ok("project".into()));
    assert_eq!(value(&declared, &subject("production", "eu")), Ok("prod".into()));
    let lost = resolve(&declared, &[], &subject("dev", "eu")).remove("LOG_LEVEL").unwrap().unwrap().lost;
    let place = |index| Place { source: Source::Set("shared".into()), index };
    assert_eq!(lost, [(place(1), Lost::OutOfScope), (place(0), Lost::BelongsToSet)]);
}

#[test]
fn every_other_tie_is_an_error_that_names_both_places() {
    let declared = [
        set("b", vec![variable("LOG_LEVEL", &[("b", everywhere())])]),
        set("a", vec![variable("LOG_LEVEL", &[("a", everywhere())])]),
    ];
    let wrong = value(&declared, &subject("dev", "eu")).unwrap_err();
    assert_eq!(
        wrong.sentence("LOG_LEVEL"),
        "variable LOG_LEVEL has values of the same rank in VariableSet a, value 1 and VariableSet b, value 1: make one of their scopes more specific, or remove one"
    );
    let same = [project(vec![variable("LOG_LEVEL", &[("x", everywhere()), ("x", everywhere())])])];
    assert!(matches!(value(&same, &subject("dev", "eu")), Err(Unresolved::Ambiguous(_))), "even with the same value");
}

#[test]
fn a_value_given_with_the_promotion_beats_all_scopes_and_has_the_type_of_what_it_replaces() {
    let mut replicas = variable("REPLICAS", &[("", Scope { steps: names(&["deploy"]), ..Scope::default() })]);
    replicas.values[0].content = Content::Value(json!(2));
    let declared = [project(vec![replicas])];
    let given = |text: &str| [Given { name: "REPLICAS".into(), content: Content::Value(json!(text)) }];
    let five = given("5");
    let resolved = resolve(&declared, &five, &subject("dev", "eu")).remove("REPLICAS").unwrap().unwrap();
    assert_eq!((resolved.content.into_owned(), resolved.place.source), (Content::Value(json!(5)), Source::Promotion));
    assert_eq!(resolved.lost, [(Place { source: Source::Project, index: 0 }, Lost::Given)]);
    let wrong = resolve(&declared, &given("many"), &subject("dev", "eu")).remove("REPLICAS").unwrap().unwrap_err();
    assert_eq!(wrong.sentence("REPLICAS"), "variable REPLICAS in the promotion's spec.variables must be a number");
}

#[test]
fn a_value_that_nobody_asked_for_is_unknown() {
    let given = [Given { name: "TYPO".into(), content: Content::Value(json!("x")) }];
    assert_eq!(resolve(&[], &given, &subject("dev", "eu")).remove("TYPO"), Some(Err(Unresolved::Unknown)));
}

#[test]
fn a_required_prompt_wants_an_answer_even_if_there_is_a_value() {
    let prompt = Prompt { label: Some("Ticket".into()), required: true, ..Prompt::default() };
    let asked = Variable { prompt: Some(prompt), ..variable("TICKET", &[("none", everywhere())]) };
    let declared = [project(vec![asked.clone()])];
    let resolved = resolve(&declared, &[], &subject("dev", "eu")).remove("TICKET").unwrap();
    assert_eq!(resolved, Err(Unresolved::Unanswered(Some("Ticket".into()))));
    let optional = Variable { prompt: Some(Prompt::default()), ..asked };
    assert!(resolve(&[project(vec![optional])], &[], &subject("dev", "eu"))["TICKET"].is_ok());
}

#[test]
fn a_choice_takes_only_what_is_offered_and_a_secret_only_a_reference() {
    let kind = PromptKind::Choice(names(&["small", "large"]));
    let size = Variable { prompt: Some(Prompt { kind, ..Prompt::default() }), ..variable("SIZE", &[]) };
    let token = Variable { prompt: Some(Prompt { sensitive: true, ..Prompt::default() }), ..variable("TOKEN", &[]) };
    let declared = [project(vec![size, token])];
    let given = |name: &str, content| [Given { name: name.into(), content }];
    let ask = |given: &[Given], name: &str| {
        resolve(&declared, given, &subject("dev", "eu")).remove(name).unwrap().map(|one| one.content.into_owned())
    };
    assert!(ask(&given("SIZE", Content::Value(json!("large"))), "SIZE").is_ok());
    assert!(ask(&given("SIZE", Content::Value(json!("huge"))), "SIZE").is_err());
    assert!(ask(&given("TOKEN", Content::Value(json!("hunter2"))), "TOKEN").is_err());
    let reference = SecretReference { name: "t".into(), key: "t".into(), from: SecretPlace::default() };
    assert!(ask(&given("TOKEN", Content::Secret(reference)), "TOKEN").is_ok());
}

#[test]
fn a_variable_without_a_value_here_says_where_it_has_one() {
    let declared = [project(vec![variable("LOG_LEVEL", &[("x", environments(&["production"]))])])];
    let wrong = value(&declared, &subject("dev", "eu")).unwrap_err();
    assert!(wrong.sentence("LOG_LEVEL").contains("has no value here (Project, value 1 hold elsewhere)"));
}

#[test]
fn ten_thousand_variables_are_resolved_at_once_each_to_its_own_value() {
    let scopes = [everywhere(), environments(&["dev"]), environments(&["test"])];
    let each = |n: usize| {
        let values: Vec<_> = scopes.iter().map(|scope| ("x", scope.clone())).collect();
        variable(&format!("V{n}"), &values)
    };
    let declared = [project((0..5_000).map(each).collect()), set("s", (2_500..7_500).map(each).collect())];
    let subject = subject("dev", "eu");
    let resolved = resolve(&declared, &[], &subject);
    assert_eq!(resolved.len(), 7_500);
    for (name, one) in resolved {
        let of_project = name[1..].parse::<usize>().unwrap() < 5_000;
        let source = if of_project { Source::Project } else { Source::Set("s".into()) };
        assert_eq!(one.unwrap().place, Place { source, index: 1 }, "{name}");
    }
}

fn scope() -> impl Strategy<Value = Scope> {
    let some = |names: &'static [&'static str]| {
        proptest::sample::subsequence(names, 0..=names.len())
            .prop_map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let kinds = (
        some(&["deploy", "migrate"]),
        some(&["eu", "us"]),
        some(&["web", "db"]),
        some(&["dev", "test"]),
        some(&["stable"]),
    );
    kinds.prop_map(|(steps, targets, roles, environments, channels)| Scope {
        steps,
        targets,
        roles,
        environments,
        channels,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn the_order_of_declarations_never_matters(
        scopes in proptest::collection::vec((scope(), 0_usize..3), 0..6),
        seed in any::<u64>(),
    ) {
        let mut declared = vec![project(Vec::new()), set("a", Vec::new()), set("b", Vec::new())];
        for (at, (_, place)) in scopes.iter().enumerate() {
            // Which value it is is its content, so that places may move.
            let values: Vec<_> = scopes.iter().enumerate().filter(|(_, (_, at))| at == place)
                .map(|(n, (scope, _))| (n.to_string(), scope.clone())).collect();
            if scopes.iter().position(|(_, first)| first == place) == Some(at) {
                let values: Vec<_> = values.iter().map(|(text, scope)| (text.as_str(), scope.clone())).collect();
                declared[*place].variables.push(variable("LOG_LEVEL", &values));
            }
        }
        let mut turned = declared.clone();
        turned.rotate_left(usize::try_from(seed % 3).unwrap());
        for one in &mut turned {
            for variable in &mut one.variables {
                let by = usize::try_from(seed).unwrap_or(7) % variable.values.len().max(1);
                variable.values.rotate_left(by);
                for value in &mut variable.values {
                    value.scope.environments.reverse();
                }
            }
        }
        for environment in ["dev", "test"] {
            let subject = Subject { channel: Some("stable".into()), ..subject(environment, "eu") };
            let content = |declared: &[Declared]| resolve(declared, &[], &subject).remove("LOG_LEVEL").map(|one| {
                one.map(|one| one.content.into_owned()).map_err(|wrong| std::mem::discriminant(&wrong))
            });
            prop_assert_eq!(content(&declared), content(&turned));
        }
    }
}
