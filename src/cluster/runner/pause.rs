//! How long a key waits, and how soon it may be woken. Pure but for the dice.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// The first pause after a failure; it doubles from there.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause after a failure. Everything must have converged a minute after faults stop, so this is less.
const LONGEST: Duration = Duration::from_secs(45);
/// The shortest pause after a failure.
const SHORTEST: Duration = Duration::from_millis(50);
/// The longest time for which whatever wakes a failing key is put off: who mended an object wants to see it soon, but an
/// object that changes with every failed run must not run hot.
const LONGEST_HOLD: Duration = Duration::from_secs(8);

/// So many conflicts in a row are taken for what they are in a busy cluster: nothing worth a warning, or a hold.
pub(super) const CONFLICTS: u32 = 5;

/// How long a broken invariant, or an object that made a run panic, rests before it is looked at again.
pub(super) const QUARANTINE: Duration = Duration::from_mins(5);

/// The longest pause that a run may ask for. It only looks again earlier than it had to; a queue of timers has an end of
/// time (tokio-util's `DelayQueue` panics beyond 2.2 years), and people write `timeout: 20000h`.
const LONGEST_AFTER: Duration = Duration::from_hours(24);
/// The shortest: a time that has passed is due at once, but a run that always asks for such a time must not run hot.
const SHORTEST_AFTER: Duration = Duration::from_millis(10);

/// The pause after so many failures in a row: full jitter over a doubling pause.
pub(super) fn after_failures(tries: u32) -> Duration {
    doubled(tries).min(LONGEST).mul_f64(chance()).max(SHORTEST)
}

/// For how long nothing wakes a key that has failed so often in a row.
pub(super) fn hold(tries: u32) -> Duration {
    doubled(tries).min(LONGEST_HOLD)
}

/// The pause that a run asked for, within bounds.
pub(super) fn asked(pause: Duration) -> Duration {
    pause.clamp(SHORTEST_AFTER, LONGEST_AFTER)
}

fn doubled(tries: u32) -> Duration {
    FIRST.saturating_mul(1 << tries.saturating_sub(1).min(16))
}

/// Between nothing and one. Every `RandomState` has keys of its own, which is randomness enough here.
fn chance() -> f64 {
    let thousandths = u32::try_from(RandomState::new().build_hasher().finish() % 1001).unwrap_or(0);
    f64::from(thousandths) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_are_never_nothing() {
        for tries in [1, 2, 5, 40, u32::MAX] {
            for _ in 0..100 {
                let pause = after_failures(tries);
                assert!(pause >= SHORTEST && pause <= doubled(tries).min(LONGEST), "{tries}: {pause:?}");
            }
        }
        assert_eq!((hold(1), hold(2), hold(3), hold(99)), (FIRST, FIRST * 2, FIRST * 4, LONGEST_HOLD));
    }

    #[test]
    fn what_a_run_asks_for_is_kept_within_what_timers_can_do() {
        assert_eq!(asked(Duration::MAX), LONGEST_AFTER);
        assert_eq!(asked(Duration::ZERO), SHORTEST_AFTER);
        assert_eq!(asked(Duration::from_secs(7)), Duration::from_secs(7));
    }
}
