//! Freezes on the real cluster: what they refuse, hold, pause and let through, and what they say.

mod going_on;
mod overrides;

use gantry::api::condition::{self, ConditionType};
use gantry::api::v1alpha1::{Freeze, FreezeStatus, Pin, Promotion};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::support::manifest::config_map;
use crate::support::shared::shared;
use crate::support::space::Space;
use crate::support::wait;

/// In so many seconds, as YAML has it.
fn in_seconds(seconds: i64) -> Timestamp {
    let time = Timestamp::now() + SignedDuration::from_secs(seconds);
    Timestamp::from_second(time.as_second()).expect("a time")
}

/// A space with this environment, a project of ConfigMaps and the releases 1.0.0 and 1.1.0.
async fn fill(space: &Space, environment: Value) {
    space.environment_with("production", environment).await;
    space.project("checkout", "ghcr.io/acme/checkout", json!([config_map("settings", "${{ release.version }}")])).await;
    release(space, "1.0.0").await;
    release(space, "1.1.0").await;
}

async fn release(space: &Space, version: &str) {
    let packages = json!([{"name": "api", "version": version, "digest": format!("sha256:{}", "a".repeat(64))}]);
    let spec = json!({"project": "checkout", "version": version, "packages": packages});
    let name = format!("checkout-{version}");
    space.apply(space.object("Release", &name, spec)).await;
    space.sealed(&name).await;
}

async fn shop() -> Space {
    let space = Space::create(shared().await.admin().await).await;
    fill(&space, json!({"order": 10})).await;
    space
}

/// A freeze of everything with these fields, once it is looked at.
async fn freeze(space: &Space, name: &str, spec: Value) -> FreezeStatus {
    let mut whole = json!({"reason": "nobody is there"});
    merge(&mut whole, spec);
    space.apply(space.object("Freeze", name, whole)).await;
    let known = wait::object(&space.api(), name, "looked at", |known: &Freeze| {
        known.status.as_ref().is_some_and(|status| status.observed_generation == known.metadata.generation)
    })
    .await;
    known.status.expect("a status")
}

/// Waits until the status of a freeze says this.
async fn says(space: &Space, name: &str, what: &str, is_so: impl Fn(&FreezeStatus) -> bool) -> FreezeStatus {
    let found = |known: &Freeze| known.status.as_ref().is_some_and(&is_so);
    wait::object(&space.api(), name, what, found).await.status.expect("a status")
}

/// The same that holds from now for so many seconds.
async fn freeze_for(space: &Space, name: &str, seconds: i64) -> Timestamp {
    let end = in_seconds(seconds);
    let status = freeze(space, name, json!({"start": in_seconds(-60).to_string(), "end": end.to_string()})).await;
    assert_eq!((status.active, status.until.map(|time| time.0)), (true, Some(end)));
    end
}

