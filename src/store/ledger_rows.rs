//! Rows of the ledger, and what they come to.

use super::{
    engine::{Db, Turn},
    rollups::turn_of,
    row::{Row, corrupt},
    statement::{ROWS, Statement, by_statement, marks},
};
use aione_core::{
    domain::{
        id::{EntryId, OrgId},
        ledger::{Entry, Kind, Total, Totals},
    },
    ports::{EntryPlace, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

/// In the order in which [`with_values`] binds them.
const COLUMNS: [&str; 9] =
    ["id", "org_id", "at", "recorded_at", "kind", "amount_units", "amount_pico", "model", "note"];

static INSERTS: LazyLock<[String; 3]> = LazyLock::new(|| ROWS.map(insert_sql));
static INSERT_TELLING: LazyLock<String> = LazyLock::new(|| insert_sql(1) + " RETURNING id");
static SELECT: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {} FROM ledger_entries", COLUMNS.join(", ")));

/// Inserts what is not there yet, and tells how many that are.
pub(super) async fn insert(db: &mut Db, entries: &[Entry]) -> Result<usize, StoreError> {
    let mut inserted = 0;
    for (which, entries) in by_statement(entries) {
        inserted += db.execute(with_values(&INSERTS[which], entries)?).await?;
    }
    Ok(usize::try_from(inserted).unwrap_or(usize::MAX))
}

/// Inserts an entry, and tells whether it was not there yet.
pub(super) async fn insert_one(db: &mut Db, entry: &Entry) -> Result<bool, StoreError> {
    let insert = with_values(&INSERT_TELLING, std::slice::from_ref(entry))?;
    Ok(db.optional(insert).await?.is_some())
}

/// Adds entries that were inserted just now to what is kept of their organizations.
pub(super) async fn add_up<'e>(
    db: &mut Db,
    entries: impl IntoIterator<Item = &'e Entry>,
) -> Result<(), StoreError> {
    let mut news: BTreeMap<OrgId, Totals> = BTreeMap::new();
    for entry in entries {
        news.entry(entry.org).or_default().add(entry);
    }
    // From here to the commit nobody else changes what is read.
    let turns: BTreeSet<Turn> = news.keys().map(|org| turn_of(*org)).collect();
    for turn in turns {
        db.take(turn).await?;
    }
    for (org, news) in news {
        let before = totals(db, org).await?;
        for (kind, news) in news.0 {
            let before = before.0.get(&kind).copied().unwrap_or_default();
            let after = Total {
                entries: before.entries.saturating_add(news.entries),
                amount: before.amount + news.amount,
            };
            put_total(db, org, kind, after).await?;
        }
    }
    Ok(())
}

pub(super) async fn totals(db: &mut Db, org: OrgId) -> Result<Totals, StoreError> {
    let select = "SELECT kind, entries, amount_units, amount_pico FROM ledger_totals WHERE org_id = ?";
    let rows = db.all(Statement::new(select).bind(org)).await?;
    rows.iter().map(total_of).collect::<Result<_, _>>().map(Totals)
}

pub(super) async fn all_totals(db: &mut Db) -> Result<BTreeMap<OrgId, Totals>, StoreError> {
    let select = "SELECT org_id, kind, entries, amount_units, amount_pico FROM ledger_totals";
    let mut all: BTreeMap<OrgId, Totals> = BTreeMap::new();
    for row in db.all(Statement::new(select)).await? {
        let (kind, total) = total_of(&row)?;
        all.entry(OrgId(row.uuid("org_id")?)).or_default().0.insert(kind, total);
    }
    Ok(all)
}

/// The newest first.
pub(super) async fn find(
    db: &mut Db,
    org: OrgId,
    after: Option<EntryPlace>,
    limit: u32,
) -> Result<Vec<Entry>, StoreError> {
    let mut sql = Statement::new(SELECT.as_str());
    sql.push(" WHERE org_id = ").push_value(org);
    if let Some(after) = after {
        sql.push(" AND (at, id) < (").push_value(after.at);
        sql.push(", ").push_value(after.id).push(")");
    }
    sql.push(" ORDER BY at DESC, id DESC LIMIT ").push_value(limit);
    db.all(sql).await?.iter().map(entry_of).collect()
}

pub(super) async fn list(db: &mut Db, after: Option<EntryId>, limit: u32) -> Result<Vec<Entry>, StoreError> {
    let mut sql = Statement::new(SELECT.as_str());
    if let Some(after) = after {
        sql.push(" WHERE id > ").push_value(after);
    }
    sql.push(" ORDER BY id LIMIT ").push_value(limit);
    db.all(sql).await?.iter().map(entry_of).collect()
}

async fn put_total(db: &mut Db, org: OrgId, kind: Kind, total: Total) -> Result<(), StoreError> {
    let mut put = Statement::new(
        "INSERT INTO ledger_totals (org_id, kind, entries, amount_units, amount_pico) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (org_id, kind) DO UPDATE SET entries = excluded.entries,
         amount_units = excluded.amount_units, amount_pico = excluded.amount_pico",
    );
    put.add(org);
    put.add(kind.as_str());
    put.add(total.entries);
    put.add_money(total.amount)?;
    db.execute(put).await.map(drop)
}

fn insert_sql(rows: usize) -> String {
    let rows = vec![marks(COLUMNS.len()); rows].join(", ");
    format!("INSERT INTO ledger_entries ({}) VALUES {rows} ON CONFLICT DO NOTHING", COLUMNS.join(", "))
}

fn with_values(sql: &'static str, entries: &[Entry]) -> Result<Statement, StoreError> {
    let mut statement = Statement::with_values(sql, entries.len() * COLUMNS.len());
    for entry in entries {
        statement.add(entry.id);
        statement.add(entry.org);
        statement.add(entry.at);
        statement.add(entry.recorded_at);
        statement.add(entry.kind.as_str());
        statement.add_money(entry.amount)?;
        statement.add(entry.model.clone());
        statement.add(entry.note.clone());
    }
    Ok(statement)
}

fn entry_of(row: &Row) -> Result<Entry, StoreError> {
    let model: Option<&str> = row.get("model")?;
    Ok(Entry {
        id: EntryId(row.uuid("id")?),
        org: OrgId(row.uuid("org_id")?),
        at: row.time("at")?,
        recorded_at: row.time("recorded_at")?,
        kind: kind_of(row)?,
        amount: row.money("amount_units", "amount_pico")?,
        model: model.map(Arc::from),
        note: row.get("note")?,
    })
}

fn total_of(row: &Row) -> Result<(Kind, Total), StoreError> {
    let amount = row.money("amount_units", "amount_pico")?;
    Ok((kind_of(row)?, Total { entries: row.unsigned("entries")?, amount }))
}

fn kind_of(row: &Row) -> Result<Kind, StoreError> {
    let name: &str = row.get("kind")?;
    Kind::from_name(name).ok_or_else(|| corrupt(format!("there is no kind of entry `{name}`")))
}
