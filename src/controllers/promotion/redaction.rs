//! Takes secrets out of what containers logged. Pure.

use crate::domain::variable::SecretText;

/// Shorter parts are no secrets: taking them out would tell more than it hides.
const SHORTEST: usize = 4;
/// What is shown instead.
const HIDDEN: &str = "***";

/// The lines without the secrets that the step used.
#[must_use]
pub fn redacted(lines: Vec<String>, secrets: &[SecretText]) -> Vec<String> {
    // A secret of several lines is logged line by line.
    let mut parts: Vec<&str> = secrets.iter().flat_map(|secret| secret.reveal().lines()).map(str::trim).collect();
    parts.retain(|part| part.len() >= SHORTEST);
    // A longer one may hold a shorter one.
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let hide = |line: String| parts.iter().fold(line, |line, part| line.replace(part, HIDDEN));
    lines.into_iter().map(hide).collect()
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
    }
}
