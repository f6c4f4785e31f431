//! Time as the domain sees it: a wall-clock instant, and a steady one that never goes back.

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeZone, Utc};
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01 UTC. For records, prices, expiry: what people read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// RFC 3339, UTC, milliseconds, `Z`: the management API's only time format.
    #[must_use]
    pub fn rfc3339(self) -> String {
        self.to_datetime().to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    #[must_use]
    pub fn to_datetime(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// The calendar day on which this instant falls in `zone`.
    #[must_use]
    pub fn date_in(self, zone: chrono_tz::Tz) -> NaiveDate {
        zone.from_utc_datetime(&self.to_datetime().naive_utc()).date_naive()
    }

    /// The first instant of `date` in `zone`; where a change of offset skips midnight, or the whole
    /// day (Apia left out 2011-12-30), the first instant after it that exists.
    #[must_use]
    pub fn start_of(date: NaiveDate, zone: chrono_tz::Tz) -> Self {
        let midnight = date.and_time(chrono::NaiveTime::MIN);
        (0..=48)
            .filter_map(|half_hours| {
                let candidate = midnight + chrono::TimeDelta::minutes(30 * half_hours);
                zone.from_local_datetime(&candidate).earliest()
            })
            .next()
            .map_or(Self(midnight.and_utc().timestamp_millis()), |start| Self(start.timestamp_millis()))
    }

    #[must_use]
    pub fn plus_ms(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

/// Nanoseconds on the process's monotonic clock. For windows, timeouts and latencies;
/// meaningless in another process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Steady(pub u64);

impl Steady {
    /// Nanoseconds since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub fn since_ns(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Milliseconds since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub fn since_ms(self, earlier: Self) -> u64 {
        self.since_ns(earlier) / 1_000_000
    }
}
