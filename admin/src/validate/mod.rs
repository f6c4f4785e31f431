//! Checks parameters field by field and collects every problem, in the shape FastAPI's users
//! know: `{"loc": […], "msg": "…", "type": "…", "input": …, "ctx": {}}`.

pub(crate) mod checks;

use crate::error::Refusal;
use axum::http::Uri;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Map, Value};
use std::{borrow::Cow, fmt, str::Utf8Error};
use utoipa::ToSchema;

/// A check of one value: what it means, or what is wrong with it.
pub(crate) trait Check<T>: Fn(&Value) -> Result<T, Fault> {}
impl<T, F: Fn(&Value) -> Result<T, Fault>> Check<T> for F {}

/// One thing that is wrong, and where.
#[derive(Serialize, ToSchema, Debug)]
pub(crate) struct Problem {
    /// `body`, `query`, `path` or `header`, then the way down.
    loc: Vec<Step>,
    msg: String,
    /// pydantic's name for the kind of problem, such as `string_too_long`.
    r#type: &'static str,
    /// What was sent.
    input: Value,
    /// The bounds that were not met, by pydantic's names.
    ctx: Map<String, Value>,
}

/// One step of a way down: a field's name or a list's index.
#[derive(Serialize, ToSchema, Debug)]
#[serde(untagged)]
pub(crate) enum Step {
    Name(String),
    Index(usize),
}

/// What is wrong with a value, wherever it stands.
#[derive(Debug)]
pub(crate) struct Fault {
    kind: &'static str,
    msg: Cow<'static, str>,
    ctx: Map<String, Value>,
}

/// Named parameters that are taken one by one; what is wrong with any is kept until the end.
pub(crate) struct Fields {
    place: &'static str,
    left: Map<String, Value>,
    problems: Vec<Problem>,
}

impl Problem {
    pub(crate) fn new(loc: Vec<Step>, fault: Fault, input: Value) -> Self {
        Self { loc, msg: fault.msg.into_owned(), r#type: fault.kind, input, ctx: fault.ctx }
    }
}

/// `name: what is wrong`, for people who have sent no JSON.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in self.loc.iter().skip(1) {
            match step {
                Step::Name(name) => write!(f, "{name}: ")?,
                Step::Index(index) => write!(f, "{index}: ")?,
            }
        }
        f.write_str(&self.msg)
    }
}

impl From<&str> for Step {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl Fault {
    pub(crate) fn new(kind: &'static str, msg: impl Into<String>) -> Self {
        Self { kind, msg: Cow::Owned(msg.into()), ctx: Map::new() }
    }

    /// A value of the right type that means nothing here.
    pub(crate) fn value(error: impl Into<String>) -> Self {
        let error = error.into();
        Self::new("value_error", format!("Value error, {error}")).with("error", error)
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.ctx.insert(name.to_owned(), value.into());
        self
    }
}

impl Fields {
    pub(crate) fn of_body(fields: Map<String, Value>) -> Self {
        Self { place: "body", left: fields, problems: Vec::new() }
    }

    /// A query's parameters, all of them texts. Of one that is given twice the last counts,
    /// but for those in `lists`, which are joined with commas. One that is no UTF-8 is a problem.
    pub(crate) fn of_query(uri: &Uri, lists: &[&str]) -> Self {
        let mut fields = Self { place: "query", left: Map::new(), problems: Vec::new() };
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        for (name, value) in pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
            let (Ok(name), Ok(value)) = (form_decoded(name), form_decoded(value)) else {
                let fault = Fault::new(
                    "string_unicode",
                    "Input should be a valid string, unable to parse raw data as a unicode string",
                );
                fields.blame(name, fault, value.into());
                continue;
            };
            let value = match fields.left.get(&name) {
                Some(Value::String(before)) if lists.contains(&name.as_str()) => format!("{before},{value}"),
                _ => value,
            };
            fields.left.insert(name, Value::String(value));
        }
        fields
    }

