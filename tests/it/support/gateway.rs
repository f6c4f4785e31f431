//! The gateway as a process: started in a folder of its own, watched, signalled, killed, started again.

use super::{
    client::{self, Answer, Call, Exchange, Version},
    records::{self, Record},
    settings::Settings,
    upstream::Upstream,
    wait,
};
use serde_json::Value;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

/// How long a start may take: a debug build on a busy machine.
const START: Duration = Duration::from_secs(30);
/// Lines of the log that a failing test shows.
const LOG_SHOWN: usize = 30;

/// The values of `journal_sync`.
pub const SYNCS: [&str; 2] = ["interval", "group"];

/// A gateway to be: settings and surroundings.
pub struct TestGateway {
    settings: Settings,
    environment: Vec<(String, String)>,
}

impl TestGateway {
    pub fn new() -> Self {
        Self { settings: Settings::new(), environment: Vec::new() }
    }

    /// Changes the settings.
    pub fn with(mut self, change: impl FnOnce(Settings) -> Settings) -> Self {
        self.settings = change(self.settings);
        self
    }

    pub fn upstream(self, name: &str, upstream: &Upstream) -> Self {
        self.with(|settings| settings.upstream(name, upstream))
    }

    pub fn simulated(self, name: &str) -> Self {
        self.with(|settings| settings.simulated(name))
    }

    pub fn model(self, name: &str, providers: &[&str]) -> Self {
        self.with(|settings| settings.model(name, providers))
    }

    pub fn plan(self, code: &str, value: Value) -> Self {
        self.with(|settings| settings.plan(code, value))
    }

    pub fn limits(self, value: Value) -> Self {
        self.with(|settings| settings.limits(value))
    }

    pub fn set(self, pointer: &str, value: impl Into<Value>) -> Self {
        self.with(|settings| settings.set(pointer, value))
    }

    /// How far down the journal an answer's end waits: one of [`SYNCS`].
    pub fn journal_sync(self, sync: &str) -> Self {
        self.set("/storage/journal_sync", sync)
    }

    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes the file, starts the process and waits until it is ready. Panics, with its log, when
    /// it ends instead.
    pub async fn start(self) -> Gateway {
        let folder = tempfile::Builder::new().prefix("aione-it-").tempdir().unwrap();
        let mut gateway = Gateway {
            settings: self.settings,
            environment: self.environment,
            folder: Some(folder),
            child: None,
            starts: 0,
        };
        gateway.write_settings();
        gateway.start().await;
        gateway
    }
}

/// A running gateway. It is killed with the value; its folder stays when the test fails.
pub struct Gateway {
    pub settings: Settings,
    environment: Vec<(String, String)>,
    folder: Option<tempfile::TempDir>,
    child: Option<Child>,
    starts: u32,
}

