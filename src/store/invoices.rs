//! The port `InvoiceStore`, and what every start keeps of the plans.

use super::{Store, charge_rows, invoice_rows, plan_rows};
use aione_core::{
    domain::{
        clock::Timestamp,
        id::{InvoiceId, OrgId},
        invoice::Invoice,
        money::Pico,
        plan::Plan,
    },
    ports::{InvoiceStore, Page, StoreError},
};
use async_trait::async_trait;
use std::collections::BTreeMap;

#[async_trait]
impl InvoiceStore for Store {
    async fn list_invoices(&self, org: OrgId, page: Page) -> Result<(Vec<Invoice>, u64), StoreError> {
        let mut db = self.pools.page().await?;
        Ok((invoice_rows::list(&mut db, org, page).await?, invoice_rows::count(&mut db, org).await?))
    }

    async fn find_invoice(&self, org: OrgId, id: InvoiceId) -> Result<Option<Invoice>, StoreError> {
        invoice_rows::find(&mut self.pools.page().await?, org, id).await
    }

    async fn list_all_invoices(
        &self,
        after: Option<InvoiceId>,
        limit: u32,
    ) -> Result<Vec<Invoice>, StoreError> {
        invoice_rows::list_all(&mut self.pools.report().await?, after, limit).await
    }

    async fn charged(&self) -> Result<BTreeMap<(OrgId, Option<InvoiceId>), Pico>, StoreError> {
        charge_rows::totals(&mut self.pools.report().await?).await
    }
}

impl Store {
    /// Keeps what the plans are from `now` on, where they were something else. One that has left the
    /// configuration is what stands in for it.
    ///
    /// # Errors
    /// The store is unavailable.
    pub async fn keep_plans<'p>(
        &self,
        plans: impl IntoIterator<Item = &'p Plan>,
        stands_in: &Plan,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.change().await?;
        let mut left = plan_rows::codes(&mut tx).await?;
        for plan in plans {
            left.remove(&plan.code);
            plan_rows::keep(&mut tx, &plan.code, plan, now).await?;
        }
        for code in left {
            plan_rows::keep(&mut tx, &code, stands_in, now).await?;
        }
        tx.commit().await
    }
}
