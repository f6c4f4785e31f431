//! Percentages as the API shows them: decimal texts, from integers alone.

use crate::domain::money::Pico;
use std::fmt;

/// A share of a whole, in hundredths of a percent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Percent(pub u64);

impl Percent {
    pub const ZERO: Self = Self(0);

    /// `part` of `whole`, half away from zero; nothing of nothing is zero.
    #[must_use]
    pub fn of(part: u64, whole: u64) -> Self {
        if whole == 0 {
            return Self::ZERO;
        }
        let (part, whole) = (u128::from(part), u128::from(whole));
        Self(u64::try_from((part * 20_000 + whole) / (2 * whole)).unwrap_or(u64::MAX))
    }

    /// The same of amounts; below zero is zero.
    #[must_use]
    pub fn of_amounts(part: Pico, whole: Pico) -> Self {
        let (Ok(part), Ok(whole @ 1..)) = (u128::try_from(part.0), u128::try_from(whole.0)) else {
            return Self::ZERO;
        };
        let doubled = part.saturating_mul(20_000).saturating_add(whole);
        Self(u64::try_from(doubled / whole.saturating_mul(2)).unwrap_or(u64::MAX))
    }

    #[must_use]
    pub fn whole(percent: u64) -> Self {
        Self(percent.saturating_mul(100))
    }
}

/// A decimal without trailing zeros: `0`, `0.05`, `12.5`, `100`.
impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        match (rest, rest % 10) {
            (0, _) => write!(f, "{whole}"),
            (_, 0) => write!(f, "{whole}.{}", rest / 10),
            _ => write!(f, "{whole}.{rest:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_once_and_shown_short() {
        for (part, whole, text) in [
            (0, 0, "0"),
            (5, 0, "0"),
            (0, 7, "0"),
            (1, 3, "33.33"),
            (2, 3, "66.67"),
            (1, 8, "12.5"),
            (1, 2_000, "0.05"),
            (1, 20_000, "0.01"),
            (1, 20_001, "0"),
            (7, 7, "100"),
            (3, 2, "150"),
            (u64::MAX, u64::MAX, "100"),
        ] {
            assert_eq!(Percent::of(part, whole).to_string(), text, "{part} of {whole}");
            let amounts = [part, whole].map(|amount| Pico(amount.into()));
            assert_eq!(Percent::of_amounts(amounts[0], amounts[1]).to_string(), text);
        }
        assert_eq!(Percent::whole(70), Percent::of(70, 100));
        assert_eq!(Percent::of(u64::MAX, 1), Percent(u64::MAX));
    }
}
