//! Everything that happens and is no promotion is recorded, each once and with who did it: on the real API server, with people's own
//! certificates.

mod twins;

use std::collections::BTreeSet;

use gantry::api::v1alpha1::audit_record::AuditKind;
use gantry::api::v1alpha1::{AuditRecord, AuditRecordSpec, Environment, Freeze, Lifecycle, Promotion, Release};
use gantry_plane::{Identity, Options, Plane};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::support::manifest::config_map;
use crate::support::operator::Operator;
use crate::support::quiet;
use crate::support::sealed;
use crate::support::shared::{self, shared};
use crate::support::space::Space;
use crate::support::story::World;
use crate::support::wait;

/// Gives somebody a role in a space, and a client.
async fn person(plane: &Plane, space: &Space, name: &str, role: &str) -> Client {
    space
        .apply(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": format!("{role}-{name}"), "namespace": space.name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
        }))
        .await;
    plane.client(&Identity::user(name)).await.expect("a client")
}

/// Merges a change into a spec, once the right to do so is known.
async fn change<K>(client: &Client, space: &Space, name: &str, spec: Value)
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), &space.name);
    let patch = Patch::Merge(json!({"spec": spec}));
    wait::eventually("the right is known", || async { api.patch(name, &PatchParams::default(), &patch).await.ok() })
        .await;
}

/// Waits for the records of one kind of one object, in their order, and gives back who did what.
async fn told(space: &Space, kind: AuditKind, object: &str, count: usize) -> Vec<String> {
    let mut records = wait::eventually(&format!("{count} records of {object}"), || async {
        let mut records = space.audit_records(kind).await;
        records.retain(|record| record.spec.object.as_ref().is_some_and(|known| known.name == object));
        (records.len() >= count).then_some(records)
    })
    .await;
    let order = |record: &AuditRecord| {
        let generation = record.spec.object.as_ref().and_then(|object| object.generation);
        (generation.unwrap_or(i64::MAX), record.spec.at.clone())
    };
    records.sort_by_key(order);
    records.iter().map(sentence).collect()
}

fn sentence(record: &AuditRecord) -> String {
    let spec = &record.spec;
    let by = spec.by.as_ref().map_or("nobody", |by| by.username.as_str());
    let missed = |since: Option<i64>| since.map(|since| format!(" after {since}")).unwrap_or_default();
    let generation = spec.object.as_ref().and_then(|object| object.generation).unwrap_or_default();
    let what = match (&spec.change, &spec.block, &spec.provisioning) {
        (_, Some(part), _) if part.deleted => "deleted while it was blocked".to_owned(),
        (Some(part), _, _) => format!("{} {generation}{}", part.action, missed(part.missed_since)),
        (_, Some(part), _) => format!("blocked {} {generation}{}", part.blocked, missed(part.missed_since)),
        (_, _, Some(part)) => format!("{} {}", part.action, part.objects.join(", ")),
        (None, None, None) => decision(spec).unwrap_or_else(|| "nothing".to_owned()),
    };
    format!("{by}: {what}").replace(record.metadata.namespace.as_deref().unwrap_or_default(), "SPACE")
}

fn decision(spec: &AuditRecordSpec) -> Option<String> {
    let approved =
        spec.approval.as_ref().map(|part| format!("{}, which counts: {}", word(&part.decision), part.counted));
    let overridden = spec.overridden.as_ref().map(|part| format!("overrides {}", part.freezes.join(", ")));
    let command = spec.command.as_ref();
    let command =
        command.map(|part| format!("had {} of {}", part.command, part.workload.as_deref().unwrap_or_default()));
    approved.or(overridden).or(command).or_else(|| spec.ended.as_ref().map(|ended| ended.phase.clone()))
}

