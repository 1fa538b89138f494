//! A thousand promotions at once, each of a Deployment, a Service and an Ingress.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::StreamExt;
use gantry::api::v1alpha1::Promotion;
use gantry_plane::Plane;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::support::manifest;
use crate::support::space::Space;

/// Projects and environments: each pair is promoted.
const PROJECTS: usize = 100;
const ENVIRONMENTS: usize = 10;
/// How many promotions there are.
pub const PROMOTIONS: usize = PROJECTS * ENVIRONMENTS;

fn project(n: usize) -> String {
    format!("p{n}")
}

/// A space in which everything is ready to be promoted.
pub async fn prepare(plane: &Plane, client: &Client) -> Space {
    let space = Space::create(client.clone()).await;
    let image = format!("{}/checkout", plane.registry().host());
    for environment in 0..ENVIRONMENTS {
        space.environment(&format!("e{environment}"), 10).await;
    }
    for project in (0..PROJECTS).map(project) {
        space.project(&project, &image, workload(&project, &image)).await;
        space.apply(release(&space, &project, "1.0.0", 1)).await;
    }
    for project in (0..PROJECTS).map(project) {
        space.sealed(&format!("{project}-1.0.0")).await;
    }
    space
}

/// Promotes everything everywhere: how long it takes until all have succeeded, and until all are recorded everywhere.
pub async fn promote(space: &Space) -> [Duration; 2] {
    let ended = tokio::spawn(everyone_ended(space.api()));
    let pairs = (0..PROJECTS).flat_map(|n| (0..ENVIRONMENTS).map(move |e| (project(n), format!("e{e}"))));
    futures::stream::iter(pairs)
        .map(|(project, environment)| async move { space.promote(&project, "1.0.0", &environment).await })
        .buffer_unordered(32)
        .for_each(|_| std::future::ready(()))
        .await;
    ended.await.expect("every promotion succeeds")
}

/// From one watch, since lists of a thousand objects would be most of what the API server does.
async fn everyone_ended(promotions: Api<Promotion>) -> [Duration; 2] {
    let begun = Instant::now();
    let mut changes = watcher(promotions, watcher::Config::default()).applied_objects().boxed();
    let (mut ended, mut recorded) = (BTreeSet::new(), BTreeSet::new());
    let mut took = [Duration::ZERO; 2];
    while recorded.len() < PROMOTIONS {
        let Some(Ok(promotion)) = changes.next().await else { continue };
        let Some(status) = promotion.status.as_ref().filter(|status| status.finished) else { continue };
        assert_eq!(status.phase.as_deref(), Some("Succeeded"), "{status:#?}");
        let name = promotion.metadata.name.clone().unwrap_or_default();
        if ended.insert(name.clone()) && ended.len() == PROMOTIONS {
            took[0] = begun.elapsed();
        }
        if promotion.metadata.finalizers.is_none() && recorded.insert(name) {
            took[1] = begun.elapsed();
        }
    }
    took
}

/// A release whose image needs no registry.
pub fn release(space: &Space, project: &str, version: &str, n: usize) -> Value {
    let digest = format!("sha256:{n:064x}");
    let packages = json!([{"name": "api", "version": version, "digest": digest}]);
    let spec = json!({"project": project, "version": version, "packages": packages});
    space.object("Release", &format!("{project}-{version}"), spec)
}

fn workload(name: &str, image: &str) -> Value {
    let mut deployment = manifest::deployment(name, image);
    deployment["spec"]["replicas"] = json!(0);
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"clusterIP": "None", "selector": {"app": name}, "ports": [{"port": 80}]},
    });
    let backend = json!({"service": {"name": name, "port": {"number": 80}}});
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name},
        "spec": {"defaultBackend": backend},
    });
    json!([deployment, service, ingress])
}
