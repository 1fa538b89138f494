//! Releases that are deleted and made again under their name: nothing that the one before achieved is theirs.

use gantry::api::v1alpha1::{Environment, Project, Promotion, Release};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::manifest::{config_map, failing};
use crate::support::shared::shared;
use crate::support::space::Space;
use crate::support::wait;

/// A space with these environments in their order, and the image of the project `checkout`.
async fn shop(environments: &[(&str, Value)]) -> (Space, String) {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    for (name, spec) in environments {
        space.environment_with(name, spec.clone()).await;
    }
    (space, format!("{}/checkout", cluster.plane.registry().host()))
}

/// What a release consists of that is applied at once.
fn settings() -> Value {
    json!([config_map("settings", "${{ packages.api.image }}")])
}

/// Deletes the release 1.0.0, and makes another one of that name, of the images of 1.1.0.
async fn made_again(space: &Space, image: &str) -> Release {
    let before = space.api::<Release>().get("checkout-1.0.0").await.expect("the release");
    space.api::<Release>().delete("checkout-1.0.0", &DeleteParams::default()).await.expect("an administrator may");
    wait::gone(&space.api::<Release>(), "checkout-1.0.0").await;
    space.project("checkout", image, settings()).await;
    let spec = json!({"project": "checkout", "version": "1.0.0", "packages": [{"name": "api", "version": "1.1.0"}]});
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    let again = space.sealed("checkout-1.0.0").await;
    assert_ne!(before.uid(), again.uid());
    again
}

/// Promotes 1.0.0 while its Deployment is not healthy, makes the release again meanwhile, and lets the promotion succeed.
async fn made_again_while_it_is_promoted(space: &Space, image: &str, environment: &str) -> (Promotion, Release) {
    space.project("checkout", image, json!([failing("checkout", image, "never-ready")])).await;
    space.release("checkout", "1.0.0").await;
    let name = space.promote("checkout", "1.0.0", environment).await;
    approve(space, &name, environment).await;
    space.in_phase(&name, "Running", None).await;
    let deployments = space.in_environment::<Deployment>(environment);
    wait::object(&deployments, "checkout", "applied", |_| true).await;
    let again = made_again(space, image).await;
    let whole = Patch::Merge(json!({"spec": {"template": {"metadata": {"annotations": null}}}}));
    deployments.patch("checkout", &PatchParams::default(), &whole).await.expect("an administrator may");
    let ended = recorded(space, &name).await;
    assert_eq!(phase(&ended), "Succeeded", "{}", message(&ended));
    (ended, again)
}

/// Approves a promotion where the environment asks for that.
async fn approve(space: &Space, name: &str, environment: &str) {
    let known = space.api::<Environment>().get(environment).await.expect("the environment");
    if known.spec.approvals.is_none() {
        return;
    }
    let waiting = space.in_phase(name, "Pending", Some("ApprovalsMissing")).await;
    let digest = waiting.status.as_ref().and_then(|status| status.plan_digest.clone());
    let spec = json!({"promotion": name, "promotionUid": waiting.uid(), "environment": environment,
        "planDigest": digest, "decision": "Approve"});
    space.apply(space.object("Approval", &format!("{name}-yes"), spec)).await;
}

/// A promotion of 1.0.0 under a name of its own.
async fn promote(space: &Space, name: &str, environment: &str) {
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": environment});
    space.apply(space.object("Promotion", name, spec)).await;
}

/// A promotion once it has ended and every history has that.
async fn recorded(space: &Space, name: &str) -> Promotion {
    space.ended(name).await;
    wait::object(&space.api(), name, "recorded", |known: &Promotion| known.metadata.finalizers.is_none()).await
}

fn phase(promotion: &Promotion) -> &str {
    promotion.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

fn reason(promotion: &Promotion) -> &str {
    promotion.status.as_ref().and_then(|status| status.reason.as_deref()).unwrap_or_default()
}

fn message(promotion: &Promotion) -> &str {
    promotion.status.as_ref().and_then(|status| status.message.as_deref()).unwrap_or_default()
}

/// A release that has no success, and may go to `test` alone.
async fn is_at_its_beginning(space: &Space) {
    let at_beginning = |known: &Release| {
        let status = known.status.clone().unwrap_or_default();
        status.next == ["test"] && status.environments.iter().all(|row| !row.succeeded && !row.current)
    };
    wait::object(&space.api(), "checkout-1.0.0", "at its beginning", at_beginning).await;
}

/// It is refused in production, with a sentence that says why the success in `test` does not count.
async fn is_refused_in_production(space: &Space) {
    promote(space, "straight", "production").await;
    let ended = space.ended("straight").await;
    assert_eq!((phase(&ended), reason(&ended)), ("Refused", "LifecycleNotReached"), "{}", message(&ended));
    assert_eq!(
        message(&ended),
        "production waits for phase test: 0 of 1 environment has checkout-1.0.0; promote it to test first: the \
         checkout-1.0.0 that succeeded there was deleted, and this one was made again under its name"
    );
}

// Attack T20.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_was_made_again_begins_its_lifecycle_anew_and_says_why() {
    let (space, image) = shop(&[("test", json!({"order": 10})), ("production", json!({"order": 20}))]).await;
    space.project("checkout", &image, settings()).await;
    let before = space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "test").await;
    recorded(&space, "checkout-1.0.0-test").await;
    let again = made_again(&space, &image).await;
    is_refused_in_production(&space).await;
    is_at_its_beginning(&space).await;
    // What it achieves itself counts. It is another release than the one that runs there.
    promote(&space, "itself", "test").await;
    let ended = recorded(&space, "itself").await;
    let mode = ended.status.as_ref().and_then(|status| status.mode.as_deref());
    assert_eq!((phase(&ended), mode), ("Succeeded", Some("Deploy")));
    every_history_says_which(&space, [before.uid(), again.uid()]).await;
    promote(&space, "onwards", "production").await;
    assert_eq!(phase(&recorded(&space, "onwards").await), "Succeeded");
}

