//! What an environment provisions, keeps, refuses and gives up, on the real cluster, under the shipped rights and policies.

use gantry::api::condition::{self, ConditionType};
use gantry::api::v1alpha1::Environment;
use gantry::api::v1alpha1::audit_record::AuditKind;
use gantry_plane::{Identity, Options};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::{ConfigMap, LimitRange, Namespace, Pod, ResourceQuota, Secret, ServiceAccount};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::support::operator::Operator;
use crate::support::shared::{self, shared};
use crate::support::space::Space;
use crate::support::wait;

const SPACE_LABEL: &str = "gantry.dev/space";
const ENVIRONMENT_LABEL: &str = "gantry.dev/environment";
/// Who Gantry is to the API server.
const OPERATOR: &str = "system:serviceaccount:gantry-system:gantry";
const BINDINGS: [&str; 4] = ["gantry-deployer", "gantry-console", "gantry-impersonator", "gantry-pull-secrets"];

async fn space() -> Space {
    Space::create(shared().await.admin().await).await
}

fn namespaces(space: &Space) -> Api<Namespace> {
    Api::all(space.client.clone())
}

fn inside<K>(space: &Space, namespace: &str) -> Api<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(space.client.clone(), namespace)
}

/// A namespace that exists before any environment wants it.
async fn prepared(space: &Space, suffix: &str, labels: Value) -> String {
    let name = format!("{}-{suffix}", space.name);
    space.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})).await;
    name
}

/// An environment of one target in this namespace.
fn at(namespace: &str) -> Value {
    json!({"order": 10, "targets": [{"name": "main", "namespace": namespace}]})
}

fn ready(environment: &Environment) -> Option<(bool, String, String)> {
    let status = environment.status.as_ref()?;
    let ready = condition::find(&status.conditions, ConditionType::Ready)?;
    Some((ready.status == "True", ready.reason.clone(), ready.message.clone()))
}

/// Waits until an environment is not ready for this reason, and gives back what it says.
async fn not_ready(space: &Space, name: &str, reason: &str) -> String {
    let known = wait::object(&space.api(), name, reason, |known: &Environment| {
        ready(known).is_some_and(|(ready, why, _)| !ready && why == reason)
    })
    .await;
    ready(&known).expect("a condition").2
}

/// Waits until an Event about the environment has the reason and names the object.
async fn event(space: &Space, environment: &str, (reason, object): (&str, &str)) {
    let events: Api<Event> = space.api();
    wait::eventually(&format!("an Event {reason} about {object}"), || async {
        let all = events.list(&ListParams::default()).await.ok()?;
        all.items
            .into_iter()
            .find(|event| {
                event.reason.as_deref() == Some(reason)
                    && event.regarding.as_ref().and_then(|regarding| regarding.name.as_deref()) == Some(environment)
                    && event.note.as_deref().is_some_and(|note| note.contains(object))
            })
            .map(drop)
    })
    .await;
}

async fn merge<K>(api: &Api<K>, name: &str, patch: Value)
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap_or_else(|error| panic!("{error}"));
}

async fn may(client: &Client, user: &str, attributes: ResourceAttributes) -> bool {
    let spec = SubjectAccessReviewSpec {
        user: Some(user.to_owned()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let answer = Api::<SubjectAccessReview>::all(client.clone()).create(&PostParams::default(), &review).await;
    answer.expect("an answer").status.is_some_and(|status| status.allowed)
}

fn attributes(namespace: &str, verb: &str, resource: &str) -> ResourceAttributes {
    let (group, resource) = resource.split_once('/').map_or(("", resource), |(group, resource)| (group, resource));
    ResourceAttributes {
        namespace: Some(namespace.to_owned()),
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        ..ResourceAttributes::default()
    }
}

fn pull_secret(space: &Space, name: &str, registry: &str) -> Value {
    let config = json!({"auths": {registry: {"username": "robot", "password": "swordfish"}}}).to_string();
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": name, "namespace": space.name, "annotations": {"private": "not to be copied"}},
        "stringData": {".dockerconfigjson": config},
    })
}

fn config(secret: &Secret) -> String {
    let data = secret.data.as_ref().and_then(|data| data.get(".dockerconfigjson"));
    data.map(|content| String::from_utf8_lossy(&content.0).into_owned()).unwrap_or_default()
}

fn offered(account: &ServiceAccount) -> Vec<String> {
    account.image_pull_secrets.iter().flatten().map(|reference| reference.name.clone()).collect()
}

