//! What becomes of a release, on the real cluster with a real registry: sealed once, for good reasons or not at all.

use std::collections::BTreeSet;

use base64::Engine;
use gantry::api::condition::{self, ConditionType};
use gantry::api::v1alpha1::{Release, ReleaseStatus};
use gantry::controllers::release::snapshot;
use gantry_plane::authority::Authority;
use gantry_plane::image::push_sample;
use gantry_plane::registry::REMOTE;
use gantry_plane::{Identity, Login, Reach, Registry, RegistryOptions};
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::image::{push, push_over_tls};
use crate::support::manifest::{config_map, deployment};
use crate::support::shared::shared;
use crate::support::space::Space;
use crate::support::token_service::TokenService;
use crate::support::wait;

/// A space with the project `checkout` of one package `api`, whose process is one ConfigMap.
async fn shop(package: Value) -> Space {
    let space = Space::create(shared().await.admin().await).await;
    project(&space, json!([package]), json!({"manifests": [config_map("settings", "one")]})).await;
    space
}

async fn project(space: &Space, packages: Value, apply: Value) {
    let spec = json!({"packages": packages, "process": [{"name": "deploy", "timeout": "2m", "apply": apply}]});
    space.apply(space.object("Project", "checkout", spec)).await;
}

async fn release(space: &Space, version: &str, packages: Value) -> String {
    let name = format!("checkout-{version}");
    let spec = json!({"project": "checkout", "version": version, "packages": packages});
    space.apply(space.object("Release", &name, spec)).await;
    name
}

async fn sealed(space: &Space, name: &str) -> ReleaseStatus {
    space.sealed(name).await.status.expect("a status")
}

/// Waits until a release says that it is not sealed, for this reason; gives back the sentence.
async fn not_sealed(space: &Space, name: &str, reason: &str) -> String {
    let says = |known: &Release| {
        let status = known.status.as_ref()?;
        let ready = condition::find(&status.conditions, ConditionType::Ready)?;
        (ready.reason == reason).then(|| ready.message.clone())
    };
    let release = wait::object(&space.api(), name, reason, |known: &Release| says(known).is_some()).await;
    says(&release).expect("the sentence")
}

fn is(status: &ReleaseStatus, kind: ConditionType) -> bool {
    condition::is_true(&status.conditions, kind)
}

/// The data of a `kubernetes.io/dockerconfigjson` Secret for one registry.
fn docker_secret(name: &str, space: &Space, (host, user, password): (&str, &str, &str)) -> Value {
    let config = json!({"auths": {host: {"username": user, "password": password}}}).to_string();
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": space.name},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64::engine::general_purpose::STANDARD.encode(config)},
    })
}

