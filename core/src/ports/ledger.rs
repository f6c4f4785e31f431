//! The ledger, to be read; usage enters it with its record, everything else as a [`super::Change`].

use super::StoreError;
use crate::domain::{
    clock::Timestamp,
    id::{EntryId, OrgId},
    ledger::{Entry, Totals},
};
use async_trait::async_trait;
use std::collections::BTreeMap;

/// Where an entry stands among an organization's: the newest first, and of those of one time the one with
/// the largest id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryPlace {
    pub at: Timestamp,
    pub id: EntryId,
}

/// What was charged and paid.
#[async_trait]
pub trait LedgerStore: Send + Sync {
    /// What an organization's entries come to, as it was kept with each of them.
    async fn totals(&self, org: OrgId) -> Result<Totals, StoreError>;
    /// Every organization's.
    async fn all_totals(&self) -> Result<BTreeMap<OrgId, Totals>, StoreError>;
    /// An organization's entries after `after`, the newest first.
    async fn find_entries(
        &self,
        org: OrgId,
        after: Option<EntryPlace>,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError>;
    /// Every organization's entries in id order after `after`, for the audit.
    async fn list_entries(&self, after: Option<EntryId>, limit: u32) -> Result<Vec<Entry>, StoreError>;
}
