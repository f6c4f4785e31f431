//! How an organization stands now: how much of its rates it uses, whether that leaves room, and
//! whether the gateway serves it. Judged by its rollups of the last day.

use crate::domain::{
    clock::Timestamp,
    percent::Percent,
    plan::{Plan, RateLimits},
    rollup::Span,
};
use std::{collections::BTreeMap, sync::Arc};

/// How far back is looked.
pub const RECENT_MS: i64 = 24 * 3_600_000;
/// What happened in the last hour: the quarter that is under way and the three before it.
const SERVICE_MS: i64 = 3 * 900_000;
const MINUTES_PER_QUARTER: u64 = 15;
/// Used at least so much, capacity is tight; or it does not suffice.
const TIGHT: u64 = 70;
const INSUFFICIENT: u64 = 90;
/// Of the last hour's requests so many failed, in percent: service is degraded, or it is out.
const DEGRADED: u64 = 5;
const OUTAGE: u64 = 50;
/// Fewer failures in an hour say nothing: one of two would be an outage.
const FAULTS_MIN: u64 = 3;

/// One model's requests in one quarter of an hour.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recent {
    pub start: Timestamp,
    /// The resolved public model name.
    pub model: Arc<str>,
    pub requests: u64,
    /// Of them, those that [failed](crate::domain::usage::Closed::is_fault).
    pub faults: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Capacity {
    Sufficient,
    Tight,
    Insufficient,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    Normal,
    Degraded,
    Outage,
}

/// The share of its requests per minute that an organization used in the busiest quarter of an hour
/// of the last day: the largest over its own limit, which counts all models, and the plan's limit of
/// each model. Zero where nothing limits it. A quarter is averaged over its fifteen minutes: a burst
/// within it is not seen.
#[must_use]
pub fn rpm_usage(recent: &[Recent], own: &RateLimits, plan: Option<&Plan>) -> Percent {
    let mut by_start: BTreeMap<Timestamp, u64> = BTreeMap::new();
    for part in recent {
        let requests = by_start.entry(part.start).or_default();
        *requests = requests.saturating_add(part.requests);
    }
    let of_all = by_start.values().map(|requests| share(*requests, own.rpm));
    let of_each = recent.iter().map(|part| {
        let limit = plan.and_then(|plan| plan.limits_for(&part.model).rpm);
        share(part.requests, limit)
    });
    of_all.chain(of_each).max().unwrap_or_default()
}

/// A limit of zero admits nothing, so that nothing can be a share of it.
fn share(requests: u64, rpm: Option<u64>) -> Percent {
    rpm.map_or(Percent::ZERO, |rpm| Percent::of(requests, rpm.saturating_mul(MINUTES_PER_QUARTER)))
}

/// Below 70 % of the [requests per minute](rpm_usage) there is room enough; from 90 % on a burst is
/// likely to be refused.
#[must_use]
pub fn capacity(rpm_usage: Percent) -> Capacity {
    if rpm_usage >= Percent::whole(INSUFFICIENT) {
        return Capacity::Insufficient;
    }
    if rpm_usage >= Percent::whole(TIGHT) { Capacity::Tight } else { Capacity::Sufficient }
}

/// By the last hour's requests: an outage where half of them failed, degraded from 5 % on, and
/// normal where fewer than three did. Without traffic nothing is known to be wrong.
#[must_use]
pub fn service(recent: &[Recent], now: Timestamp) -> Service {
    let since = Span::Quarter.start_of(now).plus_ms(-SERVICE_MS);
    let (mut requests, mut faults) = (0_u64, 0_u64);
    for part in recent.iter().filter(|part| part.start >= since) {
        requests = requests.saturating_add(part.requests);
        faults = faults.saturating_add(part.faults);
    }
    let share = Percent::of(faults, requests);
    if faults < FAULTS_MIN || share < Percent::whole(DEGRADED) {
        return Service::Normal;
    }
    if share >= Percent::whole(OUTAGE) { Service::Outage } else { Service::Degraded }
}

