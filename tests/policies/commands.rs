//! Who may run which command, and that nobody runs one in another's name.

use gantry::api::RECORDED_FINALIZER;
use gantry::api::v1alpha1::CommandRun;
use gantry_plane::Identity;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::{DryRun, Shop, client, create, person_may, with};
use crate::support::wait;

fn command(shop: &Shop, name: &str, more: Value) -> Value {
    let spec = json!({"environment": "dev", "project": "checkout", "reason": "CHG-1"});
    shop.space.object("CommandRun", name, with(spec, more))
}

fn restart() -> Value {
    json!({"restart": {"workload": "Deployment/checkout"}})
}

fn logs() -> Value {
    json!({"logs": {"workload": "Deployment/checkout"}})
}

fn script() -> Value {
    json!({"script": {"image": "localhost/tools:1", "run": "ls"}})
}

// Attack T18.
#[tokio::test(flavor = "multi_thread")]
async fn a_script_needs_the_verb_run_which_no_shipped_role_has() {
    let shop = Shop::open().await;
    for role in ["gantry-developer", "gantry-approver", "gantry-space-admin"] {
        shop.space.apply(person_may(&shop.space.name, role, "alice")).await;
    }
    wait::eventually("alice may restart", || async {
        create(&shop.alice, command(&shop, "x", restart()), DryRun::Yes).await.ok()
    })
    .await;
    for person in [&shop.alice, &shop.mallory] {
        let said = create(person, command(&shop, "x", script()), DryRun::Yes).await.expect_err("nobody may");
        assert!(said.contains("may not use the command script in dev; ask"), "{said}");
        assert!(said.contains("verb run on environments.gantry.dev/dev in namespace"), "{said}");
    }
    let rules = json!([{"apiGroups": ["gantry.dev"], "resources": ["environments"], "resourceNames": ["dev"], "verbs": ["run"]}]);
    shop.space
        .apply(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "runs-scripts-in-dev"}, "rules": rules}))
        .await;
    shop.space.apply(person_may(&shop.space.name, "runs-scripts-in-dev", "alice")).await;
    wait::eventually("who was given the verb on one environment may there", || async {
        create(&shop.alice, command(&shop, "x", script()), DryRun::Yes).await.ok()
    })
    .await;
    let elsewhere = with(script(), json!({"environment": "production"}));
    create(&shop.alice, command(&shop, "x", elsewhere), DryRun::Yes).await.expect_err("and nowhere else");
}

// Attack T18.
#[tokio::test(flavor = "multi_thread")]
async fn each_command_needs_its_verb_on_the_environment_and_shipped_roles_have_them() {
    let shop = Shop::open().await;
    for (what, verb) in [(restart(), "restart"), (logs(), "logs")] {
        let said = create(&shop.mallory, command(&shop, "x", what.clone()), DryRun::Yes).await;
        let said = said.expect_err("mallory may write every kind");
        let expected = format!("spec.environment: mallory may not use the command {verb} in dev; ask");
        assert!(said.contains(&expected), "{said}");
        assert!(said.contains(&format!("verb {verb} on environments.gantry.dev/dev in namespace")), "{said}");
        wait::eventually("a releaser may", || async {
            create(&shop.alice, command(&shop, "x", what.clone()), DryRun::Yes).await.ok()
        })
        .await;
    }
    shop.space.apply(person_may(&shop.space.name, "gantry-developer", "dora")).await;
    let dora = client(shop.plane, &Identity::user("dora")).await;
    wait::eventually("a developer may read logs", || async {
        create(&dora, command(&shop, "x", logs()), DryRun::Yes).await.ok()
    })
    .await;
    create(&dora, command(&shop, "x", restart()), DryRun::Yes).await.expect_err("and restarts nothing");
    create(&shop.operator, command(&shop, "x", logs()), DryRun::Yes).await.expect_err("the operator asks for nothing");
}

