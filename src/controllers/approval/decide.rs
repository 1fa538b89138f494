//! Whether a decision counts, as its promotion says. Pure.

use jiff::{SignedDuration, Timestamp};

use super::{Observed, record};
use crate::api::condition::{self, ConditionType, Reason, Stamp, Standing};
use crate::api::v1alpha1::promotion_status::DecisionRecord;
use crate::api::v1alpha1::{Approval, ApprovalStatus, AuditRecord};
use crate::controllers::decision::{self, Next};
use crate::controllers::promotion::reads;

/// What one run of an approval will do.
pub type Decision = decision::Decision<ApprovalStatus, Effect>;

/// A change besides the status.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Records it, before its status says whether it counts.
    Record(Box<AuditRecord>),
    /// Removes it.
    Remove,
}

/// How long a decision stays that names a promotion which does not exist, so that whoever made it can read why.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// Decides.
#[must_use]
pub fn decide(observed: &Observed) -> Decision {
    let meta = &observed.approval.metadata;
    let mut status = observed.approval.status.clone().unwrap_or_default();
    let next = match removal(observed) {
        Some(at) if at <= observed.now => {
            let effects = untold(observed).into_iter().chain([Effect::Remove]).collect();
            return Decision { status, effects, events: Vec::new(), next: Next::Await };
        }
        Some(at) => Next::At(at),
        None => Next::Await,
    };
    let mut effects = Vec::new();
    if let Some((standing, reason, message)) = judge(observed) {
        status.observed_generation = meta.generation;
        if !is_told(&observed.approval) && TOLD.contains(&reason) {
            let counted = if reason == Reason::Counted { Ok(()) } else { Err(message.as_str()) };
            effects.push(Effect::Record(Box::new(record::record(observed, counted))));
        }
        let stamp = Stamp { now: observed.now, generation: meta.generation };
        condition::set_standing(&mut status.conditions, &standing, (reason.as_str(), &message), stamp);
    }
    Decision { status, effects, events: Vec::new(), next }
}

/// The record of a decision that goes before anybody said whether it counts: nobody was there to say it in time.
fn untold(observed: &Observed) -> Option<Effect> {
    let void = format!("{}, so it did not count", unfound(&observed.approval.spec.promotion));
    (!is_told(&observed.approval)).then(|| Effect::Record(Box::new(record::record(observed, Err(&void)))))
}

fn unfound(promotion: &str) -> String {
    format!("there is no promotion {promotion} with this UID")
}

/// When it goes: with its promotion, or after a while when it never had one.
fn removal(observed: &Observed) -> Option<Timestamp> {
    if observed.exists || judgement(observed).is_some() {
        return None;
    }
    if is_settled(&observed.approval) {
        return Some(observed.now);
    }
    let made = observed.approval.metadata.creation_timestamp.as_ref().map_or(observed.now, |time| time.0);
    Some(made.saturating_add(KEPT).unwrap_or(Timestamp::MAX))
}

/// What its promotion says of it.
fn judgement(observed: &Observed) -> Option<&DecisionRecord> {
    let record = observed.promotion.as_ref()?.status.as_ref()?.approvals.as_ref()?;
    record.decisions.iter().find(|known| Some(&known.uid) == observed.approval.metadata.uid.as_ref())
}

/// Whether it was said before whether it counts.
#[must_use]
pub fn is_settled(approval: &Approval) -> bool {
    says(approval, &[Reason::Counted, Reason::NotCounted])
}

/// What is only said once it is recorded.
const TOLD: [Reason; 3] = [Reason::Counted, Reason::NotCounted, Reason::PromotionNotFound];

fn is_told(approval: &Approval) -> bool {
    says(approval, &TOLD)
}

fn says(approval: &Approval, reasons: &[Reason]) -> bool {
    let conditions = approval.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let said = condition::find(conditions, ConditionType::Ready).map(|ready| ready.reason.as_str());
    said.is_some_and(|said| reasons.iter().any(|known| known.as_str() == said))
}

