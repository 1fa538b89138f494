//! The functions of expressions that make and read timestamps, durations and bytes, as CEL defines them. None of them knows what
//! time it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::datum::Datum;
use super::fault::Fault;
use super::function::hexadecimal;

/// The functions that this module adds to those of texts and numbers, for messages.
pub(super) const KNOWN: &str = "timestamp, duration, bytes, getFullYear, getMonth, getDate, getDayOfMonth, getDayOfWeek, getDayOfYear, getHours, \
                     getMinutes, getSeconds, getMilliseconds";

/// Calls a function of these types; nothing if there is none for these values.
pub(super) fn call(name: &str, arguments: &[Datum]) -> Option<Result<Datum, Fault>> {
    use Datum::{Bytes, Duration, Plain, Timestamp};
    Some(match (name, arguments) {
        ("timestamp", [Timestamp(_)]) | ("duration", [Duration(_)]) | ("bytes", [Bytes(_)]) | ("dyn", [_]) => {
            arguments.first().cloned().ok_or_else(|| Fault::invalid("there is no value"))
        }
        ("timestamp", [Plain(Value::String(text))]) => timestamp(text),
        ("timestamp", [Plain(Value::Number(number))]) => moment(number.as_i64()),
        ("duration", [Plain(Value::String(text))]) => duration(text),
        ("bytes", [Plain(Value::String(text))]) => Ok(Bytes(text.clone().into_bytes())),
        ("size", [Bytes(bytes)]) => Ok(Plain(bytes.len().into())),
        ("base64", [Bytes(bytes)]) => Ok(Plain(STANDARD.encode(bytes).into())),
        ("sha256", [Bytes(bytes)]) => Ok(Plain(hexadecimal(bytes).into())),
        ("string", [known @ (Bytes(_) | Timestamp(_) | Duration(_))]) => known.text().map(|text| Plain(text.into())),
        ("int", [Timestamp(time)]) => Ok(Plain(time.as_second().into())),
        ("type", [Bytes(_)]) => Ok(Plain("bytes".into())),
        ("type", [Timestamp(_)]) => Ok(Plain("google.protobuf.Timestamp".into())),
        ("type", [Duration(_)]) => Ok(Plain("google.protobuf.Duration".into())),
        (name, [Duration(duration)]) => whole(name, *duration)?.map(|number| Plain(number.into())),
        (name, [Timestamp(time)]) => {
            part(name, time.to_zoned(TimeZone::UTC).datetime())?.map(|part| Plain(part.into()))
        }
        (name, [Timestamp(time), Plain(Value::String(place))]) => match zone(place) {
            Ok(zone) => part(name, time.to_zoned(zone).datetime())?.map(|part| Plain(part.into())),
            Err(fault) => Err(fault),
        },
        _ => return None,
    })
}

fn timestamp(text: &str) -> Result<Datum, Fault> {
    let wrong = || Fault::invalid("timestamp() takes a text like 2026-01-31T12:00:00Z, or seconds since 1970");
    // RFC 3339 has neither annotations nor times without an offset.
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"-+:.TtZz".contains(&byte));
    let time = if plain { text.parse::<Timestamp>().map_err(|_| wrong())? } else { return Err(wrong()) };
    Datum::moment(time)
}

fn moment(seconds: Option<i64>) -> Result<Datum, Fault> {
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.ok_or_else(|| Fault::invalid("timestamp() takes whole seconds of the years 1 to 9999")).and_then(Datum::moment)
}

/// A sum of numbers with units, as CEL reads it: `1h30m`, `1.5h`, `-250ms`.
fn duration(text: &str) -> Result<Datum, Fault> {
    let wrong =
        || Fault::invalid("duration() takes a text like 1h30m, 90s or 250ms, with the units h, m, s, ms, us and ns");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Datum::Duration(SignedDuration::ZERO));
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut sum = 0_i128;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let part = nanoseconds(number, unit).ok_or_else(wrong)?;
        sum = sum.checked_add(part).ok_or_else(wrong)?;
        rest = after;
    }
    let sum = if negative { -sum } else { sum };
    let seconds = i64::try_from(sum / 1_000_000_000).map_err(|_| wrong())?;
    let nanos = i32::try_from(sum % 1_000_000_000).map_err(|_| wrong())?;
    Datum::length(SignedDuration::new(seconds, nanos))
}

