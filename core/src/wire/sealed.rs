//! Signatures of other dialects in a body of the caller's own, which a vendor of that dialect refuses.
//!
//! An answer that was translated carries them sealed ([`Signature::sealed`]), and a caller gives them back
//! whoever is asked next. Where the next one is of another dialect its codec leaves them out; where it speaks
//! the caller's, the bytes would pass with them.
//!
//! [`Signature::sealed`]: super::chat::Signature::sealed

#[cfg(test)]
pub(super) mod tests;

use super::{
    Dialect,
    chat::SEAL,
    gemini,
    json::{Scanner, Token},
};
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// [`SEAL`] in base64, as signatures of Gemini's dialect are written: six bytes are eight characters there,
/// whatever follows.
const SEAL_BASE64: &str = "YWlvbmUu";

/// Whether there can be anything to [`strip`] of `body`: a look for a few bytes.
#[must_use]
pub fn may_hold(dialect: Dialect, body: &[u8]) -> bool {
    memmem::find(body, SEAL.as_bytes()).is_some()
        || dialect == Dialect::Gemini && memmem::find(body, SEAL_BASE64.as_bytes()).is_some()
}

/// The body of a chat without what carries another dialect's signature, for the upstream's `model`; `None`:
/// there is nothing of it. All other bytes stay as they are, but for blanks between the elements of a list
/// of which something was taken. It takes time and memory in proportion to the body.
#[must_use]
pub fn strip(dialect: Dialect, body: &[u8], model: &str) -> Option<Vec<u8>> {
    if !may_hold(dialect, body) {
        return None;
    }
    let body = std::str::from_utf8(body).ok()?;
    let stripped = match dialect {
        Dialect::OpenAiChat => within(body, &["messages"], |message| within(message, &["tool_calls"], call)),
        Dialect::OpenAiResponses => within(body, &["input"], item),
        Dialect::AnthropicMessages => {
            let is_thought = |message: &str| within(message, &["content"], block);
            within(body, &["messages"], is_thought)
        }
        Dialect::Gemini => {
            let is_strict = gemini::wants_signatures(model);
            let part = |text: &str| part(text, is_strict);
            let contents =
                |body: &str| within(body, &["contents"], |content| within(content, &["parts"], part));
            // Where tokens are counted the request may be a member of its own.
            match member(body, &["generateContentRequest", "generate_content_request"]) {
                None => contents(body),
                Some(inner) => match contents(inner) {
                    Fate::Becomes(text) => Fate::Becomes(replaced(body, inner, &text)),
                    fate => fate,
                },
            }
        }
    };
    let Fate::Becomes(stripped) = stripped else { return None };
    let calmed = if dialect == Dialect::AnthropicMessages { without_thinking(&stripped) } else { None };
    Some(calmed.unwrap_or(stripped).into_bytes())
}

/// What becomes of an element.
enum Fate {
    Stays,
    Goes,
    Becomes(String),
}

/// Lets `each` decide over the elements of the list that is the member of one of these names, or of the one
/// that stands in a list's place. What loses all of them goes itself.
fn within(object: &str, names: &[&str], each: impl Fn(&str) -> Fate) -> Fate {
    let Some(list) = member(object, names) else { return Fate::Stays };
    let elements = match list.as_bytes().first() {
        Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(list).unwrap_or_default(),
        Some(b'{') => serde_json::from_str::<&RawValue>(list).into_iter().collect(),
        _ => return Fate::Stays,
    };
    let mut kept = Vec::with_capacity(elements.len());
    let mut is_changed = false;
    for element in elements.into_iter().map(RawValue::get) {
        let fate = if is_suspect(element) { each(element) } else { Fate::Stays };
        is_changed |= !matches!(fate, Fate::Stays);
        match fate {
            Fate::Stays => kept.push(Cow::Borrowed(element)),
            Fate::Goes => {}
            Fate::Becomes(text) => kept.push(Cow::Owned(text)),
        }
    }
    match (is_changed, kept.is_empty()) {
        (false, _) => Fate::Stays,
        (true, true) => Fate::Goes,
        (true, false) => Fate::Becomes(replaced(object, list, &format!("[{}]", kept.join(",")))),
    }
}

fn is_suspect(element: &str) -> bool {
    [SEAL, SEAL_BASE64].iter().any(|seal| memmem::find(element.as_bytes(), seal.as_bytes()).is_some())
}

/// Whether a signature is another dialect's.
fn is_sealed(signature: Option<&str>) -> bool {
    signature.is_some_and(|text| text.starts_with(SEAL))
}

/// Of OpenAI's chat: a call, beside which the signature stands.
fn call(call: &str) -> Fate {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Call<'a> {
        #[serde(borrow)]
        extra_content: Option<Extra<'a>>,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Extra<'a> {
        #[serde(borrow)]
        google: Option<Google<'a>>,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Google<'a> {
        #[serde(borrow)]
        thought_signature: Option<Cow<'a, str>>,
    }
    let read: Call<'_> = serde_json::from_str(call).unwrap_or_default();
    let signature = read.extra_content.and_then(|extra| extra.google?.thought_signature);
    if is_sealed(signature.as_deref()) { without(call, &["extra_content"]) } else { Fate::Stays }
}

/// Of Responses: a thought, which is an item of its own.
fn item(item: &str) -> Fate {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Item<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
        #[serde(borrow)]
        encrypted_content: Option<Cow<'a, str>>,
    }
    let read: Item<'_> = serde_json::from_str(item).unwrap_or_default();
    let is_thought = read.kind.as_deref() == Some("reasoning");
    if is_thought && is_sealed(read.encrypted_content.as_deref()) { Fate::Goes } else { Fate::Stays }
}

