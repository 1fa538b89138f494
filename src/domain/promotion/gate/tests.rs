use jiff::Timestamp;

use super::*;
use crate::domain::freeze::{Freeze, Freezes, Period, Periods, Running};
use crate::domain::lifecycle::reach::Unreached;
use crate::domain::name::{EnvironmentName, ProjectName, ReleaseVersion};
use crate::domain::promotion::approval::{self, Choice, Decision, Person, Proposal, Rule, Tally};
use crate::domain::promotion::parts::Unknown;
use crate::domain::promotion::window::Window;
use crate::domain::remade::Before;

fn ada() -> Person {
    Person { name: "ada".to_owned(), uid: None }
}

/// What people decided on the promotion of ada, or of a robot.
fn approvals_of(by: Person, rule: Rule, decisions: Vec<Decision>) -> Tally {
    let proposal = Proposal {
        uid: "u".to_owned(),
        environment: "production".to_owned(),
        plan_digest: Some("plan".to_owned()),
        requested_by: Some(by),
        on_behalf_of: None,
        unasked: false,
    };
    approval::tally(proposal, (rule, rule), Before::Never, decisions)
}

/// Where another release of that name had succeeded.
fn no_return() -> Tally {
    let rule = Rule { rollback: 0, ..two() };
    approval::tally(approvals(rule, Vec::new()).proposal, (rule, rule), Before::Another, Vec::new())
}

fn approvals(rule: Rule, decisions: Vec<Decision>) -> Tally {
    approvals_of(ada(), rule, decisions)
}

fn two() -> Rule {
    Rule { required: 2, rollback: 2, allow_requester: false, allow_service_accounts: false }
}

fn decided(by: &str, choice: Choice) -> Decision {
    Decision {
        approval: by.to_owned(),
        approval_uid: by.to_owned(),
        at: at(1),
        by: Some(Person { name: by.to_owned(), uid: None }),
        choice,
        promotion_uid: "u".to_owned(),
        environment: "production".to_owned(),
        plan_digest: "plan".to_owned(),
        comment: Some("too late".to_owned()),
    }
}

fn environment(name: &str) -> EnvironmentName {
    EnvironmentName::try_from(name).unwrap()
}

