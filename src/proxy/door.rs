//! The door: how many connections there may be, and when the first byte of a head came in, so
//! that a head has a deadline of its own and an idle connection another.

use super::{front::Front, wrapped::pass_on};
use crate::clock;
use aione_core::domain::clock::Steady;
use async_trait::async_trait;
use pingora_core::{
    apps::ServerApp,
    protocols::{Peek, Stream, http::ServerSession},
    server::ShutdownWatch,
};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Admits connections to the front.
pub(crate) struct Door {
    front: Arc<Front>,
    connections: Arc<AtomicUsize>,
}

impl Door {
    pub(crate) fn new(front: Front) -> Self {
        Self { front: Arc::new(front), connections: Arc::default() }
    }
}

#[async_trait]
impl ServerApp for Door {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let _inside = Inside::new(&self.connections, self.front.connections_max())?;
        let first_byte = FirstByte::default();
        let watched: Stream = Box::new(Watched { stream, first_byte: first_byte.clone() });
        tokio::select! {
            biased;
            kept = self.front.process_new(watched, shutdown) => kept,
            () = first_byte.stalls(self.front.header_timeout()) => None,
        }
    }
}

/// An HTTP/2 connection that has sent less has not even finished its preface and settings.
const H2_OPENING_BYTES: u64 = 33;

/// Counts a connection while it lives.
struct Inside(Arc<AtomicUsize>);

impl Inside {
    fn new(connections: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let inside = Self(connections.clone());
        let before = connections.fetch_add(1, Ordering::AcqRel);
        (before < most).then_some(inside)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// When the first byte since the last [`FirstByte::forget`] was read; steady nanoseconds, 0: not yet.
#[derive(Clone, Debug, Default)]
pub(super) struct FirstByte(Arc<Marks>);

#[derive(Debug, Default)]
struct Marks {
    at: AtomicU64,
    /// All bytes read on the connection.
    bytes: AtomicU64,
    /// A head of HTTP/1 is or was being read, which has a deadline of its own.
    awaited: AtomicBool,
}

impl FirstByte {
    /// The mark of a session's connection; `None` for an HTTP/2 stream, whose head is complete.
    pub(super) fn of(session: &ServerSession) -> Option<Self> {
        let ServerSession::H1(session) = session else { return None };
        let watched = (**session.stream()).as_any().downcast_ref::<Watched>()?;
        Some(watched.first_byte.clone())
    }

    pub(super) fn forget(&self) {
        self.0.at.store(0, Ordering::Relaxed);
        self.0.awaited.store(true, Ordering::Relaxed);
    }

    /// Resolves when a connection has not begun to speak HTTP by `deadline`: Pingora awaits the
    /// preface of HTTP/2, or the bytes to tell it from HTTP/1, without one.
    async fn stalls(&self, deadline: Duration) {
        tokio::time::sleep(deadline).await;
        let speaks = self.0.awaited.load(Ordering::Relaxed)
            || self.0.bytes.load(Ordering::Relaxed) >= H2_OPENING_BYTES;
        if speaks {
            std::future::pending().await
        }
    }

    pub(super) fn at(&self) -> Option<Steady> {
        Some(self.0.at.load(Ordering::Relaxed)).filter(|at| *at != 0).map(Steady)
    }

    fn note(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if self.0.at.load(Ordering::Relaxed) == 0 {
            self.0.at.store(clock::steady().0.max(1), Ordering::Relaxed);
        }
    }
}

#[derive(Debug)]
struct Watched {
    stream: Stream,
    first_byte: FirstByte,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        if read > 0 {
            self.first_byte.note(read);
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

pass_on!(Watched);

#[async_trait]
impl Peek for Watched {
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        self.stream.try_peek(buffer).await
    }
}
