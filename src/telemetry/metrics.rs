//! Prometheus metrics. Labels come from the configuration and from our own tables, never from
//! callers, so the number of series is bounded by what the operator wrote.

use crate::store::redis::Stats;
use aione_core::domain::usage::{Closed, End, Opened, Usage};
use dashmap::DashMap;
use parking_lot::Mutex;
use prometheus::{
    Counter, CounterVec, Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, Opts, Registry, TextEncoder,
};
use std::{sync::Arc, time::Duration};

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
    flagged: IntCounter,
    gauges: Gauges,
    /// Locked while they are brought up to date: two scrapes at once must not both add.
    totals: Mutex<Totals>,
    models: DashMap<Arc<str>, Arc<ModelMetrics>>,
}

/// A label's value, and its part of a usage.
type Class = (&'static str, fn(&Usage) -> u64);
/// The token classes of [`Usage`]: disjoint, so that their sum is what was used.
const CLASSES: [Class; 8] = [
    ("input", |usage| usage.input),
    ("cache_read", |usage| usage.cache_read),
    ("cache_write_5m", |usage| usage.cache_write_5m),
    ("cache_write_1h", |usage| usage.cache_write_1h),
    ("audio_in", |usage| usage.audio_in),
    ("output", |usage| usage.output),
    ("reasoning", |usage| usage.reasoning),
    ("audio_out", |usage| usage.audio_out),
];
/// Those that a model's series begin with; another one appears when it first occurs.
const USUAL_CLASSES: [&str; 2] = ["input", "output"];

/// Values that are read when somebody looks.
struct Gauges {
    in_flight: IntGauge,
    reservations: IntGauge,
    drains: IntGauge,
    journal_bytes: IntGauge,
    journal_unrecorded: IntGauge,
    journal_oldest: Gauge,
    resting: IntGauge,
    config_problems: IntGauge,
    last_reload_refused: IntGauge,
    redis_away: IntGauge,
    nodes: IntGauge,
}

/// Counts that somebody else keeps; they only rise.
struct Totals {
    journal_alarms: IntCounter,
    access_dropped: IntCounter,
    reloads_accepted: IntCounter,
    reloads_refused: IntCounter,
    by_redis: IntCounter,
    by_local_share: IntCounter,
    by_open: IntCounter,
    by_closed: IntCounter,
    redis_losses: IntCounter,
    redis_dropped: IntCounter,
}

/// What [`Gauges`] and [`Totals`] are set to at a scrape.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Readings {
    pub(crate) in_flight: u64,
    pub(crate) reservations: u64,
    pub(crate) drains: u64,
    pub(crate) journal_bytes: u64,
    pub(crate) journal_unrecorded: u64,
    pub(crate) journal_oldest: Duration,
    pub(crate) journal_alarms: u64,
    pub(crate) access_dropped: u64,
    pub(crate) resting: u64,
    pub(crate) reloads_accepted: u64,
    pub(crate) reloads_refused: u64,
    pub(crate) config_problems: u64,
    /// Where limits are shared.
    pub(crate) shared: Option<Stats>,
}

