use super::*;
use crate::domain::promotion::gate::Gate;

const SAYS: &str = "what it says";

fn name_uses() -> Vec<NameUse> {
    let recorded = Phase::ALL.map(|phase| NameUse::RecordedSame { phase });
    [NameUse::Unknown, NameUse::Fresh, NameUse::RecordedOther].into_iter().chain(recorded).collect()
}

const CANCELS: [Option<CancelCause>; 4] =
    [None, Some(CancelCause::Requested), Some(CancelCause::Deleted), Some(CancelCause::Repinned)];

fn verdicts() -> Vec<Verdict> {
    let (gate, message) = (Gate::ReleaseSealed, SAYS.to_owned());
    vec![
        Verdict::Open,
        Verdict::Recheck,
        Verdict::Expired { message: message.clone() },
        Verdict::Rejected { message: message.clone() },
        Verdict::Waiting { gate, reason: Reason::ReleaseNotFound, message: message.clone() },
        Verdict::Closed { gate, reason: Reason::LifecycleNotReached, message },
    ]
}

fn standings() -> Vec<Standing> {
    let promotion = || "other".to_owned();
    vec![
        Standing::Next,
        Standing::Behind { promotion: promotion() },
        Standing::SupersededBy { promotion: promotion() },
        Standing::Ambiguous { others: vec![promotion()] },
    ]
}

fn slots() -> Vec<Slot> {
    vec![Slot::Mine, Slot::Free, Slot::Unknown, Slot::Held { by: "other".to_owned() }]
}

fn works() -> Vec<Work> {
    let progress = |applied| Work::InProgress { message: SAYS.to_owned(), applied };
    let failure =
        |applied| Work::Failed(Failure { reason: "CrashLoopBackOff".to_owned(), message: SAYS.to_owned(), applied });
    vec![Work::NotStarted, progress(false), progress(true), Work::Done, Work::Nothing, failure(false), failure(true)]
}

fn rollbacks() -> Vec<Rollback> {
    let (promotion, version) = (|| "back".to_owned(), || "1.0.0".to_owned());
    let ended = |phase| Rollback::Ended { promotion: promotion(), version: version(), phase };
    vec![
        Rollback::Unknown,
        Rollback::Nothing { why: None },
        Rollback::Nothing { why: Some("there is none".to_owned()) },
        Rollback::Wanted { promotion: promotion(), version: version(), again: "good".to_owned() },
        Rollback::Underway { promotion: promotion(), version: version() },
        ended(Phase::Succeeded),
        ended(Phase::Canceled),
    ]
}

/// Calls `check` with every phase and every combination of facts.
fn for_every_case(mut check: impl FnMut(Phase, &Facts)) {
    let (standings, slots, works, rollbacks) = (standings(), slots(), works(), rollbacks());
    let mut cases = 0;
    for used_name in name_uses() {
        for cancel in CANCELS {
            for verdict in verdicts() {
                let mut facts = Facts {
                    used_name: used_name.clone(),
                    cancel,
                    verdict,
                    standing: Standing::Next,
                    slot: Slot::Mine,
                    work: Work::NotStarted,
                    rollback: Rollback::Unknown,
                };
                for standing in &standings {
                    facts.standing.clone_from(standing);
                    for slot in &slots {
                        facts.slot.clone_from(slot);
                        for work in &works {
                            facts.work.clone_from(work);
                            for rollback in &rollbacks {
                                facts.rollback.clone_from(rollback);
                                for phase in Phase::ALL {
                                    check(phase, &facts);
                                }
                                cases += Phase::ALL.len();
                            }
                        }
                    }
                }
            }
        }
    }
    assert_eq!(cases, 14 * 4 * 6 * 4 * 4 * 7 * 7 * 11);
}

/// One sentence of the specification: when it applies, and what must follow.
struct Rule {
    name: &'static str,
    when: fn(Phase, &Facts) -> bool,
    then: fn(&Facts, &Transition) -> bool,
}

fn is_new(facts: &Facts) -> bool {
    facts.used_name == NameUse::Fresh
}

/// A name that the record does not contradict; a running promotion looked it up before it started.
fn is_unrecorded(facts: &Facts) -> bool {
    matches!(facts.used_name, NameUse::Fresh | NameUse::Unknown)
}

fn is_waiting(facts: &Facts) -> bool {
    matches!(facts.verdict, Verdict::Waiting { .. })
}

fn is_superseded(facts: &Facts) -> bool {
    matches!(facts.standing, Standing::SupersededBy { .. })
}

