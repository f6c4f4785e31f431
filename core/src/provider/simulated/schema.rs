//! A simple value that fits a JSON schema.
//!
//! Understood: `const`, `enum`, `$ref` within the schema, `allOf`, `anyOf`, `oneOf`, `type`,
//! `properties`, `required`, `items`, `prefixItems`, and bounds of lengths and numbers. Not
//! understood: `pattern`, `uniqueItems`, `not`, conditions.

use super::text::Rng;
use serde_json::{Map, Value, json};

/// How deep values are nested at most; below it they are null.
const DEPTH_MAX: u32 = 16;
/// How many values there are at most; after them they are null.
const VALUES_MAX: u32 = 512;
/// Most items of one array.
const ITEMS_MAX: u64 = 16;
/// Longest text that a `minLength` brings, in characters.
const LENGTH_MAX: u64 = 256;

/// A value that fits `schema`; a short text where it says nothing.
pub(super) fn example(schema: &Value, rng: &mut Rng) -> Value {
    Writer { root: schema, rng, values_left: VALUES_MAX }.value(schema, DEPTH_MAX)
}

struct Writer<'a> {
    root: &'a Value,
    rng: &'a mut Rng,
    values_left: u32,
}

impl<'a> Writer<'a> {
    fn value(&mut self, schema: &'a Value, depth_left: u32) -> Value {
        let (Some(depth_left), Some(values_left)) =
            (depth_left.checked_sub(1), self.values_left.checked_sub(1))
        else {
            return Value::Null;
        };
        self.values_left = values_left;
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array).filter(|values| !values.is_empty())
        {
            let all: Vec<&Value> = values.iter().collect();
            return self.rng.pick(&all).clone();
        }
        if let Some(there) = schema.get("$ref").and_then(Value::as_str) {
            let target = there.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return target.map_or(Value::Null, |target| self.value(target, depth_left));
        }
        if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
            return self.merged(schema, all, depth_left);
        }
        if let Some(one) = ["anyOf", "oneOf"].iter().find_map(|any| first_non_null(schema.get(*any)?)) {
            return self.value(one, depth_left);
        }
        match kind(schema) {
            "object" => Value::Object(self.object(schema, depth_left)),
            "array" => self.array(schema, depth_left),
            "integer" => self.integer(schema),
            "number" => self.number(schema),
            "boolean" => Value::Bool(self.rng.below(2) == 1),
            "null" => Value::Null,
            _ => Value::String(self.string(schema)),
        }
    }

    /// The fields of all parts and of the schema itself; the first part where they are no objects.
    fn merged(&mut self, schema: &'a Value, all: &'a [Value], depth_left: u32) -> Value {
        let mut fields = self.object(schema, depth_left);
        for (index, part) in all.iter().enumerate() {
            match self.value(part, depth_left) {
                Value::Object(more) => fields.extend(more),
                other if index == 0 && fields.is_empty() => return other,
                _ => {}
            }
        }
        Value::Object(fields)
    }

    /// The required fields; all of them where none is required.
    fn object(&mut self, schema: &'a Value, depth_left: u32) -> Map<String, Value> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let names: Vec<&str> = match (schema.get("required").and_then(Value::as_array), properties) {
            (Some(required), _) => required.iter().filter_map(Value::as_str).collect(),
            (None, Some(properties)) => properties.keys().map(String::as_str).collect(),
            (None, None) => Vec::new(),
        };
        let mut fields = Map::new();
        for name in names {
            let schema = properties.and_then(|properties| properties.get(name)).unwrap_or(&Value::Null);
            fields.insert(name.to_owned(), self.value(schema, depth_left));
        }
        fields
    }

    fn array(&mut self, schema: &'a Value, depth_left: u32) -> Value {
        let first = schema.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let rest = schema.get("items").unwrap_or(&Value::Null);
        let least = unsigned(schema, "minItems").unwrap_or(1).max(first.len() as u64);
        let length = least.min(unsigned(schema, "maxItems").unwrap_or(u64::MAX)).min(ITEMS_MAX);
        let items = first.iter().chain(std::iter::repeat(rest));
        (0..length).zip(items).map(|(_, schema)| self.value(schema, depth_left)).collect()
    }

    fn string(&mut self, schema: &Value) -> String {
        let word = match schema.get("format").and_then(Value::as_str) {
            Some("date") => "2026-01-15",
            Some("date-time") => "2026-01-15T09:30:00Z",
            Some("time") => "09:30:00Z",
            Some("duration") => "PT1H",
            Some("email") => "someone@example.com",
            Some("hostname") => "example.com",
            Some("uri" | "url") => "https://example.com/",
            Some("uuid") => "00000000-0000-4000-8000-000000000000",
            Some("ipv4") => "192.0.2.1",
            Some("ipv6") => "2001:db8::1",
            _ => self.rng.word(),
        };
        let least = bounded(unsigned(schema, "minLength").unwrap_or(0).min(LENGTH_MAX));
        let most = bounded(unsigned(schema, "maxLength").unwrap_or(LENGTH_MAX));
        let longer = word.chars().chain(std::iter::repeat('a'));
        longer.take(word.chars().count().max(least).min(most)).collect()
    }

    fn integer(&mut self, schema: &Value) -> Value {
        let bound = |field| schema.get(field).and_then(Value::as_i64);
        let low = bound("minimum").or_else(|| bound("exclusiveMinimum")?.checked_add(1));
        let high = bound("maximum").or_else(|| bound("exclusiveMaximum")?.checked_sub(1));
        let any = 1 + i64::try_from(self.rng.below(9)).expect("a digit");
        let value = any.max(low.unwrap_or(i64::MIN)).min(high.unwrap_or(i64::MAX));
        let Some(step) = bound("multipleOf").filter(|step| *step > 0) else {
            return json!(value);
        };
        // The next multiple, or the one before where the next is too high.
        let below = value - value.rem_euclid(step);
        let above = below.checked_add(if below == value { 0 } else { step });
        let fits = |value: &i64| high.is_none_or(|high| *value <= high);
        json!(above.filter(fits).unwrap_or(below))
    }

    fn number(&mut self, schema: &Value) -> Value {
        let bound = |field| schema.get(field).and_then(Value::as_f64);
        let low = bound("minimum").or_else(|| bound("exclusiveMinimum"));
        let high = bound("maximum").or_else(|| bound("exclusiveMaximum"));
        match (low, high) {
            // Between them, so that it does not matter whether they are exclusive.
            (Some(low), Some(high)) => json!(low + (high - low) / 2.0),
            (Some(low), None) => json!(low + 1.0),
            (None, Some(high)) => json!(high - 1.0),
            (None, None) => self.integer(schema),
        }
    }
}

