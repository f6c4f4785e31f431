//! What is compared of an output: of JSON its keys, their order and the types; of a text its words. Values
//! and numbers may differ.

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use std::fmt;

/// # Errors
/// Where they differ.
pub(super) fn json(shown: &str, said: &str) -> Result<(), String> {
    let read = |text| serde_json::from_str::<Shape>(text).map_err(|error| format!("not JSON: {error}"));
    like(&read(shown)?, &read(said)?, "$")
}

/// # Errors
/// The first line that differs.
pub(super) fn text(shown: &str, said: &str) -> Result<(), String> {
    let (shown, said): (Vec<_>, Vec<_>) =
        (shown.trim_end().lines().collect(), said.trim_end().lines().collect());
    for (shown, said) in shown.iter().zip(&said) {
        if words(shown) != words(said) {
            return Err(format!("`{shown}` is shown, `{said}` came"));
        }
    }
    let (shown, said) = (shown.len(), said.len());
    if shown == said { Ok(()) } else { Err(format!("{shown} lines are shown, {said} came")) }
}

/// The words of a line; one that holds a digit is like any other that does.
fn words(line: &str) -> Vec<&str> {
    let parts = line.split(|c: char| !c.is_alphanumeric() && c != '.').filter(|word| !word.is_empty());
    parts.map(|word| if word.contains(|c: char| c.is_ascii_digit()) { "1" } else { word }).collect()
}

#[derive(Debug)]
enum Shape {
    Null,
    Flag,
    Number,
    Text,
    List(Vec<Shape>),
    Object(Vec<(String, Shape)>),
}

fn like(shown: &Shape, said: &Shape, at: &str) -> Result<(), String> {
    match (shown, said) {
        (Shape::Null, Shape::Null)
        | (Shape::Flag, Shape::Flag)
        | (Shape::Number, Shape::Number)
        | (Shape::Text, Shape::Text) => Ok(()),
        (Shape::List(shown), Shape::List(said)) => {
            if shown.is_empty() != said.is_empty() {
                return Err(format!("{at}: {} elements are shown, {} came", shown.len(), said.len()));
            }
            // Each that came is like one that is shown, and none is shown in vain.
            let alike = |one: &Shape, other: &Shape| like(one, other, at).is_ok();
            let odd = said.iter().find(|said| !shown.iter().any(|shown| alike(shown, said)));
            let vain = shown.iter().find(|shown| !said.iter().any(|said| alike(shown, said)));
            match odd.or(vain) {
                Some(element) => Err(format!("{at}[]: on one side only: {element:?}")),
                None => Ok(()),
            }
        }
        (Shape::Object(shown), Shape::Object(said)) => {
            let keys =
                |fields: &[(String, Shape)]| fields.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
            let (shown_keys, said_keys) = (keys(shown), keys(said));
            if shown_keys != said_keys {
                return Err(format!("{at}: {shown_keys:?} are shown, {said_keys:?} came"));
            }
            shown
                .iter()
                .zip(said)
                .try_for_each(|((key, shown), (_, said))| like(shown, said, &format!("{at}.{key}")))
        }
        (shown, said) => Err(format!("{at}: {shown:?} is shown, {said:?} came")),
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Flag)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Number)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            elements.push(element);
        }
        Ok(Shape::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Shape::Object(fields))
    }
}
