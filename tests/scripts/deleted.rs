//! Whoever deletes a command that has not ended cancels it: its Job goes, its end is recorded, and then it is gone. A space that is deleted
//! does not wait for more than that.

use futures::future::join_all;
use gantry::api::RECORDED_FINALIZER;
use gantry::api::condition::{self, ConditionType};
use gantry::api::v1alpha1::audit_command::CommandPart;
use gantry::api::v1alpha1::audit_record::AuditKind;
use gantry::api::v1alpha1::{CommandRun, Environment};
use gantry_plane::{Identity, Options};
use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::{ask, at_rest, begun, cancel, ended, jobs};
use crate::support::operator::Operator;
use crate::support::proxy::Moment;
use crate::support::quiet;
use crate::support::shared;
use crate::support::space::Space;
use crate::support::story::World;
use crate::support::wait;

/// A script that runs until it is stopped, where no node takes it.
fn endless() -> Value {
    json!({"image": format!("localhost/tools@sha256:{}", "a".repeat(64)), "run": "ls", "timeout": "6h"})
}

async fn delete(space: &Space, name: &str) {
    space.api::<CommandRun>().delete(name, &DeleteParams::default()).await.expect("an administrator may");
}

async fn no_job_is_left(space: &Space) {
    wait::eventually("no Job is left", || async {
        jobs(space).list(&ListParams::default()).await.ok()?.items.is_empty().then_some(())
    })
    .await;
}

/// Who asked for a command and what its one record says.
async fn recorded(space: &Space, name: &str) -> (Option<String>, CommandPart) {
    let of_it = |records: Vec<gantry::api::v1alpha1::AuditRecord>| -> Vec<_> {
        let is_its = |object: &gantry::api::v1alpha1::audit_object::AuditObject| object.name == name;
        records.into_iter().map(|record| record.spec).filter(|spec| spec.object.as_ref().is_some_and(is_its)).collect()
    };
    let mut records = of_it(space.audit_records(AuditKind::Command).await);
    assert_eq!(records.len(), 1, "{name} is recorded once: {records:?}");
    let record = records.remove(0);
    (record.by.map(|by| by.username), record.command.expect("a command"))
}

