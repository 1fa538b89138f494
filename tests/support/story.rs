//! Stories of what people do in a space, told with an operator behind a proxy, and how they end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use futures::{FutureExt as _, StreamExt as _};
use gantry::api::v1alpha1::audit_record::AuditKind;
use gantry::api::v1alpha1::promotion_status::StepRecord;
use gantry::api::v1alpha1::{AuditRecord, AuditRecordSpec, Environment, Lifecycle, Project, Promotion, Release};
use gantry::domain::audit::Checkpoint;
use gantry_plane::{AuditEvent, AuditMark, Identity, Options, Plane};
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::image::push;
use super::manifest::{config_map, deployment, failing};
use super::operator::Operator;
use super::proxy::Proxy;
use super::sealed::{self, checkpoints};
use super::shared;
use super::space::Space;
use super::wait;

/// A cluster with one operator behind a proxy.
pub struct World {
    /// The cluster.
    pub plane: Plane,
    /// A client that may do everything.
    pub client: Client,
    /// What can fail between them.
    pub proxy: Proxy,
    /// The operator behind it.
    pub operator: Operator,
    image: String,
    config_maps: ConfigMaps,
    watching: JoinHandle<()>,
}

impl World {
    /// Starts all of it, with images in the registry.
    pub async fn start(name: &str) -> Self {
        let plane = shared::own(Options::default()).await;
        let proxy = Proxy::start(&plane, name).await;
        let operator = Operator::start_against(&plane, name, proxy.kubeconfig.clone()).await;
        let client = plane.client(&Identity::Admin).await.expect("a client");
        let host = plane.registry().host();
        for version in ["1.0.0", "2.0.0"] {
            push((&host, None), ("checkout", version), version).await;
        }
        let (config_maps, watching) = ConfigMaps::watch(client.clone());
        Self { image: format!("{host}/checkout"), plane, client, proxy, operator, config_maps, watching }
    }

    /// Tells a story; when it does not come to its end, what the operator said of the space is shown.
    pub async fn tell(&self, story: Story, space: &Space) {
        let told = std::panic::AssertUnwindSafe(story.tell(self, space)).catch_unwind().await;
        if let Err(panic) = told {
            let log = self.operator.log(&self.plane);
            let words = [format!("\"{}\"", space.name), format!("{}-dev", space.name), format!(" {}/", space.name)];
            for line in log.lines().filter(|line| words.iter().any(|word| line.contains(word))) {
                println!("{line}");
            }
            std::panic::resume_unwind(panic);
        }
    }

    /// To be called before the cluster ends.
    pub fn stop_watching(&self) {
        self.watching.abort();
    }
}

/// Every state that each ConfigMap of the cluster was ever in: an apply that changes nothing makes no new one, and a ConfigMap has
/// no generation that would count them.
#[derive(Clone, Default)]
struct ConfigMaps(Arc<Mutex<States>>);

/// By namespace and name: the resourceVersions.
type States = BTreeMap<(String, String), BTreeSet<String>>;

impl ConfigMaps {
    /// Begins to watch; the task must end before the cluster does.
    fn watch(client: Client) -> (Self, JoinHandle<()>) {
        let seen = Self::default();
        let known = seen.clone();
        let watching = tokio::spawn(async move {
            let events = watcher(Api::<ConfigMap>::all(client), watcher::Config::default());
            let mut events = events.default_backoff().boxed();
            while let Some(event) = events.next().await {
                let Ok(watcher::Event::Apply(found) | watcher::Event::InitApply(found)) = event else { continue };
                let meta = found.metadata;
                let key = (meta.namespace.unwrap_or_default(), meta.name.unwrap_or_default());
                let version = meta.resource_version.unwrap_or_default();
                known.0.lock().expect("a lock").entry(key).or_default().insert(version);
            }
        });
        (seen, watching)
    }

    /// How many states each ConfigMap of a namespace was in, but for the one that every namespace has.
    fn states(&self, namespace: &str) -> Vec<String> {
        let known = self.0.lock().expect("a lock");
        let of_namespace = known.iter().filter(|((place, name), _)| place == namespace && name != "kube-root-ca.crt");
        of_namespace.map(|((_, name), states)| format!("ConfigMap {name} was in {} states", states.len())).collect()
    }
}