/// Of Anthropic's messages: a thought, or what carries the signature of a text or a call.
fn block(block: &str) -> Fate {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Block<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
        #[serde(borrow)]
        signature: Option<Cow<'a, str>>,
        #[serde(borrow)]
        data: Option<Cow<'a, str>>,
    }
    let read: Block<'_> = serde_json::from_str(block).unwrap_or_default();
    let signature = match read.kind.as_deref() {
        Some("thinking") => read.signature,
        Some("redacted_thinking") => read.data,
        _ => None,
    };
    if is_sealed(signature.as_deref()) { Fate::Goes } else { Fate::Stays }
}

/// Of Gemini: a part, of which only the signature goes, unless it says nothing else. A call for a model that
/// `is_strict` gets what stands there for none.
fn part(part: &str, is_strict: bool) -> Fate {
    const NAMES: [&str; 2] = ["thoughtSignature", "thought_signature"];
    let read = |name| member(part, &[name]).and_then(|value| serde_json::from_str::<String>(value).ok());
    let is_foreign = NAMES.iter().filter_map(|name| read(name)).any(|text| text.starts_with(SEAL_BASE64));
    if !is_foreign {
        return Fate::Stays;
    }
    let is_call = member(part, &["functionCall", "function_call"]).is_some();
    let is_media = member(part, &["inlineData", "inline_data", "fileData", "file_data"]).is_some();
    if !is_call && !is_media && read("text").is_none_or(|text| text.is_empty()) {
        return Fate::Goes;
    }
    match without(part, &NAMES) {
        Fate::Becomes(bare) if is_call && is_strict => {
            let signed = format!("{{\"thoughtSignature\":\"{}\",", gemini::NO_SIGNATURE);
            Fate::Becomes(bare.replacen('{', &signed, 1))
        }
        fate => fate,
    }
}

/// A request to think by a budget is refused where the calls that the last results answer began without a
/// thought, as they do once another's was taken: such a request is not to think.
fn without_thinking(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        messages: Vec<Message<'a>>,
        #[serde(borrow)]
        thinking: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        role: Cow<'a, str>,
        #[serde(borrow)]
        content: &'a RawValue,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Kind<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
    }
    let kind = |text: &str| serde_json::from_str::<Kind<'_>>(text).map_or(String::new(), |it| it.kind.into());
    let first = |message: &Message<'_>| {
        let blocks = serde_json::from_str::<Vec<&RawValue>>(message.content.get()).unwrap_or_default();
        blocks.first().map_or(String::new(), |block| kind(block.get()))
    };
    let body_read: Body<'_> = serde_json::from_str(body).ok()?;
    let has_results = |message: &Message<'_>| message.role == "user" && first(message) == "tool_result";
    if kind(body_read.thinking.get()) != "enabled" || !body_read.messages.last().is_some_and(has_results) {
        return None;
    }
    let begin =
        body_read.messages.iter().rposition(|message| message.role == "user" && !has_results(message));
    let begun = body_read.messages.get(begin.map_or(0, |at| at + 1))?;
    let is_thought = matches!(&*first(begun), "thinking" | "redacted_thinking");
    (!is_thought).then(|| replaced(body, body_read.thinking.get(), r#"{"type":"disabled"}"#))
}

/// The value of the object's member of one of these names, as a part of `object`.
fn member<'a>(object: &'a str, names: &[&str]) -> Option<&'a str> {
    let mut scanner = Scanner::lenient(object.as_bytes());
    if scanner.next().ok()? != Some(Token::ObjectOpen) {
        return None;
    }
    while let Some(Token::Key(key)) = scanner.next().ok()? {
        let value = scanner.walk(|_| {}).ok()?;
        if names.iter().any(|name| key.is(name)) {
            return object.get(value);
        }
    }
    None
}

/// The object without its members of these names.
fn without(object: &str, names: &[&str]) -> Fate {
    let rest = || {
        let (mut scanner, mut kept) = (Scanner::lenient(object.as_bytes()), Vec::new());
        scanner.next().ok()?;
        while let Some(Token::Key(key)) = scanner.next().ok()? {
            let begin = scanner.span().start;
            let end = scanner.walk(|_| {}).ok()?.end;
            if !names.iter().any(|name| key.is(name)) {
                kept.push(object.get(begin..end)?);
            }
        }
        Some(format!("{{{}}}", kept.join(",")))
    };
    rest().map_or(Fate::Stays, Fate::Becomes)
}

/// `whole` with `text` in the place of `part`, which is a part of it.
fn replaced(whole: &str, part: &str, text: &str) -> String {
    let begin = part.as_ptr() as usize - whole.as_ptr() as usize;
    [&whole[..begin], text, &whole[begin + part.len()..]].concat()
}
