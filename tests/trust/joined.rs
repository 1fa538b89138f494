//! Our records against the API server's own log: for every write in a namespace of an environment there is a record that explains it,
//! and for every record there are the writes that it speaks of.

use std::collections::BTreeMap;

use gantry::api::v1alpha1::audit_command::CommandPart;
use gantry::api::v1alpha1::promotion_status::StepRecord;
use gantry::api::v1alpha1::{AuditRecord, AuditRecordSpec, CommandRun, Promotion};
use gantry_plane::{AuditEvent, AuditLog, AuditMark};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::support::image::push;
use crate::support::manifest::{config_map, deployment, failing};
use crate::support::shared::{OPERATOR, is_write, shared};
use crate::support::space::Space;
use crate::support::wait;

/// All that the operator writes in a namespace of an environment in its own name: what the namespace is made of, never what runs there.
const FURNISHING: [&str; 6] =
    ["namespaces", "serviceaccounts", "rolebindings", "networkpolicies", "resourcequotas", "limitranges"];

/// Kinds of workloads whose plural is no `s` more.
const PLURALS: [(&str, &str); 2] = [("NetworkPolicy", "networkpolicies"), ("Ingress", "ingresses")];

/// Every kind that a release may bring, but for volume claims, which wait for a disk.
fn of_every_kind(image: &str, version: &str) -> Vec<Value> {
    let pod = deployment("checkout", image)["spec"]["template"].clone();
    let named = |api: &str, kind: &str, spec: Value| json!({"apiVersion": api, "kind": kind, "metadata": {"name": "checkout"}, "spec": spec});
    let selector = json!({"matchLabels": {"app": "checkout"}});
    let mut job = pod.clone();
    job["spec"]["restartPolicy"] = json!("Never");
    let scaled = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"});
    let backend = json!({"service": {"name": "checkout", "port": {"number": 80}}});
    vec![
        deployment("checkout", image),
        named("apps/v1", "StatefulSet", json!({"serviceName": "checkout", "selector": selector, "template": pod})),
        named("apps/v1", "DaemonSet", json!({"selector": selector, "template": pod})),
        named("batch/v1", "CronJob", json!({"schedule": "0 0 29 2 *", "jobTemplate": {"spec": {"template": job}}})),
        named("v1", "Service", json!({"selector": {"app": "checkout"}, "ports": [{"port": 80}]})),
        named("networking.k8s.io/v1", "Ingress", json!({"defaultBackend": backend})),
        named("networking.k8s.io/v1", "NetworkPolicy", json!({"podSelector": selector, "policyTypes": ["Ingress"]})),
        named("policy/v1", "PodDisruptionBudget", json!({"selector": selector, "maxUnavailable": 1})),
        named("autoscaling/v2", "HorizontalPodAutoscaler", json!({"scaleTargetRef": scaled, "maxReplicas": 2})),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "plain"}, "stringData": {"level": version}}),
        config_map("settings", version),
    ]
}

/// A space with `dev`, where failures are undone, and `live`, which has two namespaces.
async fn shop(space: &Space) {
    let undo = json!({"order": 10, "onFailure": "Rollback", "failAfter": {"crashLoop": 1}});
    space.environment_with("dev", undo).await;
    let target = |name: &str| json!({"name": name, "namespace": format!("{}-{name}", space.name)});
    space.environment_with("live", json!({"order": 20, "targets": [target("eu"), target("us")]})).await;
}

/// A release of these manifests.
async fn release(space: &Space, version: &str, manifests: Vec<Value>) {
    space.project("checkout", &image().await, json!(manifests)).await;
    let packages = json!([{"name": "api", "version": version, "digest": format!("sha256:{}", "a".repeat(64))}]);
    let spec = json!({"project": "checkout", "version": version, "packages": packages});
    space.apply(space.object("Release", &format!("checkout-{version}"), spec)).await;
    space.sealed(&format!("checkout-{version}")).await;
}

async fn image() -> String {
    format!("{}/checkout", shared().await.plane.registry().host())
}

