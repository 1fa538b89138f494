//! What the operator is allowed is what it does: the shipped roles against the calls in the API server's audit log.

use std::collections::BTreeSet;
use std::fmt;

use gantry::api::v1alpha1::command_run::CommandRunStatus;
use gantry::api::v1alpha1::{Approval, CommandRun, Environment, Freeze, Lifecycle, Pin, Promotion, Release};
use gantry_plane::node::simulated::EXIT_CODE;
use gantry_plane::{AuditEvent, manifests};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{LimitRange, Namespace, PersistentVolume, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::support::manifest::{config_map, deployment, failing};
use crate::support::shared::shared;
use crate::support::space::Space;
use crate::support::wait;

const OPERATOR: &str = "system:serviceaccount:gantry-system:gantry";

/// The roles that the operator holds, everywhere or in some namespaces.
const OPERATORS: [&str; 5] =
    ["gantry-operator", "gantry-guard", "gantry-space", "gantry-impersonator", "gantry-pull-secrets"];

/// What is granted and cannot be seen in the audit log: a verb, a resource with the name that it is limited to, and why.
const UNSEEN: [(&str, &str, &str); 2] = [
    ("patch", "events.k8s.io/events", "an Event that repeats within minutes is counted up; it need not happen here"),
    ("create", "gantry.dev/pins", "it is only tried, as a dry run: tests/guard.rs shows what for"),
];

/// Roles that everybody has: discovery, and asking what one may.
const EVERYBODYS: [&str; 3] = ["system:basic-user", "system:discovery", "system:public-info-viewer"];

/// One verb on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    verb: String,
    /// `group/resource` or `group/resource/subresource`; the core group is empty.
    resource: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)
    }
}

impl Call {
    fn new(verb: &str, group: &str, resource: &str) -> Self {
        Self { verb: verb.to_owned(), resource: format!("{group}/{resource}") }
    }
}

/// What one rule of a role grants: a call, on every object or on that of one name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    role: String,
    call: Call,
    only: Option<String>,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let only = self.only.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
        write!(f, "{}: {}{only}", self.role, self.call)
    }
}

/// A call that was let through, and by what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Use {
    role: String,
    /// The namespace of the `RoleBinding`; none if a `ClusterRoleBinding` let it through.
    bound_in: Option<String>,
    call: Call,
    namespace: String,
    name: String,
}

impl Use {
    /// What an event shows: the call itself, and what the API server asks for besides without writing it down.
    fn all_of(event: &AuditEvent) -> Vec<Self> {
        let resource = if event.subresource.is_empty() {
            event.resource.clone()
        } else {
            format!("{}/{}", event.resource, event.subresource)
        };
        let Some((role, bound_in)) = let_through(&event.allowed_by) else { return Vec::new() };
        let call = Call::new(&event.verb, &event.group, &resource);
        let own = Self { role, bound_in, call, namespace: event.namespace.clone(), name: event.name.clone() };
        let mut all = vec![own.clone()];
        // A server-side apply that creates is a patch, and needs create as well.
        if event.verb == "patch" && event.code == 201 {
            all.push(Self { call: Call::new("create", &event.group, &resource), ..own.clone() });
        }
        // Whoever writes a RoleBinding must be let bind its role, whose name it has.
        if event.resource == "rolebindings" && event.code == 201 {
            let call = Call::new("bind", "rbac.authorization.k8s.io", "clusterroles");
            all.push(Self { call, namespace: String::new(), ..own.clone() });
        }
        all.retain(|_| !event.resource.is_empty());
        if let Some((namespace, name)) = event.impersonated.as_deref().and_then(account) {
            all.push(Self {
                role: "gantry-impersonator".into(),
                bound_in: Some(namespace.to_owned()),
                call: Call::new("impersonate", "", "serviceaccounts"),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            });
        }
        all
    }

    fn is_of(&self, right: &Right) -> bool {
        let named = right.only.as_ref().is_none_or(|only| *only == self.name);
        self.role == right.role && self.call == right.call && named
    }
}

