//! The operator as people run it: from an image, by its Deployment, with the pod's own account, on a real node.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use gantry::api::v1alpha1::{Environment, Promotion};
use gantry_plane::image::{self, ask};
use gantry_plane::install::policies_act;
use gantry_plane::node::real::RealNode;
use gantry_plane::{Identity, Options, Plane, Program};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::support::manifest::real;
use crate::support::operator;
use crate::support::real_node::left_out;
use crate::support::space::Space;
use crate::support::wait;

/// The name in the README that stands for a registry.
const EXAMPLE: &str = "registry.example.com/gantry";

/// How long it may take after the leader's death until a promotion has run: the Lease lasts 15 s, and this machine does much else.
const TAKEN_OVER: Duration = Duration::from_secs(30);

/// The two blocks of commands in the README's section on installing, without those of Docker: with kubectl, and with Helm.
fn commands() -> [String; 2] {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("the README");
    let section = text.split("\n## Install\n").nth(1).expect("a section on installing");
    let mut blocks = section.split("```sh\n").skip(1).map(|rest| rest.split("```").next().expect("commands"));
    [(); 2].map(|()| {
        let block = blocks.next().expect("a block of commands");
        assert_eq!(block.matches(EXAMPLE).count(), 1, "the image is named once");
        let lines = block.lines().filter(|line| !line.starts_with("docker ")).map(|line| format!("{line}\n"));
        lines.collect()
    })
}

/// The block of commands in the README's section on uninstalling.
fn removal() -> String {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("the README");
    let section = text.split("\n## Uninstall\n").nth(1).expect("a section on uninstalling");
    let block = section.split("```sh\n").nth(1).expect("a block of commands");
    block.split("```").next().expect("commands").to_owned()
}

/// Types the commands, as the cluster's administrator in a checkout, and gives back what they say.
pub(crate) async fn type_in(plane: &Plane, script: &str) -> String {
    let kubectl = plane.programs().path(Program::Kubectl).expect("kubectl");
    let helm = plane.helm_program().await.expect("helm");
    let folders = [kubectl.as_path(), helm.as_path(), Path::new(env!("CARGO_BIN_EXE_gantry"))]
        .map(|program| program.parent().expect("a folder").display().to_string());
    let output = Command::new("sh")
        .args(["-exc", script])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("PATH", format!("{}:{}", folders.join(":"), std::env::var("PATH").unwrap_or_default()))
        .env("KUBECONFIG", plane.kubeconfig(&Identity::Admin).await.expect("a kubeconfig"))
        // Helm and kubectl keep what they learnt in the home directory.
        .env("HOME", plane.directory())
        .output()
        .expect("a shell");
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{errors}\n{}", state(plane));
    said.into_owned()
}

