//! A checker of our own for the CIS Kubernetes Benchmark 1.10, section 5: what Gantry installs and provisions, read from the real cluster. The
//! controls are data; the README's table is made of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleBinding, RoleRef, Subject};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::with;
use crate::support::manifest::deployment;
use crate::support::shared::shared;
use crate::support::space::Space;
use crate::support::wait;

/// One recommendation of the benchmark.
struct Control {
    /// Its number.
    id: &'static str,
    /// What it asks for, in short.
    asks: &'static str,
    /// How it is met.
    met: &'static str,
    /// What in the cluster is against it.
    against: fn(&Cluster) -> Vec<String>,
}

const fn control(
    id: &'static str,
    (asks, met): (&'static str, &'static str),
    against: fn(&Cluster) -> Vec<String>,
) -> Control {
    Control { id, asks, met, against }
}

/// What concerns clusters and not what Gantry puts into them (5.3.1, a network plugin that knows policies; 5.5, image provenance) is not here.
const CONTROLS: [Control; 31] = [
    control(
        "5.1.1",
        ("`cluster-admin` only where required", "Gantry binds it to nobody and may not bind it"),
        cluster_admin,
    ),
    control(
        "5.1.2",
        (
            "little access to Secrets",
            "the operator may read Secrets of spaces that an administrator opens, by name, and those of an environment's namespaces while it has `pullSecrets`, where it reads its copies; no account of an environment may ask for one, but what `gantry-deployer` patches is answered, and pods mount what their namespace has",
        ),
        secrets,
    ),
    control("5.1.3", ("no wildcards in roles", "no shipped role has one"), wildcards),
    control(
        "5.1.4",
        ("few may create pods", "in an environment only `gantry-deployer` may, which nobody but Gantry can be"),
        pods,
    ),
    control(
        "5.1.5",
        (
            "`default` accounts are not used",
            "`default` has no right and no token in the namespaces of environments (`defaultToken`)",
        ),
        default_accounts,
    ),
    control(
        "5.1.6",
        (
            "tokens only where necessary",
            "no account that Gantry makes has its token mounted, and scripts run without one",
        ),
        tokens,
    ),
    control("5.1.7", ("no `system:masters`", "nothing is bound to it"), masters),
    control(
        "5.1.8",
        (
            "`bind`, `impersonate`, `escalate` are limited",
            "`bind` by the names of allowed roles, `impersonate` two accounts by name in the namespaces of environments, `escalate` never",
        ),
        escalation,
    ),
    control("5.1.9", ("few may create PersistentVolumes", "no shipped role may"), |seen| {
        granting(seen, &["persistentvolumes"], &["create"])
    }),
    control("5.1.10", ("little access to `nodes/proxy`", "no shipped role has it"), |seen| {
        granting(seen, &["nodes/proxy"], &[])
    }),
    control("5.1.11", ("few may approve certificates", "no shipped role may"), |seen| {
        granting(seen, &["certificatesigningrequests/approval"], &[])
    }),
    control(
        "5.1.12",
        ("little access to webhook configurations", "no shipped role has it, and Gantry has no webhook"),
        |seen| granting(seen, &["validatingwebhookconfigurations", "mutatingwebhookconfigurations"], &[]),
    ),
    control(
        "5.1.13",
        (
            "few may create tokens of accounts",
            "no shipped role may, and a policy refuses everybody those of `gantry-deployer` and `gantry-console`",
        ),
        |seen| granting(seen, &["serviceaccounts/token"], &[]),
    ),
    control(
        "5.2.1",
        (
            "a policy mechanism in every namespace with workloads",
            "Pod Security `restricted` of a pinned version, enforced, audited and warned of (`podSecurity`)",
        ),
        pod_security,
    ),
    control("5.2.2", ("no privileged containers", RESTRICTED), |seen| admitted(seen, "privileged")),
    control("5.2.3", ("no host process namespace", RESTRICTED), |seen| admitted(seen, "hostPID")),
    control("5.2.4", ("no host IPC namespace", RESTRICTED), |seen| admitted(seen, "hostIPC")),
    control("5.2.5", ("no host network", RESTRICTED), |seen| admitted(seen, "hostNetwork")),
    control("5.2.6", ("no privilege escalation", RESTRICTED), |seen| admitted(seen, "allowPrivilegeEscalation")),
    control("5.2.7", ("no root containers", RESTRICTED), |seen| admitted(seen, "root")),
    control("5.2.8", ("no `NET_RAW`", RESTRICTED), |seen| admitted(seen, "NET_RAW")),
    control("5.2.9", ("no added capabilities", RESTRICTED), |seen| admitted(seen, "added capability")),
    control("5.2.10", ("no assigned capabilities", RESTRICTED), |seen| admitted(seen, "assigned capabilities")),
    control("5.2.11", ("no Windows host processes", RESTRICTED), |seen| admitted(seen, "hostProcess")),
    control("5.2.12", ("no host paths", RESTRICTED), |seen| admitted(seen, "hostPath")),
    control("5.2.13", ("no host ports", RESTRICTED), |seen| admitted(seen, "hostPort")),
    control(
        "5.3.2",
        (
            "a NetworkPolicy in every namespace",
            "default deny both ways, but DNS and the namespace's own pods (`isolation`)",
        ),
        network_policies,
    ),
    control(
        "5.7.1",
        (
            "boundaries between resources by namespaces",
            "each target of each environment has a namespace of its own, and no other environment gets it",
        ),
        namespaces,
    ),
    control("5.7.2", ("seccomp `RuntimeDefault`", RESTRICTED), |seen| admitted(seen, "no seccomp profile")),
    control(
        "5.7.3",
        (
            "security contexts for pods and containers",
            "a pod without one is refused; the operator's own and those of scripts have one",
        ),
        |seen| admitted(seen, "no security context"),
    ),
    control(
        "5.7.4",
        ("`default` namespace is not used", "it is never a target, and Gantry puts nothing there"),
        in_default,
    ),
];

