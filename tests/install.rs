//! What people install: `deploy/` is what Helm renders from the chart, `crds/` is what the code defines.
//!
//! `UPDATE_GOLDEN=1 cargo test --test integration install` writes both anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::Parser;
use gantry::api::crds;
use gantry::settings::CommandLine;
use gantry_plane::programs::{self, Program};
use gantry_plane::{Identity, manifests};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use serde_json::Value;

/// Which file of `deploy/` holds what is rendered from which folder or file of `templates/`.
const FILES: [(&str, &str); 4] = [
    ("namespace.yaml", "namespace.yaml"),
    ("rbac/", "rbac.yaml"),
    ("policies/", "policies.yaml"),
    ("operator.yaml", "operator.yaml"),
];

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Renders the chart with these arguments, as somebody would who installs it into `gantry-system`.
async fn helm_template(arguments: &[&str]) -> Output {
    let helm = programs::ensure(Program::Helm).await.expect("helm");
    Command::new(helm)
        .args(["template", "gantry", "charts/gantry", "--namespace=gantry-system"])
        .args(arguments)
        .current_dir(repository())
        .output()
        .expect("helm runs")
}

async fn rendered(arguments: &[&str]) -> String {
    let output = helm_template(arguments).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// What `deploy/` has to hold: the rendered documents, in Helm's order, by file.
async fn deploy_files() -> BTreeMap<&'static str, String> {
    let text = rendered(&["--set=namespace.create=true"]).await;
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    for document in text.split("---\n# Source: gantry/templates/").filter(|document| !document.trim().is_empty()) {
        let (source, body) = document.split_once('\n').expect("a source line");
        let (_, file) = FILES.iter().find(|(prefix, _)| source.starts_with(prefix)).unwrap_or_else(|| {
            panic!("templates/{source} belongs to no file of deploy/; add it to FILES in tests/install.rs")
        });
        let header = "# Rendered from charts/gantry by `helm template`. Do not edit.\n";
        let content = files.entry(file).or_insert_with(|| header.to_owned());
        content.push_str("---\n");
        content.push_str(body);
    }
    files
}

/// Compares a file with what it has to be, or writes it.
fn golden(path: &Path, expected: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, expected).expect("a file that can be written");
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is out of date; run UPDATE_GOLDEN=1 cargo test --test integration install",
        path.display()
    );
}

#[tokio::test]
async fn deploy_is_what_helm_renders_from_the_chart() {
    let files = deploy_files().await;
    assert_eq!(files.len(), FILES.len(), "each file of deploy/ has something in it");
    for (name, expected) in files {
        golden(&repository().join("deploy").join(name), &expected);
    }
}

#[test]
fn the_definitions_are_those_of_the_code() {
    let mut names = Vec::new();
    for definition in crds::all() {
        let name = format!("{}_{}.yaml", definition.spec.group, definition.spec.names.plural);
        let expected = crds::to_yaml(&definition).expect("YAML");
        for folder in ["crds", "deploy/crds"] {
            golden(&repository().join(folder).join(&name), &expected);
        }
        names.push(name);
    }
    for folder in ["crds", "deploy/crds"] {
        let entries = fs::read_dir(repository().join(folder)).expect("a folder");
        let mut found: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
        found.sort();
        assert_eq!(found, names, "{folder} has one file for each kind");
    }
}

#[tokio::test]
async fn the_chart_refuses_values_that_it_does_not_know_or_that_make_no_sense() {
    for (argument, field) in [
        ("--set=replicas=3", "replicas"),
        ("--set=replica=1", "replica"),
        ("--set=image.tag=a b", "tag"),
        ("--set=image.digest=sha256:12", "digest"),
        ("--set=log.format=xml", "format"),
        ("--set=clusterRoles={shop-deployer,edit}", "clusterRoles"),
        ("--set=plainHttpRegistries={http://registry}", "plainHttpRegistries"),
        ("--set=internalRegistries={10.0.0.0/8}", "internalRegistries"),
    ] {
        let output = helm_template(&[argument]).await;
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && message.contains(field), "{argument}: {message}");
    }
}

/// The operator's Deployment as rendered with these arguments.
async fn deployment(arguments: &[&str]) -> Value {
    let documents = manifests::documents(&rendered(arguments).await).expect("YAML");
    documents.into_iter().find(|document| document["kind"] == "Deployment").expect("a Deployment")
}

