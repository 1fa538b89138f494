//! Takes secrets out of what containers say: their logs, and messages that may quote them. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::variable::SecretText;

/// Shorter parts are no secrets: taking them out would tell more than it hides.
const SHORTEST: usize = 4;
/// What is shown instead.
const HIDDEN: &str = "***";

/// The lines without the secrets that the promotion has used.
#[must_use]
pub fn redacted(lines: Vec<String>, secrets: &[SecretText]) -> Vec<String> {
    let parts = parts(secrets);
    lines.into_iter().map(|line| without(line, &parts)).collect()
}

/// A message without them.
#[must_use]
pub fn hidden(message: String, secrets: &[SecretText]) -> String {
    without(message, &parts(secrets))
}

fn without(text: String, parts: &[String]) -> String {
    parts.iter().fold(text, |text, part| text.replace(part, HIDDEN))
}

/// How secrets may stand in a text: a secret of several lines line by line, and all of it as Secrets hold it, in base64.
fn parts(secrets: &[SecretText]) -> Vec<String> {
    let plain = secrets.iter().flat_map(|secret| secret.reveal().lines()).map(|line| line.trim().to_owned());
    let encoded = secrets.iter().map(|secret| STANDARD.encode(secret.reveal()));
    let mut parts: Vec<String> = plain.chain(encoded).filter(|part| part.len() >= SHORTEST).collect();
    // A longer one may hold a shorter one.
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_stays_in_a_line() {
        let secret = |text: &str| SecretText::new(text.to_owned(), "uid");
        let secrets =
            [secret("hunter2"), secret("postgres://app:hunter2@db"), secret("-----BEGIN\nabcdef\n"), secret("ab")];
        let lines = ["password=hunter2", "url postgres://app:hunter2@db!", "key abcdef", "able"].map(str::to_owned);
        assert_eq!(redacted(lines.into(), &secrets), ["password=***", "url ***!", "key ***", "able"]);
        assert_eq!(hidden("it said aHVudGVyMg== and hunter2".to_owned(), &secrets), "it said *** and ***");
    }
}
