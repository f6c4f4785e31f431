//! Durations, sizes and decimals.

use super::Misfit;
use crate::domain::money::{Pico, Rate};
use std::time::Duration;

/// Names of units with how many of the smallest one they hold, largest first.
type Units = &'static [(&'static str, u64)];

const TIME: Units = &[("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const BYTES: Units = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
/// A longer number is nobody's duration or size, and would only be printed back.
const DIGITS_MAX: usize = 19;

pub(super) fn span(text: &str) -> Result<Duration, Misfit> {
    let other = [("sec", "s"), ("min", "m"), ("hour", "h"), ("milli", "ms"), ("d", "h")];
    quantity(text, TIME, "a duration such as `250ms`, `10s`, `15m` or `24h`", |digits, unit| {
        let (from, unit) = match unit {
            "" => ("", "s"),
            _ => *other.iter().find(|(from, _)| unit.starts_with(from))?,
        };
        let factor = if from == "d" { 24 } else { 1 };
        Some(format!("{}{unit}", digits.checked_mul(factor)?))
    })
    .map(Duration::from_millis)
}

pub(super) fn size(text: &str) -> Result<u64, Misfit> {
    quantity(text, BYTES, "a size such as `64KiB` or `32MiB`", |digits, unit| {
        let unit = match unit.to_ascii_lowercase().as_str() {
            "" | "byte" | "bytes" => "B",
            "k" | "kb" | "kib" => "KiB",
            "m" | "mb" | "mib" => "MiB",
            "g" | "gb" | "gib" => "GiB",
            _ => return None,
        };
        Some(format!("{digits}{unit}"))
    })
}

/// `duration` as YAML writes it, in the largest unit that is exact.
pub(in crate::config) fn format_span(duration: Duration) -> String {
    format_quantity(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), TIME)
}

/// `bytes` as YAML writes them.
pub(in crate::config) fn format_size(bytes: u64) -> String {
    format_quantity(bytes, BYTES)
}

pub(super) fn per_million(text: &str) -> Result<Rate, Misfit> {
    decimal(text, "a rate per million tokens", Rate::per_million(text))
}

pub(super) fn per_unit(text: &str) -> Result<Rate, Misfit> {
    decimal(text, "a fee", Rate::per_unit(text))
}

pub(super) fn amount(text: &str) -> Result<String, Misfit> {
    let amount = decimal(text, "an amount", text.parse::<Pico>())?;
    if amount < Pico::ZERO {
        return Err(Misfit::new("an amount cannot be negative"));
    }
    Ok(amount.to_decimal())
}

pub(super) fn share(text: &str) -> Result<u64, Misfit> {
    const PICO_PER_THOUSANDTH: i128 = 1_000_000_000;
    let Pico(share) = decimal(text, "a share", text.parse())?;
    if !(0..=1_000 * PICO_PER_THOUSANDTH).contains(&share) || share % PICO_PER_THOUSANDTH != 0 {
        return Err(Misfit::new("expected a share from \"0\" to \"1\" with at most three decimals"));
    }
    Ok(u64::try_from(share / PICO_PER_THOUSANDTH).unwrap_or(0))
}

fn decimal<T, E: std::fmt::Display>(text: &str, what: &str, parsed: Result<T, E>) -> Result<T, Misfit> {
    parsed.map_err(|error| {
        let message = format!("expected {what} as a quoted decimal such as \"1.05\": {error}");
        let meant = text.trim().trim_start_matches('+').replace(['_', ' '], "").replace(',', ".");
        let meant = if meant.starts_with('.') { format!("0{meant}") } else { meant };
        let better = meant != text && meant.parse::<Pico>().is_ok_and(|amount| amount >= Pico::ZERO);
        Misfit { message, suggestion: better.then_some(meant) }
    })
}

fn quantity(
    text: &str,
    units: Units,
    expected: &str,
    meant: impl FnOnce(u64, &str) -> Option<String>,
) -> Result<u64, Misfit> {
    let split = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let wrong = || Misfit::new(format!("expected {expected}"));
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(Misfit { suggestion: meant(number, unit.trim()), ..wrong() });
    };
    number.checked_mul(*factor).ok_or_else(|| Misfit::new("the value is too large"))
}

fn format_quantity(value: u64, units: Units) -> String {
    let exact = units.iter().find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor));
    let (unit, factor) = exact.or(units.last()).copied().unwrap_or(("", 1));
    format!("{}{unit}", value / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_read_and_print() {
        for text in ["250ms", "10s", "15m", "24h", "0ms", "90s"] {
            assert_eq!(format_span(span(text).expect("a duration")), text);
        }
        for text in ["1B", "64KiB", "32MiB", "3GiB"] {
            assert_eq!(format_size(size(text).expect("a size")), text);
        }
    }

    #[test]
    fn near_misses_say_what_was_meant() {
        for (text, meant) in [
            ("10", "10s"),
            ("10sec", "10s"),
            ("5 min", "5m"),
            ("2d", "48h"),
            ("3hours", "3h"),
            ("9millis", "9ms"),
        ] {
            assert_eq!(span(text).expect_err("no duration").suggestion.as_deref(), Some(meant), "{text}");
        }
        assert_eq!(size("64MB").expect_err("no size").suggestion.as_deref(), Some("64MiB"));
        assert_eq!(per_million("1,05").expect_err("no rate").suggestion.as_deref(), Some("1.05"));
        assert_eq!(per_million(".5").expect_err("no rate").suggestion.as_deref(), Some("0.5"));
        for text in ["", "ms", "-1s", "99999999999999999999s", "18446744073709551615h", "1.5s"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn decimals_stay_within_their_kind() {
        assert!(per_million("1.0000001").is_err());
        assert!(per_million("-1").is_err());
        assert_eq!(per_unit("0.000000000001"), Ok(Rate(1)));
        assert!(per_unit("18446745").is_err());
        assert_eq!(amount("19.9"), Ok("19.90".to_owned()));
        assert!(amount("-1").is_err());
        assert_eq!(share("0.125"), Ok(125));
        assert!(share("1.001").is_err());
        assert!(share("0.0001").is_err());
    }
}