/// Role and namespace of the binding in `RBAC: allowed by RoleBinding "a/shop" of ClusterRole "b" to …`.
fn let_through(allowed_by: &str) -> Option<(String, Option<String>)> {
    let quoted: Vec<&str> = allowed_by.split('"').skip(1).step_by(2).collect();
    let [binding, role, ..] = quoted.as_slice() else { return None };
    let namespace = binding.split_once('/').map(|(_, namespace)| namespace.to_owned());
    Some(((*role).to_owned(), namespace.filter(|_| allowed_by.contains("allowed by RoleBinding"))))
}

/// Namespace and name of a service account.
fn account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?.split_once(':')
}

/// The roles of `deploy/`, by name.
fn roles() -> Vec<Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/rbac.yaml");
    let documents = manifests::documents(&std::fs::read_to_string(path).expect("a file")).expect("YAML");
    documents.into_iter().filter(|document| document["kind"] == "ClusterRole").collect()
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Every verb on every resource that a role grants.
fn granted(role: &Value) -> BTreeSet<Call> {
    rights(role).into_iter().map(|right| right.call).collect()
}

/// The same with the names that it is limited to.
fn rights(role: &Value) -> Vec<Right> {
    let mut found = Vec::new();
    for rule in role["rules"].as_array().into_iter().flatten() {
        let names: Vec<_> = match words(&rule["resourceNames"]) {
            names if names.is_empty() => vec![None],
            names => names.into_iter().map(|name| Some(name.to_owned())).collect(),
        };
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                for verb in words(&rule["verbs"]) {
                    let right = |only: &Option<String>| Right {
                        role: name(role).to_owned(),
                        call: Call::new(verb, group, resource),
                        only: only.clone(),
                    };
                    found.extend(names.iter().map(right));
                }
            }
        }
    }
    found
}

fn name(role: &Value) -> &str {
    role["metadata"]["name"].as_str().unwrap_or_default()
}

// Attack T14.
#[test]
fn no_role_has_a_wildcard_or_a_right_that_leads_to_others() {
    for role in roles() {
        for rule in role["rules"].as_array().expect("rules") {
            let (verbs, resources) = (words(&rule["verbs"]), words(&rule["resources"]));
            for list in ["apiGroups", "resources", "verbs", "resourceNames"] {
                let wild = words(&rule[list]).iter().any(|word| word.contains('*'));
                assert!(!wild, "{} has a wildcard in {list}", name(&role));
            }
            assert!(rule.get("nonResourceURLs").is_none(), "{} reaches paths that are no resources", name(&role));
            assert!(!verbs.contains(&"escalate") && !verbs.contains(&"deletecollection"), "{}", name(&role));
            if verbs.contains(&"bind") || verbs.contains(&"impersonate") {
                let named = words(&rule["resourceNames"]);
                assert!(!named.is_empty() && named.iter().all(|name| name.starts_with("gantry-")), "{named:?}");
            }
            let risky = ["serviceaccounts/token", "pods/exec", "pods/attach", "pods/portforward", "nodes/proxy"];
            assert!(!resources.iter().any(|resource| risky.contains(resource)), "{}: {resources:?}", name(&role));
        }
    }
}

// Attack T15.
#[test]
fn the_operator_reads_no_secret_of_the_whole_cluster_and_promotes_nothing() {
    let operator = roles().into_iter().find(|role| name(role) == "gantry-operator").expect("the role");
    for call in granted(&operator) {
        assert!(!call.resource.ends_with("/secrets") && !call.resource.ends_with("/configmaps"), "{call}");
        assert!(call.verb != "promote" && call.verb != "impersonate", "{call}");
        let asked_for =
            ["promotions", "pins", "approvals", "releases", "projects", "environments", "freezes", "lifecycles"]
                .map(|kind| format!("gantry.dev/{kind}"));
        let writes = ["create", "update", "delete"].contains(&call.verb.as_str());
        // The admission policies hold it to promotions and releases that have a cause: tests/policies/people.rs.
        let caused = ["promotions", "releases"].iter().any(|kind| call == Call::new("create", "gantry.dev", kind));
        // A decision goes with its promotion.
        let removed = call == Call::new("delete", "gantry.dev", "approvals");
        assert!(!(writes && asked_for.contains(&call.resource)) || caused || removed, "{call}");
    }
}

