//! The only file of the bench that reads a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};

/// The monotonic clock: for durations within one process.
#[expect(clippy::disallowed_methods, reason = "this is the bench's clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Nanoseconds since the epoch: the one clock that the upstream and the load driver, two
/// processes on one machine, have in common.
#[expect(clippy::disallowed_methods, reason = "this is the bench's clock")]
pub(crate) fn epoch_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Parses `10ms`, `2s`, as the gateway's configuration writes durations.
pub(crate) fn parse_duration(text: &str) -> anyhow::Result<Duration> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .with_context(|| format!("{text:?} has no unit: write 10ms or 2s"))?;
    let (digits, unit) = text.split_at(split);
    let number: u64 = digits.parse().with_context(|| format!("{text:?}"))?;
    Ok(match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        _ => bail!("{text:?}: the unit is ms or s"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("10ms").unwrap(), Duration::from_millis(10));
        assert_eq!(parse_duration("2s").unwrap(), Duration::from_secs(2));
        assert!(parse_duration("10").is_err());
        assert!(parse_duration("10h").is_err());
    }
}