/// What happens in a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Story {
    /// From nothing to the first deployment, recorded everywhere.
    First,
    /// A second release, by tags of a registry: one object changes, one stays, one is pruned.
    Second,
    /// A promotion whose container never stays up.
    CrashLoop,
    /// A promotion whose container never stays up, where a failure is undone.
    RolledBack,
    /// A promotion that is canceled while it runs.
    Canceled,
    /// A promotion that is deleted while it runs.
    Deleted,
    /// A process of several steps: one is skipped and keeps what it had applied, one is there for failures, one prunes.
    Steps,
    /// A step fails, is begun again, fails for good, and steps for that run.
    StepFails,
    /// The environment goes with its namespace, then the project.
    Gone,
    /// A lifecycle comes and goes, a release is blocked and let go on.
    Changed,
    /// A promotion is approved, and what Gantry provisioned is taken away.
    Judged,
}

/// All of them.
pub const STORIES: [Story; 11] = [
    Story::First,
    Story::Second,
    Story::CrashLoop,
    Story::RolledBack,
    Story::Canceled,
    Story::Deleted,
    Story::Steps,
    Story::StepFails,
    Story::Gone,
    Story::Changed,
    Story::Judged,
];

impl Story {
    /// What was before, during which nobody dies; nothing more is written of it afterwards.
    pub async fn prepare(self, world: &World, space: &Space) {
        self.begin(world, space).await;
        if self != Self::First {
            sealed::everything(space).await;
        }
    }

    async fn begin(self, world: &World, space: &Space) {
        let image = &world.image;
        let ours = deployment("checkout", image);
        match self {
            Self::First => {}
            Self::Second => {
                space.environment("dev", 10).await;
                let manifests = json!([ours, config_map("kept", "x"), config_map("old", "x")]);
                space.project("checkout", image, manifests).await;
                space.release("checkout", "1.0.0").await;
                space.deploy("checkout", "1.0.0", "dev").await;
                recorded(space, "checkout-1.0.0-dev").await;
            }
            Self::CrashLoop => running(space, image, "crash-loop").await,
            Self::RolledBack => {
                let spec = json!({"order": 10, "onFailure": "Rollback", "failAfter": {"crashLoop": 1}});
                space.environment_with("dev", spec).await;
                space.project("checkout", image, json!([ours])).await;
                by_digest(space, "1.0.0").await;
                space.deploy("checkout", "1.0.0", "dev").await;
                recorded(space, "checkout-1.0.0-dev").await;
                space.project("checkout", image, json!([failing("checkout", image, "crash-loop")])).await;
                by_digest(space, "2.0.0").await;
                space.sealed("checkout-2.0.0").await;
            }
            Self::Canceled | Self::Deleted => running(space, image, "never-ready").await,
            Self::Steps => several_steps(space, image).await,
            Self::StepFails => failing_steps(space, image).await,
            Self::Gone => {
                space.environment_with("dev", json!({"order": 10, "deletionPolicy": "Delete"})).await;
                space.project("checkout", image, json!([ours])).await;
                by_digest(space, "1.0.0").await;
                space.deploy("checkout", "1.0.0", "dev").await;
                recorded(space, "checkout-1.0.0-dev").await;
            }
            Self::Changed => {
                space.project("checkout", image, json!([config_map("settings", "x")])).await;
                by_digest(space, "1.0.0").await;
                space.sealed("checkout-1.0.0").await;
            }
            Self::Judged => {
                let approvals = json!({"required": 1, "allowRequester": true});
                space.environment_with("dev", json!({"order": 10, "approvals": approvals})).await;
                space.project("checkout", image, json!([config_map("settings", "x")])).await;
                by_digest(space, "1.0.0").await;
                space.sealed("checkout-1.0.0").await;
            }
        }
    }

