//! What the columns of `kubectl get` say of lists. An API server shows one value a column, the first of several: so a list is told
//! in one line of its own.

use std::fmt::Write as _;

/// How many bytes a line may have, and what its schema allows.
pub const LONGEST: usize = 1024;

/// The parts, in one line; of too many the first, and how many more there are. Nothing where there are none.
#[must_use]
pub fn line(parts: impl IntoIterator<Item = String>) -> Option<String> {
    const MORE: usize = " and 1000000 more".len();
    let parts: Vec<String> = parts.into_iter().collect();
    let mut told = String::new();
    for (place, part) in parts.iter().enumerate() {
        if told.len() + part.len() + ", ".len() + MORE > LONGEST {
            let _ = write!(told, " and {} more", parts.len() - place);
            break;
        }
        if place > 0 {
            told.push_str(", ");
        }
        told.push_str(part);
    }
    (!told.is_empty()).then_some(told)
}

/// The columns, where they show anything.
#[must_use]
pub fn shown<C: Default + PartialEq>(columns: C) -> Option<C> {
    (columns != C::default()).then_some(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_one_line_that_says_how_many_more_there_are_than_it_has_room_for() {
        assert_eq!(line([]), None);
        assert_eq!(line(["dev 1.4.2".to_owned(), "test 1.4.1".to_owned()]).as_deref(), Some("dev 1.4.2, test 1.4.1"));
        let many = line((0..256).map(|number| format!("environment-{number:03}"))).unwrap();
        assert!(many.len() <= LONGEST, "{}", many.len());
        let shown = many.split(", ").count();
        assert!(many.starts_with("environment-000, environment-001, ") && shown > 50);
        assert!(many.ends_with(&format!("environment-{:03} and {} more", shown - 1, 256 - shown)), "{many}");
    }
}