/// How Pod Security does it.
const RESTRICTED: &str = "refused by Pod Security `restricted`";

/// What is not in the table of the checker, and why.
const BESIDE: &str = "| 5.4.1 | Secrets as files rather than environment variables | up to the manifests of a project; Gantry itself makes a Secret for an environment variable only where a release puts a secret there |\n";

/// What was read of the cluster.
struct Cluster {
    /// The shipped cluster roles.
    roles: Vec<ClusterRole>,
    /// Every binding, with its namespace if it has one.
    bindings: Vec<Binding>,
    /// The namespaces of environments.
    places: Vec<Place>,
    /// The shape of each pod that was tried in a namespace of an environment, and whether it was let in.
    tried: BTreeMap<&'static str, bool>,
    /// What is in the namespace `default` with a label of Gantry.
    in_default: Vec<String>,
}

struct Binding {
    name: String,
    namespace: Option<String>,
    role: RoleRef,
    subjects: Vec<Subject>,
}

struct Place {
    namespace: Namespace,
    accounts: Vec<ServiceAccount>,
    policies: Vec<NetworkPolicy>,
    pods: Vec<Pod>,
}

impl Cluster {
    /// Reads everything that the controls look at.
    async fn read(space: &Space, environments: &[&str]) -> Self {
        let client = &space.client;
        let roles = all::<ClusterRole>(&Api::all(client.clone())).await;
        let roles = roles.into_iter().filter(|role| role.name_any().starts_with("gantry-")).collect();
        let mut bindings: Vec<Binding> = all::<ClusterRoleBinding>(&Api::all(client.clone()))
            .await
            .into_iter()
            .map(|one| Binding {
                name: one.name_any(),
                namespace: None,
                role: one.role_ref,
                subjects: one.subjects.unwrap_or_default(),
            })
            .collect();
        bindings.extend(all::<RoleBinding>(&Api::all(client.clone())).await.into_iter().map(|one| Binding {
            name: one.name_any(),
            namespace: one.namespace(),
            role: one.role_ref,
            subjects: one.subjects.unwrap_or_default(),
        }));
        let mut places = Vec::new();
        for environment in environments {
            let name = format!("{}-{environment}", space.name);
            places.push(Place {
                namespace: Api::<Namespace>::all(client.clone()).get(&name).await.expect("a namespace"),
                accounts: all(&Api::namespaced(client.clone(), &name)).await,
                policies: all(&Api::namespaced(client.clone(), &name)).await,
                pods: all(&Api::namespaced(client.clone(), &name)).await,
            });
        }
        let tried = tried(client, &format!("{}-{}", space.name, environments[0])).await;
        let mut in_default = Vec::new();
        for account in all::<ServiceAccount>(&Api::namespaced(client.clone(), "default")).await {
            in_default.extend(is_gantrys(&account.metadata).then(|| format!("ServiceAccount {}", account.name_any())));
        }
        for pod in all::<Pod>(&Api::namespaced(client.clone(), "default")).await {
            in_default.extend(is_gantrys(&pod.metadata).then(|| format!("Pod {}", pod.name_any())));
        }
        Self { roles, bindings, places, tried, in_default }
    }

