//! What an expression works on: the values of YAML, and beside them the types of CEL that YAML does not have. Those live inside
//! one expression only; where one lands it is a text, and a list or a map takes none of them.

use std::cmp::Ordering;

use cel::common::ast::operators;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::fault::Fault;
use super::operator;

/// The first moment that there is, `0001-01-01T00:00:00Z`.
const FIRST: Timestamp = Timestamp::constant(-62_135_596_800, 0);
/// The longest duration, in seconds: as CEL says, ten thousand years.
const LONGEST: i64 = 315_576_000_000;

/// A value, while an expression is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    /// One that YAML has.
    Plain(Value),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A moment.
    Timestamp(Timestamp),
    /// A length of time.
    Duration(SignedDuration),
}

impl From<Value> for Datum {
    fn from(value: Value) -> Self {
        Self::Plain(value)
    }
}

impl Datum {
    /// A moment that CEL has.
    ///
    /// # Errors
    /// When it lies before the year 1.
    pub fn moment(time: Timestamp) -> Result<Self, Fault> {
        if time < FIRST { Err(out_of_range()) } else { Ok(Self::Timestamp(time)) }
    }

    /// A length of time that CEL has.
    ///
    /// # Errors
    /// When it is longer than ten thousand years.
    pub fn length(duration: SignedDuration) -> Result<Self, Fault> {
        if duration.as_secs().abs() > LONGEST { Err(out_of_range()) } else { Ok(Self::Duration(duration)) }
    }

    /// The value, where nothing else can be used.
    ///
    /// # Errors
    /// When YAML has no such value.
    pub fn plain(self) -> Result<Value, Fault> {
        match self {
            Self::Plain(value) => Ok(value),
            other @ (Self::Bytes(_) | Self::Timestamp(_) | Self::Duration(_)) => {
                Err(Fault::invalid(format!("{} cannot be used here: convert with string()", other.kind())))
            }
        }
    }

    /// The value as it lands in YAML: moments as RFC 3339 has them, lengths of time in seconds, bytes as the text that they are.
    ///
    /// # Errors
    /// When bytes are no text.
    pub fn landed(self) -> Result<Value, Fault> {
        if let Self::Plain(value) = self { Ok(value) } else { self.text().map(Value::String) }
    }

    /// The same as a text.
    ///
    /// # Errors
    /// When there is none.
    pub fn text(&self) -> Result<String, Fault> {
        match self {
            Self::Plain(value) => super::function::text(value),
            Self::Bytes(bytes) => String::from_utf8(bytes.clone())
                .map_err(|_| Fault::invalid("these bytes are no text: encode them with base64()")),
            Self::Timestamp(time) => Ok(time.to_string()),
            Self::Duration(duration) => Ok(seconds(*duration)),
        }
    }

    /// What kind it is, as messages say it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Plain(value) => operator::kind(value),
            Self::Bytes(_) => "bytes",
            Self::Timestamp(_) => "a timestamp",
            Self::Duration(_) => "a duration",
        }
    }

    /// About how many bytes it is, beside a value of YAML.
    #[must_use]
    pub fn weight(&self) -> usize {
        if let Self::Bytes(bytes) = self { 16 + bytes.len() } else { 16 }
    }
}

/// The result of a binary operator of which one side at least is no value of YAML.
///
/// # Errors
/// When the operator is not for such values, or its result is none.
pub fn binary(name: &str, left: &Datum, right: &Datum) -> Result<Datum, Fault> {
    use Datum::{Bytes, Duration, Timestamp};
    match (name, left, right) {
        (operators::EQUALS, ..) => return Ok(Datum::Plain((left == right).into())),
        (operators::NOT_EQUALS, ..) => return Ok(Datum::Plain((left != right).into())),
        (operators::ADD, Timestamp(time), Duration(duration))
        | (operators::ADD, Duration(duration), Timestamp(time)) => {
            return time.checked_add(*duration).map_err(|_| out_of_range()).and_then(Datum::moment);
        }
        (operators::SUBSTRACT, Timestamp(time), Duration(duration)) => {
            return time.checked_sub(*duration).map_err(|_| out_of_range()).and_then(Datum::moment);
        }
        (operators::SUBSTRACT, Timestamp(left), Timestamp(right)) => return Datum::length(left.duration_since(*right)),
        (operators::ADD, Duration(left), Duration(right)) => {
            return left.checked_add(*right).ok_or_else(out_of_range).and_then(Datum::length);
        }
        (operators::SUBSTRACT, Duration(left), Duration(right)) => {
            return left.checked_sub(*right).ok_or_else(out_of_range).and_then(Datum::length);
        }
        (operators::ADD, Bytes(left), Bytes(right)) => return Ok(Bytes([left.as_slice(), right].concat())),
        _ => {}
    }
    let order = compare(left, right).ok_or_else(|| not_for(name, left, right))?;
    let holds = match name {
        operators::LESS => order.is_lt(),
        operators::LESS_EQUALS => order.is_le(),
        operators::GREATER => order.is_gt(),
        operators::GREATER_EQUALS => order.is_ge(),
        _ => return Err(not_for(name, left, right)),
    };
    Ok(Datum::Plain(holds.into()))
}

fn compare(left: &Datum, right: &Datum) -> Option<Ordering> {
    match (left, right) {
        (Datum::Bytes(left), Datum::Bytes(right)) => Some(left.cmp(right)),
        (Datum::Timestamp(left), Datum::Timestamp(right)) => Some(left.cmp(right)),
        (Datum::Duration(left), Datum::Duration(right)) => Some(left.cmp(right)),
        (Datum::Plain(_) | Datum::Bytes(_) | Datum::Timestamp(_) | Datum::Duration(_), _) => None,
    }
}

fn not_for(name: &str, left: &Datum, right: &Datum) -> Fault {
    let sign = name.trim_matches(['_', '@']);
    let (left, right) = (left.kind(), right.kind());
    Fault::invalid(format!("operator {sign} is not for {left} and {right}: convert one with string() or int()"))
}

/// `90s`, `-0.5s`, as CEL writes it.
fn seconds(duration: SignedDuration) -> String {
    let sign = if duration.is_negative() { "-" } else { "" };
    let (whole, nanos) = (duration.as_secs().unsigned_abs(), duration.subsec_nanos().unsigned_abs());
    if nanos == 0 {
        return format!("{sign}{whole}s");
    }
    let fraction = format!("{nanos:09}");
    format!("{sign}{whole}.{}s", fraction.trim_end_matches('0'))
}

fn out_of_range() -> Fault {
    Fault::invalid(
        "the time is out of range: timestamps are of the years 1 to 9999, durations of ten thousand years at most",
    )
}
