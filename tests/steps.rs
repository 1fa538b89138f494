//! The steps of a process, on the real cluster: which run in which targets, and what becomes of what the others had applied.

mod failures;
mod health;
mod parts;
mod retries;

use gantry::api::v1alpha1::Promotion;
use gantry::api::v1alpha1::promotion_status::StepRecord;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::support::manifest::config_map;
use crate::support::shared::shared;
use crate::support::space::Space;

async fn new_space() -> Space {
    Space::create(shared().await.admin().await).await
}

/// The environment dev with the targets `web`, which has the role `web`, and `jobs`, which has none.
async fn two_targets(space: &Space) {
    let target =
        |name: &str, roles: Value| json!({"name": name, "namespace": format!("{}-{name}", space.name), "roles": roles});
    let targets = [target("web", json!(["web"])), target("jobs", json!([]))];
    space.environment_with("dev", json!({"order": 10, "targets": targets})).await;
}

/// A step that applies ConfigMaps of these names.
fn step(name: &str, config_maps: &[&str], more: Value) -> Value {
    let manifests: Vec<Value> = config_maps.iter().map(|name| config_map(name, "x")).collect();
    let mut step = json!({"name": name, "timeout": "1m", "apply": {"manifests": manifests}});
    if let (Value::Object(step), Value::Object(more)) = (&mut step, more) {
        step.extend(more);
    }
    step
}

/// The project `checkout` with this process, and a release of it.
async fn release(space: &Space, version: &str, process: Value) {
    let channels = json!([{"name": "stable", "default": true}, {"name": "beta"}]);
    space.apply(space.object("Project", "checkout", json!({"process": process, "channels": channels}))).await;
    let spec = json!({"project": "checkout", "version": version});
    space.apply(space.object("Release", &format!("checkout-{version}"), spec)).await;
    space.sealed(&format!("checkout-{version}")).await;
}

async fn promote(space: &Space, name: &str, version: &str, more: Value) -> Promotion {
    let mut spec = json!({"project": "checkout", "version": version, "environment": "dev"});
    if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
        spec.extend(more);
    }
    space.apply(space.object("Promotion", name, spec)).await;
    space.ended(name).await
}

