//! An independent calculator: what a truth costs, in integers of 10⁻¹² currency units.

use super::upstream::truth::Truth;

const DIGITS: usize = 12;

/// Decimal text in units of 10⁻¹². Panics on anything else, and on more digits than twelve.
pub fn pico(decimal: &str) -> i128 {
    let (sign, digits) = match decimal.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, decimal),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let part = part.trim_end_matches('0');
    assert!(part.len() <= DIGITS, "{decimal} has more than {DIGITS} digits");
    let scaled = format!("{whole}{part:0<DIGITS$}");
    sign * scaled.parse::<i128>().unwrap_or_else(|_| panic!("{decimal:?} is not a decimal"))
}

/// Prices per million tokens, as the default settings have them.
pub const INPUT: &str = "1.05";
pub const CACHE_READ: &str = "0.525";
pub const OUTPUT: &str = "4.20";

/// What `truth` costs under the default prices, in units of 10⁻¹².
pub fn cost(truth: &Truth) -> i128 {
    let per_token = |rate: &str| pico(rate) / 1_000_000;
    let times = |rate: &str, count: u64| per_token(rate) * i128::from(count);
    times(INPUT, truth.prompt - truth.cached)
        + times(CACHE_READ, truth.cached)
        + times(OUTPUT, truth.completion)
}