#[tokio::test]
async fn the_operator_understands_the_arguments_that_the_chart_gives_it() {
    let deployment = deployment(&[
        "--set=plainHttpRegistries={registry.local:5000}",
        "--set=internalRegistries={registry.local:5000,10.0.0.7}",
        "--set=registryCA.configMap=authorities",
        "--set=log.level=debug",
    ])
    .await;
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let arguments = container["args"].as_array().expect("arguments").iter().map(|value| value.as_str().expect("text"));
    let parsed = CommandLine::try_parse_from(std::iter::once("gantry").chain(arguments)).expect("arguments that exist");
    let gantry::settings::Command::Controller(settings) = parsed.command else {
        panic!("the chart does not start the operator")
    };
    assert_eq!(settings.plain_http_registries, ["registry.local:5000"]);
    assert_eq!(settings.internal_registries, ["registry.local:5000", "10.0.0.7"]);
    assert_eq!(settings.log_level, "debug");
    let mount = container["volumeMounts"][0]["mountPath"].as_str().expect("a path");
    assert_eq!(settings.registry_ca, Some(Path::new(mount).join("ca.crt")));
    let volume = &deployment["spec"]["template"]["spec"]["volumes"][0];
    assert_eq!(
        (&volume["name"], &volume["configMap"]["name"]),
        (&container["volumeMounts"][0]["name"], &"authorities".into())
    );
    assert_eq!(container["ports"][0]["containerPort"], settings.listen.port());
}

#[tokio::test]
async fn a_digest_pins_the_image_and_the_tag_stays_for_people() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let deployment = deployment(&["--set=image.tag=1.2.3", &format!("--set=image.digest={digest}")]).await;
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, &format!("registry.example.com/gantry:1.2.3@{digest}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_pod_is_admitted_under_pod_security_restricted() {
    let plane = crate::policies::cluster().await;
    let client = plane.client(&Identity::Admin).await.expect("a client");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = namespaces.get("gantry-system").await.expect("the namespace");
    assert_eq!(namespace.labels()["pod-security.kubernetes.io/enforce"], "restricted");
    let mut pod = deployment(&[]).await["spec"]["template"].clone();
    pod["metadata"]["name"] = "gantry".into();
    let pod: Pod = serde_json::from_value(pod).expect("a pod");
    let pods: Api<Pod> = Api::namespaced(client, "gantry-system");
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    pods.create(&dry_run, &pod).await.expect("a pod that Pod Security lets through");
}

/// The folders of samples: what the demo applies first and later, and more, each for itself.
const SAMPLES: [&str; 3] = ["checkout", "later", "more"];

/// Every sample, by its name in the folders: `more/pins`.
fn samples() -> BTreeMap<String, String> {
    let files = SAMPLES.iter().flat_map(|folder| {
        let files = fs::read_dir(repository().join("deploy/samples").join(folder)).expect("the samples");
        files.map(move |file| (folder, file.expect("a file").path()))
    });
    files
        .map(|(folder, path)| {
            let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
            (format!("{folder}/{name}"), fs::read_to_string(&path).expect("text"))
        })
        .collect()
}

#[test]
fn every_kind_that_people_write_has_a_sample() {
    let text: String = samples().into_values().collect();
    for definition in gantry::api::crds::all() {
        let kind = definition.spec.names.kind;
        // What is kept for the audit is written by Gantry alone; an approval names one promotion by its UID, so the README has one
        // to fill in.
        let written = !kind.starts_with("Audit") && kind != "Approval";
        assert_eq!(text.lines().any(|line| line == format!("kind: {kind}")), written, "{kind}");
    }
}

#[test]
fn every_sample_is_applied_by_the_demo_or_a_test() {
    let mut sources = vec![repository().join("examples/demo.rs")];
    let mut folders = vec![repository().join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("rs") => sources.push(path),
                None if path.is_dir() => folders.push(path),
                _ => {}
            }
        }
    }
    let text: String = sources.iter().map(|path| fs::read_to_string(path).expect("text")).collect();
    for sample in samples().keys() {
        let (_, name) = sample.split_once('/').expect("a folder");
        let said = [format!("{sample}\""), format!("{sample}.yaml\""), format!("\"{name}\"")];
        assert!(said.iter().any(|said| text.contains(said)), "no test applies deploy/samples/{sample}.yaml");
    }
}
