//! What is measured when: all targets are up at once and take turns within each workload, so that a
//! machine that slows down slows all of them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::drive::{self, Load};
use super::figures::{CpuMetrics, Figures, Metric};
use super::target::{self, DIRECT, Started, Target};
use super::{Options, Workload, journal, keys, process};
use crate::canned::Mode;
use crate::procfs::Resident;

/// Of the open loop that latency is measured with.
pub(super) const RATE_PER_S: u32 = 1000;
/// It goes on for so many times as long as other loads: a p99 is told by one request in a hundred.
pub(super) const LATENCY_TIMES: f64 = 4.0;

const ON_ALL_TARGETS: [Workload; 6] =
    [Workload::Plain, Workload::Big, Workload::Stream, Workload::Paced, Workload::Latency, Workload::Memory];

/// The workloads whose CPU time is measured: how many connections, and which rows they fill.
const CPU_WORKLOADS: [(Workload, Mode, usize, CpuMetrics); 4] = [
    (
        Workload::Plain,
        Mode::Plain,
        64,
        CpuMetrics {
            proxy: Metric::PlainProxy,
            background: Metric::PlainBackground,
            store: Some(Metric::PlainStore),
            sum: Metric::PlainSum,
            per_chunk: None,
            throughput: Some(Metric::PlainThroughput),
        },
    ),
    (
        Workload::Big,
        Mode::Big,
        16,
        CpuMetrics {
            proxy: Metric::BigProxy,
            background: Metric::BigBackground,
            store: None,
            sum: Metric::BigSum,
            per_chunk: None,
            throughput: Some(Metric::BigThroughput),
        },
    ),
    (
        Workload::Stream,
        Mode::Stream,
        32,
        CpuMetrics {
            proxy: Metric::StreamProxy,
            background: Metric::StreamBackground,
            store: None,
            sum: Metric::StreamSum,
            per_chunk: Some(Metric::StreamPerChunk),
            throughput: Some(Metric::StreamThroughput),
        },
    ),
    (
        Workload::Paced,
        Mode::Paced,
        100,
        CpuMetrics {
            proxy: Metric::PacedProxy,
            background: Metric::PacedBackground,
            store: None,
            sum: Metric::PacedSum,
            per_chunk: Some(Metric::PacedPerChunk),
            throughput: None,
        },
    ),
];

/// Measures everything; whatever it starts ends with it.
pub(super) async fn run(options: &Options) -> anyhow::Result<(Vec<Target>, Figures)> {
    process::pin_self().await?;
    let mut builder = tempfile::Builder::new();
    builder.prefix("aione-bench-");
    let folder = match &options.data_dir {
        Some(parent) => builder.tempdir_in(parent.canonicalize()?)?,
        None => builder.tempdir()?,
    };
    let targets = target::all(options)?;
    let mut figures = Figures::default();
    let upstream = target::start_direct(folder.path()).await?;
    for round in 1..=options.rounds {
        if !ON_ALL_TARGETS.iter().any(|workload| options.wants(*workload)) {
            break;
        }
        eprintln!("round {round} of {}", options.rounds);
        let folder = folder.path().join(format!("round-{round}"));
        let mut round = Round { options, folder: &folder, upstream: upstream.address, figures: &mut figures };
        round.run(&targets).await?;
    }
    if options.aione.is_some() && options.wants(Workload::Journal) {
        journal::measure(options, folder.path(), &mut figures).await?;
    }
    if let Some(pair) = target::with_few_and_many_keys(options)?
        && options.wants(Workload::Keys)
    {
        keys::measure(options, &pair, folder.path(), upstream.address, &mut figures).await?;
    }
    Ok((targets, figures))
}

struct Round<'a> {
    options: &'a Options,
    folder: &'a Path,
    upstream: SocketAddr,
    figures: &'a mut Figures,
}

