use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::arrival::{Arrival, End, Stay, Turn, stays};
use super::*;
use crate::domain::promotion::gate::{self, GateFacts, Subject, Verdict};

pub(in crate::domain::lifecycle) fn environment(name: &str) -> EnvironmentName {
    EnvironmentName::try_from(name).unwrap()
}

pub(in crate::domain::lifecycle) fn set(names: &[&str]) -> BTreeSet<EnvironmentName> {
    names.iter().map(|name| environment(name)).collect()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(in crate::domain::lifecycle) fn phase(name: &str, environments: &[&str]) -> LifecyclePhase {
    LifecyclePhase {
        name: name.to_owned(),
        environments: environments.iter().map(|name| environment(name)).collect(),
        ..LifecyclePhase::default()
    }
}

/// Successes, the first one at second 1, all of them lasting.
fn arrivals(names: &[&str]) -> Arrivals {
    let stay = |from| vec![Stay { from, until: None }];
    let arrival =
        |(second, name): (i64, &&str)| (environment(name), Arrival { at: at(second), stays: stay(at(second)) });
    (1..).zip(names).map(arrival).collect()
}

/// A lifecycle in a space that has all of its environments.
pub(in crate::domain::lifecycle) fn journey(lifecycle: &Lifecycle, successes: &[&str]) -> Journey {
    journey_at(lifecycle, successes, (false, 1000))
}

fn journey_at(lifecycle: &Lifecycle, successes: &[&str], (blocked, now): (bool, i64)) -> Journey {
    let environments = lifecycle.phases().iter().flat_map(|phase| phase.environments.clone()).collect();
    let arrivals = arrivals(successes);
    lifecycle.journey(&Situation { environments: &environments, arrivals: &arrivals, blocked, now: at(now) })
}

fn names(environments: &[EnvironmentName]) -> Vec<&str> {
    environments.iter().map(EnvironmentName::as_str).collect()
}

fn progress(journey: &Journey) -> Vec<Progress> {
    journey.phases().iter().map(|row| row.progress).collect()
}

fn by_order(environments: &[(&str, i64)]) -> Lifecycle {
    let environments: Vec<_> = environments.iter().map(|(name, order)| (environment(name), *order)).collect();
    Lifecycle::by_order(&environments)
}

#[test]
fn a_release_moves_phase_by_phase() {
    use Progress::{Complete, Current, Pending};
    let lifecycle = by_order(&[("dev", 10), ("test-eu", 20), ("test-us", 20), ("production", 30)]);
    let all = ["dev", "test-eu", "test-us", "production"];
    for (successes, expected, next, due) in [
        (vec![], [Current, Pending, Pending], 1, vec!["dev"]),
        (vec!["dev"], [Complete, Current, Pending], 3, vec!["test-eu", "test-us"]),
        (vec!["dev", "test-eu"], [Complete, Current, Pending], 3, vec!["test-us"]),
        (vec!["dev", "test-eu", "test-us"], [Complete, Complete, Current], 4, vec!["production"]),
        (vec!["dev", "test-eu", "test-us", "production"], [Complete, Complete, Complete], 4, vec![]),
        (vec!["production"], [Current, Pending, Complete], 1, vec!["dev"]),
    ] {
        let journey = journey(&lifecycle, &successes);
        assert_eq!(progress(&journey), expected, "{successes:?}");
        assert_eq!(names(&journey.next()), all[..next], "where it was is open to it again: {successes:?}");
        assert_eq!(names(&journey.due()), due, "{successes:?}");
    }
}

#[test]
fn a_minimum_opens_the_next_phase_early_and_keeps_the_rest_open() {
    let some = LifecyclePhase { minimum: Some(2), ..phase("test", &["eu", "us", "asia"]) };
    let lifecycle = Lifecycle::new(vec![some, phase("production", &["production"])]).unwrap();
    assert_eq!(progress(&journey(&lifecycle, &["us"])), [Progress::Current, Progress::Pending]);
    let two = journey(&lifecycle, &["us", "asia"]);
    assert_eq!(progress(&two), [Progress::Complete, Progress::Current]);
    assert_eq!(names(&two.due()), ["eu", "production"]);
    assert_eq!(two.phases()[0].completed_at, Some(at(2)), "the second success decided");
    let three = journey(&lifecycle, &["us", "asia", "eu"]);
    assert_eq!(three.phases()[0].completed_at, Some(at(2)), "a later one does not change that");
}

#[test]
fn an_optional_phase_is_never_current_and_never_in_the_way() {
    let optional = LifecyclePhase { optional: true, ..phase("test", &["test"]) };
    let lifecycle =
        Lifecycle::new(vec![phase("dev", &["dev"]), optional, phase("production", &["production"])]).unwrap();
    assert_eq!(progress(&journey(&lifecycle, &[])), [Progress::Current, Progress::Pending, Progress::Pending]);
    let after = journey(&lifecycle, &["dev"]);
    assert_eq!(progress(&after), [Progress::Complete, Progress::Pending, Progress::Current]);
    assert_eq!(names(&after.due()), ["test", "production"]);
}

#[test]
fn a_lifecycle_of_optional_phases_only_has_no_current_phase_and_lets_everything_through() {
    let optional = |name: &str| LifecyclePhase { optional: true, ..phase(name, &[name]) };
    let lifecycle = Lifecycle::new(vec![optional("dev"), optional("test")]).unwrap();
    assert!(lifecycle.is_all_optional());
    let journey = journey(&lifecycle, &[]);
    assert_eq!(progress(&journey), [Progress::Pending, Progress::Pending]);
    assert_eq!(names(&journey.next()), ["dev", "test"]);
}

#[test]
fn a_phase_without_environments_takes_all_that_are_left_and_those_to_come() {
    let lifecycle = Lifecycle::new(vec![phase("dev", &["dev"]), phase("rest", &[])]).unwrap();
    let arrivals = arrivals(&["dev"]);
    for (space, expected) in [
        (vec!["dev"], vec![]),
        (vec!["dev", "us-prod"], vec!["us-prod"]),
        (vec!["dev", "eu-prod", "us-prod"], vec!["eu-prod", "us-prod"]),
    ] {
        let environments = set(&space);
        let situation = Situation { environments: &environments, arrivals: &arrivals, blocked: false, now: at(9) };
        let journey = lifecycle.journey(&situation);
        assert_eq!(names(&journey.due()), expected);
        assert_eq!(journey.reach(&environment("eu-prod")) == Reach::Reachable, expected.contains(&"eu-prod"));
    }
}

#[test]
fn a_phase_that_takes_what_is_left_may_stand_anywhere_and_takes_nothing_from_a_later_one() {
    let named = |name: &str| phase(name, &[name]);
    let environments = set(&["dev", "test", "qa", "production"]);
    let expected = [
        ([phase("rest", &[]), named("dev"), named("production")], vec!["qa", "test"]),
        ([named("dev"), phase("rest", &[]), named("production")], vec!["dev"]),
        ([named("dev"), named("production"), phase("rest", &[])], vec!["dev"]),
    ];
    for (phases, first) in expected {
        let lifecycle = Lifecycle::new(phases.into()).unwrap();
        let mut done: Vec<&str> = Vec::new();
        for stage in 0..3 {
            let arrivals = arrivals(&done);
            let situation = Situation { environments: &environments, arrivals: &arrivals, blocked: false, now: at(9) };
            let journey = lifecycle.journey(&situation);
            let held: Vec<_> = journey.phases().iter().flat_map(|row| &row.stops).collect();
            assert_eq!(held.len(), 4, "each environment is in one phase");
            let next = journey.due();
            assert!(stage > 0 || names(&next) == first, "{next:?}");
            let closed = ["dev", "test", "qa", "production"].map(environment);
            let open = closed.iter().filter(|name| journey.reach(name) == Reach::Reachable).count();
            assert_eq!(open, done.len() + next.len(), "nothing beyond the phase that is current is open");
            let all = ["dev", "test", "qa", "production"];
            done.extend(all.into_iter().filter(|name| next.iter().any(|next| next.as_str() == *name)));
        }
        assert_eq!(done.len(), 4);
    }
}

#[test]
fn an_environment_that_does_not_exist_is_needed_all_the_same_and_never_next() {
    let lifecycle = Lifecycle::new(vec![phase("test", &["tset"]), phase("production", &["production"])]).unwrap();
    let environments = set(&["test", "production"]);
    let none = Arrivals::new();
    let situation = Situation { environments: &environments, arrivals: &none, blocked: false, now: at(9) };
    let journey = lifecycle.journey(&situation);
    assert!(journey.next().is_empty());
    assert_eq!(journey.reach(&environment("test")), Reach::NotInLifecycle);
    assert!(matches!(journey.reach(&environment("production")), Reach::Unreached(_)));
    assert_eq!(lifecycle.unknown(&environments), [("spec.phases[0].environments".to_owned(), environment("tset"))]);
}

#[test]
fn a_soak_holds_the_next_phase_until_the_success_has_lasted() {
    let soaked = LifecyclePhase { soak: SignedDuration::from_secs(60), ..phase("test", &["test"]) };
    let lifecycle = Lifecycle::new(vec![soaked, phase("production", &["production"])]).unwrap();
    let early = journey_at(&lifecycle, &["test"], (false, 60));
    assert_eq!(progress(&early), [Progress::Current, Progress::Pending]);
    assert_eq!((early.look_again(), early.due(), early.phases()[0].completed_at), (Some(at(61)), vec![], None));
    let late = journey_at(&lifecycle, &["test"], (false, 61));
    assert_eq!(progress(&late), [Progress::Complete, Progress::Current]);
    assert_eq!((late.look_again(), late.phases()[0].completed_at), (None, Some(at(61))));

    let mut replaced = arrivals(&["test"]);
    replaced.get_mut(&environment("test")).unwrap().stays[0].until = Some(at(30));
    let environments = set(&["test", "production"]);
    let situation = Situation { environments: &environments, arrivals: &replaced, blocked: false, now: at(90) };
    let journey = lifecycle.journey(&situation);
    assert_eq!(names(&journey.due()), ["test"], "it must be promoted there again");
    assert_eq!(journey.look_again(), None);
}

#[test]
fn a_blocked_release_may_go_where_it_has_been_and_to_the_first_phase_and_nowhere_else() {
    let lifecycle = Lifecycle::new(vec![
        phase("dev", &["dev"]),
        LifecyclePhase { minimum: Some(1), ..phase("test", &["eu", "us"]) },
        LifecyclePhase { optional: true, ..phase("load", &["load"]) },
        phase("production", &["production"]),
    ])
    .unwrap();
    let shut = |successes: &[&str]| {
        let journey = journey_at(&lifecycle, successes, (true, 1000));
        let all = ["dev", "eu", "us", "load", "production"];
        all.into_iter().filter(|name| journey.is_shut(&environment(name))).collect::<Vec<_>>()
    };
    assert_eq!(shut(&[]), ["eu", "us", "load", "production"]);
    assert_eq!(shut(&["dev"]), ["eu", "us", "load", "production"]);
    assert_eq!(shut(&["dev", "eu"]), ["load", "production"], "a phase with one success stays open as a whole");
    let blocked = journey_at(&lifecycle, &["dev", "eu"], (true, 1000));
    assert_eq!((names(&blocked.next()), names(&blocked.due())), (vec!["dev", "eu", "us"], vec!["us"]));
    let not = journey(&lifecycle, &["dev", "eu"]);
    assert_eq!((names(&not.due()), not.next().len()), (vec!["us", "load", "production"], 5));
}

#[test]
fn automatic_environments_are_due_once_their_phase_is_reached_and_stay_so_when_it_is_complete() {
    let automatic = |phase: LifecyclePhase| LifecyclePhase { automatic: phase.environments.clone(), ..phase };
    let lifecycle = Lifecycle::new(vec![
        automatic(phase("dev", &["dev"])),
        LifecyclePhase { minimum: Some(1), ..automatic(phase("test", &["eu", "us"])) },
        automatic(phase("production", &["production"])),
    ])
    .unwrap();
    let due = |successes: &[&str]| journey(&lifecycle, successes).automatic(&BTreeSet::new()).due;
    assert_eq!(names(&due(&[])), ["dev"]);
    assert_eq!(names(&due(&["dev"])), ["eu", "us"]);
    assert_eq!(names(&due(&["dev", "us"])), ["eu", "production"], "the second of a phase is not forgotten");
    let late = journey(&lifecycle, &["dev", "us"]).automatic(&set(&["us"]));
    assert_eq!((names(&late.due), names(&late.overtaken)), (vec!["production"], vec!["eu"]));
    let blocked = journey_at(&lifecycle, &["dev"], (true, 1000)).automatic(&BTreeSet::new());
    assert_eq!(blocked, Automatic::default());
}

/// Up to six phases over up to eight environments, with any rules; one, anywhere, may take what is left.
pub(in crate::domain::lifecycle) fn lifecycles() -> impl Strategy<Value = Lifecycle> {
    let places = prop::collection::btree_map("[a-h]", 0..6_usize, 0..8);
    let rules = prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any::<bool>(), 0..3_i64), 6);
    (places, rules, prop::option::of(any::<prop::sample::Index>())).prop_map(|(places, rules, rest)| {
        let mut phases = Vec::new();
        for (index, (minimum, limited, optional, soak)) in rules.into_iter().enumerate() {
            let environments: Vec<_> =
                places.iter().filter(|(_, place)| **place == index).map(|(name, _)| environment(name)).collect();
            if environments.is_empty() {
                continue;
            }
            let minimum = limited.then(|| u32::try_from(minimum.index(environments.len()) + 1).unwrap());
            let automatic = if optional { Vec::new() } else { environments.clone() };
            let soak = SignedDuration::from_secs(soak * 10);
            phases.push(LifecyclePhase {
                name: format!("phase-{index}"),
                environments,
                automatic,
                minimum,
                optional,
                soak,
            });
        }
        if let Some(rest) = rest {
            phases.insert(rest.index(phases.len() + 1), phase("rest", &[]));
        }
        Lifecycle::new(phases).unwrap()
    })
}

