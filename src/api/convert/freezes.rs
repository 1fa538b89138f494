//! From the wire to the freeze of the domain.

use jiff::{SignedDuration, Timestamp};

use crate::api::v1alpha1::Freeze as Written;
use crate::api::v1alpha1::freeze::{FreezeRunning, FreezeSchedule, FreezeSpec};
use crate::domain::freeze::schedule::Schedule;
use crate::domain::freeze::{Freeze, Period, Periods, Running};
use crate::domain::invalid::{Invalid, InvalidReason};

/// The freeze that an object describes. One whose times are wrong holds as long as they are.
#[must_use]
pub fn freeze(written: &Written) -> Freeze {
    let Written { metadata, spec, .. } = written;
    let unknown = |wrong: Vec<Invalid>| {
        let sentences: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        Periods::Unknown { why: sentences.join("; ") }
    };
    Freeze {
        name: metadata.name.clone().unwrap_or_default(),
        reason: spec.reason.clone(),
        made: metadata.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0),
        environments: spec.environments.clone(),
        projects: spec.projects.clone(),
        periods: periods(spec).unwrap_or_else(unknown),
        running: match spec.running {
            FreezeRunning::Finish => Running::Finish,
            FreezeRunning::Pause => Running::Pause,
        },
    }
}

/// One that exists and does not read as a freeze. Nobody knows what it names, so it holds everything that has not started.
#[must_use]
pub fn unreadable(name: &str, why: &str) -> Freeze {
    Freeze {
        name: name.to_owned(),
        reason: String::new(),
        made: Timestamp::MAX,
        environments: Vec::new(),
        projects: Vec::new(),
        periods: Periods::Unknown {
            why: format!("it cannot be read: {why}; apply it again as this version of Gantry understands it"),
        },
        running: Running::Finish,
    }
}

/// When a freeze holds.
///
/// # Errors
/// Everything that is wrong with its times.
pub fn periods(spec: &FreezeSpec) -> Result<Periods, Vec<Invalid>> {
    let one = |path: &str, reason, message: &str| Err(vec![Invalid::new(path, reason, message)]);
    match (&spec.start, &spec.end, &spec.schedule) {
        (None, None, Some(schedule)) => recurring(schedule).map(|schedule| Periods::Recurring(Box::new(schedule))),
        (Some(start), Some(end), None) if start.0 < end.0 => Ok(Periods::Once(Period { start: start.0, end: end.0 })),
        (Some(_), Some(_), None) => {
            one("spec.end", InvalidReason::Forbidden, "it is not after spec.start: give a later time")
        }
        _ => one("spec.schedule", InvalidReason::Required, "give it alone, or spec.start and spec.end"),
    }
}

fn recurring(written: &FreezeSchedule) -> Result<Schedule, Vec<Invalid>> {
    let path = "spec.schedule";
    // What is no length is none.
    let length = written.duration.parse::<SignedDuration>().unwrap_or(SignedDuration::ZERO);
    Schedule::new((&written.cron, &written.time_zone), length, path)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(spec: &Value) -> Freeze {
        let mut whole = json!({"reason": "nobody is there", "environments": ["production"], "running": "Pause"});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let object =
            json!({"metadata": {"name": "winter", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": whole});
        freeze(&serde_json::from_value(object).unwrap())
    }

    fn why(spec: &Value) -> String {
        match of(spec).periods {
            Periods::Unknown { why } => why,
            known => panic!("{known:?}"),
        }
    }

    #[test]
    fn times_and_schedules_are_understood() {
        let once = of(&json!({"start": "2026-12-20T17:00:00Z", "end": "2027-01-04T08:00:00+01:00"}));
        let (start, end) = ("2026-12-20T17:00:00Z".parse().unwrap(), "2027-01-04T07:00:00Z".parse().unwrap());
        assert_eq!(once.periods, Periods::Once(Period { start, end }));
        assert_eq!(
            (once.name.as_str(), once.running, once.made.as_second()),
            ("winter", Running::Pause, 1_767_225_600)
        );
        let schedule = json!({"cron": "0 18 * * FRI", "timeZone": "Europe/Berlin", "duration": "2h30m"});
        let next = of(&json!({"schedule": schedule})).next("2026-10-12T00:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(format!("{} {}", next.start, next.end), "2026-10-16T16:00:00Z 2026-10-16T18:30:00Z");
    }

    #[test]
    fn whatever_is_wrong_it_holds_and_says_why_by_field() {
        let schedule = |cron: &str, zone: &str, duration: &str| json!({"schedule": {"cron": cron, "timeZone": zone, "duration": duration}});
        let both = json!({"start": "2026-12-20T17:00:00Z", "end": "2026-12-20T17:00:00Z"});
        for (spec, says) in [
            (json!({}), "spec.schedule: give it alone"),
            (json!({"start": "2026-12-20T17:00:00Z"}), "spec.schedule: give it alone"),
            (both, "spec.end: it is not after spec.start"),
            (schedule("0 25 * * *", "UTC", "1h"), "spec.schedule.cron: "),
            (schedule("0 0 * * *", "Europe/Berln", "1h"), "spec.schedule.timeZone: "),
            (schedule("0 0 * * *", "UTC", "soon"), "spec.schedule.duration: "),
            (schedule("0 0 * * *", "UTC", "9999999h"), "spec.schedule.duration: "),
        ] {
            let why = why(&spec);
            assert!(why.starts_with(says), "{why}");
        }
        let several = why(&schedule("x", "y", "z"));
        assert_eq!(several.matches("spec.schedule.").count(), 3, "{several}");
    }

    #[test]
    fn one_that_does_not_read_holds_everything() {
        let broken = unreadable("broken", "spec.reason: not a text");
        assert!(broken.concerns("checkout", "production"));
        assert!(broken.hold(Timestamp::UNIX_EPOCH).is_some());
        assert_eq!(broken.running, Running::Finish);
    }
}
