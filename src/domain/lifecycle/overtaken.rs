//! Where a release that was made later already is, or is on its way to: nothing goes there backwards by itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::name::EnvironmentName;
use crate::domain::promotion::history::{Ended, Latest};
use crate::domain::version::Version;

/// When a release was made, among those of its project. Creation is told in whole seconds: of what was made within one, the higher
/// version is the later one. Total, since two releases of a project have different versions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Made {
    at: Timestamp,
    version: Option<Version>,
    text: String,
}

impl Made {
    /// What was made at this time as this version.
    #[must_use]
    pub fn new(at: Timestamp, version: &str) -> Self {
        Self { at, version: version.parse().ok(), text: version.to_owned() }
    }
}

/// A release that succeeded in an environment.
#[derive(Debug, Clone)]
pub struct Success {
    /// The environment.
    pub environment: EnvironmentName,
    /// When.
    pub finished: Timestamp,
    /// UID of the promotion that brought it.
    pub promotion_uid: String,
    /// When the release was made; nothing once it is gone.
    pub made: Option<Made>,
}

impl Ended for Success {
    fn finished(&self) -> Timestamp {
        self.finished
    }
    fn uid(&self) -> &str {
        &self.promotion_uid
    }
}

/// The environments where a release that was made later than `mine` runs, or has a whole promotion that has not ended: what waits
/// there now would be replaced by an older release, or run before it and be undone by it. Neither the order of what is known nor
/// a repetition matters.
pub fn overtaken(
    mine: &Made,
    successes: impl IntoIterator<Item = Success>,
    underway: impl IntoIterator<Item = (EnvironmentName, Made)>,
) -> BTreeSet<EnvironmentName> {
    let mut newest: BTreeMap<EnvironmentName, Latest<Success>> = BTreeMap::new();
    for success in successes {
        let latest = newest.remove(&success.environment).unwrap_or(Latest(None));
        newest.insert(success.environment.clone(), latest.join(success));
    }
    let runs = newest.into_values().filter_map(|latest| latest.0);
    let runs = runs.filter_map(|success| Some((success.environment, success.made?)));
    runs.chain(underway).filter(|(_, made)| made > mine).map(|(environment, _)| environment).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::queue::{self, Origin, Policy, Standing};

    fn dev() -> EnvironmentName {
        EnvironmentName::try_from("dev").unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn success(made: Option<Made>, second: i64, uid: &str) -> Success {
        Success { environment: dev(), finished: at(second), promotion_uid: uid.to_owned(), made }
    }

    #[test]
    fn of_two_that_were_made_within_a_second_the_higher_version_is_the_later_one() {
        assert!(Made::new(at(1), "1.10.0") > Made::new(at(1), "1.9.0"));
        assert!(Made::new(at(2), "1.9.0") > Made::new(at(1), "1.10.0"));
        assert!(Made::new(at(1), "0.1.0") > Made::new(at(1), "nightly"));
        assert!(Made::new(at(1), "1.0") != Made::new(at(1), "1.0.0"));
    }

    #[test]
    fn what_runs_is_the_newest_success_and_of_one_moment_the_same_one_in_any_order() {
        let mine = Made::new(at(1), "1.0.0");
        let (older, newer) = (Made::new(at(0), "0.9.0"), Made::new(at(2), "1.1.0"));
        let is_over = |successes: &[Success]| !overtaken(&mine, successes.to_vec(), []).is_empty();
        let (a, b) = (success(Some(older), 9, "a"), success(Some(newer.clone()), 9, "b"));
        assert!(is_over(&[a.clone(), b.clone()]) && is_over(&[b, a.clone()]));
        assert!(!is_over(&[success(Some(newer), 8, "b"), a]), "somebody went back to an older one himself");
        assert!(!is_over(&[success(None, 9, "b")]));
    }

    #[test]
    fn what_has_not_ended_overtakes_as_what_has() {
        let mine = Made::new(at(1), "1.0.0");
        let over = overtaken(&mine, [], [(dev(), Made::new(at(2), "1.1.0"))]);
        assert_eq!(over, [dev()].into());
        assert!(overtaken(&mine, [], [(dev(), mine.clone()), (dev(), Made::new(at(0), "0.9.0"))]).is_empty());
    }

    /// What happens to the releases of a project that are all promoted to one environment by themselves.
    #[derive(Debug, Clone)]
    enum Step {
        /// One of them is sealed.
        Sealed(usize),
        /// One of the promotions is judged: it starts if it is its turn, and ends if it is replaced.
        Judged(prop::sample::Index),
        /// The promotion that runs ends.
        Ends { well: bool },
        /// Another second begins.
        Passes,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0_usize..6).prop_map(Step::Sealed),
            4 => any::<prop::sample::Index>().prop_map(Step::Judged),
            2 => any::<bool>().prop_map(|well| Step::Ends { well }),
            1 => Just(Step::Passes),
        ]
    }

    /// The promotion of a release, as the queue sees it. Names are in the order that says the least.
    fn promotion(one: usize, made: &Made, second: i64) -> queue::Entry {
        queue::Entry {
            name: format!("p{}", 9 - one),
            uid: one.to_string(),
            created: at(second),
            origin: Origin::Lifecycle(made.clone()),
            running: false,
            claim: queue::Claim::Unjudged,
            priority: 0,
            partial: false,
            passes_freezes: false,
            rollback_of: None,
        }
    }

    proptest! {
        #[test]
        fn in_whatever_order_releases_are_sealed_none_comes_after_one_that_was_made_later(
            made in prop::collection::vec(0_i64..3, 6),
            steps in prop::collection::vec(step(), 0..60),
            policy in prop_oneof![Just(Policy::Queue), Just(Policy::Supersede)],
        ) {
            let made: Vec<Made> = made.iter().zip(0..).map(|(second, minor)| Made::new(at(*second), &format!("1.{minor}.0"))).collect();
            let (mut sealed, mut promoted) = (BTreeSet::new(), BTreeSet::new());
            let (mut waiting, mut runs, mut second): (Vec<queue::Entry>, Vec<usize>, i64) = (Vec::new(), Vec::new(), 0);
            let number = |entry: &queue::Entry| entry.uid.parse::<usize>().unwrap();
            for step in steps {
                match step {
                    Step::Sealed(one) => drop(sealed.insert(one)),
                    Step::Judged(_) if waiting.is_empty() => {}
                    Step::Judged(index) => {
                        let place = index.index(waiting.len());
                        waiting[place].claim = queue::Claim::Fit;
                        let runs = runs.last().map(|ran| ("", &made[*ran]));
                        let standing = queue::overtaken(&waiting[place], runs);
                        match standing.unwrap_or_else(|| queue::standing(&waiting[place], &waiting, policy, true)) {
                            Standing::Next => waiting[place].running = true,
                            Standing::SupersededBy { .. } => drop(waiting.remove(place)),
                            Standing::Behind { .. } | Standing::Ambiguous { .. } => {}
                        }
                    }
                    Step::Ends { well } => {
                        let running = waiting.iter().position(|entry| entry.running);
                        let ended = running.map(|place| number(&waiting.remove(place)));
                        runs.extend(ended.filter(|_| well));
                    }
                    Step::Passes => second += 1,
                }
                for one in sealed.difference(&promoted.clone()) {
                    let successes = runs.iter().zip(0..).map(|(ran, n)| success(Some(made[*ran].clone()), n, ""));
                    let underway = waiting.iter().map(|other| (dev(), made[number(other)].clone()));
                    if overtaken(&made[*one], successes, underway).is_empty() {
                        waiting.push(promotion(*one, &made[*one], second));
                        promoted.insert(*one);
                    }
                }
                prop_assert!(runs.iter().map(|ran| &made[*ran]).is_sorted(), "{:?}", runs);
            }
            if let Some(last) = sealed.iter().max_by_key(|one| &made[**one]) {
                prop_assert!(promoted.contains(last), "the latest is never held back");
            }
        }
    }
}
