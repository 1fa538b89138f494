//! Git with the real thing: Flux's controllers sync the repository that the README shows.

use gantry::api::condition::{self, ConditionType};
use gantry::api::v1alpha1::{Environment, Pin, Promotion};
use gantry_plane::flux::Flux;
use gantry_plane::{Identity, Options, Plane, Program};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::git::Repository;
use crate::support::operator::Operator;
use crate::support::shared;
use crate::support::space::Space;
use crate::support::wait;

/// The files of the README's section on Git, and what Flux needs to sync them.
fn readme() -> (Vec<(String, String)>, String) {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("the README");
    let section = text.split("\n## Git\n").nth(1).expect("a section on Git");
    let section = section.split("\n## ").next().expect("its end");
    let blocks = section.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().expect("a block"));
    let files = blocks.map(|block| {
        let (first, _) = block.split_once('\n').expect("a first line");
        (first.trim_start_matches("# ").to_owned(), block.to_owned())
    });
    let sync = section.split("```yml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("what Flux needs");
    (files.collect(), sync.to_owned())
}

/// A space that Flux syncs from a repository.
struct Synced {
    space: Space,
    repository: Repository,
}

impl Synced {
    /// Puts the README's files into a repository of their own, and lets Flux sync it into a new space.
    async fn open(plane: &Plane, space: Space) -> Self {
        let repository = Repository::create(plane.directory(), &space.name).await;
        let (files, _) = readme();
        let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), named(&space, text))).collect();
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, Some(text.as_str()))).collect();
        repository.commit("as the README shows it", &files);
        let synced = Self { space, repository };
        synced.follow().await;
        synced
    }

    /// Lets Flux sync the repository as the README says.
    async fn follow(&self) {
        let (_, sync) = readme();
        let sync = named(&self.space, &sync).replace("https://git.example.com/shop.git", &self.repository.url);
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "gitops", "namespace": self.space.name}});
        self.space.apply(account).await;
        for role in ["gantry-space-admin", "gantry-releaser"] {
            self.space
                .apply(json!({
                    "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                    "metadata": {"name": role, "namespace": self.space.name},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                    "subjects": [{"kind": "ServiceAccount", "name": "gitops", "namespace": self.space.name}],
                }))
                .await;
        }
        gantry_plane::manifests::apply(&self.space.client, "test", &sync).await.unwrap_or_else(|e| panic!("{e}"));
    }

    /// Changes one line of a file, and gives back the commit.
    fn change(&self, file: &str, (before, after): (&str, &str)) -> String {
        let text = self.repository.read(file);
        assert!(text.contains(before), "{file} has no {before}:\n{text}");
        self.repository.commit(after, &[(file, Some(&text.replacen(before, after, 1)))])
    }

    /// Tells Flux to look at once, as `flux reconcile` does.
    async fn look(&self) {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let at = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
        let asked = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": at}}});
        for api in [self.sources(), self.kustomizations()] {
            api.patch("shop", &PatchParams::default(), &Patch::Merge(&asked)).await.expect("asked");
            says(&api, "looked at", |known| known.data["status"]["lastHandledReconcileAt"] == at.as_str()).await;
        }
    }

    /// Waits until Flux reports on a commit, and gives back reason and message of its condition Ready.
    async fn reported(&self, commit: &str) -> (String, String) {
        let known = says(&self.kustomizations(), commit, |known| {
            let status = &known.data["status"];
            let attempted = status["lastAttemptedRevision"].as_str().is_some_and(|at| at.ends_with(commit));
            attempted && ready(known).is_some_and(|ready| ready["status"] != "Unknown")
        })
        .await;
        let ready = ready(&known).expect("a condition");
        let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
        (text("reason"), text("message"))
    }

    fn sources(&self) -> Api<DynamicObject> {
        self.api("source.toolkit.fluxcd.io", "GitRepository", "gitrepositories")
    }

    fn kustomizations(&self) -> Api<DynamicObject> {
        self.api("kustomize.toolkit.fluxcd.io", "Kustomization", "kustomizations")
    }

    fn api(&self, group: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural);
        Api::namespaced_with(self.space.client.clone(), &self.space.name, &resource)
    }

    /// Waits until a pin has this reason for its newest change.
    async fn pin(&self, environment: &str, reason: &str) -> Pin {
        wait::object(&self.space.api(), &format!("banner.{environment}"), reason, |known: &Pin| {
            let conditions = known.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            condition::find(conditions, ConditionType::Ready)
                .is_some_and(|ready| ready.reason == reason && ready.observed_generation == known.metadata.generation)
        })
        .await
    }

    /// Waits until a pin of this version runs.
    async fn runs(&self, environment: &str, version: &str) {
        let settings: Api<ConfigMap> = self.space.in_environment(environment);
        wait::object(&settings, "banner", version, |known: &ConfigMap| {
            known.data.as_ref().and_then(|data| data.get("version")).is_some_and(|runs| runs == version)
        })
        .await;
        let pin = wait::object(&self.space.api(), &format!("banner.{environment}"), "deployed", |known: &Pin| {
            let status = known.status.as_ref();
            status.is_some_and(|status| {
                status.version.as_deref() == Some(version) && status.phase.as_deref() == Some("Succeeded")
            })
        })
        .await;
        assert_eq!(pin.spec.version, version);
    }

    /// Every promotion: version, environment and phase, in the order of creation and name.
    async fn promotions(&self) -> Vec<String> {
        let all = self.space.api::<Promotion>().list(&ListParams::default()).await.expect("promotions").items;
        let mut told: Vec<_> = all.iter().map(told).collect();
        told.sort();
        told
    }
}

