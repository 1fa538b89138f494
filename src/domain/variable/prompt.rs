//! Variables that people are asked for when they promote.

use serde_json::Value;

/// How people are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// What to call it, for people.
    pub label: Option<String>,
    /// Whether a promotion must answer: no value of a scope stands in for the answer.
    pub required: bool,
    /// What an answer may be.
    pub kind: PromptKind,
    /// Whether only a reference to a Secret is an answer.
    pub sensitive: bool,
}

/// What an answer may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PromptKind {
    /// Any text.
    #[default]
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// One of these.
    Choice(Vec<String>),
}

impl PromptKind {
    /// The answer as a value of its type.
    ///
    /// # Errors
    /// What it must be instead.
    pub fn read(&self, answer: &str) -> Result<Value, String> {
        match self {
            Self::Text => Ok(Value::from(answer)),
            Self::Number => number(answer).ok_or_else(|| "must be a number".to_owned()),
            Self::Boolean => answer.parse().map(Value::Bool).map_err(|_| "must be true or false".to_owned()),
            Self::Choice(choices) if choices.iter().any(|choice| choice == answer) => Ok(Value::from(answer)),
            Self::Choice(choices) => Err(format!("must be one of {}", choices.join(", "))),
        }
    }
}

/// The text as a value of the same type as the one that it replaces.
///
/// # Errors
/// What it must be instead.
pub fn read_like(replaced: &Value, text: &str) -> Result<Value, String> {
    match replaced {
        Value::Number(_) => PromptKind::Number.read(text),
        Value::Bool(_) => PromptKind::Boolean.read(text),
        Value::Array(_) => structure(text).filter(Value::is_array).ok_or_else(|| "must be a list, as JSON".to_owned()),
        Value::Object(_) => structure(text).filter(Value::is_object).ok_or_else(|| "must be a map, as JSON".to_owned()),
        Value::String(_) | Value::Null => Ok(Value::from(text)),
    }
}

fn structure(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

fn number(text: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(text).ok()?;
    value.is_number().then_some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_read_as_what_was_asked_for() {
        assert_eq!(PromptKind::Number.read("3"), Ok(json!(3)));
        assert_eq!(PromptKind::Number.read("many"), Err("must be a number".into()));
        assert_eq!(PromptKind::Boolean.read("true"), Ok(json!(true)));
        assert!(PromptKind::Boolean.read("yes").is_err());
        let choice = PromptKind::Choice(vec!["small".into(), "large".into()]);
        assert_eq!(choice.read("large"), Ok(json!("large")));
        assert_eq!(choice.read("huge"), Err("must be one of small, large".into()));
        assert_eq!(PromptKind::Text.read("3"), Ok(json!("3")));
    }

    #[test]
    fn a_value_that_replaces_another_has_its_type() {
        assert_eq!(read_like(&json!(1), "2"), Ok(json!(2)));
        assert_eq!(read_like(&json!([1]), "[2]"), Ok(json!([2])));
        assert!(read_like(&json!([1]), "{}").is_err());
        assert_eq!(read_like(&json!("a"), "2"), Ok(json!("2")));
    }
}
