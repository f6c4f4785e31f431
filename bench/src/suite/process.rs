//! Starts processes pinned to a core and makes sure that they end.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::process::{Child, Command};

use crate::{client, clock};

/// How long a process may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a process runs: the target alone on one core, everything else on the other.
#[derive(Clone, Copy)]
pub(super) enum Core {
    Target,
    Driver,
}

impl Core {
    fn number(self) -> &'static str {
        match self {
            Core::Target => "0",
            // On a single core the two fight; the report says how many cores there were.
            Core::Driver if cores() < 2 => "0",
            Core::Driver => "1",
        }
    }
}

/// Those of the machine, not those that the suite has left itself.
pub(super) fn cores() -> usize {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processors = info.lines().filter(|line| line.starts_with("processor"));
    processors.count().max(1)
}

/// A process that is killed when this is dropped.
pub(super) struct Running {
    child: Child,
    pid: u32,
    log: PathBuf,
    started: Instant,
}

/// `taskset` replaces itself by the program, so the process id is the program's own.
pub(super) fn command(core: Core, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core.number()).arg(program);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Starts it with its output in a file of the folder.
pub(super) fn start(mut command: Command, folder: &Path, name: &str) -> anyhow::Result<Running> {
    let log = folder.join(format!("{name}.log"));
    let file = File::create(&log)?;
    command.stdout(file.try_clone()?).stderr(file);
    let started = clock::now();
    let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let pid = child.id().with_context(|| format!("{name} has ended"))?;
    Ok(Running { child, pid, log, started })
}

impl Running {
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for a 200; returns how long that took since the start.
    pub(super) async fn ready(&mut self, address: SocketAddr) -> anyhow::Result<Duration> {
        let deadline = self.started + Duration::from_secs(15);
        while clock::now() < deadline {
            if let Ok(200) = client::get(address, "/readyz").await {
                return Ok(self.started.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}:\n{}", self.tail());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        bail!("no 200 from {address}/readyz in 15 s:\n{}", self.tail());
    }

    /// Asks it to end, which all targets understand and do at once, and kills it when it does not.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.pid.to_string();
        Command::new("kill").arg("-INT").arg(&pid).status().await?;
        if tokio::time::timeout(PATIENCE, self.child.wait()).await.is_ok() {
            return Ok(());
        }
        eprintln!("process {pid} did not end within {PATIENCE:?} of SIGINT: killed");
        self.child.kill().await?;
        Ok(())
    }

    fn tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(4096)..]).into_owned()
    }
}

/// A port that nobody listens on; another process could still be faster to take it.
pub(super) fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Moves the suite itself off the targets' core.
pub(super) async fn pin_self() -> anyhow::Result<()> {
    let status = Command::new("taskset")
        .args(["-a", "-c", "-p", Core::Driver.number()])
        .arg(std::process::id().to_string())
        .stdout(Stdio::null())
        .status()
        .await
        .context("taskset is needed to pin processes to cores")?;
    match status.success() {
        true => Ok(()),
        false => bail!("taskset could not pin the suite: {status}"),
    }
}
