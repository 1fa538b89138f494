use std::sync::Arc;

use super::*;
use crate::api::v1alpha1::history::Person as PersonField;
use crate::api::v1alpha1::promotion::Cause;
use crate::api::v1alpha1::variable::GivenVariable;
use crate::controllers::promotion::decide::tests::ready_to_start;
use crate::controllers::promotion::decide::{Effect, decide};
use crate::domain::lifecycle::arrival::Arrival;

/// A promotion that alice asked for, ready to start where two others must agree.
fn waiting() -> Observed {
    let mut observed = ready_to_start();
    let environment = Arc::make_mut(observed.environment.as_mut().unwrap());
    environment.spec.approvals = Some(Approvals { required: 2, ..Approvals::default() });
    observed
}

fn approval(observed: &Observed, by: &str, decision: ApprovalDecision) -> Arc<Approval> {
    let mut approval = Approval::default();
    approval.metadata.name = Some(format!("of-{by}"));
    approval.metadata.uid = Some(format!("uid of {by}"));
    approval.metadata.creation_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
    approval.spec.promotion_uid = observed.promotion.metadata.uid.clone().unwrap();
    approval.spec.environment = "dev".into();
    approval.spec.plan_digest = plan_digest(observed).unwrap();
    approval.spec.decision = decision;
    approval.spec.comment = Some("tested".into());
    approval.spec.by = Some(PersonField { username: by.into(), uid: None });
    Arc::new(approval)
}

fn approved_by(mut observed: Observed, people: &[&str]) -> Observed {
    let given = people.iter().map(|by| approval(&observed, by, ApprovalDecision::Approve));
    observed.approvals = given.collect();
    observed
}

/// The status that was written, as the next run finds it.
fn written(mut observed: Observed) -> Observed {
    let decided = decide(&observed);
    Arc::make_mut(&mut observed.promotion).status = Some(decided.status);
    observed
}

/// The environment after somebody changed it.
fn edited(mut observed: Observed, approvals: Option<Approvals>) -> Observed {
    let environment = Arc::make_mut(observed.environment.as_mut().unwrap());
    environment.metadata.generation = Some(2);
    environment.status.as_mut().unwrap().observed_generation = Some(2);
    environment.spec.approvals = approvals;
    observed
}

fn phase_and_reason(observed: &Observed) -> (Option<String>, Option<String>) {
    let status = decide(observed).status;
    (status.phase, status.reason)
}

fn is(observed: &Observed, phase: &str, reason: &str) -> bool {
    phase_and_reason(observed) == (Some(phase.to_owned()), Some(reason.to_owned()))
}

#[test]
fn it_starts_when_enough_others_agree_and_remembers_who() {
    assert!(is(&waiting(), "Pending", "ApprovalsMissing"));
    assert!(is(&approved_by(waiting(), &["bob", "alice"]), "Pending", "ApprovalsMissing"));
    let enough = approved_by(waiting(), &["bob", "carol"]);
    let decision = decide(&enough);
    assert_eq!(decision.status.phase.as_deref(), Some("Running"));
    let record = decision.status.approvals.unwrap();
    assert_eq!((record.needed, record.given), (2, 2));
    let who: Vec<_> = record.decisions.iter().map(|known| known.by.as_ref().unwrap().username.as_str()).collect();
    assert_eq!(who, ["bob", "carol"]);
    assert_eq!(record.decisions[0].comment.as_deref(), Some("tested"));
    let decided: Vec<_> = decision.status.decided_on.iter().filter(|known| known.kind == "Approval").collect();
    assert_eq!(decided.len(), 2);
    let told = notes(&enough, &decide(&enough).status);
    let about: Vec<_> = told.iter().map(|(note, about)| (note.reason, about.name.as_deref().unwrap())).collect();
    assert_eq!(about, [("Approved", "of-bob"), ("Approved", "of-carol")]);
    assert_eq!(told[0].0.message, "bob approved checkout 1.0.0 to dev (2 of 2 needed): tested");
}

