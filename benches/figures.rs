//! The figures of the README, measured on a real API server with simulated nodes. `cargo bench` prints them as a table.
//!
//! Times are what a client sees: from the answer to its create to the change that its own watch shows.
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

#[path = "burst.rs"]
mod burst;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use gantry::api::v1alpha1::Promotion;
use gantry_plane::{AuditEvent, Identity, Options, Plane};
use k8s_openapi::api::apps::v1::Deployment;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client};
use serde_json::json;
use support::operator::Operator;
use support::shared;
use support::space::Space;
use support::{manifest, wait};

/// How many promotions are measured one after the other: so many that p99 is not the slowest.
const IDLE: usize = 100;
/// How long nothing is done to see whether anything is written.
const QUIET: Duration = Duration::from_mins(1);

#[tokio::main]
async fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let plane = shared::own(Options::default().with_simulated_nodes(4).without_audit_bodies()).await;
    let operator = Operator::start_quietly(&plane, "bench").await;
    let client = plane.client(&Identity::Admin).await.expect("a client");
    let mut table = Table::default();
    let space = idle(&plane, &client, &mut table).await;
    alone(&plane, &space, &mut table).await;
    at_once(&plane, &client, &operator, &mut table).await;
    quiet(&plane, &mut table).await;
    table.print();
}

/// Rows of the README's table.
#[derive(Default)]
struct Table {
    rows: Vec<[String; 3]>,
}

impl Table {
    fn row(&mut self, figure: &str, measured: String, goal: &str) {
        if goal.is_empty() {
            println!("  {figure}");
        } else {
            println!("{figure}: {measured} (goal {goal})");
        }
        self.rows.push([figure.to_owned(), measured, goal.to_owned()]);
    }

    /// The sum of what is written for a promotion, and the shares of each resource, the largest first.
    fn writes(&mut self, (figure, goal): (&str, &str), mut shares: Vec<(String, f64)>) {
        shares.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        self.row(&format!("{figure}, without workload objects"), format!("{sum:.1}"), goal);
        let shares: Vec<String> = shares.iter().map(|(resource, share)| format!("{resource} {share:.2}")).collect();
        self.row(&format!("of these: {}", shares.join(", ")), String::new(), "");
    }

    fn print(&self) {
        println!("\n| figure | measured | goal |\n|---|---|---|");
        for [figure, measured, goal] in &self.rows {
            println!("| {figure} | {measured} | {goal} |");
        }
    }
}

fn percentile(times: &mut [Duration], percent: usize) -> String {
    times.sort_unstable();
    let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(place).map_or_else(String::new, |time| format!("{} ms", time.as_millis()))
}

/// One promotion at a time: created → workload written, and workload healthy → succeeded.
async fn idle(plane: &Plane, client: &Client, table: &mut Table) -> Space {
    let space = Space::create(client.clone()).await;
    let image = format!("{}/checkout", plane.registry().host());
    space.environment("dev", 10).await;
    let (mut written, mut succeeded) = (Vec::new(), Vec::new());
    for n in 0..IDLE {
        let version = version(n);
        space.project("checkout", &image, json!([manifest::deployment("checkout", &image)])).await;
        space.apply(burst::release(&space, "checkout", &version, n)).await;
        space.sealed(&format!("checkout-{version}")).await;
        let deployments: Api<Deployment> = space.in_environment("dev");
        let promotions: Api<Promotion> = space.api();
        let label = version.clone();
        let begun = Instant::now();
        let name = space.promote("checkout", &version, "dev").await;
        let created = begun.elapsed();
        let workload = async {
            let mut changes = watcher(deployments, watcher::Config::default()).applied_objects().boxed();
            let (mut patched, mut healthy) = (None, None);
            while let Some(Ok(deployment)) = changes.next().await {
                let ours = deployment.metadata.labels.iter().flatten().any(|(_, value)| *value == label);
                if ours && patched.is_none() {
                    patched = Some(begun.elapsed());
                }
                if ours && is_healthy(&deployment) {
                    healthy = Some(begun.elapsed());
                    break;
                }
            }
            (patched.expect("a write"), healthy.expect("a healthy workload"))
        };
        let ended = async {
            wait::object(&promotions, &name, "finished", |known| known.status.as_ref().is_some_and(|s| s.finished))
                .await;
            begun.elapsed()
        };
        let ((patched, healthy), ended) = futures::join!(workload, ended);
        written.push(patched.saturating_sub(created));
        succeeded.push(ended.saturating_sub(healthy));
    }
    let figures = |times: &mut Vec<Duration>| format!("p50 {}, p99 {}", percentile(times, 50), percentile(times, 99));
    table.row("promotion created → first workload write, idle", figures(&mut written), "p99 ≤ 150 ms");
    table.row("workload healthy → Succeeded", figures(&mut succeeded), "p99 ≤ 150 ms");
    space
}

