//! The operator looks whether the API server enforces who may do what, and promotes nothing while it does not.

use std::sync::atomic::{AtomicU32, Ordering};

use gantry::api::RECORDED_FINALIZER;
use gantry::api::condition::{self, ConditionType};
use gantry::api::v1alpha1::history::Person;
use gantry::api::v1alpha1::{Environment, Pin, Project, Promotion, Release};
use gantry::controllers::guard::memory::{ANNOTATION, LEASE};
use gantry::controllers::guard::policies::{MUTATING, VALIDATING};
use gantry_plane::{Identity, Options, Plane, manifests};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};

use crate::deployment::type_in;
use crate::support::manifest::config_map;
use crate::support::operator::Operator;
use crate::support::proxy::{Proxy, WatchFault};
use crate::support::shared;
use crate::support::space::Space;
use crate::support::wait;

/// The policies of `deploy/`.
fn shipped() -> Vec<Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policies.yaml");
    manifests::documents(&std::fs::read_to_string(path).expect("a file")).expect("YAML")
}

/// Puts back what was taken away of them, and waits until they act.
async fn restore(client: &Client) {
    for document in shipped() {
        let object: DynamicObject = serde_json::from_value(document).expect("an object");
        let kind = GroupVersionKind::try_from(&object.types.clone().expect("a kind")).expect("a kind");
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&kind));
        let params = PatchParams::apply("test").force();
        api.patch(&object.name_any(), &params, &Patch::Apply(&object)).await.expect("an administrator may");
    }
    gantry_plane::install::policies_act(client).await.expect("they act");
}

/// A space with an environment, and a release of one ConfigMap.
async fn space(client: &Client) -> Space {
    let space = Space::create(client.clone()).await;
    space.apply(space.object("Environment", "dev", json!({"order": 10}))).await;
    space.project("checkout", "localhost/checkout", json!([config_map("settings", "x")])).await;
    for version in ["1.0.0", "1.1.0"] {
        let packages = json!([{"name": "api", "version": version, "digest": format!("sha256:{}", "b".repeat(64))}]);
        let spec = json!({"project": "checkout", "version": version, "packages": packages});
        space.apply(space.object("Release", &format!("checkout-{version}"), spec)).await;
    }
    space
}

/// Asks for a promotion in the name of bob, who knows nothing of it.
async fn forged(space: &Space, name: &str) -> Option<Promotion> {
    let spec =
        json!({"project": "checkout", "version": "1.1.0", "environment": "dev", "requestedBy": {"username": "bob"}});
    let mut object = space.object("Promotion", name, spec);
    // Otherwise nothing would be recorded of it.
    object["metadata"]["finalizers"] = json!([RECORDED_FINALIZER]);
    let object = serde_json::from_value(object).expect("a promotion");
    space.api::<Promotion>().create(&PostParams::default(), &object).await.ok()
}

/// A promotion in the name of bob, once nobody stamps promotions any more.
async fn unstamped(space: &Space) -> Promotion {
    let tries = AtomicU32::new(0);
    wait::eventually("nobody stamps any more", || async {
        // A name is used once.
        let made = forged(space, &format!("forged-{}", tries.fetch_add(1, Ordering::Relaxed))).await?;
        (made.spec.requested_by.as_ref()?.username == "bob").then_some(made)
    })
    .await
}

async fn ready(operator: &Operator, code: u16, says: &str) {
    wait::eventually(&format!("/readyz is {code} and says {says:?}"), || async {
        let (found, body) = operator.get("/readyz").await.ok()?;
        (found == code && body.contains(says)).then_some(())
    })
    .await;
}

async fn environment_says(space: &Space, status: &str, says: &str) {
    wait::object(&space.api(), "dev", says, |known: &Environment| {
        let conditions = known.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let guarded = condition::find(conditions, ConditionType::Guarded);
        guarded.is_some_and(|guarded| guarded.status == status && guarded.message.contains(says))
    })
    .await;
}

async fn plane() -> (Plane, Client) {
    let plane = shared::own(Options::default().with_simulated_nodes(0)).await;
    let client = plane.client(&Identity::Admin).await.expect("a client");
    (plane, client)
}

