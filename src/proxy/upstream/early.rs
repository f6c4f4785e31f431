//! Sending a long HTTP/1 body while listening: an upstream may answer, with a 413 say, before
//! it has read everything, and then never read the rest.

use crate::proxy::wrapped::pass_on;
use async_trait::async_trait;
use bytes::{Buf, Bytes};
use pingora_core::protocols::{IO, Peek, Stream};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// What is read of an early answer while the body is still being written.
const EARLY_BYTES: usize = 4096;

/// Writes `parts`; stops as soon as the upstream answers or closes. The flag tells whether all
/// was written. What was read meanwhile is put back in front of the stream.
pub(super) async fn write(stream: Stream, parts: &[Bytes]) -> io::Result<(Stream, bool)> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut early = vec![0; EARLY_BYTES];
    let outcome = {
        let write = async {
            for part in parts {
                writer.write_all(part).await?;
            }
            writer.flush().await
        };
        tokio::select! {
            biased;
            written = write => written.map(|()| None),
            read = reader.read(&mut early) => read.map(Some),
        }
    };
    let stream = match outcome {
        Ok(None) => return Ok((reader.unsplit(writer), true)),
        Ok(Some(count)) => {
            early.truncate(count);
            Stream::from(
                Box::new(Rewound { early: early.into(), stream: reader.unsplit(writer) }) as Box<dyn IO>
            )
        }
        // The upstream may have answered and closed before it took the rest.
        Err(_) => reader.unsplit(writer),
    };
    Ok((stream, false))
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
