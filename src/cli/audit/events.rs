//! Records as `CloudEvents` 1.0. What `CDEvents` has a word for has its type (`cdevents/spec`, `continuous-deployment.md`, 0.3.0 of
//! the types `service.deployed`, `.upgraded`, `.rolledback`, one event a package, and `environment.created`, `.modified`, `.deleted`);
//! everything else is of a type of Gantry's own. It has none for approvals, as of 0.5.

use std::collections::BTreeSet;

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::records::{AUTHOR, Records};
use crate::api::v1alpha1::AuditRecordSpec;
use crate::api::v1alpha1::audit_object::AuditObject;
use crate::api::v1alpha1::audit_record::PromotionEnd;
use crate::api::v1alpha1::history::PinnedPackage;

/// The version of the `CDEvents` specification whose types these are.
const CDEVENTS: &str = "0.5.0";

/// What every event of a record says.
struct Told<'a> {
    space: &'a str,
    spec: &'a AuditRecordSpec,
    time: Value,
}

/// One event a line, in the order in which things happened.
pub(super) fn lines(records: &Records) -> Result<Vec<String>, serde_json::Error> {
    let mut read: Vec<(_, &DynamicObject, _)> = Vec::with_capacity(records.entries.len());
    for record in &records.entries {
        let spec: AuditRecordSpec = serde_json::from_value(record.data.get("spec").cloned().unwrap_or_default())?;
        let at = spec.ended.as_ref().map(|ended| &ended.finished_at).or(spec.at.as_ref()).cloned();
        read.push((at, record, spec));
    }
    read.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    // What was there before makes an upgrade of a deployment.
    let mut deployed = BTreeSet::new();
    let mut lines = Vec::new();
    for (at, record, spec) in &read {
        let space = record.metadata.namespace.as_deref().unwrap_or_default();
        let told = Told { space, spec, time: json!(at) };
        let events = match &spec.ended {
            Some(ended) => {
                let first = ended.phase == "Succeeded" && deployed.insert((&spec.project, &spec.environment));
                of_promotion(&told, ended, first)
            }
            None => vec![by(of_object(&told, name_of(record)), records.author(&record.metadata))],
        };
        for event in events {
            lines.push(serde_json::to_string(&event)?);
        }
    }
    Ok(lines)
}

fn of_promotion(told: &Told, ended: &PromotionEnd, first: bool) -> Vec<Value> {
    let kind = match (ended.phase.as_str(), ended.mode.as_deref()) {
        ("Succeeded", Some("Rollback")) => "dev.cdevents.service.rolledback.0.3.0",
        ("Succeeded", _) if first => "dev.cdevents.service.deployed.0.3.0",
        ("Succeeded", _) => "dev.cdevents.service.upgraded.0.3.0",
        _ => {
            let kind = format!("dev.gantry.promotion.{}", ended.phase.to_lowercase());
            return vec![cloud_event(told, (&kind, &ended.promotion_uid), &json!(told.spec))];
        }
    };
    let project = told.spec.project.as_deref().unwrap_or_default();
    let event = |package: &PinnedPackage| {
        let id = format!("{}-{}", ended.promotion_uid, package.name);
        let content = json!({
            "environment": {"id": told.spec.environment, "source": source(told.space)}, "artifactId": purl(package),
        });
        let said = cd_event(told, (kind, &id), (&format!("{project}/{}", package.name), "service", &content));
        cloud_event(told, (kind, &id), &said)
    };
    ended.packages.iter().map(event).collect()
}

/// Everything else is of one object, and the name of its record is its own for ever.
fn of_object(told: &Told, record: &str) -> Value {
    let AuditObject { kind, name, .. } = told.spec.object.clone().unwrap_or_default();
    let word = word(told.spec);
    let of_environment = kind == "Environment";
    let known = match (of_environment, word) {
        (true, "created") => Some("dev.cdevents.environment.created.0.3.0"),
        (true, "changed" | "claimed" | "corrected") => Some("dev.cdevents.environment.modified.0.3.0"),
        (true, "deleted") => Some("dev.cdevents.environment.deleted.0.3.0"),
        (_, _) => None,
    };
    if let Some(known) = known {
        let content = json!({"name": name});
        return cloud_event(told, (known, record), &cd_event(told, (known, record), (&name, "environment", &content)));
    }
    let own = format!("dev.gantry.{}.{word}", kind.to_lowercase());
    cloud_event(told, (&own, record), &json!(told.spec))
}