#[test]
fn the_guard_knows_every_policy_that_is_shipped_and_no_other() {
    let of = |kind: &str| {
        let documents = shipped().into_iter().filter(|document| document["kind"] == kind);
        let mut names: Vec<_> =
            documents.map(|document| document["metadata"]["name"].as_str().expect("a name").to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(of("ValidatingAdmissionPolicy"), VALIDATING);
    assert_eq!(of("ValidatingAdmissionPolicyBinding"), VALIDATING);
    assert_eq!(of("MutatingAdmissionPolicy"), MUTATING);
    assert_eq!(of("MutatingAdmissionPolicyBinding"), MUTATING);
}

// Attacks T6, T7.
#[tokio::test(flavor = "multi_thread")]
async fn while_a_policy_is_missing_nothing_is_promoted_and_what_was_made_meanwhile_never_is() {
    let (plane, client) = plane().await;
    let operator = Operator::start(&plane, "guard").await;
    let space = space(&client).await;
    space.deploy("checkout", "1.0.0", "dev").await;

    let bindings: Api<MutatingAdmissionPolicyBinding> = Api::all(client.clone());
    let rights: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    rights.delete("promotion-rights.gantry.dev", &DeleteParams::default()).await.expect("an administrator may");
    let missing = "ValidatingAdmissionPolicyBinding promotion-rights.gantry.dev is missing, or has lost its label app.kubernetes.io/name=gantry: apply Gantry's policies again";
    ready(&operator, 503, missing).await;
    environment_says(&space, "False", missing).await;
    bindings.delete("promotion-stamp.gantry.dev", &DeleteParams::default()).await.expect("an administrator may");
    let made = unstamped(&space).await;
    let waiting = space.in_phase(&made.name_any(), "Pending", Some("Unguarded")).await.status.expect("a status");
    assert!(waiting.message.is_some_and(|message| message.contains("nothing is promoted while")));

    restore(&client).await;
    ready(&operator, 200, "").await;
    environment_says(&space, "True", "").await;
    let ended = space.in_phase(&made.name_any(), "Refused", Some("NotStamped")).await.status.expect("a status");
    assert!(!ended.applied, "it is never executed");
    // Whoever waits until it is ready is believed at once.
    space.deploy("checkout", "1.1.0", "dev").await;
}

/// How a policy or binding that is not as shipped is told.
fn not_shipped(object: &str, difference: &str) -> String {
    format!("{object} is not the one that this version of Gantry ships, it {difference}: delete it and apply Gantry's")
}

// Attack T6.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_was_weakened_in_place_counts_as_missing_and_the_part_is_named() {
    let (plane, client) = plane().await;
    let operator = Operator::start(&plane, "guard").await;
    let space = space(&client).await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    let merge = |change: Value| Patch::Merge(change);
    let params = PatchParams::default();
    let audit = merge(json!({"spec": {"validationActions": ["Audit"]}}));
    bindings.patch("approval-rights.gantry.dev", &params, &audit).await.expect("an administrator may");
    let binding = "ValidatingAdmissionPolicyBinding approval-rights.gantry.dev";
    ready(&operator, 503, &not_shipped(binding, "has another spec.validationActions[0]")).await;
    // What somebody else added stays when it is only applied again.
    bindings.delete("approval-rights.gantry.dev", &DeleteParams::default()).await.expect("an administrator may");
    restore(&client).await;
    ready(&operator, 200, "").await;
    // None of these is one that a forged request would show.
    let elsewhere = json!({"matchConstraints": {"namespaceSelector": {"matchLabels": {"nobody": "has"}}}});
    for (name, change, difference) in [
        ("status.gantry.dev", json!({"failurePolicy": "Ignore"}), "has another spec.failurePolicy"),
        (
            "approval-rights.gantry.dev",
            json!({"validations": [{"expression": "true"}]}),
            "has another spec.validations[0].expression",
        ),
        (
            "pin-rights.gantry.dev",
            elsewhere,
            "has a spec.matchConstraints.namespaceSelector.matchLabels that is not shipped",
        ),
        (
            "records.gantry.dev",
            json!({"matchConditions": [{"name": "never", "expression": "false"}]}),
            "has a spec.matchConditions that is not shipped",
        ),
    ] {
        policies.patch(name, &params, &merge(json!({"spec": change}))).await.expect("an administrator may");
        let said = not_shipped(&format!("ValidatingAdmissionPolicy {name}"), difference);
        ready(&operator, 503, &said).await;
        environment_says(&space, "False", &said).await;
        let spec = json!({"project": "checkout", "version": "1.1.0", "environment": "dev"});
        let promotion = format!("while-{}", name.split('.').next().expect("a name"));
        space.apply(space.object("Promotion", &promotion, spec)).await;
        space.in_phase(&promotion, "Pending", Some("Unguarded")).await;
        // What the sentence says helps.
        policies.delete(name, &DeleteParams::default()).await.expect("an administrator may");
        restore(&client).await;
        ready(&operator, 200, "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kubectl_and_helm_install_is_what_is_shipped_in_whichever_namespace() {
    let plane = Plane::start(Options::default().with_simulated_nodes(0)).await.expect("a cluster");
    type_in(&plane, "kubectl apply --server-side -f deploy/crds -f deploy/").await;
    let operator = Operator::start(&plane, "kubectl").await;
    operator.kill(&plane);
    // The pods of the Deployment have no node to run on.
    let anew = "kubectl delete -f deploy/policies.yaml -f deploy/rbac.yaml -f deploy/operator.yaml
                helm install gantry charts/gantry --namespace=tools --create-namespace";
    type_in(&plane, anew).await;
    let operator = Operator::start_in(&plane, ("helm", "tools")).await;
    let client = plane.client(&Identity::Admin).await.expect("a client");
    let upgrade = "helm upgrade gantry charts/gantry --namespace=tools --set=log.level=debug";
    let leases: Api<Lease> = Api::namespaced(client.clone(), "tools");
    // Policies take a moment to act: that is a gap, too.
    let remembered = wait::eventually("it is remembered that they act", || async {
        let known = leases.get_opt(LEASE).await.ok().flatten()?;
        (!known.annotations()[ANNOTATION].contains("broken")).then_some(known)
    })
    .await;
    operator.kill(&plane);
    type_in(&plane, upgrade).await;
    operator.resume(&plane).await;
    wait::eventually("it leads", || async { operator.leads().await.then_some(()) }).await;
    assert_eq!(leases.get(LEASE).await.expect("it"), remembered, "no policy was changed");
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client);
    let of_another = "system:serviceaccount:gantry-system:gantry";
    let policy = policies.get("release-cause.gantry.dev").await.expect("a policy");
    let mut spec = serde_json::to_value(policy.spec.expect("a spec")).expect("JSON");
    spec["validations"][0]["expression"] =
        format!("has(object.spec.cause) == (request.userInfo.username == '{of_another}')").into();
    let merge = Patch::Merge(json!({"spec": spec}));
    policies.patch("release-cause.gantry.dev", &PatchParams::default(), &merge).await.expect("an administrator may");
    let policy = "ValidatingAdmissionPolicy release-cause.gantry.dev";
    ready(&operator, 503, &not_shipped(policy, "has another spec.validations[0].expression")).await;
    let anew = "kubectl delete validatingadmissionpolicy release-cause.gantry.dev";
    type_in(&plane, &format!("{anew}\n{upgrade}")).await;
    ready(&operator, 200, "").await;
}

// Attack T7.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_before_the_policies_is_never_executed() {
    let (plane, client) = plane().await;
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    let stamps: Api<MutatingAdmissionPolicyBinding> = Api::all(client.clone());
    bindings.delete("promotion-rights.gantry.dev", &DeleteParams::default()).await.expect("an administrator may");
    stamps.delete("promotion-stamp.gantry.dev", &DeleteParams::default()).await.expect("an administrator may");
    let space = space(&client).await;
    let spec = json!({"project": "checkout", "version": "1.1.0", "environment": "dev"});
    let made = unstamped(&space).await;
    let object = serde_json::from_value(space.object("Promotion", "unstamped", spec)).expect("a promotion");
    space.api::<Promotion>().create(&PostParams::default(), &object).await.expect("nothing refuses it");
    restore(&client).await;
    let _operator = Operator::start(&plane, "guard").await;
    for name in [made.name_any(), "unstamped".to_owned()] {
        let ended = space.ended(&name).await.status.expect("a status");
        assert_eq!((ended.phase.as_deref(), ended.reason.as_deref()), (Some("Refused"), Some("NotStamped")), "{name}");
    }
    assert_eq!(space.audit_record(&made.name_any()).await.requested_by, None, "bob knows nothing of it");
}

// Attack T6.
#[tokio::test(flavor = "multi_thread")]
async fn a_stamp_that_is_taken_away_is_noticed_in_time_although_no_watch_says_so() {
    let (plane, client) = plane().await;
    let proxy = Proxy::start(&plane, "guard").await;
    let operator = Operator::start_guarding(&plane, "guard", proxy.kubeconfig.clone()).await;
    let stamps: Api<MutatingAdmissionPolicyBinding> = Api::all(client.clone());
    for (policy, kind) in [("promotion-stamp.gantry.dev", "Promotion"), ("pin-stamp.gantry.dev", "Pin")] {
        proxy.break_watches(WatchFault::Silent);
        stamps.delete(policy, &DeleteParams::default()).await.expect("an administrator may");
        // A watch would say that it is missing.
        let said = format!(
            "the forged author of a {kind} was not written over by policy {policy}: apply Gantry's policies again"
        );
        ready(&operator, 503, &said).await;
        restore(&client).await;
        ready(&operator, 200, "").await;
    }
}

// Attack T7.
#[tokio::test(flavor = "multi_thread")]
async fn where_what_is_remembered_of_the_policies_does_not_read_nothing_that_was_made_before_is_believed() {
    let (plane, client) = plane().await;
    let operator = Operator::start(&plane, "guard").await;
    let space = space(&client).await;
    space.deploy("checkout", "1.0.0", "dev").await;
    assert_eq!(gaps(&memory(&client).await), 0);
    operator.kill(&plane);
    let made = space.promote("checkout", "1.1.0", "dev").await;
    let leases: Api<Lease> = Api::namespaced(client.clone(), "gantry-system");
    let broken = Patch::Merge(json!({"metadata": {"annotations": {ANNOTATION: "{"}}}));
    leases.patch(LEASE, &PatchParams::default(), &broken).await.expect("an administrator may");
    operator.resume(&plane).await;
    let ended = space.ended(&made).await.status.expect("a status");
    assert_eq!((ended.phase.as_deref(), ended.reason.as_deref()), (Some("Refused"), Some("NotStamped")));
    assert!(!ended.applied && ended.message.is_some_and(|says| says.contains("again under another name")));
    let told = "Lease gantry-system/gantry-guard does not say what is remembered of the admission policies";
    assert!(operator.log(&plane).contains(told), "it is said");
    let spec = json!({"project": "checkout", "version": "1.1.0", "environment": "dev"});
    space.apply(space.object("Promotion", "again", spec)).await;
    let ended = space.ended("again").await.status.expect("a status");
    assert_eq!(ended.phase.as_deref(), Some("Succeeded"), "{:?}", ended.message);
    wait::eventually("it is remembered anew", || async {
        let text = memory(&client).await.annotations()[ANNOTATION].clone();
        let written: Value = serde_json::from_str(&text).ok()?;
        (written["gaps"].as_array()?.len() == 1).then_some(())
    })
    .await;
}

/// What is remembered of the policies, once something is.
async fn memory(client: &Client) -> Lease {
    let leases: Api<Lease> = Api::namespaced(client.clone(), "gantry-system");
    wait::eventually("something is remembered", || async { leases.get_opt(LEASE).await.ok().flatten() }).await
}

/// How many times without policies are remembered.
fn gaps(memory: &Lease) -> usize {
    let written: Value = serde_json::from_str(&memory.annotations()[ANNOTATION]).expect("JSON");
    assert_eq!(written.get("broken"), None, "{written}");
    written["gaps"].as_array().expect("a list").len()
}

/// Changes a policy or a binding in place.
async fn edit<K>(client: &Client, name: &str, spec: &Value) -> Option<i64>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::all(client.clone());
    let merge = Patch::Merge(json!({"spec": spec}));
    api.patch(name, &PatchParams::default(), &merge).await.expect("an administrator may").meta().generation
}

