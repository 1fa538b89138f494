use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn freeze(periods: Periods) -> Freeze {
    Freeze {
        name: "winter".to_owned(),
        reason: "nobody is there".to_owned(),
        made: at(0),
        environments: Vec::new(),
        projects: Vec::new(),
        periods,
        running: Running::Finish,
    }
}

fn once(start: i64, end: i64) -> Freeze {
    freeze(Periods::Once(Period { start: at(start), end: at(end) }))
}

fn unknown() -> Freeze {
    freeze(Periods::Unknown { why: "spec.end: x".to_owned() })
}

#[test]
fn what_it_does_not_name_is_all_and_what_it_names_is_only_that() {
    let named = |environments: &[&str], projects: &[&str]| Freeze {
        environments: environments.iter().map(|&name| name.to_owned()).collect(),
        projects: projects.iter().map(|&name| name.to_owned()).collect(),
        ..once(1, 2)
    };
    for (freeze, concerns) in [
        (named(&[], &[]), true),
        (named(&["production"], &[]), true),
        (named(&[], &["cart", "checkout"]), true),
        (named(&["production"], &["checkout"]), true),
        (named(&["test"], &[]), false),
        (named(&["production"], &["cart"]), false),
        (named(&["test"], &["checkout"]), false),
    ] {
        assert_eq!(freeze.concerns("checkout", "production"), concerns, "{freeze:?}");
    }
}

#[test]
fn one_whose_periods_nobody_knows_holds_for_ever() {
    for second in [i64::from(i32::MIN), 0, i64::from(u32::MAX)] {
        assert!(matches!(unknown().hold(at(second)), Some(Hold::Unknown { .. })));
        assert_eq!((unknown().next(at(second)), unknown().border(at(second))), (None, None));
    }
}

#[test]
fn an_override_passes_those_that_it_names_and_a_rollback_all() {
    let other = Freeze { name: "other".to_owned(), ..once(5, 9) };
    let freezes = Freezes { concerning: vec![once(1, 9), other], overridden: vec!["winter".to_owned()], exempt: false };
    let names = |holding: Vec<Holding<'_>>| holding.iter().map(|one| one.freeze.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(freezes.holding(at(4))), [""; 0]);
    assert_eq!(names(freezes.holding(at(5))), ["other"]);
    assert_eq!(freezes.overrode(at(5)).len(), 1);
    assert_eq!(freezes.overrode(at(9)).len(), 0, "what holds no more is not passed");
    let rollback = Freezes { exempt: true, ..freezes };
    assert!(rollback.holding(at(5)).is_empty() && rollback.overrode(at(5)).is_empty());
    assert_eq!(rollback.border(at(1)), None, "it waits for none");
}

#[test]
fn only_those_that_say_so_stop_what_runs() {
    let pausing = Freeze { name: "pausing".to_owned(), running: Running::Pause, ..once(1, 9) };
    let freezes = Freezes { concerning: vec![once(1, 9), pausing], ..Freezes::default() };
    assert_eq!(freezes.pausing(at(5)).iter().map(|one| one.freeze.name.as_str()).collect::<Vec<_>>(), ["pausing"]);
    assert!(freezes.pausing(at(9)).is_empty());
}

#[test]
fn what_holds_is_told_in_a_few_words_however_much_it_is() {
    let several: Vec<Freeze> =
        (0..5).map(|n| Freeze { name: format!("f{n}"), reason: String::new(), ..once(1, 9) }).collect();
    let freezes = Freezes { concerning: several, ..Freezes::default() };
    let until = "until 1970-01-01T00:00:09Z";
    let all = format!("freeze f0 {until} and freeze f1 {until} and freeze f2 {until} and 2 more");
    assert_eq!(told(&freezes.holding(at(5))), all);
}

fn freezes() -> impl Strategy<Value = Freeze> {
    let fixed = (0..300_i64, 1..300_i64).prop_map(|(start, long)| once(start, start + long));
    let minutes = (1..4_i64, 1..150_i64).prop_map(|(every, length)| {
        let cron = format!("*/{every} * * * *");
        let length = SignedDuration::from_secs(length);
        freeze(Periods::Recurring(Box::new(Schedule::new((&cron, "UTC"), length, "spec.schedule").unwrap())))
    });
    prop_oneof![fixed, minutes]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn a_timer_comes_at_every_border_and_at_no_other_time(freeze in freezes(), now in 0..400_i64) {
        let holds = |second| freeze.hold(at(second)).is_some();
        let held = holds(now);
        let change = (now + 1..now + 700).find(|second| holds(*second) != held).map(at);
        let border = freeze.border(at(now));
        match change {
            Some(change) => prop_assert_eq!(border, Some(change)),
            // One that never ends is looked at again when what was looked at is over.
            None => prop_assert!(border.is_none_or(|border| border > at(now + 600))),
        }
    }

    #[test]
    fn the_next_period_is_one_that_lies_ahead(freeze in freezes(), now in 0..400_i64) {
        if let Some(next) = freeze.next(at(now)) {
            prop_assert!(next.start > at(now) && next.end > next.start);
            prop_assert!(freeze.hold(next.start).is_some());
            let before = next.start.checked_sub(SignedDuration::from_secs(1)).unwrap();
            // Of periods that never stop touching, each look sees so many.
            let touching = next.start > at(now + 5000);
            prop_assert!(freeze.hold(before).is_none() || touching);
            prop_assert!(freeze.hold(next.start) == Some(Hold::Until(next.end)) || touching);
        }
    }
}
