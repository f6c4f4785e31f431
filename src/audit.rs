//! The audit: every charge derived once more from raw usage and the prices that were in force, and
//! compared with what the ledger says.

use aione_core::{
    domain::{
        id::{EntryId, InvoiceId, OrgId, RecordId},
        ledger::{Entry, Kind, Total, Totals},
        money::Pico,
        price::{PriceBook, Unpriced},
        usage::UsageRecord,
    },
    ports::{InvoiceStore, LedgerStore, MarginStore, StoreError, UsageStore},
};
use margins::Margins;
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

mod invoices;
mod margins;

pub use margins::Misattributed;

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
    /// Of the ledger, of every kind.
    pub entries: u64,
    /// What the ledger charges for usage.
    pub entered_cost: Pico,
    /// Charges whose record is kept no longer.
    pub outlived: u64,
    /// All of them, also those that are not in `differences`.
    pub differing: u64,
    /// The first [`DIFFERENCES_MAX`].
    pub differences: Vec<Difference>,
    /// Sums of the ledger that are not what its entries come to.
    pub unbalanced: Vec<Unbalanced>,
    pub invoices: u64,
    /// What is wrong with invoices, and with what is in none yet.
    pub misinvoiced: Vec<Misinvoiced>,
    /// Margins that are not what the attempts of records come to.
    pub misattributed: Vec<Misattributed>,
}

/// An invoice, or what an organization has in none yet, that does not agree with the rest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Misinvoiced {
    /// Its lines are not what it was charged for.
    Lines { invoice: InvoiceId, lines: Pico, charged: Pico },
    /// Its lines, or its tax, do not come to what it says when they are rounded once more.
    Rounded { invoice: InvoiceId },
    /// What the ledger charges for usage is not what is in invoices and in none yet.
    Classes { org: OrgId, entered: Pico, charged: Pico },
    /// What the ledger has of an issued invoice is not what follows from it.
    Entries { invoice: InvoiceId, kind: Kind, expected: Pico, entered: Pico },
}

/// A sum that an organization's entries do not come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unbalanced {
    pub org: OrgId,
    pub kind: Kind,
    pub kept: Total,
    pub entered: Total,
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
    /// The ledger charges another amount.
    Entered(Pico),
    /// The ledger does not charge it.
    NotEntered,
    /// The ledger charges another organization.
    EnteredFor(OrgId),
}