    /// What people do, and what they wait for.
    async fn tell(self, world: &World, space: &Space) {
        let image = &world.image;
        let ours = deployment("checkout", image);
        match self {
            Self::First => {
                space.apply(space.object("Environment", "dev", json!({"order": 10}))).await;
                space.project("checkout", image, json!([ours, config_map("settings", "x")])).await;
                by_digest(space, "1.0.0").await;
                promoted(space, "1.0.0").await;
            }
            Self::Second => {
                space.project("checkout", image, json!([ours, config_map("kept", "x")])).await;
                space.release("checkout", "2.0.0").await;
                promoted(space, "2.0.0").await;
            }
            Self::CrashLoop | Self::StepFails => promoted(space, "1.0.0").await,
            Self::Steps => promoted(space, "2.0.0").await,
            Self::RolledBack => {
                promoted(space, "2.0.0").await;
                for rollback in caused(space).await {
                    recorded(space, &rollback).await;
                }
            }
            Self::Canceled => {
                let name = applied(space).await;
                let cancel = Patch::Merge(json!({"spec": {"cancel": {"reason": "enough"}}}));
                space.api::<Promotion>().patch(&name, &PatchParams::default(), &cancel).await.expect("canceled");
                recorded(space, &name).await;
            }
            Self::Deleted => {
                let name = applied(space).await;
                space.api::<Promotion>().delete(&name, &DeleteParams::default()).await.expect("deleted");
                wait::gone::<Promotion>(&space.api(), &name).await;
            }
            Self::Gone => {
                space.api::<Environment>().delete("dev", &DeleteParams::default()).await.expect("deleted");
                wait::gone::<Environment>(&space.api(), "dev").await;
                space.api::<Project>().delete("checkout", &DeleteParams::default()).await.expect("deleted");
                wait::gone::<Project>(&space.api(), "checkout").await;
            }
            Self::Changed => changed(space).await,
            Self::Judged => judged(space).await,
        }
    }
}

/// Each is recorded before the next begins: what two changes in one death would leave behind is told elsewhere.
async fn changed(space: &Space) {
    let phases = json!([{"name": "dev", "environments": ["dev"]}]);
    space.apply(space.object("Lifecycle", "standard", json!({"phases": phases}))).await;
    kept(space, AuditKind::Change, "standard", 1).await;
    let releases: Api<Release> = space.api();
    for (times, blocked) in [(1, json!({"reason": "bug 42"})), (2, Value::Null)] {
        let patch = Patch::Merge(json!({"spec": {"blocked": blocked}}));
        releases.patch("checkout-1.0.0", &PatchParams::default(), &patch).await.expect("an administrator may");
        kept(space, AuditKind::Block, "checkout-1.0.0", times).await;
    }
    space.api::<Lifecycle>().delete("standard", &DeleteParams::default()).await.expect("deleted");
    kept(space, AuditKind::Change, "standard", 2).await;
}

async fn judged(space: &Space) {
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let waiting = space.in_phase(&name, "Pending", Some("ApprovalsMissing")).await;
    let digest = waiting.status.as_ref().and_then(|status| status.plan_digest.clone());
    let spec = json!({"promotion": name, "promotionUid": waiting.uid(), "environment": "dev", "planDigest": digest,
        "decision": "Approve"});
    space.apply(space.object("Approval", "yes", spec)).await;
    recorded(space, &name).await;
    kept(space, AuditKind::Approval, "yes", 1).await;
    let bindings = space.in_environment::<RoleBinding>("dev");
    bindings.delete("gantry-impersonator", &DeleteParams::default()).await.expect("deleted");
    kept(space, AuditKind::Provisioning, "dev", 2).await;
    wait::object(&bindings, "gantry-impersonator", "made again", |_: &RoleBinding| true).await;
}

/// Waits for the records of one kind of one object.
async fn kept(space: &Space, kind: AuditKind, object: &str, count: usize) {
    wait::eventually(&format!("{count} records of {object}"), || async {
        let records = space.audit_records(kind).await;
        let of = records.iter().filter(|record| record.spec.object.as_ref().is_some_and(|known| known.name == object));
        (of.count() == count).then_some(())
    })
    .await;
}

