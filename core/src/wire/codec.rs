//! What every dialect must be able to do, and the list of those that can.

use super::{
    Dialect,
    anthropic_messages::AnthropicMessages,
    chat::{ChatAnswer, ChatError, ChatEvent, ChatRequest, Dropped},
    error::{self, ErrorText},
    gemini::Gemini,
    openai_chat::OpenAiChat,
    openai_responses::OpenAiResponses,
    sse::{PieceKind, Splitter, data},
};
use crate::domain::usage::Usage;
use std::{collections::BTreeSet, fmt};

/// What an upstream is asked in. Everything is pure: bytes in, meaning out, and back.
///
/// A dialect has this half and [`Codec`]'s. What is spoken by upstreams alone has no other.
pub trait UpstreamCodec: Sync {
    /// The body that asks an upstream, under its own name for the model. What the dialect cannot say goes to
    /// `dropped`.
    ///
    /// # Errors
    /// Something cannot be said at all, and to leave it out would make another request of it.
    fn encode_request(
        &self,
        request: &ChatRequest,
        model: &str,
        dropped: &mut Dropped,
    ) -> Result<Vec<u8>, Malformed>;

    /// What an upstream answered with a 2xx.
    ///
    /// # Errors
    /// It is no answer of this dialect.
    fn decode_answer(&self, body: &[u8]) -> Result<ChatAnswer, Malformed>;

    /// Reads an upstream's stream.
    fn reader(&self) -> Box<dyn StreamReader>;

    /// What an upstream answered with another status; also what is no JSON has a meaning.
    fn decode_error(&self, status: u16, body: &[u8]) -> ChatError;
}

/// Reads and writes one dialect, for callers as well.
pub trait Codec: UpstreamCodec {
    fn dialect(&self) -> Dialect;

    /// What a caller asks. `url` is what stands there and not in the body, in dialects that say it so.
    /// Fields that the neutral form does not have go to `dropped`.
    ///
    /// # Errors
    /// A field has the wrong type, or something is missing without which nothing can be asked.
    fn decode_request(
        &self,
        body: &[u8],
        url: UrlSays<'_>,
        dropped: &mut Dropped,
    ) -> Result<ChatRequest, Malformed>;

    /// The answer as a caller of this dialect reads it.
    fn encode_answer(&self, answer: &ChatAnswer, setting: &Setting, dropped: &mut Dropped) -> Vec<u8>;

    /// Writes a stream for a caller.
    fn writer(&self, setting: &Setting) -> Box<dyn StreamWriter>;

    /// The body of an error, under [`ChatError::status`]. `request_id` is the exchange's.
    fn encode_error(&self, error: &ChatError, request_id: &str) -> Vec<u8> {
        error::body(self.dialect(), ErrorText::of(error, request_id))
    }

    /// Reads the dialect's usage object into the disjoint classes; `None`: there is none.
    fn decode_usage(&self, value: &[u8]) -> Option<Usage>;
}

/// What may be sent at any time between two events of a stream, so that nobody takes it for dead: a comment,
/// the dialect's own word for it, or an empty line where clients know neither.
#[must_use]
pub fn keep_alive(dialect: Dialect) -> &'static [u8] {
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => b": keep-alive\n\n",
        Dialect::AnthropicMessages => b"event: ping\ndata: {\"type\": \"ping\"}\n\n",
        // It stands as well between the items of an array.
        Dialect::Gemini => b"\n",
    }
}

/// All of them.
pub static CODECS: [&dyn Codec; 4] = [&OpenAiChat, &OpenAiResponses, &AnthropicMessages, &Gemini];

/// The codec of `dialect`.
#[must_use]
pub fn codec(dialect: Dialect) -> Option<&'static dyn Codec> {
    CODECS.iter().copied().find(|codec| codec.dialect() == dialect)
}

/// What is in the URL and not in the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UrlSays<'a> {
    pub model: Option<&'a str>,
    pub stream: Option<bool>,
}

/// How an answer is to come, where the URL says it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Manner {
    /// At once.
    Plain,
    /// As server-sent events.
    Events,
    /// As a JSON array, item by item.
    Array,
}

