use super::*;

const NOT_FOUND: &str = r#"Back-off pulling image "localhost:5000/checkout:9.9.9": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image "localhost:5000/checkout:9.9.9": failed to resolve reference "localhost:5000/checkout:9.9.9": localhost:5000/checkout:9.9.9: not found"#;
const NO_HOST: &str = r"rpc error: code = Unknown desc = dial tcp: lookup r.example: no such host";

fn at(seconds: i64) -> Timestamp {
    APPLIED.parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_secs(seconds)
}

/// A rollout whose new pod is this one, judged after some seconds.
fn rollout(container: Value, seconds: i64) -> Assessment {
    judge(&rolling(), &[pod("new", container)], &[replica_set("old", "1"), replica_set("new", "2")], seconds)
}

fn failure(assessment: Assessment) -> Failure {
    match assessment.health {
        Health::Failed(failure) => failure,
        Health::Healthy | Health::Progressing { .. } => panic!("{assessment:?}"),
    }
}

fn crashed(restarts: u32) -> Value {
    json!({
        "restartCount": restarts,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container=api"}},
        "lastState": {"terminated": {"exitCode": 3, "reason": "Error", "finishedAt": "2026-03-01T12:00:09Z"}},
    })
}

#[test]
fn an_image_that_is_not_there_fails_at_once() {
    for reason in ["ErrImagePull", "ImagePullBackOff"] {
        let failed = failure(rollout(waiting(reason, NOT_FOUND), 3));
        assert_eq!(failed.reason, FailureReason::ImagePullBackOff);
        assert_eq!(
            failed.message,
            "Deployment checkout: ImagePullBackOff: localhost:5000/checkout:9.9.9 not found (pod new-x2x4v, container api)"
        );
        assert_eq!(failed.container, None, "a container that never ran has no log");
    }
}

#[test]
fn a_registry_that_cannot_be_reached_fails_only_after_its_time() {
    let early = rollout(waiting("ImagePullBackOff", NO_HOST), 60);
    assert_eq!(
        sentence(&early),
        "progressing: Deployment checkout: ImagePullBackOff: localhost:5000/checkout:9.9.9 cannot be pulled: dial tcp: lookup r.example: no such host (pod new-x2x4v, container api)"
    );
    assert_eq!(early.recheck, Some(at(122)));
    assert_eq!(failure(rollout(waiting("ImagePullBackOff", NO_HOST), 122)).reason, FailureReason::ImagePullBackOff);
}

#[test]
fn the_time_of_an_image_begins_when_the_container_before_it_ended() {
    let mut slow = pod("new", waiting("ImagePullBackOff", NO_HOST));
    slow["status"]["initContainerStatuses"] = json!([{"name": "init", "image": "", "imageID": "", "ready": true, "restartCount": 0,
        "state": {"terminated": {"exitCode": 0, "finishedAt": "2026-03-01T12:10:00Z"}}}]);
    let judged = judge(&rolling(), &[slow], &[replica_set("new", "2")], 601);
    assert_eq!(judged.recheck, Some(at(720)));
}

#[test]
fn a_container_that_cannot_be_made_fails_at_once() {
    for (reason, message, class) in [
        ("InvalidImageName", "Failed to apply default image tag", FailureReason::InvalidImageName),
        ("CreateContainerConfigError", "secret \"db\" not found", FailureReason::CreateContainerConfigError),
        ("ErrImageNeverPull", "Container image \"x\" is not present", FailureReason::ErrImageNeverPull),
    ] {
        let failed = failure(rollout(waiting(reason, message), 3));
        assert_eq!(failed.reason, class);
        assert_eq!(failed.message, format!("Deployment checkout: {reason}: {message} (pod new-x2x4v, container api)"));
    }
    let soon = rollout(waiting("CreateContainerConfigError", "failed to sync secret cache: timed out"), 3);
    assert!(matches!(soon.health, Health::Progressing { .. }), "{soon:?}");
}

#[test]
fn a_container_that_crashes_fails_after_its_restarts_with_the_log_of_the_crash() {
    let early = rollout(crashed(2), 30);
    let Health::Progressing { message, container } = early.health else { panic!("{early:?}") };
    assert!(message.contains("CrashLoopBackOff: exit code 3"), "{message}");
    assert!(container.is_some_and(|container| container.previous));
    let failed = failure(rollout(crashed(3), 60));
    assert_eq!(failed.message, "Deployment checkout: CrashLoopBackOff: exit code 3 (pod new-x2x4v, container api)");
    assert_eq!(
        failed.container,
        Some(ContainerRef { pod: "new-x2x4v".into(), container: "api".into(), previous: true })
    );
    assert_eq!(failed.container.unwrap().to_string(), "new-x2x4v/api");
}

