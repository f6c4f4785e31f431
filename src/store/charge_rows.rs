//! Rows of what was charged, class by class, and of no invoice until it is in one.

use super::{
    engine::Db,
    record_rows,
    row::Row,
    statement::{ROWS, Statement, Value, by_statement, marks},
};
use aione_core::{
    domain::{
        clock::Timestamp,
        id::{InvoiceId, OrgId},
        invoice::Charge,
        money::Pico,
        price::{Class, Part, PriceBook},
        usage::UsageRecord,
    },
    ports::StoreError,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    sync::{Arc, LazyLock},
};

/// How long what is added up together lasts: a month begins at a multiple of it in every zone.
const SPAN_MS: i64 = 900_000;
/// Of one class in one batch: more is no count of anything.
const QUANTITY_MAX: u64 = 1_000_000_000_000_000;
/// Price books that are kept in memory; with more, all are read again.
const BOOKS_MAX: usize = 64;
/// In the order in which [`add`] binds them.
const COLUMNS: [&str; 8] =
    ["org_id", "invoice_id", "start_at", "model", "class", "quantity", "amount_units", "amount_pico"];

static ADDS: LazyLock<[String; 3]> = LazyLock::new(|| ROWS.map(add_sql));

/// Price books by version: none ever changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Books(Arc<Mutex<HashMap<u64, Arc<PriceBook>>>>);

/// What charges are added up by; ordered as the primary key is.
type Place = (OrgId, Timestamp, Arc<str>, Class);

impl Books {
    async fn get(&self, db: &mut Db, version: u64) -> Result<Option<Arc<PriceBook>>, StoreError> {
        if let Some(book) = self.0.lock().get(&version) {
            return Ok(Some(book.clone()));
        }
        let Some(book) = record_rows::find_book(db, version).await?.map(Arc::new) else { return Ok(None) };
        let mut books = self.0.lock();
        if books.len() >= BOOKS_MAX {
            books.clear();
        }
        books.insert(version, book.clone());
        Ok(Some(book))
    }
}

/// Adds records that were charged just now, in the same transaction, to what is in no invoice. Their
/// organizations' turns have been taken.
pub(super) async fn add(db: &mut Db, records: &[&UsageRecord], books: &Books) -> Result<(), StoreError> {
    let mut news: BTreeMap<Place, (u64, Pico)> = BTreeMap::new();
    // Also one that is not there is asked for once, and not for each record.
    let mut found: BTreeMap<u64, Option<Arc<PriceBook>>> = BTreeMap::new();
    for record in records {
        let version = record.opened.price_version;
        if let Entry::Vacant(unknown) = found.entry(version) {
            unknown.insert(books.get(db, version).await?);
        }
    }
    for record in records {
        let opened = &record.opened;
        let start = opened.started_at.plus_ms(-opened.started_at.0.rem_euclid(SPAN_MS));
        let book = found.get(&opened.price_version).and_then(Option::as_deref);
        for part in parts(record, book) {
            let sum = news.entry((opened.org, start, opened.model.clone(), part.class)).or_default();
            *sum = (sum.0.saturating_add(part.quantity).min(QUANTITY_MAX), sum.1 + part.cost);
        }
    }
    let news: Vec<_> = news.into_iter().collect();
    for (which, news) in by_statement(&news) {
        let mut statement = Statement::with_values(&ADDS[which], news.len() * COLUMNS.len());
        for ((org, start, model, class), (quantity, amount)) in news {
            statement.add(*org);
            statement.add(Value::NoId);
            statement.add(*start);
            statement.add(model.clone());
            statement.add(class.as_str());
            statement.add(*quantity);
            statement.add_money(*amount)?;
        }
        db.execute(statement).await?;
    }
    Ok(())
}

/// What a record was charged for. All of it is of no class where its book does not say what it was charged.
fn parts(record: &UsageRecord, book: Option<&PriceBook>) -> Vec<Part> {
    let UsageRecord { opened, closed } = record;
    let price = book.and_then(|book| book.models.get(&opened.model));
    let parts = price.and_then(|price| price.parts(&closed.usage, opened.started_at).ok());
    let parts: Option<Vec<Part>> = parts.and_then(|parts| parts.collect::<Result<_, _>>().ok());
    let is_whole = |parts: &Vec<Part>| parts.iter().map(|part| part.cost).sum::<Pico>() == closed.cost;
    parts
        .filter(is_whole)
        .unwrap_or_else(|| vec![Part { class: Class::Mixed, quantity: 1, cost: closed.cost }])
}

