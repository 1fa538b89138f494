//! What a command shows, as far as a status has room: the last of it, and nothing that a terminal would obey.

/// The most bytes that are kept for one target.
pub const BYTES: usize = 8 * 1024;

/// What is kept of an output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// Whole lines.
    pub text: String,
    /// Whether more was there.
    pub truncated: bool,
}

/// A text without what a terminal would obey.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// The last whole lines of a text that fit into so many bytes, without control characters. Of a line that alone is too long, its
/// end.
#[must_use]
pub fn tail(text: &str, most: usize) -> Output {
    let plain = plain(text);
    let plain = plain.trim_end_matches('\n');
    if plain.len() <= most {
        return Output { text: plain.to_owned(), truncated: false };
    }
    let mut from = plain.len() - most;
    while !plain.is_char_boundary(from) {
        from += 1;
    }
    let end = plain.get(from..).unwrap_or_default();
    // The line that is cut goes, unless it is all there is.
    let whole = end.split_once('\n').map_or(end, |(_, whole)| whole);
    Output { text: whole.to_owned(), truncated: true }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_taken_out() {
        let kept = tail("a\tb\r\n\u{1b}[31mred\u{1b}[0m\u{7}\u{9b}2J\nlast\n\n", BYTES);
        assert_eq!(kept, Output { text: "a\tb\n[31mred[0m2J\nlast".to_owned(), truncated: false });
    }

    #[test]
    fn of_too_much_the_last_whole_lines_are_kept() {
        let last = |most| tail("first\nsecond\nthird", most);
        assert_eq!(last(13), Output { text: "second\nthird".to_owned(), truncated: true });
        assert_eq!(last(10), Output { text: "third".to_owned(), truncated: true });
        assert_eq!(tail("ääää", 5), Output { text: "ää".to_owned(), truncated: true });
    }

    proptest! {
        #[test]
        fn it_always_fits_and_is_an_end_of_what_was_there(text in "[a-zä\\n\\t\\x1b]{0,60}", most in 1..40_usize) {
            let kept = tail(&text, most);
            prop_assert!(kept.text.len() <= most);
            let plain: String = text.chars().filter(|c| *c != '\u{1b}').collect();
            prop_assert!(plain.trim_end_matches('\n').ends_with(&kept.text));
        }
    }
}
