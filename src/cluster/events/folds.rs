//! Events of one kind that come close together on one object become one: the first is written at once, the rest of the next
//! seconds as one that says how many there were. A thousand promotions to an environment are no reason for a thousand Events
//! there: each of them has its own.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use tokio::time::Instant;

use super::Said;

/// How long Events of one kind on one object are gathered after one was written. It doubles for as long as there are more.
pub(super) const WINDOW: Duration = Duration::from_secs(5);
/// The longest that they are gathered: whoever looks at an Event looks again within this time.
const LONGEST: Duration = Duration::from_secs(20);

/// What makes two Events the same kind of Event on the same object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Same {
    kind: String,
    namespace: String,
    name: String,
    reason: String,
    action: String,
}

impl Same {
    fn of(said: &Said) -> Self {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Self {
            kind: text(&said.regarding.kind),
            namespace: text(&said.regarding.namespace),
            name: text(&said.regarding.name),
            reason: said.reason.clone(),
            action: said.action.clone(),
        }
    }
}

/// What was gathered since the last one was written.
#[derive(Debug)]
struct Fold {
    until: Instant,
    window: Duration,
    first: Option<Said>,
    more: u32,
}

impl Fold {
    /// The first of what was gathered, which says how many more there were.
    fn gathered(&mut self) -> Option<Said> {
        let mut first = self.first.take()?;
        let (more, seconds) = (std::mem::take(&mut self.more), self.window.as_secs());
        if more > 0 {
            first.note =
                format!("{} The same happened {more} more times within {seconds} s; its status has all.", first.note);
        }
        Some(first)
    }
}

/// Events that are gathered.
#[derive(Debug, Default)]
pub(super) struct Folds {
    open: HashMap<Same, Fold>,
}

impl Folds {
    /// Takes one, and gives it back if it is to be written now. A warning always is, and what is not said to be foldable.
    pub(super) fn take(&mut self, said: Said, now: Instant) -> Option<Said> {
        if said.warning || !said.foldable {
            return Some(said);
        }
        let fold = match self.open.entry(Same::of(&said)) {
            Entry::Vacant(free) => {
                free.insert(Fold { until: now + WINDOW, window: WINDOW, first: None, more: 0 });
                return Some(said);
            }
            Entry::Occupied(fold) => fold.into_mut(),
        };
        match fold.first {
            None => fold.first = Some(said),
            Some(_) => fold.more = fold.more.saturating_add(1),
        }
        None
    }

    /// When the next gathering ends.
    pub(super) fn due(&self) -> Option<Instant> {
        self.open.values().map(|fold| fold.until).min()
    }

    /// What has been gathered for long enough. Where there was something, gathering goes on.
    pub(super) fn ripe(&mut self, now: Instant) -> Vec<Said> {
        let mut ripe = Vec::new();
        self.open.retain(|_, fold| {
            if fold.until > now {
                return true;
            }
            let Some(gathered) = fold.gathered() else { return false };
            ripe.push(gathered);
            fold.window = fold.window.saturating_mul(2).min(LONGEST);
            fold.until = now + fold.window;
            true
        });
        ripe
    }

    /// Everything that was gathered, however short the time was.
    pub(super) fn rest(&mut self) -> Vec<Said> {
        self.open.drain().filter_map(|(_, mut fold)| fold.gathered()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;
    use super::*;

    fn foldable(object: &str, reason: &str) -> Said {
        Said { foldable: true, ..said(object, reason) }
    }

    fn notes(said: &[Said]) -> Vec<&str> {
        said.iter().map(|said| said.note.as_str()).collect()
    }

    #[test]
    fn the_first_is_written_at_once_and_the_rest_of_its_window_as_one() {
        let (mut folds, begun) = (Folds::default(), Instant::now());
        assert!(folds.take(foldable("a", "Started"), begun).is_some());
        for _ in 0..3 {
            assert_eq!(folds.take(foldable("a", "Started"), begun + WINDOW / 2), None);
        }
        assert!(folds.take(foldable("b", "Started"), begun + WINDOW).is_some(), "another object");
        assert!(folds.take(foldable("a", "Succeeded"), begun + WINDOW).is_some(), "another reason");
        assert_eq!(folds.due(), Some(begun + WINDOW));
        assert!(folds.ripe(begun + WINDOW / 2).is_empty());
        let ripe = folds.ripe(begun + WINDOW);
        assert_eq!(notes(&ripe), ["It went well. The same happened 2 more times within 5 s; its status has all."]);
        assert_eq!(folds.take(foldable("a", "Started"), begun + WINDOW), None, "it is still a burst");
        assert!(folds.ripe(begun + 2 * WINDOW).is_empty(), "the next time is longer");
        assert_eq!(notes(&folds.ripe(begun + 3 * WINDOW)), ["It went well."], "one alone is as it was said");
        let over = begun + 10 * WINDOW;
        assert!(folds.ripe(over).is_empty());
        assert_eq!(folds.due(), None, "nothing is kept of what is over");
        assert!(folds.take(foldable("a", "Started"), over).is_some());
    }

    #[test]
    fn the_longer_a_burst_lasts_the_fewer_are_written_but_never_none() {
        let (mut folds, begun) = (Folds::default(), Instant::now());
        assert!(folds.take(foldable("a", "Started"), begun).is_some());
        let mut written = Vec::new();
        for second in 1..=80 {
            let now = begun + Duration::from_secs(second);
            assert_eq!(folds.take(foldable("a", "Started"), now), None);
            written.extend(folds.ripe(now).iter().map(|_| second));
        }
        assert_eq!(written, [5, 15, 35, 55, 75]);
    }

    #[test]
    fn a_warning_and_what_is_not_foldable_is_never_held_back() {
        let (mut folds, now) = (Folds::default(), Instant::now());
        for _ in 0..2 {
            assert!(folds.take(Said { warning: true, ..foldable("a", "Failed") }, now).is_some());
            assert!(folds.take(said("a", "Sealed"), now).is_some());
        }
    }

    #[test]
    fn what_is_gathered_when_all_ends_is_not_lost() {
        let (mut folds, now) = (Folds::default(), Instant::now());
        folds.take(foldable("a", "Started"), now);
        folds.take(foldable("a", "Started"), now);
        assert_eq!(notes(&folds.rest()), ["It went well."]);
        assert_eq!(folds.due(), None);
    }
}
