//! What the upstream does with one request, step by step, down to the byte.

use super::truth::Truth;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// A door that the test opens, one passage at a time or for good.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    pub fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets one more pass.
    pub fn open_once(&self) {
        self.0.add_permits(1);
    }

    /// Lets all pass from now on.
    pub fn open(&self) {
        self.0.close();
    }

    /// Waits for its turn.
    pub async fn pass(&self) {
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

#[derive(Clone, Debug)]
pub enum Step {
    /// Writes these bytes, in one `write` where the kernel takes them.
    Send(Vec<u8>),
    /// Waits for the test; ends the script when the gateway leaves first.
    Wait(Gate),
    /// Waits for the test and reads nothing meanwhile, so that the sender's buffers fill.
    Hold(Gate),
    /// Reads the rest of the request's body; a script does this first unless it is [`Script::early`].
    ReadBody,
    /// Closes in order, with FIN.
    Fin,
    /// Closes with RST.
    Reset,
    /// Waits until the gateway closes the connection.
    AwaitGone,
}

/// The steps of one answer.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub steps: Vec<Step>,
    /// Logged before the first step.
    pub truth: Option<Truth>,
}

impl Script {
    /// Begins after the request was read whole.
    pub fn new() -> Self {
        Self::early().then(Step::ReadBody)
    }

    /// Begins when the head was read, the body not yet.
    pub fn early() -> Self {
        Self::default()
    }

    /// A whole answer with `content-length`.
    pub fn answer(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let length = body.len().to_string();
        let mut bytes = head(status, headers, &[("content-length", &length)]);
        bytes.extend_from_slice(body);
        Self::new().send(bytes)
    }

    /// A JSON answer.
    pub fn json(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::answer(status, &[("content-type", "application/json")], body)
    }

    /// An error in OpenAI's shape.
    pub fn error(status: u16, message: &str) -> Self {
        Self::json(status, error_body(status, message))
    }

    /// The head of a chunked event stream; chunks follow.
    pub fn events() -> Self {
        Self::chunked(200, &[("content-type", "text/event-stream; charset=utf-8")])
    }

    /// The head of a chunked body; chunks follow.
    pub fn chunked(status: u16, headers: &[(&str, &str)]) -> Self {
        Self::new().send(head(status, headers, &[("transfer-encoding", "chunked")]))
    }

    /// A chunked event stream with one chunk for each of `pieces`, and its proper end.
    pub fn stream<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = P>) -> Self {
        Self::events().chunks(pieces).end()
    }

    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    pub fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Step::Send(bytes.into()))
    }

    /// One chunk of a chunked body.
    pub fn chunk(self, data: impl AsRef<[u8]>) -> Self {
        self.send(crate::support::http::chunk(data.as_ref()))
    }

    pub fn chunks<P: AsRef<[u8]>>(self, pieces: impl IntoIterator<Item = P>) -> Self {
        pieces.into_iter().fold(self, Self::chunk)
    }

    /// The last, empty chunk of a chunked body.
    pub fn end(self) -> Self {
        self.send("0\r\n\r\n")
    }

    pub fn wait(self, gate: &Gate) -> Self {
        self.then(Step::Wait(gate.clone()))
    }

    pub fn hold(self, gate: &Gate) -> Self {
        self.then(Step::Hold(gate.clone()))
    }

    pub fn fin(self) -> Self {
        self.then(Step::Fin)
    }

    pub fn reset(self) -> Self {
        self.then(Step::Reset)
    }

    pub fn await_gone(self) -> Self {
        self.then(Step::AwaitGone)
    }

    pub fn truth(mut self, truth: &Truth) -> Self {
        self.truth = Some(truth.clone());
        self
    }
}

/// An error body in OpenAI's shape.
pub fn error_body(status: u16, message: &str) -> String {
    let kind = if status == 429 { "rate_limit_error" } else { "api_error" };
    serde_json::json!({ "error": { "message": message, "type": kind, "param": null, "code": null } })
        .to_string()
}

/// An answer's head.
pub fn head(status: u16, headers: &[(&str, &str)], more: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Scripted\r\n");
    for (name, value) in headers.iter().chain(more) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.into_bytes()
}
