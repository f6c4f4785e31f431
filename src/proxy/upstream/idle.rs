//! Idle HTTP/1 connections to one target, by thread: taking one is a look at the end of a list.
//!
//! Pingora's pool gives every idle connection a task of its own, which must be woken and waited for
//! before the connection can be used, and asks the system for its address each time. Here nobody
//! watches: whether a connection was closed is seen when it is taken, and at every sweep.

use super::target::IDLE_MAX;
use aione_core::domain::clock::Steady;
use futures_util::FutureExt;
use parking_lot::Mutex;
use pingora_core::protocols::Stream;
use std::net::SocketAddr;
use thread_local::ThreadLocal;
use tokio::{io::AsyncReadExt, task::unconstrained};

/// Idle connections that one thread keeps to one target; those that were idle longest go first.
const KEPT_MAX: usize = 512;

/// A connection wakes the runtime, and so the thread, that opened it: each thread prefers its own,
/// and takes another one's rather than open a new one.
#[derive(Default)]
pub(super) struct IdleConnections(ThreadLocal<Mutex<Vec<Kept>>>);

struct Kept {
    stream: Stream,
    address: SocketAddr,
    since: Steady,
}

impl IdleConnections {
    /// The one to `address` that was used last and is still open.
    pub(super) fn take(&self, address: SocketAddr, now: Steady) -> Option<Stream> {
        let own = self.0.get().and_then(|kept| take_from(&mut kept.lock(), address, now));
        own.or_else(|| self.0.iter().find_map(|kept| take_from(&mut kept.lock(), address, now)))
    }

    /// Keeps a connection on which a whole exchange has ended.
    pub(super) fn keep(&self, stream: Stream, address: SocketAddr, now: Steady) {
        let mut kept = self.0.get_or_default().lock();
        if kept.len() == KEPT_MAX {
            kept.remove(0);
        }
        kept.push(Kept { stream, address, since: now });
    }

    /// Lets go of those that were closed, and of those that nobody wanted for too long.
    pub(super) fn sweep(&self, now: Steady) {
        for kept in &self.0 {
            kept.lock().retain_mut(|kept| kept.is_usable(now));
        }
    }
}

fn take_from(kept: &mut Vec<Kept>, address: SocketAddr, now: Steady) -> Option<Stream> {
    while let Some(at) = kept.iter().rposition(|kept| kept.address == address) {
        let mut found = kept.remove(at);
        if found.is_usable(now) {
            return Some(found.stream);
        }
    }
    None
}

impl Kept {
    /// What can be read of an idle connection is its end, or something that nobody asked for.
    fn is_usable(&mut self, now: Steady) -> bool {
        let is_fresh = u128::from(now.since_ns(self.since)) < IDLE_MAX.as_nanos();
        // The runtime's budget for a task must not make a dead one look alive.
        is_fresh && unconstrained(self.stream.read(&mut [0])).now_or_never().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pingora_core::protocols::l4::stream::Stream as Connection;
    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
    };

    async fn pair(listener: &TcpListener) -> (Stream, TcpStream) {
        let address = listener.local_addr().unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        (Box::new(Connection::from(ours.unwrap())), theirs.unwrap().0)
    }

    #[tokio::test]
    async fn what_was_closed_spoke_or_grew_old_is_not_used_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let idle = IdleConnections::default();
        let (now, late) = (Steady(1), Steady(1 + IDLE_MAX.as_nanos() as u64));
        assert!(idle.take(address, now).is_none());

        let (alive, _theirs) = pair(&listener).await;
        idle.keep(alive, address, now);
        assert!(idle.take(SocketAddr::from(([127, 0, 0, 2], 1)), now).is_none(), "of another address");
        let alive = idle.take(address, now).expect("an open one");
        idle.keep(alive, address, now);
        assert!(idle.take(address, late).is_none(), "too old");

        let (closed, theirs) = pair(&listener).await;
        idle.keep(closed, address, now);
        drop(theirs);
        let (talking, mut theirs) = pair(&listener).await;
        idle.keep(talking, address, now);
        theirs.write_all(b"HTTP/1.1 408 ").await.unwrap();
        // Both are noticed once the runtime has heard of them.
        loop {
            idle.sweep(now);
            if idle.0.iter().all(|kept| kept.lock().is_empty()) {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert!(idle.take(address, now).is_none());
    }
}
