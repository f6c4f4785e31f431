//! Reads a request's body as JSON: bounded, and no key twice at any depth.

use crate::{
    error::Refusal,
    validate::{Fault, Fields, Problem},
};
use axum::body::{Body, Bytes};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use std::{error::Error, fmt, io};

/// Bytes that a body may have.
pub(crate) const BODY_MAX: usize = 64 * 1024;

/// The fields of a body that must be an object.
pub(crate) fn fields(bytes: &[u8]) -> Result<Fields, Refusal> {
    if bytes.is_empty() {
        return Err(refused("missing", "Field required", Value::Null));
    }
    object(parse(bytes)?)
}

/// As [`fields`], for a body that may be left out, or be `null`: then there are none.
pub(crate) fn optional_fields(bytes: &[u8]) -> Result<Fields, Refusal> {
    if bytes.is_empty() {
        return Ok(Fields::of_body(Map::new()));
    }
    match parse(bytes)? {
        Value::Null => Ok(Fields::of_body(Map::new())),
        value => object(value),
    }
}

/// The whole of a body.
pub(crate) async fn read(body: Body) -> Result<Bytes, Refusal> {
    match Limited::new(body, BODY_MAX).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLarge),
        Err(error) if is_late(&*error) => Err(Refusal::BodyLate),
        Err(_) => Err(Refusal::BodyBroken),
    }
}

/// Whether a body failed because its time was over: the listener says so as an I/O error.
fn is_late(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn object(value: Value) -> Result<Fields, Refusal> {
    match value {
        Value::Object(object) => Ok(Fields::of_body(object)),
        other => Err(refused("dict_type", "Input should be a valid dictionary", other)),
    }
}

fn refused(kind: &'static str, msg: &str, input: Value) -> Refusal {
    Refusal::Invalid(vec![Problem::new(vec!["body".into()], Fault::new(kind, msg), input)])
}

fn parse(bytes: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice::<Strict>(bytes).map(|strict| strict.0).map_err(|error| {
        let at = offset(bytes, error.line(), error.column());
        let fault = Fault::new("json_invalid", "JSON decode error").with("error", error.to_string());
        Refusal::Invalid(vec![Problem::new(vec!["body".into(), at.into()], fault, Value::Object(Map::new()))])
    })
}

/// The byte at a line and column, both counted from 1 (0: unknown).
fn offset(bytes: &[u8], line: usize, column: usize) -> usize {
    let before: usize =
        bytes.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    (before + column.saturating_sub(1)).min(bytes.len())
}

/// A value in which no object has a key twice. How deep it may be is the parser's bound, 128.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("duplicate key `{key}`")));
            }
            let Strict(value) = entries.next_value()?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}
