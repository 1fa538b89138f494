//! Scripts of commands on the real cluster: what a real container wrote and ended with, that each runs at most once, and what is said where
//! nobody knows.

mod deleted;

use std::path::Path;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use gantry::api::v1alpha1::CommandRun;
use gantry::api::v1alpha1::audit_record::AuditKind;
use gantry::api::v1alpha1::command_run::CommandRunStatus;
use gantry_plane::node::real::RealNode;
use gantry_plane::{Identity, Options, Plane, image};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::support::image::push;
use crate::support::manifest::real;
use crate::support::operator::Operator;
use crate::support::proxy::{Fault, Moment};
use crate::support::quiet;
use crate::support::real_node::left_out;
use crate::support::shared::{self, OPERATOR, shared};
use crate::support::space::Space;
use crate::support::story::World;
use crate::support::wait;

/// A shell that says something and then waits for ever, without another program: for its own end of a pipe.
const WAITS: &str = "echo begun; : | { exec 3<>/proc/self/fd/0; read line <&3; }";
const SECRET: &str = "hunter2-and-more";

/// Asks for a script.
async fn ask(space: &Space, name: &str, script: Value) {
    let spec = json!({"environment": "dev", "project": "checkout", "reason": "CHG-1234", "script": script});
    space.apply(space.object("CommandRun", name, spec)).await;
}

async fn ended_within(space: &Space, name: &str, patience: Duration) -> CommandRunStatus {
    let commands: Api<CommandRun> = space.api();
    let what = format!("{name} has ended");
    let ended = wait::eventually_within(patience, &what, || async {
        commands.get(name).await.ok()?.status.filter(|status| status.finished)
    });
    if let Ok(status) = std::panic::AssertUnwindSafe(ended).catch_unwind().await {
        return status;
    }
    panic!("{name} has not ended: {:?}", commands.get(name).await.map(|known| known.status))
}

async fn ended(space: &Space, name: &str) -> CommandRunStatus {
    ended_within(space, name, wait::PATIENCE).await
}

/// Phase of the command, and phase, reason and exit code of its one target.
fn said(status: &CommandRunStatus) -> (&str, &str, &str, Option<i32>) {
    let row = status.targets.first().expect("a target");
    let reason = row.reason.as_deref().unwrap_or_default();
    (status.phase.as_deref().unwrap_or_default(), row.phase.as_str(), reason, row.exit_code)
}

fn output(status: &CommandRunStatus) -> &str {
    status.targets.first().and_then(|row| row.output.as_deref()).unwrap_or_default()
}

fn jobs(space: &Space) -> Api<Job> {
    space.in_environment("dev")
}

async fn cancel(space: &Space, name: &str) {
    let cancel = Patch::Merge(json!({"spec": {"cancel": {"reason": "enough"}}}));
    space.api::<CommandRun>().patch(name, &PatchParams::default(), &cancel).await.expect("canceled");
}

/// Waits until the script of a command has a Job, and gives it back.
async fn begun(space: &Space, name: &str) -> Job {
    let known = wait::object(&space.api(), name, "begun", |known: &CommandRun| {
        let row = known.status.as_ref().and_then(|status| status.targets.first());
        row.is_some_and(|row| row.message.is_some())
    })
    .await;
    let job = known.status.and_then(|status| status.targets[0].job.clone()).expect("a Job");
    wait::object(&jobs(space), &job, "there", |_| true).await
}

/// A release that brings a Secret of the space, and logs it.
async fn with_a_secret(space: &Space, registry: &str) {
    space
        .apply(json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"password": SECRET},
            "metadata": {"name": "db", "namespace": space.name, "labels": {"gantry.dev/environments": "dev"}}}))
        .await;
    space.environment("dev", 10).await;
    let image = format!("{registry}/checkout");
    let mut deployment = real("checkout", &image, &[("LOG", &format!("password {SECRET}"))]);
    deployment["spec"]["template"]["spec"].as_object_mut().expect("a pod").remove("nodeSelector");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"},
        "stringData": {"password": "${{ variables.PASSWORD }}"}});
    let reference = json!({"name": "db", "key": "password", "from": "Space"});
    let spec = json!({
        "packages": [{"name": "api", "image": image}],
        "variables": [{"name": "PASSWORD", "values": [{"secretKeyRef": reference}]}],
        "process": [{"name": "deploy", "timeout": "2m", "apply": {"manifests": [deployment, secret]}}],
    });
    space.apply(space.object("Project", "checkout", spec)).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    wait::object(&space.api(), "dev", "running it", |known: &gantry::api::v1alpha1::Environment| {
        known.status.as_ref().is_some_and(|status| !status.deployments.is_empty())
    })
    .await;
}

