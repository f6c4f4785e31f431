//! A checked configuration, resolved and ready to be read by requests: immutable, shared,
//! replaced as a whole.

use super::pass_through::{self, Closed, Passage};
use crate::{
    domain::{
        plan::Plan,
        price::{ModelPrice, PriceBook},
    },
    provider::Account,
    wire::{Dialect, Tongue, translate::Pair},
};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use zeroize::Zeroizing;

/// A text that must not be shown: its `Debug` is a placeholder, its memory is wiped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for the one place that must send or hash it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[derive(Debug)]
pub struct Snapshot {
    /// A hash of the effective configuration: the same text has the same version.
    pub version: u64,
    pub server: Server,
    pub admin: Admin,
    pub metrics_listen: SocketAddr,
    pub storage: Storage,
    /// The first mints, all verify. Empty: made beside the embedded store.
    pub peppers: Vec<Secret>,
    /// Where a pepper that is made by itself is kept: `secrets.key_pepper` as `file:`.
    pub pepper_file: Option<PathBuf>,
    pub keys: Keys,
    pub billing: Billing,
    pub limits: Limits,
    pub drain: Drain,
    pub log: Log,
    pub providers: HashMap<Arc<str>, Arc<Provider>>,
    /// By public name **and** by alias.
    pub models: HashMap<Arc<str>, Arc<Model>>,
    /// What is open beside the gateway's own endpoints; no path of it is open twice.
    pub passages: Vec<Arc<Passage>>,
    pub plans: HashMap<Arc<str>, Arc<Plan>>,
    pub default_plan: Arc<str>,
    pub prices: Arc<PriceBook>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub listen: Vec<SocketAddr>,
    pub tls: Option<TlsFiles>,
    pub h2c: bool,
    /// 0: one per core.
    pub threads: usize,
    pub trusted_proxies: Vec<IpNet>,
    /// Bytes, also after decoding a content encoding.
    pub max_body: usize,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    /// Silence of a stream after which its caller is sent a comment.
    pub keep_alive_after: Duration,
    pub max_connections: usize,
    pub drain_timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    pub listen: SocketAddr,
    pub public: bool,
    pub operator_tokens: Vec<OperatorToken>,
}

/// SHA-256 of an operator token; the token itself is not kept.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorToken(pub [u8; 32]);

impl fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorToken(..)")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    pub database: Database,
    /// What the nodes share their limits and changes through. `None`: there is one node.
    pub redis: Option<RedisUrl>,
    pub journal: PathBuf,
    pub journal_sync: JournalSync,
    pub journal_sync_timeout: Duration,
    /// `None`: for ever.
    pub keep_records: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite(PathBuf),
    /// A URL, which may hold a password.
    Postgres(Secret),
}

/// As people find it, without what is secret: a file's path, or a server and the name of a database.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(url) => {
                write!(f, "postgres://{}", place_of(url.expose()).1)
            }
        }
    }
}

/// `redis://` or `rediss://` with a server and perhaps the number of a database; it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisUrl(pub Secret);

/// Without what is secret.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, place) = place_of(self.0.expose());
        write!(f, "{scheme}://{place}")
    }
}

/// The scheme of a URL, and what follows without a user, a password or parameters.
fn place_of(url: &str) -> (&str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    // A password may have any of these that nobody encoded; then it is not known where it ends.
    let (before, after) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    let place = before.rsplit('@').next().filter(|_| !after.contains('@'));
    (scheme, place.unwrap_or("…"))
}

/// What holds of the limits while Redis is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRedisLoss {
    /// Each node admits its part of every limit.
    LocalShare,
    /// Everybody is admitted.
    Open,
    /// Nobody is.
    Closed,
}

/// How far down the journal is pushed before the terminal bytes of an answer are released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalSync {
    /// They wait for their group's fsync.
    Group,
    /// They wait for `write`; fsync at least every 10 ms.
    Interval,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub prefix: String,
    pub rotate_grace: Duration,
    pub cache_max_age: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Billing {
    pub currency: String,
    pub unpriced: UnpricedPolicy,
    pub time_zone: chrono_tz::Tz,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnpricedPolicy {
    Reject,
    Quarantine,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Thousandths: how much of a cached input token counts toward TPM.
    pub cache_read_weight_milli: u64,
    pub default_ceiling: u64,
    /// `None`: strict, the whole ceiling is reserved.
    pub reserve_cap: Option<u64>,
    /// How long a decision may wait for Redis.
    pub redis_timeout: Duration,
    pub on_redis_loss: OnRedisLoss,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    pub max_streams: usize,
    pub max_time: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A `tracing` filter such as `info`.
    pub level: String,
    pub json: bool,
}

/// One account of one vendor.
#[derive(Debug, PartialEq)]
pub struct Provider {
    pub name: Arc<str>,
    pub kind: &'static crate::provider::Kind,
    /// `None` for the simulated provider.
    pub base: Option<BaseUrl>,
    /// Spread over; empty where the upstream wants none.
    pub credentials: Vec<Secret>,
    pub dialects: Vec<Dialect>,
    /// Whether `stream_options.include_usage` may be sent.
    pub stream_usage: bool,
    pub timeouts: Timeouts,
    pub on_disconnect: OnDisconnect,
    pub http2: Http2,
    pub sandbox: bool,
    /// Whether what was thought goes with the messages in OpenAI's chat.
    pub give_back_reasoning: bool,
    /// Whether the caller's address may be told in `x-forwarded-for`.
    pub forward_client_ip: bool,
    /// PEM file of the authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// What there is besides, with vendors that want more.
    pub account: Account,
}

/// A parsed `base_url`; the only place an upstream's address can come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    pub tls: bool,
    /// Lower case, without brackets.
    pub host: String,
    pub port: u16,
    /// Without a trailing slash, such as `/v1`; empty for none.
    pub path: String,
}

