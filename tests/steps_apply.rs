//! The apply step against a real API server, as a deployer with exactly the shipped rights.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use gantry::steps::apply::check::Terms;
use gantry::steps::apply::fence::{Fence, Lost};
use gantry::steps::apply::inventory::{Entry, Inventory};
use gantry::steps::apply::problem::ProblemReason;
use gantry::steps::apply::prune::prune;
use gantry::steps::apply::write::{WriteError, write};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::manifest::deployment;
use crate::support::target::{Held, Target};

const CONFIG_MAP: (&str, &str, &str) = ("", "v1", "ConfigMap");
const SECRET: (&str, &str, &str) = ("", "v1", "Secret");
const SERVICE: (&str, &str, &str) = ("", "v1", "Service");
const IMAGE: &str = "localhost:5000/checkout";

fn config_map(name: &str, text: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"text": text}})
}

fn secret(name: &str, text: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"text": text}})
}

/// A process that was paused right after it had verified its slot: meanwhile its successor did something, and holds the slot
/// from then on.
struct Paused<F> {
    successor: F,
    verified: AtomicU32,
}

impl<F> Paused<F> {
    fn meanwhile(successor: F) -> Self {
        Self { successor, verified: AtomicU32::new(0) }
    }
}

impl<F, T> Fence for Paused<F>
where
    F: Fn() -> T + Sync,
    T: Future<Output = ()> + Send,
{
    async fn verify(&self, _object_read: Instant) -> Result<(), Lost> {
        if self.verified.fetch_add(1, Ordering::Relaxed) > 0 {
            return Err(Lost::Taken { by: "its successor".into() });
        }
        (self.successor)().await;
        Ok(())
    }
}

async fn text_of(target: &Target, name: &str) -> Option<String> {
    let found = target.api(CONFIG_MAP).get_opt(name).await.expect("a ConfigMap")?;
    found.data["data"]["text"].as_str().map(str::to_owned)
}

/// Writes a ConfigMap that is checked as it is now, while a successor does something in between.
async fn write_paused<F, T>(target: &Target, terms: &Terms, successor: F) -> WriteError
where
    F: Fn() -> T + Sync,
    T: Future<Output = ()> + Send,
{
    let checked = target.check(&[config_map("settings", "stale")], terms).await.expect("no problem");
    write(&target.deployer, &checked[0], (terms, &Paused::meanwhile(successor))).await.expect_err("the slot is lost")
}

