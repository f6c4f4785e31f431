//! The price book: what a usage costs, by model, class, time and context tier.

use crate::domain::{
    clock::Timestamp,
    money::{Pico, Rate},
    usage::Usage,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::Arc};

/// Rates by class, each for **one** of its unit: a token, an image, a search, a character, a second, a request. `None`:
/// no rate; a class that occurs without one makes the model unpriced, except `reasoning`, which
/// then costs as `output`, and `request`, which then adds nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Rates {
    pub input: Option<Rate>,
    pub cache_read: Option<Rate>,
    pub cache_write_5m: Option<Rate>,
    pub cache_write_1h: Option<Rate>,
    pub audio_in: Option<Rate>,
    pub output: Option<Rate>,
    pub reasoning: Option<Rate>,
    pub audio_out: Option<Rate>,
    pub image: Option<Rate>,
    pub search: Option<Rate>,
    // A book without these two is the text, and so of the version, that it was before they were there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub character: Option<Rate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<Rate>,
    /// Added to the rest, once for each request.
    pub request: Option<Rate>,
}

/// What an amount is charged for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Input,
    CacheRead,
    #[serde(rename = "cache_write_5m")]
    CacheWrite5m,
    #[serde(rename = "cache_write_1h")]
    CacheWrite1h,
    AudioIn,
    Output,
    Reasoning,
    AudioOut,
    Image,
    Search,
    /// Of a text that is spoken.
    Character,
    /// Of a recording that is heard.
    Second,
    /// The fee for each request.
    Request,
    /// Of a time when classes were not kept apart.
    Mixed,
}

/// What one class of one request costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    pub class: Class,
    pub quantity: u64,
    pub cost: Pico,
}

/// How much one request can come to at the most.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bound {
    /// Tokens of the prompt, estimated.
    pub input: u64,
    /// Tokens of the answer.
    pub ceiling: u64,
    /// Of the text, where it is to be spoken.
    pub characters: u64,
    /// Of the recording, where one is to be heard, estimated.
    pub seconds: u64,
    /// Images that are sold by the piece.
    pub images: u64,
}

/// Rates that hold for the whole request once its prompt is longer than `above` tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tier {
    pub above: u64,
    pub rates: Rates,
}

/// A model's prices from one instant on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PricePeriod {
    /// `None`: from the beginning.
    pub from: Option<Timestamp>,
    pub rates: Rates,
    /// Ascending by `above`.
    pub tiers: Vec<Tier>,
}

/// A model's price history, ascending by `from`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ModelPrice {
    pub periods: Vec<PricePeriod>,
}

/// The prices of all models under one version.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PriceBook {
    /// The first eight bytes of the SHA-256 of the book's canonical JSON: the same prices have
    /// the same version on every node and after every restart.
    pub version: u64,
    pub models: BTreeMap<Arc<str>, ModelPrice>,
}

/// A usage has no price.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unpriced {
    #[error("the model has no price at this time")]
    Model,
    #[error("the class `{}` occurs and has no rate", .0.as_str())]
    Class(Class),
}

impl Class {
    /// Those that have a rate of their own; those that are counted in tokens come first.
    pub const ALL: [Self; 13] = [
        Self::Input,
        Self::CacheRead,
        Self::CacheWrite5m,
        Self::CacheWrite1h,
        Self::AudioIn,
        Self::Output,
        Self::Reasoning,
        Self::AudioOut,
        Self::Image,
        Self::Search,
        Self::Character,
        Self::Second,
        Self::Request,
    ];

    /// How many of [`Self::ALL`] are counted in tokens, and have rates for a million of them.
    pub const OF_TOKENS: usize = 8;

    /// The name in the configuration, the API and the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CacheRead => "cache_read",
            Self::CacheWrite5m => "cache_write_5m",
            Self::CacheWrite1h => "cache_write_1h",
            Self::AudioIn => "audio_in",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::AudioOut => "audio_out",
            Self::Image => "image",
            Self::Search => "search",
            Self::Character => "character",
            Self::Second => "second",
            Self::Request => "request",
            Self::Mixed => "mixed",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().chain([Self::Mixed]).find(|class| class.as_str() == name)
    }
}