/// Runs a command to its end, which must be a success.
async fn command(space: &Space, name: &str, environment: &str, what: Value) {
    let mut spec = json!({"environment": environment, "project": "checkout", "reason": "CHG-1234"});
    if let (Value::Object(spec), Value::Object(what)) = (&mut spec, what) {
        spec.extend(what);
    }
    space.apply(space.object("CommandRun", name, spec)).await;
    let ended = wait::object(&space.api(), name, "finished", |known: &CommandRun| {
        known.status.as_ref().is_some_and(|status| status.finished)
    })
    .await;
    let status = ended.status.expect("a status");
    assert_eq!(status.phase.as_deref(), Some("Succeeded"), "{status:?}");
}

/// Everything that a project can meet: a first release, one that prunes, one that fails and is undone, one that is refused before
/// anything is applied, a return by hand, and commands.
async fn live(space: &Space) {
    let image = image().await;
    let host = shared().await.plane.registry().host();
    push((&host, None), ("tools", "1.0.0"), "tools").await;
    shop(space).await;
    let mut first = of_every_kind(&image, "1.0.0");
    first.push(config_map("old", "x"));
    release(space, "1.0.0", first).await;
    for environment in ["dev", "live"] {
        space.deploy("checkout", "1.0.0", environment).await;
    }
    release(space, "2.0.0", of_every_kind(&image, "2.0.0")).await;
    for environment in ["dev", "live"] {
        space.deploy("checkout", "2.0.0", environment).await;
    }
    let mut failing_one = of_every_kind(&image, "3.0.0");
    failing_one[0] = failing("checkout", &image, "crash-loop");
    release(space, "3.0.0", failing_one).await;
    let name = space.promote("checkout", "3.0.0", "dev").await;
    let failed = space.ended(&name).await.status.expect("a status");
    assert_eq!(failed.phase.as_deref(), Some("RolledBack"), "{:?}", failed.message);
    space.ended(&failed.rollback.expect("what puts it back").promotion).await;
    let mut privileged = deployment("checkout", &image);
    privileged["spec"]["template"]["spec"]["hostNetwork"] = json!(true);
    release(space, "4.0.0", vec![privileged]).await;
    let name = space.promote("checkout", "4.0.0", "dev").await;
    let refused = space.ended(&name).await.status.expect("a status");
    assert_eq!((refused.phase.as_deref(), refused.applied), (Some("Failed"), false), "{:?}", refused.message);
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "live", "reason": "back"});
    space.apply(space.object("Promotion", "back", spec)).await;
    let back = space.ended("back").await.status.expect("a status");
    assert_eq!((back.phase.as_deref(), back.mode.as_deref()), (Some("Succeeded"), Some("Rollback")));
    command(space, "again", "live", json!({"restart": {"workload": "Deployment/checkout"}})).await;
    command(space, "look", "live", json!({"logs": {"workload": "Deployment/checkout"}})).await;
    let script = json!({"image": format!("{host}/tools:1.0.0"), "run": "ls"});
    command(space, "clean", "dev", json!({"script": script})).await;
}

/// What the operator wrote, as whomever, in the namespaces of the space's environments.
fn writes(space: &Space, since: AuditMark, audit: &AuditLog) -> Vec<AuditEvent> {
    let of_environment = |name: &str| name.strip_prefix(&space.name).is_some_and(|rest| rest.starts_with('-'));
    let mut events = audit.since(since).expect("the audit log");
    events.retain(|event| {
        let place = if event.resource == "namespaces" { &event.name } else { &event.namespace };
        is_write(event) && event.user.contains("gantry") && of_environment(place)
    });
    events
}

/// A record with the steps of its promotion, if it is of one.
struct Told {
    spec: AuditRecordSpec,
    steps: Vec<StepRecord>,
}

/// All records of promotions and commands in a space.
async fn told(space: &Space) -> Vec<Told> {
    let records = space.api::<AuditRecord>().list(&ListParams::default()).await.expect("records").items;
    let promotions = space.api::<Promotion>().list(&ListParams::default()).await.expect("promotions").items;
    let steps: BTreeMap<String, Vec<StepRecord>> =
        promotions.into_iter().map(|known| (known.name_any(), known.status.unwrap_or_default().steps)).collect();
    let of = |record: AuditRecord| {
        let promotion = record.spec.ended.as_ref().map(|ended| ended.promotion.clone());
        let steps = promotion.and_then(|name| steps.get(&name).cloned()).unwrap_or_default();
        (record.spec.ended.is_some() || record.spec.command.is_some()).then_some(Told { spec: record.spec, steps })
    };
    records.into_iter().filter_map(of).collect()
}

