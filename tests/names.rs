//! Names in specs: the API server refuses those that could never be one, when they are written, with the field in the message.

use gantry::api::condition::{self, ConditionType};
use gantry::api::crds;
use gantry::api::v1alpha1::Environment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::support::shared::shared;
use crate::support::space::Space;
use crate::support::wait;

/// Strings that people write as they like, patterns and expressions of theirs, and what only the API server and the operator write.
const PROSE: [&str; 13] = [
    "comment",
    "description",
    "onBehalfOf",
    "notes",
    "reason",
    "message",
    "username",
    "uid",
    "label",
    "choices",
    "value",
    "prerelease",
    "when",
];

/// Strings of a schema that may hold anything.
fn open(path: &str, name: &str, schema: &Value, found: &mut Vec<String>) {
    let is_bound =
        ["pattern", "enum", "x-kubernetes-validations", "format"].iter().any(|key| schema.get(key).is_some());
    if schema["type"] == "string" && !is_bound && !PROSE.contains(&name) {
        found.push(path.to_owned());
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        open(&format!("{path}.{name}"), name, property, found);
    }
    if let Some(items) = schema.get("items") {
        open(&format!("{path}[]"), name, items, found);
    }
}

fn spec(definition: &CustomResourceDefinition) -> Value {
    let schema = definition.spec.versions[0].schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
    serde_json::to_value(schema.expect("a schema")).expect("JSON")["properties"]["spec"].clone()
}

#[test]
fn every_string_that_is_no_prose_has_a_form() {
    let mut found = Vec::new();
    // Records are written by the operator alone.
    for definition in crds::all().iter().filter(|known| !known.spec.names.kind.starts_with("Audit")) {
        open(&format!("{}.spec", definition.spec.names.kind), "", &spec(definition), &mut found);
    }
    // Causes are written by the operator alone, too.
    found.retain(|path| !path.contains(".spec.cause."));
    assert!(found.is_empty(), "add a pattern or a rule: {found:?}");
}

/// Objects that differ in one name.
fn kinds(name: &str, text: &str) -> Value {
    let manifests = json!({"manifestsFrom": {"configMap": "x"}});
    let object = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "gantry.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let project = |spec: Value| {
        let mut given = json!({"process": [{"name": "deploy", "timeout": "5m", "apply": manifests}]});
        given.as_object_mut().expect("a map").extend(spec.as_object().expect("a map").clone());
        object("Project", "names", given)
    };
    let promotion = json!({"project": "checkout", "version": text, "environment": "dev"});
    match name {
        "metadata.name of an environment" => object("Environment", text, json!({"order": 1})),
        "metadata.name of a project" => {
            object("Project", text, json!({"process": [{"name": "deploy", "timeout": "5m", "apply": manifests}]}))
        }
        "spec.pullSecrets[0]" => object("Environment", "names", json!({"order": 1, "pullSecrets": [text]})),
        "spec.packages[0].pullSecret" => {
            project(json!({"packages": [{"name": "api", "image": "ghcr.io/acme/checkout", "pullSecret": text}]}))
        }
        "spec.process[0].apply.manifestsFrom.configMap" => {
            let apply = json!({"manifestsFrom": {"configMap": text}});
            project(json!({"process": [{"name": "deploy", "timeout": "5m", "apply": apply}]}))
        }
        "spec.version" => object("Promotion", "names", promotion),
        other => unreachable!("{other}"),
    }
}

fn api(space: &Space, object: &Value) -> Api<DynamicObject> {
    let kind = object["kind"].as_str().expect("a kind").to_owned();
    let (group, version) = ("gantry.dev".to_owned(), "v1alpha1".to_owned());
    let plural = format!("{}s", kind.to_lowercase());
    let resource = ApiResource { api_version: format!("{group}/{version}"), group, version, kind, plural };
    Api::namespaced_with(space.client.clone(), &space.name, &resource)
}

