//! One request on one connection: sent in as few writes as it takes, its answer read part by
//! part, the connection given back to the pool at a clean end.

use super::{
    answer::Fault,
    connectors::{Connection, Connectors},
    early,
    request::Outgoing,
    target::{HttpPeerRef, Target},
};
use crate::{
    clock::{self, within},
    proxy::Gateway,
};
use aione_core::domain::clock::Steady;
use bytes::Bytes;
use http::header::TRANSFER_ENCODING;
use pingora_core::protocols::{
    Stream,
    http::{client::HttpSession, v1::client::HttpSession as Http1Session},
};
use pingora_http::ResponseHeader;
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::{io::AsyncWriteExt, time::timeout};

/// Interim answers (1xx) before the final one.
const INTERIM_MAX: usize = 16;
/// Addresses of one name that one request tries to connect to.
const CONNECTS_MAX: usize = 3;

/// How long a read may take at the least, so that it finds what is there.
const LAST_LOOK: Duration = Duration::from_millis(10);

/// An answer whose head has been read.
pub(crate) struct Exchange {
    session: Option<HttpSession>,
    peer: HttpPeerRef,
    target: Arc<Target>,
    gateway: Arc<Gateway>,
    /// The longest silence until the next part, after that one, and when all must be over.
    patience: Duration,
    later_patience: Duration,
    /// When something was heard. A wait that was broken off and begun anew goes on from here.
    heard_at: Steady,
    until: Steady,
    /// What it is when that time comes: no first byte, or an answer without an end.
    past_it: Fault,
    /// The whole request was sent, so that the connection may be used again.
    is_reusable: bool,
}

/// A connection that was pooled turned out to be dead before a byte of the answer was seen.
pub(super) struct Stale;

impl Exchange {
    /// Sends `request` and reads the answer's head, all of it between `now` and `until`.
    pub(super) async fn send(
        gateway: &Arc<Gateway>,
        target: &Arc<Target>,
        request: &Outgoing<'_>,
        now: Steady,
        until: Steady,
        is_fresh: bool,
    ) -> Result<Result<Self, Stale>, Fault> {
        let connecting = pin!(connect(&gateway.connectors, target, is_fresh, now));
        let connected = within(left(until, now), connecting).await.ok_or(Fault::Timeout)?;
        let (peer, connection, is_reused) = connected?;
        let now = if is_reused { now } else { clock::steady() };
        request.note_sent();
        let sent = {
            let sending = pin!(async {
                match connection {
                    Connection::Http1(stream) => send_http1(stream, &peer, target, request).await,
                    Connection::Http2(session) => Box::pin(send_http2(*session, target, request)).await,
                }
            });
            within(left(until, now), sending).await.ok_or(Fault::Timeout)?
        };
        let stale = |fault| if is_reused { Ok(Err(Stale)) } else { Err(fault) };
        let (session, is_reusable) = match sent {
            Ok(sent) => sent,
            Err(fault) => return stale(fault),
        };
        let now = clock::steady();
        let patience = left(until, now);
        let mut exchange = Self {
            session: Some(session),
            peer,
            target: target.clone(),
            gateway: gateway.clone(),
            patience,
            later_patience: patience,
            heard_at: now,
            until,
            past_it: Fault::Timeout,
            is_reusable,
        };
        let reading = timeout(patience, exchange.read_head(is_reused));
        let read = reading.await.map_err(|_| Fault::Timeout)??;
        exchange.heard_at = clock::steady();
        Ok(read.map(|()| exchange))
    }

    async fn read_head(&mut self, is_reused: bool) -> Result<Result<(), Stale>, Fault> {
        let session = self.session.as_mut().expect("the session is taken only on release");
        let is_http2 = !matches!(session, HttpSession::H1(_));
        for interim in 0..INTERIM_MAX {
            if let Err(mut error) = session.read_response_header().await {
                // Pingora knows what is provably unprocessed: REFUSED_STREAM, a GOAWAY that leaves the
                // stream out, and over HTTP/1 a pooled connection that was closed. A byte of an
                // answer proves the contrary.
                error.retry.decide_reuse(is_reused && !is_http2);
                let is_unseen = interim == 0 && !saw_bytes(&error);
                return if error.retry() && is_unseen { Ok(Err(Stale)) } else { Err(blame(&error)) };
            }
            if session.response_header().is_some_and(|head| !head.status.is_informational()) {
                self.is_reusable &= !has_two_lengths(session);
                return Ok(Ok(()));
            }
        }
        Err(Fault::Broken)
    }

    pub(super) fn head(&self) -> Option<&ResponseHeader> {
        self.session.as_ref().and_then(HttpSession::response_header)
    }

