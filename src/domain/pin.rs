//! What a pin does: each generation of its spec makes at most one promotion, and none where its version already runs. What else
//! comes to the environment afterwards is shown, and not fought.

use jiff::Timestamp;

use super::promotion::history::Ended;
use super::promotion::phase::Phase;
use super::promotion::reason::Reason;
use super::remade::are_two;

/// The end of a promotion that changed what runs in a place: the newest one says what runs there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// When it ended.
    pub at: Timestamp,
    /// The promotion's uid.
    pub uid: String,
    /// The promotion's name.
    pub promotion: String,
    /// The version that it brought.
    pub version: String,
    /// The UID of the release that it brought, where that was written down.
    pub release_uid: Option<String>,
    /// Whether it succeeded; one that did not has left something unknown.
    pub arrived: bool,
}

impl Ended for Touch {
    fn finished(&self) -> Timestamp {
        self.at
    }

    fn uid(&self) -> &str {
        &self.uid
    }
}

/// The promotion of the pin's generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Own {
    /// It waits or runs.
    Underway {
        /// Its phase.
        phase: Phase,
        /// Why it is in it, once it was judged.
        reason: Option<Reason>,
        /// The same in one sentence.
        message: String,
    },
    /// It has ended.
    Ended {
        /// How.
        phase: Phase,
        /// When.
        at: Timestamp,
        /// Why, in one sentence.
        message: String,
    },
}

/// Everything that the next step depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The version that the spec says.
    pub version: String,
    /// The UID of the release of that version, if there is one.
    pub release_uid: Option<String>,
    /// Whether the API server recorded who changed it.
    pub stamped: bool,
    /// The promotion that carries out this generation; nothing as long as nobody has begun to.
    pub own: Option<(String, Own)>,
    /// What happened last to what runs there.
    pub newest: Option<Touch>,
    /// The promotion that runs there now.
    pub running: Option<Running>,
}

/// A promotion that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its name.
    pub promotion: String,
    /// The version that it brings.
    pub version: String,
    /// The UID of the release that it brings.
    pub release_uid: Option<String>,
}

impl Facts {
    /// Whether a release is the one that the spec says. One of the same version that was made again is another one, whatever it
    /// consists of; where nobody wrote down which one it was, the version tells.
    fn is_it(&self, (version, release_uid): (&str, Option<&str>)) -> bool {
        version == self.version && !are_two(release_uid, self.release_uid.as_deref())
    }

    /// Whether this brought what the spec says.
    fn is_brought_by(&self, touch: &Touch) -> bool {
        touch.arrived && self.is_it((&touch.version, touch.release_uid.as_deref()))
    }
}

/// What a pin does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing: nobody answers for it.
    Unstamped,
    /// Nothing yet: this promotion brings the version just now.
    Await(String),
    /// Make the promotion.
    Promote,
    /// Make none: this brought the version before.
    Adopt(Touch),
    /// Show how the promotion is doing.
    Follow(State),
}

/// How a generation that was carried out is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Its promotion is on its way, or waits for what comes by itself.
    Deploying,
    /// Its promotion waits for people, a freeze or a time.
    Waiting,
    /// Its promotion waits until somebody changes what was written.
    Stuck(Reason),
    /// Its version runs.
    Deployed,
    /// Its version runs as it was before the release was made again: this brought it.
    MadeAgain(Touch),
    /// Something else came after it: this, or a promotion that replaced it while it waited.
    Diverged(Option<Touch>),
    /// Its promotion has ended otherwise.
    Ended(Phase),
}

/// What a pin does next. Total.
#[must_use]
pub fn step(facts: &Facts) -> Step {
    if let Some((promotion, own)) = &facts.own {
        return Step::Follow(state(facts, promotion, own));
    }
    if !facts.stamped {
        return Step::Unstamped;
    }
    match (&facts.running, &facts.newest) {
        (Some(running), _) if facts.is_it((&running.version, running.release_uid.as_deref())) => {
            Step::Await(running.promotion.clone())
        }
        (None, Some(newest)) if facts.is_brought_by(newest) => Step::Adopt(newest.clone()),
        (Some(_) | None, _) => Step::Promote,
    }
}

