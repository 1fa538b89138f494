use serde_json::json;

use super::*;

const BEGAN: &str = "2026-12-24T12:00:00Z";

fn command() -> CommandRun {
    serde_json::from_value(json!({
        "metadata": {"name": "clean", "namespace": "shop", "uid": "u"},
        "spec": {"environment": "dev", "project": "checkout", "reason": "r",
            "script": {"image": "tools:1", "run": "ls", "timeout": "2m", "env": [{"name": "LEVEL", "value": "debug"}]}},
    }))
    .unwrap()
}

fn written(environment: &Value) -> Value {
    let environment = serde_json::from_value(json!({"metadata": {"name": "dev"}, "spec": environment})).unwrap();
    let command = command();
    let script = command.spec.script.clone().unwrap();
    let job = write((&command, &script), ("shop-dev", "default"), ("tools:1@sha256:x", &environment)).unwrap();
    serde_json::to_value(job).unwrap()
}

#[test]
fn a_script_runs_once_bounded_in_everything_and_without_a_token() {
    let job = written(&json!({"order": 1, "pullSecrets": ["ghcr"]}));
    let (spec, pod) = (&job["spec"], &job["spec"]["template"]["spec"]);
    let once = json!([spec["backoffLimit"], spec["parallelism"], spec["completions"], spec["podReplacementPolicy"]]);
    assert_eq!(once, json!([0, 1, 1, "Failed"]));
    let times = json!([pod["activeDeadlineSeconds"], spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]]);
    assert_eq!(times, json!([120, 150, 3600]));
    assert_eq!(pod["serviceAccountName"], "gantry-console");
    assert_eq!((&pod["automountServiceAccountToken"], &pod["restartPolicy"]), (&json!(false), &json!("Never")));
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "ghcr"}]));
    let container = &pod["containers"][0];
    assert_eq!(container["command"], json!(["/bin/sh", "-c", "ls"]));
    assert_eq!(container["env"], json!([{"name": "LEVEL", "value": "debug"}]));
    assert_eq!(container["resources"]["limits"], json!({"cpu": "1", "memory": "512Mi"}));
}

#[test]
fn no_container_has_more_than_the_environment_lets_one_have() {
    let job = written(&json!({"order": 1, "limits": {"max": {"memory": "32Mi", "cpu": "2"}}}));
    let resources = &job["spec"]["template"]["spec"]["containers"][0]["resources"];
    assert_eq!(resources["limits"], json!({"cpu": "1", "memory": "32Mi"}));
    assert_eq!(resources["requests"], json!({"cpu": "50m", "memory": "32Mi"}));
}

#[test]
fn a_job_has_one_name_for_each_command_and_target() {
    assert_eq!(name("u", "eu"), name("u", "eu"));
    assert_ne!(name("u", "eu"), name("u", "us"));
    assert!(name("u", "eu").len() <= 63);
    assert_eq!(sha256("ls"), "c7b68ac37f364473e922936708e7f43c293dd07b295171566c07ff5fe024fab9");
}

fn pod(node: Option<&str>, status: &Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "uid": "pu", "resourceVersion": "7", "ownerReferences": [
            {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "ju", "controller": true}]},
        "spec": {"containers": [], "nodeName": node}, "status": status,
    }))
    .unwrap()
}

fn container(state: &Value) -> Value {
    json!([{"name": "script", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state}])
}

fn seen(conditions: &Value, pods: Option<&[Pod]>, after: i64) -> Sight {
    let job = json!({"metadata": {"name": "j", "uid": "ju"}, "status": {"conditions": conditions}});
    let job = serde_json::from_value(job).unwrap();
    let began: Timestamp = BEGAN.parse().unwrap();
    let span = Span::of(&command().spec.script.unwrap(), began);
    see(&job, pods, (span, began + SignedDuration::from_secs(after)))
}

/// What is seen of a pod after a while.
fn of(node: Option<&str>, status: &Value, after: i64) -> Sight {
    seen(&json!([]), Some(&[pod(node, status)]), after)
}

#[test]
fn the_exit_code_of_the_container_is_how_it_ended() {
    for code in [0, 3] {
        let status =
            json!({"phase": "Running", "containerStatuses": container(&json!({"terminated": {"exitCode": code}}))});
        assert_eq!(of(Some("n"), &status, 1), Sight::Ended { code, pod: Some("p".to_owned()) });
    }
    let complete = json!([{"type": "Complete", "status": "True"}]);
    assert_eq!(seen(&complete, Some(&[]), 1), Sight::Ended { code: 0, pod: None });
}

#[test]
fn what_never_ran_and_never_will_says_why() {
    let waits = |reason: &str| json!({"phase": "Pending", "containerStatuses": container(&json!({"waiting": {"reason": reason}}))});
    for reason in ["CreateContainerConfigError", "InvalidImageName"] {
        assert!(matches!(of(Some("n"), &waits(reason), 1), Sight::CannotRun { .. }), "{reason}");
    }
    assert!(matches!(of(Some("n"), &waits("ImagePullBackOff"), 1), Sight::Goes { .. }), "it may heal");
    let mut over = waits("ImagePullBackOff");
    over["phase"] = json!("Failed");
    over["reason"] = json!("DeadlineExceeded");
    assert!(matches!(of(Some("n"), &over, 130), Sight::CannotRun { .. }));
    let unstarted = json!({"phase": "Failed", "containerStatuses":
        container(&json!({"terminated": {"exitCode": 128, "reason": "StartError"}}))});
    assert!(matches!(of(Some("n"), &unstarted, 1), Sight::CannotRun { .. }));
}

#[test]
fn what_no_node_took_in_time_is_named_so_that_it_can_be_deleted_as_it_was_seen() {
    let status = json!({"phase": "Pending"});
    assert!(matches!(of(None, &status, 119), Sight::Goes { .. }));
    let homeless = Sight::Homeless { pod: "p".into(), uid: "pu".into(), version: "7".into() };
    assert_eq!(of(None, &status, 120), homeless);
    assert_eq!(of(None, &status, 1000), homeless);
}

#[test]
fn what_ran_longer_than_it_may_was_stopped() {
    let running = json!({"phase": "Running", "containerStatuses": container(&json!({"running": {}}))});
    assert!(matches!(of(Some("n"), &running, 119), Sight::Goes { message: "runs", pod: Some(_) }));
    let killed = json!({"phase": "Failed", "reason": "DeadlineExceeded",
        "containerStatuses": container(&json!({"terminated": {"exitCode": 137}}))});
    assert_eq!(of(Some("n"), &killed, 125), Sight::TimedOut { pod: "p".into() });
}

#[test]
fn what_nobody_can_find_out_is_lost_and_not_tried_again() {
    let running = json!({"phase": "Running", "containerStatuses": container(&json!({"running": {}}))});
    let unknown = json!({"phase": "Failed", "containerStatuses":
        container(&json!({"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}))});
    let failed = json!([{"type": "Failed", "status": "True"}]);
    for sight in [
        of(Some("gone"), &running, 180),
        of(Some("gone"), &unknown, 1),
        seen(&failed, Some(&[]), 1),
        seen(&failed, None, 1),
        seen(&json!([]), Some(&[]), 180),
    ] {
        assert!(matches!(sight, Sight::Lost { .. }), "{sight:?}");
    }
    assert!(matches!(seen(&json!([]), Some(&[]), 179), Sight::Goes { .. }));
    let mut foreign = pod(Some("n"), &running);
    foreign.metadata.owner_references = None;
    assert!(matches!(seen(&json!([]), Some(&[foreign]), 1), Sight::Goes { pod: None, .. }), "it is somebody else's");
}