impl BaseUrl {
    /// Whether it stays on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    pub first_byte: Duration,
    pub idle: Duration,
    pub total: Duration,
}

/// What becomes of the upstream's answer when the caller leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDisconnect {
    /// Read it to its end, within `drain`'s bounds.
    Drain,
    /// Stop, and count what was sent with a tokenizer.
    Estimate,
    /// Stop, and record what the upstream had reported.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http2 {
    /// By ALPN over TLS.
    Auto,
    Never,
    /// Also without TLS.
    Always,
}

/// A model that callers can name.
#[derive(Debug, PartialEq)]
pub struct Model {
    pub id: Arc<str>,
    pub display_name: String,
    pub aliases: Vec<Arc<str>>,
    pub context_window: Option<u64>,
    pub max_output_tokens: Option<u64>,
    /// `None`: not checked.
    pub capabilities: Option<Vec<String>>,
    pub sandbox: bool,
    pub price: Option<ModelPrice>,
    pub route: Route,
}

#[derive(Debug, PartialEq)]
pub struct Route {
    pub policy: Policy,
    pub deployments: Vec<Arc<Deployment>>,
    /// Tries before the first byte, over all deployments.
    pub attempts: u32,
    pub retry_on: RetryOn,
    pub cool_down: CoolDown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Drawn by weight; the others follow in falling weight.
    Weighted,
    /// By `priority`, lowest first, drawn by weight within one.
    Priority,
}

/// Which account, and which model id there.
#[derive(Debug, PartialEq)]
pub struct Deployment {
    /// `provider/model`: what metrics and cool-downs go by.
    pub id: Arc<str>,
    pub provider: Arc<Provider>,
    pub model: Arc<str>,
    pub weight: u32,
    pub priority: u32,
    /// What it costs the operator; `None`: not known.
    pub cost: Option<ModelPrice>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryOn {
    pub connect: bool,
    pub timeout: bool,
    pub too_many_requests: bool,
    pub server_error: bool,
    pub first_event_error: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoolDown {
    /// Failures…
    pub after: u32,
    /// …within this time…
    pub within: Duration,
    /// …rest the deployment for this long,
    pub pause: Duration,
    /// doubling up to this.
    pub max: Duration,
}

impl Deployment {
    /// What it is asked in by callers of `own`: that where it speaks it; otherwise, where the request can be
    /// translated, the first that it speaks. `None`: it cannot be asked.
    #[must_use]
    pub fn tongue_for(&self, own: Dialect, can_translate: bool) -> Option<Tongue> {
        if self.tongues().any(|tongue| tongue == own.into()) {
            return Some(own.into());
        }
        self.tongues().find(|tongue| can_translate && Pair::of(own, *tongue).is_some())
    }

    /// All that it can be asked in, what is preferred first.
    pub fn tongues(&self) -> impl Iterator<Item = Tongue> {
        let of_model = self.provider.account.tongue(&self.model);
        let dialects = self.provider.dialects.iter().copied().map(Tongue::from);
        of_model.into_iter().chain(dialects.filter(move |_| of_model.is_none()))
    }
}

impl Model {
    /// The provider that stands for the model where one is shown: its first deployment's.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.route.deployments.first().map_or("", |deployment| &deployment.provider.name)
    }
}

impl Snapshot {
    /// The model that `name` (a public name or an alias, exact bytes) stands for.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&Arc<Model>> {
        self.models.get(name)
    }

    /// Each model once, by its own name, in order.
    #[must_use]
    pub fn each_model(&self) -> BTreeMap<&str, &Arc<Model>> {
        self.models.values().map(|model| (&*model.id, model)).collect()
    }

    /// What a plan or a key can name as `name`: a model, or what is passed through to a provider.
    #[must_use]
    pub fn sold(&self, name: &str) -> Option<&Arc<Model>> {
        let passed = || self.passages.iter().map(|passage| &passage.model).find(|model| *model.id == *name);
        self.model(name).or_else(passed)
    }

    /// As [`Self::each_model`], and what is passed through.
    pub fn each_sold(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.each_model().into_values().chain(self.passages.iter().map(|passage| &passage.model))
    }

    /// Who takes a request to a path that is none of the gateway's own.
    ///
    /// # Errors
    /// Nobody does.
    pub fn passage(&self, method: &str, path: &str) -> Result<&Arc<Passage>, Closed> {
        pass_through::find(&self.passages, method, path)
    }

    #[must_use]
    pub fn plan(&self, code: &str) -> Option<&Arc<Plan>> {
        self.plans.get(code)
    }

    /// The plan of an organization that is stored with `code`. One that is not in the
    /// configuration any more gives way to the default plan, for both planes alike.
    #[must_use]
    pub fn plan_or_default(&self, code: &str) -> Option<&Arc<Plan>> {
        self.plan(code).or_else(|| self.plan(&self.default_plan))
    }
}
