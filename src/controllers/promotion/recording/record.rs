//! What a finished promotion leaves behind: its [`AuditRecord`], which is also the memory that its name was used.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::api::ObjectMeta;
use kube::{Api, Client};

use crate::api::condition::{cut, plain};
use crate::api::v1alpha1::audit_object::AuditObject;
use crate::api::v1alpha1::audit_record::{AuditApproval, AuditFreezeOverride, AuditKind, AuditStep, PromotionEnd};
use crate::api::v1alpha1::history::Person;
use crate::api::v1alpha1::promotion_status::StepRecord;
use crate::api::v1alpha1::{AuditRecord, AuditRecordSpec, Promotion, PromotionStatus};
use crate::cluster::error::ClusterError;
use crate::domain::promotion::machine::NameUse;
use crate::domain::promotion::mode::Mode;
use crate::domain::promotion::outcome::{DeployedPackage, Outcome};
use crate::domain::promotion::phase::Phase;
use crate::domain::promotion::reason::Reason;
use crate::domain::variable::function::sha256;

/// How many packages, steps and approvals a record lists: it stays below 8 KiB.
const PACKAGES: usize = 20;
const STEPS: usize = 32;
const APPROVALS: usize = 10;

/// The name of the record that uses up a promotion's name.
#[must_use]
pub fn record_name(promotion: &str) -> String {
    format!("promotion-{promotion}")
}

/// The record of a finished promotion; nothing for one that has not ended, or that took an earlier one's end.
#[must_use]
pub fn record(promotion: &Promotion) -> Option<AuditRecord> {
    let status = promotion.status.as_ref().filter(|status| status.finished)?;
    let reason = status.reason.clone().unwrap_or_default();
    if is_copy(&reason) {
        return None;
    }
    let name = promotion.metadata.name.clone()?;
    let finished_at = status.finished_at.clone()?;
    Some(AuditRecord {
        metadata: ObjectMeta {
            name: Some(record_name(&name)),
            namespace: promotion.metadata.namespace.clone(),
            ..ObjectMeta::default()
        },
        spec: AuditRecordSpec {
            kind: Some(AuditKind::Promotion),
            by: requester(promotion).cloned(),
            at: Some(finished_at.clone()),
            object: Some(AuditObject::of(promotion)),
            project: Some(promotion.spec.project.clone()),
            environment: Some(promotion.spec.environment.clone()),
            ended: Some(ended(promotion, status, name, reason)?),
            omitted: omitted(status),
            ..AuditRecordSpec::default()
        },
    })
}

/// Who asked for it. One that was refused because nobody vouches for that has no requester, whatever name it carries.
fn requester(promotion: &Promotion) -> Option<&Person> {
    let reason = promotion.status.as_ref().and_then(|status| status.reason.as_deref());
    promotion.spec.requested_by.as_ref().filter(|_| reason != Some(Reason::NotStamped.as_str()))
}

/// Which freezes it was to pass, and which it passed.
fn freeze_override(promotion: &Promotion) -> Option<AuditFreezeOverride> {
    let given = promotion.spec.freeze_override.as_ref()?;
    let passed = promotion.status.as_ref().and_then(|status| status.freeze_override.as_ref());
    Some(AuditFreezeOverride {
        names: given.names.clone(),
        reason: given.reason.clone(),
        passed: passed.map(|record| record.passed.clone()).unwrap_or_default(),
    })
}

