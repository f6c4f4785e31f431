//! What the gateway's journal takes: exchanges that do nothing but open, end and wait until that is durable.
//!
//! In the measured loop, all in this one process: making the two halves of a record (as admission
//! and settling do, without pricing), both frames, the group's `write` and `fdatasync`, waking who
//! waits, and the recorder that reads every record back, hands it to a store that only counts, and
//! lets go of the segments. Not in it: HTTP, limits, SQLite. The allocator is the system's, where
//! the gateway has jemalloc.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use aione_core::config::snapshot::JournalSync;
use aione_core::domain::clock::Timestamp;
use aione_core::domain::id::{KeyId, OrgId, RecordId, TeamId};
use aione_core::domain::money::Pico;
use aione_core::domain::outlay::Outlay;
use aione_core::domain::price::PriceBook;
use aione_core::domain::usage::{Closed, End, Opened, Provenance, Usage, UsageRecord};
use aione_core::ports::{
    Batches, Overview, OverviewQuery, RecordQuery, StoreError, UsageQuery, UsageStore, UsageSum,
};
use aione_gateway::billing::recorder;
use aione_gateway::journal::{self, Durability, Journal};
use anyhow::{Context, ensure};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::clock;
use crate::procfs::Cpu;

/// A record that takes this long is an error, not a figure.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where the journal goes; on a real disk, since it syncs
    #[arg(long)]
    dir: PathBuf,
    /// Exchanges under way at once
    #[arg(long, default_value_t = 4096)]
    exchanges: usize,
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

/// What `journal` prints and `suite` reads.
#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    /// Each durable, and read back by the recorder.
    pub(crate) records: u64,
    /// From the first exchange's beginning until the recorder had the last one's record.
    pub(crate) seconds: f64,
    pub(crate) records_per_s: f64,
    pub(crate) records_per_sync: f64,
    /// How long one `fdatasync` took, on average.
    pub(crate) sync_ms: f64,
    /// Of all threads.
    pub(crate) cpu_us_per_record: f64,
    /// The same by thread name.
    pub(crate) threads_us_per_record: BTreeMap<String, f64>,
}

/// Measures, and prints the report as one line of JSON. On how many cores is the caller's to say:
/// `taskset`.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let settings = journal::Options::new(&options.dir, JournalSync::Group, PATIENCE);
    let (journal, recovery) = Journal::open(settings)?;
    ensure!(recovery.segments == 0, "{} holds another run's journal", options.dir.display());
    let store = Arc::new(Counting::default());
    let recorder = on_thread("recorder", recorder::run(recovery.reader, store.clone()))?;
    let journal = Arc::new(journal);
    let load = Load { journal: journal.clone(), exchanges: options.exchanges, seconds: options.seconds };
    let exchanges = on_thread("exchanges", measure(load))?;
    let report = exchanges.join().ok().context("an exchange panicked")?;
    journal.shutdown();
    recorder.join().ok().context("the recorder panicked")?;
    let report = report?;
    let recorded = store.records.load(Ordering::Relaxed);
    ensure!(recorded == report.records, "{recorded} records came back of {}", report.records);
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// Runs it on a thread and a runtime of its own, as the gateway runs its proxy and its recorder.
fn on_thread<T: Send + 'static>(
    name: &str,
    work: impl Future<Output = T> + Send + 'static,
) -> anyhow::Result<JoinHandle<T>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(work))?)
}

/// What is measured.
struct Load {
    journal: Arc<Journal>,
    exchanges: usize,
    seconds: f64,
}