    /// The rules of the shipped roles, each with the name of its role.
    fn rules(&self) -> impl Iterator<Item = (&str, &PolicyRule)> {
        self.roles.iter().flat_map(|role| {
            let name = role.metadata.name.as_deref().unwrap_or_default();
            role.rules.iter().flatten().map(move |rule| (name, rule))
        })
    }

    /// Bindings that are Gantry's: in namespaces of environments, or to its own account. Other tests bind what they like elsewhere.
    fn gantrys(&self) -> impl Iterator<Item = &Binding> {
        let places: Vec<String> = self.places.iter().map(|place| place.namespace.name_any()).collect();
        self.bindings.iter().filter(move |binding| {
            let here = binding.namespace.as_ref().is_some_and(|namespace| places.contains(namespace));
            here || binding.subjects.iter().any(|one| one.namespace.as_deref() == Some("gantry-system"))
        })
    }

    /// The shipped roles that are bound in a namespace of an environment to an account there.
    fn of_accounts(&self) -> impl Iterator<Item = (&str, &PolicyRule)> {
        self.rules().filter(|(role, _)| {
            self.gantrys().any(|binding| {
                binding.role.name == *role && binding.subjects.iter().any(|one| one.namespace == binding.namespace)
            })
        })
    }
}

async fn all<K>(api: &Api<K>) -> Vec<K>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    api.list(&ListParams::default()).await.expect("a list").items
}

