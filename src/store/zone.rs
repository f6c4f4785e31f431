//! A range of local days as stretches of one offset from UTC, so that SQL finds a record's local
//! day and hour by adding a number.

use aione_core::domain::clock::Timestamp;
use chrono::{NaiveDate, Offset as _, TimeZone as _};
use chrono_tz::Tz;

const HOUR_MS: i64 = 3_600_000;
/// Offsets change less often than this.
const STEP_MS: i64 = 24 * HOUR_MS;
/// Ranges are cut to these years: they bound the stretches, and no record lies outside.
const YEARS: std::ops::RangeInclusive<i32> = 1971..=2199;

/// From `start` until before `end`, local time is UTC plus `shift_ms`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stretch {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) shift_ms: i64,
}

/// The days from `first` to `last`, both included, in `zone`; empty when `last` is earlier.
pub(super) fn stretches(first: NaiveDate, last: NaiveDate, zone: Tz) -> Vec<Stretch> {
    let earliest = NaiveDate::from_ymd_opt(*YEARS.start(), 1, 1).expect("a date");
    let latest = NaiveDate::from_ymd_opt(*YEARS.end(), 12, 31).expect("a date");
    let (first, last) = (first.max(earliest), last.min(latest));
    let mut start = Timestamp::start_of(first, zone);
    let end = Timestamp::start_of(last.succ_opt().expect("a date below the year 2200"), zone);
    let mut stretches = Vec::new();
    while start < end {
        let shift_ms = shift(start, zone);
        let until = next_change(start, end, zone);
        stretches.push(Stretch { start, end: until, shift_ms });
        start = until;
    }
    stretches
}

/// Local day number since 1970-01-01 as a date.
pub(super) fn day_label(day: i64) -> String {
    local(day.saturating_mul(24)).format("%Y-%m-%d").to_string()
}

/// Local hour number since 1970-01-01T00 as `2026-11-23T14`.
pub(super) fn hour_label(hour: i64) -> String {
    local(hour).format("%Y-%m-%dT%H").to_string()
}

fn local(hour: i64) -> chrono::NaiveDateTime {
    Timestamp(hour.saturating_mul(HOUR_MS)).to_datetime().naive_utc()
}

/// The first instant after `start` with another offset than `start`'s, at most `end`.
fn next_change(start: Timestamp, end: Timestamp, zone: Tz) -> Timestamp {
    let here = shift(start, zone);
    let mut same = start;
    while same < end {
        let ahead = same.plus_ms(STEP_MS).min(end);
        if shift(ahead, zone) != here {
            return bisect(same, ahead, |at| shift(at, zone) == here);
        }
        same = ahead;
    }
    end
}

/// The first instant that does not hold, between one that does and one that does not.
fn bisect(mut holds: Timestamp, mut fails: Timestamp, held: impl Fn(Timestamp) -> bool) -> Timestamp {
    while fails.0 - holds.0 > 1 {
        let middle = Timestamp(holds.0 + (fails.0 - holds.0) / 2);
        if held(middle) {
            holds = middle;
        } else {
            fails = middle;
        }
    }
    fails
}

fn shift(at: Timestamp, zone: Tz) -> i64 {
    let offset = zone.offset_from_utc_datetime(&at.to_datetime().naive_utc()).fix();
    i64::from(offset.local_minus_utc()) * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::{America, Asia, Australia, Europe, Pacific, UTC};

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
    }

    fn check(zone: Tz, first: &str, last: &str, expect: &[(&str, &str, i64)]) {
        let found = stretches(date(first), date(last), zone);
        let expect: Vec<_> = expect
            .iter()
            .map(|(start, end, minutes)| Stretch {
                start: at(start),
                end: at(end),
                shift_ms: minutes * 60_000,
            })
            .collect();
        assert_eq!(found, expect, "{zone} {first} {last}");
    }

    #[test]
    fn days_of_every_length_have_their_true_bounds() {
        check(UTC, "2026-11-23", "2026-11-23", &[("2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z", 0)]);
        check(
            Europe::Berlin,
            "2026-03-29",
            "2026-03-29",
            &[
                ("2026-03-28T23:00:00Z", "2026-03-29T01:00:00Z", 60),
                ("2026-03-29T01:00:00Z", "2026-03-29T22:00:00Z", 120),
            ],
        );
        check(
            Europe::Berlin,
            "2026-10-25",
            "2026-10-25",
            &[
                ("2026-10-24T22:00:00Z", "2026-10-25T01:00:00Z", 120),
                ("2026-10-25T01:00:00Z", "2026-10-25T23:00:00Z", 60),
            ],
        );
        check(
            Asia::Kolkata,
            "2026-11-23",
            "2026-11-24",
            &[("2026-11-22T18:30:00Z", "2026-11-24T18:30:00Z", 330)],
        );
        check(
            Asia::Kathmandu,
            "2026-11-23",
            "2026-11-23",
            &[("2026-11-22T18:15:00Z", "2026-11-23T18:15:00Z", 345)],
        );
        // Half an hour of summer time.
        check(
            Australia::Lord_Howe,
            "2026-04-05",
            "2026-04-05",
            &[
                ("2026-04-04T13:00:00Z", "2026-04-04T15:00:00Z", 660),
                ("2026-04-04T15:00:00Z", "2026-04-05T13:30:00Z", 630),
            ],
        );
        // Summer time begins at midnight: the day begins at one o'clock.
        check(
            America::Havana,
            "2026-03-08",
            "2026-03-08",
            &[("2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z", -240)],
        );
    }

    #[test]
    fn a_day_that_a_zone_left_out_is_empty() {
        assert_eq!(stretches(date("2011-12-30"), date("2011-12-30"), Pacific::Apia), []);
        assert_eq!(stretches(date("2026-01-02"), date("2026-01-01"), UTC), []);
    }

    #[test]
    fn any_range_is_bounded() {
        let all = stretches(NaiveDate::MIN, NaiveDate::MAX, Europe::Berlin);
        assert!(all.len() < 500, "{}", all.len());
        assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
    }

    #[test]
    fn labels_are_local() {
        assert_eq!(day_label(0), "1970-01-01");
        assert_eq!(day_label(20_780), "2026-11-23");
        assert_eq!(hour_label(20_780 * 24 + 14), "2026-11-23T14");
    }
}
