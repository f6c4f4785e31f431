//! The texts that have a form of their own in YAML: durations, sizes, decimals, addresses.
//!
//! Each is a type whose value is parsed once. Its JSON Schema carries the form's name under
//! [`FORM`], by which the shape check finds the same parser and tells what was expected.

mod number;
mod text;

pub use text::When;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::{borrow::Cow, fmt, time::Duration};

pub(super) use number::{format_size, format_span};

/// The key in the JSON Schema that holds a form's name.
pub(super) const FORM: &str = "x-form";
/// The form whose texts may refer to the environment and to files.
pub(super) const INTERPOLATED: &str = "interpolated";

/// Why a text does not have its form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Misfit {
    pub message: String,
    pub suggestion: Option<String>,
}

impl Misfit {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), suggestion: None }
    }

    fn suggest(message: impl Into<String>, suggestion: impl Into<String>) -> Self {
        Self { message: message.into(), suggestion: Some(suggestion.into()) }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Declares the types of forms: `Name(value) = "form", pattern, parser;`.
macro_rules! forms {
    ($($(#[doc = $doc:literal])+ $name:ident($value:ty) = $form:expr, $pattern:literal, $parse:path;)+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
            #[serde(try_from = "String")]
            pub struct $name(pub $value);

            impl TryFrom<String> for $name {
                type Error = String;
                fn try_from(text: String) -> Result<Self, String> {
                    $parse(&text).map(Self).map_err(|misfit| misfit.message)
                }
            }

            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    let mut schema = json_schema!({ "type": "string", "pattern": $pattern });
                    schema.insert(FORM.to_owned(), $form.into());
                    schema
                }
            }
        )+

        /// Whether `text` has the form; a form that is not known is no form at all.
        pub(super) fn check(form: &str, text: &str) -> Result<(), Misfit> {
            $(if form == $form {
                return $parse(text).map(drop);
            })+
            Ok(())
        }
    };
}

forms! {
    /// A whole number and a unit: `250ms`, `10s`, `15m`, `24h`.
    Span(Duration) = "duration", r"^[0-9]+(ms|s|m|h)$", number::span;
    /// Bytes, as a whole number and a unit: `512B`, `64KiB`, `32MiB`, `1GiB`.
    Size(u64) = "size", r"^[0-9]+(B|KiB|MiB|GiB)$", number::size;
    /// A quoted rate in currency per one million tokens, with at most six decimals.
    PerMillion(crate::domain::money::Rate) = "rate per million", r"^[0-9]+(\.[0-9]+)?$", number::per_million;
    /// A quoted fee in currency for one unit (an image, a search, a character, a second, a request).
    PerUnit(crate::domain::money::Rate) = "fee per unit", r"^[0-9]+(\.[0-9]+)?$", number::per_unit;
    /// A quoted amount in currency, never negative.
    Amount(String) = "amount", r"^[0-9]+(\.[0-9]+)?$", number::amount;
    /// A quoted share from `"0"` to `"1"` with at most three decimals, in thousandths.
    Share(u64) = "share", r"^[0-9]+(\.[0-9]+)?$", number::share;
    /// An IP address and a port.
    Address(std::net::SocketAddr) = "address", r"^.+:[0-9]+$", text::address;
    /// A network such as `10.0.0.0/8`, or one address.
    Network(ipnet::IpNet) = "network", r"^[0-9a-fA-F.:]+(/[0-9]+)?$", text::network;
    /// A name of the IANA time zone database, such as `Asia/Shanghai`.
    Zone(chrono_tz::Tz) = "time zone", r"^[A-Za-z0-9_+/-]+$", text::zone;
    /// Three capital letters of ISO 4217.
    Currency(String) = "currency", r"^[A-Z]{3}$", text::currency;
    /// RFC 3339 with an offset, or a date: its first instant in `billing.time_zone`.
    Moment(When) = "time", r"^[0-9]{4}-[0-9]{2}-[0-9]{2}", text::moment;
    /// What keys begin with.
    Prefix(String) = "key prefix", r"^[A-Za-z][A-Za-z0-9-]{0,30}[A-Za-z0-9]$", text::prefix;
    /// `info`, or `warn,aione_gateway=debug`.
    LogFilter(String) = "log filter", r"^.+$", text::log_filter;
    /// A name to show: 1 to 256 characters on one line.
    Label(String) = "label", r"^.+$", text::label;
    /// Any text of 1 to 512 bytes without control characters.
    UpstreamModel(String) = "model id", r"^.+$", text::upstream_model;
    /// A text in which `${ENV}` and `${ENV:-default}` are replaced, or the whole of which is
    /// `file:path`.
    Interpolated(String) = INTERPOLATED, r"^[\s\S]*$", text::interpolated;
}
