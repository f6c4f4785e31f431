//! An exchange between a caller of one dialect and an upstream of another: the request on its way there, the
//! answer, the stream or the error on its way back, and what they used, read in passing.

#[cfg(test)]
mod tests;

use super::{
    Dialect, Tongue,
    chat::{ChatAnswer, ChatError, ChatEvent, ChatRequest, Delta, Dropped, ErrorKind, Part, Start},
    codec::{
        Codec, Malformed, Setting, StreamReader, StreamWriter, UpstreamCodec, UrlSays, codec, keep_alive,
    },
    openai_chat,
    tap::{First, KeptText, PlainTap, Reading, StreamMeter, Written},
};
use crate::domain::usage::Usage;
use bytes::Bytes;

/// Largest plain answer that is translated, in bytes: it is held whole, and an image is a few megabytes.
pub const ANSWER_MAX: usize = 32 * 1024 * 1024;

/// Both sides of a translated exchange.
#[derive(Clone, Copy)]
pub struct Pair {
    caller: &'static dyn Codec,
    upstream: &'static dyn UpstreamCodec,
    tongue: Tongue,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {:?}", self.caller.dialect().as_str(), self.tongue)
    }
}

impl Pair {
    /// `None`: one of them has no codec.
    #[must_use]
    pub fn of(caller: Dialect, upstream: impl Into<Tongue>) -> Option<Self> {
        let tongue = upstream.into();
        Some(Self { caller: codec(caller)?, upstream: tongue.codec()?, tongue })
    }

    /// The same with an upstream that wants back what its models thought, where its dialect has a place for that.
    #[must_use]
    pub fn giving_back_thoughts(self) -> Self {
        if self.tongue != Dialect::OpenAiChat.into() {
            return self;
        }
        Self { upstream: &openai_chat::GivingBackThoughts, ..self }
    }

    /// What the caller asks, in the neutral form; what that cannot say goes to `dropped`.
    ///
    /// # Errors
    /// As [`Codec::decode_request`].
    pub fn decode_request(
        &self,
        body: &[u8],
        url: UrlSays<'_>,
        dropped: &mut Dropped,
    ) -> Result<ChatRequest, Malformed> {
        self.caller.decode_request(body, url, dropped)
    }

    /// The body that asks the upstream for its `model`; what its dialect cannot say goes to `dropped`.
    ///
    /// # Errors
    /// As [`UpstreamCodec::encode_request`].
    pub fn encode_request(
        &self,
        request: &ChatRequest,
        model: &str,
        dropped: &mut Dropped,
    ) -> Result<Vec<u8>, Malformed> {
        self.upstream.encode_request(request, model, dropped)
    }

    /// A plain answer as the caller reads it, and what it said of itself.
    ///
    /// # Errors
    /// It is no answer of the upstream's dialect.
    pub fn answer(
        &self,
        body: &[u8],
        setting: &Setting,
        dropped: &mut Dropped,
    ) -> Result<(Vec<u8>, Reading), Malformed> {
        let answer = self.upstream.decode_answer(body)?;
        let reading = match self.tongue.dialect() {
            // What it used is read as for a caller of its own dialect, so that it costs the same.
            Some(dialect) => {
                let mut tap = PlainTap::new(dialect);
                tap.feed(body);
                Reading { complete: true, error: false, blames_request: false, ..tap.finish() }
            }
            None => reading_of(&answer),
        };
        Ok((self.caller.encode_answer(&answer, setting, dropped), reading))
    }

    /// The status that an error would have had that came under a 2xx, where [`Self::answer`] finds no answer;
    /// `None`: it is no error either. What it says is for [`Self::error`] to tell.
    #[must_use]
    pub fn error_within(&self, body: &[u8]) -> Option<u16> {
        let mut tap = PlainTap::new(self.tongue.dialect()?);
        tap.feed(body);
        // Where a dialect has a status in its errors, it is their code.
        tap.finish().error.then(|| openai_chat::error_of(None, body).status)
    }

