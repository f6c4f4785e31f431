//! The truth: how many tokens an answer used, decided from a seed before it is sent.

use serde_json::{Value, json};

/// A small generator with a seed that a test can print and take back.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, by SplitMix64.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from `low` up to, not with, `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low)
    }
}

/// Tokens as the OpenAI dialect counts them: `cached` is a part of `prompt`, `reasoning` of
/// `completion`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// The answer's own id, by which a client's answer is matched with the truth.
    pub id: String,
    pub prompt: u64,
    pub cached: u64,
    pub completion: u64,
    pub reasoning: u64,
}

impl Truth {
    pub fn of(seed: u64) -> Self {
        let mut seeded = Seeded::new(seed);
        let prompt = seeded.between(10, 5_000);
        let completion = seeded.between(1, 3_000);
        Self {
            id: format!("chatcmpl-{seed:016x}"),
            prompt,
            cached: seeded.between(0, prompt),
            completion,
            reasoning: seeded.between(0, completion),
        }
    }

    /// Without cached and reasoning tokens.
    pub fn plain(id: &str, prompt: u64, completion: u64) -> Self {
        Self { id: id.to_owned(), prompt, cached: 0, completion, reasoning: 0 }
    }

    /// The same under an id that begins with `prefix`, as another dialect's do.
    pub fn with_id(&self, prefix: &str) -> Self {
        let bare = self.id.strip_prefix("chatcmpl-").unwrap_or(&self.id);
        Self { id: format!("{prefix}{bare}"), ..self.clone() }
    }

    /// The `usage` object of the OpenAI dialect.
    pub fn usage(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": { "cached_tokens": self.cached, "audio_tokens": 0 },
            "completion_tokens_details": { "reasoning_tokens": self.reasoning, "audio_tokens": 0 },
        })
    }
}
