//! Pins: one promotion for each change, waiting instead of refusing, and what runs after all else.

use gantry::api::condition::{self, ConditionType};
use gantry::api::v1alpha1::{Environment, Pin, PinStatus, Project, Promotion, Release};
use gantry_plane::{Identity, Options};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::support::manifest::{config_map, failing};
use crate::support::operator::Operator;
use crate::support::proxy::{Moment, Proxy};
use crate::support::sealed;
use crate::support::shared::{self, shared};
use crate::support::space::Space;
use crate::support::wait;

const VERSIONS: [&str; 3] = ["1.0.0", "1.1.0", "1.2.0"];

/// A space with dev and production in this order, a project that is one ConfigMap, and three releases.
async fn shop() -> Space {
    let space = Space::create(shared().await.admin().await).await;
    fill(&space).await;
    space
}

async fn fill(space: &Space) {
    for (environment, order) in [("dev", 10), ("production", 20)] {
        space.apply(space.object("Environment", environment, json!({"order": order}))).await;
    }
    let apply = json!({"manifests": [config_map("settings", "${{ release.version }}")]});
    let spec = json!({"process": [{"name": "deploy", "timeout": "2m", "apply": apply}]});
    space.apply(space.object("Project", "checkout", spec)).await;
    for version in VERSIONS {
        let spec = json!({"project": "checkout", "version": version});
        space.apply(space.object("Release", &format!("checkout-{version}"), spec)).await;
    }
    for version in VERSIONS {
        space.sealed(&format!("checkout-{version}")).await;
    }
    for environment in ["dev", "production"] {
        space.environment_ready(environment).await;
    }
}

/// Applies the pin of a place, with these fields besides.
async fn pin(space: &Space, environment: &str, spec: Value) {
    let mut given = json!({"project": "checkout", "environment": environment});
    given.as_object_mut().expect("a map").extend(spec.as_object().expect("a map").clone());
    space.apply(space.object("Pin", &format!("checkout.{environment}"), given)).await;
}

/// The pin once its newest change has this reason.
async fn says(space: &Space, environment: &str, reason: &str) -> PinStatus {
    let known = wait::object(&space.api(), &format!("checkout.{environment}"), reason, |known: &Pin| {
        let ready = known.status.as_ref().and_then(|status| condition::find(&status.conditions, ConditionType::Ready));
        ready.is_some_and(|ready| ready.reason == reason && ready.observed_generation == known.metadata.generation)
    })
    .await;
    known.status.expect("a status")
}

fn ready(status: &PinStatus) -> (&str, &str) {
    let ready = condition::find(&status.conditions, ConditionType::Ready).expect("a condition");
    (ready.status.as_str(), ready.message.as_str())
}

/// The promotions of pins, and of a place.
async fn of_pins(space: &Space, environment: &str) -> Vec<Promotion> {
    let mut all = space.api::<Promotion>().list(&ListParams::default()).await.expect("promotions").items;
    all.retain(|promotion| {
        promotion.spec.cause.as_ref().is_some_and(|cause| cause.kind == "Pin")
            && promotion.spec.environment == environment
    });
    all.sort_by_key(|promotion| promotion.spec.cause.as_ref().and_then(|cause| cause.generation));
    all
}

