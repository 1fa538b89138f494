//! The operators of expressions, on the values of JSON.

use std::cmp::Ordering;

use cel::common::ast::operators;
use serde_json::{Number, Value};

use super::fault::Fault;

/// Two numbers of the same kind.
enum Pair {
    Integers(i64, i64),
    Doubles(f64, f64),
}

/// The result of a binary operator on two values.
///
/// # Errors
/// When the operator is not for such values, or its result is none.
pub fn binary(operator: &str, left: Value, right: Value) -> Result<Value, Fault> {
    match operator {
        operators::EQUALS => Ok(equal(&left, &right).into()),
        operators::NOT_EQUALS => Ok((!equal(&left, &right)).into()),
        operators::LESS => compare(&left, &right).map(|order| order.is_lt().into()),
        operators::LESS_EQUALS => compare(&left, &right).map(|order| order.is_le().into()),
        operators::GREATER => compare(&left, &right).map(|order| order.is_gt().into()),
        operators::GREATER_EQUALS => compare(&left, &right).map(|order| order.is_ge().into()),
        operators::IN => contains(&right, &left).map(Value::from),
        operators::INDEX => index(left, &right),
        operators::ADD => add(left, right),
        _ => arithmetic(operator, &left, &right),
    }
}

/// Whether both are the same; numbers by value, whatever their type.
#[must_use]
pub fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(_), Value::Number(_)) => compare(left, right).is_ok_and(Ordering::is_eq),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(key, value)| right.get(key).is_some_and(|theirs| equal(value, theirs));
            left.len() == right.len() && left.iter().all(same)
        }
        _ => left == right,
    }
}

/// The value with its sign changed.
///
/// # Errors
/// When it is no number, or has no negative.
pub fn negate(value: &Value) -> Result<Value, Fault> {
    match value.as_i64() {
        Some(integer) => integer.checked_neg().map(Value::from).ok_or_else(overflow),
        None => arithmetic(operators::SUBSTRACT, &Value::from(0.0), value),
    }
}

/// What kind a value is, as messages say it.
#[must_use]
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// A number with a fraction; there is none for infinity and what is no number.
///
/// # Errors
/// When there is none.
pub fn double(value: f64) -> Result<Value, Fault> {
    Number::from_f64(value).map(Value::Number).ok_or_else(overflow)
}

fn add(left: Value, right: Value) -> Result<Value, Fault> {
    match (left, right) {
        (Value::String(mut left), Value::String(right)) => {
            left.push_str(&right);
            Ok(Value::String(left))
        }
        (Value::Array(mut left), Value::Array(right)) => {
            left.extend(right);
            Ok(Value::Array(left))
        }
        (left, right) => arithmetic(operators::ADD, &left, &right),
    }
}

fn arithmetic(operator: &str, left: &Value, right: &Value) -> Result<Value, Fault> {
    let sign = operator.trim_matches('_');
    match pair(left, right) {
        Some(Pair::Integers(_, 0)) if matches!(operator, operators::DIVIDE | operators::MODULO) => {
            Err(Fault::invalid("division by zero: test the divisor before"))
        }
        Some(Pair::Integers(left, right)) => match operator {
            operators::ADD => left.checked_add(right),
            operators::SUBSTRACT => left.checked_sub(right),
            operators::MULTIPLY => left.checked_mul(right),
            operators::DIVIDE => left.checked_div(right),
            operators::MODULO => left.checked_rem(right),
            _ => return Err(Fault::invalid(format!("there is no operator {sign}"))),
        }
        .map(Value::from)
        .ok_or_else(overflow),
        Some(Pair::Doubles(left, right)) => match operator {
            operators::ADD => double(left + right),
            operators::SUBSTRACT => double(left - right),
            operators::MULTIPLY => double(left * right),
            operators::DIVIDE => double(left / right),
            _ => Err(Fault::invalid(format!("operator {sign} is not for numbers with a fraction: convert with int()"))),
        },
        None => Err(Fault::invalid(format!(
            "operator {sign} is not for {} and {}: convert one with string() or int()",
            kind(left),
            kind(right)
        ))),
    }
}

fn compare(left: &Value, right: &Value) -> Result<Ordering, Fault> {
    let order = match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        _ => pair(left, right).and_then(|pair| match pair {
            Pair::Integers(left, right) => Some(left.cmp(&right)),
            Pair::Doubles(left, right) => left.partial_cmp(&right),
        }),
    };
    order.ok_or_else(|| {
        Fault::invalid(format!("{} and {} cannot be compared: convert one of them", kind(left), kind(right)))
    })
}

/// Two numbers; with a fraction if one of them has one.
fn pair(left: &Value, right: &Value) -> Option<Pair> {
    match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => Some(Pair::Integers(left, right)),
        _ => Some(Pair::Doubles(left.as_f64()?, right.as_f64()?)),
    }
}

fn contains(container: &Value, element: &Value) -> Result<bool, Fault> {
    match (container, element) {
        (Value::Array(items), element) => Ok(items.iter().any(|item| equal(item, element))),
        (Value::Object(fields), Value::String(key)) => Ok(fields.contains_key(key)),
        (Value::Object(_), _) => Ok(false),
        _ => Err(Fault::invalid(format!("operator in is for lists and maps, not for {}", kind(container)))),
    }
}

fn index(container: Value, index: &Value) -> Result<Value, Fault> {
    match (container, index) {
        (Value::Array(mut items), Value::Number(at)) => {
            let at = at.as_u64().and_then(|at| usize::try_from(at).ok()).filter(|at| *at < items.len());
            let at = at.ok_or_else(|| Fault::missing("the list has no such element: test its size() before"))?;
            Ok(items.swap_remove(at))
        }
        (Value::Object(mut fields), Value::String(key)) => fields
            .remove(key.as_str())
            .ok_or_else(|| Fault::missing("the map has no such key: test with has() or in before")),
        (container, index) => Err(Fault::invalid(format!("{} has no element at {}", kind(&container), kind(index)))),
    }
}

fn overflow() -> Fault {
    Fault::invalid("the number is too large")
}
