//! Listeners, storage, keys, limits, drain and log.

use super::{
    context::{Context, NOT_YET, Spot},
    redis, secret,
};
use crate::config::{
    form::{Size, Span, format_size},
    model::{self as yaml, LogFormat, ReserveCap},
    snapshot::{
        Admin, Billing, Database, Drain, JournalSync, Keys, Limits, Log, OnRedisLoss, Secret, Server,
        Storage, TlsFiles, UnpricedPolicy,
    },
};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How an address of PostgreSQL begins.
const POSTGRES: [&str; 2] = ["postgres://", "postgresql://"];
/// What the address of a PostgreSQL may say behind its `?`; and `options[name]`.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "ssl-mode",
    "ssl-root-cert",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];
/// A record that is still in the journal of some node must be told from one that is stored already.
const KEEP_RECORDS_MIN: Duration = Duration::from_secs(7 * 24 * 3600);
/// What `server.max_body` may be.
const BODY_BYTES: std::ops::RangeInclusive<u64> = 1 << 10..=1 << 30;

/// No two listeners may want the same port.
pub(super) fn listeners(document: &yaml::Document, context: &mut Context<'_>) {
    let root = context.root();
    let server = root.key("server").key("listen");
    let mut all: Vec<(SocketAddr, Spot<'_>)> = Vec::new();
    for (index, address) in document.server.listen.as_slice().iter().enumerate() {
        all.push((address.0, server.one_of(index)));
    }
    all.push((document.admin.listen.0, root.key("admin").key("listen")));
    all.push((document.metrics.listen.0, root.key("metrics").key("listen")));
    for (index, (address, spot)) in all.iter().enumerate() {
        let taken = all.iter().take(index).find(|(other, _)| collide(*address, *other));
        if let Some((other, first)) = taken {
            context.problem(spot, format!("`{address}` is taken by `{other}` at {}", first.place()));
        }
    }
    if document.server.listen.as_slice().is_empty() {
        context.problem(&server, "needs at least one address");
    }
}

/// Port 0 is a port of its own each time.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let overlap = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && overlap
}

pub(super) fn server(server: &yaml::Server, context: &mut Context<'_>) -> Server {
    let spot = context.root().key("server");
    let tls = server.tls.as_ref().and_then(|tls| {
        let spot = spot.key("tls");
        let cert = context.pem(&spot.key("cert"), &tls.cert, "CERTIFICATE");
        let key = context.pem(&spot.key("key"), &tls.key, "PRIVATE KEY");
        let files = TlsFiles { cert: cert?, key: key? };
        context.pair(&spot, &files);
        Some(files)
    });
    let Size(max_body) = server.max_body;
    if !BODY_BYTES.contains(&max_body) {
        let (least, most) = (format_size(*BODY_BYTES.start()), format_size(*BODY_BYTES.end()));
        context.problem(&spot.key("max_body"), format!("must be from {least} to {most}"));
    }
    let mut within =
        |key: &str, value: &Span, least, most| context.bounded(&spot.key(key), value.0, least, most);
    Server {
        listen: server.listen.as_slice().iter().map(|address| address.0).collect(),
        tls,
        h2c: server.h2c,
        threads: server.threads as usize,
        trusted_proxies: server.trusted_proxies.iter().map(|network| network.0).collect(),
        max_body: usize::try_from(max_body).unwrap_or(usize::MAX),
        header_timeout: within("header_timeout", &server.header_timeout, 100 * MILLISECOND, 10 * MINUTE),
        keep_alive_after: within("keep_alive_after", &server.keep_alive_after, 100 * MILLISECOND, HOUR),
        body_timeout: within("body_timeout", &server.body_timeout, 100 * MILLISECOND, HOUR),
        max_connections: server.max_connections as usize,
        drain_timeout: within("drain_timeout", &server.drain_timeout, Duration::ZERO, DAY),
    }
}

pub(super) fn admin(admin: &yaml::Admin, context: &mut Context<'_>) -> Admin {
    let spot = context.root().key("admin");
    let tokens = spot.key("operator_tokens");
    let operator_tokens = secret::operator_tokens(&admin.operator_tokens, &tokens, context);
    let address = admin.listen.0;
    if !address.ip().is_loopback() && operator_tokens.is_empty() {
        let message =
            format!("`{address}` can be reached from outside, so `admin.operator_tokens` must hold a token");
        context.problem(&spot.key("listen"), message);
    }
    Admin { listen: address, public: admin.public, operator_tokens }
}

pub(super) fn storage(storage: &yaml::Storage, context: &mut Context<'_>) -> Storage {
    let spot = context.root().key("storage");
    let timeout = storage.journal_sync_timeout.0;
    Storage {
        database: database(storage, &spot.key("database"), context)
            .unwrap_or_else(|| Database::Sqlite(PathBuf::default())),
        redis: storage.redis.as_ref().and_then(|urls| redis::url(urls, &spot.key("redis"), context)),
        journal: context.path(&spot.key("journal"), &storage.journal).unwrap_or_default(),
        journal_sync: match storage.journal_sync {
            yaml::JournalSync::Group => JournalSync::Group,
            yaml::JournalSync::Interval => JournalSync::Interval,
        },
        journal_sync_timeout: context.bounded(
            &spot.key("journal_sync_timeout"),
            timeout,
            MILLISECOND,
            MINUTE,
        ),
        keep_records: storage
            .keep_records
            .as_ref()
            .map(|keep| context.bounded(&spot.key("keep_records"), keep.0, KEEP_RECORDS_MIN, 36_500 * DAY)),
    }
}

