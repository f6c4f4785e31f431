//! Where Redis is.

use super::context::{Context, NOT_YET, Spot};
use crate::config::{
    form::Interpolated,
    model::OneOrMany,
    snapshot::{RedisUrl, Secret},
};

/// How an address of Redis begins, plain and over TLS.
const REDIS: [&str; 2] = ["redis://", "rediss://"];
/// And one of Redis behind Sentinel.
const SENTINEL: [&str; 2] = ["redis+sentinel://", "rediss+sentinel://"];

/// One server. A cluster's nodes and Sentinel's are known by their form, to be refused by name.
pub(super) fn url<'a>(
    urls: &OneOrMany<Interpolated>,
    spot: &Spot<'a>,
    context: &mut Context<'a>,
) -> Option<RedisUrl> {
    let [text] = urls.as_slice() else {
        context.problem(spot, format!("a cluster of Redis {NOT_YET}: name one server"));
        return None;
    };
    let spot = &spot.one_of(0);
    let url = context.resolve(spot, text)?;
    if SENTINEL.iter().any(|scheme| url.starts_with(scheme)) {
        context.problem(spot, format!("Redis behind Sentinel {NOT_YET}: name one server"));
        return None;
    }
    let rest = REDIS.iter().find_map(|scheme| url.strip_prefix(scheme));
    if !rest.is_some_and(is_redis_server) {
        let example = "redis://redis.example:6379/0".to_owned();
        context.suggest(spot, "expected `redis://` or `rediss://` and a server", Some(example));
        return None;
    }
    Some(RedisUrl(Secret::new(url)))
}

/// Whether `rest` of a URL is `[user:password@]host[:port][/number]`.
fn is_redis_server(rest: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let place = rest.rsplit('@').next().unwrap_or_default();
    let (server, database) = place.split_once('/').unwrap_or((place, ""));
    // An IPv6 address is in brackets, with colons of its own.
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (server, None),
    };
    !host.is_empty()
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
        && (database.is_empty() || is_number(database))
        && !rest.contains(|c: char| c.is_control() || c.is_whitespace() || c == '?' || c == '#')
}
