//! The usage records as they are kept, read straight from the SQLite file beside the gateway.

use sqlx::{
    Column as _, Row as _, SqlitePool, TypeInfo as _, ValueRef as _,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow},
};
use std::{collections::BTreeMap, path::Path};

/// One row: every column by its name, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record(pub BTreeMap<String, String>);

impl Record {
    fn text(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("no column {name} in {:?}", self.0.keys()))
    }

    fn count(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or_else(|_| panic!("{name} is {:?}", self.text(name)))
    }

    /// The caller's `x-request-id`.
    pub fn id(&self) -> &str {
        self.text("id")
    }

    /// In units of 10⁻¹².
    pub fn cost(&self) -> i128 {
        i128::from(self.count("cost_units")) * 1_000_000_000_000 + i128::from(self.count("cost_pico"))
    }

    pub fn end(&self) -> &str {
        self.text("ended")
    }

    pub fn provenance(&self) -> &str {
        self.text("provenance")
    }

    pub fn model(&self) -> &str {
        self.text("model")
    }

    pub fn provider(&self) -> &str {
        self.text("provider")
    }

    pub fn attempts(&self) -> u64 {
        self.count("attempts")
    }

    pub fn status(&self) -> u64 {
        self.count("status")
    }

    pub fn flagged(&self) -> bool {
        self.count("flagged") != 0
    }

    pub fn cached(&self) -> u64 {
        self.count("cache_read")
    }

    pub fn reasoning(&self) -> u64 {
        self.count("reasoning")
    }

    /// The whole prompt, cached tokens included.
    pub fn prompt(&self) -> u64 {
        self.count("input") + self.cached()
    }

    /// The whole prompt with what was written to the cache.
    pub fn prompt_with_writes(&self) -> u64 {
        self.prompt() + self.count("cache_write_5m") + self.count("cache_write_1h")
    }

    /// The whole answer, reasoning included.
    pub fn completion(&self) -> u64 {
        self.count("output") + self.reasoning()
    }
}

/// All rows in id order; none where the file or the table is not there yet.
pub async fn read(file: &Path) -> Vec<Record> {
    let Some(pool) = open(file).await else { return Vec::new() };
    let rows = sqlx::query("SELECT * FROM usage_records ORDER BY id").fetch_all(&pool).await;
    pool.close().await;
    rows.unwrap_or_default().iter().map(record).collect()
}

async fn open(file: &Path) -> Option<SqlitePool> {
    if !file.exists() {
        return None;
    }
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    SqlitePoolOptions::new().max_connections(1).connect_with(options).await.ok()
}

fn record(row: &SqliteRow) -> Record {
    let cells = row.columns().iter().map(|column| (column.name().to_owned(), cell(row, column.ordinal())));
    Record(cells.collect())
}

fn cell(row: &SqliteRow, at: usize) -> String {
    let raw = row.try_get_raw(at).unwrap();
    if raw.is_null() {
        return String::new();
    }
    match raw.type_info().name() {
        "INTEGER" | "BOOLEAN" => row.get_unchecked::<i64, _>(at).to_string(),
        "REAL" => row.get_unchecked::<f64, _>(at).to_string(),
        "BLOB" => identifier(&row.get_unchecked::<Vec<u8>, _>(at)),
        _ => row.get_unchecked::<String, _>(at),
    }
}

/// A blob of 16 bytes is a UUID; any other is shown in hexadecimal.
fn identifier(bytes: &[u8]) -> String {
    if let Ok(uuid) = uuid::Uuid::from_slice(bytes) {
        return uuid.to_string();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