async fn measure(load: Load) -> anyhow::Result<Report> {
    let Load { journal, exchanges, seconds } = load;
    let pid = std::process::id();
    let numbers = Arc::new(AtomicU64::new(0));
    let before = Cpu::of(pid)?;
    let started = clock::now();
    let until = started + Duration::from_secs_f64(seconds);
    let mut tasks = JoinSet::new();
    for _ in 0..exchanges {
        tasks.spawn(repeat(journal.clone(), numbers.clone(), until));
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    journal.caught_up().await;
    let seconds = started.elapsed().as_secs_f64();
    let spent = Cpu::of(pid)?.since(&before);
    let stats = journal.stats();
    ensure!(stats.alarms == 0, "the journal raised {} alarms", stats.alarms);
    let records = numbers.load(Ordering::Relaxed);
    let per_record = |sum: f64| sum / records.max(1) as f64;
    Ok(Report {
        records,
        seconds,
        records_per_s: records as f64 / seconds,
        records_per_sync: records as f64 / stats.syncs.max(1) as f64,
        sync_ms: stats.sync_time.as_secs_f64() * 1000.0 / stats.syncs.max(1) as f64,
        cpu_us_per_record: per_record(spent.total_us),
        threads_us_per_record: spent
            .threads_us
            .into_iter()
            .map(|(name, us)| (name, per_record(us)))
            .collect(),
    })
}

/// One exchange after the other.
async fn repeat(journal: Arc<Journal>, numbers: Arc<AtomicU64>, until: Instant) -> anyhow::Result<()> {
    let names = Names::default();
    while clock::now() < until {
        let opened = names.opened(numbers.fetch_add(1, Ordering::Relaxed));
        let closed = names.closed(&opened);
        let slot = journal.open_exchange(opened)?;
        // While an upstream would be asked, others are admitted.
        tokio::task::yield_now().await;
        let reached = slot.close(&closed).wait().await;
        ensure!(reached == Durability::Synced, "an answer would have been released {reached:?}");
    }
    Ok(())
}

/// What a gateway takes from its configuration and shares between records.
struct Names {
    model: Arc<str>,
    dialect: Arc<str>,
    provider: Arc<str>,
    upstream_model: Arc<str>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            model: "gpt-4.1-mini".into(),
            dialect: "openai_chat".into(),
            provider: "openai".into(),
            upstream_model: "gpt-4.1-mini-2025-04-14".into(),
        }
    }
}

impl Names {
    fn opened(&self, number: u64) -> Opened {
        let started_at = aione_gateway::clock::now();
        Opened {
            id: RecordId::new(started_at, scattered(number)),
            started_at,
            org: OrgId(Uuid::from_u128(1)),
            team: TeamId(Uuid::from_u128(2)),
            key: KeyId(Uuid::from_u128(3)),
            model: self.model.clone(),
            dialect: self.dialect.clone(),
            provider: self.provider.clone(),
            sandbox: false,
            streamed: true,
            price_version: u64::MAX / 3,
            estimated_input: 256,
        }
    }

    fn closed(&self, opened: &Opened) -> Closed {
        Closed {
            id: opened.id,
            provider: self.provider.clone(),
            upstream_model: self.upstream_model.clone(),
            end: End::Complete,
            status: 200,
            attempts: 1,
            usage: Usage { input: 210, output: 48, ..Usage::default() },
            provenance: Provenance::Provider,
            flagged: false,
            unpriced: false,
            latency_ms: 1_200,
            first_byte_ms: 300,
            cost: Pico(422_100_000),
            outlay: Outlay::default(),
        }
    }
}

/// Bytes that differ for each number and look random: the journal takes an id's last bytes as its
/// hash.
fn scattered(number: u64) -> [u8; 10] {
    // An odd factor loses no number; this one, 2⁶⁴ divided by the golden ratio, spreads neighbours.
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&spread.to_le_bytes());
    bytes
}

/// A store that counts what it is given and keeps nothing.
#[derive(Default)]
struct Counting {
    records: AtomicU64,
}

#[async_trait]
impl UsageStore for Counting {
    async fn insert_records(&self, records: &[UsageRecord]) -> Result<(), StoreError> {
        self.records.fetch_add(records.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    async fn sum_usage(&self, _: &UsageQuery) -> Result<Vec<UsageSum>, StoreError> {
        Ok(Vec::new())
    }

    async fn pass_usage(&self, _: &UsageQuery, _: &mut dyn Batches<UsageSum>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn overview(&self, _: &OverviewQuery) -> Result<Overview, StoreError> {
        Ok(Overview::default())
    }

    async fn find_records(&self, _: &RecordQuery) -> Result<Vec<UsageRecord>, StoreError> {
        Ok(Vec::new())
    }

    async fn list_records(&self, _: Option<RecordId>, _: u32) -> Result<Vec<UsageRecord>, StoreError> {
        Ok(Vec::new())
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(Timestamp(0))
    }

    async fn forget_records(&self, _: Timestamp) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn keep_price_book(&self, _: &PriceBook, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn find_price_book(&self, _: u64) -> Result<Option<PriceBook>, StoreError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_comes_back_and_segments_go() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("journal");
        run(&Options { dir: dir.clone(), exchanges: 16, seconds: 0.05 }).unwrap();
        let left = journal::inspect::inspect(&dir).unwrap();
        assert!(left.open.is_empty());
        assert_eq!(left.segments.len(), 1, "the last one stays");
        assert_eq!(left.quarantine_files, 0);
    }
}
