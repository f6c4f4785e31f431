//! The embedded store: one SQLite file beside the gateway.
//!
//! Write-ahead log and `synchronous=FULL`: what a method has returned from survives a power cut,
//! on which the journal relies when it is truncated. One connection writes, a few read, and
//! reports have connections and bounds of their own.

mod bootstrap;
mod changes;
mod cover;
mod found_records;
mod key_rows;
mod keys;
mod meta;
mod overview;
mod record_rows;
mod reports;
mod rollup_rows;
mod rollups;
mod schema;
mod sums;
mod tenants;
#[cfg(test)]
mod tests;
mod trail;
mod usage;
mod uses;
mod value;
mod zone;

pub use bootstrap::DEFAULT_NAME;

use aione_core::ports::StoreError;
use reports::Reports;
use rollups::Rollups;
use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{fs, io, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};
use uses::Uses;

/// Connections that read at the same time; more would only wait for the same disk and cores.
const READERS_MAX: u32 = 4;
/// How long a statement waits for another process that holds the file.
const BUSY_MAX: Duration = Duration::from_secs(5);
/// Pause before a file that was busy at its opening is asked again.
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// How long a caller waits for a connection.
const ACQUIRE_MAX: Duration = Duration::from_secs(5);
/// Pages that a connection keeps for itself, as SQLite writes KiB; the system caches the file as well.
const CACHE_SIZE: &str = "-512";
/// What the file holds are hashes, names and bills: nobody else's to read.
const FILE_MODE: u32 = 0o600;

/// An open database file. Clones share its connections.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    /// One connection, so that writers queue here and not at the file's lock.
    writer: SqlitePool,
    /// For what a request waits for: look-ups of a row or a page.
    readers: SqlitePool,
    reports: Reports,
    uses: Uses,
    rollups: Rollups,
}

impl SqliteStore {
    /// Opens the file and brings its tables up to date. The file, readable by its owner alone,
    /// and the folder that it is in are made where they are missing.
    ///
    /// # Errors
    /// The file cannot be opened or made, or a newer version has written it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        make_file(path).map_err(|error| unavailable(path, &error))?;
        let options = options(path).journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let rollups = Rollups::default();
        let writer =
            connect(rollups.watch(pool(1)), options).await.map_err(|error| unavailable(path, &error))?;
        schema::migrate(&writer).await?;
        let readers = connect(pool(READERS_MAX), options_read_only(path)).await.map_err(value::failed)?;
        let reports = Reports::open(options_read_only(path)).await?;
        Ok(Self { writer, readers, reports, uses: Uses::default(), rollups })
    }

    /// Opens an existing file for reading, also beside a running gateway. Every method that
    /// writes fails.
    ///
    /// # Errors
    /// There is no such file, or its tables are of another version.
    pub async fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let readers = connect(pool(READERS_MAX), options_read_only(path))
            .await
            .map_err(|error| unavailable(path, &error))?;
        schema::check(&readers).await?;
        let reports = Reports::open(options_read_only(path)).await?;
        Ok(Self {
            writer: readers.clone(),
            readers,
            reports,
            uses: Uses::default(),
            rollups: Rollups::default(),
        })
    }

    /// The version that its tables have.
    ///
    /// # Errors
    /// The store is unavailable.
    pub async fn schema_version(&self) -> Result<usize, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(value::failed)?;
        schema::version(&mut connection).await
    }

    /// Waits for what is under way and closes the file.
    pub async fn close(&self) {
        self.reports.close().await;
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Starts a transaction that writes. It takes the file's lock now: one that began by reading
    /// could find the file changed when it comes to write.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(value::failed)
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_MAX)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Opens a pool's first connection. Where two processes turn a new file to its log at the same
/// time, SQLite tells one of them at once that the file is locked, whatever its `busy_timeout`:
/// it is asked again for as long.
async fn connect(pool: SqlitePoolOptions, options: SqliteConnectOptions) -> sqlx::Result<SqlitePool> {
    let asking = async {
        loop {
            match pool.clone().connect_with(options.clone()).await {
                Err(error) if is_busy(&error) => tokio::time::sleep(BUSY_PAUSE).await,
                connected => return connected,
            }
        }
    };
    tokio::time::timeout(BUSY_MAX, asking).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// SQLITE_BUSY is 5; its extended codes keep it in their lowest byte.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY_MAX)
        .pragma("cache_size", CACHE_SIZE)
}

fn options_read_only(path: &Path) -> SqliteConnectOptions {
    options(path).read_only(true)
}

/// SQLite gives the log and the shared-memory file the mode of the file itself. One that is there
/// is not opened: closing it would drop the locks that this process may hold on it.
fn make_file(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    match fs::OpenOptions::new().create_new(true).append(true).mode(FILE_MODE).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

fn unavailable(path: &Path, error: &dyn std::error::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}