/// A number with a unit; what is less than a nanosecond is cut off.
fn nanoseconds(number: &str, unit: &str) -> Option<i128> {
    let unit: i128 = match unit {
        "h" => 3_600_000_000_000,
        "m" => 60_000_000_000,
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" | "µs" | "μs" => 1_000,
        "ns" => 1,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || whole.len() > 15 || fraction.contains('.') {
        return None;
    }
    let digits: String = fraction.chars().take(15).collect();
    let part = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i128>().ok() };
    let scale = digits.chars().fold(1_i128, |scale, _| scale * 10);
    Some(part(whole)? * unit + part(&digits)? * unit / scale)
}

/// How many whole hours, minutes, seconds or milliseconds a duration is.
fn whole(name: &str, duration: SignedDuration) -> Option<Result<i64, Fault>> {
    let too_large = |_| Fault::invalid("the number is too large");
    Some(match name {
        "getHours" => Ok(duration.as_hours()),
        "getMinutes" => Ok(duration.as_mins()),
        "getSeconds" => Ok(duration.as_secs()),
        "getMilliseconds" => i64::try_from(duration.as_millis()).map_err(too_large),
        _ => return None,
    })
}

/// A part of a date and time. CEL counts months, days of the month (but for `getDate`), of the week (from Sunday) and of the year
/// from zero.
fn part(name: &str, at: DateTime) -> Option<Result<i64, Fault>> {
    Some(Ok(match name {
        "getFullYear" => i64::from(at.year()),
        "getMonth" => i64::from(at.month()) - 1,
        "getDate" => i64::from(at.day()),
        "getDayOfMonth" => i64::from(at.day()) - 1,
        "getDayOfWeek" => i64::from(at.weekday().to_sunday_zero_offset()),
        "getDayOfYear" => i64::from(at.day_of_year()) - 1,
        "getHours" => i64::from(at.hour()),
        "getMinutes" => i64::from(at.minute()),
        "getSeconds" => i64::from(at.second()),
        "getMilliseconds" => i64::from(at.millisecond()),
        _ => return None,
    }))
}

/// A time zone by its name in the IANA database that Gantry was built with, or by its offset: `Europe/Berlin`, `+01:00`.
fn zone(text: &str) -> Result<TimeZone, Fault> {
    let wrong = || Fault::invalid("a time zone is a name like Europe/Berlin, or an offset like +01:00");
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'+') => (1, text.get(1..)),
        Some(b'-') => (-1, text.get(1..)),
        Some(byte) if byte.is_ascii_digit() => (1, Some(text)),
        _ => return TimeZone::get(text).map_err(|_| wrong()),
    };
    let parts = digits.and_then(|digits| digits.split_once(':'));
    let number = |text: &str| text.parse::<u8>().ok().filter(|_| text.len() == 2).map(i32::from);
    let (hours, minutes) = parts.and_then(|(hours, minutes)| number(hours).zip(number(minutes))).ok_or_else(wrong)?;
    let offset = Offset::from_seconds(sign * (hours * 60 + minutes) * 60).ok().filter(|_| minutes < 60);
    offset.map(TimeZone::fixed).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

        #[test]
        fn times_read_back_as_themselves(seconds in -62_135_596_800_i64..253_370_764_800, nanos in 0..1_000_000_000_i32) {
            let time = Datum::Timestamp(Timestamp::new(seconds, nanos).unwrap());
            prop_assert_eq!(timestamp(&time.text().unwrap()), Ok(time));
            let nanos = if seconds < 0 { -nanos } else { nanos };
            let length = Datum::Duration(SignedDuration::new(seconds, nanos));
            prop_assert_eq!(duration(&length.text().unwrap()), Ok(length));
        }

        #[test]
        fn whatever_is_written_has_an_answer(text in "[-+0-9.:hmsuµnTZ]{0,24}|\\PC{0,24}") {
            let _ = (timestamp(&text), duration(&text), zone(&text).is_ok());
        }
    }
}