#[test]
fn a_crash_says_why_when_the_runtime_knows() {
    let mut killed = crashed(3);
    killed["lastState"]["terminated"]["reason"] = json!("OOMKilled");
    killed["lastState"]["terminated"]["exitCode"] = json!(137);
    assert!(failure(rollout(killed, 60)).message.contains("exit code 137 (OOMKilled)"));
}

#[test]
fn the_moment_between_two_restarts_is_a_crash_too() {
    let ended = json!({"restartCount": 3, "state": {"terminated": {"exitCode": 1, "finishedAt": CREATED}}});
    assert_eq!(failure(rollout(ended, 60)).reason, FailureReason::CrashLoopBackOff);
    let running = json!({"restartCount": 5, "state": {"running": {}}, "ready": false});
    let said = sentence(&rollout(running, 60));
    assert!(said.contains("waits for a container to become ready"), "{said}");
}

#[test]
fn a_pod_that_finds_no_node_fails_after_its_time() {
    let homeless = but(
        pod("new", json!({})),
        &[(
            "/status",
            json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": "0/3 nodes are available: 3 Insufficient cpu.", "lastTransitionTime": CREATED}]}),
        )],
    );
    let judged = |seconds| judge(&rolling(), std::slice::from_ref(&homeless), &[replica_set("new", "2")], seconds);
    assert_eq!(judged(60).recheck, Some(at(301)));
    assert_eq!(
        failure(judged(301)).message,
        "Deployment checkout: Unschedulable: 0/3 nodes are available: 3 Insufficient cpu. (pod new-x2x4v)"
    );
}

#[test]
fn pods_of_the_release_before_may_fail_as_they_like() {
    let sets = [replica_set("old", "1"), replica_set("new", "2")];
    let judged = judge(&rolling(), &[pod("old", waiting("ImagePullBackOff", NOT_FOUND))], &sets, 3);
    assert_eq!(sentence(&judged), "progressing: Deployment checkout: waits for its new pods to be created");
    let strangers = judge(&rolling(), &[pod("somebody", waiting("InvalidImageName", "x"))], &sets, 3);
    assert!(matches!(strangers.health, Health::Progressing { .. }));
    let leaving = but(pod("new", waiting("InvalidImageName", "x")), &[("/metadata/deletionTimestamp", json!(CREATED))]);
    assert!(matches!(judge(&rolling(), &[leaving], &sets, 3).health, Health::Progressing { .. }));
}

#[test]
fn a_pod_that_is_older_than_the_apply_gets_time_to_try_again() {
    let old = but(
        pod("new", waiting("ImagePullBackOff", NOT_FOUND)),
        &[("/metadata/creationTimestamp", json!("2026-03-01T11:00:00Z"))],
    );
    let judged = |seconds| judge(&rolling(), std::slice::from_ref(&old), &[replica_set("new", "2")], seconds);
    assert_eq!(judged(3).recheck, Some(at(120)));
    assert_eq!(failure(judged(120)).reason, FailureReason::ImagePullBackOff);
}

fn refused(message: &str) -> Value {
    let condition = json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message, "lastTransitionTime": CREATED}]);
    but(replica_set("new", "2"), &[("/status/conditions", condition)])
}

#[test]
fn pods_that_admission_refuses_fail_at_once() {
    let refused = |message: &str, seconds| judge(&rolling(), &[], &[refused(message)], seconds);
    let violation = r#"pods "checkout-7d9-x" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false"#;
    let failed = failure(refused(violation, 2));
    assert_eq!(failed.reason, FailureReason::PodSecurity);
    assert_eq!(
        failed.message,
        r#"Deployment checkout: PodSecurity: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false"#
    );
    let denied = "admission webhook \"policy.example\" denied the request: no";
    assert_eq!(failure(refused(denied, 2)).reason, FailureReason::PodsRefused);
    let account = r#"pods "a" is forbidden: error looking up service account shop-dev/default: serviceaccount "default" not found"#;
    assert_eq!(refused(account, 2).recheck, Some(at(301)));
    assert_eq!(failure(refused(account, 301)).reason, FailureReason::PodsRefused);
}

#[test]
fn a_quota_fails_at_once_unless_old_pods_may_make_room() {
    let message = r#"pods "checkout-7d9-x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2"#;
    let with_old = judge(&rolling(), &[], &[refused(message)], 2);
    assert_eq!(with_old.recheck, Some(at(301)));
    let alone = but(rolling(), &[("/status/replicas", json!(1))]);
    let failed = failure(judge(&alone, &[], &[refused(message)], 2));
    assert_eq!(failed.reason, FailureReason::QuotaExceeded);
    assert!(failed.message.ends_with("exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2"));
}