impl Report {
    /// Whether every charge is what it should be.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.differing == 0
            && self.unbalanced.is_empty()
            && self.misinvoiced.is_empty()
            && self.misattributed.is_empty()
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
        self.tell(record, found);
    }

    /// Compares what a record costs with what the ledger charges for it.
    fn compare(&mut self, record: &UsageRecord, entry: Option<&Entry>) {
        let charge = Entry::of_usage(record, record.opened.started_at);
        let found = match (&charge, entry) {
            (None, None) => None,
            (Some(_), None) => Some(Finding::NotEntered),
            (_, Some(entry)) if entry.org != record.opened.org => Some(Finding::EnteredFor(entry.org)),
            (Some(charge), Some(entry)) if charge.amount == entry.amount => None,
            (_, Some(entry)) => Some(Finding::Entered(entry.amount)),
        };
        self.tell(record, found);
    }

    fn tell(&mut self, record: &UsageRecord, found: Option<Finding>) {
        let Some(found) = found else { return };
        self.differing += 1;
        if self.differences.len() < DIFFERENCES_MAX {
            let (id, stored) = (record.opened.id, record.closed.cost);
            self.differences.push(Difference { record: id, stored, found });
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
pub async fn audit<S>(store: &S) -> Result<Report, StoreError>
where
    S: UsageStore + LedgerStore + InvoiceStore + MarginStore,
{
    let mut report = Report::default();
    let before = store.all_totals().await?;
    let mut books = Books { store, kept: HashMap::new() };
    let mut ledger = Ledger { store, after: None, entered: BTreeMap::new(), of_invoices: BTreeMap::new() };
    let mut margins = Margins::begin(store).await?;
    let mut after = None;
    loop {
        let page = store.list_records(after, PAGE).await?;
        let last = page.last().map(|record| record.opened.id);
        // Read after the records, so that whatever was entered with one of these is seen.
        let mut charges = ledger.up_to(last, &mut report).await?;
        for record in &page {
            let verdict = judge(record, &mut books).await?;
            report.add(record, verdict);
            margins.add(record);
            report.compare(record, charges.remove(&record.opened.id).as_ref());
        }
        report.outlived += u64::try_from(charges.len()).unwrap_or(u64::MAX);
        if last.is_none() {
            break;
        }
        after = last;
    }
    // Sums that a gateway beside this has changed meanwhile say nothing.
    let kept = store.all_totals().await?;
    report.unbalanced = ledger.unbalanced(&before, &kept);
    invoices::audit(store, &ledger.of_invoices, &mut report).await?;
    margins.end(store, &mut report).await?;
    Ok(report)
}

/// The walk over the entries, beside that over the records.
struct Ledger<'a, S> {
    store: &'a S,
    after: Option<EntryId>,
    /// What was met so far comes to.
    entered: BTreeMap<OrgId, Totals>,
    /// What was entered for documents, by entry.
    of_invoices: BTreeMap<EntryId, Pico>,
}

impl<S: LedgerStore> Ledger<'_, S> {
    /// Goes on to the entry of the record `last` or past where it would be; `None`: to the end. What it
    /// met of usage, by record.
    async fn up_to(
        &mut self,
        last: Option<RecordId>,
        report: &mut Report,
    ) -> Result<HashMap<RecordId, Entry>, StoreError> {
        let mut charges = HashMap::new();
        loop {
            let page = self.store.list_entries(self.after, PAGE).await?;
            for entry in page.iter() {
                if last.is_some_and(|last| entry.id.0 > last.0) {
                    return Ok(charges);
                }
                self.after = Some(entry.id);
                self.entered.entry(entry.org).or_default().add(entry);
                report.entries += 1;
                if !matches!(entry.kind, Kind::Usage | Kind::TopUp | Kind::Adjustment) {
                    self.of_invoices.insert(entry.id, entry.amount);
                }
                if let Some(record) = entry.record() {
                    report.entered_cost = report.entered_cost + entry.amount;
                    charges.insert(record, entry.clone());
                }
            }
            if page.is_empty() {
                return Ok(charges);
            }
        }
    }

    fn unbalanced(
        &self,
        before: &BTreeMap<OrgId, Totals>,
        kept: &BTreeMap<OrgId, Totals>,
    ) -> Vec<Unbalanced> {
        let nothing = Totals::default();
        let orgs = self.entered.keys().chain(kept.keys().filter(|org| !self.entered.contains_key(org)));
        let of = |totals: &Totals, kind| totals.0.get(&kind).copied().unwrap_or_default();
        let mut unbalanced = Vec::new();
        for org in orgs.copied() {
            let [before, kept, entered] =
                [before, kept, &self.entered].map(|totals| totals.get(&org).unwrap_or(&nothing));
            for kind in Kind::ALL.into_iter().filter(|kind| of(before, *kind) == of(kept, *kind)) {
                let (kept, entered) = (of(kept, kind), of(entered, kind));
                if kept != entered {
                    unbalanced.push(Unbalanced { org, kind, kept, entered });
                }
            }
        }
        unbalanced
    }
}

async fn judge<S: UsageStore>(record: &UsageRecord, books: &mut Books<'_, S>) -> Result<Verdict, StoreError> {
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
struct Books<'a, S> {
    store: &'a S,
    kept: HashMap<u64, Option<Arc<PriceBook>>>,
}

impl<S: UsageStore> Books<'_, S> {
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
        writeln!(f, "entries   {}", self.entries)?;
        writeln!(f, "entered   {}", self.entered_cost)?;
        writeln!(f, "outlived  {}", self.outlived)?;
        writeln!(f, "invoices  {}", self.invoices)?;
        writeln!(f, "differing {}", self.differing)?;
        for wrong in &self.misinvoiced {
            writeln!(f, "{wrong}")?;
        }
        for wrong in &self.misattributed {
            writeln!(f, "{wrong}")?;
        }
        for Unbalanced { org, kind, kept, entered } in &self.unbalanced {
            let kind = kind.as_str();
            write!(
                f,
                "organization {org}, {kind}: the ledger keeps {} in {} entries, ",
                kept.amount, kept.entries
            )?;
            writeln!(f, "which come to {} in {}", entered.amount, entered.entries)?;
        }
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
            Finding::Entered(amount) => write!(f, "but the ledger charges {amount}"),
            Finding::NotEntered => f.write_str("but the ledger does not charge it"),
            Finding::EnteredFor(org) => write!(f, "but the ledger charges it to the organization {org}"),
        }
    }
}

#[cfg(test)]
mod tests;