fn is_unfinished_work(facts: &Facts) -> bool {
    matches!(facts.work, Work::NotStarted | Work::InProgress { .. })
}

/// New, not canceled, and no gate holds it.
fn may_enter(facts: &Facts) -> bool {
    is_new(facts) && facts.cancel.is_none() && facts.verdict == Verdict::Open
}

/// Running, with steps left and nobody who wants it to stop.
fn may_work(facts: &Facts) -> bool {
    is_unrecorded(facts) && !is_stopped(facts) && is_unfinished_work(facts)
}

/// Somebody wants it to stop, even if it runs.
fn is_stopped(facts: &Facts) -> bool {
    matches!(facts.cancel, Some(CancelCause::Requested | CancelCause::Deleted))
}

fn ends(transition: &Transition, phase: Phase, reason: &Reason, applied: bool) -> bool {
    matches!(transition, Transition::Finish(end)
        if end.phase == phase && end.reason == *reason && end.applied == applied && !end.message.is_empty())
}

fn waits(transition: &Transition, expected: &Reason) -> bool {
    matches!(transition, Transition::Wait { reason, message } if reason == expected && !message.is_empty())
}

fn cancels(facts: &Facts, transition: &Transition, applied: bool) -> bool {
    let reason = match facts.cancel {
        None | Some(CancelCause::Repinned) => return false,
        Some(CancelCause::Requested) => Reason::CancelRequested,
        Some(CancelCause::Deleted) => Reason::Deleted,
    };
    let said = matches!(transition, Transition::Finish(end) if end.message.contains("nothing was applied") != applied);
    said && ends(transition, Phase::Canceled, &reason, applied)
}

/// It failed after it had changed something, and nobody wants it to stop.
fn may_be_undone(facts: &Facts) -> bool {
    is_unrecorded(facts) && !is_stopped(facts) && matches!(&facts.work, Work::Failed(failure) if failure.applied)
}

/// It waits for its rollback, and nobody wants it to stop.
fn may_roll_back(phase: Phase, facts: &Facts) -> bool {
    phase == Phase::RollingBack && is_unrecorded(facts) && !is_stopped(facts)
}

/// The end of one that failed, in the words of its step where it has any.
fn fails(facts: &Facts, next: &Transition, (phase, says): (Phase, &str)) -> bool {
    let (reason, applied, said) = match &facts.work {
        Work::Failed(failure) => (failure.reason.as_str(), failure.applied, failure.message.as_str()),
        Work::NotStarted | Work::InProgress { .. } | Work::Done | Work::Nothing => {
            ("Unknown", true, "its status does not say")
        }
    };
    let told = matches!(next, Transition::Finish(end) if end.message.contains(said) && end.message.contains(says));
    told && ends(next, phase, &Reason::Step(reason.to_owned()), applied)
}

