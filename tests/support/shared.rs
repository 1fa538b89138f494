//! The cluster that tests share, and how Gantry is installed into one.

use gantry_plane::{AuditEvent, Identity, Options, Plane, manifests};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::runtime::conditions::is_crd_established;
use kube::{Api, Client};
use tokio::sync::OnceCell;

use super::operator::Operator;
use super::wait;

/// The cluster and the operator.
pub struct Shared {
    /// The cluster.
    pub plane: Plane,
    /// The operator that serves every space.
    pub operator: Operator,
    /// Whether real containers run; else their tests say that they did not.
    pub real: bool,
}

static SHARED: OnceCell<Shared> = OnceCell::const_new();

/// The cluster that all tests share; the first one to ask starts it.
pub async fn shared() -> &'static Shared {
    SHARED.get_or_init(start).await
}

async fn start() -> Shared {
    trust();
    let real = gantry_plane::node::real::RealNode::available().is_ok();
    let options = Options::default().with_simulated_nodes(2);
    let plane = Plane::start(if real { options.with_real_node() } else { options }).await.expect("a cluster");
    for version in ["1.0.0", "1.1.0", "1.2.0-rc.1", "2.0.0"] {
        gantry_plane::image::push_sample(plane.registry(), "checkout", version).await.expect("a sample image");
    }
    install(&plane).await;
    let operator = Operator::start(&plane, "shared").await;
    Shared { plane, operator, real }
}

/// A cluster of a test's own, with Gantry installed and no operator running.
pub async fn own(options: Options) -> Plane {
    trust();
    let plane = Plane::start(options).await.expect("a cluster");
    install(&plane).await;
    plane
}

/// rustls must be told which cryptography to use; ring is the one of this project.
fn trust() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Shared {
    /// A client that may do everything, for this test's runtime.
    pub async fn admin(&self) -> Client {
        self.plane.client(&Identity::Admin).await.expect("a client")
    }
}

/// Installs Gantry as the README says, without the Deployment: the operator is a process of the test.
pub async fn install(plane: &Plane) {
    let client = plane.client(&Identity::Admin).await.expect("a client");
    for text in files("crds") {
        manifests::apply(&client, "test", &text).await.expect("a definition");
    }
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for kind in ["auditrecords", "environments", "projects", "promotions", "releases", "variablesets"] {
        wait::until(&definitions, &format!("{kind}.gantry.dev"), "established", is_crd_established()).await;
    }
    for text in files("deploy") {
        for document in manifests::documents(&text).expect("YAML") {
            if document["kind"] != "Deployment" {
                let text = document.to_string();
                manifests::apply(&client, "test", &text).await.unwrap_or_else(|error| panic!("{error}: {text}"));
            }
        }
    }
    policies_act(&client).await;
}

/// A new policy takes seconds to act: tried until a forged promotion comes back stamped (a dry run, nothing is stored).
async fn policies_act(client: &Client) {
    use gantry::api::v1alpha1::Promotion;
    use kube::api::PostParams;
    let promotions: Api<Promotion> = Api::namespaced(client.clone(), "default");
    let forged: Promotion = serde_json::from_value(serde_json::json!({
        "apiVersion": "gantry.dev/v1alpha1", "kind": "Promotion", "metadata": {"name": "forged"},
        "spec": {"project": "x", "version": "1", "environment": "y", "requestedBy": {"username": "nobody"}},
    }))
    .expect("a promotion");
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    wait::eventually("the admission policies act", || async {
        let stamped = promotions.create(&dry, &forged).await.ok()?;
        let by = stamped.spec.requested_by?.username;
        (by != "nobody" && stamped.metadata.finalizers.is_some()).then_some(())
    })
    .await;
}

/// Every YAML file of a folder of the repository, by name.
fn files(folder: &str) -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    paths.sort();
    // The namespace comes before what is in it.
    paths.sort_by_key(|path| !path.ends_with("namespace.yaml"));
    paths.iter().map(|path| std::fs::read_to_string(path).expect("a readable file")).collect()
}

/// Whether a request was a write of the operator, as itself or as somebody else, other than to its leader Lease.
pub fn is_write_of_the_operator(event: &AuditEvent) -> bool {
    let leader = event.resource == "leases" && event.namespace == "gantry-system";
    event.user == "system:serviceaccount:gantry-system:gantry" && is_write(event) && !leader
}

/// Whether a request was to change something.
pub fn is_write(event: &AuditEvent) -> bool {
    !["get", "list", "watch"].contains(&event.verb.as_str()) && !event.dry_run
}
