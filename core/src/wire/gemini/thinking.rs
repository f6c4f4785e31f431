//! How much a model is to think: <https://ai.google.dev/gemini-api/docs/thinking>.
//!
//! From its third generation on the vendor's models take a level, those before take a number of
//! tokens, and whoever is given both refuses. The number is what an unknown model is given: newer
//! ones still understand it.

use super::types::{ThinkingConfig, Whole};
use crate::wire::chat::{Dropped, Effort, Reasoning};

/// Most tokens of thinking that the second generation takes, and its small models.
const BUDGET_MAX: u64 = 32_768;
const BUDGET_MAX_FLASH: u64 = 24_576;
/// Fewest of its large models, which cannot be kept from thinking.
const BUDGET_MIN_PRO: u64 = 128;

/// The generation of a model of the vendor's own; `None`: another model.
fn generation(model: &str) -> Option<u32> {
    let after = &model[model.rfind("gemini-")? + "gemini-".len()..];
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    if digits.is_empty() && after.ends_with("-latest") {
        return Some(3);
    }
    digits.parse().ok()
}

/// Whether it is of the third generation or a later one.
pub(super) fn is_third(model: &str) -> bool {
    generation(model).is_some_and(|generation| generation >= 3)
}

pub(super) fn config(wanted: &Reasoning, model: &str, dropped: &mut Dropped) -> Option<ThinkingConfig> {
    let mut config = ThinkingConfig {
        // Who asks for a summary asks to see it.
        include_thoughts: wanted.shown.or(wanted.summary.as_ref().map(|_| true)),
        ..ThinkingConfig::default()
    };
    if is_third(model) {
        let effort = wanted.effort.or(wanted.budget.map(Effort::of_budget));
        // As much as the model likes is what it does unless it is told.
        config.thinking_level = effort.map(|effort| level(effort, model, dropped).to_owned());
    } else {
        let effort = wanted.effort.filter(|_| !wanted.adaptive);
        let budget = wanted.budget.or(effort.map(Effort::budget));
        let budget = budget.map(|budget| within(budget, model, dropped));
        config.thinking_budget = budget.or(wanted.adaptive.then_some(-1)).map(Whole);
    }
    (config != ThinkingConfig::default()).then_some(config)
}

/// The nearest level that models of the third generation have in all their versions: none can be kept from
/// thinking, and only small ones think less than little.
fn level(effort: Effort, model: &str, dropped: &mut Dropped) -> &'static str {
    let (level, is_exact) = match effort {
        Effort::None | Effort::Minimal if model.contains("lite") => ("MINIMAL", effort == Effort::Minimal),
        Effort::None | Effort::Minimal => ("LOW", false),
        Effort::Low => ("LOW", true),
        Effort::Medium => ("MEDIUM", true),
        Effort::High => ("HIGH", true),
        Effort::ExtraHigh | Effort::Max => ("HIGH", false),
    };
    dropped.note_if(!is_exact, "reasoning_effort");
    level
}

/// The nearest number that the model takes.
fn within(budget: u64, model: &str, dropped: &mut Dropped) -> i64 {
    let is_known = generation(model).is_some();
    let most = if model.contains("flash") { BUDGET_MAX_FLASH } else { BUDGET_MAX };
    let least = if is_known && model.contains("pro") { BUDGET_MIN_PRO } else { 0 };
    let taken = if is_known { budget.clamp(least, most) } else { budget };
    dropped.note_if(taken != budget, "reasoning_effort");
    i64::try_from(taken).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_says_its_generation() {
        for (model, expect) in [
            ("gemini-3-pro-preview", Some(3)),
            ("publishers/google/models/gemini-3.1-flash", Some(3)),
            ("gemini-2.5-flash", Some(2)),
            ("gemini-flash-latest", Some(3)),
            ("gemini-embedding-001", None),
            ("gemini-", None),
            ("gemini-99999999999999", None),
            ("upstream-model", None),
        ] {
            assert_eq!(generation(model), expect, "{model}");
        }
    }

    #[test]
    fn each_model_is_told_in_its_own_way() {
        let effort = |effort| Reasoning { effort: Some(effort), ..Reasoning::default() };
        let budget = |budget| Reasoning { budget: Some(budget), ..Reasoning::default() };
        let adaptive = Reasoning { adaptive: true, ..Reasoning::default() };
        let check = |wanted: &Reasoning, model: &str, number, level, lost| {
            let mut dropped = Dropped::default();
            let config = config(wanted, model, &mut dropped).unwrap();
            assert_eq!(
                (config.thinking_budget.map(|budget| budget.0), config.thinking_level.as_deref()),
                (number, level),
                "{wanted:?} {model}"
            );
            assert_eq!(!dropped.is_empty(), lost, "{wanted:?} {model}");
        };
        check(&effort(Effort::Medium), "gemini-3-flash", None, Some("MEDIUM"), false);
        check(&effort(Effort::None), "gemini-3.1-flash-lite", None, Some("MINIMAL"), true);
        check(&effort(Effort::Minimal), "gemini-3.1-flash-lite", None, Some("MINIMAL"), false);
        check(&effort(Effort::Minimal), "gemini-3.8-flash", None, Some("LOW"), true);
        check(&effort(Effort::None), "gemini-3-pro", None, Some("LOW"), true);
        check(&effort(Effort::Max), "gemini-3-pro", None, Some("HIGH"), true);
        check(&budget(10_000), "gemini-3-pro", None, Some("HIGH"), false);
        check(&effort(Effort::Medium), "gemini-2.5-pro", Some(8_192), None, false);
        check(&effort(Effort::None), "gemini-2.5-pro", Some(128), None, true);
        check(&effort(Effort::None), "gemini-2.5-flash", Some(0), None, false);
        check(&budget(31_999), "gemini-2.5-flash", Some(24_576), None, true);
        check(&budget(100_000), "tuned", Some(100_000), None, false);
        check(&adaptive, "tuned", Some(-1), None, false);
        for wanted in [adaptive, Reasoning::default()] {
            assert!(config(&wanted, "gemini-3-pro", &mut Dropped::default()).is_none());
        }
    }

    #[test]
    fn who_asks_for_a_summary_sees_thoughts() {
        let wanted = Reasoning { summary: Some("auto".to_owned()), ..Reasoning::default() };
        let config = config(&wanted, "gemini-3-pro", &mut Dropped::default()).unwrap();
        assert_eq!(config, ThinkingConfig { include_thoughts: Some(true), ..ThinkingConfig::default() });
    }
}
