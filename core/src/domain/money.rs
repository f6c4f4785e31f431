//! Money as integers: 10⁻¹² of a currency unit, never a float.
//!
//! A rate in currency per 1M tokens with at most six decimals is a whole number of 10⁻¹²
//! units per token, so rate × tokens is exact.

use serde::{Deserialize, Serialize};
use std::{fmt, iter::Sum, ops::Add, str::FromStr};

const PICO_PER_UNIT: i128 = 1_000_000_000_000;
/// Digits after the point that a rate may have.
const RATE_DECIMALS: usize = 6;
/// Digits after the point that an amount may have.
const AMOUNT_DECIMALS: usize = 12;

/// An amount in 10⁻¹² of the configured currency's unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pico(pub i128);

/// A price: 10⁻¹² of a currency unit for one token (or one image, search, character, second, request).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(pub u64);

/// A text is not a decimal that fits.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MoneyError {
    #[error("`{0}` is not a decimal number")]
    NotDecimal(String),
    #[error("`{0}` has more than {1} digits after the point")]
    TooFine(String, usize),
    #[error("`{0}` is too large")]
    TooLarge(String),
    #[error("`{0}` is negative")]
    Negative(String),
}

impl Rate {
    /// What `count` tokens cost at this rate.
    #[must_use]
    pub fn times(self, count: u64) -> Pico {
        Pico(i128::from(self.0) * i128::from(count))
    }

    /// Reads a quoted rate in currency per 1M tokens, such as `"1.05"`.
    ///
    /// # Errors
    /// Not a decimal, negative, more than six decimals, or beyond 64 bits.
    pub fn per_million(text: &str) -> Result<Self, MoneyError> {
        let scaled = parse_scaled(text, RATE_DECIMALS)?;
        if scaled < 0 {
            return Err(MoneyError::Negative(text.to_owned()));
        }
        u64::try_from(scaled).map(Self).map_err(|_| MoneyError::TooLarge(text.to_owned()))
    }

    /// Reads a quoted fee in currency for one unit (an image, a search, a character, a second, a request).
    ///
    /// # Errors
    /// Not a decimal, negative, more than twelve decimals, or beyond 64 bits (18 million).
    pub fn per_unit(text: &str) -> Result<Self, MoneyError> {
        let Pico(fee) = text.parse()?;
        if fee < 0 {
            return Err(MoneyError::Negative(text.to_owned()));
        }
        u64::try_from(fee).map(Self).map_err(|_| MoneyError::TooLarge(text.to_owned()))
    }

    /// The rate back in currency per 1M tokens, without trailing zeros.
    #[must_use]
    pub fn to_per_million(self) -> String {
        format_scaled(i128::from(self.0), 1_000_000, RATE_DECIMALS, 0)
    }
}

impl Pico {
    pub const ZERO: Self = Self(0);

    /// The amount as a decimal, exact and unrounded, at least two digits after the point.
    #[must_use]
    pub fn to_decimal(self) -> String {
        format_scaled(self.0, PICO_PER_UNIT, AMOUNT_DECIMALS, 2)
    }
}

/// An amount as the decimal that it is, for whoever keeps it as a text.
pub mod decimal {
    use super::Pico;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    /// # Errors
    /// What `to` says.
    pub fn serialize<S: Serializer>(amount: &Pico, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&amount.to_decimal())
    }

    /// # Errors
    /// It is no text of a decimal.
    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Pico, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl FromStr for Pico {
    type Err = MoneyError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_scaled(text, AMOUNT_DECIMALS).map(Self)
    }
}

impl fmt::Display for Pico {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_decimal())
    }
}

impl Add for Pico {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Pico {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Reads `[-]digits[.digits]` as an integer scaled by 10^decimals.
fn parse_scaled(text: &str, decimals: usize) -> Result<i128, MoneyError> {
    let not_decimal = || MoneyError::NotDecimal(text.to_owned());
    let too_large = || MoneyError::TooLarge(text.to_owned());
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return Err(not_decimal());
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > decimals {
        return Err(MoneyError::TooFine(text.to_owned(), decimals));
    }
    let mut scaled: i128 = 0;
    let padding = std::iter::repeat_n(b'0', decimals - fraction.len());
    for digit in whole.bytes().chain(fraction.bytes()).chain(padding) {
        scaled = scaled
            .checked_mul(10)
            .and_then(|value| value.checked_add(i128::from(digit - b'0')))
            .ok_or_else(too_large)?;
    }
    Ok(if negative { -scaled } else { scaled })
}

fn format_scaled(value: i128, unit: i128, decimals: usize, at_least: usize) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let magnitude = value.unsigned_abs();
    let unit = unit.unsigned_abs();
    let mut fraction = format!("{:0decimals$}", magnitude % unit);
    while fraction.len() > at_least && fraction.ends_with('0') {
        fraction.pop();
    }
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", magnitude / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_times_tokens_is_exact() {
        let rate = Rate::per_million("1.05").expect("a rate");
        assert_eq!(rate.times(3), Pico(3_150_000));
        assert_eq!(rate.times(3).to_decimal(), "0.00000315");
        assert_eq!(rate.to_per_million(), "1.05");
        assert_eq!(Rate::per_million("4.20").expect("a rate").to_per_million(), "4.2");
        assert_eq!(Rate::per_million("0").expect("a rate"), Rate(0));
    }

    #[test]
    fn amounts_read_back_what_they_print() {
        for text in ["0.00", "-12.345678901234", "1000000000000000.00", "0.000000000001"] {
            let amount: Pico = text.parse().expect("an amount");
            assert_eq!(amount.to_decimal(), text);
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        assert!(matches!(Rate::per_million("-1"), Err(MoneyError::Negative(_))));
        assert!(matches!(Rate::per_million("1.0000001"), Err(MoneyError::TooFine(..))));
        assert!(matches!(Rate::per_million("1e3"), Err(MoneyError::NotDecimal(_))));
        assert!(matches!(Rate::per_million(".5"), Err(MoneyError::NotDecimal(_))));
        assert!(matches!(Rate::per_million("99999999999999999999"), Err(MoneyError::TooLarge(_))));
    }
}
