//! What is measured: nginx, bare Pingora and the gateway, each with its configuration and what it does.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};

use super::Options;
use super::process::{self, Core, Running};
use crate::client;

const NGINX: &str = "/usr/sbin/nginx";
/// For the time of the run, on loopback only.
const OPERATOR_TOKEN: &str = "bench-operator-token-0123456789abcdef";
const PEPPER: &str = "bench-pepper-0123456789-0123456789-abcdef";

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// The upstream itself: what latency is without a proxy.
    Direct,
    Nginx,
    Pingora,
    Driver,
    Ours {
        binary: PathBuf,
        sync: &'static str,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) kind: Kind,
    /// The column's title; unique.
    pub(super) name: &'static str,
    pub(super) does: &'static str,
}

/// A target that answers.
pub(super) struct Started {
    pub(super) running: Running,
    pub(super) address: SocketAddr,
    pub(super) key: String,
    pub(super) ready: Duration,
}

/// All targets, in the order of the columns.
pub(super) fn all(options: &Options) -> anyhow::Result<Vec<Target>> {
    let mut targets = vec![Target {
        kind: Kind::Direct,
        name: DIRECT,
        does: "the fake upstream itself, without a proxy: only for latency",
    }];
    match Path::new(NGINX).exists() {
        true => targets.push(Target {
            kind: Kind::Nginx,
            name: NGINX_NAME,
            does: "passes through: one process, keep-alive to the upstream, no buffering, no access log",
        }),
        false => eprintln!("{NGINX} is not installed: its column is left out"),
    }
    targets.push(Target {
        kind: Kind::Pingora,
        name: PINGORA,
        does: "passes through: Pingora 0.9.1, `upstream_peer` only, one thread",
    });
    targets.push(Target {
        kind: Kind::Driver,
        name: DRIVER,
        does: "carries exchanges as the gateway does, and nothing more: no key, limit, meter or journal",
    });
    if let Some(binary) = &options.aione {
        let binary = binary.canonicalize().with_context(|| format!("no binary at {}", binary.display()))?;
        let ours =
            |sync, name, does| Target { kind: Kind::Ours { binary: binary.clone(), sync }, name, does };
        targets.push(ours(
            "group",
            GROUP,
            "the gateway: key, limits, metering, prices, SQLite and journal on; an answer's last bytes wait for fsync",
        ));
        targets.push(ours(
            "interval",
            INTERVAL,
            "the same, but an answer's last bytes wait for `write()` only",
        ));
    }
    Ok(targets)
}

pub(super) const DIRECT: &str = "direct";
pub(super) const NGINX_NAME: &str = "nginx";
pub(super) const PINGORA: &str = "bare Pingora";
pub(super) const DRIVER: &str = "driver alone";
pub(super) const GROUP: &str = "ours, group";
pub(super) const INTERVAL: &str = "ours, interval";

impl Target {
    pub(super) fn is_direct(&self) -> bool {
        matches!(self.kind, Kind::Direct)
    }

    pub(super) fn is_ours(&self) -> bool {
        matches!(self.kind, Kind::Ours { .. })
    }

    /// How long it gets to end by itself. The floors have nothing to lose.
    pub(super) fn patience(&self) -> Duration {
        match self.is_ours() {
            true => Duration::from_secs(5),
            false => Duration::ZERO,
        }
    }

    /// Starts it in a folder of its own, which it finds again when it is started a second time.
    pub(super) async fn start(&self, folder: &Path, upstream: SocketAddr) -> anyhow::Result<Started> {
        std::fs::create_dir_all(folder)?;
        let address = process::free_port()?;
        let started = match &self.kind {
            Kind::Direct => start_direct(folder).await,
            Kind::Nginx => start_nginx(folder, address, upstream).await,
            Kind::Pingora => start_floor("floor", folder, address, upstream).await,
            Kind::Driver => start_floor("driver", folder, address, upstream).await,
            Kind::Ours { binary, sync } => start_ours(folder, binary, sync, address, upstream).await,
        };
        started.with_context(|| format!("target {}", self.name))
    }
}

/// The upstream that all targets share.
pub(super) async fn start_direct(folder: &Path) -> anyhow::Result<Started> {
    let address = process::free_port()?;
    let mut command = process::command(Core::Driver, &std::env::current_exe()?);
    command.args(["upstream", "--listen", &address.to_string()]);
    let running = process::start(command, folder, "upstream")?;
    passing(running, address).await
}

