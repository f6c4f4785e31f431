//! What a load has seen, and the report made of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::canned::Mode;

/// The counts and times of one connection, or of many merged.
#[derive(Default)]
pub(super) struct Tally {
    requests: u64,
    errors: u64,
    first_error: Option<String>,
    latency_ns: Vec<u64>,
    delay_ns: Vec<u64>,
    elapsed: Duration,
}

impl Tally {
    pub(super) fn done(&mut self, latency: Duration) {
        self.requests += 1;
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latency_ns.push(ns);
    }

    pub(super) fn chunk(&mut self, delay_ns: u64) {
        self.delay_ns.push(delay_ns);
    }

    pub(super) fn failed(&mut self, error: &anyhow::Error) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| format!("{error:#}"));
    }

    pub(super) fn merge(&mut self, mut other: Tally) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
        self.latency_ns.append(&mut other.latency_ns);
        self.delay_ns.append(&mut other.delay_ns);
    }

    pub(super) fn lasted(&mut self, elapsed: Duration) {
        self.elapsed = elapsed;
    }

    pub(super) fn report(mut self, mode: Mode, connections: usize, rate_per_s: Option<f64>) -> Report {
        self.latency_ns.sort_unstable();
        self.delay_ns.sort_unstable();
        let seconds = self.elapsed.as_secs_f64();
        Report {
            mode: mode.name().to_owned(),
            connections,
            rate_per_s,
            seconds,
            requests: self.requests,
            errors: self.errors,
            first_error: self.first_error,
            throughput_per_s: self.requests as f64 / seconds.max(f64::EPSILON),
            latency_us: Quantiles::of(&self.latency_ns),
            chunks: self.delay_ns.len(),
            chunk_delay_us: Quantiles::of(&self.delay_ns),
        }
    }
}

/// What `load` prints and `suite` reads.
#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) mode: String,
    pub(crate) connections: usize,
    pub(crate) rate_per_s: Option<f64>,
    pub(crate) seconds: f64,
    /// Answers that were whole and right; the others are errors.
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    pub(crate) throughput_per_s: f64,
    /// From sending, or in the open loop from the time that the request was due, to the last byte.
    pub(crate) latency_us: Quantiles,
    pub(crate) chunks: usize,
    /// From the upstream's write to our read.
    pub(crate) chunk_delay_us: Quantiles,
}

#[derive(Serialize, Deserialize, Default)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

impl Quantiles {
    /// Of sorted nanoseconds, in microseconds; zeros where there are none.
    fn of(sorted_ns: &[u64]) -> Self {
        let at = |share: f64| {
            let rank = (share * sorted_ns.len() as f64).ceil() as usize;
            let ns = sorted_ns.get(rank.saturating_sub(1)).copied();
            ns.unwrap_or(0) as f64 / 1000.0
        };
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let sorted: Vec<u64> = (1..=1000).map(|n| n * 1000).collect();
        let quantiles = Quantiles::of(&sorted);
        assert_eq!(quantiles.p50, 500.0);
        assert_eq!(quantiles.p99, 990.0);
        assert_eq!(quantiles.p999, 999.0);
        assert_eq!(Quantiles::of(&[]).p99, 0.0);
    }
}
