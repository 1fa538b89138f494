//! Registries by host: asked for one list of tags at a time or for a few digests, and left alone for as long as they wish.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::registry::RegistryError;

/// The longest that a wish to be left alone is heeded.
const LONGEST_WISH: SignedDuration = SignedDuration::from_hours(1);
/// How many places a host has: a list of tags takes all of them, a digest one.
const PLACES: u32 = 4;
/// How many hosts are remembered that nobody asks right now.
const MOST: usize = 1024;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// All tags of a repository: nobody else asks the host meanwhile.
    Tags,
    /// The digest of one tag.
    Digest,
}

/// What is known of each host. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    known: Arc<Mutex<HashMap<String, Host>>>,
}

#[derive(Debug)]
struct Host {
    places: Arc<Semaphore>,
    alone_until: Option<Timestamp>,
    /// How often it gave no answer, and what was the matter the last time.
    silent: (u64, Option<RegistryError>),
}

impl Default for Host {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES as usize)), alone_until: None, silent: (0, None) }
    }
}

impl Hosts {
    /// Asks a host when it is this question's turn. While the host wants to be left alone it is not asked, and whoever waited
    /// while it gave somebody else no answer takes that for its own: otherwise each would wait for a host that is down in turn.
    ///
    /// # Errors
    /// What the host answered, or would.
    pub async fn ask<T>(
        &self,
        host: &str,
        question: Question,
        answer: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        let before = self.lock().get(host).map_or(0, |known| known.silent.0);
        let _turn = self.turn(host, question).await;
        if let Some(pause) = self.wish(host, Timestamp::now()) {
            let status = "it asked for a pause".to_owned();
            return Err(RegistryError::Busy { host: host.to_owned(), status, pause: Some(pause) });
        }
        if let Some(error) = self.silent_since(host, before) {
            return Err(error);
        }
        let answer = answer.await;
        match &answer {
            Err(RegistryError::Busy { pause: Some(pause), .. }) => self.wishes(host, (*pause, Timestamp::now())),
            Err(error @ RegistryError::Unreachable { .. }) => self.was_silent(host, error),
            Ok(_) | Err(_) => {}
        }
        answer
    }

    /// Waits for a place. It ends when the permit is dropped; nothing once the semaphore is closed, which it never is.
    async fn turn(&self, host: &str, question: Question) -> Option<OwnedSemaphorePermit> {
        let places = {
            let mut all = self.lock();
            if !all.contains_key(host) {
                forget(&mut all, Timestamp::now());
            }
            Arc::clone(&all.entry(host.to_owned()).or_default().places)
        };
        let wanted = match question {
            Question::Tags => PLACES,
            Question::Digest => 1,
        };
        places.acquire_many_owned(wanted).await.ok()
    }

    /// How long the host still wants to be left alone.
    fn wish(&self, host: &str, now: Timestamp) -> Option<Duration> {
        let until = self.lock().get(host)?.alone_until?;
        Duration::try_from(until.duration_since(now)).ok().filter(|rest| !rest.is_zero())
    }

    /// The host wants to be left alone from now on for this long.
    fn wishes(&self, host: &str, (pause, now): (Duration, Timestamp)) {
        let pause = SignedDuration::try_from(pause).unwrap_or(LONGEST_WISH).min(LONGEST_WISH);
        self.lock().entry(host.to_owned()).or_default().alone_until = now.checked_add(pause).ok();
    }

    fn was_silent(&self, host: &str, error: &RegistryError) {
        let mut all = self.lock();
        let known = all.entry(host.to_owned()).or_default();
        known.silent = (known.silent.0.wrapping_add(1), Some(error.clone()));
    }

    /// What was the matter, if the host gave no answer since it had given none so often.
    fn silent_since(&self, host: &str, before: u64) -> Option<RegistryError> {
        let all = self.lock();
        let (now, error) = &all.get(host)?.silent;
        error.clone().filter(|_| *now != before)
    }