#[test]
fn a_deployment_s_own_condition_counts_while_its_new_replica_set_is_not_known() {
    let mut refused = rolling();
    refused["status"]["conditions"] = json!([{"type": "ReplicaFailure", "status": "True", "lastTransitionTime": CREATED,
        "message": "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot != true"}]);
    assert_eq!(failure(alone(&refused)).reason, FailureReason::PodSecurity);
    assert!(matches!(judge(&refused, &[], &[replica_set("new", "2")], 10).health, Health::Progressing { .. }));
}

#[test]
fn a_rollout_fails_at_its_own_deadline_unless_the_condition_is_an_older_release_s() {
    let late = |since: &str| {
        let mut late = rolling();
        late["status"]["conditions"] = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "lastTransitionTime": since}]);
        late
    };
    assert_eq!(
        failure(judge(&late("2026-03-01T12:10:00Z"), &[], &[], 601)).message,
        "Deployment checkout: ProgressDeadlineExceeded: its pods did not become available within 600 seconds"
    );
    let stale = judge(&late("2026-03-01T11:50:00Z"), &[], &[], 1);
    assert!(matches!(stale.health, Health::Progressing { .. }), "{stale:?}");
    assert_eq!(stale.recheck, Some(at(120)));
}

#[test]
fn a_healthy_deployment_is_healthy_whatever_its_history_says() {
    let mut done = deployment();
    done["status"]["conditions"] = json!([]);
    let judged = judge(
        &done,
        &[pod("old", waiting("InvalidImageName", "x"))],
        &[replica_set("old", "1"), replica_set("new", "2")],
        10,
    );
    assert_eq!(judged, Assessment::healthy());
}

#[test]
fn a_stateful_set_looks_at_pods_of_its_newest_revision_only() {
    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "uid": "db", "generation": 1},
        "spec": {"replicas": 1, "serviceName": "db", "selector": {}, "template": {}},
        "status": {"observedGeneration": 1, "replicas": 1, "updateRevision": "db-2"},
    });
    let of = |revision: &str| {
        but(
            pod("db", waiting("ImagePullBackOff", NOT_FOUND)),
            &[("/metadata/labels", json!({"controller-revision-hash": revision}))],
        )
    };
    assert!(matches!(judge(&set, &[of("db-1")], &[], 3).health, Health::Progressing { .. }));
    assert_eq!(failure(judge(&set, &[of("db-2")], &[], 3)).reason, FailureReason::ImagePullBackOff);
}

#[test]
fn a_broken_pod_that_a_stateful_set_will_never_replace_by_itself_is_named_with_what_to_do() {
    let set = |policy: &str| {
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "uid": "db", "generation": 2},
            "spec": {"replicas": 1, "podManagementPolicy": policy, "serviceName": "db", "selector": {}, "template": {}},
            "status": {"observedGeneration": 2, "replicas": 1, "currentRevision": "db-2", "updateRevision": "db-1"},
        })
    };
    let old = but(
        pod("db", waiting("CrashLoopBackOff", "back-off")),
        &[("/metadata/labels", json!({"controller-revision-hash": "db-2"})), ("/metadata/name", json!("db-0"))],
    );
    let says = |policy: &str| match judge(&set(policy), std::slice::from_ref(&old), &[], 3).health {
        Health::Progressing { message, .. } => message,
        other => panic!("{other:?}"),
    };
    let waits = "StatefulSet db: waits for its pods to be replaced";
    let remedy = ", but pod db-0 of an older template is not ready, and none is replaced before it is: delete that pod";
    assert_eq!(says("OrderedReady"), format!("{waits}{remedy}"));
    assert_eq!(says("Parallel"), waits);
}

#[test]
fn the_worst_pod_and_the_earliest_time_count() {
    let mut second = pod("new", waiting("InvalidImageName", "bad name"));
    second["metadata"]["name"] = json!("new-zzzzz");
    let pods = [pod("new", waiting("ImagePullBackOff", NO_HOST)), second];
    assert_eq!(
        failure(judge(&rolling(), &pods, &[replica_set("new", "2")], 3)).reason,
        FailureReason::InvalidImageName
    );
}

#[test]
fn a_message_is_never_longer_than_status_takes() {
    let long = waiting("CreateContainerConfigError", &"x".repeat(5000));
    assert!(failure(rollout(long, 3)).message.chars().count() <= 1000);
}

/// What a controller says of pods that it cannot make, of the workload `w1`.
fn told(message: &str, last: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "shop-dev"},
        "involvedObject": {"uid": "w1"}, "type": "Warning", "reason": "FailedCreate", "count": 3,
        "message": message, "firstTimestamp": CREATED, "lastTimestamp": last,
    })
}

