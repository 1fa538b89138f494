//! Releases that make themselves, on the real cluster with a real registry.

use gantry::api::condition::{self, ConditionType};
use gantry::api::v1alpha1::{Project, Release};
use gantry_plane::{Identity, Options, Registry, RegistryOptions};
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::support::image::push;
use crate::support::manifest::config_map;
use crate::support::operator::Operator;
use crate::support::proxy::{Moment, Proxy};
use crate::support::registry_front::{Mood, RegistryFront};
use crate::support::sealed;
use crate::support::shared::{own, shared};
use crate::support::space::Space;
use crate::support::wait;

/// A space, and a door to the registry of the cluster.
async fn begin() -> (Space, RegistryFront, String) {
    let cluster = shared().await;
    let host = cluster.plane.registry().host();
    (Space::create(cluster.admin().await).await, RegistryFront::start(&host).await, host)
}

async fn project(space: &Space, mut spec: Value) {
    spec["process"] = json!([{"name": "deploy", "apply": {"manifests": [config_map("settings", "one")]}}]);
    space.apply(space.object("Project", "checkout", spec)).await;
}

/// Waits until a release is there; gives it back once it is sealed.
async fn made(space: &Space, name: &str) -> Release {
    wait::eventually(name, || async { space.api::<Release>().get_opt(name).await.expect("an answer") }).await;
    space.sealed(name).await
}

/// Waits until the project says this of its triggers; gives back the sentence.
async fn says(space: &Space, status: &str, reason: &str) -> String {
    let found = |known: &Project| {
        let condition = condition::find(&known.status.as_ref()?.conditions, ConditionType::Triggered)?.clone();
        (condition.status == status && condition.reason == reason).then_some(condition.message)
    };
    let project = space.project_says("checkout", reason, |known| found(known).is_some()).await;
    found(&project).expect("the sentence")
}

