//! Starts the operator: watches, leader election, controllers; and ends it in order.

mod records;
mod seen;
mod started;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::api::RECORDED_FINALIZER;
use crate::cluster::client::Cluster;
use crate::cluster::discovery::Discovery;
use crate::cluster::error::ClusterError;
use crate::cluster::events::Events;
use crate::cluster::lease::Election;
use crate::cluster::runner::{Queue, Quiet};
use crate::cluster::tasks::{Ended, Tasks};
use crate::cluster::watches::Watches;
use crate::controllers::approval::ApprovalController;
use crate::controllers::audit::ledger::Ledger;
use crate::controllers::context::Context;
use crate::controllers::deployments::DeploymentsController;
use crate::controllers::environment::Environments;
use crate::controllers::environment::provisioned::Provisioned;
use crate::controllers::freeze::FreezeController;
use crate::controllers::guard::{Guard, Own};
use crate::controllers::hosts::Hosts;
use crate::controllers::lifecycle::LifecycleController;
use crate::controllers::outcomes::Outcomes;
use crate::controllers::pin::PinController;
use crate::controllers::project::ProjectController;
use crate::controllers::project::series::Series;
use crate::controllers::promotion::PromotionController;
use crate::controllers::promotion::reads::snapshots::Snapshots;
use crate::controllers::promotion::work::bench::Bench;
use crate::controllers::release::ReleaseController;
use crate::controllers::secret_versions::SecretVersions;
use crate::controllers::stores::Stores;
use crate::controllers::variable_set::VariableSetController;
use crate::controllers::wakes::{Queues, Wakes};
use crate::controllers::workloads::Workloads;
use crate::registry::{Access, Resolver};
use crate::server::{self, Probes};
use crate::settings::Settings;
use crate::steps::health::trim::trim;
use crate::telemetry::metrics::Metrics;
use seen::Seen;
use started::Started;

/// Rows are written at most this often per object, so that a burst of promotions is one write; and the more of it there is, the
/// less often. A promotion itself tells at once.
const ROWS: Quiet = Quiet { least: Duration::from_millis(200), most: Duration::from_secs(5) };
/// What others wait for is looked at at most this often per object.
const COALESCE: Quiet = Quiet::always(Duration::from_millis(200));
/// How long an orderly stop waits for the last Events.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The leader Lease.
pub(super) const LEASE: &str = "gantry-leader";

/// Why the operator ended.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The API server cannot be reached.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A metric is registered twice: a bug of ours.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The registry client cannot be built.
    #[error("registry client: {0}")]
    Registry(String),
    /// The authorities of registries cannot be used.
    #[error("{}: {why}; give a PEM file of certificates with --registry-ca, or leave it out", .path.display())]
    RegistryCa {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The address of metrics and probes is taken.
    #[error("cannot listen on {0}: {1}; choose another with --listen")]
    Listen(std::net::SocketAddr, std::io::Error),
    /// Another process leads now. Whoever started this one starts it again.
    #[error("this process no longer leads")]
    LostLead,
    /// A watch, a controller or the like ended, which none of them may.
    #[error(transparent)]
    TaskEnded(#[from] Ended),
}

/// Runs the operator until the token is cancelled.
///
/// # Errors
/// When it cannot start, when it loses the lead, and when a part of it ends: then the process ends, so that nothing of it can
/// act any more.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<(), StartError> {
    let registry = resolver(&settings)?;
    let metrics = Metrics::new()?;
    let cluster = Cluster::connect(settings.kubeconfig.as_deref(), &settings.identity, metrics.clone()).await?;
    let listener = listen(&settings).await?;
    let mut tasks = Tasks::default();
    let stores = Stores::start(&cluster.client(), &mut tasks);
    let provisioned = Provisioned::start(&cluster.client(), &mut tasks);
    let workloads = Workloads::start(&cluster.client(), &mut tasks);
    let guard = Guard::start(&cluster.client(), &mut tasks);
    let (events, writer) = Events::new(&cluster.client(), &settings.identity, metrics.clone());
    tasks.spawn("the writer of Events", writer);
    let broken = Arc::new(OnceLock::new());
    let seen = Seen {
        stores: stores.clone(),
        provisioned: provisioned.clone(),
        workloads: workloads.clone(),
        guard: guard.clone(),
        broken: Arc::clone(&broken),
    };
    let probes: Arc<dyn Probes> = Arc::new(seen.clone());
    let served = server::serve(listener, (metrics.clone(), probes), stop.clone());
    tasks.spawn("the server of metrics and probes", async move {
        if let Err(error) = served.await {
            tracing::error!(%error, "metrics and probes are no longer served");
        }
    });
    // Whoever cannot see everything must not lead.
    let own = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        ended = tasks.first_end() => return Err(ended.into()),
        own = seen.everything(&cluster, &settings.namespace) => own,
    };
    tasks.spawn("the guard", guard.clone().run((cluster.client(), own.clone()), settings.guard_seconds));
    let (mut leads, election) = elect(&settings, &cluster, &stop);
    let context = Arc::new(Context {
        account: own.account.clone(),
        hosts: Hosts::default(),
        discovery: Discovery::new(cluster.client()),
        registry,
        outcomes: Outcomes::default(),
        guard,
        secret_versions: SecretVersions::default(),
        ledger: Ledger::default(),
        settings: Arc::new(settings),
        cluster,
        events,
        metrics,
        stores,
        workloads,
    });
    let lead = Lead { context, own, provisioned, broken, stop: stop.clone() };
    let ended = lead.run(&mut leads, &mut tasks).await;
    lead.context.events.finish(LAST_WORDS).await;
    stop.cancel();
    // The Lease is given up last, when nothing acts any more.
    drop(leads);
    let _ = election.await;
    tasks.abort().await;
    ended
}