// Attacks T6, T7.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_while_policies_were_weaker_and_no_operator_ran_is_never_executed_and_a_restart_alone_loses_nothing()
 {
    let (plane, client) = plane().await;
    let operator = Operator::start(&plane, "guard").await;
    let space = space(&client).await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let fresh = memory(&client).await;
    assert_eq!(gaps(&fresh), 0);

    operator.kill(&plane);
    let spec = json!({"project": "checkout", "version": "1.1.0", "environment": "dev"});
    space.apply(space.object("Promotion", "while-it-was-away", spec.clone())).await;
    operator.resume(&plane).await;
    let ended = space.ended("while-it-was-away").await.status.expect("a status");
    assert_eq!(ended.phase.as_deref(), Some("Succeeded"), "{:?}", ended.message);
    assert_eq!(memory(&client).await, fresh, "nothing was written");

    operator.kill(&plane);
    let nowhere = json!({"matchResources": {"namespaceSelector": {"matchLabels": {"nobody": "has"}}}});
    edit::<MutatingAdmissionPolicyBinding>(&client, "promotion-stamp.gantry.dev", &nowhere).await;
    edit::<ValidatingAdmissionPolicyBinding>(&client, "promotion-rights.gantry.dev", &nowhere).await;
    let made = unstamped(&space).await;
    let back = json!({"matchResources": null});
    let stamps = edit::<MutatingAdmissionPolicyBinding>(&client, "promotion-stamp.gantry.dev", &back).await;
    let rights = edit::<ValidatingAdmissionPolicyBinding>(&client, "promotion-rights.gantry.dev", &back).await;
    assert_eq!((stamps, rights), (Some(3), Some(3)), "they look as ever");
    gantry_plane::install::policies_act(&client).await.expect("they act");
    operator.resume(&plane).await;
    let ended = space.ended(&made.name_any()).await.status.expect("a status");
    assert_eq!((ended.phase.as_deref(), ended.reason.as_deref()), (Some("Refused"), Some("NotStamped")));
    assert!(!ended.applied, "it is never executed");
    let learnt = wait::eventually("it is remembered", || async {
        let known = memory(&client).await;
        (gaps(&known) == 1).then_some(known)
    })
    .await;

    operator.kill(&plane);
    operator.resume(&plane).await;
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "dev"});
    space.apply(space.object("Promotion", "afterwards", spec)).await;
    let ended = space.ended("afterwards").await.status.expect("a status");
    assert_eq!(ended.phase.as_deref(), Some("Succeeded"), "{:?}", ended.message);
    assert_eq!(memory(&client).await, learnt, "nothing was written");

    // While one runs, too: however short it was, and whichever kind.
    let mut known = gaps(&learnt);
    for kind in ["validating", "mutating"] {
        for failure in ["Ignore", "Fail"] {
            let spec = json!({"failurePolicy": failure});
            match kind {
                "validating" => edit::<ValidatingAdmissionPolicy>(&client, "status.gantry.dev", &spec).await,
                _ => edit::<MutatingAdmissionPolicy>(&client, "pin-stamp.gantry.dev", &spec).await,
            };
        }
        known = wait::eventually("it is remembered", || async {
            let annotation = memory(&client).await;
            let is_broken = annotation.annotations()[ANNOTATION].contains("broken");
            (!is_broken && gaps(&annotation) > known).then(|| gaps(&annotation))
        })
        .await;
    }
}