fn name_of(record: &DynamicObject) -> &str {
    record.metadata.name.as_deref().unwrap_or_default()
}

/// The same event with who deleted it beside what the record says.
fn by(mut event: Value, author: Option<&Value>) -> Value {
    let Some(author) = author else { return event };
    let is_cd_event = event.pointer("/data/customData").is_some();
    let said = event.pointer_mut(if is_cd_event { "/data/customData" } else { "/data" });
    if let Some(Value::Object(said)) = said {
        said.insert(AUTHOR.to_owned(), author.clone());
    }
    event
}

/// What was done, in one word.
fn word(spec: &AuditRecordSpec) -> &'static str {
    let change = spec.change.as_ref().map(|part| part.action.as_str());
    let provisioning = spec.provisioning.as_ref().map(|part| part.action.as_str());
    let done = change.or(provisioning).or_else(|| spec.approval.as_ref().map(|part| part.decision.as_str()));
    match (done, &spec.block) {
        (Some("Created"), _) => "created",
        (Some("Changed"), _) => "changed",
        (Some("Deleted"), _) => "deleted",
        (Some("Claimed"), _) => "claimed",
        (Some("Corrected"), _) => "corrected",
        (Some("Approve"), _) => "approved",
        (Some("Reject"), _) => "rejected",
        (_, Some(block)) if block.blocked => "blocked",
        (_, Some(_)) => "unblocked",
        (_, None) if spec.overridden.is_some() => "overrides",
        (_, None) => spec.command.as_ref().map_or("recorded", |part| ended(&part.phase)),
    }
}

/// How a command ended, in one word.
fn ended(phase: &str) -> &'static str {
    match phase {
        "Succeeded" => "succeeded",
        "Failed" => "failed",
        "Refused" => "refused",
        "Canceled" => "canceled",
        _ => "unknown",
    }
}

fn cd_event(told: &Told, (kind, id): (&str, &str), (subject, what, content): (&str, &str, &Value)) -> Value {
    let source = source(told.space);
    json!({
        "context": {"version": CDEVENTS, "id": id, "source": source, "type": kind, "timestamp": told.time},
        "subject": {"id": subject, "source": source, "type": what, "content": content},
        "customData": told.spec,
        "customDataContentType": "application/json",
    })
}

fn cloud_event(told: &Told, (kind, id): (&str, &str), data: &Value) -> Value {
    let subject = match (&told.spec.project, &told.spec.environment, &told.spec.object) {
        (Some(project), Some(environment), _) => format!("{project}/{environment}"),
        (_, _, Some(object)) => format!("{}/{}", object.kind.to_lowercase(), object.name),
        (_, _, None) => told.space.to_owned(),
    };
    json!({
        "specversion": "1.0",
        "id": id,
        "source": source(told.space),
        "type": kind,
        "subject": subject,
        "time": told.time,
        "datacontenttype": "application/json",
        "data": data,
    })
}

fn source(space: &str) -> String {
    format!("/apis/gantry.dev/v1alpha1/namespaces/{space}")
}