/// `Deployment/checkout`, as the path of a request has it.
fn plural(object: &str) -> String {
    let (kind, name) = object.split_once('/').expect("kind and name");
    let known = PLURALS.iter().find(|(one, _)| *one == kind).map(|(_, plural)| (*plural).to_owned());
    format!("{}/{name}", known.unwrap_or_else(|| format!("{}s", kind.to_lowercase())))
}

fn object(event: &AuditEvent) -> String {
    format!("{}/{}", event.resource, event.name)
}

fn within(event: &AuditEvent, from: Option<&MicroTime>, to: Option<&MicroTime>) -> bool {
    let received: Timestamp = event.received.parse().expect("a time");
    from.is_some_and(|from| from.0 <= received) && to.is_some_and(|to| received <= to.0)
}

fn account(event: &AuditEvent, name: &str) -> bool {
    event.user == OPERATOR && event.impersonated == Some(format!("system:serviceaccount:{}:{name}", event.namespace))
}

impl Told {
    /// Whether this is why that was written: by the right account, there, then, and of an object that it speaks of.
    fn explains(&self, event: &AuditEvent) -> bool {
        match (&self.spec.ended, &self.spec.command) {
            (Some(_), _) => self.steps_explain(event),
            (None, Some(command)) => Self::command_explains(command, event),
            (None, None) => false,
        }
    }

    fn steps_explain(&self, event: &AuditEvent) -> bool {
        let ended = self.spec.ended.as_ref().expect("a promotion");
        // What the audit record says of its steps is the window; which objects, says the promotion.
        let window = ended.steps.iter().any(|step| {
            step.namespace == event.namespace && within(event, step.started_at.as_ref(), step.finished_at.as_ref())
        });
        let mut here = self.steps.iter().filter(|step| step.namespace == event.namespace);
        let named = here.any(|step| {
            let objects = if event.verb == "delete" { &step.pruned } else { &step.objects };
            objects.iter().any(|known| plural(known) == object(event))
        });
        // The bodies of Secrets are in no log.
        let version =
            event.request_object.as_ref().and_then(|sent| sent.pointer("/metadata/labels/gantry.dev~1release"));
        let bodiless = event.verb == "delete" || event.resource == "secrets";
        let release = if bodiless { version.is_none() } else { version == Some(&json!(ended.version)) };
        account(event, "gantry-deployer") && window && named && release
    }

    fn command_explains(command: &CommandPart, event: &AuditEvent) -> bool {
        let window = command.targets.iter().any(|target| {
            target.namespace == event.namespace
                && within(event, target.started_at.as_ref(), target.finished_at.as_ref())
        });
        let fits = match command.command.as_str() {
            "restart" => {
                let workload = command.workload.as_deref().map(plural);
                account(event, "gantry-console") && event.verb == "patch" && workload == Some(object(event))
            }
            "script" => {
                let job = event.resource == "jobs" && event.name.starts_with("gantry-run-");
                account(event, "gantry-deployer") && event.verb == "create" && job
            }
            _ => false,
        };
        window && fits
    }

    /// What it says was written and is not in the log.
    fn missing(&self, events: &[AuditEvent]) -> Vec<String> {
        let explained: Vec<&AuditEvent> =
            events.iter().filter(|event| event.code < 300 && self.explains(event)).collect();
        let is_there = |namespace: &str, verb: fn(&str) -> bool, known: &str| {
            explained.iter().any(|event| event.namespace == namespace && verb(&event.verb) && object(event) == known)
        };
        let mut missing = Vec::new();
        for step in &self.steps {
            let written = step.objects.iter().map(|known| (known, (|verb| verb != "delete") as fn(&str) -> bool));
            let pruned = step.pruned.iter().map(|known| (known, (|verb| verb == "delete") as fn(&str) -> bool));
            let lost = written.chain(pruned).filter(|(known, verb)| !is_there(&step.namespace, *verb, &plural(known)));
            missing.extend(lost.map(|(known, _)| format!("{}/{known}", step.namespace)));
        }
        let Some(command) = self.spec.command.as_ref().filter(|command| command.command != "logs") else {
            return missing;
        };
        let silent = command
            .targets
            .iter()
            .filter(|target| explained.iter().filter(|event| event.namespace == target.namespace).count() != 1);
        missing
            .extend(silent.map(|target| format!("{} of {} in {}", command.command, command.message, target.namespace)));
        missing
    }
}

