//! The port `QuarantineStore`: what awaits a price, and what it costs once it has one.

use super::{Store, charge_rows, ledger_rows, margin_rows, plan_rows, record_rows};
use crate::clock;
use aione_core::{
    domain::{
        fee::PlanHistory,
        id::{OrgId, RecordId},
        ledger::Entry,
        usage::UsageRecord,
    },
    ports::{QuarantineStore, StoreError},
};
use async_trait::async_trait;

/// What the entry of such a record says.
const NOTE: &str = "priced later";

#[async_trait]
impl QuarantineStore for Store {
    async fn list_unpriced(
        &self,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<UsageRecord>, StoreError> {
        record_rows::list_unpriced(&mut self.pools.page().await?, after, limit).await
    }

    async fn plan_history(&self, org: OrgId) -> Result<PlanHistory, StoreError> {
        plan_rows::history(&mut self.pools.page().await?, org).await
    }

    async fn price_records(&self, records: &[UsageRecord]) -> Result<usize, StoreError> {
        let now = clock::now();
        let mut rollups = self.rollups.take().await;
        let mut tx = self.pools.write().await?;
        let (mut priced, mut entered, mut charged) = (Vec::new(), Vec::new(), Vec::new());
        for record in records {
            if !record_rows::price(&mut tx, record).await? {
                continue;
            }
            priced.push(record);
            let Some(entry) = Entry::of_usage(record, now) else { continue };
            let entry = Entry { note: Some(NOTE.to_owned()), ..entry };
            if ledger_rows::insert_one(&mut tx, &entry).await? {
                entered.push(entry);
                charged.push(record);
            }
        }
        rollups.price(&mut tx, &priced).await?;
        margin_rows::add_revenue(&mut tx, &priced).await?;
        ledger_rows::add_up(&mut tx, &entered).await?;
        charge_rows::add(&mut tx, &charged, &self.books).await?;
        tx.commit().await?;
        rollups.keep();
        Ok(priced.len())
    }
}