impl Round<'_> {
    async fn run(&mut self, targets: &[Target]) -> anyhow::Result<()> {
        let mut started = Vec::new();
        for target in targets {
            started.push((target, self.start(target).await?));
        }
        for (workload, mode, connections, metrics) in &CPU_WORKLOADS {
            if !self.options.wants(*workload) {
                continue;
            }
            for (target, up) in started.iter().filter(|(target, _)| target.takes(*workload)) {
                self.measure_cpu(target, up, *mode, *connections, metrics).await?;
            }
        }
        if self.options.wants(Workload::Latency) {
            self.measure_latency(&started).await?;
        }
        for (_, up) in started {
            up.running.stop().await?;
        }
        if self.options.wants(Workload::Memory) {
            for target in targets.iter().filter(|target| target.takes(Workload::Memory)) {
                self.measure_memory(target).await?;
            }
        }
        Ok(())
    }

    /// Starts a target, looks at it while it is idle, and warms it up.
    async fn start(&mut self, target: &Target) -> anyhow::Result<Started> {
        let up = self.launch(target).await?;
        if target.is_direct() {
            return Ok(up);
        }
        let ready_ms = up.ready.as_secs_f64() * 1000.0;
        self.figures.add(target.name, Metric::ReadyFirst, ready_ms);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let idle = Resident::of(up.running.pid())?;
        self.figures.add(target.name, Metric::IdleMib, idle.all_kib / 1024.0);
        self.figures.add(target.name, Metric::IdleAnonymousMib, idle.anonymous_kib / 1024.0);
        Load::closed(Mode::Plain, 64, 0.3).run(&up).await?;
        Ok(up)
    }

    async fn launch(&self, target: &Target) -> anyhow::Result<Started> {
        let folder = self.folder.join(target.name.replace([' ', ','], "-"));
        target.start(&folder, self.upstream).await
    }

    async fn measure_cpu(
        &mut self,
        target: &Target,
        up: &Started,
        mode: Mode,
        connections: usize,
        metrics: &CpuMetrics,
    ) -> anyhow::Result<()> {
        let load = Load::closed(mode, connections, self.options.seconds);
        let cost = drive::measure(self.options, target, up, load, self.figures).await?;
        let name = target.name;
        self.figures.add(name, metrics.proxy, cost.proxy_per_request());
        if target.is_ours() {
            self.figures.add(name, metrics.background, cost.background_per_request());
            if let Some(metric) = metrics.store {
                self.figures.add(name, metric, cost.store_per_request());
            }
        }
        self.figures.add(name, metrics.sum, cost.sum_per_request());
        if let Some(metric) = metrics.per_chunk {
            self.figures.add(name, metric, cost.proxy_per_chunk());
        }
        if let Some(metric) = metrics.throughput {
            self.figures.add(name, metric, cost.report.throughput_per_s);
        }
        if mode == Mode::Paced {
            let delay = &cost.report.chunk_delay_us;
            self.figures.add(name, Metric::ChunkP50, delay.p50);
            self.figures.add(name, Metric::ChunkP99, delay.p99);
        }
        for (thread, us) in cost.threads_per_request() {
            self.figures.add_thread(name, mode.name(), thread.to_owned(), us);
        }
        Ok(())
    }

    /// Latency without a proxy in the same turn, so that what a proxy adds is told from what the
    /// machine does at that time.
    async fn measure_latency(&mut self, started: &[(&Target, Started)]) -> anyhow::Result<()> {
        let mut direct = (0.0, 0.0);
        let closed = Load::closed(Mode::Plain, 32, LATENCY_TIMES * self.options.seconds);
        let load = Load { rate: Some(RATE_PER_S), ..closed };
        for (target, up) in started.iter().filter(|(target, _)| target.takes(Workload::Latency)) {
            let report = load.run(up).await?;
            drive::judge(target, &report, self.figures);
            let (p50, p99) = (report.latency_us.p50, report.latency_us.p99);
            self.figures.add(target.name, Metric::LatencyP50, p50);
            self.figures.add(target.name, Metric::LatencyP99, p99);
            if target.name == DIRECT {
                direct = (p50, p99);
                continue;
            }
            let (added50, added99) = (p50 - direct.0, p99 - direct.1);
            self.figures.add(target.name, Metric::AddedP50, added50);
            self.figures.add(target.name, Metric::AddedP99, added99);
        }
        Ok(())
    }

    /// On a process that has just been started: one that was saturated keeps memory for later.
    async fn measure_memory(&mut self, target: &Target) -> anyhow::Result<()> {
        let up = self.launch(target).await?;
        let ready_ms = up.ready.as_secs_f64() * 1000.0;
        self.figures.add(target.name, Metric::ReadyAgain, ready_ms);
        // Code and data that any first request touches are no part of a stream.
        Load::closed(Mode::Stream, 1, 0.1).run(&up).await?;
        let pid = up.running.pid();
        let before_kib = Resident::of(pid)?.all_kib;
        let streams = self.options.streams;
        let mut command = Load::closed(Mode::Idle, streams, 30.0).command(&up)?;
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("the driver has no output")?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        let line = line.context("the driver ended before the streams were open")?;
        let open: serde_json::Value = serde_json::from_str(&line)?;
        let open = open["open"].as_u64().unwrap_or(0);
        if open != streams as u64 {
            let note = format!("{}: only {open} of {streams} streams opened", target.name);
            self.figures.note(note);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let grown_kib = Resident::of(pid)?.all_kib - before_kib;
        let kib = grown_kib / open.max(1) as f64;
        self.figures.add(target.name, Metric::StreamKib, kib);
        child.kill().await?;
        up.running.stop().await
    }
}
