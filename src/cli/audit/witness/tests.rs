use super::*;

/// The record that says that freeze `winter` was deleted, and the one that says that it was made.
fn records() -> Vec<DynamicObject> {
    let record = |name: &str, at: &str, change: Value| {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "shop"}, "spec": {
            "kind": "Change", "at": at, "object": {"kind": "Freeze", "name": "winter", "uid": "u"}, "change": change,
        }}))
        .unwrap()
    };
    vec![
        record("change-u-1", "2026-01-01T00:00:10.000000Z", json!({"action": "Created"})),
        record("change-u-deleted", "2026-01-01T00:00:20.000000Z", json!({"action": "Deleted"})),
    ]
}

/// An Event of a request of dora to delete it, with these fields in place of its own.
fn event(more: Value) -> Value {
    let mut event = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": "a1", "stage": "ResponseComplete",
        "requestURI": "/apis/gantry.dev/v1alpha1/namespaces/shop/freezes/winter?", "verb": "delete", "user": {"username": "dora"},
        "objectRef": {"resource": "freezes", "namespace": "shop", "name": "winter", "apiGroup": "gantry.dev", "apiVersion": "v1alpha1"},
        "responseStatus": {"metadata": {}, "status": "Success", "code": 200},
        "requestReceivedTimestamp": "2026-01-01T00:00:15.000000Z", "stageTimestamp": "2026-01-01T00:00:15.005000Z",
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
    });
    if let (Value::Object(event), Value::Object(more)) = (&mut event, more) {
        event.extend(more);
    }
    event
}

fn log(lines: &[String]) -> Result<Log, String> {
    let mut log = Log::default();
    log.add("audit.log", lines.join("\n").as_bytes()).map_err(|error| error.to_string())?;
    Ok(log)
}

/// Who deleted it by a log of these Events.
fn author(events: &[Value]) -> Value {
    let lines: Vec<String> = events.iter().map(ToString::to_string).collect();
    let mut joined = log(&lines).unwrap().join(&records());
    assert_eq!(joined.len(), 1, "what was made has its author in its record");
    joined.remove(0).author
}

fn known(by: &str, proof: &str) -> Value {
    json!({"username": by, "impersonatedBy": null, "at": "2026-01-01T00:00:15Z", "auditID": "a1", "knownBy": proof})
}

#[test]
fn an_answer_names_what_it_deleted_as_a_status_an_object_or_a_list() {
    let body = |body: Value| event(json!({"responseObject": body}));
    let of_all = |uids: &[&str]| {
        let items: Vec<Value> = uids.iter().map(|uid| json!({"metadata": {"uid": uid}})).collect();
        event(json!({
            "verb": "deletecollection", "objectRef": {"resource": "freezes", "namespace": "shop", "apiGroup": "gantry.dev"},
            "responseObject": {"kind": "FreezeList", "metadata": {"resourceVersion": "7"}, "items": items},
        }))
    };
    for one in [
        body(json!({"kind": "Status", "metadata": {}, "details": {"name": "winter", "uid": "u"}})),
        body(
            json!({"kind": "Freeze", "metadata": {"uid": "u", "deletionTimestamp": "2026-01-01T00:00:15Z"}, "spec": {}}),
        ),
        of_all(&["t", "u"]),
        event(json!({"responseStatus": {"code": 200, "details": {"uid": "u"}}})),
    ] {
        assert_eq!(author(std::slice::from_ref(&one)), known("dora", "its UID"), "{one}");
    }
    let missing = author(&[of_all(&["t"])]);
    assert!(
        missing["unknown"].as_str().is_some_and(|why| why.starts_with(
            "no request in the log can have done it; give the log of the time before 2026-01-01T00:00:20Z"
        )),
        "{missing}"
    );
    assert_eq!(author(&[event(json!({}))]), known("dora", "its name and the time"), "a log without bodies");
}

