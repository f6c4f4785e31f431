//! The journal alone, in a process that has the target's core to itself.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, ensure};

use super::Options;
use super::figures::{Figures, Metric};
use super::process::{self, Core};
use super::target::GROUP;
use crate::journal::Report;

/// The journal runs in `group` mode, so its figures stand in that column.
pub(super) async fn measure(options: &Options, folder: &Path, figures: &mut Figures) -> anyhow::Result<()> {
    for round in 1..=options.rounds {
        eprintln!("journal, round {round} of {}", options.rounds);
        let report = run(options, &folder.join(format!("journal-{round}"))).await?;
        figures.add(GROUP, Metric::JournalRate, report.records_per_s);
        figures.add(GROUP, Metric::JournalCpu, report.cpu_us_per_record);
        figures.add(GROUP, Metric::JournalGroup, report.records_per_sync);
        figures.add(GROUP, Metric::JournalSync, report.sync_ms);
        for (thread, us) in report.threads_us_per_record {
            figures.add_thread(GROUP, "journal", thread, us);
        }
    }
    Ok(())
}

async fn run(options: &Options, folder: &Path) -> anyhow::Result<Report> {
    let mut command = process::command(Core::Target, &std::env::current_exe()?);
    command.arg("journal").arg("--dir").arg(folder).args(["--seconds", &options.seconds.to_string()]);
    let output = command.stderr(Stdio::piped()).output().await?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the journal's bench failed: {stderr}");
    serde_json::from_slice(&output.stdout).context("the journal's report")
}
