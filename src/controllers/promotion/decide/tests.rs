use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::api::condition::{self, ConditionType, Fact, Stamp, Standing};
use crate::api::v1alpha1::history::Person;
use crate::api::v1alpha1::promotion::{Cancel, Cause};
use crate::api::v1alpha1::promotion_status::{FailureRecord, StepRecord};
use crate::api::v1alpha1::{Environment, Project, Promotion, Release};
use crate::controllers::decision::Severity;
use crate::controllers::lifecycle::course::{Choice, Course};
use crate::controllers::promotion::freezes;
use crate::controllers::promotion::observe::{Trace, Unreadable};
use crate::controllers::promotion::pinned::Pinned;
use crate::controllers::promotion::plan::{Plan, PlannedStep};
use crate::controllers::promotion::reads::current;
use crate::controllers::promotion::status::{FAILED, PENDING, SKIPPED, STARTED, SUCCEEDED};
use crate::controllers::promotion::work::progress::Progress;
use crate::controllers::release::snapshot::SnapshotStep;
use crate::domain::guard;
use crate::domain::promotion::machine::{NameUse, Slot};
use crate::domain::promotion::rollback::Rollback;
use crate::domain::queue::{Claim, Entry, Origin};

pub(in crate::controllers::promotion) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A promotion of checkout 1.0.0 to dev whose gates are all open, read live, with a new name and a free slot.
pub(in crate::controllers::promotion) fn ready_to_start() -> Observed {
    let stamp = Stamp { now: at(0), generation: Some(1) };
    let mut release = Release::default();
    (release.metadata.generation, release.metadata.uid) = (Some(1), Some("release-1.0.0".into()));
    let sealed = Fact { kind: ConditionType::Sealed, holds: Some(true), reason: "Sealed", message: String::new() };
    condition::set(&mut release.status.get_or_insert_default().conditions, &sealed, stamp);
    let mut environment = Environment::default();
    environment.metadata.generation = Some(1);
    let status = environment.status.get_or_insert_default();
    status.observed_generation = Some(1);
    condition::set_standing(&mut status.conditions, &Standing::Ready, ("Provisioned", "ready"), stamp);
    Observed {
        promotion: Arc::new(promotion()),
        now: at(10),
        fresh: true,
        project: Some(Arc::new(Project::default())),
        release: Some(Arc::new(release)),
        environment: Some(Arc::new(environment)),
        unreadable: Unreadable::default(),
        course: course(),
        current: None,
        rivals: vec![entry("checkout-1.0.0-dev", "uid-1", 0)],
        guard: guard::always(),
        freezes: freezes::Read { live: true, ..freezes::Read::default() },
        approvals: Vec::new(),
        pinned: Pinned::default(),
        history: true,
        name_use: NameUse::Fresh,
        account: "system:serviceaccount:gantry-system:gantry".into(),
        slot: Slot::Mine,
        plan: PlanState::Known(Arc::new(plan(2))),
        faults: None,
        progress: None,
        hindrance: None,
        rollback: Rollback::Nothing { why: None },
        trace: Trace::Perhaps,
        looked: true,
    }
}

/// A release that was nowhere, in a space with dev and then test.
fn course() -> Course {
    let orders = [("dev".try_into().unwrap(), 10), ("test".try_into().unwrap(), 20)];
    Course {
        governing: Choice::ByOrder.governing(&orders),
        lifecycle: None,
        environments: orders.into_iter().map(|(name, _)| name).collect(),
        arrivals: [].into(),
        made_again: [].into(),
        blocked: None,
        now: at(10),
    }
}

fn promotion() -> Promotion {
    let mut promotion = Promotion::default();
    promotion.metadata.name = Some("checkout-1.0.0-dev".into());
    promotion.metadata.uid = Some("uid-1".into());
    promotion.metadata.generation = Some(1);
    promotion.metadata.creation_timestamp = Some(Time(at(0)));
    promotion.spec.project = "checkout".into();
    promotion.spec.version = "1.0.0".into();
    promotion.spec.environment = "dev".into();
    promotion.spec.requested_by = Some(Person { username: "alice".into(), uid: None });
    promotion
}

fn entry(name: &str, uid: &str, second: i64) -> Entry {
    Entry {
        name: name.into(),
        uid: uid.into(),
        created: at(second),
        origin: Origin::Asked,
        running: false,
        claim: Claim::Fit,
        priority: 0,
        partial: false,
        passes_freezes: false,
        rollback_of: None,
    }
}

