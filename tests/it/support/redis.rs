//! A Redis of a test's own, which it may stop, freeze, empty and kill.

use super::{ports, wait};
use redis::Commands as _;
use std::{
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(30);

/// It keeps nothing on disk, and ends with the value.
pub struct Server {
    folder: tempfile::TempDir,
    port: u16,
    options: Vec<String>,
    child: Mutex<Option<Child>>,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With more settings, such as `--requirepass x`.
    pub async fn start_with(options: &[&str]) -> Self {
        let server = Self::not_yet(options);
        server.begin().await;
        server
    }

    /// One that is to be started later.
    pub fn not_yet(options: &[&str]) -> Self {
        Self {
            folder: tempfile::Builder::new().prefix("aione-redis-").tempdir().unwrap(),
            port: ports::free().port(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            child: Mutex::new(None),
        }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address())
    }

    /// Starts it, for the first time or again, empty, and waits until it answers.
    pub async fn begin(&self) {
        let port = self.port.to_string();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"])
            .args(&self.options)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server, which scripts/prepare-tests.sh installs");
        *self.child.lock().unwrap() = Some(child);
        let up = wait::until_within(START, async || self.tell(&["PING"]).then_some(())).await;
        assert!(up.is_some(), "Redis did not start");
    }

    /// Has it do something, by its own command line; says whether that was done.
    pub fn tell(&self, command: &[&str]) -> bool {
        let output =
            Command::new("redis-cli").args(["-e", "-p", &self.port.to_string()]).args(command).output();
        let output = output.expect("redis-cli, which comes with redis-server");
        // Asked for a password, it is there.
        output.status.success() || String::from_utf8_lossy(&output.stderr).contains("NOAUTH")
    }

    /// Ends it in order.
    pub fn stop(&self) {
        self.signal("TERM");
        self.reap();
    }

    /// As a power cut would.
    pub fn kill9(&self) {
        self.signal("KILL");
        self.reap();
    }

    /// It takes connections, and never answers.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Until what comes back is dropped, each answer takes about half a second. Needs `--enable-debug-command`.
    pub fn slow(&self) -> Slow {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, port) = (stop.clone(), self.port.to_string());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                let busy = Command::new("redis-cli").args(["-p", &port, "DEBUG", "SLEEP", "0.5"]).output();
                assert!(busy.unwrap().status.success());
            }
        });
        Slow { stop, thread: Some(thread) }
    }

    /// Forgets everything.
    pub fn flush(&self) {
        assert!(self.tell(&["FLUSHALL"]));
    }

    /// Places in flight that are held in it, over all meters.
    pub fn places(&self) -> u64 {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_connection().unwrap();
        let keys: Vec<String> = connection.keys("aione:*:leases").unwrap();
        keys.iter().map(|key| connection.zcard::<_, u64>(key).unwrap()).sum()
    }

    fn signal(&self, name: &str) {
        let Some(pid) = self.child.lock().unwrap().as_ref().map(Child::id) else { return };
        let status = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status();
        assert!(status.unwrap().success());
    }

    fn reap(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            child.wait().unwrap();
        }
    }
}

/// A Redis that takes its time.
pub struct Slow {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill9();
    }
}
