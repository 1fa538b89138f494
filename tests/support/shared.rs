//! The cluster that tests share, and how Gantry is installed into one.

use gantry::controllers::guard::forged;
use gantry_plane::{AuditEvent, Identity, Options, Plane, Reach, Registry, RegistryOptions};
use kube::Client;
use tokio::sync::OnceCell;

use super::operator::Operator;
use super::wait;

/// The cluster and the operator.
pub struct Shared {
    /// The cluster.
    pub plane: Plane,
    /// The operator that serves every space.
    pub operator: Operator,
    /// A registry without TLS that the operator's settings allow, although it is not `localhost`.
    pub plain: Registry,
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
    let options = RegistryOptions { reach: Reach::Plain, ..RegistryOptions::default() };
    let plain = Registry::start(options).await.expect("a registry");
    let operator = Operator::start_allowing(&plane, "shared", &plain).await;
    Shared { plane, operator, plain, real }
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
async fn install(plane: &Plane) {
    let client = plane.client(&Identity::Admin).await.expect("a client");
    let checkout = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    gantry_plane::install::install(&client, "test", checkout).await.unwrap_or_else(|error| panic!("{error}"));
    // They take a moment to act. An operator that sees them act only later vouches for nothing that was made in that second or before.
    let operator = plane.client(&Identity::service_account("gantry-system", "gantry")).await.expect("a client");
    wait::eventually("the policies act", || async { forged::refused(&operator, "gantry-system").await.ok() }).await;
}

/// How the API server knows the operator.
pub const OPERATOR: &str = "system:serviceaccount:gantry-system:gantry";

/// Whether a request was a write of the operator, as itself or as somebody else, other than to its leader Lease.
pub fn is_write_of_the_operator(event: &AuditEvent) -> bool {
    let leader = event.resource == "leases" && event.namespace == "gantry-system";
    event.user == OPERATOR && is_write(event) && !leader
}

/// Whether a request was to change something. To ask who one is has the verb create, and stores nothing.
pub fn is_write(event: &AuditEvent) -> bool {
    let asks = event.resource == "selfsubjectreviews";
    !["get", "list", "watch"].contains(&event.verb.as_str()) && !event.dry_run && !asks
}
