//! `aione migrate`: brings the store's tables up to date, ahead of a gateway's start, which would do
//! the same. A version that runs already goes on; one that knows fewer tables does not start on the
//! file any more, so that going back to it takes a copy from before.

use super::stores;
use crate::store::Store;
use anyhow::Context;
use std::{path::Path, process::ExitCode};

pub(super) fn migrate(file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let snapshot = stores::load(file)?.snapshot;
    let database = &snapshot.storage.database;
    let version = stores::runtime()?.block_on(async {
        let store = Store::open(database).await?;
        let version = store.schema_version().await;
        store.close().await;
        version
    });
    let version = version.with_context(|| format!("cannot migrate {database}"))?;
    println!("{database}: schema version {version}");
    Ok(ExitCode::SUCCESS)
}
