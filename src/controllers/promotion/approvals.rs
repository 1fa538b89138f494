//! Who must agree to a promotion and who did: from the objects that people make to the tally that the gate looks at, and from that
//! to what status and Events say. Pure.

pub mod reads;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;
use serde_json::json;

use super::facts;
use super::observe::Observed;
use super::recording::record;
use crate::api::condition;
use crate::api::v1alpha1::approval::ApprovalDecision;
use crate::api::v1alpha1::environment::Approvals;
use crate::api::v1alpha1::history::Person as PersonField;
use crate::api::v1alpha1::promotion_status::{ApprovalRule, ApprovalsRecord, DecidedOn, DecisionRecord};
use crate::api::v1alpha1::{Approval, Environment, PromotionStatus};
use crate::controllers::decision::{Note, Severity};
use crate::domain::promotion::approval::{self, Choice, Decision, Judged, Person, Proposal, Rule, Tally};
use crate::domain::promotion::gate::ReleaseFact;
use crate::domain::remade::Before;
use crate::domain::variable::function::sha256;

/// How many decisions status lists.
const DECISIONS: usize = 16;
/// How much of a comment status keeps, in bytes.
const COMMENT: usize = 256;

/// Everything that was decided.
#[must_use]
pub fn tally(observed: &Observed) -> Tally {
    let spec = &observed.promotion.spec;
    let now = observed.environment.as_deref().map_or(Rule::NONE, rule);
    let written = observed.promotion.status.as_ref().and_then(|status| status.approvals.as_ref());
    let strictest = written.map_or(Rule::NONE, |record| recorded(&record.rule)).stricter(now);
    let proposal = Proposal {
        uid: observed.promotion.metadata.uid.clone().unwrap_or_default(),
        environment: spec.environment.clone(),
        plan_digest: plan_digest(observed),
        requested_by: spec.requested_by.as_ref().map(person),
        on_behalf_of: spec.on_behalf_of.clone(),
        unasked: is_unasked(observed),
    };
    let decisions = observed.approvals.iter().map(|approval| decision(observed, approval)).collect();
    approval::tally(proposal, (strictest, now), before(observed), decisions)
}

/// Whether it is Gantry's own, and its root is no person: then who asked is Gantry's own account, which the API server wrote into
/// a release that a trigger made, and Gantry took over with the cause. Only Gantry can set a cause.
fn is_unasked(observed: &Observed) -> bool {
    let spec = &observed.promotion.spec;
    let by = spec.requested_by.as_ref().map(|by| by.username.as_str());
    spec.cause.is_some() && !observed.account.is_empty() && by == Some(observed.account.as_str())
}

/// The person as rules see them.
#[must_use]
pub fn person(field: &PersonField) -> Person {
    Person { name: field.username.clone(), uid: field.uid.clone() }
}

/// What an environment asks for.
fn rule(environment: &Environment) -> Rule {
    let Some(Approvals { required, allow_requester, allow_service_accounts, rollback }) = environment.spec.approvals
    else {
        return Rule::NONE;
    };
    Rule {
        required: required.unsigned_abs(),
        rollback: rollback.unwrap_or(required).unsigned_abs(),
        allow_requester,
        allow_service_accounts,
    }
}

fn recorded(written: &ApprovalRule) -> Rule {
    Rule {
        required: written.required.unsigned_abs(),
        rollback: written.rollback.unsigned_abs(),
        allow_requester: written.allow_requester,
        allow_service_accounts: written.allow_service_accounts,
    }
}

/// What the release was in the environment before. One that was made again is not the one that succeeded there.
fn before(observed: &Observed) -> Before {
    let (environment, course) = (observed.promotion.spec.environment.as_str(), &observed.course);
    if course.arrivals.keys().any(|name| name.as_str() == environment) {
        return Before::Itself;
    }
    let another = course.made_again.iter().any(|name| name.as_str() == environment);
    if another { Before::Another } else { Before::Never }
}

fn decision(observed: &Observed, approval: &Approval) -> Decision {
    let (meta, spec) = (&approval.metadata, &approval.spec);
    let at = meta.creation_timestamp.as_ref().map_or(jiff::Timestamp::MAX, |time| time.0);
    Decision {
        approval: meta.name.clone().unwrap_or_default(),
        approval_uid: meta.uid.clone().unwrap_or_default(),
        at,
        by: spec.by.as_ref().filter(|_| observed.guard.vouches_for("approvals", at)).map(person),
        choice: match spec.decision {
            ApprovalDecision::Approve => Choice::Approve,
            ApprovalDecision::Reject => Choice::Reject,
        },
        promotion_uid: spec.promotion_uid.clone(),
        environment: spec.environment.clone(),
        plan_digest: spec.plan_digest.clone(),
        comment: spec.comment.clone(),
    }
}

