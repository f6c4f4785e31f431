//! Puts the events of a binary stream as server-sent ones, which is how everything behind it reads streams.

use crate::wire::{
    Tongue,
    chat::ErrorKind,
    converse::exception_status,
    error::{self, ErrorText},
    event_stream::{Broken, Decoder, Message},
    json::push_string,
    members::Members,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use std::borrow::Cow;

/// What the service adds to an answer's last event, for itself.
const METRICS: &str = "amazon-bedrock-invocationMetrics";

/// Reads one stream.
///
/// Of `Converse` an event is an object with the event's name as its only member, so that its data alone says
/// what it is. What a model says in a dialect is that dialect's event, and an exception its error.
#[derive(Debug)]
pub struct Unframer {
    decoder: Decoder,
    tongue: Tongue,
}

impl Unframer {
    #[must_use]
    pub fn new(tongue: Tongue) -> Self {
        Self { decoder: Decoder::default(), tongue }
    }

    /// Reads `bytes` and appends to `out` the events that they make whole.
    ///
    /// # Errors
    /// The stream cannot be read. What came before is in `out`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        let Self { decoder, tongue } = self;
        decoder.feed(bytes, |message| match tongue {
            Tongue::Converse => named(message, out),
            Tongue::Dialect(dialect) => match said(message) {
                Said::Event(data) => event(&data, out),
                Said::Error { status, message } => {
                    let text = ErrorText {
                        status,
                        kind: ErrorKind::of_status(status).word(),
                        code: None,
                        message: &message,
                        param: None,
                        limit: None,
                        request_id: "",
                    };
                    out.extend_from_slice(&error::event(*dialect, text, 0));
                }
                Said::Nothing => {}
            },
        })
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// Not where a message did.
    pub fn end(&self) -> Result<(), Broken> {
        self.decoder.end()
    }
}

fn named(message: Message<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: {");
    match message.kind {
        "error" => {
            push_string(out, "internalServerException");
            out.extend_from_slice(b":{\"message\":");
            push_string(out, &error_text(&message));
            out.push(b'}');
        }
        _ => {
            push_string(out, message.name);
            out.push(b':');
            let payload = message.payload.trim_ascii();
            one_line(if payload.is_empty() { b"{}" } else { payload }, out);
        }
    }
    out.extend_from_slice(b"}\n\n");
}

enum Said<'a> {
    Event(Vec<u8>),
    Error {
        status: u16,
        message: Cow<'a, str>,
    },
    /// What later versions may send.
    Nothing,
}

fn said<'a>(message: Message<'a>) -> Said<'a> {
    #[derive(Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        bytes: Cow<'a, str>,
    }
    if message.kind == "event" {
        let chunk = serde_json::from_slice::<Chunk<'_>>(message.payload).ok();
        let bytes = chunk.and_then(|chunk| STANDARD.decode(&*chunk.bytes).ok());
        return match bytes {
            Some(bytes) => Said::Event(bytes),
            // An answer with a hole in it is none.
            None if message.name == "chunk" => {
                Said::Error { status: 500, message: Cow::Borrowed("An event of the answer cannot be read") }
            }
            None => Said::Nothing,
        };
    }
    let status = exception_status(message.name).unwrap_or(500);
    Said::Error { status, message: error_text(&message) }
}

/// What an exception or an error says.
fn error_text<'a>(message: &Message<'a>) -> Cow<'a, str> {
    #[derive(Deserialize)]
    struct Exception<'a> {
        #[serde(borrow, alias = "originalMessage")]
        message: Cow<'a, str>,
    }
    let told = serde_json::from_slice::<Exception<'_>>(message.payload).ok();
    let told = told.map(|exception| exception.message).filter(|text| !text.is_empty());
    let own = Some(message.error_message).filter(|text| !text.is_empty());
    told.or(own.map(Cow::Borrowed)).unwrap_or(Cow::Borrowed(message.name))
}

/// One event of the dialect, under its type as its name.
fn event(data: &[u8], out: &mut Vec<u8>) {
    let mut members = Members::read(data);
    let kind = members.as_ref().and_then(|members| members.get("type"));
    if let Some(kind) = kind.and_then(|kind| serde_json::from_str::<&str>(kind.get()).ok()) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    match &mut members {
        Some(members) if members.get(METRICS).is_some() => {
            members.remove(METRICS);
            one_line(&members.write(), out);
        }
        _ => one_line(data, out),
    }
    out.extend_from_slice(b"\n\n");
}

/// JSON without line ends, which may stand between its tokens and would end the event.
fn one_line(json: &[u8], out: &mut Vec<u8>) {
    out.extend(json.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
}
