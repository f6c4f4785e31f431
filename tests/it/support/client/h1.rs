//! A raw HTTP/1.1 client: it sends exactly the bytes it is given and tells exactly what came.

use super::{Call, Leave, Sending};
use crate::support::http::{Framing, Headers, Wire, chunk};
use std::{io, net::SocketAddr};
use tokio::{
    io::AsyncWriteExt as _,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

/// A connection on which calls can follow each other.
pub struct Connection {
    wire: Wire<OwnedReadHalf>,
    write: Option<OwnedWriteHalf>,
    /// The sending that is under way: an answer may come before the request is out.
    sending: Option<JoinHandle<(OwnedWriteHalf, io::Result<()>)>>,
    answers_head: bool,
}

impl Connection {
    pub async fn open(addr: SocketAddr) -> Self {
        Self::try_open(addr).await.unwrap_or_else(|error| panic!("connect {addr}: {error}"))
    }

    pub async fn try_open(addr: SocketAddr) -> io::Result<Self> {
        let tcp = TcpStream::connect(addr).await?;
        tcp.set_nodelay(true)?;
        let (read, write) = tcp.into_split();
        Ok(Self { wire: Wire::new(read), write: Some(write), sending: None, answers_head: false })
    }

    /// The connection once its request is out; `None` where that failed.
    pub async fn settled(mut self) -> Option<Self> {
        self.sent().await.ok()?;
        Some(self)
    }

    /// Begins to send `call`.
    pub fn start(&mut self, call: &Call) {
        self.answers_head = call.method == "HEAD";
        self.start_raw(bytes(
            call,
            &self.wire.get_ref().peer_addr().map_or_else(|_| "gone".into(), |a| a.to_string()),
        ));
    }

    /// Begins to send `bytes` as they are.
    pub fn start_raw(&mut self, bytes: Vec<u8>) {
        let mut write = self.write.take().expect("one sending at a time");
        self.sending = Some(tokio::spawn(async move {
            let result = write.write_all(&bytes).await;
            (write, result)
        }));
    }

    /// Waits until everything was handed to the kernel.
    pub async fn sent(&mut self) -> io::Result<()> {
        let Some(sending) = self.sending.take() else { return Ok(()) };
        let (write, result) = sending.await.unwrap();
        self.write = Some(write);
        result
    }

    /// Says that no more will be sent, and goes on reading.
    pub async fn half_close(&mut self) {
        let _ = self.sent().await;
        if let Some(write) = &mut self.write {
            let _ = write.shutdown().await;
        }
    }

    /// The status of the next head, interim or not; its body stays unread.
    pub async fn next_status(&mut self) -> io::Result<u16> {
        Ok(self.wire.head().await?.ok_or(io::ErrorKind::ConnectionReset)?.status())
    }

    /// Reads until the final status. Panics where the connection is closed instead.
    pub async fn answer(self) -> Exchange {
        self.try_answer().await.unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    pub async fn try_answer(mut self) -> io::Result<Exchange> {
        let mut interim = Vec::new();
        loop {
            let head = self.wire.head().await?.ok_or(io::ErrorKind::ConnectionReset)?;
            let status = head.status();
            if (100..200).contains(&status) && status != 101 {
                interim.push(status);
                continue;
            }
            let framing = if self.answers_head { Framing::Over } else { head.framing(true) };
            return Ok(Exchange { status, headers: head.headers, interim, framing, connection: self });
        }
    }

    /// One whole exchange; the connection comes back when it can take another.
    pub async fn send(mut self, call: &Call) -> (super::Answer, Option<Self>) {
        self.start(call);
        let exchange = self.answer().await;
        let (status, headers, interim) =
            (exchange.status, exchange.headers.clone(), exchange.interim.clone());
        let mut exchange = exchange;
        let mut body = Vec::new();
        let end = loop {
            match exchange.piece().await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => break super::BodyEnd::Clean,
                Err(error) => break super::BodyEnd::Broken(error),
            }
        };
        let closing = headers.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let reusable = end == super::BodyEnd::Clean && !closing;
        let mut connection = exchange.connection;
        let _ = connection.sent().await;
        (super::Answer { status, headers, body, end, interim }, reusable.then_some(connection))
    }

    /// Closes with FIN or RST, whatever is under way.
    pub async fn leave(mut self, how: Leave) {
        if let Some(sending) = self.sending.take() {
            sending.abort();
            // The half is dropped with its task; what was not sent stays unsent.
            let _ = sending.await;
        }
        if how == Leave::Reset {
            let _ = self.wire.get_ref().as_ref().set_zero_linger();
            if let Some(write) = self.write.take() {
                write.forget();
            }
        }
    }
}

/// An answer whose status is there and whose body is to be read.
pub struct Exchange {
    pub status: u16,
    pub headers: Headers,
    pub interim: Vec<u16>,
    framing: Framing,
    pub connection: Connection,
}

impl Exchange {
    pub async fn piece(&mut self) -> Result<Option<Vec<u8>>, String> {
        self.connection.wire.piece(&mut self.framing).await.map_err(|error| error.to_string())
    }

    pub async fn leave(mut self, how: Leave) {
        let _ = self.connection.sent().await;
        self.connection.leave(how).await;
    }
}

/// The bytes of `call`.
pub fn bytes(call: &Call, host: &str) -> Vec<u8> {
    let mut bytes = format!("{} {} HTTP/1.1\r\n", call.method, call.path).into_bytes();
    let mut field =
        |name: &str, value: &str| bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    if !call.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        field("host", host);
    }
    for (name, value) in &call.headers {
        field(name, value);
    }
    match call.framing {
        Sending::Length | Sending::CutAfter(_) if call.method != "GET" && call.method != "HEAD" => {
            field("content-length", &call.body.len().to_string());
        }
        Sending::Chunked(_) => field("transfer-encoding", "chunked"),
        _ => {}
    }
    bytes.extend_from_slice(b"\r\n");
    match call.framing {
        Sending::Length => bytes.extend_from_slice(&call.body),
        Sending::CutAfter(count) => bytes.extend_from_slice(&call.body[..count]),
        Sending::Chunked(size) => {
            for piece in call.body.chunks(size) {
                bytes.extend_from_slice(&chunk(piece));
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
    }
    bytes
}