/// What the promotion will do, as a hash: which release as it was sealed, where, as the environment is defined now, with which
/// variables. What was known last counts while release or environment cannot be read.
#[must_use]
pub fn plan_digest(observed: &Observed) -> Option<String> {
    let known = observed.promotion.status.as_ref().and_then(|status| status.plan_digest.clone());
    let sealed = facts::release(observed) == ReleaseFact::Sealed;
    let (Some(release), Some(environment), true) = (&observed.release, &observed.environment, sealed) else {
        return known;
    };
    let status = release.status.as_ref();
    let packages = status.map(|status| status.packages.as_slice()).unwrap_or_default();
    let packages: Vec<_> = packages.iter().map(crate::api::v1alpha1::release::ResolvedPackage::pinned).collect();
    let plan = json!({
        "release": {
            "uid": release.metadata.uid,
            "snapshot": status.and_then(|status| status.snapshot.as_ref()),
            "packages": packages,
        },
        "environment": {"uid": environment.metadata.uid, "generation": environment.metadata.generation},
        "variables": record::variables_given(&observed.promotion),
    });
    Some(sha256(&plan.to_string()))
}

/// Writes the plan, and who must agree and who did, into the status of a promotion that has not started.
pub fn write(status: &mut PromotionStatus, observed: &Observed) {
    let tally = tally(observed);
    status.plan_digest.clone_from(&tally.proposal.plan_digest);
    if tally.rule != Rule::NONE || !tally.judged.is_empty() {
        status.approvals = Some(record_of(&tally));
    }
}

fn record_of(tally: &Tally) -> ApprovalsRecord {
    let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    // Those that count first, and the rest as far as there is room.
    let mut listed: Vec<&Judged> = tally.judged.iter().collect();
    listed.sort_by_key(|known| known.void.is_some());
    listed.truncate(DECISIONS);
    listed.sort_by_key(|known| (known.decision.at, known.decision.approval.as_str()));
    ApprovalsRecord {
        needed: number(tally.needed),
        given: i32::try_from(tally.given().count()).unwrap_or(i32::MAX),
        rule: ApprovalRule {
            required: number(tally.rule.required),
            rollback: number(tally.rule.rollback),
            allow_requester: tally.rule.allow_requester,
            allow_service_accounts: tally.rule.allow_service_accounts,
        },
        decisions: listed.into_iter().map(decision_record).collect(),
    }
}

fn decision_record(known: &Judged) -> DecisionRecord {
    let decision = &known.decision;
    let by = decision.by.as_ref();
    DecisionRecord {
        approval: decision.approval.clone(),
        uid: decision.approval_uid.clone(),
        by: by.map(|person| PersonField { username: person.name.clone(), uid: person.uid.clone() }),
        decision: decision.choice.as_str().to_owned(),
        at: Time(decision.at),
        comment: decision.comment.as_deref().map(|comment| condition::cut(comment, COMMENT)),
        void: known.void.map(|void| condition::cut(void.sentence(), COMMENT)),
    }
}

/// The decisions that a gate looked at and that count.
pub fn decided_on(observed: &Observed) -> impl Iterator<Item = DecidedOn> {
    let tally = tally(observed);
    let given: Vec<_> = tally.given().take(tally.needed as usize).cloned().collect();
    given.into_iter().map(|decision| DecidedOn {
        kind: "Approval".to_owned(),
        name: decision.approval,
        uid: decision.approval_uid,
        generation: 1,
    })
}

/// A word on every decision that was not known, or that counts for nothing since, with the object that is the decision: Events of
/// different ones must not be folded into one.
#[must_use]
pub fn notes(observed: &Observed, status: &PromotionStatus) -> Vec<(Note, ObjectReference)> {
    let before = observed.promotion.status.as_ref().and_then(|known| known.approvals.as_ref());
    let before = before.map(|record| record.decisions.as_slice()).unwrap_or_default();
    let Some(record) = &status.approvals else { return Vec::new() };
    let news = record.decisions.iter().filter(|now| {
        let known = before.iter().find(|known| known.uid == now.uid);
        known.is_none_or(|known| known.void != now.void)
    });
    news.filter_map(|now| Some((note(observed, (record, now))?, reference(observed, now)))).collect()
}

fn reference(observed: &Observed, decision: &DecisionRecord) -> ObjectReference {
    ObjectReference {
        api_version: Some(Approval::api_version(&()).into_owned()),
        kind: Some(Approval::kind(&()).into_owned()),
        namespace: observed.promotion.metadata.namespace.clone(),
        name: Some(decision.approval.clone()),
        uid: Some(decision.uid.clone()),
        ..ObjectReference::default()
    }
}

fn note(observed: &Observed, (record, decision): (&ApprovalsRecord, &DecisionRecord)) -> Option<Note> {
    let spec = &observed.promotion.spec;
    let by = decision.by.as_ref().map_or("nobody", |person| person.username.as_str());
    let what = format!("{} {} to {}", spec.project, spec.version, spec.environment);
    let comment = decision.comment.as_deref().map(|comment| format!(": {comment}")).unwrap_or_default();
    let (severity, reason, message) = match &decision.void {
        Some(void) => (
            Severity::Warning,
            "ApprovalVoid",
            format!("{} {} of {by} for {what} does not count: {void}", decision.decision, decision.approval),
        ),
        // The end says so.
        None if decision.decision == Choice::Reject.as_str() => return None,
        None => (
            Severity::Normal,
            "Approved",
            format!("{by} approved {what} ({} of {} needed){comment}", record.given, record.needed),
        ),
    };
    Some(Note { severity, reason, action: "Approve", message })
}

#[cfg(test)]
mod tests;
