//! Facts about the store itself: the pepper that its hashes are made under, the currency of its
//! records.

use super::{Store, engine::Db, statement::Statement};
use aione_core::{domain::key::Peppers, ports::StoreError};

/// The check value of the pepper that hashes are made under.
const PEPPER_CHECK: &str = "pepper_check";
/// The currency of every amount in the store.
const CURRENCY: &str = "currency";

impl Store {
    /// Whether this store's hashes were made under one of `peppers`. The first start keeps the
    /// first pepper's check value; a start with a new first pepper, the former one still among
    /// them, keeps the new one's.
    ///
    /// # Errors
    /// `Conflict`: none of them is the store's, so that no key would be known. Nothing changed.
    pub async fn check_pepper(&self, peppers: &Peppers) -> Result<(), StoreError> {
        let mut tx = self.change().await?;
        let stored = fact(&mut tx, PEPPER_CHECK).await?;
        let known = stored.is_none_or(|stored| peppers.check_values().any(|value| value[..] == stored[..]));
        if !known {
            return Err(StoreError::Conflict(
                "the key pepper is not the one that this store's keys were hashed under: \
                 give the former one too, in `secrets.key_pepper`"
                    .to_owned(),
            ));
        }
        keep(&mut tx, PEPPER_CHECK, &peppers.check_value()[..]).await?;
        tx.commit().await
    }

    /// Whether the store's amounts are in `currency`, which is kept at the first start. While
    /// there is no record yet, another one may take its place.
    ///
    /// # Errors
    /// `Conflict`: there are records in another currency, and sums would mix the two. Nothing
    /// changed.
    pub async fn check_currency(&self, currency: &str) -> Result<(), StoreError> {
        let mut tx = self.change().await?;
        let stored = fact(&mut tx, CURRENCY).await?;
        if stored.as_deref() == Some(currency.as_bytes()) {
            return Ok(());
        }
        if let Some(stored) = stored
            && has_records(&mut tx).await?
        {
            return Err(StoreError::Conflict(format!(
                "its records are in {}, and `billing.currency` says {currency}: use another \
                 `storage.database` for it",
                String::from_utf8_lossy(&stored)
            )));
        }
        keep(&mut tx, CURRENCY, currency.as_bytes()).await?;
        tx.commit().await
    }
}

/// What is kept under a name.
pub(super) async fn fact(db: &mut Db, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
    let row = db.optional(Statement::new("SELECT value FROM meta WHERE name = ?").bind(name)).await?;
    row.map(|row| row.get(0)).transpose()
}

pub(super) async fn keep(db: &mut Db, name: &'static str, value: &[u8]) -> Result<(), StoreError> {
    let keep = Statement::new(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    );
    db.execute(keep.bind(name).bind(value.to_vec())).await.map(drop)
}

async fn has_records(db: &mut Db) -> Result<bool, StoreError> {
    // Also where every record was let go of: what they came to has stayed.
    let any = ["usage_records", "usage_rollups", "ledger_entries"];
    let any = any.map(|table| format!("EXISTS (SELECT 1 FROM {table})")).join(" OR ");
    db.one(Statement::new(format!("SELECT {any}"))).await?.get(0)
}
