//! When a promotion may start.

use jiff::Timestamp;

/// The time in which a promotion may start. What has started is not stopped by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// It does not start before, where that is given.
    pub not_before: Option<Timestamp>,
    /// It does not start from then on, where that is given.
    pub expires_at: Option<Timestamp>,
}

impl Window {
    /// When one that asks at this time is to start.
    #[must_use]
    pub fn intended(&self, asks: Timestamp) -> Timestamp {
        self.not_before.map_or(asks, |time| time.max(asks))
    }

    /// Why it must not start yet, and what to do, while it must not.
    #[must_use]
    pub fn not_yet(&self, now: Timestamp) -> Option<String> {
        let not_before = self.not_before.filter(|time| *time > now)?;
        Some(format!(
            "its time has not come: it starts at {not_before} or later; to start sooner, cancel it and make a promotion with an earlier spec.notBefore"
        ))
    }

    /// Why it will never start, and what to do, once it will not.
    #[must_use]
    pub fn expired(&self, now: Timestamp) -> Option<String> {
        let expires_at = self.expires_at.filter(|time| *time <= now)?;
        Some(format!(
            "it had not started by {expires_at}, and nothing was applied: make a new promotion with another name and a later spec.expiresAt"
        ))
    }

    /// Until when it may wait, as a part of a sentence.
    #[must_use]
    pub fn until(&self) -> Option<String> {
        self.expires_at.map(|expires_at| format!("if it has not started by {expires_at}, it expires"))
    }

    /// The next time at which one of these answers changes although nothing happens.
    #[must_use]
    pub fn look_again(&self, now: Timestamp) -> Option<Timestamp> {
        self.not_before.into_iter().chain(self.expires_at).filter(|time| *time > now).min()
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
    fn a_promotion_says_when_it_may_start_and_that_it_is_too_late() {
        let window = Window { not_before: Some(at(10)), expires_at: Some(at(20)) };
        assert!(window.not_yet(at(9)).unwrap().contains("it starts at 1970-01-01T00:00:10Z or later"));
        assert_eq!(window.not_yet(at(10)), None);
        assert_eq!(window.expired(at(19)), None);
        assert!(window.expired(at(20)).unwrap().contains("had not started by 1970-01-01T00:00:20Z"));
    }

    proptest! {
        #[test]
        fn a_timer_comes_at_every_change_and_at_no_other_time(
            not_before in prop::option::of(0..9_i64), expires_at in prop::option::of(0..9_i64), now in 0..9_i64,
        ) {
            let window = Window { not_before: not_before.map(at), expires_at: expires_at.map(at) };
            let answers = |second| (window.not_yet(at(second)).is_some(), window.expired(at(second)).is_some());
            let change = (now + 1..12).find(|second| answers(*second) != answers(now)).map(at);
            let again = window.look_again(at(now));
            prop_assert_eq!(again, change);
        }
    }
}
