use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

fn schedule(cron: &str, zone: &str, length: SignedDuration) -> Schedule {
    Schedule::new((cron, zone), length, "spec.schedule").unwrap()
}

/// The first periods after a time.
fn periods(schedule: &Schedule, after: &str, many: usize) -> Vec<String> {
    let mut after = at(after);
    let next = || {
        let period = schedule.next(after)?;
        after = period.start;
        Some(format!("{} {}", period.start, period.end))
    };
    std::iter::from_fn(next).take(many).collect()
}

#[test]
fn weekends_begin_by_the_clock_of_the_zone_and_are_equally_long() {
    let weekend = schedule("0 18 * * FRI", "Europe/Berlin", hours(62));
    // Summer, the weekend on which clocks are put back, winter.
    let expected = [
        "2026-10-16T16:00:00Z 2026-10-19T06:00:00Z",
        "2026-10-23T16:00:00Z 2026-10-26T06:00:00Z",
        "2026-10-30T17:00:00Z 2026-11-02T07:00:00Z",
    ];
    assert_eq!(periods(&weekend, "2026-10-12T00:00:00Z", 3), expected);
    assert_eq!(weekend.at(at("2026-10-23T15:59:59.999Z")), None);
    for inside in ["2026-10-23T16:00:00Z", "2026-10-24T12:00:00Z", "2026-10-26T05:59:59.999Z"] {
        let period = weekend.at(at(inside)).unwrap();
        assert_eq!(format!("{} {}", period.start, period.end), expected[1]);
    }
    assert_eq!(weekend.at(at("2026-10-26T06:00:00Z")), None);
    assert_eq!(periods(&weekend, "2026-10-24T12:00:00Z", 1), [expected[2]], "the next is not the one that is on");
}

#[test]
fn what_would_begin_in_an_hour_that_is_left_out_begins_at_its_end() {
    for (cron, zone, after, expected) in [
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]),
        ("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]),
        ("30 2 * * *", "Australia/Sydney", "2026-10-03T01:00:00Z", ["2026-10-03T16:00:00Z", "2026-10-04T15:30:00Z"]),
        // Half an hour is left out.
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T01:00:00Z", ["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"]),
        // Midnight is left out.
        ("0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", ["2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"]),
    ] {
        let minutes = schedule(cron, zone, SignedDuration::from_mins(10));
        let starts: Vec<_> = periods(&minutes, after, 2).iter().map(|period| period[..20].to_owned()).collect();
        assert_eq!(starts, expected, "{cron} {zone}");
    }
}

#[test]
fn of_an_hour_that_comes_twice_a_fixed_time_counts_once_and_what_is_hourly_twice() {
    for (cron, zone, after, expected) in [
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
        ("30 2 * * *", "Australia/Sydney", "2026-04-04T01:00:00Z", ["2026-04-04T15:30:00Z", "2026-04-05T16:30:00Z"]),
        ("30 23 * * *", "America/Santiago", "2026-04-04T12:00:00Z", ["2026-04-05T02:30:00Z", "2026-04-06T03:30:00Z"]),
        ("30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]),
        ("30 * * * *", "Australia/Sydney", "2026-04-04T15:00:00Z", ["2026-04-04T15:30:00Z", "2026-04-04T16:30:00Z"]),
    ] {
        let minutes = schedule(cron, zone, SignedDuration::from_mins(10));
        let starts: Vec<_> = periods(&minutes, after, 2).iter().map(|period| period[..20].to_owned()).collect();
        assert_eq!(starts, expected, "{cron} {zone}");
    }
}

#[test]
fn periods_that_touch_or_overlap_are_one_and_those_that_never_stop_are_told_piece_by_piece() {
    let weekend = schedule("0 0 * * SAT,SUN", "UTC", hours(24));
    assert_eq!(periods(&weekend, "2026-01-01T00:00:00Z", 1), ["2026-01-03T00:00:00Z 2026-01-05T00:00:00Z"]);
    let sunday = weekend.at(at("2026-01-04T12:00:00Z")).unwrap();
    assert_eq!(sunday.end, at("2026-01-05T00:00:00Z"));
    assert_eq!(weekend.next(at("2026-01-03T12:00:00Z")).unwrap().start, at("2026-01-10T00:00:00Z"));
    let always = schedule("0 * * * *", "UTC", hours(2));
    let piece = always.at(at("2026-01-04T12:30:00Z")).unwrap();
    assert_eq!(piece.end, at("2026-01-04T11:00:00Z") + hours(102));
    assert!(always.at(piece.end).is_some());
}

#[test]
fn a_leap_day_is_waited_for_and_calendars_end() {
    let leap = schedule("0 0 29 2 *", "UTC", hours(24));
    assert_eq!(periods(&leap, "2026-01-01T00:00:00Z", 1), ["2028-02-29T00:00:00Z 2028-03-01T00:00:00Z"]);
    assert_eq!(leap.next(Timestamp::MAX), None);
    assert_eq!(leap.at(Timestamp::MIN), None);
}

#[test]
fn what_is_wrong_is_said_by_field_and_all_of_it() {
    let says = |cron: &str, zone: &str, length: SignedDuration| -> Vec<String> {
        Schedule::new((cron, zone), length, "spec.schedule").unwrap_err().iter().map(ToString::to_string).collect()
    };
    for cron in ["", "61 * * * *", "* * * *", "0 0 0 * * *", "0 0 * * * 2030", "0 18 * * FRY", "@never"] {
        let said = says(cron, "UTC", hours(1));
        assert!(said[0].starts_with(&format!("spec.schedule.cron: {cron:?} is no cron expression")), "{said:?}");
        assert!(said[0].ends_with("such as 0 18 * * FRI"), "{said:?}");
    }
    assert!(says("0 0 30 2 *", "UTC", hours(1))[0].contains("names a day that never comes"));
    let said = says("x", "Europe/Berln", SignedDuration::ZERO);
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[1].starts_with("spec.schedule.timeZone: \"Europe/Berln\" is no time zone"), "{said:?}");
    for length in [SignedDuration::ZERO, hours(-1), LONGEST + SignedDuration::from_secs(1)] {
        assert!(says("0 0 * * *", "UTC", length)[0].starts_with("spec.schedule.duration: a period lasts"));
    }
}
