//! Variables, on the real cluster: which value holds, what expressions become, and where secrets may be.

use std::fmt::Write as _;

use gantry::api::condition::{self, ConditionType};
use gantry::api::v1alpha1::{Environment, Project, Promotion, Release, VariableSet};
use gantry_plane::node::simulated::TERMINATION_MESSAGE;
use gantry_plane::{Identity, Login, Registry, RegistryOptions};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DynamicObject, ListParams};
use kube::discovery::{Discovery, Scope, verbs};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::support::image::push;
use crate::support::manifest::{config_map, deployment, failing, real};
use crate::support::real_node::left_out;
use crate::support::shared::{Shared, shared};
use crate::support::space::Space;
use crate::support::wait;

async fn shop(environments: &[&str]) -> (&'static Shared, Space, String) {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    for (order, environment) in (1_i64..).zip(environments) {
        space.environment(environment, order).await;
    }
    (cluster, space, image)
}

/// A ConfigMap `settings` with these entries.
#[expect(clippy::needless_pass_by_value, reason = "callers write the literal in place")]
fn settings(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data})
}

/// The project `checkout` with these variables and manifests.
async fn project(space: &Space, image: &str, (variables, manifests): (Value, Value)) {
    let spec = json!({
        "packages": [{"name": "api", "image": image}],
        "variables": variables,
        "process": [{"name": "deploy", "timeout": "2m", "apply": {"manifests": manifests}}],
    });
    space.apply(space.object("Project", "checkout", spec)).await;
}

/// Promotes a version to dev with these values, and gives back the end.
async fn promoted_with_version(space: &Space, (name, version): (&str, &str), given: Value) -> Promotion {
    let spec = json!({"project": "checkout", "version": version, "environment": "dev", "variables": given});
    space.apply(space.object("Promotion", name, spec)).await;
    space.ended(name).await
}

/// Promotes 1.0.0 with these values, and gives back the end.
async fn promoted_with(space: &Space, (name, environment): (&str, &str), given: Value) -> Promotion {
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": environment, "variables": given});
    space.apply(space.object("Promotion", name, spec)).await;
    space.ended(name).await
}

/// Why a promotion failed: the class, and every sentence.
fn failure(promotion: &Promotion) -> (String, Vec<String>) {
    let status = promotion.status.as_ref().expect("a status");
    assert_eq!(status.phase.as_deref(), Some("Failed"), "{:?}", status.message);
    assert!(!status.applied, "nothing was applied");
    let failure = status.failure.as_ref().expect("a failure");
    (failure.reason.clone(), failure.details.clone())
}

async fn data(space: &Space, namespace: &str) -> std::collections::BTreeMap<String, String> {
    let api: Api<ConfigMap> = Api::namespaced(space.client.clone(), &format!("{}-{namespace}", space.name));
    api.get("settings").await.expect("the ConfigMap").data.unwrap_or_default()
}

