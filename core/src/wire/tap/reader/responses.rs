//! OpenAI's responses: <https://developers.openai.com/api/reference/resources/responses/streaming-events>.
//!
//! The vendor tells everything several times; text is taken from the deltas, and from the response at
//! the end only where none came. Usage is in that response alone, and the searches of the web are not in it:
//! they are counted beside it.

use super::{Seen, Told, push_string, untyped};
use crate::{
    domain::usage::Usage,
    wire::{
        codec::Codec,
        json::{JsonError, Scanner, Token},
        openai_chat::{error_of, is_error, usage::Decoded},
        openai_responses::OpenAiResponses,
        peek::MAX_ID_BYTES,
        tap::{KeptText, walk},
    },
};
use memchr::memmem;

const CREATED: &[u8] = b"response.created";
const COMPLETED: &[u8] = b"response.completed";
const INCOMPLETE: &[u8] = b"response.incomplete";
const FAILED: &[u8] = b"response.failed";
const ITEM_DONE: &[u8] = b"response.output_item.done";

/// The type of an item that is a search of the web.
const SEARCH: &[u8] = b"web_search_call";

/// Members of an item whose strings the model generated.
const WRITTEN: &[&str] = &["text", "refusal", "arguments", "name", "input", "code"];

#[derive(Debug, Default)]
pub(in super::super) struct Reader {
    pub(super) answer_id: Option<Box<str>>,
    searches: u64,
}

impl Reader {
    pub(super) fn read(&mut self, event: &[u8], data: &[u8], text: &mut KeptText) -> Seen {
        let kind = walk::kind(data);
        let kind = kind.map(|kind| kind.decode_bytes());
        let kind = kind.as_deref();
        // Whoever leaves the first of them out says it at the end.
        if self.answer_id.is_none() && kind.is_some_and(|kind| kind == CREATED || is_end(kind)) {
            self.answer_id = id_of(data, true);
        }
        match kind {
            Some(ITEM_DONE) => self.searches += searches(data, Within::Item),
            // Of upstreams that tell the items there alone.
            Some(kind) if is_end(kind) => self.searches = self.searches.max(searches(data, Within::Response)),
            _ => {}
        }
        read(kind, event, data, text)
    }

    /// The usage of the answer so far, where the last that was read is `last`.
    pub(super) fn usage(&self, last: Option<Usage>) -> Option<Usage> {
        last.map(|usage| usage.plus(&Usage { searches: self.searches, ..Usage::default() }))
    }
}

/// What items lie in.
#[derive(Clone, Copy)]
enum Within {
    Nothing,
    Item,
    Response,
}

/// What a plain answer that begins with `beginning` tells beside its usage.
pub(super) fn beside(beginning: &[u8]) -> Usage {
    Usage { searches: searches(beginning, Within::Nothing), ..Usage::default() }
}

/// How often the web was searched, as far as `data` has come: for each item that says so. To open a page or to look
/// through it is no search.
fn searches(data: &[u8], within: Within) -> u64 {
    let mut searches = 0;
    if memmem::find(data, SEARCH).is_none() {
        return searches;
    }
    let mut output = |scanner: &mut Scanner<'_>| {
        walk::objects(scanner, |scanner| {
            let mut item = Searched::default();
            walk::members(scanner, |key, scanner| item.see(key, scanner))?;
            searches += u64::from(item.is_search());
            Ok(())
        })
    };
    // What is not read is what has not come.
    let _ = walk::document(data, |key, scanner| match (key, within) {
        (b"output", Within::Nothing) | (b"item", Within::Item) => output(scanner),
        (b"response", Within::Response) => walk::object(scanner, |key, scanner| match key {
            b"output" => output(scanner),
            _ => walk::skip(scanner),
        }),
        _ => walk::skip(scanner),
    });
    searches
}

/// What of an item tells of a search.
#[derive(Default)]
struct Searched {
    is_call: bool,
    is_other: bool,
}

impl Searched {
    fn see(&mut self, key: &[u8], scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        match key {
            b"type" => {
                self.is_call = walk::string(scanner)?.is_some_and(|kind| &*kind.decode_bytes() == SEARCH)
            }
            b"action" => walk::object(scanner, |key, scanner| match key {
                b"type" => {
                    self.is_other = walk::string(scanner)?.is_some_and(|kind| !kind.is("search"));
                    Ok(())
                }
                _ => walk::skip(scanner),
            })?,
            _ => walk::skip(scanner)?,
        }
        Ok(())
    }

    fn is_search(&self) -> bool {
        self.is_call && !self.is_other
    }
}

/// The id of a response, or of the one within an event.
pub(super) fn id_of(data: &[u8], is_event: bool) -> Option<Box<str>> {
    let mut found = None;
    let mut see = |key: &[u8], scanner: &mut Scanner<'_>| match key {
        b"id" if found.is_none() => {
            found = walk::string(scanner)?.map(|id| id.decode().into_owned().into_boxed_str());
            Ok(())
        }
        _ => walk::skip(scanner),
    };
    // What was cut off comes after it.
    let _ = walk::document(data, |key, scanner| match key {
        b"response" if is_event => walk::object(scanner, &mut see),
        _ if is_event => walk::skip(scanner),
        _ => see(key, scanner),
    });
    found.filter(|id| id.len() <= MAX_ID_BYTES)
}