#[test]
fn the_account_that_commands_run_as_reads_logs_and_restarts_workloads() {
    let console = roles().into_iter().find(|role| name(role) == "gantry-console").expect("the role");
    let all: Vec<String> = granted(&console).iter().map(Call::to_string).collect();
    let expected = [
        "get /pods/log",
        "get apps/daemonsets",
        "get apps/deployments",
        "get apps/statefulsets",
        "list /pods",
        "patch apps/daemonsets",
        "patch apps/deployments",
        "patch apps/statefulsets",
    ];
    assert_eq!(all, expected);
}

// Attack T9.
#[test]
fn the_account_that_applies_releases_reads_no_secret_and_gives_no_rights() {
    let deployer = roles().into_iter().find(|role| name(role) == "gantry-deployer").expect("the role");
    for call in granted(&deployer) {
        let reads = ["get", "list", "watch"].contains(&call.verb.as_str());
        assert!(!(reads && call.resource == "/secrets"), "{call}");
        assert!(
            !call.resource.starts_with("rbac.authorization.k8s.io/") && !call.resource.contains("serviceaccounts"),
            "{call}"
        );
        assert!(!call.resource.starts_with("gantry.dev/"), "{call}");
    }
}

// Attack T5.
#[test]
fn only_releasers_promote_only_approvers_approve_only_space_admins_write_what_gates_look_at_and_no_person_status_or_records()
 {
    for role in roles() {
        for call in granted(&role) {
            let person = !OPERATORS.contains(&name(&role));
            assert!(call.verb != "promote" || name(&role) == "gantry-releaser", "{}: {call}", name(&role));
            assert!(call.verb != "approve" || name(&role) == "gantry-approver", "{}: {call}", name(&role));
            assert!(!(person && call.resource.ends_with("/status")), "{}: {call}", name(&role));
            let reads = ["get", "list", "watch"].contains(&call.verb.as_str());
            assert!(!(person && call.resource.ends_with("auditrecords")) || reads, "{}: {call}", name(&role));
            let decides = name(&role) == "gantry-space-admin";
            let looked_at = ["freezes", "lifecycles", "environments"].iter().any(|kind| call.resource.ends_with(kind));
            let changes = ["create", "update", "patch", "delete", "override"].contains(&call.verb.as_str());
            assert!(!(person && looked_at && changes) || decides, "{}: {call}", name(&role));
        }
    }
}

#[test]
fn no_right_is_granted_twice_to_the_same_account() {
    for holders in [&OPERATORS[..], &["gantry-deployer"], &["gantry-console"]] {
        let held: Vec<_> = roles().iter().filter(|role| holders.contains(&name(role))).flat_map(rights).collect();
        for (place, right) in held.iter().enumerate() {
            let others = held.iter().skip(place + 1);
            // What is bound in other namespaces is another right.
            let again = others
                .into_iter()
                .find(|other| other.role == right.role && other.call == right.call && other.only == right.only);
            assert!(again.is_none(), "{right} is granted twice");
        }
    }
}

/// A release that its lifecycle promotes.
async fn goes_on_by_itself(space: &Space) {
    let phases = json!([{"name": "dev", "environments": ["dev"], "automatic": ["dev"]}]);
    space.apply(space.object("Lifecycle", "standard", json!({"phases": phases}))).await;
    let apply = json!({"manifests": [config_map("cart", "one")]});
    let variables = json!([{"name": "LEVEL", "values": [{"value": "info"}]}]);
    space.apply(space.object("VariableSet", "shared", json!({"variables": variables}))).await;
    let sets = json!(["shared"]);
    let spec = json!({"lifecycle": "standard", "variableSets": sets, "process": [{"name": "deploy", "timeout": "2m", "apply": apply}]});
    space.apply(space.object("Project", "cart", spec)).await;
    space.apply(space.object("Release", "cart-1.0.0", json!({"project": "cart", "version": "1.0.0"}))).await;
    wait::object(&space.api(), "cart-1.0.0", "in dev by itself", |known: &Release| {
        known.status.as_ref().is_some_and(|status| status.environments.iter().any(|row| row.succeeded))
    })
    .await;
}