    /// A field that must be there. `None` only where a problem was noted.
    pub(crate) fn required<T>(&mut self, name: &str, check: impl Check<T>) -> Option<T> {
        if !self.left.contains_key(name) {
            self.blame(name, Fault::new("missing", "Field required"), Value::Null);
            return None;
        }
        self.given(name, check)
    }

    /// A field that may be absent; `null` is a value like any other.
    pub(crate) fn given<T>(&mut self, name: &str, check: impl Check<T>) -> Option<T> {
        let value = self.left.remove(name)?;
        match check(&value) {
            Ok(meaning) => Some(meaning),
            Err(fault) => {
                self.blame(name, fault, value);
                None
            }
        }
    }

    /// A field that may be absent (`None`) or `null` (`Some(None)`).
    pub(crate) fn nullable<T>(&mut self, name: &str, check: impl Check<T>) -> Option<Option<T>> {
        if self.left.get(name).is_some_and(Value::is_null) {
            self.left.remove(name);
            return Some(None);
        }
        self.given(name, check).map(Some)
    }

    /// A list of at most `max` items; each item that is wrong is a problem of its own.
    pub(crate) fn list<T>(&mut self, name: &str, max: usize, check: impl Check<T>) -> Option<Vec<T>> {
        let value = self.left.remove(name)?;
        let Value::Array(items) = value else {
            self.blame(name, Fault::new("list_type", "Input should be a valid list"), value);
            return None;
        };
        if items.len() > max {
            let msg = format!("List should have at most {max} items after validation, not {}", items.len());
            let fault = Fault::new("too_long", msg)
                .with("field_type", "List")
                .with("max_length", max)
                .with("actual_length", items.len());
            self.blame(name, fault, Value::Array(items));
            return None;
        }
        let mut meanings = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match check(&item) {
                Ok(meaning) => meanings.push(meaning),
                Err(fault) => {
                    let loc = vec![self.place.into(), name.into(), index.into()];
                    self.problems.push(Problem::new(loc, fault, item));
                }
            }
        }
        Some(meanings)
    }

    /// What was sent for a field that was not taken yet.
    pub(crate) fn peek(&self, name: &str) -> Option<Value> {
        self.left.get(name).cloned()
    }

    /// Puts `default` where `null` was sent, for fields whose `null` means their default.
    pub(crate) fn null_means(&mut self, name: &str, default: Value) {
        if let Some(value) = self.left.get_mut(name).filter(|value| value.is_null()) {
            *value = default;
        }
    }

    /// Refuses fields that are part of the API but not of this version, rather than ignore them.
    pub(crate) fn not_yet(&mut self, names: &[&str]) {
        for name in names {
            if let Some(value) = self.left.remove(*name) {
                let fault = Fault::new("not_supported", "This version does not support the field yet");
                self.blame(name, fault, value);
            }
        }
    }

    /// Notes a problem that only a look at other things could find.
    pub(crate) fn blame(&mut self, name: &str, fault: Fault, input: Value) {
        self.problems.push(Problem::new(vec![self.place.into(), name.into()], fault, input));
    }

    /// # Errors
    /// Every problem that was noted, and a field that was not taken is one.
    pub(crate) fn finish(mut self) -> Result<(), Refusal> {
        for (name, value) in std::mem::take(&mut self.left) {
            self.blame(&name, Fault::new("extra_forbidden", "Extra inputs are not permitted"), value);
        }
        self.finish_ignoring_others()
    }

    /// As [`Fields::finish`], but what was not taken is let be.
    pub(crate) fn finish_ignoring_others(self) -> Result<(), Refusal> {
        if self.problems.is_empty() { Ok(()) } else { Err(Refusal::Invalid(self.problems)) }
    }
}

/// The text behind a form's encoding: `+` is a space, `%` and two digits are a byte.
fn form_decoded(text: &str) -> Result<String, Utf8Error> {
    percent_decode_str(&text.replace('+', " ")).decode_utf8().map(Cow::into_owned)
}