fn told(promotion: &Promotion) -> String {
    let spec = &promotion.spec;
    let by = if spec.cause.is_some() { "pin" } else { "bare" };
    let phase = promotion.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
    format!("{by} {} {} {phase}", spec.environment, spec.version)
}

fn named(space: &Space, text: &str) -> String {
    text.replace("namespace: shop", &format!("namespace: {}", space.name))
}

fn ready(object: &DynamicObject) -> Option<&Value> {
    let conditions = object.data["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Ready")
}

/// A cluster with Gantry, its operator, and Flux.
async fn cluster(name: &str) -> (Plane, Operator, Flux) {
    let plane = shared::own(Options::default().with_simulated_nodes(1)).await;
    let operator = Operator::start(&plane, name).await;
    let flux = Flux::start(&plane).await.unwrap_or_else(|error| panic!("{error}"));
    (plane, operator, flux)
}

/// Waits until Flux says something of its object; it is not in a hurry.
async fn says(api: &Api<DynamicObject>, what: &str, says: impl Fn(&DynamicObject) -> bool) -> DynamicObject {
    wait::eventually_within(wait::PATIENCE * 2, what, || async { api.get("shop").await.ok().filter(&says) }).await
}

/// Every program of the cluster, the operator and Flux are ended and started again.
async fn restart_everything(plane: &Plane, operator: &Operator, flux: &Flux) {
    operator.kill(plane);
    for program in [Program::Etcd, Program::ApiServer, Program::ControllerManager] {
        plane.restart(program).await.expect("it starts");
    }
    operator.resume(plane).await;
    flux.restart().expect("it starts");
}

async fn space(plane: &Plane, name: &str) -> Space {
    let client = plane.client(&Identity::Admin).await.expect("a client");
    let space = Space { name: name.to_owned(), client };
    space.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).await;
    space
}

