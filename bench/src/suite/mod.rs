//! The suite: starts every target, measures them in turn, and writes what it saw.
//!
//! Contents, in reading order: `rounds` (what is measured when), `journal` and `keys` (two things
//! that are not measured on all targets), `target` (what is measured), `seed` (its keys), `drive`
//! (a load, and what it cost), `process` (starting and stopping), `figures` (samples and their
//! medians), `table` (the report), `goals` (the report held against what is wanted).

mod drive;
mod figures;
mod goals;
mod journal;
mod keys;
mod process;
mod rounds;
mod seed;
mod table;
mod target;

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use tokio::signal::unix::{SignalKind, signal};

use crate::clock;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The release binary of the gateway
    #[arg(long, required_unless_present = "without_ours")]
    aione: Option<PathBuf>,
    /// Only the peers and the floor
    #[arg(long, conflicts_with = "aione")]
    without_ours: bool,
    /// Each timed run
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only these; all by default
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Workload>,
    /// Held open while memory is read
    #[arg(long, default_value_t = 1000)]
    streams: usize,
    /// Where databases and journals go for the time being; on a real disk, since the journal syncs
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Where the gateway keeps its records, such as `postgres://…`; by default a SQLite file of its own
    #[arg(long)]
    database: Option<String>,
    /// What the gateway shares its limits through, such as `redis://127.0.0.1:6379`; by default they are its own
    #[arg(long)]
    redis: Option<String>,
    /// Threads of a target whose names contain one of these (in any case) count as the proxy's,
    /// all others as background
    #[arg(long, value_delimiter = ',', default_value = "pingora http,proxy,exchange")]
    proxy_threads: Vec<String>,
    /// The report; by default bench/results/DATE.md
    #[arg(long)]
    out: Option<PathBuf>,
}

/// One thing that is measured: on all targets in turn, or the last two on the gateway alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
enum Workload {
    Plain,
    Big,
    Stream,
    Paced,
    Latency,
    Memory,
    /// Records a second on one core
    Journal,
    /// A request's cost beside ten keys and beside a million
    Keys,
}

impl Options {
    fn wants(&self, workload: Workload) -> bool {
        self.only.is_empty() || self.only.contains(&workload)
    }
}

pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    ensure!(options.rounds > 0, "--rounds must be above zero");
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run_until_signal(options))
}

/// What the suite has started is killed when its guards drop; a signal must get there too.
async fn run_until_signal(options: Options) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = Box::pin(measure_and_report(options)) => done,
        _ = terminate.recv() => bail!("terminated"),
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    }
}

async fn measure_and_report(options: Options) -> anyhow::Result<()> {
    let started = clock::now();
    let load_before = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let (targets, figures) = rounds::run(&options).await?;
    let date = today()?;
    let run = table::Run {
        date: &date,
        load_before: load_before.split(' ').next().unwrap_or_default(),
        took: started.elapsed(),
    };
    let report = table::report(&options, &targets, &figures, &run)?;
    println!("{report}");
    let out = match options.out {
        Some(out) => out,
        None => PathBuf::from(format!("bench/results/{date}.md")),
    };
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&out, report).with_context(|| format!("cannot write {}", out.display()))?;
    eprintln!("written to {}", out.display());
    Ok(())
}

fn today() -> anyhow::Result<String> {
    let seconds = i64::try_from(clock::epoch_ns() / 1_000_000_000)?;
    let now = chrono::DateTime::from_timestamp(seconds, 0).context("the clock is off")?;
    Ok(now.format("%Y-%m-%d").to_string())
}
