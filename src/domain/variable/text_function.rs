//! The functions of expressions that work on texts.

use regex::RegexBuilder;
use serde_json::Value;

use super::fault::{Fault, FaultReason};
use super::function::text;

/// The largest compiled regular expression, in bytes. The engine is linear in the text.
const REGEX_MAX: usize = 64 * 1024;
/// The largest text that one function makes.
const TEXT_MAX: usize = 1024 * 1024;

/// Calls a function of texts; nothing if there is none for these values.
pub(super) fn call(name: &str, arguments: &[Value]) -> Option<Result<Value, Fault>> {
    let mut texts = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let Value::String(text) = argument else { return with_numbers(name, arguments) };
        texts.push(text.as_str());
    }
    Some(match (name, texts.as_slice()) {
        ("contains", [text, part]) => Ok(text.contains(part).into()),
        ("startsWith", [text, part]) => Ok(text.starts_with(part).into()),
        ("endsWith", [text, part]) => Ok(text.ends_with(part).into()),
        ("matches", [text, pattern]) => matches(text, pattern),
        ("upper" | "upperAscii", [text]) => Ok(text.to_uppercase().into()),
        ("lower" | "lowerAscii", [text]) => Ok(text.to_lowercase().into()),
        ("trim", [text]) => Ok(text.trim().into()),
        ("replace", [text, from, to]) => replace(text, from, to),
        ("split", [text, ""]) => Ok(text.chars().map(|c| c.to_string().into()).collect::<Vec<Value>>().into()),
        ("split", [text, at]) => Ok(text.split(at).map(Value::from).collect::<Vec<_>>().into()),
        _ => return None,
    })
}

/// The texts of a list, with another one between them.
pub(super) fn join(items: &[Value], between: &str) -> Result<Value, Fault> {
    let texts: Vec<String> = items.iter().map(text).collect::<Result<_, _>>()?;
    small(texts.iter().fold(0, |sum: usize, text| sum.saturating_add(text.len()).saturating_add(between.len())))?;
    Ok(texts.join(between).into())
}

fn replace(text: &str, from: &str, to: &str) -> Result<Value, Fault> {
    small(text.matches(from).count().saturating_mul(to.len()).saturating_add(text.len()))?;
    Ok(text.replace(from, to).into())
}

/// Texts that would be too large are not made at all.
fn small(bytes: usize) -> Result<(), Fault> {
    if bytes <= TEXT_MAX {
        return Ok(());
    }
    let message = format!("the text would be larger than {} KiB: make it smaller", TEXT_MAX / 1024);
    Err(Fault::new(FaultReason::ExpressionTooCostly, message))
}

fn with_numbers(name: &str, arguments: &[Value]) -> Option<Result<Value, Fault>> {
    let place = |value: &Value| value.as_u64().and_then(|place| usize::try_from(place).ok());
    let (text, from, to) = match (name, arguments) {
        ("substring", [Value::String(text), from]) => (text, place(from)?, usize::MAX),
        ("substring", [Value::String(text), from, to]) => (text, place(from)?, place(to)?),
        _ => return None,
    };
    let part: String = text.chars().skip(from).take(to.saturating_sub(from)).collect();
    Some(Ok(part.into()))
}

fn matches(text: &str, pattern: &str) -> Result<Value, Fault> {
    let regex = RegexBuilder::new(pattern).size_limit(REGEX_MAX).dfa_size_limit(REGEX_MAX).build();
    let regex =
        regex.map_err(|_| Fault::invalid("matches() takes a regular expression that is well-formed and short"))?;
    Ok(regex.is_match(text).into())
}