/// Facts on which every gate is open.
pub(in crate::domain) fn open() -> GateFacts {
    GateFacts {
        subject: Subject {
            project: ProjectName::try_from("checkout").unwrap(),
            version: ReleaseVersion::try_from("1.4.2").unwrap(),
            environment: environment("production"),
        },
        unguarded: None,
        stamped: Some(ada()),
        project: Presence::Found,
        release: ReleaseFact::Sealed,
        environment: EnvironmentFact::Ready,
        lifecycle: Reach::Reachable,
        recovering: false,
        blocked: None,
        parts: PartsFact::Known,
        when_not_ready: WhenNotReady::Refuse,
        approvals: approvals(Rule::NONE, Vec::new()),
        freezes: Freezes::default(),
        window: Window::default(),
        asked: at(90),
        now: at(100),
        standing: Standing::Next,
        fresh: true,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn tonight() -> Window {
    Window { not_before: Some(at(200)), expires_at: Some(at(300)) }
}

fn over() -> Window {
    Window { expires_at: Some(at(100)), ..Window::default() }
}

/// A freeze of this time, made at second 50.
fn freeze(name: &str, start: i64, end: i64) -> Freeze {
    Freeze {
        name: name.to_owned(),
        reason: "nobody is there".to_owned(),
        made: at(50),
        environments: Vec::new(),
        projects: Vec::new(),
        periods: Periods::Once(Period { start: at(start), end: at(end) }),
        running: Running::Finish,
    }
}

fn frozen(concerning: Vec<Freeze>) -> Freezes {
    Freezes { concerning, ..Freezes::default() }
}

/// One that holds since before it was asked for.
fn winter() -> Freezes {
    frozen(vec![freeze("winter", 60, 1000)])
}

/// One that began since it was asked for.
fn late() -> Freezes {
    frozen(vec![freeze("late", 95, 1000)])
}

fn unreached() -> Reach {
    Reach::Unreached(Unreached {
        phase: "test".to_owned(),
        needed: 2,
        succeeded: vec![environment("test-eu")],
        missing: vec![environment("test-us")],
        ..Unreached::default()
    })
}

fn no_lifecycle() -> Reach {
    Reach::NoLifecycle { name: "hotfix".to_owned() }
}

fn blocked() -> String {
    "bug 42".to_owned()
}

fn unknown_target() -> PartsFact {
    let (path, name) = ("spec.targets[0]".to_owned(), "asia".to_owned());
    PartsFact::Unknown(Unknown { kind: Missing::Target, path, name, known: vec!["eu".to_owned()] })
}

fn unknown_step() -> PartsFact {
    let (path, name) = ("spec.skipSteps[0]".to_owned(), "migrat".to_owned());
    PartsFact::Unknown(Unknown { kind: Missing::Step, path, name, known: vec!["migrate".to_owned()] })
}

fn not_sealed(stalled: bool) -> ReleaseFact {
    ReleaseFact::NotSealed { message: "tag 1.4.2 is not in ghcr.io/acme/api: push it".to_owned(), stalled }
}

fn not_ready() -> EnvironmentFact {
    EnvironmentFact::NotReady { message: "namespace shop-production is taken: label it".to_owned() }
}

fn stands(promotion: &str, how: fn(String) -> Standing) -> Standing {
    how(promotion.to_owned())
}

fn behind() -> Standing {
    stands("other", |promotion| Standing::Behind { promotion })
}

fn superseded() -> Standing {
    stands("newer", |promotion| Standing::SupersededBy { promotion })
}

fn ambiguous() -> Standing {
    Standing::Ambiguous { others: vec!["a".to_owned(), "b".to_owned()] }
}

fn described(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Open => "open".to_owned(),
        Verdict::Recheck => "recheck".to_owned(),
        Verdict::Expired { message } => format!("expired: {message}"),
        Verdict::Rejected { message } => format!("rejected: {message}"),
        Verdict::Waiting { gate, reason, message } => format!("waiting {} {reason}: {message}", gate.as_str()),
        Verdict::Closed { gate, reason, message } => format!("closed {} {reason}: {message}", gate.as_str()),
    }
}

#[test]
fn what_is_missing_or_not_ready_says_why_and_what_to_do() {
    for (facts, expected) in [
        (open(), "open"),
        (
            GateFacts { unguarded: Some("one is missing: apply it".to_owned()), stamped: None, ..open() },
            "waiting Guarded Unguarded: nothing is promoted while Gantry's admission policies do not act: one is missing: apply it",
        ),
        (
            GateFacts { stamped: None, ..open() },
            "closed Stamped NotStamped: the API server did not record who asked, or nobody knows that it did: install Gantry's admission policies, then create the promotion again under another name",
        ),
        (
            GateFacts { project: Presence::Absent, ..open() },
            "waiting ProjectFound ProjectNotFound: project checkout (spec.project) does not exist in this space: create it, or cancel this promotion",
        ),
        (
            GateFacts { release: ReleaseFact::Absent, ..open() },
            "waiting ReleaseSealed ReleaseNotFound: release checkout-1.4.2 (spec.version) does not exist in this space: create it, or cancel this promotion",
        ),
        (
            GateFacts { release: not_sealed(false), ..open() },
            "waiting ReleaseSealed ReleaseNotSealed: release checkout-1.4.2 is not sealed yet: tag 1.4.2 is not in ghcr.io/acme/api: push it",
        ),
        (
            GateFacts { release: not_sealed(true), ..open() },
            "waiting ReleaseSealed ReleaseNotSealed: release checkout-1.4.2 cannot be sealed: tag 1.4.2 is not in ghcr.io/acme/api: push it",
        ),
        (
            GateFacts { release: ReleaseFact::MadeAgain, ..open() },
            "closed ReleaseSealed ReleaseMadeAgain: release checkout-1.4.2 was deleted and made again, and this promotion was made for the one before: the one of now gets its own where its lifecycle says so, promote it yourself elsewhere",
        ),
        (GateFacts { release: ReleaseFact::MadeAgain, fresh: false, ..open() }, "recheck"),
        (
            GateFacts { environment: EnvironmentFact::Absent, ..open() },
            "waiting EnvironmentReady EnvironmentNotFound: environment production (spec.environment) does not exist in this space: create it, or cancel this promotion",
        ),
        (
            GateFacts { environment: not_ready(), ..open() },
            "waiting EnvironmentReady EnvironmentNotReady: environment production is not ready: namespace shop-production is taken: label it",
        ),
        (
            GateFacts { environment: EnvironmentFact::Paused, ..open() },
            "waiting EnvironmentReady EnvironmentPaused: environment production is paused: set its spec.paused to false to let promotions start",
        ),
    ] {
        assert_eq!(described(&judge(&facts)), expected);
    }
}

#[test]
fn the_lifecycle_and_the_turn_say_why_and_what_to_do() {
    let wait = WhenNotReady::Wait;
    for (facts, expected) in [
        (
            GateFacts { lifecycle: unreached(), ..open() },
            "closed LifecycleReached LifecycleNotReached: production waits for phase test: 1 of 2 environments (test-eu) has checkout-1.4.2; promote it to test-us first",
        ),
        (
            GateFacts { lifecycle: unreached(), when_not_ready: wait, ..open() },
            "waiting LifecycleReached LifecycleNotReached: production waits for phase test: 1 of 2 environments (test-eu) has checkout-1.4.2; promote it to test-us first",
        ),
        (
            GateFacts { lifecycle: Reach::NotInLifecycle, ..open() },
            "closed LifecycleReached NotInLifecycle: environment production is not in the lifecycle of checkout-1.4.2: add it there, or promote to one that is",
        ),
        (
            GateFacts { lifecycle: no_lifecycle(), ..open() },
            "waiting LifecycleReached LifecycleNotFound: lifecycle hotfix of checkout-1.4.2 does not exist in this space: create it, or correct the project's lifecycle",
        ),
        (
            GateFacts { lifecycle: Reach::NoChannel { name: "beta".to_owned() }, ..open() },
            "waiting LifecycleReached ChannelNotFound: channel beta of checkout-1.4.2 is no longer in the project, so nothing says where it may go: add the channel again, or make a release of another one",
        ),
        (
            GateFacts { parts: unknown_target(), when_not_ready: wait, ..open() },
            "closed PartsKnown TargetNotFound: environment production has no target asia (spec.targets[0]), it has eu: make a new promotion with one of these under another name",
        ),
        (
            GateFacts { parts: unknown_step(), ..open() },
            "closed PartsKnown StepNotFound: release checkout-1.4.2 has no step migrat (spec.skipSteps[0]), it has migrate: make a new promotion with one of these under another name",
        ),
        (
            GateFacts { blocked: Some(blocked()), ..open() },
            "closed NotBlocked ReleaseBlocked: release checkout-1.4.2 is blocked (bug 42): it may go to environments of its first phase and of phases that it has entered, and production is none; remove its spec.blocked to let it go on",
        ),
        (
            GateFacts { window: tonight(), standing: behind(), ..open() },
            "waiting InTime NotYet: its time has not come: it starts at 1970-01-01T00:03:20Z or later; to start sooner, cancel it and make a promotion with an earlier spec.notBefore",
        ),
        (
            GateFacts { window: over(), project: Presence::Absent, ..open() },
            "expired: it had not started by 1970-01-01T00:01:40Z, and nothing was applied: make a new promotion with another name and a later spec.expiresAt",
        ),
        (
            GateFacts { standing: behind(), ..open() },
            "waiting Turn QueuedBehind: promotion other of checkout to production comes first",
        ),
        (
            GateFacts { standing: superseded(), ..open() },
            "waiting Turn QueuedBehind: promotion newer of checkout to production is newer and replaces this one",
        ),
        (
            GateFacts { standing: ambiguous(), ..open() },
            "waiting Turn AmbiguousOrder: 2 more promotions of checkout wait for production and this space has no history that says which comes first: cancel all but one",
        ),
    ] {
        assert_eq!(described(&judge(&facts)), expected);
    }
}

#[test]
fn freezes_say_which_they_are_until_when_and_what_to_do() {
    let wait = WhenNotReady::Wait;
    let wrong = Freeze { periods: Periods::Unknown { why: "spec.end: x".to_owned() }, ..freeze("wrong", 0, 0) };
    let (two, names) = (vec![freeze("a", 60, 200), freeze("b", 95, 300)], |name: &str| vec![name.to_owned()]);
    let held = "promotions of checkout to production are held by";
    let refuses = "promote again under another name, after that, with whenNotReady: Wait to wait for it, or with spec.freezeOverride (the verb override on environments.gantry.dev/production)";
    let waits = "it goes on by itself afterwards; only a new one with spec.freezeOverride (the verb override on environments.gantry.dev/production) starts before";
    let one = "freeze winter (nobody is there) until 1970-01-01T00:16:40Z";
    for (facts, expected) in [
        (GateFacts { freezes: winter(), ..open() }, format!("closed NotFrozen Frozen: {held} {one}: {refuses}")),
        (GateFacts { freezes: winter(), fresh: false, ..open() }, "recheck".to_owned()),
        (
            GateFacts { freezes: winter(), when_not_ready: wait, ..open() },
            format!("waiting NotFrozen Frozen: {held} {one}: {waits}"),
        ),
        (
            GateFacts { freezes: late(), fresh: false, ..open() },
            format!(
                "waiting NotFrozen Frozen: {held} freeze late (nobody is there) until 1970-01-01T00:16:40Z: {waits}"
            ),
        ),
        (
            GateFacts { freezes: frozen(vec![wrong]), ..open() },
            format!(
                "waiting NotFrozen Frozen: {held} freeze wrong (nobody is there), whose periods nobody knows (spec.end: x): {waits}"
            ),
        ),
        (
            GateFacts { freezes: Freezes { overridden: names("a"), ..frozen(two.clone()) }, ..open() },
            format!(
                "waiting NotFrozen Frozen: {held} freeze b (nobody is there) until 1970-01-01T00:05:00Z, which its spec.freezeOverride does not name (add b to names): {waits}"
            ),
        ),
        (
            GateFacts { freezes: Freezes { overridden: names("b"), ..frozen(two.clone()) }, ..open() },
            format!(
                "closed NotFrozen Frozen: {held} freeze a (nobody is there) until 1970-01-01T00:03:20Z, which its spec.freezeOverride does not name (add a to names): {refuses}"
            ),
        ),
        (
            GateFacts {
                freezes: Freezes { overridden: vec!["b".into(), "a".into(), "c".into()], ..frozen(two) },
                ..open()
            },
            "open".to_owned(),
        ),
        (GateFacts { freezes: Freezes { exempt: true, ..winter() }, ..open() }, "open".to_owned()),
    ] {
        assert_eq!(described(&judge(&facts)), expected);
    }
}

#[test]
fn a_freeze_is_judged_at_the_start_that_is_asked_for_and_again_at_the_start() {
    let says = |freezes: Freezes, now: i64| {
        described(&judge(&GateFacts { window: tonight(), freezes, now: at(now), ..open() }))
    };
    // It is to start at 200. What is frozen now and not then holds nothing.
    assert!(
        says(winter(), 100)
            .starts_with("closed NotFrozen Frozen: at 1970-01-01T00:03:20Z, when it is to start, promotions")
    );
    assert!(says(frozen(vec![freeze("now", 60, 200)]), 100).starts_with("waiting InTime"), "the end is no part of it");
    assert!(says(frozen(vec![freeze("then", 200, 201)]), 100).starts_with("closed NotFrozen Frozen: at 1970"));
    assert!(says(frozen(vec![freeze("later", 201, 300)]), 100).starts_with("waiting InTime"), "it may start before");
    // It had to wait at 200, and is judged again.
    assert!(says(frozen(vec![freeze("later", 201, 300)]), 250).starts_with("waiting NotFrozen"));
    let made_later = Freeze { made: at(95), ..freeze("then", 200, 270) };
    assert!(
        says(frozen(vec![made_later.clone()]), 100).starts_with("waiting NotFrozen Frozen: at 1970"),
        "nobody knew of it"
    );
    assert!(says(frozen(vec![made_later.clone()]), 250).starts_with("waiting NotFrozen Frozen: promotions"));
    assert_eq!(says(frozen(vec![made_later]), 270), "open");
}

#[test]
fn approvals_say_how_many_are_missing_and_who_can_give_them() {
    let robot = Person { name: "system:serviceaccount:shop:ci".to_owned(), uid: None };
    let (yes, no) = (|by: &str| decided(by, Choice::Approve), |by: &str| decided(by, Choice::Reject));
    for (facts, expected) in [
        (
            GateFacts { approvals: approvals(two(), Vec::new()), ..open() },
            "waiting Approved ApprovalsMissing: 2 of 2 approvals are missing: somebody who is not ada with the verb approve on environments.gantry.dev/production must make an Approval of its status.planDigest",
        ),
        (
            GateFacts { approvals: no_return(), ..open() },
            "waiting Approved ApprovalsMissing: 2 of 2 approvals are missing: somebody who is not ada with the verb approve on environments.gantry.dev/production must make an Approval of its status.planDigest; this is no return, since the checkout-1.4.2 that succeeded there was deleted, and this one was made again under its name",
        ),
        (
            GateFacts { approvals: approvals(two(), vec![yes("bob"), yes("ada")]), ..open() },
            "waiting Approved ApprovalsMissing: 1 of 2 approvals is missing: somebody who is not ada with the verb approve on environments.gantry.dev/production must make an Approval of its status.planDigest; the approval of ada does not count: whoever asked cannot approve here: ask somebody else",
        ),
        (GateFacts { approvals: approvals(two(), vec![yes("bob"), yes("eve")]), ..open() }, "open"),
        (GateFacts { approvals: approvals(two(), Vec::new()), recovering: true, ..open() }, "open"),
        (
            GateFacts {
                approvals: approvals(two(), vec![yes("bob"), yes("eve"), no("ada")]),
                recovering: true,
                ..open()
            },
            "rejected: ada rejected it (too late); nothing was applied, and a rejection is final: make a new promotion with another name",
        ),
        (GateFacts { approvals: approvals(Rule::NONE, vec![no("bob")]), fresh: false, ..open() }, "recheck"),
        (
            GateFacts {
                approvals: approvals_of(robot.clone(), two(), vec![yes("bob"), yes("eve")]),
                stamped: Some(robot),
                ..open()
            },
            "closed Approved RequesterUnknown: production wants approvals of others than who asked, and nobody knows who that is: system:serviceaccount:shop:ci is a service account and spec.onBehalfOf names no person; ask again with spec.onBehalfOf, under another name",
        ),
    ] {
        assert_eq!(described(&judge(&facts)), expected);
    }
}

#[test]
fn the_first_gate_that_is_not_open_decides() {
    let mut facts = GateFacts {
        unguarded: Some(blocked()),
        stamped: None,
        project: Presence::Absent,
        release: ReleaseFact::Absent,
        environment: EnvironmentFact::Paused,
        parts: unknown_step(),
        lifecycle: unreached(),
        blocked: Some(blocked()),
        freezes: winter(),
        window: tonight(),
        approvals: approvals(two(), Vec::new()),
        standing: behind(),
        ..open()
    };
    let gate = |facts: &GateFacts| match judge(facts) {
        Verdict::Waiting { gate, .. } | Verdict::Closed { gate, .. } => Some(gate),
        Verdict::Open | Verdict::Recheck | Verdict::Rejected { .. } | Verdict::Expired { .. } => None,
    };
    let repairs: [fn(&mut GateFacts); 12] = [
        |facts| facts.unguarded = None,
        |facts| facts.stamped = open().stamped,
        |facts| facts.project = Presence::Found,
        |facts| facts.release = ReleaseFact::Sealed,
        |facts| facts.environment = EnvironmentFact::Ready,
        |facts| facts.parts = PartsFact::Known,
        |facts| facts.lifecycle = Reach::Reachable,
        |facts| facts.blocked = None,
        |facts| facts.freezes = Freezes::default(),
        |facts| facts.window = Window::default(),
        |facts| facts.approvals = open().approvals,
        |facts| facts.standing = Standing::Next,
    ];
    for (expected, repair) in Gate::CHAIN.into_iter().zip(repairs) {
        assert_eq!(gate(&facts), Some(expected));
        repair(&mut facts);
    }
    assert_eq!(judge(&facts), Verdict::Open);
}

/// One way in which a fact may be, put into the others.
type Change = fn(&mut GateFacts);

/// Shows every combination of facts: the product of all that each fact may be.
fn for_all(mut see: impl FnMut(&GateFacts)) {
    let options: [&[Change]; 11] = [
        &[|_| {}, |facts| facts.stamped = None],
        &[|_| {}, |facts| facts.project = Presence::Absent],
        &[
            |_| {},
            |facts| facts.release = ReleaseFact::Absent,
            |facts| facts.release = not_sealed(true),
            |facts| facts.release = not_sealed(false),
        ],
        &[
            |_| {},
            |facts| facts.environment = EnvironmentFact::Absent,
            |facts| facts.environment = not_ready(),
            |facts| facts.environment = EnvironmentFact::Paused,
        ],
        &[
            |_| {},
            |facts| facts.lifecycle = unreached(),
            |facts| facts.lifecycle = Reach::NotInLifecycle,
            |facts| facts.lifecycle = no_lifecycle(),
        ],
        &[|_| {}, |facts| facts.parts = PartsFact::Unread, |facts| facts.parts = unknown_step()],
        &[|_| {}, |facts| facts.blocked = Some(blocked())],
        &[|_| {}, |facts| facts.freezes = winter(), |facts| facts.freezes = late()],
        &[|_| {}, |facts| facts.window = tonight(), |facts| facts.window = over()],
        &[
            |_| {},
            |facts| facts.approvals = approvals(two(), Vec::new()),
            |facts| facts.approvals = approvals(two(), vec![decided("bob", Choice::Reject)]),
        ],
        &[
            |_| {},
            |facts| facts.standing = behind(),
            |facts| facts.standing = superseded(),
            |facts| facts.standing = ambiguous(),
        ],
    ];
    combine(open(), &options, &mut see);
}

fn combine(mut facts: GateFacts, options: &[&[Change]], see: &mut impl FnMut(&GateFacts)) {
    let Some((first, rest)) = options.split_first() else {
        for when_not_ready in [WhenNotReady::Refuse, WhenNotReady::Wait] {
            for fresh in [true, false] {
                (facts.when_not_ready, facts.fresh) = (when_not_ready, fresh);
                see(&facts);
            }
        }
        return;
    };
    for change in *first {
        let mut facts = facts.clone();
        change(&mut facts);
        combine(facts, rest, see);
    }
}

#[test]
fn the_way_is_open_only_if_every_fact_is_good_and_read_live() {
    for_all(|facts| {
        let good = *facts == GateFacts { when_not_ready: facts.when_not_ready, ..open() };
        assert_eq!(judge(facts) == Verdict::Open, good, "{facts:?}");
    });
}

#[test]
fn on_cached_facts_nothing_is_decided_that_cannot_be_taken_back() {
    for_all(|facts| match judge(facts) {
        _ if facts.fresh || facts.stamped.is_none() => {}
        Verdict::Open | Verdict::Closed { .. } | Verdict::Rejected { .. } => {
            panic!("decided on cached facts: {facts:?}")
        }
        Verdict::Waiting { .. } => assert!(!is_superseded(&facts.standing), "replaced on cached facts: {facts:?}"),
        // The window is written once, and the time is the time.
        Verdict::Recheck | Verdict::Expired { .. } => {}
    });
}

#[test]
fn whatever_it_waits_for_a_rejection_ends_it_in_its_time() {
    for_all(|facts| {
        let rejected = facts.approvals.rejection().is_some();
        let unsure = !facts.fresh || facts.window == over();
        assert!(unsure || matches!(judge(facts), Verdict::Rejected { .. }) == rejected, "{facts:?}");
    });
}

#[test]
fn whatever_it_waits_for_it_expires_when_its_time_is_over() {
    for_all(|facts| {
        assert_eq!(matches!(judge(facts), Verdict::Expired { .. }), facts.window == over(), "{facts:?}");
    });
}

#[test]
fn on_live_facts_there_is_always_an_answer_with_a_message() {
    for_all(|facts| match judge(facts) {
        _ if !facts.fresh => {}
        Verdict::Open => {}
        Verdict::Recheck => panic!("asks again for live facts: {facts:?}"),
        Verdict::Waiting { message, .. }
        | Verdict::Closed { message, .. }
        | Verdict::Rejected { message }
        | Verdict::Expired { message } => {
            assert!(!message.is_empty());
        }
    });
}

#[test]
fn only_a_missing_stamp_an_unknown_part_or_requester_the_lifecycle_a_block_and_a_freeze_refuse_the_last_three_never_when_told_to_wait()
 {
    for_all(|facts| {
        if let Verdict::Closed { gate, .. } = judge(facts) {
            match gate {
                Gate::Stamped => assert_eq!(facts.stamped, None),
                Gate::PartsKnown => assert_eq!(facts.parts, unknown_step()),
                Gate::LifecycleReached => {
                    assert!(facts.lifecycle != Reach::Reachable && facts.lifecycle != no_lifecycle());
                    assert_eq!(facts.when_not_ready, WhenNotReady::Refuse);
                    assert_eq!(facts.release, ReleaseFact::Sealed, "a release that does not exist is waited for");
                }
                Gate::NotBlocked => assert!(facts.blocked.is_some() && facts.when_not_ready == WhenNotReady::Refuse),
                Gate::NotFrozen => {
                    let known = facts.freezes == winter() || facts.window == tonight();
                    assert!(known && facts.when_not_ready == WhenNotReady::Refuse, "{facts:?}");
                }
                Gate::Approved => panic!("ada is known"),
                Gate::Guarded
                | Gate::ProjectFound
                | Gate::ReleaseSealed
                | Gate::EnvironmentReady
                | Gate::InTime
                | Gate::Turn => {
                    panic!("{gate:?} refused")
                }
            }
        }
    });
}

#[test]
fn a_recovery_passes_phases_and_approvals_that_are_not_complete_and_no_other_gate() {
    let unreached = || Reach::Unreached(crate::domain::lifecycle::reach::Unreached::default());
    let approvals = approvals(two(), Vec::new());
    let waits = GateFacts { when_not_ready: WhenNotReady::Wait, lifecycle: unreached(), approvals, ..open() };
    assert!(matches!(judge(&waits), Verdict::Waiting { gate: Gate::LifecycleReached, .. }));
    let recovering = GateFacts { recovering: true, ..waits };
    assert_eq!(judge(&recovering), Verdict::Open);
    assert_eq!(judge(&GateFacts { fresh: false, ..recovering.clone() }), Verdict::Recheck);
    for other in [
        GateFacts { lifecycle: Reach::NotInLifecycle, ..recovering.clone() },
        GateFacts { blocked: Some("bug 42".to_owned()), ..recovering.clone() },
        GateFacts { environment: EnvironmentFact::Paused, ..recovering },
    ] {
        assert!(matches!(judge(&other), Verdict::Waiting { .. }), "{other:?}");
    }
}