/// A command that is carried out.
async fn is_restarted(space: &Space) {
    let restart = json!({"workload": "Deployment/checkout"});
    let spec = json!({"environment": "dev", "project": "checkout", "reason": "CHG-1", "restart": restart});
    space.apply(space.object("CommandRun", "restart", spec)).await;
    wait::object(&space.api(), "restart", "carried out and recorded", |known: &CommandRun| {
        let succeeded = |status: &CommandRunStatus| status.phase.as_deref() == Some("Succeeded");
        known.status.as_ref().is_some_and(succeeded) && known.metadata.finalizers.is_none()
    })
    .await;
}

/// A freeze that was.
async fn is_frozen(space: &Space) {
    let spec = json!({"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z", "reason": "it was a holiday"});
    space.apply(space.object("Freeze", "new-year", spec)).await;
    wait::object(&space.api(), "new-year", "over", |known: &Freeze| {
        known
            .status
            .as_ref()
            .is_some_and(|status| status.observed_generation == known.metadata.generation && !status.active)
    })
    .await;
}

/// A project whose version a pin says.
async fn is_pinned(space: &Space) {
    let apply = json!({"manifests": [config_map("pinned", "one")]});
    let spec = json!({"process": [{"name": "deploy", "timeout": "2m", "apply": apply}]});
    space.apply(space.object("Project", "pinned", spec)).await;
    space.apply(space.object("Release", "pinned-1.0.0", json!({"project": "pinned", "version": "1.0.0"}))).await;
    let spec = json!({"project": "pinned", "environment": "dev", "version": "1.0.0"});
    space.apply(space.object("Pin", "pinned.dev", spec)).await;
    wait::object(&space.api(), "pinned.dev", "deployed", |known: &Pin| {
        known.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Succeeded"))
    })
    .await;
}

/// A promotion that somebody approves.
async fn is_approved(space: &Space) {
    let approvals = json!({"required": 1, "allowRequester": true});
    space.environment_with("live", json!({"order": 10, "deletionPolicy": "Delete", "approvals": approvals})).await;
    let name = space.promote("pinned", "1.0.0", "live").await;
    let waiting = space.in_phase(&name, "Pending", Some("ApprovalsMissing")).await;
    let digest = waiting.status.as_ref().and_then(|status| status.plan_digest.clone());
    let spec = json!({
        "promotion": name, "promotionUid": waiting.uid(), "environment": "live", "planDigest": digest, "decision": "Approve",
    });
    space.apply(space.object("Approval", "of-the-administrator", spec)).await;
    space.ended(&name).await;
    let (promotions, approvals): (Api<Promotion>, Api<Approval>) = (space.api(), space.api());
    promotions.delete(&name, &DeleteParams::default()).await.expect("an administrator may");
    wait::gone(&approvals, "of-the-administrator").await;
}