async fn names(space: &Space) -> Vec<String> {
    let releases: Api<Release> = space.api();
    let all = releases.list(&ListParams::default()).await.expect("releases").items;
    all.into_iter().map(|release| release.metadata.name.expect("a name")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_in_a_registry_makes_one_release_in_the_right_channel() {
    let (space, front, host) = begin().await;
    push((&host, None), ("watched/api", "1.0.0"), "one").await;
    push((&host, None), ("watched/api", "1.1.0-rc.1"), "rc").await;
    project(
        &space,
        json!({
            "packages": [{"name": "api", "image": format!("{}/watched/api", front.host)}],
            "channels": [
                {"name": "stable", "default": true, "rules": [{"prerelease": "^$"}]},
                {"name": "next", "rules": [{"prerelease": "^rc"}]},
            ],
            "triggers": [{"name": "releases", "interval": "5s"}, {"name": "candidates", "channel": "next", "interval": "5s"}],
        }),
    )
    .await;
    let first = made(&space, "checkout-1.0.0").await;
    assert_eq!(first.spec.channel.as_deref(), Some("stable"));
    let cause = first.spec.cause.expect("a cause");
    assert_eq!((cause.kind.as_str(), cause.name.as_str()), ("Trigger", "releases"));
    let candidate = made(&space, "checkout-1.1.0-rc.1").await;
    assert_eq!(candidate.status.expect("a status").channel.as_deref(), Some("next"));
    wait::eventually("a list that did not change", || async { (front.lists("watched/api", 304) > 0).then_some(()) })
        .await;
    push((&host, None), ("watched/api", "1.1.0"), "two").await;
    push((&host, None), ("watched/api", "0.9.0"), "late, and older").await;
    made(&space, "checkout-1.1.0").await;
    says(&space, "True", "Watching").await;
    assert_eq!(names(&space).await, ["checkout-1.0.0", "checkout-1.1.0", "checkout-1.1.0-rc.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_packages_released_at_once_make_one_release() {
    let (space, front, host) = begin().await;
    let name = |number: usize| format!("p{number}");
    let package = |number| json!({"name": name(number), "image": format!("{}/ten/{}", front.host, name(number))});
    let packages: Vec<Value> = (0..10).map(package).collect();
    // Neither the first nor the last, and of neither the lowest nor the highest version.
    let spec =
        |trigger: Value| json!({"packages": packages, "versioning": {"fromPackage": "p5"}, "triggers": [trigger]});
    // From p5 on, so that the release has a version before the others are there.
    let push_all = async |version: &dyn Fn(usize) -> String| {
        for number in (5..10).chain(0..5) {
            let version = version(number);
            push((&host, None), (&format!("ten/{}", name(number)), &version), &version).await;
        }
    };
    let chosen = |release: Release| -> Vec<(String, Option<String>)> {
        release.spec.packages.into_iter().map(|package| (package.name, package.version)).collect()
    };
    let all = |version: &dyn Fn(usize) -> String| -> Vec<(String, Option<String>)> {
        (0..10).map(|number| (name(number), Some(version(number)))).collect()
    };
    project(&space, spec(json!({"name": "together", "sameVersion": true, "interval": "5s"}))).await;
    let same = |_: usize| "1.0.0".to_owned();
    push_all(&same).await;
    assert_eq!(chosen(made(&space, "checkout-1.0.0").await), all(&same));

    // Without a common version: once it has been quiet.
    project(&space, spec(json!({"name": "quiet", "settle": "6s", "interval": "5s"}))).await;
    let own = |number: usize| format!("2.{number}.0");
    push_all(&own).await;
    assert_eq!(chosen(made(&space, "checkout-2.5.0").await), all(&own));
    assert_eq!(names(&space).await, ["checkout-1.0.0", "checkout-2.5.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_of_one_package_makes_releases_of_its_version_with_the_highest_of_the_other_that_the_rule_accepts() {
    let (space, front, host) = begin().await;
    let push_all = async |name: &str, versions: &[&str]| {
        for version in versions {
            push((&host, None), (&format!("one/{name}"), version), version).await;
        }
    };
    push_all("web", &["1.0.0"]).await;
    push_all("api", &["0.9.0", "1.2.0", "1.10.0", "1.11.0-rc.1", "2.0.0", "latest"]).await;
    let package = |name: &str| json!({"name": name, "image": format!("{}/one/{name}", front.host)});
    // As the README has it.
    let channels = json!([
        {"name": "stable", "default": true, "rules": [{"versions": ">=1.0, <2"}]},
        {"name": "next", "rules": [{"packages": ["web"], "prerelease": "^rc"}]},
    ]);
    let triggers = json!([
        {"name": "new", "packages": ["web"], "interval": "5s"},
        {"name": "candidates", "packages": ["web"], "channel": "next", "interval": "5s"},
    ]);
    project(&space, json!({"packages": [package("web"), package("api")], "channels": channels, "triggers": triggers}))
        .await;
    let sealed = async |name: &str| {
        let release = made(&space, name).await;
        let asked: Vec<_> = release.spec.packages.iter().map(|package| package.name.clone()).collect();
        assert_eq!(asked, ["web"], "{name}: the other one is chosen when it is sealed");
        let status = release.status.expect("a status");
        let chosen = status.packages.into_iter().map(|one| format!("{} {}", one.name, one.version.unwrap_or_default()));
        (status.channel.unwrap_or_default(), chosen.collect::<Vec<_>>())
    };
    let of = |channel: &str, chosen: [&str; 2]| (channel.to_owned(), chosen.map(str::to_owned).to_vec());
    assert_eq!(sealed("checkout-1.0.0").await, of("stable", ["web 1.0.0", "api 1.10.0"]));

    // A version of the other one makes no release, and is in the next. What the channel does not take of either makes none.
    push_all("api", &["1.12.0"]).await;
    push_all("web", &["2.0.0", "1.1.0"]).await;
    assert_eq!(sealed("checkout-1.1.0").await, of("stable", ["web 1.1.0", "api 1.12.0"]));

    // In a channel whose rules do not speak of the other one it has the highest that is no pre-release.
    push_all("web", &["1.2.0-rc.1"]).await;
    assert_eq!(sealed("checkout-1.2.0-rc.1").await, of("next", ["web 1.2.0-rc.1", "api 2.0.0"]));
    says(&space, "True", "Watching").await;
    assert_eq!(names(&space).await, ["checkout-1.0.0", "checkout-1.1.0", "checkout-1.2.0-rc.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_never_releases_a_version_older_than_the_newest_of_its_channel() {
    let (space, front, host) = begin().await;
    push((&host, None), ("older/api", "1.0.0"), "one").await;
    let packages = json!([{"name": "api", "image": format!("{}/older/api", front.host)}]);
    project(&space, json!({"packages": packages})).await;
    let spec = json!({"project": "checkout", "version": "5.0.0", "packages": [{"name": "api", "version": "1.0.0"}]});
    space.apply(space.object("Release", "checkout-5.0.0", spec)).await;
    space.sealed("checkout-5.0.0").await;
    project(&space, json!({"packages": packages, "triggers": [{"name": "new", "interval": "5s"}]})).await;
    says(&space, "True", "Watching").await;
    assert_eq!(names(&space).await, ["checkout-5.0.0"]);
    push((&host, None), ("older/api", "5.0.1"), "two").await;
    made(&space, "checkout-5.0.1").await;
    assert_eq!(names(&space).await, ["checkout-5.0.0", "checkout-5.0.1"]);
}

/// Waits until the triggers have asked for a list twice more and judged what they heard: a question follows a judgement.
async fn asked_twice(front: &RegistryFront, repository: &str) {
    let lists = || front.lists(repository, 200) + front.lists(repository, 304);
    let before = lists();
    wait::eventually("two more questions", || async { (lists() >= before + 2).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_somebody_deleted_is_not_made_again_also_by_another_process_until_there_is_a_newer_version() {
    let plane = own(Options::default()).await;
    let operator = Operator::start(&plane, "deleted").await;
    let host = plane.registry().host();
    let front = RegistryFront::start(&host).await;
    let space = Space::create(plane.client(&Identity::Admin).await.expect("a client")).await;
    push((&host, None), ("deleted/api", "1.0.0"), "one").await;
    let packages = json!([{"name": "api", "image": format!("{}/deleted/api", front.host)}]);
    project(&space, json!({"packages": packages, "triggers": [{"name": "new", "interval": "5s"}]})).await;
    made(&space, "checkout-1.0.0").await;
    let remembered = |known: &Project| {
        let rows = known.status.as_ref().map(|status| status.triggers.as_slice()).unwrap_or_default();
        rows.iter().any(|row| row.name == "new" && row.version == "1.0.0")
    };
    space.project_says("checkout", "what was released", remembered).await;
    space.api::<Release>().delete("checkout-1.0.0", &DeleteParams::default()).await.expect("deleted");
    let said = |known: &Project| {
        let status = known.status.as_ref()?;
        let message = condition::find(&status.conditions, ConditionType::Triggered)?.message.clone();
        message.contains("release checkout-1.0.0 was made once and somebody deleted it").then_some(())
    };
    space.project_says("checkout", "that it is not made again", |known| said(known).is_some()).await;
    asked_twice(&front, "deleted/api").await;
    assert_eq!(names(&space).await, [""; 0]);
    operator.kill(&plane);
    operator.resume(&plane).await;
    asked_twice(&front, "deleted/api").await;
    assert_eq!(names(&space).await, [""; 0], "the memory is not the process");
    push((&host, None), ("deleted/api", "1.0.1"), "two").await;
    made(&space, "checkout-1.0.1").await;
    assert_eq!(names(&space).await, ["checkout-1.0.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trigger_released_is_remembered_at_once_however_seldom_its_registry_is_asked() {
    let (space, front, host) = begin().await;
    push((&host, None), ("seldom/api", "1.0.0"), "one").await;
    let packages = json!([{"name": "api", "image": format!("{}/seldom/api", front.host)}]);
    project(&space, json!({"packages": packages, "triggers": [{"name": "new", "interval": "1h"}]})).await;
    made(&space, "checkout-1.0.0").await;
    space
        .project_says("checkout", "what was released", |known| {
            let rows = known.status.as_ref().map(|status| status.triggers.as_slice()).unwrap_or_default();
            rows.iter().any(|row| row.name == "new" && row.version == "1.0.0")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_stopped_is_named_on_the_project_and_the_trigger_goes_on_when_it_runs_again() {
    let space = Space::create(shared().await.admin().await).await;
    let registry = Registry::start(RegistryOptions::default()).await.expect("a registry");
    let host = registry.host();
    push((&host, None), ("stopped/api", "1.0.0"), "one").await;
    registry.halt().expect("it stops");
    let packages = json!([{"name": "api", "image": format!("{host}/stopped/api")}]);
    project(&space, json!({"packages": packages, "triggers": [{"name": "new", "interval": "5s"}]})).await;
    let said = says(&space, "False", "RegistryUnreachable").await;
    assert!(said.starts_with(&format!("trigger new: package api: registry {host} did not answer")), "{said}");
    registry.resume().await.expect("it runs again");
    made(&space, "checkout-1.0.0").await;
    says(&space, "True", "Watching").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_cannot_be_made_is_a_condition_on_the_project() {
    let (space, front, host) = begin().await;
    push((&host, None), ("taken/api", "1.0.0"), "one").await;
    let packages = json!([{"name": "api", "image": format!("{}/taken/api", front.host)}]);
    let channels = json!([{"name": "stable", "default": true}, {"name": "beta"}]);
    project(&space, json!({"packages": packages, "channels": channels})).await;
    let spec = json!({"project": "checkout", "version": "1.0.0", "channel": "beta", "packages": [{"name": "api", "version": "1.0.0"}]});
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    space.sealed("checkout-1.0.0").await;
    let triggers = json!([{"name": "new", "interval": "5s"}]);
    project(&space, json!({"packages": packages, "channels": channels, "triggers": triggers})).await;
    let said = says(&space, "False", "VersionTaken").await;
    for part in ["trigger new", "checkout-1.0.0", "channel beta", "channel stable", "push a newer version"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    push((&host, None), ("taken/api", "1.0.1"), "two").await;
    made(&space, "checkout-1.0.1").await;
    says(&space, "True", "Watching").await;
    push((&host, None), ("taken/api", "1.2"), "three").await;
    made(&space, "checkout-1.2").await;
    push((&host, None), ("taken/api", "1.3"), "four").await;
    push((&host, None), ("taken/api", "1.3.0"), "five").await;
    let said = says(&space, "False", "AmbiguousVersion").await;
    assert!(said.contains("tags 1.3 and 1.3.0 are the same version"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_fails_is_named_on_the_project_and_the_trigger_heals() {
    let (space, front, host) = begin().await;
    push((&host, None), ("failing/api", "1.0.0"), "0").await;
    let packages = json!([{"name": "api", "image": format!("{}/failing/api", front.host)}]);
    front.set(Mood::Refusing(429));
    project(&space, json!({"packages": packages, "triggers": [{"name": "new", "interval": "5s"}]})).await;
    for (number, (mood, reason, part)) in [
        (Mood::Refusing(429), "RegistryUnreachable", "too busy"),
        (Mood::Refusing(401), "RegistryUnauthorized", "without credentials"),
        (Mood::Refusing(404), "TagNotFound", "does not exist in its registry"),
        (Mood::Malformed, "RegistryRefused", "no such JSON"),
        (Mood::Refusing(500), "RegistryUnreachable", "500"),
        (Mood::BusyUntil(3), "RegistryUnreachable", "too busy"),
        (Mood::Slow, "RegistryUnreachable", "no list of tags within 30 seconds"),
    ]
    .into_iter()
    .enumerate()
    {
        front.set(mood);
        let said = says(&space, "False", reason).await;
        assert!(said.contains(part) && said.starts_with("trigger new: package api: "), "{mood:?}: {said}");
        let version = format!("1.0.{}", number + 1);
        push((&host, None), ("failing/api", &version), &version).await;
        front.set(Mood::Honest);
        made(&space, &format!("checkout-{version}")).await;
        says(&space, "True", "Watching").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_a_release_in_the_name_of_a_trigger() {
    let (space, _, _) = begin().await;
    let cause = json!({"kind": "Trigger", "name": "new"});
    let spec = json!({"project": "checkout", "version": "1.0.0", "cause": cause});
    let refused = space.try_apply(space.object("Release", "checkout-1.0.0", spec)).await.expect_err("no cause");
    assert!(refused.contains("spec.cause") && refused.contains("written by Gantry alone"), "{refused}");
}

/// A space of an operator that dies at a write, with the project `checkout`, and a repository of its own with 1.0.0.
async fn mortal(world: &Mortal, number: usize) -> (Space, String) {
    let space = Space::create(world.client.clone()).await;
    let repository = format!("mortal/api{number}");
    push((&world.host, None), (&repository, "1.0.0"), "one").await;
    let packages = json!([{"name": "api", "image": format!("{}/{repository}", world.host)}]);
    project(&space, json!({"packages": packages})).await;
    let valid = |known: &Project| {
        let conditions = known.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        condition::is_true(conditions, ConditionType::Ready)
    };
    space.project_says("checkout", "ready", valid).await;
    sealed::everything(&space).await;
    (space, repository)
}

/// A cluster whose operator's writes can be stopped.
struct Mortal {
    plane: gantry_plane::Plane,
    proxy: Proxy,
    operator: Operator,
    client: kube::Client,
    host: String,
}

impl Mortal {
    async fn start(name: &str) -> Self {
        let plane = own(Options::default()).await;
        let proxy = Proxy::start(&plane, name).await;
        let operator = Operator::start_against(&plane, name, proxy.kubeconfig.clone()).await;
        let client = plane.client(&Identity::Admin).await.expect("a client");
        let host = plane.registry().host();
        Self { plane, proxy, operator, client, host }
    }

    /// The operator dies when every space has come to its write, and lives again.
    async fn die(&self, spaces: usize) {
        assert_eq!(self.proxy.until_stopped().await, spaces);
        self.operator.kill(&self.plane);
        self.proxy.disarm();
    }
}

/// The writes from the first look on: before and after each.
fn deaths(writes: usize) -> impl Iterator<Item = (usize, Moment)> {
    (1..=writes).flat_map(|n| [Moment::Before, Moment::AfterCommit].map(|moment| (n, moment)))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_write_the_operator_makes_the_release_of_a_trigger_once() {
    let world = Mortal::start("triggered").await;
    // The record of the change and its seal, what the project says, the release, its snapshot and its status, and what the project
    // remembers of it.
    let prepared = deaths(7).enumerate().map(|(number, (n, moment))| {
        let world = &world;
        async move {
            let (space, repository) = mortal(world, number).await;
            world.proxy.arm(&space.name, n, moment);
            let packages = json!([{"name": "api", "image": format!("{}/{repository}", world.host)}]);
            project(&space, json!({"packages": packages, "triggers": [{"name": "new", "interval": "5s"}]})).await;
            (space, format!("write {n}, {moment:?}"))
        }
    });
    let prepared = futures::future::join_all(prepared).await;
    world.die(prepared.len()).await;
    world.operator.resume(&world.plane).await;
    for (space, died) in prepared {
        let release = made(&space, "checkout-1.0.0").await;
        assert_eq!(release.spec.packages[0].version.as_deref(), Some("1.0.0"), "{died}");
        assert_eq!(release.spec.cause.expect("a cause").name, "new", "{died}");
        says(&space, "True", "Watching").await;
        let remembers = |known: &Project| known.status.as_ref().is_some_and(|status| !status.triggers.is_empty());
        space.project_says("checkout", "what it remembers", remembers).await;
        assert_eq!(names(&space).await, ["checkout-1.0.0"], "{died}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_write_the_operator_chooses_the_versions_of_a_release_once() {
    let world = Mortal::start("chosen").await;
    // The snapshot and the status, which is the choice.
    let prepared = deaths(2).enumerate().map(|(number, (n, moment))| {
        let world = &world;
        async move {
            let (space, repository) = mortal(world, number).await;
            world.proxy.arm(&space.name, n, moment);
            let spec = json!({"project": "checkout", "version": "7"});
            space.apply(space.object("Release", "checkout-7", spec)).await;
            (space, repository, (n, moment))
        }
    });
    let prepared = futures::future::join_all(prepared).await;
    world.die(prepared.len()).await;
    for (_, repository, _) in &prepared {
        push((&world.host, None), (repository, "1.1.0"), "two").await;
    }
    world.operator.resume(&world.plane).await;
    for (space, _, (n, moment)) in &prepared {
        let status = space.sealed("checkout-7").await.status.expect("a status");
        let chosen = status.packages[0].version.as_deref();
        // What was written stands; what was not is chosen anew, of what there is by then.
        let expected = if (*n, *moment) == (2, Moment::AfterCommit) { "1.0.0" } else { "1.1.0" };
        assert_eq!(chosen, Some(expected), "write {n}, {moment:?}");
        assert!(status.snapshot.is_some() && status.sealed_at.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_of_several_packages_gets_its_version_from_a_template() {
    let (space, front, host) = begin().await;
    push((&host, None), ("templated/api", "1.4.0"), "api").await;
    push((&host, None), ("templated/web", "7.0.0"), "web").await;
    let package = |name: &str| json!({"name": name, "image": format!("{}/templated/{name}", front.host)});
    let spec = |template: &str| {
        json!({
            "packages": [package("api"), package("web")], "versioning": {"template": template},
            "triggers": [{"name": "all", "settle": "1s", "interval": "5s"}],
        })
    };
    project(&space, spec("${{ packages.api.version }}_${{ packages.web.version }}")).await;
    let said = says(&space, "False", "Invalid").await;
    assert!(said.starts_with("trigger all: spec.versioning.template: it makes \"1.4.0_7.0.0\""), "{said}");
    project(&space, spec("${{ packages.api.version }}-web.${{ packages.web.version }}")).await;
    let first = made(&space, "checkout-1.4.0-web.7.0.0").await;
    let chosen: Vec<_> = first.spec.packages.iter().filter_map(|package| package.version.as_deref()).collect();
    assert_eq!(chosen, ["1.4.0", "7.0.0"]);
    // A newer version of either makes another release.
    push((&host, None), ("templated/web", "7.1.0"), "web, newer").await;
    made(&space, "checkout-1.4.0-web.7.1.0").await;
    says(&space, "True", "Watching").await;
    assert_eq!(names(&space).await, ["checkout-1.4.0-web.7.0.0", "checkout-1.4.0-web.7.1.0"]);
}