/// The table. Exactly one row applies to each case.
const RULES: &[Rule] = &[
    Rule {
        name: "an end is never left",
        when: |phase, _| phase.is_finished(),
        then: |_, next| *next == Transition::Rest,
    },
    Rule {
        name: "a name is looked up before anything else",
        when: |phase, facts| phase == Phase::Pending && facts.used_name == NameUse::Unknown,
        then: |_, next| *next == Transition::LookUpName,
    },
    Rule {
        name: "a name that is recorded with the same content takes the recorded end",
        when: |phase, facts| {
            !phase.is_finished() && matches!(&facts.used_name, NameUse::RecordedSame { phase } if phase.is_finished())
        },
        then: |facts, next| match &facts.used_name {
            NameUse::RecordedSame { phase } => ends(next, *phase, &Reason::AlreadyRecorded, false),
            NameUse::Unknown | NameUse::Fresh | NameUse::RecordedOther => false,
        },
    },
    Rule {
        name: "a name that is recorded with other content, or with no end, is refused",
        when: |phase, facts| {
            !phase.is_finished()
                && match &facts.used_name {
                    NameUse::RecordedOther => true,
                    NameUse::RecordedSame { phase } => !phase.is_finished(),
                    NameUse::Unknown | NameUse::Fresh => false,
                }
        },
        then: |_, next| ends(next, Phase::Refused, &Reason::NameUsed, false),
    },
    Rule {
        name: "what has not started is canceled at once, with nothing applied",
        when: |phase, facts| phase == Phase::Pending && is_new(facts) && is_stopped(facts),
        then: |facts, next| cancels(facts, next, false),
    },
    Rule {
        name: "what has not started is replaced when its pin says something else, whatever the gates say",
        when: |phase, facts| phase == Phase::Pending && is_new(facts) && facts.cancel == Some(CancelCause::Repinned),
        then: |_, next| ends(next, Phase::Superseded, &Reason::Superseded, false),
    },
    Rule {
        name: "a gate that is closed for good refuses",
        when: |phase, facts| {
            phase == Phase::Pending
                && is_new(facts)
                && facts.cancel.is_none()
                && matches!(facts.verdict, Verdict::Closed { .. })
        },
        then: |_, next| ends(next, Phase::Refused, &Reason::LifecycleNotReached, false),
    },
    Rule {
        name: "what has not started when its time is over expires, whatever it waits for",
        when: |phase, facts| {
            phase == Phase::Pending
                && is_new(facts)
                && facts.cancel.is_none()
                && matches!(facts.verdict, Verdict::Expired { .. })
        },
        then: |_, next| ends(next, Phase::Expired, &Reason::Expired, false),
    },
    Rule {
        name: "what somebody rejected before it started is rejected, whatever it waits for",
        when: |phase, facts| {
            phase == Phase::Pending
                && is_new(facts)
                && facts.cancel.is_none()
                && matches!(facts.verdict, Verdict::Rejected { .. })
        },
        then: |_, next| ends(next, Phase::Rejected, &Reason::Rejected, false),
    },
    Rule {
        name: "a decision that cannot be taken back waits for live facts",
        when: |phase, facts| {
            phase == Phase::Pending && is_new(facts) && facts.cancel.is_none() && facts.verdict == Verdict::Recheck
        },
        then: |_, next| *next == Transition::Recheck,
    },
    Rule {
        name: "a newer promotion replaces one that waits, for whatever it waits",
        when: |phase, facts| {
            phase == Phase::Pending
                && is_superseded(facts)
                && (may_enter(facts) || is_new(facts) && facts.cancel.is_none() && is_waiting(facts))
        },
        then: |_, next| ends(next, Phase::Superseded, &Reason::Superseded, false),
    },
    Rule {
        name: "a gate that is not open is waited for, with its own words",
        when: |phase, facts| {
            phase == Phase::Pending
                && is_new(facts)
                && facts.cancel.is_none()
                && is_waiting(facts)
                && !is_superseded(facts)
        },
        then: |_, next| *next == Transition::Wait { reason: Reason::ReleaseNotFound, message: SAYS.to_owned() },
    },
    Rule {
        name: "a turn that has not come is waited for, whatever the gates say",
        when: |phase, facts| {
            phase == Phase::Pending && may_enter(facts) && matches!(facts.standing, Standing::Behind { .. })
        },
        then: |_, next| waits(next, &Reason::QueuedBehind),
    },
    Rule {
        name: "a turn that nothing can tell is waited for, whatever the gates say",
        when: |phase, facts| {
            phase == Phase::Pending && may_enter(facts) && matches!(facts.standing, Standing::Ambiguous { .. })
        },
        then: |_, next| waits(next, &Reason::AmbiguousOrder),
    },
    Rule {
        name: "a slot that another holds is waited for, before the start",
        when: |phase, facts| {
            phase == Phase::Pending
                && may_enter(facts)
                && facts.standing == Standing::Next
                && matches!(facts.slot, Slot::Held { .. })
        },
        then: |_, next| waits(next, &Reason::SlotHeld),
    },
    Rule {
        name: "a slot that nobody is known to hold is taken, before the start",
        when: |phase, facts| {
            phase == Phase::Pending
                && may_enter(facts)
                && facts.standing == Standing::Next
                && matches!(facts.slot, Slot::Free | Slot::Unknown)
        },
        then: |_, next| *next == Transition::TakeSlot,
    },
    Rule {
        name: "with every gate open, its turn and the slot, it starts",
        when: |phase, facts| {
            phase == Phase::Pending && may_enter(facts) && facts.standing == Standing::Next && facts.slot == Slot::Mine
        },
        then: |_, next| *next == Transition::Start,
    },
    Rule {
        name: "when every step is done it has succeeded, even if somebody wanted it to stop",
        when: |phase, facts| phase == Phase::Running && is_unrecorded(facts) && facts.work == Work::Done,
        then: |_, next| ends(next, Phase::Succeeded, &Reason::Deployed, true),
    },
    Rule {
        name: "when no step runs it has succeeded, and changed nothing",
        when: |phase, facts| phase == Phase::Running && is_unrecorded(facts) && facts.work == Work::Nothing,
        then: |_, next| ends(next, Phase::Succeeded, &Reason::Deployed, false),
    },
    Rule {
        name: "a failed step that changed nothing, or that somebody wanted to stop, is the end, with the step's own words",
        when: |phase, facts| {
            phase == Phase::Running
                && is_unrecorded(facts)
                && matches!(facts.work, Work::Failed(_))
                && !may_be_undone(facts)
        },
        then: |facts, next| {
            fails(facts, next, (Phase::Failed, SAYS)) && matches!(next, Transition::Finish(end) if end.message == SAYS)
        },
    },
    Rule {
        name: "what follows a failure is looked up before anything is decided",
        when: |phase, facts| {
            (phase == Phase::Running && may_be_undone(facts) || may_roll_back(phase, facts))
                && facts.rollback == Rollback::Unknown
        },
        then: |_, next| *next == Transition::LookForRollback,
    },
    Rule {
        name: "a failure that nothing follows is the end, and says why where somebody could expect more",
        when: |phase, facts| {
            (phase == Phase::Running && may_be_undone(facts) || may_roll_back(phase, facts))
                && matches!(facts.rollback, Rollback::Nothing { .. })
        },
        then: |facts, next| {
            let says = match &facts.rollback {
                Rollback::Nothing { why: Some(why) } => why,
                Rollback::Nothing { why: None } => "",
                Rollback::Unknown | Rollback::Wanted { .. } | Rollback::Underway { .. } | Rollback::Ended { .. } => {
                    return false;
                }
            };
            fails(facts, next, (Phase::Failed, says))
        },
    },
    Rule {
        name: "a failure that is to be undone is written before anything is done about it",
        when: |phase, facts| {
            phase == Phase::Running
                && may_be_undone(facts)
                && matches!(
                    facts.rollback,
                    Rollback::Wanted { .. } | Rollback::Underway { .. } | Rollback::Ended { .. }
                )
        },
        then: |facts, next| {
            matches!(next, Transition::RollBack { failure, message }
                if Work::Failed(failure.clone()) == facts.work && message.contains("back puts 1.0.0 back"))
        },
    },
    Rule {
        name: "the rollback is made once it is written that it is wanted",
        when: |phase, facts| may_roll_back(phase, facts) && matches!(facts.rollback, Rollback::Wanted { .. }),
        then: |_, next| *next == Transition::MakeRollback,
    },
    Rule {
        name: "the end of the rollback is waited for",
        when: |phase, facts| may_roll_back(phase, facts) && matches!(facts.rollback, Rollback::Underway { .. }),
        then: |_, next| waits(next, &Reason::RollingBack),
    },
    Rule {
        name: "what was put back is rolled back",
        when: |phase, facts| {
            may_roll_back(phase, facts) && matches!(facts.rollback, Rollback::Ended { phase: Phase::Succeeded, .. })
        },
        then: |facts, next| fails(facts, next, (Phase::RolledBack, "promotion back put 1.0.0 back")),
    },
    Rule {
        name: "a rollback that did not succeed leaves a failure that says so",
        when: |phase, facts| {
            may_roll_back(phase, facts) && matches!(facts.rollback, Rollback::Ended { phase: Phase::Canceled, .. })
        },
        then: |facts, next| fails(facts, next, (Phase::Failed, "ended as Canceled: promote")),
    },
    Rule {
        name: "who cancels what is rolled back waits no more, and the failure stays one",
        when: |phase, facts| phase == Phase::RollingBack && is_unrecorded(facts) && is_stopped(facts),
        then: |facts, next| fails(facts, next, (Phase::Failed, "was not waited for")),
    },
    Rule {
        name: "what runs is canceled between effects, and says whether something was applied",
        when: |phase, facts| {
            phase == Phase::Running && is_unrecorded(facts) && is_stopped(facts) && is_unfinished_work(facts)
        },
        then: |facts, next| cancels(facts, next, matches!(facts.work, Work::InProgress { applied: true, .. })),
    },
    Rule {
        name: "what runs goes on while it holds the slot, whatever the gates and the queue say",
        when: |phase, facts| phase == Phase::Running && may_work(facts) && facts.slot == Slot::Mine,
        then: |_, next| *next == Transition::Work,
    },
    Rule {
        name: "what runs takes a slot back that nobody is known to hold, before the next effect",
        when: |phase, facts| {
            phase == Phase::Running && may_work(facts) && matches!(facts.slot, Slot::Free | Slot::Unknown)
        },
        then: |_, next| *next == Transition::TakeSlot,
    },
    Rule {
        name: "what runs does nothing while another holds the slot",
        when: |phase, facts| phase == Phase::Running && may_work(facts) && matches!(facts.slot, Slot::Held { .. }),
        then: |_, next| waits(next, &Reason::SlotHeld),
    },
];

