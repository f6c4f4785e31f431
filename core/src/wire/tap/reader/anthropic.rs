//! Anthropic's messages: <https://platform.claude.com/docs/en/build-with-claude/streaming>.
//!
//! Usage comes at the beginning, with the prompt's classes, and towards the end as totals so far, where
//! what did not change may be missing.

use super::{Seen, Told, is_some, push_arguments, push_string, untyped};
use crate::wire::{
    anthropic_messages::Counts,
    json::{JsonError, Scanner},
    openai_chat::{error_of, usage::Decoded},
    tap::{KeptText, walk},
};

/// See the module.
#[derive(Debug, Default)]
pub(in crate::wire::tap) struct Reader {
    counts: Counts,
}

impl Reader {
    pub(super) fn read(&mut self, event: &[u8], data: &[u8], text: &mut KeptText) -> Seen {
        let kind = walk::kind(data);
        let kind = kind.map(|kind| kind.decode_bytes());
        match kind.as_deref() {
            Some(b"content_block_delta") => {
                // What cannot be read is only missing from an estimate.
                let _ = member(data, b"delta", |scanner| walk::object(scanner, delta(text)));
                Seen::default()
            }
            Some(b"content_block_start") => {
                let _ = member(data, b"content_block", |scanner| walk::object(scanner, block(data, text)));
                Seen::default()
            }
            Some(b"content_block_stop") => Seen::default(),
            Some(b"message_start") => {
                let mut usage = None;
                let read = member(data, b"message", |scanner| {
                    walk::object(scanner, |key, scanner| {
                        let value = scanner.walk(|_| {})?;
                        if key == b"usage" {
                            usage = Some(value);
                        }
                        Ok(())
                    })
                });
                let usage = usage.filter(|_| read.is_ok());
                let usage = usage.and_then(|usage| self.told(&data[usage]));
                Seen { usage, says_nothing: true, ..Seen::default() }
            }
            Some(b"message_delta") => self.message_delta(data).unwrap_or_default(),
            Some(b"ping") => Seen { says_nothing: true, ..Seen::default() },
            Some(kind) if is_end(kind) => Seen { terminal: true, ..Seen::default() },
            Some(b"error") => {
                let error = super::error_member(data).ok().flatten().unwrap_or(data);
                Seen { error: true, blames_request: blames_request(error), ..Seen::default() }
            }
            other => untyped(event, data, other.is_some(), blames_request),
        }
    }

    fn message_delta(&mut self, data: &[u8]) -> Result<Seen, JsonError> {
        let (mut usage, mut finish) = (None, false);
        walk::document(data, |key, scanner| match key {
            b"usage" => {
                usage = Some(scanner.walk(|_| {})?);
                Ok(())
            }
            b"delta" => walk::object(scanner, |key, scanner| {
                if key == b"stop_reason" {
                    finish = is_some(walk::string(scanner)?);
                    return Ok(());
                }
                walk::skip(scanner)
            }),
            _ => walk::skip(scanner),
        })?;
        Ok(Seen { usage: usage.and_then(|usage| self.told(&data[usage])), finish, ..Seen::default() })
    }

    /// Takes over what a usage object tells; `None`: nothing.
    fn told(&mut self, usage: &[u8]) -> Option<Told> {
        let decoded = add(&mut self.counts, usage);
        (decoded != Decoded::default()).then(|| Told::of(decoded))
    }
}

pub(super) fn is_end(kind: &[u8]) -> bool {
    kind == b"message_stop"
}

pub(super) fn decode(usage: &[u8]) -> Decoded {
    add(&mut Counts::default(), usage)
}

fn add(counts: &mut Counts, usage: &[u8]) -> Decoded {
    if !counts.add(usage) {
        return Decoded { usage: None, flagged: true };
    }
    let usage_so_far = counts.classes();
    Decoded { usage: usage_so_far, flagged: usage_so_far.is_some() && contradicts(usage) }
}

/// Whether parts are more than their whole.
fn contradicts(usage: &[u8]) -> bool {
    let [writes, short, long, output, thinking] = walk::counts(
        usage,
        [
            "cache_creation_input_tokens",
            "ephemeral_5m_input_tokens",
            "ephemeral_1h_input_tokens",
            "output_tokens",
            "thinking_tokens",
        ],
    );
    let split = short.unwrap_or(0).saturating_add(long.unwrap_or(0));
    let is_split = short.is_some() || long.is_some();
    (is_split && writes.is_some_and(|writes| writes != split))
        || thinking.is_some_and(|thinking| thinking > output.unwrap_or(0))
}

/// Reads an error, in its event or out of it.
pub(super) fn blames_request(error: &[u8]) -> bool {
    let kind = error_of(None, error).kind;
    // The one word of this dialect for a size that is refused.
    let is_too_large = memchr::memmem::find(error, b"\"request_too_large\"").is_some();
    is_too_large || kind.blames_request()
}

pub(super) fn collect_answer(json: &[u8], into: &mut KeptText) {
    // What cannot be read is only missing from an estimate.
    let _ = member(json, b"content", |scanner| {
        walk::objects(scanner, |scanner| walk::members(scanner, block(json, into)))
    });
}

/// Reads the top-level member `name`, and passes over the others.
fn member<'a>(
    json: &'a [u8],
    name: &[u8],
    mut read: impl FnMut(&mut Scanner<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    walk::document(json, |key, scanner| if key == name { read(scanner) } else { walk::skip(scanner) })
}

/// What the model wrote of a block: not what its tools came to, nor signatures.
fn block<'a>(
    json: &'a [u8],
    into: &mut KeptText,
) -> impl FnMut(&[u8], &mut Scanner<'a>) -> Result<(), JsonError> {
    move |key, scanner| match key {
        b"text" | b"thinking" | b"name" => push_string(scanner, into),
        b"input" => push_arguments(scanner, json, into),
        _ => walk::skip(scanner),
    }
}

fn delta<'a>(into: &mut KeptText) -> impl FnMut(&[u8], &mut Scanner<'a>) -> Result<(), JsonError> {
    move |key, scanner| match key {
        b"text" | b"thinking" | b"partial_json" => push_string(scanner, into),
        _ => walk::skip(scanner),
    }
}
