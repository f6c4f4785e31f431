//! The caller's side of one exchange: Pingora's downstream session behind the few verbs that
//! an exchange needs, and whether the caller is still there.

use super::bodies::Room;
use crate::clock::within;
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::{HeaderMap, Method, Version};
use pingora_core::protocols::http::ServerSession;
use pingora_http::{RequestHeader, ResponseHeader};
use std::{
    net::{IpAddr, SocketAddr},
    pin::pin,
    time::Duration,
};
use tokio::time::timeout;

/// How long one write to a caller that does not read may take.
const WRITE_STALL_MAX: Duration = Duration::from_secs(120);

/// A body that nobody reads is taken off the connection up to this size, so that the next
/// request can follow.
const DROPPED_BODY_MAX: usize = 64 * 1024;
/// How long that, and a connection that is about to be closed on a sender, may take.
const LINGER_MAX: Duration = Duration::from_secs(1);
/// Bytes that are read of a sender who was already answered.
const LINGER_BYTES: usize = 4 * 1024 * 1024;

/// How long an HTTP/2 stream's last frames may take to be written before it is reset.
const RESET_GRACE: Duration = Duration::from_millis(250);

/// The caller has gone; what is written from now on goes nowhere.
#[derive(Debug)]
pub(crate) struct Gone;

/// Why a request's body could not be read.
#[derive(Debug)]
pub(crate) enum BodyError {
    TooLarge,
    /// The process holds as many bodies as it may.
    NoRoom,
    Late,
    /// Broken framing, or the caller left.
    Broken,
}

pub(crate) struct Client<'s> {
    session: &'s mut ServerSession,
    gone: bool,
    bytes_sent: u64,
}

impl<'s> Client<'s> {
    pub(crate) fn new(session: &'s mut ServerSession) -> Self {
        Self { session, gone: false, bytes_sent: 0 }
    }

    pub(crate) fn head(&self) -> &RequestHeader {
        self.session.req_header()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.session.req_header().headers
    }

    pub(crate) fn method(&self) -> &Method {
        &self.session.req_header().method
    }

    /// The path as the caller wrote it, without the query.
    pub(crate) fn path(&self) -> &str {
        self.session.req_header().uri.path()
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone
    }

    pub(crate) fn bytes_sent(&self) -> u64 {
        self.bytes_sent
    }

    pub(crate) fn peer(&self) -> Option<IpAddr> {
        let address: Option<&SocketAddr> = self.session.client_addr().and_then(|address| address.as_inet());
        address.map(|address| address.ip().to_canonical())
    }

