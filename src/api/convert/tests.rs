use serde_json::json;

use super::*;
use crate::domain::lifecycle::Lifecycle;

fn spec(value: serde_json::Value) -> ProjectSpec {
    serde_json::from_value(value).unwrap()
}

fn wrong(value: serde_json::Value) -> Vec<String> {
    validate(&spec(value)).iter().map(ToString::to_string).collect()
}

fn config_map(name: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

#[test]
fn a_good_project_has_nothing_wrong() {
    let good = json!({
        "packages": [{"name": "api", "image": "ghcr.io/acme/checkout"}, {"name": "web", "image": "ghcr.io/acme/web"}],
        "process": [
            {"name": "first", "apply": {"manifests": [config_map("a"), config_map("b")]}, "timeout": "1h30m"},
            {"name": "then", "apply": {"manifestsFrom": {"configMap": "x"}}},
        ],
    });
    assert_eq!(wrong(good), [""; 0]);
}

#[test]
fn every_mistake_of_a_project_is_named_at_once() {
    let bad = json!({
        "packages": [
            {"name": "api", "image": "nginx"},
            {"name": "api", "image": "docker.io/library/nginx"},
            {"name": "Web", "image": "ghcr.io/acme/web:1"},
        ],
        "process": [
            {"name": "a", "apply": {"manifests": [config_map("x"), config_map("x"), {"kind": "Pod"}]}, "timeout": "0s"},
            {"name": "a", "apply": {"manifestsFrom": {"configMap": "x"}}, "timeout": "99999h"},
        ],
    });
    let found = wrong(bad);
    let paths: Vec<&str> = found.iter().map(|sentence| sentence.split(": ").next().unwrap()).collect();
    assert_eq!(
        paths,
        [
            "spec.packages[1].name",
            "spec.packages[1].image",
            "spec.packages[2].name",
            "spec.packages[2].image",
            "spec.process[0].timeout",
            "spec.process[0].apply.manifests[1]",
            "spec.process[0].apply.manifests[2].apiVersion",
            "spec.process[0].apply.manifests[2].metadata.name",
            "spec.process[1].name",
            "spec.process[1].timeout",
        ]
    );
    assert!(found[1].contains("image docker.io/library/nginx is given twice"), "{found:?}");
    assert!(found[3].contains("a release gives it the version"), "{found:?}");
}

#[test]
fn a_timeout_reads_as_people_write_it() {
    for (text, seconds) in [("2m", 120), ("1h30m", 5400), ("90s", 90), ("1h1m1s", 3661)] {
        assert_eq!(timeout(text, "t").unwrap(), SignedDuration::from_secs(seconds), "{text}");
    }
    for text in ["", "2", "m", "two minutes", "-2m", "0s", "9999999999999h", "169h"] {
        let error = timeout(text, "spec.process[0].timeout").unwrap_err();
        assert!(error.path == "spec.process[0].timeout" && error.message.contains("e.g. 10m"), "{text}: {error}");
    }
}

#[test]
fn a_package_of_a_release_has_a_version_or_a_digest_that_can_be_one_or_leaves_it_to_its_channel() {
    let read = |value| release_packages(&serde_json::from_value::<Vec<PackageVersion>>(value).unwrap());
    let digest = format!("sha256:{}", "a".repeat(64));
    let good = read(json!([{"name": "api", "version": "1.4.2"}, {"name": "web", "digest": digest}])).unwrap();
    assert_eq!(good[0].tag.as_ref().unwrap().as_str(), "1.4.2");
    assert_eq!(good[1].digest.as_ref().unwrap().as_str(), digest);
    let bad = read(json!([
        {"name": "api", "version": "1 2"}, {"name": "web"}, {"name": "web", "digest": "sha256:x"}, {"name": "web", "version": "1"}
    ]));
    let bad: Vec<String> = bad.unwrap_err().into_iter().map(|one| one.path).collect();
    assert_eq!(bad, ["spec.packages[0].version", "spec.packages[2].digest", "spec.packages[3].name"]);
}

#[test]
fn the_lifecycle_is_the_environments_by_order() {
    let environment = |name: &str, order: i64| {
        let mut environment = Environment::default();
        environment.metadata.name = Some(name.into());
        environment.spec.order = order;
        environment
    };
    let environments =
        [environment("production", 30), environment("dev", 10), environment("test", 20), environment("No", 1)];
    let lifecycle = Lifecycle::by_order(&orders(&environments));
    let phases: Vec<&str> = lifecycle.phases().iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(phases, ["dev", "test", "production"]);
}