/// One promotion while nothing else happens: every write of the operator until nothing is left to write, Events and records
/// included. From the audit log, since the API server's own counts have the Leases of everybody in them.
async fn alone(plane: &Plane, space: &Space, table: &mut Table) {
    space.environment("alone", 10).await;
    support::quiet::until_quiet(plane).await;
    let mark = plane.audit().mark();
    space.deploy("checkout", &version(IDLE - 1), "alone").await;
    support::quiet::until_quiet(plane).await;
    let mut shares: BTreeMap<String, f64> = BTreeMap::new();
    for event in
        plane.audit().since(mark).expect("the audit log").iter().filter(|e| shared::is_write_of_the_operator(e))
    {
        let resource = [event.resource.as_str(), event.subresource.as_str()].join("/");
        if resource != "deployments/" {
            *shares.entry(resource.trim_end_matches('/').to_owned()).or_default() += 1.0;
        }
    }
    table.writes(("API writes for one promotion, idle", "≤ 12"), shares.into_iter().collect());
}

fn version(n: usize) -> String {
    format!("1.0.{n}")
}

fn is_healthy(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    deployment.status.as_ref().is_some_and(|status| {
        status.observed_generation == deployment.metadata.generation
            && status.updated_replicas.unwrap_or(0) == wanted
            && status.available_replicas.unwrap_or(0) == wanted
            && status.replicas.unwrap_or(0) == wanted
    })
}

/// A thousand promotions at once, each of Deployment, Service and Ingress.
async fn at_once(plane: &Plane, client: &Client, operator: &Operator, table: &mut Table) {
    let space = burst::prepare(plane, client).await;
    let (before, mark) = (writes(plane).await, plane.audit().mark());
    let took = burst::promote(&space).await;
    let [succeeded, recorded] = took.map(|time| format!("{:.0} s", time.as_secs_f64()));
    let after = writes(plane).await;
    table.row(
        "1,000 promotions at once, succeeded / recorded everywhere",
        format!("{succeeded} / {recorded}"),
        "≤ 60 s",
    );
    let peak = operator.peak_memory(plane);
    table.row("peak memory of the operator", format!("{} MiB", peak / 1024), "≤ 64 MiB");
    table.writes(("API writes per promotion in the burst", "≤ 10"), by_resource(&before, &after, burst::PROMOTIONS));
    by_request(&plane.audit().since(mark).expect("the audit log"), burst::PROMOTIONS);
}

/// What the operator asked of the API server for one promotion, reads and dry runs included.
fn by_request(events: &[AuditEvent], count: usize) {
    let mut requests: BTreeMap<String, usize> = BTreeMap::new();
    for event in events.iter().filter(|event| event.user == shared::OPERATOR && event.verb != "watch") {
        let dry = if event.dry_run { " (dry run)" } else { "" };
        *requests.entry(format!("{} {}/{}{dry}", event.verb, event.resource, event.subresource)).or_default() += 1;
    }
    println!("  requests of the operator per promotion:");
    for (request, times) in requests {
        println!(
            "    {:.2} {request}",
            f64::from(u32::try_from(times).unwrap_or(u32::MAX)) / f64::from(u32::try_from(count).unwrap_or(1))
        );
    }
}

/// Writes that the API server counted, by resource; dry runs apart.
async fn writes(plane: &Plane) -> BTreeMap<String, f64> {
    let text = plane.api_server_metrics().await.expect("the API server's metrics");
    let mut counted = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
        let label = |name: &str| {
            let after = line.split(&format!("{name}=\"")).nth(1)?;
            after.split('"').next().map(str::to_owned)
        };
        let writes = ["APPLY", "PATCH", "POST", "PUT", "DELETE"].map(Some);
        if !writes.contains(&label("verb").as_deref()) || label("dry_run").as_deref() == Some("All") {
            continue;
        }
        let resource = [label("resource"), label("subresource").filter(|sub| !sub.is_empty())];
        let resource = resource.into_iter().flatten().collect::<Vec<_>>().join("/");
        let count: f64 = line.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0.0);
        *counted.entry(resource).or_insert(0.0) += count;
    }
    counted
}

/// Resources that only the operator writes while the burst runs; the promotions themselves are the client's.
const OURS: [&str; 10] = [
    "promotions/status",
    "promotions",
    "leases",
    "controllerrevisions",
    "auditrecords",
    "auditcheckpoints",
    "events",
    "projects/status",
    "environments/status",
    "releases/status",
];

/// What was written between two counts for each of so many promotions.
fn by_resource(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>, count: usize) -> Vec<(String, f64)> {
    let each = |resource: &str| {
        let of = |counted: &BTreeMap<String, f64>| counted.get(resource).copied().unwrap_or(0.0);
        let created = if resource == "promotions" { 1.0 } else { 0.0 };
        (of(after) - of(before)) / f64::from(u32::try_from(count).unwrap_or(u32::MAX)) - created
    };
    OURS.map(|resource| (resource.to_owned(), each(resource))).to_vec()
}

/// Nothing happens for a minute: what does the operator write?
async fn quiet(plane: &Plane, table: &mut Table) {
    // Events of the burst may still wait to be written.
    support::quiet::until_quiet(plane).await;
    let mark = plane.audit().mark();
    tokio::time::sleep(QUIET).await;
    let events = plane.audit().since(mark).expect("the audit log");
    let writes = events.iter().filter(|event| shared::is_write_of_the_operator(event)).count();
    table.row("idle for a minute: writes other than the Lease", writes.to_string(), "0");
}