/// A workload of this kind whose pods are missing, on which its controller said this, judged after some seconds.
fn without_pods(kind: &str, events: &[Value], seconds: i64) -> Assessment {
    let set = |version: &str, status: Value| {
        json!({"apiVersion": version, "kind": kind, "metadata": {"name": "db", "uid": "w1", "generation": 1},
            "spec": {"replicas": 2, "serviceName": "db", "selector": {}, "template": {}}, "status": status})
    };
    let value = match kind {
        "StatefulSet" => set(
            "apps/v1",
            json!({"observedGeneration": 1, "replicas": 1, "currentRevision": "db-1", "updateRevision": "db-1"}),
        ),
        "DaemonSet" => set(
            "apps/v1",
            json!({"observedGeneration": 1, "currentNumberScheduled": 0, "desiredNumberScheduled": 2,
                "numberMisscheduled": 0, "numberReady": 0}),
        ),
        _ => set("batch/v1", json!({})),
    };
    let (group, version) = value["apiVersion"].as_str().unwrap().split_once('/').unwrap();
    let (group, version, namespace) = (group.into(), version.into(), "shop-dev".into());
    let what = ObjectRef { group, version, kind: kind.into(), namespace, name: "db".into() };
    let object = object(&value);
    assert!(needs_events(&what, &object));
    assess(&what, &object, &Related::default().with_refusals(&shared(events)), &limits(seconds))
}

const QUOTA: &str = r#"Error creating: pods "db-x2x4v" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1"#;

#[test]
fn pods_that_only_an_event_tells_of_fail_at_once() {
    for kind in ["StatefulSet", "DaemonSet", "Job"] {
        let failed = failure(without_pods(kind, &[told(QUOTA, CREATED)], 2));
        assert_eq!(failed.reason, FailureReason::QuotaExceeded);
        let begins = format!("{kind} db: QuotaExceeded: exceeded quota: small, requested: pods=1");
        assert!(failed.message.starts_with(&begins), "{}", failed.message);
        let message = "create Pod db-0 in StatefulSet db failed error: pods \"db-0\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot != true";
        assert_eq!(failure(without_pods(kind, &[told(message, CREATED)], 2)).reason, FailureReason::PodSecurity);
        let denied = "admission webhook \"policy.example\" denied the request: no";
        assert_eq!(failure(without_pods(kind, &[told(denied, CREATED)], 2)).reason, FailureReason::PodsRefused);
    }
}

#[test]
fn what_was_said_before_the_apply_or_of_another_object_proves_nothing() {
    for kind in ["StatefulSet", "DaemonSet", "Job"] {
        let before = told(QUOTA, "2026-03-01T11:59:58Z");
        assert!(matches!(without_pods(kind, &[before], 400).health, Health::Progressing { .. }));
        let other = but(told(QUOTA, CREATED), &[("/involvedObject/uid", json!("w2"))]);
        assert!(matches!(without_pods(kind, &[other], 400).health, Health::Progressing { .. }));
    }
}

#[test]
fn a_quota_gets_time_while_pods_of_a_set_are_replaced() {
    let rolling = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "uid": "w1", "generation": 2},
        "spec": {"replicas": 2, "serviceName": "db", "selector": {}, "template": {}},
        "status": {"observedGeneration": 2, "replicas": 1, "currentRevision": "db-1", "updateRevision": "db-2"}});
    let what = ObjectRef {
        group: "apps".into(),
        version: "v1".into(),
        kind: "StatefulSet".into(),
        namespace: "shop-dev".into(),
        name: "db".into(),
    };
    let related = Related::default().with_refusals(&shared(&[told(QUOTA, CREATED)]));
    let assessment = assess(&what, &object(&rolling), &related, &limits(2));
    assert_eq!(assessment.recheck, Some(at(301)), "{assessment:?}");
}

#[test]
fn events_are_needed_only_while_pods_are_missing() {
    let what = |kind: &str| ObjectRef {
        group: if kind == "Job" { "batch".into() } else { "apps".into() },
        version: "v1".into(),
        kind: kind.into(),
        namespace: "shop-dev".into(),
        name: "db".into(),
    };
    let spec = json!({"replicas": 1, "serviceName": "db", "selector": {}, "template": {}});
    for (kind, status) in [
        ("StatefulSet", json!({"replicas": 1})),
        (
            "DaemonSet",
            json!({"currentNumberScheduled": 1, "desiredNumberScheduled": 1, "numberMisscheduled": 0, "numberReady": 0}),
        ),
        ("Job", json!({"active": 1})),
        ("Job", json!({"conditions": [{"type": "Complete", "status": "True"}]})),
        ("Deployment", json!({})),
    ] {
        let value = json!({"metadata": {"name": "db"}, "spec": spec, "status": status});
        assert!(!needs_events(&what(kind), &object(&value)), "{kind}");
    }
}