/// How it stands; nothing where what was said before stays true.
fn judge(observed: &Observed) -> Option<(Standing, Reason, String)> {
    let promotion = &observed.approval.spec.promotion;
    let waits =
        observed.promotion.as_ref().is_some_and(|known| !reads::is_underway(known) && !reads::has_finished(known));
    match judgement(observed) {
        Some(DecisionRecord { void: Some(void), .. }) => {
            Some((Standing::Stalled, Reason::NotCounted, format!("it does not count: {void}")))
        }
        Some(DecisionRecord { void: None, .. }) => {
            Some((Standing::Ready, Reason::Counted, format!("it counts for promotion {promotion}")))
        }
        None if is_settled(&observed.approval) => None,
        None if waits => {
            let message = format!("promotion {promotion} has not looked at it yet");
            Some((Standing::Reconciling, Reason::Looking, message))
        }
        None if observed.exists => {
            let message = format!(
                "promotion {promotion} had started or ended before, so it does not count: decide on one that waits"
            );
            Some((Standing::Stalled, Reason::NotCounted, message))
        }
        None => {
            let message = format!(
                "{}, so it does not count and is removed in an hour: decide again with the metadata.uid of one that waits",
                unfound(promotion)
            );
            Some((Standing::Stalled, Reason::PromotionNotFound, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    fn observed(promotion: Option<Value>, exists: bool) -> Observed {
        let approval = json!({"metadata": {"name": "bob", "uid": "a", "generation": 1}, "spec": {
            "promotion": "checkout-1-production", "promotionUid": "u", "environment": "production",
            "planDigest": "0".repeat(64), "decision": "Approve", "by": {"username": "bob"},
        }});
        Observed {
            approval: Arc::new(serde_json::from_value(approval).unwrap()),
            promotion: promotion.map(|known| Arc::new(serde_json::from_value(known).unwrap())),
            exists,
            vouched: true,
            now: Timestamp::UNIX_EPOCH,
        }
    }

    /// A promotion in a phase that says this of a decision.
    fn promotion(phase: &str, void: Option<&str>, uid: &str) -> Value {
        json!({"metadata": {"name": "checkout-1-production", "uid": "u"},
        "spec": {"project": "checkout", "version": "1", "environment": "production"},
        "status": {"phase": phase, "approvals": {
            "needed": 1, "given": 1,
            "rule": {"required": 1, "rollback": 1, "allowRequester": false, "allowServiceAccounts": false},
            "decisions": [{"approval": "bob", "uid": uid, "decision": "Approve", "at": "2026-01-01T00:00:00Z", "void": void}],
        }}})
    }

    fn said(observed: &Observed) -> (String, String) {
        let status = decide(observed).status;
        let ready = condition::find(&status.conditions, ConditionType::Ready).unwrap();
        (ready.reason.clone(), ready.message.clone())
    }

    #[test]
    fn it_says_what_its_promotion_says() {
        for (known, exists, reason, says) in [
            (Some(promotion("Pending", None, "a")), true, "Counted", "it counts for promotion checkout-1-production"),
            (Some(promotion("Pending", Some("it is old"), "a")), true, "NotCounted", "does not count: it is old"),
            (Some(promotion("Pending", Some("it is other"), "a")), false, "NotCounted", "does not count: it is other"),
            (Some(promotion("Pending", None, "other")), true, "Looking", "has not looked at it yet"),
            (Some(promotion("Running", None, "a")), true, "Counted", "it counts"),
            (Some(promotion("Running", None, "other")), true, "NotCounted", "had started or ended before"),
            (None, true, "NotCounted", "decide on one that waits"),
            (None, false, "PromotionNotFound", "decide again with the metadata.uid"),
        ] {
            let (found, message) = said(&observed(known.clone(), exists));
            assert!(found == reason && message.contains(says), "{known:?}: {found} {message}");
        }
    }

    #[test]
    fn it_is_recorded_once_when_it_is_first_said_whether_it_counts() {
        for (known, exists, counted, void) in [
            (Some(promotion("Pending", None, "a")), true, true, None),
            (Some(promotion("Pending", Some("it is old"), "a")), true, false, Some("does not count: it is old")),
            (None, true, false, Some("had started or ended before")),
            (None, false, false, Some("there is no promotion")),
        ] {
            let mut observed = observed(known, exists);
            let decision = decide(&observed);
            let [Effect::Record(record)] = decision.effects.as_slice() else { panic!("{:?}", decision.effects) };
            let part = record.spec.approval.clone().unwrap();
            assert_eq!((record.metadata.name.as_deref(), part.counted), (Some("approval-a"), counted));
            assert!(part.void.as_deref().unwrap_or_default().contains(void.unwrap_or_default()), "{part:?}");
            assert_eq!(record.spec.by.as_ref().map(|by| by.username.as_str()), Some("bob"));
            Arc::make_mut(&mut observed.approval).status = Some(decision.status);
            assert!(!decide(&observed).effects.iter().any(|effect| matches!(effect, Effect::Record(_))));
        }
        let looking = observed(Some(promotion("Pending", None, "other")), true);
        assert_eq!(decide(&looking).effects, [], "nobody has judged it");
    }

    #[test]
    fn what_was_said_stays_when_the_promotion_is_over_and_all_goes_with_it() {
        let mut over = observed(Some(promotion("Pending", None, "a")), true);
        let status = decide(&over).status;
        Arc::make_mut(&mut over.approval).status = Some(status.clone());
        over.promotion = None;
        let decision = decide(&over);
        assert_eq!((decision.status, decision.effects), (status.clone(), Vec::new()));
        over.exists = false;
        let decision = decide(&over);
        assert_eq!((decision.status, decision.effects), (status, vec![Effect::Remove]));
    }

    #[test]
    fn one_that_never_had_a_promotion_says_so_for_an_hour() {
        let mut stray = observed(None, false);
        let due = Timestamp::UNIX_EPOCH + KEPT;
        let made = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::UNIX_EPOCH);
        Arc::make_mut(&mut stray.approval).metadata.creation_timestamp = Some(made);
        let decision = decide(&stray);
        assert_eq!(decision.next, Next::At(due));
        assert!(matches!(decision.effects.as_slice(), [Effect::Record(_)]), "{:?}", decision.effects);
        Arc::make_mut(&mut stray.approval).status = Some(decision.status);
        assert_eq!(decide(&stray).effects, [], "it is recorded");
        stray.now = due;
        assert_eq!(decide(&stray).effects, [Effect::Remove]);
    }

    #[test]
    fn one_that_nobody_looked_at_for_an_hour_is_recorded_before_it_goes() {
        let mut stray = observed(None, false);
        let made = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::UNIX_EPOCH);
        Arc::make_mut(&mut stray.approval).metadata.creation_timestamp = Some(made);
        stray.now = Timestamp::UNIX_EPOCH + KEPT;
        let other = Observed {
            promotion: observed(Some(promotion("Pending", None, "other")), false).promotion,
            ..stray.clone()
        };
        for unjudged in [stray, other] {
            let effects = decide(&unjudged).effects;
            let [Effect::Record(record), Effect::Remove] = effects.as_slice() else { panic!("{effects:?}") };
            let part = record.spec.approval.clone().unwrap();
            assert_eq!((record.metadata.name.as_deref(), part.counted), (Some("approval-a"), false));
            let void = "there is no promotion checkout-1-production with this UID, so it did not count";
            assert_eq!(part.void.as_deref(), Some(void));
        }
    }

    #[test]
    fn whoever_a_decision_names_that_does_not_count_is_recorded_only_if_somebody_vouches_for_it() {
        let by = |promotion: Value, vouched: bool| {
            let effects = decide(&Observed { vouched, ..observed(Some(promotion), true) }).effects;
            let [Effect::Record(record)] = effects.as_slice() else { panic!("{effects:?}") };
            record.spec.by.as_ref().map(|by| by.username.clone())
        };
        let void = || promotion("Pending", Some("nobody recorded who decided"), "a");
        assert_eq!(by(void(), true).as_deref(), Some("bob"));
        assert_eq!(by(void(), false), None);
        let counted = by(promotion("Pending", None, "a"), false);
        assert_eq!(counted.as_deref(), Some("bob"), "it was vouched for when it counted");
    }
}
