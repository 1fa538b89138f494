use super::*;

/// Each row: what is judged, and how its sentence begins.
fn table(rows: &[(Value, &str)]) {
    for (value, expected) in rows {
        let said = sentence(&alone(value));
        assert!(said.starts_with(expected), "expected {expected:?}, got {said:?} for {value}");
    }
}

#[test]
fn a_deployment_is_healthy_when_all_new_pods_are_available_and_no_old_ones_are_left() {
    table(&[
        (deployment(), "healthy"),
        (
            but(deployment(), &[("/metadata/generation", json!(3))]),
            "progressing: Deployment checkout: waits for its controller",
        ),
        (but(deployment(), &[("/status", json!({}))]), "progressing: Deployment checkout: waits for its controller"),
        (rolling(), "progressing: Deployment checkout: waits for its new pods to be created"),
        (but(rolling(), &[("/spec/paused", json!(true))]), "progressing: Deployment checkout: is paused"),
        (
            but(deployment(), &[("/status/replicas", json!(3))]),
            "progressing: Deployment checkout: waits for pods of the release before",
        ),
        (
            but(deployment(), &[("/status/availableReplicas", json!(1))]),
            "progressing: Deployment checkout: waits for its new pods to become available",
        ),
        (but(deployment(), &[("/spec/replicas", json!(0)), ("/status", json!({"observedGeneration": 2}))]), "healthy"),
        (
            but(deployment(), &[("/metadata/deletionTimestamp", json!(CREATED))]),
            "progressing: Deployment checkout: is being deleted",
        ),
        (but(deployment(), &[("/spec", json!("text"))]), "progressing: Deployment checkout: does not read as its kind"),
    ]);
}

#[test]
fn a_stateful_set_is_healthy_when_every_pod_is_of_the_newest_revision_and_available() {
    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "uid": "s1", "generation": 4},
        "spec": {"replicas": 3, "serviceName": "db", "selector": {}, "template": {}, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}},
        "status": {"observedGeneration": 4, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3,
            "currentRevision": "db-1", "updateRevision": "db-2"},
    });
    table(&[
        (set.clone(), "healthy"),
        (
            but(set.clone(), &[("/status/observedGeneration", json!(3))]),
            "progressing: StatefulSet db: waits for its controller",
        ),
        (
            but(set.clone(), &[("/status/updatedReplicas", json!(2))]),
            "progressing: StatefulSet db: waits for its pods to be replaced",
        ),
        (
            but(set.clone(), &[("/status/availableReplicas", json!(2))]),
            "progressing: StatefulSet db: waits for its pods to become available",
        ),
        (
            but(set.clone(), &[("/status/replicas", json!(1))]),
            "progressing: StatefulSet db: waits for its pods to be created",
        ),
        (
            but(set.clone(), &[("/status/replicas", json!(4))]),
            "progressing: StatefulSet db: waits for pods that are too many",
        ),
        (
            but(
                set.clone(),
                &[("/status/updatedReplicas", json!(1)), ("/spec/updateStrategy/rollingUpdate/partition", json!(2))],
            ),
            "healthy",
        ),
        (
            but(
                set.clone(),
                &[("/status/updatedReplicas", json!(0)), ("/spec/updateStrategy", json!({"type": "OnDelete"}))],
            ),
            "healthy",
        ),
    ]);
}

#[test]
fn a_daemon_set_is_healthy_when_every_node_has_the_newest_pod() {
    let set = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "agent", "uid": "s1", "generation": 2, "annotations": {"deprecated.daemonset.template.generation": "2"}},
        "spec": {"selector": {}, "template": {}, "updateStrategy": {"type": "RollingUpdate"}},
        "status": {"observedGeneration": 2, "currentNumberScheduled": 2, "numberMisscheduled": 0, "numberReady": 2,
            "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2},
    });
    table(&[
        (set.clone(), "healthy"),
        (
            but(set.clone(), &[("/metadata/generation", json!(3))]),
            "progressing: DaemonSet agent: waits for its controller",
        ),
        (
            but(set.clone(), &[("/status/updatedNumberScheduled", json!(1))]),
            "progressing: DaemonSet agent: waits for its pods to be replaced",
        ),
        (
            but(set.clone(), &[("/status/numberAvailable", json!(1))]),
            "progressing: DaemonSet agent: waits for its pods to become available",
        ),
        (
            but(
                set.clone(),
                &[("/status/updatedNumberScheduled", json!(0)), ("/spec/updateStrategy/type", json!("OnDelete"))],
            ),
            "healthy",
        ),
    ]);
    let old = but(
        pod("s1", waiting("InvalidImageName", "bad")),
        &[("/metadata/labels", json!({"pod-template-generation": "1"}))],
    );
    let new = but(old.clone(), &[("/metadata/labels", json!({"pod-template-generation": "2"}))]);
    let rolling = but(set, &[("/status/numberAvailable", json!(1))]);
    assert!(matches!(judge(&rolling, &[old], &[], 10).health, Health::Progressing { .. }));
    assert!(matches!(judge(&rolling, &[new], &[], 10).health, Health::Failed(_)));
}

