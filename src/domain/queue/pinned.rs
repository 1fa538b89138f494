//! Whose turn it is in a place that has a pin and no past, such as one of a cluster that was restored from a repository: the pin
//! decides what runs there first, and replaces whatever else waits.

use super::{Claim, Entry, Standing};

/// The promotions of the pin's newest generation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OfPin {
    /// The name that its promotion has, or will have in a moment.
    pub wanted: String,
    /// The uid of its promotion, once that is there.
    pub uid: Option<String>,
}

/// The place of `me` as far as the pin decides it; nothing where it does not.
#[must_use]
pub fn standing(me: &Entry, entries: &[Entry], of_pin: &OfPin) -> Option<Standing> {
    // What has a time of its own is not there before.
    if me.running || me.claim == Claim::Scheduled {
        return None;
    }
    let is_own = |entry: &Entry| of_pin.uid.as_deref() == Some(entry.uid.as_str());
    if is_own(me) {
        // It says that it is fit to start, which ends them; it starts when they are gone, so none of them starts after it.
        let others = entries.iter().filter(|other| !is_own(other) && !other.running && other.claim != Claim::Scheduled);
        return others
            .min_by(|a, b| a.name.cmp(&b.name))
            .map(|other| Standing::Behind { promotion: other.name.clone() });
    }
    let own = entries.iter().find(|entry| is_own(entry));
    Some(match own.filter(|own| own.running || own.claim == Claim::Fit) {
        Some(own) => Standing::SupersededBy { promotion: own.name.clone() },
        None => Standing::Behind { promotion: of_pin.wanted.clone() },
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::queue::Origin;

    fn entry(name: &str, claim: Claim) -> Entry {
        Entry {
            name: name.to_owned(),
            uid: format!("uid of {name}"),
            created: Timestamp::UNIX_EPOCH,
            origin: Origin::Asked,
            running: false,
            claim,
            priority: 0,
            partial: false,
            passes_freezes: false,
            rollback_of: None,
        }
    }

    fn of_pin(made: bool) -> OfPin {
        OfPin { wanted: "pinned".to_owned(), uid: made.then(|| "uid of pinned".to_owned()) }
    }

    #[test]
    fn what_waits_beside_a_pin_waits_for_its_promotion_and_is_replaced_by_it() {
        let other = entry("a", Claim::Fit);
        let behind = Some(Standing::Behind { promotion: "pinned".to_owned() });
        assert_eq!(standing(&other, std::slice::from_ref(&other), &of_pin(false)), behind);
        for claim in [Claim::Unjudged, Claim::Held] {
            let all = [other.clone(), entry("pinned", claim)];
            assert_eq!(standing(&other, &all, &of_pin(true)), behind);
        }
        let replaced = Some(Standing::SupersededBy { promotion: "pinned".to_owned() });
        let fit = entry("pinned", Claim::Fit);
        assert_eq!(standing(&other, &[other.clone(), fit.clone()], &of_pin(true)), replaced);
        let running = Entry { running: true, ..fit };
        assert_eq!(standing(&other, &[other.clone(), running], &of_pin(true)), replaced);
    }

    #[test]
    fn the_promotion_of_a_pin_starts_when_nothing_else_waits() {
        let own = entry("pinned", Claim::Fit);
        let all = [own.clone(), entry("b", Claim::Held), entry("a", Claim::Unjudged)];
        let behind = Some(Standing::Behind { promotion: "a".to_owned() });
        assert_eq!(standing(&own, &all, &of_pin(true)), behind);
        let running = Entry { running: true, ..entry("a", Claim::Fit) };
        assert_eq!(standing(&own, &[own.clone(), running.clone()], &of_pin(true)), None, "the queue knows");
        assert_eq!(standing(&running, &[own.clone(), running.clone()], &of_pin(true)), None);
    }
}
