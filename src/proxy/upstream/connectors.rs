//! Connections to targets: idle ones, and new ones by Pingora's connectors.
//!
//! Targets that only ever speak HTTP/1 keep their idle connections themselves (`idle`); the others,
//! which choose their version by TLS, are Pingora's connector's with its pool. What is large is
//! boxed where it is needed, so that no request carries it along.

use super::{
    answer::Fault,
    target::{HttpPeerRef, IDLE_MAX, Target},
};
use aione_core::domain::clock::Steady;
use futures_util::FutureExt;
use pingora_core::{
    connectors::{ConnectorOptions, TransportConnector, http::Connector},
    protocols::{
        Stream,
        http::{client::HttpSession, v1::client::HttpSession as Http1Session},
    },
};

/// Idle upstream connections that Pingora's pool keeps, over all hosts.
const POOL_MAX: usize = 1024;

pub(crate) struct Connectors {
    http1: TransportConnector,
    any: Connector,
}

/// A connection that a request can be sent on.
pub(super) enum Connection {
    Http1(Stream),
    Http2(Box<HttpSession>),
}

impl Connectors {
    pub(crate) fn new() -> Self {
        let options = || Some(ConnectorOptions::new(POOL_MAX));
        Self { http1: TransportConnector::new(options()), any: Connector::new(options()) }
    }

    /// A connection, and whether it was used before. With `is_fresh` none that was, but for those
    /// that Pingora pools.
    pub(super) async fn get(
        &self,
        target: &Target,
        peer: &HttpPeerRef,
        is_fresh: bool,
        now: Steady,
    ) -> Result<(Connection, bool), Fault> {
        if target.speaks_http1_alone() {
            if !is_fresh && let Some(stream) = target.idle.take(peer.address(), now) {
                return Ok((Connection::Http1(stream), true));
            }
            let stream = Box::pin(self.http1.new_stream(&**peer)).await.map_err(|_| Fault::Connect)?;
            return Ok((Connection::Http1(stream), false));
        }
        let got = Box::pin(self.any.get_http_session(&**peer)).await.map_err(|_| Fault::Connect)?;
        Ok(match got {
            (HttpSession::H1(session), is_reused) => (Connection::Http1(session.into_inner()), is_reused),
            (session, is_reused) => (Connection::Http2(Box::new(session)), is_reused),
        })
    }

    /// Keeps a connection for the next request, if its answer has come to its end and the upstream
    /// does not close it. Pingora waits here only for the orderly end of one that is not kept; that
    /// one is dropped instead, so that no open answer carries the state of this along.
    pub(super) fn release(&self, target: &Target, session: HttpSession, peer: &HttpPeerRef, now: Steady) {
        match session {
            HttpSession::H1(session) if target.speaks_http1_alone() => {
                if let Some(stream) = reusable(session) {
                    target.idle.keep(stream, peer.address(), now);
                }
            }
            session => {
                let _ = self.any.release_http_session(session, &**peer, Some(IDLE_MAX)).now_or_never();
            }
        }
    }
}

fn reusable(mut session: Http1Session) -> Option<Stream> {
    session.respect_keepalive();
    session.reuse().now_or_never().flatten()
}
