//! Invoices, to be read; they are made and change as a [`super::Change`].

use super::{Page, StoreError};
use crate::domain::{
    id::{InvoiceId, OrgId},
    invoice::Invoice,
    money::Pico,
};
use async_trait::async_trait;
use std::collections::BTreeMap;

#[async_trait]
pub trait InvoiceStore: Send + Sync {
    /// An organization's, the newest first, without their credit notes; and how many there are.
    async fn list_invoices(&self, org: OrgId, page: Page) -> Result<(Vec<Invoice>, u64), StoreError>;
    /// With its credit notes. Two round trips.
    async fn find_invoice(&self, org: OrgId, id: InvoiceId) -> Result<Option<Invoice>, StoreError>;
    /// Every organization's after `after`, in the order of their ids, for the audit.
    async fn list_all_invoices(
        &self,
        after: Option<InvoiceId>,
        limit: u32,
    ) -> Result<Vec<Invoice>, StoreError>;
    /// What each organization was charged class by class, in each invoice and in none, for the audit.
    async fn charged(&self) -> Result<BTreeMap<(OrgId, Option<InvoiceId>), Pico>, StoreError>;
}
