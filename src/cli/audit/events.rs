//! Records as `CloudEvents` 1.0. What `CDEvents` has a word for has its type (`cdevents/spec`, `continuous-deployment.md`, 0.3.0
//! of the types `service.deployed`, `service.upgraded` and `service.rolledback`), one event a package; every other end of a
//! promotion is of a type of Gantry's own.

use std::collections::BTreeSet;

use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::api::v1alpha1::AuditRecordSpec;
use crate::api::v1alpha1::history::PinnedPackage;

/// The version of the `CDEvents` specification whose types these are.
const CDEVENTS: &str = "0.5.0";

/// One event a line, in the order in which things ended.
pub(super) fn lines(records: &[DynamicObject]) -> Result<Vec<String>, serde_json::Error> {
    let mut read = Vec::with_capacity(records.len());
    for record in records {
        let spec: AuditRecordSpec = serde_json::from_value(record.data.get("spec").cloned().unwrap_or_default())?;
        read.push((record, spec));
    }
    read.sort_by(|(_, one), (_, other)| one.finished_at.cmp(&other.finished_at));
    // What was there before makes an upgrade of a deployment.
    let mut deployed = BTreeSet::new();
    let mut lines = Vec::new();
    for (record, spec) in &read {
        let first = spec.phase == "Succeeded" && deployed.insert((&spec.project, &spec.environment));
        for event in of_record(record, spec, first) {
            lines.push(serde_json::to_string(&event)?);
        }
    }
    Ok(lines)
}

fn of_record(record: &DynamicObject, spec: &AuditRecordSpec, first: bool) -> Vec<Value> {
    let space = record.metadata.namespace.as_deref().unwrap_or_default();
    let kind = match (spec.phase.as_str(), spec.mode.as_deref()) {
        ("Succeeded", Some("Rollback")) => "dev.cdevents.service.rolledback.0.3.0",
        ("Succeeded", _) if first => "dev.cdevents.service.deployed.0.3.0",
        ("Succeeded", _) => "dev.cdevents.service.upgraded.0.3.0",
        _ => {
            let kind = format!("dev.gantry.promotion.{}", spec.phase.to_lowercase());
            return vec![cloud_event((space, &kind, &spec.promotion_uid), spec, &json!(spec))];
        }
    };
    let event = |package: &PinnedPackage| {
        let id = format!("{}-{}", spec.promotion_uid, package.name);
        let source = source(space);
        let said = json!({
            "context": {
                "version": CDEVENTS, "id": id, "source": source, "type": kind, "timestamp": spec.finished_at,
            },
            "subject": {
                "id": format!("{}/{}", spec.project, package.name), "source": source, "type": "service",
                "content": {
                    "environment": {"id": spec.environment, "source": source}, "artifactId": purl(package),
                },
            },
            "customData": spec,
            "customDataContentType": "application/json",
        });
        cloud_event((space, kind, &id), spec, &said)
    };
    spec.packages.iter().map(event).collect()
}

fn cloud_event((space, kind, id): (&str, &str, &str), spec: &AuditRecordSpec, data: &Value) -> Value {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": source(space),
        "type": kind,
        "subject": format!("{}/{}", spec.project, spec.environment),
        "time": spec.finished_at,
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
        let lines = lines(&records).unwrap();
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
}
