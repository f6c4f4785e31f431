//! How much is to be thought, and what depends on it: the most tokens and the sampling.
//!
//! What is written follows what [`Model`] knows of the model's name: older ones take a budget of tokens,
//! later ones only an effort, with thinking that adapts and no sampling at all. A model of another name is
//! asked as the caller asked.

use super::{
    model::{Model, Takes, Thinks},
    types::ThinkingConfig,
};
use crate::wire::chat::{ChatRequest, Dropped, Effort, Reasoning, Sampling};
use serde_json::Number;
use std::borrow::Cow;

/// The most tokens of an answer where the request does not say, which this dialect demands. What is
/// thought comes on top, up to [`DEFAULT_MAX_TOKENS_THINKING`].
const DEFAULT_MAX_TOKENS: u64 = 8_192;
/// As many tokens every model that thinks may write.
const DEFAULT_MAX_TOKENS_THINKING: u64 = 32_000;
/// Least budget of thinking, in tokens; it must also be below the most tokens of the answer.
const MIN_BUDGET: u64 = 1_024;
/// Least `top_p` that is taken together with thinking.
const MIN_TOP_P_THINKING: f64 = 0.95;

/// What is asked of a model about thinking, tokens and sampling.
pub(super) struct Plan<'a> {
    pub(super) thinking: Option<ThinkingConfig>,
    pub(super) effort: Option<&'static str>,
    pub(super) max_tokens: u64,
    pub(super) temperature: Option<&'a Number>,
    pub(super) top_p: Option<&'a Number>,
    pub(super) top_k: Option<u64>,
}