/// A release of which one step is skipped, one is there for failures and one prunes, where an earlier one runs.
async fn several_steps(space: &Space, image: &str) {
    space.environment("dev", 10).await;
    let first = step("first", json!([config_map("kept", "x"), config_map("old", "x")]));
    let seldom = step("seldom", json!([config_map("stays", "x")]));
    process(space, image, json!([first, seldom])).await;
    by_digest(space, "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    recorded(space, "checkout-1.0.0-dev").await;
    let mut seldom = step("seldom", json!([config_map("never", "x")]));
    seldom["when"] = json!("promotion.mode == 'Rollback'");
    let mut clean = step("clean", json!([config_map("clean", "x")]));
    clean["runOn"] = json!("Failure");
    let first = step("first", json!([config_map("kept", "x")]));
    process(space, image, json!([first, seldom, clean, step("deploy", json!([deployment("checkout", image)]))])).await;
    by_digest(space, "2.0.0").await;
    space.sealed("checkout-2.0.0").await;
}

/// A release whose second step fails however often it is begun, with steps for that.
async fn failing_steps(space: &Space, image: &str) {
    space.environment_with("dev", json!({"order": 10, "failAfter": {"crashLoop": 1}})).await;
    let mut deploy = step("deploy", json!([failing("checkout", image, "crash-loop")]));
    deploy["retries"] = json!(1);
    let mut clean = step("clean", json!([config_map("clean", "x")]));
    clean["runOn"] = json!("Failure");
    let mut note = step("note", json!([config_map("note", "x")]));
    note["runOn"] = json!("Always");
    let steps = [step("first", json!([config_map("kept", "x")])), deploy];
    let after = [step("announce", json!([config_map("never", "x")])), clean, note];
    process(space, image, steps.into_iter().chain(after).collect()).await;
    by_digest(space, "1.0.0").await;
    space.sealed("checkout-1.0.0").await;
}

/// A step that applies these manifests.
#[expect(clippy::needless_pass_by_value, reason = "callers write the literal in place")]
fn step(name: &str, manifests: Value) -> Value {
    json!({"name": name, "timeout": "2m", "apply": {"manifests": manifests}})
}

/// The project with this process.
async fn process(space: &Space, image: &str, process: Value) {
    let spec = json!({"packages": [{"name": "api", "image": image}], "process": process});
    space.apply(space.object("Project", "checkout", spec)).await;
}

/// A release whose promotion fails in this way, or runs until it is stopped.
async fn running(space: &Space, image: &str, how: &str) {
    space.environment_with("dev", json!({"order": 10, "failAfter": {"crashLoop": 1}})).await;
    space.project("checkout", image, json!([failing("checkout", image, how)])).await;
    by_digest(space, "1.0.0").await;
    space.sealed("checkout-1.0.0").await;
}

async fn by_digest(space: &Space, version: &str) {
    let packages = json!([{"name": "api", "version": version, "digest": format!("sha256:{}", "a".repeat(64))}]);
    let spec = json!({"project": "checkout", "version": version, "packages": packages});
    space.apply(space.object("Release", &format!("checkout-{version}"), spec)).await;
}

async fn promoted(space: &Space, version: &str) {
    let name = space.promote("checkout", version, "dev").await;
    recorded(space, &name).await;
}

/// Waits until the promotion has ended and every history says so.
async fn recorded(space: &Space, name: &str) {
    space.ended(name).await;
    wait::object(&space.api(), name, "recorded", |known: &Promotion| known.metadata.finalizers.is_none()).await;
}

/// The promotions that the operator made by itself.
async fn caused(space: &Space) -> Vec<String> {
    let all = space.api::<Promotion>().list(&ListParams::default()).await.expect("promotions");
    all.items.into_iter().filter(|known| known.spec.cause.is_some()).map(|known| known.name_any()).collect()
}

/// Promotes what never becomes healthy, and waits until it is applied.
async fn applied(space: &Space) -> String {
    let name = space.promote("checkout", "1.0.0", "dev").await;
    wait::object(&space.in_environment::<Deployment>("dev"), "checkout", "applied", |_| true).await;
    name
}

/// What is said of how often a record is sealed.
const SEALED: &str = "is sealed";

/// What must be the same whatever happened to the operator.
pub async fn end(world: &World, space: &Space, audit: &[AuditEvent]) -> Vec<String> {
    let all = ListParams::default();
    let mut end = Vec::new();
    for promotion in space.api::<Promotion>().list(&all).await.expect("promotions") {
        let status = promotion.status.expect("a status");
        // A canceled one is not applied again, so after a death nobody lists what was; `applied` says that something was.
        let lists = status.phase.as_deref() != Some("Canceled");
        let objects = |step: &StepRecord| lists.then(|| step.objects.clone());
        let steps: Vec<_> = status.steps.iter().map(|step| (ending(step), objects(step), &step.pruned)).collect();
        let failure = status.failure.as_ref().map(|failure| (&failure.object, &failure.reason));
        let how = (status.phase, status.reason, status.applied);
        let (mode, rollback) = (status.mode, status.rollback.map(|rollback| rollback.promotion));
        let linked = (promotion.spec.cause.map(|cause| cause.name), rollback);
        end.push(format!("{:?} {how:?} {mode:?} {linked:?} {steps:?} {failure:?}", promotion.metadata.name));
    }
    // How many checkpoints there are is a matter of time; that each record is in one of them is not.
    let chain = checkpoints(space).await;
    let whole = chain.iter().all(Checkpoint::is_whole)
        && chain.iter().enumerate().all(|(n, one)| one.number == n as u64 + 1)
        && chain.windows(2).all(|two| two[1].previous == Some(two[0].root));
    end.push(format!("the chain of checkpoints is whole: {whole}"));
    end.extend(records(space, &chain).await);
    for project in space.api::<Project>().list(&all).await.expect("projects") {
        for row in project.status.unwrap_or_default().environments {
            let current = row.current.map(|current| (current.version, current.promotion));
            let last = row.last.map(|last| (last.promotion, last.phase, last.applied));
            end.push(format!("{} runs {current:?} last {last:?} {:?} {:?}", row.name, row.running, row.waiting));
        }
    }
    for environment in space.api::<Environment>().list(&all).await.expect("environments") {
        let status = environment.status.unwrap_or_default();
        let history: Vec<_> = status.history.iter().map(|entry| (&entry.promotion, &entry.phase)).collect();
        let runs: Vec<_> = status.deployments.iter().map(|row| &row.promotion).collect();
        end.push(format!("history {history:?} deployments {runs:?}"));
    }
    for release in space.api::<Release>().list(&all).await.expect("releases") {
        let rows = release.status.unwrap_or_default().environments;
        let rows: Vec<_> = rows.iter().map(|row| (&row.name, row.succeeded, row.current)).collect();
        end.push(format!("{:?} {rows:?}", release.metadata.name));
    }
    for deployed in space.in_environment::<Deployment>("dev").list(&all).await.expect("Deployments") {
        // Each change of the template is a revision.
        let revision = deployed.metadata.annotations.unwrap_or_default().remove("deployment.kubernetes.io/revision");
        end.push(format!("Deployment generation {:?} revision {revision:?}", deployed.metadata.generation));
    }
    let revisions = space.api::<ControllerRevision>().list(&all).await.expect("revisions").items;
    end.push(format!("{} revisions", revisions.len()));
    let namespaces: Api<Namespace> = Api::all(space.client.clone());
    let namespace = namespaces.get_opt(&format!("{}-dev", space.name)).await.expect("an answer");
    end.push(format!("namespace {}", namespace.is_some()));
    end.extend(world.config_maps.states(&format!("{}-dev", space.name)));
    end.extend(effects(space, audit));
    // What the operator makes itself is named after a UID.
    for (n, name) in caused(space).await.iter().enumerate() {
        end = end.into_iter().map(|told| told.replace(name, &format!("CAUSED-{n}"))).collect();
    }
    end
}

/// What is recorded, and how often it is sealed. The names of records have UIDs, so their order is none.
async fn records(space: &Space, chain: &[Checkpoint]) -> Vec<String> {
    let mut records = Vec::new();
    for record in space.api::<AuditRecord>().list(&ListParams::default()).await.expect("records") {
        let name = record.metadata.name.expect("a name");
        let times = chain.iter().flat_map(|one| &one.records).filter(|sealed| sealed.record == name).count();
        let told = told(&record.spec).replace(&space.name, "SPACE");
        records.push(format!("record {told} {SEALED} {times}x"));
    }
    records.sort();
    records
}

/// What a record says, but for times and UIDs.
fn told(spec: &AuditRecordSpec) -> String {
    let object = spec.object.as_ref().expect("an object");
    let ended = spec.ended.as_ref().map(|ended| (&ended.phase, &ended.reason, ended.applied));
    let approval = spec.approval.as_ref().map(|part| (&part.decision, part.counted));
    let block = spec.block.as_ref().map(|part| (part.blocked, part.missed_since));
    let change = spec.change.as_ref().map(|part| (&part.action, part.missed_since, &part.digest));
    let provisioning = spec.provisioning.as_ref().map(|part| (&part.action, &part.objects, part.created));
    let by = spec.by.as_ref().map(|by| &by.username);
    let of = (&object.kind, &object.name, object.generation);
    format!("{of:?} by {by:?}: {ended:?} {approval:?} {block:?} {change:?} {provisioning:?}")
}

/// How a step ended, and how often it was begun.
fn ending(step: &StepRecord) -> (&str, Option<&str>, Option<i32>) {
    (&step.phase, step.reason.as_deref(), step.attempt)
}

/// Everything that the operator created or deleted, by the audit log, but for what depends on the time.
pub fn changes(world: &World, since: AuditMark) -> Vec<AuditEvent> {
    let mut events = world.plane.audit().since(since).expect("an audit log");
    events.retain(|event| {
        let done = event.code == 201 || (event.verb == "delete" && event.code < 300);
        let timely = ["events", "auditcheckpoints"].contains(&event.resource.as_str());
        done && shared::is_write_of_the_operator(event) && !timely
    });
    events
}

/// What the API server created and deleted for the operator in a space, and how often.
fn effects(space: &Space, audit: &[AuditEvent]) -> Vec<String> {
    let namespace = format!("{}-dev", space.name);
    let of_space = |event: &AuditEvent| {
        let place = if event.resource == "namespaces" { &event.name } else { &event.namespace };
        *place == space.name || *place == namespace
    };
    let mut counts = BTreeMap::new();
    for event in audit.iter().filter(|event| of_space(event)) {
        let what = if event.verb == "delete" { "deleted" } else { "created" };
        let name = without_uids(&event.name.replace(&space.name, "SPACE"));
        *counts.entry(format!("{what} {}/{name}", event.resource)).or_insert(0) += 1;
    }
    counts.into_iter().map(|(effect, count)| format!("{effect} {count}x")).collect()
}

/// A name with whatever looks like a UID replaced.
fn without_uids(name: &str) -> String {
    const UID: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    let is_uid = |text: &str| {
        let fits = |(c, like): (char, char)| if like == 'x' { c.is_ascii_hexdigit() } else { c == like };
        text.len() == UID.len() && text.chars().zip(UID.chars()).all(fits)
    };
    let (mut told, mut rest) = (String::new(), name);
    while let Some(first) = rest.chars().next() {
        let width = if rest.get(..UID.len()).is_some_and(is_uid) { UID.len() } else { first.len_utf8() };
        told.push_str(if width == UID.len() { "UID" } else { &rest[..width] });
        rest = &rest[width..];
    }
    told
}

/// A story to which nothing happens: its writes, and how it ends.
pub async fn reference(world: &World, story: Story) -> (Vec<String>, Vec<String>) {
    let since = world.plane.audit().mark();
    let space = Space::create(world.client.clone()).await;
    story.prepare(world, &space).await;
    world.proxy.count(&space.name);
    world.tell(story, &space).await;
    let last = Mutex::new(Vec::new());
    let ended = wait::eventually("the end stays as it is", || async {
        let now = end(world, &space, &changes(world, since)).await;
        let before = std::mem::replace(&mut *last.lock().expect("a lock"), now.clone());
        let sealed = !now.iter().any(|told| told.ends_with(&format!("{SEALED} 0x")));
        (before == now && sealed).then_some(now)
    })
    .await;
    let writes = world.proxy.seen(&space.name);
    world.proxy.forget();
    (writes, ended)
}