fn is_gantrys(meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> bool {
    meta.labels.iter().flatten().any(|(name, _)| name.starts_with("gantry.dev/"))
}

fn has(list: Option<&Vec<String>>, words: &[&str]) -> bool {
    list.into_iter().flatten().any(|word| words.contains(&word.as_str()))
}

/// Rules of shipped roles that grant one of these verbs (any, if none is named) on one of these resources.
fn granting(seen: &Cluster, resources: &[&str], verbs: &[&str]) -> Vec<String> {
    let grants = |rule: &PolicyRule| {
        has(rule.resources.as_ref(), resources)
            && (verbs.is_empty() || rule.verbs.iter().any(|verb| verbs.contains(&verb.as_str())))
    };
    seen.rules().filter(|(_, rule)| grants(rule)).map(|(role, rule)| format!("{role} has {rule:?}")).collect()
}

fn cluster_admin(seen: &Cluster) -> Vec<String> {
    let bound = seen.gantrys().filter(|binding| binding.role.name == "cluster-admin");
    let mut against: Vec<String> = bound.map(|binding| format!("{} binds cluster-admin", binding.name)).collect();
    let others = seen
        .bindings
        .iter()
        .filter(|one| one.namespace.is_none() && one.role.name == "cluster-admin" && one.name != "cluster-admin");
    against.extend(others.map(|binding| format!("{} binds cluster-admin", binding.name)));
    let may = seen.rules().filter(|(_, rule)| rule.verbs.iter().any(|verb| verb == "bind"));
    let may = may.filter(|(_, rule)| has(rule.resource_names.as_ref(), &["cluster-admin", "admin", "edit"]));
    against.extend(may.map(|(role, _)| format!("{role} may bind it")));
    against
}

fn secrets(seen: &Cluster) -> Vec<String> {
    let reads = |rule: &PolicyRule| {
        has(rule.resources.as_ref(), &["secrets"])
            && rule.verbs.iter().any(|verb| ["get", "list", "watch"].contains(&verb.as_str()))
    };
    let lists = |rule: &PolicyRule| rule.verbs.iter().any(|verb| ["list", "watch"].contains(&verb.as_str()));
    let by_name = ["gantry-space", "gantry-pull-secrets"];
    let of_roles = seen.rules().filter(|(role, rule)| reads(rule) && (!by_name.contains(role) || lists(rule)));
    let mut against: Vec<String> = of_roles.map(|(role, _)| format!("{role} reads Secrets")).collect();
    against
        .extend(seen.of_accounts().filter(|(_, rule)| reads(rule)).map(|(role, _)| format!("an account has {role}")));
    let everywhere =
        seen.bindings.iter().filter(|one| one.namespace.is_none() && by_name.contains(&one.role.name.as_str()));
    against.extend(everywhere.map(|binding| format!("{} lets it read them everywhere", binding.name)));
    against
}

fn wildcards(seen: &Cluster) -> Vec<String> {
    let wild = |list: Option<&Vec<String>>| list.into_iter().flatten().any(|word| word.contains('*'));
    let any = |rule: &PolicyRule| {
        wild(rule.resources.as_ref())
            || wild(rule.api_groups.as_ref())
            || wild(Some(&rule.verbs))
            || rule.non_resource_urls.is_some()
    };
    seen.rules().filter(|(_, rule)| any(rule)).map(|(role, rule)| format!("{role} has {rule:?}")).collect()
}

/// What a pod comes of.
const MAKES_PODS: [&str; 8] =
    ["pods", "deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs", "replicationcontrollers"];

fn pods(seen: &Cluster) -> Vec<String> {
    let makes =
        |rule: &PolicyRule| has(rule.resources.as_ref(), &MAKES_PODS) && rule.verbs.iter().any(|verb| verb == "create");
    let roles = seen.rules().filter(|(role, rule)| *role != "gantry-deployer" && makes(rule));
    let mut against: Vec<String> = roles.map(|(role, _)| format!("{role} makes pods")).collect();
    let held = seen.gantrys().filter(|binding| binding.role.name == "gantry-deployer");
    let others = held.filter(|binding| {
        binding.namespace.is_none()
            || binding.subjects.iter().any(|one| one.name != "gantry-deployer" || one.namespace != binding.namespace)
    });
    against.extend(others.map(|binding| format!("{} gives gantry-deployer to others", binding.name)));
    against
}

fn default_accounts(seen: &Cluster) -> Vec<String> {
    let mut against = Vec::new();
    for place in &seen.places {
        let name = place.namespace.name_any();
        let account = place.accounts.iter().find(|account| account.name_any() == "default");
        if account.and_then(|account| account.automount_service_account_token) != Some(false) {
            against.push(format!("default in {name} has a token"));
        }
        let is_it = |one: &Subject| one.name == "default" && one.namespace.as_ref() == Some(&name);
        let bound = seen.bindings.iter().filter(|binding| binding.subjects.iter().any(is_it));
        against.extend(bound.map(|binding| format!("{} gives rights to default in {name}", binding.name)));
    }
    against
}

fn tokens(seen: &Cluster) -> Vec<String> {
    let mut against = Vec::new();
    for place in &seen.places {
        let name = place.namespace.name_any();
        let mounting = place.accounts.iter().filter(|one| one.automount_service_account_token != Some(false));
        against
            .extend(mounting.map(|account| format!("ServiceAccount {name}/{} mounts its token", account.name_any())));
        for pod in &place.pods {
            let sources =
                pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()).filter_map(|one| one.projected.as_ref());
            let token = sources
                .flat_map(|one| one.sources.iter().flatten())
                .any(|source| source.service_account_token.is_some());
            against.extend(token.then(|| format!("Pod {name}/{} has a token", pod.name_any())));
        }
        if place.pods.is_empty() {
            against.push(format!("no pod in {name} to look at"));
        }
    }
    against
}

