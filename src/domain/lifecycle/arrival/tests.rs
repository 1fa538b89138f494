use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn arrives(ended: i64) -> Turn {
    Turn { arrives: true, began: at(ended - 1), ended: at(ended) }
}

fn disturbs(began: i64, ended: i64) -> Turn {
    Turn { arrives: false, began: at(began), ended: at(ended) }
}

fn stay(from: i64, until: Option<i64>) -> Stay {
    Stay { from: at(from), until: until.map(at) }
}

fn soak(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

#[test]
fn a_stay_lasts_until_another_release_begins_to_replace_it() {
    for (turns, expected) in [
        (vec![], vec![]),
        (vec![arrives(10)], vec![stay(10, None)]),
        (vec![arrives(10), disturbs(15, 20)], vec![stay(10, Some(15))]),
        (vec![disturbs(5, 8), arrives(10)], vec![stay(10, None)]),
        (vec![disturbs(5, 12), arrives(10)], vec![stay(10, Some(10))]),
        (vec![arrives(10), disturbs(15, 20), arrives(30)], vec![stay(10, Some(15)), stay(30, None)]),
        (vec![arrives(10), arrives(30)], vec![stay(10, None), stay(30, None)]),
    ] {
        assert_eq!(stays(&[], &turns), expected, "{turns:?}");
    }
}

#[test]
fn what_is_forgotten_elsewhere_is_kept_and_ended_by_what_comes_later() {
    assert_eq!(stays(&[stay(10, None)], &[disturbs(40, 50)]), [stay(10, Some(40))]);
    assert_eq!(stays(&[stay(10, Some(40))], &[disturbs(60, 70), arrives(80)]), [stay(10, Some(40)), stay(80, None)]);
}

#[test]
fn a_success_counts_once_it_has_lasted_and_for_ever_after() {
    let arrival = |stays: &[Stay]| Arrival { at: at(10), stays: stays.to_vec() };
    for (stays, now, expected) in [
        (vec![stay(10, None)], 29, Counts::From(at(30))),
        (vec![stay(10, None)], 30, Counts::Since(at(30))),
        (vec![stay(10, Some(29))], 99, Counts::Never),
        (vec![stay(10, Some(30))], 99, Counts::Since(at(30))),
        (vec![stay(10, Some(29)), stay(50, None)], 60, Counts::From(at(70))),
        (vec![stay(10, Some(40)), stay(50, None)], 60, Counts::Since(at(30))),
        (vec![], 60, Counts::Never),
    ] {
        assert_eq!(arrival(&stays).counts(soak(20), at(now)), expected, "{stays:?}");
    }
    assert_eq!(arrival(&[]).counts(SignedDuration::ZERO, at(0)), Counts::Since(at(10)));
}

#[test]
fn what_is_under_way_holds_a_soak_and_gives_it_back_if_nothing_came_of_it() {
    let arrival = Arrival { at: at(10), stays: vec![stay(10, None)] };
    assert_eq!(arrival.clone().disturbed(&[at(20)]).counts(soak(20), at(40)), Counts::Never);
    assert_eq!(arrival.clone().disturbed(&[at(31)]).counts(soak(20), at(40)), Counts::Since(at(30)));
    assert_eq!(arrival.disturbed(&[at(5)]).counts(soak(20), at(40)), Counts::Since(at(30)));
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = (any::<bool>(), 0..60_i64, 1..10_i64).prop_map(|(arrives, began, long)| Turn {
        arrives,
        began: at(began),
        ended: at(began + long),
    });
    prop::collection::vec(turn, 0..12)
}

/// One after the other, as the slot of an environment lets promotions run.
fn turns_of_a_slot() -> impl Strategy<Value = Vec<Turn>> {
    prop::collection::vec((any::<bool>(), 0..20_i64, 1..10_i64), 0..12).prop_map(|turns| {
        let mut clock = 0;
        let turns = turns.into_iter().map(|(arrives, pause, long)| {
            let began = clock + pause;
            clock = began + long;
            Turn { arrives, began: at(began), ended: at(clock) }
        });
        turns.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn no_stay_reaches_over_a_disturbance(turns in turns()) {
        for stay in stays(&[], &turns) {
            let within = |turn: &&Turn| !turn.arrives && turn.ended > stay.from && stay.until.is_none_or(|until| turn.began < until);
            prop_assert!(turns.iter().find(within).is_none_or(|turn| Some(turn.began.max(stay.from)) == stay.until));
            prop_assert!(turns.iter().any(|turn| turn.arrives && turn.ended == stay.from));
        }
    }

    #[test]
    fn what_is_kept_counts_as_soon_as_all_would(turns in turns_of_a_slot(), seconds in 1..40_i64) {
        let counted = |turn: &&Turn| turn.arrives && !turns.iter().any(|other| {
            !other.arrives && other.ended > turn.ended && other.began.max(turn.ended) < turn.ended + soak(seconds)
        });
        let first = turns.iter().filter(counted).count() > 0;
        let (mut one, all) = (Vec::new(), stays(&[], &turns));
        for turn in &turns {
            one = stays(&one, &[*turn]);
        }
        for stays in [one, all] {
            let counts = Arrival { at: at(0), stays }.counts(soak(seconds), at(1000));
            prop_assert_eq!(counts != Counts::Never, first);
        }
    }

    #[test]
    fn a_repetition_changes_nothing(turns in turns()) {
        let once = stays(&[], &turns);
        prop_assert_eq!(&stays(&once, &turns), &once);
        prop_assert_eq!(&stays(&once, &[]), &once);
    }
}