fn plan(steps: usize) -> Plan {
    let step = |index: usize| PlannedStep {
        record: StepRecord {
            name: format!("step-{index}"),
            namespace: "shop-dev".into(),
            phase: PENDING.into(),
            timeout: "5m".into(),
            ..StepRecord::default()
        },
        place: index,
        step: Arc::new(SnapshotStep::default()),
    };
    Plan { steps: (0..steps).map(step).collect(), packages: Vec::new(), variables: Vec::new() }
}

/// The same promotion after it was started, with two steps of which the first runs.
pub(in crate::controllers::promotion) fn running() -> Observed {
    let mut observed = ready_to_start();
    let decision = decide(&observed);
    assert_eq!(decision.status.phase.as_deref(), Some("Running"));
    Arc::make_mut(&mut observed.promotion).status = Some(decision.status);
    observed.now = at(11);
    observed
}

pub(in crate::controllers::promotion) fn progress(step: usize, state: State) -> Progress {
    Progress {
        variables: Vec::new(),
        step,
        attempt: None,
        objects: vec!["Deployment/checkout".into()],
        pruned: Vec::new(),
        applied_at: Some(at(12)),
        applied: true,
        state,
        told_at: None,
        evidence: None,
    }
}

fn phases(status: &PromotionStatus) -> Vec<&str> {
    status.steps.iter().map(|step| step.phase.as_str()).collect()
}

#[test]
fn a_promotion_starts_by_recording_its_first_step_before_any_effect() {
    let decision = decide(&ready_to_start());
    assert!(decision.effects.is_empty(), "no effect belongs to the write that starts it");
    assert_eq!(phases(&decision.status), [STARTED, PENDING]);
    assert_eq!(decision.status.started_at.as_ref().map(|time| time.0), Some(at(10)));
    assert_eq!(decision.events.first().map(|event| event.reason), Some("Started"));
    assert_eq!(decision.next, Next::Again);
}

#[test]
fn what_cannot_be_taken_back_is_read_live_first() {
    let mut observed = ready_to_start();
    observed.fresh = false;
    assert_eq!(decide(&observed).effects, [Effect::ReadLive]);
    observed.name_use = NameUse::Unknown;
    assert_eq!(decide(&observed).effects, [Effect::LookUpName]);
}

#[test]
fn the_slot_and_then_the_plan_come_before_the_start() {
    let mut observed = ready_to_start();
    observed.slot = Slot::Free;
    assert_eq!(decide(&observed).effects, [Effect::TakeSlot]);
    observed.slot = Slot::Mine;
    observed.plan = PlanState::Unknown;
    assert_eq!(decide(&observed).effects, [Effect::LoadPlan]);
}

#[test]
fn a_promotion_without_a_stamp_is_refused() {
    let mut observed = ready_to_start();
    Arc::make_mut(&mut observed.promotion).spec.requested_by = None;
    let decision = decide(&observed);
    assert_eq!(decision.status.phase.as_deref(), Some("Refused"));
    assert_eq!(decision.status.reason.as_deref(), Some("NotStamped"));
}

#[test]
fn a_missing_snapshot_holds_the_promotion_and_says_why() {
    let mut observed = ready_to_start();
    observed.plan = PlanState::Broken("snapshot checkout-abc is gone; make a new release".into());
    let decision = decide(&observed);
    assert_eq!(decision.status.phase.as_deref(), Some("Pending"));
    assert!(decision.status.message.as_deref().is_some_and(|message| message.contains("checkout-abc")));
}

#[test]
fn waiting_says_why_once_and_the_same_again_changes_nothing() {
    let mut observed = ready_to_start();
    observed.release = None;
    let first = decide(&observed);
    assert_eq!(first.status.reason.as_deref(), Some("ReleaseNotFound"));
    assert_eq!(first.events.len(), 1);
    Arc::make_mut(&mut observed.promotion).status = Some(first.status.clone());
    observed.now = at(99);
    let second = decide(&observed);
    assert_eq!(second.status, first.status);
    assert!(second.events.is_empty());
}

#[test]
fn after_a_restart_the_step_that_was_begun_is_worked_on_again() {
    assert_eq!(decide(&running()).effects, [Effect::Work { step: 0 }]);
}

