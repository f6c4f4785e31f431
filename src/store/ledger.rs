//! The port `LedgerStore`.

use super::{Store, ledger_rows};
use aione_core::{
    domain::{
        id::{EntryId, OrgId},
        ledger::{Entry, Totals},
    },
    ports::{EntryPlace, LedgerStore, StoreError},
};
use async_trait::async_trait;
use std::collections::BTreeMap;

#[async_trait]
impl LedgerStore for Store {
    async fn totals(&self, org: OrgId) -> Result<Totals, StoreError> {
        ledger_rows::totals(&mut self.pools.read().await?, org).await
    }

    async fn all_totals(&self) -> Result<BTreeMap<OrgId, Totals>, StoreError> {
        ledger_rows::all_totals(&mut self.pools.page().await?).await
    }

    async fn find_entries(
        &self,
        org: OrgId,
        after: Option<EntryPlace>,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        ledger_rows::find(&mut self.pools.page().await?, org, after, limit).await
    }

    async fn list_entries(&self, after: Option<EntryId>, limit: u32) -> Result<Vec<Entry>, StoreError> {
        ledger_rows::list(&mut self.pools.page().await?, after, limit).await
    }
}
