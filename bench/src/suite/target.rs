//! What is measured: nginx, bare Pingora and the gateway, each with its configuration and what it does.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};

use super::process::{self, Core, Running};
use super::{Options, Workload};
use crate::client;

const NGINX: &str = "/usr/sbin/nginx";
/// For the time of the run, on loopback only.
const OPERATOR_TOKEN: &str = "bench-operator-token-0123456789abcdef";
pub(super) const PEPPER: &str = "bench-pepper-0123456789-0123456789-abcdef";
/// From a target's folder.
pub(super) const DATABASE: &str = "data/aione.db";
pub(super) const PLAN: &str = "bench";
/// So large that nothing is refused, but there to be checked.
pub(super) const KEY_RPM: u64 = 100_000_000;
pub(super) const KEY_TPM: u64 = 100_000_000_000;
/// The longest that the gateway can be told to believe a key without asking the store.
pub(super) const KEYS_AGE_MAX: Duration = Duration::from_secs(60);

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
        /// `keys.cache_max_age`; `None`: the default.
        keys_age_max: Option<Duration>,
        /// `None`: a SQLite file in its folder.
        database: Option<String>,
        /// `None`: its limits are its own.
        redis: Option<String>,
        /// The kind of its provider: of another dialect than the load driver's, all is translated.
        provider: &'static str,
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
    if let Some(binary) = our_binary(options)? {
        let ours = |sync, provider, name, does| Target {
            kind: Kind::Ours {
                binary: binary.clone(),
                sync,
                provider,
                keys_age_max: None,
                database: options.database.clone(),
                redis: options.redis.clone(),
            },
            name,
            does,
        };
        targets.push(ours(
            "group",
            SAME,
            GROUP,
            "the gateway: key, limits, metering, prices, store and journal on; an answer's last bytes wait for fsync",
        ));
        targets.push(ours(
            "interval",
            SAME,
            INTERVAL,
            "the same, but an answer's last bytes wait for `write()` only",
        ));
        targets.push(ours(
            "group",
            "anthropic",
            TRANSLATED,
            "as `ours, group`, but what is asked in OpenAI's chat is answered in Anthropic's Messages: only for what is \
             plain, and streams without a pace",
        ));
    }
    Ok(targets)
}

/// The gateway twice, for few keys and for many; `None` without its binary.
pub(super) fn with_few_and_many_keys(options: &Options) -> anyhow::Result<Option<(Target, Target)>> {
    let target = |binary: &Path, name| Target {
        kind: Kind::Ours {
            binary: binary.to_owned(),
            sync: "group",
            keys_age_max: Some(KEYS_AGE_MAX),
            database: None,
            redis: None,
            provider: SAME,
        },
        name,
        does: "the gateway, its last bytes waiting for fsync",
    };
    let binary = our_binary(options)?;
    Ok(binary.map(|binary| (target(&binary, "ours, 10 keys"), target(&binary, "ours, 1 000 000 keys"))))
}

fn our_binary(options: &Options) -> anyhow::Result<Option<PathBuf>> {
    let found =
        |path: &PathBuf| path.canonicalize().with_context(|| format!("no binary at {}", path.display()));
    options.aione.as_ref().map(found).transpose()
}

pub(super) const DIRECT: &str = "direct";
pub(super) const NGINX_NAME: &str = "nginx";
pub(super) const PINGORA: &str = "bare Pingora";
pub(super) const DRIVER: &str = "driver alone";
pub(super) const GROUP: &str = "ours, group";
pub(super) const INTERVAL: &str = "ours, interval";
pub(super) const TRANSLATED: &str = "ours, translated";
/// The kind of provider that is asked as the gateway is.
const SAME: &str = "openai_compatible";

impl Target {
    pub(super) fn is_direct(&self) -> bool {
        matches!(self.kind, Kind::Direct)
    }

    /// Whether it is measured under `workload`.
    pub(super) fn takes(&self, workload: Workload) -> bool {
        match workload {
            Workload::Latency => self.name != TRANSLATED,
            Workload::Plain | Workload::Stream => !self.is_direct(),
            _ => !self.is_direct() && self.name != TRANSLATED,
        }
    }

    pub(super) fn is_ours(&self) -> bool {
        matches!(self.kind, Kind::Ours { .. })
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
            Kind::Ours { binary, sync, keys_age_max, database, redis, provider } => {
                let bind = Bind { address, admin: process::free_port()?, metrics: process::free_port()? };
                let database = database.clone().unwrap_or_else(|| format!("sqlite://{DATABASE}"));
                let config =
                    our_config(sync, *keys_age_max, &database, redis.as_deref(), provider, &bind, upstream);
                start_ours(folder, binary, &config, &bind).await
            }
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

/// Where the gateway listens.
struct Bind {
    address: SocketAddr,
    admin: SocketAddr,
    metrics: SocketAddr,
}

async fn start_ours(folder: &Path, binary: &Path, config: &str, bind: &Bind) -> anyhow::Result<Started> {
    let file = folder.join("aione.yaml");
    std::fs::write(&file, config)?;
    let mut command = process::command(Core::Target, binary);
    command.args(["serve", "-c"]).arg(&file).current_dir(folder);
    let mut running = process::start(command, folder, "aione")?;
    let ready = running.ready(bind.address).await?;
    let key = make_key(bind.admin).await.context("cannot make a key")?;
    Ok(Started { running, address: bind.address, key, ready })
}

/// Limits so large that nothing is refused, but every one of them is there to be checked.
fn our_config(
    sync: &str,
    keys_age_max: Option<Duration>,
    database: &str,
    redis: Option<&str>,
    provider: &str,
    bind: &Bind,
    upstream: SocketAddr,
) -> String {
    let Bind { address, admin, metrics } = bind;
    let keys =
        keys_age_max.map_or(String::new(), |age| format!("keys: {{ cache_max_age: {}s }}\n", age.as_secs()));
    let redis = redis.map_or(String::new(), |url| format!("  redis: \"{url}\"\n"));
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
  database: \"{database}\"
{redis}  journal: data/journal
  journal_sync: {sync}
secrets: {{ key_pepper: \"{PEPPER}\" }}
{keys}log: {{ level: warn }}
providers:
  up: {{ kind: {provider}, base_url: \"http://{upstream}/v1\", credentials: [bench] }}
models:
{models}default_plan: {PLAN}
plans:
  {PLAN}:
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
    let body = serde_json::json!({ "name": "bench", "rpm_limit": KEY_RPM, "tpm_limit": KEY_TPM });
    let answer = client::post(admin, "/api/v1/gateway/keys", &fields, &body.to_string()).await?;
    let text = String::from_utf8_lossy(answer.body());
    let status = answer.status();
    ensure!(matches!(status, 200 | 201), "status {status}: {text}");
    let json: serde_json::Value = serde_json::from_str(&text)?;
    let key = json["key"].as_str().context("the answer has no key")?;
    Ok(key.to_owned())
}
