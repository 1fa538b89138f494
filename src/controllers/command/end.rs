//! How a command ended in a target, and what is said of an API server's answer: words of ours, since what webhooks and others say
//! may quote anything.

use crate::domain::command::Stand;
use crate::domain::command::output::Output;
use crate::domain::command::reason::Reason;

/// How a command ended in a target.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// Whether it was carried out.
    pub stand: Stand,
    /// Why it ended so.
    pub reason: Reason,
    /// What happened, in one sentence.
    pub message: String,
    /// What it shows.
    pub output: Option<Output>,
    /// The exit code of its script.
    pub exit_code: Option<i32>,
}

impl End {
    /// It was carried out.
    #[must_use]
    pub fn succeeded(message: String) -> Self {
        Self::new(Stand::Succeeded, Reason::Done, message)
    }

    /// It was not carried out, or not well.
    #[must_use]
    pub fn failed(reason: Reason, message: String) -> Self {
        Self::new(Stand::Failed, reason, message)
    }

    /// Somebody stopped it.
    #[must_use]
    pub fn canceled(message: String) -> Self {
        Self::new(Stand::Canceled, Reason::Canceled, message)
    }

    /// Nobody knows.
    #[must_use]
    pub fn unknown(reason: Reason, message: String) -> Self {
        Self::new(Stand::Unknown, reason, message)
    }

    fn new(stand: Stand, reason: Reason, message: String) -> Self {
        Self { stand, reason, message, output: None, exit_code: None }
    }
}

/// Whether the API server answered that it did not do what it was asked for.
#[must_use]
pub fn is_refused(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if (400..500).contains(&status.code))
}

/// Why, in one word.
#[must_use]
pub fn reason(error: &kube::Error) -> Reason {
    match code(error) {
        Some(401 | 403) => Reason::Forbidden,
        Some(404) => Reason::NotFound,
        Some(429) | None => Reason::NoAnswer,
        Some(code) if code >= 500 => Reason::NoAnswer,
        Some(_) => Reason::Refused,
    }
}

/// What the API server said to an account, for a message.
#[must_use]
pub fn told(error: &kube::Error, account: &str) -> String {
    match code(error) {
        Some(401 | 403) => {
            format!(
                "{account} may not, or a quota or policy of the namespace is against it: compare its role with what is asked for"
            )
        }
        Some(404) => "it is not there".to_owned(),
        Some(429) => "the API server has too much to do".to_owned(),
        Some(code) if code < 500 => format!("the API server does not take it (status {code})"),
        Some(code) => format!("the API server failed (status {code})"),
        None => "the API server did not answer".to_owned(),
    }
}

fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16) -> kube::Error {
        let status = kube::core::Status { code, message: "secret hunter2".into(), ..kube::core::Status::default() };
        kube::Error::Api(status.boxed())
    }

    #[test]
    fn no_text_of_others_is_in_a_message_and_each_answer_has_a_reason() {
        for (code, reason) in [
            (403, Reason::Forbidden),
            (404, Reason::NotFound),
            (409, Reason::Refused),
            (422, Reason::Refused),
            (429, Reason::NoAnswer),
            (500, Reason::NoAnswer),
        ] {
            let error = answer(code);
            assert_eq!(super::reason(&error), reason);
            assert!(!told(&error, "gantry-console").contains("hunter2"));
            assert_eq!(is_refused(&error), code < 500);
        }
    }
}
