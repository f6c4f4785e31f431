//! The samples of all rounds, and what is told of them: median, least and most.

use std::collections::BTreeMap;

/// One row of the report.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Metric {
    PlainProxy,
    PlainBackground,
    PlainStore,
    PlainSum,
    PlainThroughput,
    BigProxy,
    BigBackground,
    BigSum,
    BigThroughput,
    StreamProxy,
    StreamBackground,
    StreamSum,
    StreamPerChunk,
    StreamThroughput,
    PacedProxy,
    PacedBackground,
    PacedSum,
    PacedPerChunk,
    ChunkP50,
    ChunkP99,
    LatencyP50,
    LatencyP99,
    AddedP50,
    AddedP99,
    StreamKib,
    IdleMib,
    IdleAnonymousMib,
    ReadyFirst,
    ReadyAgain,
    JournalRate,
    JournalCpu,
    JournalGroup,
    JournalSync,
    KeysFew,
    KeysFewBackground,
    KeysMany,
    KeysManyBackground,
    KeysRatio,
    KeyKib,
}

/// CPU times of one workload: the proxy's threads, those in the background, and the sum.
pub(super) struct CpuMetrics {
    pub(super) proxy: Metric,
    pub(super) background: Metric,
    /// Of the background, what keeps the records.
    pub(super) store: Option<Metric>,
    pub(super) sum: Metric,
    pub(super) per_chunk: Option<Metric>,
    pub(super) throughput: Option<Metric>,
}

impl Metric {
    pub(super) const ALL: [(Metric, &'static str); 39] = [
        (Metric::PlainProxy, "plain 1 KB: proxy CPU, µs per request"),
        (Metric::PlainBackground, "– in the background"),
        (Metric::PlainStore, "– of that recorder and store"),
        (Metric::PlainSum, "– sum"),
        (Metric::PlainThroughput, "– requests/s"),
        (Metric::BigProxy, "200 KB prompt: proxy CPU, µs per request"),
        (Metric::BigBackground, "– in the background"),
        (Metric::BigSum, "– sum"),
        (Metric::BigThroughput, "– requests/s"),
        (Metric::StreamProxy, "stream back to back: proxy CPU, µs per stream"),
        (Metric::StreamBackground, "– in the background"),
        (Metric::StreamSum, "– sum"),
        (Metric::StreamPerChunk, "– proxy CPU, µs per chunk"),
        (Metric::StreamThroughput, "– streams/s"),
        (Metric::PacedProxy, "stream 10 ms apart ×100: proxy CPU, µs per stream"),
        (Metric::PacedBackground, "– in the background"),
        (Metric::PacedSum, "– sum"),
        (Metric::PacedPerChunk, "– proxy CPU, µs per chunk"),
        (Metric::ChunkP50, "– chunk delay p50, µs"),
        (Metric::ChunkP99, "– chunk delay p99, µs"),
        (Metric::LatencyP50, "plain at 1 000/s: latency p50, µs"),
        (Metric::LatencyP99, "– latency p99, µs"),
        (Metric::AddedP50, "– added p50, µs"),
        (Metric::AddedP99, "– added p99, µs"),
        (Metric::StreamKib, "KiB per open stream"),
        (Metric::IdleMib, "idle MiB"),
        (Metric::IdleAnonymousMib, "– of that not a file's pages"),
        (Metric::ReadyFirst, "ready after first start, ms"),
        (Metric::ReadyAgain, "ready after restart, ms"),
        (Metric::JournalRate, "journal alone, on one core: records/s, durable and recorded"),
        (Metric::JournalCpu, "– CPU of all threads, µs per record"),
        (Metric::JournalGroup, "– records per fsync"),
        (Metric::JournalSync, "– ms per fsync"),
        (Metric::KeysFew, "plain 1 KB, 10 keys known: proxy CPU, µs per request"),
        (Metric::KeysFewBackground, "– in the background"),
        (Metric::KeysMany, "plain 1 KB, 1 000 000 keys known: proxy CPU, µs per request"),
        (Metric::KeysManyBackground, "– in the background"),
        (Metric::KeysRatio, "– proxy CPU ÷ at 10"),
        (Metric::KeyKib, "– KiB per known key"),
    ];

    /// More is better, so a ratio reads the other way round.
    pub(super) fn is_throughput(self) -> bool {
        matches!(
            self,
            Metric::PlainThroughput | Metric::BigThroughput | Metric::StreamThroughput | Metric::JournalRate
        )
    }
}

/// Median, least and most of some samples.
#[derive(Clone, Copy)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

#[derive(Default)]
pub(super) struct Figures {
    samples: BTreeMap<(&'static str, Metric), Vec<f64>>,
    /// By target, what was driven, and thread name: µs per request.
    threads: BTreeMap<(&'static str, &'static str, String), Vec<f64>>,
    /// What the reader must know beside the figures, such as answers that were wrong.
    notes: Vec<String>,
}

impl Figures {
    pub(super) fn add(&mut self, target: &'static str, metric: Metric, value: f64) {
        self.samples.entry((target, metric)).or_default().push(value);
    }

    pub(super) fn add_thread(
        &mut self,
        target: &'static str,
        workload: &'static str,
        thread: String,
        us: f64,
    ) {
        self.threads.entry((target, workload, thread)).or_default().push(us);
    }

    pub(super) fn note(&mut self, note: String) {
        eprintln!("{note}");
        self.notes.push(note);
    }

    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn spread(&self, target: &'static str, metric: Metric) -> Option<Spread> {
        spread(self.samples.get(&(target, metric))?)
    }

    pub(super) fn median(&self, target: &'static str, metric: Metric) -> Option<f64> {
        self.spread(target, metric).map(|spread| spread.median)
    }

    /// A target's median divided by another's.
    pub(super) fn ratio(&self, metric: Metric, of: &'static str, by: &'static str) -> Option<f64> {
        let floor = self.median(by, metric)?;
        (floor > 0.0).then_some(self.median(of, metric)? / floor)
    }

    /// Median µs per request of each thread name, by target and workload.
    pub(super) fn threads(&self) -> impl Iterator<Item = (&'static str, &'static str, &str, f64)> + '_ {
        self.threads.iter().filter_map(|((target, workload, thread), samples)| {
            let median = spread(samples)?.median;
            Some((*target, *workload, thread.as_str(), median))
        })
    }
}

fn spread(samples: &[f64]) -> Option<Spread> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (least, most) = (*sorted.first()?, *sorted.last()?);
    let middle = sorted.len() / 2;
    let median = match sorted.len() % 2 {
        0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
        _ => sorted[middle],
    };
    Some(Spread { median, least, most })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let of = |samples: &[f64]| spread(samples).map(|spread| spread.median);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn every_metric_has_its_row_in_order() {
        assert!(Metric::ALL.is_sorted_by_key(|(metric, _)| *metric));
    }
}
