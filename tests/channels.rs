//! Which versions a release is made of, on the real cluster with a real registry: channels and the highest version.

use gantry::api::condition::{self, ConditionType};
use gantry::api::v1alpha1::{Release, ReleaseStatus};
use gantry_plane::{Registry, RegistryOptions};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::support::image::{push, push_tags};
use crate::support::manifest::config_map;
use crate::support::registry_front::{Mood, RegistryFront};
use crate::support::shared::shared;
use crate::support::space::Space;
use crate::support::wait;

/// A new space.
async fn space() -> Space {
    Space::create(shared().await.admin().await).await
}

fn registry_host(cluster: &crate::support::shared::Shared) -> String {
    cluster.plane.registry().host()
}

/// The project `checkout` with these fields and a process.
async fn project(space: &Space, mut spec: Value) {
    spec["process"] = json!([{"name": "deploy", "apply": {"manifests": [config_map("settings", "one")]}}]);
    space.apply(space.object("Project", "checkout", spec)).await;
}

fn release_object(space: &Space, version: &str, mut spec: Value) -> Value {
    spec["project"] = "checkout".into();
    spec["version"] = version.into();
    space.object("Release", &format!("checkout-{version}"), spec)
}

async fn release(space: &Space, version: &str, spec: Value) -> String {
    space.apply(release_object(space, version, spec)).await;
    format!("checkout-{version}")
}

async fn sealed(space: &Space, name: &str) -> ReleaseStatus {
    space.sealed(name).await.status.expect("a status")
}

