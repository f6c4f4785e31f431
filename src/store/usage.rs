//! The port `UsageStore`: records and their rollups in one transaction, and reports over them.

use super::{
    Pools, Store, charge_rows, found_records, key_rows, ledger_rows, margin_rows, overview, record_rows, sums,
};
use crate::clock;
use aione_core::{
    domain::{clock::Timestamp, id::RecordId, ledger::Entry, price::PriceBook, usage::UsageRecord},
    ports::{Batches, Overview, OverviewQuery, RecordQuery, StoreError, UsageQuery, UsageStore, UsageSum},
};
use async_trait::async_trait;

/// Rows of one statement that notes when keys were last used.
const USES_CHUNK: usize = 512;

#[async_trait]
impl UsageStore for Store {
    async fn insert_records(&self, records: &[UsageRecord]) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        self.pools.make_room_for(records).await?;
        let now = clock::now();
        let entries: Vec<_> = records.iter().filter_map(|record| Entry::of_usage(record, now)).collect();
        let mut rollups = self.rollups.take().await;
        let mut tx = self.pools.write().await?;
        let all_new = record_rows::insert(&mut tx, records).await? == records.len()
            && ledger_rows::insert(&mut tx, &entries).await? == entries.len();
        if all_new {
            rollups.add(&mut tx, records).await?;
            margin_rows::add(&mut tx, records).await?;
            ledger_rows::add_up(&mut tx, &entries).await?;
            let charged: Vec<_> = records.iter().filter(|record| record.is_charged()).collect();
            charge_rows::add(&mut tx, &charged, &self.books).await?;
        } else {
            // After a crash some were there already. Which ones is dearer to know: begin again and ask.
            drop(tx);
            tx = self.pools.write().await?;
            let inserted = record_rows::insert_telling(&mut tx, records).await?;
            let (mut new, mut entered, mut charged) =
                (Vec::with_capacity(inserted.len()), Vec::new(), Vec::new());
            for record in inserted {
                let entry = Entry::of_usage(record, now);
                match &entry {
                    // It was here before and was let go of; what it came to has stayed.
                    Some(entry) if !ledger_rows::insert_one(&mut tx, entry).await? => continue,
                    _ => new.push(record),
                }
                if let Some(entry) = entry {
                    entered.push(entry);
                    charged.push(record);
                }
            }
            rollups.add(&mut tx, new.iter().copied()).await?;
            margin_rows::add(&mut tx, new).await?;
            ledger_rows::add_up(&mut tx, &entered).await?;
            charge_rows::add(&mut tx, &charged, &self.books).await?;
        }
        let uses = self.uses.news(records);
        for uses in uses.chunks(USES_CHUNK) {
            key_rows::touch(&mut tx, uses).await?;
        }
        tx.commit().await?;
        rollups.keep();
        self.uses.note(&uses);
        Ok(())
    }

    async fn sum_usage(&self, query: &UsageQuery) -> Result<Vec<UsageSum>, StoreError> {
        let mut report = self.pools.report().await?;
        sums::sum(&mut report, query).await
    }

    async fn pass_usage(&self, query: &UsageQuery, to: &mut dyn Batches<UsageSum>) -> Result<(), StoreError> {
        let mut report = self.pools.report().await?;
        sums::pass(&mut report, query, to).await
    }

    async fn overview(&self, query: &OverviewQuery) -> Result<Overview, StoreError> {
        let mut report = self.pools.report().await?;
        overview::take(&mut report, query).await
    }

    async fn find_records(&self, query: &RecordQuery) -> Result<Vec<UsageRecord>, StoreError> {
        let mut report = self.pools.report().await?;
        found_records::find(&mut report, query).await
    }

    async fn list_records(
        &self,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<UsageRecord>, StoreError> {
        record_rows::list(&mut self.pools.page().await?, after, limit).await
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        match &self.pools {
            Pools::Sqlite(_) => Ok(clock::now()),
            Pools::Postgres(pools) => pools.now().await,
        }
    }

    async fn forget_records(&self, before: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.change().await?;
        let more = match &self.pools {
            Pools::Sqlite(_) => record_rows::delete_some(&mut tx, before).await?,
            Pools::Postgres(pools) => pools.drop_a_month(&mut tx, before).await?,
        };
        tx.commit().await?;
        Ok(more)
    }

    async fn keep_price_book(&self, book: &PriceBook, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        record_rows::keep_book(&mut tx, book, now).await?;
        tx.commit().await
    }

    async fn find_price_book(&self, version: u64) -> Result<Option<PriceBook>, StoreError> {
        record_rows::find_book(&mut self.pools.read().await?, version).await
    }
}