#[tokio::test]
async fn what_a_successor_changed_is_not_overwritten() {
    let target = Target::create("restricted").await;
    let terms = target.terms("checkout", "1.0.0");
    target.deploy(&[config_map("settings", "old")], &terms).await;
    let newer = target.terms("checkout", "1.1.0");
    let lost = write_paused(&target, &terms, || async {
        target.deploy(&[config_map("settings", "new")], &newer).await;
    })
    .await;
    assert!(matches!(lost, WriteError::Lost(Lost::Taken { .. })), "{lost}");
    assert_eq!(text_of(&target, "settings").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn what_a_successor_made_is_not_overwritten() {
    let target = Target::create("restricted").await;
    let terms = target.terms("checkout", "1.0.0");
    let newer = target.terms("checkout", "1.1.0");
    let lost = write_paused(&target, &terms, || async {
        target.deploy(&[config_map("settings", "new")], &newer).await;
    })
    .await;
    assert!(matches!(lost, WriteError::Lost(_)), "{lost}");
    assert_eq!(text_of(&target, "settings").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn what_a_successor_deleted_is_not_made_again() {
    let target = Target::create("restricted").await;
    let terms = target.terms("checkout", "1.0.0");
    target.deploy(&[config_map("settings", "old")], &terms).await;
    let lost = write_paused(&target, &terms, || async {
        target.api(CONFIG_MAP).delete("settings", &DeleteParams::default()).await.expect("it is deleted");
    })
    .await;
    assert!(matches!(lost, WriteError::Lost(_)), "{lost}");
    assert_eq!(text_of(&target, "settings").await, None);
}

#[tokio::test]
async fn a_change_by_somebody_who_is_no_successor_is_no_obstacle() {
    let target = Target::create("restricted").await;
    let terms = target.terms("checkout", "1.0.0");
    target.deploy(&[config_map("settings", "old")], &terms).await;
    let checked = target.check(&[config_map("settings", "new")], &terms).await.expect("no problem");
    let note = json!({"metadata": {"annotations": {"example.com/note": "hello"}}});
    target.api(CONFIG_MAP).patch("settings", &PatchParams::default(), &Patch::Merge(&note)).await.expect("a note");
    let applied = write(&target.deployer, &checked[0], (&terms, &Held)).await.expect("it is written");
    assert!(applied.changed);
    assert_eq!(text_of(&target, "settings").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_secret_is_fenced_and_applied_without_the_right_to_read_it() {
    let target = Target::create("restricted").await;
    let terms = target.terms("checkout", "1.0.0");
    let read = target.seen_by_deployer(SECRET).get_opt("token").await.expect_err("no right to read");
    assert!(matches!(read, kube::Error::Api(status) if status.code == 403));
    let first = target.deploy(&[secret("token", "old")], &terms).await;
    let again = target.deploy(&[secret("token", "old")], &terms).await;
    assert_eq!((first[0].changed, again[0].changed), (true, false));
    assert_eq!(first[0].uid, again[0].uid);
    let checked = target.check(&[secret("token", "stale")], &terms).await.expect("no problem");
    let newer = target.terms("checkout", "1.1.0");
    let paused = Paused::meanwhile(|| async {
        target.deploy(&[secret("token", "new")], &newer).await;
    });
    write(&target.deployer, &checked[0], (&terms, &paused)).await.expect_err("the slot is lost");
    let found = target.api(SECRET).get("token").await.expect("a Secret");
    assert_eq!(found.data["data"]["text"], "bmV3");
}

#[tokio::test]
async fn the_same_release_applied_twice_changes_nothing() {
    let target = Target::create("restricted").await;
    let terms = target.terms("checkout", "1.0.0");
    let manifests = [deployment("checkout", IMAGE), config_map("settings", "a")];
    let first = target.deploy(&manifests, &terms).await;
    assert_eq!(
        first.iter().map(|one| one.object.slashed()).collect::<Vec<_>>(),
        ["ConfigMap/settings", "Deployment/checkout"]
    );
    assert!(first.iter().all(|one| one.changed && !one.uid.is_empty()));
    let again = target.deploy(&manifests[1..], &terms).await;
    assert!(!again[0].changed);
    let next = target.deploy(&manifests[1..], &target.terms("checkout", "1.1.0")).await;
    assert!(next[0].changed, "the label of the release");
}

#[tokio::test]
async fn a_conflict_names_who_manages_the_field_and_may_be_forced() {
    let target = Target::create("restricted").await;
    target.apply_as("kubectl", config_map("settings", "theirs")).await;
    let mut terms = target.terms("checkout", "1.0.0");
    let problems = target.check(&[config_map("settings", "ours")], &terms).await.expect_err("a conflict");
    assert_eq!(problems.reason(), ProblemReason::Conflict);
    assert_eq!(
        problems.sentences(),
        [
            "step deploy: ConfigMap settings: data.text: data.text is managed by kubectl: remove it from the manifest, or set forceConflicts: true on the step"
        ]
    );
    terms.force = true;
    target.deploy(&[config_map("settings", "ours")], &terms).await;
    assert_eq!(text_of(&target, "settings").await.as_deref(), Some("ours"));
}

#[tokio::test]
async fn another_project_s_object_is_refused_even_with_force() {
    let target = Target::create("restricted").await;
    let manifests = [config_map("settings", "a"), secret("token", "a")];
    target.deploy(&manifests, &target.terms("billing", "1.0.0")).await;
    for force in [false, true] {
        let terms = Terms { force, ..target.terms("checkout", "1.0.0") };
        let problems = target.check(&manifests, &terms).await.expect_err("another project's");
        assert_eq!(problems.told().len(), 2);
        assert!(problems.told().iter().all(|problem| problem.reason == ProblemReason::OwnedByOther));
        assert_eq!(
            problems.sentences()[0],
            "step deploy: Secret token: belongs to project billing in environment dev of space shop: give the object another name"
        );
    }
    // The same project's name in another space is another project.
    let mut elsewhere = target.terms("billing", "1.0.0");
    elsewhere.scope.space = "other".into();
    assert!(target.check(&manifests, &elsewhere).await.is_err());
}

#[tokio::test]
async fn an_object_that_another_project_takes_after_the_check_is_refused_at_the_write() {
    let target = Target::create("restricted").await;
    let terms = Terms { force: true, ..target.terms("checkout", "1.0.0") };
    let checked = target.check(&[config_map("settings", "a")], &terms).await.expect("no problem");
    target.deploy(&[config_map("settings", "theirs")], &target.terms("billing", "1.0.0")).await;
    let refused = write(&target.deployer, &checked[0], (&terms, &Held)).await.expect_err("another project's");
    assert!(matches!(refused, WriteError::Refused(_)), "{refused}");
    assert_eq!(text_of(&target, "settings").await.as_deref(), Some("theirs"));
}

#[tokio::test]
async fn pods_that_pod_security_would_refuse_are_found_before_anything_is_applied() {
    let target = Target::create("restricted").await;
    let terms = target.terms("checkout", "1.0.0");
    let mut privileged = deployment("checkout", IMAGE);
    privileged["spec"]["template"]["spec"]["hostNetwork"] = json!(true);
    let problems = target.check(&[config_map("settings", "a"), privileged.clone()], &terms).await.expect_err("refused");
    assert_eq!(problems.reason(), ProblemReason::PodSecurity);
    let sentence = problems.to_string();
    assert!(
        sentence.contains("Deployment checkout: violates PodSecurity \"restricted:latest\": host namespaces"),
        "{sentence}"
    );
    assert_eq!(text_of(&target, "settings").await, None);
    let lenient = Target::create("privileged").await;
    let terms = lenient.terms("checkout", "1.0.0");
    lenient.check(&[privileged], &terms).await.expect("a privileged namespace takes it");
}

#[tokio::test]
async fn kinds_that_belong_to_no_namespace_or_do_not_exist_are_refused() {
    let target = Target::create("restricted").await;
    let object = |api: &str, kind: &str| json!({"apiVersion": api, "kind": kind, "metadata": {"name": "x"}});
    let manifests = [
        object("rbac.authorization.k8s.io/v1", "ClusterRole"),
        object("v1", "Namespace"),
        object("example.com/v1", "Gadget"),
        object("v1", "Deployment"),
    ];
    let problems = target.check(&manifests, &target.terms("checkout", "1.0.0")).await.expect_err("refused");
    let mut reasons: Vec<_> = problems.told().iter().map(|problem| problem.reason).collect();
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        [
            ProblemReason::UnknownKind,
            ProblemReason::UnknownKind,
            ProblemReason::ClusterScoped,
            ProblemReason::ClusterScoped
        ]
    );
}

#[tokio::test]
async fn everything_that_the_api_server_would_refuse_is_told_at_once() {
    let target = Target::create("restricted").await;
    let manifests = [
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 0}]}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "dota": {}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "power"}, "rules": []}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "data": {"a": "not base64!"}}),
    ];
    let problems = target.check(&manifests, &target.terms("checkout", "1.0.0")).await.expect_err("refused");
    let found = |object: &str| {
        let problem = problems.told().iter().find(|problem| problem.object == object);
        problem.unwrap_or_else(|| panic!("no {object} in {:?}", problems.sentences()))
    };
    assert_eq!(found("Service web").path, "spec.ports[0].port");
    assert!(found("ConfigMap settings").message.contains("dota"), "{}", found("ConfigMap settings"));
    assert_eq!(found("Role power").reason, ProblemReason::Forbidden);
    assert!(found("Role power").message.contains("deployer"), "{}", found("Role power"));
    assert_eq!(found("Secret token").reason, ProblemReason::InvalidManifest);
    assert!(found("Secret token").message.contains("encode it"), "{}", found("Secret token"));
}

