//! The audit: every charge derived once more from raw usage and the prices that were in force.

use aione_core::{
    domain::{
        id::RecordId,
        money::Pico,
        price::{PriceBook, Unpriced},
        usage::UsageRecord,
    },
    ports::{StoreError, UsageStore},
};
use std::{collections::HashMap, fmt, sync::Arc};

/// Records that are read at once.
const PAGE: u32 = 1_000;
/// Differences that are told one by one; more are counted.
const DIFFERENCES_MAX: usize = 100;
/// Price books that are kept in memory; with more, all are read again.
const BOOKS_MAX: usize = 64;

/// What the audit found. Printed, it is a summary and a line for each difference.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    pub records: u64,
    /// Of them, those of sandbox keys, which cost nothing.
    pub sandbox: u64,
    /// Of them, those kept apart until their model has a price; they cost nothing yet.
    pub unpriced: u64,
    pub stored_cost: Pico,
    /// What the records cost by this audit; those with a difference in their price book are
    /// counted as stored.
    pub derived_cost: Pico,
    /// All of them, also those that are not in `differences`.
    pub differing: u64,
    /// The first [`DIFFERENCES_MAX`].
    pub differences: Vec<Difference>,
}

/// A record that does not cost what it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Difference {
    pub record: RecordId,
    pub stored: Pico,
    pub found: Finding,
}

/// What stands against the stored cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finding {
    /// Its usage costs another amount under its price book.
    Costs(Pico),
    /// A sandbox record was charged.
    SandboxCharged,
    /// It was charged, and its price book has no price for it.
    ChargedWithout(Unpriced),
    /// It has no price and stands there as if it cost nothing.
    FreeWithout(Unpriced),
    /// The store has no price book of its version.
    NoBook { version: u64 },
}

impl Report {
    /// Whether every charge is what it should be.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.differing == 0
    }

    fn add(&mut self, record: &UsageRecord, verdict: Verdict) {
        let stored = record.closed.cost;
        self.records += 1;
        self.stored_cost = self.stored_cost + stored;
        let found = match verdict {
            Verdict::Sandbox => {
                self.sandbox += 1;
                (stored != Pico::ZERO).then_some(Finding::SandboxCharged)
            }
            Verdict::Priced(cost) => {
                self.derived_cost = self.derived_cost + cost;
                (stored != cost).then_some(Finding::Costs(cost))
            }
            Verdict::Unpriced(why) => {
                self.unpriced += 1;
                match (stored, record.closed.unpriced) {
                    (Pico::ZERO, true) => None,
                    (Pico::ZERO, false) => Some(Finding::FreeWithout(why)),
                    _ => Some(Finding::ChargedWithout(why)),
                }
            }
            Verdict::NoBook => {
                self.derived_cost = self.derived_cost + stored;
                Some(Finding::NoBook { version: record.opened.price_version })
            }
        };
        let Some(found) = found else {
            return;
        };
        self.differing += 1;
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(Difference { record: record.opened.id, stored, found });
        }
    }
}

/// What one record should cost.
enum Verdict {
    Sandbox,
    Priced(Pico),
    Unpriced(Unpriced),
    NoBook,
}

/// Walks all records, oldest id first, a page at a time; it takes no lock, so that a gateway may
/// go on beside it.
///
/// # Errors
/// The store cannot be read.
pub async fn audit(store: &dyn UsageStore) -> Result<Report, StoreError> {
    let mut report = Report::default();
    let mut books = Books { store, kept: HashMap::new() };
    let mut after = None;
    loop {
        let page = store.list_records(after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(report);
        };
        after = Some(last.opened.id);
        for record in &page {
            let verdict = judge(record, &mut books).await?;
            report.add(record, verdict);
        }
    }
}

async fn judge(record: &UsageRecord, books: &mut Books<'_>) -> Result<Verdict, StoreError> {
    let opened = &record.opened;
    if opened.sandbox {
        return Ok(Verdict::Sandbox);
    }
    let Some(book) = books.get(opened.price_version).await? else {
        return Ok(Verdict::NoBook);
    };
    if record.closed.is_free() {
        return Ok(Verdict::Priced(Pico::ZERO));
    }
    let price = book.models.get(&opened.model).ok_or(Unpriced::Model);
    let cost = price.and_then(|price| price.price(&record.closed.usage, opened.started_at));
    Ok(cost.map_or_else(Verdict::Unpriced, Verdict::Priced))
}

/// Price books by version, as they are needed; `None` where the store has none.
struct Books<'a> {
    store: &'a dyn UsageStore,
    kept: HashMap<u64, Option<Arc<PriceBook>>>,
}

impl Books<'_> {
    async fn get(&mut self, version: u64) -> Result<Option<Arc<PriceBook>>, StoreError> {
        if let Some(book) = self.kept.get(&version) {
            return Ok(book.clone());
        }
        if self.kept.len() == BOOKS_MAX {
            self.kept.clear();
        }
        let book = self.store.find_price_book(version).await?.map(Arc::new);
        self.kept.insert(version, book.clone());
        Ok(book)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "records   {}", self.records)?;
        writeln!(f, "sandbox   {}", self.sandbox)?;
        writeln!(f, "unpriced  {}", self.unpriced)?;
        writeln!(f, "stored    {}", self.stored_cost)?;
        writeln!(f, "derived   {}", self.derived_cost)?;
        writeln!(f, "differing {}", self.differing)?;
        for difference in &self.differences {
            writeln!(f, "{difference}")?;
        }
        let told = u64::try_from(self.differences.len()).unwrap_or(u64::MAX);
        match self.differing.saturating_sub(told) {
            0 => Ok(()),
            more => writeln!(f, "and {more} more"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { record, stored, found } = self;
        write!(f, "{record}: stored {stored}, ")?;
        match found {
            Finding::Costs(cost) => write!(f, "costs {cost}"),
            Finding::SandboxCharged => f.write_str("but sandbox use costs nothing"),
            Finding::ChargedWithout(why) => write!(f, "but {why}"),
            Finding::FreeWithout(why) => write!(f, "as if it were free, but {why}"),
            Finding::NoBook { version } => write!(f, "and price book {version:016x} is not kept"),
        }
    }
}

#[cfg(test)]
mod tests;
