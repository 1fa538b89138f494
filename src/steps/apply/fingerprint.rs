//! Which fields of an object its project set, as a short text: what changes as soon as somebody else sets one of them. Pure.
//!
//! The API server keeps a list of the fields of every manager. Whoever changes the value of a field takes it from all others
//! (structured-merge-diff, `merge/update.go`), so a shorter list says that something was changed, and nobody has to keep or
//! compare values. A field that the project did not set, such as the replicas that an autoscaler sets, is in no list of ours.

use std::fmt::Write;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use sha2::{Digest, Sha256};

/// Bytes of the digest that are kept: enough to tell two states of one object apart.
const BYTES: usize = 8;

/// The fields that `manager` has applied: 16 hexadecimal digits; nothing when there are none.
#[must_use]
pub fn fingerprint(fields: &[ManagedFieldsEntry], manager: &str) -> Option<String> {
    let is_ours = |entry: &&ManagedFieldsEntry| {
        entry.manager.as_deref() == Some(manager)
            && entry.operation.as_deref() == Some("Apply")
            && entry.subresource.is_none()
    };
    let mut lists: Vec<String> = fields
        .iter()
        .filter(is_ours)
        .filter_map(|entry| serde_json::to_string(&entry.fields_v1.as_ref()?.0).ok())
        .collect();
    if lists.is_empty() {
        return None;
    }
    lists.sort_unstable();
    let digest = Sha256::digest(lists.join("\n"));
    Some(digest.iter().take(BYTES).fold(String::with_capacity(2 * BYTES), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;
    use serde_json::{Value, json};

    fn entry(manager: &str, operation: &str, fields: Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.to_owned()),
            operation: Some(operation.to_owned()),
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        }
    }

    fn ours(fields: Value) -> ManagedFieldsEntry {
        entry("gantry/checkout", "Apply", fields)
    }

    #[test]
    fn only_what_the_project_applied_counts() {
        let print = |fields: &[ManagedFieldsEntry]| fingerprint(fields, "gantry/checkout");
        let spec = json!({"f:spec": {"f:replicas": {}, "f:paused": {}}});
        let alone = print(&[ours(spec.clone())]);
        assert_eq!(alone.as_ref().map(String::len), Some(16));
        let scaled = entry("kube-controller-manager", "Update", json!({"f:spec": {"f:minReadySeconds": {}}}));
        assert_eq!(print(&[scaled, ours(spec.clone())]), alone, "others set other fields");
        assert_ne!(print(&[ours(json!({"f:spec": {"f:paused": {}}}))]), alone, "one field was taken");
        assert_eq!(print(&[entry("gantry/checkout", "Update", spec.clone())]), None);
        assert_eq!(print(&[entry("gantry/billing", "Apply", spec)]), None);
        assert_eq!(print(&[]), None);
    }

    #[test]
    fn when_it_was_applied_does_not_count() {
        let early = ours(json!({"f:spec": {}}));
        let mut late = early.clone();
        late.time = serde_json::from_value(json!("2027-01-01T00:00:00Z")).unwrap();
        assert_eq!(fingerprint(&[early], "gantry/checkout"), fingerprint(&[late], "gantry/checkout"));
    }
}
