//! Callers of every manner: one small interface over HTTP/1.1 and HTTP/2.

pub mod h1;
pub mod h2;
pub mod tls;

use super::{http::Headers, wait};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// What a client sends, and how.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub framing: Sending,
}

/// How the body's length is told over HTTP/1.1. HTTP/2 sends pieces of the same sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    Length,
    /// Chunks of at most so many bytes.
    Chunked(usize),
    /// `content-length` and nothing after the first so many bytes of the body.
    CutAfter(usize),
}

impl Call {
    pub fn new(method: &'static str, path: &str) -> Self {
        let (body, framing) = (Vec::new(), Sending::Length);
        Self { method, path: path.to_owned(), headers: Vec::new(), body, framing }
    }

    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut call = Self::new("POST", path).header("content-type", "application/json");
        call.body = body.into();
        call
    }

    /// A short chat completion.
    pub fn chat(key: &str, model: &str) -> Self {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "Say it." }] });
        Self::chat_with(key, &body)
    }

    /// A short streamed chat completion that does not ask for the usage.
    pub fn stream(key: &str, model: &str) -> Self {
        let messages = json!([{ "role": "user", "content": "Say it." }]);
        Self::chat_with(key, &json!({ "model": model, "stream": true, "messages": messages }))
    }

    pub fn chat_with(key: &str, body: &Value) -> Self {
        Self::post("/v1/chat/completions", body.to_string()).bearer(key)
    }

    pub fn bearer(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn sending(mut self, framing: Sending) -> Self {
        self.framing = framing;
        self
    }
}

/// How a body ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// As the protocol says.
    Clean,
    /// Cut, with the reason.
    Broken(String),
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub end: BodyEnd,
    /// Statuses before the final one, such as 100.
    pub interim: Vec<u16>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The usage record's id.
    pub fn request_id(&self) -> String {
        self.header("x-request-id").expect("every answer carries x-request-id").to_owned()
    }

    /// `error.code` of OpenAI's error body.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }

    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.text());
        assert_eq!(self.end, BodyEnd::Clean, "{}", self.text());
        self
    }
}

/// The protocol that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    H1,
    H2,
}

pub const BOTH: [Version; 2] = [Version::H1, Version::H2];

/// How a client goes away in mid-answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Closes its connection in order.
    Fin,
    /// RST of the connection (HTTP/1.1) or of the stream (HTTP/2).
    Reset,
}

pub const EITHER_WAY: [Leave; 2] = [Leave::Fin, Leave::Reset];

/// An answer that is being received.
pub enum Exchange {
    H1(Box<h1::Exchange>),
    H2(Box<h2::Exchange>),
}

/// Connects, sends the whole of `call`, and reads until the final status.
pub async fn open(version: Version, addr: SocketAddr, call: &Call) -> Exchange {
    wait::within(format!("{version:?} {} {}: a status", call.method, call.path), async {
        match version {
            Version::H1 => {
                let mut connection = h1::Connection::open(addr).await;
                connection.start(call);
                Exchange::H1(Box::new(connection.answer().await))
            }
            Version::H2 => Exchange::H2(Box::new(h2::Exchange::open(addr, call).await)),
        }
    })
    .await
}

/// One whole exchange on a connection of its own.
pub async fn send(version: Version, addr: SocketAddr, call: &Call) -> Answer {
    let exchange = open(version, addr, call).await;
    wait::within(format!("{version:?} {} {}: the end", call.method, call.path), exchange.whole()).await
}

impl Exchange {
    pub fn status(&self) -> u16 {
        match self {
            Self::H1(exchange) => exchange.status,
            Self::H2(exchange) => exchange.status,
        }
    }

    pub fn headers(&self) -> &Headers {
        match self {
            Self::H1(exchange) => &exchange.headers,
            Self::H2(exchange) => &exchange.headers,
        }
    }

    /// The next bytes of the body as they arrived; `None` at a clean end.
    pub async fn piece(&mut self) -> Result<Option<Vec<u8>>, String> {
        match self {
            Self::H1(exchange) => exchange.piece().await,
            Self::H2(exchange) => exchange.piece().await,
        }
    }

    /// Reads on until the body so far has `want` bytes or is over, and appends to `body`.
    pub async fn read_to(&mut self, body: &mut Vec<u8>, want: usize) {
        while body.len() < want {
            let what = format!("byte {want} of a body, {} are there", body.len());
            match wait::within(what, self.piece()).await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => return,
                Err(error) => panic!("cut after {} of {want} bytes: {error}", body.len()),
            }
        }
    }

    /// Everything that is still to come.
    pub async fn whole(mut self) -> Answer {
        let mut body = Vec::new();
        let end = loop {
            match self.piece().await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => break BodyEnd::Clean,
                Err(error) => break BodyEnd::Broken(error),
            }
        };
        let interim = match &self {
            Self::H1(exchange) => exchange.interim.clone(),
            Self::H2(_) => Vec::new(),
        };
        Answer { status: self.status(), headers: self.headers().clone(), body, end, interim }
    }

    /// Goes away without reading the rest.
    pub async fn leave(self, how: Leave) {
        match self {
            Self::H1(exchange) => exchange.leave(how).await,
            Self::H2(exchange) => exchange.leave(how),
        }
    }
}