// Attacks T1, T7.
#[tokio::test(flavor = "multi_thread")]
async fn a_pin_and_a_release_that_were_written_without_policies_promote_nothing_until_somebody_stands_for_them() {
    let (plane, client) = plane().await;
    let operator = Operator::start(&plane, "guard").await;
    let space = space(&client).await;
    space.apply(space.object("Environment", "test", json!({"order": 20}))).await;
    let phases = json!([{"name": "all", "environments": ["test", "dev"], "automatic": ["test"], "minimum": 1}]);
    space.apply(space.object("Lifecycle", "standard", json!({"phases": phases}))).await;
    let lifecycle = Patch::Merge(json!({"spec": {"lifecycle": "standard"}}));
    space.api::<Project>().patch("checkout", &PatchParams::default(), &lifecycle).await.expect("an administrator may");
    let spec = json!({"project": "checkout", "environment": "dev", "version": "1.0.0"});
    space.apply(space.object("Pin", "checkout.dev", spec)).await;
    pin_says(&space, "Deployed", "").await;

    operator.kill(&plane);
    let nowhere = json!({"matchResources": {"namespaceSelector": {"matchLabels": {"nobody": "has"}}}});
    let back = json!({"matchResources": null});
    for kind in ["pin", "release"] {
        edit::<MutatingAdmissionPolicyBinding>(&client, &format!("{kind}-stamp.gantry.dev"), &nowhere).await;
        edit::<ValidatingAdmissionPolicyBinding>(&client, &format!("{kind}-rights.gantry.dev"), &nowhere).await;
    }
    forge(&space).await;
    for kind in ["pin", "release"] {
        edit::<MutatingAdmissionPolicyBinding>(&client, &format!("{kind}-stamp.gantry.dev"), &back).await;
        edit::<ValidatingAdmissionPolicyBinding>(&client, &format!("{kind}-rights.gantry.dev"), &back).await;
    }
    // They act again some moments later, each by itself: what is written in these is not believed, either.
    operator.resume(&plane).await;
    pin_says(&space, "NotStamped", "change spec.retry, which makes it yours").await;
    let releases: Api<Release> = space.api();
    wait::eventually("the release says that nobody vouches for it", || async {
        let all = releases.list(&ListParams::default()).await.ok()?.items;
        let forged = all.into_iter().filter(|known| by(known.spec.created_by.as_ref()) == Some("bob"));
        let mut said = forged.filter_map(|known| {
            let conditions = known.status?.conditions;
            Some(condition::find(&conditions, ConditionType::AutomaticallyPromoted)?.message.clone())
        });
        said.any(|message| message.contains("promote it yourself, or make another version")).then_some(())
    })
    .await;

    let again = Patch::Merge(json!({"spec": {"retry": 1000}}));
    space.api::<Pin>().patch("checkout.dev", &PatchParams::default(), &again).await.expect("an administrator may");
    pin_says(&space, "Deployed", "checkout 1.1.0 runs in dev").await;
    let promotions = space.api::<Promotion>().list(&ListParams::default()).await.expect("promotions").items;
    let bobs = promotions.iter().filter(|known| by(known.spec.requested_by.as_ref()) == Some("bob")).count();
    assert_eq!((bobs, promotions.is_empty()), (0, false));
}