/// Everything that the operator does to an environment, a project, its releases and their promotions.
async fn whole_story(space: &Space, image: &str) {
    let config =
        ByteString(json!({"auths": {"localhost": {"username": "ann", "password": "x"}}}).to_string().into_bytes());
    space
        .apply(json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": "ghcr", "namespace": space.name}, "data": {".dockerconfigjson": config}}))
        .await;
    let environment = |pull_secrets: Value| json!({"order": 10, "deletionPolicy": "Delete", "pullSecrets": pull_secrets, "quota": {"pods": "50"}});
    space.environment_with("dev", environment(json!(["ghcr"]))).await;
    let copies: Api<Secret> = space.in_environment("dev");
    wait::object(&copies, "ghcr", "copied", |_| true).await;

    let mut manifests = config_map("manifests", "");
    manifests["metadata"]["namespace"] = json!(space.name);
    let text = format!("{}\n---\n{}", deployment("checkout", image), config_map("settings", "one"));
    manifests["data"] = json!({"all.yaml": text});
    space.apply(manifests).await;
    let spec = json!({
        "packages": [{"name": "api", "image": image}],
        "triggers": [{"name": "new-versions"}],
        "process": [{"name": "deploy", "timeout": "2m", "apply": {"manifestsFrom": {"configMap": "manifests"}}}],
    });
    space.apply(space.object("Project", "checkout", spec)).await;
    space.sealed("checkout-2.0.0").await;
    space.release("checkout", "1.0.0").await;
    space.release("checkout", "1.1.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    space.deploy("checkout", "1.1.0", "dev").await;

    is_restarted(space).await;
    goes_on_by_itself(space).await;
    is_frozen(space).await;
    is_pinned(space).await;
    is_approved(space).await;

    // What somebody breaks is put back.
    let accounts: Api<ServiceAccount> = space.in_environment("dev");
    let account = accounts.get("gantry-deployer").await.expect("the account");
    accounts.delete("gantry-deployer", &DeleteParams::default()).await.expect("an administrator may");
    wait::object(&accounts, "gantry-deployer", "made again", |made: &ServiceAccount| made.uid() != account.uid()).await;
    let namespaces: Api<Namespace> = Api::all(space.client.clone());
    let target = format!("{}-dev", space.name);
    let weaker = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}});
    namespaces.patch(&target, &PatchParams::default(), &Patch::Merge(weaker)).await.expect("an administrator may");
    wait::object(&namespaces, &target, "restricted again", |namespace: &Namespace| {
        namespace.labels().get("pod-security.kubernetes.io/enforce").is_some_and(|level| level == "restricted")
    })
    .await;
    let open = json!({"order": 10, "deletionPolicy": "Delete", "isolation": "Open", "limits": {"defaultRequest": {}}});
    space.environment_with("dev", open).await;
    wait::gone(&space.in_environment::<NetworkPolicy>("dev"), "gantry-isolation").await;
    wait::gone(&space.in_environment::<LimitRange>("dev"), "gantry-limits").await;
    // The copy and the right to it go when the environment wants none.
    space.environment_with("dev", environment(json!([]))).await;
    let bindings: Api<RoleBinding> = space.in_environment("dev");
    wait::gone(&copies, "ghcr").await;
    wait::gone(&bindings, "gantry-pull-secrets").await;

    let promotions: Api<Promotion> = space.api();
    promotions.delete("checkout-1.0.0-dev", &DeleteParams::default()).await.expect("an administrator may");
    wait::gone(&promotions, "checkout-1.0.0-dev").await;
    space.promote("checkout", "1.0.0", "dev").await;
    space.ended("checkout-1.0.0-dev").await;
    leave(space).await;
    wait::gone(&namespaces, &target).await;
}

/// The environment goes, once no lifecycle names it.
async fn leave(space: &Space) {
    let (environments, lifecycles): (Api<Environment>, Api<Lifecycle>) = (space.api(), space.api());
    lifecycles.delete("standard", &DeleteParams::default()).await.expect("an administrator may");
    wait::eventually("no lifecycle names it any more", || async {
        environments.delete("dev", &DeleteParams::default()).await.ok()
    })
    .await;
    wait::gone(&environments, "dev").await;
}

