//! Schemas of answers as the vendor takes them: every object must say that it has no other properties, which
//! other dialects leave unsaid: <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>.

use crate::wire::{
    chat::Raw,
    json::{JsonError, Scanner, Token},
};

/// Members whose values are no schemas.
const VALUES: [&str; 4] = ["const", "default", "enum", "examples"];
/// Members that hold schemas by names of the caller's.
const NAMED: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];
const CLOSED: &str = r#","additionalProperties":false"#;

/// The schema with its objects closed, its bytes otherwise as they are.
pub(super) fn closed(schema: &Raw) -> Raw {
    let text = schema.as_str();
    let Ok(places) = open_objects(text) else { return schema.clone() };
    let mut out = String::with_capacity(text.len() + places.len() * CLOSED.len());
    let mut at = 0;
    for place in places {
        out.push_str(&text[at..place]);
        out.push_str(CLOSED);
        at = place;
    }
    out.push_str(&text[at..]);
    Raw::from_text(&out).unwrap_or_else(|| schema.clone())
}

/// A container that is open.
#[derive(Default)]
struct Open {
    /// Its members are schemas by name.
    is_named: bool,
    /// It is the list of a schema's types.
    is_types: bool,
    is_object: bool,
    says: bool,
}

/// Where the objects end that do not say whether they have other properties.
fn open_objects(schema: &str) -> Result<Vec<usize>, JsonError> {
    let (mut scanner, mut places) = (Scanner::lenient(schema.as_bytes()), Vec::new());
    let mut open = Vec::<Open>::new();
    let (mut is_named, mut is_types) = (false, false);
    while let Some(token) = scanner.next()? {
        let (named, types) = (std::mem::take(&mut is_named), std::mem::take(&mut is_types));
        match token {
            Token::ObjectOpen => open.push(Open { is_named: named, ..Open::default() }),
            Token::ArrayOpen => open.push(Open { is_types: types, ..Open::default() }),
            Token::ArrayClose => drop(open.pop()),
            Token::ObjectClose => {
                let closed = open.pop().unwrap_or_default();
                places.extend((closed.is_object && !closed.says).then(|| scanner.span().start));
            }
            Token::Key(key) => {
                let Some(inside) = open.last_mut().filter(|inside| !inside.is_named) else { continue };
                inside.says |= key.is("additionalProperties");
                is_types = key.is("type");
                is_named = NAMED.iter().any(|name| key.is(name));
                if VALUES.iter().any(|name| key.is(name)) {
                    scanner.walk(|_| {})?;
                }
            }
            Token::String(word) if word.is("object") => {
                let in_list = usize::from(open.last().is_some_and(|inside| inside.is_types));
                let schema = open.len().checked_sub(1 + in_list).filter(|_| types || in_list > 0);
                if let Some(schema) = schema.and_then(|at| open.get_mut(at)) {
                    schema.is_object = true;
                }
            }
            _ => {}
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &str, expect: &str) {
        assert_eq!(closed(&Raw::from_text(schema).unwrap()).as_str(), expect);
    }

    #[test]
    fn objects_that_do_not_say_are_closed_and_all_else_stays() {
        check(
            r#"{"type":"array","items":{"type": ["object","null"],"properties":{"a":{"type":"object"},"b":{"type":"string"}}}}"#,
            r#"{"type":"array","items":{"type": ["object","null"],"properties":{"a":{"type":"object","additionalProperties":false},"b":{"type":"string"}},"additionalProperties":false}}"#,
        );
        for same in [
            r#"{"type":"object","additionalProperties":false,"properties":{}}"#,
            r#"{"type":"object","additionalProperties":{"type":"string"}}"#,
            r#"{"type":"string","enum":["object",{"type":"object"}],"default":{"type":"object"}}"#,
            r#"{"anyOf":[{"const":{"type":"object"}},{"type":["string","null"]}]}"#,
            "\"object\"",
            "true",
            "[\"object\"]",
        ] {
            check(same, same);
        }
        // Properties may have the names of keywords.
        check(
            r#"{"$defs":{"type":{"type":"object"}},"properties":{"default":{"type":"object"},"additionalProperties":{"type":"null"}},"type":"object"}"#,
            r#"{"$defs":{"type":{"type":"object","additionalProperties":false}},"properties":{"default":{"type":"object","additionalProperties":false},"additionalProperties":{"type":"null"}},"type":"object","additionalProperties":false}"#,
        );
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        check(&deep, &deep);
    }
}
