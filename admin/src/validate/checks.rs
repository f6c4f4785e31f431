//! The checks themselves: one function for each kind of value, with pydantic's messages.

use super::{Check, Fault, Problem};
use crate::error::Refusal;
use aione_core::domain::{
    clock::Timestamp,
    money::{MoneyError, Pico},
};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use ipnet::IpNet;
use serde_json::{Map, Value};
use std::{net::IpAddr, str::FromStr};

/// Beyond every amount that is taken.
pub(crate) const AMOUNT_MAX: Pico = Pico(1_000_000_000_000 * 1_000_000_000_000);

/// A text of `min` to `max` characters, none of them a control character.
pub(crate) fn text(min: usize, max: usize) -> impl Check<String> {
    move |value| {
        let text = string(value)?;
        let length = text.chars().count();
        if length < min {
            let msg = format!("String should have at least {min} character{}", plural(min));
            return Err(Fault::new("string_too_short", msg).with("min_length", min));
        }
        if length > max {
            let msg = format!("String should have at most {max} character{}", plural(max));
            return Err(Fault::new("string_too_long", msg).with("max_length", max));
        }
        if text.chars().any(char::is_control) {
            return Err(Fault::value("control characters are not allowed"));
        }
        Ok(text.to_owned())
    }
}

/// A whole number from `min` to `max`, as a JSON number.
pub(crate) fn integer(min: u64, max: u64) -> impl Check<u64> {
    move |value| {
        let Value::Number(number) = value else {
            return Err(Fault::new("int_type", "Input should be a valid integer"));
        };
        if let Some(whole) = number.as_u64() {
            return within(whole, min, max);
        }
        match number.as_f64() {
            Some(float) if float.fract() != 0.0 => Err(Fault::new(
                "int_from_float",
                "Input should be a valid integer, got a number with a fractional part",
            )),
            Some(float) if float < 0.0 => Err(too_small(min)),
            // Whole and small enough to be exact in a float, such as `60.0`.
            Some(float) if float <= 9_007_199_254_740_992.0 => format!("{float:.0}")
                .parse()
                .map_err(|_| too_large(max))
                .and_then(|whole| within(whole, min, max)),
            _ => Err(too_large(max)),
        }
    }
}

/// A whole number from `min` to `max`, as a query's text.
pub(crate) fn digits(min: u64, max: u64) -> impl Check<u64> {
    move |value| {
        let text = string(value)?;
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
            let msg = "Input should be a valid integer, unable to parse string as an integer";
            return Err(Fault::new("int_parsing", msg));
        }
        if unsigned.len() < text.len() {
            return Err(too_small(min));
        }
        text.parse().map_err(|_| too_large(max)).and_then(|whole| within(whole, min, max))
    }
}

pub(crate) fn boolean(value: &Value) -> Result<bool, Fault> {
    value.as_bool().ok_or_else(|| Fault::new("bool_type", "Input should be a valid boolean"))
}

/// A decimal amount as a text, exact.
pub(crate) fn money(value: &Value) -> Result<Pico, Fault> {
    let Value::String(text) = value else {
        return Err(Fault::new(
            "decimal_type",
            "Decimal input should be a string: a number may have been rounded",
        ));
    };
    text.parse().map_err(|error: MoneyError| {
        Fault::new("decimal_parsing", format!("Input should be a valid decimal, {error}"))
            .with("error", error.to_string())
    })
}

/// An amount that is not negative, and below 10¹² whole units.
pub(crate) fn budget(value: &Value) -> Result<Pico, Fault> {
    let amount = money(value)?;
    if amount < Pico::ZERO {
        return Err(
            Fault::new("greater_than_equal", "Input should be greater than or equal to 0").with("ge", 0)
        );
    }
    if amount >= AMOUNT_MAX {
        return Err(Fault::value(format!("it must be below {AMOUNT_MAX}")));
    }
    Ok(amount)
}

/// Any of core's ids.
pub(crate) fn id<T: FromStr<Err = uuid::Error>>(value: &Value) -> Result<T, Fault> {
    let Value::String(text) = value else {
        return Err(Fault::new("uuid_type", "UUID input should be a string, bytes or UUID object"));
    };
    text.parse().map_err(|error: uuid::Error| {
        Fault::new("uuid_parsing", format!("Input should be a valid UUID, {error}"))
            .with("error", error.to_string())
    })
}

/// An id that stands in a path, where it is the only thing that can be wrong.
pub(crate) fn in_path<T: FromStr<Err = uuid::Error>>(name: &str, text: String) -> Result<T, Refusal> {
    let value = Value::String(text);
    id(&value)
        .map_err(|fault| Refusal::Invalid(vec![Problem::new(vec!["path".into(), name.into()], fault, value)]))
}

