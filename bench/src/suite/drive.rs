//! Drives a load at a target and reads what the target spent on it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::process::Command;

use super::Options;
use super::figures::Figures;
use super::process::{self, Core};
use super::target::{Started, Target};
use crate::canned::Mode;
use crate::load::{Order, Report};
use crate::procfs::{Cpu, Spent};

/// Growth within one look at which the background counts as resting, in µs of CPU.
const RESTING_US: f64 = 10_000.0;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// How long a background may take to come to rest: as long as the load, on a core of its own.
const LOOKS_MAX: usize = 60;

/// One run of the load driver.
#[derive(Clone, Copy)]
pub(super) struct Load<'a> {
    pub(super) mode: Mode,
    pub(super) connections: usize,
    pub(super) seconds: f64,
    /// Requests per second; `None`: as fast as they are answered.
    pub(super) rate: Option<u32>,
    /// In place of the target's own key.
    pub(super) keys: Option<(&'a Path, Order)>,
}

impl Load<'_> {
    pub(super) fn closed(mode: Mode, connections: usize, seconds: f64) -> Self {
        Self { mode, connections, seconds, rate: None, keys: None }
    }

    pub(super) async fn run(&self, up: &Started) -> anyhow::Result<Report> {
        let output = self.command(up)?.stderr(Stdio::piped()).output().await?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the load driver failed: {stderr}");
        serde_json::from_slice(&output.stdout).context("the load driver's report")
    }

    pub(super) fn command(&self, up: &Started) -> anyhow::Result<Command> {
        let mut command = process::command(Core::Driver, &std::env::current_exe()?);
        let path = match self.mode {
            Mode::Models => "models",
            _ => "chat/completions",
        };
        command
            .args(["load", "--mode", self.mode.name()])
            .args(["--url", &format!("http://{}/v1/{path}", up.address)])
            .args(["--connections", &self.connections.to_string()])
            .args(["--seconds", &self.seconds.to_string()]);
        match self.keys {
            None => command.args(["--key", &up.key]),
            Some((file, order)) => command.arg("--keys").arg(file).args(["--order", order.name()]),
        };
        if let Some(rate) = self.rate {
            command.args(["--rate", &rate.to_string()]);
        }
        Ok(command)
    }
}

/// In the names of the recorder's threads and of an embedded store's.
const STORE_THREADS: &[&str] = &["control", "sqlx"];

/// What a load has cost a target.
pub(super) struct Cost {
    pub(super) report: Report,
    spent: Spent,
    proxy_us: f64,
}

/// Runs a load, waits until the background has come to rest, and notes answers that were wrong.
pub(super) async fn measure(
    options: &Options,
    target: &Target,
    up: &Started,
    load: Load<'_>,
    figures: &mut Figures,
) -> anyhow::Result<Cost> {
    let before = Cpu::of(up.running.pid())?;
    let report = load.run(up).await?;
    judge(target, &report, figures);
    let spent = settled(up.running.pid(), &before).await?;
    let proxy_us = match target.is_ours() {
        true => spent.of(&options.proxy_threads),
        // A floor does nothing in the background.
        false => spent.total_us,
    };
    Ok(Cost { report, spent, proxy_us })
}

impl Cost {
    /// CPU of the proxy's threads, in µs, like all that follows.
    pub(super) fn proxy_per_request(&self) -> f64 {
        self.proxy_us / self.requests()
    }

    pub(super) fn background_per_request(&self) -> f64 {
        (self.spent.total_us - self.proxy_us).max(0.0) / self.requests()
    }

    /// Of the background, the threads that record what the journal holds: ours and the store's.
    pub(super) fn store_per_request(&self) -> f64 {
        self.spent.of(STORE_THREADS) / self.requests()
    }

    pub(super) fn sum_per_request(&self) -> f64 {
        self.spent.total_us / self.requests()
    }

    pub(super) fn proxy_per_chunk(&self) -> f64 {
        self.proxy_us / self.report.chunks.max(1) as f64
    }

    /// By thread name.
    pub(super) fn threads_per_request(&self) -> impl Iterator<Item = (&str, f64)> {
        self.spent.threads_us.iter().map(|(name, us)| (name.as_str(), us / self.requests()))
    }

    fn requests(&self) -> f64 {
        self.report.requests.max(1) as f64
    }
}

/// Notes a load that did not go as it must.
pub(super) fn judge(target: &Target, report: &Report, figures: &mut Figures) {
    if report.errors == 0 && report.requests > 0 {
        return;
    }
    let error = report.first_error.as_deref().unwrap_or("none");
    figures.note(format!(
        "{}, {}: {} requests, {} errors; the first: {error}",
        target.name, report.mode, report.requests, report.errors
    ));
}

/// Waits until the background has come to rest.
pub(super) async fn rest(up: &Started) -> anyhow::Result<()> {
    let pid = up.running.pid();
    settled(pid, &Cpu::of(pid)?).await.map(drop)
}

/// What was spent since, once the background has finished with it.
async fn settled(pid: u32, before: &Cpu) -> anyhow::Result<Spent> {
    let mut spent = Cpu::of(pid)?.since(before);
    for _ in 0..LOOKS_MAX {
        tokio::time::sleep(LOOK_EVERY).await;
        let later = Cpu::of(pid)?.since(before);
        let grown_us = later.total_us - spent.total_us;
        spent = later;
        if grown_us <= RESTING_US {
            break;
        }
    }
    Ok(spent)
}