#[test]
fn where_nobody_must_agree_nothing_is_asked_and_nothing_is_written_of_it() {
    let status = decide(&ready_to_start()).status;
    assert_eq!((status.phase.as_deref(), status.approvals), (Some("Running"), None));
    assert_eq!(status.plan_digest.map(|digest| digest.len()), Some(64));
}

#[test]
fn on_cached_approvals_nothing_starts_and_nothing_ends() {
    let cached = Observed { fresh: false, ..approved_by(waiting(), &["bob", "carol"]) };
    assert_eq!(decide(&cached).effects, [Effect::ReadLive]);
    let mut rejected = Observed { fresh: false, ..waiting() };
    rejected.approvals = vec![approval(&rejected, "bob", ApprovalDecision::Reject)];
    assert_eq!(decide(&rejected).effects, [Effect::ReadLive]);
    rejected.fresh = true;
    let decision = decide(&rejected);
    assert!(is(&rejected, "Rejected", "Rejected"));
    let said = "bob rejected it (tested); nothing was applied, and a rejection is final: make a new promotion with another name";
    assert_eq!(decision.status.message.as_deref(), Some(said));
    assert_eq!(decision.status.approvals.unwrap().decisions[0].decision, "Reject");
    assert_eq!(decision.events.iter().map(|event| event.reason).collect::<Vec<_>>(), ["Rejected"]);
}

#[test]
fn a_change_after_an_approval_voids_it_and_says_so_once() {
    let one = written(approved_by(waiting(), &["bob"]));
    let rule = one.environment.as_ref().unwrap().spec.approvals.clone();
    let changed = edited(one, rule);
    let decision = decide(&changed);
    let status = &decision.status;
    let message = status.message.clone().unwrap();
    assert!(message.starts_with("2 of 2 approvals are missing: somebody who is not alice with the verb approve on environments.gantry.dev/dev must make an Approval of its status.planDigest; the approval of bob does not count: it is for another plan"), "{message}");
    let told: Vec<_> = notes(&changed, status).iter().map(|(note, _)| note.reason).collect();
    assert_eq!(told, ["ApprovalVoid"]);
    assert_ne!(status.plan_digest, changed.promotion.status.as_ref().unwrap().plan_digest);
    let again = written(changed);
    assert_eq!(notes(&again, &decide(&again).status), []);
}

#[test]
fn the_strictest_rule_since_it_was_asked_for_counts() {
    let asked = written(waiting());
    for relaxed in [None, Some(Approvals { required: 1, allow_requester: true, ..Approvals::default() })] {
        let relaxed = edited(asked.clone(), relaxed);
        let one = approved_by(relaxed.clone(), &["bob"]);
        assert!(is(&one, "Pending", "ApprovalsMissing"));
        let message = decide(&one).status.message.unwrap();
        assert!(
            message.contains("1 of 2 approvals is missing (2 when it was asked for; make a new promotion"),
            "{message}"
        );
        assert!(is(&approved_by(relaxed.clone(), &["bob", "alice"]), "Pending", "ApprovalsMissing"));
        assert!(is(&approved_by(relaxed, &["bob", "carol"]), "Running", "InProgress"));
    }
    let three = Some(Approvals { required: 3, ..Approvals::default() });
    assert!(is(&approved_by(edited(asked, three), &["bob", "carol"]), "Pending", "ApprovalsMissing"));
}

#[test]
fn a_return_to_what_succeeded_there_needs_what_the_environment_says() {
    let mut back = waiting();
    let at = jiff::Timestamp::UNIX_EPOCH;
    back.course.arrivals.insert("dev".parse().unwrap(), Arrival { at, stays: Vec::new() });
    assert!(is(&back, "Pending", "ApprovalsMissing"));
    let rule = Approvals { required: 2, rollback: Some(0), ..Approvals::default() };
    Arc::make_mut(back.environment.as_mut().unwrap()).spec.approvals = Some(rule);
    assert!(is(&back, "Running", "InProgress"));
    back.course.arrivals.clear();
    assert!(is(&back, "Pending", "ApprovalsMissing"));
}

