//! The figures of the rules: gates, lifecycles and variables with many projects. `cargo bench` prints them as a table;
//! `-- --small` takes a twentieth of the projects, to see that it works.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark fails loudly, as a test does"
)]

#[allow(dead_code, unused_imports, reason = "the harness of the tests; a benchmark needs only some of it")]
#[path = "../tests/support.rs"]
mod support;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use futures::StreamExt;
use gantry::api::v1alpha1::{Promotion, Release};
use gantry::cluster::client::Cluster;
use gantry::cluster::discovery::Discovery;
use gantry::cluster::events::Events;
use gantry::cluster::tasks::Tasks;
use gantry::controllers::audit::ledger::Ledger;
use gantry::controllers::context::Context;
use gantry::controllers::guard::{Guard, Own};
use gantry::controllers::hosts::Hosts;
use gantry::controllers::outcomes::Outcomes;
use gantry::controllers::promotion::facts;
use gantry::controllers::promotion::reads;
use gantry::controllers::secret_versions::SecretVersions;
use gantry::controllers::stores::Stores;
use gantry::controllers::workloads::Workloads;
use gantry::domain::variable::resolve::resolve;
use gantry::domain::variable::{Candidate, Content, Declared, Scope, Source, Subject, Variable};
use gantry::registry::{Access, Resolver};
use gantry::settings::{Command, CommandLine};
use gantry::telemetry::metrics::Metrics;
use gantry_plane::{Identity, Options, Plane};
use kube::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use serde_json::{Value, json};
use support::manifest::config_map;
use support::operator::{self, Operator};
use support::shared;
use support::space::Space;

/// Environments of the space, first to last.
const ENVIRONMENTS: [&str; 5] = ["dev", "test", "load", "staging", "production"];
/// Releases of each project.
const RELEASES: usize = 10;
/// How many variables are resolved at once, half of them in sets.
const VARIABLES: usize = 10_000;
/// How many promotions are judged.
const JUDGED: usize = 2_000;
/// How many projects have a release in dev, which a change of its soak concerns.
const DEPLOYED: usize = 20;

#[tokio::main]
async fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let small = std::env::args().any(|argument| argument == "--small");
    let projects: usize = if small { 50 } else { 1_000 };
    let mut rows = vec![variables()];
    let plane = shared::own(Options::default().without_audit_bodies()).await;
    let operator = Operator::start_quietly(&plane, "rules").await;
    let space = fill(&plane, projects).await;
    let memory = |kib: u64| format!("{} MiB", kib / 1024);
    let objects = format!("{projects} projects, {} releases", projects * RELEASES);
    rows.push([
        format!("resident memory of the operator with {objects}, now / peak"),
        format!("{} / {}", memory(operator.resident_memory(&plane)), memory(operator.peak_memory(&plane))),
        "≤ 150 MiB".to_owned(),
    ]);
    rows.push(gates(&plane, &space, &objects).await);
    rows.extend(lifecycle_edit(&plane, (&space, &operator), projects * RELEASES).await);
    rows.push(restart(&plane, &operator, &objects).await);
    println!("\n| figure | measured | goal |\n|---|---|---|");
    for [figure, measured, goal] in rows {
        println!("| {figure} | {measured} | {goal} |");
    }
}

/// The figures that need no cluster: ten thousand variables, each with a value for all and one for an environment.
fn variables() -> [String; 3] {
    let scoped = Scope { environments: vec!["production".to_owned()], ..Scope::default() };
    let value = |text: &str, scope: Scope| Candidate { content: Content::Value(json!(text)), scope };
    let variable = |number: usize| Variable {
        name: format!("V{number}"),
        values: vec![value("a", Scope::default()), value("b", scoped.clone())],
        prompt: None,
    };
    let declared = [
        Declared { source: Source::Project, variables: (0..VARIABLES / 2).map(variable).collect() },
        Declared {
            source: Source::Set("shared".into()),
            variables: (VARIABLES / 2..VARIABLES).map(variable).collect(),
        },
    ];
    let subject = Subject {
        environment: "production".into(),
        target: "default".into(),
        roles: Vec::new(),
        channel: None,
        step: "deploy".into(),
    };
    let mut times = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        let resolution = resolve(&declared, &[], &subject);
        times.push(begun.elapsed());
        assert_eq!(black_box(resolution).len(), VARIABLES);
    }
    ["10,000 variables resolved".to_owned(), percentiles(&mut times), "≤ 10 ms".to_owned()]
}

