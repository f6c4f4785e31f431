//! What is spent, and what is reserved to be.

use super::StoreError;
use crate::domain::{
    budget::{Known, Owner, Term},
    money::Pico,
};
use async_trait::async_trait;

/// What was charged, purse by purse.
#[async_trait]
pub trait BudgetStore: Send + Sync {
    /// What was paid in and what was spent within `term`, which consists of whole days of `zone`. A request
    /// may wait for it.
    async fn known(&self, owner: Owner, term: Term, zone: chrono_tz::Tz) -> Result<Known, StoreError>;
}

/// The purses of requests in flight, to be looked at.
pub trait Spending: Send + Sync {
    /// What is reserved of a purse.
    fn reserved(&self, owner: Owner) -> Pico;
}