/// Something that happens to a space.
#[derive(Clone, Debug)]
enum Happening {
    Edited(Lifecycle),
    /// A promotion ended: where, of the release or of another one, how, whether it changed anything, and how long it took.
    Ended(EnvironmentName, bool, End, bool, i64),
    /// What had ended is forgotten by everybody but the release.
    Forgotten,
    Added(EnvironmentName),
    Removed(EnvironmentName),
    Blocked(bool),
    Passed(i64),
}

fn success(name: EnvironmentName) -> Happening {
    Happening::Ended(name, true, End::Success, true, 1)
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let name = || "[a-j]".prop_map(|name| environment(&name));
    let end = prop_oneof![3 => Just(End::Success), 1 => Just(End::PartialSuccess), 1 => Just(End::Other)];
    let ended = (name(), prop::bool::weighted(0.7), end, any::<bool>(), 1..9_i64);
    let one = prop_oneof![
        1 => lifecycles().prop_map(Happening::Edited),
        6 => ended.prop_map(|(name, mine, end, applied, took)| Happening::Ended(name, mine, end, applied, took)),
        1 => Just(Happening::Forgotten),
        2 => name().prop_map(Happening::Added),
        1 => name().prop_map(Happening::Removed),
        1 => any::<bool>().prop_map(Happening::Blocked),
        2 => (1..30_i64).prop_map(Happening::Passed),
    ];
    prop::collection::vec(one, 0..40)
}