#[test]
fn every_case_follows_the_one_rule_that_applies_to_it() {
    let mut followed = vec![0_u32; RULES.len()];
    for_every_case(|phase, facts| {
        let next = step(phase, facts);
        let mut applying = RULES.iter().enumerate().filter(|(_, rule)| (rule.when)(phase, facts));
        let Some((index, rule)) = applying.next() else { panic!("no rule for {phase} with {facts:?}") };
        if let Some((_, second)) = applying.next() {
            panic!("two rules, {:?} and {:?}, for {phase} with {facts:?}", rule.name, second.name);
        }
        assert!((rule.then)(facts, &next), "{:?} is broken: {phase} with {facts:?} gave {next:?}", rule.name);
        followed[index] += 1;
    });
    for (rule, count) in RULES.iter().zip(followed) {
        assert!(count > 0, "{:?} applies to nothing", rule.name);
    }
}

#[test]
fn an_end_is_never_left() {
    for_every_case(|phase, facts| {
        if phase.is_finished() {
            assert_eq!(step(phase, facts), Transition::Rest);
        }
    });
}

#[test]
fn no_way_leads_to_running_but_through_open_gates_with_the_slot_in_hand() {
    for_every_case(|phase, facts| match step(phase, facts) {
        Transition::Start => {
            assert_eq!(phase, Phase::Pending);
            assert_eq!((&facts.verdict, &facts.slot, &facts.standing), (&Verdict::Open, &Slot::Mine, &Standing::Next));
            assert_eq!((&facts.used_name, facts.cancel), (&NameUse::Fresh, None));
        }
        Transition::Finish(end) => assert!(end.phase.is_finished()),
        Transition::Rest
        | Transition::LookUpName
        | Transition::Recheck
        | Transition::Wait { .. }
        | Transition::TakeSlot
        | Transition::Work
        | Transition::LookForRollback
        | Transition::RollBack { .. }
        | Transition::MakeRollback => {}
    });
}