impl Rates {
    /// The rate of a class. Thinking without one costs as the answer does.
    #[must_use]
    pub fn of(&self, class: Class) -> Option<Rate> {
        match class {
            Class::Input => self.input,
            Class::CacheRead => self.cache_read,
            Class::CacheWrite5m => self.cache_write_5m,
            Class::CacheWrite1h => self.cache_write_1h,
            Class::AudioIn => self.audio_in,
            Class::Output => self.output,
            Class::Reasoning => self.reasoning.or(self.output),
            Class::AudioOut => self.audio_out,
            Class::Image => self.image,
            Class::Search => self.search,
            Class::Character => self.character,
            Class::Second => self.second,
            Class::Request => self.request,
            Class::Mixed => None,
        }
    }
}

impl PriceBook {
    /// The book of `models`, under the version that follows from its prices alone.
    #[must_use]
    pub fn new(models: BTreeMap<Arc<str>, ModelPrice>) -> Self {
        // Sorted names, fields in the order of their declaration, no spaces: one text for one book.
        let canonical = serde_json::to_vec(&models).expect("maps with text keys and integers are JSON");
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(&canonical));
        Self { version: u64::from_be_bytes([a, b, c, d, e, f, g, h]), models }
    }
}

impl ModelPrice {
    /// What one request with `usage` costs when it started at `at`.
    ///
    /// # Errors
    /// No period covers `at`, or a class that occurs has no rate.
    pub fn price(&self, usage: &Usage, at: Timestamp) -> Result<Pico, Unpriced> {
        self.parts(usage, at)?.try_fold(Pico::ZERO, |sum, part| Ok(sum + part?.cost))
    }

    /// The same, class by class.
    ///
    /// # Errors
    /// No period covers `at`; a part's: a class that occurs has no rate.
    pub fn parts(
        &self,
        usage: &Usage,
        at: Timestamp,
    ) -> Result<impl Iterator<Item = Result<Part, Unpriced>>, Unpriced> {
        let rates = self.rates_at(usage.prompt_tokens(), at).ok_or(Unpriced::Model)?;
        let classes = [
            (Class::Input, usage.input),
            (Class::CacheRead, usage.cache_read),
            (Class::CacheWrite5m, usage.cache_write_5m),
            (Class::CacheWrite1h, usage.cache_write_1h),
            (Class::AudioIn, usage.audio_in),
            (Class::Output, usage.output),
            (Class::Reasoning, usage.reasoning),
            (Class::AudioOut, usage.audio_out),
            (Class::Image, usage.images),
            (Class::Search, usage.searches),
            (Class::Character, usage.characters),
            (Class::Second, usage.seconds),
            (Class::Request, rates.request.is_some().into()),
        ];
        Ok(classes.into_iter().filter(|(_, quantity)| *quantity > 0).map(|(class, quantity)| {
            let rate = rates.of(class).ok_or(Unpriced::Class(class))?;
            Ok(Part { class, quantity, cost: rate.times(quantity) })
        }))
    }

    /// The most that one request can cost, whichever of their classes its tokens turn out to be, and whether it
    /// is sold by them or by the piece. `None`: it has no price.
    #[must_use]
    pub fn most(&self, bound: &Bound, at: Timestamp) -> Option<Pico> {
        let rates = self.rates_at(bound.input, at)?;
        let dearest = |rates: &[Option<Rate>]| rates.iter().flatten().max().copied().unwrap_or_default();
        let prompt = dearest(&[
            rates.input,
            rates.cache_read,
            rates.cache_write_5m,
            rates.cache_write_1h,
            rates.audio_in,
        ]);
        let answer = dearest(&[rates.output, rates.reasoning, rates.audio_out]);
        let image = rates.image.unwrap_or_default();
        let fee = rates.request.unwrap_or_default();
        let by_tokens = prompt.times(bound.input) + answer.times(bound.ceiling);
        let by_the_piece = rates.character.unwrap_or_default().times(bound.characters)
            + rates.second.unwrap_or_default().times(bound.seconds);
        Some(by_tokens.max(by_the_piece) + image.times(bound.images) + fee.times(1))
    }

