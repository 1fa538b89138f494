//! What somebody puts back who has an older state: of a backup, say. What was recorded once is not carried out again.

use gantry::api::v1alpha1::{AuditRecord, Environment, Project, Promotion};
use gantry_plane::Identity;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::support::manifest::{config_map, failing};
use crate::support::shared::{self, shared};
use crate::support::space::Space;
use crate::support::wait;

const NAME: &str = "checkout-1.0.0-dev";

/// A space in which 1.0.0 ran and 1.1.0 runs, and the promotion of 1.0.0 as it was while it ran.
async fn shop() -> (Space, Promotion) {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    space.environment("dev", 10).await;
    space.project("checkout", &image, json!([failing("checkout", &image, "never-ready")])).await;
    space.release("checkout", "1.0.0").await;
    space.promote("checkout", "1.0.0", "dev").await;
    let older = space.in_phase(NAME, "Running", None).await;
    let deployments = space.in_environment::<Deployment>("dev");
    wait::object(&deployments, "checkout", "applied", |_| true).await;
    let whole = Patch::Merge(json!({"spec": {"template": {"metadata": {"annotations": null}}}}));
    deployments.patch("checkout", &PatchParams::default(), &whole).await.expect("an administrator may");
    recorded(&space, NAME).await;
    space.project("checkout", &image, json!([config_map("settings", "newer")])).await;
    space.release("checkout", "1.1.0").await;
    space.deploy("checkout", "1.1.0", "dev").await;
    recorded(&space, "checkout-1.1.0-dev").await;
    (space, older)
}

async fn recorded(space: &Space, name: &str) -> Promotion {
    space.ended(name).await;
    wait::object(&space.api(), name, "recorded", |known: &Promotion| known.metadata.finalizers.is_none()).await
}

/// 1.1.0 runs, its promotion is the last of two, and the record of the first is the one that it was.
async fn is_as_it_was(space: &Space, record: &AuditRecord) {
    assert!(space.in_environment::<Deployment>("dev").get_opt("checkout").await.expect("an answer").is_none());
    space.in_environment::<ConfigMap>("dev").get("settings").await.expect("what runs");
    let dev = space.api::<Environment>().get("dev").await.expect("the environment").status.expect("a status");
    let told: Vec<_> = dev.history.iter().map(|entry| entry.promotion.as_str()).collect();
    assert_eq!(told, ["checkout-1.1.0-dev", NAME]);
    let project = space.api::<Project>().get("checkout").await.expect("the project").status.expect("a status");
    let runs = project.environments[0].current.as_ref().map(|current| current.version.as_str());
    assert_eq!(runs, Some("1.1.0"));
    let now = space.api::<AuditRecord>().get(&record.name_any()).await.expect("the record");
    assert_eq!(now.resource_version(), record.resource_version());
}

// Attack T31: an older status, and an older object.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_carried_out_is_not_carried_out_again_when_its_older_state_is_put_back() {
    let cluster = shared().await;
    let (space, older) = shop().await;
    let record = space.api::<AuditRecord>().get(&format!("promotion-{NAME}")).await.expect("the record");
    let mark = cluster.plane.audit().mark();
    // While it ran it was not finished, which nobody can say again of one that is: not even Gantry's own account.
    let account = Identity::service_account("gantry-system", "gantry");
    let operator = cluster.plane.client(&account).await.expect("a client");
    for client in [space.client.clone(), operator.clone()] {
        let promotions: Api<Promotion> = Api::namespaced(client, &space.name);
        let again = Patch::Merge(json!({"status": older.status}));
        let refused = promotions.patch_status(NAME, &PatchParams::default(), &again).await;
        let said = refused.expect_err("what has ended stays so").to_string();
        assert!(said.contains("status.phase never changes once status.finished is true"), "{said}");
    }
    // Nor that nobody had looked at it yet.
    let nothing = Patch::Merge(json!({"status": null}));
    let promotions: Api<Promotion> = Api::namespaced(operator, &space.name);
    let refused = promotions.patch_status(NAME, &PatchParams::default(), &nothing).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("never changes once status.finished is true")));
    is_as_it_was(&space, &record).await;
    // A backup makes objects again, with another UID and without status: this one takes the end that is recorded.
    space.api::<Promotion>().delete(NAME, &DeleteParams::default()).await.expect("an administrator may");
    wait::gone(&space.api::<Promotion>(), NAME).await;
    space.promote("checkout", "1.0.0", "dev").await;
    let ended = space.in_phase(NAME, "Succeeded", Some("AlreadyRecorded")).await;
    assert!(ended.status.is_some_and(|status| status.finished && status.steps.is_empty()));
    is_as_it_was(&space, &record).await;
    let place = format!("{}-dev", space.name);
    let events = cluster.plane.audit().since(mark).expect("an audit log");
    assert!(!events.iter().any(|event| event.namespace == place && shared::is_write_of_the_operator(event)));
}
