//! The embedded database: one SQLite file beside the gateway.
//!
//! Write-ahead log and `synchronous=FULL`: what a method has returned from survives a power cut,
//! on which the journal relies when it is truncated. One connection writes, a few read, and lists and
//! reports have connections and bounds of their own.

mod bounded;

use super::{
    engine::{Db, Held, RunMax},
    rollups::Rollups,
    row::failed,
    schema,
};
use aione_core::ports::StoreError;
pub(super) use bounded::{Bounded, Bounds};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{fs, io, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

/// Connections that read at the same time; more would only wait for the same disk and cores.
const READERS_MAX: u32 = 4;
/// Lists at the same time, and purses that are looked into, how long one waits for its turn, and how long it may take.
const PAGES: Bounds = Bounds { turns: 2, wait_max: Duration::from_secs(2), run_max: Duration::from_secs(2) };
/// The same of reports.
pub(super) const REPORTS: Bounds =
    Bounds { turns: 2, wait_max: Duration::from_secs(2), run_max: Duration::from_secs(10) };
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

/// The connections of an open file.
#[derive(Clone, Debug)]
pub(super) struct Pools {
    /// One connection, so that writers queue here and not at the file's lock.
    writer: SqlitePool,
    /// For what a request waits for: look-ups of a row.
    readers: SqlitePool,
    pub(super) pages: Bounded,
    /// For what a request waits for and that sums up: what is in a purse.
    pub(super) purses: Bounded,
    pub(super) reports: Bounded,
}

impl Pools {
    /// Opens the file, and makes it, readable by its owner alone, and the folder that it is in where they
    /// are missing.
    pub(super) async fn open(path: &Path, rollups: &Rollups) -> Result<Self, StoreError> {
        make_file(path).map_err(|error| unavailable(path, &error))?;
        let options = options(path).journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let writer = connect_there(rollups.watch(pool(1)), options);
        let writer = writer.await.map_err(|error| unavailable(path, &error))?;
        schema::migrate(begin(&writer).await?).await?;
        let readers = connect(pool(READERS_MAX), options_read_only(path)).await.map_err(failed)?;
        Ok(Self::beside(path, writer, readers))
    }

    pub(super) async fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let readers = connect(pool(READERS_MAX), options_read_only(path))
            .await
            .map_err(|error| unavailable(path, &error))?;
        let pools = Self::beside(path, readers.clone(), readers);
        schema::check(&mut pools.read().await?).await?;
        Ok(pools)
    }

    fn beside(path: &Path, writer: SqlitePool, readers: SqlitePool) -> Self {
        let bounded = |bounds| Bounded::new(options_read_only(path), bounds);
        Self { writer, readers, pages: bounded(PAGES), purses: bounded(PAGES), reports: bounded(REPORTS) }
    }

    pub(super) async fn read(&self) -> Result<Db, StoreError> {
        let connection = self.readers.acquire().await.map_err(failed)?;
        Ok(Db::Sqlite(Held::Connection(connection), RunMax(None)))
    }

    pub(super) async fn write(&self) -> Result<Db, StoreError> {
        begin(&self.writer).await
    }

    pub(super) async fn close(&self) {
        self.reports.close().await;
        self.pages.close().await;
        self.purses.close().await;
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Starts a transaction that writes. It takes the file's lock now: one that began by reading could find
/// the file changed when it comes to write.
async fn begin(writer: &SqlitePool) -> Result<Db, StoreError> {
    let transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    Ok(Db::Sqlite(Held::Transaction(transaction), RunMax(None)))
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

/// The same on the runtime's own thread rather than on the one that waits for it: a connection has a thread, whose
/// priority is that of whoever starts it, and nobody waits for what is written.
#[expect(clippy::disallowed_methods, reason = "it is waited for at once")]
async fn connect_there(pool: SqlitePoolOptions, options: SqliteConnectOptions) -> sqlx::Result<SqlitePool> {
    tokio::spawn(connect(pool, options)).await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
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

pub(super) fn options_read_only(path: &Path) -> SqliteConnectOptions {
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
