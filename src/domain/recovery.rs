//! A way around lifecycle and approvals, for an environment whose history was lost with its cluster. What it was opened for is
//! decided once, when it is: where a release of any project had run by then, nothing was lost, and it opens nothing.

use jiff::Timestamp;

/// A recovery as somebody opened it: another reason or another end is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Why.
    pub reason: String,
    /// When it ends.
    pub until: Timestamp,
}

/// What was decided of an opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Which one.
    pub opening: Opening,
    /// Whether history was lost, as far as anybody can see: nothing had run in the environment.
    pub lost: bool,
}

/// What becomes of what was decided: kept as long as the opening is the same, whatever runs there meanwhile.
#[must_use]
pub fn judge(opening: Option<Opening>, known: Option<Judged>, has_run: bool) -> Option<Judged> {
    let opening = opening?;
    Some(known.filter(|known| known.opening == opening).unwrap_or(Judged { opening, lost: !has_run }))
}

/// Whether a promotion of a pin is let through: where no release of its project ever `succeeded`, by an opening of which it was
/// decided that history was lost, before its end.
#[must_use]
pub fn lets_through(opening: &Opening, judged: Option<&Judged>, (succeeded, now): (bool, Timestamp)) -> bool {
    let lost = judged.is_some_and(|judged| judged.lost && judged.opening == *opening);
    lost && !succeeded && now < opening.until
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn opening(reason: &str) -> Opening {
        Opening { reason: reason.to_owned(), until: Timestamp::from_second(100).unwrap() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn where_something_ran_a_recovery_opens_nothing() {
        let judged = judge(Some(opening("lost")), None, true);
        assert!(!lets_through(&opening("lost"), judged.as_ref(), (false, at(1))));
        assert!(!lets_through(&opening("lost"), None, (false, at(1))), "nor before it was decided");
        assert_eq!(judge(None, judged, true), None);
    }

    #[test]
    fn where_nothing_ran_each_project_passes_until_it_succeeded_or_the_time_is_over() {
        let judged = judge(Some(opening("lost")), None, false);
        assert!(lets_through(&opening("lost"), judged.as_ref(), (false, at(1))));
        assert!(!lets_through(&opening("lost"), judged.as_ref(), (true, at(1))));
        assert!(!lets_through(&opening("lost"), judged.as_ref(), (false, at(100))));
        assert!(
            !lets_through(&opening("other"), judged.as_ref(), (false, at(1))),
            "of another one nothing was decided"
        );
        let later = judge(Some(opening("lost")), judged.clone(), true);
        assert_eq!(later, judged, "what runs by the recovery itself does not end it for other projects");
        assert!(!judge(Some(opening("other")), judged, true).unwrap().lost);
    }

    proptest! {
        #[test]
        fn no_edit_opens_a_way_once_something_has_run(edits in prop::collection::vec((0_u8..3, any::<bool>()), 0..20)) {
            let (mut known, mut has_run): (Option<Judged>, bool) = (None, false);
            for (which, runs) in edits {
                has_run |= runs;
                let now = (which > 0).then(|| opening(&which.to_string()));
                let same = known.as_ref().map(|known| known.opening.clone()) == now;
                let passed = known.clone().zip(now.clone()).is_some_and(|(known, now)| {
                    lets_through(&now, Some(&known), (false, at(1)))
                });
                known = judge(now.clone(), known, has_run);
                if let Some(now) = now {
                    let passes = lets_through(&now, known.as_ref(), (false, at(1)));
                    prop_assert_eq!(passes, if same { passed } else { !has_run });
                }
            }
        }
    }
}
