//! The `x-aione-simulate` header: what it can ask for, and within which bounds.

use super::{ANSWER_TOKENS_MAX, DIRECTIVE_BYTES_MAX, DIRECTIVE_HEADER, ask::Problem};

const RETRY_AFTER_MAX_S: u64 = 86_400;
const DELAY_MAX_MS: u64 = 600_000;
const PACE_MAX_MS: u64 = 60_000;
/// Most chunks that can be counted up to.
const CHUNKS_MAX: u64 = 1_000_000;

const NAMES: &str = "status, retry_after, delay_ms, pace_ms, tokens, seed, no_usage, cut_after, error_event";

/// A parsed header; the default does nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Directive {
    pub(super) status: Option<u16>,
    /// Seconds.
    pub(super) retry_after: Option<u64>,
    pub(super) delay_ms: u64,
    pub(super) pace_ms: u64,
    pub(super) tokens: Option<u64>,
    pub(super) seed: Option<u64>,
    pub(super) no_usage: bool,
    /// Chunks.
    pub(super) cut_after: Option<u64>,
    /// Chunks.
    pub(super) error_event: Option<u64>,
}

impl Directive {
    /// # Errors
    /// A directive that is unknown, given twice, or whose value is out of bounds.
    pub(super) fn parse(header: &str) -> Result<Self, Problem> {
        if header.len() > DIRECTIVE_BYTES_MAX {
            return Err(wrong(format!("is longer than {DIRECTIVE_BYTES_MAX} bytes")));
        }
        let mut directive = Self::default();
        let mut seen = Vec::new();
        for item in header.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, value) = match item.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim())),
                None => (item, None),
            };
            if seen.contains(&name) {
                return Err(wrong(format!("`{name}` is given twice")));
            }
            seen.push(name);
            directive.set(name, value)?;
        }
        Ok(directive)
    }

    pub(super) fn retry_after_header(&self) -> Option<(&'static str, String)> {
        self.retry_after.map(|seconds| ("retry-after", seconds.to_string()))
    }

    fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Problem> {
        let within = |min, max| number(name, value, min, max);
        match name {
            "status" => self.status = u16::try_from(within(400, 599)?).ok(),
            "retry_after" => self.retry_after = Some(within(0, RETRY_AFTER_MAX_S)?),
            "delay_ms" => self.delay_ms = within(0, DELAY_MAX_MS)?,
            "pace_ms" => self.pace_ms = within(0, PACE_MAX_MS)?,
            "tokens" => self.tokens = Some(within(1, ANSWER_TOKENS_MAX)?),
            "seed" => self.seed = Some(within(0, u64::MAX)?),
            "cut_after" => self.cut_after = Some(within(0, CHUNKS_MAX)?),
            "error_event" => self.error_event = Some(within(0, CHUNKS_MAX)?),
            "no_usage" if value.is_none() => self.no_usage = true,
            "no_usage" => return Err(wrong("`no_usage` takes no value".to_owned())),
            _ => return Err(wrong(format!("unknown directive `{name}`; there are {NAMES}"))),
        }
        Ok(())
    }
}

fn number(name: &str, value: Option<&str>, min: u64, max: u64) -> Result<u64, Problem> {
    // `parse` would take a sign.
    let digits = value.filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
    digits
        .and_then(|value| value.parse().ok())
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| wrong(format!("`{name}` must be a whole number from {min} to {max}")))
}

fn wrong(what: String) -> Problem {
    Problem { message: format!("{DIRECTIVE_HEADER}: {what}"), param: None }
}
