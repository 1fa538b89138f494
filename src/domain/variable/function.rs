//! The functions of expressions, on the values of JSON. A function may be called as `f(x, y)` or `x.f(y)`.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::fault::Fault;
use super::operator::{double, kind};
use super::{text_function, time_function};
use crate::domain::version::Version;

/// Every function but `default` and CEL's macros, for messages.
pub(super) const KNOWN: &str = "size, string, int, uint, double, bool, type, contains, startsWith, endsWith, matches, upper, upperAscii, lower, \
                     lowerAscii, trim, replace, split, join, substring, base64, base64Decode, sha256, json, yaml, semver, default, has, dyn";

/// Calls a function.
///
/// # Errors
/// When there is no such function, or not for these values.
pub fn call(name: &str, arguments: &[Value]) -> Result<Value, Fault> {
    if let Some(result) = text_function::call(name, arguments) {
        return result;
    }
    match (name, arguments) {
        ("size", [Value::String(text)]) => Ok(text.chars().count().into()),
        ("size", [Value::Array(items)]) => Ok(items.len().into()),
        ("size", [Value::Object(fields)]) => Ok(fields.len().into()),
        ("dyn", [value]) => Ok(value.clone()),
        ("type", [value]) => Ok(type_name(value).into()),
        ("string", [value]) => Ok(text(value)?.into()),
        ("int", [value]) => integer(value),
        ("uint", [value]) => match integer(value)? {
            number if number.as_i64().is_some_and(i64::is_negative) => {
                Err(Fault::invalid("uint() takes no negative numbers: use int()"))
            }
            number => Ok(number),
        },
        ("double", [value]) => float(value),
        ("bool", [Value::Bool(value)]) => Ok((*value).into()),
        ("bool", [Value::String(text)]) => {
            text.parse().map(Value::Bool).map_err(|_| Fault::invalid("bool() takes the texts true and false"))
        }
        ("join", [Value::Array(items)]) => text_function::join(items, ""),
        ("join", [Value::Array(items), Value::String(between)]) => text_function::join(items, between),
        ("base64", [Value::String(text)]) => Ok(STANDARD.encode(text).into()),
        ("base64Decode", [Value::String(text)]) => {
            let bytes = STANDARD.decode(text.trim()).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            text.map(Value::from).ok_or_else(|| Fault::invalid("base64Decode() takes the base64 of a text"))
        }
        ("sha256", [Value::String(text)]) => Ok(sha256(text).into()),
        ("json", [value]) => Ok(value.to_string().into()),
        ("yaml", [value]) => yaml(value),
        ("semver", [Value::String(text)]) => semver(text),
        _ => Err(no_such(name, &arguments.iter().map(kind).collect::<Vec<_>>())),
    }
}

/// A value as it stands in a text.
///
/// # Errors
/// When it is a list, a map or nothing.
pub fn text(value: &Value) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(Fault::invalid(format!("{} cannot stand in a text: encode it with json() or join()", kind(value))))
        }
    }
}

/// SHA-256 of a text, in hexadecimal.
#[must_use]
pub fn sha256(text: &str) -> String {
    hexadecimal(text.as_bytes())
}

/// SHA-256 of bytes, in hexadecimal.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hexadecimal, byte| {
        // Writing to a String does not fail.
        let _ = write!(hexadecimal, "{byte:02x}");
        hexadecimal
    })
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null_type",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "double",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}

fn integer(value: &Value) -> Result<Value, Fault> {
    let wrong = || Fault::invalid(format!("int() takes whole numbers and their texts, and this is {}", kind(value)));
    match value {
        Value::String(text) => text.trim().parse::<i64>().map(Value::from).map_err(|_| wrong()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Ok(integer.into()),
            // CEL cuts the fraction off; the bounds are those of i64, which f64 cannot hold exactly.
            #[expect(clippy::cast_possible_truncation, reason = "the bounds were compared before")]
            (None, Some(double)) if double.abs() < 9.2e18 => Ok((double.trunc() as i64).into()),
            _ => Err(wrong()),
        },
        Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_) => Err(wrong()),
    }
}

fn float(value: &Value) -> Result<Value, Fault> {
    let read = value.as_str().map_or_else(|| value.as_f64(), |text| text.trim().parse().ok());
    double(read.ok_or_else(|| Fault::invalid(format!("double() takes numbers and their texts, not {}", kind(value))))?)
}

fn yaml(value: &Value) -> Result<Value, Fault> {
    let text = serde_saphyr::to_string(value).map_err(|_| Fault::invalid("the value cannot be written as YAML"))?;
    Ok(text.into())
}

/// The parts of a version, as tags are versions elsewhere: one to four numbers, perhaps with a `v` before them.
fn semver(text: &str) -> Result<Value, Fault> {
    let read = text.parse::<Version>();
    let version = read.map_err(|_| Fault::invalid("semver() takes a version like 1.4.2, v1.4 or 1.4.2.7-rc.1"))?;
    let numbers = version.release();
    let build = text.split_once('+').map(|(_, build)| build).unwrap_or_default();
    Ok(json!({
        "major": numbers.major, "minor": numbers.minor, "patch": numbers.patch, "revision": version.revision(),
        "prerelease": version.prerelease(), "build": build,
    }))
}

/// That there is no such function, or not for values of these kinds.
pub(super) fn no_such(name: &str, kinds: &[&str]) -> Fault {
    let known = format!("{KNOWN}, {}", time_function::KNOWN);
    if known.split(", ").any(|known| known.trim() == name) {
        return Fault::invalid(format!("function {name} does not take {}: convert before", kinds.join(", ")));
    }
    Fault::invalid(format!("there is no function {name}: there are {known}"))
}