fn percentiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |percent: usize| {
        let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(place).map_or_else(String::new, |time| format!("{:.2} ms", time.as_secs_f64() * 1000.0))
    };
    format!("p50 {}, p99 {}", at(50), at(99))
}

/// One space with all of it: every project follows one lifecycle, some have a release in dev.
async fn fill(plane: &Plane, projects: usize) -> Space {
    let space = Space::create(plane.client(&Identity::Admin).await.expect("a client")).await;
    for (order, name) in (1..).zip(ENVIRONMENTS) {
        space.environment(name, order).await;
    }
    space.apply(lifecycle(&space, None)).await;
    let apply = |object: Value| space.apply(object);
    let made = (0..projects).map(|n| {
        let name = format!("p{n}");
        let apply = json!({"manifests": [config_map(&name, "one")]});
        let process = json!([{"name": "deploy", "timeout": "5m", "apply": apply}]);
        space.object("Project", &name, json!({"lifecycle": "standard", "process": process}))
    });
    futures::stream::iter(made).map(apply).buffer_unordered(32).for_each(std::future::ready).await;
    let sealed = tokio::spawn(all_sealed(space.api(), projects * RELEASES));
    let releases =
        (0..projects).flat_map(|n| (0..RELEASES).map(move |version| (format!("p{n}"), format!("1.{version}.0"))));
    let releases = releases.map(|(project, version)| {
        space.object("Release", &format!("{project}-{version}"), json!({"project": project, "version": version}))
    });
    futures::stream::iter(releases).map(apply).buffer_unordered(32).for_each(std::future::ready).await;
    sealed.await.expect("every release is sealed");
    for n in 0..DEPLOYED.min(projects) {
        space.deploy(&format!("p{n}"), "1.0.0", "dev").await;
    }
    support::quiet::until_quiet(plane).await;
    space
}

/// One phase for each environment; the first one may have a soak.
fn lifecycle(space: &Space, soak: Option<&str>) -> Value {
    let phase = |name: &str| json!({"name": name, "environments": [name]});
    let mut phases: Vec<Value> = ENVIRONMENTS.into_iter().map(phase).collect();
    if let (Some(soak), Some(first)) = (soak, phases.first_mut().and_then(Value::as_object_mut)) {
        first.insert("soak".to_owned(), soak.into());
    }
    space.object("Lifecycle", "standard", json!({"phases": phases}))
}

async fn all_sealed(releases: Api<Release>, count: usize) {
    let mut changes = watcher(releases, watcher::Config::default()).applied_objects().boxed();
    let mut sealed = std::collections::BTreeSet::new();
    while sealed.len() < count {
        let Some(Ok(release)) = changes.next().await else { continue };
        if release.status.as_ref().is_some_and(|status| status.sealed_at.is_some()) {
            sealed.insert(release.metadata.name.unwrap_or_default());
        }
    }
}

/// How long it takes from a promotion to the verdict of its gates, with everything in the caches of this process.
async fn gates(plane: &Plane, space: &Space, objects: &str) -> [String; 3] {
    let mut tasks = Tasks::default();
    let context = context(plane, &mut tasks).await;
    let mut times = Vec::new();
    for n in 0..JUDGED {
        let (project, version) = (format!("p{}", n % 50), format!("1.{}.0", n % RELEASES));
        let environment = ENVIRONMENTS.get(n % ENVIRONMENTS.len()).copied().unwrap_or("dev");
        let spec = json!({"project": project, "version": version, "environment": environment,
            "requestedBy": {"username": "ann", "uid": "1"}});
        let mut promotion = space.object("Promotion", "judged", spec);
        promotion["metadata"]["uid"] = json!("judged");
        let promotion: Promotion = serde_json::from_value(promotion).expect("a promotion");
        let promotion = Arc::new(promotion);
        let begun = Instant::now();
        let observed = reads::cached(&context, promotion);
        let subject = facts::subject(&observed).expect("names");
        let facts = facts::facts(&observed, subject);
        times.push(begun.elapsed());
        black_box(facts);
    }
    tasks.abort().await;
    [format!("gates of a promotion decided, with {objects}"), percentiles(&mut times), "≤ 1 ms".to_owned()]
}

