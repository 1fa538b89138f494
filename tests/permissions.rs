//! What the operator is allowed is what it does: the shipped roles against the calls in the API server's audit log.

use std::collections::BTreeSet;
use std::fmt;

use gantry::api::v1alpha1::{Environment, Promotion, Release};
use gantry_plane::{AuditEvent, manifests};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::support::manifest::{config_map, deployment};
use crate::support::shared::shared;
use crate::support::space::Space;
use crate::support::wait;

const OPERATOR: &str = "system:serviceaccount:gantry-system:gantry";

/// The roles that the operator holds, everywhere or in some namespaces.
const OPERATORS: [&str; 4] = ["gantry-operator", "gantry-space", "gantry-impersonator", "gantry-pull-secrets"];

/// What is granted and no call in the audit log shows.
const UNSEEN: [(&str, &str, &str); 5] = [
    ("bind", "rbac.authorization.k8s.io/clusterroles", "the API server asks for it when a RoleBinding is written"),
    ("create", "/serviceaccounts", "a server-side apply that creates is a patch, and needs create as well"),
    (
        "create",
        "rbac.authorization.k8s.io/rolebindings",
        "a server-side apply that creates is a patch, and needs create as well",
    ),
    ("create", "/secrets", "a server-side apply that creates is a patch, and needs create as well"),
    ("patch", "events.k8s.io/events", "an Event that repeats within minutes is counted up; it need not happen here"),
];

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

    /// The call that an event is about; nothing for paths that are no resources (discovery).
    fn of(event: &AuditEvent) -> Option<Self> {
        if event.impersonated.is_some() {
            return Some(Self::new("impersonate", "", "serviceaccounts"));
        }
        let resource = if event.subresource.is_empty() {
            event.resource.clone()
        } else {
            format!("{}/{}", event.resource, event.subresource)
        };
        (!event.resource.is_empty()).then(|| Self::new(&event.verb, &event.group, &resource))
    }
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
    let mut calls = BTreeSet::new();
    for rule in role["rules"].as_array().into_iter().flatten() {
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                calls.extend(words(&rule["verbs"]).into_iter().map(|verb| Call::new(verb, group, resource)));
            }
        }
    }
    calls
}

fn name(role: &Value) -> &str {
    role["metadata"]["name"].as_str().unwrap_or_default()
}

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

#[test]
fn the_operator_reads_no_secret_of_the_whole_cluster_and_promotes_nothing() {
    let operator = roles().into_iter().find(|role| name(role) == "gantry-operator").expect("the role");
    for call in granted(&operator) {
        assert!(!call.resource.ends_with("/secrets") && !call.resource.ends_with("/configmaps"), "{call}");
        assert!(call.verb != "promote" && call.verb != "impersonate", "{call}");
        let asked_for = ["promotions", "pins", "releases", "projects", "environments", "lifecycles"]
            .map(|kind| format!("gantry.dev/{kind}"));
        let writes = ["create", "update", "delete"].contains(&call.verb.as_str());
        // The admission policies hold it to promotions and releases that have a cause: tests/policies/people.rs.
        let caused = ["promotions", "releases"].iter().any(|kind| call == Call::new("create", "gantry.dev", kind));
        assert!(!(writes && asked_for.contains(&call.resource)) || caused, "{call}");
    }
}

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

#[test]
fn only_releasers_promote_and_no_person_writes_status_or_records() {
    for role in roles() {
        for call in granted(&role) {
            let person = !OPERATORS.contains(&name(&role));
            assert!(call.verb != "promote" || name(&role) == "gantry-releaser", "{}: {call}", name(&role));
            assert!(!(person && call.resource.ends_with("/status")), "{}: {call}", name(&role));
            let reads = ["get", "list", "watch"].contains(&call.verb.as_str());
            assert!(!(person && call.resource.ends_with("auditrecords")) || reads, "{}: {call}", name(&role));
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

/// Everything that the operator does to an environment, a project, its releases and their promotions.
async fn whole_story(space: &Space, image: &str) {
    let config =
        ByteString(json!({"auths": {"localhost": {"username": "ann", "password": "x"}}}).to_string().into_bytes());
    space
        .apply(json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": "ghcr", "namespace": space.name}, "data": {".dockerconfigjson": config}}))
        .await;
    let environment =
        |pull_secrets: Value| json!({"order": 10, "deletionPolicy": "Delete", "pullSecrets": pull_secrets});
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

    goes_on_by_itself(space).await;

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
    let environments: Api<Environment> = space.api();
    environments.delete("dev", &DeleteParams::default()).await.expect("an administrator may");
    wait::gone(&environments, "dev").await;
    wait::gone(&namespaces, &target).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_granted_is_used_and_everything_used_is_granted() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    whole_story(&space, &format!("{}/checkout", cluster.plane.registry().host())).await;

    let granted: BTreeSet<Call> =
        roles().iter().filter(|role| OPERATORS.contains(&name(role))).flat_map(granted).collect();
    let unseen: BTreeSet<Call> = UNSEEN
        .iter()
        .map(|(verb, resource, _)| Call { verb: (*verb).to_owned(), resource: (*resource).to_owned() })
        .collect();
    let stale: Vec<_> = unseen.difference(&granted).map(Call::to_string).collect();
    assert!(stale.is_empty(), "UNSEEN lists what is not granted: {stale:?}");

    let calls = || -> Vec<AuditEvent> {
        let events = cluster.plane.audit().since(gantry_plane::AuditMark::default()).expect("an audit log");
        let own = events
            .into_iter()
            .filter(|event| event.user == OPERATOR && !(event.dry_run && event.impersonated.is_none()));
        own.collect()
    };
    // A request is in the log just after it was answered.
    let wanted: BTreeSet<Call> = granted.difference(&unseen).cloned().collect();
    let missing = |seen: &BTreeSet<Call>| wanted.difference(seen).map(Call::to_string).collect::<Vec<_>>();
    let mut last = Vec::new();
    let found = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        let mut pause = tokio::time::interval(std::time::Duration::from_millis(250));
        loop {
            pause.tick().await;
            last = missing(&calls().iter().filter_map(Call::of).collect());
            if last.is_empty() {
                return;
            }
        }
    })
    .await;
    assert!(
        found.is_ok(),
        "granted and never used: {last:?}; take it from the role, or list it in UNSEEN with a reason"
    );

    for event in calls() {
        let Some(call) = Call::of(&event) else { continue };
        assert!(granted.contains(&call), "the operator calls {call} ({}), which no role grants", event.request_uri);
    }
}
