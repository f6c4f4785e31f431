//! Phase 2: who is calling. A key from one of four places, known to the key ring, from an
//! address that it allows.

use super::{Gateway, client::Client, refusal::Refusal, trace::Trace};
use crate::keyring::Denied;
use aione_core::{config::snapshot::Snapshot, domain::key::mask, ports::KeyInContext};
use http::HeaderMap;
use ipnet::IpNet;
use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// A longer `X-Forwarded-For` is read from its trusted end only this far.
const FORWARDED_HOPS_MAX: usize = 32;

/// An authenticated key with what stands above it.
pub(crate) type Caller = Arc<KeyInContext>;

pub(crate) async fn caller(
    gateway: &Gateway,
    world: &Snapshot,
    client: &Client<'_>,
    trace: &Trace,
) -> Result<Caller, Refusal> {
    let secret = presented(client)?;
    let keys = &world.keys;
    let found = gateway
        .keyring
        .authenticate(&secret, &keys.prefix, keys.cache_max_age, trace.started_at, trace.began)
        .await;
    let caller = found.map_err(|denied| match denied {
        Denied::StoreUnavailable => Refusal::KeysUnavailable,
        Denied::Malformed | Denied::Unknown | Denied::Expired | Denied::Disabled | Denied::GraceOver => {
            Refusal::InvalidKey { masked: mask(&secret) }
        }
    })?;
    if caller.key.allowed_ips.is_empty() {
        return Ok(caller);
    }
    let allowed = address(client, &world.server.trusted_proxies).is_some_and(|ip| caller.key.allows_ip(ip));
    if allowed { Ok(caller) } else { Err(Refusal::IpNotAllowed) }
}

/// The caller's address: the connection's, or, where that is a trusted proxy, the nearest
/// address in `X-Forwarded-For` that is not. `None` where a hop on the way there cannot be read: what
/// a proxy passed on from a stranger must not make the proxy's own address out of theirs.
pub(crate) fn address(client: &Client<'_>, trusted: &[IpNet]) -> Option<IpAddr> {
    address_behind(client.peer()?, client.headers(), trusted)
}

/// As [`address`], of a connection from `peer`.
pub(crate) fn address_behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let mut address = peer;
    if trusted.is_empty() || !is_trusted(address, trusted) {
        return Some(address);
    }
    let hops = headers
        .get_all("x-forwarded-for")
        .into_iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .collect::<Vec<_>>();
    for hop in hops.into_iter().rev().take(FORWARDED_HOPS_MAX) {
        address = read_hop(hop)?;
        if !is_trusted(address, trusted) {
            break;
        }
    }
    Some(address)
}

/// An address, with or without a port.
fn read_hop(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

/// The one secret that the request carries, in whichever place. Two that disagree are refused,
/// since which of them would be billed is anybody's guess.
fn presented<'c>(client: &'c Client<'_>) -> Result<Cow<'c, str>, Refusal> {
    let headers = client.headers();
    let mut found: Option<Cow<'c, str>> = None;
    let bearer = headers.get_all(http::header::AUTHORIZATION).into_iter().map(|value| {
        let text = value.to_str().map_err(|_| Refusal::InvalidKey { masked: mask("") })?;
        match text.split_once(' ') {
            Some((scheme, secret)) if scheme.eq_ignore_ascii_case("bearer") => {
                Ok(Cow::Borrowed(secret.trim()))
            }
            _ => Err(Refusal::InvalidKey { masked: mask("") }),
        }
    });
    let plain = ["x-api-key", "x-goog-api-key"].into_iter().flat_map(|name| header_values(headers, name));
    let query = query_keys(client.head().uri.query()).map(Ok);
    for secret in bearer.chain(plain).chain(query) {
        let secret = secret?;
        match &found {
            Some(other) if *other != secret => {
                return Err(Refusal::invalid("The request carries two API keys that differ", None));
            }
            _ => found = Some(secret),
        }
    }
    found.filter(|secret| !secret.is_empty()).ok_or(Refusal::MissingKey)
}

fn header_values<'h>(
    headers: &'h HeaderMap,
    name: &'static str,
) -> impl Iterator<Item = Result<Cow<'h, str>, Refusal>> {
    headers.get_all(name).into_iter().map(|value| {
        let text = value.to_str().map_err(|_| Refusal::InvalidKey { masked: mask("") })?;
        Ok(Cow::Borrowed(text.trim()))
    })
}

/// `?key=`, as Google's clients send it. Keys need no percent-decoding.
fn query_keys(query: Option<&str>) -> impl Iterator<Item = Cow<'_, str>> {
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    pairs.filter_map(|pair| pair.strip_prefix("key=")).map(Cow::Borrowed)
}
