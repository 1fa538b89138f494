//! Lifecycles on the real cluster: phases, automatic environments, soak, blocks, and edits under releases that live.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use gantry::api::condition::{self, ConditionType};
use gantry::api::v1alpha1::project::Health;
use gantry::api::v1alpha1::{Environment, Lifecycle, Project, Promotion, Release, ReleaseStatus};
use gantry_plane::{Identity, Options};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::support::manifest::{config_map, deployment};
use crate::support::operator::Operator;
use crate::support::proxy::{Moment, Proxy};
use crate::support::sealed;
use crate::support::shared::{self, shared};
use crate::support::space::Space;
use crate::support::target::deployer;
use crate::support::wait;

/// A space with these environments, and the project `checkout` of one ConfigMap that follows the lifecycle `standard`.
async fn shop(environments: &[&str], phases: Value) -> Space {
    let space = Space::create(shared().await.admin().await).await;
    fill(&space, environments, phases).await;
    space
}

async fn fill(space: &Space, environments: &[&str], phases: Value) {
    for (environment, order) in environments.iter().zip(1..) {
        space.apply(space.object("Environment", environment, json!({"order": order}))).await;
    }
    for environment in environments {
        space.environment_ready(environment).await;
    }
    lifecycle(space, phases).await;
    project(space, "standard").await;
}

async fn lifecycle(space: &Space, phases: Value) {
    space.apply(space.object("Lifecycle", "standard", json!({"phases": phases}))).await;
}

async fn project(space: &Space, lifecycle: &str) {
    let apply = json!({"manifests": [config_map("settings", "one")]});
    let spec = json!({"lifecycle": lifecycle, "process": [{"name": "deploy", "timeout": "2m", "apply": apply}]});
    space.apply(space.object("Project", "checkout", spec)).await;
}

/// Makes a release, and gives back its name.
async fn release(space: &Space, version: &str) -> String {
    let name = format!("checkout-{version}");
    space.apply(space.object("Release", &name, json!({"project": "checkout", "version": version}))).await;
    space.sealed(&name).await;
    name
}

async fn says(space: &Space, release: &str, what: &str, says: impl Fn(&ReleaseStatus) -> bool) -> ReleaseStatus {
    let releases: Api<Release> = space.api();
    let said = |known: &Release| known.status.as_ref().is_some_and(&says);
    wait::object(&releases, release, what, said).await.status.expect("a status")
}

/// The progress of each phase of a release, in order.
fn progress(status: &ReleaseStatus) -> Vec<&str> {
    status.phases.iter().map(|phase| phase.progress.as_str()).collect()
}

async fn in_progress(space: &Space, release: &str, expected: &[&str]) -> ReleaseStatus {
    says(space, release, &format!("{expected:?}"), |status| progress(status) == expected).await
}

