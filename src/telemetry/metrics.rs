//! Prometheus metrics. Labels come from the configuration and from our own tables, never from
//! callers, so the number of series is bounded by what the operator wrote.

use aione_core::domain::usage::{Closed, Opened};
use dashmap::DashMap;
use prometheus::{
    Counter, CounterVec, Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, Opts, Registry, TextEncoder,
};
use std::sync::Arc;

/// Seconds; from a refused connection to a thinking model.
const LATENCY_BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    refusals: IntCounterVec,
    attempt_failures: IntCounterVec,
    tokens: IntCounterVec,
    cost: CounterVec,
    duration: HistogramVec,
    first_byte: HistogramVec,
    unpriced: IntCounter,
    gauges: Gauges,
    models: DashMap<Arc<str>, Arc<ModelMetrics>>,
}

/// Values that are read when somebody looks.
struct Gauges {
    in_flight: IntGauge,
    reservations: IntGauge,
    drains: IntGauge,
    journal_bytes: IntGauge,
    journal_unrecorded: IntGauge,
    journal_oldest_ms: IntGauge,
    journal_alarms: IntGauge,
    access_dropped: IntGauge,
    resting: IntGauge,
    config_reloads_failed: IntGauge,
}

/// What [`Gauges`] are set to at a scrape.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Readings {
    pub(crate) in_flight: u64,
    pub(crate) reservations: u64,
    pub(crate) drains: u64,
    pub(crate) journal_bytes: u64,
    pub(crate) journal_unrecorded: u64,
    pub(crate) journal_oldest_ms: u64,
    pub(crate) journal_alarms: u64,
    pub(crate) access_dropped: u64,
    pub(crate) resting: u64,
    pub(crate) config_problems: u64,
}

/// One model's series, looked up once and kept: a request touches atomics only.
struct ModelMetrics {
    complete: IntCounter,
    input: IntCounter,
    cache_read: IntCounter,
    output: IntCounter,
    reasoning: IntCounter,
    cost: Counter,
    duration: Histogram,
    first_byte: Histogram,
}

