//! An HTTP/2 client without TLS, by prior knowledge.

use super::{Call, Leave, Sending};
use crate::support::http::Headers;
use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client};
use std::{future::poll_fn, net::SocketAddr};
use tokio::{net::TcpStream, task::AbortHandle};

/// The size of data frames where the call names none.
const FRAME: usize = 16 * 1024;

/// An answer whose status is there and whose body is to be read, on a connection of its own.
pub struct Exchange {
    pub status: u16,
    pub headers: Headers,
    body: RecvStream,
    send: Option<SendStream<Bytes>>,
    /// Dropped last: the connection closes with it.
    driver: Driver,
}

/// The task that moves the connection's frames; aborting it closes the socket with FIN.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Exchange {
    /// Sends the whole of `call` and reads until the status. Panics where there is none.
    pub async fn open(addr: SocketAddr, call: &Call) -> Self {
        Self::try_open(addr, call).await.unwrap_or_else(|error| panic!("no answer over HTTP/2: {error}"))
    }

    pub async fn try_open(addr: SocketAddr, call: &Call) -> Result<Self, h2::Error> {
        let tcp = TcpStream::connect(addr).await.unwrap_or_else(|error| panic!("connect {addr}: {error}"));
        tcp.set_nodelay(true).unwrap();
        let (client, connection) = client::handshake(tcp).await?;
        let driver = Driver(
            tokio::spawn(async move {
                // Its end is seen by the stream.
                let _ = connection.await;
            })
            .abort_handle(),
        );
        let mut client = client.ready().await?;
        let bare = call.body.is_empty();
        let (response, mut send) = client.send_request(request(addr, call), bare)?;
        let sending = async {
            if !bare {
                // An answer may come, and the stream be reset, before the request is out.
                let _ = send_body(&mut send, call).await;
            }
        };
        let (answer, ()) = tokio::join!(response, sending);
        let (parts, body) = answer?.into_parts();
        let fields = parts.headers.iter();
        let fields =
            fields.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()));
        let headers = Headers(fields.collect());
        Ok(Self { status: parts.status.as_u16(), headers, body, send: Some(send), driver })
    }

    pub async fn piece(&mut self) -> Result<Option<Vec<u8>>, String> {
        loop {
            match self.body.data().await {
                None => {
                    // Trailers, or a reset in their place.
                    let trailers = self.body.trailers().await;
                    return trailers.map(|_| None).map_err(|error| error.to_string());
                }
                Some(Err(error)) => return Err(error.to_string()),
                Some(Ok(data)) => {
                    let _ = self.body.flow_control().release_capacity(data.len());
                    if !data.is_empty() {
                        return Ok(Some(data.to_vec()));
                    }
                }
            }
        }
    }

    pub fn leave(mut self, how: Leave) {
        if how == Leave::Reset
            && let Some(mut send) = self.send.take()
        {
            send.send_reset(Reason::CANCEL);
            // The driver must live until the frame is out: the test's runtime ends it.
            std::mem::forget(self.driver);
        }
    }
}

fn request(addr: SocketAddr, call: &Call) -> http::Request<()> {
    let mut request = http::Request::builder().method(call.method).uri(format!("http://{addr}{}", call.path));
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    if call.framing == Sending::Length && !call.body.is_empty() {
        request = request.header("content-length", call.body.len());
    }
    request.body(()).unwrap()
}

async fn send_body(send: &mut SendStream<Bytes>, call: &Call) -> Result<(), h2::Error> {
    let (body, last) = match call.framing {
        Sending::CutAfter(count) => (&call.body[..count], false),
        _ => (&call.body[..], true),
    };
    let size = match call.framing {
        Sending::Chunked(size) => size,
        _ => FRAME,
    };
    let mut rest = Bytes::copy_from_slice(body);
    while !rest.is_empty() {
        send.reserve_capacity(rest.len().min(size));
        let room = match poll_fn(|context| send.poll_capacity(context)).await {
            Some(room) => room?,
            None => return Ok(()),
        };
        let piece = rest.split_to(room.min(rest.len()).min(size));
        let end = last && rest.is_empty();
        send.send_data(piece, end)?;
    }
    Ok(())
}