/// Of two promotions to `test`, of a release and of the one that was made again.
async fn every_history_says_which(space: &Space, [before, again]: [Option<String>; 2]) {
    let test = space.api::<Environment>().get("test").await.expect("the environment").status.expect("a status");
    let told: Vec<_> = test.history.iter().map(|entry| entry.release_uid.clone()).collect();
    assert_eq!(told, [again.clone(), before.clone()]);
    assert_eq!(test.deployments[0].release_uid, again);
    let project = space.api::<Project>().get("checkout").await.expect("the project").status.expect("a status");
    let row = project.environments.iter().find(|row| row.name == "test").expect("a row");
    let runs = row.current.as_ref().expect("a version");
    assert_eq!((&runs.release_uid, &row.last.as_ref().expect("an end").release_uid), (&again, &again));
    let release = space.api::<Release>().get("checkout-1.0.0").await.expect("the release").status.expect("a status");
    let row = release.environments.iter().find(|row| row.name == "test").expect("a row");
    assert_eq!((row.succeeded, &row.release_uid), (true, &again));
    let record = space.audit_record("checkout-1.0.0-test").await;
    assert_eq!((&record.release_uid, record.previous), (&before, None));
    let record = space.audit_record("itself").await;
    let previous = record.previous.expect("what ran there");
    assert_eq!((&record.release_uid, &previous.release_uid), (&again, &before));
    assert_eq!((previous.version.as_str(), previous.promotion.as_str()), ("1.0.0", "checkout-1.0.0-test"));
}

// Attack T20.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_release_before_achieves_while_it_is_made_again_counts_for_none() {
    let (space, image) = shop(&[("test", json!({"order": 10})), ("production", json!({"order": 20}))]).await;
    made_again_while_it_is_promoted(&space, &image, "test").await;
    is_refused_in_production(&space).await;
    is_at_its_beginning(&space).await;
}

// Attack T20.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_was_made_again_is_no_return_and_wants_its_approvals() {
    let approvals = json!({"required": 1, "rollback": 0, "allowRequester": true});
    let (space, image) = shop(&[("production", json!({"order": 10, "approvals": approvals}))]).await;
    made_again_while_it_is_promoted(&space, &image, "production").await;
    promote(&space, "back", "production").await;
    let waiting = space.in_phase("back", "Pending", Some("ApprovalsMissing")).await;
    assert!(message(&waiting).starts_with("1 of 1 approvals is missing: "), "{}", message(&waiting));
    assert!(
        message(&waiting).ends_with(
            "; this is no return, since the checkout-1.0.0 that succeeded there was deleted, and this one was made again under its name"
        ),
        "{}",
        message(&waiting)
    );
    approve(&space, "back", "production").await;
    assert_eq!(phase(&recorded(&space, "back").await), "Succeeded");
    // Now it is one.
    promote(&space, "again", "production").await;
    assert_eq!(phase(&recorded(&space, "again").await), "Succeeded");
}

// Attack T20.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_was_made_again_soaks_by_its_own_time_alone() {
    const SOAK: i64 = 20;
    let (space, image) = shop(&[("test", json!({"order": 10})), ("production", json!({"order": 20}))]).await;
    let phases = json!([
        {"name": "test", "environments": ["test"], "soak": format!("{SOAK}s")},
        {"name": "live", "environments": ["production"]},
    ]);
    space.apply(space.object("Lifecycle", "standard", json!({"phases": phases}))).await;
    let process = json!([{"name": "deploy", "apply": {"manifests": settings()}}]);
    let project = json!({"lifecycle": "standard", "packages": [{"name": "api", "image": image}], "process": process});
    space.apply(space.object("Project", "checkout", project.clone())).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "test").await;
    recorded(&space, "checkout-1.0.0-test").await;
    let releases = space.api::<Release>();
    releases.delete("checkout-1.0.0", &DeleteParams::default()).await.expect("an administrator may");
    wait::gone(&releases, "checkout-1.0.0").await;
    space.release("checkout", "1.0.0").await;
    promote(&space, "itself", "test").await;
    let arrived = recorded(&space, "itself").await.status.expect("a status").finished_at.expect("an end").0;
    let completed = |known: &Release| -> Option<Timestamp> {
        Some(known.status.as_ref()?.phases.first()?.completed_at.as_ref()?.0)
    };
    let soaked = wait::object(&releases, "checkout-1.0.0", "soaked", |known| completed(known).is_some()).await;
    let lasted = completed(&soaked).map(|at| at.duration_since(arrived).as_secs());
    assert_eq!(lasted, Some(SOAK), "from its own success on");
}
