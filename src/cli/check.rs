//! `aione check` and `aione schema`.

use super::stores;
use crate::config;
use std::{path::Path, process::ExitCode};

pub(super) fn check(file: Option<&Path>) -> anyhow::Result<ExitCode> {
    match config::load(&stores::origin(file)) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                println!("warning: {warning}");
            }
            println!("ok: version {:016x}", loaded.snapshot.version);
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            for problem in &problems {
                println!("{problem}");
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every command returns the same")]
pub(super) fn schema() -> anyhow::Result<ExitCode> {
    // It ends with a newline of its own: `make schema` writes the file that a test compares.
    print!("{}", aione_core::config::schema::text());
    Ok(ExitCode::SUCCESS)
}