impl Gateway {
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().expect("until it is dropped").path()
    }

    pub fn file(&self) -> PathBuf {
        self.folder().join("aione.yaml")
    }

    pub fn database(&self) -> PathBuf {
        self.folder().join("data/aione.db")
    }

    /// Replaces the file in one step, as editors do.
    pub fn write_settings(&self) {
        self.write_text(&self.settings.text());
    }

    pub fn write_text(&self, text: &str) {
        let beside = self.folder().join("aione.yaml.new");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, self.file()).unwrap();
    }

    /// Runs `aione` with `arguments` in the gateway's folder and environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aione"));
        command.current_dir(self.folder()).args(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the process and waits for `/readyz`.
    pub async fn start(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        self.starts += 1;
        let output =
            |name: &str| File::create(self.folder().join(format!("{name}.{}.log", self.starts))).unwrap();
        let mut command = self.command(&["serve", "-c", "aione.yaml"]);
        command.stdin(Stdio::null()).stdout(output("stdout")).stderr(output("stderr"));
        self.child = Some(command.spawn().unwrap());
        let ready = wait::until_within(START, async || {
            if let Some(status) = self.exited() {
                panic!("the gateway ended with {status} instead of being ready:\n{}", self.logs());
            }
            self.is_ready().await.then_some(())
        });
        if ready.await.is_none() {
            panic!("the gateway was not ready within {START:?}:\n{}", self.logs());
        }
    }

    async fn is_ready(&self) -> bool {
        if self.settings.value["server"]["tls"].is_object() {
            // Over TLS the handshake will do.
            return client::tls::certificate(self.settings.public).await.is_ok();
        }
        let Ok(mut connection) = client::h1::Connection::try_open(self.settings.public).await else {
            return false;
        };
        if self.settings.value["server"].get("tls").is_some() {
            // Whether it speaks is for the test to ask, who knows the certificate.
            return true;
        }
        connection.start(&Call::get("/readyz"));
        matches!(connection.try_answer().await, Ok(exchange) if exchange.status == 200)
    }

    fn exited(&self) -> Option<ExitStatus> {
        // A zombie is still there until it is waited for; its state says that it has ended.
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).ok()?;
        let state = stat.rsplit(')').next()?.trim().chars().next()?;
        (state == 'Z').then(ExitStatus::default)
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.pid())]).status();
        assert!(status.unwrap().success());
    }

    /// Kills the process at once and reaps it.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let status = wait::until_within(START, async || child.try_wait().unwrap()).await;
        let Some(status) = status else {
            self.child = Some(child);
            panic!("the process did not end:\n{}", self.logs());
        };
        status
    }

    /// Ends the process in order.
    pub async fn sigterm(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended().await
    }

    /// Waits until the public listener has no connection that is open or half open, so that
    /// nothing which was sent can still be read.
    pub async fn hung_up(&self) {
        let port = format!(":{:04X}", self.settings.public.port());
        wait::until("no connection at the public listener", async || {
            let table = fs::read_to_string("/proc/net/tcp").unwrap();
            let is_open = |line: &str| {
                let fields: Vec<_> = line.split_whitespace().collect();
                // 0A listens; 06 has seen both ends closed.
                fields[1].ends_with(&port) && !["0A", "06"].contains(&fields[3])
            };
            (!table.lines().skip(1).any(is_open)).then_some(())
        })
        .await;
    }

    /// Resident memory of the process in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// One whole exchange with the public listener over HTTP/1.1.
    pub async fn send(&self, call: &Call) -> Answer {
        client::send(Version::H1, self.settings.public, call).await
    }

    pub async fn send_over(&self, version: Version, call: &Call) -> Answer {
        client::send(version, self.settings.public, call).await
    }

    pub async fn open_over(&self, version: Version, call: &Call) -> Exchange {
        client::open(version, self.settings.public, call).await
    }

    /// Everything that the process has written, of every start.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for start in 1..=self.starts {
            for name in ["stdout", "stderr"] {
                let file = self.folder().join(format!("{name}.{start}.log"));
                text.push_str(&String::from_utf8_lossy(&fs::read(file).unwrap_or_default()));
            }
        }
        text
    }

    /// The lines of the log that are JSON objects.
    pub fn log_lines(&self) -> Vec<Value> {
        let logs = self.logs();
        let lines = logs.lines().filter(|line| line.starts_with('{'));
        lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The usage records in the store now.
    pub async fn records(&self) -> Vec<Record> {
        records::read(&self.database()).await
    }

    /// The usage records once there are `count`; panics when there are more, or not so many in time.
    pub async fn records_eventually(&self, count: usize) -> Vec<Record> {
        let found = wait::until_within(wait::PATIENCE, async || {
            let records = self.records().await;
            (records.len() >= count).then_some(records)
        });
        let records = found.await.unwrap_or_default();
        assert_eq!(records.len(), count, "{records:#?}");
        records
    }

    /// The record of one exchange, once it is there.
    pub async fn record(&self, id: &str) -> Record {
        wait::until(format_args!("the record of {id}"), async || {
            let mut records = self.records().await;
            records.retain(|record| record.id() == id);
            assert!(records.len() < 2, "{records:#?}");
            records.pop()
        })
        .await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if !std::thread::panicking() {
            return;
        }
        let logs = self.logs();
        let lines: Vec<_> = logs.lines().collect();
        let shown = &lines[lines.len().saturating_sub(LOG_SHOWN)..];
        let folder = self.folder.take().expect("taken only here").keep();
        eprintln!(
            "the gateway's folder stays at {}; its last lines:\n{}",
            folder.display(),
            shown.join("\n")
        );
    }
}