/// Makes Gantry look at an environment again, and waits until it has.
async fn look_again(space: &Space, name: &str) {
    let environments: Api<Environment> = space.api();
    let paused = environments.get(name).await.expect("an environment").spec.paused;
    merge(&environments, name, json!({"spec": {"paused": !paused}})).await;
    space.environment_ready(name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_is_a_namespace_with_two_limited_accounts() {
    let space = space().await;
    space.environment("dev", 10).await;
    let name = format!("{}-dev", space.name);
    let namespace = namespaces(&space).get(&name).await.expect("a namespace");
    let labels = namespace.labels();
    assert_eq!(labels[SPACE_LABEL], space.name);
    assert_eq!(labels[ENVIRONMENT_LABEL], "dev");
    assert_eq!(labels["app.kubernetes.io/managed-by"], "gantry");
    for mode in ["enforce", "audit", "warn"] {
        assert_eq!(labels[&format!("pod-security.kubernetes.io/{mode}")], "restricted");
        assert_eq!(labels[&format!("pod-security.kubernetes.io/{mode}-version")], "v1.36");
    }
    for account in ["gantry-deployer", "gantry-console"] {
        let account = inside::<ServiceAccount>(&space, &name).get(account).await.expect("an account");
        assert_eq!(account.automount_service_account_token, Some(false));
    }
    let bindings = inside::<RoleBinding>(&space, &name).list(&ListParams::default()).await.expect("bindings");
    let names: Vec<_> = bindings.iter().map(|binding| (binding.name_any(), binding.role_ref.name.clone())).collect();
    let same = |name: &str| (name.to_owned(), name.to_owned());
    assert_eq!(names, [same("gantry-console"), same("gantry-deployer"), same("gantry-impersonator")]);
    let environment = space.environment_ready("dev").await;
    let [target] = environment.status.expect("a status").targets.try_into().expect("one target");
    assert_eq!((target.name.as_str(), &target.namespace, target.created), ("default", &name, true));
    assert_eq!(target.uid, namespace.uid());
}

#[tokio::test(flavor = "multi_thread")]
async fn gantry_may_act_as_just_these_accounts_and_they_may_neither_read_secrets_nor_grant() {
    let space = space().await;
    space.environment("dev", 10).await;
    let namespace = format!("{}-dev", space.name);
    let (operator, client) = (OPERATOR, &space.client);
    let impersonate = |namespace: &str, account: &str| ResourceAttributes {
        name: Some(account.to_owned()),
        ..attributes(namespace, "impersonate", "serviceaccounts")
    };
    for account in ["gantry-deployer", "gantry-console"] {
        assert!(may(client, operator, impersonate(&namespace, account)).await);
        assert!(!may(client, operator, impersonate(&space.name, account)).await);
    }
    assert!(!may(client, operator, impersonate(&namespace, "default")).await);
    assert!(!may(client, operator, attributes(&namespace, "get", "secrets")).await);
    let deployer = format!("system:serviceaccount:{namespace}:gantry-deployer");
    let console = format!("system:serviceaccount:{namespace}:gantry-console");
    for account in [&deployer, &console] {
        assert!(may(client, account, attributes(&namespace, "patch", "apps/deployments")).await);
    }
    for (verb, resource) in [
        ("create", "apps/deployments"),
        ("create", "pods"),
        ("create", "batch/jobs"),
        ("delete", "pods"),
        ("get", "configmaps"),
        ("patch", "configmaps"),
    ] {
        assert!(!may(client, &console, attributes(&namespace, verb, resource)).await, "{verb} {resource}");
    }
    for (verb, resource) in [
        ("get", "secrets"),
        ("list", "secrets"),
        ("create", "serviceaccounts"),
        ("create", "rbac.authorization.k8s.io/rolebindings"),
        ("impersonate", "serviceaccounts"),
        ("create", "pods/exec"),
    ] {
        for account in [&deployer, &console] {
            assert!(!may(client, account, attributes(&namespace, verb, resource)).await, "{verb} {resource}");
        }
    }
    assert!(!may(client, &deployer, attributes(&space.name, "get", "configmaps")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_that_somebody_changes_are_put_back_and_an_event_says_so() {
    let space = space().await;
    space.environment("dev", 10).await;
    let name = format!("{}-dev", space.name);
    let tampered = json!({"metadata": {"labels": {
        ENVIRONMENT_LABEL: "production", "app.kubernetes.io/managed-by": null,
        "pod-security.kubernetes.io/enforce": "privileged", "theirs": "kept",
    }}});
    merge(&namespaces(&space), &name, tampered).await;
    let restored = wait::object(&namespaces(&space), &name, "restored", |namespace: &Namespace| {
        let labels = namespace.labels();
        let is = |label: &str, value: &str| labels.get(label).is_some_and(|known| known == value);
        is(ENVIRONMENT_LABEL, "dev")
            && is("app.kubernetes.io/managed-by", "gantry")
            && is("pod-security.kubernetes.io/enforce", "restricted")
    })
    .await;
    assert_eq!(restored.labels()["theirs"], "kept");
    event(&space, "dev", ("DriftCorrected", &format!("namespace {name}"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_or_binding_that_somebody_removes_is_made_again() {
    let space = space().await;
    space.environment("dev", 10).await;
    let name = format!("{}-dev", space.name);
    let accounts: Api<ServiceAccount> = inside(&space, &name);
    let bindings: Api<RoleBinding> = inside(&space, &name);
    let before =
        (accounts.get("gantry-deployer").await.expect("an account"), bindings.get("gantry-impersonator").await);
    let (account, binding) = (before.0.uid(), before.1.expect("a binding").uid());
    accounts.delete("gantry-deployer", &DeleteParams::default()).await.expect("a deletion");
    wait::object(&accounts, "gantry-deployer", "made again", |found: &ServiceAccount| found.uid() != account).await;
    event(&space, "dev", ("DriftCorrected", &format!("ServiceAccount {name}/gantry-deployer"))).await;
    bindings.delete("gantry-impersonator", &DeleteParams::default()).await.expect("a deletion");
    wait::object(&bindings, "gantry-impersonator", "made again", |found: &RoleBinding| found.uid() != binding).await;
    event(&space, "dev", ("DriftCorrected", &format!("RoleBinding {name}/gantry-impersonator"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_that_somebody_changes_is_put_back_even_its_role() {
    let space = space().await;
    space.environment("dev", 10).await;
    let name = format!("{}-dev", space.name);
    let bindings: Api<RoleBinding> = inside(&space, &name);
    let more = json!([
        {"kind": "ServiceAccount", "name": "gantry-deployer", "namespace": name},
        {"kind": "ServiceAccount", "name": "default", "namespace": name},
    ]);
    merge(&bindings, "gantry-deployer", json!({"subjects": more})).await;
    wait::object(&bindings, "gantry-deployer", "of one subject", |found: &RoleBinding| {
        found.subjects.iter().flatten().count() == 1
    })
    .await;
    event(&space, "dev", ("DriftCorrected", &format!("RoleBinding {name}/gantry-deployer"))).await;

    bindings.delete("gantry-deployer", &DeleteParams::default()).await.expect("a deletion");
    let forged = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "gantry-deployer", "namespace": name, "labels": {"app.kubernetes.io/managed-by": "gantry"}},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "gantry-deployer", "namespace": name}],
    });
    // Gantry may be faster and have made the right one already: then the role cannot be changed, and is right.
    let _ = space.try_apply(forged).await;
    wait::object(&bindings, "gantry-deployer", "of its role", |found: &RoleBinding| {
        found.role_ref.name == "gantry-deployer"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_not_on_the_administrators_list_is_refused_and_the_old_one_stays() {
    let space = space().await;
    space.environment("dev", 10).await;
    let name = format!("{}-dev", space.name);
    for role in ["view", "no-such-role"] {
        space.apply(space.object("Environment", "dev", json!({"order": 10, "console": {"clusterRole": role}}))).await;
        let said = not_ready(&space, "dev", "ProvisioningFailed").await;
        assert!(
            said.contains("spec.console.clusterRole: cannot apply RoleBinding")
                && said.contains("clusterRoles of the chart"),
            "{said}"
        );
        let binding = inside::<RoleBinding>(&space, &name).get("gantry-console").await.expect("the binding");
        assert_eq!(binding.role_ref.name, "gantry-console");
    }
    space.environment_with("dev", json!({"order": 10, "console": {"clusterRole": "gantry-deployer"}})).await;
    let binding = inside::<RoleBinding>(&space, &name).get("gantry-console").await.expect("the binding");
    assert_eq!(binding.role_ref.name, "gantry-deployer", "a role of the list");
}

// Attack T35.
#[tokio::test(flavor = "multi_thread")]
async fn pods_are_bounded_and_get_no_token_and_what_somebody_changes_of_that_is_put_back() {
    let space = space().await;
    space.environment_with("dev", json!({"order": 10, "quota": {"pods": "5", "requests.memory": "1024Mi"}})).await;
    let name = format!("{}-dev", space.name);
    let policies: Api<NetworkPolicy> = inside(&space, &name);
    let (quotas, limits): (Api<ResourceQuota>, Api<LimitRange>) = (inside(&space, &name), inside(&space, &name));
    let accounts: Api<ServiceAccount> = inside(&space, &name);
    assert_eq!(accounts.get("default").await.expect("it").automount_service_account_token, Some(false));
    let whole = policies.get("gantry-isolation").await.expect("a policy").spec;

    merge(&policies, "gantry-isolation", json!({"spec": {"egress": [{}]}})).await;
    merge(&quotas, "gantry-quota", json!({"spec": {"hard": {"pods": "500"}}})).await;
    limits.delete("gantry-limits", &DeleteParams::default()).await.expect("a deletion");
    merge(&accounts, "default", json!({"automountServiceAccountToken": true})).await;
    wait::object(&policies, "gantry-isolation", "closed", |found: &NetworkPolicy| found.spec == whole).await;
    wait::object(&quotas, "gantry-quota", "small", |found: &ResourceQuota| {
        let hard = found.spec.as_ref().and_then(|spec| spec.hard.as_ref());
        hard.is_some_and(|hard| hard["pods"].0 == "5")
    })
    .await;
    wait::object(&limits, "gantry-limits", "there again", |_: &LimitRange| true).await;
    wait::object(&accounts, "default", "without a token", |found: &ServiceAccount| {
        found.automount_service_account_token == Some(false)
    })
    .await;
    for what in [
        "NetworkPolicy {}/gantry-isolation",
        "ResourceQuota {}/gantry-quota",
        "LimitRange {}/gantry-limits",
        "ServiceAccount {}/default",
    ] {
        let what = what.replace("{}", &name);
        event(&space, "dev", ("DriftCorrected", &what)).await;
        // Several corrections may be one record, and each thing is put back once.
        wait::eventually(&format!("{what} is recorded once"), || async {
            let records = space.audit_records(AuditKind::Provisioning).await;
            let parts = records.iter().filter_map(|record| record.spec.provisioning.as_ref());
            let corrected = parts.filter(|part| part.action == "Corrected").flat_map(|part| &part.objects);
            (corrected.filter(|known| **known == what).count() == 1).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_says_nothing_runs_with_small_requests_and_without_a_token() {
    let space = space().await;
    space.environment("dev", 10).await;
    let name = format!("{}-dev", space.name);
    let safe = json!({"allowPrivilegeEscalation": false, "runAsNonRoot": true, "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "quiet", "namespace": name},
        "spec": {"containers": [{"name": "main", "image": "localhost/x", "securityContext": safe}]}});
    space.apply(pod).await;
    let spec = inside::<Pod>(&space, &name).get("quiet").await.expect("a pod").spec.expect("a spec");
    let requests = spec.containers[0].resources.clone().and_then(|resources| resources.requests).expect("requests");
    assert_eq!((requests["cpu"].0.as_str(), requests["memory"].0.as_str()), ("10m", "32Mi"));
    assert!(spec.volumes.unwrap_or_default().is_empty(), "no token is mounted");
    let privileged = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "loud", "namespace": name},
        "spec": {"containers": [{"name": "main", "image": "localhost/x", "securityContext": {"privileged": true}}]}});
    let said = space.try_apply(privileged).await.expect_err("not here");
    assert!(said.contains("PodSecurity"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bound_can_be_set_for_an_environment_and_goes_with_its_field() {
    let space = space().await;
    let limits =
        json!({"defaultRequest": {}, "default": {"memory": "256Mi"}, "max": {"memory": "2048Mi", "cpu": "2000m"}});
    space
        .environment_with(
            "dev",
            json!({"order": 10, "isolation": "Strict", "quota": {"pods": "5"}, "limits": limits, "defaultToken": true,
                "podSecurity": "baseline", "podSecurityVersion": "latest"}),
        )
        .await;
    let name = format!("{}-dev", space.name);
    let policies: Api<NetworkPolicy> = inside(&space, &name);
    let strict = policies.get("gantry-isolation").await.expect("a policy").spec.expect("a spec");
    assert_eq!((strict.ingress, strict.egress.map(|rules| rules.len())), (None, Some(1)));
    let item = inside::<LimitRange>(&space, &name).get("gantry-limits").await.expect("limits").spec.expect("a spec");
    let default = item.limits[0].default.clone().expect("defaults");
    assert_eq!((default["memory"].0.as_str(), default["cpu"].0.as_str()), ("256Mi", "2"));
    let account = inside::<ServiceAccount>(&space, &name).get("default").await.expect("it");
    assert_eq!(account.automount_service_account_token, Some(true));
    let labels = namespaces(&space).get(&name).await.expect("a namespace");
    assert_eq!(labels.labels()["pod-security.kubernetes.io/enforce-version"], "latest");

    // As wanted, however the API server writes it: nothing is written again.
    let versions = || async {
        let limits = inside::<LimitRange>(&space, &name).get("gantry-limits").await.expect("limits");
        let quota = inside::<ResourceQuota>(&space, &name).get("gantry-quota").await.expect("a quota");
        (limits.resource_version(), quota.metadata.generation, quota.spec)
    };
    let before = versions().await;
    look_again(&space, "dev").await;
    assert_eq!(versions().await, before);

    space.environment_with("dev", json!({"order": 10, "isolation": "Open", "limits": {"defaultRequest": {}}})).await;
    wait::gone(&policies, "gantry-isolation").await;
    wait::gone(&inside::<ResourceQuota>(&space, &name), "gantry-quota").await;
    wait::gone(&inside::<LimitRange>(&space, &name), "gantry-limits").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_older_version_of_gantry_did_not_make_is_added_and_told_as_that() {
    let plane = shared::own(Options::default().with_simulated_nodes(0)).await;
    let operator = Operator::start(&plane, "older").await;
    let space = Space::create(plane.client(&Identity::Admin).await.expect("a client")).await;
    space.environment("dev", 10).await;
    operator.kill(&plane);
    let name = format!("{}-dev", space.name);
    let policies = inside::<NetworkPolicy>(&space, &name);
    policies.delete("gantry-isolation", &DeleteParams::default()).await.expect("it was not there yet");
    let limits = inside::<LimitRange>(&space, &name);
    limits.delete("gantry-limits", &DeleteParams::default()).await.expect("they were not there yet");
    // As the older version wrote it, which only the operator may.
    let account = Identity::service_account("gantry-system", "gantry");
    let environments: Api<Environment> = Api::namespaced(plane.client(&account).await.expect("a client"), &space.name);
    let known = space.api::<Environment>().get("dev").await.expect("it").status.expect("a status").targets;
    let mut rows = serde_json::to_value(known).expect("JSON");
    let edition = rows[0].as_object_mut().expect("a row").remove("edition");
    assert!(edition.is_some());
    let older = Patch::Merge(json!({"status": {"targets": rows}}));
    environments.patch_status("dev", &PatchParams::default(), &older).await.expect("the operator may");
    operator.resume(&plane).await;
    event(&space, "dev", ("Upgraded", &format!("NetworkPolicy {name}/gantry-isolation was added or changed"))).await;
    event(&space, "dev", ("Upgraded", &format!("LimitRange {name}/gantry-limits"))).await;
    wait::object(&policies, "gantry-isolation", "there", |_| true).await;
    wait::object(&limits, "gantry-limits", "there", |_| true).await;
    wait::object(&space.api(), "dev", "of this edition", |known: &Environment| {
        known.status.as_ref().is_some_and(|status| status.targets.iter().all(|row| row.edition > 0))
    })
    .await;
    let told = space.api::<Event>().list(&ListParams::default()).await.expect("Events").items;
    assert!(told.iter().all(|event| event.reason.as_deref() != Some("DriftCorrected")), "nobody is blamed: {told:?}");
    // From now on a difference is somebody's doing.
    policies.delete("gantry-isolation", &DeleteParams::default()).await.expect("somebody removes it");
    event(&space, "dev", ("DriftCorrected", &format!("NetworkPolicy {name}/gantry-isolation"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_somebody_deletes_is_made_again() {
    let space = space().await;
    space.environment("dev", 10).await;
    let name = format!("{}-dev", space.name);
    let uid = namespaces(&space).get(&name).await.expect("a namespace").uid();
    namespaces(&space).delete(&name, &DeleteParams::default()).await.expect("a deletion");
    let again = wait::object(&space.api(), "dev", "at home in a new namespace", |known: &Environment| {
        let target = known.status.as_ref().and_then(|status| status.targets.first());
        ready(known).is_some_and(|(ready, ..)| ready) && target.is_some_and(|target| target.uid != uid)
    })
    .await;
    let found = namespaces(&space).get(&name).await.expect("a namespace");
    assert_eq!(again.status.expect("a status").targets[0].uid, found.uid());
    event(&space, "dev", ("DriftCorrected", &format!("namespace {name}"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_finds_everything_in_place_writes_nothing() {
    let space = space().await;
    space.apply(pull_secret(&space, "ghcr", "ghcr.io")).await;
    space.environment_with("dev", json!({"order": 10, "pullSecrets": ["ghcr"]})).await;
    let name = format!("{}-dev", space.name);
    let versions = || async {
        let mut all = vec![namespaces(&space).get(&name).await.expect("a namespace").resource_version()];
        let accounts = inside::<ServiceAccount>(&space, &name).list(&ListParams::default()).await.expect("accounts");
        all.extend(accounts.iter().map(ResourceExt::resource_version));
        let bindings = inside::<RoleBinding>(&space, &name).list(&ListParams::default()).await.expect("bindings");
        all.extend(bindings.iter().map(ResourceExt::resource_version));
        let secrets = inside::<Secret>(&space, &name).list(&ListParams::default()).await.expect("secrets");
        all.extend(secrets.iter().map(ResourceExt::resource_version));
        all
    };
    let before = versions().await;
    let mark = shared().await.plane.audit().mark();
    look_again(&space, "dev").await;
    assert_eq!(versions().await, before);
    let seen = shared().await.plane.audit().since(mark).expect("the audit log");
    let told = |event: &gantry_plane::audit::AuditEvent| event.user == OPERATOR && event.subresource == "status";
    assert!(seen.iter().any(|event| told(event) && event.namespace == space.name), "no run is in the audit log");
    let writes: Vec<_> = seen
        .iter()
        .filter(|event| event.user == OPERATOR && (event.namespace == name || event.name == name))
        .filter(|event| !["get", "list", "watch"].contains(&event.verb.as_str()))
        .map(|event| (&event.verb, &event.request_uri))
        .collect();
    assert!(writes.is_empty(), "{writes:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pull_secrets_are_copied_offered_to_pods_and_follow_their_source() {
    let space = space().await;
    space.apply(pull_secret(&space, "ghcr", "ghcr.io")).await;
    space.environment_with("dev", json!({"order": 10, "pullSecrets": ["ghcr"]})).await;
    let name = format!("{}-dev", space.name);
    let secrets: Api<Secret> = inside(&space, &name);
    let copy = secrets.get("ghcr").await.expect("a copy");
    assert!(config(&copy).contains("ghcr.io"));
    assert_eq!(copy.type_.as_deref(), Some("kubernetes.io/dockerconfigjson"));
    assert_eq!(copy.labels()[ENVIRONMENT_LABEL], "dev");
    assert!(!copy.annotations().contains_key("private"));
    let account = inside::<ServiceAccount>(&space, &name).get("default").await.expect("an account");
    assert_eq!(offered(&account), ["ghcr"]);

    space.apply(pull_secret(&space, "ghcr", "quay.io")).await;
    look_again(&space, "dev").await;
    assert!(config(&secrets.get("ghcr").await.expect("a copy")).contains("quay.io"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_somebody_edits_is_put_back() {
    let space = space().await;
    space.apply(pull_secret(&space, "ghcr", "ghcr.io")).await;
    space.environment_with("dev", json!({"order": 10, "pullSecrets": ["ghcr"]})).await;
    let name = format!("{}-dev", space.name);
    let secrets: Api<Secret> = inside(&space, &name);
    merge(&secrets, "ghcr", json!({"stringData": {".dockerconfigjson": "{\"auths\":{}}"}})).await;
    // Secrets are not watched: the environment is looked at again before its time, since something of it changed.
    merge(&space.api::<Environment>(), "dev", json!({"metadata": {"annotations": {"example.com/look": "now"}}})).await;
    wait::object(&secrets, "ghcr", "put back", |copy: &Secret| config(copy).contains("ghcr.io")).await;
    event(&space, "dev", ("DriftCorrected", &format!("Secret {name}/ghcr"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_secret_that_is_no_longer_listed_leaves_no_copy_and_no_right() {
    let space = space().await;
    space.apply(pull_secret(&space, "ghcr", "ghcr.io")).await;
    space.apply(pull_secret(&space, "quay", "quay.io")).await;
    space.environment_with("dev", json!({"order": 10, "pullSecrets": ["ghcr", "quay"]})).await;
    let name = format!("{}-dev", space.name);
    let accounts: Api<ServiceAccount> = inside(&space, &name);
    let theirs = json!({"imagePullSecrets": [{"name": "ghcr"}, {"name": "quay"}, {"name": "theirs"}]});
    merge(&accounts, "default", theirs).await;

    space.environment_with("dev", json!({"order": 10, "pullSecrets": ["quay"]})).await;
    let secrets: Api<Secret> = inside(&space, &name);
    assert!(secrets.get_opt("ghcr").await.expect("an answer").is_none());
    assert!(secrets.get_opt("quay").await.expect("an answer").is_some());
    let mut names = offered(&accounts.get("default").await.expect("an account"));
    names.sort();
    assert_eq!(names, ["quay", "theirs"]);

    space.environment_with("dev", json!({"order": 10, "pullSecrets": []})).await;
    assert!(secrets.get_opt("quay").await.expect("an answer").is_none());
    let bindings: Api<RoleBinding> = inside(&space, &name);
    assert!(bindings.get_opt("gantry-pull-secrets").await.expect("an answer").is_none());
    assert_eq!(offered(&accounts.get("default").await.expect("an account")), ["theirs"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_pull_secret_is_named_with_the_field_and_heals() {
    let space = space().await;
    let opaque = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "opaque", "namespace": space.name},
        "stringData": {".dockerconfigjson": "hunter2"},
    });
    space.apply(opaque).await;
    let path = json!({"order": 10, "pullSecrets": ["../../../kube-system/secrets/x"]});
    let refused =
        space.try_apply(space.object("Environment", "dev", path)).await.expect_err("no name is refused at once");
    assert!(refused.contains("spec.pullSecrets[0]"), "{refused}");
    for (name, says) in [("missing", "does not exist in space"), ("opaque", "has type \"Opaque\"")] {
        space.apply(space.object("Environment", "dev", json!({"order": 10, "pullSecrets": [name]}))).await;
        let said = wait::object(&space.api(), "dev", says, |known: &Environment| {
            ready(known).is_some_and(|(_, reason, message)| reason == "PullSecretInvalid" && message.contains(says))
        })
        .await;
        let (_, _, message) = ready(&said).expect("a condition");
        assert!(message.starts_with("spec.pullSecrets[0]: ") && !message.contains("hunter2"), "{message}");
    }
    space.apply(pull_secret(&space, "ghcr", "ghcr.io")).await;
    space.environment_with("dev", json!({"order": 10, "pullSecrets": ["ghcr"]})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_that_does_not_let_gantry_read_its_secrets_is_told_how() {
    let space = space().await;
    let bindings: Api<RoleBinding> = space.api();
    bindings.delete("gantry-space", &DeleteParams::default()).await.expect("a deletion");
    wait::eventually("the right is gone", || async {
        (!may(&space.client, OPERATOR, attributes(&space.name, "get", "secrets")).await).then_some(())
    })
    .await;
    space.apply(pull_secret(&space, "ghcr", "ghcr.io")).await;
    space.apply(space.object("Environment", "dev", json!({"order": 10, "pullSecrets": ["ghcr"]}))).await;
    let said = not_ready(&space, "dev", "PullSecretInvalid").await;
    assert!(said.contains("spec.pullSecrets[0]") && said.contains("gantry-space"), "{said}");
}

// Attack T13.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_somebody_else_in_the_namespace_is_never_overwritten() {
    let space = space().await;
    let name = prepared(&space, "old", json!({SPACE_LABEL: space.name})).await;
    let theirs = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ghcr", "namespace": name},
        "stringData": {"password": "theirs"},
    });
    space.apply(theirs).await;
    space.apply(pull_secret(&space, "ghcr", "ghcr.io")).await;
    let mut spec = at(&name);
    spec["pullSecrets"] = json!(["ghcr"]);
    space.apply(space.object("Environment", "dev", spec)).await;
    let said = not_ready(&space, "dev", "PullSecretInvalid").await;
    assert!(said.contains("is not Gantry's copy"), "{said}");
    let secret = inside::<Secret>(&space, &name).get("ghcr").await.expect("their secret");
    assert_eq!(secret.data.expect("data").keys().collect::<Vec<_>>(), ["password"]);
}

// Attack T12.
#[tokio::test(flavor = "multi_thread")]
async fn namespaces_of_kubernetes_are_refused_when_they_are_written() {
    let space = space().await;
    for name in ["kube-system", "kube-public", "default"] {
        let said = space.try_apply(space.object("Environment", "dev", at(name))).await.expect_err("a refusal");
        assert!(said.contains("spec.targets[].namespace must not be default or start with kube-"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_that_no_environment_may_have_are_refused_with_the_field_and_the_remedy() {
    let (space, other) = (space().await, space().await);
    other.environment("dev", 10).await;
    for (name, says) in [
        ("gantry-system", "is the one that Gantry runs in"),
        (space.name.as_str(), "is the space itself"),
        (other.name.as_str(), "is a space"),
    ] {
        let environment = format!("in-{name}");
        space.apply(space.object("Environment", &environment, at(name))).await;
        let said = not_ready(&space, &environment, "NamespaceForbidden").await;
        assert!(said.starts_with("spec.targets[0].namespace: ") && said.contains(says), "{said}");
        assert!(said.contains("choose another namespace"), "{said}");
        event(&space, &environment, ("NamespaceForbidden", name)).await;
    }
    let long = "x".repeat(60);
    space.apply(space.object("Environment", &long, json!({"order": 10}))).await;
    let said = not_ready(&space, &long, "NamespaceForbidden").await;
    assert!(said.contains("spec.targets") && said.contains("63"), "{said}");
}

// Attacks T12, T13.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_of_others_is_refused_until_it_is_labelled_for_the_space() {
    let space = space().await;
    let name = prepared(&space, "old", json!({})).await;
    space.apply(space.object("Environment", "dev", at(&name))).await;
    let said = not_ready(&space, "dev", "NamespaceTaken").await;
    assert!(said.contains(&format!("{SPACE_LABEL}={}", space.name)), "{said}");
    let accounts = inside::<ServiceAccount>(&space, &name);
    assert!(accounts.get_opt("gantry-deployer").await.expect("an answer").is_none());

    merge(&namespaces(&space), &name, json!({"metadata": {"labels": {SPACE_LABEL: space.name}}})).await;
    let environment = space.environment_ready("dev").await;
    assert!(!environment.status.expect("a status").targets[0].created);
    assert!(accounts.get_opt("gantry-deployer").await.expect("an answer").is_some());
}

// Attack T12.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_of_another_space_or_environment_is_refused_with_its_owner() {
    let space = space().await;
    let foreign = prepared(&space, "pay", json!({SPACE_LABEL: "pay"})).await;
    space.apply(space.object("Environment", "dev", at(&foreign))).await;
    assert!(not_ready(&space, "dev", "NamespaceTaken").await.contains("belongs to space pay"));
    let marked = prepared(&space, "marked", json!({SPACE_LABEL: space.name, ENVIRONMENT_LABEL: "other"})).await;
    space.apply(space.object("Environment", "test", at(&marked))).await;
    assert!(not_ready(&space, "test", "NamespaceTaken").await.contains("labelled for environment other"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_environments_never_share_a_namespace_and_the_second_gets_it_when_the_first_goes() {
    let space = space().await;
    let name = format!("{}-shared", space.name);
    space.environment_with("first", at(&name)).await;
    space.apply(space.object("Environment", "second", at(&name))).await;
    let said = not_ready(&space, "second", "NamespaceTaken").await;
    assert!(said.contains(&format!("belongs to environment first of space {}", space.name)), "{said}");
    let environments: Api<Environment> = space.api();
    environments.delete("first", &DeleteParams::default()).await.expect("a deletion");
    let second = space.environment_ready("second").await;
    assert!(!second.status.expect("a status").targets[0].created, "it was created for the first");
    let labels = namespaces(&space).get(&name).await.expect("a namespace");
    assert_eq!(labels.labels()[ENVIRONMENT_LABEL], "second");
}

// Attack T12.
#[tokio::test(flavor = "multi_thread")]
async fn two_spaces_never_share_a_namespace() {
    let (one, two) = (space().await, space().await);
    let name = format!("{}-{}", one.name, two.name);
    one.environment_with("dev", at(&name)).await;
    two.apply(two.object("Environment", "dev", at(&name))).await;
    let said = not_ready(&two, "dev", "NamespaceTaken").await;
    assert!(said.contains(&format!("belongs to environment dev of space {}", one.name)), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_somebody_takes_from_the_space_is_left_alone() {
    let space = space().await;
    space.environment("dev", 10).await;
    let name = format!("{}-dev", space.name);
    merge(&namespaces(&space), &name, json!({"metadata": {"labels": {SPACE_LABEL: null}}})).await;
    let said = not_ready(&space, "dev", "NamespaceTaken").await;
    assert!(said.contains(SPACE_LABEL), "{said}");
    space.api::<Environment>().delete("dev", &DeleteParams::default()).await.expect("a deletion");
    wait::gone(&space.api::<Environment>(), "dev").await;
    assert!(namespaces(&space).get_opt(&name).await.expect("an answer").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_being_deleted_is_waited_for() {
    let space = space().await;
    space.environment("dev", 10).await;
    let name = format!("{}-dev", space.name);
    let config_maps: Api<ConfigMap> = inside(&space, &name);
    let held = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "held", "namespace": name, "finalizers": ["tests.gantry.dev/held"]},
    });
    space.apply(held).await;
    namespaces(&space).delete(&name, &DeleteParams::default()).await.expect("a deletion");
    let said = not_ready(&space, "dev", "NamespaceTerminating").await;
    assert!(said.contains(&name), "{said}");
    let environment = space.api::<Environment>().get("dev").await.expect("an environment");
    let conditions = environment.status.expect("a status").conditions;
    assert!(condition::is_true(&conditions, ConditionType::Reconciling));
    assert!(!condition::is_true(&conditions, ConditionType::Stalled));
    merge(&config_maps, "held", json!({"metadata": {"finalizers": null}})).await;
    space.environment_ready("dev").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_no_longer_a_target_is_released_with_its_workloads() {
    let space = space().await;
    space.environment("dev", 10).await;
    let (old, new) = (format!("{}-dev", space.name), format!("{}-new", space.name));
    space.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "work", "namespace": old}})).await;
    space.environment_with("dev", at(&new)).await;
    let released = namespaces(&space).get(&old).await.expect("a namespace");
    assert!(!released.labels().contains_key(ENVIRONMENT_LABEL), "{:?}", released.labels());
    let bindings: Api<RoleBinding> = inside(&space, &old);
    for name in BINDINGS {
        assert!(bindings.get_opt(name).await.expect("an answer").is_none(), "{name}");
    }
    assert!(inside::<ConfigMap>(&space, &old).get_opt("work").await.expect("an answer").is_some());
    let environment = space.environment_ready("dev").await;
    let targets = environment.status.expect("a status").targets;
    assert_eq!(targets.iter().map(|target| target.namespace.as_str()).collect::<Vec<_>>(), [new]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_environment_keeps_its_workloads_and_what_bounds_them_and_takes_gantrys_rights_along() {
    let space = space().await;
    space.apply(pull_secret(&space, "ghcr", "ghcr.io")).await;
    let quota = json!({"count/jobs.batch": "10"});
    space.environment_with("dev", json!({"order": 10, "pullSecrets": ["ghcr"], "quota": quota})).await;
    let name = format!("{}-dev", space.name);
    space
        .apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "work", "namespace": name}}))
        .await;
    let environments: Api<Environment> = space.api();
    environments.delete("dev", &DeleteParams::default()).await.expect("a deletion");
    wait::gone(&environments, "dev").await;
    let namespace = namespaces(&space).get(&name).await.expect("a namespace");
    assert!(!namespace.labels().contains_key(ENVIRONMENT_LABEL), "{:?}", namespace.labels());
    assert!(inside::<ConfigMap>(&space, &name).get_opt("work").await.expect("an answer").is_some());
    let bindings: Api<RoleBinding> = inside(&space, &name);
    for binding in BINDINGS {
        assert!(bindings.get_opt(binding).await.expect("an answer").is_none(), "{binding}");
    }
    // Without these, what ran closed and bounded would be open and free from one moment to the next.
    assert_eq!(namespace.labels()["pod-security.kubernetes.io/enforce"], "restricted");
    inside::<NetworkPolicy>(&space, &name).get("gantry-isolation").await.expect("it stays");
    inside::<LimitRange>(&space, &name).get("gantry-limits").await.expect("they stay");
    inside::<ResourceQuota>(&space, &name).get("gantry-quota").await.expect("it stays");
    // Pods that start there later still need it.
    assert!(inside::<Secret>(&space, &name).get_opt("ghcr").await.expect("an answer").is_some());
    // And an environment of that name takes it up again.
    space.environment("dev", 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_gantry_created_goes_with_its_environment_if_the_spec_says_so() {
    let space = space().await;
    space.environment_with("dev", json!({"order": 10, "deletionPolicy": "Delete"})).await;
    let name = format!("{}-dev", space.name);
    let environments: Api<Environment> = space.api();
    environments.delete("dev", &DeleteParams::default()).await.expect("a deletion");
    wait::gone(&environments, "dev").await;
    assert!(namespaces(&space).get_opt(&name).await.expect("an answer").is_none(), "the environment went first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_gantry_did_not_create_never_goes_with_its_environment() {
    let space = space().await;
    let name = prepared(&space, "old", json!({SPACE_LABEL: space.name})).await;
    let mut spec = at(&name);
    spec["deletionPolicy"] = json!("Delete");
    space.environment_with("dev", spec).await;
    let environments: Api<Environment> = space.api();
    environments.delete("dev", &DeleteParams::default()).await.expect("a deletion");
    wait::gone(&environments, "dev").await;
    let namespace = namespaces(&space).get(&name).await.expect("a namespace");
    assert!(namespace.metadata.deletion_timestamp.is_none());
    assert_eq!(namespace.labels()[SPACE_LABEL], space.name);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_space_is_not_held_back_by_its_environments() {
    let space = space().await;
    space.environment_with("dev", json!({"order": 10, "deletionPolicy": "Delete"})).await;
    space.environment("test", 20).await;
    let name = format!("{}-dev", space.name);
    let held = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "held", "namespace": name, "finalizers": ["tests.gantry.dev/held"]},
    });
    space.apply(held).await;
    namespaces(&space).delete(&space.name, &DeleteParams::default()).await.expect("a deletion");
    wait::gone(&namespaces(&space), &space.name).await;
    let config_maps: Api<ConfigMap> = inside(&space, &name);
    merge(&config_maps, "held", json!({"metadata": {"finalizers": null}})).await;
    wait::gone(&namespaces(&space), &name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_target_does_not_stop_the_others() {
    let space = space().await;
    let taken = prepared(&space, "taken", json!({})).await;
    let free = format!("{}-free", space.name);
    let targets = json!([{"name": "a", "namespace": taken}, {"name": "b", "namespace": free}]);
    space.apply(space.object("Environment", "dev", json!({"order": 10, "targets": targets}))).await;
    let said = not_ready(&space, "dev", "NamespaceTaken").await;
    assert!(said.starts_with("spec.targets[0].namespace: "), "{said}");
    wait::object(&inside::<RoleBinding>(&space, &free), "gantry-impersonator", "there", |_: &RoleBinding| true).await;
}

/// What `kubectl get` shows of a kind in a space: the names of its columns, and its rows.
async fn table(space: &Space, plural: &str) -> (Vec<String>, Vec<Vec<Value>>) {
    let path = format!("/apis/gantry.dev/v1alpha1/namespaces/{}/{plural}", space.name);
    let request = http::Request::get(path).header(http::header::ACCEPT, "application/json;as=Table;v=v1;g=meta.k8s.io");
    let answer: Value = space.client.request(request.body(Vec::new()).expect("a request")).await.expect("a table");
    let list = |path: &str| answer[path].as_array().expect("a list").iter();
    let columns = list("columnDefinitions").map(|column| column["name"].as_str().expect("a name").to_owned());
    let rows = list("rows").map(|row| row["cells"].as_array().expect("cells").clone());
    (columns.collect(), rows.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn environments_are_rows_with_order_and_readiness_and_one_that_a_lifecycle_names_is_not_deleted() {
    let space = space().await;
    for (name, order) in [("production", 30), ("dev", 10), ("test", 20)] {
        space.environment(name, order).await;
    }
    let phases: Vec<Value> =
        ["dev", "test", "production"].iter().map(|name| json!({"name": name, "environments": [name]})).collect();
    space.apply(space.object("Lifecycle", "standard", json!({"phases": phases}))).await;
    let (columns, rows) = table(&space, "environments").await;
    let column = |name: &str| columns.iter().position(|column| column == name).expect(name);
    let (name, order, ready) = (column("Name"), column("Order"), column("Ready"));
    let mut shown: Vec<_> =
        rows.iter().map(|row| (row[order].as_i64(), row[name].as_str(), row[ready].as_str())).collect();
    shown.sort_unstable();
    let row = |order, name| (Some(order), Some(name), Some("True"));
    assert_eq!(shown, [row(10, "dev"), row(20, "test"), row(30, "production")]);

    let environments: Api<Environment> = space.api();
    let refused = wait::eventually("the lifecycle is known to the policy", || async {
        let dry_run = DeleteParams { dry_run: true, ..DeleteParams::default() };
        environments.delete("test", &dry_run).await.err().map(|error| error.to_string())
    })
    .await;
    assert!(refused.contains("lifecycle standard names environment test"), "{refused}");
}
