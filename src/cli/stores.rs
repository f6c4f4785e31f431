//! What the commands share: the configuration, and the store that it names.

use crate::{
    assemble,
    clock::{self, System},
    config::{self, Loaded, Origin},
    store::Store,
};
use aione_core::{
    config::snapshot::Snapshot,
    domain::key::Peppers,
    ports::{KeyStore, Organization, Surroundings},
};
use anyhow::{Context, anyhow};
use std::path::Path;

/// Loads and checks; the error holds every problem, a line each.
pub(super) fn load(file: Option<&Path>) -> anyhow::Result<Loaded> {
    config::load(&origin(file)).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow!("the configuration has problems:\n{}", lines.join("\n"))
    })
}

/// The named file, or the built-in quick start.
pub(super) fn origin(file: Option<&Path>) -> Origin {
    file.map_or(Origin::BuiltIn, |path| Origin::File(path.to_owned()))
}

/// A runtime for one command.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")
}

/// The store and the peppers, as `serve` would open them.
pub(super) async fn open(snapshot: &Snapshot) -> anyhow::Result<(Store, Peppers)> {
    assemble::open_store(snapshot).await
}

/// Opens for reading alone, also beside a running gateway.
pub(super) async fn open_read_only(snapshot: &Snapshot) -> anyhow::Result<Store> {
    let database = &snapshot.storage.database;
    Store::open_read_only(database).await.with_context(|| format!("cannot read {database}"))
}

pub(super) async fn org(store: &Store, id_or_slug: &str) -> anyhow::Result<Organization> {
    let org = store.find_org(id_or_slug).await?;
    org.with_context(|| format!("no organization `{id_or_slug}`"))
}

/// A fresh id of any of the domain's kinds.
pub(super) fn new_id<T>(make: impl Fn(aione_core::domain::clock::Timestamp, [u8; 10]) -> T) -> T {
    let mut entropy = [0; 10];
    System.entropy(&mut entropy);
    make(clock::now(), entropy)
}
