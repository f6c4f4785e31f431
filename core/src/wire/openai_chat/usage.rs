//! OpenAI's `usage` object, turned into the disjoint classes of [`Usage`].
//!
//! In this dialect `prompt_tokens` contains `prompt_tokens_details.cached_tokens` and
//! `.audio_tokens`, and `completion_tokens` contains `completion_tokens_details.reasoning_tokens`
//! and `.audio_tokens`: here they are taken out. Embeddings have no `completion_tokens`; images and
//! transcriptions say `input_tokens` and `output_tokens`.
//!
//! What was written to a cache is a part of the prompt as well: `prompt_tokens_details.cache_write_tokens`
//! (OpenAI and OpenRouter: <https://openrouter.ai/docs/use-cases/usage-accounting>), or
//! `.cache_creation_input_tokens` (DashScope: <https://www.alibabacloud.com/help/en/model-studio/context-cache>).
//! How long it is kept is not told, or five minutes: the class of short writes is theirs. Two vendors have names
//! of their own for what was read from a cache, beside the other counts: `prompt_cache_hit_tokens` (DeepSeek) and
//! `cached_tokens` (Moonshot). None of these names means anything else to anybody, so that all are read wherever
//! they stand; `tests/fixtures/usage/` has the vendors' examples.
//!
//! A recording that is sold by time is told by `seconds` alone (`"type": "duration"`), which may have a fraction: a
//! second that has begun is a whole one, as vendors bill it
//! (<https://platform.openai.com/docs/api-reference/audio/verbose-json-object>). Where tokens are told they count.
//!
//! Searches are told by `num_sources_used` (xAI, which bills each source) and by
//! `server_tool_use.web_search_requests` (OpenRouter).

#[cfg(test)]
mod tests;

use crate::{
    domain::usage::Usage,
    wire::json::{JsonError, Scanner, Token},
};
use serde::Serialize;

/// Highest believable count of one answer; anything above is taken for a broken number.
pub const MAX_COUNT: u64 = u32::MAX as u64;

/// A `usage` object as this dialect writes it: the inverse of [`decode`], where a prompt's classes that the
/// dialect has not are plain prompt.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Written {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cache_write_tokens: u64,
    audio_tokens: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[derive(Clone, Copy, Debug, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
}

impl Written {
    pub(super) fn of(usage: &Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens(),
            completion_tokens: usage.completion_tokens(),
            total_tokens: usage.total_tokens(),
            prompt_tokens_details: PromptDetails {
                cached_tokens: usage.cache_read,
                cache_write_tokens: usage.cache_write_5m.saturating_add(usage.cache_write_1h),
                audio_tokens: usage.audio_in,
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: usage.reasoning,
                audio_tokens: usage.audio_out,
            },
        }
    }
}

/// What a `usage` value says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Decoded {
    /// `None`: there is none, or it cannot be believed.
    pub usage: Option<Usage>,
    /// It cannot be believed, or its numbers contradict each other.
    pub flagged: bool,
}

/// Reads the value of a `usage` member. `null` is no usage; a count that is not a whole number
/// from 0 to [`MAX_COUNT`] rejects all of it.
#[must_use]
pub fn decode(value: &[u8]) -> Decoded {
    read(&mut Scanner::lenient(value)).unwrap_or(Decoded { usage: None, flagged: true })
}

/// As [`decode`], of the value that comes next.
///
/// # Errors
/// What is not JSON.
pub fn read(scanner: &mut Scanner<'_>) -> Result<Decoded, JsonError> {
    let depth = scanner.depth();
    match scanner.next()? {
        Some(Token::Null) => Ok(Decoded::default()),
        Some(Token::ObjectOpen) => Ok(Fields::read(scanner)?.classes()),
        _ => {
            finish_value(scanner, depth)?;
            Ok(Decoded { usage: None, flagged: true })
        }
    }
}

/// One count as the upstream wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Count {
    #[default]
    Absent,
    Null,
    Good(u64),
    Bad,
}

impl Count {
    fn or_zero(self) -> u64 {
        match self {
            Self::Good(count) => count,
            _ => 0,
        }
    }

