//! What one part says, in requests and in answers: texts, thoughts, calls, media, results.

use super::{
    signature::standard,
    types::{self, Blob, FileData},
};
use crate::wire::{
    Dialect,
    chat::{Part, Signature, Source, Thinking, ToolCall, part::is_media_type},
    codec::Malformed,
    json::{is_object, push_string},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::value::RawValue;

const PLAIN_TEXT: &str = "text/plain";

/// What the arguments are wrapped in that a model broke: this dialect has objects only.
const BROKEN: &str = "__arguments";

/// What a part says that is no result; nothing where it says nothing. Signed media are two parts: the
/// neutral form has signatures on texts, so theirs is on an empty one behind them.
///
/// `id_of` gives the id of a call that has none, from its name and arguments.
///
/// # Errors
/// What no message can hold.
pub(super) fn read(
    wire: types::Part,
    signature: Option<Signature>,
    id_of: impl FnOnce(&str, &str) -> String,
) -> Result<Vec<Part>, &'static str> {
    let is_thought = wire.thought == Some(true);
    if let Some(call) = wire.function_call {
        let name = call.name.filter(|name| !name.is_empty()).ok_or("a call without a `name`")?;
        let arguments = arguments_text(call.args.as_deref());
        let id = call.id.filter(|id| !id.is_empty()).unwrap_or_else(|| id_of(&name, &arguments));
        return Ok(vec![Part::ToolCall(ToolCall { id, name, arguments, signature, cache: None })]);
    }
    let text = |text, signature| Part::Text { text, citations: Vec::new(), signature, cache: None };
    let media = match (wire.inline_data, wire.file_data) {
        // What the model drew on its way to the answer is not said.
        (Some(_), _) | (_, Some(_)) if is_thought => return Ok(Vec::new()),
        (Some(blob), _) => Some(inline(blob)?),
        (None, Some(file)) => Some(stored(file)?),
        (None, None) => None,
    };
    if let Some(media) = media {
        let signed = signature.map(|signature| text(String::new(), Some(signature)));
        return Ok([media].into_iter().chain(signed).collect());
    }
    let is_empty = signature.is_none() && wire.text.as_deref().unwrap_or_default().is_empty();
    let said = match wire.text {
        _ if is_empty => return Ok(Vec::new()),
        told if is_thought => Part::Thinking(Thinking {
            id: None,
            // What is not shown at all has no text.
            redacted: told.is_none(),
            text: told.unwrap_or_default(),
            signature,
            summary: true,
        }),
        told => text(told.unwrap_or_default(), signature),
    };
    Ok(vec![said])
}

fn inline(blob: Blob) -> Result<Part, &'static str> {
    let media_type = blob.mime_type.filter(|kind| is_media_type(kind)).ok_or("data without a `mimeType`")?;
    let base64 = standard(blob.data.unwrap_or_default());
    if media_type == PLAIN_TEXT
        && let Some(text) = STANDARD.decode(&base64).ok().and_then(|bytes| String::from_utf8(bytes).ok())
    {
        return media(PLAIN_TEXT, Source::Text(text), blob.display_name);
    }
    media(&media_type.clone(), Source::Data { media_type, base64 }, blob.display_name)
}

/// Addresses that only the vendor can read are files of its own.
fn stored(file: FileData) -> Result<Part, &'static str> {
    let url = file.file_uri.filter(|uri| !uri.is_empty()).ok_or("a file without a `fileUri`")?;
    let media_type = file.mime_type.filter(|kind| !kind.is_empty());
    let kind = media_type.clone().or_else(|| media_type_of(&url).map(str::to_owned)).unwrap_or_default();
    let is_own = url.contains("://generativelanguage.googleapis.com/") || !url.starts_with("http");
    let source = if is_own {
        Source::File { dialect: Dialect::Gemini, id: url }
    } else {
        Source::Url { url, media_type }
    };
    media(&kind, source, file.display_name)
}

fn media(media_type: &str, source: Source, name: Option<String>) -> Result<Part, &'static str> {
    match media_type.split('/').next().unwrap_or_default() {
        "image" => Ok(Part::Image { source, detail: None, cache: None }),
        "audio" => Ok(Part::Audio { source, cache: None }),
        "video" => Err("a video"),
        _ => Ok(Part::Document { source, name, citations: false, cache: None }),
    }
}

/// What the end of an address says of what is there.
fn media_type_of(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    if path.split_once("://").is_some_and(|(_, rest)| is_of_youtube(rest)) {
        return Some("video/mp4");
    }
    let (_, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some(match &*extension.to_ascii_lowercase() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" => PLAIN_TEXT,
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        _ => return None,
    })
}

