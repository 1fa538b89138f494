//! What the audit costs: bursts of a thousand promotions whose records are kept and sealed, and bursts whose records a proxy takes
//! in the API server's place, in turn. `cargo bench --bench audit`; `-- --pairs=1` for one of each.
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

use std::time::Duration;

use gantry_plane::{Identity, Options};
use support::operator::Operator;
use support::proxy::Proxy;
use support::shared;

/// How often each of the two is measured.
const PAIRS: usize = 2;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // `cargo test --benches` only wants to know that it builds.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let pairs = arguments.iter().find_map(|argument| argument.strip_prefix("--pairs=")?.parse().ok());
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..pairs.unwrap_or(PAIRS) {
        with.push(burst_of(true).await);
        without.push(burst_of(false).await);
    }
    let [with, without] = [with, without].map(|times| mean(&times));
    println!("| figure | measured | goal |\n|---|---|---|");
    println!(
        "| 1,000 promotions at once, recorded everywhere, with and without audit records | {:.1} s and {:.1} s: {:+.0} % | ≤ 10 % |",
        with.as_secs_f64(),
        without.as_secs_f64(),
        (with.as_secs_f64() / without.as_secs_f64() - 1.0) * 100.0
    );
}

/// One burst on a cluster of its own; both ways lead through a proxy.
async fn burst_of(audited: bool) -> Duration {
    let plane = shared::own(Options::default().with_simulated_nodes(0).without_audit_bodies()).await;
    let proxy = Proxy::start(&plane, "audit").await;
    if !audited {
        proxy.take(&["/auditrecords", "/auditcheckpoints"]);
    }
    let _operator = Operator::start_quietly_against(&plane, "audit", proxy.kubeconfig.clone()).await;
    let client = plane.client(&Identity::Admin).await.expect("a client");
    let space = burst::prepare(&plane, &client).await;
    let [succeeded, recorded] = burst::promote(&space).await;
    println!("audited: {audited}, succeeded: {succeeded:.1?}, recorded: {recorded:.1?}");
    recorded
}

fn mean(times: &[Duration]) -> Duration {
    times.iter().sum::<Duration>() / u32::try_from(times.len()).unwrap_or(1).max(1)
}