    /// `other` where this one says nothing.
    fn or(self, other: Self) -> Self {
        if matches!(self, Self::Absent | Self::Null) && other != Self::Absent { other } else { self }
    }
}

#[derive(Debug, Default)]
struct Fields {
    prompt: Count,
    completion: Count,
    total: Count,
    /// What others call the prompt and the completion; it counts where those are not given.
    input: Count,
    output: Count,
    cached: Count,
    cache_hit: Count,
    cache_write: Count,
    audio_in: Count,
    reasoning: Count,
    audio_out: Count,
    sources: Count,
    searches: Count,
    seconds: Count,
}

impl Fields {
    /// Reads the members of an object that has been opened.
    fn read(scanner: &mut Scanner<'_>) -> Result<Self, JsonError> {
        let mut fields = Self::default();
        while let Some(Token::Key(key)) = scanner.next()? {
            let field = match &*key.decode_bytes() {
                b"prompt_tokens" => &mut fields.prompt,
                b"completion_tokens" => &mut fields.completion,
                b"total_tokens" => &mut fields.total,
                b"input_tokens" => &mut fields.input,
                b"output_tokens" => &mut fields.output,
                b"seconds" => {
                    fields.seconds = read_seconds(scanner)?;
                    continue;
                }
                b"prompt_cache_hit_tokens" | b"cached_tokens" => &mut fields.cache_hit,
                b"num_sources_used" => &mut fields.sources,
                b"prompt_tokens_details" | b"input_tokens_details" | b"input_token_details" => {
                    let Self { cached, cache_write, audio_in, .. } = &mut fields;
                    let (mut written, mut created) = (Count::Absent, Count::Absent);
                    read_details(
                        scanner,
                        &mut [
                            ("cached_tokens", cached),
                            ("cache_write_tokens", &mut written),
                            ("cache_creation_input_tokens", &mut created),
                            ("audio_tokens", audio_in),
                        ],
                    )?;
                    *cache_write = written.or(created).or(*cache_write);
                    continue;
                }
                b"server_tool_use" => {
                    read_details(scanner, &mut [("web_search_requests", &mut fields.searches)])?;
                    continue;
                }
                b"completion_tokens_details" | b"output_tokens_details" => {
                    let Self { reasoning, audio_out, .. } = &mut fields;
                    read_details(
                        scanner,
                        &mut [("reasoning_tokens", reasoning), ("audio_tokens", audio_out)],
                    )?;
                    continue;
                }
                _ => {
                    scanner.walk(|_| {})?;
                    continue;
                }
            };
            *field = read_count(scanner)?;
        }
        Ok(fields)
    }

    fn classes(mut self) -> Decoded {
        if self.prompt == Count::Absent {
            self.prompt = self.input;
            self.completion = self.completion.or(self.output);
        }
        let all = [
            self.prompt,
            self.completion,
            self.total,
            self.cached,
            self.cache_hit,
            self.cache_write,
            self.audio_in,
            self.reasoning,
            self.audio_out,
            self.sources,
            self.searches,
        ];
        if let (Count::Absent, Count::Good(seconds)) = (self.prompt, self.seconds) {
            return Decoded { usage: Some(Usage { seconds, ..Usage::default() }), flagged: false };
        }
        // Without the prompt's count the rest cannot be put into classes.
        let Count::Good(prompt) = self.prompt else { return Decoded { usage: None, flagged: true } };
        if all.contains(&Count::Bad) || self.completion == Count::Null {
            return Decoded { usage: None, flagged: true };
        }
        let mut flagged = false;
        let (completion, beside) = self.completion(prompt, &mut flagged);

        let cached = match (self.cached, self.cache_hit) {
            (Count::Good(cached), Count::Good(hit)) => {
                flagged |= cached != hit;
                cached
            }
            (Count::Good(count), _) | (_, Count::Good(count)) => count,
            _ => 0,
        };
        let mut input = prompt;
        let cache_read = take(&mut input, cached, &mut flagged);
        let cache_write_5m = take(&mut input, self.cache_write.or_zero(), &mut flagged);
        let audio_in = take(&mut input, self.audio_in.or_zero(), &mut flagged);
        let mut output = completion;
        let audio_out = take(&mut output, self.audio_out.or_zero(), &mut flagged);
        let reasoning = match beside {
            Some(reasoning) => reasoning,
            None => take(&mut output, self.reasoning.or_zero(), &mut flagged),
        };
        let usage = Usage {
            input,
            cache_read,
            cache_write_5m,
            audio_in,
            output,
            reasoning,
            audio_out,
            searches: self.sources.or_zero().saturating_add(self.searches.or_zero()),
            ..Usage::default()
        };
        Decoded { usage: Some(usage), flagged }
    }

