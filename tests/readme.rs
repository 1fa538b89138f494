//! What the README says is true: its manifests are applied, its table of metrics is the registry's.

use std::fmt::Write;

use gantry::telemetry::metrics::DOCUMENTED;
use gantry_plane::manifests;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

use crate::support::image::push;
use crate::support::shared::shared;
use crate::support::space::Space;
use crate::support::wait;

/// The end of each object of the README: that it is `Ready`, or its phase, or why it is not ready.
const ENDS: [(&str, &str, &str); 19] = [
    ("Environment", "dev", "Ready"),
    ("Project", "greeter", "Ready"),
    ("Release", "greeter-1.0.0", "Ready"),
    ("Promotion", "greeter-1.0.0-dev", "Succeeded"),
    ("VariableSet", "shared", "Ready"),
    ("Project", "letter", "Ready"),
    // Most of its environments are somebody else's.
    ("Lifecycle", "standard", "UnknownEnvironment"),
    ("Release", "letter-1.2.0-next", "Ready"),
    // The promotion that it names is to be filled in.
    ("Approval", "greeter-1.0.0-production-bob", "PromotionNotFound"),
    // And so is the environment that it freezes.
    ("Freeze", "weekend", "UnknownEnvironment"),
    ("CommandRun", "greeter-logs-1", "Succeeded"),
    ("CommandRun", "greeter-script-1", "Succeeded"),
    ("Project", "notes", "Ready"),
    ("Environment", "production", "Ready"),
    ("Project", "banner", "Ready"),
    ("Release", "banner-1.0.0", "Ready"),
    ("Release", "banner-1.1.0", "Ready"),
    ("Pin", "banner.dev", "Deployed"),
    ("Pin", "banner.production", "Deployed"),
];

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("the README")
}

/// An object of ours as it is.
async fn found(space: &Space, kind: &str, name: &str) -> Value {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("gantry.dev", "v1alpha1", kind));
    let api: Api<DynamicObject> = Api::namespaced_with(space.client.clone(), &space.name, &resource);
    api.get(name).await.map(|found| found.data).unwrap_or_default()
}

/// Waits until an object of the README comes to its end.
async fn ends(space: &Space, kind: &str, name: &str) {
    let known = ENDS.iter().find(|(of, known, _)| (*of, *known) == (kind, name));
    let (.., end) = *known.unwrap_or_else(|| panic!("say in ENDS of tests/readme.rs how {kind} {name} ends"));
    wait::eventually(&format!("{kind} {name} is {end}"), || async {
        let status = &found(space, kind, name).await["status"];
        let ready = status["conditions"].as_array()?.iter().find(|condition| condition["type"] == "Ready")?;
        let is_ready = end == "Ready" && ready["status"] == "True";
        (is_ready || status["phase"] == end || ready["reason"] == end).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_manifest_in_the_readme_is_applied_and_comes_to_its_end() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let host = cluster.plane.registry().host();
    push((&host, None), ("tools", "1.0.0"), "tools").await;
    let text = readme();
    let mut applied = Vec::new();
    for (number, block) in text.split("```yaml\n").skip(1).enumerate() {
        let yaml = block.split("```").next().expect("a block");
        let yaml = yaml.replace("namespace: shop", &format!("namespace: {}", space.name));
        let yaml = yaml.replace("localhost:5000", &host);
        let objects = manifests::apply(&space.client, "kubectl", &yaml).await;
        let objects = objects.unwrap_or_else(|error| panic!("{error}:\n{yaml}"));
        let objects = objects
            .into_iter()
            .map(|object| (object.types.unwrap_or_default().kind, object.metadata.name.unwrap_or_default()));
        applied.extend(objects);
        if number == 0 {
            let kinds: Vec<_> = applied.iter().map(|(kind, _)| kind.as_str()).collect();
            assert_eq!(
                kinds,
                ["Environment", "Project", "Release", "Promotion"],
                "four bring a first version somewhere"
            );
            ends(&space, "Promotion", "greeter-1.0.0-dev").await;
        }
    }
    for (kind, name) in &applied {
        ends(&space, kind, name).await;
    }
    for (kind, name, _) in ENDS {
        assert!(applied.contains(&(kind.to_owned(), name.to_owned())), "the README shows no {kind} {name}");
    }
    let next = space.sealed("letter-1.2.0-next").await.status.expect("a status");
    assert_eq!(next.packages[0].version.as_deref(), Some("1.2.0-rc.1"));
    // What is shown as a process of steps is one: outside of production there is no banner.
    space.apply(space.object("Release", "notes-1.0.0", json!({"project": "notes", "version": "1.0.0"}))).await;
    let notes = space.deploy("notes", "1.0.0", "dev").await.status.expect("a status");
    let steps: Vec<_> = notes.steps.iter().map(|step| (step.name.as_str(), step.phase.as_str())).collect();
    assert_eq!(steps, [("settings", "Succeeded"), ("banner", "Skipped")]);
}

#[test]
fn every_promise_names_tests_that_exist() {
    let text = readme();
    let (_, promises) = text.split_once("## Promises and limits").expect("the promises");
    let (promises, _) = promises.split_once("\n## ").expect("what follows them");
    let lines: Vec<&str> = promises.lines().collect();
    for number in 1..=10 {
        let place = lines.iter().position(|line| line.starts_with(&format!("{number}. "))).expect("ten promises");
        assert!(lines[place + 1].contains("::"), "promise {number} names no test");
    }
    let named = promises.split('`').skip(1).step_by(2).filter(|name| name.contains("::"));
    for name in named {
        let (module, function) = name.rsplit_once("::").expect("a module");
        let file = format!("{}/tests/{}.rs", env!("CARGO_MANIFEST_DIR"), module.replace("::", "/"));
        let source = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(&format!("async fn {function}()")), "{name} is no test");
    }
}

#[test]
fn the_table_of_metrics_is_what_the_operator_registers() {
    let mut table = "| metric | labels | meaning |\n|---|---|---|\n".to_owned();
    for known in DOCUMENTED {
        let labels = if known.labels.is_empty() { "–" } else { known.labels };
        let _ = writeln!(table, "| `{}` | {labels} | {} |", known.name, known.help);
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = readme();
    let (before, rest) = text.split_once("<!-- metrics -->\n").expect("the place of the table");
    let (written, after) = rest.split_once("<!-- /metrics -->").expect("the end of the table");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, format!("{before}<!-- metrics -->\n{table}<!-- /metrics -->{after}")).expect("written");
        return;
    }
    assert_eq!(written, table, "run UPDATE_GOLDEN=1 cargo test the_table_of_metrics");
}