fn is_parameter(name: &str) -> bool {
    PARAMETERS.contains(&name) || (name.starts_with("options[") && name.ends_with(']'))
}

fn database<'a>(storage: &yaml::Storage, spot: &Spot<'a>, context: &mut Context<'a>) -> Option<Database> {
    let url = context.resolve(spot, &storage.database)?;
    if let Some(rest) = POSTGRES.iter().find_map(|scheme| url.strip_prefix(scheme)) {
        if rest.is_empty() || rest.contains(|c: char| c.is_control() || c.is_whitespace()) {
            let example = "postgres://aione@db.example/aione?sslmode=verify-full".to_owned();
            context.suggest(spot, "expected a server and a database", Some(example));
            return None;
        }
        // The connection's library would log what it does not know, and its value.
        let query = rest.split_once('?').map_or("", |(_, query)| query);
        let names = query.split('&').map(|part| part.split_once('=').map_or(part, |(name, _)| name));
        if names.clone().any(|name| !name.is_empty() && !is_parameter(name)) {
            context.problem(spot, format!("expected no parameters but {}", PARAMETERS.join(", ")));
            return None;
        }
        return Some(Database::Postgres(Secret::new(url)));
    }
    let path = url.strip_prefix("sqlite://").unwrap_or_default();
    if path.is_empty() || path.ends_with('/') || path.contains(['?', '#', '\0']) {
        let example = "sqlite://data/aione.db".to_owned();
        context.suggest(
            spot,
            "expected `postgres://` and a server, or `sqlite://` and the path of a file",
            Some(example),
        );
        return None;
    }
    Some(Database::Sqlite(Context::folder_of(spot).join(path)))
}

pub(super) fn keys(keys: &yaml::Keys, context: &mut Context<'_>) -> Keys {
    let spot = context.root().key("keys");
    let mut within =
        |key: &str, value: &Span, most| context.bounded(&spot.key(key), value.0, Duration::ZERO, most);
    Keys {
        prefix: keys.prefix.0.clone(),
        rotate_grace: within("rotate_grace", &keys.rotate_grace, 365 * DAY),
        cache_max_age: within("cache_max_age", &keys.cache_max_age, MINUTE),
    }
}

pub(super) fn billing(billing: &yaml::Billing) -> Billing {
    Billing {
        currency: billing.currency.0.clone(),
        unpriced: match billing.unpriced {
            yaml::Unpriced::Reject => UnpricedPolicy::Reject,
            yaml::Unpriced::Quarantine => UnpricedPolicy::Quarantine,
        },
        time_zone: billing.time_zone.0,
    }
}

pub(super) fn limits(document: &yaml::Document, context: &mut Context<'_>) -> Limits {
    let limits = &document.limits;
    let spot = context.root().key("limits");
    let timeout = context.bounded(&spot.key("redis_timeout"), limits.redis_timeout.0, MILLISECOND, SECOND);
    if document.storage.redis.is_none() {
        let unused = yaml::Limits::default();
        if limits.redis_timeout != unused.redis_timeout {
            context.warn(&spot.key("redis_timeout"), "has no effect without `storage.redis`");
        }
        if limits.on_redis_loss != unused.on_redis_loss {
            context.warn(&spot.key("on_redis_loss"), "has no effect without `storage.redis`");
        }
    }
    Limits {
        cache_read_weight_milli: limits.cache_read_weight.0,
        default_ceiling: limits.default_ceiling,
        reserve_cap: match limits.reserve_cap {
            ReserveCap::Tokens(tokens) => Some(tokens),
            ReserveCap::None(_) => None,
        },
        redis_timeout: timeout,
        on_redis_loss: match limits.on_redis_loss {
            yaml::OnRedisLoss::LocalShare => OnRedisLoss::LocalShare,
            yaml::OnRedisLoss::Open => OnRedisLoss::Open,
            yaml::OnRedisLoss::Closed => OnRedisLoss::Closed,
        },
    }
}

pub(super) fn drain(drain: &yaml::Drain, context: &mut Context<'_>) -> Drain {
    let spot = context.root().key("drain").key("max_time");
    Drain {
        max_streams: drain.max_streams as usize,
        max_time: context.bounded(&spot, drain.max_time.0, Duration::ZERO, HOUR),
    }
}

pub(super) fn log(document: &yaml::Document, context: &mut Context<'_>) -> Log {
    if document.tracing.otlp.is_some() {
        let spot = context.root().key("tracing").key("otlp");
        context.problem(&spot, format!("tracing {NOT_YET}"));
    }
    Log { level: document.log.level.0.clone(), json: document.log.format == LogFormat::Json }
}