fn phase(promotion: &Promotion) -> &str {
    promotion.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

fn message(promotion: &Promotion) -> &str {
    promotion.status.as_ref().and_then(|status| status.message.as_deref()).unwrap_or_default()
}

/// Each step and target with its phase, and why where it was skipped.
fn rows(promotion: &Promotion) -> Vec<String> {
    let steps = promotion.status.as_ref().map(|status| status.steps.as_slice()).unwrap_or_default();
    let row = |step: &StepRecord| {
        let reason = step.reason.as_ref().map(|reason| format!(" {reason}")).unwrap_or_default();
        format!("{} in {}: {}{reason}", step.name, step.target, step.phase)
    };
    steps.iter().map(row).collect()
}

/// The ConfigMaps of a namespace, but for the one that every namespace has.
async fn config_maps(space: &Space, namespace: &str) -> Vec<String> {
    let api: Api<ConfigMap> = Api::namespaced(space.client.clone(), &format!("{}-{namespace}", space.name));
    let all = api.list(&ListParams::default()).await.expect("ConfigMaps").items;
    let mut names: Vec<String> =
        all.iter().map(ResourceExt::name_any).filter(|name| name != "kube-root-ca.crt").collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_runs_where_its_conditions_fit_and_says_why_it_does_not_elsewhere() {
    let space = new_space().await;
    two_targets(&space).await;
    let process = json!([
        step("elsewhere", &["elsewhere"], json!({"environments": ["production"]})),
        step("beta", &["beta"], json!({"channels": ["beta"]})),
        step("web", &["web"], json!({"roles": ["web"]})),
        step("back", &["back"], json!({"when": "promotion.mode == 'Rollback'"})),
        step(
            "all",
            &["all"],
            json!({"environments": ["dev"], "channels": ["stable"], "when": "promotion.mode == 'Deploy'"})
        ),
    ]);
    release(&space, "1.0.0", process).await;
    let ended = promote(&space, "first", "1.0.0", json!({})).await;
    assert_eq!(phase(&ended), "Succeeded", "{}", message(&ended));
    let expected = [
        "elsewhere in web: Skipped Environment",
        "elsewhere in jobs: Skipped Environment",
        "beta in web: Skipped Channel",
        "beta in jobs: Skipped Channel",
        "web in web: Succeeded",
        "web in jobs: Skipped Roles",
        "back in web: Skipped When",
        "back in jobs: Skipped When",
        "all in web: Succeeded",
        "all in jobs: Succeeded",
    ];
    assert_eq!(rows(&ended), expected);
    let said = ended.status.expect("a status").steps[5].message.clone();
    assert_eq!(said.as_deref(), Some("it runs in targets of role web only, and target jobs has no role"));
    assert_eq!(config_maps(&space, "web").await, ["all", "web"]);
    assert_eq!(config_maps(&space, "jobs").await, ["all"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_skipped_step_had_applied_stays_until_no_step_has_it() {
    let space = new_space().await;
    space.environment("dev", 10).await;
    let seldom = json!({"when": "promotion.mode != 'Deploy' || release.version == '1.0.0'"});
    release(
        &space,
        "1.0.0",
        json!([step("one", &["a", "old"], json!({})), step("two", &["b", "moves"], seldom.clone())]),
    )
    .await;
    space.deploy("checkout", "1.0.0", "dev").await;
    assert_eq!(config_maps(&space, "dev").await, ["a", "b", "moves", "old"]);

    release(&space, "1.1.0", json!([step("one", &["a"], json!({})), step("two", &["c"], seldom.clone())])).await;
    let second = space.deploy("checkout", "1.1.0", "dev").await;
    assert_eq!(rows(&second), ["one in default: Succeeded", "two in default: Skipped When"]);
    assert_eq!(second.status.expect("a status").steps[0].pruned, ["ConfigMap/old"]);
    assert_eq!(config_maps(&space, "dev").await, ["a", "b", "moves"], "what the skipped step had stays as it was");

    // What another step has by now is that step's; what is in a step that is skipped is still somebody's.
    release(&space, "1.2.0", json!([step("one", &["moves"], json!({})), step("two", &["a"], seldom)])).await;
    space.deploy("checkout", "1.2.0", "dev").await;
    assert_eq!(config_maps(&space, "dev").await, ["a", "b", "moves"]);

    release(&space, "1.3.0", json!([step("one", &["moves"], json!({}))])).await;
    let last = space.deploy("checkout", "1.3.0", "dev").await;
    assert_eq!(last.status.expect("a status").steps[0].pruned, ["ConfigMap/a", "ConfigMap/b"]);
    assert_eq!(config_maps(&space, "dev").await, ["moves"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_cannot_be_decided_fails_the_promotion_before_anything_is_applied() {
    let space = new_space().await;
    space.environment("dev", 10).await;
    let process = json!([
        step("fine", &["fine"], json!({})),
        step("broken", &["broken"], json!({"when": "variables.REGION == 'eu'"}))
    ]);
    release(&space, "1.0.0", process).await;
    let ended = promote(&space, "first", "1.0.0", json!({})).await;
    let status = ended.status.as_ref().expect("a status");
    assert_eq!((phase(&ended), status.reason.as_deref()), ("Failed", Some("UnresolvedVariable")));
    assert!(!status.applied && status.started_at.is_none());
    let says = "step broken: Project checkout: spec.process[1].when: ";
    assert!(message(&ended).starts_with(says), "{}", message(&ended));
    assert_eq!(config_maps(&space, "dev").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conditions_of_a_step_are_those_of_the_release() {
    let space = new_space().await;
    space.environment("dev", 10).await;
    let process = |when: &str| json!([step("one", &["one"], json!({})), step("two", &["two"], json!({"when": when}))]);
    release(&space, "1.0.0", process("false")).await;
    release(&space, "1.1.0", process("true")).await;
    let old = space.deploy("checkout", "1.0.0", "dev").await;
    assert_eq!(rows(&old)[1], "two in default: Skipped When");
    let new = space.deploy("checkout", "1.1.0", "dev").await;
    assert_eq!(rows(&new)[1], "two in default: Succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_that_would_do_nothing_fails_except_where_its_release_runs_already() {
    let space = new_space().await;
    space.environment("dev", 10).await;
    release(&space, "1.0.0", json!([step("one", &["one"], json!({"environments": ["production"]}))])).await;
    let nothing = promote(&space, "nothing", "1.0.0", json!({})).await;
    let reason = nothing.status.as_ref().and_then(|status| status.reason.clone());
    assert_eq!((phase(&nothing), reason.as_deref()), ("Failed", Some("NothingToDo")));

    release(&space, "1.1.0", json!([step("one", &["one"], json!({"when": "promotion.mode != 'Redeploy'"}))])).await;
    space.deploy("checkout", "1.1.0", "dev").await;
    let again = promote(&space, "again", "1.1.0", json!({})).await;
    let status = again.status.as_ref().expect("a status");
    assert_eq!((phase(&again), status.mode.as_deref(), status.applied), ("Succeeded", Some("Redeploy"), false));
    assert_eq!(rows(&again), ["one in default: Skipped When"]);
    assert_eq!(config_maps(&space, "dev").await, ["one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_skips_its_banner_outside_of_production() {
    let space = new_space().await;
    let path = format!("{}/deploy/samples/more/project-with-steps.yaml", env!("CARGO_MANIFEST_DIR"));
    let sample = std::fs::read_to_string(path).expect("the sample");
    let sample = sample.replace("namespace: shop", &format!("namespace: {}", space.name));
    gantry_plane::manifests::apply(&space.client, "test", &sample).await.expect("it is taken");
    for (environment, order) in [("dev", 10), ("production", 20)] {
        space.environment(environment, order).await;
    }
    space.apply(space.object("Release", "notes-1.0.0", json!({"project": "notes", "version": "1.0.0"}))).await;
    space.sealed("notes-1.0.0").await;
    let dev = space.deploy("notes", "1.0.0", "dev").await;
    let expected = [
        "settings in default: Succeeded",
        "banner in default: Skipped Environment",
        "alarm in default: Skipped NothingFailed",
    ];
    assert_eq!(rows(&dev), expected);
    space.deploy("notes", "1.0.0", "production").await;
    assert_eq!(config_maps(&space, "production").await, ["notes", "notes-banner"]);
}