    /// Reads the whole body, at most `max` bytes, within `deadline`; `room` comes to hold it.
    pub(crate) async fn read_body(
        &mut self,
        max: usize,
        deadline: Duration,
        room: &mut Room,
    ) -> Result<Bytes, BodyError> {
        let declared = self
            .headers()
            .get(http::header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|length| length > max as u64) {
            return Err(BodyError::TooLarge);
        }
        if self
            .headers()
            .get(http::header::EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
            && let ServerSession::H1(session) = &mut *self.session
        {
            session.write_continue_response().await.map_err(|_| BodyError::Broken)?;
        }
        within(deadline, pin!(self.collect_body(max, declared, room))).await.ok_or(BodyError::Late)?
    }

    async fn collect_body(
        &mut self,
        max: usize,
        declared: Option<u64>,
        room: &mut Room,
    ) -> Result<Bytes, BodyError> {
        let read = |_| BodyError::Broken;
        let Some(first) = self.session.read_request_body().await.map_err(read)? else {
            return Ok(Bytes::new());
        };
        if first.len() > max {
            return Err(BodyError::TooLarge);
        }
        // Room is taken as the bytes come: who only says that they will come takes none.
        room.fit(first.len()).map_err(|_| BodyError::NoRoom)?;
        // Most requests arrive in one read: the bytes are passed on without another copy.
        if declared == Some(first.len() as u64) {
            return Ok(first);
        }
        let expected = declared.map_or(first.len() * 2, |length| usize::try_from(length).unwrap_or(max));
        let mut body = BytesMut::with_capacity(expected.min(max));
        body.extend_from_slice(&first);
        while let Some(part) = self.session.read_request_body().await.map_err(read)? {
            if body.len() + part.len() > max {
                return Err(BodyError::TooLarge);
            }
            // A buffer of unknown size doubles when it grows.
            let grown = body.len() + part.len();
            let needed = if declared.is_some() { grown } else { (2 * grown).min(max) };
            room.fit(needed).map_err(|_| BodyError::NoRoom)?;
            body.extend_from_slice(&part);
        }
        Ok(body.freeze())
    }

    pub(crate) fn speaks_http1(&self) -> bool {
        matches!(self.session, ServerSession::H1(_))
    }

    /// Whether an answer of unknown length is sent in chunks: HTTP/1.1 does, HTTP/1.0 ends with
    /// the connection, HTTP/2 has frames.
    pub(crate) fn takes_chunks(&self) -> bool {
        self.speaks_http1() && self.head().version != Version::HTTP_10
    }

    /// Reads and drops a body that is declared to be small.
    pub(crate) async fn drop_small_body(&mut self) {
        let declared = self
            .headers()
            .get(http::header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let expects = self.headers().contains_key(http::header::EXPECT);
        if declared.is_some_and(|length| length <= DROPPED_BODY_MAX) && !expects {
            let _ = timeout(LINGER_MAX, self.session.drain_request_body()).await;
        }
    }

    /// Reads on for a moment after an answer to a request that is still being sent: closing at
    /// once would reset the connection, and the answer could be lost with it.
    pub(crate) async fn linger(&mut self) {
        if !self.speaks_http1() || self.session.is_body_done() {
            return;
        }
        let read_on = async {
            let mut dropped = 0;
            while let Ok(Some(part)) = self.session.read_request_body().await {
                dropped += part.len();
                if dropped > LINGER_BYTES {
                    break;
                }
            }
        };
        let _ = timeout(LINGER_MAX, read_on).await;
    }

    /// Resolves when the caller leaves; never when it has left already.
    ///
    /// A caller that closes its sending half counts as leaving: HTTP/1 cannot tell the two
    /// apart, and clients of LLM APIs do not half-close.
    pub(crate) async fn left(&mut self) {
        if self.gone {
            return std::future::pending().await;
        }
        // After the request's body this resolves only when the connection or stream ends, or
        // when a pipelined request comes, which no client of ours may send.
        let _ = self.session.read_body_or_idle(true).await;
        self.gone = true;
    }

    /// Notices a caller who left while the answer was being read: the runtime gets one turn to
    /// hear of it.
    pub(crate) async fn look(&mut self) {
        tokio::task::yield_now().await;
        let _ = self.left().now_or_never();
    }

    pub(crate) async fn write_head(&mut self, head: Box<ResponseHeader>) -> Result<(), Gone> {
        if self.gone {
            return Err(Gone);
        }
        let written = within(WRITE_STALL_MAX, pin!(self.session.write_response_header(head))).await;
        self.note(written.is_some_and(|written| written.is_ok()))
    }

    pub(crate) async fn write_body(&mut self, part: Bytes, end: bool) -> Result<(), Gone> {
        if self.gone {
            return Err(Gone);
        }
        self.bytes_sent += part.len() as u64;
        let written = within(WRITE_STALL_MAX, pin!(self.session.write_response_body(part, end))).await;
        self.note(written.is_some_and(|written| written.is_ok()))
    }

    /// Ends the answer so that the caller cannot take it for a whole one.
    pub(crate) async fn abort(&mut self) {
        self.gone = true;
        if !self.speaks_http1() {
            // A reset throws away what HTTP/2 has queued; its connection's task must come first.
            tokio::time::sleep(RESET_GRACE).await;
        }
        self.session.set_keepalive(None);
        self.session.shutdown().await;
    }

    fn note(&mut self, written: bool) -> Result<(), Gone> {
        if written {
            return Ok(());
        }
        self.gone = true;
        Err(Gone)
    }
}
