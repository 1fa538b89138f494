//! What trust costs: creating a promotion with and without the admission policies, side by side. `cargo bench --bench trust`.
//!
//! Two API servers on this machine are asked in turn, so that whatever else it does slows both alike.
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

use std::time::{Duration, Instant};

use gantry::api::v1alpha1::Promotion;
use gantry::controllers::guard::policies::{MUTATING, VALIDATING};
use gantry_plane::{Identity, Options, Plane};
use k8s_openapi::api::admissionregistration::v1::{MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBinding};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use support::space::Space;
use support::{shared, wait};

/// How many promotions are created on each; the first tenth is not counted.
const CREATED: usize = 500;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // `cargo test --benches` only wants to know that it builds.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let count = arguments.iter().find_map(|argument| argument.strip_prefix("--count=")?.parse().ok());
    let (guarded, open) = (side().await, side().await);
    without_policies(&open).await;
    let [with, without] = measure([&guarded, &open], count.unwrap_or(CREATED)).await;
    let added = median(&with).as_secs_f64() - median(&without).as_secs_f64();
    println!("| figure | measured | goal |\n|---|---|---|");
    let told = |times: &[Duration]| format!("{:.2} ms", median(times).as_secs_f64() * 1e3);
    println!(
        "| a promotion is created with and without the policies, median | {} and {}: {:.2} ms added | < 1 ms |",
        told(&with),
        told(&without),
        added * 1e3
    );
}

/// A cluster without an operator, and a space in it.
struct Side {
    _plane: Plane,
    client: Client,
    space: Space,
}

async fn side() -> Side {
    let plane = shared::own(Options::default().with_simulated_nodes(0).without_audit_bodies()).await;
    let client = plane.client(&Identity::Admin).await.expect("a client");
    let space = Space::create(client.clone()).await;
    Side { _plane: plane, client, space }
}

/// Takes all policies away, and waits until nobody stamps any more.
async fn without_policies(side: &Side) {
    let gone = DeleteParams::default();
    let validating: Api<ValidatingAdmissionPolicyBinding> = Api::all(side.client.clone());
    for name in VALIDATING {
        validating.delete(name, &gone).await.expect("an administrator may");
    }
    let mutating: Api<MutatingAdmissionPolicyBinding> = Api::all(side.client.clone());
    for name in MUTATING {
        mutating.delete(name, &gone).await.expect("an administrator may");
    }
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    wait::eventually("no policy acts", || async {
        let mut forged = promotion(side, "forged");
        forged.spec.requested_by = Some(gantry::api::v1alpha1::history::Person { username: "bob".into(), uid: None });
        let made = side.space.api::<Promotion>().create(&dry, &forged).await.ok()?;
        (made.spec.requested_by?.username == "bob").then_some(())
    })
    .await;
}

fn promotion(side: &Side, name: &str) -> Promotion {
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "dev"});
    serde_json::from_value(side.space.object("Promotion", name, spec)).expect("a promotion")
}

/// One on each side in turn.
async fn measure(sides: [&Side; 2], count: usize) -> [Vec<Duration>; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for n in 0..count {
        for (side, times) in sides.iter().zip(&mut times) {
            let (api, object) = (side.space.api::<Promotion>(), promotion(side, &format!("p{n}")));
            let begun = Instant::now();
            api.create(&PostParams::default(), &object).await.expect("created");
            if n >= count / 10 {
                times.push(begun.elapsed());
            }
        }
    }
    times
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