/// How it ended; nothing for one whose status does not say.
fn ended(promotion: &Promotion, status: &PromotionStatus, name: String, reason: String) -> Option<PromotionEnd> {
    let finished_at = status.finished_at.clone()?;
    let created_at = promotion.metadata.creation_timestamp.as_ref().map(|time| MicroTime(time.0));
    let spec = &promotion.spec;
    Some(PromotionEnd {
        promotion: name,
        promotion_uid: promotion.metadata.uid.clone()?,
        version: spec.version.clone(),
        release_uid: status.release_uid().map(str::to_owned),
        reason_given: spec.reason.clone(),
        on_behalf_of: spec.on_behalf_of.clone(),
        not_before: spec.not_before.clone(),
        expires_at: spec.expires_at.clone(),
        priority: spec.priority,
        partial: spec.is_partial(),
        targets: spec.targets.clone(),
        skip_steps: spec.skip_steps.clone(),
        variables_given: variables_given(promotion),
        requested_by: requester(promotion).cloned(),
        cause: spec.cause.clone(),
        plan_digest: status.plan_digest.clone(),
        approvals: approvals(status).take(APPROVALS).collect(),
        recovery: status.recovery.clone(),
        freeze_override: freeze_override(promotion),
        mode: status.mode.clone(),
        previous: status.previous.clone(),
        rollback: status.rollback.as_ref().map(|rollback| rollback.promotion.clone()),
        phase: status.phase.clone()?,
        reason,
        message: cut(status.message.as_deref().unwrap_or_default(), 1024),
        applied: status.applied,
        created_at: created_at.unwrap_or_else(|| finished_at.clone()),
        started_at: status.started_at.clone(),
        finished_at,
        snapshot: status.snapshot.clone(),
        packages: status.packages.iter().take(PACKAGES).cloned().collect(),
        steps: status.steps.iter().take(STEPS).map(step).collect(),
    })
}

/// How many entries there is no room for.
fn omitted(status: &PromotionStatus) -> Option<i32> {
    let more = |count: usize, most: usize| count.saturating_sub(most);
    let all = more(status.packages.len(), PACKAGES)
        + more(status.steps.len(), STEPS)
        + more(approvals(status).count(), APPROVALS);
    i32::try_from(all).ok().filter(|count| *count > 0)
}

fn step(step: &StepRecord) -> AuditStep {
    AuditStep {
        name: step.name.clone(),
        namespace: step.namespace.clone(),
        phase: step.phase.clone(),
        reason: step.reason.clone(),
        started_at: step.started_at.clone(),
        finished_at: step.finished_at.clone(),
    }
}

/// The decisions that counted.
fn approvals(status: &PromotionStatus) -> impl Iterator<Item = AuditApproval> {
    let decisions = status.approvals.iter().flat_map(|record| &record.decisions).filter(|known| known.void.is_none());
    decisions.filter_map(|known| {
        let (decision, at) = (known.decision.clone(), known.at.clone());
        Some(AuditApproval { by: known.by.clone()?, decision, at, comment: known.comment.clone() })
    })
}

/// The end of a promotion as histories keep it; nothing for one that has not ended or whose spec no longer reads.
#[must_use]
pub fn outcome(promotion: &Promotion) -> Option<Outcome> {
    let status = promotion.status.as_ref().filter(|status| status.finished)?;
    let package = |pinned: &crate::api::v1alpha1::history::PinnedPackage| {
        Some(DeployedPackage {
            name: pinned.name.as_str().try_into().ok()?,
            image: pinned.image.clone(),
            version: pinned.version.clone(),
            digest: pinned.digest.parse().ok()?,
        })
    };
    Some(Outcome {
        finished: status.finished_at.as_ref()?.0,
        uid: promotion.metadata.uid.clone()?,
        promotion: promotion.metadata.name.clone()?,
        space: promotion.metadata.namespace.clone()?,
        project: promotion.spec.project.as_str().try_into().ok()?,
        version: promotion.spec.version.as_str().try_into().ok()?,
        release_uid: status.release_uid().map(str::to_owned),
        environment: promotion.spec.environment.as_str().try_into().ok()?,
        requested_by: requester(promotion).map(|by| by.username.clone()).unwrap_or_default(),
        reason_given: promotion.spec.reason.as_deref().map(plain),
        mode: status.mode.as_deref().and_then(Mode::parse),
        partial: promotion.spec.is_partial(),
        phase: status.phase.as_deref().and_then(Phase::parse)?,
        reason: Reason::parse(status.reason.as_deref().unwrap_or_default()),
        message: status.message.clone().unwrap_or_default(),
        started: status.started_at.as_ref().map(|time| time.0),
        packages: status.packages.iter().filter_map(package).collect(),
        applied: status.applied,
    })
}