/// A package URL of an image (purl-spec, type `oci`).
fn purl(package: &PinnedPackage) -> String {
    let name = package.image.rsplit('/').next().unwrap_or_default();
    let encoded = |text: &str| text.replace('%', "%25").replace(':', "%3A").replace('/', "%2F").replace('+', "%2B");
    let (digest, repository) = (encoded(&package.digest), encoded(&package.image));
    let tag = package.version.as_deref().map(|tag| format!("&tag={}", encoded(tag))).unwrap_or_default();
    format!("pkg:oci/{name}@{digest}?repository_url={repository}{tag}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, phase: &str, mode: &str, second: u32) -> DynamicObject {
        let digest = format!("sha256:{}", "a".repeat(64));
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {
                "promotion": name, "promotionUid": format!("uid-{name}"), "project": "checkout", "version": "1.0.0",
                "environment": "dev", "phase": phase, "reason": phase, "message": "m", "applied": true, "mode": mode,
                "createdAt": "2026-01-01T00:00:00.000000Z", "finishedAt": format!("2026-01-01T00:00:{second:02}.000000Z"),
                "packages": [{"name": "api", "image": "ghcr.io:443/acme/checkout", "version": "1.0.0", "digest": digest}],
            },
        }))
        .unwrap()
    }

    #[test]
    fn each_end_is_an_event_of_its_type_in_the_order_of_time() {
        let records = [
            record("back", "Succeeded", "Rollback", 4),
            record("bad", "Failed", "Deploy", 3),
            record("next", "Succeeded", "Deploy", 2),
            record("first", "Succeeded", "Deploy", 1),
        ];
        let lines = lines(&Records { entries: records.into(), ..Records::default() }).unwrap();
        let events: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> =
            events.iter().map(|event| (event["id"].as_str().unwrap(), event["type"].as_str().unwrap())).collect();
        let expected = [
            ("uid-first-api", "dev.cdevents.service.deployed.0.3.0"),
            ("uid-next-api", "dev.cdevents.service.upgraded.0.3.0"),
            ("uid-bad", "dev.gantry.promotion.failed"),
            ("uid-back-api", "dev.cdevents.service.rolledback.0.3.0"),
        ];
        assert_eq!(told, expected);
        let subject = &events[0]["data"]["subject"];
        assert_eq!(subject["content"]["environment"]["id"], "dev");
        let purl = format!(
            "pkg:oci/checkout@sha256%3A{}?repository_url=ghcr.io%3A443%2Facme%2Fcheckout&tag=1.0.0",
            "a".repeat(64)
        );
        assert_eq!(subject["content"]["artifactId"], purl);
        assert_eq!(events[0]["time"], "2026-01-01T00:00:01.000000Z");
    }

    #[test]
    fn every_other_record_is_an_event_with_the_types_that_cdevents_has() {
        let record = |kind: &str, object: &str, part: &str, said: Value| -> DynamicObject {
            serde_json::from_value(json!({"metadata": {"name": format!("r-{part}"), "namespace": "shop"}, "spec": {
                "kind": kind, "at": "2026-01-01T00:00:00.000000Z",
                "object": {"kind": object, "name": "x", "uid": "u"}, part: said,
            }}))
            .unwrap()
        };
        let approval =
            json!({"promotion": "p", "promotionUid": "u", "planDigest": "d", "decision": "Approve", "counted": true});
        for (record, kind) in [
            (
                record("Change", "Environment", "change", json!({"action": "Created"})),
                "dev.cdevents.environment.created.0.3.0",
            ),
            (
                record("Change", "Environment", "change", json!({"action": "Deleted"})),
                "dev.cdevents.environment.deleted.0.3.0",
            ),
            (
                record("Provisioning", "Environment", "provisioning", json!({"action": "Corrected", "objects": []})),
                "dev.cdevents.environment.modified.0.3.0",
            ),
            (record("Change", "Lifecycle", "change", json!({"action": "Changed"})), "dev.gantry.lifecycle.changed"),
            (record("Approval", "Approval", "approval", approval), "dev.gantry.approval.approved"),
            (
                record("Block", "Release", "block", json!({"version": "1", "blocked": true})),
                "dev.gantry.release.blocked",
            ),
            (
                record("Block", "Release", "block", json!({"version": "1", "blocked": false})),
                "dev.gantry.release.unblocked",
            ),
        ] {
            let name = record.metadata.name.clone().unwrap();
            let author = json!({"username": "dora"});
            let authors = [(name.clone(), author.clone())].into();
            let records = Records { entries: vec![record], authors, ..Records::default() };
            let line = lines(&records).unwrap().pop().unwrap();
            let event: Value = serde_json::from_str(&line).unwrap();
            assert_eq!((event["type"].as_str(), event["id"].as_str()), (Some(kind), Some(name.as_str())));
            assert!(event["subject"].as_str().is_some_and(|subject| subject.ends_with("/x")), "{event}");
            let said = event["data"].get("customData").unwrap_or(&event["data"]);
            assert!(said.get("object").is_some(), "it says all that the record says: {event}");
            assert_eq!(said.get("author"), Some(&author), "and who deleted it: {event}");
        }
    }
}