async fn listen(settings: &Settings) -> Result<TcpListener, StartError> {
    TcpListener::bind(settings.listen).await.map_err(|error| StartError::Listen(settings.listen, error))
}

/// What asks registries.
fn resolver(settings: &Settings) -> Result<Arc<Resolver>, StartError> {
    let resolver = Resolver::new(&access(settings)?);
    resolver.map(Arc::new).map_err(|error| StartError::Registry(error.to_string()))
}

/// How registries may be reached.
fn access(settings: &Settings) -> Result<Access, StartError> {
    let plain_http = settings.plain_http_registries.iter().cloned().collect();
    let internal = settings.internal_registries.iter().cloned().collect();
    let access = Access { plain_http, internal, certificates: Vec::new() };
    let Some(path) = &settings.registry_ca else { return Ok(access) };
    let unusable = |why: String| StartError::RegistryCa { path: path.clone(), why };
    let certificates = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let access = Access { certificates, ..access };
    access.check().map_err(unusable)?;
    Ok(access)
}

/// Takes part in the election.
fn elect(
    settings: &Settings,
    cluster: &Cluster,
    stop: &CancellationToken,
) -> (watch::Receiver<bool>, tokio::task::JoinHandle<()>) {
    let (sender, leads) = watch::channel(false);
    let duration = Duration::from_secs(u64::from(settings.lease_seconds));
    let election = Election {
        namespace: settings.namespace.clone(),
        name: LEASE.to_owned(),
        identity: settings.identity.clone(),
        duration,
        interval: duration / 7,
    };
    let (client, gate) = (cluster.election_client(), cluster.gate().clone());
    (leads, tokio::spawn(election.run(client, gate, (sender, stop.clone()))))
}

/// The lead, and what this process does while it has it.
struct Lead {
    context: Arc<Context>,
    own: Own,
    provisioned: Provisioned,
    broken: Arc<OnceLock<String>>,
    stop: CancellationToken,
}