/// What the API server says against an object.
async fn says(space: &Space, object: Value) -> Option<String> {
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let api = api(space, &object);
    api.create(&dry, &serde_json::from_value(object).expect("an object")).await.err().map(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_refuses_what_can_be_no_name_and_says_where() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let (longest, long) = ("x".repeat(63), "x".repeat(64));
    let label = (vec!["checkout", "a", longest.as_str()], vec![long.as_str(), "check.out"]);
    let subdomain = (vec!["ghcr", "ghcr.io", "a-1.b"], vec!["", "GHCR", "ghcr_io", "-ghcr", "ghcr.", "a..b", "a/b"]);
    let version = (vec!["1.4.2", "1.4.2-build.7"], vec!["", "1..2", "1.-2", "v1+build", "V1", long.as_str()]);
    for (field, (good, bad), says_where) in [
        (
            "metadata.name of an environment",
            label.clone(),
            "metadata.name must be a DNS label of at most 63 characters; rename",
        ),
        ("metadata.name of a project", label, "metadata.name must be a DNS label of at most 63 characters; rename"),
        ("spec.pullSecrets[0]", subdomain.clone(), "spec.pullSecrets[0]"),
        ("spec.packages[0].pullSecret", subdomain.clone(), "spec.packages[0].pullSecret"),
        ("spec.process[0].apply.manifestsFrom.configMap", subdomain, "spec.process[0].apply.manifestsFrom.configMap"),
        ("spec.version", version, "spec.version"),
    ] {
        for text in good {
            let said = says(&space, kinds(field, text)).await;
            assert_eq!(said, None, "{field} {text:?} is a name");
        }
        for text in bad {
            let said = says(&space, kinds(field, text)).await.unwrap_or_default();
            assert!(said.contains(says_where), "{field} {text:?}: {said:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_whose_own_namespace_would_have_too_long_a_name_says_which_field_to_set() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let name = "x".repeat(63);
    space.apply(space.object("Environment", &name, json!({"order": 1}))).await;
    let said = wait::object(&space.api(), &name, "stalled", |known: &Environment| {
        let conditions = known.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        condition::is_true(conditions, ConditionType::Stalled)
    })
    .await;
    let conditions = said.status.expect("a status").conditions;
    let message = &condition::find(&conditions, ConditionType::Ready).expect("a condition").message;
    assert!(message.starts_with("spec.targets: ") && message.contains("at most 63"), "{message}");
    assert!(message.ends_with("choose another namespace for the target"), "{message}");
}

/// Whatever may grow without end at and below a path, and every reference into a namespace.
fn unbounded(path: &str, schema: &Value, found: &mut (Vec<String>, Vec<String>)) {
    let kind = schema["type"].as_str().unwrap_or_default();
    let said = |field: &str| schema.get(field).is_some();
    let bounded = match kind {
        "string" => said("maxLength") || said("enum") || said("format"),
        "array" => said("maxItems"),
        "object" => said("properties") || said("maxProperties") || said("x-kubernetes-preserve-unknown-fields"),
        _ => true,
    };
    if !bounded {
        found.0.push(path.to_owned());
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if name == "namespace" {
            found.1.push(path.clone());
        }
        unbounded(&path, field, found);
    }
    for inner in ["items", "additionalProperties"].iter().filter_map(|inner| schema.get(inner)) {
        unbounded(&format!("{path}[]"), inner, found);
    }
}

// Attacks T11, T26, T34.
#[test]
fn nothing_grows_without_end_and_nothing_refers_into_another_namespace() {
    let mut found = (Vec::new(), Vec::new());
    for definition in crds::all() {
        let kind = definition.spec.names.kind.clone();
        for version in definition.spec.versions {
            let schema = version.schema.and_then(|schema| schema.open_api_v3_schema).expect("a schema");
            let schema = serde_json::to_value(schema).expect("JSON");
            for part in ["spec", "status"] {
                unbounded(&format!("{kind}.{part}"), &schema["properties"][part], &mut found);
            }
        }
    }
    assert!(found.0.is_empty(), "give them a bound: {:#?}", found.0);
    // The namespaces of an environment are what it is; a status and a record only say where something was.
    found.1.retain(|path| path.contains(".spec.") && !path.starts_with("AuditRecord"));
    assert_eq!(found.1, ["Environment.spec.targets[].namespace"]);
}