#[test]
fn what_an_earlier_run_found_is_looked_at_again() {
    let mut observed = running();
    observed.progress = Some(progress(0, State::Waiting { message: "x".into(), recheck: None }));
    observed.looked = false;
    assert_eq!(decide(&observed).effects, [Effect::Work { step: 0 }]);
}

#[test]
fn a_step_that_waits_is_looked_at_again_at_its_recheck_or_its_deadline() {
    let mut observed = running();
    observed.progress = Some(progress(0, State::Waiting { message: "x".into(), recheck: Some(at(20)) }));
    let decision = decide(&observed);
    assert_eq!((decision.effects.len(), decision.next), (0, Next::At(at(20))));
    assert_eq!(Some(&decision.status), observed.promotion.status.as_ref(), "waiting writes nothing");
    Arc::make_mut(&mut observed.promotion).status.get_or_insert_default().message = Some("x".into());
    observed.progress = Some(progress(0, State::Waiting { message: "x".into(), recheck: None }));
    assert_eq!(decide(&observed).next, Next::At(at(10 + 300)));
}

#[test]
fn a_step_that_takes_a_while_says_what_it_waits_for_and_not_more_often_than_every_ten_seconds() {
    let mut observed = running();
    let waits = |message: &str, told: Option<i64>| {
        let waiting = State::Waiting { message: message.into(), recheck: None };
        Some(Progress { told_at: told.map(at), ..progress(0, waiting) })
    };
    observed.progress = waits("1 of 2 pods are ready", None);
    assert_eq!(decide(&observed).next, Next::At(at(12 + 10)));
    observed.now = at(22);
    let told = decide(&observed);
    assert_eq!(told.status.message.as_deref(), Some("1 of 2 pods are ready"));
    assert_eq!((told.status.reason.as_deref(), told.status.phase.as_deref()), (Some("InProgress"), Some("Running")));
    Arc::make_mut(&mut observed.promotion).status = Some(told.status.clone());
    observed.progress = waits("0 of 2 pods are ready", Some(22));
    observed.now = at(31);
    let quiet = decide(&observed);
    assert_eq!((&quiet.status, quiet.next), (&told.status, Next::At(at(32))));
}

#[test]
fn what_blocks_a_promotion_is_said_once_and_forgotten_when_it_goes_on() {
    let mut observed = running();
    let first = blocked(&observed, "Lease checkout.dev does not read");
    assert_eq!(first.status.reason.as_deref(), Some("Blocked"));
    assert_eq!((first.status.phase.as_deref(), first.events.len()), (Some("Running"), 1));
    Arc::make_mut(&mut observed.promotion).status = Some(first.status.clone());
    let second = blocked(&observed, "Lease checkout.dev does not read");
    assert_eq!((second.status, second.events.len()), (first.status, 0));
    observed.progress = Some(progress(0, State::Waiting { message: "x".into(), recheck: None }));
    assert_eq!(decide(&observed).status.reason.as_deref(), Some("InProgress"));
}

#[test]
fn whether_anything_was_applied_is_known_only_to_the_process_that_started_it() {
    let mut observed = running();
    Arc::make_mut(&mut observed.promotion).spec.cancel = Some(Cancel { reason: None });
    assert!(decide(&observed).status.applied, "after a restart nobody knows");
    observed.trace = Trace::Nothing;
    assert!(!decide(&observed).status.applied);
}

#[test]
fn a_step_that_is_done_starts_the_next_and_the_last_one_ends_it_all() {
    let mut observed = running();
    observed.progress = Some(progress(0, State::Done));
    let advanced = decide(&observed);
    assert_eq!(phases(&advanced.status), [SUCCEEDED, STARTED]);
    Arc::make_mut(&mut observed.promotion).status = Some(advanced.status);
    assert_eq!(decide(&observed).effects, [Effect::Work { step: 1 }], "the progress of step 0 says nothing of step 1");
    observed.progress = Some(progress(1, State::Done));
    let ended = decide(&observed);
    assert_eq!(phases(&ended.status), [SUCCEEDED, SUCCEEDED]);
    assert_eq!((ended.status.phase.as_deref(), ended.status.finished), (Some("Succeeded"), true));
    assert!(condition::is_true(&ended.status.conditions, ConditionType::Succeeded));
    assert!(condition::is_true(&ended.status.conditions, ConditionType::Finished));
}