/// The end of a promotion, as it happened.
#[derive(Clone, Debug)]
struct Past {
    environment: EnvironmentName,
    mine: bool,
    end: End,
    applied: bool,
    began: i64,
    ended: i64,
}

impl Past {
    fn is_success(&self) -> bool {
        self.mine && self.end == End::Success
    }

    /// Whether it ended what ran there before, or left it broken.
    fn disturbs(&self) -> bool {
        match (self.mine, self.end) {
            (true, End::Success | End::PartialSuccess) => false,
            (false, End::Success) => true,
            (_, End::PartialSuccess | End::Other) => self.applied,
        }
    }
}

/// A space with one release in it.
#[derive(Clone, Debug, Default)]
struct World {
    lifecycle: Lifecycle,
    environments: BTreeSet<EnvironmentName>,
    /// What the release keeps of its ends.
    arrivals: Arrivals,
    /// What others still know, such as the history of an environment.
    remembered: Vec<Past>,
    /// Everything that happened, which nobody knows.
    past: Vec<Past>,
    blocked: bool,
    second: i64,
}

impl World {
    fn happen(&mut self, happening: Happening) {
        self.second += 1;
        match happening {
            Happening::Edited(lifecycle) => self.lifecycle = lifecycle,
            Happening::Ended(environment, mine, end, applied, took) => {
                let began = self.second;
                self.second += took;
                self.end(&Past { environment, mine, end, applied, began, ended: self.second });
            }
            Happening::Forgotten => self.remembered.clear(),
            Happening::Added(name) => drop(self.environments.insert(name)),
            Happening::Removed(name) => drop(self.environments.remove(&name)),
            Happening::Blocked(blocked) => self.blocked = blocked,
            Happening::Passed(seconds) => self.second += seconds,
        }
    }

