//! Whose change a pin is. A pin has no time of its last change that nobody can forge, so it is bounded: a generation was written
//! after the one before was seen to be the newest, and before it was seen itself. Only where the policies acted all that time its
//! author is believed. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use crate::api::v1alpha1::Pin;
use crate::api::v1alpha1::pin::Witness;
use crate::domain::guard::Guard;

/// The kind, as the guard knows it.
const KIND: &str = "pins";

/// What is written down of the pin's generation.
#[must_use]
pub fn current(pin: &Pin) -> Option<&Witness> {
    let known = pin.status.as_ref()?.witnessed.as_ref()?;
    (Some(known.generation) == pin.metadata.generation).then_some(known)
}

/// Whether something is to be written down: a generation that was not seen before, or one that was, and the policies have not
/// acted since. While they do not act nobody knows.
#[must_use]
pub fn is_due(pin: &Pin, guard: &Guard, now: Timestamp) -> bool {
    let seen = current(pin).and_then(|known| known.seen_at.as_ref());
    guard.broken().is_none() && seen.is_none_or(|seen| !guard.acted_between((seen.0, now)))
}

/// What is to be written down of a pin that was read at that time.
#[must_use]
pub fn of(pin: &Pin, guard: &Guard, now: Timestamp) -> Witness {
    let generation = pin.metadata.generation.unwrap_or_default();
    let made = pin.metadata.creation_timestamp.as_ref().map_or(Timestamp::MIN, |time| time.0);
    let before = pin.status.as_ref().and_then(|status| status.witnessed.as_ref());
    let vouched = match before {
        Some(known) if known.generation == generation => known.vouched,
        Some(Witness { seen_at: Some(seen), .. }) => guard.vouches_between(KIND, (seen.0, now)),
        Some(_) | None if generation > 1 => guard.vouches_between(KIND, (made, now)),
        Some(_) | None => guard.vouches_for(KIND, made),
    };
    Witness { generation, vouched, seen_at: Some(MicroTime(now)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::guard::{Found, Look};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// The policies were made at 1 and did not act from 100 to 200.
    fn guard() -> Guard {
        let found = Found { since: [(KIND, at(1))].into(), version: "a".to_owned(), untouched: true };
        let mut guard = Guard::default();
        guard.saw(Look::Acts(found.clone()), at(100));
        guard.saw(Look::Broken { why: "gone".to_owned() }, at(150));
        guard.saw(Look::Acts(found.clone()), at(200));
        guard.saw(Look::Acts(found), at(210));
        guard
    }

    /// Made at 50, of this generation, and witnessed so.
    fn pin(generation: i64, witnessed: Option<&Witness>) -> Pin {
        let metadata =
            json!({"name": "checkout.dev", "generation": generation, "creationTimestamp": at(50).to_string()});
        let spec = json!({"project": "checkout", "environment": "dev", "version": "2"});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": {"witnessed": witnessed}})).unwrap()
    }

    fn seen(generation: i64, vouched: bool, second: i64) -> Witness {
        Witness { generation, vouched, seen_at: Some(MicroTime(at(second))) }
    }

    #[test]
    fn an_author_is_believed_if_the_policies_acted_all_the_time_in_which_the_generation_can_have_been_written() {
        for (generation, before, now, vouched) in [
            (1, None, 300, true),
            (2, None, 90, true),
            (2, None, 98, false),
            (2, None, 300, false),
            (2, Some(seen(1, true, 60)), 90, true),
            (2, Some(seen(1, true, 60)), 300, false),
            (2, Some(seen(1, true, 202)), 300, false),
            (2, Some(seen(1, true, 250)), 300, true),
            (2, Some(seen(1, false, 250)), 300, true),
            // Seen again after a gap: as it was.
            (2, Some(seen(2, true, 60)), 300, true),
            (2, Some(seen(2, false, 250)), 300, false),
        ] {
            let said = of(&pin(generation, before.as_ref()), &guard(), at(now));
            assert_eq!((said.generation, said.vouched), (generation, vouched), "{generation} {before:?} {now}");
            assert_eq!(said.seen_at, Some(MicroTime(at(now))));
        }
        let mut made_in_a_gap = pin(1, None);
        made_in_a_gap.metadata.creation_timestamp = serde_json::from_value(json!(at(120).to_string())).unwrap();
        assert!(!of(&made_in_a_gap, &guard(), at(300)).vouched);
    }

    #[test]
    fn each_generation_is_written_down_once_and_again_after_each_gap() {
        let due = |witnessed: Option<Witness>, now| is_due(&pin(2, witnessed.as_ref()), &guard(), at(now));
        assert!(due(None, 300) && due(Some(seen(1, true, 250)), 300) && due(Some(seen(2, true, 60)), 300));
        assert!(!due(Some(seen(2, true, 250)), 300) && !due(Some(seen(2, false, 250)), 300));
        let mut gone = guard();
        gone.saw(Look::Broken { why: "gone".to_owned() }, at(400));
        assert!(!is_due(&pin(2, None), &gone, at(500)), "nobody knows");
    }
}