/// One object of each kind that a release may have, which each release changes.
fn one_of_each(space: &Space, image: &str) -> Vec<Value> {
    let workload = deployment("app", image)["spec"].clone();
    let (selector, template) = (&workload["selector"], &workload["template"]);
    let mut job = template.clone();
    job["metadata"]["annotations"] = json!({EXIT_CODE: "0"});
    job["spec"]["restartPolicy"] = json!("Never");
    // A Job's template cannot change, not even by the version of its image.
    job["spec"]["containers"][0]["image"] = json!(format!("{image}@sha256:{}", "a".repeat(64)));
    let port = json!({"name": "app", "port": {"number": 80}});
    let claim = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "", "volumeName": space.name,
        "resources": {"requests": {"storage": "1Mi"}}});
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"});
    let kinds = [
        ("apps/v1", "Deployment", json!({"spec": workload})),
        ("apps/v1", "StatefulSet", json!({"spec": {"serviceName": "app", "selector": selector, "template": template}})),
        ("apps/v1", "DaemonSet", json!({"spec": {"selector": selector, "template": template}})),
        ("batch/v1", "Job", json!({"spec": {"template": job}})),
        (
            "batch/v1",
            "CronJob",
            json!({"spec": {"schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": {"spec": {"template": job}}}}),
        ),
        ("v1", "Service", json!({"spec": {"selector": {"app": "app"}, "ports": [{"port": 80}]}})),
        ("v1", "ConfigMap", json!({"data": {"text": "x"}})),
        ("v1", "Secret", json!({"stringData": {"text": "x"}})),
        ("v1", "PersistentVolumeClaim", json!({"spec": claim})),
        ("v1", "Pod", json!({"spec": template["spec"]})),
        ("networking.k8s.io/v1", "Ingress", json!({"spec": {"defaultBackend": {"service": port}}})),
        ("networking.k8s.io/v1", "NetworkPolicy", json!({"spec": {"podSelector": {}}})),
        ("autoscaling/v2", "HorizontalPodAutoscaler", json!({"spec": {"maxReplicas": 1, "scaleTargetRef": target}})),
        ("policy/v1", "PodDisruptionBudget", json!({"spec": {"maxUnavailable": 1, "selector": selector}})),
    ];
    let objects = kinds.into_iter().map(|(api_version, kind, mut object)| {
        object["apiVersion"] = json!(api_version);
        object["kind"] = json!(kind);
        object["metadata"] = json!({"name": "app", "annotations": {"test/version": "${{ release.version }}"}});
        object
    });
    objects.collect()
}

/// Everything that an account does that applies releases: objects of each kind come, change and go; pods fail, or have no room.
async fn deployers_story(space: &Space, image: &str) {
    space
        .environment_with(
            "work",
            json!({"order": 10, "failAfter": {"imagePull": "2m", "crashLoop": 1, "unschedulable": "5m"}}),
        )
        .await;
    space
        .apply(json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": space.name}, "spec": {
            "capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/nowhere"},
            "claimRef": {"namespace": format!("{}-work", space.name), "name": "app"}}}))
        .await;
    space.project("all", image, one_of_each(space, image).into()).await;
    for version in ["1.0.0", "1.1.0"] {
        space.release("all", version).await;
        space.deploy("all", version, "work").await;
    }
    space.project("all", image, json!([config_map("other", "x")])).await;
    space.release("all", "2.0.0").await;
    space.deploy("all", "2.0.0", "work").await;
    let volumes: Api<PersistentVolume> = Api::all(space.client.clone());
    volumes.delete(&space.name, &DeleteParams::default()).await.expect("an administrator may");

    let balanced = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "balanced"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}});
    space.project("balanced", image, json!([balanced])).await;
    space.release("balanced", "1.0.0").await;
    let waiting = space.promote("balanced", "1.0.0", "work").await;
    wait::object(&space.api(), &waiting, "waits for the address", |promotion: &Promotion| {
        let message = promotion.status.as_ref().and_then(|status| status.message.as_deref());
        message.is_some_and(|message| message.contains("waits for the address"))
    })
    .await;
    let services: Api<Service> = space.in_environment("work");
    let address = Patch::Merge(json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}));
    services.patch_status("balanced", &PatchParams::default(), &address).await.expect("the cloud gives an address");
    space.ended(&waiting).await;

    let fails = async |version: &str, manifest: Value| {
        space.project("fails", image, json!([manifest])).await;
        space.release("fails", version).await;
        let ended = space.promote("fails", version, "work").await;
        space.ended(&ended).await.status.expect("a status")
    };
    let crashed = fails("1.0.0", failing("crash", image, "crash-loop")).await;
    assert!(crashed.failure.is_some_and(|failure| !failure.log.is_empty()), "{:?}", crashed.message);
    space
        .apply(json!({"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"pods": "0"}},
            "metadata": {"name": "small", "namespace": format!("{}-work", space.name)}}))
        .await;
    let mut set = deployment("crowded", image);
    set["kind"] = json!("StatefulSet");
    set["spec"]["serviceName"] = json!("crowded");
    let crowded = fails("1.1.0", set).await;
    assert_eq!(crowded.reason.as_deref(), Some("QuotaExceeded"), "{:?}", crowded.message);
}