async fn canceled_by(space: &Space, name: &str, says: &str) {
    let (by, part) = recorded(space, name).await;
    assert_eq!(by.as_deref(), Some("gantry-plane-admin"), "who asked");
    assert_eq!((part.phase.as_str(), part.reason_given.as_str()), ("Canceled", "CHG-1234"));
    let row = &part.targets[0];
    assert_eq!((row.phase.as_str(), row.reason.as_deref()), ("Canceled", Some("Canceled")));
    assert!(part.message.contains(says), "{}", part.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_deleted_is_stopped_and_recorded_before_it_is_gone() {
    let plane = shared::own(Options::default().with_simulated_nodes(0)).await;
    let operator = Operator::start(&plane, "deleted").await;
    let space = Space::create(plane.client(&Identity::Admin).await.expect("a client")).await;
    space.environment("dev", 10).await;
    let commands: Api<CommandRun> = space.api();

    ask(&space, "running", endless()).await;
    begun(&space, "running").await;
    assert_eq!(commands.get("running").await.expect("it").finalizers(), [RECORDED_FINALIZER]);
    delete(&space, "running").await;
    wait::gone(&commands, "running").await;
    no_job_is_left(&space).await;
    canceled_by(&space, "running", "the command was deleted after it had begun: its Job was deleted").await;

    // One that has ended keeps nobody waiting.
    ask(&space, "ended", endless()).await;
    begun(&space, "ended").await;
    cancel(&space, "ended").await;
    ended(&space, "ended").await;
    wait::object(&commands, "ended", "recorded", |known: &CommandRun| known.finalizers().is_empty()).await;
    canceled_by(&space, "ended", "canceled after it had begun").await;

    // The environment keeps its accounts for what is carried out with them.
    ask(&space, "last", endless()).await;
    begun(&space, "last").await;
    let environments: Api<Environment> = space.api();
    environments.delete("dev", &DeleteParams::default()).await.expect("an administrator may");
    wait::object(&environments, "dev", "waiting", |known: &Environment| {
        let conditions = known.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let why = condition::find(conditions, ConditionType::Reconciling);
        why.is_some_and(|why| why.reason == "CommandRunning" && why.message.contains("once command last has ended"))
    })
    .await;
    delete(&space, "last").await;
    wait::gone(&environments, "dev").await;
    no_job_is_left(&space).await;
    canceled_by(&space, "last", "the command was deleted after it had begun: its Job was deleted").await;

    space.environment("dev", 10).await;
    operator.kill(&plane);
    ask(&space, "waiting", endless()).await;
    delete(&space, "waiting").await;
    let kept = commands.get("waiting").await.expect("it waits for its record");
    assert!(kept.metadata.deletion_timestamp.is_some() && kept.finalizers() == [RECORDED_FINALIZER], "{kept:?}");
    operator.resume(&plane).await;
    wait::gone(&commands, "waiting").await;
    canceled_by(&space, "waiting", "the command was deleted before it began").await;
    assert!(jobs(&space).list(&ListParams::default()).await.expect("Jobs").items.is_empty(), "nothing began");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_that_is_deleted_while_a_script_runs_goes_with_it_and_its_record_is_in_the_log() {
    let plane = shared::own(Options::default().with_simulated_nodes(0)).await;
    let operator = Operator::start(&plane, "deleted").await;
    let client = plane.client(&Identity::Admin).await.expect("a client");
    let (space, held) = (Space::create(client.clone()).await, Space::create(client.clone()).await);
    for space in [&space, &held] {
        space.environment("dev", 10).await;
        ask(space, "running", endless()).await;
        begun(space, "running").await;
    }
    nobody_deletes_jobs(&held).await;
    let mut uids = Vec::new();
    for space in [&space, &held] {
        uids.push(space.api::<CommandRun>().get("running").await.expect("it").uid().expect("a UID"));
    }
    let namespaces: Api<Namespace> = Api::all(client);
    for space in [&space, &held] {
        namespaces.delete(&space.name, &DeleteParams::default()).await.expect("deleted");
    }
    for space in [&space, &held] {
        wait::gone(&namespaces, &space.name).await;
    }
    no_job_is_left(&space).await;
    let log = operator.log(&plane);
    let told = |uid: &str| {
        let name = format!("command-{uid}");
        let mut lines = log.lines().filter(|line| line.contains(&name) && line.contains("this is its audit record"));
        lines.next().unwrap_or_else(|| panic!("{name} is not in the log:\n{log}")).to_owned()
    };
    assert!(told(&uids[0]).contains("Canceled"), "{}", told(&uids[0]));
    assert!(told(&uids[1]).contains("Unknown"), "{}", told(&uids[1]));
}

/// Somebody's policy lets no Job of a space's environments be deleted.
async fn nobody_deletes_jobs(space: &Space) {
    let rule = json!({"apiGroups": ["batch"], "apiVersions": ["*"], "operations": ["DELETE"], "resources": ["jobs"]});
    let of_space = json!({"matchLabels": {"gantry.dev/space": space.name}});
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
    "metadata": {"name": "keeps-jobs"}, "spec": {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": of_space},
        "validations": [{"expression": "false", "message": "every Job is kept"}],
    }});
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "keeps-jobs"}, "spec": {"policyName": "keeps-jobs", "validationActions": ["Deny"]}});
    space.apply(policy).await;
    space.apply(binding).await;
    let job = jobs(space).list(&ListParams::default()).await.expect("Jobs").items.remove(0).name_any();
    wait::eventually("the policy acts", || async {
        let try_only = DeleteParams { dry_run: true, ..DeleteParams::default() };
        let refused = jobs(space).delete(&job, &try_only).await.err()?;
        refused.to_string().contains("every Job is kept").then_some(())
    })
    .await;
}

/// What happens to the operator at its writes once a command is deleted: to say that it stops it, to delete the Job, to record the end, to
/// say it, to let go of the command.
const DEATHS: [(usize, Moment); 6] = [
    (1, Moment::Before),
    (1, Moment::AfterCommit),
    (2, Moment::AfterCommit),
    (3, Moment::AfterCommit),
    (4, Moment::AfterCommit),
    (5, Moment::AfterCommit),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_deleted_is_recorded_once_whenever_the_operator_dies() {
    let world = World::start("deleted").await;
    let nodes: Api<Node> = Api::all(world.client.clone());
    for node in nodes.list(&ListParams::default()).await.expect("nodes") {
        let cordon = Patch::Merge(json!({"spec": {"unschedulable": true}}));
        nodes.patch(&node.name_any(), &PatchParams::default(), &cordon).await.expect("an administrator may");
    }
    let spaces = join_all(DEATHS.iter().map(|_| at_rest(&world))).await;
    for space in &spaces {
        ask(space, "once", endless()).await;
        begun(space, "once").await;
    }
    quiet::until_quiet(&world.plane).await;
    for ((n, moment), space) in DEATHS.iter().zip(&spaces) {
        world.proxy.arm(&space.name, *n, *moment);
        delete(space, "once").await;
    }
    assert_eq!(world.proxy.until_stopped().await, DEATHS.len());
    world.operator.kill(&world.plane);
    world.proxy.disarm();
    world.operator.resume(&world.plane).await;
    for space in &spaces {
        wait::gone(&space.api::<CommandRun>(), "once").await;
        no_job_is_left(space).await;
        canceled_by(space, "once", "the command was deleted after it had begun").await;
    }
    world.stop_watching();
}