#[test]
fn a_step_that_is_skipped_is_passed_over_wherever_it_stands() {
    let mut observed = running();
    let skip = |observed: &mut Observed, index: usize| {
        let status = Arc::make_mut(&mut observed.promotion).status.get_or_insert_default();
        status.steps[index].phase = SKIPPED.into();
    };
    skip(&mut observed, 1);
    observed.progress = Some(progress(0, State::Done));
    let ended = decide(&observed).status;
    assert_eq!((ended.phase.as_deref(), phases(&ended)), (Some("Succeeded"), vec![SUCCEEDED, SKIPPED]));
    let mut observed = ready_to_start();
    observed.plan = PlanState::Known(Arc::new(plan(3)));
    Arc::make_mut(&mut observed.promotion).status = Some(decide(&observed).status);
    skip(&mut observed, 1);
    observed.progress = Some(progress(0, State::Done));
    assert_eq!(phases(&decide(&observed).status), [SUCCEEDED, SKIPPED, STARTED]);
}

#[test]
fn a_failed_step_ends_the_promotion_with_its_cause_and_skips_the_rest() {
    let mut observed = running();
    let failure = FailureRecord {
        object: Some("Deployment/checkout".into()),
        reason: "ImagePullBackOff".into(),
        message: "checkout:9.9.9 not found".into(),
        ..FailureRecord::default()
    };
    observed.progress = Some(progress(0, State::Failed(failure.clone())));
    let decision = decide(&observed);
    assert_eq!(phases(&decision.status), [FAILED, SKIPPED]);
    assert_eq!(decision.status.steps[1].reason.as_deref(), Some("AfterFailure"));
    assert_eq!(decision.status.failure, Some(failure));
    assert_eq!(decision.status.reason.as_deref(), Some("ImagePullBackOff"));
    assert!(decision.status.applied);
    assert_eq!(decision.events.first().map(|event| event.severity), Some(Severity::Warning));
}

#[test]
fn a_step_that_takes_too_long_fails_and_says_what_it_waited_for() {
    let mut observed = running();
    observed.progress = Some(progress(0, State::Waiting { message: "1 of 2 pods are ready".into(), recheck: None }));
    observed.now = at(10 + 300);
    let decision = decide(&observed);
    assert_eq!(decision.status.reason.as_deref(), Some("Timeout"));
    assert!(decision.status.message.as_deref().is_some_and(|message| message.contains("1 of 2 pods are ready")));
}

#[test]
fn cancel_ends_a_running_promotion_between_two_effects_and_says_whether_anything_was_applied() {
    let mut observed = running();
    observed.progress = Some(progress(0, State::Waiting { message: "x".into(), recheck: None }));
    Arc::make_mut(&mut observed.promotion).spec.cancel = Some(Cancel { reason: None });
    let decision = decide(&observed);
    assert_eq!((decision.status.phase.as_deref(), decision.status.applied), (Some("Canceled"), true));
    assert_eq!(decision.status.steps[1].reason.as_deref(), Some("Canceled"));
}

#[test]
fn deletion_cancels_first() {
    let mut observed = running();
    Arc::make_mut(&mut observed.promotion).metadata.deletion_timestamp = Some(Time(at(12)));
    let decision = decide(&observed);
    assert_eq!(decision.status.phase.as_deref(), Some("Canceled"));
    assert_eq!(decision.status.reason.as_deref(), Some("Deleted"));
}

#[test]
fn a_running_promotion_that_lost_its_slot_has_no_effect() {
    let mut observed = running();
    observed.slot = Slot::Held { by: "checkout-2.0.0-dev".into() };
    let decision = decide(&observed);
    assert!(decision.effects.is_empty());
    assert_eq!(decision.status.phase.as_deref(), Some("Running"));
}

#[test]
fn an_end_is_never_left() {
    for phase in ["Succeeded", "Failed", "RolledBack", "Refused", "Canceled", "Superseded", "Expired"] {
        let mut observed = running();
        let status = Arc::make_mut(&mut observed.promotion).status.get_or_insert_default();
        status.phase = Some(phase.into());
        status.finished = true;
        let decision = decide(&observed);
        assert_eq!(Some(&decision.status), observed.promotion.status.as_ref());
        assert!(decision.effects.is_empty() && decision.events.is_empty());
    }
}

