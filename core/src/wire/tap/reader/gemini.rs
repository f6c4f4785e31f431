//! Gemini's answers, of which every event of a stream is one with a piece of the whole:
//! <https://ai.google.dev/api/generate-content#GenerateContentResponse>.
//!
//! Every event tells the usage so far, and the last one counts; images and searches are not in it and
//! are counted here. A prompt that was not let through is an answer, and paid for.

use super::{Seen, Told, blames_request, is_some, push_arguments, push_string};
use crate::{
    domain::usage::Usage,
    wire::{
        Dialect,
        codec::Codec,
        gemini::Gemini,
        json::{JsonError, Scanner, Token},
        openai_chat::{
            is_error,
            usage::{Decoded, MAX_COUNT},
        },
        tap::{KeptText, long::Long, walk},
    },
};
use std::collections::BTreeSet;

/// Most queries of one answer that are told apart; others are not counted.
const QUERIES_MAX: usize = 1024;

/// See the module.
#[derive(Debug, Default)]
pub(in crate::wire::tap) struct Reader {
    /// The last `usageMetadata`. It is decoded at the end only: that takes an allocation, which no event
    /// should.
    usage: Vec<u8>,
    beside: Beside,
}

/// What is counted because the vendor does not tell it.
#[derive(Debug, Default)]
pub(in crate::wire::tap) struct Beside {
    pub(in crate::wire::tap) images: u64,
    /// What was looked for in the web; events can tell it again.
    queries: BTreeSet<String>,
}

impl Reader {
    pub(super) fn read(&mut self, data: &[u8], text: &mut KeptText) -> Seen {
        self.answer(data, text).unwrap_or_default()
    }

    fn answer(&mut self, data: &[u8], text: &mut KeptText) -> Result<Seen, JsonError> {
        let (mut seen, mut usage) = (Seen::default(), None);
        let images = self.beside.images;
        let beside = &mut self.beside;
        let read = walk::document(data, |key, scanner| match key {
            b"candidates" => walk::objects(scanner, |scanner| {
                seen.finish |= candidate(scanner, data, beside, Some(text))?;
                Ok(())
            }),
            b"promptFeedback" => walk::object(scanner, |key, scanner| {
                if key == b"blockReason" {
                    seen.finish |= is_some(walk::string(scanner)?);
                    return Ok(());
                }
                walk::skip(scanner)
            }),
            b"usageMetadata" => {
                usage = Some(scanner.walk(|_| {})?);
                Ok(())
            }
            b"error" => {
                let error = &data[scanner.walk(|_| {})?];
                seen.error = is_error(error);
                seen.blames_request = seen.error && blames_request(Dialect::Gemini, error);
                Ok(())
            }
            _ => walk::skip(scanner),
        });
        if let Err(error) = read {
            self.beside.images = images;
            return Err(error);
        }
        seen.usage = usage.and_then(|usage| self.told(&data[usage]));
        Ok(seen)
    }

    /// Of an event that was too large to be kept; also whether something of it may be missing.
    pub(super) fn read_long(&mut self, long: &Long) -> (Seen, bool) {
        if let Some(beside) = long.beside() {
            self.beside.add(beside);
        }
        let [usage, error] = long.values();
        let error = error.filter(|error| is_error(error));
        let seen = Seen {
            usage: usage.and_then(|usage| self.told(usage)),
            error: error.is_some(),
            blames_request: error.is_some_and(|error| blames_request(Dialect::Gemini, error)),
            finish: long.has_finish(),
            ..Seen::default()
        };
        (seen, !long.watch.is_whole())
    }

    fn told(&mut self, usage: &[u8]) -> Option<Told> {
        let counts = Counts::read(usage)?;
        self.usage.clear();
        self.usage.extend_from_slice(usage);
        let is_bad = counts.is_bad();
        let total = (!is_bad).then(|| counts.total());
        Some(Told { usage: None, total, flagged: is_bad || counts.contradict() })
    }

    pub(super) fn usage(&self) -> (Option<Usage>, bool) {
        let usage = Gemini.decode_usage(&self.usage);
        let flagged = usage.is_none() && !self.usage.is_empty();
        (usage.map(|usage| usage.plus(&self.beside.usage())), flagged)
    }
}

impl Beside {
    pub(in crate::wire::tap) fn note_query(&mut self, query: &str) {
        if self.queries.len() < QUERIES_MAX && !self.queries.contains(query) {
            self.queries.insert(query.to_owned());
        }
    }

    fn add(&mut self, other: &Self) {
        self.images = self.images.saturating_add(other.images);
        other.queries.iter().for_each(|query| self.note_query(query));
    }

    pub(in crate::wire::tap) fn usage(&self) -> Usage {
        Usage { images: self.images, searches: self.queries.len() as u64, ..Usage::default() }
    }
}

pub(super) fn decode(usage: &[u8]) -> Decoded {
    let Some(counts) = Counts::read(usage) else {
        // Nothing, or no object at all.
        return Decoded { usage: None, flagged: !matches!(usage.first(), Some(b'{' | b'n')) };
    };
    match Gemini.decode_usage(usage) {
        Some(classes) => Decoded { usage: Some(classes), flagged: counts.contradict() },
        None => Decoded { usage: None, flagged: true },
    }
}

