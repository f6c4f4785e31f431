//! The other dialects: their codecs read what is asked and write what is said, which is the same script
//! as in chat.

use super::{
    Directive, Endpoint, Manner, Script, Setting, ask, chat,
    embedding::{self, Batch},
    frames::Frames,
    heard,
    speech::{self, Head},
    stream,
    text::Rng,
};
use crate::wire::{
    Dialect,
    chat::{ChatError, Dropped, ErrorKind, Fold},
    codec::{self, Codec, Malformed, UrlSays},
};
use bytes::Bytes;
use serde_json::{Value, json};

const JSON: &str = "application/json";

/// What an endpoint is asked to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Answer(Manner),
    Count,
}

/// An endpoint of another dialect.
struct Asked<'a> {
    dialect: Dialect,
    task: Task,
    url: UrlSays<'a>,
}

impl<'a> Asked<'a> {
    fn at(endpoint: Endpoint<'a>) -> Self {
        let nothing = UrlSays::default();
        // Whether these two stream is said in the body.
        let (task, url) = match endpoint {
            Endpoint::GenerateContent { model, manner } => {
                (Task::Answer(manner), UrlSays { model: Some(model), stream: Some(manner != Manner::Plain) })
            }
            Endpoint::CountTokens { model } => {
                (Task::Count, UrlSays { model: Some(model), stream: Some(false) })
            }
            Endpoint::MessagesCountTokens => (Task::Count, nothing),
            _ => (Task::Answer(Manner::Events), nothing),
        };
        Self { dialect: endpoint.dialect(), task, url }
    }
}

/// As [`super::answer`], of an endpoint whose dialect is not [`Dialect::OpenAiChat`].
pub(super) fn answer(
    endpoint: Endpoint<'_>,
    body: &[u8],
    directive: Option<&str>,
    id_seed: u64,
    created: i64,
) -> Script {
    let asked = Asked::at(endpoint);
    let Some(codec) = codec::codec(asked.dialect) else {
        let body = super::error_body(501, "This dialect is not spoken yet", None).to_string();
        return super::plain(&Directive::default(), 501, body.into());
    };
    let id = format!("{:016x}", Rng::new(id_seed).next());
    let request_id = format!("req_{id}");
    let refuse = |wrong: &Malformed| {
        let error = error(400, &wrong.message, wrong.param.clone());
        super::plain(&Directive::default(), 400, codec.encode_error(&error, &request_id).into())
    };
    let directive = match Directive::parse(directive.unwrap_or_default()) {
        Ok(directive) => directive,
        Err(problem) => return refuse(&problem.into()),
    };
    if let Some(status) = directive.status {
        let error = error(status, &format!("Simulated error {status}"), None);
        return super::plain(&directive, status, codec.encode_error(&error, &request_id).into());
    }
    let setting = Setting { directive, id_seed, created };
    let reply = match endpoint {
        Endpoint::EmbedContent => embed(&setting, body, Batch::No),
        Endpoint::BatchEmbedContents => embed(&setting, body, Batch::Yes),
        _ => reply(codec, &asked, &setting, body, id),
    };
    match reply {
        Ok(reply) => send(codec, &setting.directive, reply, &request_id),
        Err(wrong) => refuse(&wrong),
    }
}

/// What is to be sent.
enum Reply {
    Plain(Bytes),
    /// With the type of its content.
    Stream(Box<dyn Iterator<Item = Bytes> + Send>, &'static str),
}

fn reply(
    codec: &dyn Codec,
    asked: &Asked<'_>,
    setting: &Setting,
    body: &[u8],
    id: String,
) -> Result<Reply, Malformed> {
    let counted = (asked.task == Task::Count).then(|| heard::within(body)).flatten();
    let body = counted.map_or(body, |inner| inner.get().as_bytes());
    let request = codec.decode_request(body, asked.url, &mut Dropped::default())?;
    heard::expect_sound(&request, asked.dialect)?;
    let manner = match asked.task {
        Task::Count => {
            let tokens = chat::count(&heard::as_chat(request)?)?;
            return Ok(Reply::Plain(count(asked.dialect, tokens).to_string().into()));
        }
        Task::Answer(manner) => manner,
    };
    if asked.dialect == Dialect::AnthropicMessages && request.max_tokens.is_none() {
        return Err(Malformed::at("max_tokens", "max_tokens: Field required"));
    }
    let (streamed, head) = (request.stream, Head::new(asked.dialect, id, &request));
    let freeform_tools = request.freeform_tools.clone();
    let events = speech::events(setting, request, &head)?;
    // Only this dialect has a place for it that is never empty.
    let hides_usage = setting.directive.no_usage && asked.dialect == Dialect::AnthropicMessages;
    let written = codec::Setting {
        id: head.id,
        created: setting.created,
        model: head.model,
        stream_usage: true,
        as_array: manner == Manner::Array,
        freeform_tools,
        ..codec::Setting::default()
    };
    if !streamed {
        let mut fold = Fold::default();
        events.iter().for_each(|event| fold.feed(event));
        let answer = codec.encode_answer(fold.answer(), &written, &mut Dropped::default());
        return Ok(Reply::Plain(if hides_usage { without_usage(&answer) } else { answer }.into()));
    }
    let failure = setting.directive.error_event.map(|after| (after, error(500, stream::BROKEN, None)));
    let content_type = if written.as_array { JSON } else { stream::EVENTS };
    let frames = Frames::new(codec, written, events, failure);
    let frames = if hides_usage { frames.each(frame_without_usage) } else { frames };
    Ok(Reply::Stream(Box::new(frames), content_type))
}

fn embed(setting: &Setting, body: &[u8], batch: Batch) -> Result<Reply, Malformed> {
    let vectors = embedding::contents(setting, &ask::parse(body)?, batch)?;
    Ok(Reply::Plain(vectors.to_string().into()))
}

fn send(codec: &dyn Codec, directive: &Directive, reply: Reply, request_id: &str) -> Script {
    match reply {
        Reply::Stream(frames, content_type) => stream::paced(directive, content_type, frames),
        Reply::Plain(_) if directive.error_event.is_some() => {
            let error = error(500, stream::BROKEN, None);
            super::plain(directive, 200, codec.encode_error(&error, request_id).into())
        }
        Reply::Plain(body) => super::plain(directive, 200, body),
    }
}

fn count(dialect: Dialect, tokens: u64) -> Value {
    match dialect {
        Dialect::Gemini => json!({
            "totalTokens": tokens,
            "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": tokens }],
        }),
        _ => json!({ "input_tokens": tokens }),
    }
}

fn error(status: u16, message: &str, param: Option<String>) -> ChatError {
    let (_, code) = super::error_words(status);
    let (kind, message) = (ErrorKind::of_status(status), message.to_owned());
    ChatError { kind, status, message, code: Some(code.to_owned()), param }
}

/// An answer or the data of an event without its usage, which some who imitate the dialect leave out.
fn without_usage(json: &[u8]) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Value>(json) else { return json.to_vec() };
    for place in ["", "/message"] {
        if let Some(fields) = value.pointer_mut(place).and_then(Value::as_object_mut) {
            fields.remove("usage");
        }
    }
    value.to_string().into_bytes()
}

fn frame_without_usage(frame: &Bytes) -> Bytes {
    const DATA: &[u8] = b"\ndata: ";
    let Some(at) = memchr::memmem::find(frame, DATA) else { return frame.clone() };
    let (name, data) = frame.split_at(at + DATA.len());
    [name, &without_usage(data), b"\n\n"].concat().into()
}