    /// An end becomes known to the release, with all that others still know.
    fn end(&mut self, past: &Past) {
        self.past.push(past.clone());
        self.remembered.push(past.clone());
        let name = past.environment.clone();
        if past.is_success() {
            self.arrivals.entry(name.clone()).or_insert(Arrival { at: at(past.ended), stays: Vec::new() });
        }
        let Some(arrival) = self.arrivals.get_mut(&name) else { return };
        let here = self.remembered.iter().filter(|past| past.environment == name);
        let turns: Vec<_> = here
            .filter_map(|past| Turn::of((past.mine, past.end), past.applied, (at(past.began), at(past.ended))))
            .collect();
        arrival.stays = stays(&arrival.stays, &turns);
    }

    /// Whether a success of the release in an environment has lasted so long, said from everything that happened.
    fn lasted(&self, name: &EnvironmentName, soak: SignedDuration) -> bool {
        let here: Vec<_> = self.past.iter().filter(|past| past.environment == *name).collect();
        here.iter().filter(|past| past.is_success()).any(|success| {
            let due = success.ended + soak.as_secs();
            let early = |past: &&&Past| past.disturbs() && past.ended > success.ended && past.began < due;
            soak.is_zero() || (due <= self.second && !here.iter().any(|past| early(&past)))
        })
    }

