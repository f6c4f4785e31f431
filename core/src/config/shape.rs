//! Whether a tree has the shape that the JSON Schema states, and what of it has.
//!
//! Everything that does not fit is told at its place and left out, so that the rest can be
//! checked for meaning in the same run.

mod scalar;

use crate::config::{
    path,
    problem::{Place, Problem},
    suggest,
    tree::{Data, Entry, Node},
};
use serde_json::{Map, Value};

/// What a JSON Schema of ours may use and this check understands, or may ignore.
#[cfg(test)]
pub(super) const KEYWORDS: [&str; 22] = [
    "$defs",
    "$ref",
    "$schema",
    "additionalProperties",
    "anyOf",
    "const",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "oneOf",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
    "x-form",
];

/// The sections of `root` that fit; what does not is added to `problems`.
pub(super) fn check(root: &Node, schema: &Value, problems: &mut Vec<Problem>) -> Map<String, Value> {
    let mut shape = Shape { defs: &schema["$defs"], problems };
    match &root.data {
        Data::Map(entries) => shape.properties(entries, schema, &root.place, "").0,
        _ => {
            shape.problem(&root.place, "", "expected a map of sections such as `providers:` and `models:`");
            Map::new()
        }
    }
}

struct Shape<'a> {
    defs: &'a Value,
    problems: &'a mut Vec<Problem>,
}

/// A value on its way through the schema.
struct Spot<'a> {
    node: &'a Node,
    /// Where a missing part is told: the key that leads here.
    place: &'a Place,
    path: &'a str,
}

impl<'a> Shape<'a> {
    fn problem(&mut self, place: &Place, path: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(place.clone(), path, message));
    }

    /// The value of a spot, if all of it that must be there fits.
    fn value(&mut self, spot: &Spot<'_>, schema: &'a Value) -> Option<Value> {
        let alternatives = self.alternatives(schema);
        let of_type = |name: &str| alternatives.iter().copied().find(|schema| scalar::has_type(schema, name));
        match &spot.node.data {
            Data::Null if of_type("null").is_some() => Some(Value::Null),
            Data::Null if let Some(schema) = of_type("object") => self.object(spot, &[], schema),
            Data::Map(entries) if let Some(schema) = of_type("object") => self.object(spot, entries, schema),
            Data::List(items) if let Some(schema) = of_type("array") => self.list(spot, items, schema),
            _ => match scalar::read(&spot.node.data, &alternatives) {
                Ok(value) => Some(value),
                Err(misfit) => {
                    let problem = Problem::new(spot.node.place.clone(), spot.path, misfit.message);
                    self.problems.push(problem.suggest(misfit.suggestion));
                    None
                }
            },
        }
    }

    fn object(&mut self, spot: &Spot<'_>, entries: &[Entry], schema: &'a Value) -> Option<Value> {
        if schema.get("properties").is_some() {
            let (map, complete) = self.properties(entries, schema, spot.place, spot.path);
            return complete.then_some(Value::Object(map));
        }
        let inner = &schema["additionalProperties"];
        let fitting = entries.iter().filter_map(|entry| {
            let path = path::key(spot.path, &entry.key);
            let value = self.value(&Spot { node: &entry.value, place: &entry.place, path: &path }, inner)?;
            Some((entry.key.clone(), value))
        });
        Some(Value::Object(fitting.collect()))
    }

    /// The entries that fit, and whether every required one is among them.
    fn properties(
        &mut self,
        entries: &[Entry],
        schema: &'a Value,
        place: &Place,
        at: &str,
    ) -> (Map<String, Value>, bool) {
        let Some(properties) = schema["properties"].as_object() else { return (Map::new(), true) };
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut map = Map::new();
        for entry in entries {
            let path = path::key(at, &entry.key);
            let Some(inner) = properties.get(&entry.key) else {
                self.unknown(entry, &path, properties);
                continue;
            };
            if entry.value.is_null() && !self.takes_null(inner) {
                if required.contains(&entry.key.as_str()) {
                    self.problem(&entry.place, &path, "needs a value");
                }
                continue;
            }
            let spot = Spot { node: &entry.value, place: &entry.place, path: &path };
            if let Some(value) = self.value(&spot, inner) {
                map.insert(entry.key.clone(), value);
            }
        }
        for name in &required {
            if !entries.iter().any(|entry| entry.key == *name) {
                self.problem(place, at, format!("`{name}` is missing"));
            }
        }
        let complete = required.iter().all(|name| map.contains_key(*name));
        (map, complete)
    }

    fn list(&mut self, spot: &Spot<'_>, items: &[Node], schema: &'a Value) -> Option<Value> {
        let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
        let count = items.len() as u64;
        if bound("minItems").is_some_and(|least| count < least) {
            self.problem(spot.place, spot.path, "needs at least one item");
            return None;
        }
        if let Some(most) = bound("maxItems").filter(|most| count > *most) {
            self.problem(spot.place, spot.path, format!("has {count} items; at most {most} are taken"));
            return None;
        }
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = path::item(spot.path, index);
            values.push(self.value(&Spot { node: item, place: &item.place, path: &path }, &schema["items"]));
        }
        // One that is missing would shift the places of those behind it.
        values.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
    }

    fn unknown(&mut self, entry: &Entry, path: &str, known: &Map<String, Value>) {
        let message = match entry.key.as_str() {
            "<<" => "merge keys are not supported: write the keys out, or use an alias for the whole value",
            _ => "unknown key",
        };
        let suggestion = suggest::nearest(&entry.key, known.keys().map(String::as_str));
        self.problems.push(Problem::new(entry.place.clone(), path, message).suggest(suggestion));
    }

    fn takes_null(&self, schema: &'a Value) -> bool {
        self.alternatives(schema)
            .iter()
            .any(|schema| scalar::has_type(schema, "null") || scalar::has_type(schema, "object"))
    }

    /// `schema` with its references followed and its choices laid side by side.
    fn alternatives(&self, schema: &'a Value) -> Vec<&'a Value> {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
            return self.alternatives(&self.defs[name]);
        }
        match schema.get("anyOf").or(schema.get("oneOf")).and_then(Value::as_array) {
            Some(choices) => choices.iter().flat_map(|choice| self.alternatives(choice)).collect(),
            None => vec![schema],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema;
    use std::collections::BTreeSet;

    /// A keyword that this check did not know would be a rule that only editors keep.
    #[test]
    fn the_schema_uses_only_what_is_understood() {
        fn keywords(schema: &Value, found: &mut BTreeSet<String>) {
            match schema {
                Value::Object(map) => map.iter().for_each(|(key, value)| {
                    found.insert(key.clone());
                    match (key.as_str(), value) {
                        ("properties" | "$defs", Value::Object(named)) => {
                            named.values().for_each(|schema| keywords(schema, found));
                        }
                        ("default" | "const", _) => {}
                        _ => keywords(value, found),
                    }
                }),
                Value::Array(items) => items.iter().for_each(|item| keywords(item, found)),
                _ => {}
            }
        }
        let mut found = BTreeSet::new();
        keywords(schema::root(), &mut found);
        let unknown: Vec<_> = found.iter().filter(|name| !KEYWORDS.contains(&name.as_str())).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
