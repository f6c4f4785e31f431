//! `billing`, `models` and `plans`: what is sold, where it comes from and what it costs.

use crate::config::form::{Amount, Currency, Label, Moment, PerMillion, PerUnit, Span, UpstreamModel, Zone};
use crate::domain::{money::Rate, price::Class};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{collections::BTreeMap, time::Duration};

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Billing {
    /// Default `CNY`.
    pub currency: Currency,
    /// What becomes of a model without a price. Default `reject`.
    pub unpriced: Unpriced,
    /// Default `Asia/Shanghai`.
    pub time_zone: Zone,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unpriced {
    /// It is refused.
    Reject,
    /// Its usage is kept apart until there is a price.
    Quarantine,
}

/// A model that callers can name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Default: the model's name.
    pub display_name: Option<Label>,
    /// Other names for it.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub aliases: Vec<UpstreamModel>,
    /// Tokens of prompt and answer together. Absent: the upstream decides.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub context_window: Option<u64>,
    /// Tokens of an answer.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max_output_tokens: Option<u64>,
    /// What it can do. Absent: not checked.
    #[schemars(length(max = 16))]
    pub capabilities: Option<Vec<Capability>>,
    /// Whether sandbox keys may call it.
    #[serde(default)]
    pub sandbox: bool,
    /// One set of rates, or a list of them with `from`.
    pub price: Option<Price>,
    pub route: Route,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    Chat,
    Tools,
    Vision,
    ImageOutput,
    Embeddings,
    Audio,
    Rerank,
    Moderation,
    Reasoning,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Price {
    One(Box<PricePeriod>),
    Many(#[schemars(length(min = 1, max = 256))] Vec<PricePeriod>),
}

/// The rates that a period or a tier states.
pub type Classes = Vec<(Class, Rate)>;

/// Declares a struct of rates: its own fields, then one for each class.
macro_rules! with_rates {
    ($(#[$meta:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($own)*
            /// Per 1M tokens, quoted; `"0"` is a price.
            pub input: Option<PerMillion>,
            /// Per 1M tokens that the upstream had cached.
            pub cache_read: Option<PerMillion>,
            /// Per 1M tokens written to a cache for five minutes.
            pub cache_write_5m: Option<PerMillion>,
            /// Per 1M tokens written to a cache for an hour.
            pub cache_write_1h: Option<PerMillion>,
            /// Per 1M tokens of audio in the prompt.
            pub audio_in: Option<PerMillion>,
            /// Per 1M tokens.
            pub output: Option<PerMillion>,
            /// Per 1M tokens of thinking. Default: as `output`.
            pub reasoning: Option<PerMillion>,
            /// Per 1M tokens of audio in the answer.
            pub audio_out: Option<PerMillion>,
            /// Per image.
            pub image: Option<PerUnit>,
            /// Per search.
            pub search: Option<PerUnit>,
            /// Per character of a text that is spoken, where the upstream tells no tokens.
            pub character: Option<PerUnit>,
            /// Per second of a recording that is heard, begun ones whole, where the upstream tells no tokens.
            pub second: Option<PerUnit>,
            /// Per request, added to the rest.
            pub request: Option<PerUnit>,
        }

        impl $name {
            /// The rates that are stated.
            #[must_use]
            pub fn classes(&self) -> Classes {
                let tokens = [
                    (Class::Input, &self.input),
                    (Class::CacheRead, &self.cache_read),
                    (Class::CacheWrite5m, &self.cache_write_5m),
                    (Class::CacheWrite1h, &self.cache_write_1h),
                    (Class::AudioIn, &self.audio_in),
                    (Class::Output, &self.output),
                    (Class::Reasoning, &self.reasoning),
                    (Class::AudioOut, &self.audio_out),
                ];
                let units = [
                    (Class::Image, &self.image),
                    (Class::Search, &self.search),
                    (Class::Character, &self.character),
                    (Class::Second, &self.second),
                    (Class::Request, &self.request),
                ];
                let tokens = tokens.into_iter().filter_map(|(class, rate)| Some((class, rate.as_ref()?.0)));
                let units = units.into_iter().filter_map(|(class, fee)| Some((class, fee.as_ref()?.0)));
                tokens.chain(units).collect()
            }
        }
    };
}

with_rates! {
    /// Rates in the billing currency, from one instant on.
    PricePeriod {
        /// Absent: from the beginning.
        pub from: Option<Moment>,
        /// Rates for long prompts; a class that a tier leaves out costs as without it.
        #[serde(default)]
        #[schemars(length(max = 16))]
        pub tiers: Vec<PriceTier>,
    }
}

with_rates! {
    /// Rates of the whole request once its prompt is longer than `above` tokens.
    PriceTier {
        #[schemars(range(min = 1, max = 1_000_000_000))]
        pub above: u64,
    }
}

/// The deployments that a model's requests can go to.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Default `weighted`.
    #[serde(default)]
    pub policy: PolicyName,
    #[schemars(length(min = 1, max = 64))]
    pub deployments: Vec<Deployment>,
    /// Tries before the first byte, over all deployments. Default 3.
    #[serde(default = "attempts")]
    #[schemars(range(min = 1, max = 10))]
    pub attempts: u32,
    /// Default: all of them.
    #[serde(default = "retry_on")]
    #[schemars(length(max = 5))]
    pub retry_on: Vec<RetryReason>,
    #[serde(default)]
    pub cool_down: CoolDown,
    /// Not supported yet.
    pub hedge_after: Option<Span>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyName {
    /// Drawn by weight.
    #[default]
    Weighted,
    /// Lowest `priority` first, drawn by weight within one.
    Priority,
    /// Not supported yet.
    LeastLatency,
    /// Not supported yet.
    LeastBusy,
    /// Not supported yet.
    Cheapest,
    /// Not supported yet.
    Sticky,
}

/// Which account, and which model id there.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// A name of `providers`.
    pub provider: String,
    /// The upstream's own id. Default: the model's name.
    pub model: Option<UpstreamModel>,
    /// Default 1; 0: only when no other can be tried.
    #[serde(default = "weight")]
    #[schemars(range(max = 1_000_000))]
    pub weight: u32,
    /// For policy `priority`: the lowest is tried first.
    #[schemars(range(max = 1_000_000))]
    pub priority: Option<u32>,
    /// What it costs the operator, written as a `price`. Organizations never see it.
    pub cost: Option<Price>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryReason {
    Connect,
    Timeout,
    #[serde(rename = "429")]
    TooManyRequests,
    #[serde(rename = "5xx")]
    ServerError,
    FirstEventError,
}

/// When a failing deployment rests.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CoolDown {
    /// After so many failures (default 3)…
    #[schemars(range(min = 1, max = 1000))]
    pub after: u32,
    /// …within this time (default `30s`)…
    pub within: Span,
    /// …it rests for this long (default `15s`)…
    #[serde(rename = "for")]
    pub pause: Span,
    /// …doubling up to this (default `5m`).
    pub max: Span,
}

/// What an organization may call, how fast, and at what fee. Limits go by model name; `*` gives
/// each model that is not named a bucket of its own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// Default: the plan's code.
    pub name: Option<Label>,
    /// Model names, or `*` for all. Default `["*"]`.
    #[schemars(length(max = 4096))]
    pub models: Vec<String>,
    /// Requests in any 60 seconds.
    pub rpm_limits: BTreeMap<String, Limit>,
    /// Tokens in any 60 seconds.
    pub tpm_limits: BTreeMap<String, Limit>,
    /// Requests in any 24 hours.
    pub rpd_limits: BTreeMap<String, Limit>,
    /// Requests at once.
    pub concurrency_limits: BTreeMap<String, Limit>,
    /// Default `"0.00"`.
    pub monthly_fee: Amount,
    /// Default true.
    pub sandbox_included: bool,
    /// Default `standard`.
    pub sla_tier: Label,
    /// Rates in the place of the model's own, quoted, whatever the time and the length of the prompt: under
    /// `<model>` of all tokens, under `<model>:<class>` of one class, as in `gpt-4o:cache_read`. `:image`,
    /// `:search`, `:character`, `:second` and `:request` are for one.
    pub price_per_1m_tokens: BTreeMap<String, Amount>,
}

