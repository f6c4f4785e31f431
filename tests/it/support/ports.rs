//! Free ports for processes that are told their port before they bind it.

use std::{
    net::{SocketAddr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

/// Below the range that the system takes outgoing ports from, so that no connection of another
/// test can sit on a port between its release here and its use by the gateway.
const LOWEST: u32 = 12_000;
const COUNT: u32 = 20_000;

/// A loopback address that nothing listens on now.
pub fn free() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test processes that run side by side start far from each other.
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = LOWEST + start.wrapping_add(step) % COUNT;
        let addr = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("below 65 536")));
        if TcpListener::bind(addr).is_ok() {
            return addr;
        }
    }
    panic!("no free port in {LOWEST}..{}", LOWEST + COUNT);
}