impl Lead {
    /// Waits until this process leads, then runs every controller until it no longer does, is told to stop, or a part of it
    /// ends by itself.
    async fn run(&self, leads: &mut watch::Receiver<bool>, tasks: &mut Tasks) -> Result<(), StartError> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(()),
            ended = tasks.first_end() => return Err(self.broke(ended)),
            _ = leads.wait_for(|leads| *leads) => {}
        }
        self.context.metrics.leads(true);
        tracing::info!(identity = self.context.settings.identity, "this process leads");
        let working = self.stop.child_token();
        let mut controllers = start(&self.context, &self.provisioned, &working);
        let started = Started { context: Arc::clone(&self.context), stop: working.clone() };
        let memory = self.context.guard.clone().remember(self.context.cluster.client(), self.own.clone());
        started.until_stopped(&mut controllers, "the memory of the guard", memory);
        let ended = tokio::select! {
            biased;
            () = self.stop.cancelled() => Ok(()),
            _ = leads.wait_for(|leads| !*leads) => Err(StartError::LostLead),
            ended = controllers.first_end() => Err(self.broke(ended)),
            ended = tasks.first_end() => Err(self.broke(ended)),
        };
        working.cancel();
        self.context.metrics.leads(false);
        controllers.finish().await;
        ended
    }

    /// What ended is said at once, by the log and `/healthz`; what is under way may still be finished.
    fn broke(&self, ended: Ended) -> StartError {
        tracing::error!(error = %ended, "this process ends");
        self.broken.get_or_init(|| ended.to_string());
        ended.into()
    }
}

/// Every controller with its queue, and the wakes that feed them.
fn start(context: &Arc<Context>, provisioned: &Provisioned, stop: &CancellationToken) -> Tasks {
    let mut tasks = Tasks::default();
    let (projects, project_requests) = Queue::new();
    let (releases, release_requests) = Queue::new();
    let (environments, environment_requests) = Queue::new();
    let (changed, objects) = mpsc::unbounded_channel();
    let bench = Bench::default();
    expect_ends(context);
    let started = Started { context: Arc::clone(context), stop: stop.clone() };
    let promotion = PromotionController {
        context: Arc::clone(context),
        bench: bench.clone(),
        watches: Watches::new(changed, trim),
        snapshots: Snapshots::default(),
    };
    let promotions = started.promotions(&mut tasks, promotion);
    let shared = || Arc::clone(context);
    let project = ProjectController::new(shared(), Series::new(context.metrics.clone()), projects.clone());
    started.spawn(&mut tasks, project, (project_requests, ROWS));
    let deployments = started.queue(&mut tasks, DeploymentsController { context: shared() }, ROWS);
    let lifecycles = started.queue(&mut tasks, LifecycleController { context: shared() }, COALESCE);
    let freezes = started.queue(&mut tasks, FreezeController { context: shared() }, ROWS);
    let pins = started.queue(&mut tasks, PinController { context: shared() }, COALESCE);
    let variable_sets = started.queue(&mut tasks, VariableSetController { context: shared() }, COALESCE);
    let approvals = started.queue(&mut tasks, ApprovalController { context: shared() }, Quiet::NONE);
    let release = ReleaseController::new(shared(), releases.clone());
    started.spawn(&mut tasks, release, (release_requests, ROWS));
    let environment = Environments::new(context.as_ref().clone(), provisioned.clone());
    started.spawn(&mut tasks, environment, (environment_requests, Quiet::NONE));
    let commands = started.commands(&mut tasks);
    records::start(&started, &mut tasks);
    started.wake(&mut tasks, provisioned, environments);
    started.until_stopped(&mut tasks, "the wake-ups by what runs", context.workloads.clone().wake(projects.clone()));
    let queues = Queues {
        promotions,
        projects,
        releases,
        deployments,
        lifecycles,
        freezes,
        pins,
        variable_sets,
        approvals,
        commands,
    };
    let wakes = Wakes { context: shared(), queues, bench };
    started.until_stopped(&mut tasks, "the wakes", wakes.run(objects));
    tasks
}

/// Ends that were written before this process led: until each has come back, nobody else may know it.
fn expect_ends(context: &Context) {
    for promotion in context.stores.finished.all() {
        let meta = &promotion.metadata;
        if meta.finalizers.iter().flatten().any(|finalizer| finalizer == RECORDED_FINALIZER) {
            let text = |field: &Option<String>| field.clone().unwrap_or_default();
            context.outcomes.await_end(&text(&meta.uid), &text(&meta.namespace));
        }
    }
}