/// The schema's type; of several the first that is not null.
fn kind(schema: &Value) -> &str {
    let named = match schema.get("type") {
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").or(Some("null"))
        }
        other => other.and_then(Value::as_str),
    };
    named.unwrap_or_else(|| {
        let has = |field| schema.get(field).is_some();
        if has("properties") || has("required") {
            return "object";
        }
        if has("items") || has("prefixItems") { "array" } else { "string" }
    })
}

fn first_non_null(schemas: &Value) -> Option<&Value> {
    let schemas = schemas.as_array()?;
    schemas.iter().find(|schema| kind(schema) != "null").or(schemas.first())
}

fn unsigned(schema: &Value, field: &str) -> Option<u64> {
    schema.get(field).and_then(Value::as_u64)
}

fn bounded(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: Value, fits: impl Fn(&Value) -> bool) {
        for seed in 0..50 {
            let value = example(&schema, &mut Rng::new(seed));
            assert!(fits(&value), "{schema}: {value}");
        }
    }

    #[test]
    fn simple_values_fit_their_bounds() {
        check(json!({ "const": 7 }), |value| value == 7);
        check(json!({ "enum": ["a", 2] }), |value| value == "a" || value == 2);
        check(json!({ "type": ["null", "boolean"] }), Value::is_boolean);
        check(json!({ "type": "null" }), Value::is_null);
        let within = |low, high| move |value: &Value| (low..=high).contains(&value.as_i64().unwrap());
        check(json!({ "type": "integer", "minimum": 50, "maximum": 51 }), within(50, 51));
        check(json!({ "type": "integer", "exclusiveMinimum": -5, "exclusiveMaximum": -3 }), within(-4, -4));
        check(json!({ "type": "integer", "maximum": 9, "multipleOf": 5 }), |value| value == 5);
        check(json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5 }), |value| {
            value == 0.25
        });
        check(json!({ "type": "number", "minimum": 3 }), |value| value.as_f64().unwrap() >= 3.0);
        check(json!({ "type": "number", "exclusiveMaximum": 3 }), |value| value.as_f64().unwrap() < 3.0);
        let length = |length| move |value: &Value| value.as_str().unwrap().len() == length;
        check(json!({ "type": "string", "minLength": 20 }), length(20));
        check(json!({ "type": "string", "maxLength": 1 }), length(1));
        check(json!({ "type": "string", "format": "date" }), |value| value == "2026-01-15");
        check(json!({}), Value::is_string);
        check(Value::Null, Value::is_string);
    }

    #[test]
    fn objects_have_what_is_required_and_arrays_what_their_length_asks() {
        let properties = json!({ "a": { "const": 1 }, "b": { "const": 2 } });
        let all = json!({ "properties": properties });
        check(all, |value| *value == json!({ "a": 1, "b": 2 }));
        let one = json!({ "type": "object", "properties": properties, "required": ["b"] });
        check(one, |value| *value == json!({ "b": 2 }));
        check(json!({ "type": "object" }), |value| *value == json!({}));
        let items = json!({ "type": "array", "items": { "const": 1 }, "minItems": 3 });
        check(items, |value| *value == json!([1, 1, 1]));
        check(json!({ "type": "array", "maxItems": 0 }), |value| *value == json!([]));
        check(json!({ "prefixItems": [{ "const": 1 }, { "const": 2 }] }), |value| *value == json!([1, 2]));
        check(json!({ "type": "array", "minItems": u64::MAX }), |value| {
            value.as_array().unwrap().len() == 16
        });
    }

    #[test]
    fn references_and_combinations_are_followed() {
        let schema = json!({
            "$defs": { "size": { "enum": [4] } },
            "allOf": [
                { "properties": { "size": { "$ref": "#/$defs/size" } } },
                { "properties": { "more": { "anyOf": [{ "type": "null" }, { "const": 9 }] } } },
            ],
        });
        check(schema, |value| *value == json!({ "size": 4, "more": 9 }));
        check(json!({ "$ref": "https://example.com/x" }), Value::is_null);
    }

    #[test]
    fn a_schema_without_end_has_a_bounded_value() {
        let children = json!({ "type": "array", "items": { "$ref": "#" }, "minItems": 16 });
        let tree = json!({ "type": "object", "properties": { "children": children } });
        check(tree, |value| value.to_string().len() < 10_000);
        check(json!({ "$ref": "#" }), Value::is_null);
    }
}