fn masters(seen: &Cluster) -> Vec<String> {
    let is_it = |one: &Subject| one.kind == "Group" && one.name == "system:masters";
    let bound = seen.bindings.iter().filter(|one| one.name != "cluster-admin" && one.subjects.iter().any(is_it));
    bound.map(|binding| format!("{} is bound to system:masters", binding.name)).collect()
}

fn escalation(seen: &Cluster) -> Vec<String> {
    let mut against = Vec::new();
    for (role, rule) in seen.rules() {
        let verbs: Vec<&str> = rule.verbs.iter().map(String::as_str).collect();
        let named = rule.resource_names.as_ref().is_some_and(|names| !names.is_empty());
        if verbs.contains(&"escalate") || ((verbs.contains(&"bind") || verbs.contains(&"impersonate")) && !named) {
            against.push(format!("{role} has {rule:?}"));
        }
    }
    let everywhere =
        seen.bindings.iter().filter(|one| one.namespace.is_none() && one.role.name == "gantry-impersonator");
    against.extend(everywhere.map(|binding| format!("{} lets it impersonate everywhere", binding.name)));
    against
}

fn pod_security(seen: &Cluster) -> Vec<String> {
    let mut against = Vec::new();
    for place in &seen.places {
        let labels = place.namespace.labels();
        for mode in ["enforce", "audit", "warn"] {
            let label =
                |suffix: &str| labels.get(&format!("pod-security.kubernetes.io/{mode}{suffix}")).map(String::as_str);
            if label("") != Some("restricted") || label("-version").is_none_or(|version| version == "latest") {
                against.push(format!("{} does not {mode} restricted at a pinned version", place.namespace.name_any()));
            }
        }
    }
    against
}

fn admitted(seen: &Cluster, what: &'static str) -> Vec<String> {
    match (seen.tried.get(what), seen.tried.get("as it should be")) {
        (Some(false), Some(true)) => Vec::new(),
        (Some(false), _) => vec!["a pod as it should be is refused, so nothing is shown".to_owned()],
        (Some(true), _) => vec![format!("a pod with {what} is let in")],
        (None, _) => vec![format!("nobody tried a pod with {what}")],
    }
}

fn network_policies(seen: &Cluster) -> Vec<String> {
    let denies = |policy: &NetworkPolicy| {
        let Some(spec) = &policy.spec else { return false };
        let everybody = spec.pod_selector.as_ref().is_none_or(|selector| {
            selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty) && selector.match_expressions.is_none()
        });
        let both = ["Ingress", "Egress"].iter().all(|kind| has(spec.policy_types.as_ref(), &[kind]));
        let open = spec.ingress.iter().flatten().any(|rule| rule.from.as_ref().is_none_or(Vec::is_empty))
            || spec.egress.iter().flatten().any(|rule| rule.to.as_ref().is_none_or(Vec::is_empty));
        everybody && both && !open
    };
    let open = seen.places.iter().filter(|place| !place.policies.iter().any(denies));
    open.map(|place| format!("{} is open", place.namespace.name_any())).collect()
}