async fn promote(space: &Space, name: &str, version: &str, more: Value) {
    let mut spec = json!({"project": "checkout", "version": version, "environment": "production"});
    merge(&mut spec, more);
    space.apply(space.object("Promotion", name, spec)).await;
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

fn message(promotion: &Promotion) -> String {
    promotion.status.as_ref().and_then(|status| status.message.clone()).unwrap_or_default()
}

fn ending(promotion: &Promotion) -> (&str, &str) {
    let status = promotion.status.as_ref().expect("a status");
    (status.phase.as_deref().unwrap_or_default(), status.reason.as_deref().unwrap_or_default())
}

/// That it started then, or just afterwards.
fn started_at(promotion: &Promotion, time: Timestamp) {
    let started = promotion.status.as_ref().and_then(|status| status.started_at.as_ref()).expect("a start").0;
    let late = started.duration_since(time);
    assert!(late >= SignedDuration::ZERO && late < SignedDuration::from_secs(2), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_promoted_in_a_freeze_is_refused_or_waits_until_it_ends_if_it_says_so() {
    let space = shop().await;
    let end = freeze_for(&space, "winter", 8).await;
    promote(&space, "now", "1.0.0", json!({})).await;
    let refused = space.ended("now").await;
    assert_eq!(ending(&refused), ("Refused", "Frozen"));
    let held =
        format!("promotions of checkout to production are held by freeze winter (nobody is there) until {end}: ");
    assert!(message(&refused).starts_with(&held), "{}", message(&refused));
    assert!(message(&refused).contains("whenNotReady: Wait") && message(&refused).contains("verb override"));
    promote(&space, "patient", "1.1.0", json!({"whenNotReady": "Wait"})).await;
    let waits = space.in_phase("patient", "Pending", Some("Frozen")).await;
    assert!(
        message(&waits).starts_with(&held) && message(&waits).contains("it goes on by itself"),
        "{}",
        message(&waits)
    );
    wait::object(&space.api(), "winter", "listing what it holds", |known: &Freeze| {
        known
            .status
            .as_ref()
            .is_some_and(|status| (status.holds, status.held.as_slice()) == (1, &["patient".to_owned()]))
    })
    .await;
    let ended = space.ended("patient").await;
    assert_eq!(ending(&ended), ("Succeeded", "Deployed"));
    started_at(&ended, end);
    let decided = ended.status.expect("a status").decided_on;
    let object = space.api::<Freeze>().get("winter").await.expect("the freeze");
    let of_freeze = decided.iter().find(|known| known.kind == "Freeze").expect("it was looked at");
    assert_eq!((Some(&of_freeze.uid), of_freeze.generation), (object.uid().as_ref(), 1));
    let status = says(&space, "winter", "over", |status| !status.active).await;
    let ready = condition::find(&status.conditions, ConditionType::Ready).expect("a condition");
    assert_eq!((ready.reason.as_str(), status.until, status.holds), ("Over", None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_when_a_freeze_begins_does_not_start_and_is_not_refused() {
    let space = shop().await;
    space.apply(space.object("Environment", "production", json!({"order": 10, "paused": true}))).await;
    promote(&space, "waits", "1.0.0", json!({})).await;
    space.in_phase("waits", "Pending", Some("EnvironmentPaused")).await;
    let (start, end) = (in_seconds(3), in_seconds(10));
    let status = freeze(&space, "soon", json!({"start": start.to_string(), "end": end.to_string()})).await;
    let next = status.next.expect("a period").start.0;
    assert_eq!((status.active, next), (false, start));
    let begun = says(&space, "soon", "active", |status| status.active).await;
    assert_eq!((begun.until.map(|time| time.0), begun.held), (Some(end), vec!["waits".to_owned()]));
    space.apply(space.object("Environment", "production", json!({"order": 10, "paused": false}))).await;
    space.in_phase("waits", "Pending", Some("Frozen")).await;
    let ended = space.ended("waits").await;
    assert_eq!(ending(&ended), ("Succeeded", "Deployed"));
    started_at(&ended, end);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_is_judged_at_the_start_that_is_asked_for_and_not_now() {
    let space = shop().await;
    let (time, later) = (in_seconds(7), in_seconds(3600));
    let spec = json!({"start": in_seconds(-60).to_string(), "end": in_seconds(6).to_string()});
    freeze(&space, "now", spec).await;
    freeze(&space, "then", json!({"start": in_seconds(3000).to_string(), "end": in_seconds(9000).to_string()})).await;
    promote(&space, "soon", "1.0.0", json!({"notBefore": time.to_string()})).await;
    space.in_phase("soon", "Pending", Some("NotYet")).await;
    promote(&space, "later", "1.1.0", json!({"notBefore": later.to_string()})).await;
    let refused = space.ended("later").await;
    assert_eq!(ending(&refused), ("Refused", "Frozen"));
    let says = format!("at {later}, when it is to start, promotions of checkout to production are held by freeze then");
    assert!(message(&refused).starts_with(&says), "{}", message(&refused));
    let ended = space.ended("soon").await;
    assert_eq!(ending(&ended), ("Succeeded", "Deployed"));
    started_at(&ended, time);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_that_was_made_after_the_request_is_judged_again_at_the_start_and_lets_it_wait() {
    let space = shop().await;
    let (time, end) = (in_seconds(15), in_seconds(25));
    promote(&space, "late", "1.0.0", json!({"notBefore": time.to_string()})).await;
    let asked = space.in_phase("late", "Pending", Some("NotYet")).await.metadata.creation_timestamp.expect("a time").0;
    // What was made in the same second counts as made before.
    let next = asked + SignedDuration::from_secs(1);
    wait::eventually("the next second", || async { (Timestamp::now() >= next).then_some(()) }).await;
    // It was free when it was asked for; what holds it at its start was nobody's to foresee.
    freeze(&space, "sudden", json!({"start": in_seconds(-60).to_string(), "end": end.to_string()})).await;
    let held = space.in_phase("late", "Pending", Some("Frozen")).await;
    assert!(message(&held).contains("held by freeze sudden") && message(&held).contains("it goes on by itself"));
    let ended = space.ended("late").await;
    assert_eq!(ending(&ended), ("Succeeded", "Deployed"));
    let status = ended.status.expect("a status");
    assert!(status.started_at.is_some_and(|started| started.0 >= end), "it started when the freeze was over");
    let decided = status.decided_on;
    assert!(decided.iter().any(|known| known.kind == "Freeze" && known.name == "sudden"), "{decided:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_holds_only_the_environments_and_projects_that_it_names_and_says_which_do_not_exist() {
    let space = shop().await;
    space.environment("test", 10).await;
    let always = json!({"start": in_seconds(-60).to_string(), "end": in_seconds(3600).to_string()});
    let with = |more: Value| {
        let mut spec = always.clone();
        merge(&mut spec, more);
        spec
    };
    freeze(&space, "other", with(json!({"projects": ["checkot"], "environments": ["production"]}))).await;
    freeze(&space, "here", with(json!({"projects": ["checkout"], "environments": ["production"]}))).await;
    promote(&space, "frozen", "1.0.0", json!({})).await;
    let refused = space.ended("frozen").await;
    assert_eq!(ending(&refused), ("Refused", "Frozen"));
    assert!(
        message(&refused).contains("freeze here") && !message(&refused).contains("freeze other"),
        "{}",
        message(&refused)
    );
    space.deploy("checkout", "1.0.0", "test").await;
    let known = space.api::<Freeze>().get("other").await.expect("the freeze").status.expect("a status");
    let ready = condition::find(&known.conditions, ConditionType::Ready).expect("a condition");
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "UnknownProject"));
    assert!(ready.message.contains("no project checkot (spec.projects): create it"), "{}", ready.message);
    space.project("checkot", "ghcr.io/acme/checkout", json!([config_map("x", "x")])).await;
    wait::object(&space.api(), "other", "complete", |known: &Freeze| {
        let conditions = known.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        condition::is_true(conditions, ConditionType::Ready)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_understood_says_so_and_holds_until_it_is_corrected() {
    let space = shop().await;
    let schedule = |zone: &str| json!({"schedule": {"cron": "0 3 29 2 *", "timeZone": zone, "duration": "1s"}});
    let status = freeze(&space, "night", schedule("Europe/Berln")).await;
    let ready = condition::find(&status.conditions, ConditionType::Ready).expect("a condition");
    assert_eq!((ready.status.as_str(), ready.reason.as_str(), status.active), ("False", "Invalid", true));
    assert!(ready.message.starts_with("spec.schedule.timeZone: \"Europe/Berln\" is no time zone"), "{}", ready.message);
    promote(&space, "waits", "1.0.0", json!({})).await;
    let waits = space.in_phase("waits", "Pending", Some("Frozen")).await;
    assert!(
        message(&waits).contains("freeze night (nobody is there), whose periods nobody knows"),
        "{}",
        message(&waits)
    );
    let status = freeze(&space, "night", schedule("Europe/Berlin")).await;
    assert!(status.next.is_some() && !status.active, "{status:?}");
    assert_eq!(ending(&space.ended("waits").await), ("Succeeded", "Deployed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_that_comes_again_begins_and_ends_by_its_schedule() {
    let space = shop().await;
    let schedule = json!({"cron": "* * * * *", "timeZone": "Asia/Kathmandu", "duration": "15s"});
    freeze(&space, "minutes", json!({"schedule": schedule})).await;
    let status = says(&space, "minutes", "active", |status| status.active).await;
    let (until, next) = (status.until.expect("an end").0, status.next.expect("a period"));
    assert_eq!((until.as_second() % 60, next.start.0.duration_since(until).as_secs()), (15, 45));
    promote(&space, "patient", "1.0.0", json!({"whenNotReady": "Wait"})).await;
    let ended = space.ended("patient").await;
    assert_eq!(ending(&ended), ("Succeeded", "Deployed"));
    let started = ended.status.as_ref().and_then(|status| status.started_at.as_ref()).expect("a start").0;
    assert!(started.as_second() % 60 >= 15, "{started}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pins_and_automatic_promotions_wait_for_the_end_of_a_freeze() {
    let space = Space::create(shared().await.admin().await).await;
    space.environment("production", 10).await;
    space.environment("test", 10).await;
    let phases = json!([{"name": "all", "environments": ["test", "production"], "automatic": ["test"]}]);
    space.apply(space.object("Lifecycle", "standard", json!({"phases": phases}))).await;
    let end = freeze_for(&space, "winter", 10).await;
    let apply = json!({"manifests": [config_map("settings", "x")]});
    let spec = json!({"lifecycle": "standard", "process": [{"name": "deploy", "timeout": "2m", "apply": apply}]});
    space.apply(space.object("Project", "checkout", spec)).await;
    space.apply(space.object("Release", "checkout-1.0.0", json!({"project": "checkout", "version": "1.0.0"}))).await;
    let pin = json!({"project": "checkout", "environment": "production", "version": "1.0.0"});
    space.apply(space.object("Pin", "checkout.production", pin)).await;
    let waits = wait::object(&space.api(), "checkout.production", "waiting", |known: &Pin| {
        let conditions = known.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        condition::find(conditions, ConditionType::Ready).is_some_and(|ready| ready.reason == "Waiting")
    })
    .await;
    let conditions = waits.status.expect("a status").conditions;
    let ready = condition::find(&conditions, ConditionType::Ready).expect("a condition");
    assert!(ready.status == "True" && ready.message.contains("held by freeze winter"), "{ready:?}");
    for name in says(&space, "winter", "holding both", |status| status.holds == 2).await.held {
        let ended = space.ended(&name).await;
        assert_eq!(ending(&ended), ("Succeeded", "Deployed"), "{name}");
        started_at(&ended, end);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_samples_hold_the_turn_of_the_year_and_weekends_by_the_clock_of_berlin() {
    let space = shop().await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/samples/more/freezes.yaml");
    let text = std::fs::read_to_string(path).expect("the sample");
    let text = text.replace("namespace: shop", &format!("namespace: {}", space.name));
    gantry_plane::manifests::apply(&space.client, "test", &text).await.expect("they are taken");
    let year_end = says(&space, "year-end", "looked at", |status| status.next.is_some()).await;
    let next = year_end.next.expect("a period").start.0;
    assert_eq!((year_end.active, next.to_string().as_str()), (false, "2035-12-20T17:00:00Z"));
    says(&space, "weekend", "looked at", |status| status.next.is_some()).await;
    // A Wednesday of that time, a Saturday, and a Monday at eight, in Berlin.
    for (time, held_by) in [
        ("2036-01-02T12:00:00Z", Some("freeze year-end (nobody is there) until 2036-01-04T07:00:00Z")),
        ("2035-06-02T12:00:00Z", Some("freeze weekend (support is out of office) until 2035-06-04T06:00:00Z")),
        ("2035-06-04T06:00:00Z", None),
    ] {
        let name = format!("at-{}", &time[..10]);
        promote(&space, &name, "1.0.0", json!({"notBefore": time})).await;
        let Some(held_by) = held_by else {
            space.in_phase(&name, "Pending", Some("NotYet")).await;
            continue;
        };
        let refused = space.ended(&name).await;
        assert!(message(&refused).contains(held_by), "{}", message(&refused));
    }
}