/// What the operator's pods say of themselves, for a test that fails.
fn state(plane: &Plane) -> String {
    let ask = |arguments: &[&str]| {
        let output = plane.kubectl().expect("kubectl").args(arguments).output().expect("kubectl runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let pods = ask(&["describe", "pods", "-n", "gantry-system"]);
    format!("{pods}\n{}", ask(&["logs", "-n", "gantry-system", "deployment/gantry", "--tail=30"]))
}

/// Waits until one pod of the operator is left and leads, and gives it back.
async fn leader(plane: &Plane, space: &Space) -> Pod {
    let pods: Api<Pod> = Api::namespaced(space.client.clone(), "gantry-system");
    let leases: Api<Lease> = Api::namespaced(space.client.clone(), "gantry-system");
    let found = wait::eventually("one pod of the operator leads", || async {
        let [pod] = <[Pod; 1]>::try_from(pods.list(&ListParams::default()).await.ok()?.items).ok()?;
        let holder = leases.get("gantry-leader").await.ok()?.spec?.holder_identity?;
        (holder == pod.name_any()).then_some(pod)
    });
    let found = tokio::time::timeout(wait::PATIENCE / 2, found).await;
    found.unwrap_or_else(|_| panic!("no pod leads\n{}", state(plane)))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_readme_says_installs_an_operator_that_leads_promotes_and_hands_over() {
    if let Err(why) = RealNode::available() {
        left_out("what_the_readme_says_installs_an_operator_that_leads_promotes_and_hands_over", &why);
        return;
    }
    let plane = Plane::start(Options::real()).await.expect("a cluster");
    let host = plane.registry().host();
    let program = operator::program(&plane);
    let digest = image::push_program(plane.registry(), "gantry", "0.1.0", &program).await.expect("an image");
    let sample = image::push_sample(plane.registry(), "checkout", "1.0.0").await.expect("a sample");
    let [with_kubectl, with_helm] = commands();
    let remove = "helm uninstall gantry -n gantry-system --wait";
    let with_helm = with_helm.replace(EXAMPLE, &format!("{host}/gantry"));
    let said = type_in(&plane, &format!("kubectl apply --server-side -f deploy/crds\n{with_helm}\n{remove}")).await;
    assert!(
        said.contains("gantry uninstall --operator-namespace=gantry-system --yes"),
        "its notes say how to leave: {said}"
    );
    let pinned = format!("{host}/gantry@{digest}");
    type_in(&plane, &with_kubectl.replace(&format!("{EXAMPLE}:0.1.0"), &pinned)).await;

    let client = plane.client(&Identity::Admin).await.expect("a client");
    policies_act(&client).await.expect("the policies act");
    let space = Space::create(client).await;
    let first = leader(&plane, &space).await;
    let status = first.status.as_ref().expect("a status");
    let container = &status.container_statuses.as_ref().expect("containers")[0];
    assert_eq!((container.restart_count, container.image_id.ends_with(&digest)), (0, true), "{container:?}");
    let address = status.pod_ip.as_ref().and_then(|ip| ip.parse().ok()).expect("an address");
    for (path, body) in [("/readyz", "ok; this process leads"), ("/healthz", "ok")] {
        let answer = ask(address, path).await.expect("an answer");
        assert_eq!((answer.status, answer.body.as_str()), (200, body));
    }

    let image = format!("{host}/checkout");
    space.environment("dev", 10).await;
    space.project("checkout", &image, json!([real("checkout", &image, &[])])).await;
    let packages = json!([{"name": "api", "version": "1.0.0", "digest": sample}]);
    let spec = json!({"project": "checkout", "version": "1.0.0", "packages": packages});
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    space.sealed("checkout-1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;

    // The next pod is there before this one goes, and goes on where it was.
    let restart = "kubectl rollout restart deployment/gantry -n gantry-system
                   kubectl rollout status deployment/gantry -n gantry-system --timeout=2m";
    type_in(&plane, restart).await;
    assert_ne!(leader(&plane, &space).await.name_any(), first.name_any());
    again(&space, "again").await;

    two_of_which_one_dies(&plane, &space).await;
    leaves(&plane, &space).await;
}

/// What the README says removes everything but what runs, and waits for nobody.
async fn leaves(plane: &Plane, space: &Space) {
    let promotions = space.api::<Promotion>().list(&ListParams::default()).await.expect("promotions").items;
    assert!(!promotions.is_empty() && space.api::<Environment>().get("dev").await.is_ok(), "there is what holds on");
    let exported = plane.directory().join("shop.jsonl");
    let script = removal().replace("shop.jsonl", &exported.display().to_string());
    let script = script.replace("-n shop", &format!("-n {}", space.name));
    let script = script.replace("namespace shop", &format!("namespace {}", space.name));
    let said = type_in(plane, &script).await;
    assert!(said.contains(&format!("Environment {}/dev waits for Gantry no more", space.name)), "{said}");
    let exported = std::fs::read_to_string(exported).expect("an export");
    assert!(exported.lines().count() >= promotions.len(), "{exported}");
    let namespaces: Api<Namespace> = Api::all(space.client.clone());
    for namespace in [&space.name, "gantry-system"] {
        assert!(namespaces.get_opt(namespace).await.expect("an answer").is_none(), "{namespace} is gone");
    }
    let runs = space.in_environment::<Deployment>("dev").get("checkout").await.expect("the workload");
    assert!(runs.metadata.deletion_timestamp.is_none());
}

/// Promotes once more what runs already.
async fn again(space: &Space, name: &str) {
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "dev"});
    space.apply(space.object("Promotion", name, spec)).await;
    let ended = space.ended(name).await.status.expect("a status");
    assert_eq!(ended.phase.as_deref(), Some("Succeeded"), "{:?}", ended.message);
}

/// Two replicas: one leads and one stands by; when the one that leads dies without a word, the other goes on.
async fn two_of_which_one_dies(plane: &Plane, space: &Space) {
    let first = leader(plane, space).await.name_any();
    let scale = "kubectl scale deployment/gantry -n gantry-system --replicas=2
                 kubectl rollout status deployment/gantry -n gantry-system --timeout=2m";
    type_in(plane, scale).await;
    let pods: Api<Pod> = Api::namespaced(space.client.clone(), "gantry-system");
    let both = pods.list(&ListParams::default()).await.expect("pods").items;
    let standby = both.iter().find(|pod| pod.name_any() != first).expect("a second pod");
    let address = standby.status.as_ref().and_then(|status| status.pod_ip.as_ref()?.parse().ok()).expect("an address");
    let answer = ask(address, "/readyz").await.expect("an answer");
    assert!(answer.status == 200 && !answer.body.contains("this process leads"), "{answer:?}");

    // One that stands still hears of no end, so it gives nothing up.
    let stopped = Command::new("sh").args(["-c", &format!("kill -s STOP {}", process(&first))]).status();
    assert!(stopped.expect("a shell").success());
    let dead = Instant::now();
    type_in(plane, &format!("kubectl delete pod {first} -n gantry-system --grace-period=0 --force")).await;
    again(space, "after-the-leader").await;
    assert!(dead.elapsed() < TAKEN_OVER, "it took {:?}", dead.elapsed());
    let leases: Api<Lease> = Api::namespaced(space.client.clone(), "gantry-system");
    let holder = leases.get("gantry-leader").await.expect("the Lease").spec.and_then(|spec| spec.holder_identity);
    assert!(holder.as_ref().is_some_and(|holder| *holder != first), "another leads: {holder:?}");
}

/// The process of a pod of the operator, by its environment.
fn process(pod: &str) -> u32 {
    let variable = format!("POD_NAME={pod}");
    let is_of = |id: &u32| {
        let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|found| found == variable.as_bytes())
    };
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.find(is_of).expect("a process of the pod")
}