/// Whether an address, from its host on, is one of the videos that the vendor takes by their address.
fn is_of_youtube(address: &str) -> bool {
    let host = address.split('/').next().unwrap_or_default();
    matches!(host.strip_prefix("www.").unwrap_or(host), "youtube.com" | "m.youtube.com" | "youtu.be")
}

/// A part as the dialect writes it; `None`: it says nothing, or is a result. `sign` gives what is written
/// of a signature.
///
/// # Errors
/// It is stored with another vendor.
pub(super) fn write(
    said: &Part,
    mut sign: impl FnMut(&Signature) -> Option<String>,
) -> Result<Option<types::Part>, Malformed> {
    let mut signed = |signature: &Option<Signature>| signature.as_ref().and_then(&mut sign);
    let part = match said {
        Part::Text { text, signature, .. } => {
            types::Part { thought_signature: signed(signature), ..types::Part::text(text) }
        }
        Part::Refusal { text } => types::Part::text(text),
        Part::Thinking(thinking) => types::Part {
            text: (!thinking.redacted).then(|| thinking.text.clone()),
            thought: Some(true),
            thought_signature: signed(&thinking.signature),
            ..types::Part::default()
        },
        Part::ToolCall(call) => types::Part {
            function_call: Some(types::FunctionCall {
                id: (!call.id.is_empty()).then(|| call.id.clone()),
                name: Some(call.name.clone()),
                args: Some(arguments(&call.arguments)),
            }),
            thought_signature: signed(&call.signature),
            ..types::Part::default()
        },
        Part::Image { source, .. } => media_part(source, "image")?,
        Part::Audio { source, .. } => media_part(source, "audio clip")?,
        Part::Document { source, .. } => media_part(source, "document")?,
        Part::ToolResult(_) => return Ok(None),
    };
    let is_prose = matches!(said, Part::Text { .. } | Part::Refusal { .. } | Part::Thinking(_));
    let is_empty = part.text.as_deref().unwrap_or_default().is_empty() && part.thought_signature.is_none();
    Ok((!is_prose || !is_empty).then_some(part))
}

fn media_part(source: &Source, what: &str) -> Result<types::Part, Malformed> {
    let inline = |media_type: &str, base64| types::Part {
        inline_data: Some(Blob {
            mime_type: Some(media_type.to_owned()),
            data: Some(base64),
            display_name: None,
        }),
        ..types::Part::default()
    };
    let file = |media_type: Option<&str>, url: &str| types::Part {
        file_data: Some(FileData {
            mime_type: media_type.or_else(|| media_type_of(url)).map(str::to_owned),
            file_uri: Some(url.to_owned()),
            display_name: None,
        }),
        ..types::Part::default()
    };
    Ok(match source {
        Source::Data { media_type, base64 } => inline(media_type, base64.clone()),
        Source::Text(text) => inline(PLAIN_TEXT, STANDARD.encode(text)),
        Source::Url { url, media_type } => file(media_type.as_deref(), url),
        Source::File { dialect: Dialect::Gemini, id } => file(None, id),
        Source::File { .. } => {
            let message =
                format!("the {what} is stored with another vendor and cannot be sent to this model");
            return Err(Malformed::new(message));
        }
    })
}

/// Adds a part. A signature that came with media was put behind them: it goes back on them.
pub(super) fn push(parts: &mut Vec<types::Part>, mut part: types::Part) {
    let is_only_signed = part.text.as_deref() == Some("") && part.thought.is_none();
    if is_only_signed
        && let Some(media) = parts.last_mut()
        && (media.inline_data.is_some() || media.file_data.is_some())
        && media.thought_signature.is_none()
    {
        media.thought_signature = part.thought_signature.take();
        return;
    }
    parts.push(part);
}

/// The arguments of a call as an object.
pub(super) fn arguments(text: &str) -> Box<RawValue> {
    if text.trim().is_empty() {
        return object("{}".to_owned());
    }
    if is_object(text) { object(text.to_owned()) } else { wrapped(BROKEN, text) }
}

/// The arguments of a call as text. None at all are an empty object.
pub(super) fn arguments_text(args: Option<&RawValue>) -> String {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Broken {
        __arguments: String,
    }
    let Some(args) = args else { return "{}".to_owned() };
    match serde_json::from_str::<Broken>(args.get()) {
        Ok(broken) => broken.__arguments,
        Err(_) => args.get().to_owned(),
    }
}