#[test]
fn what_was_only_tried_refused_or_not_of_ours_deleted_nothing() {
    let uri = "/apis/gantry.dev/v1alpha1/namespaces/shop/freezes/winter?dryRun=All";
    for other in [
        json!({"requestURI": uri}),
        json!({"requestObject": {"kind": "DeleteOptions", "dryRun": ["All"]}}),
        json!({"responseStatus": {"code": 403}}),
        json!({"responseStatus": {"code": 404}}),
        json!({"annotations": {"authorization.k8s.io/decision": "forbid"}, "verb": "deletecollection"}),
        json!({"stage": "RequestReceived"}),
        json!({"verb": "patch", "requestObject": [{"op": "remove", "path": "/metadata/finalizers"}]}),
        json!({"objectRef": {"resource": "freezes", "namespace": "shop", "name": "winter", "apiGroup": "example.com"}}),
    ] {
        let said = author(&[event(other.clone())]);
        assert!(said.get("unknown").is_some(), "{other}: {said}");
    }
}

#[test]
fn two_who_may_have_done_it_are_both_named_and_so_is_who_acted_as_another() {
    let bob = json!({"user": {"username": "bob"}, "auditID": "a2", "requestReceivedTimestamp": "2026-01-01T00:00:16Z"});
    let unsure = author(&[event(json!({})), event(bob)]);
    let why = "the log does not say for certain who did it; these asked for it or for more: dora (request a1), bob (request a2)";
    assert_eq!(unsure, json!({"unknown": why}));
    let stopped = author(&[event(json!({"responseStatus": {"code": 504}}))]);
    assert!(stopped["unknown"].as_str().is_some_and(|why| why.ends_with("dora (request a1)")), "{stopped}");
    let strange = author(&[event(json!({"requestObject": {"dryRun": "All"}}))]);
    assert!(strange["unknown"].as_str().is_some_and(|why| why.ends_with("dora (request a1)")), "{strange}");
    let acted = event(json!({"user": {"username": "eve"}, "impersonatedUser": {"username": "dora"}}));
    let acted = author(&[acted]);
    assert_eq!((&acted["username"], &acted["impersonatedBy"]), (&json!("dora"), &json!("eve")));
}

#[test]
fn lines_that_are_no_events_are_told_and_a_file_of_none_is_refused() {
    let lines = [event(json!({})).to_string(), String::new(), "half a li".to_owned(), r#"{"kind": "Pod"}"#.to_owned()];
    let read = log(&lines).unwrap();
    assert_eq!(read.join(&records()).len(), 1);
    let told = "2 lines of audit.log are no Events of audit.k8s.io/v1 and were left out, line 3 first";
    assert_eq!(read.unreadable, [told]);
    let refused = log(&lines[2..]).unwrap_err();
    assert_eq!(refused, "audit.log has no Event of audit.k8s.io/v1; give the file of kube-apiserver --audit-log-path");
    let missing = Log::read(&["/nowhere/audit.log".into()]).unwrap_err().to_string();
    assert!(missing.starts_with("/nowhere/audit.log cannot be read: "), "{missing}");
}

#[test]
fn who_deleted_a_blocked_release_is_found_like_whoever_deleted_anything_else() {
    let block = json!({"version": "1", "blocked": false, "deleted": true});
    let record = json!({"metadata": {"name": "block-u-deleted", "namespace": "shop"}, "spec": {
        "kind": "Block", "at": "2026-01-01T00:00:20.000000Z", "object": {"kind": "Release", "name": "checkout-1", "uid": "u"}, "block": block,
    }});
    let reference = json!({"resource": "releases", "namespace": "shop", "name": "checkout-1", "apiGroup": "gantry.dev", "apiVersion": "v1alpha1"});
    let lines = [event(json!({"objectRef": reference})).to_string()];
    let mut joined = log(&lines).unwrap().join(&[serde_json::from_value(record).unwrap()]);
    assert_eq!(joined.remove(0).author, known("dora", "its name and the time"));
}