#[test]
fn what_runs_never_expires_and_is_never_rejected() {
    for_every_case(|phase, facts| {
        if let Transition::Finish(End { phase: end @ (Phase::Expired | Phase::Rejected), .. }) = step(phase, facts) {
            let recorded = facts.used_name == NameUse::RecordedSame { phase: end };
            assert!(recorded || phase == Phase::Pending);
        }
    });
}

#[test]
fn a_rollback_is_made_only_for_what_says_that_it_failed_and_changed_something() {
    for_every_case(|phase, facts| match step(phase, facts) {
        Transition::RollBack { failure, .. } => assert!(phase == Phase::Running && failure.applied),
        Transition::MakeRollback => {
            assert_eq!((phase, is_stopped(facts)), (Phase::RollingBack, false));
            assert!(matches!(facts.rollback, Rollback::Wanted { .. }));
        }
        Transition::Finish(End { phase: Phase::RolledBack, .. }) => {
            let recorded = facts.used_name == NameUse::RecordedSame { phase: Phase::RolledBack };
            assert!(recorded || matches!(facts.rollback, Rollback::Ended { phase: Phase::Succeeded, .. }));
        }
        Transition::Rest
        | Transition::LookUpName
        | Transition::Recheck
        | Transition::Wait { .. }
        | Transition::TakeSlot
        | Transition::Start
        | Transition::Work
        | Transition::LookForRollback
        | Transition::Finish(_) => {}
    });
}

#[test]
fn no_effect_happens_without_the_slot_or_before_running_is_written() {
    for_every_case(|phase, facts| {
        if step(phase, facts) == Transition::Work {
            assert_eq!((phase, &facts.slot, is_stopped(facts)), (Phase::Running, &Slot::Mine, false));
        }
    });
}

#[test]
fn success_is_only_what_the_steps_or_the_record_say() {
    for_every_case(|phase, facts| {
        if let Transition::Finish(End { phase: Phase::Succeeded, .. }) = step(phase, facts) {
            let recorded = facts.used_name == NameUse::RecordedSame { phase: Phase::Succeeded };
            let done = matches!(facts.work, Work::Done | Work::Nothing);
            assert!(recorded || (phase == Phase::Running && done));
        }
    });
}
