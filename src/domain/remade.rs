//! Releases that are deleted and made again. A name can be used again, a UID never is: what has the name of a release that is gone
//! is another one, which may consist of anything, and has achieved nothing of what the one before did.
//!
//! What a release may do because of what it achieved (lifecycle, soak, return) counts only what is known to be its own
//! ([`super::promotion::outcome::Outcome::is_success_of`]). What is only shown, or would do something over again, asks whether two are
//! known to be different: there, what was written down before UIDs were is still told by its version.

/// Whether two releases of one name are known to be different ones.
#[must_use]
pub fn are_two(one: Option<&str>, other: Option<&str>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one != other)
}

/// What became of a release where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// It never succeeded there, and no other of its name did.
    Never,
    /// It succeeded there: to go there once more is a return.
    Itself,
    /// Another one of its name succeeded there, and was deleted.
    Another,
}

/// What is said of releases whose name another one had before that succeeded in `places`.
#[must_use]
pub fn sentence(release: &str, places: &str) -> String {
    format!("the {release} that succeeded {places} was deleted, and this one was made again under its name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_are_different_where_both_are_known_and_differ() {
        assert!(are_two(Some("a"), Some("b")));
        for (one, other) in [(Some("a"), Some("a")), (Some("a"), None), (None, Some("a")), (None, None)] {
            assert!(!are_two(one, other), "{one:?} and {other:?}");
        }
    }
}
