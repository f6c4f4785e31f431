//! Words, and how many tokens they are.

use bpe_openai::{Tokenizer, o200k_base};

/// Each with the space before it, and each one token of `o200k_base` (a test says so), so that
/// a text of n of them is n tokens.
pub(super) const OPENERS: &[&str] = &[" The", " A", " This", " Each", " Every", " One", " Some", " Our"];
/// As [`OPENERS`].
#[rustfmt::skip]
pub(super) const WORDS: &[&str] = &[
    " river", " window", " small", " answer", " goes", " over", " under", " light", " garden", " paper",
    " old", " road", " with", " slow", " water", " stone", " and", " bridge", " keeps", " quiet",
    " music", " near", " open", " door", " finds", " green", " hill", " between", " two", " cities",
    " morning", " train", " brings", " new", " letters", " from", " far", " away", " to", " market",
    " where", " people", " talk", " about", " weather", " bread", " and", " simple", " plans", " for",
    " next", " summer", " while", " clock", " turns", " without", " any", " sound", " at", " all",
];
const STOP: &str = ".";
/// Words of a sentence beside its opener and its stop: at least, and how many more at most.
const SENTENCE: (u64, u64) = (4, 8);
/// Tokens of a text that nobody asked a length for: at least, and how many more at most.
const LENGTH: (u64, u64) = (16, 48);

/// SplitMix64: small, seeded, the same everywhere.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One of many that share a seed.
    pub(super) fn nth(seed: u64, index: u64) -> Self {
        let mut rng = Self(seed ^ index.wrapping_mul(0xd134_2543_de82_ef95));
        Self(rng.next())
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `bound` - 1; 0 for a bound of 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let index = usize::try_from(self.below(from.len() as u64)).expect("an index of a slice");
        from[index]
    }

    /// A word without a space.
    pub(super) fn word(&mut self) -> &'static str {
        self.pick(WORDS).trim_start()
    }
}

/// FNV-1a of 64 bits.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The tokens of `text`.
pub(super) fn count(text: &str) -> u64 {
    tokenizer().count(text) as u64
}

/// A text of exactly `length` tokens (chosen where `None`), a token each piece.
pub(super) fn sentences(rng: &mut Rng, length: Option<u64>) -> Vec<&'static str> {
    let chosen = LENGTH.0 + rng.below(LENGTH.1 + 1);
    let length = usize::try_from(length.unwrap_or(chosen)).expect("a length below ANSWER_TOKENS_MAX");
    let mut pieces = Vec::with_capacity(length);
    while pieces.len() < length {
        pieces.push(rng.pick(OPENERS));
        for _ in 0..SENTENCE.0 + rng.below(SENTENCE.1 + 1) {
            pieces.push(rng.pick(WORDS));
        }
        pieces.push(STOP);
    }
    pieces.truncate(length);
    if let [.., before, last] = &mut pieces[..] {
        // Two stops in a row would be one token.
        if *before == STOP {
            *before = rng.pick(WORDS);
        }
        *last = STOP;
    }
    if let Some(first) = pieces.first_mut() {
        *first = first.trim_start();
    }
    pieces
}

/// A text in pieces of about one token, no more than `max` of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Said {
    pub(super) pieces: Vec<String>,
    pub(super) tokens: u64,
    /// Whether `max` cut it.
    pub(super) cut: bool,
}

pub(super) fn say(text: &str, max: Option<u64>) -> Said {
    let mut tokens = tokenizer().encode(text);
    let whole = tokens.len();
    tokens.truncate(max.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX));
    let cut = tokens.len() < whole;

    let mut pieces = Vec::with_capacity(tokens.len());
    let mut begun = 0;
    for end in 1..=tokens.len() {
        // A character may be spread over several tokens: they are one piece.
        if let Some(piece) = tokenizer().decode(&tokens[begun..end]) {
            pieces.push(piece);
            begun = end;
        }
    }
    let tokens = if cut { count(&pieces.concat()) } else { whole as u64 };
    Said { pieces, tokens, cut }
}

fn tokenizer() -> &'static Tokenizer {
    o200k_base()
}