    /// Bounds the silence before the next part, before each later one, and all of it together.
    pub(super) fn bound(&mut self, patience: Duration, later: Duration, until: Steady) {
        self.until = until;
        self.past_it = Fault::Overtime;
        self.patience = patience;
        self.later_patience = later;
    }

    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience.min(self.patience);
        self.later_patience = patience.min(self.later_patience);
    }

    /// The next part of the body; `None` at its end. May be dropped and asked for again.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let now = clock::steady();
        let silence = Duration::from_nanos(now.since_ns(self.heard_at));
        let (quiet, rest) =
            (self.patience.saturating_sub(silence), Duration::from_nanos(self.until.since_ns(now)));
        let fault = if rest <= quiet { self.past_it } else { Fault::Timeout };
        if rest.is_zero() {
            return Err(fault);
        }
        // What came while nobody listened, because a caller read slowly, is not silence.
        let wait = quiet.min(rest).max(LAST_LOOK);
        let session = self.session.as_mut().expect("the session is taken only on release");
        session.set_read_timeout(Some(wait));
        let blamed = |error: Box<pingora_core::Error>| match blame(&error) {
            Fault::Timeout => fault,
            other => other,
        };
        loop {
            let part = session.read_response_body().await.map_err(blamed)?;
            // Pingora hands on an empty DATA frame as it is; an empty part says nothing.
            if part.as_ref().is_none_or(|part| !part.is_empty()) {
                self.heard_at = clock::steady();
                self.patience = self.later_patience;
                return Ok(part);
            }
        }
    }

    /// Gives the connection back to the pool.
    pub(super) fn release(mut self) {
        if let Some(session) = self.session.take()
            && self.is_reusable
        {
            self.gateway.connectors.release(&self.target, session, &self.peer, self.heard_at);
        }
    }
}

fn left(until: Steady, now: Steady) -> Duration {
    Duration::from_nanos(until.since_ns(now))
}

/// A connection to the address that last worked, or to one of those that follow it; with
/// `is_fresh`, none that was used before.
async fn connect(
    connectors: &Connectors,
    target: &Target,
    is_fresh: bool,
    now: Steady,
) -> Result<(HttpPeerRef, Connection, bool), Fault> {
    let mut peer = target.peer().await.map_err(|_| Fault::Connect)?;
    for _ in 1..CONNECTS_MAX.min(peer.siblings()) {
        if let Ok((connection, is_reused)) = connectors.get(target, &peer, is_fresh, now).await {
            return Ok((peer, connection, is_reused));
        }
        peer = target.give_up(peer);
    }
    let (connection, is_reused) = connectors.get(target, &peer, is_fresh, now).await?;
    Ok((peer, connection, is_reused))
}

/// Head and body go out together. The flag tells whether all was sent: an upstream may answer before it has read a
/// long body, and then the rest is kept back.
async fn send_http1(
    mut stream: Stream,
    peer: &HttpPeerRef,
    target: &Target,
    request: &Outgoing<'_>,
) -> Result<(HttpSession, bool), Fault> {
    let (head, is_whole) = request.http1(target);
    let mut sent_all = true;
    if is_whole {
        stream.write_all(&head).await.map_err(|_| Fault::Broken)?;
        stream.flush().await.map_err(|_| Fault::Broken)?;
    } else {
        let writing = Box::pin(early::write(stream, head, &request.body));
        (stream, sent_all) = writing.await.map_err(|_| Fault::Broken)?;
    }
    Ok((HttpSession::H1(Http1Session::new_with_options(stream, &**peer)), sent_all))
}

async fn send_http2(
    mut session: HttpSession,
    target: &Target,
    request: &Outgoing<'_>,
) -> Result<(HttpSession, bool), Fault> {
    let head = request.http2(target).ok_or(Fault::Broken)?;
    session.write_request_header(head).await.map_err(|_| Fault::Broken)?;
    let last = request.body.len().saturating_sub(1);
    for (index, part) in request.body.iter().enumerate() {
        if session.write_request_body(part.clone(), index == last).await.is_err() {
            // The stream was reset; an answer may have come before that.
            return Ok((session, false));
        }
    }
    session.finish_request_body().await.map_err(|_| Fault::Broken)?;
    Ok((session, true))
}

/// Whether an answer is framed in two ways. It is read in chunks, but whoever sent it may think
/// otherwise of what comes next on the connection. Pingora has removed one of the two by now.
fn has_two_lengths(session: &HttpSession) -> bool {
    const LENGTH: &[u8] = b"\ncontent-length";
    let HttpSession::H1(session) = session else { return false };
    let is_chunked = session.resp_header().is_some_and(|head| head.headers.contains_key(TRANSFER_ENCODING));
    is_chunked
        && session.get_headers_raw_bytes().windows(LENGTH.len()).any(|it| it.eq_ignore_ascii_case(LENGTH))
}

/// Whether some of a head had been read. Pingora tells it in words alone.
fn saw_bytes(error: &pingora_core::Error) -> bool {
    const READ: &str = "bytes already read: ";
    let text = error.context.as_ref().map(|context| context.as_str()).unwrap_or_default();
    text.split_once(READ).is_some_and(|(_, count)| !count.starts_with('0'))
}

fn blame(error: &pingora_core::Error) -> Fault {
    use pingora_core::ErrorType;
    match error.etype() {
        ErrorType::ReadTimedout | ErrorType::ConnectTimedout | ErrorType::WriteTimedout => Fault::Timeout,
        _ => Fault::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn an_address_that_refuses_is_passed_over_and_not_asked_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let alive = listener.local_addr().unwrap();
        let dead = std::net::SocketAddr::new("127.0.0.2".parse().unwrap(), alive.port());
        let target = Target::at(&[dead, alive]);
        let connectors = Connectors::new();
        let (peer, ..) = connect(&connectors, &target, false, clock::steady())
            .await
            .unwrap_or_else(|fault| panic!("{fault:?}"));
        assert_eq!(peer._address.as_inet(), Some(&alive));
        let next = target.peer().await.unwrap();
        assert_eq!(next._address.as_inet(), Some(&alive), "later requests begin where it went well");

        drop(listener);
        let nobody = Target::at(&[dead]);
        assert!(matches!(connect(&connectors, &nobody, false, clock::steady()).await, Err(Fault::Connect)));
    }
}
