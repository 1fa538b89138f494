//! Periods that come again: each begins when a cron expression says so in a time zone, and lasts equally long.
//!
//! Time zones are those of the IANA database that this program was built with; nothing of the machine is read. When clocks are put
//! forward, what would begin in the hour that is left out begins at its end. When they are put back, a fixed time of the
//! hour that comes twice counts once, the first time; what begins every hour or more often begins in both. The length is of time that
//! passes, whatever clocks show.

use std::sync::LazyLock;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use super::Period;
use crate::domain::invalid::{Invalid, InvalidReason};

/// The time zones, as they were when this program was built.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The longest period.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 366);
/// How many periods that touch are told as one: of those that never stop touching, each look sees so many.
const JOINED: usize = 100;

/// When periods begin, and how long they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    starts: Cron,
    zone: TimeZone,
    length: SignedDuration,
}

impl Schedule {
    /// A schedule from what people write: five fields of cron, the name of a time zone, and a length.
    ///
    /// # Errors
    /// Everything that is wrong with it, by field below `path`.
    pub fn new((cron, zone): (&str, &str), length: SignedDuration, path: &str) -> Result<Self, Vec<Invalid>> {
        let starts =
            starts(cron).map_err(|message| Invalid::new(format!("{path}.cron"), InvalidReason::Malformed, message));
        let zone = ZONES.get(zone).map_err(|_| {
            let message =
                format!("{zone:?} is no time zone of the IANA database: write one such as Europe/Berlin or UTC");
            Invalid::new(format!("{path}.timeZone"), InvalidReason::Unknown, message)
        });
        let length = if length > SignedDuration::ZERO && length <= LONGEST {
            Ok(length)
        } else {
            let message = "a period lasts more than nothing and at most 366 days (8784h): write one such as 60h";
            Err(Invalid::new(format!("{path}.duration"), InvalidReason::Forbidden, message))
        };
        match (starts, zone, length) {
            (Ok(starts), Ok(zone), Ok(length)) => Ok(Self { starts, zone, length }),
            (starts, zone, length) => Err(starts.err().into_iter().chain(zone.err()).chain(length.err()).collect()),
        }
    }

    /// The period that a time is in. Of several that overlap, from the start of the earliest that reaches it to the end of all.
    #[must_use]
    pub fn at(&self, at: Timestamp) -> Option<Period> {
        let before = at.checked_sub(self.length).unwrap_or(Timestamp::MIN);
        self.begins_after(before).filter(|start| *start <= at).map(|start| self.from(start))
    }

    /// The first period that begins after a time, and after the one that it is in.
    #[must_use]
    pub fn next(&self, at: Timestamp) -> Option<Period> {
        let after = self.at(at).map_or(at, |period| period.end);
        self.begins_after(after).map(|start| self.from(start))
    }

    /// The period that begins then, with all that touch it.
    fn from(&self, start: Timestamp) -> Period {
        let (mut last, mut end) = (start, self.end(start));
        for _ in 0..JOINED {
            let Some(next) = self.begins_after(last).filter(|next| *next <= end) else { break };
            (last, end) = (next, self.end(next));
        }
        Period { start, end }
    }

    fn end(&self, start: Timestamp) -> Timestamp {
        start.checked_add(self.length).unwrap_or(Timestamp::MAX)
    }

    /// The first start after a time; nothing when there is none as far as calendars go.
    fn begins_after(&self, at: Timestamp) -> Option<Timestamp> {
        // Starts are whole minutes; what is looked for begins with the next whole second.
        let second = Timestamp::from_second(at.as_second()).ok().filter(|second| *second <= at);
        let second = second.or_else(|| Timestamp::from_second(at.as_second().checked_sub(1)?).ok())?;
        let found = self.starts.find_next_occurrence(&second.to_zoned(self.zone.clone()), false).ok()?;
        Some(found.timestamp())
    }
}

/// The starts that a cron expression names.
fn starts(cron: &str) -> Result<Cron, String> {
    const REMEDY: &str = "write minute, hour, day of month, month and day of week, such as 0 18 * * FRI";
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let starts = parser.parse(cron).map_err(|error| format!("{cron:?} is no cron expression ({error}): {REMEDY}"))?;
    let ever = starts.find_next_occurrence(&Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC), true);
    ever.map(|_| starts).map_err(|_| format!("{cron:?} names a day that never comes: {REMEDY}"))
}

#[cfg(test)]
mod tests;