async fn start_nginx(folder: &Path, address: SocketAddr, upstream: SocketAddr) -> anyhow::Result<Started> {
    let config = folder.join("nginx.conf");
    std::fs::write(&config, nginx_config(folder, address, upstream))?;
    let mut command = process::command(Core::Target, Path::new(NGINX));
    command.arg("-c").arg(&config).arg("-p").arg(folder);
    let running = process::start(command, folder, "nginx")?;
    passing(running, address).await
}

/// One process, not a master and a worker: killing it leaves nothing behind.
fn nginx_config(folder: &Path, address: SocketAddr, upstream: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    client_max_body_size 64m;
    upstream up {{
        server {upstream};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {address} backlog=4096;
        location / {{
            proxy_pass http://up;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
            proxy_request_buffering off;
        }}
    }}
}}
"
    )
}

/// A floor of the bench's own.
async fn start_floor(
    which: &'static str,
    folder: &Path,
    address: SocketAddr,
    upstream: SocketAddr,
) -> anyhow::Result<Started> {
    let mut command = process::command(Core::Target, &std::env::current_exe()?);
    command.args([which, "--listen", &address.to_string()]).args(["--upstream", &upstream.to_string()]);
    let running = process::start(command, folder, which)?;
    passing(running, address).await
}

/// A target without keys.
async fn passing(mut running: Running, address: SocketAddr) -> anyhow::Result<Started> {
    let ready = running.ready(address).await?;
    Ok(Started { running, address, key: "none".to_owned(), ready })
}

async fn start_ours(
    folder: &Path,
    binary: &Path,
    sync: &str,
    address: SocketAddr,
    upstream: SocketAddr,
) -> anyhow::Result<Started> {
    let admin = process::free_port()?;
    let metrics = process::free_port()?;
    let config = folder.join("aione.yaml");
    std::fs::write(&config, our_config(sync, address, admin, metrics, upstream))?;
    let mut command = process::command(Core::Target, binary);
    command.args(["serve", "-c"]).arg(&config).current_dir(folder);
    let mut running = process::start(command, folder, "aione")?;
    let ready = running.ready(address).await?;
    let key = make_key(admin).await.context("cannot make a key")?;
    Ok(Started { running, address, key, ready })
}

/// Limits so large that nothing is refused, but every one of them is there to be checked.
fn our_config(
    sync: &str,
    address: SocketAddr,
    admin: SocketAddr,
    metrics: SocketAddr,
    upstream: SocketAddr,
) -> String {
    let model = |name: &str| {
        format!(
            "  {name}:
    price: {{ input: \"1.05\", cache_read: \"0.525\", output: \"4.20\" }}
    route: {{ deployments: [{{ provider: up, model: {name} }}] }}
"
        )
    };
    let models: String = ["bench", "bench-paced", "bench-idle"].map(model).concat();
    format!(
        "version: 1
server: {{ listen: \"{address}\", threads: 1 }}
admin: {{ listen: \"{admin}\", operator_tokens: [\"{OPERATOR_TOKEN}\"] }}
metrics: {{ listen: \"{metrics}\" }}
storage:
  database: sqlite://data/aione.db
  journal: data/journal
  journal_sync: {sync}
secrets: {{ key_pepper: \"{PEPPER}\" }}
log: {{ level: warn }}
providers:
  up: {{ kind: openai_compatible, base_url: \"http://{upstream}/v1\", credentials: [bench] }}
models:
{models}default_plan: bench
plans:
  bench:
    name: Bench
    models: [\"*\"]
    rpm_limits: {{ \"*\": 100000000 }}
    tpm_limits: {{ \"*\": 100000000000 }}
    rpd_limits: {{ \"*\": 100000000000 }}
    concurrency_limits: {{ \"*\": 1000000 }}
"
    )
}

async fn make_key(admin: SocketAddr) -> anyhow::Result<String> {
    let fields = format!("Authorization: Bearer {OPERATOR_TOKEN}\r\nx-aione-org: default\r\n");
    let body = r#"{"name":"bench","rpm_limit":100000000,"tpm_limit":100000000000}"#;
    let answer = client::post(admin, "/api/v1/gateway/keys", &fields, body).await?;
    let text = String::from_utf8_lossy(answer.body());
    let status = answer.status();
    ensure!(matches!(status, 200 | 201), "status {status}: {text}");
    let json: serde_json::Value = serde_json::from_str(&text)?;
    let key = json["key"].as_str().context("the answer has no key")?;
    Ok(key.to_owned())
}