#[test]
fn what_exists_and_does_not_read_is_waited_for_and_named() {
    let why: Arc<str> = "missing field `order`".into();
    let unreadable = |change: fn(&mut Observed, Arc<str>)| {
        let mut observed = ready_to_start();
        change(&mut observed, Arc::clone(&why));
        let status = decide(&observed).status;
        assert_eq!((status.phase.as_deref(), status.reason.as_deref()), (Some("Pending"), Some("Blocked")));
        status.message.unwrap()
    };
    let said = unreadable(|observed, why| (observed.project, observed.unreadable.project) = (None, Some(why)));
    assert!(said.starts_with("project checkout exists and cannot be read: missing field `order`; "), "{said}");
    let said = unreadable(|observed, why| (observed.release, observed.unreadable.release) = (None, Some(why)));
    assert!(said.starts_with("release checkout-1.0.0 exists and cannot be read: "), "{said}");
    let said = unreadable(|observed, why| {
        observed.environment = None;
        observed.unreadable.environments = [("dev".to_owned(), why)].into();
    });
    assert!(said.starts_with("environment dev exists and cannot be read: "), "{said}");
    let said = unreadable(|observed, why| observed.unreadable.environments = [("test".to_owned(), why)].into());
    assert!(said.starts_with("environment test exists and cannot be read: "), "its place is not known: {said}");
}

#[test]
fn one_whose_time_has_not_come_says_until_when_and_is_looked_at_again_just_then() {
    let mut observed = ready_to_start();
    let spec = &mut Arc::make_mut(&mut observed.promotion).spec;
    (spec.not_before, spec.expires_at) = (Some(Time(at(20))), Some(Time(at(30))));
    let waits = decide(&observed);
    assert_eq!((waits.status.phase.as_deref(), waits.status.reason.as_deref()), (Some("Pending"), Some("NotYet")));
    assert!(waits.status.message.as_deref().unwrap().contains("starts at 2027-01-15T08:00:20Z or later"));
    assert_eq!(waits.next, Next::At(at(20)));
    observed.now = at(20);
    assert_eq!(decide(&observed).status.phase.as_deref(), Some("Running"));
    observed.release = None;
    let waits = decide(&observed);
    assert_eq!(waits.next, Next::At(at(30)), "whatever it waits for then, it is over at its end");
    let message = waits.status.message.unwrap();
    assert!(message.ends_with("; if it has not started by 2027-01-15T08:00:30Z, it expires"), "{message}");
    observed.now = at(30);
    let ended = decide(&observed);
    assert_eq!((ended.status.phase.as_deref(), ended.status.finished), (Some("Expired"), true));
    assert_eq!(ended.events.first().map(|event| (event.reason, event.severity)), Some(("Expired", Severity::Warning)));
}

#[test]
fn what_runs_does_not_expire() {
    let mut observed = running();
    Arc::make_mut(&mut observed.promotion).spec.expires_at = Some(Time(at(11)));
    observed.now = at(99);
    assert_eq!(decide(&observed).effects, [Effect::Work { step: 0 }]);
}

#[test]
fn what_it_is_to_what_runs_there_is_decided_at_the_start_and_stays() {
    let current = |version: &str| {
        Some(current::Current {
            promotion: "p".into(),
            promotion_uid: "u".into(),
            version: version.into(),
            release_uid: Some(format!("release-{version}")),
            since: at(1),
            made: None,
        })
    };
    let another = current("1.0.0").map(|known| current::Current { release_uid: Some("before".into()), ..known });
    let unknown = current("1.0.0").map(|known| current::Current { release_uid: None, ..known });
    for (runs, mode, says) in [
        (None, "Deploy", "checkout 1.0.0 is being applied to dev (CHG-1)"),
        (current("0.9.0"), "Deploy", "where 0.9.0 runs (CHG-1)"),
        (current("1.0.0"), "Redeploy", "where it runs already (CHG-1)"),
        (current("1.1.0"), "Rollback", "where the newer 1.1.0 runs (CHG-1)"),
        (another, "Deploy", "where another release of this version runs, which was deleted (CHG-1)"),
        (unknown, "Deploy", "checkout 1.0.0 is being applied to dev (CHG-1)"),
    ] {
        let mut observed = ready_to_start();
        Arc::make_mut(&mut observed.promotion).spec.reason = Some("CHG-1".into());
        observed.current = runs;
        let started = decide(&observed);
        assert_eq!(started.status.mode.as_deref(), Some(mode));
        let previous = started.status.previous.as_ref().map(|known| (&known.version, &known.promotion));
        assert_eq!(previous, observed.current.as_ref().map(|known| (&known.version, &known.promotion)));
        assert!(started.status.message.as_deref().unwrap().ends_with(says), "{:?}", started.status.message);
        assert_eq!(started.events.first().map(|event| &event.message), started.status.message.as_ref());
        Arc::make_mut(&mut observed.promotion).status = Some(started.status);
        observed.current = current("9.9.9");
        assert_eq!(current::mode(&observed).as_str(), mode);
    }
    let mut back = ready_to_start();
    let cause = Cause { kind: "Promotion".into(), name: "bad".into(), uid: "uid-bad".into(), generation: None };
    Arc::make_mut(&mut back.promotion).spec.cause = Some(cause);
    back.current = current("1.0.0");
    let started = decide(&back).status;
    assert_eq!(started.mode.as_deref(), Some("Rollback"), "the last success still counts as what runs");
    assert_eq!(started.message.as_deref(), Some("checkout 1.0.0 is being applied to dev"));
}