fn read(kind: Option<&[u8]>, event: &[u8], data: &[u8], text: &mut KeptText) -> Seen {
    match kind {
        // Its deltas are not text.
        Some(b"response.audio.delta" | b"response.output_audio.delta") => Seen::default(),
        Some(kind) if kind.ends_with(b".delta") => {
            // What cannot be read is only missing from an estimate.
            let _ = walk::document(data, |key, scanner| match key {
                b"delta" => push_string(scanner, text),
                _ => walk::skip(scanner),
            });
            Seen::default()
        }
        Some(b"response.output_item.added") => {
            let _ = walk::document(data, |key, scanner| match key {
                b"item" => walk::object(scanner, |key, scanner| match key {
                    b"name" => push_string(scanner, text),
                    _ => walk::skip(scanner),
                }),
                _ => walk::skip(scanner),
            });
            Seen::default()
        }
        Some(kind) if is_end(kind) => {
            let seen = end(data, kind == FAILED, text).unwrap_or_default();
            Seen { terminal: true, finish: kind != FAILED, error: seen.error || kind == FAILED, ..seen }
        }
        Some(b"error") => {
            let error = super::error_member(data).ok().flatten().filter(|value| is_error(value));
            let blames_request = blames_request(error.unwrap_or(data));
            Seen { error: true, blames_request, ..Seen::default() }
        }
        Some(b"response.created" | b"response.queued" | b"response.in_progress") => {
            Seen { says_nothing: true, ..Seen::default() }
        }
        // Begun and done: what they tell is told elsewhere, and may be long.
        Some(kind) if kind.starts_with(b"response.") => Seen::default(),
        other => untyped(event, data, other.is_some(), blames_request),
    }
}

pub(super) fn is_end(kind: &[u8]) -> bool {
    [COMPLETED, INCOMPLETE, FAILED].contains(&kind)
}

/// The last event, which holds the response.
fn end(data: &[u8], is_failed: bool, text: &mut KeptText) -> Result<Seen, JsonError> {
    let mut seen = Seen::default();
    let is_first_told = text.bytes() == 0 && !is_failed;
    walk::document(data, |key, scanner| {
        if key != b"response" {
            return walk::skip(scanner);
        }
        walk::object(scanner, |key, scanner| match key {
            b"usage" => {
                let decoded = decode(&data[scanner.walk(|_| {})?]);
                seen.usage = (decoded != Decoded::default()).then(|| Told::of(decoded));
                Ok(())
            }
            b"error" => {
                let error = &data[scanner.walk(|_| {})?];
                seen.error = is_error(error);
                seen.blames_request = seen.error && blames_request(error);
                Ok(())
            }
            b"output" if is_first_told => written(scanner, text),
            _ => walk::skip(scanner),
        })
    })?;
    Ok(seen)
}

pub(super) fn decode(usage: &[u8]) -> Decoded {
    if usage == b"null" {
        return Decoded::default();
    }
    match OpenAiResponses.decode_usage(usage) {
        Some(classes) => Decoded { usage: Some(classes), flagged: contradicts(usage) },
        None => Decoded { usage: None, flagged: true },
    }
}

/// Whether the total is not the sum, or parts are more than their whole.
fn contradicts(usage: &[u8]) -> bool {
    let [input, cached, writes, output, reasoning, total] = walk::counts(
        usage,
        [
            "input_tokens",
            "cached_tokens",
            "cache_write_tokens",
            "output_tokens",
            "reasoning_tokens",
            "total_tokens",
        ],
    );
    let [input, cached, writes, output, reasoning] =
        [input, cached, writes, output, reasoning].map(|count| count.unwrap_or(0));
    total.is_some_and(|total| total != input.saturating_add(output))
        || cached.saturating_add(writes) > input
        || reasoning > output
}

/// Reads an error, in its event or out of it. Within a stream no status is with it: its words must tell.
pub(super) fn blames_request(error: &[u8]) -> bool {
    let error = error_of(None, error);
    match error.code.as_deref() {
        Some("context_length_exceeded" | "invalid_prompt" | "bio_policy" | "model_not_found") => true,
        Some(code) if code.contains("image") || code.ends_with("_policy_violation") => true,
        Some("insufficient_quota" | "invalid_api_key" | "rate_limit_exceeded" | "server_error") => false,
        _ => error.kind.blames_request(),
    }
}

/// A failed response tells of its error within; an event of an error may be one itself.
pub(super) fn error_body(data: &[u8]) -> Vec<u8> {
    let mut error = None;
    // What is no JSON is told as it is.
    let read = walk::document(data, |key, scanner| match key {
        b"response" => walk::object(scanner, |key, scanner| {
            let value = &data[scanner.walk(|_| {})?];
            if key == b"error" {
                error = Some(value);
            }
            Ok(())
        }),
        _ => walk::skip(scanner),
    });
    let has_member = super::error_member(data).ok().flatten().is_some_and(is_error);
    match error.filter(|error| is_error(error)) {
        _ if has_member || read.is_err() => data.to_vec(),
        error => [b"{\"error\":", error.unwrap_or(data), b"}"].concat(),
    }
}

pub(super) fn collect_answer(json: &[u8], into: &mut KeptText) {
    // What cannot be read is only missing from an estimate.
    let _ = walk::document(json, |key, scanner| match key {
        b"output" => written(scanner, into),
        _ => walk::skip(scanner),
    });
}

fn written(scanner: &mut Scanner<'_>, into: &mut KeptText) -> Result<(), JsonError> {
    let mut is_written = false;
    scanner.walk(|token| match token {
        Token::Key(key) => is_written = WRITTEN.iter().any(|name| key.is(name)),
        Token::String(text) if is_written => into.push(text),
        _ => {}
    })?;
    Ok(())
}
