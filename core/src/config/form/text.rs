//! Addresses, networks, time zones, names: texts that are more than text.

use super::Misfit;
use crate::{config::suggest, domain::clock::Timestamp};
use chrono::{DateTime, NaiveDate};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// Characters of a label.
const LABEL_CHARS_MAX: usize = 256;
/// Bytes of a model id at an upstream.
const UPSTREAM_MODEL_BYTES_MAX: usize = 512;
/// Bytes of a text with references, before they are replaced.
const INTERPOLATED_BYTES_MAX: usize = 4096;

/// A time as YAML gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    At(Timestamp),
    /// The day's first instant in the zone that prices go by.
    StartOf(NaiveDate),
}

impl When {
    #[must_use]
    pub fn in_zone(self, zone: chrono_tz::Tz) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::StartOf(date) => Timestamp::start_of(date, zone),
        }
    }
}

pub(super) fn address(text: &str) -> Result<SocketAddr, Misfit> {
    text.parse().map_err(|_| {
        let meant = [
            text.replace("localhost", "127.0.0.1"),
            text.replacen('*', "0.0.0.0", 1),
            format!("0.0.0.0{text}"),
            format!("0.0.0.0:{text}"),
        ];
        let message = "expected an IP address and a port such as `0.0.0.0:8080`";
        let suggestion = meant.into_iter().find(|meant| meant.parse::<SocketAddr>().is_ok());
        Misfit { message: message.to_owned(), suggestion }
    })
}

pub(super) fn network(text: &str) -> Result<IpNet, Misfit> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let network: IpNet =
        text.parse().map_err(|_| Misfit::new("expected a network such as `10.0.0.0/8`, or an address"))?;
    let whole = network.trunc();
    if whole != network {
        return Err(Misfit::suggest("the address has bits outside of the network", whole.to_string()));
    }
    Ok(network)
}

pub(super) fn zone(text: &str) -> Result<chrono_tz::Tz, Misfit> {
    text.parse().map_err(|_| Misfit {
        message: "not a time zone of the IANA database, such as `Asia/Shanghai` or `UTC`".to_owned(),
        suggestion: suggest::nearest(text, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())),
    })
}

pub(super) fn currency(text: &str) -> Result<String, Misfit> {
    let is_code = |text: &str| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_code(text) {
        return Ok(text.to_owned());
    }
    let upper = text.to_ascii_uppercase();
    let suggestion = is_code(&upper).then_some(upper);
    Err(Misfit {
        message: "expected a currency code of three capital letters such as `CNY`".to_owned(),
        suggestion,
    })
}

pub(super) fn moment(text: &str) -> Result<When, Misfit> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Ok(When::StartOf(date));
    }
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => Ok(When::At(Timestamp(time.timestamp_millis()))),
        Err(_) => {
            let message = "expected a time such as `2026-01-01T00:00:00+08:00`, or a date";
            let utc = format!("{}Z", text.replacen(' ', "T", 1));
            let suggestion = DateTime::parse_from_rfc3339(&utc).is_ok().then_some(utc);
            Err(Misfit { message: message.to_owned(), suggestion })
        }
    }
}

pub(super) fn prefix(text: &str) -> Result<String, Misfit> {
    let inner = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let starts = text.starts_with(|letter: char| letter.is_ascii_alphabetic());
    if (2..=32).contains(&text.len()) && inner && starts && !text.ends_with('-') {
        return Ok(text.to_owned());
    }
    let message = "expected 2 to 32 letters, digits and hyphens, such as `sk-aione`, not ending in a hyphen";
    let trimmed = text.trim_end_matches('-');
    let suggestion = (trimmed != text).then(|| prefix(trimmed).ok()).flatten();
    Err(Misfit { message: message.to_owned(), suggestion })
}

pub(super) fn log_filter(text: &str) -> Result<String, Misfit> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for directive in text.split(',') {
        let (target, level) = directive.rsplit_once('=').unwrap_or(("aione", directive));
        let target_fits = !target.is_empty()
            && target.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-'));
        if !target_fits || !LEVELS.contains(&level) {
            return Err(Misfit {
                message: "expected off, error, warn, info, debug or trace, or `target=level` pairs"
                    .to_owned(),
                suggestion: suggest::nearest(level, LEVELS),
            });
        }
    }
    Ok(text.to_owned())
}

pub(super) fn label(text: &str) -> Result<String, Misfit> {
    let length = text.chars().count();
    if !(1..=LABEL_CHARS_MAX).contains(&length) || text.chars().any(char::is_control) {
        return Err(Misfit::new(format!(
            "expected 1 to {LABEL_CHARS_MAX} characters without control characters"
        )));
    }
    Ok(text.to_owned())
}

pub(super) fn upstream_model(text: &str) -> Result<String, Misfit> {
    if !(1..=UPSTREAM_MODEL_BYTES_MAX).contains(&text.len()) || text.chars().any(char::is_control) {
        return Err(Misfit::new(format!(
            "expected 1 to {UPSTREAM_MODEL_BYTES_MAX} bytes without control characters"
        )));
    }
    Ok(text.to_owned())
}

pub(super) fn interpolated(text: &str) -> Result<String, Misfit> {
    if text.len() > INTERPOLATED_BYTES_MAX {
        return Err(Misfit::new(format!("longer than {INTERPOLATED_BYTES_MAX} bytes: keep it in a file")));
    }
    crate::config::interpolate::check(text).map_err(Misfit::new)?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_say_what_was_meant() {
        let meant = |misfit: Misfit| misfit.suggestion.unwrap_or_default();
        assert_eq!(meant(address("localhost:80").expect_err("no address")), "127.0.0.1:80");
        assert_eq!(meant(address(":8080").expect_err("no address")), "0.0.0.0:8080");
        assert_eq!(meant(address("8080").expect_err("no address")), "0.0.0.0:8080");
        assert_eq!(meant(network("10.1.0.0/8").expect_err("no network")), "10.0.0.0/8");
        assert_eq!(meant(zone("Asia/Shanghia").expect_err("no zone")), "Asia/Shanghai");
        assert_eq!(meant(currency("cny").expect_err("no currency")), "CNY");
        assert_eq!(meant(moment("2026-01-01 10:00:00").expect_err("no time")), "2026-01-01T10:00:00Z");
        assert_eq!(meant(prefix("sk-aione-").expect_err("no prefix")), "sk-aione");
        assert_eq!(meant(log_filter("warning").expect_err("no filter")), "warn");
    }

    #[test]
    fn what_fits_is_taken() {
        assert_eq!(network("10.1.2.3").expect("one address").to_string(), "10.1.2.3/32");
        assert!(log_filter("warn,aione_gateway=debug").is_ok());
        assert!(upstream_model("org/model:free@2026").is_ok());
        assert!(upstream_model("a\nb").is_err());
        let day = moment("2026-01-01").expect("a date").in_zone(chrono_tz::Asia::Shanghai);
        assert_eq!(day.rfc3339(), "2025-12-31T16:00:00.000Z");
    }
}