/// One whose first step failed after it had applied something, where a failure is to be undone.
fn failing() -> Observed {
    let mut observed = running();
    let failure = FailureRecord {
        object: Some("Deployment/checkout".into()),
        reason: "CrashLoopBackOff".into(),
        message: "checkout crashes".into(),
        ..FailureRecord::default()
    };
    observed.progress = Some(progress(0, State::Failed(failure)));
    observed.rollback = Rollback::Unknown;
    observed
}

#[test]
fn a_failure_that_is_to_be_undone_names_its_rollback_before_it_is_made_and_waits_for_its_end() {
    let mut observed = failing();
    assert_eq!(decide(&observed).effects, [Effect::LookForRollback]);
    let (promotion, version) = ("back".to_owned(), "0.9.0".to_owned());
    observed.rollback =
        Rollback::Wanted { promotion: promotion.clone(), version: version.clone(), again: "good".into() };
    let written = decide(&observed);
    let status = &written.status;
    assert_eq!((status.phase.as_deref(), status.finished), (Some("RollingBack"), false));
    assert_eq!(phases(status), [FAILED, SKIPPED]);
    assert_eq!(status.rollback.as_ref().map(|known| known.promotion.as_str()), Some("back"));
    assert_eq!(status.failure.as_ref().map(|failure| failure.message.as_str()), Some("checkout crashes"));
    let succeeded = condition::find(&status.conditions, ConditionType::Succeeded).map(|known| known.status.as_str());
    assert_eq!(succeeded, Some("False"), "that it failed is said at once");
    assert!(!condition::is_true(&status.conditions, ConditionType::Finished));
    assert_eq!(written.events.first().map(|event| event.reason), Some("RollingBack"));
    Arc::make_mut(&mut observed.promotion).status = Some(written.status);
    observed.progress = None;
    assert_eq!(decide(&observed).effects, [Effect::MakeRollback]);
    observed.rollback = Rollback::Underway { promotion: promotion.clone(), version: version.clone() };
    let waits = decide(&observed);
    assert_eq!(Some(&waits.status), observed.promotion.status.as_ref(), "waiting writes nothing");
    assert!(waits.events.is_empty());
    observed.now = at(500);
    for (phase, ends) in [(Phase::Succeeded, "RolledBack"), (Phase::Failed, "Failed"), (Phase::Canceled, "Failed")] {
        observed.rollback = Rollback::Ended { promotion: promotion.clone(), version: version.clone(), phase };
        let ended = decide(&observed).status;
        assert_eq!((ended.phase.as_deref(), ended.finished), (Some(ends), true));
        assert_eq!(ended.reason.as_deref(), Some("CrashLoopBackOff"));
        assert!(ended.message.as_deref().unwrap().contains("checkout crashes"));
        assert_eq!(ended.finished_at.map(|time| time.0), Some(at(11)), "it ended when it failed");
    }
}

#[test]
fn a_failure_that_nobody_undoes_says_why_where_that_could_be_expected() {
    let mut observed = failing();
    observed.rollback = Rollback::Nothing { why: Some("nothing had succeeded there before".into()) };
    let status = decide(&observed).status;
    assert_eq!(status.phase.as_deref(), Some("Failed"));
    let message = "checkout crashes; nothing was rolled back: nothing had succeeded there before";
    assert_eq!(status.message.as_deref(), Some(message));
    Arc::make_mut(&mut observed.promotion).spec.cancel = Some(Cancel { reason: None });
    observed.rollback = Rollback::Unknown;
    assert_eq!(decide(&observed).status.message.as_deref(), Some("checkout crashes"), "who canceled it decides");
}
