//! What follows a failure: the promotion that puts back what ran before.

use super::phase::Phase;

/// What an environment wants after a promotion that failed and had changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum OnFailure {
    /// Nothing: it stays as it is, and people look.
    #[default]
    Hold,
    /// The last release that succeeded there is promoted again, once.
    Rollback,
}

/// What is known of the promotion that puts back what ran before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rollback {
    /// Nobody looked yet.
    Unknown,
    /// There is none, and there will be none.
    Nothing {
        /// Why, where somebody could expect one, and what to do.
        why: Option<String>,
    },
    /// It is to be made.
    Wanted {
        /// The name that it gets.
        promotion: String,
        /// The version that it brings.
        version: String,
        /// The name of the promotion that had succeeded with it.
        again: String,
    },
    /// It is made, and has not ended.
    Underway {
        /// Its name.
        promotion: String,
        /// The version that it brings.
        version: String,
    },
    /// It has ended.
    Ended {
        /// Its name.
        promotion: String,
        /// The version that it brings.
        version: String,
        /// How it ended.
        phase: Phase,
    },
}

/// A promotion that failed after it had changed something, as far as its rollback goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed<'a> {
    /// What its environment wants.
    pub on_failure: OnFailure,
    /// Whether it was a rollback itself.
    pub is_rollback: bool,
    /// Whether it left out targets or steps of its release.
    pub partial: bool,
    /// The name that its rollback gets.
    pub promotion: String,
    /// The last success there.
    pub last: Option<LastSuccess<'a>>,
}

/// The last promotion that succeeded in an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSuccess<'a> {
    /// Its name.
    pub promotion: &'a str,
    /// The version that it brought.
    pub version: &'a str,
    /// What became of the release.
    pub release: Kept,
}

/// What became of a release that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It still exists.
    Exists,
    /// It was deleted.
    Gone,
    /// There is one of its name, which is not known to be it.
    MadeAgain,
}

impl Kept {
    /// What became of the release with the UID `ran`, if the one of its name has the UID `now`. Where nobody wrote down which one
    /// ran, the one of now is not put there by itself.
    #[must_use]
    pub fn of(ran: Option<&str>, now: Option<&str>) -> Self {
        match (ran, now) {
            (_, None) => Self::Gone,
            (Some(ran), Some(now)) if ran == now => Self::Exists,
            (Some(_) | None, Some(_)) => Self::MadeAgain,
        }
    }
}

impl Failed<'_> {
    /// What follows. Total; what a person left out on purpose, and what a rollback did, is not undone by itself.
    #[must_use]
    pub fn rollback(self) -> Rollback {
        let nothing = |why: &str| Rollback::Nothing { why: Some(why.to_owned()) };
        match (self.on_failure, self.is_rollback, self.partial, self.last) {
            (OnFailure::Hold, _, _, _) => Rollback::Nothing { why: None },
            (OnFailure::Rollback, true, _, _) => {
                nothing("it was a rollback itself, and no other follows; promote a release that works")
            }
            (OnFailure::Rollback, false, true, _) => {
                nothing("it brought only a part of its release; promote a release that works")
            }
            (OnFailure::Rollback, false, false, None) => {
                nothing("nothing had succeeded there before; promote a release that works")
            }
            (OnFailure::Rollback, false, false, Some(last)) => match last.release {
                Kept::Exists => Rollback::Wanted {
                    promotion: self.promotion,
                    version: last.version.to_owned(),
                    again: last.promotion.to_owned(),
                },
                Kept::Gone => nothing(&format!(
                    "the release of {}, which ran there, no longer exists; promote one that works",
                    last.version
                )),
                Kept::MadeAgain => nothing(&format!(
                    "the release of {} was made again since, and is not the one that ran there; promote one that works",
                    last.version
                )),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(on_failure: OnFailure) -> Failed<'static> {
        let last = Some(LastSuccess { promotion: "good", version: "1.0.0", release: Kept::Exists });
        Failed { on_failure, is_rollback: false, partial: false, promotion: "back".into(), last }
    }

    fn why(rollback: Rollback) -> Option<String> {
        let Rollback::Nothing { why } = rollback else { panic!("{rollback:?}") };
        why
    }

    #[test]
    fn what_failed_is_rolled_back_to_the_last_success_where_the_environment_says_so() {
        let wanted = Rollback::Wanted { promotion: "back".into(), version: "1.0.0".into(), again: "good".into() };
        assert_eq!(failed(OnFailure::Rollback).rollback(), wanted);
        assert_eq!(why(failed(OnFailure::Hold).rollback()), None);
    }

    // Attack T20.
    #[test]
    fn only_the_release_that_ran_is_put_back_and_no_other_of_its_name() {
        for (ran, now, kept) in [
            (Some("a"), Some("a"), Kept::Exists),
            (Some("a"), Some("b"), Kept::MadeAgain),
            (None, Some("a"), Kept::MadeAgain),
            (Some("a"), None, Kept::Gone),
            (None, None, Kept::Gone),
        ] {
            assert_eq!(Kept::of(ran, now), kept, "{ran:?} and {now:?}");
        }
    }

    #[test]
    fn what_is_not_rolled_back_says_why_and_what_to_do() {
        let all = failed(OnFailure::Rollback);
        let gone = LastSuccess { release: Kept::Gone, ..all.last.unwrap() };
        let made_again = LastSuccess { release: Kept::MadeAgain, ..all.last.unwrap() };
        for (case, says) in [
            (Failed { is_rollback: true, ..all.clone() }, "was a rollback itself"),
            (Failed { partial: true, ..all.clone() }, "only a part"),
            (Failed { last: None, ..all.clone() }, "nothing had succeeded there before"),
            (Failed { last: Some(gone), ..all.clone() }, "1.0.0, which ran there, no longer exists"),
            (Failed { last: Some(made_again), ..all }, "1.0.0 was made again since, and is not the one that ran there"),
        ] {
            let why = why(case.rollback()).unwrap();
            assert!(why.contains(says) && why.contains("; promote "), "{why}");
        }
    }
}
