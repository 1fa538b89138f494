//! Gantry lets go of a cluster: afterwards nothing that is deleted waits for it.

use std::process::Output;

use gantry::api::crds;
use gantry::api::v1alpha1::{CommandRun, Environment, Promotion};
use gantry_plane::{Identity, Options};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::support::manifest::failing;
use crate::support::operator::Operator;
use crate::support::shared;
use crate::support::space::Space;
use crate::support::wait;

fn said(output: &Output) -> (bool, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn after_gantry_let_go_its_definitions_and_every_space_can_be_deleted() {
    let plane = shared::own(Options::default()).await;
    let operator = Operator::start(&plane, "uninstall").await;
    let client = plane.client(&Identity::Admin).await.expect("a client");
    let space = Space::create(client.clone()).await;
    let image = format!("{}/checkout", plane.registry().host());
    space.environment("dev", 10).await;
    space.project("checkout", &image, json!([failing("checkout", &image, "never-ready")])).await;
    let packages = json!([{"name": "api", "version": "1.0.0", "digest": format!("sha256:{}", "a".repeat(64))}]);
    let spec = json!({"project": "checkout", "version": "1.0.0", "packages": packages});
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    let running = space.promote("checkout", "1.0.0", "dev").await;
    wait::object(&space.in_environment::<Deployment>("dev"), "checkout", "applied", |_| true).await;

    let kubeconfig = plane.kubeconfig(&Identity::Admin).await.expect("a kubeconfig");
    let uninstall = |more: &[&str]| {
        let mut gantry = std::process::Command::new(env!("CARGO_BIN_EXE_gantry"));
        said(&gantry.arg("uninstall").arg("--kubeconfig").arg(&kubeconfig).args(more).output().expect("gantry runs"))
    };
    let (done, told) = uninstall(&["--yes"]);
    assert!(!done && told.contains("the operator still runs") && told.contains("kubectl scale deployment"), "{told}");

    operator.kill(&plane);
    let logs = json!({"workload": "Deployment/checkout"});
    let spec = json!({"environment": "dev", "project": "checkout", "reason": "CHG-1", "logs": logs});
    space.apply(space.object("CommandRun", "look", spec)).await;
    let promotions: Api<Promotion> = space.api();
    let told = wait::eventually("its Lease has expired", || async {
        let (done, told) = uninstall(&[]);
        done.then_some(told)
    })
    .await;
    assert!(told.contains("Nothing was done; give --yes"), "{told}");
    let held = [("Promotion", running.as_str()), ("CommandRun", "look"), ("Environment", "dev")];
    for held in held.map(|(kind, name)| format!("{kind} {}/{name}", space.name)) {
        assert!(told.contains(&format!("{held} waits for Gantry no more")), "{told}");
    }
    assert_eq!(promotions.get(&running).await.expect("it").finalizers(), ["gantry.dev/recorded"]);

    let (done, told) = uninstall(&["--yes"]);
    assert!(done && told.contains("kubectl delete customresourcedefinitions"), "{told}");
    assert_eq!(promotions.get(&running).await.expect("it").finalizers(), <[String; 0]>::default());
    let commands: Api<CommandRun> = space.api();
    assert!(commands.get("look").await.expect("it").finalizers().is_empty());
    let environments: Api<Environment> = space.api();
    assert!(environments.get("dev").await.expect("it").finalizers().is_empty());
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    let left = policies.list(&ListParams::default()).await.expect("policies").items;
    assert!(left.iter().all(|policy| !policy.name_any().ends_with(".gantry.dev")), "{left:?}");
    let (done, told) = uninstall(&["--yes"]);
    assert!(done, "again is harmless: {told}");

    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.delete(&space.name, &DeleteParams::default()).await.expect("deleted");
    wait::gone(&namespaces, &space.name).await;
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    for definition in crds::all() {
        definitions.delete(&definition.name_any(), &DeleteParams::default()).await.expect("deleted");
    }
    for definition in crds::all() {
        wait::gone(&definitions, &definition.name_any()).await;
    }
}