fn word(decision: &str) -> &str {
    if decision == "Approve" { "approved" } else { "rejected" }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_of_what_gates_look_at_is_recorded_once_with_its_author_and_its_end() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let dora = person(&cluster.plane, &space, "dora", "gantry-space-admin").await;
    space.environment("dev", 10).await;
    change::<Environment>(&dora, &space, "dev", json!({"approvals": {"required": 1}})).await;
    // One after the other, faster than anybody could read them.
    let environments: Api<Environment> = space.api();
    for order in 11..=14 {
        let patch = Patch::Merge(json!({"spec": {"order": order}}));
        environments.patch("dev", &PatchParams::default(), &patch).await.expect("a change");
    }
    let expected = [
        "gantry-plane-admin: Created 1",
        "dora: Changed 2",
        "gantry-plane-admin: Changed 3",
        "gantry-plane-admin: Changed 4",
        "gantry-plane-admin: Changed 5",
        "gantry-plane-admin: Changed 6",
    ];
    assert_eq!(told(&space, AuditKind::Change, "dev", 6).await, expected);
    let records = space.audit_records(AuditKind::Change).await;
    let by_dora = records.iter().find(|record| record.spec.by.as_ref().is_some_and(|by| by.username == "dora"));
    let part = by_dora.and_then(|record| record.spec.change.clone()).expect("a change");
    assert!(part.spec.is_some_and(|spec| spec.contains(r#""required":1"#)), "what it says is kept");

    let phases = json!([{"name": "dev", "environments": ["dev"]}]);
    space.apply(space.object("Lifecycle", "standard", json!({"phases": phases}))).await;
    told(&space, AuditKind::Change, "standard", 1).await;
    let lifecycles: Api<Lifecycle> = Api::namespaced(dora, &space.name);
    lifecycles.delete("standard", &DeleteParams::default()).await.expect("deleted");
    let expected = ["gantry-plane-admin: Created 1", "nobody: Deleted 0"];
    assert_eq!(told(&space, AuditKind::Change, "standard", 2).await, expected, "the API server's log says who");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_blocked_a_release_and_who_let_it_go_on_is_recorded() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let alice = person(&cluster.plane, &space, "alice", "gantry-releaser").await;
    space.apply(space.object("Release", "checkout-1.0.0", json!({"project": "checkout", "version": "1.0.0"}))).await;
    change::<Release>(&alice, &space, "checkout-1.0.0", json!({"blocked": {"reason": "bug 42"}})).await;
    change::<Release>(&space.client, &space, "checkout-1.0.0", json!({"blocked": null})).await;
    let expected = ["alice: blocked true 2", "gantry-plane-admin: blocked false 3"];
    assert_eq!(told(&space, AuditKind::Block, "checkout-1.0.0", 2).await, expected);

    // A block goes with its release.
    change::<Release>(&alice, &space, "checkout-1.0.0", json!({"blocked": {"reason": "bug 43"}})).await;
    told(&space, AuditKind::Block, "checkout-1.0.0", 3).await;
    space.api::<Release>().delete("checkout-1.0.0", &DeleteParams::default()).await.expect("an administrator may");
    let all = told(&space, AuditKind::Block, "checkout-1.0.0", 4).await;
    assert_eq!(all[2..], ["alice: blocked true 4", "nobody: deleted while it was blocked"]);
    let records = space.audit_records(AuditKind::Block).await;
    let part = records.into_iter().filter_map(|record| record.spec.block).find(|part| part.deleted).expect("its end");
    assert_eq!((part.version.as_str(), part.blocked, part.reason.as_deref()), ("1.0.0", false, Some("bug 43")));
    let witness = part.witness.expect("who knows it");
    assert!(witness.contains("deletecollection of releases.gantry.dev in namespace"), "{witness}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_freezes_is_recorded_although_the_operator_dies_when_the_promotion_has_ended() {
    let world = World::start("override").await;
    let space = Space::create(world.client.clone()).await;
    space.environment("dev", 10).await;
    let spec = json!({"process": [{"name": "deploy", "apply": {"manifests": [config_map("settings", "x")]}}]});
    space.apply(space.object("Project", "checkout", spec)).await;
    space.apply(space.object("Release", "checkout-1.0.0", json!({"project": "checkout", "version": "1.0.0"}))).await;
    space.sealed("checkout-1.0.0").await;
    quiet::until_quiet(&world.plane).await;
    // The first one that is written is that of the override.
    let mut held = world.proxy.hold("/auditrecords");
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "dev",
        "freezeOverride": {"names": ["year-end"], "reason": "CHG-1"}});
    space.apply(space.object("Promotion", "urgent", spec)).await;
    held.reached().await;
    let ended = space.ended("urgent").await.status.expect("a status");
    assert_eq!(ended.phase.as_deref(), Some("Succeeded"), "{:?}", ended.message);
    world.operator.kill(&world.plane);
    world.operator.resume(&world.plane).await;
    wait::object(&space.api(), "urgent", "recorded", |known: &Promotion| known.metadata.finalizers.is_none()).await;
    let all = space.audit_records(AuditKind::Override).await;
    assert_eq!(all.iter().map(sentence).collect::<Vec<_>>(), ["gantry-plane-admin: overrides year-end"]);
    assert_eq!(space.audit_records(AuditKind::Promotion).await.len(), 1);
    drop(held);
    world.stop_watching();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_made_a_freeze_and_who_passed_it_is_recorded() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let dora = person(&cluster.plane, &space, "dora", "gantry-space-admin").await;
    space.environment("dev", 10).await;
    let freeze = json!({"start": "2020-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z", "reason": "nobody is there"});
    space.apply(space.object("Freeze", "year-end", freeze)).await;
    change::<Freeze>(&dora, &space, "year-end", json!({"environments": ["dev"]})).await;
    let expected = ["gantry-plane-admin: Created 1", "dora: Changed 2"];
    assert_eq!(told(&space, AuditKind::Change, "year-end", 2).await, expected);

    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "dev",
        "freezeOverride": {"names": ["year-end"], "reason": "CHG-1"}});
    space.apply(space.object("Promotion", "urgent", spec)).await;
    told(&space, AuditKind::Override, "urgent", 1).await;
    let record = space.audit_records(AuditKind::Override).await.pop().expect("a record").spec;
    let part = record.overridden.expect("an override");
    assert_eq!((part.freezes, part.reason.as_str()), (vec!["year-end".to_owned()], "CHG-1"));
    assert_eq!(record.by.map(|by| by.username).as_deref(), Some("gantry-plane-admin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_no_operator_ran_is_recorded_as_what_is_known_of_it() {
    let plane = shared::own(Options::default().with_simulated_nodes(0)).await;
    let operator = Operator::start(&plane, "records").await;
    let client = plane.client(&Identity::Admin).await.expect("a client");
    let space = Space::create(client).await;
    space.environment("dev", 10).await;
    let phases = json!([{"name": "dev", "environments": ["dev"]}]);
    space.apply(space.object("Lifecycle", "standard", json!({"phases": phases}))).await;
    space.apply(space.object("Lifecycle", "again", json!({"phases": phases}))).await;
    for object in ["dev", "standard", "again"] {
        told(&space, AuditKind::Change, object, 1).await;
    }
    let releases: Api<Release> = space.api();
    for (version, blocks) in [("1.0.0", 1), ("2.0.0", 2)] {
        let name = format!("checkout-{version}");
        space.apply(space.object("Release", &name, json!({"project": "checkout", "version": version}))).await;
        for blocked in [json!({"reason": "bug 42"}), Value::Null].into_iter().take(blocks) {
            change::<Release>(&space.client, &space, &name, json!({ "blocked": blocked })).await;
        }
        told(&space, AuditKind::Block, &name, blocks).await;
    }
    operator.kill(&plane);
    for version in ["1.0.0", "2.0.0"] {
        let name = format!("checkout-{version}");
        releases.delete(&name, &DeleteParams::default()).await.expect("an administrator may");
    }
    let environments: Api<Environment> = space.api();
    for order in [20, 30] {
        let patch = Patch::Merge(json!({"spec": {"order": order}}));
        environments.patch("dev", &PatchParams::default(), &patch).await.expect("a change");
    }
    let lifecycles: Api<Lifecycle> = space.api();
    for lifecycle in ["standard", "again"] {
        lifecycles.delete(lifecycle, &DeleteParams::default()).await.expect("deleted");
    }
    space.apply(space.object("Lifecycle", "again", json!({"phases": phases}))).await;
    operator.resume(&plane).await;
    let expected = ["gantry-plane-admin: Created 1", "gantry-plane-admin: Changed 3 after 2"];
    assert_eq!(told(&space, AuditKind::Change, "dev", 2).await, expected);
    let expected = ["gantry-plane-admin: Created 1", "nobody: Deleted 0"];
    assert_eq!(told(&space, AuditKind::Change, "standard", 2).await, expected);
    let expected = ["gantry-plane-admin: Created 1", "gantry-plane-admin: Created 1", "nobody: Deleted 0"];
    assert_eq!(told(&space, AuditKind::Change, "again", 3).await, expected, "another one has its name");

    let expected = ["gantry-plane-admin: blocked true 2", "nobody: deleted while it was blocked"];
    assert_eq!(told(&space, AuditKind::Block, "checkout-1.0.0", 2).await, expected);
    let blocks = told(&space, AuditKind::Block, "checkout-2.0.0", 2).await;
    assert_eq!(blocks.len(), 2, "it went on before it was deleted: {blocks:?}");

    // A restart alone records nothing.
    let before = space.audit_records(AuditKind::Change).await.len();
    operator.kill(&plane);
    operator.resume(&plane).await;
    change::<Environment>(&space.client, &space, "dev", json!({"order": 40})).await;
    told(&space, AuditKind::Change, "dev", 3).await;
    assert_eq!(space.audit_records(AuditKind::Change).await.len(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_claimed_and_each_thing_that_is_put_back_in_it_is_recorded() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    space.environment("dev", 10).await;
    let namespace = format!("{}-dev", space.name);
    let bindings: Api<RoleBinding> = Api::namespaced(space.client.clone(), &namespace);
    for times in 1..=2 {
        let before = bindings.get("gantry-impersonator").await.expect("a binding").metadata.uid;
        bindings.delete("gantry-impersonator", &DeleteParams::default()).await.expect("deleted");
        wait::object(&bindings, "gantry-impersonator", "made again", |known: &RoleBinding| {
            known.metadata.uid != before
        })
        .await;
        told(&space, AuditKind::Provisioning, "dev", 1 + times).await;
        wait::object(&space.api(), "dev", "corrected", |known: &Environment| {
            let corrections = known.status.as_ref().and_then(|status| status.corrections.as_ref());
            corrections
                .is_some_and(|known| known.underway.is_empty() && known.number == i64::try_from(times).expect("few"))
        })
        .await;
    }
    let restored = "nobody: Corrected RoleBinding SPACE-dev/gantry-impersonator";
    let expected = ["nobody: Claimed namespace SPACE-dev", restored, restored];
    assert_eq!(told(&space, AuditKind::Provisioning, "dev", 3).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_any_kind_is_sealed_once() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    space.environment("dev", 10).await;
    let names = sealed::everything(&space).await;
    assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len(), "each once: {names:?}");
    let of = |kind: &str| names.iter().filter(|name| name.starts_with(kind)).count();
    assert_eq!((of("change-"), of("provisioning-")), (1, 1), "{names:?}");
}