/// What an organization was charged before `until` and has in no invoice.
pub(super) async fn open(db: &mut Db, org: OrgId, until: Timestamp) -> Result<Vec<Charge>, StoreError> {
    let select = format!(
        "SELECT {} FROM charges WHERE org_id = ? AND invoice_id = ? AND start_at < ?",
        COLUMNS.join(", ")
    );
    let rows = db.all(Statement::new(select).bind(org).bind(Value::NoId).bind(until)).await?;
    rows.iter().map(charge_of).collect()
}

/// Puts what is in no invoice into one.
pub(super) async fn put_in(
    db: &mut Db,
    org: OrgId,
    id: InvoiceId,
    until: Timestamp,
) -> Result<(), StoreError> {
    let update = "UPDATE charges SET invoice_id = ? WHERE org_id = ? AND invoice_id = ? AND start_at < ?";
    db.execute(Statement::new(update).bind(id).bind(org).bind(Value::NoId).bind(until)).await.map(drop)
}

/// Takes what is in an invoice out again: it is added to what has come late meanwhile.
pub(super) async fn take_out(db: &mut Db, org: OrgId, id: InvoiceId) -> Result<(), StoreError> {
    let columns = COLUMNS.join(", ");
    let rest = columns.replacen("invoice_id", "?", 1);
    // Without a condition SQLite would take what follows for one of a join.
    let copy = format!(
        "INSERT INTO charges ({columns}) SELECT {rest} FROM charges WHERE org_id = ? AND invoice_id = ? {}",
        on_conflict()
    );
    db.execute(Statement::new(copy).bind(Value::NoId).bind(org).bind(id)).await?;
    let delete = "DELETE FROM charges WHERE org_id = ? AND invoice_id = ?";
    db.execute(Statement::new(delete).bind(org).bind(id)).await.map(drop)
}

/// What each organization was charged, in whichever invoice and in none.
pub(super) async fn totals(db: &mut Db) -> Result<BTreeMap<(OrgId, Option<InvoiceId>), Pico>, StoreError> {
    // In halves of six digits: a sum of whole ones may leave 64 bits.
    let select = "SELECT org_id, invoice_id, CAST(SUM(amount_units) AS BIGINT),
                  CAST(SUM(amount_pico / 1000000) AS BIGINT), CAST(SUM(amount_pico % 1000000) AS BIGINT)
                  FROM charges GROUP BY org_id, invoice_id";
    let rows = db.all(Statement::new(select)).await?;
    let total = |row: &Row| {
        let rest = i128::from(row.get::<i64>(3)?) * 1_000_000 + i128::from(row.get::<i64>(4)?);
        let invoice = row.id_or_none("invoice_id")?.map(InvoiceId);
        Ok(((OrgId(row.uuid("org_id")?), invoice), super::statement::join_money(row.get(2)?, rest)))
    };
    rows.iter().map(total).collect()
}

fn charge_of(row: &Row) -> Result<Charge, StoreError> {
    let model: &str = row.get("model")?;
    Ok(Charge {
        start: row.time("start_at")?,
        model: model.into(),
        class: row.word("class", Class::from_name)?,
        quantity: row.unsigned("quantity")?,
        amount: row.money("amount_units", "amount_pico")?,
    })
}

fn add_sql(rows: usize) -> String {
    let rows = vec![marks(COLUMNS.len()); rows].join(", ");
    format!("INSERT INTO charges ({}) VALUES {rows} {}", COLUMNS.join(", "), on_conflict())
}

fn on_conflict() -> &'static str {
    "ON CONFLICT (org_id, invoice_id, start_at, model, class) DO UPDATE SET
     quantity = charges.quantity + excluded.quantity,
     amount_units = charges.amount_units + excluded.amount_units
         + (charges.amount_pico + excluded.amount_pico) / 1000000000000,
     amount_pico = (charges.amount_pico + excluded.amount_pico) % 1000000000000"
}