const TABLE: &str = "the names and labels of this table are valid and used once";

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new_custom(Some("aione".into()), None).expect(TABLE);
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels).expect(TABLE);
            registry.register(Box::new(metric.clone())).expect(TABLE);
            metric
        };
        let histograms = |name: &str, help: &str| {
            let options = HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS.to_vec());
            let metric = HistogramVec::new(options, &["model"]).expect(TABLE);
            registry.register(Box::new(metric.clone())).expect(TABLE);
            metric
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help).expect(TABLE);
            registry.register(Box::new(metric.clone())).expect(TABLE);
            metric
        };
        let cost = CounterVec::new(
            Opts::new("cost_total", "Priced usage in the billing currency; the ledger is exact, this is not"),
            &["model"],
        )
        .expect(TABLE);
        registry.register(Box::new(cost.clone())).expect(TABLE);
        let unpriced =
            IntCounter::new("unpriced_records_total", "Records with a class that has no rate").expect(TABLE);
        registry.register(Box::new(unpriced.clone())).expect(TABLE);
        Self {
            requests: counters("requests_total", "Exchanges, by how they ended", &["model", "end"]),
            refusals: counters("refusals_total", "Answers of the gateway's own, by code", &["code"]),
            attempt_failures: counters(
                "attempt_failures_total",
                "Attempts that brought no usable answer",
                &["deployment", "reason"],
            ),
            tokens: counters("tokens_total", "Tokens, by disjoint class", &["model", "class"]),
            cost,
            duration: histograms(
                "request_duration_seconds",
                "From the last byte of a request to the last byte of its answer",
            ),
            first_byte: histograms(
                "time_to_first_byte_seconds",
                "From the last byte of a request to the first byte of its answer",
            ),
            unpriced,
            gauges: Gauges {
                in_flight: gauge("requests_in_flight", "Requests being served"),
                reservations: gauge("reservations_open", "Admitted exchanges that are not accounted for yet"),
                drains: gauge("drains_in_flight", "Answers read on after their caller left"),
                journal_bytes: gauge("journal_bytes", "Size of the journal on disk"),
                journal_unrecorded: gauge(
                    "journal_unrecorded_records",
                    "Ended exchanges not yet in the store",
                ),
                journal_oldest_ms: gauge(
                    "journal_oldest_unrecorded_milliseconds",
                    "Age of the oldest of them",
                ),
                journal_alarms: gauge("journal_alarms", "Times the journal was late or failed"),
                access_dropped: gauge("access_log_dropped_lines", "Lines dropped because nobody read them"),
                resting: gauge("deployments_resting", "Deployments in a cool-down"),
                config_reloads_failed: gauge(
                    "config_problems",
                    "Problems of the last reload; 0: it took effect",
                ),
            },
            registry,
            models: DashMap::new(),
        }
    }

    pub(crate) fn refused(&self, code: &'static str) {
        self.refusals.with_label_values(&[code]).inc();
    }

    pub(crate) fn attempt_failed(&self, deployment: &str, reason: &'static str) {
        self.attempt_failures.with_label_values(&[deployment, reason]).inc();
    }

    pub(crate) fn exchange_closed(&self, opened: &Opened, closed: &Closed) {
        let model = self.model(&opened.model);
        if closed.end == aione_core::domain::usage::End::Complete {
            model.complete.inc();
        } else {
            self.requests.with_label_values(&[&opened.model, closed.end.as_str()]).inc();
        }
        let usage = &closed.usage;
        model.input.inc_by(usage.prompt_tokens().saturating_sub(usage.cache_read));
        model.output.inc_by(usage.completion_tokens().saturating_sub(usage.reasoning));
        if usage.cache_read > 0 {
            model.cache_read.inc_by(usage.cache_read);
        }
        if usage.reasoning > 0 {
            model.reasoning.inc_by(usage.reasoning);
        }
        // 10⁻¹² units as a float: for a graph, not for a bill.
        model.cost.inc_by(closed.cost.0.max(0) as f64 / 1e12);
        model.duration.observe(f64::from(closed.latency_ms) / 1e3);
        model.first_byte.observe(f64::from(closed.first_byte_ms) / 1e3);
        if closed.unpriced {
            self.unpriced.inc();
        }
    }

    fn model(&self, name: &Arc<str>) -> Arc<ModelMetrics> {
        if let Some(model) = self.models.get(name) {
            return model.clone();
        }
        let tokens = |class| self.tokens.with_label_values(&[&**name, class]);
        let model = Arc::new(ModelMetrics {
            complete: self.requests.with_label_values(&[&**name, "complete"]),
            input: tokens("input"),
            cache_read: tokens("cache_read"),
            output: tokens("output"),
            reasoning: tokens("reasoning"),
            cost: self.cost.with_label_values(&[name]),
            duration: self.duration.with_label_values(&[name]),
            first_byte: self.first_byte.with_label_values(&[name]),
        });
        self.models.insert(name.clone(), model.clone());
        model
    }

    /// The exposition text.
    pub(crate) fn render(&self, readings: &Readings) -> String {
        let set = |gauge: &IntGauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        let gauges = &self.gauges;
        set(&gauges.in_flight, readings.in_flight);
        set(&gauges.reservations, readings.reservations);
        set(&gauges.drains, readings.drains);
        set(&gauges.journal_bytes, readings.journal_bytes);
        set(&gauges.journal_unrecorded, readings.journal_unrecorded);
        set(&gauges.journal_oldest_ms, readings.journal_oldest_ms);
        set(&gauges.journal_alarms, readings.journal_alarms);
        set(&gauges.access_dropped, readings.access_dropped);
        set(&gauges.resting, readings.resting);
        set(&gauges.config_reloads_failed, readings.config_problems);
        let mut text = Vec::new();
        // Writing to a Vec cannot fail, and every family here has samples or is left out.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}
