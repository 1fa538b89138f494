//! A step waits until what it applied is healthy, whatever kind that is, and says meanwhile what it waits for.

use gantry::api::v1alpha1::Promotion;
use k8s_openapi::api::core::v1::{PersistentVolume, Service};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::new_space;
use crate::support::manifest::deployment;
use crate::support::shared::shared;
use crate::support::space::Space;
use crate::support::wait;

const GROUP: &str = "orbit.example.com";

async fn image() -> String {
    format!("{}/checkout", shared().await.plane.registry().host())
}

/// Promotes a release of these manifests to dev, until it says that it waits for this.
async fn waits(space: &Space, manifests: Value, sentences: &[&str]) -> String {
    space.project("checkout", &image().await, manifests).await;
    space.release("checkout", "1.0.0").await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let waiting = wait::object(&space.api(), &name, &format!("says {sentences:?}"), |promotion: &Promotion| {
        let message = promotion.status.as_ref().and_then(|status| status.message.as_deref()).unwrap_or_default();
        sentences.iter().all(|sentence| message.contains(sentence))
    })
    .await;
    assert_eq!(waiting.status.and_then(|status| status.phase).as_deref(), Some("Running"));
    name
}

async fn succeeds(space: &Space, name: &str) {
    let status = space.ended(name).await.status.expect("a status");
    assert_eq!(status.phase.as_deref(), Some("Succeeded"), "{:?}", status.message);
}

/// A kind of somebody else's whose controller reports conditions, and the right of the deployer of dev to apply it.
async fn define_satellite(space: &Space) {
    let fields = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    // As kstatus recommends: whoever looks before the controller has spoken sees that it has not.
    let status = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true,
        "default": {"observedGeneration": -1}});
    let schema = json!({"type": "object", "properties": {"spec": fields, "status": status}});
    let names = json!({"kind": "Satellite", "plural": "satellites", "singular": "satellite"});
    let version = json!({"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema}});
    let namespace = format!("{}-dev", space.name);
    let rights = json!([{"apiGroups": [GROUP], "resources": ["satellites"],
        "verbs": ["get", "list", "watch", "create", "patch"]}]);
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "satellites"});
    let deployer = json!({"kind": "ServiceAccount", "name": "gantry-deployer", "namespace": namespace});
    let meta = json!({"name": "satellites", "namespace": namespace});
    space
        .apply(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("satellites.{GROUP}")},
            "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]}}))
        .await;
    space
        .apply(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta, "rules": rights}))
        .await;
    space
        .apply(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta,
            "roleRef": role, "subjects": [deployer]}))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_of_a_custom_kind_waits_for_its_condition_ready_and_fails_if_it_says_stalled() {
    let space = new_space().await;
    space.environment("dev", 10).await;
    define_satellite(&space).await;
    let satellite = |orbit: i32| {
        json!([{"apiVersion": format!("{GROUP}/v1"), "kind": "Satellite", "metadata": {"name": "one"},
            "spec": {"orbit": orbit}}])
    };
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, "v1", "Satellite"));
    let satellites: Api<DynamicObject> =
        Api::namespaced_with(space.client.clone(), &format!("{}-dev", space.name), &kind);
    let say = async |condition: &str, status: &str| {
        let one = satellites.get("one").await.expect("the satellite");
        let condition = json!({"type": condition, "status": status, "reason": "Launching", "message": "tank 2 is empty",
            "observedGeneration": one.metadata.generation, "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let status = json!({"status": {"observedGeneration": one.metadata.generation, "conditions": [condition]}});
        let patch = Patch::Merge(status);
        satellites.patch_status("one", &PatchParams::default(), &patch).await.expect("its controller speaks");
    };

    let speaks = async {
        wait::eventually("it is applied", || async { satellites.get_opt("one").await.ok().flatten() }).await;
        say("Ready", "False").await;
    };
    let (name, ()) = tokio::join!(waits(&space, satellite(1), &["Satellite one", "tank 2 is empty"]), speaks);
    say("Ready", "True").await;
    succeeds(&space, &name).await;

    space.project("checkout", &image().await, satellite(2)).await;
    space.release("checkout", "2.0.0").await;
    let name = space.promote("checkout", "2.0.0", "dev").await;
    wait::eventually("it is changed", || async {
        satellites.get("one").await.ok().filter(|one| one.data["spec"]["orbit"] == 2)
    })
    .await;
    let running: Promotion = space.in_phase(&name, "Running", None).await;
    assert_eq!(running.name_any(), name, "the condition of the generation before says nothing of this one");
    say("Stalled", "True").await;
    let status = space.ended(&name).await.status.expect("a status");
    assert_eq!(status.phase.as_deref(), Some("Failed"), "{:?}", status.message);
    let message = status.message.unwrap_or_default();
    assert!(message.contains("Satellite one") && message.contains("tank 2 is empty"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_of_a_load_balancer_waits_for_its_address() {
    let space = new_space().await;
    space.environment("dev", 10).await;
    let service = json!([{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]}}]);
    let name = waits(&space, service, &["Service web", "waits for the address"]).await;
    let services: Api<Service> = space.in_environment("dev");
    let address = Patch::Merge(json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}));
    services.patch_status("web", &PatchParams::default(), &address).await.expect("the cloud gives an address");
    succeeds(&space, &name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_whose_pods_need_a_volume_waits_until_the_claim_is_bound() {
    let space = new_space().await;
    let fail_after = json!({"imagePull": "2m", "crashLoop": 3, "unschedulable": "10m"});
    space.environment_with("dev", json!({"order": 10, "failAfter": fail_after})).await;
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "volumeName": space.name,
            "resources": {"requests": {"storage": "1Mi"}}}});
    let mut user = deployment("checkout", &image().await);
    user["spec"]["template"]["spec"]["volumes"] =
        json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    let name =
        waits(&space, json!([claim, user]), &["PersistentVolumeClaim data: waits to be bound to a volume"]).await;
    space
        .apply(json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": space.name}, "spec": {
            "capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/nowhere"},
            "claimRef": {"namespace": format!("{}-dev", space.name), "name": "data"}}}))
        .await;
    succeeds(&space, &name).await;
    let volumes: Api<PersistentVolume> = Api::all(space.client.clone());
    volumes.delete(&space.name, &DeleteParams::default()).await.expect("an administrator may");
}