/// What a writer must know besides the answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Setting {
    /// The exchange's id, for where the upstream gave none.
    pub id: String,
    /// Now, in seconds since 1970, for where the upstream did not say.
    pub created: i64,
    /// The upstream's name of the model, for where the answer did not say.
    pub model: String,
    /// The caller asked for the usage at a stream's end.
    pub stream_usage: bool,
    /// The estimate of the prompt, for dialects whose streams begin with it, in tokens.
    pub estimated_input: u64,
    /// A stream of JSON in an array instead of events, where the dialect has both.
    pub as_array: bool,
    /// [`ChatRequest::freeform_tools`], whose calls the caller expects as plain text.
    pub freeform_tools: BTreeSet<String>,
}

/// What cannot be read or said: 400 to a caller, 502 of an upstream.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Malformed {
    /// It begins with the field, since not every dialect's errors have a place for that.
    pub message: String,
    /// The field, as the dialect writes it.
    pub param: Option<String>,
}

impl Malformed {
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), param: None }
    }

    /// `what` is wrong with the field `param`.
    #[must_use]
    pub fn at(param: impl Into<String>, what: impl fmt::Display) -> Self {
        let param = param.into();
        Self { message: format!("{param}: {what}"), param: Some(param) }
    }
}

/// Reads a stream in chunks of any size: the events do not depend on where it was cut.
pub trait StreamReader: Send {
    fn feed(&mut self, bytes: &[u8], events: &mut Vec<ChatEvent>);

    /// The upstream's body has ended. What came without its own end gets no [`ChatEvent::Done`].
    fn end(&mut self, events: &mut Vec<ChatEvent>);
}

/// Writes a stream, whole events at a time.
pub trait StreamWriter: Send {
    fn write(&mut self, event: &ChatEvent, out: &mut Vec<u8>);

    /// Whether nothing is written any more: the end was, or an error, also one of the writer's own where an
    /// answer is past its bounds.
    fn is_over(&self) -> bool;
}

/// Reads the data of server-sent events, for the readers of all dialects that use them.
#[derive(Debug, Default)]
pub struct SseEvents {
    splitter: Splitter,
}

/// One event's data, or that it was larger than [`super::sse::MAX_EVENT`].
pub type SseData<'a> = Result<&'a [u8], TooLarge>;

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an event of more than {} bytes", super::sse::MAX_EVENT)]
pub struct TooLarge;

impl SseEvents {
    /// Calls `each` with the data of every event that `bytes` make whole. An event's name is not
    /// looked at: every dialect says it in the data too.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(SseData<'_>)) {
        let mut at = 0;
        while let Some(piece) = self.splitter.next(bytes, at) {
            at = piece.range.end;
            if !matches!(piece.kind, PieceKind::Whole { .. }) {
                continue;
            }
            match self.splitter.event(bytes, &piece) {
                None => each(Err(TooLarge)),
                Some(event) => {
                    if let Some(data) = data(event) {
                        each(Ok(&data));
                    }
                }
            }
        }
    }

    /// The stream has ended: an event that had no empty line at its end is one nevertheless.
    pub fn end(&mut self, mut each: impl FnMut(SseData<'_>)) {
        match self.splitter.unfinished() {
            None => {}
            Some(None) => each(Err(TooLarge)),
            Some(Some(event)) => {
                if let Some(data) = data(event) {
                    each(Ok(&data));
                }
            }
        }
        self.splitter = Splitter::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_do_not_depend_on_where_the_stream_was_cut() {
        let stream = "\u{feff}event: a\r\ndata: 1\r\n\r\n: ping\n\ndata:你\ndata: 好\n\nid: x\n\ndata: last";
        for cut in 0..=stream.len() {
            let (mut events, mut seen) = (SseEvents::default(), Vec::new());
            for half in [&stream.as_bytes()[..cut], &stream.as_bytes()[cut..]] {
                events.feed(half, |data| seen.push(String::from_utf8(data.unwrap().to_vec()).unwrap()));
            }
            events.end(|data| seen.push(String::from_utf8(data.unwrap().to_vec()).unwrap()));
            assert_eq!(seen, ["1", "你\n好", "last"], "cut at {cut}");
        }
    }

    #[test]
    fn an_event_that_is_too_large_is_told() {
        let mut events = SseEvents::default();
        let mut told = 0;
        events.feed(b"data: ", |_| told += 1);
        events.feed(&vec![b'x'; crate::wire::sse::MAX_EVENT], |_| told += 1);
        assert_eq!(told, 0);
        events.feed(b"\n\ndata: y\n\n", |data| told += if data.is_err() { 10 } else { 1 });
        assert_eq!(told, 11);
    }
}