// Whatever the operator does to a workload, it does as the environment's account.
// Attack T15.
#[tokio::test(flavor = "multi_thread")]
async fn every_write_to_an_environment_has_its_record_and_every_record_its_writes_and_none_is_the_operators_own() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let since = cluster.plane.audit().mark();
    live(&space).await;
    let promotions = space.api::<Promotion>().list(&ListParams::default()).await.expect("promotions").items;
    for promotion in promotions {
        space.audit_record(&promotion.name_any()).await;
    }
    let records = wait::eventually("each record has its writes", || async {
        let (records, events) = (told(&space).await, writes(&space, since, &cluster.plane.audit()));
        records.iter().all(|record| record.missing(&events).is_empty()).then_some(records)
    });
    let Ok(records) = tokio::time::timeout(wait::PATIENCE / 2, records).await else {
        let events = writes(&space, since, &cluster.plane.audit());
        let missing = told(&space).await.into_iter().flat_map(|record| {
            let missing = record.missing(&events);
            missing.into_iter().map(move |what| format!("{:?}: {what}", record.spec.object))
        });
        panic!("recorded, and not in the log of the API server: {:#?}", missing.collect::<Vec<_>>());
    };
    // Eight promotions, one of which applied nothing, and three commands, one of which wrote nothing.
    assert_eq!(records.len(), 11);
    let events = writes(&space, since, &cluster.plane.audit());
    let (own, acted): (Vec<_>, Vec<_>) = events.iter().partition(|event| event.impersonated.is_none());
    for event in own {
        let labels =
            event.request_object.as_ref().and_then(|sent| sent.pointer("/metadata/labels/gantry.dev~1project"));
        assert!(FURNISHING.contains(&event.resource.as_str()) && labels.is_none(), "as the operator: {event:#?}");
    }
    for event in &acted {
        let why: Vec<_> =
            records.iter().filter(|record| record.explains(event)).map(|record| &record.spec.object).collect();
        assert_eq!(why.len(), 1, "{why:?} for {event:#?}");
    }
    let deletions = acted.iter().filter(|event| event.verb == "delete").count();
    let namespaces: std::collections::BTreeSet<_> = acted.iter().map(|event| &event.namespace).collect();
    let kinds: std::collections::BTreeSet<_> = acted.iter().map(|event| &event.resource).collect();
    assert_eq!((namespaces.len(), kinds.len()), (3, 12), "{kinds:?}");
    assert!(deletions >= 3, "old is pruned in each namespace");
    every_workload_is_in_the_log(&space, &acted).await;
}

/// Nothing of the project is there that no such write has made.
async fn every_workload_is_in_the_log(space: &Space, acted: &[&AuditEvent]) {
    use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
    use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
    let of_project = ListParams::default().labels("gantry.dev/project=checkout");
    for namespace in ["dev", "eu", "us"] {
        let place = format!("{}-{namespace}", space.name);
        let mut there = Vec::new();
        macro_rules! list {
            ($($kind:ty => $plural:literal),*) => {$(
                let found = space.in_environment::<$kind>(namespace).list(&of_project).await.expect("objects").items;
                there.extend(found.into_iter().map(|known| format!("{}/{}", $plural, known.name_any())));
            )*};
        }
        list!(Deployment => "deployments", StatefulSet => "statefulsets", DaemonSet => "daemonsets",
            Service => "services", ConfigMap => "configmaps", Secret => "secrets");
        assert!(there.len() >= 6, "{there:?}");
        for known in there {
            let made =
                acted.iter().any(|event| event.namespace == place && event.code == 201 && object(event) == known);
            assert!(made, "nobody made {place}/{known}");
        }
    }
}