#[tokio::test]
async fn what_a_release_no_longer_has_is_pruned_by_uid_and_nothing_else() {
    let target = Target::create("restricted").await;
    let terms = target.terms("checkout", "1.0.0");
    let service =
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}});
    let mut kept = config_map("kept", "a");
    kept["metadata"]["annotations"] = json!({"gantry.dev/prune": "false"});
    let manifests = [
        config_map("gone", "a"),
        config_map("anew", "a"),
        config_map("taken", "a"),
        kept,
        secret("token", "a"),
        service,
    ];
    let before = Inventory::of(&target.deploy(&manifests, &terms).await);
    // One is made anew by hand, one is taken out of our hands, one is gone already.
    let maps = target.api(CONFIG_MAP);
    maps.delete("anew", &DeleteParams::default()).await.expect("deleted");
    target.deploy(&[config_map("anew", "b")], &terms).await;
    let free = json!({"metadata": {"labels": {"gantry.dev/project": null, "gantry.dev/space": null, "gantry.dev/environment": null}}});
    maps.patch("taken", &PatchParams::default(), &Patch::Merge(&free)).await.expect("taken");
    target.api(SERVICE).delete("web", &DeleteParams::default()).await.expect("deleted");
    let mut pruned = Vec::new();
    for entry in before.leftovers(&Inventory::default()) {
        let gone = prune(&target.deployer, &entry, (&terms, &Held)).await.expect("pruned");
        pruned.extend(gone.map(|object| object.slashed()));
    }
    pruned.sort();
    assert_eq!(pruned, ["ConfigMap/gone", "Secret/token", "Service/web"]);
    for (name, stays) in [("gone", false), ("anew", true), ("taken", true), ("kept", true)] {
        assert_eq!(text_of(&target, name).await.is_some(), stays, "{name}");
    }
    assert!(target.api(SECRET).get_opt("token").await.expect("an answer").is_none());
}

#[tokio::test]
async fn what_a_successor_applied_again_is_not_pruned() {
    let target = Target::create("restricted").await;
    let terms = target.terms("checkout", "1.0.0");
    let applied = target.deploy(&[config_map("settings", "a")], &terms).await;
    let newer = target.terms("checkout", "1.1.0");
    let paused = Paused::meanwhile(|| async {
        target.deploy(&[config_map("settings", "b")], &newer).await;
    });
    let lost =
        prune(&target.deployer, &Entry::from(&applied[0]), (&terms, &paused)).await.expect_err("the slot is lost");
    assert!(matches!(lost, WriteError::Lost(_)), "{lost}");
    assert_eq!(text_of(&target, "settings").await.as_deref(), Some("b"));
}