fn state(facts: &Facts, promotion: &str, own: &Own) -> State {
    let (phase, at) = match own {
        Own::Underway { phase: Phase::Pending, reason: Some(reason), .. } if reason.lasts() => return State::Waiting,
        Own::Underway { phase: Phase::Pending, reason: Some(reason), .. } if reason.needs_an_edit() => {
            return State::Stuck(reason.clone());
        }
        Own::Underway { .. } => return State::Deploying,
        Own::Ended { phase, at, .. } => (*phase, *at),
    };
    let newest = facts.newest.as_ref();
    if newest.is_some_and(|newest| facts.is_brought_by(newest)) {
        return State::Deployed;
    }
    let is_own_or_later = |newest: &&Touch| newest.promotion == promotion || newest.at > at;
    if let Some(touch) =
        newest.filter(|newest| newest.arrived && newest.version == facts.version).filter(is_own_or_later)
    {
        return State::MadeAgain(touch.clone());
    }
    match (newest.filter(|newest| newest.promotion != promotion && newest.at > at), phase) {
        (Some(newer), _) => State::Diverged(Some(newer.clone())),
        (None, Phase::Succeeded) => State::Deployed,
        (None, Phase::Superseded) => State::Diverged(None),
        (None, other) => State::Ended(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(promotion: &str, version: &str, at: i64) -> Touch {
        Touch {
            at: Timestamp::from_second(at).unwrap(),
            uid: format!("uid of {promotion}"),
            promotion: promotion.to_owned(),
            version: version.to_owned(),
            release_uid: Some(format!("release {version}")),
            arrived: true,
        }
    }

    /// A pin to 2 that nobody has looked at.
    fn fresh() -> Facts {
        Facts {
            version: "2".to_owned(),
            release_uid: Some("release 2".to_owned()),
            stamped: true,
            own: None,
            newest: None,
            running: None,
        }
    }

    fn ended(phase: Phase) -> Facts {
        let own = Own::Ended { phase, at: Timestamp::from_second(5).unwrap(), message: "m".to_owned() };
        Facts { own: Some(("mine".to_owned(), own)), ..fresh() }
    }

    fn underway(phase: Phase, reason: Option<Reason>) -> Facts {
        let own = Own::Underway { phase, reason, message: "m".to_owned() };
        Facts { own: Some(("mine".to_owned(), own)), ..fresh() }
    }

    #[test]
    fn a_generation_makes_a_promotion_unless_its_version_runs_or_is_on_its_way() {
        assert_eq!(step(&fresh()), Step::Promote);
        assert_eq!(step(&Facts { newest: Some(touch("a", "1", 1)), ..fresh() }), Step::Promote);
        let there = touch("a", "2", 1);
        assert_eq!(step(&Facts { newest: Some(there.clone()), ..fresh() }), Step::Adopt(there.clone()));
        let disturbed = Touch { arrived: false, ..touch("b", "3", 2) };
        assert_eq!(step(&Facts { newest: Some(disturbed), ..fresh() }), Step::Promote, "nobody knows what runs");
        let running = |version: &str| {
            let release_uid = Some(format!("release {version}"));
            Some(Running { promotion: "b".to_owned(), version: version.to_owned(), release_uid })
        };
        let other = Facts { newest: Some(there), running: running("3"), ..fresh() };
        assert_eq!(step(&other), Step::Promote, "it will not run for long");
        assert_eq!(step(&Facts { running: running("2"), ..fresh() }), Step::Await("b".to_owned()));
        assert_eq!(step(&Facts { stamped: false, ..fresh() }), Step::Unstamped);
    }

    #[test]
    fn a_generation_that_was_carried_out_makes_no_promotion_whatever_happens() {
        let ends = [Phase::Succeeded, Phase::Failed, Phase::Refused, Phase::Canceled, Phase::Superseded];
        for phase in ends {
            for newest in [None, Some(touch("a", "1", 1)), Some(touch("a", "3", 9)), Some(touch("mine", "2", 5))] {
                for stamped in [true, false] {
                    let said = step(&Facts { newest: newest.clone(), stamped, ..ended(phase) });
                    assert!(matches!(said, Step::Follow(_)), "{phase} {newest:?}: {said:?}");
                }
            }
        }
    }

    #[test]
    fn a_promotion_that_waits_for_people_or_a_time_waits_and_any_other_is_on_its_way() {
        let state = |phase, reason| step(&underway(phase, reason));
        for reason in [Reason::EnvironmentPaused, Reason::LifecycleNotReached, Reason::ReleaseBlocked] {
            assert_eq!(state(Phase::Pending, Some(reason)), Step::Follow(State::Waiting));
        }
        for reason in [Reason::ReleaseNotFound, Reason::EnvironmentNotReady, Reason::QueuedBehind] {
            assert_eq!(state(Phase::Pending, Some(reason)), Step::Follow(State::Deploying));
        }
        assert_eq!(state(Phase::Pending, None), Step::Follow(State::Deploying));
        assert_eq!(state(Phase::Running, Some(Reason::InProgress)), Step::Follow(State::Deploying));
    }

    #[test]
    fn what_came_later_is_divergence_and_what_came_earlier_is_not() {
        let newest = |phase, newest: Touch| step(&Facts { newest: Some(newest), ..ended(phase) });
        assert_eq!(newest(Phase::Succeeded, touch("mine", "2", 5)), Step::Follow(State::Deployed));
        let later = touch("manual", "3", 6);
        assert_eq!(newest(Phase::Succeeded, later.clone()), Step::Follow(State::Diverged(Some(later))));
        let half = Touch { arrived: false, ..touch("manual", "3", 6) };
        assert_eq!(newest(Phase::Succeeded, half.clone()), Step::Follow(State::Diverged(Some(half))));
        assert_eq!(
            newest(Phase::Succeeded, touch("manual", "2", 6)),
            Step::Follow(State::Deployed),
            "the same version"
        );
        assert_eq!(newest(Phase::Failed, touch("manual", "2", 6)), Step::Follow(State::Deployed), "somebody helped");
        assert_eq!(newest(Phase::Failed, touch("before", "1", 1)), Step::Follow(State::Ended(Phase::Failed)));
        assert_eq!(newest(Phase::Superseded, touch("before", "1", 1)), Step::Follow(State::Diverged(None)));
        assert_eq!(step(&ended(Phase::Succeeded)), Step::Follow(State::Deployed));
        assert_eq!(step(&ended(Phase::Canceled)), Step::Follow(State::Ended(Phase::Canceled)));
    }

    // Attack T20.
    #[test]
    fn a_release_that_was_made_again_is_not_the_one_that_runs_or_is_on_its_way() {
        let again = |facts: Facts| Facts { release_uid: Some("made again".to_owned()), ..facts };
        let there = touch("a", "2", 1);
        let runs = Facts { newest: Some(there.clone()), ..fresh() };
        assert_eq!(step(&again(runs.clone())), Step::Promote);
        let (promotion, version) = ("b".to_owned(), "2".to_owned());
        let running = Running { promotion, version, release_uid: Some("release 2".to_owned()) };
        assert_eq!(step(&again(Facts { running: Some(running), ..fresh() })), Step::Promote);
        // Where the release is gone, or nobody wrote down which one it was, nothing is done over again.
        let unknown = Touch { release_uid: None, ..there.clone() };
        let newest = Some(unknown.clone());
        assert_eq!(step(&again(Facts { newest, ..fresh() })), Step::Adopt(unknown));
        assert_eq!(step(&Facts { release_uid: None, ..runs }), Step::Adopt(there));
    }

    // Attack T20.
    #[test]
    fn what_was_brought_before_its_release_was_made_again_is_shown_and_not_fought() {
        let state = |phase, newest: &Touch| {
            step(&Facts { newest: Some(newest.clone()), release_uid: Some("made again".to_owned()), ..ended(phase) })
        };
        let made_again = |touch: &Touch| Step::Follow(State::MadeAgain(touch.clone()));
        let (mine, manual) = (touch("mine", "2", 5), touch("manual", "2", 6));
        assert_eq!(state(Phase::Succeeded, &mine), made_again(&mine));
        assert_eq!(state(Phase::Succeeded, &manual), made_again(&manual));
        let before = touch("before", "2", 1);
        assert_eq!(state(Phase::Failed, &before), Step::Follow(State::Ended(Phase::Failed)), "the one of now failed");
        let unknown = Touch { release_uid: None, ..mine };
        assert_eq!(state(Phase::Succeeded, &unknown), Step::Follow(State::Deployed));
    }
}
