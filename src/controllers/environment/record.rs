//! What is recorded of the namespaces of an environment: that one became its own, and that what somebody had changed was put back.
//! Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::core::ObjectMeta;

use super::effect::Effect;
use super::observed::Observed;
use super::provision::Work;
use crate::api::v1alpha1::audit_object::AuditObject;
use crate::api::v1alpha1::audit_record::{AuditKind, ProvisioningPart};
use crate::api::v1alpha1::environment::{Corrections, TargetStatus};
use crate::api::v1alpha1::{AuditRecord, AuditRecordSpec};

/// How many objects a correction lists, as its definition says: more than eight targets have.
const OBJECTS: usize = 64;

/// The correction that must be written down before anything is put back; nothing if it is, or if nothing has to be.
#[must_use]
pub fn intent(observed: &Observed, work: &Work) -> Option<Corrections> {
    let known = observed.status().corrections.unwrap_or_default();
    let mut missing: Vec<&String> = work.corrected.iter().filter(|what| !known.underway.contains(what)).collect();
    missing.truncate(OBJECTS.saturating_sub(known.underway.len()));
    if missing.is_empty() {
        return None;
    }
    let number = if known.underway.is_empty() { known.number.saturating_add(1) } else { known.number };
    let underway = known.underway.iter().chain(missing).cloned().collect();
    Some(Corrections { number, underway })
}

/// The record of the correction that is under way.
#[must_use]
pub fn correction(observed: &Observed) -> Option<AuditRecord> {
    let Corrections { number, underway } = observed.status().corrections.filter(|known| !known.underway.is_empty())?;
    let part =
        ProvisioningPart { action: "Corrected".to_owned(), objects: underway, namespace_uid: None, created: false };
    Some(record(observed, &format!("correction-{number}"), part))
}

/// The record that a namespace became the environment's.
#[must_use]
pub fn claim(observed: &Observed, claimed: &TargetStatus) -> AuditRecord {
    let part = ProvisioningPart {
        action: "Claimed".to_owned(),
        objects: vec![format!("namespace {}", claimed.namespace)],
        namespace_uid: claimed.uid.clone(),
        created: claimed.created,
    };
    record(observed, &format!("claim-{}", claimed.uid.as_deref().unwrap_or_default()), part)
}

/// Writes a record.
#[must_use]
pub fn effect(record: AuditRecord) -> Effect {
    Effect::Record(Box::new(record))
}

fn record(observed: &Observed, what: &str, part: ProvisioningPart) -> AuditRecord {
    let owner = &observed.owner;
    AuditRecord {
        metadata: ObjectMeta {
            name: Some(format!("provisioning-{}-{what}", owner.uid)),
            namespace: Some(owner.space.clone()),
            ..ObjectMeta::default()
        },
        spec: AuditRecordSpec {
            kind: Some(AuditKind::Provisioning),
            at: Some(MicroTime(observed.now)),
            object: Some(AuditObject::of(observed.environment.as_ref())),
            environment: Some(owner.environment.clone()),
            provisioning: Some(part),
            ..AuditRecordSpec::default()
        },
    }
}
