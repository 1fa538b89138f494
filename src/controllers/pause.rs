//! How long something waits before a registry, or the space, is asked again. Pure.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use jiff::SignedDuration;

use super::release::problem::Problem;

/// The longest pause that a registry may ask for.
const LONGEST_WISH: SignedDuration = SignedDuration::from_hours(1);

/// The pause after so many tries: it doubles from the first, up to the longest.
#[must_use]
pub fn doubled(first: SignedDuration, tries: u32, longest: SignedDuration) -> SignedDuration {
    first.checked_mul(1 << tries.saturating_sub(1).min(10)).unwrap_or(longest).min(longest)
}

/// The longest pause that registries asked for; one too long for the type is too long for us.
#[must_use]
pub fn wished(problems: &[Problem]) -> Option<SignedDuration> {
    let wishes = problems.iter().filter_map(|problem| problem.pause);
    wishes.map(|wish| SignedDuration::try_from(wish).unwrap_or(LONGEST_WISH).min(LONGEST_WISH)).max()
}

/// A pause times some thousandths from `least` on, fewer than `range` more; which, the seed decides, so that those who wait do
/// not ask in step.
#[must_use]
pub fn spread(pause: SignedDuration, (least, range): (i32, u32), seed: &impl Hash) -> SignedDuration {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    let share = i32::try_from(hasher.finish() % u64::from(range.max(1))).unwrap_or(0);
    pause.checked_mul(least.saturating_add(share)).map_or(pause, |thousandths| thousandths / 1000)
}