/// What runs in an environment, by the ConfigMap itself.
async fn runs(space: &Space, environment: &str) -> Option<String> {
    let settings: Api<k8s_openapi::api::core::v1::ConfigMap> = space.in_environment(environment);
    settings.get_opt("settings").await.expect("an answer")?.data?.remove("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn changing_the_version_promotes_reverting_it_rolls_back_and_deleting_it_changes_nothing() {
    let space = shop().await;
    pin(&space, "dev", json!({"version": "1.0.0", "reason": "CHG-1", "onBehalfOf": "dora"})).await;
    let status = says(&space, "dev", "Deployed").await;
    assert_eq!(ready(&status), ("True", "checkout 1.0.0 runs in dev"));
    assert_eq!(runs(&space, "dev").await.as_deref(), Some("1.0.0"));
    let name = status.promotion.expect("a promotion");
    let made = space.ended(&name).await;
    let known = space.api::<Pin>().get("checkout.dev").await.expect("the pin");
    let cause = made.spec.cause.as_ref().expect("a cause");
    assert_eq!(
        (cause.kind.as_str(), cause.name.as_str(), Some(&cause.uid), cause.generation),
        ("Pin", "checkout.dev", known.metadata.uid.as_ref(), Some(1))
    );
    let by = made.spec.requested_by.as_ref().expect("a requester");
    assert_eq!((Some(by), by.username.as_str()), (known.spec.requested_by.as_ref(), "gantry-plane-admin"));
    assert_eq!((made.spec.reason.as_deref(), made.spec.on_behalf_of.as_deref()), (Some("CHG-1"), Some("dora")));
    let record = space.audit_record(&name).await;
    assert_eq!((record.cause.as_ref(), record.on_behalf_of.as_deref()), (Some(cause), Some("dora")));
    assert!(made.status.expect("a status").decided_on.iter().any(|known| known.kind == "Pin"));

    pin(&space, "dev", json!({"version": "1.1.0"})).await;
    says(&space, "dev", "Deployed").await;
    assert_eq!(runs(&space, "dev").await.as_deref(), Some("1.1.0"));
    pin(&space, "dev", json!({"version": "1.0.0"})).await;
    says(&space, "dev", "Deployed").await;
    assert_eq!(runs(&space, "dev").await.as_deref(), Some("1.0.0"));
    let made = of_pins(&space, "dev").await;
    let versions: Vec<_> = made.iter().map(|known| known.spec.version.as_str()).collect();
    assert_eq!(versions, ["1.0.0", "1.1.0", "1.0.0"], "its promotions are its history");

    let since = shared().await.plane.audit().mark();
    space.api::<Pin>().delete("checkout.dev", &DeleteParams::default()).await.expect("an administrator may");
    wait::gone::<Pin>(&space.api(), "checkout.dev").await;
    pin(&space, "production", json!({"version": "1.0.0"})).await;
    says(&space, "production", "Deployed").await;
    assert_eq!(runs(&space, "dev").await.as_deref(), Some("1.0.0"));
    let events = shared().await.plane.audit().since(since).expect("an audit log");
    let place = format!("{}-dev", space.name);
    assert!(!events.iter().any(|event| event.namespace == place && shared::is_write_of_the_operator(event)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_runs_already_makes_no_promotion_and_applying_the_same_again_makes_none() {
    let space = shop().await;
    let manual = space.deploy("checkout", "1.0.0", "dev").await.name_any();
    pin(&space, "dev", json!({"version": "1.0.0"})).await;
    let status = says(&space, "dev", "Deployed").await;
    assert_eq!((status.promotion.as_deref(), status.phase.as_deref()), (Some(manual.as_str()), Some("Succeeded")));
    pin(&space, "dev", json!({"version": "1.0.0", "reason": "only words", "retry": 1})).await;
    says(&space, "dev", "Deployed").await;
    assert_eq!(of_pins(&space, "dev").await.len(), 0);
    pin(&space, "dev", json!({"version": "1.1.0"})).await;
    says(&space, "dev", "Deployed").await;
    for _ in 0..3 {
        pin(&space, "dev", json!({"version": "1.1.0"})).await;
    }
    let generation = space.api::<Pin>().get("checkout.dev").await.expect("the pin").metadata.generation;
    assert_eq!(generation, Some(3));
    // What comes later is judged later.
    pin(&space, "production", json!({"version": "1.1.0"})).await;
    says(&space, "production", "Deployed").await;
    assert_eq!(of_pins(&space, "dev").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_outside_of_its_projects_lifecycle_is_stalled_and_goes_on_when_the_lifecycle_holds_its_environment() {
    let space = shop().await;
    let lifecycle = |environments: &[&str]| {
        let phase = json!({"name": "all", "environments": environments});
        space.object("Lifecycle", "short", json!({"phases": [phase]}))
    };
    space.apply(lifecycle(&["dev"])).await;
    let apply = json!({"manifests": [config_map("settings", "${{ release.version }}")]});
    let process = json!([{"name": "deploy", "timeout": "2m", "apply": apply}]);
    space.apply(space.object("Project", "checkout", json!({"lifecycle": "short", "process": process}))).await;
    pin(&space, "production", json!({"version": "1.0.0"})).await;
    let status = says(&space, "production", "NotInLifecycle").await;
    let (holds, message) = ready(&status);
    let remedy = "environment production is not in the lifecycle of checkout-1.0.0: add it there";
    assert!(holds == "False" && message.contains(remedy), "{holds}: {message}");
    let stalled = condition::find(&status.conditions, ConditionType::Stalled).expect("a condition");
    assert_eq!((stalled.status.as_str(), status.phase.as_deref()), ("True", Some("Pending")), "it waits");
    assert_eq!(runs(&space, "production").await, None);
    space.apply(lifecycle(&["dev", "production"])).await;
    let again = says(&space, "production", "Deployed").await;
    assert_eq!((runs(&space, "production").await.as_deref(), again.promotion), (Some("1.0.0"), status.promotion));
    assert_eq!(of_pins(&space, "production").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_is_not_open_makes_a_pin_wait_and_a_newer_change_replaces_what_waits() {
    let space = shop().await;
    pin(&space, "production", json!({"version": "1.0.0"})).await;
    let first = says(&space, "production", "Waiting").await;
    let (holds, message) = ready(&first);
    assert!(holds == "True" && message.contains("production waits for phase"), "{message}");
    assert_eq!(first.phase.as_deref(), Some("Pending"));
    pin(&space, "production", json!({"version": "1.1.0"})).await;
    let second = says(&space, "production", "Waiting").await;
    assert_ne!(first.promotion, second.promotion);
    let replaced = space.ended(first.promotion.as_deref().expect("a promotion")).await.status.expect("a status");
    assert_eq!(replaced.phase.as_deref(), Some("Superseded"), "{:?}", replaced.message);
    assert!(!replaced.applied);
    // It goes on by itself when the phase before is complete.
    pin(&space, "dev", json!({"version": "1.1.0"})).await;
    says(&space, "dev", "Deployed").await;
    says(&space, "production", "Deployed").await;
    assert_eq!(runs(&space, "production").await.as_deref(), Some("1.1.0"));

    let paused = json!({"spec": {"paused": true}});
    let environments = space.api::<Environment>();
    environments.patch("dev", &PatchParams::default(), &Patch::Merge(paused)).await.expect("paused");
    space.environment_ready("dev").await;
    pin(&space, "dev", json!({"version": "1.2.0"})).await;
    let (holds, message) = {
        let status = says(&space, "dev", "Waiting").await;
        let (holds, message) = ready(&status);
        (holds.to_owned(), message.to_owned())
    };
    assert!(holds == "True" && message.contains("environment dev is paused"), "{message}");
    // Reverted while it waits: what runs is what the pin says, and nothing is promoted when the environment opens.
    pin(&space, "dev", json!({"version": "1.1.0"})).await;
    says(&space, "dev", "Deployed").await;
    wait::eventually("what waited is replaced", || async {
        let made = of_pins(&space, "dev").await;
        let ends: Vec<_> = made.iter().filter_map(|known| known.status.as_ref()?.phase.clone()).collect();
        (ends == ["Succeeded", "Superseded"]).then_some(())
    })
    .await;
    let open = json!({"spec": {"paused": false}});
    environments.patch("dev", &PatchParams::default(), &Patch::Merge(open)).await.expect("open");
    pin(&space, "dev", json!({"version": "1.0.0"})).await;
    says(&space, "dev", "Deployed").await;
    assert_eq!(of_pins(&space, "dev").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_waits_for_a_release_that_is_not_there_yet_and_that_is_no_reason_to_be_ready() {
    let space = shop().await;
    pin(&space, "dev", json!({"version": "2.0.0"})).await;
    let status = says(&space, "dev", "Deploying").await;
    let status = if status.message.as_deref().is_some_and(|message| message.contains("does not exist")) {
        status
    } else {
        wait::object(&space.api(), "checkout.dev", "telling", |known: &Pin| {
            let message = known.status.as_ref().and_then(|status| status.message.as_deref());
            message
                .is_some_and(|message| message.contains("release checkout-2.0.0") && message.contains("does not exist"))
        })
        .await
        .status
        .expect("a status")
    };
    assert_eq!(ready(&status).0, "False");
    assert!(condition::is_true(&status.conditions, ConditionType::Reconciling));
    let spec = json!({"project": "checkout", "version": "2.0.0"});
    space.apply(space.object("Release", "checkout-2.0.0", spec)).await;
    says(&space, "dev", "Deployed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_what_failed_and_another_retry_makes_one_more_promotion() {
    let space = shop().await;
    pin(&space, "dev", json!({"version": "1.0.0"})).await;
    says(&space, "dev", "Deployed").await;
    let environment = json!({"order": 10, "failAfter": {"crashLoop": 1}});
    space.environment_with("dev", environment).await;
    let image = format!("{}/checkout", shared().await.plane.registry().host());
    let spec = |manifests: Value| {
        json!({
            "packages": [{"name": "api", "image": image}],
            "process": [{"name": "deploy", "timeout": "2m", "apply": {"manifests": manifests}}],
        })
    };
    space.apply(space.object("Project", "checkout", spec(json!([failing("checkout", &image, "crash-loop")])))).await;
    space.release("checkout", "2.0.0").await;
    pin(&space, "dev", json!({"version": "2.0.0"})).await;
    let status = says(&space, "dev", "Failed").await;
    let (holds, message) = ready(&status);
    assert!(holds == "False" && message.contains("CrashLoopBackOff"), "{message}");
    assert!(message.contains("change spec.retry of the pin to try again"), "{message}");
    assert!(condition::is_true(&status.conditions, ConditionType::Stalled));
    let which = ListParams::default().fields("regarding.name=checkout.dev,reason=Failed");
    wait::eventually("an Event on the pin", || async {
        space.api::<Event>().list(&which).await.ok()?.items.first().map(|_| ())
    })
    .await;
    pin(&space, "dev", json!({"version": "2.0.0", "retry": 1})).await;
    says(&space, "dev", "Failed").await;
    assert_eq!(of_pins(&space, "dev").await.len(), 3);
    // What ran before is no longer known to run: a revert promotes.
    pin(&space, "dev", json!({"version": "1.0.0"})).await;
    says(&space, "dev", "Deployed").await;
    assert_eq!(of_pins(&space, "dev").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_manual_promotion_is_shown_as_divergence_and_not_fought() {
    let space = shop().await;
    pin(&space, "dev", json!({"version": "1.0.0"})).await;
    says(&space, "dev", "Deployed").await;
    let manual = space.deploy("checkout", "1.1.0", "dev").await.name_any();
    let status = says(&space, "dev", "Diverged").await;
    let (holds, message) = ready(&status);
    assert!(condition::is_true(&status.conditions, ConditionType::Diverged) && holds == "True");
    assert!(message.contains(&format!("checkout 1.1.0 came to dev by promotion {manual}")), "{message}");
    pin(&space, "dev", json!({"version": "1.0.0"})).await;
    pin(&space, "production", json!({"version": "1.0.0"})).await;
    says(&space, "production", "Deployed").await;
    assert_eq!(runs(&space, "dev").await.as_deref(), Some("1.1.0"), "the same manifest again fights nothing");
    pin(&space, "dev", json!({"version": "1.0.0", "retry": 1})).await;
    let status = says(&space, "dev", "Deployed").await;
    assert!(!condition::is_true(&status.conditions, ConditionType::Diverged));
    assert_eq!(runs(&space, "dev").await.as_deref(), Some("1.0.0"));
}

// Attack T20.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_pin_brought_is_not_the_release_that_was_made_again_under_its_name() {
    let space = shop().await;
    pin(&space, "dev", json!({"version": "1.0.0"})).await;
    let brought = says(&space, "dev", "Deployed").await.promotion.expect("a promotion");
    let releases: Api<Release> = space.api();
    releases.delete("checkout-1.0.0", &DeleteParams::default()).await.expect("an administrator may");
    wait::gone(&releases, "checkout-1.0.0").await;
    let apply = json!({"manifests": [config_map("settings", "${{ release.version }} again")]});
    let spec = json!({"process": [{"name": "deploy", "timeout": "2m", "apply": apply}]});
    space.apply(space.object("Project", "checkout", spec)).await;
    space.apply(space.object("Release", "checkout-1.0.0", json!({"project": "checkout", "version": "1.0.0"}))).await;
    let status = says(&space, "dev", "Diverged").await;
    let expected = format!(
        "release checkout-1.0.0 was deleted and made again since promotion {brought} brought it to dev, where the one of then runs: change spec.retry of the pin to promote the one of now"
    );
    assert_eq!(ready(&status), ("True", expected.as_str()));
    assert_eq!((of_pins(&space, "dev").await.len(), runs(&space, "dev").await.as_deref()), (1, Some("1.0.0")));
    pin(&space, "dev", json!({"version": "1.0.0", "retry": 1})).await;
    let status = says(&space, "dev", "Deployed").await;
    assert_ne!(status.promotion, Some(brought));
    assert_eq!((of_pins(&space, "dev").await.len(), runs(&space, "dev").await.as_deref()), (2, Some("1.0.0 again")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_of_a_pin_that_somebody_cancels_or_deletes_is_not_made_again() {
    let space = shop().await;
    pin(&space, "production", json!({"version": "1.0.0"})).await;
    let name = says(&space, "production", "Waiting").await.promotion.expect("a promotion");
    space.api::<Promotion>().delete(&name, &DeleteParams::default()).await.expect("an administrator may");
    wait::gone::<Promotion>(&space.api(), &name).await;
    let status = says(&space, "production", "Canceled").await;
    assert!(ready(&status).1.contains("change spec.retry of the pin to try again"), "{status:?}");
    pin(&space, "dev", json!({"version": "1.0.0"})).await;
    says(&space, "dev", "Deployed").await;
    assert_eq!(of_pins(&space, "production").await.len(), 0);
    pin(&space, "production", json!({"version": "1.0.0", "retry": 1})).await;
    says(&space, "production", "Deployed").await;
    // What has ended may go; the pin still says how.
    let name = of_pins(&space, "production").await[0].name_any();
    space.api::<Promotion>().delete(&name, &DeleteParams::default()).await.expect("an administrator may");
    wait::gone::<Promotion>(&space.api(), &name).await;
    pin(&space, "production", json!({"version": "1.0.0", "retry": 1})).await;
    let status = says(&space, "production", "Deployed").await;
    assert_eq!(status.promotion, Some(name));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_pin_says_what_runs_no_release_is_promoted_by_its_lifecycle() {
    let space = shop().await;
    pin(&space, "dev", json!({"version": "1.0.0"})).await;
    says(&space, "dev", "Deployed").await;
    let phases = json!([
        {"name": "dev", "environments": ["dev"], "automatic": ["dev"]},
        {"name": "production", "environments": ["production"], "automatic": ["production"]},
    ]);
    space.apply(space.object("Lifecycle", "standard", json!({"phases": phases}))).await;
    let change = json!({"spec": {"lifecycle": "standard"}});
    space
        .api::<Project>()
        .patch("checkout", &PatchParams::default(), &Patch::Merge(change))
        .await
        .expect("a lifecycle");
    let spec = json!({"project": "checkout", "version": "2.0.0"});
    space.apply(space.object("Release", "checkout-2.0.0", spec)).await;
    let left = wait::object(&space.api(), "checkout-2.0.0", "left to its pin", |known: &Release| {
        known.status.as_ref().is_some_and(|status| !status.automatic.is_empty())
    })
    .await;
    let row = &left.status.expect("a status").automatic[0];
    assert_eq!(row.message.as_deref(), Some("pin checkout.dev says what runs there"));
    pin(&space, "dev", json!({"version": "2.0.0"})).await;
    says(&space, "dev", "Deployed").await;
    // Production has no pin, and goes on by itself.
    wait::object(&space.api(), "checkout-2.0.0", "in production", |known: &Release| {
        let status = known.status.as_ref();
        status.is_some_and(|status| status.environments.iter().any(|row| row.name == "production" && row.succeeded))
    })
    .await;
    assert_eq!(runs(&space, "dev").await.as_deref(), Some("2.0.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_ever_ran_a_pin_decides_and_replaces_whatever_else_waits() {
    let space = Space::create(shared().await.admin().await).await;
    // As a GitOps tool applies a repository to an empty cluster: by kind, in alphabetical order.
    space.apply(space.object("Environment", "dev", json!({"order": 10}))).await;
    pin(&space, "dev", json!({"version": "1.1.0"})).await;
    let apply = json!({"manifests": [config_map("settings", "${{ release.version }}")]});
    let spec = json!({"process": [{"name": "deploy", "timeout": "2m", "apply": apply}]});
    space.apply(space.object("Project", "checkout", spec)).await;
    let bare = [space.promote("checkout", "1.0.0", "dev").await, space.promote("checkout", "1.2.0", "dev").await];
    for version in VERSIONS {
        let spec = json!({"project": "checkout", "version": version});
        space.apply(space.object("Release", &format!("checkout-{version}"), spec)).await;
    }
    says(&space, "dev", "Deployed").await;
    assert_eq!(runs(&space, "dev").await.as_deref(), Some("1.1.0"));
    for name in &bare {
        let status = space.ended(name).await.status.expect("a status");
        assert_eq!((status.phase.as_deref(), status.applied), (Some("Superseded"), false), "{:?}", status.message);
    }
    let status = space.api::<Pin>().get("checkout.dev").await.expect("the pin").status.expect("a status");
    assert!(!condition::is_true(&status.conditions, ConditionType::Diverged), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_lets_each_pin_pass_the_lifecycle_until_its_first_success_and_is_recorded() {
    let space = shop().await;
    pin(&space, "production", json!({"version": "1.0.0"})).await;
    says(&space, "production", "Waiting").await;
    let over = json!({"order": 20, "recovery": {"reason": "INC-41", "until": "2020-01-01T00:00:00Z"}});
    space.environment_with("production", over).await;
    let bare = space.promote("checkout", "1.1.0", "production").await;
    let recovery = json!({"reason": "the cluster was lost, INC-42", "until": "2099-01-01T00:00:00Z"});
    space.environment_with("production", json!({"order": 20, "recovery": recovery})).await;
    let status = says(&space, "production", "Deployed").await;
    let refused = space.ended(&bare).await.status.expect("a status");
    assert_ne!(refused.phase.as_deref(), Some("Succeeded"), "only pins pass");
    let name = status.promotion.expect("a promotion");
    let passed = space.ended(&name).await.status.expect("a status").recovery.expect("a recovery");
    assert_eq!(passed.reason, "the cluster was lost, INC-42");
    let record = space.audit_record(&name).await.recovery.expect("a recovery");
    assert_eq!(
        (record.by.map(|by| by.username).as_deref(), record.reason),
        (Some("gantry-plane-admin"), passed.reason)
    );
    for about in ["production", name.as_str()] {
        let which = ListParams::default().fields(&format!("regarding.name={about},reason=Recovered"));
        wait::eventually("an Event says who opened it", || async {
            let note = space.api::<Event>().list(&which).await.ok()?.items.first()?.note.clone()?;
            note.contains("gantry-plane-admin opened a recovery: the cluster was lost, INC-42").then_some(())
        })
        .await;
    }
    // Once it has succeeded there, the lifecycle counts again, although the recovery is still open.
    pin(&space, "production", json!({"version": "1.2.0"})).await;
    let status = says(&space, "production", "Waiting").await;
    assert!(ready(&status).1.contains("production waits for phase"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_lets_each_pin_pass_approvals_once() {
    let space = shop().await;
    let approvals = json!({"required": 2});
    space.environment_with("production", json!({"order": 20, "approvals": approvals})).await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let by = json!({"version": "1.0.0", "onBehalfOf": "ada@example.com"});
    pin(&space, "production", by).await;
    let waiting = says(&space, "production", "Waiting").await;
    assert!(ready(&waiting).1.contains("2 of 2 approvals are missing"), "{waiting:?}");
    assert_eq!(runs(&space, "production").await, None);
    let recovery = json!({"reason": "INC-44", "until": "2099-01-01T00:00:00Z"});
    let opened = json!({"order": 20, "approvals": approvals, "recovery": recovery});
    space.environment_with("production", opened).await;
    let passed = says(&space, "production", "Deployed").await.promotion.expect("a promotion");
    assert_eq!(runs(&space, "production").await.as_deref(), Some("1.0.0"));
    let record = space.audit_record(&passed).await.recovery.expect("a recovery");
    assert_eq!(record.reason, "INC-44", "who looks at it later sees why nobody approved");
    // Once: the next change waits for people again, although the recovery is still open.
    space.deploy("checkout", "1.1.0", "dev").await;
    pin(&space, "production", json!({"version": "1.1.0", "onBehalfOf": "ada@example.com"})).await;
    let again = says(&space, "production", "Waiting").await;
    assert!(ready(&again).1.contains("2 of 2 approvals are missing"), "{again:?}");
    assert_eq!(runs(&space, "production").await.as_deref(), Some("1.0.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_of_an_environment_that_lives_lets_no_new_project_through() {
    let space = shop().await;
    space.deploy("checkout", "1.0.0", "dev").await;
    space.deploy("checkout", "1.0.0", "production").await;
    wait::object(&space.api(), "production", "running something", |known: &Environment| {
        known.status.as_ref().is_some_and(|status| !status.deployments.is_empty())
    })
    .await;
    let recovery = json!({"reason": "INC-43", "until": "2099-01-01T00:00:00Z"});
    space.environment_with("production", json!({"order": 20, "recovery": recovery})).await;
    wait::object(&space.api(), "production", "deciding that nothing was lost", |known: &Environment| {
        known.status.as_ref().and_then(|status| status.recovery.as_ref()).is_some_and(|known| !known.lost)
    })
    .await;
    let which = ListParams::default().fields("regarding.name=production,reason=NothingLost");
    wait::eventually("an Event says so", || async {
        let note = space.api::<Event>().list(&which).await.ok()?.items.first()?.note.clone()?;
        note.contains("releases ran here before the recovery was opened (INC-43)").then_some(())
    })
    .await;
    let apply = json!({"manifests": [config_map("cart", "one")]});
    let process = json!([{"name": "deploy", "timeout": "2m", "apply": apply}]);
    space.apply(space.object("Project", "cart", json!({"process": process}))).await;
    space.apply(space.object("Release", "cart-1.0.0", json!({"project": "cart", "version": "1.0.0"}))).await;
    space.sealed("cart-1.0.0").await;
    let spec = json!({"project": "cart", "environment": "production", "version": "1.0.0"});
    space.apply(space.object("Pin", "cart.production", spec)).await;
    let known = wait::object(&space.api(), "cart.production", "waiting", |known: &Pin| {
        let ready = known.status.as_ref().and_then(|status| condition::find(&status.conditions, ConditionType::Ready));
        ready.is_some_and(|ready| ready.reason == "Waiting")
    })
    .await;
    let status = known.status.expect("a status");
    assert!(ready(&status).1.contains("production waits for phase dev"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_pins_what_runs() {
    let space = Space::create(shared().await.admin().await).await;
    let registry = shared().await.plane.registry().host();
    for file in [
        "checkout/2-environments",
        "checkout/2-lifecycle",
        "checkout/3-project",
        "checkout/4-release-1.0.0",
        "more/pins",
    ] {
        let path = format!("{}/deploy/samples/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("a sample");
        let text = text.replace("namespace: shop", &format!("namespace: {}", space.name));
        let text = text.replace("localhost:5000", &registry);
        gantry_plane::manifests::apply(&space.client, "test", &text).await.unwrap_or_else(|error| panic!("{error}"));
    }
    for environment in ["dev", "production"] {
        let status = says(&space, environment, "Deployed").await;
        assert_eq!(ready(&status).1, format!("checkout 1.0.0 runs in {environment}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_write_the_operator_makes_each_promotion_of_a_pin_once() {
    let plane = shared::own(Options::default().with_simulated_nodes(0)).await;
    let proxy = Proxy::start(&plane, "pins").await;
    let operator = Operator::start_against(&plane, "pins", proxy.kubeconfig.clone()).await;
    let client = plane.client(&Identity::Admin).await.expect("a client");
    // The writes after a pin is changed: its promotion, its status, and what follows. All die at once.
    let deaths = (1..=7).flat_map(|n| [Moment::Before, Moment::AfterCommit].map(|moment| (n, moment)));
    let prepared = deaths.map(|(n, moment)| {
        let (client, proxy) = (client.clone(), &proxy);
        async move {
            let space = Space::create(client).await;
            fill(&space).await;
            pin(&space, "dev", json!({"version": "1.0.0"})).await;
            let before = says(&space, "dev", "Deployed").await.promotion.expect("a promotion");
            wait::object(&space.api(), &before, "recorded", |known: &Promotion| known.metadata.finalizers.is_none())
                .await;
            sealed::everything(&space).await;
            proxy.arm(&space.name, n, moment);
            pin(&space, "dev", json!({"version": "1.1.0"})).await;
            (space, format!("write {n}, {moment:?}"))
        }
    });
    let prepared = futures::future::join_all(prepared).await;
    assert_eq!(proxy.until_stopped().await, prepared.len());
    operator.kill(&plane);
    proxy.disarm();
    operator.resume(&plane).await;
    for (space, died) in &prepared {
        says(space, "dev", "Deployed").await;
        assert_eq!(runs(space, "dev").await.as_deref(), Some("1.1.0"), "{died}");
        let made = of_pins(space, "dev").await;
        let generations: Vec<_> = made.iter().filter_map(|known| known.spec.cause.as_ref()?.generation).collect();
        assert_eq!(generations, [1, 2], "{died}");
    }
}
