//! Sending a long HTTP/1 body while listening: an upstream may answer, with a 413 say, before
//! it has read everything, and then never read the rest.

use crate::proxy::wrapped::pass_on;
use async_trait::async_trait;
use bytes::{Buf, Bytes, BytesMut};
use pingora_core::protocols::{IO, Peek, Stream};
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// The longest head of an interim answer that is waited for while the body is being written.
const EARLY_BYTES: usize = 4096;

/// Writes `parts`; stops as soon as the upstream answers or closes. The flag tells whether all
/// was written. What was read of an answer meanwhile is put back in front of the stream; interim
/// answers (1xx) are none, and are dropped.
pub(super) async fn write(stream: Stream, parts: &[Bytes]) -> io::Result<(Stream, bool)> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut early = BytesMut::new();
    let mut left = parts.iter().cloned().collect::<VecDeque<_>>();
    let outcome = loop {
        let Some(part) = left.front_mut() else {
            break writer.flush().await.map(|()| true);
        };
        // Neither loses anything when the other is sooner.
        tokio::select! {
            biased;
            written = writer.write(part) => match written {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => part.advance(count),
                Err(error) => break Err(error),
            },
            read = reader.read_buf(&mut early) => match read {
                Ok(count) if count > 0 && is_interim(&mut early) => {}
                Ok(_) => break Ok(false),
                Err(error) => break Err(error),
            },
        }
        while left.front().is_some_and(Bytes::is_empty) {
            left.pop_front();
        }
    };
    let wrote_all = outcome.unwrap_or(false);
    let stream = reader.unsplit(writer);
    if early.is_empty() {
        // The upstream may have answered and closed before it took the rest.
        return Ok((stream, wrote_all));
    }
    let rewound = Rewound { early: early.freeze(), stream };
    Ok((Stream::from(Box::new(rewound) as Box<dyn IO>), wrote_all))
}

/// Takes whole interim answers off the front. Whether what is left may still become one, so that
/// the body goes on being written: an answer proper it is not.
fn is_interim(early: &mut BytesMut) -> bool {
    const BEGIN: &[u8] = b"HTTP/1.1 1";
    while early.starts_with(BEGIN)
        && let Some(end) = memchr::memmem::find(early, b"\r\n\r\n")
    {
        early.advance(end + 4);
    }
    let begins = if early.len() < BEGIN.len() { BEGIN.starts_with(early) } else { early.starts_with(BEGIN) };
    begins && early.len() < EARLY_BYTES
}

/// A stream with some bytes put back in front of it. It is read to the end of one answer and
/// never pooled.
#[derive(Debug)]
struct Rewound {
    early: Bytes,
    stream: Stream,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = self.early.len().min(buffer.remaining());
        buffer.put_slice(&self.early[..count]);
        self.early.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
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
}

pass_on!(Rewound);

#[async_trait]
impl Peek for Rewound {}
