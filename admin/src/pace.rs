//! How fast one address may call: enough for any tool, and too slow to keep the store busy or to
//! guess at credentials.

use crate::{Admin, Peer, error::Refusal};
use aione_core::domain::clock::Timestamp;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// Calls at once, and how many milliseconds each takes to be forgotten: 100 a second.
const BURST: i64 = 1_000;
const EACH_MS: i64 = 10;
/// Addresses that are remembered.
const ADDRESSES_MAX: usize = 10_000;

/// For each address, when all its calls so far will be forgotten.
#[derive(Clone, Default)]
pub(crate) struct Pace(Arc<Mutex<HashMap<Option<IpAddr>, Timestamp>>>);

impl Pace {
    /// Counts a call, or says that it is one too many.
    fn allows(&self, address: Option<IpAddr>, now: Timestamp) -> bool {
        let mut forgotten = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if forgotten.len() >= ADDRESSES_MAX {
            forgotten.retain(|_, at| *at > now);
            if forgotten.len() >= ADDRESSES_MAX {
                forgotten.clear();
            }
        }
        let at = forgotten.entry(address.map(network)).or_insert(now);
        // A clock that was set back must not shut anybody out for longer than a burst takes.
        *at = (*at).clamp(now, now.plus_ms(BURST * EACH_MS));
        let is_allowed = at.0 - now.0 <= (BURST - 1) * EACH_MS;
        if is_allowed {
            *at = at.plus_ms(EACH_MS);
        }
        is_allowed
    }
}

/// One site has a /64 of IPv6 for itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// Refuses what comes too fast, before anything of it is looked at.
pub(crate) async fn keep(
    State((admin, pace)): State<(Admin, Pace)>,
    request: Request,
    next: Next,
) -> Response {
    let address = request.extensions().get::<Peer>().map(|peer| peer.0);
    if pace.allows(address, admin.surroundings.now()) {
        next.run(request).await
    } else {
        Refusal::TooFast.into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_burst_passes_and_then_a_steady_pace() {
        let pace = Pace::default();
        let one = address("192.0.2.1");
        for call in 0..BURST {
            assert!(pace.allows(one, NOW), "{call}");
        }
        assert!(!pace.allows(one, NOW));
        assert!(pace.allows(address("192.0.2.2"), NOW), "another address");
        assert!(pace.allows(None, NOW));
        assert!(pace.allows(one, NOW.plus_ms(EACH_MS)));
        assert!(!pace.allows(one, NOW.plus_ms(EACH_MS)));
        assert!(!pace.allows(one, NOW.plus_ms(-1_000_000)), "no later than before");
        let later = NOW.plus_ms(-1_000_000 + BURST * EACH_MS);
        assert!(pace.allows(one, later), "a clock that was set back shuts nobody out for good");
    }

    #[test]
    fn a_network_of_ipv6_is_one_and_what_is_remembered_is_bounded() {
        let pace = Pace::default();
        for call in 0..BURST {
            assert!(pace.allows(address(&format!("2001:db8::{call:x}")), NOW), "{call}");
        }
        assert!(!pace.allows(address("2001:db8::ffff:1"), NOW));
        for number in 0..30_000_u32 {
            pace.allows(Some(IpAddr::V4(number.into())), NOW);
            assert!(pace.0.lock().unwrap().len() <= ADDRESSES_MAX);
        }
    }
}
