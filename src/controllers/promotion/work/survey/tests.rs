use super::*;
use std::time::Instant;

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::json;

use crate::cluster::watches::{Subscription, Topic, Watches};
use crate::controllers::promotion::work::lookout::{PATIENCE, settled};
use crate::controllers::promotion::work::progress::{Progress, State};
use crate::steps::apply::inventory::Inventory;
use crate::steps::apply::object::ObjectRef;
use crate::steps::health::trim::trim;

/// An API server that lets nobody list anything.
fn forbidding() -> Client {
    let service = tower::service_fn(|_: Request<Body>| {
        let status = json!({"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden",
            "message": "rockets.example.com is forbidden: User cannot list"});
        let response = Response::builder().status(403).body(axum::body::Body::from(status.to_string())).unwrap();
        std::future::ready(Ok::<_, std::convert::Infallible>(response))
    });
    Client::new(service, "default")
}

fn applied(changed: bool) -> Applied {
    Applied {
        object: ObjectRef {
            group: "example.com".into(),
            version: "v1".into(),
            kind: "Rocket".into(),
            namespace: "shop-dev".into(),
            name: "moon".into(),
        },
        uid: "u".into(),
        resource_version: "7".into(),
        generation: None,
        fields: String::new(),
        changed,
        interest: Interest::Itself,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn job(changed: bool, watches: Vec<Arc<Subscription>>) -> Job {
    Job {
        uid: "p".into(),
        project: "checkout".into(),
        namespace: "shop-dev".into(),
        applied: vec![applied(changed)],
        secrets: Vec::new(),
        inventory: Inventory::default(),
        progress: Progress {
            attempt: None,
            step: 0,
            objects: Vec::new(),
            pruned: Vec::new(),
            variables: Vec::new(),
            applied_at: Some(at(100)),
            told_at: None,
            applied: true,
            state: State::Done,
            evidence: None,
        },
        watches,
    }
}

#[tokio::test]
async fn a_watch_that_is_forbidden_is_not_waited_for_and_is_named() {
    let (changed, _woken) = tokio::sync::mpsc::unbounded_channel();
    let gvk = GroupVersionKind::gvk("example.com", "v1", "Rocket");
    let topic = Topic { namespace: "shop-dev".into(), resource: ApiResource::from_gvk(&gvk), fields: "" };
    let watch = Watches::new(changed, trim).subscribe(&forbidding(), &topic);
    let begun = Instant::now();
    settled(&watch).await;
    assert!(begun.elapsed() < PATIENCE, "it is known at once");
    let job = job(true, vec![watch]);
    assert!(seen(&job, &job.applied[0]).is_none());
    let said = unseen(&job, &job.applied[0]);
    assert!(said.starts_with("Rocket moon: cannot be watched: ") && said.contains("gantry-deployer"), "{said}");
}

#[test]
fn what_was_applied_again_without_a_change_counts_from_when_its_step_started() {
    let promotion: Promotion = serde_json::from_value(json!({
        "metadata": {}, "spec": {"project": "checkout", "version": "1.0.0", "environment": "dev", "whenNotReady": "Refuse"},
        "status": {"steps": [{"name": "deploy", "target": "default", "namespace": "shop-dev", "phase": "Started",
            "startedAt": format!("{:.6}", at(10))}]},
    }))
    .unwrap();
    assert_eq!(since(&promotion, &job(true, Vec::new()), at(100)), at(100), "what was changed just now is new");
    assert_eq!(since(&promotion, &job(false, Vec::new()), at(100)), at(10), "a restart begins no timer again");
    assert_eq!(since(&Promotion::default(), &job(false, Vec::new()), at(100)), at(100));
}