async fn secret(space: &Space, (name, environments): (&str, &str), data: Value) {
    space
        .apply(json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": data,
            "metadata": {"name": name, "namespace": space.name, "labels": {"gantry.dev/environments": environments}},
        }))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_differs_by_environment_and_by_target_and_the_status_says_which_one_won() {
    let (_, space, image) = shop(&["dev"]).await;
    let target =
        |name: &str, role: &str| json!({"name": name, "namespace": format!("{}-{name}", space.name), "roles": [role]});
    space
        .environment_with("production", json!({"order": 9, "targets": [target("eu", "web"), target("us", "db")]}))
        .await;
    let levels = json!([
        {"name": "LOG_LEVEL", "values": [
            {"value": "Info"},
            {"value": "Warn", "scope": {"environments": ["staging", "production"]}},
            {"value": "Debug", "scope": {"targets": ["eu"]}},
        ]},
        {"name": "ROLE", "values": [{"value": "none"}, {"value": "the database", "scope": {"roles": ["db", "cache"]}}]},
    ]);
    let text = "${{ variables.LOG_LEVEL }} ${{ variables.ROLE }} ${{ target.name }} ${{ release.version }}";
    project(&space, &image, (levels, json!([settings(json!({"text": text}))]))).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    assert_eq!(data(&space, "dev").await["text"], "Info none default 1.0.0");
    let promotion = space.deploy("checkout", "1.0.0", "production").await;
    assert_eq!(data(&space, "eu").await["text"], "Debug none eu 1.0.0");
    assert_eq!(data(&space, "us").await["text"], "Warn the database us 1.0.0");
    let rows = promotion.status.expect("a status").variables;
    let shown: Vec<_> = rows
        .iter()
        .map(|row| format!("{}: {} ({}) in {}", row.name, row.source, row.scope, row.targets.join(",")))
        .collect();
    assert_eq!(
        shown,
        [
            "LOG_LEVEL: Project, value 2 (environments staging, production) in us",
            "LOG_LEVEL: Project, value 3 (targets eu) in eu",
            "ROLE: Project, value 1 (everywhere) in eu",
            "ROLE: Project, value 2 (roles db, cache) in us",
        ]
    );
    assert!(rows.iter().all(|row| row.hash.as_ref().is_some_and(|hash| hash.len() == 16)), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_values_of_equal_rank_are_told_on_the_project_and_apply_nothing() {
    let (_, space, _) = shop(&["dev"]).await;
    let set = json!({"variables": [{"name": "LEVEL", "values": [{"value": "a", "scope": {"environments": ["dev"]}}]}]});
    space.apply(space.object("VariableSet", "one", set.clone())).await;
    space.apply(space.object("VariableSet", "two", set)).await;
    let spec = json!({
        "variableSets": ["two", "one"],
        "process": [{"name": "deploy", "apply": {"manifests": [settings(json!({"text": "${{ variables.LEVEL }}"}))]}}],
    });
    space.apply(space.object("Project", "checkout", spec)).await;
    let says = |project: &Project, reason: &str| {
        let conditions = project.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        conditions.iter().any(|one| one.type_ == "Ready" && one.reason == reason)
    };
    space.project_says("checkout", "ambiguous", |project| says(project, "AmbiguousVariable")).await;
    space.apply(space.object("Release", "checkout-1.0.0", json!({"project": "checkout", "version": "1.0.0"}))).await;
    space.sealed("checkout-1.0.0").await;
    let (reason, sentences) = failure(&promoted_with(&space, ("ambiguous", "dev"), json!([])).await);
    assert_eq!(reason, "AmbiguousVariable");
    assert!(sentences[0].contains("VariableSet one, value 1 and VariableSet two, value 1"), "{sentences:?}");
    let there = space.in_environment::<ConfigMap>("dev").get_opt("settings").await.expect("an answer");
    assert!(there.is_none());
    // A project's value beats both, and heals it.
    let values = json!({"spec": {"variables": [{"name": "LEVEL", "values": [{"value": "b", "scope": {"environments": ["dev"]}}]}]}});
    let projects: Api<Project> = space.api();
    let patch = kube::api::Patch::Merge(values);
    projects.patch("checkout", &kube::api::PatchParams::default(), &patch).await.expect("patched");
    space.project_says("checkout", "valid", |project| says(project, "Valid")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_a_project_does_not_list_is_invisible_to_it() {
    let (_, space, image) = shop(&["dev"]).await;
    let set = |value: &str| json!({"variables": [{"name": "LEVEL", "values": [{"value": value}]}]});
    space.apply(space.object("VariableSet", "other", set("other"))).await;
    project(&space, &image, (json!([]), json!([settings(json!({"text": "${{ variables.LEVEL }}"}))]))).await;
    space.release("checkout", "1.0.0").await;
    let (reason, sentences) = failure(&promoted_with(&space, ("unlisted", "dev"), json!([])).await);
    assert_eq!(reason, "UnresolvedVariable");
    assert!(sentences[0].contains("variable LEVEL is declared nowhere: add it"), "{sentences:?}");
    // Nor is it a rival of a set that is listed.
    space.apply(space.object("VariableSet", "own", set("own"))).await;
    let listed = kube::api::Patch::Merge(json!({"spec": {"variableSets": ["own"]}}));
    space.api::<Project>().patch("checkout", &kube::api::PatchParams::default(), &listed).await.expect("patched");
    space.release("checkout", "1.1.0").await;
    space.deploy("checkout", "1.1.0", "dev").await;
    assert_eq!(data(&space, "dev").await["text"], "own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_whose_variable_set_does_not_exist_says_which_one_and_heals() {
    let (_, space, image) = shop(&[]).await;
    let spec = json!({
        "variableSets": ["shared"], "packages": [{"name": "api", "image": image}],
        "process": [{"name": "deploy", "apply": {"manifests": [settings(json!({}))]}}],
    });
    space.apply(space.object("Project", "checkout", spec)).await;
    let ready = |project: &Project| {
        let conditions = project.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        conditions.iter().find(|one| one.type_ == "Ready").map(|one| (one.reason.clone(), one.message.clone()))
    };
    let project = space
        .project_says("checkout", "without its set", |project| {
            ready(project).is_some_and(|(reason, _)| reason == "VariableSetNotFound")
        })
        .await;
    assert!(
        ready(&project).expect("a condition").1.contains("VariableSet shared does not exist in this space: create it")
    );
    space.apply(space.object("VariableSet", "shared", json!({"variables": []}))).await;
    space
        .project_says("checkout", "valid", |project| ready(project).is_some_and(|(reason, _)| reason == "Valid"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_cannot_be_resolved_is_told_at_once_with_step_object_path_and_variable_and_nothing_is_applied() {
    let (_, space, image) = shop(&["dev"]).await;
    let mut workload = deployment("checkout", &image);
    workload["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "A", "value": "a"}, {"name": "B", "value": "${{ variables.MISSING }}"}]);
    workload["spec"]["replicas"] = "${{ variables.REPLICAS + 'x' }}".into();
    let variables = json!([
        {"name": "REPLICAS", "values": [{"value": 2}]},
        {"name": "ELSEWHERE", "values": [{"value": 1, "scope": {"environments": ["production"]}}]},
        {"name": "X", "values": [{"value": "${{ variables.Y }}"}]}, {"name": "Y", "values": [{"value": "${{ variables.X }}"}]},
        {"name": "TICKET", "prompt": {"label": "Change ticket", "required": true}},
    ]);
    let entries = settings(json!({
        "fine": "$${{ variables.MISSING }}", "elsewhere": "${{ variables.ELSEWHERE }}", "circle": "${{ variables.X }}",
        "optional": "${{ default(variables.ELSEWHERE, 'none') }}",
    }));
    project(&space, &image, (variables, json!([workload, entries]))).await;
    space.release("checkout", "1.0.0").await;
    let given = json!([{"name": "TYPO", "value": "x"}]);
    let (reason, sentences) = failure(&promoted_with(&space, ("wrong", "dev"), given).await);
    assert!(["UnresolvedVariable", "PromptUnanswered"].contains(&reason.as_str()), "{reason}");
    for wanted in [
        "Promotion wrong: spec.variables: variable TICKET (Change ticket) is asked for with every promotion: give it",
        "Promotion wrong: spec.variables: variable TYPO is declared nowhere",
        "step deploy: Deployment checkout: spec.template.spec.containers[0].env[1].value: variable MISSING is declared nowhere: add it",
        "step deploy: Deployment checkout: spec.replicas: operator + is not for a number and a text",
        "step deploy: ConfigMap settings: data.elsewhere: variable ELSEWHERE has no value here (Project, value 1 hold elsewhere)",
        "step deploy: ConfigMap settings: data.circle: variables refer to each other in a circle (X → Y → X)",
    ] {
        assert!(sentences.iter().any(|sentence| sentence.starts_with(wanted)), "{wanted}: {sentences:#?}");
    }
    assert_eq!(sentences.len(), 6, "{sentences:#?}");
    assert!(space.in_environment::<ConfigMap>("dev").get_opt("settings").await.expect("an answer").is_none());
    assert!(space.in_environment::<Deployment>("dev").get_opt("checkout").await.expect("an answer").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn ambiguity_missing_secrets_and_keys_and_a_broken_condition_are_told_together_each_once_for_all_targets() {
    let (_, space, _) = shop(&[]).await;
    let targets = ["eu", "us"].map(|name| json!({"name": name, "namespace": format!("{}-{name}", space.name)}));
    space.apply(space.object("Environment", "dev", json!({"order": 10, "targets": targets}))).await;
    space.environment_ready("dev").await;
    secret(&space, ("keys", "dev"), json!({"other": "x"})).await;
    let from_space = |name: &str| json!([{"secretKeyRef": {"name": name, "key": "password", "from": "Space"}}]);
    let variables = json!([
        {"name": "LEVEL", "values": [{"value": "a", "scope": {"environments": ["dev"]}}, {"value": "b", "scope": {"environments": ["dev", "test"]}}]},
        {"name": "GONE", "values": from_space("gone")}, {"name": "KEY", "values": from_space("keys")},
        {"name": "TICKET", "prompt": {"label": "Change ticket", "required": true}},
    ]);
    let entry = |name: &str, text: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"text": text}});
    let first = [settings(json!({"level": "${{ variables.LEVEL }}", "number": "${{ 1 + 'x' }}"}))];
    let second = [entry("gone", "${{ variables.GONE }}"), entry("key", "${{ variables.KEY }}")];
    let process = json!([
        {"name": "settings", "apply": {"manifests": first}},
        {"name": "secrets", "apply": {"manifests": second}},
        {"name": "perhaps", "when": "variables.MISSING == 'x'", "apply": {"manifests": [config_map("perhaps", "one")]}},
    ]);
    space.apply(space.object("Project", "checkout", json!({"variables": variables, "process": process}))).await;
    space.apply(space.object("Release", "checkout-1.0.0", json!({"project": "checkout", "version": "1.0.0"}))).await;
    space.sealed("checkout-1.0.0").await;
    let (_, sentences) = failure(&promoted_with(&space, ("wrong", "dev"), json!([])).await);
    for wanted in [
        "step perhaps (in eu, us): Project checkout: spec.process[2].when: variable MISSING is declared nowhere",
        "Promotion wrong: spec.variables: variable TICKET (Change ticket) is asked for with every promotion",
        "step settings (in eu, us): ConfigMap settings: data.level: variable LEVEL has values of the same rank in Project, value 1 and Project, value 2",
        "step settings (in eu, us): ConfigMap settings: data.number: operator + is not for a number and a text",
        "step secrets (in eu, us): Secret gone: stringData.text: Secret gone does not exist in this space: create it",
        "step secrets (in eu, us): Secret key: stringData.text: Secret keys has no key password: add it",
    ] {
        assert!(sentences.iter().any(|sentence| sentence.starts_with(wanted)), "{wanted}: {sentences:#?}");
    }
    assert_eq!(sentences.len(), 6, "{sentences:#?}");
    for name in ["eu", "us"] {
        let there: Api<ConfigMap> = Api::namespaced(space.client.clone(), &format!("{}-{name}", space.name));
        assert!(there.get_opt("settings").await.expect("an answer").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_given_with_a_promotion_beats_every_scope_and_a_number_stays_one() {
    let (_, space, image) = shop(&["dev"]).await;
    let mut workload = deployment("checkout", &image);
    workload["spec"]["replicas"] = "${{ variables.REPLICAS }}".into();
    workload["spec"]["template"]["spec"]["containers"][0]["image"] = "${{ packages.api.image }}".into();
    workload["metadata"]["labels"] = json!({"size": "${{ variables.SIZE }}", "replicas": "${{ variables.REPLICAS }}"});
    let variables = json!([
        {"name": "REPLICAS", "values": [{"value": 1}, {"value": 2, "scope": {"steps": ["deploy"], "environments": ["dev"]}}]},
        {"name": "SIZE", "prompt": {"type": "Choice", "choices": ["small", "large"], "required": true}},
    ]);
    let entries = settings(json!({"literal": "$${{ variables.SIZE }}", "text": "${{ variables.SIZE.upper() }}"}));
    project(&space, &image, (variables, json!([workload, entries]))).await;
    space.release("checkout", "1.0.0").await;
    let wrong = json!([{"name": "SIZE", "value": "huge"}, {"name": "REPLICAS", "value": "many"}]);
    let (_, sentences) = failure(&promoted_with(&space, ("wrong", "dev"), wrong).await);
    assert!(
        sentences
            .iter()
            .any(|one| one.contains("variable SIZE in the promotion's spec.variables must be one of small, large"))
    );
    assert!(
        sentences
            .iter()
            .any(|one| one.contains("variable REPLICAS in the promotion's spec.variables must be a number"))
    );
    let given = json!([{"name": "SIZE", "value": "large"}, {"name": "REPLICAS", "value": "3"}]);
    let ended = promoted_with(&space, ("right", "dev"), given).await.status.expect("a status");
    assert_eq!(ended.phase.as_deref(), Some("Succeeded"), "{:?}", ended.message);
    let deployed = space.in_environment::<Deployment>("dev").get("checkout").await.expect("the Deployment");
    let labels = deployed.metadata.labels.expect("labels");
    assert_eq!((labels["size"].as_str(), labels["replicas"].as_str()), ("large", "3"));
    let spec = deployed.spec.expect("a spec");
    assert_eq!(spec.replicas, Some(3));
    let running = spec.template.spec.expect("a pod").containers[0].image.clone().expect("an image");
    assert!(running.starts_with(&format!("{image}:1.0.0@sha256:")), "{running}");
    let data = data(&space, "dev").await;
    assert_eq!((data["literal"].as_str(), data["text"].as_str()), ("${{ variables.SIZE }}", "LARGE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_keeps_the_variables_and_sets_that_it_was_made_with() {
    let (_, space, image) = shop(&["dev"]).await;
    let shared = |text: &str| json!({"variables": [{"name": "SHARED", "values": [{"value": text}]}]});
    space.apply(space.object("VariableSet", "shared", shared("set then"))).await;
    let spec = |text: &str| {
        json!({
            "packages": [{"name": "api", "image": image}], "variableSets": ["shared"],
            "variables": [{"name": "OWN", "values": [{"value": text}]}],
            "process": [{"name": "deploy", "apply": {"manifests": [
                settings(json!({"text": "${{ variables.OWN }}, ${{ variables.SHARED }}"})),
            ]}}],
        })
    };
    space.apply(space.object("Project", "checkout", spec("project then"))).await;
    space.release("checkout", "1.0.0").await;
    space.apply(space.object("VariableSet", "shared", shared("set now"))).await;
    space.apply(space.object("Project", "checkout", spec("project now"))).await;
    space.deploy("checkout", "1.0.0", "dev").await;
    assert_eq!(data(&space, "dev").await["text"], "project then, set then");
    space.release("checkout", "1.1.0").await;
    space.deploy("checkout", "1.1.0", "dev").await;
    assert_eq!(data(&space, "dev").await["text"], "project now, set now");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_the_target_is_only_referred_to() {
    let (_, space, image) = shop(&["dev"]).await;
    let mut workload = deployment("checkout", &image);
    workload["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "PASSWORD", "value": "${{ variables.DB }}"}]);
    let variables = json!([{"name": "DB", "values": [{"secretKeyRef": {"name": "db", "key": "password"}}]}]);
    project(&space, &image, (variables.clone(), json!([workload]))).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let deployed = space.in_environment::<Deployment>("dev").get("checkout").await.expect("the Deployment");
    let container = &deployed.spec.expect("a spec").template.spec.expect("a pod").containers[0];
    let env = serde_json::to_value(&container.env).expect("JSON");
    assert_eq!(env, json!([{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]));
    let shown = settings(json!({"text": "${{ variables.DB }}", "size": "${{ size(variables.DB) }}"}));
    project(&space, &image, (variables, json!([shown]))).await;
    space.release("checkout", "1.1.0").await;
    let name = space.promote("checkout", "1.1.0", "dev").await;
    let (reason, sentences) = failure(&space.ended(&name).await);
    assert_eq!((reason.as_str(), sentences.len()), ("SecretInPlainText", 2), "{sentences:?}");
}

/// Thirty-two bytes that appear nowhere by accident.
fn canary(name: &str) -> String {
    format!("{:0<32}", format!("canary-{name}-Zq9x"))
}

/// Everything that the API server holds in two namespaces, but Secrets, with managed fields and all.
async fn everything_but_secrets(client: &Client, namespaces: &[String]) -> String {
    let discovery = Discovery::new(client.clone()).run().await.expect("the kinds");
    let mut text = String::new();
    for group in discovery.groups() {
        for (resource, capabilities) in group.resources_by_stability() {
            let listed = capabilities.scope == Scope::Namespaced && capabilities.supports_operation(verbs::LIST);
            if !listed || resource.kind == "Secret" {
                continue;
            }
            for namespace in namespaces {
                let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
                let listed = api.list(&ListParams::default()).await;
                let objects = listed.unwrap_or_else(|error| panic!("{} in {namespace}: {error}", resource.plural));
                let objects = serde_json::to_string(&objects.items).expect("JSON");
                let _ = writeln!(text, "{} in {namespace}: {objects}", resource.kind);
            }
        }
    }
    assert!(text.contains("\"kind\":\"Promotion\"") || text.contains("Promotion in"), "the search finds promotions");
    text
}

// Attack T28.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_the_space_is_nowhere_but_in_secrets_whatever_goes_wrong() {
    let (cluster, space, image) = shop(&["dev"]).await;
    let (db, token, other, here) = (canary("db"), canary("token"), canary("other"), canary("here"));
    secret(&space, ("db", "test_dev"), json!({"password": db})).await;
    secret(&space, ("token", "dev"), json!({"token": token})).await;
    secret(&space, ("other", "production"), json!({"key": other})).await;
    let variables = variables_of_secrets();
    let first = deployed_with(&space, &image, (&variables, [&db, &token, &here])).await;

    // Another value is another Secret, and what nobody has any more goes away.
    let changed = canary("changed");
    secret(&space, ("db", "dev"), json!({"password": changed})).await;
    space.release("checkout", "1.1.0").await;
    space.deploy("checkout", "1.1.0", "dev").await;
    let next = made_secrets(&space).await;
    assert_eq!(next.len(), 1, "the one before is pruned");
    assert_ne!(next[0].0, first);

    for wrong in wrong_uses(&image) {
        is_refused(&space, &image, (&variables, wrong)).await;
    }
    in_conditions_and_answers(&space, &variables).await;
    let theirs = canary("theirs");
    in_what_others_say(&space, &variables, &theirs).await;
    let mut planted = vec![db, token, other, here, changed, theirs];
    planted.extend(in_pull_secrets_of_a_package(&space).await);
    planted.extend(in_pull_secrets_of_an_environment(&space).await);
    let namespaces = ["", "-dev", "-pull"].map(|end| format!("{}{end}", space.name));
    let mut shown = everything_but_secrets(&space.client, &namespaces).await;
    shown.push_str(&cluster.operator.log(&cluster.plane));
    shown.push_str(&cluster.operator.get("/metrics").await.expect("metrics").1);
    for secret in &planted {
        // Base64 of a text that stands anywhere in another.
        let encoded = [base64(secret), base64(&secret[1..]), base64(&secret[2..])];
        for form in [secret.clone(), secret.to_uppercase()].iter().chain(&encoded) {
            let found = shown.find(form);
            let around = found.map(|at| shown[at.saturating_sub(300)..].chars().take(400).collect::<String>());
            assert!(found.is_none(), "{form} is shown: {around:?}");
        }
    }
}

/// Deploys 1.0.0, in which every secret is where it may be; gives back the name of the Secret that Gantry made.
async fn deployed_with(space: &Space, image: &str, (variables, [db, token, here]): (&Value, [&str; 3])) -> String {
    let in_target = json!({
        "apiVersion": "v1", "kind": "Secret", "stringData": {"key": here},
        "metadata": {"name": "here", "namespace": format!("{}-dev", space.name)},
    });
    space.apply(in_target).await;
    let mut workload = deployment("checkout", image);
    let uses =
        ["URL", "TOKEN", "HERE"].map(|name| json!({"name": name, "value": format!("${{{{ variables.{name} }}}}")}));
    workload["spec"]["template"]["spec"]["containers"][0]["env"] = json!(uses);
    let own = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "own"},
        "stringData": {"token": "${{ variables.TOKEN }}"}, "data": {"url": "${{ base64(variables.URL) }}"},
    });
    project(space, image, (variables.clone(), json!([workload, own]))).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let made = made_secrets(space).await;
    assert_eq!(made.len(), 1, "one Secret of Gantry's own");
    let (name, texts) = made.into_iter().next().expect("a Secret");
    assert_eq!(texts["URL"], format!("postgres://app:{db}@db"));
    assert_eq!((texts["TOKEN"].as_str(), texts.len()), (token, 2), "that of the target is not copied");
    let deployed = space.in_environment::<Deployment>("dev").get("checkout").await.expect("the Deployment");
    let env =
        deployed.spec.expect("a spec").template.spec.expect("a pod").containers[0].env.clone().expect("variables");
    let from = |at: usize| {
        let from = env[at].value_from.clone().expect("a source").secret_key_ref.expect("a reference");
        (from.name, from.key)
    };
    assert_eq!((from(0), from(2)), ((name.clone(), "URL".to_owned()), ("here".to_owned(), "key".to_owned())));
    let own: Secret = space.in_environment("dev").get("own").await.expect("the Secret of the release");
    assert_eq!(own.data.expect("data")["url"].0, format!("postgres://app:{db}@db").into_bytes());
    name
}

/// A registry that wants a password, asked for a release and by a trigger with what is no configuration, with a wrong password,
/// and with the right one. Gives back what was planted.
async fn in_pull_secrets_of_a_package(space: &Space) -> Vec<String> {
    let (unread, undecoded, wrong, right) = (canary("unread"), canary("undecoded"), canary("wrong"), canary("right"));
    let login = Login { user: "robot".into(), password: right.clone() };
    let options = RegistryOptions { auth: Some(login.clone()), ..RegistryOptions::default() };
    let registry = Registry::start(options).await.expect("a registry");
    let host = registry.host();
    push((&host, Some(&login)), ("private/api", "1.0.0"), "x").await;
    let package = json!({"name": "api", "image": format!("{host}/private/api"), "pullSecret": "private"});
    let spec = json!({
        "packages": [package], "triggers": [{"name": "new", "interval": "5s"}],
        "process": [{"name": "deploy", "apply": {"manifests": [settings(json!({"text": "fine"}))]}}],
    });
    let asked = json!({"project": "private", "version": "0.1.0", "packages": [{"name": "api", "version": "1.0.0"}]});
    let told = |conditions: &[Condition], kind: ConditionType, (reason, said): (&str, &str)| {
        let condition = condition::find(conditions, kind);
        condition.is_some_and(|known| known.reason == reason && known.message.contains(said))
    };
    for (entry, reason, said) in [
        (json!(unread), "PullSecretInvalid", "is not a Docker configuration"),
        (json!({"auth": undecoded}), "PullSecretInvalid", "is not the base64 of username:password"),
        (json!({"username": "robot", "password": wrong}), "RegistryUnauthorized", "Secret private"),
    ] {
        space.apply(pull_secret(space, "private", &json!({"auths": {&host: entry}}))).await;
        space.apply(space.object("Project", "private", spec.clone())).await;
        space.apply(space.object("Release", "private-0.1.0", asked.clone())).await;
        wait::object(&space.api(), "private-0.1.0", said, |known: &Release| {
            known.status.as_ref().is_some_and(|status| told(&status.conditions, ConditionType::Ready, (reason, said)))
        })
        .await;
        wait::object(&space.api(), "private", said, |known: &Project| {
            let status = known.status.as_ref();
            status.is_some_and(|status| told(&status.conditions, ConditionType::Triggered, (reason, said)))
        })
        .await;
    }
    let entry = json!({"username": "robot", "password": right});
    space.apply(pull_secret(space, "private", &json!({"auths": {&host: entry}}))).await;
    space.sealed("private-0.1.0").await;
    wait::object(&space.api(), "private-1.0.0", "made by the trigger", |_: &Release| true).await;
    space.sealed("private-1.0.0").await;
    vec![unread, undecoded, wrong, right]
}

/// Pull Secrets that are copied to the target of an environment, one that is no configuration, and copies that somebody else
/// refuses to have written or removed, with their content. Gives back what was planted.
async fn in_pull_secrets_of_an_environment(space: &Space) -> Vec<String> {
    let (copied, unread, refused, kept) = (canary("copied"), canary("nothing"), canary("refused"), canary("kept"));
    let namespace = format!("{}-pull", space.name);
    let config = |password: &str| json!({"auths": {"ghcr.io": {"username": "robot", "password": password}}});
    for (name, config) in [
        ("copied", config(&copied)),
        ("unread", json!({"auths": {"ghcr.io": unread}})),
        ("quoted-pull", config(&refused)),
        ("kept-pull", config(&kept)),
    ] {
        space.apply(pull_secret(space, name, &config)).await;
    }
    space.environment_with("pull", json!({"order": 9, "pullSecrets": ["copied", "kept-pull"]})).await;
    for (name, planted) in [("copied", &copied), ("kept-pull", &kept)] {
        let copy: Secret = space.in_environment("pull").get(name).await.expect("a copy");
        assert!(String::from_utf8_lossy(&copy.data.expect("data")[".dockerconfigjson"].0).contains(planted), "{name}");
    }
    quoting(space, &namespace).await;
    let who = format!("ValidatingAdmissionPolicy 'quoting-{namespace}'");
    let wrote = format!("cannot apply Secret {namespace}/quoted-pull: ");
    let removed = format!("cannot remove Secret {namespace}/kept-pull: ");
    for (names, reason, said, by) in [
        (json!(["copied", "kept-pull", "unread"]), "PullSecretInvalid", "spec.pullSecrets[2]: Secret unread ", "auths"),
        (json!(["copied", "kept-pull", "quoted-pull"]), "ProvisioningFailed", &wrote, &who),
        (json!(["copied"]), "ProvisioningFailed", &removed, &who),
    ] {
        space.apply(space.object("Environment", "pull", json!({"order": 9, "pullSecrets": names}))).await;
        wait::object(&space.api(), "pull", said, |known: &Environment| {
            let conditions = known.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            let ready = condition::find(conditions, ConditionType::Ready);
            ready.is_some_and(|ready| {
                ready.reason == reason && ready.message.starts_with(said) && ready.message.contains(by)
            })
        })
        .await;
    }
    vec![copied, unread, refused, kept]
}

/// A Secret of the space with this Docker configuration.
fn pull_secret(space: &Space, name: &str, config: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": name, "namespace": space.name}, "stringData": {".dockerconfigjson": config.to_string()},
    })
}

/// Releases and promotes a wrong use, which fails for its reason with its sentences and no others.
async fn is_refused(space: &Space, image: &str, (variables, wrong): (&Value, WrongUse)) {
    let WrongUse { version, manifests, reason, said } = wrong;
    project(space, image, (variables.clone(), manifests)).await;
    let release = json!({"project": "checkout", "version": version, "packages": [{"name": "api", "version": "1.0.0"}]});
    space.apply(space.object("Release", &format!("checkout-{version}"), release)).await;
    space.sealed(&format!("checkout-{version}")).await;
    let name = space.promote("checkout", version, "dev").await;
    let (found, sentences) = failure(&space.ended(&name).await);
    assert_eq!((found.as_str(), sentences.len()), (reason, said.len()), "{version}: {sentences:#?}");
    for (sentence, wanted) in sentences.iter().zip(said) {
        assert!(sentence.starts_with(wanted), "{version}: {wanted}: {sentences:#?}");
    }
    space.audit_record(&name).await;
}

/// A secret that decides whether a step runs, and one that answers a prompt and lands in plain text.
async fn in_conditions_and_answers(space: &Space, variables: &Value) {
    let mut variables = variables.clone();
    let asked = json!({"name": "ASKED", "prompt": {"required": true, "sensitive": true}});
    variables.as_array_mut().expect("variables").push(asked);
    let token = json!({"name": "token", "key": "token", "from": "Space"});
    let reads = "step deploy: Project checkout: spec.process[0].when: the condition reads a secret";
    let shows = "step deploy: ConfigMap settings: data.text: would show a secret";
    for (version, when, text, said) in
        [("3.0.0", "variables.TOKEN == 'x'", "fine", reads), ("3.0.1", "true", "${{ variables.ASKED.trim() }}", shows)]
    {
        let apply = json!({"manifests": [settings(json!({"text": text}))]});
        let process = json!([{"name": "deploy", "timeout": "2m", "when": when, "apply": apply}]);
        space.apply(space.object("Project", "checkout", json!({"variables": variables, "process": process}))).await;
        let release = json!({"project": "checkout", "version": version});
        space.apply(space.object("Release", &format!("checkout-{version}"), release)).await;
        space.sealed(&format!("checkout-{version}")).await;
        let name = format!("asked-{version}");
        let given = json!([{"name": "ASKED", "secretKeyRef": token}]);
        let (reason, sentences) = failure(&promoted_with_version(space, (&name, version), given).await);
        assert_eq!((reason.as_str(), sentences.len()), ("SecretInPlainText", 1), "{version}: {sentences:?}");
        assert!(sentences[0].starts_with(said), "{version}: {said}: {sentences:?}");
        space.audit_record(&name).await;
    }
}

/// Another manager of the field, and a policy of somebody else that quotes what it refuses to have written or deleted, also while
/// a step waits to be begun again.
async fn in_what_others_say(space: &Space, variables: &Value, theirs: &str) {
    let of = |name: &str| {
        json!([{
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "data": {"token": "${{ base64(variables.TOKEN) }}"},
        }])
    };
    let release = async |version: &str, manifests: Value| {
        let step = json!({"name": "deploy", "timeout": "2m", "retries": 1, "apply": {"manifests": manifests}});
        let spec = json!({"variables": variables, "process": [step]});
        space.apply(space.object("Project", "checkout", spec)).await;
        let spec = json!({"project": "checkout", "version": version});
        space.apply(space.object("Release", &format!("checkout-{version}"), spec)).await;
        space.sealed(&format!("checkout-{version}")).await;
        space.promote("checkout", version, "dev").await
    };
    let namespace = format!("{}-dev", space.name);
    let secret = |name: &str, text: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace},
            "data": {"token": k8s_openapi::ByteString(text.as_bytes().to_vec())}})
    };
    space.apply(secret("managed", theirs)).await;
    quoting(space, &namespace).await;
    // Of a Secret that somebody else manages.
    let name = release("4.0.0", of("managed")).await;
    let (reason, told) = failure(&space.ended(&name).await);
    assert!(reason == "Conflict" && told[0].contains("is managed by test"), "{reason}: {told:?}");
    // Of one that may not be written, while it is tried again and at the end.
    let name = release("4.0.1", of("quoted")).await;
    let again = |known: &Promotion| {
        let message = known.status.as_ref().and_then(|status| status.message.clone()).unwrap_or_default();
        message.contains("failed 1 of 2 times and is begun again").then_some(message)
    };
    let waiting = wait::object(&space.api(), &name, "tried again", |known: &Promotion| again(known).is_some()).await;
    let who = format!("ValidatingAdmissionPolicy 'quoting-{namespace}'");
    let said = again(&waiting).expect("the sentence");
    assert!(said.contains(&who) && said.contains("the reason is not shown"), "{said}");
    let (reason, told) = failure(&space.ended(&name).await);
    assert!(reason == "Forbidden" && told[0].contains(&who), "{reason}: {told:?}");
    // Of one that may not be deleted, by a release that does not even know the secret.
    let name = release("4.0.2", of("kept")).await;
    assert_eq!(space.ended(&name).await.status.expect("a status").phase.as_deref(), Some("Succeeded"));
    let name = release("4.0.3", json!([settings(json!({"text": "fine"}))])).await;
    let failed = space.ended(&name).await.status.expect("a status").failure.expect("a failure");
    assert!(failed.reason == "PruneFailed" && failed.message.contains(&who), "{failed:?}");
    for version in ["4.0.0", "4.0.1", "4.0.2", "4.0.3"] {
        space.audit_record(&format!("checkout-{version}-dev")).await;
    }
}

/// A policy of somebody else that refuses to have Secrets `quoted…` written and Secrets `kept…` deleted, and quotes them; once it
/// acts.
async fn quoting(space: &Space, namespace: &str) {
    let name = format!("quoting-{namespace}");
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
    let rule = json!({
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE", "DELETE"], "resources": ["secrets"],
    });
    let spec = json!({
        "failurePolicy": "Fail", "matchConstraints": {"namespaceSelector": selector, "resourceRules": [rule]},
        "variables": [
            {"name": "it", "expression": "request.operation == 'DELETE' ? oldObject : object"},
            {"name": "key", "expression": "variables.it.type == 'kubernetes.io/dockerconfigjson' ? '.dockerconfigjson' : 'token'"},
        ],
        "validations": [{
            "expression": "!has(variables.it.data) || !(variables.key in variables.it.data) || !variables.it.metadata.name.startsWith(request.operation == 'DELETE' ? 'kept' : 'quoted')",
            "messageExpression": "'no: ' + string(variables.it.data[variables.key])",
            "reason": "Forbidden",
        }],
    });
    let of = |kind: &str, spec: Value| json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    space.apply(of("ValidatingAdmissionPolicy", spec)).await;
    let spec = json!({"policyName": name, "validationActions": ["Deny"]});
    space.apply(of("ValidatingAdmissionPolicyBinding", spec)).await;
    let text = "what is quoted";
    for (name, kind, key, content) in [
        ("quoted-text", "Opaque", "token", text.to_owned()),
        (
            "quoted-config",
            "kubernetes.io/dockerconfigjson",
            ".dockerconfigjson",
            json!({"auths": {text: {}}}).to_string(),
        ),
    ] {
        let quoted = json!({"apiVersion": "v1", "kind": "Secret", "type": kind, "stringData": {key: content},
            "metadata": {"name": name, "namespace": namespace}});
        wait::eventually("the policy quotes", || async {
            let said = space.try_apply(quoted.clone()).await.err()?;
            assert!(said.contains(text) || said.contains(&base64(&content)), "{said}");
            Some(())
        })
        .await;
    }
}

/// Variables of the Secrets of the space.
fn variables_of_secrets() -> Value {
    let reference = |name: &str, key: &str| json!([{"secretKeyRef": {"name": name, "key": key, "from": "Space"}}]);
    json!([
        {"name": "DB", "values": reference("db", "password")},
        {"name": "TOKEN", "values": reference("token", "token")},
        {"name": "OTHER", "values": reference("other", "key")},
        {"name": "NO_KEY", "values": reference("db", "missing")},
        {"name": "GONE", "values": reference("gone", "key")},
        {"name": "HERE", "values": [{"secretKeyRef": {"name": "here", "key": "key"}}]},
        {"name": "URL", "values": [{"value": "postgres://app:${{ variables.DB }}@db"}]},
    ])
}

fn base64(text: &str) -> String {
    // Without its end, which differs by what follows.
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = text.as_bytes().as_chunks::<3>().0.iter();
    let sextets = groups.flat_map(|[a, b, c]| [a >> 2, (a & 3) << 4 | b >> 4, (b & 15) << 2 | c >> 6, c & 63]);
    sextets.map(|sextet| char::from(alphabet[usize::from(sextet)])).collect()
}

/// The Secrets that Gantry made for environment variables, with their texts.
async fn made_secrets(space: &Space) -> Vec<(String, std::collections::BTreeMap<String, String>)> {
    let api: Api<Secret> = space.in_environment("dev");
    let listed = api.list(&ListParams::default().labels("gantry.dev/project=checkout")).await.expect("Secrets");
    let texts = |secret: Secret| {
        let name = secret.metadata.name?;
        let data = secret.data.unwrap_or_default().into_iter();
        let text = |(key, value): (String, k8s_openapi::ByteString)| Some((key, String::from_utf8(value.0).ok()?));
        name.starts_with("checkout-deploy-").then(|| (name, data.filter_map(text).collect()))
    };
    listed.items.into_iter().filter_map(texts).collect()
}

/// A release that uses a secret in a wrong way.
struct WrongUse {
    version: &'static str,
    manifests: Value,
    /// Why it fails.
    reason: &'static str,
    /// How each sentence begins.
    said: &'static [&'static str],
}

/// Releases that use secrets in every wrong way.
fn wrong_uses(image: &str) -> Vec<WrongUse> {
    let mut arguments = deployment("checkout", image);
    arguments["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["--password=${{ variables.DB }}"]);
    let mut annotated = deployment("annotated", image);
    annotated["metadata"]["annotations"] = json!({"token": "${{ variables.TOKEN.upper() }}"});
    let sized = settings(json!({"text": "${{ size(variables.DB) }}"}));
    let shown = &[
        "step deploy: Deployment checkout: spec.template.spec.containers[0].args[0]: would show a secret",
        "step deploy: Deployment annotated: metadata.annotations.token: would show a secret",
        "step deploy: ConfigMap settings: data.text: would show a secret",
    ];
    let mut uses = vec![WrongUse {
        version: "2.0.0",
        manifests: json!([arguments, annotated, sized]),
        reason: "SecretInPlainText",
        said: shown,
    }];
    let referred = settings(json!({"size": "${{ size(variables.HERE) }}", "text": "${{ variables.HERE }}"}));
    let said = &[
        "step deploy: ConfigMap settings: data.size: variable HERE is key key of Secret here in the target's namespace, which is never read",
        "step deploy: ConfigMap settings: data.text: would show a secret",
    ];
    uses.push(WrongUse { version: "2.0.10", manifests: json!([referred]), reason: "SecretInPlainText", said });
    uses.extend(wrong_expressions());
    uses.extend(wrong_secrets());
    uses
}

/// Expressions for plain text, over secrets that there are, and over secrets that may not be used or are not there.
fn wrong_expressions() -> impl Iterator<Item = WrongUse> {
    let one = |(version, expression, reason, said): (_, &str, _, _)| {
        let manifests = json!([settings(json!({"text": format!("${{{{ {expression} }}}}")}))]);
        WrongUse { version, manifests, reason, said }
    };
    [
        (
            "2.0.1",
            "int(variables.DB)",
            "InvalidExpression",
            &["step deploy: ConfigMap settings: data.text: int() takes whole numbers and their texts, and this is a text"]
                as &[_],
        ),
        (
            "2.0.2",
            "{'a': 1}[variables.TOKEN]",
            "UnresolvedVariable",
            &["step deploy: ConfigMap settings: data.text: the map has no such key: test with has() or in before"],
        ),
        (
            "2.0.3",
            "variables.OTHER",
            "SecretUnavailable",
            &["step deploy: ConfigMap settings: data.text: Secret other may not be used in environment dev: add it to the Secret's label gantry.dev/environments"],
        ),
        (
            "2.0.4",
            "variables.NO_KEY",
            "SecretUnavailable",
            &["step deploy: ConfigMap settings: data.text: Secret db has no key missing: add it, or correct the variable"],
        ),
        (
            "2.0.5",
            "variables.GONE",
            "SecretUnavailable",
            &["step deploy: ConfigMap settings: data.text: Secret gone does not exist in this space: create it"],
        ),
        (
            "2.0.6",
            "variables.DB == 'x' ? 'yes' : 'no'",
            "SecretInPlainText",
            &["step deploy: ConfigMap settings: data.text: would show a secret to everybody who may read the object"],
        ),
    ]
    .into_iter()
    .map(one)
}

/// Secrets that cannot be written: the API server refuses some, and would quote what it refuses.
fn wrong_secrets() -> impl Iterator<Item = WrongUse> {
    let secret = |(version, fields, reason, said): (_, Value, _, _)| {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "wrong"}});
        secret.as_object_mut().expect("an object").extend(fields.as_object().expect("fields").clone());
        WrongUse { version, manifests: json!([secret]), reason, said }
    };
    [
        (
            "2.0.7",
            json!({"data": {"token": "${{ variables.TOKEN }}"}}),
            "InvalidManifest",
            &["step deploy: Secret wrong: has data that is not base64: encode it, or write it as stringData"] as &[_],
        ),
        (
            "2.0.8",
            json!({"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "${{ variables.TOKEN }}"}}),
            "InvalidManifest",
            &["step deploy: Secret wrong: data[.dockerconfigjson]: FieldValueInvalid: correct the manifest"],
        ),
        (
            "2.0.9",
            json!({"stringData": {"a b ${{ variables.TOKEN }}": "x", "c d": "${{ variables.TOKEN }}"}}),
            "InvalidExpression",
            &["step deploy: Secret wrong: stringData.a b ${{ variables.TOKEN }}: a key cannot hold an expression"],
        ),
    ]
    .into_iter()
    .map(secret)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_of_the_space_sees_what_runs_and_no_secret_neither_there_nor_in_the_targets() {
    let (cluster, space, image) = shop(&["dev"]).await;
    let text = canary("viewed");
    secret(&space, ("token", "dev"), json!({"token": text})).await;
    let own = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "own"},
        "stringData": {"token": "${{ variables.TOKEN }}"}});
    project(&space, &image, (variables_of_secrets(), json!([own]))).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    assert!(space.in_environment::<Secret>("dev").get_opt("own").await.expect("an answer").is_some());
    space
        .apply(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "viewer", "namespace": space.name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "gantry-viewer"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "victor"}],
        }))
        .await;
    let victor = cluster.plane.client(&Identity::user("victor")).await.expect("a client");
    let promotions: Api<Promotion> = Api::namespaced(victor.clone(), &space.name);
    let seen =
        wait::eventually("victor may look", || async { promotions.list(&ListParams::default()).await.ok() }).await;
    let seen = serde_json::to_string(&seen.items).expect("JSON");
    assert!(seen.contains("Succeeded") && seen.contains("TOKEN") && !seen.contains(&text), "{seen}");
    for (namespace, name) in [(&space.name, "token"), (&format!("{}-dev", space.name), "own")] {
        let secrets: Api<Secret> = Api::namespaced(victor.clone(), namespace);
        let refused = |answer: Result<(), kube::Error>| match answer {
            Err(kube::Error::Api(status)) => assert_eq!(status.code, 403, "{}", status.message),
            other => panic!("{namespace}: {other:?}"),
        };
        refused(secrets.get(name).await.map(|_| ()));
        refused(secrets.list(&ListParams::default()).await.map(|_| ()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_under_a_used_name_with_other_variables_is_another_one() {
    let (_, space, image) = shop(&["dev"]).await;
    let variables = json!([{"name": "TEXT", "values": [{"value": "x"}]}]);
    project(&space, &image, (variables, json!([settings(json!({"text": "${{ variables.TEXT }}"}))]))).await;
    space.release("checkout", "1.0.0").await;
    let given = |text: &str| json!([{"name": "TEXT", "value": text}]);
    for (text, phase, reason) in
        [("a", "Succeeded", "Deployed"), ("a", "Succeeded", "AlreadyRecorded"), ("b", "Refused", "NameUsed")]
    {
        let ended = promoted_with(&space, ("once", "dev"), given(text)).await.status.expect("a status");
        assert_eq!((ended.phase.as_deref(), ended.reason.as_deref()), (Some(phase), Some(reason)), "{text}");
        let promotions: Api<Promotion> = space.api();
        promotions.delete("once", &kube::api::DeleteParams::default()).await.expect("deleted");
        wait::gone(&promotions, "once").await;
    }
    assert_eq!(data(&space, "dev").await["text"], "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_project_runs_with_values_that_differ_by_environment() {
    let (cluster, space, _) = shop(&[]).await;
    for file in ["2-environments", "2-lifecycle", "3-project", "4-release-1.0.0"] {
        let path = format!("{}/deploy/samples/checkout/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("a sample");
        let text = text
            .replace("namespace: shop", &format!("namespace: {}", space.name))
            .replace("localhost:5000", &cluster.plane.registry().host());
        gantry_plane::manifests::apply(&space.client, "test", &text).await.unwrap_or_else(|error| panic!("{error}"));
    }
    space.sealed("checkout-1.0.0").await;
    for (environment, replicas, stage) in
        [("dev", 1, "for trying things out"), ("test", 1, "for trying things out"), ("production", 2, "for customers")]
    {
        space.environment_ready(environment).await;
        space.deploy("checkout", "1.0.0", environment).await;
        let deployed = space.in_environment::<Deployment>(environment).get("checkout").await.expect("the Deployment");
        let spec = deployed.spec.expect("a spec");
        assert_eq!(spec.replicas, Some(replicas), "{environment}");
        let env = spec.template.spec.expect("a pod").containers[0].env.clone().expect("variables");
        assert_eq!(env[0].value.as_deref(), Some(format!("1.0.0 in {environment}, {stage}").as_str()));
    }
}

// Attack T28.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_a_container_logs_is_taken_out_of_the_last_lines() {
    let (cluster, space, image) = shop(&[]).await;
    if !cluster.real {
        left_out("a_secret_that_a_container_logs_is_taken_out_of_the_last_lines", "no real node here");
        return;
    }
    let fail_after = json!({"imagePull": "5s", "crashLoop": 1, "unschedulable": "5m"});
    space.environment_with("dev", json!({"order": 1, "failAfter": fail_after})).await;
    let token = canary("logged");
    secret(&space, ("token", "dev"), json!({"token": token})).await;
    let variables =
        json!([{"name": "TOKEN", "values": [{"secretKeyRef": {"name": "token", "key": "token", "from": "Space"}}]}]);
    let said = "trying ${{ variables.TOKEN }} now";
    project(&space, &image, (variables, json!([real("checkout", &image, &[("CRASH", "1"), ("LOG", said)])]))).await;
    space.release("checkout", "1.0.0").await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let status = space.ended(&name).await.status.expect("a status");
    let log = status.failure.as_ref().expect("a failure").log.clone();
    assert!(log.iter().any(|line| line.contains("***")), "{log:?}");
    let namespaces = [space.name.clone(), format!("{}-dev", space.name)];
    assert!(!everything_but_secrets(&space.client, &namespaces).await.contains(&token));
    assert!(!cluster.operator.log(&cluster.plane).contains(&token));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_an_earlier_step_wrote_is_taken_out_of_what_a_container_leaves_behind() {
    let (cluster, space, image) = shop(&[]).await;
    let fail_after = json!({"imagePull": "5s", "crashLoop": 1, "unschedulable": "5m"});
    space.environment_with("dev", json!({"order": 1, "failAfter": fail_after})).await;
    let token = canary("leftbehind");
    secret(&space, ("token", "dev"), json!({"token": token})).await;
    let mut crashing = failing("checkout", &image, "crash-loop");
    // As a container whose last words are its log.
    crashing["spec"]["template"]["metadata"]["annotations"][TERMINATION_MESSAGE] =
        json!(format!("wrong token {token}"));
    let written = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "given"},
        "stringData": {"token": "${{ variables.TOKEN }}"}});
    let values = json!([{"secretKeyRef": {"name": "token", "key": "token", "from": "Space"}}]);
    let step = |name: &str, manifests: Value| json!({"name": name, "timeout": "1m", "apply": {"manifests": manifests}});
    let spec = json!({
        "packages": [{"name": "api", "image": image}], "variables": [{"name": "TOKEN", "values": values}],
        "process": [step("secrets", json!([written])), step("deploy", json!([crashing]))],
    });
    space.apply(space.object("Project", "checkout", spec)).await;
    space.release("checkout", "1.0.0").await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let failure = space.ended(&name).await.status.expect("a status").failure.expect("a failure");
    assert!(failure.message.contains("wrong token ***"), "{failure:?}");
    let operator = cluster.operator.log(&cluster.plane);
    assert!(!operator.contains(&token));
    let ours = serde_json::to_string(&space.api::<Promotion>().get(&name).await.expect("it")).expect("JSON");
    assert!(!ours.contains(&token), "{ours}");
}

/// A condition of an object: status, reason and sentence.
fn says(conditions: Option<&[Condition]>, kind: &str) -> Option<(String, String, String)> {
    let found = conditions?.iter().find(|one| one.type_ == kind)?;
    Some((found.status.clone(), found.reason.clone(), found.message.clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_says_who_uses_it_and_whatever_a_scope_names_that_does_not_exist_is_told_and_heals() {
    let (_, space, image) = shop(&["dev"]).await;
    let scope = json!({"environments": ["dve"], "roles": ["web"], "steps": ["migrate"], "channels": ["beta"]});
    let variables = json!([{"name": "LEVEL", "values": [{"value": "a"}, {"value": "b", "scope": scope}]}]);
    space.apply(space.object("VariableSet", "shared", json!({"variables": variables}))).await;
    let sets: Api<VariableSet> = space.api();
    let of_set =
        |set: &VariableSet, kind: &str| says(set.status.as_ref().map(|status| status.conditions.as_slice()), kind);
    let untold =
        wait::object(&sets, "shared", "judged", |set: &VariableSet| of_set(set, "ScopesKnown").is_some()).await;
    let (holds, reason, said) = of_set(&untold, "ScopesKnown").expect("a condition");
    assert_eq!((holds.as_str(), reason.as_str()), ("False", "UnknownName"));
    assert!(said.contains("role web (LEVEL, value 2), environment dve (LEVEL, value 2); create it"), "{said}");
    assert!(!said.contains("migrate"), "nobody uses it yet, so nobody knows the steps: {said}");
    assert_eq!(of_set(&untold, "Ready").expect("a condition").1, "Valid");

    let spec = |own: Value, sets: Value| {
        let environments = if own == json!([]) { json!([]) } else { json!(["dve"]) };
        json!({
            "variableSets": sets, "packages": [{"name": "api", "image": image}], "variables": own,
            "process": [{"name": "deploy", "environments": environments, "apply": {"manifests": [settings(json!({}))]}}],
        })
    };
    let own = json!([{"name": "OWN", "values": [{"value": 1, "scope": {"targets": ["eu"]}}]}]);
    space.apply(space.object("Project", "checkout", spec(own, json!(["shared"])))).await;
    let used = wait::object(&sets, "shared", "used", |set: &VariableSet| {
        set.status.as_ref().is_some_and(|status| status.project_count == 1)
    })
    .await;
    let (_, _, said) = of_set(&used, "ScopesKnown").expect("a condition");
    assert!(said.contains("step migrate") && said.contains("channel beta"), "{said}");
    assert_eq!(used.status.expect("a status").projects, ["checkout"]);
    let of_project =
        |project: &Project, kind: &str| says(project.status.as_ref().map(|status| status.conditions.as_slice()), kind);
    let project =
        space.project_says("checkout", "judged", |project| of_project(project, "ScopesKnown").is_some()).await;
    let (holds, _, said) = of_project(&project, "ScopesKnown").expect("a condition");
    assert!(holds == "False" && said.contains("target eu (OWN, value 1), environment dve (step deploy)"), "{said}");

    // It heals with an environment that has the target, and with names that are right; nobody uses it: no name of a step is wrong.
    let targets = json!([{"name": "eu", "namespace": format!("{}-eu", space.name), "roles": ["web"]}]);
    space.environment_with("dve", json!({"order": 9, "targets": targets})).await;
    space
        .project_says("checkout", "right", |project| {
            of_project(project, "ScopesKnown")
                .is_some_and(|(holds, reason, _)| holds == "True" && reason == "NamesKnown")
        })
        .await;
    space.apply(space.object("Project", "checkout", spec(json!([]), json!([])))).await;
    let unused = wait::object(&sets, "shared", "used by nobody", |set: &VariableSet| {
        set.status.as_ref().is_some_and(|status| status.project_count == 0)
            && of_set(set, "ScopesKnown").is_some_and(|(holds, ..)| holds == "True")
    })
    .await;
    assert_eq!(unused.status.expect("a status").observed_generation, unused.metadata.generation);
    space.project_says("checkout", "without scopes", |project| of_project(project, "ScopesKnown").is_none()).await;
    let wrong = json!({"variables": [{"name": "LEVEL", "values": [{"value": "${{ 1 +"}]}]});
    space.apply(space.object("VariableSet", "shared", wrong)).await;
    wait::object(&sets, "shared", "stalled", |set: &VariableSet| {
        of_set(set, "Stalled").is_some_and(|(holds, reason, said)| {
            holds == "True" && reason == "Invalid" && said.starts_with("spec.variables[0].values[0].value: ")
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_says_when_a_secret_changed_since_it_was_sealed_and_never_what_is_in_it() {
    let (_, space, image) = shop(&["dev"]).await;
    let (then, now) = ("what-it-was-when-it-was-sealed", "what-it-became-since");
    secret(&space, ("database", "dev"), json!({"password": then})).await;
    let variables = json!([
        {"name": "PASSWORD", "values": [{"secretKeyRef": {"name": "database", "key": "password", "from": "Space"}}]},
        {"name": "LATER", "values": [{"secretKeyRef": {"name": "later", "key": "a", "from": "Space"}, "scope": {"environments": ["dev"]}}]},
        {"name": "TLS", "values": [{"secretKeyRef": {"name": "tls", "key": "a"}}]},
    ]);
    let manifests = json!([{
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "app"},
        "stringData": {"password": "${{ variables.PASSWORD }}"},
    }]);
    project(&space, &image, (variables, manifests)).await;
    let of_release =
        |release: &Release| says(release.status.as_ref().map(|status| status.conditions.as_slice()), "SecretsChanged");
    let releases: Api<Release> = space.api();
    space.release("checkout", "1.0.0").await;
    let sealed = wait::object(&releases, "checkout-1.0.0", "compared", |known| of_release(known).is_some()).await;
    let (holds, reason, said) = of_release(&sealed).expect("a condition");
    assert_eq!((holds.as_str(), reason.as_str()), ("False", "Unchanged"), "{said}");
    assert!(said.contains("Secret tls of targets is never read"), "{said}");
    let rows = sealed.status.expect("a status").secrets;
    let seen: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.resource_version.is_some())).collect();
    assert_eq!(seen, [("database", true), ("later", false), ("tls", false)]);

    space.deploy("checkout", "1.0.0", "dev").await;
    secret(&space, ("database", "dev"), json!({"password": now})).await;
    // Whoever uses it notices.
    let again = json!({"project": "checkout", "version": "1.0.0", "environment": "dev"});
    space.apply(space.object("Promotion", "again", again)).await;
    assert_eq!(space.ended("again").await.status.expect("a status").phase.as_deref(), Some("Succeeded"));
    let changed = wait::object(&releases, "checkout-1.0.0", "changed", |known| {
        of_release(known).is_some_and(|(holds, ..)| holds == "True")
    })
    .await;
    let (_, reason, said) = of_release(&changed).expect("a condition");
    assert_eq!(reason, "SecretChanged");
    assert!(
        said.starts_with("Secret database changed since it was sealed: ") && said.contains("promote it again"),
        "{said}"
    );
    let made: Api<Secret> = space.in_environment("dev");
    let made = made.get("app").await.expect("the Secret").data.unwrap_or_default();
    assert_eq!(made["password"].0, now.as_bytes());
    let text = serde_json::to_string(&changed).expect("JSON");
    assert!(!text.contains(then) && !text.contains(now), "{text}");
    // A release that is made now is sealed with what is there now.
    space.release("checkout", "1.1.0").await;
    let fresh = wait::object(&releases, "checkout-1.1.0", "compared", |known| of_release(known).is_some()).await;
    assert_eq!(of_release(&fresh).expect("a condition").0, "False");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_a_value_or_an_entry_of_a_secret_and_anything_else_is_refused_when_it_is_written() {
    let (_, space, image) = shop(&[]).await;
    let reference = json!({"name": "database", "key": "password"});
    let process = json!([{"name": "deploy", "apply": {"manifests": [settings(json!({}))]}}]);
    let packages = json!([{"name": "api", "image": image}]);
    for (value, taken) in [
        (json!({}), false),
        (json!({"value": 1, "secretKeyRef": reference}), false),
        (json!({"scope": {"environments": ["dev"]}}), false),
        (json!({"secretKeyRef": reference}), true),
        (json!({"value": {"any": ["thing"]}}), true),
        (json!({"value": false}), true),
    ] {
        let variables = json!([{"name": "A", "values": [value]}]);
        let set = space.object("VariableSet", "shared", json!({"variables": variables}));
        let spec = json!({"packages": packages, "process": process, "variables": variables});
        for object in [set, space.object("Project", "checkout", spec)] {
            let answer = space.try_apply(object).await;
            assert_eq!(answer.is_ok(), taken, "{value}: {answer:?}");
            assert!(answer.err().is_none_or(|said| said.contains("spec.variables[0].values[0]")), "{value}");
        }
    }
}
