//! From objects to what the rules of sealing know of them, and back.

use kube::core::{DynamicObject, ObjectMeta};
use serde_json::json;

use super::v1alpha1::audit_checkpoint::{AuditCheckpoint, AuditCheckpointSpec, SealedRecord};
use crate::domain::audit::{Checkpoint, Hash, Sealed};

/// The most records that a checkpoint seals, as its definition says.
pub const MOST: usize = 100;

/// A checkpoint that does not read as one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("AuditCheckpoint {name}: {path} {why}")]
pub struct Unreadable {
    /// Its name.
    pub name: String,
    /// Where in it.
    pub path: String,
    /// What is wrong.
    pub why: String,
}

/// What a record says, as it is sealed: which record it is and its spec, as the API server stores them, in canonical JSON
/// (RFC 8785). What the API server keeps besides (uid, times, managed fields) is not part of it: a record that was restored from
/// an export is the same record.
#[must_use]
pub fn sealed(record: &DynamicObject) -> Sealed {
    let meta = &record.metadata;
    let said = json!({
        "kind": "AuditRecord",
        "namespace": meta.namespace,
        "name": meta.name,
        "spec": record.data.get("spec"),
    });
    // Plain JSON values can always be written.
    let text = serde_json_canonicalizer::to_vec(&said).unwrap_or_default();
    Sealed { record: meta.name.clone().unwrap_or_default(), hash: Hash::leaf(&text) }
}

/// The name of a checkpoint: sorted by it, checkpoints are in their order.
#[must_use]
pub fn name(number: u64) -> String {
    format!("checkpoint-{number:010}")
}

/// A checkpoint as an object of a space.
#[must_use]
pub fn object(space: &str, checkpoint: &Checkpoint) -> AuditCheckpoint {
    let records = checkpoint.records.iter();
    let records: Vec<SealedRecord> =
        records.map(|sealed| SealedRecord { name: sealed.record.clone(), hash: sealed.hash.to_string() }).collect();
    AuditCheckpoint {
        metadata: ObjectMeta {
            name: Some(name(checkpoint.number)),
            namespace: Some(space.to_owned()),
            ..ObjectMeta::default()
        },
        spec: AuditCheckpointSpec {
            number: i64::try_from(checkpoint.number).unwrap_or(i64::MAX),
            previous: checkpoint.previous.map(|root| root.to_string()),
            root: checkpoint.root.to_string(),
            count: i64::try_from(records.len()).unwrap_or(i64::MAX),
            records,
        },
    }
}

/// What an object says as a checkpoint.
///
/// # Errors
/// When a number or a hash is none, or when it has another name than its number says or another count: then somebody else wrote it.
pub fn checkpoint(object: &AuditCheckpoint) -> Result<Checkpoint, Unreadable> {
    let (spec, own) = (&object.spec, object.metadata.name.clone().unwrap_or_default());
    let wrong = |path: String, why: String| Unreadable { name: own.clone(), path, why };
    let hash = |path: &str, text: &str| text.parse().map_err(|why: _| wrong(path.to_owned(), format!("{why}")));
    let number =
        u64::try_from(spec.number).map_err(|_| wrong("spec.number".to_owned(), "is not positive".to_owned()))?;
    if own != name(number) {
        return Err(wrong("metadata.name".to_owned(), format!("should be {}", name(number))));
    }
    if usize::try_from(spec.count) != Ok(spec.records.len()) {
        return Err(wrong("spec.count".to_owned(), format!("should be {}", spec.records.len())));
    }
    let sealed = |(place, record): (usize, &SealedRecord)| {
        Ok(Sealed { record: record.name.clone(), hash: hash(&format!("spec.records[{place}].hash"), &record.hash)? })
    };
    Ok(Checkpoint {
        number,
        previous: spec.previous.as_deref().map(|text| hash("spec.previous", text)).transpose()?,
        root: hash("spec.root", &spec.root)?,
        records: spec.records.iter().enumerate().map(sealed).collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(data: &str) -> DynamicObject {
        serde_json::from_str(data).unwrap()
    }

    #[test]
    fn what_a_record_says_is_the_same_in_any_order_of_its_fields_and_whatever_the_server_keeps_besides() {
        let one = record(r#"{"metadata": {"name": "promotion-x", "namespace": "shop"}, "spec": {"a": 1.0, "b": "é"}}"#);
        let same = record(
            r#"{"metadata": {"namespace": "shop", "uid": "u", "name": "promotion-x"}, "spec": {"b": "\u00e9", "a": 1}}"#,
        );
        assert_eq!(sealed(&one), sealed(&same));
        for other in [
            r#"{"metadata": {"name": "promotion-y", "namespace": "shop"}, "spec": {"a": 1, "b": "é"}}"#,
            r#"{"metadata": {"name": "promotion-x", "namespace": "stock"}, "spec": {"a": 1, "b": "é"}}"#,
            r#"{"metadata": {"name": "promotion-x", "namespace": "shop"}, "spec": {"a": 2, "b": "é"}}"#,
            r#"{"metadata": {"name": "promotion-x", "namespace": "shop"}, "spec": {"a": 1}}"#,
        ] {
            assert_ne!(sealed(&one).hash, sealed(&record(other)).hash, "{other}");
        }
    }

    #[test]
    fn a_checkpoint_reads_as_it_was_written() {
        let first = Checkpoint::after(None, [Sealed { record: "a".into(), hash: Hash::leaf(b"a") }]);
        let second = Checkpoint::after(Some(first.anchor()), [Sealed { record: "b".into(), hash: Hash::leaf(b"b") }]);
        for known in [first, second] {
            assert_eq!(checkpoint(&object("shop", &known)), Ok(known));
        }
    }

    #[test]
    fn what_is_no_checkpoint_is_refused_with_its_place() {
        let known = Checkpoint::after(None, [Sealed { record: "a".into(), hash: Hash::leaf(b"a") }]);
        let told = |change: fn(&mut AuditCheckpoint)| {
            let mut object = object("shop", &known);
            change(&mut object);
            checkpoint(&object).unwrap_err().to_string()
        };
        assert_eq!(
            told(|object| object.spec.records[0].hash.push('0')),
            "AuditCheckpoint checkpoint-0000000001: spec.records[0].hash a hash has 64 digits of 0-9 and a-f"
        );
        assert_eq!(
            told(|object| object.spec.number = 2),
            "AuditCheckpoint checkpoint-0000000001: metadata.name should be checkpoint-0000000002"
        );
        assert_eq!(
            told(|object| object.spec.count = 2),
            "AuditCheckpoint checkpoint-0000000001: spec.count should be 1"
        );
    }
}