/// What calls were let through, once all of these rights were used. A request is in the log just after it was answered.
async fn used(wanted: &[Right], calls: impl Fn() -> Vec<AuditEvent>) -> BTreeSet<Use> {
    let (mut seen, mut last) = (BTreeSet::new(), Vec::new());
    let found = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        let mut pause = tokio::time::interval(std::time::Duration::from_millis(250));
        loop {
            pause.tick().await;
            seen = calls().iter().flat_map(Use::all_of).collect();
            let missing = wanted.iter().filter(|right| !seen.iter().any(|one: &Use| one.is_of(right)));
            last = missing.map(Right::to_string).collect();
            if last.is_empty() {
                return;
            }
        }
    })
    .await;
    assert!(found.is_ok(), "granted and never used; take it from the role, or list it with a reason: {last:#?}");
    seen
}

/// Whether a right is this verb on this resource, with the name that it is limited to if there is one.
fn is_named(right: &Right, (verb, resource): (&str, &str)) -> bool {
    let (resource, only) = resource.split_once(' ').map_or((resource, None), |(resource, only)| (resource, Some(only)));
    right.call.verb == verb && right.call.resource == resource && right.only.as_deref() == only
}

/// The rights of these roles, without those that cannot be seen.
fn wanted(holders: &[&str], unseen: &[(&str, &str, &str)]) -> Vec<Right> {
    let all: Vec<_> = roles().iter().filter(|role| holders.contains(&name(role))).flat_map(rights).collect();
    let is_unseen = |right: &Right| unseen.iter().any(|(verb, resource, _)| is_named(right, (verb, resource)));
    for (verb, resource, _) in unseen {
        let known = all.iter().any(|right| is_named(right, (verb, resource)));
        assert!(known, "{verb} {resource} is listed and not granted");
    }
    all.into_iter().filter(|right| !is_unseen(right)).collect()
}