    /// An answer of `status`, which is an error's, as the caller reads it under the status that is returned,
    /// and what it said of itself.
    #[must_use]
    pub fn error(&self, status: u16, body: &[u8], request_id: &str) -> (u16, Vec<u8>, Reading) {
        let error = self.upstream.decode_error(status, body);
        let reading =
            Reading { error: true, blames_request: error.kind.blames_request(), ..Reading::default() };
        (error.status, self.caller.encode_error(&error, request_id), reading)
    }

    /// A stream's way from the upstream to the caller.
    #[must_use]
    pub fn stream(&self, setting: &Setting) -> StreamTranslator {
        StreamTranslator {
            caller: self.caller,
            request_id: setting.id.clone(),
            reader: self.upstream.reader(),
            writer: self.caller.writer(setting),
            meter: Meter::of(self.tongue),
            events: Vec::new(),
            first: First::Unknown,
            error: None,
            has_finish: false,
            done: false,
            terminal: Vec::new(),
        }
    }
}

/// Translates a stream, reads its usage, and keeps its end back until it may be told.
pub struct StreamTranslator {
    caller: &'static dyn Codec,
    request_id: String,
    reader: Box<dyn StreamReader>,
    writer: Box<dyn StreamWriter>,
    meter: Meter,
    /// Kept for its room.
    events: Vec<ChatEvent>,
    first: First,
    error: Option<ChatError>,
    has_finish: bool,
    done: bool,
    terminal: Vec<u8>,
}

/// How it is read what a stream used.
enum Meter {
    /// As for a caller of its own dialect, so that it costs the same.
    OfDialect(Box<StreamMeter>),
    /// From what it says: no caller of ours speaks so.
    OfEvents { usage: Option<Usage>, text: KeptText, has_finish: bool },
}

impl Meter {
    fn of(tongue: Tongue) -> Self {
        match tongue.dialect() {
            Some(dialect) => Self::OfDialect(Box::new(StreamMeter::new(dialect))),
            None => Self::OfEvents { usage: None, text: KeptText::default(), has_finish: false },
        }
    }

    fn feed(&mut self, chunk: &[u8]) {
        if let Self::OfDialect(meter) = self {
            meter.feed(chunk);
        }
    }

    fn finish(&mut self) {
        if let Self::OfDialect(meter) = self {
            meter.finish();
        }
    }

    fn note(&mut self, event: &ChatEvent) {
        let Self::OfEvents { usage, text, has_finish } = self else { return };
        match event {
            ChatEvent::Begin { start: Start::Whole(part), .. } => note_part(part, text),
            ChatEvent::Begin { start: Start::ToolCall { name, .. }, .. } => text.push_str(name),
            ChatEvent::Delta { delta: Delta::Text(said) | Delta::Arguments(said), .. } => text.push_str(said),
            ChatEvent::Usage(told) => *usage = Some(*told),
            ChatEvent::Finish { .. } => *has_finish = true,
            _ => {}
        }
    }

    fn take_reading(&mut self) -> Reading {
        match self {
            Self::OfDialect(meter) => meter.take_reading(),
            Self::OfEvents { usage, text, has_finish } => Reading {
                usage: *usage,
                usage_is_final: *has_finish,
                written: Written::Text(std::mem::take(text)),
                ..Reading::default()
            },
        }
    }
}

impl StreamTranslator {
    /// Reads `chunk` and appends to `out` what may go to the caller now, in one part.
    pub fn feed(&mut self, chunk: &[u8], out: &mut Vec<Bytes>) {
        self.meter.feed(chunk);
        let mut events = std::mem::take(&mut self.events);
        self.reader.feed(chunk, &mut events);
        self.write(&mut events, out);
        self.events = events;
    }