/// Promotes and gives back why it did not succeed.
async fn refused(space: &Space, version: &str, environment: &str, reason: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("refused-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let spec = json!({"project": "checkout", "version": version, "environment": environment});
    space.apply(space.object("Promotion", &name, spec)).await;
    let status = space.ended(&name).await.status.expect("a status");
    let message = status.message.expect("a sentence");
    assert_eq!((status.phase.as_deref(), status.reason.as_deref()), (Some("Refused"), Some(reason)), "{message}");
    message
}

/// The promotions that Gantry made itself.
async fn caused(space: &Space) -> Vec<Promotion> {
    let mut all = space.api::<Promotion>().list(&ListParams::default()).await.expect("promotions").items;
    all.retain(|promotion| promotion.spec.cause.is_some());
    all
}

fn condition_of(status: &ReleaseStatus, kind: ConditionType) -> Option<(&str, &str, &str)> {
    let found = condition::find(&status.conditions, kind)?;
    Some((found.status.as_str(), found.reason.as_str(), found.message.as_str()))
}

async fn said(space: &Space, about: &str, reason: &str) -> String {
    let events: Api<Event> = space.api();
    let which = ListParams::default().fields(&format!("regarding.name={about},reason={reason}"));
    wait::eventually(&format!("an Event {reason} about {about}"), || async {
        events.list(&which).await.ok()?.items.first()?.note.clone()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_phase_opens_when_its_minimum_is_met_and_says_before_what_is_missing() {
    let phases = json!([
        {"name": "dev", "environments": ["dev"]},
        {"name": "test", "environments": ["test-eu", "test-us", "test-ap"], "minimum": 2},
        {"name": "live", "environments": ["production"]},
    ]);
    let space = shop(&["dev", "test-eu", "test-us", "test-ap", "production"], phases).await;
    let name = release(&space, "1.4.2").await;
    let fresh = in_progress(&space, &name, &["Current", "Pending", "Pending"]).await;
    assert_eq!(fresh.next, ["dev"]);
    refused(&space, "1.4.2", "production", "LifecycleNotReached").await;
    space.deploy("checkout", "1.4.2", "dev").await;
    space.deploy("checkout", "1.4.2", "test-eu").await;
    let status = in_progress(&space, &name, &["Complete", "Current", "Pending"]).await;
    assert!(status.phases[0].completed_at.is_some() && status.phases[1].completed_at.is_none());
    let message = refused(&space, "1.4.2", "production", "LifecycleNotReached").await;
    assert!(
        message.starts_with("production waits for phase test: 1 of 2 environments (test-eu) has checkout-1.4.2"),
        "{message}"
    );
    space.deploy("checkout", "1.4.2", "test-ap").await;
    let status = in_progress(&space, &name, &["Complete", "Complete", "Current"]).await;
    assert_eq!(status.due, ["test-us", "production"], "what is left of a complete phase stays open");
    assert_eq!(status.next, ["dev", "test-eu", "test-us", "test-ap", "production"], "where it was it may go again");
    space.deploy("checkout", "1.4.2", "production").await;
    let status = in_progress(&space, &name, &["Complete"; 3]).await;
    let times: Vec<_> = status.phases.iter().map(|phase| phase.completed_at.clone()).collect();
    assert!(times.is_sorted() && times[0].is_some(), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_optional_phase_may_be_skipped_and_is_never_current() {
    let phases = json!([
        {"name": "dev", "environments": ["dev"]},
        {"name": "load", "environments": ["load"], "optional": true},
        {"name": "live", "environments": ["production"]},
    ]);
    let space = shop(&["dev", "load", "production"], phases).await;
    let name = release(&space, "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let status = in_progress(&space, &name, &["Complete", "Pending", "Current"]).await;
    assert_eq!(status.due, ["load", "production"]);
    space.deploy("checkout", "1.0.0", "production").await;
    space.deploy("checkout", "1.0.0", "load").await;
    in_progress(&space, &name, &["Complete"; 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_is_added_appears_in_the_last_phase_of_every_release() {
    let space = shop(&["dev"], json!([{"name": "dev", "environments": ["dev"]}, {"name": "rest"}])).await;
    let names = [release(&space, "1.0.0").await, release(&space, "1.1.0").await];
    space.apply(space.object("Environment", "eu-prod", json!({"order": 9}))).await;
    for name in &names {
        let status = says(&space, name, "with eu-prod", |status| {
            status.phases.last().is_some_and(|phase| phase.environments == ["eu-prod"])
        })
        .await;
        assert_eq!(progress(&status), ["Current", "Pending"]);
    }
    space.environment_ready("eu-prod").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    space.deploy("checkout", "1.0.0", "eu-prod").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_no_phase_names_is_not_in_the_lifecycle() {
    let space = shop(&["dev", "production"], json!([{"name": "live", "environments": ["production"]}])).await;
    release(&space, "1.0.0").await;
    let message = refused(&space, "1.0.0", "dev", "NotInLifecycle").await;
    assert!(message.contains("environment dev is not in the lifecycle of checkout-1.0.0"), "{message}");
    space.deploy("checkout", "1.0.0", "production").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_promoted_to_automatic_environments_by_itself_each_once_and_as_the_person_who_made_it() {
    let phases = json!([
        {"name": "dev", "environments": ["dev"], "automatic": ["dev"]},
        {"name": "test", "environments": ["test-eu", "test-us"], "automatic": ["test-eu", "test-us"], "minimum": 1},
        {"name": "live", "environments": ["production"]},
    ]);
    let space = shop(&["dev", "test-eu", "test-us", "production"], phases).await;
    let name = release(&space, "1.0.0").await;
    let status = says(&space, &name, "in dev and both tests", |status| {
        status.environments.iter().filter(|row| row.succeeded).count() == 3
    })
    .await;
    assert_eq!(progress(&status), ["Complete", "Complete", "Current"]);
    assert_eq!(status.due, ["production"], "what is not automatic waits for a person");
    let all = caused(&space).await;
    let places: BTreeSet<_> = all.iter().map(|promotion| promotion.spec.environment.as_str()).collect();
    assert_eq!((places, all.len()), (["dev", "test-eu", "test-us"].into(), 3));
    let uid = space.api::<Release>().get(&name).await.expect("the release").uid();
    for promotion in &all {
        let by = promotion.spec.requested_by.as_ref().expect("a requester");
        assert_eq!(by.username, "gantry-plane-admin", "who made the release");
        let cause = promotion.spec.cause.as_ref().expect("a cause");
        assert_eq!((cause.kind.as_str(), &cause.name, Some(&cause.uid)), ("Release", &name, uid.as_ref()));
        let decided = &promotion.status.as_ref().expect("a status").decided_on;
        assert!(decided.iter().any(|known| known.kind == "Lifecycle" && known.name == "standard"), "{decided:?}");
        assert_eq!(space.audit_record(&promotion.name_any()).await.cause.as_ref(), Some(cause));
    }
    let status = says(&space, &name, "with three ends", |status| {
        status.automatic.iter().filter(|row| row.phase.as_deref() == Some("Succeeded")).count() == 3
    })
    .await;
    assert_eq!(condition_of(&status, ConditionType::AutomaticallyPromoted).map(|said| said.1), Some("Promoted"));
    said(&space, &name, "AutomaticPromotion").await;

    // One that is gone is not made again.
    let promotions: Api<Promotion> = space.api();
    promotions.delete(&all[0].name_any(), &DeleteParams::default()).await.expect("an administrator may");
    wait::gone(&promotions, &all[0].name_any()).await;
    let second = release(&space, "1.1.0").await;
    says(&space, &second, "everywhere", |status| status.environments.iter().filter(|row| row.succeeded).count() == 3)
        .await;
    assert_eq!(caused(&space).await.len(), 5, "two of the first release are left, three of the second are new");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_write_the_operator_makes_each_automatic_promotion_once() {
    let plane = shared::own(Options::default()).await;
    let proxy = Proxy::start(&plane, "automatic").await;
    let operator = Operator::start_against(&plane, "automatic", proxy.kubeconfig.clone()).await;
    let client = plane.client(&Identity::Admin).await.expect("a client");
    let phases = json!([{"name": "dev", "environments": ["dev"], "automatic": ["dev"]}]);
    // The writes after a release is made: its snapshot, its status, the promotion, and what follows. All die at once.
    let deaths = (1..=6).flat_map(|n| [Moment::Before, Moment::AfterCommit].map(|moment| (n, moment)));
    let prepared = deaths.map(|(n, moment)| {
        let (client, phases, proxy) = (client.clone(), phases.clone(), &proxy);
        async move {
            let space = Space::create(client).await;
            fill(&space, &["dev"], phases).await;
            wait::object(&space.api(), "standard", "ready", |known: &Lifecycle| {
                let status = known.status.as_ref();
                status.is_some_and(|status| condition::is_true(&status.conditions, ConditionType::Ready))
            })
            .await;
            sealed::everything(&space).await;
            proxy.arm(&space.name, n, moment);
            let spec = json!({"project": "checkout", "version": "1.0.0"});
            space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
            (space, format!("write {n}, {moment:?}"))
        }
    });
    let prepared = futures::future::join_all(prepared).await;
    assert_eq!(proxy.until_stopped().await, prepared.len());
    operator.kill(&plane);
    proxy.disarm();
    operator.resume(&plane).await;
    for (space, died) in prepared {
        let status = says(&space, "checkout-1.0.0", "in dev by itself", |status| {
            status.automatic.iter().any(|row| row.phase.is_some())
        })
        .await;
        assert_eq!(status.automatic[0].phase.as_deref(), Some("Succeeded"), "{died}");
        let all = space.api::<Promotion>().list(&ListParams::default()).await.expect("promotions").items;
        assert_eq!(all.len(), 1, "{died}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_automatic_promotion_that_cannot_be_made_is_told_on_the_release_and_made_when_it_can() {
    let phases = json!([{"name": "dev", "environments": ["dev"], "automatic": ["dev"]}]);
    let space = shop(&["dev"], phases).await;
    // A policy of the cluster's own that lets nobody promote in this space.
    let admission = |kind: &str, spec: Value| json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": space.name}, "spec": spec});
    let rule = json!({
        "apiGroups": ["gantry.dev"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["promotions"],
    });
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": space.name}});
    let policy = json!({
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": here},
        "validations": [{"expression": "false", "message": "closed for the holidays"}],
    });
    space.apply(admission("ValidatingAdmissionPolicy", policy)).await;
    let binding = json!({"policyName": space.name, "validationActions": ["Deny"]});
    space.apply(admission("ValidatingAdmissionPolicyBinding", binding)).await;
    let tried: Promotion = serde_json::from_value(space.object(
        "Promotion",
        "tried",
        json!({"project": "checkout", "version": "1.0.0", "environment": "dev"}),
    ))
    .expect("a promotion");
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    wait::eventually("the policy acts", || async {
        space.api::<Promotion>().create(&dry, &tried).await.is_err().then_some(())
    })
    .await;
    let name = release(&space, "1.0.0").await;
    let status = says(&space, &name, "telling", |status| {
        condition_of(status, ConditionType::AutomaticallyPromoted).is_some_and(|said| said.1 == "NotPromoted")
    })
    .await;
    let (_, _, message) = condition_of(&status, ConditionType::AutomaticallyPromoted).expect("the condition");
    assert!(message.contains("to dev") && message.contains("closed for the holidays"), "{message}");
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(space.client.clone());
    bindings.delete(&space.name, &DeleteParams::default()).await.expect("an administrator may");
    says(&space, &name, "in dev", |status| status.environments.iter().any(|row| row.succeeded)).await;
    says(&space, &name, "well", |status| {
        condition_of(status, ConditionType::AutomaticallyPromoted).is_some_and(|said| said.1 == "Promoted")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_automatic_promotion_that_failed_is_told_on_the_release_and_not_repeated() {
    let phases = json!([{"name": "dev", "environments": ["dev"], "automatic": ["dev"]}]);
    let space = shop(&["dev"], phases).await;
    // An object of somebody else is never taken.
    let mut taken = config_map("settings", "mine");
    taken["metadata"]["namespace"] = json!(format!("{}-dev", space.name));
    space.apply(taken).await;
    let name = release(&space, "1.0.0").await;
    let status = says(&space, &name, "telling", |status| {
        condition_of(status, ConditionType::AutomaticallyPromoted).is_some_and(|said| said.1 == "NotPromoted")
    })
    .await;
    let (_, _, message) = condition_of(&status, ConditionType::AutomaticallyPromoted).expect("the condition");
    assert!(message.contains("is Failed") && message.contains("promote the release there yourself"), "{message}");
    assert_eq!(caused(&space).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_automatic_promotion_that_cannot_be_made_stops_neither_the_others_nor_the_rows_of_its_release() {
    let space = Space::create(shared().await.admin().await).await;
    let spec = json!({"project": "checkout", "version": "1.0.0"});
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    let known: Release = space.api().get("checkout-1.0.0").await.expect("the release");
    let taken = gantry::controllers::release::automatic::name(&known, &"eu".parse().expect("a name"));
    let spec = json!({"project": "other", "version": "9", "environment": "eu"});
    space.apply(space.object("Promotion", &taken, spec)).await;
    let phases = json!([
        {"name": "test", "environments": ["eu", "us"], "automatic": ["eu", "us"], "minimum": 1},
        {"name": "live", "environments": ["production"]},
    ]);
    fill(&space, &["eu", "us", "production"], phases).await;
    let status = says(&space, "checkout-1.0.0", "in us all the same", |status| {
        status.automatic.iter().any(|row| row.environment == "us" && row.phase.as_deref() == Some("Succeeded"))
    })
    .await;
    assert!(status.automatic.iter().all(|row| row.environment == "us"), "{:?}", status.automatic);
    let (_, reason, message) = condition_of(&status, ConditionType::AutomaticallyPromoted).expect("the condition");
    assert!(reason == "NotPromoted" && message.contains(&format!("promotion {taken} exists")), "{message}");
    // What people do ends, is in its rows, and can be deleted.
    let promotion = space.promote("checkout", "1.0.0", "production").await;
    space.ended(&promotion).await;
    says(&space, "checkout-1.0.0", "in production", |status| {
        status.environments.iter().any(|row| row.name == "production" && row.succeeded)
    })
    .await;
    let promotions: Api<Promotion> = space.api();
    promotions.delete(&promotion, &DeleteParams::default()).await.expect("an administrator may");
    wait::gone(&promotions, &promotion).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_sealed_late_never_goes_over_a_newer_one_that_only_waits_by_then() {
    let phases = json!([{"name": "dev", "environments": ["dev"], "automatic": ["dev"]}]);
    let space = shop(&["dev"], phases).await;
    let paused = |paused: bool| space.object("Environment", "dev", json!({"order": 1, "paused": paused}));
    let channels = |names: &[&str]| {
        let channels: Vec<Value> =
            names.iter().map(|name| json!({"name": name, "default": *name == "stable"})).collect();
        let apply = json!({"manifests": [config_map("settings", "one")]});
        let process = json!([{"name": "deploy", "timeout": "2m", "apply": apply}]);
        space.object("Project", "checkout", json!({"lifecycle": "standard", "channels": channels, "process": process}))
    };
    space.apply(paused(true)).await;
    space.apply(channels(&["stable"])).await;
    // The older one cannot be sealed yet, the newer one is and waits.
    let spec = json!({"project": "checkout", "version": "1.9.0", "channel": "late"});
    space.apply(space.object("Release", "checkout-1.9.0", spec)).await;
    let newer = release(&space, "1.10.0").await;
    let made = says(&space, &newer, "on its way", |status| !status.automatic.is_empty()).await.automatic;
    space.in_phase(&made[0].promotion, "Pending", Some("EnvironmentPaused")).await;
    space.apply(channels(&["stable", "late"])).await;
    let status = says(&space, "checkout-1.9.0", "left to people", |status| {
        condition_of(status, ConditionType::AutomaticallyPromoted).is_some_and(|said| said.1 == "Overtaken")
    })
    .await;
    let (_, _, message) = condition_of(&status, ConditionType::AutomaticallyPromoted).expect("the condition");
    assert!(message.contains("on its way there: promote this one there yourself"), "{message}");
    space.apply(paused(false)).await;
    assert_eq!(space.ended(&made[0].promotion).await.status.expect("a status").phase.as_deref(), Some("Succeeded"));
    assert_eq!(caused(&space).await.len(), 1);
}

// Attack T20.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_release_got_by_itself_does_not_bring_the_one_that_was_made_again_under_its_name() {
    let space = shop(&["dev"], json!([{"name": "dev", "environments": ["dev"], "automatic": ["dev"]}])).await;
    let paused = |paused: bool| space.object("Environment", "dev", json!({"order": 1, "paused": paused}));
    space.apply(paused(true)).await;
    let name = release(&space, "1.0.0").await;
    let made = says(&space, &name, "on its way", |status| !status.automatic.is_empty()).await.automatic;
    space.in_phase(&made[0].promotion, "Pending", Some("EnvironmentPaused")).await;
    space.api::<Release>().delete(&name, &DeleteParams::default()).await.expect("an administrator may");
    wait::gone(&space.api::<Release>(), &name).await;
    release(&space, "1.0.0").await;
    let ended = space.ended(&made[0].promotion).await.status.expect("a status");
    let message = ended.message.expect("a sentence");
    assert_eq!((ended.phase.as_deref(), ended.reason.as_deref()), (Some("Refused"), Some("ReleaseMadeAgain")));
    assert!(message.contains("this promotion was made for the one before"), "{message}");
    // The one of now goes on by itself, in the name of whoever made it.
    let own = says(&space, &name, "on its way itself", |status| !status.automatic.is_empty()).await.automatic;
    assert_ne!(own[0].promotion, made[0].promotion);
    space.apply(paused(false)).await;
    assert_eq!(space.ended(&own[0].promotion).await.status.expect("a status").phase.as_deref(), Some("Succeeded"));
}

/// Creation is told in whole seconds, and `checkout-1.10.0-…` is the lower name.
#[tokio::test(flavor = "multi_thread")]
async fn of_releases_made_one_after_another_the_later_one_ends_up_in_the_environment_however_it_queues() {
    for (queue, ends) in [("Queue", "Succeeded"), ("Supersede", "Superseded")] {
        let phases = json!([{"name": "dev", "environments": ["dev"], "automatic": ["dev"]}]);
        let space = shop(&["dev"], phases).await;
        let environment =
            |paused: bool| space.object("Environment", "dev", json!({"order": 1, "paused": paused, "queue": queue}));
        // In a space without history nothing would say what came first.
        let name = release(&space, "1.0.0").await;
        says(&space, &name, "in dev", |status| status.environments.iter().any(|row| row.current)).await;
        space.apply(environment(true)).await;
        let mut promotions = Vec::new();
        for version in ["1.9.0", "1.10.0"] {
            let name = release(&space, version).await;
            let made = says(&space, &name, "on its way", |status| !status.automatic.is_empty()).await.automatic;
            space.in_phase(&made[0].promotion, "Pending", Some("EnvironmentPaused")).await;
            promotions.push(made[0].promotion.clone());
        }
        space.apply(environment(false)).await;
        let mut before = None;
        for (promotion, expected) in promotions.iter().zip([ends, "Succeeded"]) {
            let ended = space.ended(promotion).await.status.expect("a status");
            assert_eq!(ended.phase.as_deref(), Some(expected), "{queue}: {:?}", ended.message);
            assert!(before.is_none() || ended.started_at >= before, "{queue}: the older one ran after the newer one");
            before = ended.started_at.and(ended.finished_at);
        }
        space
            .project_says("checkout", "running 1.10.0", |project| {
                let rows = project.status.as_ref().map(|status| status.environments.as_slice()).unwrap_or_default();
                rows.iter().any(|row| row.current.as_ref().is_some_and(|current| current.version == "1.10.0"))
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_somebody_else_used_is_told_and_his_promotion_left_alone() {
    let space = Space::create(shared().await.admin().await).await;
    let spec = json!({"project": "checkout", "version": "1.0.0"});
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    let known: Release = space.api().get("checkout-1.0.0").await.expect("the release");
    let dev = "dev".parse().expect("a name");
    let wanted = gantry::controllers::release::automatic::name(&known, &dev);
    let spec = json!({"project": "other", "version": "9", "environment": "dev"});
    space.apply(space.object("Promotion", &wanted, spec)).await;
    fill(&space, &["dev"], json!([{"name": "dev", "environments": ["dev"], "automatic": ["dev"]}])).await;
    let status = says(&space, "checkout-1.0.0", "telling", |status| {
        condition_of(status, ConditionType::AutomaticallyPromoted).is_some_and(|said| said.1 == "NotPromoted")
    })
    .await;
    let (_, _, message) = condition_of(&status, ConditionType::AutomaticallyPromoted).expect("the condition");
    assert!(message.contains(&wanted) && message.contains("was not made for this release"), "{message}");
    let theirs: Promotion = space.api().get(&wanted).await.expect("the promotion");
    assert_eq!((theirs.spec.project.as_str(), theirs.spec.cause), ("other", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phase_with_a_soak_is_complete_only_when_the_release_stayed_and_a_replaced_one_starts_anew() {
    // Long enough for a busy machine to replace a release meanwhile.
    const SOAK: i64 = 30;
    let phases = json!([
        {"name": "test", "environments": ["test"], "soak": format!("{SOAK}s")},
        {"name": "live", "environments": ["production"]},
    ]);
    let space = shop(&["test", "production"], phases).await;
    let first = release(&space, "1.0.0").await;
    let second = release(&space, "1.1.0").await;
    space.deploy("checkout", "1.0.0", "test").await;
    let message = refused(&space, "1.0.0", "production", "LifecycleNotReached").await;
    assert!(message.contains("for 30s; it soaks in test until"), "{message}");
    space.deploy("checkout", "1.1.0", "test").await;
    let status = in_progress(&space, &second, &["Complete", "Current"]).await;
    let succeeded = status.environments[0].succeeded_at.clone().expect("a time").0;
    let completed = status.phases[0].completed_at.clone().expect("a time").0;
    assert_eq!(completed.duration_since(succeeded).as_secs(), SOAK);
    let status = says(&space, &first, "replaced", |status| status.environments.iter().any(|row| !row.current)).await;
    assert_eq!(
        (progress(&status), status.next.as_slice()),
        (vec!["Current", "Pending"], ["test".to_owned()].as_slice())
    );
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "production"});
    space.apply(space.object("Promotion", "too-early", spec)).await;
    let ended = space.ended("too-early").await.status.expect("a status");
    let message = ended.message.expect("a sentence");
    assert!(message.contains("replaced or failed in test too early, promote it there again"), "{message}");
    // What has soaked stays so when it is replaced; who waits goes on by itself when the time is over.
    let again = json!({"project": "checkout", "version": "1.0.0", "environment": "test"});
    space.apply(space.object("Promotion", "again", again)).await;
    space.ended("again").await;
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "production", "whenNotReady": "Wait"});
    space.apply(space.object("Promotion", "patient", spec)).await;
    space.in_phase("patient", "Pending", Some("LifecycleNotReached")).await;
    assert_eq!(space.ended("patient").await.status.expect("a status").phase.as_deref(), Some("Succeeded"));
    in_progress(&space, &second, &["Complete", "Current"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_release_goes_only_where_it_has_been_until_it_is_unblocked() {
    let phases = json!([
        {"name": "dev", "environments": ["dev"]},
        {"name": "test", "environments": ["test-eu", "test-us"], "minimum": 1},
        {"name": "live", "environments": ["production"], "automatic": ["production"]},
    ]);
    let space = shop(&["dev", "test-eu", "test-us", "production"], phases).await;
    let name = release(&space, "1.0.0").await;
    let releases: Api<Release> = space.api();
    let block = |reason: Option<&str>| json!({"spec": {"blocked": reason.map(|reason| json!({"reason": reason}))}});
    let patch = |change: Value| {
        let (releases, name) = (releases.clone(), name.clone());
        async move { releases.patch(&name, &PatchParams::default(), &Patch::Merge(change)).await.expect("an edit") }
    };
    let blocked = patch(block(Some("bug 42"))).await;
    let by = blocked.spec.blocked.expect("a block").by.expect("a stamp");
    assert_eq!(by.username, "gantry-plane-admin");
    space.deploy("checkout", "1.0.0", "dev").await;
    let message = refused(&space, "1.0.0", "test-eu", "ReleaseBlocked").await;
    assert!(message.contains("checkout-1.0.0 is blocked (bug 42)") && message.contains("spec.blocked"), "{message}");
    let status = says(&space, &name, "blocked", |status| {
        condition_of(status, ConditionType::Blocked).is_some_and(|said| said.0 == "True") && status.next == ["dev"]
    })
    .await;
    assert!(condition_of(&status, ConditionType::Blocked).expect("the condition").2.contains("bug 42"));
    assert!(said(&space, &name, "Blocked").await.contains("bug 42"));
    // The first phase stays open, and so does one that was entered.
    let again = json!({"project": "checkout", "version": "1.0.0", "environment": "dev"});
    space.apply(space.object("Promotion", "dev-again", again)).await;
    assert_eq!(space.ended("dev-again").await.status.expect("a status").phase.as_deref(), Some("Succeeded"));

    patch(block(None)).await;
    said(&space, &name, "Unblocked").await;
    patch(block(Some("bug 43"))).await;
    says(&space, &name, "blocked again", |status| {
        condition_of(status, ConditionType::Blocked).is_some_and(|said| said.2.contains("bug 43"))
    })
    .await;
    let message = refused(&space, "1.0.0", "test-us", "ReleaseBlocked").await;
    assert!(message.contains("bug 43"), "{message}");
    patch(block(None)).await;
    space.deploy("checkout", "1.0.0", "test-eu").await;
    // By now production is due by itself: it succeeds, and a block then keeps the release out of nothing.
    says(&space, &name, "in production", |status| status.automatic.iter().any(|row| row.phase.is_some())).await;
    patch(block(Some("too late"))).await;
    says(&space, &name, "blocked", |status| {
        condition_of(status, ConditionType::Blocked).is_some_and(|said| said.2.contains("too late"))
    })
    .await;
    space.deploy("checkout", "1.0.0", "test-us").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_of_a_blocked_release_that_may_wait_goes_on_when_it_is_unblocked() {
    let phases = json!([{"name": "dev", "environments": ["dev"]}, {"name": "live", "environments": ["production"]}]);
    let space = shop(&["dev", "production"], phases).await;
    let spec = json!({"project": "checkout", "version": "1.0.0", "blocked": {"reason": "bug 42"}});
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    space.sealed("checkout-1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "production", "whenNotReady": "Wait"});
    space.apply(space.object("Promotion", "patient", spec)).await;
    let waiting = space.in_phase("patient", "Pending", Some("ReleaseBlocked")).await;
    let message = waiting.status.and_then(|status| status.message).unwrap_or_default();
    assert!(message.contains("checkout-1.0.0 is blocked (bug 42)"), "{message}");
    let unblock = Patch::Merge(json!({"spec": {"blocked": null}}));
    let releases: Api<Release> = space.api();
    releases.patch("checkout-1.0.0", &PatchParams::default(), &unblock).await.expect("an edit");
    assert_eq!(space.ended("patient").await.status.expect("a status").phase.as_deref(), Some("Succeeded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_release_is_not_promoted_by_itself_and_goes_on_when_it_is_unblocked() {
    let phases = json!([
        {"name": "dev", "environments": ["dev"]},
        {"name": "live", "environments": ["production"], "automatic": ["production"]},
    ]);
    let space = shop(&["dev", "production"], phases).await;
    let spec = json!({"project": "checkout", "version": "1.0.0", "blocked": {"reason": "wait"}});
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    space.sealed("checkout-1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    in_progress(&space, "checkout-1.0.0", &["Complete", "Current"]).await;
    assert!(caused(&space).await.is_empty());
    let releases: Api<Release> = space.api();
    let free = Patch::Merge(json!({"spec": {"blocked": null}}));
    releases.patch("checkout-1.0.0", &PatchParams::default(), &free).await.expect("an edit");
    in_progress(&space, "checkout-1.0.0", &["Complete", "Complete"]).await;
    assert_eq!(caused(&space).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_a_living_lifecycle_judges_every_release_anew_and_forgets_no_success() {
    let two = json!([{"name": "dev", "environments": ["dev"]}, {"name": "live", "environments": ["production"]}]);
    let space = shop(&["dev", "test", "production"], two.clone()).await;
    let name = release(&space, "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    space.deploy("checkout", "1.0.0", "production").await;
    in_progress(&space, &name, &["Complete", "Complete"]).await;
    let three = json!([
        {"name": "test", "environments": ["test"]},
        {"name": "dev", "environments": ["dev"]},
        {"name": "live", "environments": ["production"]},
    ]);
    lifecycle(&space, three).await;
    let status = in_progress(&space, &name, &["Current", "Complete", "Complete"]).await;
    assert_eq!(status.next, ["test"]);
    let message = refused(&space, "1.0.0", "production", "LifecycleNotReached").await;
    assert!(message.contains("waits for phase test"), "{message}");
    // Who waits is let through by an edit.
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "production", "whenNotReady": "Wait"});
    space.apply(space.object("Promotion", "patient", spec)).await;
    space.in_phase("patient", "Pending", Some("LifecycleNotReached")).await;
    lifecycle(&space, two).await;
    let status = in_progress(&space, &name, &["Complete", "Complete"]).await;
    assert_eq!((status.next.len(), status.due.len()), (2, 0));
    assert_eq!(space.ended("patient").await.status.expect("a status").phase.as_deref(), Some("Succeeded"));
    // Optional phases only, under a release that is blocked in one of them: nothing is lost, nothing crashes.
    let releases: Api<Release> = space.api();
    let block = Patch::Merge(json!({"spec": {"blocked": {"reason": "bug"}}}));
    releases.patch(&name, &PatchParams::default(), &block).await.expect("an edit");
    let optional = json!([
        {"name": "dev", "environments": ["dev"], "optional": true},
        {"name": "test", "environments": ["test"], "optional": true},
    ]);
    lifecycle(&space, optional).await;
    let status = in_progress(&space, &name, &["Complete", "Pending"]).await;
    assert!(status.next == ["dev"] && status.due.is_empty() && status.environments.len() == 2, "{status:?}");
    space
        .apply(space.object(
            "Promotion",
            "dev-again",
            json!({"project": "checkout", "version": "1.0.0", "environment": "dev"}),
        ))
        .await;
    assert_eq!(space.ended("dev-again").await.status.expect("a status").phase.as_deref(), Some("Succeeded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lifecycle_says_which_environment_does_not_exist_and_heals_when_it_does() {
    let space =
        shop(&["dev"], json!([{"name": "dev", "environments": ["dev"]}, {"name": "t", "environments": ["test"]}]))
            .await;
    let ready = |reason: &'static str| {
        let lifecycles: Api<Lifecycle> = space.api();
        async move {
            let found = wait::object(&lifecycles, "standard", reason, |known: &Lifecycle| {
                let conditions = known.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
                condition::find(conditions, ConditionType::Ready).is_some_and(|ready| ready.reason == reason)
            });
            let status = found.await.status.expect("a status");
            condition::find(&status.conditions, ConditionType::Ready).expect("the condition").message.clone()
        }
    };
    let message = ready("UnknownEnvironment").await;
    assert!(message.contains("no environment test (spec.phases[1].environments): create it"), "{message}");
    space.environment("test", 20).await;
    ready("Valid").await;
    lifecycle(&space, json!([{"name": "dev", "environments": ["dev"], "optional": true}])).await;
    let message = ready("OnlyOptionalPhases").await;
    assert!(message.contains("optional: false"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_whose_lifecycle_does_not_exist_promotes_nothing_until_it_does() {
    let space = shop(&["dev"], json!([{"name": "dev", "environments": ["dev"]}])).await;
    project(&space, "later").await;
    wait::object(&space.api(), "checkout", "naming what is missing", |known: &Project| {
        let conditions = known.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        condition::find(conditions, ConditionType::Ready).is_some_and(|ready| ready.reason == "LifecycleNotFound")
    })
    .await;
    let name = release(&space, "1.0.0").await;
    let promotion = space.promote("checkout", "1.0.0", "dev").await;
    let waits = space.in_phase(&promotion, "Pending", Some("LifecycleNotFound")).await;
    let message = waits.status.expect("a status").message.expect("a sentence");
    assert!(message.contains("lifecycle later of checkout-1.0.0 does not exist in this space: create it"), "{message}");
    let status: Release = space.api().get(&name).await.expect("the release");
    assert!(status.status.expect("a status").next.is_empty());
    space
        .apply(space.object("Lifecycle", "later", json!({"phases": [{"name": "dev", "environments": ["dev"]}]})))
        .await;
    assert_eq!(space.ended(&promotion).await.status.expect("a status").phase.as_deref(), Some("Succeeded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_whose_channel_is_removed_goes_nowhere_until_the_channel_is_back() {
    let space = shop(&["dev", "production"], json!([{"name": "live", "environments": ["production"]}])).await;
    let slow =
        json!({"phases": [{"name": "dev", "environments": ["dev"]}, {"name": "live", "environments": ["production"]}]});
    space.apply(space.object("Lifecycle", "slow", slow)).await;
    let channels = |channels: Value| {
        let apply = json!({"manifests": [config_map("settings", "one")]});
        let process = json!([{"name": "deploy", "timeout": "2m", "apply": apply}]);
        space.object("Project", "checkout", json!({"lifecycle": "standard", "channels": channels, "process": process}))
    };
    let both = json!([{"name": "stable", "default": true}, {"name": "beta", "lifecycle": "slow"}]);
    space.apply(channels(both.clone())).await;
    let spec = json!({"project": "checkout", "version": "1.0.0", "channel": "beta"});
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    space.sealed("checkout-1.0.0").await;
    let status = says(&space, "checkout-1.0.0", "to go to dev", |status| status.next == ["dev"]).await;
    assert_eq!(progress(&status), ["Current", "Pending"]);
    // The lifecycle of the project lets everything into production.
    space.apply(channels(json!([{"name": "stable", "default": true}]))).await;
    let status = says(&space, "checkout-1.0.0", "that its channel is gone", |status| {
        condition_of(status, ConditionType::AutomaticallyPromoted).is_some_and(|said| said.1 == "ChannelNotFound")
    })
    .await;
    assert!(status.next.is_empty() && status.phases.is_empty(), "{status:?}");
    let promotion = space.promote("checkout", "1.0.0", "production").await;
    let waits = space.in_phase(&promotion, "Pending", Some("ChannelNotFound")).await;
    let message = waits.status.expect("a status").message.expect("a sentence");
    assert!(message.starts_with("channel beta of checkout-1.0.0 is no longer in the project"), "{message}");
    space.apply(channels(both)).await;
    let ended = space.ended(&promotion).await.status.expect("a status");
    assert_eq!((ended.phase.as_deref(), ended.reason.as_deref()), (Some("Refused"), Some("LifecycleNotReached")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_is_a_lifecycle_of_its_environments() {
    let space = Space::create(shared().await.admin().await).await;
    for file in ["2-environments", "2-lifecycle"] {
        let path = format!("{}/deploy/samples/checkout/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("the sample");
        let text = text.replace("namespace: shop", &format!("namespace: {}", space.name));
        gantry_plane::manifests::apply(&space.client, "test", &text).await.expect("it is taken");
    }
    wait::object(&space.api(), "standard", "ready", |known: &Lifecycle| {
        known.status.as_ref().is_some_and(|status| condition::is_true(&status.conditions, ConditionType::Ready))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_a_lifecycle_names_is_not_deleted_until_no_lifecycle_names_it() {
    let phases = json!([{"name": "dev", "environments": ["dev"]}, {"name": "rest"}]);
    let space = shop(&["dev", "other"], phases).await;
    let environments: Api<Environment> = space.api();
    let delete = async |name: &str| environments.delete(name, &DeleteParams::default()).await.map(|_| ());
    // A new policy takes a while to know the lifecycles that are its parameters.
    let refused = wait::eventually("the lifecycle is known", || async {
        let dry_run = DeleteParams { dry_run: true, ..DeleteParams::default() };
        environments.delete("dev", &dry_run).await.err().map(|error| error.to_string())
    })
    .await;
    let expected = "lifecycle standard names environment dev, and its releases would wait for it for ever; remove it from spec.phases";
    assert!(refused.contains(expected), "{refused}");
    let refused = delete("dev").await.expect_err("it is named").to_string();
    assert!(refused.contains(expected), "{refused}");
    delete("other").await.expect("no phase names it");
    wait::gone(&environments, "other").await;
    let phases = json!({"phases": [{"name": "rest"}]});
    space.apply(space.object("Lifecycle", "standard", phases)).await;
    wait::eventually("nobody names it any more", || async { delete("dev").await.ok() }).await;
    wait::gone(&environments, "dev").await;

    // A space goes as a whole.
    space.environment("production", 30).await;
    let phases = json!({"phases": [{"name": "live", "environments": ["production"]}]});
    space.apply(space.object("Lifecycle", "standard", phases)).await;
    let namespaces: Api<Namespace> = Api::all(space.client.clone());
    namespaces.delete(&space.name, &DeleteParams::default()).await.expect("an administrator may");
    wait::gone(&namespaces, &space.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_phases_of_one_name_and_an_environment_named_twice_are_refused() {
    let space = Space::create(shared().await.admin().await).await;
    let tried = |phases: Value| space.object("Lifecycle", "wrong", json!({"phases": phases}));
    let twice = json!([{"name": "a", "environments": ["x"]}, {"name": "a", "environments": ["y"]}]);
    let refused = space.try_apply(tried(twice)).await.expect_err("no two names");
    assert!(refused.contains("phases") && refused.to_lowercase().contains("duplicate"), "{refused}");
    let twice = json!([{"name": "a", "environments": ["x", "x"]}]);
    let refused = space.try_apply(tried(twice)).await.expect_err("no two environments");
    assert!(refused.contains("environments") && refused.to_lowercase().contains("duplicate"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_prompt_that_nobody_answers_stops_an_automatic_promotion_and_the_release_says_so() {
    let phases = json!([{"name": "dev", "environments": ["dev"], "automatic": ["dev"]}]);
    let space = shop(&["dev"], phases).await;
    let prompt = json!([{"name": "TICKET", "prompt": {"label": "Change ticket", "required": true}}]);
    let apply = json!({"manifests": [config_map("settings", "${{ variables.TICKET }}")]});
    let process = json!([{"name": "deploy", "timeout": "2m", "apply": apply}]);
    let spec = json!({"lifecycle": "standard", "variables": prompt, "process": process});
    space.apply(space.object("Project", "checkout", spec)).await;
    let name = release(&space, "1.0.0").await;
    let status = says(&space, &name, "telling", |status| {
        condition_of(status, ConditionType::AutomaticallyPromoted).is_some_and(|said| said.1 == "PromptRequired")
    })
    .await;
    let (holds, _, message) = condition_of(&status, ConditionType::AutomaticallyPromoted).expect("the condition");
    assert_eq!(holds, "False");
    assert!(message.contains("dev") && message.contains("Change ticket"), "{message}");
    let made = caused(&space).await;
    let failure = made[0].status.as_ref().and_then(|status| status.failure.as_ref()).expect("a failure");
    assert_eq!((made.len(), failure.reason.as_str()), (1, "PromptUnanswered"));
    // A person who answers promotes it.
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "dev", "variables": [{"name": "TICKET", "value": "CHG-1"}]});
    space.apply(space.object("Promotion", "answered", spec)).await;
    assert_eq!(space.ended("answered").await.status.expect("a status").phase.as_deref(), Some("Succeeded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soak_starts_anew_where_the_release_was_not_well_meanwhile() {
    const SOAK: i64 = 20;
    let phases = json!([
        {"name": "test", "environments": ["test"], "soak": format!("{SOAK}s")},
        {"name": "live", "environments": ["production"]},
    ]);
    let space = shop(&["test", "production"], phases).await;
    let image = format!("{}/checkout", shared().await.plane.registry().host());
    let mut workload = deployment("checkout", &image);
    // A workload needs no image of a registry here: it is given by digest.
    workload["spec"]["template"]["spec"]["containers"][0]["image"] =
        format!("{image}@sha256:{}", "a".repeat(64)).into();
    let process = json!([{"name": "deploy", "timeout": "2m", "apply": {"manifests": [workload]}}]);
    space.apply(space.object("Project", "checkout", json!({"lifecycle": "standard", "process": process}))).await;
    let name = release(&space, "1.0.0").await;
    space.deploy("checkout", "1.0.0", "test").await;
    // It goes at once, which may be about what ran before, and comes back once that is sure.
    let deployments: Api<Deployment> = space.in_environment("test");
    let mut again = deployments.get("checkout").await.expect("the Deployment");
    deployments.delete("checkout", &DeleteParams::default()).await.expect("an administrator may");
    let has_ended =
        |status: &ReleaseStatus| status.environments.iter().flat_map(|row| &row.stays).any(|stay| stay.until.is_some());
    says(&space, &name, "not well", has_ended).await;
    again.metadata = ObjectMeta { name: again.metadata.name, labels: again.metadata.labels, ..ObjectMeta::default() };
    again.status = None;
    // Whose an object is only Gantry's accounts may say.
    let namespace = format!("{}-test", space.name);
    let as_deployer: Api<Deployment> = Api::namespaced(deployer(&namespace).await, &namespace);
    as_deployer.create(&PostParams::default(), &again).await.expect("the deployer may");
    space
        .project_says("checkout", "well again", |project| {
            let rows = project.status.as_ref().map(|status| status.environments.as_slice()).unwrap_or_default();
            rows.iter().any(|row| row.name == "test" && row.health == Some(Health::Healthy))
        })
        .await;
    // Being well again is no success: it is promoted there once more, and soaks from then on.
    let status = says(&space, &name, "to be promoted again", |status| status.due == ["test"]).await;
    assert_eq!(progress(&status), ["Current", "Pending"]);
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "test"});
    space.apply(space.object("Promotion", "once-more", spec)).await;
    let ended = space.ended("once-more").await.status.expect("a status");
    assert_eq!(ended.phase.as_deref(), Some("Succeeded"), "{:?}", ended.message);
    let status = in_progress(&space, &name, &["Complete", "Current"]).await;
    let completed = status.phases[0].completed_at.clone().expect("a time").0;
    let lasted = completed.duration_since(ended.finished_at.expect("an end").0).as_secs();
    assert_eq!(lasted, SOAK, "from the second success on");
}
