//! PostgreSQL for tests: a database of its own on the run's server, or a server of its own that a test
//! may stop, freeze and kill.

use super::{ports, records::Record, wait};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

/// Where `scripts/with-postgres.sh` says that the run's server is.
const SHARED: &str = "AIONE_TEST_POSTGRES";
/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);
/// What every node of a test is given.
pub const PEPPER: &str = "a pepper that the nodes of a test have in common";

/// A fresh database on the run's server.
pub async fn database() -> String {
    let server = std::env::var(SHARED).unwrap_or_else(|_| {
        panic!("there is no {SHARED}: run the tests by `make test`, or by `scripts/with-postgres.sh cargo nextest run …`")
    });
    let name = format!("test_{:032x}", rand::random::<u128>());
    execute(&server, &format!("CREATE DATABASE {name}")).await;
    let (address, _) = server.rsplit_once('/').unwrap();
    format!("{address}/{name}")
}

pub async fn execute(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
}

/// A session that stays open, for a test that holds a lock or a place.
pub async fn session(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

/// Everything that is in the database, as text; bytes are in hexadecimal.
pub async fn dump(url: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'";
    let mut text = String::new();
    for table in connection.fetch_all(tables).await.unwrap() {
        let sql = format!("SELECT row_to_json(t)::text FROM {} t", table.get::<&str, _>(0));
        for row in connection.fetch_all(AssertSqlSafe(sql)).await.unwrap() {
            text.push_str(row.get(0));
            text.push('\n');
        }
    }
    connection.close().await.unwrap();
    text
}

/// How many usage records there are; `None`: it cannot be asked.
pub async fn count(url: &str) -> Option<usize> {
    let mut connection = PgConnection::connect(url).await.ok()?;
    let row = connection.fetch_one("SELECT COUNT(*) FROM usage_records").await.ok()?;
    connection.close().await.ok()?;
    usize::try_from(row.get::<i64, _>(0)).ok()
}

/// The usage records, each column as text.
pub async fn records(url: &str) -> Vec<Record> {
    let Ok(mut connection) = PgConnection::connect(url).await else { return Vec::new() };
    let sql = "SELECT row_to_json(r)::text FROM usage_records r ORDER BY id";
    let rows = connection.fetch_all(sql).await.unwrap_or_default();
    connection.close().await.unwrap();
    let record = |text: &str| {
        let row: BTreeMap<String, Value> = serde_json::from_str(text).unwrap();
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Record(row.into_iter().map(|(name, value)| (name, text(value))).collect())
    };
    rows.iter().map(|row| record(row.get(0))).collect()
}

/// A server of a test's own. It ends with the value.
pub struct Server {
    folder: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
    options: String,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// With more settings, such as `-c max_connections=5`.
    pub async fn start_with(options: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("aione-pg-").tempdir().unwrap();
        let server = Self { bin: bin(), port: ports::free().port(), options: options.to_owned(), folder };
        if is_root() {
            std::os::unix::fs::chown(server.folder.path(), Some(id_of_postgres()), None).unwrap();
        }
        let data = server.data();
        let init = ["-D", data.to_str().unwrap(), "-U", "aione", "-A", "trust", "-E", "UTF8", "--no-sync"];
        succeed(server.run("initdb", &init));
        server.begin().await;
        server
    }

    /// A file beside the data, readable by the server alone.
    pub fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&path, mode).unwrap();
        if is_root() {
            std::os::unix::fs::chown(&path, Some(id_of_postgres()), None).unwrap();
        }
        path
    }

    pub fn url(&self) -> String {
        format!("postgres://aione@127.0.0.1:{}/postgres", self.port)
    }

    /// Changes a setting in its file, for the next start.
    pub async fn configure(&self, name: &str, value: &str) {
        execute(&self.url(), &format!("ALTER SYSTEM SET {name} = '{value}'")).await;
    }

    /// Starts it, for the first time or again, and waits until it answers.
    pub async fn begin(&self) {
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories={} {}",
            self.port,
            self.folder.path().display(),
            self.options
        );
        let log = self.folder.path().join("server.log");
        let (data, log) = (self.data(), log.to_str().unwrap().to_owned());
        let start = ["-D", data.to_str().unwrap(), "-W", "-l", &log, "-o", &options, "start"];
        succeed(self.run("pg_ctl", &start));
        let url = self.url();
        let up = wait::until_within(START, async || PgConnection::connect(&url).await.ok());
        let Some(connection) = up.await else {
            panic!("PostgreSQL did not start: {}", fs::read_to_string(log).unwrap_or_default())
        };
        connection.close().await.unwrap();
    }

    /// Ends it in order, without waiting for its clients.
    pub fn stop(&self) {
        let data = self.data();
        succeed(self.run("pg_ctl", &["-D", data.to_str().unwrap(), "-m", "fast", "-w", "stop"]));
    }

    /// As a power cut would.
    pub fn kill9(&self) {
        self.signal("KILL");
    }

    /// It takes connections, and never answers.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let Some(first) = self.pid() else { return };
        let children = Command::new("pgrep").args(["-P", &first]).output().unwrap().stdout;
        let children = String::from_utf8(children).unwrap();
        // The first one last when it is to go on: it would take those that rest for dead.
        let all: Vec<_> = std::iter::once(first.as_str()).chain(children.split_whitespace()).collect();
        let status = Command::new("kill").arg(format!("-{name}")).args(all).stderr(Stdio::null()).status();
        // A child may have ended by itself.
        status.unwrap();
    }

    fn pid(&self) -> Option<String> {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        Some(file.lines().next()?.trim().to_owned())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// PostgreSQL does not run as root.
    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let program = self.bin.join(program);
        let mut command = Command::new(if is_root() { Path::new("setpriv") } else { &program });
        if is_root() {
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(&program);
        }
        // What the server inherits stays open as long as it runs.
        command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        if arguments.ends_with(&["start"]) {
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            return Output { status, stdout: Vec::new(), stderr: Vec::new() };
        }
        command.output().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill9();
    }
}

fn succeed(output: Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn is_root() -> bool {
    id_of(&["-u"]) == 0
}

fn id_of_postgres() -> u32 {
    id_of(&["-u", "postgres"])
}

fn id_of(arguments: &[&str]) -> u32 {
    let output = Command::new("id").args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// The newest that Debian's packages brought, or what is on the path.
fn bin() -> PathBuf {
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    versions.sort();
    versions.pop().map_or_else(PathBuf::new, |version| version.join("bin"))
}
