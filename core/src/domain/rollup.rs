//! Records added up: what many of one span of time, team, key, model and provider come to.
//!
//! A span is a quarter of an hour or a block of four hours, both counted from 1970 UTC. Every
//! offset from UTC that is in use is a multiple of a quarter of an hour, and every change of one
//! falls on a quarter: local hours and days are whole quarters in any zone, whatever zone an organization moves
//! to later, where a UTC hour would lie across two local ones in Kathmandu or Adelaide. Blocks are
//! there for speed: of a day they stand for at least eighty of its ninety-six quarters.

use crate::domain::{
    clock::Timestamp,
    histogram::Histogram,
    money::Pico,
    usage::{Closed, End, Usage},
};

/// How long a rollup is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Span {
    /// A quarter of an hour.
    Quarter,
    /// Four hours.
    Block,
}

impl Span {
    pub const ALL: [Self; 2] = [Self::Quarter, Self::Block];

    #[must_use]
    pub fn millis(self) -> i64 {
        match self {
            Self::Quarter => 900_000,
            Self::Block => 14_400_000,
        }
    }

    /// Where the span begins in which `at` falls.
    #[must_use]
    pub fn start_of(self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.saturating_sub(at.0.rem_euclid(self.millis())))
    }
}

/// What some records come to. Counts end at the largest number there is; any order and any
/// grouping of additions comes to the same.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rollup {
    pub requests: u64,
    /// Of them, those whose cost is not known and not in `cost`.
    pub unpriced: u64,
    /// Of them, those that [failed](Closed::is_fault).
    pub faults: u64,
    pub usage: Usage,
    pub cost: Pico,
    /// The sum over those in `latencies`.
    pub latency_ms: u64,
    /// Of every request whose end was seen: of an interrupted one nobody knows.
    pub latencies: Histogram,
}

impl Rollup {
    pub fn add(&mut self, closed: &Closed) {
        self.requests = self.requests.saturating_add(1);
        self.unpriced = self.unpriced.saturating_add(closed.unpriced.into());
        self.faults = self.faults.saturating_add(closed.is_fault().into());
        self.usage = self.usage.plus(&closed.usage);
        self.cost = self.cost + closed.cost;
        if closed.end != End::Interrupted {
            self.latency_ms = self.latency_ms.saturating_add(closed.latency_ms.into());
            self.latencies.record(closed.latency_ms);
        }
    }

    /// One of those without a price costs this, as it has turned out.
    pub fn price(&mut self, cost: Pico) {
        self.unpriced = self.unpriced.saturating_sub(1);
        self.cost = self.cost + cost;
    }

    pub fn merge(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.unpriced = self.unpriced.saturating_add(other.unpriced);
        self.faults = self.faults.saturating_add(other.faults);
        self.usage = self.usage.plus(&other.usage);
        self.cost = self.cost + other.cost;
        self.latency_ms = self.latency_ms.saturating_add(other.latency_ms);
        self.latencies.merge(&other.latencies);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Offset as _, TimeZone as _};

    /// What the choice of a quarter of an hour rests on. (Before, Casey changed at a minute past
    /// midnight once.)
    #[test]
    fn every_zones_offset_and_change_of_it_falls_on_a_quarter_of_an_hour() {
        let quarter = Span::Quarter.millis();
        let from = Timestamp::start_of("2024-01-01".parse().expect("a date"), chrono_tz::UTC);
        let until = Timestamp::start_of("2038-01-01".parse().expect("a date"), chrono_tz::UTC);
        for zone in chrono_tz::TZ_VARIANTS {
            let shift = |at: i64| {
                let offset = zone.offset_from_utc_datetime(&Timestamp(at).to_datetime().naive_utc());
                i64::from(offset.fix().local_minus_utc()) * 1_000
            };
            let mut at = from.0;
            while at < until.0 {
                assert_eq!(shift(at) % quarter, 0, "{zone}");
                let next = at + 16 * quarter;
                if shift(next - 1) != shift(at) {
                    let same = |start: i64| shift(start) == shift(start + quarter - 1);
                    assert!((at..next).step_by(900_000).all(same), "{zone} {at}");
                }
                at = next;
            }
        }
    }

    #[test]
    fn a_span_begins_at_or_before_what_falls_into_it() {
        for span in Span::ALL {
            for at in [0, 1, -1, span.millis() - 1, span.millis(), i64::from(i32::MAX) * 1_000] {
                let start = span.start_of(Timestamp(at)).0;
                assert!(start <= at && at < start + span.millis() && start % span.millis() == 0, "{at}");
            }
        }
        assert_eq!(Span::Block.millis() % Span::Quarter.millis(), 0);
    }
}