impl Capacity {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sufficient => "sufficient",
            Self::Tight => "tight",
            Self::Insufficient => "insufficient",
        }
    }
}

impl Service {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Degraded => "degraded",
            Self::Outage => "outage",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T14:07:00Z.
    const NOW: Timestamp = Timestamp(1_795_442_820_000);

    /// `quarter` quarters before the one that is under way.
    fn part(quarter: i64, model: &str, requests: u64, faults: u64) -> Recent {
        let start = Span::Quarter.start_of(NOW).plus_ms(-900_000 * quarter);
        Recent { start, model: Arc::from(model), requests, faults }
    }

    fn plan(limits: &[(&str, u64)]) -> Plan {
        Plan {
            code: Arc::from("standard"),
            name: String::new(),
            models: Vec::new(),
            rpm_limits: limits.iter().map(|(model, rpm)| ((*model).to_owned(), *rpm)).collect(),
            tpm_limits: BTreeMap::new(),
            rpd_limits: BTreeMap::new(),
            concurrency_limits: BTreeMap::new(),
            prices: Arc::default(),
            own_prices: BTreeMap::new(),
            monthly_fee: "0".to_owned(),
            sandbox_included: false,
            sla_tier: String::new(),
        }
    }

    fn own(rpm: Option<u64>) -> RateLimits {
        RateLimits { rpm, ..RateLimits::default() }
    }

    #[test]
    fn the_rate_is_that_of_the_busiest_quarter_under_the_closest_limit() {
        // 30 and 60 in one quarter, 75 in another: 6 a minute of all, 5 of `b` at the most.
        let recent = [part(0, "a", 30, 0), part(0, "b", 60, 0), part(9, "b", 75, 0)];
        for (own_rpm, limits, expect) in [
            (None, &[][..], "0"),
            (Some(60), &[], "10"),
            (Some(60), &[("b", 20)], "25"),
            (Some(6), &[("*", 600)], "100"),
            (None, &[("*", 8)], "62.5"),
            (None, &[("*", 8), ("b", 80)], "25"),
            (Some(0), &[("*", 0)], "0"),
        ] {
            let used = rpm_usage(&recent, &own(own_rpm), Some(&plan(limits)));
            assert_eq!(used.to_string(), expect, "{own_rpm:?} {limits:?}");
        }
        assert_eq!(rpm_usage(&recent, &own(Some(60)), None).to_string(), "10");
        assert_eq!(rpm_usage(&[], &own(Some(60)), None), Percent::ZERO);
    }

    #[test]
    fn capacity_goes_by_the_rate() {
        for (hundredths, expect) in [
            (0, Capacity::Sufficient),
            (6_999, Capacity::Sufficient),
            (7_000, Capacity::Tight),
            (8_999, Capacity::Tight),
            (9_000, Capacity::Insufficient),
            (25_000, Capacity::Insufficient),
        ] {
            assert_eq!(capacity(Percent(hundredths)), expect, "{hundredths}");
        }
    }

    #[test]
    fn service_goes_by_the_failures_of_the_last_hour() {
        for (parts, expect) in [
            (&[][..], Service::Normal),
            (&[part(0, "a", 2, 2)], Service::Normal),
            (&[part(0, "a", 3, 3)], Service::Outage),
            (&[part(3, "a", 100, 49), part(0, "b", 2, 2)], Service::Outage),
            (&[part(3, "a", 100, 49)], Service::Degraded),
            (&[part(1, "a", 100, 5)], Service::Degraded),
            (&[part(1, "a", 100, 4)], Service::Normal),
            (&[part(4, "a", 100, 100), part(3, "a", 1, 0)], Service::Normal),
        ] {
            assert_eq!(service(parts, NOW), expect, "{parts:?}");
        }
    }
}