pub(in crate::wire::tap) fn beside<'a>(
    scanner: &mut Scanner<'a>,
    answer: &'a [u8],
) -> Result<Usage, JsonError> {
    let mut beside = Beside::default();
    walk::objects(scanner, |scanner| candidate(scanner, answer, &mut beside, None).map(drop))?;
    Ok(beside.usage())
}

/// Counts as they are told.
struct Counts {
    prompt: Option<u64>,
    cached: Option<u64>,
    candidates: Option<u64>,
    thoughts: Option<u64>,
    tools: Option<u64>,
    total: Option<u64>,
}

impl Counts {
    /// `None`: there are none, as in most events of Vertex's streams.
    fn read(usage: &[u8]) -> Option<Self> {
        let counts = walk::counts(
            usage,
            [
                "promptTokenCount",
                "cachedContentTokenCount",
                "candidatesTokenCount",
                "thoughtsTokenCount",
                "toolUsePromptTokenCount",
                "totalTokenCount",
            ],
        );
        let [prompt, cached, candidates, thoughts, tools, total] = counts;
        let tells = counts.iter().any(Option::is_some);
        tells.then_some(Self { prompt, cached, candidates, thoughts, tools, total })
    }

    fn is_bad(&self) -> bool {
        let Self { prompt, cached, candidates, thoughts, tools, total } = *self;
        [prompt, cached, candidates, thoughts, tools, total].into_iter().flatten().any(|it| it > MAX_COUNT)
    }

    fn sum(&self) -> u64 {
        let parts = [self.prompt, self.candidates, self.thoughts, self.tools];
        parts.into_iter().flatten().fold(0, u64::saturating_add)
    }

    /// Without a count of its own, an answer's is what the total leaves.
    fn total(&self) -> u64 {
        if self.candidates.is_some() { self.sum() } else { self.total.unwrap_or(0).max(self.sum()) }
    }

    /// Whether the total is not the sum, or what was cached is more than the prompt.
    fn contradict(&self) -> bool {
        let is_told_all = self.candidates.is_some();
        let is_off = |total: u64| if is_told_all { total != self.sum() } else { total < self.sum() };
        self.total.is_some_and(is_off) || self.cached.unwrap_or(0) > self.prompt.unwrap_or(0)
    }
}

/// Reads a candidate that has been opened; whether it says why it ended.
fn candidate<'a>(
    scanner: &mut Scanner<'a>,
    json: &'a [u8],
    beside: &mut Beside,
    mut text: Option<&mut KeptText>,
) -> Result<bool, JsonError> {
    let mut finish = false;
    walk::members(scanner, |key, scanner| match key {
        b"finishReason" => {
            let reason = walk::string(scanner)?;
            finish = is_some(reason) && !reason.is_some_and(|reason| reason.is("FINISH_REASON_UNSPECIFIED"));
            Ok(())
        }
        b"content" => walk::object(scanner, |key, scanner| match key {
            b"parts" => walk::objects(scanner, |scanner| {
                beside.images += u64::from(part(scanner, json, text.as_deref_mut())?);
                Ok(())
            }),
            _ => walk::skip(scanner),
        }),
        b"groundingMetadata" => walk::object(scanner, |key, scanner| {
            let is_queries = key == b"webSearchQueries";
            scanner.walk(|token| match token {
                Token::String(query) if is_queries => beside.note_query(&query.decode()),
                _ => {}
            })?;
            Ok(())
        }),
        _ => walk::skip(scanner),
    })?;
    Ok(finish)
}

/// Reads a part that has been opened; whether it is an image. Images among thoughts are not the answer's.
fn part<'a>(
    scanner: &mut Scanner<'a>,
    json: &'a [u8],
    mut text: Option<&mut KeptText>,
) -> Result<bool, JsonError> {
    let (mut is_image, mut is_thought) = (false, false);
    walk::members(scanner, |key, scanner| match (key, text.as_deref_mut()) {
        (b"text", Some(text)) => push_string(scanner, text),
        (b"functionCall" | b"function_call" | b"executableCode", Some(text)) => {
            walk::object(scanner, |key, scanner| match key {
                b"name" | b"code" => push_string(scanner, text),
                b"args" => push_arguments(scanner, json, text),
                _ => walk::skip(scanner),
            })
        }
        (b"thought", _) => {
            scanner.walk(|token| is_thought |= *token == Token::Bool(true))?;
            Ok(())
        }
        (b"inlineData" | b"inline_data" | b"fileData" | b"file_data", _) => {
            walk::object(scanner, |key, scanner| match key {
                b"mimeType" | b"mime_type" => {
                    let media = walk::string(scanner)?;
                    is_image |= media.is_some_and(|media| media.decode().split('/').next() == Some("image"));
                    Ok(())
                }
                _ => walk::skip(scanner),
            })
        }
        _ => walk::skip(scanner),
    })?;
    Ok(is_image && !is_thought)
}
