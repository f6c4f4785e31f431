//! The fees of plans, by the days of a month on which an organization was on each.

use crate::domain::{
    clock::Timestamp,
    invoice::{Fee, Month},
    money::Pico,
};
use chrono_tz::Tz;
use std::sync::Arc;

/// Which plans an organization was on, and what they were.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PlanHistory {
    /// From when on it was on which plan; the oldest first.
    pub assignments: Vec<(Timestamp, Arc<str>)>,
    /// Of those plans; of each the oldest first.
    pub versions: Vec<PlanVersion>,
}

/// What a plan was, from an instant on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanVersion {
    pub code: Arc<str>,
    pub from: Timestamp,
    pub name: String,
    pub monthly_fee: Pico,
}

impl PlanHistory {
    /// The fees of a month in `zone`: a day is paid for by the plan that it ended under, as that plan was
    /// then. Days before the first plan are paid for by none, and a plan without a fee has no line.
    #[must_use]
    pub fn fees(&self, month: Month, zone: Tz) -> Vec<Fee> {
        let [first, next] = month.days();
        let days: Vec<_> = first.iter_days().take_while(|day| *day < next).collect();
        let month_days = u32::try_from(days.len()).expect("a month is short");
        let mut fees: Vec<Fee> = Vec::new();
        for day in days {
            let end = Timestamp::start_of(day.succ_opt().unwrap_or(day), zone).plus_ms(-1);
            let Some(version) = self.version_at(end).filter(|version| version.monthly_fee != Pico::ZERO)
            else {
                continue;
            };
            let is_same = |fee: &&mut Fee| fee.plan == version.code && fee.monthly == version.monthly_fee;
            match fees.iter_mut().find(is_same) {
                Some(fee) => fee.days += 1,
                None => fees.push(Fee {
                    month,
                    plan: version.code.clone(),
                    name: version.name.clone(),
                    monthly: version.monthly_fee,
                    days: 1,
                    month_days,
                }),
            }
        }
        fees
    }

    /// The code of the plan that was in force at `at`.
    #[must_use]
    pub fn plan_at(&self, at: Timestamp) -> Option<&Arc<str>> {
        self.assignments.iter().rev().find(|(from, _)| *from <= at).map(|(_, plan)| plan)
    }

    fn version_at(&self, at: Timestamp) -> Option<&PlanVersion> {
        let plan = self.plan_at(at)?;
        let mut versions = self.versions.iter().filter(|version| version.code == *plan);
        let first = versions.clone().next();
        // One that was there before its first version was kept was as that one is.
        versions.rfind(|version| version.from <= at).or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: &str) -> Timestamp {
        Timestamp::start_of(day.parse().expect("a date"), chrono_tz::Asia::Shanghai)
    }

    fn history(assignments: &[(&str, &str)], versions: &[(&str, &str, i128)]) -> PlanHistory {
        PlanHistory {
            assignments: assignments.iter().map(|(from, plan)| (at(from), Arc::from(*plan))).collect(),
            versions: versions
                .iter()
                .map(|(code, from, fee)| PlanVersion {
                    code: Arc::from(*code),
                    from: at(from),
                    name: (*code).to_owned(),
                    monthly_fee: Pico(*fee),
                })
                .collect(),
        }
    }

    fn fees(history: &PlanHistory) -> Vec<(String, i128, u32)> {
        let month = "2026-11".parse().expect("a month");
        let fees = history.fees(month, chrono_tz::Asia::Shanghai);
        assert!(fees.iter().all(|fee| fee.month_days == 30));
        fees.into_iter().map(|fee| (fee.plan.to_string(), fee.monthly.0, fee.days)).collect()
    }

    #[test]
    fn a_month_is_paid_for_day_by_day() {
        let versions = [("a", "2026-01-01", 30), ("b", "2026-01-01", 60), ("free", "2026-01-01", 0)];
        let whole = history(&[("2026-02-01", "a")], &versions);
        assert_eq!(fees(&whole), [("a".to_owned(), 30, 30)]);
        let changed = history(&[("2026-02-01", "a"), ("2026-11-11", "b"), ("2026-11-21", "free")], &versions);
        assert_eq!(fees(&changed), [("a".to_owned(), 30, 10), ("b".to_owned(), 60, 10)]);
        let back = history(&[("2026-02-01", "a"), ("2026-11-11", "b"), ("2026-11-12", "a")], &versions);
        assert_eq!(fees(&back), [("a".to_owned(), 30, 29), ("b".to_owned(), 60, 1)]);
        let new = history(&[("2026-11-30", "a")], &versions);
        assert_eq!(fees(&new), [("a".to_owned(), 30, 1)]);
        assert_eq!(fees(&history(&[("2026-12-01", "a")], &versions)), []);
    }

    #[test]
    fn a_fee_that_changes_is_paid_as_it_was_on_each_day() {
        let versions = [("a", "2026-01-01", 30), ("a", "2026-11-16", 45)];
        let changed = history(&[("2026-02-01", "a")], &versions);
        assert_eq!(fees(&changed), [("a".to_owned(), 30, 15), ("a".to_owned(), 45, 15)]);
        let later = history(&[("2026-02-01", "a")], &[("a", "2026-12-05", 7)]);
        assert_eq!(fees(&later), [("a".to_owned(), 7, 30)], "what it was before nobody kept");
    }
}