/// What a call came to as an object. An object is one already; a text has `result` or `error` for a name.
pub(super) fn response(text: &str, is_error: bool) -> Box<RawValue> {
    match (is_object(text), is_error) {
        (true, false) => object(text.to_owned()),
        (true, true) => object(format!("{{\"error\":{text}}}")),
        (false, false) => wrapped("result", text),
        (false, true) => wrapped("error", text),
    }
}

/// The text of what a call came to, and whether that is an error.
pub(super) fn response_text(response: Option<&RawValue>) -> (String, bool) {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Single<'a> {
        #[serde(borrow)]
        result: Option<&'a RawValue>,
        #[serde(borrow)]
        output: Option<&'a RawValue>,
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    let Some(response) = response else { return (String::new(), false) };
    let string = |raw: &RawValue| serde_json::from_str::<String>(raw.get()).ok();
    if let Some(text) = string(response) {
        return (text, false);
    }
    let told = match serde_json::from_str::<Single<'_>>(response.get()) {
        Ok(Single { result: Some(value), output: None, error: None })
        | Ok(Single { result: None, output: Some(value), error: None }) => {
            string(value).map(|text| (text, false))
        }
        Ok(Single { result: None, output: None, error: Some(value) }) => {
            Some((string(value).unwrap_or_else(|| value.get().to_owned()), true))
        }
        _ => None,
    };
    told.unwrap_or_else(|| (response.get().to_owned(), false))
}

fn wrapped(name: &str, text: &str) -> Box<RawValue> {
    let mut json = format!("{{\"{name}\":").into_bytes();
    push_string(&mut json, text);
    json.push(b'}');
    object(String::from_utf8(json).expect("what was pushed is UTF-8"))
}

fn object(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("an object that was scanned or written here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_video_is_told_by_the_host_of_its_address_or_by_its_end() {
        for (address, told) in [
            ("https://www.youtube.com/watch?v=x", Some("video/mp4")),
            ("https://youtube.com/watch?v=x", Some("video/mp4")),
            ("https://youtu.be/x", Some("video/mp4")),
            ("https://notyoutube.com/x", None),
            ("https://example.com/youtube.com/x", None),
            ("https://example.com/youtu.be/x.png?y=z", Some("image/png")),
            ("https://example.com/x.MP4#t", Some("video/mp4")),
            ("files/youtube.com/x", None),
        ] {
            assert_eq!(media_type_of(address), told, "{address}");
        }
    }

    #[test]
    fn arguments_come_back_whatever_they_are() {
        for text in [r#"{"a": 1,"b":[]}"#, "{\"a\":", "[1]", "\"x\"", "{\"a\":1,\"a\":2}", "{} {}", "你\u{0}"]
        {
            let args = arguments(text);
            assert!(args.get().starts_with('{'), "{text}");
            assert_eq!(arguments_text(Some(&args)), text);
        }
        assert_eq!(arguments(" ").get(), "{}");
        assert_eq!(arguments_text(None), "{}");
    }

    #[test]
    fn results_are_objects_and_come_back_as_text() {
        let check = |text: &str, is_error, expect: &str| {
            let raw = response(text, is_error);
            assert_eq!(raw.get(), expect);
            assert_eq!(response_text(Some(&raw)), (text.to_owned(), is_error));
        };
        check("15 °C", false, r#"{"result":"15 °C"}"#);
        check("", false, r#"{"result":""}"#);
        check("no such city", true, r#"{"error":"no such city"}"#);
        check(r#"{"temp": 15}"#, false, r#"{"temp": 15}"#);
        check(r#"{"code":4}"#, true, r#"{"error":{"code":4}}"#);
        check("[1,2]", false, r#"{"result":"[1,2]"}"#);
        check(r#"{"a":1,"a":2}"#, false, r#"{"result":"{\"a\":1,\"a\":2}"}"#);
        let read = |json: &str| response_text(Some(&object(json.to_owned())));
        assert_eq!(read(r#"{"output":"x"}"#), ("x".to_owned(), false));
        assert_eq!(read(r#"{"output":{"a":1}}"#), (r#"{"output":{"a":1}}"#.to_owned(), false));
        assert_eq!(read(r#"{"error":null,"rows":[]}"#), (r#"{"error":null,"rows":[]}"#.to_owned(), false));
        assert_eq!(read("\"bare\""), ("bare".to_owned(), false));
        assert_eq!(response_text(None), (String::new(), false));
    }
}