// Attacks T1, T18.
#[tokio::test(flavor = "multi_thread")]
async fn who_asked_is_whom_the_api_server_authenticated_and_to_cancel_needs_the_same_right() {
    let shop = Shop::open().await;
    let forged = command(&shop, "once", with(restart(), json!({"by": {"username": "bob", "uid": "1"}})));
    let object: CommandRun = serde_json::from_value(forged).expect("a command");
    let commands = |client: &kube::Client| -> Api<CommandRun> { Api::namespaced(client.clone(), &shop.space.name) };
    let made = wait::eventually("alice may, and is stamped", || async {
        commands(&shop.alice).create(&PostParams::default(), &object).await.ok()
    })
    .await;
    let by = made.spec.by.clone().expect("a stamp");
    assert_eq!((by.username.as_str(), by.uid), ("alice", None));
    let patch = |client: &kube::Client, change: Value| {
        let (api, change) = (commands(client), Patch::Merge(json!({"spec": change})));
        async move { api.patch("once", &PatchParams::default(), &change).await.map_err(|error| error.to_string()) }
    };
    for change in [json!({"by": {"username": "mallory"}}), json!({"by": null})] {
        let same = patch(&shop.mallory, change).await.expect("no change");
        assert_eq!((same.spec, same.metadata.generation), (made.spec.clone(), Some(1)));
    }
    let cancel = json!({"cancel": {"reason": "no"}});
    let said = patch(&shop.mallory, cancel.clone()).await.expect_err("mallory may not cancel");
    assert!(said.contains("mallory may not use the command restart in dev"), "{said}");
    patch(&shop.alice, cancel).await.expect("alice may");
    patch(&shop.alice, json!({"cancel": null})).await.expect_err("it cannot be taken back");
}

// Attacks T18, T19.
#[tokio::test(flavor = "multi_thread")]
async fn to_delete_a_command_before_its_end_needs_its_verb_and_only_the_operator_lets_it_go() {
    let shop = Shop::open().await;
    let commands = |client: &kube::Client| -> Api<CommandRun> { Api::namespaced(client.clone(), &shop.space.name) };
    wait::eventually("alice may", || async {
        create(&shop.alice, command(&shop, "once", restart()), DryRun::No).await.ok()
    })
    .await;
    let patch = |client: &kube::Client, change: Value| {
        let (api, change) = (commands(client), Patch::Merge(change));
        async move { api.patch("once", &PatchParams::default(), &change).await.map_err(|error| error.to_string()) }
    };
    let without = json!({"metadata": {"finalizers": null}});
    for person in [&shop.alice, &shop.mallory, &shop.space.client] {
        let kept = patch(person, without.clone()).await.expect("it is put back");
        assert_eq!(kept.finalizers(), [RECORDED_FINALIZER]);
    }
    let said = commands(&shop.mallory).delete("once", &DeleteParams::default()).await;
    let said = said.expect_err("to delete it is to cancel it").to_string();
    assert!(said.contains("mallory may not use the command restart in dev; ask an administrator"), "{said}");
    let said = commands(&shop.mallory).delete_collection(&DeleteParams::default(), &ListParams::default()).await;
    assert!(
        said.is_err()
            || commands(&shop.alice).get("once").await.is_ok_and(|known| known.metadata.deletion_timestamp.is_none()),
        "{said:?}"
    );
    let canceled = json!({"spec": {"cancel": {"reason": "mine"}}});
    let said = patch(&shop.operator, canceled).await.expect_err("it decides nothing");
    assert!(said.contains("may not use the command restart in dev"), "{said}");

    commands(&shop.alice).delete("once", &DeleteParams::default()).await.expect("alice may");
    let kept = patch(&shop.alice, without.clone()).await.expect("it is put back");
    assert!(kept.metadata.deletion_timestamp.is_some() && kept.finalizers() == [RECORDED_FINALIZER], "{kept:?}");
    patch(&shop.operator, without).await.expect("the operator has recorded it");
    wait::gone(&commands(&shop.alice), "once").await;
}