/// What controllers are given, in this process: it reads the cluster and writes nothing.
async fn context(plane: &Plane, tasks: &mut Tasks) -> Context {
    let kubeconfig = operator::kubeconfig(plane).await;
    let arguments = ["gantry".to_owned(), "controller".to_owned(), format!("--kubeconfig={}", kubeconfig.display())];
    let Command::Controller(settings) = CommandLine::parse_from(arguments).command else { panic!("a controller") };
    let metrics = Metrics::new().expect("metrics");
    let cluster = Cluster::connect(Some(&kubeconfig), "bench", metrics.clone()).await.expect("a cluster");
    let stores = Stores::start(&cluster.client(), tasks);
    let workloads = Workloads::start(&cluster.client(), tasks);
    let guard = Guard::start(&cluster.client(), tasks);
    stores.until_synced().await;
    guard.until_synced().await;
    let own = Own::new(&settings.namespace, shared::OPERATOR.to_owned());
    guard.look(&cluster.client(), &own).await;
    let (events, _) = Events::new(&cluster.client(), "bench", metrics.clone());
    Context {
        discovery: Discovery::new(cluster.client()),
        account: String::new(),
        hosts: Hosts::default(),
        registry: Arc::new(Resolver::new(&Access::default()).expect("a client")),
        outcomes: Outcomes::default(),
        ledger: Ledger::default(),
        guard,
        secret_versions: SecretVersions::default(),
        settings: Arc::new(*settings),
        cluster,
        events,
        metrics,
        stores,
        workloads,
    }
}

/// The soak of the first phase changes: every release is judged anew, and written where the change shows.
async fn lifecycle_edit(plane: &Plane, (space, operator): (&Space, &Operator), releases: usize) -> Vec<[String; 3]> {
    let (before, mark) = (runs(operator).await, plane.audit().mark());
    let begun = Instant::now();
    space.apply(lifecycle(space, Some("1s"))).await;
    while runs(operator).await < before + releases as u64 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = begun.elapsed();
    support::quiet::until_quiet(plane).await;
    let events = plane.audit().since(mark).expect("the audit log");
    let writes = events.iter().filter(|event| shared::is_write_of_the_operator(event) && event.resource == "releases");
    vec![
        [
            format!("a Lifecycle edit judges {releases} releases anew"),
            format!("{:.2} s", took.as_secs_f64()),
            "≤ 2 s".to_owned(),
        ],
        [
            format!("writes of releases for that, where it shows in {DEPLOYED} of them"),
            writes.count().to_string(),
            DEPLOYED.to_string(),
        ],
    ]
}

/// How long an operator that was killed takes from its start until it has seen everything and is ready.
async fn restart(plane: &Plane, operator: &Operator, objects: &str) -> [String; 3] {
    let mut times = Vec::new();
    for _ in 0..5 {
        operator.kill(plane);
        let begun = Instant::now();
        operator.resume(plane).await;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    [
        format!("started again with {objects} → ready, median of {}", times.len()),
        format!("{:.1} s", median.as_secs_f64()),
        "≤ 2 s".to_owned(),
    ]
}

/// How many runs of releases the operator has counted.
async fn runs(operator: &Operator) -> u64 {
    let (_, text) = operator.get("/metrics").await.expect("metrics");
    let of_releases = text.lines().filter(|line| line.starts_with("gantry_reconciles_total{controller=\"release\""));
    of_releases.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}
