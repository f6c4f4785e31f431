//! Schemas in the dialect's own form, a subset of OpenAPI 3.0, made JSON Schema:
//! <https://ai.google.dev/api/caching#Schema>. Types are in capitals there, `nullable` stands beside
//! them, whole numbers may be text, and names may be in snake_case.
//!
//! Order stays as it is, and the bytes of all that means the same in both.

use crate::wire::{chat::Raw, json::push_string};
use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::fmt;

/// The schema as JSON Schema. What is no schema in any form is passed on.
pub(super) fn to_json_schema(raw: Box<RawValue>) -> Raw {
    let text = Shape::Schema.deserialize(&mut serde_json::Deserializer::from_str(raw.get()));
    text.ok().and_then(|text| Raw::from_text(&text)).unwrap_or_else(|| raw.into())
}

/// What is rewritten: a seed that becomes the new text.
#[derive(Clone, Copy)]
enum Shape {
    /// A schema, or a list of them.
    Schema,
    /// Schemas by name.
    Named,
}

impl<'de> DeserializeSeed<'de> for Shape {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shape {
    type Value = String;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a schema")
    }

    fn visit_bool<E>(self, any: bool) -> Result<String, E> {
        Ok(any.to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<String, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = items.next_element_seed(Self::Schema)? {
            texts.push(text);
        }
        Ok(format!("[{}]", texts.join(",")))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        let mut members = Members::default();
        while let Some(name) = map.next_key::<String>()? {
            match self {
                Self::Schema => members.read(&name, &mut map)?,
                Self::Named => members.all.push((name, map.next_value_seed(Self::Schema)?)),
            }
        }
        Ok(members.finish())
    }
}

/// The members of one schema, as JSON.
#[derive(Default)]
struct Members {
    all: Vec<(String, String)>,
    is_nullable: bool,
}

impl Members {
    fn read<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let name = camel(name);
        let text = match &*name {
            "nullable" => {
                self.is_nullable = map.next_value::<Option<bool>>()? == Some(true);
                return Ok(());
            }
            // The order is that of the properties.
            "propertyOrdering" => return map.next_value::<IgnoredAny>().map(|_| ()),
            "type" => {
                let kind = map.next_value::<Box<RawValue>>()?.get().to_ascii_lowercase();
                if kind == "\"type_unspecified\"" {
                    return Ok(());
                }
                kind
            }
            "properties" | "patternProperties" | "$defs" | "definitions" => {
                map.next_value_seed(Shape::Named)?
            }
            "items" | "prefixItems" | "anyOf" | "oneOf" | "allOf" | "additionalProperties" | "not" => {
                map.next_value_seed(Shape::Schema)?
            }
            "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties" => {
                map.next_value::<Box<RawValue>>()?.get().trim_matches('"').to_owned()
            }
            _ => map.next_value::<Box<RawValue>>()?.get().to_owned(),
        };
        self.all.push((name, text));
        Ok(())
    }

    fn finish(mut self) -> String {
        let has = |name: &str| self.all.iter().position(|(each, _)| each == name);
        match has("type") {
            _ if !self.is_nullable => object(&self.all),
            Some(kind) if has("enum").is_none() => {
                self.all[kind].1 = format!("[{},\"null\"]", self.all[kind].1);
                object(&self.all)
            }
            // A value that is one of a list, or of no type that is told, is null only beside all of that.
            _ => format!("{{\"anyOf\":[{},{{\"type\":\"null\"}}]}}", object(&self.all)),
        }
    }
}

/// `any_of` is `anyOf`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| match word.split_at_checked(1) {
        Some((begin, rest)) => name + &begin.to_ascii_uppercase() + rest,
        None => name + "_" + word,
    })
}

fn object(members: &[(String, String)]) -> String {
    let mut out = vec![b'{'];
    for (number, (name, value)) in members.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        push_string(&mut out, name);
        out.push(b':');
        out.extend_from_slice(value.as_bytes());
    }
    out.push(b'}');
    String::from_utf8(out).expect("what was pushed is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expect: &str) {
        let raw = RawValue::from_string(source.to_owned()).unwrap();
        assert_eq!(to_json_schema(raw).as_str(), expect);
    }

    #[test]
    fn types_are_in_small_letters_and_null_is_one_of_them() {
        check(
            r#"{"type":"OBJECT","properties":{"type":{"type":"STRING","nullable":true},"a":{"type":"ARRAY","items":{"type":"INTEGER"},"min_items":"1"}},"required":["type"],"propertyOrdering":["type","a"]}"#,
            r#"{"type":"object","properties":{"type":{"type":["string","null"]},"a":{"type":"array","items":{"type":"integer"},"minItems":1}},"required":["type"]}"#,
        );
        check(
            r#"{"any_of":[{"type":"STRING"},{"type":"NUMBER"}],"nullable":true}"#,
            r#"{"anyOf":[{"anyOf":[{"type":"string"},{"type":"number"}]},{"type":"null"}]}"#,
        );
        check(
            r#"{"description":"x","type":"STRING","enum":["STRING","b"],"nullable":true}"#,
            r#"{"anyOf":[{"description":"x","type":"string","enum":["STRING","b"]},{"type":"null"}]}"#,
        );
        check(r#"{"type":"TYPE_UNSPECIFIED","nullable":false,"anyOf":[]}"#, r#"{"anyOf":[]}"#);
    }

    #[test]
    fn a_json_schema_stays_what_it_is() {
        for source in [
            r##"{"type":"object","properties":{"z":{"$ref":"#/$defs/Z"},"a":true},"$defs":{"Z":{"type":["string","null"],"default":1.50}},"additionalProperties":false}"##,
            "true",
            "{}",
            "[]",
            "7",
            r#"{"items": "NONE", "type": "ARRAY"}"#,
            r#"{"x-_":{"_":1},"__":2}"#,
        ] {
            check(source, source);
        }
    }

    #[test]
    fn as_deep_as_a_document_may_be() {
        let deep = format!("{}{{\"type\":\"STRING\"}}{}", "{\"items\":".repeat(100), "}".repeat(100));
        check(&deep, &deep.replace("STRING", "string"));
        let deeper = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
        check(&deeper, &deeper);
    }
}