/// Waits until a release says that it is not sealed, for this reason; gives back the sentence.
async fn not_sealed(space: &Space, name: &str, reason: &str) -> String {
    let says = |known: &Release| {
        let ready = condition::find(&known.status.as_ref()?.conditions, ConditionType::Ready)?;
        (ready.reason == reason).then(|| ready.message.clone())
    };
    let release = wait::object(&space.api(), name, reason, |known: &Release| says(known).is_some()).await;
    says(&release).expect("the sentence")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_without_a_version_gets_the_highest_that_is_no_pre_release_once_and_for_ever() {
    let host = registry_host(shared().await);
    for tag in ["1.9.0", "2.0.0-rc1", "latest", "nightly"] {
        push((&host, None), ("highest/api", tag), tag).await;
    }
    let digest = push((&host, None), ("highest/api", "1.10.0"), "1.10.0").await;
    let space = space().await;
    project(&space, json!({"packages": [{"name": "api", "image": format!("{host}/highest/api")}]})).await;
    let name = release(&space, "7", json!({})).await;
    let status = sealed(&space, &name).await;
    let package = &status.packages[0];
    assert_eq!((package.version.as_deref(), package.digest.as_str()), (Some("1.10.0"), digest.as_str()));
    assert_eq!(package.resolved_from.as_deref(), Some("Highest"));
    assert!(package.resolved_at.is_some() && status.channel.is_none());

    push((&host, None), ("highest/api", "1.11.0"), "1.11.0").await;
    let later = release(&space, "8", json!({"packages": [{"name": "api"}]})).await;
    assert_eq!(sealed(&space, &later).await.packages[0].version.as_deref(), Some("1.11.0"));
    assert_eq!(sealed(&space, &name).await.packages, status.packages, "what is sealed stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tag_latest_is_taken_only_where_it_is_named_and_its_digest_is_what_counts() {
    let host = registry_host(shared().await);
    let digest = push((&host, None), ("moving/api", "latest"), "one").await;
    let space = space().await;
    project(&space, json!({"packages": [{"name": "api", "image": format!("{host}/moving/api")}]})).await;
    let name = release(&space, "1", json!({})).await;
    let said = not_sealed(&space, &name, "NoVersion").await;
    assert!(said.contains("none of the 1 tags") && said.contains("a version that is no pre-release"), "{said}");
    let named = release(&space, "2", json!({"packages": [{"name": "api", "version": "latest"}]})).await;
    let package = sealed(&space, &named).await.packages.remove(0);
    assert_eq!((package.digest, package.resolved_from.as_deref()), (digest, Some("Version")));
    let events: Api<Event> = space.api();
    let about = ListParams::default().fields(&format!("regarding.name={named},reason=MovingTag"));
    let warned = async || (!events.list(&about).await.expect("events").items.is_empty()).then_some(());
    wait::eventually("a warning", warned).await;
    push((&host, None), ("moving/api", "1.0.0"), "two").await;
    assert_eq!(sealed(&space, &name).await.packages[0].version.as_deref(), Some("1.0.0"), "it heals by a push");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_without_a_channel_belongs_to_the_default_and_each_channel_has_its_highest() {
    let host = registry_host(shared().await);
    push_tags(
        &host,
        "streams/api",
        ["1.4.0", "1.5.0", "2.0.0", "2.1.0-rc.1", "2.1.0-beta.1"].map(str::to_owned).into_iter(),
    )
    .await;
    let space = space().await;
    let channels = json!([
        {"name": "stable", "default": true, "rules": [{"packages": ["api"], "versions": ">=1.0", "prerelease": "^$"}]},
        {"name": "old", "rules": [{"versions": "<2"}]},
        {"name": "next", "rules": [{"prerelease": "^rc"}]},
    ]);
    let packages = json!([{"name": "api", "image": format!("{host}/streams/api")}]);
    project(&space, json!({"packages": packages, "channels": channels})).await;
    for (version, channel, expected) in [
        ("1", None, ("stable", "2.0.0")),
        ("2", Some("old"), ("old", "1.5.0")),
        ("3", Some("next"), ("next", "2.1.0-rc.1")),
    ] {
        let spec = channel.map_or(json!({}), |channel| json!({"channel": channel}));
        let name = release(&space, version, spec).await;
        let status = sealed(&space, &name).await;
        let found =
            (status.channel.as_deref().unwrap_or_default(), status.packages[0].version.as_deref().unwrap_or_default());
        assert_eq!(found, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_its_channel_does_not_take_is_refused_with_package_version_channel_and_rule() {
    let host = registry_host(shared().await);
    push((&host, None), ("ruled/api", "1.2.0-beta"), "beta").await;
    let space = space().await;
    let packages = json!([{"name": "api", "image": format!("{host}/ruled/api")}]);
    let channels = |pattern: &str| json!([{"name": "stable", "default": true, "rules": [{"prerelease": pattern}]}]);
    project(&space, json!({"packages": packages, "channels": channels("^$")})).await;
    let name = release(&space, "1.2.0-beta", json!({"packages": [{"name": "api", "version": "1.2.0-beta"}]})).await;
    let said = not_sealed(&space, &name, "VersionRefused").await;
    for part in
        ["spec.packages[0].version", "channel stable", "version 1.2.0-beta", "package api", "rules[0]", "prerelease ^$"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let known: Release = space.api().get(&name).await.expect("the release");
    let conditions = known.status.expect("a status").conditions;
    assert!(condition::is_true(&conditions, ConditionType::Stalled), "a person must act");
    let hotfix = release(&space, "9", json!({"channel": "hotfix"})).await;
    let said = not_sealed(&space, &hotfix, "ChannelNotFound").await;
    assert!(said.contains("no channel hotfix, only stable"), "{said}");
    // The rule is the project's, and so is the cure.
    project(&space, json!({"packages": packages, "channels": channels("^(beta)?$")})).await;
    assert_eq!(sealed(&space, &name).await.channel.as_deref(), Some("stable"));
    // Rules are asked when a release is made, and never again.
    project(&space, json!({"packages": packages, "channels": channels("^$")})).await;
    let later = release(&space, "1.2.1-beta", json!({"packages": [{"name": "api", "version": "1.2.0-beta"}]})).await;
    not_sealed(&space, &later, "VersionRefused").await;
    sealed(&space, &name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tags_that_are_the_same_version_are_both_named_and_neither_is_chosen() {
    let host = registry_host(shared().await);
    push((&host, None), ("twins/api", "1.2"), "one").await;
    push((&host, None), ("twins/api", "1.2.0"), "two").await;
    let space = space().await;
    project(&space, json!({"packages": [{"name": "api", "image": format!("{host}/twins/api")}]})).await;
    let name = release(&space, "1", json!({})).await;
    let said = not_sealed(&space, &name, "AmbiguousVersion").await;
    assert!(said.contains("tags 1.2 and 1.2.0 are the same version 1.2.0"), "{said}");
    let named = release(&space, "2", json!({"packages": [{"name": "api", "version": "1.2"}]})).await;
    assert_eq!(sealed(&space, &named).await.packages[0].version.as_deref(), Some("1.2"));
    push((&host, None), ("twins/api", "1.3"), "three").await;
    assert_eq!(sealed(&space, &name).await.packages[0].version.as_deref(), Some("1.3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_tags_in_several_pages_is_read_to_its_end() {
    let host = registry_host(shared().await);
    // In the registry's order, which is by text, the highest is neither first nor last.
    push_tags(&host, "many/api", (0..1100).map(|number| format!("1.0.{number}")).chain(["main".to_owned()])).await;
    let space = space().await;
    project(&space, json!({"packages": [{"name": "api", "image": format!("{host}/many/api")}]})).await;
    let name = release(&space, "1", json!({})).await;
    assert_eq!(sealed(&space, &name).await.packages[0].version.as_deref(), Some("1.0.1099"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_tags_are_looked_through_and_one_more_is_refused_with_the_remedy() {
    let registry = Registry::start(RegistryOptions::default()).await.expect("a registry");
    let host = registry.host();
    push_tags(&host, "huge/api", (0..10_000).map(|number| format!("1.0.{number}"))).await;
    let space = space().await;
    project(&space, json!({"packages": [{"name": "api", "image": format!("{host}/huge/api")}]})).await;
    let name = release(&space, "1", json!({})).await;
    assert_eq!(sealed(&space, &name).await.packages[0].version.as_deref(), Some("1.0.9999"));
    push((&host, None), ("huge/api", "2.0.0"), "one more").await;
    let name = release(&space, "2", json!({})).await;
    let said = not_sealed(&space, &name, "RegistryRefused").await;
    assert!(said.contains("huge/api has more than 10000 tags") && said.contains("or name the version"), "{said}");
    let name = release(&space, "3", json!({"packages": [{"name": "api", "version": "2.0.0"}]})).await;
    assert_eq!(
        sealed(&space, &name).await.packages[0].version.as_deref(),
        Some("2.0.0"),
        "a named one is not searched"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_stopped_is_named_and_the_version_is_chosen_when_it_runs_again() {
    let registry = Registry::start(RegistryOptions::default()).await.expect("a registry");
    let host = registry.host();
    push((&host, None), ("stopped/api", "1.0.0"), "one").await;
    let space = space().await;
    project(&space, json!({"packages": [{"name": "api", "image": format!("{host}/stopped/api")}]})).await;
    registry.halt().expect("it stops");
    let name = release(&space, "1", json!({})).await;
    let said = not_sealed(&space, &name, "RegistryUnreachable").await;
    assert!(said.contains(&format!("package api: registry {host} did not answer")), "{said}");
    registry.resume().await.expect("it runs again");
    assert_eq!(sealed(&space, &name).await.packages[0].version.as_deref(), Some("1.0.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_asked_one_for_a_pause_is_left_alone_by_all() {
    let host = registry_host(shared().await);
    push((&host, None), ("pausing/api", "1.0.0"), "one").await;
    let front = RegistryFront::start(&host).await;
    let space = space().await;
    project(&space, json!({"packages": [{"name": "api", "image": format!("{}/pausing/api", front.host)}]})).await;
    front.set(Mood::BusyUntil(8));
    let first = release(&space, "1", json!({})).await;
    let said = not_sealed(&space, &first, "RegistryUnreachable").await;
    assert!(said.contains("429 Too Many Requests"), "{said}");
    let asked = front.requests();
    front.set(Mood::Honest);
    // Another package, another question, somebody else's release: the registry hears of none of them.
    let second = release(&space, "2", json!({"packages": [{"name": "api", "version": "1.0.0"}]})).await;
    let said = not_sealed(&space, &second, "RegistryUnreachable").await;
    assert!(said.contains("it asked for a pause"), "{said}");
    assert_eq!(front.requests(), asked);
    for name in [first, second] {
        assert_eq!(sealed(&space, &name).await.packages[0].version.as_deref(), Some("1.0.0"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_slow_refuses_or_talks_nonsense_is_named_and_every_release_heals() {
    let host = registry_host(shared().await);
    let digest = push((&host, None), ("moody/api", "1.0.0"), "one").await;
    let front = RegistryFront::start(&host).await;
    let space = space().await;
    project(&space, json!({"packages": [{"name": "api", "image": format!("{}/moody/api", front.host)}]})).await;
    for (version, mood, reason, part) in [
        ("1", Mood::Refusing(401), "RegistryUnauthorized", "without credentials"),
        ("2", Mood::Refusing(403), "RegistryUnauthorized", "moody/api"),
        ("3", Mood::Refusing(404), "TagNotFound", "does not exist in its registry"),
        ("4", Mood::Refusing(429), "RegistryUnreachable", "429 Too Many Requests"),
        ("5", Mood::Refusing(500), "RegistryUnreachable", "500"),
        ("6", Mood::Malformed, "RegistryRefused", "no such JSON"),
        ("7", Mood::BusyUntil(5), "RegistryUnreachable", "429 Too Many Requests"),
        ("8", Mood::Slow, "RegistryUnreachable", "no list of tags within 30 seconds"),
    ] {
        front.set(mood);
        let name = release(&space, version, json!({})).await;
        let said = not_sealed(&space, &name, reason).await;
        assert!(said.contains(part) && said.contains("package api") && said.contains(&front.host), "{mood:?}: {said}");
        front.set(Mood::Honest);
        assert_eq!(sealed(&space, &name).await.packages[0].digest, digest, "{mood:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_applied_again_changes_nothing_and_an_edit_is_refused_with_a_sentence() {
    let host = registry_host(shared().await);
    push((&host, None), ("again/api", "1.0.0"), "one").await;
    let space = space().await;
    project(&space, json!({"packages": [{"name": "api", "image": format!("{host}/again/api")}]})).await;
    let name = release(&space, "1", json!({})).await;
    sealed(&space, &name).await;
    let releases: Api<Release> = space.api();
    let before = releases.get(&name).await.expect("the release").metadata.resource_version;
    release(&space, "1", json!({})).await;
    let after = releases.get(&name).await.expect("the release").metadata.resource_version;
    assert_eq!(before, after);
    let edited = release_object(&space, "1", json!({"channel": "other"}));
    let refused = space.try_apply(edited).await.expect_err("no edit");
    assert!(refused.contains("spec is immutable"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hotfix_goes_straight_to_staging_by_the_lifecycle_of_its_channel_and_has_the_values_of_its_channel() {
    let space = space().await;
    for (order, name) in (1..).zip(["dev", "staging", "production"]) {
        space.environment(name, order).await;
    }
    let lifecycle = |names: &[&str]| {
        let phases: Vec<Value> = names.iter().map(|name| json!({"name": name, "environments": [name]})).collect();
        json!({"phases": phases})
    };
    space.apply(space.object("Lifecycle", "standard", lifecycle(&["dev", "staging", "production"]))).await;
    space.apply(space.object("Lifecycle", "short", lifecycle(&["staging", "production"]))).await;
    let text = "${{ variables.LEVEL }} ${{ variables.BANNER }}";
    let spec = json!({
        "lifecycle": "standard",
        "channels": [{"name": "stable", "default": true}, {"name": "hotfix", "lifecycle": "short"}],
        "variables": [
            {"name": "LEVEL", "values": [{"value": "info"}, {"value": "debug", "scope": {"channels": ["hotfix"]}}]},
            {"name": "BANNER", "values": [
                {"value": "hotfix", "scope": {"channels": ["hotfix"]}},
                {"value": "staging", "scope": {"environments": ["staging"]}},
                {"value": "none"},
            ]},
        ],
        "process": [{"name": "deploy", "timeout": "2m", "apply": {"manifests": [config_map("settings", text)]}}],
    });
    space.apply(space.object("Project", "checkout", spec)).await;
    let name = release(&space, "1.0.1", json!({"channel": "hotfix"})).await;
    let follows = async |name: &str, phases: &[&str], next: &str| {
        let what = format!("{phases:?}, then {next}");
        wait::object(&space.api(), name, &what, |known: &Release| {
            let Some(status) = &known.status else { return false };
            status.phases.iter().map(|phase| phase.name.as_str()).eq(phases.iter().copied()) && status.next == [next]
        })
        .await;
    };
    follows(&name, &["staging", "production"], "staging").await;
    let refused = async |version: &str, environment: &str| {
        let promotion = space.promote("checkout", version, environment).await;
        let ended = space.ended(&promotion).await.status.expect("a status");
        assert_eq!(ended.phase.as_deref(), Some("Refused"), "{:?}", ended.message);
        (ended.reason.expect("a reason"), ended.message.expect("a sentence"))
    };
    let (reason, said) = refused("1.0.1", "dev").await;
    assert_eq!(reason, "NotInLifecycle");
    assert!(said.contains("environment dev is not in the lifecycle of checkout-1.0.1"), "{said}");
    space.deploy("checkout", "1.0.1", "staging").await;
    let applied = async |environment: &str| {
        let maps: Api<ConfigMap> = space.in_environment(environment);
        maps.get("settings").await.expect("the ConfigMap").data.expect("data")["text"].clone()
    };
    assert_eq!(applied("staging").await, "debug staging", "an environment is more specific than a channel");
    space.deploy("checkout", "1.0.1", "production").await;
    assert_eq!(applied("production").await, "debug hotfix");

    // What is no hotfix goes the long way, and has the other values.
    let name = release(&space, "1.1.0", json!({})).await;
    follows(&name, &["dev", "staging", "production"], "dev").await;
    assert_eq!(refused("1.1.0", "staging").await.0, "LifecycleNotReached");
    space.deploy("checkout", "1.1.0", "dev").await;
    assert_eq!(applied("dev").await, "info none");
}
