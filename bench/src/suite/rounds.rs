//! What is measured when: all targets are up at once and take turns within each workload, so that a
//! machine that slows down slows all of them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::figures::{CpuMetrics, Figures, Metric};
use super::process::{self, Core};
use super::target::{self, DIRECT, Started, Target};
use super::{Options, Workload};
use crate::canned::Mode;
use crate::load::Report;
use crate::procfs::{Cpu, Resident, Spent};

/// Of the open loop that latency is measured with.
pub(super) const RATE_PER_S: u32 = 1000;

/// The workloads whose CPU time is measured: how many connections, and which rows they fill.
const CPU_WORKLOADS: [(Workload, Mode, usize, CpuMetrics); 4] = [
    (
        Workload::Plain,
        Mode::Plain,
        64,
        CpuMetrics {
            proxy: Metric::PlainProxy,
            background: Metric::PlainBackground,
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
        eprintln!("round {round} of {}", options.rounds);
        let folder = folder.path().join(format!("round-{round}"));
        let mut round = Round { options, folder: &folder, upstream: upstream.address, figures: &mut figures };
        round.run(&targets).await?;
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
            for (target, up) in started.iter().filter(|(target, _)| !target.is_direct()) {
                self.measure_cpu(target, up, *mode, *connections, metrics).await?;
            }
        }
        if self.options.wants(Workload::Latency) {
            self.measure_latency(&started).await?;
        }
        for (target, up) in started {
            up.running.stop(target.patience()).await?;
        }
        if self.options.wants(Workload::Memory) {
            for target in targets.iter().filter(|target| !target.is_direct()) {
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
        load(&up, Mode::Plain, 64, 0.3, None).await?;
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
        let before = Cpu::of(up.running.pid())?;
        let report = load(up, mode, connections, self.options.seconds, None).await?;
        self.judge(target, &report);
        let spent = settled(up.running.pid(), &before).await?;
        let requests = report.requests.max(1) as f64;
        let (proxy_us, background_us) = self.split(target, &spent);
        let name = target.name;
        self.figures.add(name, metrics.proxy, proxy_us / requests);
        if target.is_ours() {
            let us = background_us / requests;
            self.figures.add(name, metrics.background, us);
        }
        self.figures.add(name, metrics.sum, spent.total_us / requests);
        if let Some(metric) = metrics.per_chunk {
            let us = proxy_us / report.chunks.max(1) as f64;
            self.figures.add(name, metric, us);
        }
        if let Some(metric) = metrics.throughput {
            self.figures.add(name, metric, report.throughput_per_s);
        }
        if mode == Mode::Paced {
            let delay = &report.chunk_delay_us;
            self.figures.add(name, Metric::ChunkP50, delay.p50);
            self.figures.add(name, Metric::ChunkP99, delay.p99);
        }
        for (thread, us) in spent.threads_us {
            self.figures.add_thread(name, mode.name(), thread, us / requests);
        }
        Ok(())
    }

    /// What the proxy's threads spent, and the others. A floor does nothing in the background.
    fn split(&self, target: &Target, spent: &Spent) -> (f64, f64) {
        if !target.is_ours() {
            return (spent.total_us, 0.0);
        }
        let is_proxy = |name: &str| {
            let name = name.to_lowercase();
            let mut parts = self.options.proxy_threads.iter();
            parts.any(|part| name.contains(&part.to_lowercase()))
        };
        let proxy_us: f64 =
            spent.threads_us.iter().filter(|(name, _)| is_proxy(name)).map(|(_, us)| us).sum();
        (proxy_us, (spent.total_us - proxy_us).max(0.0))
    }

    /// Latency without a proxy in the same turn, so that what a proxy adds is told from what the
    /// machine does at that time.
    async fn measure_latency(&mut self, started: &[(&Target, Started)]) -> anyhow::Result<()> {
        let mut direct = (0.0, 0.0);
        let rate = Some(RATE_PER_S);
        for (target, up) in started {
            let report = load(up, Mode::Plain, 32, self.options.seconds, rate).await?;
            self.judge(target, &report);
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
        load(&up, Mode::Stream, 1, 0.1, None).await?;
        let pid = up.running.pid();
        let before_kib = Resident::of(pid)?.all_kib;
        let streams = self.options.streams;
        let mut command = load_command(&up, Mode::Idle, streams, 30.0, None)?;
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
        up.running.stop(target.patience()).await
    }

    fn judge(&mut self, target: &Target, report: &Report) {
        if report.errors == 0 && report.requests > 0 {
            return;
        }
        let error = report.first_error.as_deref().unwrap_or("none");
        self.figures.note(format!(
            "{}, {}: {} requests, {} errors; the first: {error}",
            target.name, report.mode, report.requests, report.errors
        ));
    }
}

/// What was spent since, once the background has finished with it.
async fn settled(pid: u32, before: &Cpu) -> anyhow::Result<Spent> {
    let mut spent = Cpu::of(pid)?.since(before);
    for _ in 0..15 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let later = Cpu::of(pid)?.since(before);
        let grown_us = later.total_us - spent.total_us;
        spent = later;
        if grown_us <= 10_000.0 {
            break;
        }
    }
    Ok(spent)
}

async fn load(
    up: &Started,
    mode: Mode,
    connections: usize,
    seconds: f64,
    rate: Option<u32>,
) -> anyhow::Result<Report> {
    let mut command = load_command(up, mode, connections, seconds, rate)?;
    let output = command.stderr(Stdio::piped()).output().await?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the load driver failed: {stderr}");
    serde_json::from_slice(&output.stdout).context("the load driver's report")
}

fn load_command(
    up: &Started,
    mode: Mode,
    connections: usize,
    seconds: f64,
    rate: Option<u32>,
) -> anyhow::Result<Command> {
    let mut command = process::command(Core::Driver, &std::env::current_exe()?);
    command
        .args(["load", "--mode", mode.name(), "--key", &up.key])
        .args(["--url", &format!("http://{}/v1/chat/completions", up.address)])
        .args(["--connections", &connections.to_string()])
        .args(["--seconds", &seconds.to_string()]);
    if let Some(rate) = rate {
        command.args(["--rate", &rate.to_string()]);
    }
    Ok(command)
}
