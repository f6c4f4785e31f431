//! Texts, numbers and booleans against the alternatives that a schema leaves.

use crate::config::{
    form::{self, FORM, INTERPOLATED, Misfit},
    suggest,
    tree::Data,
};
use serde_json::Value;

/// Whether `schema` takes values of the JSON type `name`.
pub(super) fn has_type(schema: &Value, name: &str) -> bool {
    match &schema["type"] {
        Value::String(only) => only == name,
        Value::Array(several) => several.iter().any(|one| one == name),
        _ => false,
    }
}

/// The JSON value of `data`, which none of the containers among `alternatives` took.
pub(super) fn read(data: &Data, alternatives: &[&Value]) -> Result<Value, Misfit> {
    let accepts = Accepts::new(alternatives);
    match data {
        Data::Text(text) => accepts.text(text),
        Data::Number { raw, whole } => accepts.number(raw, *whole),
        Data::Bool(value) if accepts.boolean => Ok(Value::Bool(*value)),
        Data::Bool(value) => Err(accepts.other("a boolean", Some(&value.to_string()))),
        Data::Null => Err(accepts.other("nothing", None)),
        Data::List(_) => Err(accepts.other("a list", None)),
        Data::Map(_) => Err(accepts.other("a map", None)),
    }
}

/// The scalars that a value may be, sorted out of its schema's alternatives.
struct Accepts<'a> {
    words: Vec<&'a str>,
    string: Option<&'a Value>,
    integer: Option<&'a Value>,
    boolean: bool,
    container: Option<&'static str>,
}

impl<'a> Accepts<'a> {
    fn new(alternatives: &[&'a Value]) -> Self {
        let is_word = |schema: &Value| schema.get("const").is_some() || schema.get("enum").is_some();
        let words = alternatives.iter().flat_map(|schema| {
            let several = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
            schema.get("const").into_iter().chain(several)
        });
        let container = [("object", "a map"), ("array", "a list")];
        Self {
            words: words.filter_map(Value::as_str).collect(),
            string: alternatives
                .iter()
                .copied()
                .find(|schema| has_type(schema, "string") && !is_word(schema)),
            integer: alternatives.iter().copied().find(|schema| has_type(schema, "integer")),
            boolean: alternatives.iter().any(|schema| has_type(schema, "boolean")),
            container: container
                .into_iter()
                .find(|(name, _)| alternatives.iter().any(|schema| has_type(schema, name)))
                .map(|(_, article)| article),
        }
    }

    fn text(&self, text: &str) -> Result<Value, Misfit> {
        if self.words.contains(&text) {
            return Ok(Value::from(text));
        }
        if let Some(schema) = self.string {
            return match schema[FORM].as_str() {
                Some(form) if form == INTERPOLATED || !text.contains("${") => {
                    form::check(form, text).map(|()| Value::from(text))
                }
                _ => plain(text),
            };
        }
        let suggestion = match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "true" if self.boolean => Some("true".to_owned()),
            "no" | "off" | "false" if self.boolean => Some("false".to_owned()),
            digits if self.integer.is_some() => {
                digits.replace(['_', ','], "").parse::<u64>().ok().map(|n| n.to_string())
            }
            _ => suggest::nearest(text, self.words.iter().copied()),
        };
        Err(Misfit { message: format!("expected {}, found text", self.expected()), suggestion })
    }

    fn number(&self, raw: &str, whole: Option<i128>) -> Result<Value, Misfit> {
        if self.words.contains(&raw) {
            return Ok(Value::from(raw));
        }
        if let Some(schema) = self.integer {
            return integer(raw, whole, schema);
        }
        match self.string.and_then(|schema| schema[FORM].as_str()) {
            Some(INTERPOLATED) => {
                Err(Misfit { message: "expected text: put it in quotes".to_owned(), suggestion: None })
            }
            Some(form) => match form::check(form, raw) {
                Ok(()) => Err(Misfit {
                    message: format!("expected a quoted {form}, found a number"),
                    suggestion: Some(format!("\"{raw}\"")),
                }),
                Err(misfit) => Err(misfit),
            },
            None => Err(self.other("a number", Some(raw))),
        }
    }

    fn other(&self, found: &str, raw: Option<&str>) -> Misfit {
        let is_secret = self.string.is_some_and(|schema| schema[FORM] == INTERPOLATED);
        let quoted = raw.filter(|_| self.string.is_some() && !is_secret).map(|raw| format!("\"{raw}\""));
        Misfit { message: format!("expected {}, found {found}", self.expected()), suggestion: quoted }
    }

    fn expected(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        if self.string.is_some() {
            parts.push("text".to_owned());
        }
        if self.integer.is_some() {
            parts.push("a whole number".to_owned());
        }
        if self.boolean {
            parts.push("true or false".to_owned());
        }
        if !self.words.is_empty() {
            parts.push(format!("one of {}", self.words.join(", ")));
        }
        parts.extend(self.container.map(str::to_owned));
        parts.join(" or ")
    }
}

fn plain(text: &str) -> Result<Value, Misfit> {
    if text.contains("${") {
        let message = "`${…}` is replaced only in secrets, URLs and paths";
        return Err(Misfit { message: message.to_owned(), suggestion: None });
    }
    Ok(Value::from(text))
}

fn integer(raw: &str, whole: Option<i128>, schema: &Value) -> Result<Value, Misfit> {
    let Some(number) = whole else {
        let message = "expected a whole number in decimal digits".to_owned();
        let suggestion =
            raw.parse::<f64>().ok().filter(|float| float.fract() == 0.0 && (0.0..1e15).contains(float));
        return Err(Misfit { message, suggestion: suggestion.map(|float| format!("{float:.0}")) });
    };
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
    let least = bound("minimum").unwrap_or(0);
    let most = bound("maximum").unwrap_or(u64::MAX);
    match u64::try_from(number) {
        Ok(number) if (least..=most).contains(&number) => Ok(Value::from(number)),
        _ => Err(Misfit { message: format!("must be from {least} to {most}"), suggestion: None }),
    }
}