    /// The rates in force at `at` for a prompt of `prompt` tokens.
    #[must_use]
    pub fn rates_at(&self, prompt: u64, at: Timestamp) -> Option<&Rates> {
        let period = self.periods.iter().rev().find(|period| period.from.is_none_or(|from| from <= at))?;
        let tier = period.tiers.iter().rev().find(|tier| prompt > tier.above);
        Some(tier.map_or(&period.rates, |tier| &tier.rates))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Option<Rate> {
        Some(Rate::per_million(text).expect("a rate"))
    }

    fn flat(input: &str, output: &str) -> Rates {
        Rates { input: rate(input), output: rate(output), ..Rates::default() }
    }

    fn period(from: Option<i64>, rates: Rates) -> PricePeriod {
        PricePeriod { from: from.map(Timestamp), rates, tiers: Vec::new() }
    }

    fn price(periods: Vec<PricePeriod>, usage: Usage, at: i64) -> Result<String, Unpriced> {
        ModelPrice { periods }.price(&usage, Timestamp(at)).map(Pico::to_decimal)
    }

    #[test]
    fn each_class_costs_its_own_rate_once() {
        let rates = Rates {
            cache_read: rate("0.5"),
            cache_write_5m: rate("1.25"),
            cache_write_1h: rate("2"),
            audio_in: rate("10"),
            reasoning: rate("6"),
            audio_out: rate("20"),
            image: Some(Rate::per_unit("0.04").expect("a fee")),
            search: Some(Rate::per_unit("0.01").expect("a fee")),
            character: Some(Rate::per_unit("0.000015").expect("a fee")),
            second: Some(Rate::per_unit("0.0001").expect("a fee")),
            request: Some(Rate::per_unit("0.002").expect("a fee")),
            ..flat("1", "4")
        };
        let million = 1_000_000;
        let usage = Usage {
            input: million,
            cache_read: million,
            cache_write_5m: million,
            cache_write_1h: million,
            audio_in: million,
            output: million,
            reasoning: million,
            audio_out: million,
            images: 2,
            searches: 3,
            characters: 2_000,
            seconds: 60,
        };
        assert_eq!(price(vec![period(None, rates)], usage, 0), Ok("44.898".to_owned()));
    }

    #[test]
    fn a_tier_begins_behind_its_boundary_and_holds_for_the_whole_request() {
        let long = Tier { above: 200_000, rates: flat("2", "8") };
        let longer = Tier { above: 500_000, rates: flat("3", "9") };
        let tiered = PricePeriod { tiers: vec![long, longer], ..period(None, flat("1", "4")) };
        let of = |input, cache_read, output| {
            let rates = |mut rates: Rates| {
                rates.cache_read = rate("0");
                rates
            };
            let mut tiered = tiered.clone();
            tiered.rates = rates(tiered.rates);
            tiered.tiers.iter_mut().for_each(|tier| tier.rates = rates(tier.rates));
            price(vec![tiered], Usage { input, cache_read, output, ..Usage::default() }, 0)
        };
        assert_eq!(of(200_000, 0, 1_000_000), Ok("4.20".to_owned()));
        assert_eq!(of(200_001, 0, 1_000_000), Ok("8.400002".to_owned()));
        assert_eq!(of(500_000, 0, 0), Ok("1.00".to_owned()));
        assert_eq!(of(500_001, 0, 0), Ok("1.500003".to_owned()));
        // What was cached is a part of the prompt, and free here.
        assert_eq!(of(1, 200_000, 1_000_000), Ok("8.000002".to_owned()));
    }

    #[test]
    fn a_period_holds_from_its_instant_on() {
        let periods = || vec![period(Some(1_000), flat("1", "1")), period(Some(2_000), flat("2", "2"))];
        let usage = Usage { input: 1_000_000, ..Usage::default() };
        assert_eq!(price(periods(), usage, 999), Err(Unpriced::Model));
        assert_eq!(price(periods(), usage, 1_000), Ok("1.00".to_owned()));
        assert_eq!(price(periods(), usage, 1_999), Ok("1.00".to_owned()));
        assert_eq!(price(periods(), usage, 2_000), Ok("2.00".to_owned()));
        assert_eq!(price(Vec::new(), usage, 2_000), Err(Unpriced::Model));
    }

    #[test]
    fn zero_is_a_price_and_nothing_is_not() {
        let usage = Usage { input: 5, cache_read: 5, ..Usage::default() };
        let free = Rates { cache_read: rate("0"), ..flat("0", "0") };
        assert_eq!(price(vec![period(None, free)], usage, 0), Ok("0.00".to_owned()));
        assert_eq!(
            price(vec![period(None, flat("0", "0"))], usage, 0),
            Err(Unpriced::Class(Class::CacheRead))
        );
        let unused = Usage { input: 5, ..Usage::default() };
        assert_eq!(price(vec![period(None, flat("0", "0"))], unused, 0), Ok("0.00".to_owned()));
    }

    #[test]
    fn reasoning_without_a_rate_costs_as_output() {
        let usage = Usage { reasoning: 1_000_000, ..Usage::default() };
        assert_eq!(price(vec![period(None, flat("1", "4"))], usage, 0), Ok("4.00".to_owned()));
        let none = Rates { input: rate("1"), ..Rates::default() };
        assert_eq!(price(vec![period(None, none)], usage, 0), Err(Unpriced::Class(Class::Reasoning)));
    }

    #[test]
    fn the_most_that_a_request_can_cost_is_at_the_dearest_rates() {
        let rates = Rates {
            cache_write_1h: rate("2"),
            reasoning: rate("6"),
            image: Some(Rate::per_unit("0.04").expect("a fee")),
            request: Some(Rate::per_unit("0.5").expect("a fee")),
            character: Some(Rate::per_unit("1").expect("a fee")),
            second: Some(Rate::per_unit("5").expect("a fee")),
            ..flat("1", "4")
        };
        let price = ModelPrice { periods: vec![period(Some(5), rates)] };
        let bound = |characters, seconds| Bound {
            input: 1_000_000,
            ceiling: 2_000_000,
            characters,
            seconds,
            images: 0,
        };
        let most_of = |bound, at| price.most(&bound, Timestamp(at)).map(Pico::to_decimal);
        let most = |at| most_of(bound(4, 2), at);
        assert_eq!(most_of(bound(4, 3), 5).as_deref(), Some("19.50"));
        assert_eq!(most(5).as_deref(), Some("14.50"));
        assert_eq!(most_of(Bound { images: 10, ..bound(0, 0) }, 5).as_deref(), Some("14.90"));
        assert_eq!(most(4), None);
    }

    #[test]
    fn the_same_prices_have_the_same_version() {
        let book = |input: &str, names: &[&str]| {
            let price = ModelPrice { periods: vec![period(None, flat(input, "4"))] };
            PriceBook::new(names.iter().map(|name| (Arc::from(*name), price.clone())).collect())
        };
        assert_eq!(book("1", &["a", "b"]), book("1.000", &["b", "a"]));
        assert_ne!(book("1", &["a"]).version, book("2", &["a"]).version);
        assert_ne!(book("1", &["a"]).version, book("1", &["b"]).version);
        assert_eq!(
            book("1", &["a"]).version,
            14_452_633_417_611_075_842,
            "a version must never change between builds"
        );
        let by_the_second = Rates { second: rate("1"), ..flat("1", "4") };
        let price = ModelPrice { periods: vec![period(None, by_the_second)] };
        assert_ne!(book("1", &["a"]).version, PriceBook::new([(Arc::from("a"), price)].into()).version);
    }
}