/// A promotion that nobody's pin asks for, as a file of the repository.
fn bare(space: &Space, version: &str) -> String {
    space
        .object(
            "Promotion",
            &format!("banner-{version}-dev"),
            json!({"project": "banner", "version": version, "environment": "dev"}),
        )
        .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_promotes_a_revert_rolls_back_and_nothing_is_replayed_not_even_on_an_empty_cluster() {
    let (plane, operator, flux) = cluster("flux-first").await;
    let synced = Synced::open(&plane, space(&plane, "shop").await).await;
    synced.runs("dev", "1.0.0").await;
    synced.runs("production", "1.0.0").await;
    let pin = synced.space.api::<Pin>().get("banner.dev").await.expect("the pin");
    let by = pin.spec.requested_by.expect("an author").username;
    assert_eq!(by, "system:serviceaccount:shop:gitops");

    let commit = synced.change("pins.yaml", ("version: 1.0.0", "version: 1.1.0"));
    synced.look().await;
    synced.runs("dev", "1.1.0").await;
    assert_eq!(synced.reported(&commit).await.0, "ReconciliationSucceeded");
    synced.repository.revert();
    synced.look().await;
    synced.runs("dev", "1.0.0").await;
    let made = [
        "pin dev 1.0.0 Succeeded",
        "pin dev 1.0.0 Succeeded",
        "pin dev 1.1.0 Succeeded",
        "pin production 1.0.0 Succeeded",
    ];
    assert_eq!(synced.promotions().await, made);

    // A bare promotion is one promotion: the pin shows that something else came, and does not fight it.
    let commit = synced.repository.commit("by hand", &[("promotion.yaml", Some(&bare(&synced.space, "1.1.0")))]);
    synced.look().await;
    assert_eq!(synced.reported(&commit).await.0, "ReconciliationSucceeded");
    let ended = synced.space.ended("banner-1.1.0-dev").await.status.expect("a status");
    assert_eq!(ended.phase.as_deref(), Some("Succeeded"), "{:?}", ended.message);
    synced.pin("dev", "Diverged").await;
    let before = (synced.promotions().await, versions(&synced).await);
    synced.look().await;
    restart_everything(&plane, &operator, &flux).await;
    synced.look().await;
    // Whatever should be replayed comes before this.
    synced.change(
        "pins.yaml",
        ("environment: production\n  version: 1.0.0", "environment: production\n  version: 1.1.0"),
    );
    synced.look().await;
    synced.runs("production", "1.1.0").await;
    let (mut promotions, now) = (synced.promotions().await, versions(&synced).await);
    promotions.retain(|told| told != "pin production 1.1.0 Succeeded");
    assert_eq!(promotions, before.0);
    assert_eq!(now["banner.dev"], before.1["banner.dev"], "a sync changes nothing");
    assert_eq!(now["banner-1.1.0-dev"], before.1["banner-1.1.0-dev"]);

    // The old cluster runs on beside the new one: nothing is taken from it.
    on_an_empty_cluster(synced.repository).await;
    drop(plane);
}

/// The same repository again: what the pins say, and nothing else takes effect.
async fn on_an_empty_cluster(repository: Repository) {
    let text = repository.read("pins.yaml");
    let (again, _operator, flux) = cluster("flux-again").await;
    let synced = Synced { space: space(&again, "shop").await, repository };
    synced.follow().await;
    synced.runs("dev", "1.0.0").await;
    assert!(text.contains("environment: dev\n  version: 1.0.0"), "{text}");
    let waits = synced.pin("production", "Waiting").await.status.expect("a status");
    let message = waits.message.expect("a sentence");
    assert!(message.starts_with("production waits for phase"), "{message}");
    let replayed = ["bare dev 1.1.0 Superseded", "pin dev 1.0.0 Succeeded", "pin production 1.1.0 Pending"];
    assert_eq!(synced.promotions().await, replayed, "{}", flux.log_tail());
    // A person lets production catch up, since its history was lost with the cluster.
    let recovery = json!({"spec": {"recovery": {"reason": "the cluster was lost", "until": "2099-01-01T00:00:00Z"}}});
    let environments = synced.space.api::<Environment>();
    let by_hand = PatchParams { field_manager: Some("recovery".to_owned()), ..PatchParams::default() };
    environments.patch("production", &by_hand, &Patch::Merge(recovery)).await.expect("opened");
    synced.runs("production", "1.1.0").await;
    synced.look().await;
    let restored = ["bare dev 1.1.0 Superseded", "pin dev 1.0.0 Succeeded", "pin production 1.1.0 Succeeded"];
    assert_eq!(synced.promotions().await, restored);
}

/// The resourceVersions of pins and of the bare promotion.
async fn versions(synced: &Synced) -> Value {
    let mut versions = json!({});
    for pin in synced.space.api::<Pin>().list(&ListParams::default()).await.expect("pins") {
        versions[pin.metadata.name.expect("a name")] = json!(pin.metadata.resource_version);
    }
    let promotion = synced.space.api::<Promotion>().get("banner-1.1.0-dev").await.expect("the promotion");
    versions["banner-1.1.0-dev"] = json!(promotion.metadata.resource_version);
    versions
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kustomization_that_waits_reports_what_gantry_reports() {
    let (plane, _operator, flux) = cluster("flux-reports").await;
    let synced = Synced::open(&plane, space(&plane, "shop").await).await;
    synced.runs("production", "1.0.0").await;

    // Waiting for people is no failure, and does not time out.
    let commit = synced.repository.commit("closed", &[("environments.yaml", Some(&paused(&synced)))]);
    synced.look().await;
    assert_eq!(synced.reported(&commit).await.0, "ReconciliationSucceeded");
    let commit = synced.change("pins.yaml", ("version: 1.0.0", "version: 1.1.0"));
    synced.look().await;
    let (reason, message) = synced.reported(&commit).await;
    assert_eq!(reason, "ReconciliationSucceeded", "{message}\n{}", flux.log_tail());
    synced.pin("dev", "Waiting").await;
    let open = synced.repository.read("environments.yaml").replace("paused: true", "paused: false");
    let commit = synced.repository.commit("open", &[("environments.yaml", Some(&open))]);
    synced.look().await;
    assert_eq!(synced.reported(&commit).await.0, "ReconciliationSucceeded");
    synced.runs("dev", "1.1.0").await;

    // A failure is one, at once and in Gantry's words, and a revert heals it.
    let project = synced.repository.read("project.yaml");
    let broken = project.replace("kind: ConfigMap", "kind: ConfigMapp");
    assert_ne!(project, broken);
    let release = "\n---\napiVersion: gantry.dev/v1alpha1\nkind: Release\nmetadata: {name: banner-1.2.0, namespace: shop}\nspec: {project: banner, version: 1.2.0}\n";
    let releases = format!("{}{}", synced.repository.read("releases.yaml"), release);
    synced.repository.commit("broken", &[("project.yaml", Some(&broken))]);
    synced.look().await;
    let commit = synced.repository.commit("1.2.0", &[("releases.yaml", Some(&releases))]);
    synced.look().await;
    synced.reported(&commit).await;
    synced.space.sealed("banner-1.2.0").await;
    let commit = synced.change("pins.yaml", ("version: 1.1.0", "version: 1.2.0"));
    synced.look().await;
    let (reason, message) = synced.reported(&commit).await;
    assert_eq!(reason, "HealthCheckFailed", "{message}");
    assert!(message.contains("Pin/shop/banner.dev") && message.contains("Failed"), "{message}");
    synced.pin("dev", "Failed").await;
    let commit = synced.repository.revert();
    synced.look().await;
    assert_eq!(synced.reported(&commit).await.0, "ReconciliationSucceeded");
    synced.runs("dev", "1.1.0").await;
}

fn paused(synced: &Synced) -> String {
    let text = synced.repository.read("environments.yaml");
    let paused = text.replacen("spec: {order: 10}", "spec: {order: 10, paused: true}", 1);
    assert_ne!(text, paused);
    paused
}
