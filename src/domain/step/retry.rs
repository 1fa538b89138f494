//! When a step that failed is begun again.

use jiff::{SignedDuration, Timestamp};

/// The first wait: what heals by itself within seconds, a webhook that restarts, say, has done so by then.
const FIRST: SignedDuration = SignedDuration::from_secs(5);
/// No wait is longer.
const LONGEST: SignedDuration = SignedDuration::from_mins(1);

/// How often a step was begun, and may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// How often it was begun, at least once.
    pub made: u32,
    /// How often it may be begun again after the first time.
    pub retries: u32,
}

impl Attempts {
    /// How often it may be begun altogether.
    #[must_use]
    pub const fn most(self) -> u32 {
        self.retries.saturating_add(1)
    }

    /// When the step is begun again if it fails now; nothing if that was the last time, or its time would be over by then.
    #[must_use]
    pub fn again(self, now: Timestamp, deadline: Timestamp) -> Option<Timestamp> {
        let at = now.checked_add(self.wait()).ok()?;
        (self.made < self.most() && at < deadline).then_some(at)
    }

    /// Each wait is twice the one before.
    fn wait(self) -> SignedDuration {
        let doubled = 1_i32.checked_shl(self.made.saturating_sub(1)).unwrap_or(i32::MAX);
        FIRST.checked_mul(doubled).map_or(LONGEST, |wait| wait.min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn each_wait_is_twice_the_one_before_and_none_is_longer_than_a_minute() {
        let waits = (1..=7).map(|made| Attempts { made, retries: 9 }.again(at(0), at(999)).unwrap().as_second());
        assert_eq!(waits.collect::<Vec<_>>(), [5, 10, 20, 40, 60, 60, 60]);
    }

    #[test]
    fn a_step_is_not_begun_again_when_it_was_often_enough_or_its_time_would_be_over() {
        let again = |made, retries, deadline| Attempts { made, retries }.again(at(0), at(deadline));
        assert_eq!(again(1, 0, 99), None);
        assert_eq!((again(2, 2, 99), again(3, 2, 99)), (Some(at(10)), None));
        assert_eq!((again(1, 1, 5), again(1, 1, 6)), (None, Some(at(5))));
    }

    proptest! {
        #[test]
        fn whatever_fails_however_often_ends(retries in 0..=5_u32, deadline in 0..500_i64) {
            let (mut attempts, mut now) = (Attempts { made: 1, retries }, at(0));
            while let Some(next) = attempts.again(now, at(deadline)) {
                prop_assert!(next > now && next < at(deadline));
                (now, attempts.made) = (next, attempts.made + 1);
            }
            prop_assert!(attempts.made <= attempts.most());
        }
    }
}