/// What was refused for want of a right and never let through later: one that was just given takes a moment to act.
fn refused(events: &[AuditEvent]) -> Vec<String> {
    let key = |event: &AuditEvent| {
        (
            event.verb.clone(),
            event.resource.clone(),
            event.namespace.clone(),
            event.name.clone(),
            event.impersonated.clone(),
        )
    };
    let allowed: BTreeSet<_> = events.iter().filter(|event| !event.allowed_by.is_empty()).map(key).collect();
    let forbidden = events
        .iter()
        .filter(|event| event.code == 403 && event.allowed_by.is_empty() && !allowed.contains(&key(event)));
    forbidden.map(|event| format!("{} {} as {:?}", event.verb, event.request_uri, event.impersonated)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_granted_is_used_where_it_is_granted_and_everything_used_is_granted() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    whole_story(&space, &format!("{}/checkout", cluster.plane.registry().host())).await;
    let calls = || -> Vec<AuditEvent> {
        let events = cluster.plane.audit().since(gantry_plane::AuditMark::default()).expect("an audit log");
        let own = |event: &AuditEvent| event.user == OPERATOR && !(event.dry_run && event.impersonated.is_none());
        events.into_iter().filter(own).collect()
    };
    let rights = wanted(&OPERATORS, &UNSEEN);
    let seen = used(&rights, calls).await;
    let granted = wanted(&OPERATORS, &[]);
    for one in &seen {
        let known = granted.iter().any(|right| one.is_of(right))
            || ["gantry-deployer", "gantry-console"].contains(&one.role.as_str())
            || EVERYBODYS.contains(&one.role.as_str());
        assert!(known, "no shipped role grants what was let through: {one:?}");
        let everywhere = one.bound_in.is_none();
        assert!(
            everywhere == (one.role == "gantry-operator" || EVERYBODYS.contains(&one.role.as_str())),
            "{one:?} is bound elsewhere"
        );
        assert!(everywhere || one.bound_in.as_ref() == Some(&one.namespace), "{one:?} reaches beyond its namespace");
    }
    // What is only ever done in Gantry's own namespace needs no right everywhere.
    for right in rights.iter().filter(|right| right.role == "gantry-operator") {
        let elsewhere = seen.iter().any(|one| one.is_of(right) && one.namespace != "gantry-system");
        assert!(elsewhere, "{right} is used in gantry-system only: grant it there");
    }
    let here = |event: &AuditEvent| event.namespace.is_empty() || event.namespace.starts_with(&space.name);
    let story: Vec<_> = calls().into_iter().filter(here).collect();
    assert_eq!(refused(&story), [""; 0], "used and not granted");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_that_applies_releases_may_do_what_it_does_and_no_more() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    deployers_story(&space, &format!("{}/checkout", cluster.plane.registry().host())).await;
    let calls = || -> Vec<AuditEvent> {
        let events = cluster.plane.audit().since(gantry_plane::AuditMark::default()).expect("an audit log");
        let acting = |event: &AuditEvent| {
            event.user == OPERATOR && event.impersonated.is_some() && event.namespace.starts_with(&space.name)
        };
        events.into_iter().filter(acting).collect()
    };
    let rights = wanted(&["gantry-deployer"], &[]);
    let seen = used(&rights, calls).await;
    for one in seen.iter().filter(|one| one.role == "gantry-deployer") {
        let granted = wanted(&["gantry-deployer"], &[]);
        assert!(granted.iter().any(|right| one.is_of(right)), "the shipped role does not grant {one:?}");
        assert_eq!(one.bound_in.as_ref(), Some(&one.namespace), "{one:?}");
    }
    assert_eq!(refused(&calls()), [""; 0], "used and not granted");
}

/// What was asked for in a command, once it has ended.
async fn commanded(space: &Space, name: &str, what: Value) {
    let mut spec = json!({"environment": "shown", "project": "all", "reason": "CHG-1"});
    spec.as_object_mut().expect("a spec").extend(what.as_object().expect("a command").clone());
    space.apply(space.object("CommandRun", name, spec)).await;
    wait::object(&space.api(), name, "carried out", |known: &CommandRun| {
        known.status.as_ref().is_some_and(|status| status.finished)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_that_commands_run_as_may_do_what_it_does_and_no_more() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    space.environment("shown", 10).await;
    let workloads = ["Deployment", "StatefulSet", "DaemonSet"];
    let kinds = one_of_each(&space, &image);
    let objects: Vec<Value> =
        kinds.into_iter().filter(|object| workloads.iter().any(|kind| object["kind"] == **kind)).collect();
    assert_eq!(objects.len(), workloads.len());
    space.project("all", &image, objects.into()).await;
    space.release("all", "1.0.0").await;
    space.deploy("all", "1.0.0", "shown").await;
    for kind in workloads {
        let workload = json!({"workload": format!("{kind}/app")});
        commanded(&space, &format!("restart-{}", kind.to_lowercase()), json!({"restart": workload})).await;
        commanded(&space, &format!("logs-{}", kind.to_lowercase()), json!({"logs": workload})).await;
    }
    let calls = || -> Vec<AuditEvent> {
        let events = cluster.plane.audit().since(gantry_plane::AuditMark::default()).expect("an audit log");
        let console = format!("system:serviceaccount:{}-shown:gantry-console", space.name);
        let acting = |event: &AuditEvent| event.user == OPERATOR && event.impersonated.as_ref() == Some(&console);
        events.into_iter().filter(acting).collect()
    };
    let rights = wanted(&["gantry-console"], &[]);
    let seen = used(&rights, calls).await;
    for one in seen.iter().filter(|one| one.role == "gantry-console") {
        assert!(rights.iter().any(|right| one.is_of(right)), "the shipped role does not grant {one:?}");
        assert_eq!(one.bound_in.as_ref(), Some(&one.namespace), "{one:?}");
    }
    assert_eq!(refused(&calls()), [""; 0], "used and not granted");
}