fn namespaces(seen: &Cluster) -> Vec<String> {
    let mut against = Vec::new();
    let mut owners = BTreeMap::new();
    for place in &seen.places {
        let (name, labels) = (place.namespace.name_any(), place.namespace.labels());
        let owner = (labels.get("gantry.dev/space"), labels.get("gantry.dev/environment"));
        if owner.0.is_none() || owner.1.is_none() {
            against.push(format!("{name} does not say whose it is"));
        }
        if let Some(other) = owners.insert(owner, name.clone()) {
            against.push(format!("{name} and {other} are one environment's"));
        }
    }
    let beyond = seen.gantrys().filter(|binding| {
        let in_place = binding
            .namespace
            .as_ref()
            .is_some_and(|name| seen.places.iter().any(|place| place.namespace.name_any() == *name));
        let foreign =
            |one: &Subject| one.namespace != binding.namespace && one.namespace.as_deref() != Some("gantry-system");
        in_place && binding.subjects.iter().any(foreign)
    });
    against.extend(beyond.map(|binding| format!("{} gives rights across namespaces", binding.name)));
    against
}

fn in_default(seen: &Cluster) -> Vec<String> {
    seen.in_default.clone()
}

/// A pod that Pod Security `restricted` lets in.
fn as_it_should_be() -> Value {
    json!({
        "automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": "x", "image": "localhost/x",
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        }],
    })
}