#[test]
fn a_robot_must_say_for_whom_it_asks() {
    let mut robot = waiting();
    let spec = &mut Arc::make_mut(&mut robot.promotion).spec;
    spec.requested_by = Some(PersonField { username: "system:serviceaccount:shop:flux".into(), uid: None });
    assert!(is(&robot, "Refused", "RequesterUnknown"));
    let message = decide(&robot).status.message.unwrap();
    assert!(message.contains("flux is a service account and spec.onBehalfOf names no person; ask again"), "{message}");
    Arc::make_mut(&mut robot.promotion).spec.when_not_ready = crate::api::v1alpha1::promotion::WhenNotReady::Wait;
    assert!(is(&robot, "Pending", "RequesterUnknown"));
    Arc::make_mut(&mut robot.promotion).spec.on_behalf_of = Some("bob".into());
    assert!(is(&approved_by(robot.clone(), &["bob", "carol"]), "Pending", "ApprovalsMissing"));
    assert!(is(&approved_by(robot, &["dora", "carol"]), "Running", "InProgress"));
}

#[test]
fn what_nobody_asked_for_needs_the_approvals_of_people_and_no_requester() {
    let gantry = "system:serviceaccount:gantry-system:gantry";
    let mut own = waiting();
    let spec = &mut Arc::make_mut(&mut own.promotion).spec;
    spec.requested_by = Some(PersonField { username: gantry.into(), uid: None });
    spec.cause = Some(Cause {
        kind: "Release".into(),
        name: "checkout-1.0.0".into(),
        uid: "release-1.0.0".into(),
        ..Cause::default()
    });
    assert!(is(&own, "Pending", "ApprovalsMissing"));
    let message = decide(&own).status.message.unwrap();
    assert!(message.contains("2 of 2 approvals are missing: somebody with the verb approve"), "{message}");
    assert!(is(&approved_by(own.clone(), &["bob"]), "Pending", "ApprovalsMissing"));
    assert!(is(&approved_by(own.clone(), &["bob", "system:serviceaccount:shop:ci"]), "Pending", "ApprovalsMissing"));
    assert!(is(&approved_by(own.clone(), &["bob", "carol"]), "Running", "InProgress"));
    // Another robot's is one, also with a cause; and Gantry's account without a cause is a robot like any other.
    let mut robots = own.clone();
    Arc::make_mut(&mut robots.promotion).spec.requested_by =
        Some(PersonField { username: "system:serviceaccount:shop:ci".into(), uid: None });
    assert!(is(&robots, "Refused", "RequesterUnknown"));
    let unknown = Observed { account: String::new(), ..own.clone() };
    assert!(is(&unknown, "Refused", "RequesterUnknown"), "who does not know itself excuses nobody");
    Arc::make_mut(&mut own.promotion).spec.cause = None;
    assert!(is(&own, "Refused", "RequesterUnknown"));
}

#[test]
fn the_plan_is_another_when_release_environment_or_variables_are() {
    let digest = |change: &dyn Fn(&mut Observed)| {
        let mut observed = waiting();
        change(&mut observed);
        plan_digest(&observed)
    };
    let own = digest(&|_| {});
    assert_eq!(own, digest(&|_| {}));
    let changes: [&dyn Fn(&mut Observed); 5] = [
        &|known| Arc::make_mut(known.release.as_mut().unwrap()).metadata.uid = Some("made again".into()),
        &|known| Arc::make_mut(known.release.as_mut().unwrap()).status.as_mut().unwrap().snapshot = Some("x".into()),
        &|known| Arc::make_mut(known.environment.as_mut().unwrap()).metadata.generation = Some(2),
        &|known| Arc::make_mut(known.environment.as_mut().unwrap()).metadata.uid = Some("made again".into()),
        &|known| Arc::make_mut(&mut known.promotion).spec.variables = vec![GivenVariable::default()],
    ];
    let all: std::collections::BTreeSet<_> = changes.iter().map(|change| digest(change)).collect();
    assert_eq!(all.len(), 5);
    assert!(!all.contains(&own) && !all.contains(&None));
    assert_eq!(digest(&|known| known.release = None), None, "nobody knows");
}