fn by(person: Option<&Person>) -> Option<&str> {
    person.map(|person| person.username.as_str())
}

/// The pin has this reason, and says so.
async fn pin_says(space: &Space, reason: &str, says: &str) {
    wait::object(&space.api(), "checkout.dev", reason, |known: &Pin| {
        let conditions = known.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let ready = condition::find(conditions, ConditionType::Ready);
        ready.is_some_and(|ready| ready.reason == reason && ready.message.contains(says))
    })
    .await;
}

/// Changes the pin and makes a release in the name of bob, once nobody stamps them any more.
async fn forge(space: &Space) {
    let tries = AtomicU32::new(0);
    wait::eventually("nobody stamps pins and releases any more", || async {
        let number = tries.fetch_add(1, Ordering::Relaxed);
        let bob = json!({"username": "bob"});
        let changed = Patch::Merge(json!({"spec": {"version": "1.1.0", "retry": number, "requestedBy": bob}}));
        let pin = space.api::<Pin>().patch("checkout.dev", &PatchParams::default(), &changed).await.ok()?;
        let version = format!("1.2.{number}");
        let packages = json!([{"name": "api", "version": version, "digest": format!("sha256:{}", "b".repeat(64))}]);
        let spec = json!({"project": "checkout", "version": version, "packages": packages, "createdBy": bob});
        let object = serde_json::from_value(space.object("Release", &format!("checkout-{version}"), spec)).ok()?;
        let release = space.api::<Release>().create(&PostParams::default(), &object).await.ok()?;
        let both = [by(pin.spec.requested_by.as_ref()), by(release.spec.created_by.as_ref())];
        (both == [Some("bob"), Some("bob")]).then_some(())
    })
    .await;
}