/// One model's series, looked up once and kept: a request touches atomics only.
struct ModelMetrics {
    complete: IntCounter,
    /// Of [`USUAL_CLASSES`].
    usual_tokens: [IntCounter; 2],
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
        let counter = |name: &str, help: &str| {
            let metric = IntCounter::new(name, help).expect(TABLE);
            registry.register(Box::new(metric.clone())).expect(TABLE);
            metric
        };
        let unpriced = counter("unpriced_records_total", "Records with a class that has no rate");
        let flagged = counter(
            "flagged_records_total",
            "Records whose usage was missing, contradicted itself or was out of bounds",
        );
        let reloads =
            counters("config_reloads_total", "Readings of the configuration, by outcome", &["outcome"]);
        let decisions =
            counters("limit_decisions_total", "Decisions on shared limits, by where they were made", &["by"]);
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
            flagged,
            gauges: Gauges {
                in_flight: gauge("requests_in_flight", "Requests being served"),
                reservations: gauge("reservations_open", "Admitted exchanges that are not accounted for yet"),
                drains: gauge("drains_in_flight", "Answers read on after their caller left"),
                journal_bytes: gauge("journal_bytes", "Size of the journal on disk"),
                journal_unrecorded: gauge(
                    "journal_unrecorded_records",
                    "Ended exchanges not yet in the store",
                ),
                journal_oldest: {
                    let name = "journal_oldest_unrecorded_seconds";
                    let metric = Gauge::new(name, "Age of the oldest of them").expect(TABLE);
                    registry.register(Box::new(metric.clone())).expect(TABLE);
                    metric
                },
                resting: gauge("deployments_resting", "Deployments in a cool-down"),
                config_problems: gauge("config_problems", "Problems of the last reload; 0: it took effect"),
                last_reload_refused: gauge(
                    "config_last_reload_refused",
                    "1: the last reload was refused, and the configuration before it runs",
                ),
                redis_away: gauge("redis_away", "1: Redis is not asked, and `limits.on_redis_loss` holds"),
                nodes: gauge("nodes", "Nodes that share the limits, as last counted"),
            },
            totals: Mutex::new(Totals {
                journal_alarms: counter("journal_alarms_total", "Times the journal was late or failed"),
                access_dropped: counter(
                    "access_log_dropped_lines_total",
                    "Lines dropped because nobody read them",
                ),
                reloads_accepted: reloads.with_label_values(&["accepted"]),
                reloads_refused: reloads.with_label_values(&["refused"]),
                by_redis: decisions.with_label_values(&["redis"]),
                by_local_share: decisions.with_label_values(&["local_share"]),
                by_open: decisions.with_label_values(&["open"]),
                by_closed: decisions.with_label_values(&["closed"]),
                redis_losses: counter("redis_losses_total", "Times that Redis was given up until its return"),
                redis_dropped: counter(
                    "redis_dropped_ends_total",
                    "Ends of exchanges that Redis was not told; their leases run out",
                ),
            }),
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
        if closed.end == End::Complete {
            model.complete.inc();
        } else {
            self.requests.with_label_values(&[&opened.model, closed.end.as_str()]).inc();
        }
        self.count_tokens(&opened.model, &model, &closed.usage);
        // 10⁻¹² units as a float: for a graph, not for a bill.
        model.cost.inc_by(closed.cost.0.max(0) as f64 / 1e12);
        model.duration.observe(f64::from(closed.latency_ms) / 1e3);
        // 0: there was none, but for an answer that was whole within the millisecond.
        if closed.first_byte_ms > 0 || closed.end == End::Complete {
            model.first_byte.observe(f64::from(closed.first_byte_ms) / 1e3);
        }
        if closed.unpriced {
            self.unpriced.inc();
        }
        if closed.flagged {
            self.flagged.inc();
        }
    }

    fn count_tokens(&self, name: &str, model: &ModelMetrics, usage: &Usage) {
        for (class, count) in CLASSES {
            let count = count(usage);
            let usual = USUAL_CLASSES.iter().position(|usual| *usual == class);
            match usual.and_then(|place| model.usual_tokens.get(place)) {
                Some(counter) => counter.inc_by(count),
                None if count > 0 => self.tokens.with_label_values(&[name, class]).inc_by(count),
                None => {}
            }
        }
    }

    fn model(&self, name: &Arc<str>) -> Arc<ModelMetrics> {
        if let Some(model) = self.models.get(name) {
            return model.clone();
        }
        let model = Arc::new(ModelMetrics {
            complete: self.requests.with_label_values(&[&**name, "complete"]),
            usual_tokens: USUAL_CLASSES.map(|class| self.tokens.with_label_values(&[&**name, class])),
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
        gauges.journal_oldest.set(readings.journal_oldest.as_secs_f64());
        set(&gauges.resting, readings.resting);
        set(&gauges.config_problems, readings.config_problems);
        set(&gauges.last_reload_refused, u64::from(readings.config_problems > 0));
        let shared = readings.shared.unwrap_or_default();
        set(&gauges.redis_away, u64::from(shared.is_away));
        set(&gauges.nodes, shared.nodes.max(1));
        self.totals.lock().rise_to(readings);
        let mut text = Vec::new();
        // Writing to a Vec cannot fail, and every family here has samples or is left out.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}

impl Totals {
    fn rise_to(&self, readings: &Readings) {
        let rise = |counter: &IntCounter, count: u64| counter.inc_by(count.saturating_sub(counter.get()));
        rise(&self.journal_alarms, readings.journal_alarms);
        rise(&self.access_dropped, readings.access_dropped);
        rise(&self.reloads_accepted, readings.reloads_accepted);
        rise(&self.reloads_refused, readings.reloads_refused);
        if let Some(shared) = readings.shared {
            rise(&self.by_redis, shared.by_redis);
            rise(&self.by_local_share, shared.by_local_share);
            rise(&self.by_open, shared.by_open);
            rise(&self.by_closed, shared.by_closed);
            rise(&self.redis_losses, shared.losses);
            rise(&self.redis_dropped, shared.dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aione_core::domain::{
        clock::Timestamp,
        id::{KeyId, OrgId, RecordId, TeamId},
        money::Pico,
        outlay::Outlay,
        usage::Provenance,
    };
    use uuid::Uuid;

    fn opened() -> Opened {
        Opened {
            id: RecordId(Uuid::nil()),
            started_at: Timestamp(0),
            org: OrgId(Uuid::nil()),
            team: TeamId(Uuid::nil()),
            key: KeyId(Uuid::nil()),
            model: "m".into(),
            dialect: "d".into(),
            provider: "p".into(),
            sandbox: false,
            streamed: false,
            price_version: 0,
            estimated_input: 0,
        }
    }

    fn closed(end: End, first_byte_ms: u32, usage: Usage) -> Closed {
        Closed {
            id: RecordId(Uuid::nil()),
            provider: "p".into(),
            upstream_model: "m".into(),
            end,
            status: 200,
            attempts: 1,
            usage,
            provenance: Provenance::Provider,
            flagged: false,
            unpriced: false,
            latency_ms: 1,
            first_byte_ms,
            cost: Pico(0),
            outlay: Outlay::default(),
        }
    }

    #[test]
    fn tokens_are_counted_in_the_disjoint_classes_of_usage() {
        let metrics = Metrics::new();
        let usage = Usage {
            input: 1,
            cache_read: 2,
            cache_write_5m: 3,
            cache_write_1h: 4,
            audio_in: 5,
            output: 6,
            reasoning: 7,
            audio_out: 8,
            images: 9,
            searches: 10,
            characters: 11,
            seconds: 12,
        };
        metrics.exchange_closed(&opened(), &closed(End::Complete, 1, usage));
        let text = metrics.render(&Readings::default());
        let classes = text.lines().filter(|line| line.starts_with("aione_tokens_total{"));
        let total: u64 =
            classes.map(|line| line.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap()).sum();
        assert_eq!(total, usage.total_tokens(), "{text}");
        for (class, count) in CLASSES {
            let line = format!("aione_tokens_total{{class=\"{class}\",model=\"m\"}} {}\n", count(&usage));
            assert!(text.contains(&line), "no {line} in {text}");
        }
    }

    #[test]
    fn only_exchanges_with_a_first_byte_are_in_its_histogram() {
        let metrics = Metrics::new();
        for (end, first_byte_ms) in [
            (End::Complete, 0),
            (End::Complete, 7),
            (End::UpstreamError, 0),
            (End::ClientClosed, 0),
            (End::ClientClosed, 3),
        ] {
            metrics.exchange_closed(&opened(), &closed(end, first_byte_ms, Usage::default()));
        }
        let text = metrics.render(&Readings::default());
        assert!(text.contains("aione_time_to_first_byte_seconds_count{model=\"m\"} 3\n"), "{text}");
    }

    #[test]
    fn totals_are_what_they_were_read_as_however_often() {
        let metrics = Metrics::new();
        let readings = Readings { journal_alarms: 3, reloads_refused: 2, ..Readings::default() };
        metrics.render(&readings);
        let text = metrics.render(&readings);
        assert!(text.contains("aione_journal_alarms_total 3\n"), "{text}");
        assert!(text.contains("aione_config_reloads_total{outcome=\"refused\"} 2\n"), "{text}");
    }
}
