//! The record of a decision on a promotion. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::core::ObjectMeta;

use super::Observed;
use crate::api::v1alpha1::approval::ApprovalDecision;
use crate::api::v1alpha1::audit_object::AuditObject;
use crate::api::v1alpha1::audit_record::{ApprovalPart, AuditKind};
use crate::api::v1alpha1::{AuditRecord, AuditRecordSpec};
use crate::domain::promotion::approval::Choice;

/// Who decided what, and whether it counted, or why not. Whoever it names counted or is vouched for, else nobody is named.
#[must_use]
pub fn record(observed: &Observed, counted: Result<(), &str>) -> AuditRecord {
    let (meta, spec) = (&observed.approval.metadata, &observed.approval.spec);
    let uid = meta.uid.clone().unwrap_or_default();
    let decision = match spec.decision {
        ApprovalDecision::Approve => Choice::Approve,
        ApprovalDecision::Reject => Choice::Reject,
    };
    let promotion =
        observed.promotion.as_ref().filter(|known| known.metadata.uid.as_ref() == Some(&spec.promotion_uid));
    AuditRecord {
        metadata: ObjectMeta {
            name: Some(format!("approval-{uid}")),
            namespace: meta.namespace.clone(),
            ..ObjectMeta::default()
        },
        spec: AuditRecordSpec {
            kind: Some(AuditKind::Approval),
            by: spec.by.clone().filter(|_| counted.is_ok() || observed.vouched),
            at: Some(MicroTime(meta.creation_timestamp.as_ref().map_or(observed.now, |time| time.0))),
            object: Some(AuditObject::of(observed.approval.as_ref())),
            project: promotion.map(|known| known.spec.project.clone()),
            environment: Some(spec.environment.clone()),
            approval: Some(ApprovalPart {
                promotion: spec.promotion.clone(),
                promotion_uid: spec.promotion_uid.clone(),
                plan_digest: spec.plan_digest.clone(),
                decision: decision.as_str().to_owned(),
                counted: counted.is_ok(),
                void: counted.err().map(str::to_owned),
                comment: spec.comment.clone(),
            }),
            ..AuditRecordSpec::default()
        },
    }
}
