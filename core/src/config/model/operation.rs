//! The sections that say how the process runs: listeners, storage, secrets, limits, logs.

use super::OneOrMany;
use crate::config::form::{Address, Interpolated, LogFilter, Network, Prefix, Share, Size, Span};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

/// Where callers come in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// One address or a list. Default `0.0.0.0:8080`.
    pub listen: OneOrMany<Address>,
    /// Serve TLS; HTTP/2 by ALPN.
    pub tls: Option<Tls>,
    /// Whether HTTP/2 is also spoken without TLS. Default true.
    pub h2c: bool,
    /// Worker threads; 0: one per core.
    #[schemars(range(max = 1024))]
    pub threads: u32,
    /// Networks whose `X-Forwarded-For` counts.
    #[schemars(length(max = 256))]
    pub trusted_proxies: Vec<Network>,
    /// The largest request body, also after decoding. Default `64MiB`.
    pub max_body: Size,
    /// How long a request's head may take. Default `10s`.
    pub header_timeout: Span,
    /// How long a request's body may take. Default `60s`.
    pub body_timeout: Span,
    /// Silence of a stream after which its caller is sent a comment, so that nothing on the way
    /// takes the connection for dead. Default `15s`.
    pub keep_alive_after: Span,
    /// Default 20000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: u32,
    /// How long a shutdown waits for answers under way. Default `25s`.
    pub drain_timeout: Span,
}

/// PEM files.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    pub cert: Interpolated,
    pub key: Interpolated,
}

/// The management API and the console.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Default `127.0.0.1:8081`.
    pub listen: Address,
    /// Whether `/api/v1` and `/console` are also on `server.listen`; operator tokens never are.
    pub public: bool,
    /// 32 characters or more each, or `sha256:<hex>`. An empty text is no token.
    #[schemars(length(max = 64))]
    pub operator_tokens: Vec<Interpolated>,
}

/// Prometheus.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Default `127.0.0.1:9090`.
    pub listen: Address,
}

/// What is kept, and where.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// `sqlite://relative/path.db` or `sqlite:///absolute/path.db`. Default `sqlite://data/aione.db`.
    pub database: Interpolated,
    /// The folder of the usage journal. Default `data/journal`.
    pub journal: Interpolated,
    /// How far down the journal is pushed before an answer's last bytes are released.
    pub journal_sync: JournalSync,
    /// Past it the answer is released and the journal raises its alarm. Default `1s`.
    pub journal_sync_timeout: Span,
    /// How long single usage records are kept, such as `9600h`, at least `168h`; the sums over them, of
    /// which reports are made, stay. On PostgreSQL whole months go. Default `null`: for ever.
    pub keep_records: Option<Span>,
    /// What several nodes share their limits and changes of keys through: `redis://[user:password@]host:6379/0`,
    /// or `rediss://` over TLS. Default `null`: this node is the only one.
    pub redis: Option<OneOrMany<Interpolated>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JournalSync {
    /// Wait for the group's fsync: nothing is lost when the power fails.
    Group,
    /// Wait for write(), fsync at least every 10 ms: nothing is lost when the process dies.
    Interval,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Secrets {
    /// 32 characters or more, or a list: the first mints, all verify. Default `file:data/pepper`,
    /// which is made when it is not there.
    pub key_pepper: OneOrMany<Interpolated>,
}

/// Callers' keys.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// Default `sk-aione`.
    pub prefix: Prefix,
    /// How long the secret before a rotation is still taken. Default `24h`.
    pub rotate_grace: Span,
    /// How long a key is believed without asking the store. Default `5s`.
    pub cache_max_age: Span,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// How much of a cached input token counts toward TPM. Default `"0"`.
    pub cache_read_weight: Share,
    /// How long a decision may wait for Redis. Default `20ms`.
    pub redis_timeout: Span,
    /// What holds while Redis is away. Default `local_share`.
    pub on_redis_loss: OnRedisLoss,
    /// The output ceiling of a request that states none, for a model that states none. Default 4096.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub default_ceiling: u64,
    /// The most output tokens that a request reserves of TPM, or `none`: its whole ceiling.
    /// Default 16384.
    pub reserve_cap: ReserveCap,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnRedisLoss {
    LocalShare,
    Open,
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ReserveCap {
    Tokens(#[schemars(range(min = 1, max = 10_000_000))] u64),
    None(NoneWord),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoneWord {
    None,
}

/// Answers that are read to their end after the client has gone.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Drain {
    /// Default 256.
    #[schemars(range(max = 1_000_000))]
    pub max_streams: u32,
    /// Default `60s`.
    pub max_time: Span,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// off, error, warn, info, debug or trace, or `target=level` pairs. Default `info`.
    pub level: LogFilter,
    /// Default `json`.
    pub format: LogFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Json,
    Text,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tracing {
    /// Not supported yet.
    pub otlp: Option<Interpolated>,
}

const fn seconds(count: u64) -> Span {
    Span(Duration::from_secs(count))
}

fn text(value: &str) -> Interpolated {
    Interpolated(value.to_owned())
}

const fn on(ip: Ipv4Addr, port: u16) -> Address {
    Address(SocketAddr::new(std::net::IpAddr::V4(ip), port))
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: OneOrMany::One(on(Ipv4Addr::UNSPECIFIED, 8080)),
            tls: None,
            h2c: true,
            threads: 0,
            trusted_proxies: Vec::new(),
            max_body: Size(64 << 20),
            header_timeout: seconds(10),
            body_timeout: seconds(60),
            keep_alive_after: seconds(15),
            max_connections: 20_000,
            drain_timeout: seconds(25),
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: on(Ipv4Addr::LOCALHOST, 8081), public: false, operator_tokens: Vec::new() }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { listen: on(Ipv4Addr::LOCALHOST, 9090) }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            database: text("sqlite://data/aione.db"),
            journal: text("data/journal"),
            journal_sync: JournalSync::Group,
            journal_sync_timeout: seconds(1),
            keep_records: None,
            redis: None,
        }
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self { key_pepper: OneOrMany::One(text("file:data/pepper")) }
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            prefix: Prefix("sk-aione".to_owned()),
            rotate_grace: seconds(24 * 3600),
            cache_max_age: seconds(5),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cache_read_weight: Share(0),
            redis_timeout: Span(Duration::from_millis(20)),
            on_redis_loss: OnRedisLoss::LocalShare,
            default_ceiling: 4096,
            reserve_cap: ReserveCap::Tokens(16_384),
        }
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self { max_streams: 256, max_time: seconds(60) }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LogFilter("info".to_owned()), format: LogFormat::Json }
    }
}