/// A cluster of real containers with an operator, and an image with a shell.
async fn real_cluster(test: &str) -> Option<(Plane, Operator)> {
    if RealNode::available().is_err() {
        left_out(test, "no real node here (root on Linux with runc is needed)");
        return None;
    }
    let plane = shared::own(Options::real()).await;
    image::push_sample(plane.registry(), "checkout", "1.0.0").await.expect("an image");
    image::push_program(plane.registry(), "bin/sh", "1.0.0", Path::new("/bin/sh")).await.expect("an image");
    let operator = Operator::start(&plane, "scripts").await;
    Some((plane, operator))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_container_runs_the_script_and_its_exit_code_and_its_last_lines_are_the_result() {
    let Some((plane, _operator)) = real_cluster("a_real_container_runs_the_script").await else { return };
    let space = Space::create(plane.client(&Identity::Admin).await.expect("a client")).await;
    let registry = plane.registry().host();
    with_a_secret(&space, &registry).await;
    let shell = format!("{registry}/bin/sh:1.0.0");
    let lines = format!(
        "printf 'one\\ntwo \\033[31mred\\033[0m\\n'; echo \"level $LEVEL\"; echo the password is {SECRET}; \
         test -e /var/run/secrets/kubernetes.io && echo a token || echo no token"
    );
    let env = json!([{"name": "LEVEL", "value": "debug"}]);
    ask(&space, "well", json!({"image": shell, "run": lines, "env": env})).await;
    ask(&space, "badly", json!({"image": shell, "run": "echo no such table >&2; exit 3"})).await;
    ask(&space, "shellless", json!({"image": format!("{registry}/checkout:1.0.0"), "run": "ls"})).await;
    ask(&space, "long", json!({"image": shell, "run": WAITS, "timeout": "20s"})).await;
    ask(&space, "enough", json!({"image": shell, "run": WAITS})).await;
    let patience = Duration::from_mins(3);

    let well = ended_within(&space, "well", patience).await;
    assert_eq!(said(&well), ("Succeeded", "Succeeded", "Done", Some(0)), "{well:?}");
    assert_eq!(output(&well), "one\ntwo [31mred[0m\nlevel debug\nthe password is ***\nno token");
    let image = well.image.as_deref().expect("an image");
    assert!(image.starts_with(&format!("{shell}@sha256:")), "{image}");
    let job = well.targets[0].job.clone().expect("a Job");
    let kept = jobs(&space).get(&job).await.expect("it is kept for a while");
    assert_eq!(kept.spec.and_then(|spec| spec.ttl_seconds_after_finished), Some(3600));

    let badly = ended_within(&space, "badly", patience).await;
    assert_eq!(said(&badly), ("Failed", "Failed", "ExitCode", Some(3)), "{badly:?}");
    assert_eq!(output(&badly), "no such table");
    assert!(
        badly.message.as_deref().is_some_and(|said| said.contains("the script ended with exit code 3")),
        "{badly:?}"
    );

    let shellless = ended_within(&space, "shellless", patience).await;
    assert_eq!(said(&shellless), ("Failed", "Failed", "CannotRun", None), "{shellless:?}");

    let long = ended_within(&space, "long", patience).await;
    assert_eq!(said(&long), ("Failed", "Failed", "TimedOut", None), "{long:?}");
    assert_eq!(output(&long), "begun");

    let job = begun(&space, "enough").await;
    let pods: Api<Pod> = space.in_environment("dev");
    let of_job = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={}", job.name_any()));
    let its_log = || async {
        let pod = pods.list(&of_job).await.ok()?.items.pop()?;
        pods.logs(&pod.name_any(), &kube::api::LogParams::default()).await.ok()
    };
    wait::eventually_within(patience, "it has begun", || async { its_log().await.filter(|log| log == "begun\n") })
        .await;
    cancel(&space, "enough").await;
    let enough = ended_within(&space, "enough", patience).await;
    assert_eq!(said(&enough), ("Canceled", "Canceled", "Canceled", None), "{enough:?}");
    assert_eq!(output(&enough), "begun");
    wait::eventually_within(patience, "its container ends", || async {
        pods.list(&of_job).await.ok()?.items.is_empty().then_some(())
    })
    .await;

    let logs = json!({"environment": "dev", "project": "checkout", "reason": "r", "logs": {"workload": "Deployment/checkout"}});
    space.apply(space.object("CommandRun", "logs", logs)).await;
    let logs = ended_within(&space, "logs", patience).await;
    assert!(output(&logs).contains("password ***") && !output(&logs).contains(SECRET), "{logs:?}");
}

// Attack T17.
#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_one_job_of_the_deployers_that_runs_as_the_console_and_is_counted() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let registry = cluster.plane.registry().host();
    let digest = push((&registry, None), ("tools", "1.0.0"), "tools").await;
    let image = format!("{registry}/checkout");
    space.environment("dev", 10).await;
    space.project("checkout", &image, json!([crate::support::manifest::config_map("settings", "x")])).await;
    let mark = cluster.plane.audit().mark();
    ask(&space, "once", json!({"image": format!("{registry}/tools:1.0.0"), "run": "ls"})).await;
    let status = ended(&space, "once").await;
    assert_eq!(said(&status), ("Succeeded", "Succeeded", "Done", Some(0)), "{status:?}");
    assert_eq!(status.image, Some(format!("{registry}/tools:1.0.0@{digest}")));
    // printf %s ls | sha256sum
    let hash = "c7b68ac37f364473e922936708e7f43c293dd07b295171566c07ff5fe024fab9";
    assert_eq!(status.script_sha256.as_deref(), Some(hash));
    let namespace = format!("{}-dev", space.name);
    let made = wait::eventually("the creation is in the audit log", || async {
        let events = cluster.plane.audit().since(mark).ok()?;
        let of = |event: &&gantry_plane::AuditEvent| {
            event.namespace == namespace && event.resource == "jobs" && event.verb == "create"
        };
        let made: Vec<_> =
            events.iter().filter(of).map(|event| (event.user.clone(), event.impersonated.clone())).collect();
        (!made.is_empty()).then_some(made)
    })
    .await;
    assert_eq!(made, [(OPERATOR.to_owned(), Some(format!("system:serviceaccount:{namespace}:gantry-deployer")))]);
    let job = jobs(&space).get(status.targets[0].job.as_deref().expect("a Job")).await.expect("it is kept");
    let pod = job.spec.expect("a spec").template.spec.expect("a pod");
    assert_eq!(pod.service_account_name.as_deref(), Some("gantry-console"));
    assert_eq!(pod.containers[0].image, status.image);
    let record = space.audit_records(AuditKind::Command).await.pop().expect("a record").spec;
    assert_eq!(record.by.map(|by| by.username).as_deref(), Some("gantry-plane-admin"));
    let command = record.command.expect("a command");
    assert_eq!((command.script_sha256.as_deref(), command.image), (Some(hash), status.image.clone()));
    assert_eq!((command.reason_given.as_str(), command.targets[0].exit_code), ("CHG-1234", Some(0)));
    let labels = format!(
        "command=\"script\",environment=\"dev\",project=\"checkout\",result=\"Succeeded\",space=\"{}\"",
        space.name
    );
    wait::eventually("it is counted", || async {
        let (_, text) = cluster.operator.get("/metrics").await.ok()?;
        text.contains(&format!("gantry_commands_total{{{labels}}} 1")).then_some(())
    })
    .await;
    space
        .apply(space.object(
            "CommandRun",
            "once",
            json!({"environment": "dev", "project": "checkout", "reason": "CHG-1234",
        "script": {"image": format!("{registry}/tools:1.0.0"), "run": "ls"}}),
        ))
        .await;
    assert_eq!(jobs(&space).list(&ListParams::default()).await.expect("Jobs").items.len(), 1, "it is the same command");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_has_no_digest_is_refused_before_anything_runs() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    space.environment("dev", 10).await;
    let image = format!("{}/tools:9.9.9", cluster.plane.registry().host());
    ask(&space, "never", json!({"image": image, "run": "ls"})).await;
    let status = ended(&space, "never").await;
    let message = status.message.unwrap_or_default();
    assert_eq!((status.phase.as_deref(), status.targets.len()), (Some("Refused"), 0));
    assert!(
        message.starts_with("spec.script.image: ") && message.contains("does not exist in its registry"),
        "{message}"
    );
    assert_eq!(jobs(&space).list(&ListParams::default()).await.expect("Jobs").items.len(), 0);
}

