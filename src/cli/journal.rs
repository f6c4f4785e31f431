//! `aione journal inspect` and `aione audit`: both read only, also beside a running gateway.

use super::{ConfigFile, stores};
use crate::{audit, journal};
use std::{path::Path, process::ExitCode};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Segments, frames, open exchanges and what is damaged
    Inspect(ConfigFile),
}

pub(super) fn run(command: Command) -> anyhow::Result<ExitCode> {
    let Command::Inspect(config) = command;
    let snapshot = stores::load(config.file.as_deref())?.snapshot;
    // Both reports end their own last line.
    print!("{}", journal::inspect::inspect(&snapshot.storage.journal)?);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn audit(file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let snapshot = stores::load(file)?.snapshot;
    let report = stores::runtime()?.block_on(async {
        let store = stores::open_read_only(&snapshot).await?;
        anyhow::Ok(audit::audit(&store).await?)
    })?;
    print!("{report}");
    Ok(if report.agrees() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