// Attack T21.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_sealed_by_digest_and_a_tag_that_moves_later_changes_nothing() {
    let host = shared().await.plane.registry().host();
    let first = push((&host, None), ("sealed/api", "1.0.0"), "first").await;
    let space = shop(json!({"name": "api", "image": format!("{host}/sealed/api")})).await;
    let name = release(&space, "1.0.0", json!([{"name": "api", "version": "1.0.0"}])).await;
    let status = sealed(&space, &name).await;
    assert_eq!(status.packages[0].digest, first);
    assert_eq!(status.packages[0].version.as_deref(), Some("1.0.0"));
    assert!(is(&status, ConditionType::Ready) && !is(&status, ConditionType::Stalled));
    assert_eq!(status.observed_generation, Some(1));
    let events: Api<Event> = space.api();
    let about = ListParams::default().fields(&format!("regarding.name={name},reason=Sealed"));
    wait::eventually("the Event Sealed", || async {
        let said = events.list(&about).await.expect("events").items;
        said.iter().any(|event| event.note.as_deref().is_some_and(|note| note.contains(&first[..19]))).then_some(())
    })
    .await;

    let second = push((&host, None), ("sealed/api", "1.0.0"), "second").await;
    assert_ne!(first, second);
    // Everything that could make Gantry look again: the project changes, and with it another release is sealed.
    project(
        &space,
        json!([{"name": "api", "image": format!("{host}/sealed/api")}]),
        json!({"manifests": [config_map("settings", "two")]}),
    )
    .await;
    let later = release(&space, "1.0.1", json!([{"name": "api", "version": "1.0.0"}])).await;
    assert_eq!(sealed(&space, &later).await.packages[0].digest, second);
    let now = sealed(&space, &name).await;
    assert_eq!((now.packages, now.snapshot, now.sealed_at), (status.packages, status.snapshot, status.sealed_at));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_in_the_registry_is_named_and_the_release_heals_when_it_is_pushed() {
    let host = shared().await.plane.registry().host();
    push((&host, None), ("late/api", "1.0.0"), "old").await;
    let space = shop(json!({"name": "api", "image": format!("{host}/late/api")})).await;
    let name = release(&space, "9.9.9", json!([{"name": "api", "version": "9.9.9"}])).await;
    let said = not_sealed(&space, &name, "TagNotFound").await;
    assert!(said.contains("package api") && said.contains("9.9.9") && said.contains("push it"), "{said}");
    assert!(said.contains("spec.packages[0].version"), "{said}");
    let digest = push((&host, None), ("late/api", "9.9.9"), "new").await;
    assert_eq!(sealed(&space, &name).await.packages[0].digest, digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_down_is_named_and_the_release_heals_when_it_answers() {
    shared().await;
    let registry = Registry::start(RegistryOptions::default()).await.expect("a registry");
    let digest = push((&registry.host(), None), ("down/api", "1.0.0"), "x").await;
    registry.halt().expect("it ends");
    let space = shop(json!({"name": "api", "image": format!("{}/down/api", registry.host())})).await;
    let name = release(&space, "1.0.0", json!([{"name": "api", "version": "1.0.0"}])).await;
    let said = not_sealed(&space, &name, "RegistryUnreachable").await;
    assert!(said.contains(&registry.host()), "{said}");
    let known: Release = space.api().get(&name).await.expect("the release");
    assert!(is(&known.status.expect("a status"), ConditionType::Reconciling), "it heals by itself");
    registry.resume().await.expect("it answers");
    assert_eq!(sealed(&space, &name).await.packages[0].digest, digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_secret_is_read_at_the_moment_of_use_and_what_is_wrong_with_it_is_said() {
    shared().await;
    let login = Login { user: "robot".into(), password: "right-password".into() };
    let options = RegistryOptions { auth: Some(login.clone()), ..RegistryOptions::default() };
    let registry = Registry::start(options).await.expect("a registry");
    let host = registry.host();
    let digest = push((&host, Some(&login)), ("private/api", "1.0.0"), "x").await;
    let image = format!("{host}/private/api");
    let space = shop(json!({"name": "api", "image": image})).await;
    let name = release(&space, "1.0.0", json!([{"name": "api", "version": "1.0.0"}])).await;
    let said = not_sealed(&space, &name, "RegistryUnauthorized").await;
    assert!(said.contains("without credentials") && said.contains("pullSecret"), "{said}");

    let packages = json!([{"name": "api", "image": image, "pullSecret": "private"}]);
    project(&space, packages, json!({"manifests": [config_map("settings", "one")]})).await;
    let said = not_sealed(&space, &name, "PullSecretInvalid").await;
    assert!(said.contains("Secret private does not exist"), "{said}");

    space
        .apply(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "private", "namespace": space.name},
            "stringData": {"password": "right-password"},
        }))
        .await;
    let said = wait::object(&space.api(), &name, "saying that the Secret has the wrong type", |known: &Release| {
        let ready = known.status.as_ref().and_then(|status| condition::find(&status.conditions, ConditionType::Ready));
        ready.is_some_and(|ready| ready.message.contains("kubernetes.io/dockerconfigjson"))
    })
    .await;
    assert!(!serde_json::to_string(&said).expect("JSON").contains("right-password"));

    let secrets: Api<k8s_openapi::api::core::v1::Secret> = space.api();
    secrets.delete("private", &DeleteParams::default()).await.expect("the Secret goes");
    space.apply(docker_secret("private", &space, (&host, "robot", "wrong-password"))).await;
    let said = not_sealed(&space, &name, "RegistryUnauthorized").await;
    assert!(said.contains("pullSecret") && !said.contains("wrong-password"), "{said}");

    space.apply(docker_secret("private", &space, (&host, "robot", "right-password"))).await;
    assert_eq!(sealed(&space, &name).await.packages[0].digest, digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_digest_needs_no_registry() {
    let digest = format!("sha256:{}", "d".repeat(64));
    let space =
        shop(json!({"name": "api", "image": "registry.invalid/acme/api", "pullSecret": "nobody-reads-this"})).await;
    let name = release(&space, "1.0.0", json!([{"name": "api", "version": "1.0.0", "digest": digest}])).await;
    let status = sealed(&space, &name).await;
    assert_eq!(
        (status.packages[0].digest.as_str(), status.packages[0].version.as_deref()),
        (digest.as_str(), Some("1.0.0"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_of_one_process_share_a_snapshot_that_nobody_can_change() {
    let digest = format!("sha256:{}", "e".repeat(64));
    let package = json!({"name": "api", "image": "registry.invalid/acme/api"});
    let space = shop(package.clone()).await;
    let packages = json!([{"name": "api", "digest": digest}]);
    let first = release(&space, "1.0.0", packages.clone()).await;
    let second = release(&space, "1.0.1", packages.clone()).await;
    let name = sealed(&space, &first).await.snapshot.expect("a snapshot");
    assert_eq!(sealed(&space, &second).await.snapshot.as_ref(), Some(&name));
    let read = snapshot::load(&space.client, &space.name, &name).await.expect("an answer").expect("the snapshot");
    assert_eq!(read.process[0].apply.manifests[0].object["metadata"]["name"], "settings");
    assert_eq!(read.packages[0].image, "registry.invalid/acme/api");

    let revisions: Api<ControllerRevision> = space.api();
    let stored = revisions.get(&name).await.expect("the revision");
    assert_eq!(stored.metadata.labels.expect("labels")["gantry.dev/project"], "checkout");
    let patch = Patch::Merge(json!({"data": {"process": []}}));
    let refused = revisions.patch(&name, &PatchParams::default(), &patch).await.expect_err("no change");
    assert!(refused.to_string().contains("immutable") || refused.to_string().contains("gantry"), "{refused}");

    project(&space, json!([package]), json!({"manifests": [config_map("settings", "two")]})).await;
    let third = release(&space, "1.1.0", packages).await;
    assert_ne!(sealed(&space, &third).await.snapshot, Some(name.clone()));
    assert_eq!(sealed(&space, &first).await.snapshot, Some(name));
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_of_a_config_map_are_copied_when_the_release_is_sealed() {
    let space = Space::create(shared().await.admin().await).await;
    project(&space, json!([]), json!({"manifestsFrom": {"configMap": "manifests"}})).await;
    let name = release(&space, "1.0.0", json!([])).await;
    let said = not_sealed(&space, &name, "ManifestsNotFound").await;
    assert!(said.contains("step deploy") && said.contains("ConfigMap manifests"), "{said}");

    let files = |text: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "manifests", "namespace": space.name},
            "data": {"app.yaml": text},
        })
    };
    space.apply(files("kind: [ConfigMap")).await;
    let said = not_sealed(&space, &name, "Invalid").await;
    assert!(said.contains("app.yaml") && said.contains("step deploy") && said.contains("YAML"), "{said}");
    let known: Release = space.api().get(&name).await.expect("the release");
    assert!(is(&known.status.expect("a status"), ConditionType::Stalled), "a person must act");

    space.apply(files("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {text: one}\n")).await;
    let snapshot = sealed(&space, &name).await.snapshot.expect("a snapshot");
    space.apply(files("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {text: two}\n")).await;
    let later = release(&space, "1.0.1", json!([])).await;
    assert_ne!(sealed(&space, &later).await.snapshot.as_ref(), Some(&snapshot));
    let read = snapshot::load(&space.client, &space.name, &snapshot).await.expect("an answer").expect("the snapshot");
    assert_eq!(read.process[0].apply.manifests[0].object["data"]["text"], "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_package_that_is_unknown_is_named_with_what_the_project_has() {
    let space = shop(json!({"name": "api", "image": "registry.invalid/acme/api"})).await;
    let digest = format!("sha256:{}", "f".repeat(64));
    let name = release(&space, "1.0.0", json!([{"name": "web", "digest": digest}])).await;
    let said = not_sealed(&space, &name, "UnknownPackage").await;
    assert!(
        said.contains("spec.packages[0].name") && said.contains("only api") && said.contains("package web"),
        "{said}"
    );
    // What is missing in the project can be added there: the release is looked at again.
    project(
        &space,
        json!([{"name": "web", "image": "registry.invalid/acme/web"}]),
        json!({"manifests": [config_map("a", "b")]}),
    )
    .await;
    sealed(&space, &name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_waits_for_its_project() {
    let space = Space::create(shared().await.admin().await).await;
    let name = release(&space, "1.0.0", json!([])).await;
    let said = not_sealed(&space, &name, "ProjectNotFound").await;
    assert!(said.contains("project checkout does not exist") && said.contains("spec.project"), "{said}");
    project(&space, json!([]), json!({"manifests": [config_map("settings", "one")]})).await;
    sealed(&space, &name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_too_large_says_how_large_it_may_be() {
    let space = Space::create(shared().await.admin().await).await;
    let large = "x".repeat(150 * 1024);
    project(&space, json!([]), json!({"manifests": [config_map("a", &large), config_map("b", &large)]})).await;
    let name = release(&space, "1.0.0", json!([])).await;
    let said = not_sealed(&space, &name, "SnapshotTooLarge").await;
    assert!(said.contains("may be 256"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_or_wrongly_named_release_is_refused() {
    let space = shop(json!({"name": "api", "image": "registry.invalid/acme/api"})).await;
    let digest = |letter: &str| json!([{"name": "api", "digest": format!("sha256:{}", letter.repeat(64))}]);
    release(&space, "1.0.0", digest("a")).await;
    let spec = json!({"project": "checkout", "version": "1.0.0", "packages": digest("b")});
    let refused = space.try_apply(space.object("Release", "checkout-1.0.0", spec.clone())).await.expect_err("no edit");
    assert!(refused.contains("spec is immutable") && refused.contains("another version"), "{refused}");
    let refused = space.try_apply(space.object("Release", "checkout-2.0.0", spec)).await.expect_err("no such name");
    assert!(refused.contains("metadata.name must be <spec.project>-<spec.version>"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_is_wrong_says_so_and_one_broken_release_does_not_stop_others() {
    let space = Space::create(shared().await.admin().await).await;
    let image = "registry.invalid/acme/api";
    let packages = json!([{"name": "api", "image": image}, {"name": "web", "image": image}]);
    project(&space, packages, json!({"manifests": [{"kind": "ConfigMap"}]})).await;
    let digest = format!("sha256:{}", "a".repeat(64));
    let broken =
        release(&space, "1.0.0", json!([{"name": "api", "digest": digest}, {"name": "web", "digest": digest}])).await;
    let said = not_sealed(&space, &broken, "Invalid").await;
    assert!(said.contains("spec.packages[1].image") && said.contains("given twice"), "{said}");
    assert!(said.contains("spec.process[0].apply.manifests[0].metadata.name"), "{said}");

    let other = shop(json!({"name": "api", "image": image})).await;
    let name = release(&other, "1.0.0", json!([{"name": "api", "digest": digest}])).await;
    sealed(&other, &name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_does_not_even_parse_stops_nobody() {
    let space = shop(json!({"name": "api", "image": "registry.invalid/acme/api"})).await;
    let packages = json!([{"name": "api", "digest": format!("sha256:{}", "a".repeat(64))}]);
    let broken = release(&space, "1.0.0", packages.clone()).await;
    sealed(&space, &broken).await;
    // The API server takes this time, and it is later than any that the operator can read.
    let operator = Identity::service_account("gantry-system", "gantry");
    let operator = shared().await.plane.client(&operator).await.expect("a client");
    let releases: Api<DynamicObject> = Api::namespaced_with(operator, &space.name, &ApiResource::erase::<Release>(&()));
    let patch = Patch::Merge(json!({"status": {"sealedAt": "9999-12-31T23:00:00.000000Z"}}));
    releases.patch_status(&broken, &PatchParams::default(), &patch).await.expect("the API server takes it");
    let typed: Api<Release> = space.api();
    typed.get(&broken).await.expect_err("it does not parse");
    let other = release(&space, "1.0.1", packages).await;
    sealed(&space, &other).await;
}

/// A registry on what clients take for another machine, with a certificate of this authority.
async fn secure(authority: &Authority, login: &Login) -> Registry {
    let certificate = authority.server("registry", &[REMOTE]).expect("a certificate");
    let options =
        RegistryOptions { auth: Some(login.clone()), reach: Reach::Tls(certificate), ..RegistryOptions::default() };
    Registry::start(options).await.expect("a registry")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_of_a_given_authority_is_asked_over_tls_and_a_wrong_password_names_its_secret() {
    let authority = shared().await.plane.authority();
    let login = Login { user: "robot".into(), password: "right-password".into() };
    let registry = secure(authority, &login).await;
    let host = registry.host();
    let pushed = (("secure/api", "1.0.0"), "x");
    let digest = push_over_tls((&host, Some(&login)), authority.certificate(), pushed).await;

    let space =
        shop(json!({"name": "api", "image": format!("{host}/secure/api"), "pullSecret": "company-registry"})).await;
    space.apply(docker_secret("company-registry", &space, (&host, "robot", "wrong-password"))).await;
    let name = release(&space, "1.0.0", json!([{"name": "api", "version": "1.0.0"}])).await;
    let said = not_sealed(&space, &name, "RegistryUnauthorized").await;
    assert!(said.contains("Secret company-registry") && said.contains(&host), "{said}");
    assert!(said.contains("correct that Secret") && !said.contains("wrong-password"), "{said}");

    space.apply(docker_secret("company-registry", &space, (&host, "robot", "right-password"))).await;
    assert_eq!(sealed(&space, &name).await.packages[0].digest, digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_authority_is_refused_with_the_registry_and_the_remedy() {
    shared().await;
    let stranger = Authority::create().expect("an authority");
    let login = Login { user: "robot".into(), password: "right-password".into() };
    let registry = secure(&stranger, &login).await;
    let host = registry.host();
    let space = shop(json!({"name": "api", "image": format!("{host}/secure/api"), "pullSecret": "private"})).await;
    space.apply(docker_secret("private", &space, (&host, "robot", "right-password"))).await;
    let name = release(&space, "1.0.0", json!([{"name": "api", "version": "1.0.0"}])).await;
    let said = not_sealed(&space, &name, "RegistryRefused").await;
    assert!(said.contains(&format!("registry {host}")) && said.contains("not trusted"), "{said}");
    assert!(said.contains("its issuer is not known") && said.contains("registryCA"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_tls_on_another_machine_is_refused_with_the_remedy() {
    shared().await;
    let options = RegistryOptions { reach: Reach::Plain, ..RegistryOptions::default() };
    let registry = Registry::start(options).await.expect("a registry");
    let host = registry.host();
    push((&host, None), ("plain/api", "1.0.0"), "x").await;
    let space = shop(json!({"name": "api", "image": format!("{host}/plain/api")})).await;
    let name = release(&space, "1.0.0", json!([{"name": "api", "version": "1.0.0"}])).await;
    let said = not_sealed(&space, &name, "RegistryRefused").await;
    assert!(said.contains(&format!("registry {host}")) && said.contains("plain HTTP"), "{said}");
    assert!(said.contains("plainHttpRegistries"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_tls_that_the_settings_allow_is_asked() {
    let host = shared().await.plain.host();
    let digest = push((&host, None), ("plain/api", "1.0.0"), "x").await;
    let space = shop(json!({"name": "api", "image": format!("{host}/plain/api")})).await;
    let name = release(&space, "1.0.0", json!([{"name": "api", "version": "1.0.0"}])).await;
    assert_eq!(sealed(&space, &name).await.packages[0].digest, digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_takes_tokens_is_asked_with_one_for_that_repository_alone() {
    shared().await;
    let login = Login { user: "robot".into(), password: "right-password".into() };
    let service = TokenService::start(login.clone()).await;
    let options = RegistryOptions { auth: Some(login), tokens: Some(service.auth()), ..RegistryOptions::default() };
    let registry = Registry::start(options).await.expect("a registry");
    let host = registry.host();
    let digest = push_sample(&registry, "private/api", "1.0.0").await.expect("a sample image");
    let pushed = service.scopes().len();

    let space = shop(json!({"name": "api", "image": format!("{host}/private/api"), "pullSecret": "tokens"})).await;
    space.apply(docker_secret("tokens", &space, (&host, "robot", "wrong-password"))).await;
    let name = release(&space, "1.0.0", json!([{"name": "api", "version": "1.0.0"}])).await;
    let said = not_sealed(&space, &name, "RegistryUnauthorized").await;
    assert!(said.contains("Secret tokens") && said.contains("correct that Secret"), "{said}");
    assert!(!said.contains("wrong-password"), "{said}");
    space.apply(docker_secret("tokens", &space, (&host, "robot", "right-password"))).await;
    assert_eq!(sealed(&space, &name).await.packages[0].digest, digest);

    let missing = release(&space, "9.9.9", json!([{"name": "api", "version": "9.9.9"}])).await;
    let said = not_sealed(&space, &missing, "TagNotFound").await;
    assert!(said.contains(&format!("no version 9.9.9 in {host}/private/api")), "{said}");
    let asked: BTreeSet<_> = service.scopes().into_iter().skip(pushed).collect();
    assert_eq!(asked, ["repository:private/api:pull".to_owned()].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_of_one_project_differ_in_their_images_only_and_each_applies_the_process_that_it_was_made_with() {
    let cluster = shared().await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    let space = shop(json!({"name": "api", "image": image})).await;
    space.environment("dev", 10).await;
    let process = |text: &str| json!({"manifests": [deployment("checkout", &image), config_map("settings", text)]});
    let packages = json!([{"name": "api", "image": image}]);
    project(&space, packages.clone(), process("as it was")).await;
    let mut made = Vec::new();
    for version in ["1.0.0", "1.1.0"] {
        let name = release(&space, version, json!([{"name": "api", "version": version}])).await;
        made.push(sealed(&space, &name).await);
    }
    assert_eq!(made[0].snapshot, made[1].snapshot, "one process");
    assert_ne!(made[0].packages[0].digest, made[1].packages[0].digest);
    project(&space, packages, process("edited since")).await;
    let (deployments, maps): (Api<Deployment>, Api<ConfigMap>) =
        (space.in_environment("dev"), space.in_environment("dev"));
    for (version, status) in ["1.0.0", "1.1.0"].into_iter().zip(&made) {
        space.deploy("checkout", version, "dev").await;
        let applied = deployments.get("checkout").await.expect("the Deployment").spec.expect("a spec").template.spec;
        let runs = applied.expect("a pod").containers[0].image.clone().expect("an image");
        assert_eq!(runs, format!("{image}:{version}@{}", status.packages[0].digest));
        let text = maps.get("settings").await.expect("the ConfigMap").data.expect("data")["text"].clone();
        assert_eq!(text, "as it was", "{version}");
    }
}
