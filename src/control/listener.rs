//! A listener for operators and scrapers: HTTP/1 within bounds, so that a slow or greedy peer can
//! hold no more than one connection, and that not for ever.

use axum::{Router, body::Body, extract::ConnectInfo};
use bytes::Bytes;
use hyper::{
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::Sleep,
};
use tower::ServiceExt as _;

/// Connections at once; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 256;
/// How long a request's head may take, the wait for it on a kept connection included.
const HEAD_MAX: Duration = Duration::from_secs(30);
/// How long a request's body may take.
const BODY_MAX: Duration = Duration::from_secs(10);
/// How long a connection is kept, however busy it is: what bounds a peer that does not read.
const CONNECTION_MAX: Duration = Duration::from_secs(600);
/// How long the last answer of such a connection may take.
const LAST_MAX: Duration = Duration::from_secs(30);
/// How long nothing is accepted after the system refused to: it is out of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    connections: usize,
    head: Duration,
    body: Duration,
    connection: Duration,
    last: Duration,
}

pub(super) const BOUNDS: Bounds = Bounds {
    connections: CONNECTIONS_MAX,
    head: HEAD_MAX,
    body: BODY_MAX,
    connection: CONNECTION_MAX,
    last: LAST_MAX,
};

/// Serves until it is dropped, and its connections with it.
pub(super) async fn serve(listener: TcpListener, router: Router, bounds: Bounds) {
    let turns = Arc::new(Semaphore::new(bounds.connections));
    let mut open = JoinSet::new();
    loop {
        let turn = turns.clone().acquire_owned().await.expect("nobody closes it");
        while open.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) => drop(open.spawn(converse(stream, peer, router.clone(), bounds, turn))),
            Err(error) => {
                tracing::warn!(%error, "a connection of an operator could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    bounds: Bounds,
    _turn: OwnedSemaphorePermit,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(|body| Body::new(Timely::new(body, bounds.body)));
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(bounds.head);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // How it ends is the peer's affair: what was asked has its line in the access log.
    if tokio::time::timeout(bounds.connection, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(bounds.last, connection).await;
    }
}

/// A body that fails when it is not whole in time.
struct Timely {
    body: Incoming,
    late: Pin<Box<Sleep>>,
}

impl Timely {
    fn new(body: Incoming, longest: Duration) -> Self {
        Self { body, late: Box::pin(tokio::time::sleep(longest)) }
    }
}

impl HttpBody for Timely {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
        }
        ready!(self.late.as_mut().poll(context));
        Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const SHORT: Duration = Duration::from_millis(50);
    /// For what a test is not about; within it everything else must have happened.
    const LONG: Duration = Duration::from_secs(20);
    const NONE_SHORT: Bounds =
        Bounds { connections: 8, head: LONG, body: LONG, connection: LONG, last: SHORT };
    const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    /// A listener of its own that ends with the value.
    struct Served(SocketAddr, #[expect(dead_code, reason = "it is held")] JoinSet<()>);

    impl Served {
        async fn within(bounds: Bounds) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let router = Router::new().route("/", get(|| async { "whole" })).route(
                "/",
                post(|body: Body| async {
                    match axum::body::to_bytes(body, usize::MAX).await {
                        Ok(_) => "whole",
                        Err(_) => "late",
                    }
                }),
            );
            let mut task = JoinSet::new();
            task.spawn(serve(listener, router, bounds));
            Self(address, task)
        }

        async fn send(&self, bytes: &[u8]) -> TcpStream {
            let mut stream = TcpStream::connect(self.0).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream
        }
    }

    /// What comes until the peer closes, or until it holds `until`.
    async fn read(stream: &mut TcpStream, until: &str) -> String {
        let mut bytes = Vec::new();
        let reading = async {
            while !String::from_utf8_lossy(&bytes).contains(until) || until.is_empty() {
                // A reset is an end too.
                if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                    break;
                }
            }
        };
        tokio::time::timeout(LONG, reading).await.expect("an end in time");
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_is_not_waited_for() {
        let served = Served::within(Bounds { head: SHORT, ..NONE_SHORT }).await;
        for begun in [&b""[..], b"GET / HTTP/1.1\r\nx-slow: "] {
            let mut stream = served.send(begun).await;
            let said = read(&mut stream, "").await;
            assert!(!said.contains("whole"), "{said}");
        }
        let mut kept = served.send(GET).await;
        assert!(read(&mut kept, "").await.contains("whole"), "answered, then closed as idle");
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let served = Served::within(Bounds { body: SHORT, ..NONE_SHORT }).await;
        let head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{";
        let mut stream = served.send(head).await;
        assert!(read(&mut stream, "late").await.contains("late"));
    }

    #[tokio::test]
    async fn a_connection_ends_however_busy_it_is() {
        let served = Served::within(Bounds { connection: SHORT, ..NONE_SHORT }).await;
        let mut stream = served.send(b"").await;
        assert_eq!(read(&mut stream, "").await, "");
    }

    #[tokio::test]
    async fn one_connection_more_waits_until_another_has_ended() {
        let served = Served::within(Bounds { connections: 2, ..NONE_SHORT }).await;
        let mut first = served.send(GET).await;
        let mut second = served.send(GET).await;
        for stream in [&mut first, &mut second] {
            assert!(read(stream, "whole").await.contains("whole"));
        }
        let mut third = served.send(GET).await;
        let early = tokio::time::timeout(SHORT, third.readable()).await;
        assert!(early.is_err(), "a third is answered while two are open");
        drop(first);
        assert!(read(&mut third, "whole").await.contains("whole"));
    }
}