/// How much of something a plan allows. Zero is not a limit: leave the model out instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Limit(#[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))] pub u64);

impl Price {
    #[must_use]
    pub fn periods(&self) -> &[PricePeriod] {
        match self {
            Self::One(period) => std::slice::from_ref(period),
            Self::Many(periods) => periods,
        }
    }
}

impl Capability {
    /// The name in YAML and in the management API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Tools => "tools",
            Self::Vision => "vision",
            Self::ImageOutput => "image_output",
            Self::Embeddings => "embeddings",
            Self::Audio => "audio",
            Self::Rerank => "rerank",
            Self::Moderation => "moderation",
            Self::Reasoning => "reasoning",
        }
    }
}

fn attempts() -> u32 {
    3
}

fn weight() -> u32 {
    1
}

fn retry_on() -> Vec<RetryReason> {
    use RetryReason::{Connect, FirstEventError, ServerError, Timeout, TooManyRequests};
    vec![Connect, Timeout, TooManyRequests, ServerError, FirstEventError]
}

impl Default for Billing {
    fn default() -> Self {
        Self {
            currency: Currency("CNY".to_owned()),
            unpriced: Unpriced::Reject,
            time_zone: Zone(chrono_tz::Asia::Shanghai),
        }
    }
}

impl Default for CoolDown {
    fn default() -> Self {
        let seconds = |count| Span(Duration::from_secs(count));
        Self { after: 3, within: seconds(30), pause: seconds(15), max: seconds(300) }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            name: None,
            models: vec![crate::domain::plan::EVERY_MODEL.to_owned()],
            rpm_limits: BTreeMap::new(),
            tpm_limits: BTreeMap::new(),
            rpd_limits: BTreeMap::new(),
            concurrency_limits: BTreeMap::new(),
            monthly_fee: Amount("0.00".to_owned()),
            sandbox_included: true,
            sla_tier: Label("standard".to_owned()),
            price_per_1m_tokens: BTreeMap::new(),
        }
    }
}