/// A node that takes pods and of which nobody ever hears again.
async fn vanished_node(space: &Space) {
    let nodes: Api<Node> = Api::all(space.client.clone());
    let node = json!({"metadata": {"name": "vanished"}, "status": {
        "capacity": {"cpu": "8", "memory": "16Gi", "pods": "50", "ephemeral-storage": "50Gi"},
        "allocatable": {"cpu": "8", "memory": "16Gi", "pods": "50", "ephemeral-storage": "50Gi"},
        "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2099-01-01T00:00:00Z",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "x", "message": "x"}],
    }});
    let node: Node = serde_json::from_value(node).expect("a node");
    nodes.create(&PostParams::default(), &node).await.expect("a node");
    let status = Patch::Merge(json!({"status": node.status}));
    nodes.patch_status("vanished", &PatchParams::default(), &status).await.expect("its status");
    wait::object(&nodes, "vanished", "free to take pods", |known: &Node| {
        known.spec.as_ref().is_none_or(|spec| spec.taints.as_ref().is_none_or(Vec::is_empty))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_node_takes_never_ran_and_what_somebody_deletes_or_a_node_takes_along_is_unknown() {
    let plane = shared::own(Options::default().with_simulated_nodes(0)).await;
    let _operator = Operator::start(&plane, "homeless").await;
    let space = Space::create(plane.client(&Identity::Admin).await.expect("a client")).await;
    space.environment("dev", 10).await;
    let image = format!("localhost/tools@sha256:{}", "a".repeat(64));
    let script = |timeout: &str| json!({"image": image, "run": "ls", "timeout": timeout});

    ask(&space, "homeless", script("1s")).await;
    let homeless = ended(&space, "homeless").await;
    assert_eq!(said(&homeless), ("Failed", "Failed", "Unschedulable", None), "{homeless:?}");

    ask(&space, "canceled", script("1h")).await;
    begun(&space, "canceled").await;
    cancel(&space, "canceled").await;
    let canceled = ended(&space, "canceled").await;
    assert_eq!(said(&canceled), ("Canceled", "Canceled", "Canceled", None), "{canceled:?}");

    ask(&space, "deleted", script("1h")).await;
    let job = begun(&space, "deleted").await;
    jobs(&space).delete(&job.name_any(), &DeleteParams::background()).await.expect("somebody deletes it");
    let deleted = ended(&space, "deleted").await;
    assert_eq!(said(&deleted), ("Unknown", "Unknown", "JobGone", None), "{deleted:?}");
    assert!(
        deleted.message.as_deref().is_some_and(|said| said.ends_with("it is not tried again, look there yourself"))
    );
    wait::eventually("no Job is left of them", || async {
        jobs(&space).list(&ListParams::default()).await.ok()?.items.is_empty().then_some(())
    })
    .await;

    vanished_node(&space).await;
    ask(&space, "lost", script("20s")).await;
    let lost = ended_within(&space, "lost", Duration::from_mins(5)).await;
    assert_eq!(said(&lost), ("Unknown", "Unknown", "NoAnswer", None), "{lost:?}");
}

/// What happens to the operator at the writes of a script: to say that it looks for its image, that it begins, to make the Job, to say that it
/// goes on, to record what came of it, to say it, to let go of the command.
const DEATHS: [(usize, Moment, &str, usize); 13] = [
    (1, Moment::Before, "Succeeded", 1),
    (1, Moment::AfterCommit, "Succeeded", 1),
    (2, Moment::Before, "Succeeded", 1),
    // It had begun, and nobody knows what the dead one still did.
    (2, Moment::AfterCommit, "Unknown", 0),
    (3, Moment::Before, "Unknown", 0),
    (3, Moment::AfterCommit, "Succeeded", 1),
    (4, Moment::Before, "Succeeded", 1),
    (4, Moment::AfterCommit, "Succeeded", 1),
    (5, Moment::Before, "Succeeded", 1),
    (5, Moment::AfterCommit, "Succeeded", 1),
    (6, Moment::AfterCommit, "Succeeded", 1),
    (7, Moment::Before, "Succeeded", 1),
    (7, Moment::AfterCommit, "Succeeded", 1),
];

/// What goes wrong with the making of the Job.
const FAULTS: [(Fault, &str, usize); 6] = [
    (Fault::Refused(409), "Failed", 0),
    (Fault::Refused(403), "Failed", 0),
    (Fault::Refused(500), "Unknown", 0),
    (Fault::Unanswered, "Succeeded", 1),
    (Fault::FailedAfterCommit, "Succeeded", 1),
    (Fault::Repeated, "Succeeded", 1),
];

/// A space with an environment, where nothing more is written.
async fn at_rest(world: &World) -> Space {
    let space = Space::create(world.client.clone()).await;
    space.environment("dev", 10).await;
    space
}

async fn checked(world: &World, space: &Space, (what, phase, made): (&str, &str, usize)) {
    let status = ended(space, "once").await;
    let events = world.plane.audit().since(gantry_plane::AuditMark::default()).expect("the audit log");
    let namespace = format!("{}-dev", space.name);
    let jobs = events
        .iter()
        .filter(|event| {
            event.namespace == namespace && event.resource == "jobs" && event.verb == "create" && event.code == 201
        })
        .count();
    assert_eq!((status.phase.as_deref(), jobs), (Some(phase), made), "{what}: {status:?}");
    let records = space.audit_records(AuditKind::Command).await;
    let recorded: Vec<_> =
        records.iter().filter_map(|record| Some(record.spec.command.as_ref()?.phase.as_str())).collect();
    assert_eq!(recorded, [phase], "{what}: each end is recorded once");
    wait::object(&space.api(), "once", "let go", |known: &CommandRun| known.finalizers().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_runs_at_most_once_whatever_happens_and_unknown_is_an_end() {
    let world = World::start("scripts").await;
    let image = format!("localhost/tools@sha256:{}", "a".repeat(64));
    let script = json!({"image": image, "run": "ls", "timeout": "10m"});
    let spaces = join_all(DEATHS.iter().map(|_| at_rest(&world))).await;
    let faulty = join_all(FAULTS.iter().map(|_| at_rest(&world))).await;
    quiet::until_quiet(&world.plane).await;
    for ((n, moment, ..), space) in DEATHS.iter().zip(&spaces) {
        world.proxy.arm(&space.name, *n, *moment);
        ask(space, "once", script.clone()).await;
    }
    assert_eq!(world.proxy.until_stopped().await, DEATHS.len());
    world.operator.kill(&world.plane);
    world.proxy.disarm();
    world.operator.resume(&world.plane).await;
    for ((n, moment, phase, made), space) in DEATHS.iter().zip(&spaces) {
        checked(&world, space, (&format!("{n} {moment:?}"), phase, *made)).await;
    }
    world.proxy.forget();
    for ((fault, ..), space) in FAULTS.iter().zip(&faulty) {
        world.proxy.fail(&space.name, 3, *fault);
        ask(space, "once", script.clone()).await;
    }
    for ((fault, phase, made), space) in FAULTS.iter().zip(&faulty) {
        checked(&world, space, (&format!("{fault:?}"), phase, *made)).await;
        assert!(world.proxy.has_reached(&space.name), "{fault:?} happened");
    }
    quiet::until_quiet(&world.plane).await;
    world.stop_watching();
}
