//! What the endpoints' bodies have in common, read with the dialect's wording of what is wrong.

use super::{CHOICES_MAX, text};
use crate::wire::codec::Malformed;
use serde_json::{Map, Value};

/// Why a request is answered with 400.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) param: Option<&'static str>,
}

impl Problem {
    pub(super) fn of(param: &'static str, must: &str) -> Self {
        Self { message: format!("'{param}' must be {must}"), param: Some(param) }
    }
}

impl From<Problem> for Malformed {
    fn from(problem: Problem) -> Self {
        Self { message: problem.message, param: problem.param.map(str::to_owned) }
    }
}

pub(super) type Body = Map<String, Value>;

/// # Errors
/// Not a JSON object.
pub(super) fn parse(body: &[u8]) -> Result<Body, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem { message: format!("The body is not a JSON object: {error}"), param: None })
}

/// # Errors
/// Absent, or not a text.
pub(super) fn model(body: &Body) -> Result<&str, Problem> {
    body.get("model").and_then(Value::as_str).ok_or_else(|| Problem::of("model", "a string"))
}

/// A whole number of at least 1 and at most `max`; `None` where it is absent or null.
///
/// # Errors
/// Anything else.
pub(super) fn count(body: &Body, param: &'static str, max: u64) -> Result<Option<u64>, Problem> {
    let Some(value) = body.get(param).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    value
        .as_u64()
        .filter(|number| (1..=max).contains(number))
        .map(Some)
        .ok_or_else(|| Problem::of(param, &format!("a whole number from 1 to {max}")))
}

/// `n`, 1 where it is absent.
///
/// # Errors
/// Not a number from 1 to [`CHOICES_MAX`].
pub(super) fn choices(body: &Body) -> Result<u64, Problem> {
    Ok(count(body, "n", CHOICES_MAX)?.unwrap_or(1))
}

/// # Errors
/// Not a boolean.
pub(super) fn streamed(body: &Body) -> Result<bool, Problem> {
    match body.get("stream") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(stream)) => Ok(*stream),
        Some(_) => Err(Problem::of("stream", "a boolean")),
    }
}

pub(super) fn wants_usage(body: &Body) -> bool {
    body.get("stream_options").and_then(|options| options.get("include_usage")) == Some(&Value::Bool(true))
}

/// The directive's seed, the body's, or one that `content` gives.
pub(super) fn seed(directive: Option<u64>, body: &Body, content: Option<&Value>) -> u64 {
    let of_body =
        || body.get("seed").and_then(|seed| seed.as_u64().or_else(|| seed.as_i64().map(i64::cast_unsigned)));
    let of_content = || content.map_or(0, |content| text::hash(content.to_string().as_bytes()));
    directive.or_else(of_body).unwrap_or_else(of_content)
}

/// One text or token array of `prompt` or `input`.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Input {
    pub(super) tokens: u64,
    /// The same for the same input.
    pub(super) hash: u64,
}

/// A text, an array of texts, an array of tokens, or an array of those; never empty.
///
/// # Errors
/// Any other shape.
pub(super) fn inputs(value: Option<&Value>, param: &'static str) -> Result<Vec<Input>, Problem> {
    let wrong = || Problem::of(param, "a string, an array of strings, or an array of token arrays");
    let value = value.ok_or_else(wrong)?;
    if let Some(one) = input(value) {
        return Ok(vec![one]);
    }
    let many = value.as_array().filter(|many| !many.is_empty()).ok_or_else(wrong)?;
    many.iter().map(|one| input(one).ok_or_else(wrong)).collect()
}

fn input(value: &Value) -> Option<Input> {
    let tokens = match value {
        Value::String(said) => text::count(said),
        Value::Array(tokens) if !tokens.is_empty() && tokens.iter().all(Value::is_u64) => tokens.len() as u64,
        _ => return None,
    };
    Some(Input { tokens, hash: text::hash(value.to_string().as_bytes()) })
}