#[test]
fn a_job_is_healthy_when_complete_and_failed_at_once_when_it_says_so() {
    let job = |conditions: Value| {
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate", "uid": "j1"}, "spec": {"template": {}},
               "status": {"conditions": conditions}})
    };
    table(&[
        (job(json!([{"type": "Complete", "status": "True"}])), "healthy"),
        (job(json!([])), "progressing: Job migrate: waits to complete"),
        (job(json!([{"type": "Failed", "status": "False"}])), "progressing: Job migrate: waits to complete"),
        (
            job(
                json!([{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}]),
            ),
            "failed: Job migrate: JobFailed: Job has reached the specified backoff limit",
        ),
        (
            job(json!([{"type": "FailureTarget", "status": "True", "reason": "PodFailurePolicy"}])),
            "failed: Job migrate: JobFailed: PodFailurePolicy",
        ),
        (but(job(json!([])), &[("/spec/suspend", json!(true))]), "progressing: Job migrate: is suspended"),
    ]);
    let ended = pod("j1", json!({"state": {"terminated": {"exitCode": 3, "reason": "Error"}}}));
    let ended = but(ended, &[("/spec/restartPolicy", json!("Never"))]);
    assert_eq!(
        sentence(&judge(&job(json!([])), std::slice::from_ref(&ended), &[], 10)),
        "progressing: Job migrate: waits to complete"
    );
    let failed = judge(&job(json!([{"type": "Failed", "status": "True", "message": "failed"}])), &[ended], &[], 10);
    let Health::Failed(failure) = failed.health else { panic!("{failed:?}") };
    assert_eq!(failure.message, "Job migrate: JobFailed: failed (pod j1-x2x4v, container api)");
    assert_eq!(
        failure.container,
        Some(ContainerRef { pod: "j1-x2x4v".into(), container: "api".into(), previous: false })
    );
}

#[test]
fn a_pod_is_healthy_when_ready_or_done() {
    let running = but(
        pod("x", json!({"state": {"running": {"startedAt": CREATED}}, "ready": true, "started": true})),
        &[("/status/phase", json!("Running")), ("/status/conditions", json!([{"type": "Ready", "status": "True"}]))],
    );
    let unready = pod("x", json!({"state": {"running": {"startedAt": CREATED}}, "ready": false, "started": true}));
    table(&[
        (running.clone(), "healthy"),
        (unready, "progressing: Pod x-x2x4v: waits for a container to become ready (pod x-x2x4v, container api)"),
        (pod("x", waiting("ContainerCreating", "")), "progressing: Pod x-x2x4v: waits to become ready"),
        (but(running.clone(), &[("/status/phase", json!("Succeeded"))]), "healthy"),
        (
            but(running, &[("/status/phase", json!("Failed")), ("/status/reason", json!("Evicted"))]),
            "failed: Pod x-x2x4v: PodFailed: Evicted",
        ),
    ]);
}

#[test]
fn a_claim_waits_only_when_a_pod_uses_it() {
    let claim = |phase: &str| json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {}, "status": {"phase": phase}});
    table(&[
        (claim("Bound"), "healthy"),
        (claim("Pending"), "healthy"),
        (claim("Lost"), "failed: PersistentVolumeClaim data: ClaimLost"),
    ]);
    let user = but(
        pod("x", waiting("ContainerCreating", "")),
        &[(
            "/spec/volumes",
            json!([{"name": "a", "emptyDir": {}}, {"name": "b", "persistentVolumeClaim": {"claimName": "data"}}]),
        )],
    );
    let said = sentence(&judge(&claim("Pending"), &[user], &[], 10));
    assert_eq!(said, "progressing: PersistentVolumeClaim data: waits to be bound to a volume");
}

#[test]
fn a_service_waits_only_for_a_load_balancer() {
    let service = |kind: &str, status: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"type": kind}, "status": status});
    table(&[
        (service("ClusterIP", json!({"loadBalancer": {}})), "healthy"),
        (service("LoadBalancer", json!({"loadBalancer": {}})), "progressing: Service web: waits for the address"),
        (service("LoadBalancer", json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}})), "healthy"),
    ]);
}

#[test]
fn other_kinds_are_what_their_conditions_say() {
    let object = |generation: i64, status: Value| json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "web", "generation": generation}, "status": status});
    let conditions = |conditions: Value| object(1, json!({"conditions": conditions}));
    table(&[
        (json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {}}), "healthy"),
        (conditions(json!([{"type": "Ready", "status": "True"}])), "healthy"),
        (conditions(json!([{"type": "Odd", "status": "False"}])), "healthy"),
        (
            conditions(
                json!([{"type": "Ready", "status": "False", "reason": "Issuing", "message": "issuer is not ready"}]),
            ),
            "progressing: Certificate web: waits to be Ready: Issuing: issuer is not ready",
        ),
        (
            conditions(json!([{"type": "Available", "status": "Unknown"}])),
            "progressing: Certificate web: waits to be Available",
        ),
        (
            conditions(
                json!([{"type": "Reconciling", "status": "True", "reason": "Busy"}, {"type": "Ready", "status": "True"}]),
            ),
            "progressing: Certificate web: waits until it is reconciled: Busy",
        ),
        (
            conditions(
                json!([{"type": "Stalled", "status": "True", "reason": "NoIssuer", "message": "there is none"}]),
            ),
            "failed: Certificate web: Stalled: NoIssuer: there is none",
        ),
        (
            object(2, json!({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]})),
            "progressing: Certificate web: waits for its controller",
        ),
        (
            object(2, json!({"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 1}]})),
            "progressing: Certificate web: waits for its condition Ready",
        ),
    ]);
}

#[test]
fn a_replica_set_of_its_own_is_healthy_when_its_pods_are_available() {
    let set = |available: i64| {
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "r", "uid": "r1", "generation": 1},
        "spec": {"replicas": 2, "selector": {}}, "status": {"observedGeneration": 1, "replicas": 2, "availableReplicas": available}})
    };
    table(&[(set(2), "healthy"), (set(1), "progressing: ReplicaSet r: waits for its pods to become available")]);
}