    /// The completion's tokens, and the reasoning tokens where they stand beside it.
    ///
    /// The parts are believed over the total, with two exceptions that only the total can tell:
    /// a completion that is not given, and reasoning that is reported beside the completion, not
    /// inside (some compatible upstreams do).
    fn completion(&self, prompt: u64, flagged: &mut bool) -> (u64, Option<u64>) {
        let Count::Good(total) = self.total else { return (self.completion.or_zero(), None) };
        let Count::Good(completion) = self.completion else {
            *flagged |= total != prompt;
            return (total.saturating_sub(prompt), None);
        };
        let sum = prompt + completion;
        let reasoning = self.reasoning.or_zero();
        let beside = reasoning > 0 && total == sum + reasoning;
        *flagged |= total != sum && !beside;
        (completion, beside.then_some(reasoning))
    }
}

/// Reads the counts of a details object that are named; other shapes hold none.
fn read_details(
    scanner: &mut Scanner<'_>,
    counts: &mut [(&'static str, &mut Count)],
) -> Result<(), JsonError> {
    let depth = scanner.depth();
    if scanner.next()? != Some(Token::ObjectOpen) {
        return finish_value(scanner, depth);
    }
    while let Some(Token::Key(key)) = scanner.next()? {
        match counts.iter_mut().find(|(name, _)| key.is(name)) {
            Some((_, count)) => **count = read_count(scanner)?,
            None => {
                scanner.walk(|_| {})?;
            }
        }
    }
    Ok(())
}

/// Reads the next value as a time, rounded up to whole seconds.
fn read_seconds(scanner: &mut Scanner<'_>) -> Result<Count, JsonError> {
    let depth = scanner.depth();
    let count = match scanner.next()? {
        Some(Token::Number(digits)) => {
            let (whole, fraction) = match memchr::memchr(b'.', digits) {
                Some(point) => (&digits[..point], &digits[point + 1..]),
                None => (digits, &b""[..]),
            };
            let whole = std::str::from_utf8(whole).ok().and_then(|whole| whole.parse::<u64>().ok());
            let is_plain = fraction.iter().all(u8::is_ascii_digit);
            let begun = u64::from(fraction.iter().any(|digit| *digit != b'0'));
            let seconds = whole.filter(|_| is_plain).and_then(|whole| whole.checked_add(begun));
            seconds.filter(|seconds| *seconds <= MAX_COUNT).map_or(Count::Bad, Count::Good)
        }
        _ => Count::Bad,
    };
    finish_value(scanner, depth)?;
    Ok(count)
}

/// Reads the next value as a count.
fn read_count(scanner: &mut Scanner<'_>) -> Result<Count, JsonError> {
    let depth = scanner.depth();
    let count = match scanner.next()? {
        Some(Token::Null) => Count::Null,
        Some(Token::Number(digits)) => {
            let value = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
            value.filter(|value| *value <= MAX_COUNT).map_or(Count::Bad, Count::Good)
        }
        _ => Count::Bad,
    };
    finish_value(scanner, depth)?;
    Ok(count)
}

/// Passes over the rest of a value whose first token was read at `depth`.
fn finish_value(scanner: &mut Scanner<'_>, depth: u32) -> Result<(), JsonError> {
    while scanner.depth() > depth {
        scanner.next()?;
    }
    Ok(())
}

/// Takes a part out of a whole; a part that is larger than the whole is cut to it and flagged.
fn take(whole: &mut u64, part: u64, flagged: &mut bool) -> u64 {
    *flagged |= part > *whole;
    let taken = part.min(*whole);
    *whole -= taken;
    taken
}
