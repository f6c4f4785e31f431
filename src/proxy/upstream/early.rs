//! Sending a long HTTP/1 body while listening: an upstream may answer, with a 413 say, before
//! it has read everything, and then never read the rest.

use crate::proxy::wrapped::pass_on;
use async_trait::async_trait;
use bytes::{Buf, Bytes, BytesMut};
use pingora_core::protocols::{IO, Peek, Stream};
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    iter,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// The longest head of an interim answer that is waited for while the body is being written.
const EARLY_BYTES: usize = 4096;

/// Writes `head` and the parts of the body, as many of them at once as the connection takes; stops as soon as the
/// upstream answers or closes. The flag tells whether all was written. What was read of an answer meanwhile is put
/// back in front of the stream; interim answers (1xx) are none, and are dropped.
///
/// # Errors
/// The connection did not take a byte.
pub(super) async fn write(stream: Stream, head: Bytes, body: &[Bytes]) -> io::Result<(Stream, bool)> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut early = BytesMut::new();
    let mut left = Parts::new(iter::once(head).chain(body.iter().cloned()));
    let mut has_begun = false;
    let wrote_all = loop {
        // Neither loses anything when the other is sooner.
        tokio::select! {
            biased;
            written = write_some(&mut writer, &mut left) => match written {
                Ok(is_all) if is_all => break true,
                Ok(_) => has_begun = true,
                Err(error) if !has_begun && early.is_empty() => return Err(error),
                Err(_) => break false,
            },
            read = reader.read_buf(&mut early) => match read {
                Ok(count) if count > 0 && is_interim(&mut early) => {}
                _ => break false,
            },
        }
    };
    let stream = reader.unsplit(writer);
    if early.is_empty() {
        // The upstream may have answered and closed before it took the rest.
        return Ok((stream, wrote_all));
    }
    let rewound = Rewound { early: early.freeze(), stream };
    Ok((Stream::from(Box::new(rewound) as Box<dyn IO>), wrote_all))
}

/// Writes some more, or has the connection send what it keeps; whether all was sent.
async fn write_some(writer: &mut (impl AsyncWrite + Unpin), left: &mut Parts) -> io::Result<bool> {
    if !left.has_remaining() {
        return writer.flush().await.map(|()| true);
    }
    match writer.write_buf(left).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(false),
    }
}

/// What is still to be written; none of it is empty.
struct Parts(VecDeque<Bytes>);

impl Parts {
    fn new(parts: impl Iterator<Item = Bytes>) -> Self {
        Self(parts.filter(|part| !part.is_empty()).collect())
    }
}

impl Buf for Parts {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |part| part)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled = slices.iter_mut().zip(&self.0).map(|(slice, part)| *slice = IoSlice::new(part));
        filled.count()
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(part) = self.0.front_mut() {
            let taken = count.min(part.len());
            part.advance(taken);
            count -= taken;
            if !part.is_empty() {
                return;
            }
            self.0.pop_front();
        }
        assert_eq!(count, 0, "more was written than there was");
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use pingora_core::protocols::l4::stream::Stream as L4Stream;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn a_connection_that_takes_no_byte_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (theirs, _) = listener.accept().await.unwrap();
        theirs.set_zero_linger().unwrap();
        drop(theirs);
        // Its reset is here once there is something to read.
        ours.readable().await.unwrap();
        let stream: Stream = Box::new(L4Stream::from(ours));
        let body = [Bytes::from_static(b"body")];
        assert!(write(stream, Bytes::from_static(b"head"), &body).await.is_err());
    }

    #[test]
    fn parts_are_offered_together_and_go_as_they_are_written() {
        let parts = ["head", "", "begin", "model", "end"];
        let whole = parts.concat();
        for first in 0..=whole.len() {
            for second in 0..=whole.len() - first {
                let mut left = Parts::new(parts.iter().map(|part| Bytes::from_static(part.as_bytes())));
                left.advance(first);
                left.advance(second);
                let rest = &whole.as_bytes()[first + second..];
                assert_eq!(left.remaining(), rest.len());
                assert_eq!(left.chunk().is_empty(), rest.is_empty(), "{first} and {second}");
                let mut slices = [IoSlice::new(&[]); 8];
                let filled = left.chunks_vectored(&mut slices);
                let offered = slices[..filled].iter().flat_map(|slice| slice.iter().copied());
                assert_eq!(offered.collect::<Vec<_>>(), rest);
            }
        }
        let left = Parts::new(parts.iter().map(|part| Bytes::from_static(part.as_bytes())));
        assert_eq!(left.chunks_vectored(&mut [IoSlice::new(&[]); 2]), 2, "no more than there is room for");
    }
}