/// Tries pods that are against one control each, as who may do everything, without effect.
async fn tried(client: &Client, namespace: &str) -> BTreeMap<&'static str, bool> {
    let container = |change: Value| {
        let mut pod = as_it_should_be();
        let before = pod["containers"][0].clone();
        pod["containers"][0] = with(before, change);
        pod
    };
    let secured = |change: Value| container(json!({"securityContext": change}));
    let changed = |change: Value| with(as_it_should_be(), change);
    let without = |pointer: &str, field: &str| {
        let mut pod = as_it_should_be();
        pod.pointer_mut(pointer).and_then(Value::as_object_mut).expect("a map").remove(field);
        pod
    };
    let mut bare = without("", "securityContext");
    bare["containers"][0].as_object_mut().expect("a map").remove("securityContext");
    let windows = json!({"os": {"name": "windows"}, "hostNetwork": true,
        "securityContext": {"seccompProfile": null, "windowsOptions": {"hostProcess": true}}});
    let mut host_process = changed(windows);
    host_process["securityContext"].as_object_mut().expect("a map").remove("seccompProfile");
    host_process["containers"][0]["securityContext"] = json!({});
    let pods = [
        ("as it should be", as_it_should_be()),
        ("privileged", secured(json!({"privileged": true, "allowPrivilegeEscalation": true}))),
        ("hostPID", changed(json!({"hostPID": true}))),
        ("hostIPC", changed(json!({"hostIPC": true}))),
        ("hostNetwork", changed(json!({"hostNetwork": true}))),
        ("allowPrivilegeEscalation", secured(json!({"allowPrivilegeEscalation": true}))),
        ("root", secured(json!({"runAsUser": 0, "runAsNonRoot": false}))),
        ("NET_RAW", secured(json!({"capabilities": {"add": ["NET_RAW"]}}))),
        ("added capability", secured(json!({"capabilities": {"add": ["SYS_TIME"]}}))),
        ("assigned capabilities", without("/containers/0/securityContext", "capabilities")),
        ("hostProcess", host_process),
        ("hostPath", changed(json!({"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}))),
        ("hostPort", container(json!({"ports": [{"containerPort": 80, "hostPort": 80}]}))),
        ("no seccomp profile", without("/securityContext", "seccompProfile")),
        ("no security context", bare),
    ];
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let mut tried = BTreeMap::new();
    for (what, spec) in pods {
        let pod = json!({"metadata": {"name": "tried"}, "spec": spec});
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        let answer = api.create(&dry_run, &pod).await;
        let refused = answer.as_ref().err().map(ToString::to_string);
        assert!(refused.as_ref().is_none_or(|said| said.contains("violates PodSecurity")), "{what}: {refused:?}");
        tried.insert(what, refused.is_none());
    }
    tried
}

// Attack T35.
#[tokio::test(flavor = "multi_thread")]
async fn what_gantry_installs_and_provisions_meets_every_control_of_cis_section_5_that_it_can() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let image = "ghcr.io/acme/checkout";
    space.project("checkout", image, json!([deployment("checkout", image)])).await;
    let packages = json!([{"name": "api", "version": "1.0.0", "digest": format!("sha256:{}", "a".repeat(64))}]);
    let spec = json!({"project": "checkout", "version": "1.0.0", "packages": packages});
    for (name, order) in [("dev", 10), ("production", 20)] {
        space.environment(name, order).await;
    }
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    space.sealed("checkout-1.0.0").await;
    for name in ["dev", "production"] {
        space.deploy("checkout", "1.0.0", name).await;
    }
    let image = format!("localhost/tools@sha256:{}", "a".repeat(64));
    let script =
        json!({"environment": "dev", "project": "checkout", "reason": "r", "script": {"image": image, "run": "ls"}});
    space.apply(space.object("CommandRun", "look", script)).await;
    wait::eventually("a pod of the console's", || async {
        let pods = space.in_environment::<Pod>("dev").list(&ListParams::default()).await.ok()?;
        pods.items
            .iter()
            .any(|pod| {
                pod.spec.as_ref().is_some_and(|spec| spec.service_account_name.as_deref() == Some("gantry-console"))
            })
            .then_some(())
    })
    .await;
    let seen = Cluster::read(&space, &["dev", "production"]).await;
    let against: Vec<String> = CONTROLS
        .iter()
        .flat_map(|control| (control.against)(&seen).into_iter().map(|why| format!("{}: {why}", control.id)))
        .collect();
    assert_eq!(against, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checker_sees_what_is_against_a_control() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let weak = json!({"order": 10, "podSecurity": "privileged", "isolation": "Open", "defaultToken": true});
    space.environment_with("dev", weak).await;
    let seen = Cluster::read(&space, &["dev"]).await;
    let failing: Vec<&str> =
        CONTROLS.iter().filter(|control| !(control.against)(&seen).is_empty()).map(|control| control.id).collect();
    for id in ["5.1.5", "5.1.6", "5.2.1", "5.2.2", "5.2.7", "5.2.12", "5.3.2", "5.7.2", "5.7.3"] {
        assert!(failing.contains(&id), "{id} is not seen: {failing:?}");
    }
}

#[test]
fn the_table_of_the_readme_is_that_of_the_checker() {
    let mut table = "| CIS | asks for | how Gantry meets it |\n|---|---|---|\n".to_owned();
    for control in &CONTROLS {
        let _ = writeln!(table, "| {} | {} | {} |", control.id, control.asks, control.met);
    }
    let mut lines: Vec<&str> = table.lines().chain(BESIDE.lines()).collect();
    let rows = lines.split_off(2);
    let mut rows = rows;
    let number = |row: &str| -> Vec<u32> {
        row.split(' ').nth(1).unwrap_or_default().split('.').filter_map(|part| part.parse().ok()).collect()
    };
    rows.sort_by_key(|row| number(row));
    lines.append(&mut rows);
    let table = format!("{}\n", lines.join("\n"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = std::fs::read_to_string(path).expect("the README");
    let (before, rest) = text.split_once("<!-- cis -->\n").expect("the place of the table");
    let (written, after) = rest.split_once("<!-- /cis -->").expect("the end of the table");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, format!("{before}<!-- cis -->\n{table}<!-- /cis -->{after}")).expect("written");
        return;
    }
    assert_eq!(written, table, "run UPDATE_GOLDEN=1 cargo test the_table_of_the_readme");
}