    /// A panic while the lock was held left a map that is still whole: every change is one call.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room for another host: those that nobody asks are dropped, first all without a wish, then those whose wish ends first.
fn forget(all: &mut HashMap<String, Host>, now: Timestamp) {
    if all.len() < MOST {
        return;
    }
    let is_asked = |host: &Host| Arc::strong_count(&host.places) > 1;
    all.retain(|_, host| is_asked(host) || host.alone_until.is_some_and(|until| until > now));
    while all.len() >= MOST {
        let idle = all.iter().filter(|(_, host)| !is_asked(host));
        let Some(first) = idle.min_by_key(|(_, host)| host.alone_until).map(|(name, _)| name.clone()) else { return };
        all.remove(&first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable(cause: &str) -> RegistryError {
        RegistryError::Unreachable { host: "ghcr.io".into(), cause: cause.into() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn a_host_is_asked_for_one_list_at_a_time_and_for_a_few_digests() {
        let hosts = Hosts::default();
        let list = hosts.turn("ghcr.io", Question::Tags).await;
        let other = hosts.turn("docker.io", Question::Tags).await;
        assert!(futures::poll!(std::pin::pin!(hosts.turn("ghcr.io", Question::Tags))).is_pending());
        assert!(futures::poll!(std::pin::pin!(hosts.turn("ghcr.io", Question::Digest))).is_pending());
        drop((list, other));
        let digests = [hosts.turn("ghcr.io", Question::Digest).await, hosts.turn("ghcr.io", Question::Digest).await];
        assert!(futures::poll!(std::pin::pin!(hosts.turn("ghcr.io", Question::Tags))).is_pending());
        drop(digests);
        assert!(hosts.turn("ghcr.io", Question::Tags).await.is_some());
    }

    #[test]
    fn a_host_is_left_alone_for_as_long_as_it_wishes_but_no_longer_than_an_hour() {
        let hosts = Hosts::default();
        assert_eq!(hosts.wish("ghcr.io", at(0)), None);
        hosts.wishes("ghcr.io", (Duration::from_secs(10), at(0)));
        assert_eq!(hosts.wish("ghcr.io", at(4)), Some(Duration::from_secs(6)));
        assert_eq!((hosts.wish("ghcr.io", at(10)), hosts.wish("docker.io", at(4))), (None, None));
        hosts.wishes("ghcr.io", (Duration::MAX, at(0)));
        assert_eq!(hosts.wish("ghcr.io", at(0)), Some(Duration::from_hours(1)));
    }

    #[tokio::test]
    async fn a_wish_that_one_question_was_told_holds_for_all_others_whatever_they_ask() {
        let hosts = Hosts::default();
        let busy =
            RegistryError::Busy { host: "ghcr.io".into(), status: "429".into(), pause: Some(Duration::from_mins(1)) };
        let told = hosts.ask("ghcr.io", Question::Tags, async { Err::<(), _>(busy.clone()) }).await;
        assert_eq!(told, Err(busy));
        for question in [Question::Digest, Question::Tags] {
            let told = hosts.ask("ghcr.io", question, async { panic!("nobody asks") }).await;
            let Err::<(), _>(RegistryError::Busy { pause: Some(pause), .. }) = told else { panic!("{told:?}") };
            assert!(pause > Duration::from_secs(50), "{pause:?}");
        }
        assert_eq!(hosts.ask("docker.io", Question::Digest, async { Ok(1) }).await, Ok(1));
    }

    #[tokio::test]
    async fn whoever_waited_for_a_host_that_gave_no_answer_does_not_wait_for_it_again() {
        let hosts = Hosts::default();
        let (fail, failed) = tokio::sync::oneshot::channel::<()>();
        let first = hosts.ask("ghcr.io", Question::Tags, async {
            let _ = failed.await;
            Err::<(), _>(unreachable("timed out"))
        });
        let second = hosts.ask("ghcr.io", Question::Tags, async { panic!("it waited long enough") });
        let then = async {
            tokio::task::yield_now().await;
            let _ = fail.send(());
        };
        let (first, second, ()) = futures::join!(first, second, then);
        assert_eq!((first, second), (Err(unreachable("timed out")), Err::<(), _>(unreachable("timed out"))));
        assert_eq!(hosts.ask("ghcr.io", Question::Tags, async { Ok(2) }).await, Ok(2), "who asks later asks anew");
    }

    #[tokio::test]
    async fn only_so_many_hosts_are_remembered_and_never_one_that_is_asked_is_forgotten() {
        let hosts = Hosts::default();
        let turn = hosts.turn("asked.example", Question::Tags).await;
        let now = Timestamp::now();
        for number in 0..MOST * 2 {
            let host = format!("{number}.example");
            hosts.turn(&host, Question::Digest).await;
            if number % 2 == 0 {
                hosts.wishes(&host, (Duration::from_secs(600 + u64::try_from(number).unwrap()), now));
            }
        }
        let all = hosts.lock();
        assert!(all.len() <= MOST, "{}", all.len());
        assert!(all.contains_key("asked.example") && all.contains_key(&format!("{}.example", MOST * 2 - 2)));
        drop((all, turn));
    }
}