impl<'a> Plan<'a> {
    /// `no_budget`: a tool must be called, or results answer calls before which no thought of this dialect
    /// stands; with a budget both are refused.
    pub(super) fn of(
        request: &'a ChatRequest,
        reasoning: &Reasoning,
        model: Model,
        no_budget: bool,
        dropped: &mut Dropped,
    ) -> Self {
        let mode = Mode::of(reasoning, model.thinks, no_budget, dropped);
        let room = match mode {
            Mode::Budget(budget) => budget,
            Mode::Adaptive => reasoning.effort.unwrap_or(Effort::High).budget(),
            Mode::Unsaid if model.thinks.by_itself() => Effort::High.budget(),
            Mode::Unsaid | Mode::Off(_) => 0,
        };
        let default = DEFAULT_MAX_TOKENS.saturating_add(room).min(DEFAULT_MAX_TOKENS_THINKING);
        let max_tokens = request.max_tokens.unwrap_or(default);
        let thinking = mode.config(max_tokens, reasoning, dropped);
        let detail = reasoning.summary.as_deref();
        dropped.note_if(detail.is_some_and(|detail| detail != "auto"), "reasoning.summary");
        let is_thinking = thinking.is_some() && !matches!(mode, Mode::Off(_));
        let (temperature, top_p, top_k) = sampling(&request.sampling, model.takes, is_thinking, dropped);
        let effort = effort(reasoning, model, mode, dropped);
        Self { thinking, effort, max_tokens, temperature, top_p, top_k }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// As the model does by itself.
    Unsaid,
    /// In the dialect's word for the least.
    Off(&'static str),
    /// Of so many tokens.
    Budget(u64),
    Adaptive,
}

impl Mode {
    fn of(reasoning: &Reasoning, thinks: Thinks, no_budget: bool, dropped: &mut Dropped) -> Self {
        if matches!(reasoning, Reasoning { budget: None, adaptive: false, effort: None, .. }) {
            return Self::Unsaid;
        }
        let is_off = is_off(reasoning);
        // Without a budget of its own an effort stands for one.
        let of_effort = || reasoning.effort.filter(|effort| *effort != Effort::None).map(Effort::budget);
        let budget = reasoning.budget.or_else(of_effort).unwrap_or(Effort::High.budget());
        let mode = match thinks {
            Thinks::Never | Thinks::WhenAsked if is_off => return Self::Unsaid,
            Thinks::AlwaysBetweenTools if is_off => Some(Self::Off("between_tools")),
            Thinks::Always if is_off => None,
            _ if is_off => Some(Self::Off("disabled")),
            Thinks::Never => None,
            Thinks::Unknown if reasoning.adaptive => Some(Self::Adaptive),
            Thinks::Unknown | Thinks::Budget => (!no_budget).then_some(Self::Budget(budget)),
            Thinks::BudgetOrAdaptive if reasoning.budget.is_some() && !no_budget => {
                Some(Self::Budget(budget))
            }
            _ => Some(Self::Adaptive),
        };
        dropped.note_if(mode.is_none(), "reasoning");
        mode.unwrap_or(Self::Unsaid)
    }

    /// A budget leaves room for an answer of `max_tokens` in all; where there is none, nothing is thought.
    fn config(self, max_tokens: u64, reasoning: &Reasoning, dropped: &mut Dropped) -> Option<ThinkingConfig> {
        let (kind, budget_tokens) = match self {
            Self::Unsaid => return None,
            Self::Off(word) => (word, None),
            Self::Adaptive => ("adaptive", None),
            Self::Budget(_) if max_tokens <= MIN_BUDGET => {
                dropped.note("reasoning");
                return None;
            }
            Self::Budget(budget) if budget < max_tokens => ("enabled", Some(budget.max(MIN_BUDGET))),
            Self::Budget(_) => ("enabled", Some((max_tokens - max_tokens / 4).max(MIN_BUDGET))),
        };
        // Thoughts are shown or not where the caller says so.
        let shown = reasoning.shown.or(reasoning.summary.is_some().then_some(true));
        let display = shown.filter(|_| !matches!(self, Self::Off(_)));
        let display = display.map(|shown| Cow::Borrowed(if shown { "summarized" } else { "omitted" }));
        Some(ThinkingConfig { kind: Cow::Borrowed(kind), budget_tokens, display })
    }
}

/// Whether nothing is to be thought.
fn is_off(reasoning: &Reasoning) -> bool {
    match reasoning.budget {
        Some(budget) => budget == 0,
        None => !reasoning.adaptive && reasoning.effort == Some(Effort::None),
    }
}

/// The word for the effort, also where only a budget is given to a model that takes none.
fn effort(reasoning: &Reasoning, model: Model, mode: Mode, dropped: &mut Dropped) -> Option<&'static str> {
    if matches!(model.thinks, Thinks::Never | Thinks::Budget) {
        // Without a budget beside it, the effort has become one.
        dropped.note_if(reasoning.effort.is_some() && reasoning.budget.is_some(), "effort");
        return None;
    }
    let asked = reasoning.effort.filter(|effort| *effort != Effort::None);
    let of_budget = reasoning.budget.filter(|_| mode == Mode::Adaptive).map(Effort::of_budget);
    // The least is the nearest to nothing, where thinking cannot be turned off.
    let least = (is_off(reasoning) && model.thinks == Thinks::Always).then_some(Effort::Minimal);
    Some(match asked.or(of_budget).or(least)? {
        Effort::None => return None,
        Effort::Minimal => Effort::Low.as_str(),
        // More than that is refused without thinking.
        Effort::ExtraHigh | Effort::Max if matches!(mode, Mode::Off(_)) => Effort::High.as_str(),
        Effort::ExtraHigh if !model.knows_extra_high => Effort::High.as_str(),
        effort => effort.as_str(),
    })
}

/// What of the sampling the model takes, all the less while it thinks: `temperature`, `top_p`, `top_k`.
fn sampling<'a>(
    asked: &'a Sampling,
    takes: Takes,
    is_thinking: bool,
    dropped: &mut Dropped,
) -> (Option<&'a Number>, Option<&'a Number>, Option<u64>) {
    // 1 is the most here, also of the temperature.
    let is_from =
        |least: f64, number: &Number| number.as_f64().is_some_and(|value| (least..=1.0).contains(&value));
    let takes_any = takes != Takes::None;
    let temperature =
        asked.temperature.as_ref().filter(|number| takes_any && !is_thinking && is_from(0.0, number));
    let takes_top_p = takes == Takes::All || takes == Takes::One && temperature.is_none();
    let least = if is_thinking { MIN_TOP_P_THINKING } else { 0.0 };
    let top_p = asked.top_p.as_ref().filter(|number| takes_top_p && is_from(least, number));
    let top_k = asked.top_k.filter(|_| takes_any && !is_thinking);
    // 1 is as if it were not said.
    let is_lost = |asked: &Option<Number>, kept: Option<&Number>| {
        kept.is_none() && asked.as_ref().is_some_and(|number| number.as_f64() != Some(1.0))
    };
    dropped.note_if(is_lost(&asked.temperature, temperature), "temperature");
    dropped.note_if(is_lost(&asked.top_p, top_p), "top_p");
    dropped.note_if(asked.top_k.is_some() && top_k.is_none(), "top_k");
    (temperature, top_p, top_k)
}
