//! What keeps a step from going on although trying again may help: told once it has lasted, and the cause where the step runs out
//! of time. Pure.

use jiff::Timestamp;

use super::timeout;
use crate::api::condition;
use crate::cluster::error::ClusterError;
use crate::controllers::promotion::observe::Observed;
use crate::error::Class;

/// What kept the step that runs from going on when it was tried last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hindrance {
    /// Index of the step in the promotion's status.
    pub step: usize,
    /// One sentence.
    pub message: String,
    /// Since when it does not go on.
    pub since: Timestamp,
}

impl Hindrance {
    /// The step does not go on; what was known of it says since when.
    #[must_use]
    pub fn after(known: Option<&Self>, (step, error): (usize, &ClusterError), now: Timestamp) -> Self {
        let since = known.filter(|known| known.step == step).map_or(now, |known| known.since);
        let message = if error.class() == Class::Blocked { error.to_string() } else { sentence(error) };
        Self { step, message, since }
    }
}

/// What the promotion's status is to say of it now; nothing while it is young, or says that already.
#[must_use]
pub fn telling<'a>(observed: &Observed, hindrance: &'a Hindrance) -> Option<&'a str> {
    let (step, _) = timeout::current(observed)?;
    // Most of what is tried again goes well within seconds and is no news.
    let lasts = observed.now.duration_since(hindrance.since) >= timeout::TELL;
    let said = observed.promotion.status.as_ref().and_then(|status| status.message.as_deref());
    let same = said == Some(condition::cut(&hindrance.message, 1024).as_str());
    (step == hindrance.step && lasts && !same).then_some(hindrance.message.as_str())
}

/// What came back, in words of ours: what a webhook or somebody between says may quote the object, and its secrets.
fn sentence(error: &ClusterError) -> String {
    let ClusterError::Api { action, .. } = error else { return error.to_string() };
    let why = match error.status() {
        None => "the API server cannot be reached".to_owned(),
        Some(status) => match (quoted(&status.message, "failed calling webhook "), status.code) {
            (Some(webhook), _) => format!("the admission webhook {webhook} does not answer: mend or remove it"),
            (None, _) if status.message.contains("cannot impersonate") => {
                "Gantry may not act as its account there: the environment must be ready".to_owned()
            }
            (None, 404) => "the namespace, or the kind, is not there".to_owned(),
            (None, 429) => "the API server has too much to do".to_owned(),
            (None, code) => format!("the API server answers {code} {}", status.reason),
        },
    };
    format!("cannot {action}: {why}; it is tried again")
}

/// The name in quotes after some words: `failed calling webhook "images.example.com": …`.
fn quoted<'a>(message: &'a str, words: &str) -> Option<&'a str> {
    let (_, after) = message.split_once(words)?;
    after.split('"').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn answer(code: u16, reason: &str, message: &str) -> ClusterError {
        let status = Status { code, reason: reason.into(), message: message.into(), ..Status::default() };
        ClusterError::api("apply ConfigMap shop-dev/rules", kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn it_says_who_does_not_answer_and_quotes_nobody() {
        let secret = "hunter2";
        for (code, reason, message, expected) in [
            (
                500,
                "InternalError",
                format!("Internal error occurred: failed calling webhook \"images.example.com\": {secret}"),
                "cannot apply ConfigMap shop-dev/rules: the admission webhook images.example.com does not answer: mend or remove it; it is tried again",
            ),
            (
                404,
                "NotFound",
                format!("namespaces {secret} not found"),
                "cannot apply ConfigMap shop-dev/rules: the namespace, or the kind, is not there; it is tried again",
            ),
            (
                503,
                "ServiceUnavailable",
                secret.to_owned(),
                "cannot apply ConfigMap shop-dev/rules: the API server answers 503 ServiceUnavailable; it is tried again",
            ),
        ] {
            assert_eq!(sentence(&answer(code, reason, &message)), expected);
        }
    }

    #[test]
    fn it_lasts_from_the_first_time_whatever_comes_back_later() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = Hindrance::after(None, (0, &answer(503, "ServiceUnavailable", "")), at(10));
        let later = Hindrance::after(Some(&first), (0, &answer(429, "TooManyRequests", "")), at(15));
        assert_eq!((later.since, later.message == first.message), (at(10), false));
        assert_eq!(Hindrance::after(Some(&later), (1, &answer(429, "", "")), at(20)).since, at(20), "another step");
    }
}