/// An RFC 3339 time with its zone.
pub(crate) fn time(value: &Value) -> Result<Timestamp, Fault> {
    let Value::String(text) = value else {
        return Err(Fault::new("datetime_type", "Input should be a valid datetime"));
    };
    let time = DateTime::parse_from_rfc3339(text).map_err(|error| {
        if text.parse::<NaiveDateTime>().is_ok() {
            return Fault::new("timezone_aware", "Input should have timezone info");
        }
        Fault::new("datetime_parsing", format!("Input should be a valid datetime, {error}"))
            .with("error", error.to_string())
    })?;
    Ok(Timestamp(time.timestamp_millis()))
}

/// An RFC 3339 time with its zone, after `now`.
pub(crate) fn time_after(now: Timestamp) -> impl Check<Timestamp> {
    move |value| match time(value)? {
        time if time <= now => Err(Fault::new("datetime_future", "Input should be in the future")),
        time => Ok(time),
    }
}

/// A name of the IANA time zone database.
pub(crate) fn time_zone(value: &Value) -> Result<chrono_tz::Tz, Fault> {
    string(value)?.parse().map_err(|_| Fault::value("not a time zone of the IANA database"))
}

/// `YYYY-MM-DD`.
pub(crate) fn date(value: &Value) -> Result<NaiveDate, Fault> {
    /// The length of `2026-11-23`: the parser alone would also take signs and spaces.
    const LENGTH: usize = 10;
    let text = string(value)?;
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    date.filter(|_| text.len() == LENGTH && text.as_bytes()[0].is_ascii_digit()).ok_or_else(|| {
        Fault::new("date_parsing", "Input should be a valid date in the format YYYY-MM-DD")
            .with("error", "invalid date")
    })
}

/// An address, or a network in CIDR notation without bits set past its mask.
pub(crate) fn network(value: &Value) -> Result<IpNet, Fault> {
    let text = string(value)?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network: IpNet = text
        .parse()
        .map_err(|_| Fault::new("ip_any_network", "value is not a valid IPv4 or IPv6 address or network"))?;
    if network.trunc() != network {
        return Err(Fault::value(format!(
            "the network has host bits set; did you mean {}?",
            network.trunc()
        )));
    }
    Ok(network)
}

/// An object of at most `max` bytes as compact JSON.
pub(crate) fn object(max: usize) -> impl Check<Map<String, Value>> {
    move |value| {
        let Value::Object(object) = value else {
            return Err(Fault::new("dict_type", "Input should be a valid dictionary"));
        };
        let length = value.to_string().len();
        if length > max {
            return Err(Fault::value(format!("it is {length} bytes of JSON; at most {max} are kept")));
        }
        Ok(object.clone())
    }
}

/// Some of a few names, with commas between them, each once.
pub(crate) fn some_of<T: Copy + PartialEq>(names: &[(&'static str, T)]) -> impl Check<Vec<T>> {
    move |value| {
        let mut found = Vec::new();
        for name in value.as_str().unwrap_or_default().split(',') {
            let meaning = one_of(names)(&Value::from(name.trim()))?;
            if !found.contains(&meaning) {
                found.push(meaning);
            }
        }
        Ok(found)
    }
}

/// One of a few names.
pub(crate) fn one_of<T: Copy>(names: &[(&'static str, T)]) -> impl Check<T> {
    move |value| {
        let text = value.as_str().unwrap_or_default();
        let found = names.iter().find(|(name, _)| *name == text);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let quoted: Vec<String> = names.iter().map(|(name, _)| format!("'{name}'")).collect();
            let expected = match quoted.split_last() {
                Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
                _ => quoted.concat(),
            };
            Fault::new("enum", format!("Input should be {expected}")).with("expected", expected)
        })
    }
}

fn string(value: &Value) -> Result<&str, Fault> {
    value.as_str().ok_or_else(|| Fault::new("string_type", "Input should be a valid string"))
}

fn within(whole: u64, min: u64, max: u64) -> Result<u64, Fault> {
    if whole < min {
        return Err(too_small(min));
    }
    if whole > max {
        return Err(too_large(max));
    }
    Ok(whole)
}

fn too_small(min: u64) -> Fault {
    Fault::new("greater_than_equal", format!("Input should be greater than or equal to {min}"))
        .with("ge", min)
}

fn too_large(max: u64) -> Fault {
    Fault::new("less_than_equal", format!("Input should be less than or equal to {max}")).with("le", max)
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