/// The variables of a promotion as a hash: in any order, they are the same.
#[must_use]
pub fn variables_given(promotion: &Promotion) -> Option<String> {
    let mut given = promotion.spec.variables.clone();
    given.sort_by(|a, b| a.name.cmp(&b.name));
    let text = serde_json::to_string(&given).ok().filter(|_| !given.is_empty())?;
    Some(sha256(&text))
}

/// Whether an end is a copy of one that is recorded already, or a refusal because of it.
fn is_copy(reason: &str) -> bool {
    [Reason::AlreadyRecorded, Reason::NameUsed].iter().any(|copy| copy.as_str() == reason)
}

/// Whether the promotion's name was used before, by a live read.
///
/// # Errors
/// When the record cannot be read.
pub async fn look_up(client: &Client, promotion: &Promotion) -> Result<NameUse, ClusterError> {
    let (space, name) = place(promotion);
    let records: Api<AuditRecord> = Api::namespaced(client.clone(), space);
    let known = records.get_opt(&record_name(name)).await.map_err(|e| ClusterError::api("look up the name", e))?;
    Ok(known.map_or(NameUse::Fresh, |record| name_use(&record.spec, promotion)))
}

fn name_use(record: &AuditRecordSpec, promotion: &Promotion) -> NameUse {
    let spec = &promotion.spec;
    let place = (record.project.as_ref(), record.environment.as_ref());
    // One that does not read says at least that the name was used.
    let Some(record) = &record.ended else { return NameUse::RecordedOther };
    let same = (place.0, &record.version, place.1) == (Some(&spec.project), &spec.version, Some(&spec.environment))
        && is_said(record.reason_given.as_deref(), spec.reason.as_deref())
        && record.on_behalf_of == spec.on_behalf_of
        && record.variables_given == variables_given(promotion)
        && (sorted(&record.targets), sorted(&record.skip_steps)) == (sorted(&spec.targets), sorted(&spec.skip_steps))
        && overrides(record, promotion)
        && (seconds(record.not_before.as_ref()), seconds(record.expires_at.as_ref()), record.priority)
            == (seconds(spec.not_before.as_ref()), seconds(spec.expires_at.as_ref()), spec.priority);
    match Phase::parse(&record.phase) {
        Some(phase) if same => NameUse::RecordedSame { phase },
        Some(_) | None => NameUse::RecordedOther,
    }
}

/// Whether the same freezes were to be passed, in any order.
fn overrides(record: &PromotionEnd, promotion: &Promotion) -> bool {
    match (&record.freeze_override, &promotion.spec.freeze_override) {
        (None, None) => true,
        (Some(known), Some(given)) => {
            sorted(&known.names) == sorted(&given.names) && is_said(Some(&known.reason), Some(&given.reason))
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Whether a record has what was said, of which it may keep the beginning only.
fn is_said(recorded: Option<&str>, given: Option<&str>) -> bool {
    match (recorded, given) {
        (Some(recorded), Some(given)) => {
            recorded == given || recorded.strip_suffix('…').is_some_and(|beginning| given.starts_with(beginning))
        }
        (recorded, given) => recorded == given,
    }
}

/// Names that are the same in any order.
fn sorted(names: &[String]) -> Vec<&String> {
    let mut names: Vec<&String> = names.iter().collect();
    names.sort();
    names
}

/// A time as records keep it.
fn seconds(time: Option<&Time>) -> Option<i64> {
    time.map(|time| time.0.as_second())
}

fn place(promotion: &Promotion) -> (&str, &str) {
    let meta = &promotion.metadata;
    (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}
