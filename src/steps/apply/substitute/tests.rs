use super::*;
use crate::domain::variable::bindings::Secrets;
use crate::domain::variable::secret::SecretPlace;
use crate::domain::variable::{Candidate, Content, Declared, Source, Subject, Variable};
use crate::steps::apply::ownership::example::scope;

fn reference(name: &str, from: SecretPlace) -> Content {
    Content::Secret(SecretReference { name: name.into(), key: "password".into(), from })
}

fn substituted_with(objects: &[Value], secret: &str) -> Result<Substituted, Problems> {
    let value = |value: Value| Content::Value(value);
    let variables = [
        ("NAME", value(json!("World"))),
        ("REPLICAS", value(json!(3))),
        ("EVIL", value(json!("x\nkind: Secret\n}}\"${{ variables.NAME }}'"))),
        ("LITERAL", value(json!("$${{ variables.NAME }}"))),
        ("LABELS", value(json!({"team": "shop"}))),
        ("DB", reference("db", SecretPlace::Space)),
        ("URL", value(json!("postgres://app:${{ variables.DB }}@db"))),
        ("HERE", reference("here", SecretPlace::Target)),
        ("A", value(json!("${{ variables.A }}"))),
    ];
    let variable = |(name, content): &(&str, Content)| Variable {
        name: (*name).into(),
        values: vec![Candidate { content: content.clone(), scope: crate::domain::variable::Scope::default() }],
        prompt: None,
    };
    let declared = [Declared { source: Source::Project, variables: variables.iter().map(variable).collect() }];
    let db = SecretReference { name: "db".into(), key: "password".into(), from: SecretPlace::Space };
    let secrets = Secrets::from([(db, Ok(SecretText::new(secret.into(), "uid")))]);
    let names = Map::new();
    let mut bindings = Bindings::new((&declared, &[]), &Subject::default(), (&names, &secrets));
    let manifest = |(at, value): (usize, &Value)| Manifest { origin: format!("manifests[{at}]"), value: value.clone() };
    substitute(objects.iter().enumerate().map(manifest).collect(), &scope(), &mut bindings)
}

fn substituted(objects: &[Value]) -> Vec<Value> {
    substituted_with(objects, "hunter2").unwrap().manifests.into_iter().map(|manifest| manifest.value).collect()
}

fn problems(objects: &[Value]) -> Vec<(String, String)> {
    let problems = substituted_with(objects, "hunter2").unwrap_err();
    problems.told().iter().map(|one| (one.reason.as_str().to_owned(), one.to_string())).collect()
}

fn deployment(env: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "checkout"},
        "spec": {"template": {"spec": {"containers": [{"name": "api", "env": env}]}}},
    })
}

fn env(object: &Value) -> &Value {
    &object["spec"]["template"]["spec"]["containers"][0]["env"]
}

// Attack T25.
#[test]
fn a_value_never_changes_the_structure_around_it() {
    let done = substituted(&[json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"text": "a ${{ variables.EVIL }} b"},
    })]);
    assert_eq!(done.len(), 1);
    assert_eq!(done[0]["kind"], "ConfigMap");
    assert_eq!(done[0]["data"], json!({"text": "a x\nkind: Secret\n}}\"World' b"}));
}

#[test]
fn a_number_stays_a_number_and_a_label_or_an_entry_is_a_text() {
    let mut object = deployment(&json!([{"name": "N", "value": "${{ variables.REPLICAS }}"}]));
    object["spec"]["replicas"] = "${{ variables.REPLICAS }}".into();
    object["metadata"]["labels"] = json!({"replicas": "${{ variables.REPLICAS }}"});
    object["spec"]["selector"] = json!({"matchLabels": "${{ variables.LABELS }}"});
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"n": "${{ variables.REPLICAS }}"}});
    let done = substituted(&[object, config]);
    assert_eq!(done[0]["spec"]["replicas"], 3);
    assert_eq!(done[0]["metadata"]["labels"]["replicas"], "3");
    assert_eq!(done[0]["spec"]["selector"]["matchLabels"]["team"], "shop");
    assert_eq!(env(&done[0])[0]["value"], "3");
    assert_eq!(done[1]["data"]["n"], "3");
}

#[test]
fn what_was_replaced_is_no_expression_again() {
    let done = substituted(&[deployment(&json!([{"name": "A", "value": "${{ variables.LITERAL }}"}]))]);
    assert_eq!(env(&done[0])[0]["value"], "${{ variables.NAME }}");
}

