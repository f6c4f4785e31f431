//! Pingora's connectors and their pools.
//!
//! Targets that only ever speak HTTP/1 have one of their own: taking a connection from its pool is
//! a small step, while the future of a new connection, with TLS and the choice of a version, is
//! large. It is boxed where it is needed, so that no request carries it along.

use super::{
    answer::Fault,
    target::{HttpPeerRef, IDLE_MAX, Target},
};
use pingora_core::{
    connectors::{
        ConnectorOptions,
        http::{Connector, v1},
    },
    protocols::http::client::HttpSession,
};

/// Idle upstream connections that each pool keeps, over all hosts.
const POOL_MAX: usize = 1024;

pub(crate) struct Connectors {
    http1: v1::Connector,
    any: Connector,
}

impl Connectors {
    pub(crate) fn new() -> Self {
        let options = || Some(ConnectorOptions::new(POOL_MAX));
        Self { http1: v1::Connector::new(options()), any: Connector::new(options()) }
    }

    /// A connection, and whether it was used before.
    pub(super) async fn get(
        &self,
        target: &Target,
        peer: &HttpPeerRef,
    ) -> Result<(HttpSession, bool), Fault> {
        if !target.speaks_http1_alone() {
            return Box::pin(self.any.get_http_session(&**peer)).await.map_err(|_| Fault::Connect);
        }
        if let Some(session) = self.http1.reused_http_session(&**peer).await {
            return Ok((HttpSession::H1(session), true));
        }
        let (session, is_reused) =
            Box::pin(self.http1.get_http_session(&**peer)).await.map_err(|_| Fault::Connect)?;
        Ok((HttpSession::H1(session), is_reused))
    }

    /// Gives a connection back to the pool it came from.
    pub(super) async fn release(&self, target: &Target, session: HttpSession, peer: &HttpPeerRef) {
        match session {
            HttpSession::H1(session) if target.speaks_http1_alone() => {
                self.http1.release_http_session(session, &**peer, Some(IDLE_MAX)).await;
            }
            // Boxed: it is ten times the size of the one above.
            session => {
                Box::pin(self.any.release_http_session(session, &**peer, Some(IDLE_MAX))).await;
            }
        }
    }
}
