//! Commands on the real cluster: what they show, what they do, who may, and that they are carried out at most once.

use std::io::Write as _;

use gantry::api::v1alpha1::audit_record::AuditKind;
use gantry::api::v1alpha1::command_run::{CommandRunStatus, CommandTarget};
use gantry::api::v1alpha1::{AuditRecordSpec, CommandRun};
use gantry_plane::node::real::RealNode;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::support::image::push;
use crate::support::manifest::{config_map, deployment, real};
use crate::support::proxy::{Fault, Moment};
use crate::support::quiet;
use crate::support::shared::{OPERATOR, shared};
use crate::support::space::Space;
use crate::support::story::World;
use crate::support::wait;

/// A space where `checkout` runs in dev, of these manifests.
async fn deployed(space: &Space, image: &str, manifests: Value) {
    space.environment("dev", 10).await;
    space.project("checkout", image, manifests).await;
    let packages = json!([{"name": "api", "version": "1.0.0", "digest": format!("sha256:{}", "a".repeat(64))}]);
    let spec = json!({"project": "checkout", "version": "1.0.0", "packages": packages});
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    space.sealed("checkout-1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
}

async fn shop() -> Space {
    let space = Space::create(shared().await.admin().await).await;
    let image = "ghcr.io/acme/checkout";
    deployed(&space, image, json!([deployment("checkout", image), config_map("settings", "x")])).await;
    space
}

fn command(space: &Space, name: &str, what: Value) -> Value {
    let mut spec = json!({"environment": "dev", "project": "checkout", "reason": "CHG-1234"});
    if let (Value::Object(spec), Value::Object(what)) = (&mut spec, what) {
        spec.extend(what);
    }
    space.object("CommandRun", name, spec)
}

fn restart(workload: &str) -> Value {
    json!({"restart": {"workload": workload}})
}

async fn ended(space: &Space, name: &str) -> CommandRunStatus {
    let known = wait::object(&space.api(), name, "finished", |known: &CommandRun| {
        known.status.as_ref().is_some_and(|status| status.finished)
    })
    .await;
    known.status.expect("a status")
}

/// Runs a command to its end.
async fn run(space: &Space, name: &str, what: Value) -> CommandRunStatus {
    space.apply(command(space, name, what)).await;
    ended(space, name).await
}

fn phase(status: &CommandRunStatus) -> &str {
    status.phase.as_deref().unwrap_or_default()
}

async fn generation(space: &Space) -> i64 {
    let found = space.in_environment::<Deployment>("dev").get("checkout").await.expect("the Deployment");
    found.metadata.generation.expect("a generation")
}

// Attack T29.
#[tokio::test(flavor = "multi_thread")]
async fn logs_show_what_containers_said_last_without_what_a_terminal_would_obey() {
    let cluster = shared().await;
    if !cluster.real {
        let line =
            "logs_show_what_containers_said_last did not run: no real node here (root on Linux with runc is needed)";
        assert!(!RealNode::is_required(), "{line}");
        let _ = writeln!(std::io::stderr(), "{line}");
        return;
    }
    let space = Space::create(cluster.admin().await).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    space.environment("dev", 10).await;
    let said = "one \u{1b}[31mred\u{1b}[0m line";
    space.project("checkout", &image, json!([real("checkout", &image, &[("LOG", said)])])).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let status = run(&space, "look", json!({"logs": {"workload": "Deployment/checkout", "tail": 50}})).await;
    assert_eq!((phase(&status), status.command.as_deref()), ("Succeeded", Some("logs")), "{status:?}");
    let row = &status.targets[0];
    assert_eq!((row.phase.as_str(), row.namespace.as_str()), ("Succeeded", format!("{}-dev", space.name).as_str()));
    let output = row.output.as_deref().expect("an output");
    assert!(output.starts_with("==> checkout-") && output.contains("/api <=="), "{output}");
    assert!(output.contains("one [31mred[0m line") && !output.contains('\u{1b}'), "{output}");
    let absent = run(&space, "absent", json!({"logs": {"workload": "Deployment/checkout", "container": "web"}})).await;
    assert!(absent.targets[0].output.as_deref().is_some_and(|said| said.contains("(no log: ")), "{absent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_replaces_the_pods_of_a_workload_once_as_the_account_of_the_console_and_is_told() {
    let space = shop().await;
    let (before, mark) = (generation(&space).await, shared().await.plane.audit().mark());
    let status = run(&space, "again", restart("Deployment/checkout")).await;
    assert_eq!(phase(&status), "Succeeded", "{status:?}");
    assert_eq!(generation(&space).await, before + 1);
    let deployments = space.in_environment::<Deployment>("dev");
    let uid = space.api::<CommandRun>().get("again").await.expect("the command").uid();
    wait::object(&deployments, "checkout", "rolled out", |known: &Deployment| {
        let status = known.status.clone().unwrap_or_default();
        status.observed_generation == known.metadata.generation && status.updated_replicas == Some(1)
    })
    .await;
    let template =
        deployments.get("checkout").await.expect("it").spec.expect("a spec").template.metadata.expect("metadata");
    assert_eq!(template.annotations.and_then(|mut all| all.remove("gantry.dev/restarted-by")), uid);

    let namespace = format!("{}-dev", space.name);
    let console = format!("system:serviceaccount:{namespace}:gantry-console");
    wait::eventually("the patch is in the audit log", || async {
        let events = shared().await.plane.audit().since(mark).ok()?;
        let of = |event: &&gantry_plane::AuditEvent| {
            event.namespace == namespace && event.resource == "deployments" && event.verb == "patch"
        };
        let patches: Vec<_> = events.iter().filter(of).collect();
        let as_console =
            patches.iter().all(|event| event.user == OPERATOR && event.impersonated.as_ref() == Some(&console));
        (patches.len() == 1 && as_console).then_some(())
    })
    .await;
    let about = ListParams::default().fields("regarding.kind=CommandRun,regarding.name=again");
    let told = wait::eventually("an Event", || async {
        let all = space.api::<Event>().list(&about).await.expect("events").items;
        all.into_iter().find(|event| event.reason.as_deref() == Some("Succeeded"))?.note
    })
    .await;
    assert!(told.starts_with("restart of checkout in dev by ") && told.contains("(CHG-1234)"), "{told}");
    space.apply(command(&space, "again", restart("Deployment/checkout"))).await;
    assert_eq!(generation(&space).await, before + 1, "applied again it is the same command");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_has_a_result_in_each_target_of_its_own_and_its_record_says_all_but_what_was_shown() {
    let space = Space::create(shared().await.admin().await).await;
    let place = |name: &str| format!("{}-{name}", space.name);
    let target = |name: &str| json!({"name": name, "namespace": place(name)});
    space.environment_with("dev", json!({"order": 10, "targets": [target("eu"), target("us")]})).await;
    let image = "ghcr.io/acme/checkout";
    space.project("checkout", image, json!([deployment("checkout", image)])).await;
    let packages = json!([{"name": "api", "version": "1.0.0", "digest": format!("sha256:{}", "a".repeat(64))}]);
    let spec = json!({"project": "checkout", "version": "1.0.0", "packages": packages});
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    space.sealed("checkout-1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;

    let both = run(&space, "both", restart("Deployment/checkout")).await;
    let rows = |status: &CommandRunStatus| -> Vec<(String, String, String, Option<String>)> {
        let row =
            |row: &CommandTarget| (row.name.clone(), row.namespace.clone(), row.phase.clone(), row.reason.clone());
        status.targets.iter().map(row).collect()
    };
    let row = |name: &str, phase: &str, reason: &str| (name.into(), place(name), phase.into(), Some(reason.into()));
    assert_eq!(
        (phase(&both), rows(&both)),
        ("Succeeded", vec![row("eu", "Succeeded", "Done"), row("us", "Succeeded", "Done")])
    );
    let mut of_us = json!({"logs": {"workload": "Deployment/checkout", "tail": 5}});
    of_us["targets"] = json!(["us"]);
    let of_us = run(&space, "of-us", of_us).await;
    assert_eq!((phase(&of_us), rows(&of_us)), ("Succeeded", vec![row("us", "Succeeded", "Done")]));
    let output = of_us.targets[0].output.clone().expect("what it shows");
    assert!(output.contains("==> checkout-"), "{output}");

    space
        .in_environment::<Deployment>("us")
        .delete("checkout", &DeleteParams::default())
        .await
        .expect("an administrator may");
    wait::gone(&space.in_environment::<Deployment>("us"), "checkout").await;
    let half = run(&space, "half", restart("Deployment/checkout")).await;
    assert_eq!(
        (phase(&half), rows(&half)),
        ("Failed", vec![row("eu", "Succeeded", "Done"), row("us", "Failed", "NotFound")])
    );
    let said = half.message.clone().unwrap_or_default();
    assert!(said.contains("us") && said.contains("Deployment/checkout does not exist in namespace"), "{said}");
    let deployed = space.in_environment::<Deployment>("eu").get("checkout").await.expect("it");
    assert_eq!(deployed.metadata.generation, Some(3), "each command restarted it once");

    for (name, word, status) in [("both", "restart", &both), ("of-us", "logs", &of_us), ("half", "restart", &half)] {
        let record = recorded(&space, name).await;
        assert_eq!(record.by.as_ref().map(|by| by.username.as_str()), Some("gantry-plane-admin"));
        assert_eq!((record.project.as_deref(), record.environment.as_deref()), (Some("checkout"), Some("dev")));
        assert_eq!(record.at, status.finished_at);
        let part = record.command.clone().expect("a command");
        assert_eq!((part.command.as_str(), part.workload.as_deref()), (word, Some("Deployment/checkout")));
        assert_eq!((part.phase.as_str(), part.reason_given.as_str()), (phase(status), "CHG-1234"));
        let kept: Vec<_> =
            part.targets.iter().map(|row| (&row.name, &row.namespace, &row.phase, &row.started_at)).collect();
        let shown: Vec<_> =
            status.targets.iter().map(|row| (&row.name, &row.namespace, &row.phase, &row.started_at)).collect();
        assert_eq!(kept, shown);
        assert!(!serde_json::to_string(&record).expect("JSON").contains("==>"), "what it showed is in no record");
    }
}

/// What the audit record of a command says.
async fn recorded(space: &Space, name: &str) -> AuditRecordSpec {
    wait::eventually(&format!("{name} is recorded"), || async {
        let records = space.audit_records(AuditKind::Command).await;
        let of = |spec: &AuditRecordSpec| spec.object.as_ref().is_some_and(|object| object.name == name);
        records.into_iter().map(|record| record.spec).find(of)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_release_of_the_project_made_is_left_alone_and_what_cannot_be_says_why() {
    let space = shop().await;
    let foreign = json!({"metadata": {"name": "foreign", "namespace": format!("{}-dev", space.name)}});
    let mut object = deployment("foreign", "ghcr.io/acme/checkout");
    object["metadata"] = foreign["metadata"].clone();
    space.apply(object).await;
    for (name, what, phase, says) in [
        ("foreign", restart("Deployment/foreign"), "Failed", "was not made by a release of project checkout"),
        ("none", restart("StatefulSet/checkout"), "Failed", "StatefulSet/checkout does not exist in namespace"),
        (
            "nowhere",
            json!({"environment": "production", "restart": {"workload": "Deployment/checkout"}}),
            "Refused",
            "does not exist in this space",
        ),
        (
            "asia",
            json!({"targets": ["asia"], "restart": {"workload": "Deployment/checkout"}}),
            "Refused",
            "has no target asia",
        ),
    ] {
        let status = run(&space, name, what).await;
        let said = status.message.clone().unwrap_or_default();
        assert!(status.phase.as_deref() == Some(phase) && said.contains(says), "{name}: {status:?}");
    }
    let found = space.in_environment::<Deployment>("dev").get("foreign").await.expect("it");
    assert_eq!(found.metadata.generation, Some(1), "it was left alone");
}

// Attack T18.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_canceled_before_it_begins_is_not_carried_out_and_its_spec_never_changes() {
    let space = shop().await;
    let before = generation(&space).await;
    let mut canceled = restart("Deployment/checkout");
    canceled["cancel"] = json!({"reason": "wrong"});
    let status = run(&space, "canceled", canceled).await;
    assert_eq!((phase(&status), generation(&space).await), ("Canceled", before));
    run(&space, "done", restart("Deployment/checkout")).await;
    let commands: Api<CommandRun> = space.api();
    for change in
        [json!({"restart": {"workload": "Deployment/other"}}), json!({"environment": "test"}), json!({"reason": "x"})]
    {
        let patch = Patch::Merge(json!({"spec": change}));
        let said = commands
            .patch("done", &PatchParams::default(), &patch)
            .await
            .expect_err("it was asked for once")
            .to_string();
        assert!(said.contains("immutable"), "{said}");
    }
    let cancel = Patch::Merge(json!({"spec": {"cancel": {"reason": "late"}}}));
    commands.patch("done", &PatchParams::default(), &cancel).await.expect("it may be wished");
    assert_eq!(phase(&ended(&space, "done").await), "Succeeded", "an end is never left");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_samples_are_carried_out() {
    let space = shop().await;
    let registry = shared().await.plane.registry().host();
    push((&registry, None), ("tools", "1.0.0"), "tools").await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/samples/more/commands.yaml");
    let text = std::fs::read_to_string(path).expect("the sample");
    let text = text.replace("namespace: shop", &format!("namespace: {}", space.name));
    let text = text.replace("localhost:5000", &registry);
    gantry_plane::manifests::apply(&space.client, "test", &text).await.expect("they are taken");
    for name in ["checkout-logs-1", "checkout-restart-1", "checkout-script-1"] {
        let status = ended(&space, name).await;
        assert_eq!(phase(&status), "Succeeded", "{status:?}");
    }
}

/// What happens to the operator at the writes of a restart: to say that it begins, to restart, to record what came of it, to say it, to let
/// go of the command.
const DEATHS: [(usize, Moment, &str, i64); 5] = [
    (1, Moment::Before, "Succeeded", 1),
    // It had begun, and nobody knows what the dead one still did.
    (1, Moment::AfterCommit, "Unknown", 0),
    (2, Moment::AfterCommit, "Succeeded", 1),
    (4, Moment::AfterCommit, "Succeeded", 1),
    (5, Moment::Before, "Succeeded", 1),
];

/// What goes wrong with the restart itself.
const FAULTS: [(Fault, &str, i64); 6] = [
    (Fault::Refused(409), "Succeeded", 1),
    (Fault::Refused(403), "Failed", 0),
    (Fault::Refused(500), "Unknown", 0),
    (Fault::Unanswered, "Succeeded", 1),
    (Fault::FailedAfterCommit, "Succeeded", 1),
    (Fault::Repeated, "Succeeded", 1),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_carried_out_at_most_once_whatever_happens_and_unknown_is_an_end() {
    let world = World::start("commands").await;
    for (n, moment, phase, restarts) in DEATHS {
        let (space, before) = at_rest(&world).await;
        world.proxy.arm(&space.name, n, moment);
        space.apply(command(&space, "once", restart("Deployment/checkout"))).await;
        world.proxy.until_stopped().await;
        world.operator.kill(&world.plane);
        world.proxy.disarm();
        world.operator.resume(&world.plane).await;
        let status = ended(&space, "once").await;
        assert_eq!(
            (status.phase.as_deref(), generation(&space).await - before),
            (Some(phase), restarts),
            "{n} {moment:?}: {status:?}"
        );
        world.proxy.forget();
    }
    for (fault, phase, restarts) in FAULTS {
        let (space, before) = at_rest(&world).await;
        world.proxy.fail(&space.name, 2, fault);
        let status = run(&space, "once", restart("Deployment/checkout")).await;
        assert!(world.proxy.has_reached(&space.name), "{fault:?} happened");
        assert_eq!(
            (status.phase.as_deref(), generation(&space).await - before),
            (Some(phase), restarts),
            "{fault:?}: {status:?}"
        );
        world.proxy.forget();
    }
    quiet::until_quiet(&world.plane).await;
    world.stop_watching();
}

/// A space where everything is written that a promotion leaves.
async fn at_rest(world: &World) -> (Space, i64) {
    let space = Space::create(world.client.clone()).await;
    let image = "ghcr.io/acme/checkout";
    deployed(&space, image, json!([deployment("checkout", image)])).await;
    quiet::until_quiet(&world.plane).await;
    let before = generation(&space).await;
    (space, before)
}