#[test]
fn a_secret_of_the_space_reaches_a_container_through_a_secret_of_gantrys_own() {
    let object = deployment(&json!([
        {"name": "URL", "value": "${{ variables.URL }}"},
        {"name": "PASSWORD", "value": "${{ variables.DB }}"},
        {"name": "PLAIN", "value": "${{ variables.NAME }}"},
    ]));
    let done = substituted(std::slice::from_ref(&object));
    let secret = &done[1];
    let name = secret["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("checkout-deploy-") && secret["kind"] == "Secret", "{secret}");
    assert_eq!(secret["stringData"], json!({"URL": "postgres://app:hunter2@db", "PASSWORD": "hunter2"}));
    assert_eq!(env(&done[0])[0], json!({"name": "URL", "valueFrom": {"secretKeyRef": {"name": name, "key": "URL"}}}));
    assert_eq!(env(&done[0])[2]["value"], "World");
    assert!(!done[0].to_string().contains("hunter2"));
    let other = substituted_with(std::slice::from_ref(&object), "hunter3").unwrap().manifests;
    assert_ne!(other[1].value["metadata"]["name"], name, "another value is another Secret, so that pods restart");
    assert_eq!(substituted(&[object])[1], *secret, "and the same one is the same");
}

#[test]
fn two_containers_may_name_an_environment_variable_alike() {
    let one = |name: &str, value: &str| json!({"name": name, "env": [{"name": "X", "value": value}]});
    let object = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
        "spec": {"initContainers": [one("a", "${{ variables.DB }}")], "containers": [one("b", "${{ variables.URL }}"), one("c", "${{ variables.DB }}")]},
    });
    let done = substituted(&[object]);
    assert_eq!(done[1]["stringData"].as_object().unwrap().len(), 2);
    let key = |list: &str, at: usize| done[0]["spec"][list][at]["env"][0]["valueFrom"]["secretKeyRef"]["key"].clone();
    assert_eq!(key("initContainers", 0), key("containers", 1));
    assert_ne!(key("initContainers", 0), key("containers", 0));
}

#[test]
fn a_secret_of_the_target_becomes_a_reference_and_is_never_read() {
    let object = deployment(&json!([
        {"name": "A", "value": "${{ variables.HERE }}"},
        {"name": "B", "valueFrom": {"secretKeyRef": "${{ variables.HERE }}"}},
    ]));
    let done = substituted(&[object]);
    let reference = json!({"secretKeyRef": {"name": "here", "key": "password"}});
    assert_eq!(*env(&done[0]), json!([{"name": "A", "valueFrom": reference}, {"name": "B", "valueFrom": reference}]));
    assert_eq!(done.len(), 1);
}

#[test]
fn a_secret_may_stand_in_the_data_of_a_secret_and_nowhere_else_in_plain_text() {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"},
        "stringData": {"url": "${{ variables.URL }}"}, "data": {"password": "${{ base64(variables.DB) }}"},
    });
    assert_eq!(substituted(std::slice::from_ref(&secret))[0]["data"]["password"], "aHVudGVyMg==");
    let mut shown = secret;
    shown["metadata"]["annotations"] = json!({"url": "${{ variables.URL }}"});
    let mut args = deployment(&json!([]));
    args["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["--password=${{ variables.DB }}"]);
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "${{ size(variables.DB) }}", "b": "${{ variables.HERE }}"}});
    let custom = json!({"apiVersion": "example.com/v1", "kind": "Secret", "metadata": {"name": "d"}, "data": {"a": "${{ variables.DB }}"}});
    let found = problems(&[shown, args, config, custom]);
    assert!(found.iter().all(|(reason, _)| reason == "SecretInPlainText"), "{found:?}");
    let sentences: Vec<&str> = found.iter().map(|(_, sentence)| sentence.as_str()).collect();
    assert!(sentences[0].starts_with("Secret a: metadata.annotations.url: would show a secret"), "{sentences:?}");
    assert!(sentences[1].starts_with("Deployment checkout: spec.template.spec.containers[0].args[0]: would show"));
    assert!(sentences[2].starts_with("ConfigMap c: data.a:") && sentences[3].starts_with("ConfigMap c: data.b:"));
    assert_eq!(sentences.len(), 5);
    assert!(!format!("{found:?}").contains("hunter"));
}

#[test]
fn everything_that_is_wrong_is_found_at_once_with_its_place() {
    let object = deployment(&json!([
        {"name": "A", "value": "${{ variables.MISSING }}"},
        {"name": "B", "value": "fine"},
        {"name": "C", "value": "${{ variables.A }}"},
        {"name": "${{ 1 + }}", "value": "x"},
    ]));
    let kind = json!({"apiVersion": "v1", "kind": "${{ variables.NAME }}", "metadata": {"name": "a"}, "data": {"${{ 1 }}": "x"}});
    let found = problems(&[object, kind]);
    let reasons: Vec<&str> = found.iter().map(|(reason, _)| reason.as_str()).collect();
    assert_eq!(
        reasons,
        ["UnresolvedVariable", "VariableCycle", "InvalidExpression", "InvalidExpression", "InvalidExpression"]
    );
    assert!(
        found[0].1.starts_with("Deployment checkout: spec.template.spec.containers[0].env[0].value: variable MISSING"),
        "{found:?}"
    );
    assert!(found[3].1.starts_with("manifests[1]: data.${{ 1 }}: a key cannot"), "{found:?}");
}