    /// The upstream's body has come to its proper end. One that had no end of its own gets one where it
    /// told why it ended, and was cut otherwise.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) {
        self.meter.finish();
        let mut events = Vec::new();
        self.reader.end(&mut events);
        self.write(&mut events, out);
        if self.done || self.error.is_some() {
            return;
        }
        let last = if self.has_finish {
            ChatEvent::Done
        } else {
            ChatEvent::Error(broken("The upstream's answer has no end"))
        };
        self.write(&mut vec![last], out);
    }

    fn write(&mut self, events: &mut Vec<ChatEvent>, out: &mut Vec<Bytes>) {
        let mut written = Vec::new();
        for event in events.drain(..) {
            if self.done || self.error.is_some() {
                break;
            }
            self.note(&event);
            // What an error says is known to the caller before it is accounted for, as any text is; that
            // the answer is whole is not.
            let to = if event == ChatEvent::Done { &mut self.terminal } else { &mut written };
            self.writer.write(&event, to);
            if self.writer.is_over() && !self.done && self.error.is_none() {
                self.error = Some(broken("The answer is past what can be put in order"));
            }
        }
        events.clear();
        if !written.is_empty() {
            out.push(written.into());
        }
    }

    fn note(&mut self, event: &ChatEvent) {
        self.meter.note(event);
        if self.first == First::Unknown {
            self.first = match event {
                ChatEvent::Error(_) => First::Error,
                // It says nothing yet: some upstreams begin so and then fail.
                ChatEvent::Start { .. } | ChatEvent::Usage(_) | ChatEvent::ServiceTier(_) => First::Unknown,
                _ => First::Answer,
            };
        }
        match event {
            ChatEvent::Finish { .. } => self.has_finish = true,
            ChatEvent::Error(error) => self.error = Some(error.clone()),
            ChatEvent::Done => self.done = true,
            _ => {}
        }
    }

    #[must_use]
    pub fn first(&self) -> First {
        self.first
    }

    /// Whether the stream's own end was read: nothing that the caller needs can follow.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Whether an error came that says that the request is at fault.
    #[must_use]
    pub fn blames_request(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.kind.blames_request())
    }

    /// The error that the stream began with, as the body of a plain answer of `status`.
    #[must_use]
    pub fn error(&self, status: u16) -> Option<Vec<u8>> {
        let error = ChatError { status, ..self.error.clone()? };
        Some(self.caller.encode_error(&error, &self.request_id))
    }

    /// The event that tells the caller of an `error` that no upstream said; nothing where the end or another
    /// error was told.
    #[must_use]
    pub fn break_off(&mut self, error: ChatError) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.done && self.error.is_none() {
            self.writer.write(&ChatEvent::Error(error), &mut out);
        }
        out
    }

    /// What may be sent at any time, so that nobody takes the stream for dead: events are written whole.
    /// Nothing where its end was read.
    #[must_use]
    pub fn keep_alive(&self) -> &'static [u8] {
        if self.done || self.error.is_some() { b"" } else { keep_alive(self.caller.dialect()) }
    }

    /// The stream's end, to be sent once the exchange is in the journal.
    pub fn take_terminal(&mut self) -> Vec<Bytes> {
        let terminal = std::mem::take(&mut self.terminal);
        if terminal.is_empty() { Vec::new() } else { vec![terminal.into()] }
    }

    /// What was read so far; the text is moved out.
    pub fn take_reading(&mut self) -> Reading {
        Reading {
            error: self.error.is_some(),
            blames_request: self.blames_request(),
            complete: self.done,
            ..self.meter.take_reading()
        }
    }
}

/// The text that the model wrote in a part.
fn note_part(part: &Part, text: &mut KeptText) {
    match part {
        Part::Text { text: written, .. } | Part::Refusal { text: written } => text.push_str(written),
        Part::Thinking(thinking) => text.push_str(&thinking.text),
        Part::ToolCall(call) => {
            text.push_str(&call.name);
            text.push_str(&call.arguments);
        }
        _ => {}
    }
}

/// What an answer says of itself.
fn reading_of(answer: &ChatAnswer) -> Reading {
    let mut text = KeptText::default();
    for part in answer.choices.iter().flat_map(|choice| &choice.parts) {
        note_part(part, &mut text);
    }
    Reading {
        usage: answer.usage,
        usage_is_final: true,
        complete: true,
        written: Written::Text(text),
        ..Reading::default()
    }
}

/// What the caller cannot be told to its end.
fn broken(message: &str) -> ChatError {
    ChatError { kind: ErrorKind::Internal, status: 502, message: message.to_owned(), code: None, param: None }
}