    fn journey(&self) -> Journey {
        let Self { environments, arrivals, blocked, .. } = self;
        self.lifecycle.journey(&Situation { environments, arrivals, blocked: *blocked, now: at(self.second) })
    }

    /// Whether a phase is complete, said in another way.
    fn is_complete(&self, phase: &LifecyclePhase, environments: &[EnvironmentName]) -> bool {
        let needed = phase.minimum.map_or(environments.len(), |minimum| minimum as usize);
        environments.iter().filter(|name| self.lasted(name, phase.soak)).count() >= needed
    }

    /// Whether the gates of a promotion to an environment of the space are open, whatever they say and in which words.
    fn let_through(journey: &Journey, name: &EnvironmentName) -> bool {
        let open = gate::tests::open();
        let facts = GateFacts {
            subject: Subject { environment: name.clone(), ..open.subject },
            lifecycle: journey.reach(name),
            blocked: journey.is_shut(name).then(|| "bug 42".to_owned()),
            ..open
        };
        let verdict = gate::judge(&facts);
        assert!(verdict == Verdict::Open || matches!(verdict, Verdict::Closed { .. }), "{verdict:?}");
        verdict == Verdict::Open
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let journey = self.journey();
        let (mut opened, mut expected, mut due) = (true, Vec::new(), Vec::new());
        let elsewhere: BTreeSet<_> =
            self.lifecycle.phases().iter().flat_map(|phase| phase.environments.clone()).collect();
        let succeeded =
            |name: &EnvironmentName| self.past.iter().any(|past| past.environment == *name && past.is_success());
        for (index, (phase, row)) in self.lifecycle.phases().iter().zip(journey.phases()).enumerate() {
            let names: Vec<_> = if phase.environments.is_empty() {
                self.environments.difference(&elsewhere).cloned().collect()
            } else {
                phase.environments.clone()
            };
            let entered = names.iter().any(succeeded);
            let shut = self.blocked && index > 0 && !entered;
            for name in &names {
                prop_assert_eq!(journey.reach(name) == Reach::Reachable, opened, "{} {:?}", name, self);
                prop_assert_eq!(journey.is_shut(name), shut);
                let counts = row.stops.iter().find(|stop| stop.environment == *name).unwrap().counts;
                // No success is ever lost, whatever was edited since.
                prop_assert_eq!(counts.is_some(), succeeded(name));
                let leads_on = matches!(counts, None | Some(Counts::Never));
                prop_assert!(leads_on || succeeded(name));
                if self.environments.contains(name) && Self::let_through(&journey, name) {
                    expected.push(name.clone());
                    due.extend(leads_on.then(|| name.clone()));
                }
            }
            let complete = self.is_complete(phase, &names);
            prop_assert_eq!(row.progress == Progress::Complete, complete);
            prop_assert_eq!(row.completed_at.is_some(), complete && row.needed > 0);
            opened = opened && (phase.optional || complete);
        }
        // Next is exactly where the gates let a promotion through, and due those whose success does not count, nor will.
        let next = journey.next();
        prop_assert_eq!(&next, &expected);
        let passes = self.environments.iter().filter(|name| Self::let_through(&journey, name)).cloned();
        prop_assert_eq!(next.iter().cloned().collect::<BTreeSet<_>>(), passes.collect());
        prop_assert_eq!(journey.due(), due);
        let automatic = journey.automatic(&BTreeSet::new());
        prop_assert!(automatic.due.iter().all(|name| expected.contains(name)) && automatic.overtaken.is_empty());
        prop_assert!(journey.look_again().is_none_or(|time| time > at(self.second)));
        prop_assert!(journey.phases().iter().filter(|row| row.progress == Progress::Current).count() <= 1);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_sequence_of_edits_and_outcomes_keeps_order_successes_and_next(happenings in happenings()) {
        let mut world = World::default();
        world.check()?;
        for happening in happenings {
            world.happen(happening);
            world.check()?;
        }
    }

    #[test]
    fn an_edit_that_is_taken_back_leaves_everything_as_it_was(happenings in happenings(), other in lifecycles()) {
        let mut world = World::default();
        for happening in happenings {
            world.happen(happening);
        }
        let before = (world.lifecycle.clone(), world.journey());
        world.lifecycle = other;
        let _ = world.journey();
        world.lifecycle = before.0;
        prop_assert_eq!(world.journey(), before.1);
    }

    #[test]
    fn a_success_never_closes_anything(happenings in happenings(), name in "[a-j]") {
        let mut world = World::default();
        for happening in happenings {
            world.happen(happening);
        }
        world.second += 2;
        let before = world.journey();
        world.second -= 2;
        world.happen(success(environment(&name)));
        let after = world.journey();
        for (before, after) in before.phases().iter().zip(after.phases()) {
            prop_assert!(before.progress != Progress::Complete || after.progress == Progress::Complete);
            prop_assert!((!before.reachable || after.reachable) && (before.shut || !after.shut));
        }
    }

    #[test]
    fn following_what_is_due_reaches_everything(lifecycle in lifecycles()) {
        let held: Vec<_> = lifecycle.phases().iter().flat_map(|phase| phase.environments.clone()).collect();
        let mut world = World { lifecycle, environments: held.iter().cloned().collect(), ..World::default() };
        for _ in 0..100 {
            let Some(first) = world.journey().due().first().cloned() else { break };
            world.happen(success(first));
            world.happen(Happening::Passed(60));
        }
        prop_assert!(held.iter().all(|name| world.arrivals.contains_key(name)));
    }

    #[test]
    fn environments_come_and_go_and_no_success_is_lost(
        orders in prop::collection::btree_map("[a-j]", 0..4_i64, 0..10), gone in "[a-j]",
        successes in prop::collection::btree_set("[a-j]", 0..10),
    ) {
        let successes: Vec<&str> = successes.iter().map(String::as_str).collect();
        let environments: Vec<_> = orders.iter().map(|(name, order)| (environment(name), *order)).collect();
        let fewer: Vec<_> = environments.iter().filter(|(name, _)| name.as_str() != gone).cloned().collect();
        for environments in [&fewer, &environments] {
            let journey = journey(&Lifecycle::by_order(environments), &successes);
            let stops = journey.phases().iter().flat_map(|row| &row.stops);
            let shown: BTreeMap<_, _> = stops.map(|stop| (stop.environment.clone(), stop.counts.is_some())).collect();
            let expected = environments.iter().map(|(name, _)| (name.clone(), successes.contains(&name.as_str())));
            prop_assert_eq!(shown, expected.collect());
        }
    }
}
