//! Schemas of answers as the vendor takes them: every object must say that it has no other properties, which
//! other dialects leave unsaid, and hardly anything is bounded: <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>.

use crate::wire::{
    chat::{Dropped, Raw},
    json::{JsonError, Scanner, Token},
};
use std::ops::Range;

/// Members whose values are no schemas.
const VALUES: [&str; 4] = ["const", "default", "enum", "examples"];
/// Members that hold schemas by names of the caller's.
const NAMED: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];
/// Bounds that the vendor refuses.
const UNTAKEN: [&str; 11] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];
/// The only bounds of a list that it takes.
const TAKEN_MIN_ITEMS: [&str; 2] = ["0", "1"];
const CLOSED: &str = r#","additionalProperties":false"#;

/// The schema with its objects closed and without the bounds that the vendor refuses, which are named; its bytes
/// otherwise as they are.
pub(super) fn for_vendor(schema: &Raw, dropped: &mut Dropped) -> Raw {
    let text = schema.as_str();
    let Ok(Edits { edits, untaken }) = edits(text) else { return schema.clone() };
    let mut out = String::with_capacity(text.len() + edits.len() * CLOSED.len());
    let mut at = 0;
    for (range, instead) in edits {
        out.push_str(&text[at..range.start]);
        out.push_str(instead);
        at = range.end;
    }
    out.push_str(&text[at..]);
    let Some(edited) = Raw::from_text(&out) else { return schema.clone() };
    untaken.iter().for_each(|name| dropped.note(&format!("response_format.{name}")));
    edited
}

struct Edits {
    /// What stands instead of what, in the text's order.
    edits: Vec<(Range<usize>, &'static str)>,
    /// The names of the members that are left out.
    untaken: Vec<&'static str>,
}

/// A container that is open.
#[derive(Default)]
struct Open {
    /// Where its members begin.
    start: usize,
    /// Its members are schemas by name.
    is_named: bool,
    /// It is the list of a schema's types.
    is_types: bool,
    is_object: bool,
    says: bool,
    /// A member of it stays.
    keeps: bool,
    /// Its first members are left out.
    begins_late: bool,
}

/// Closes the objects that do not say whether they have other properties, and leaves out what is not taken.
fn edits(schema: &str) -> Result<Edits, JsonError> {
    let mut scanner = Scanner::lenient(schema.as_bytes());
    let (mut edits, mut untaken) = (Vec::new(), Vec::new());
    let mut open = Vec::<Open>::new();
    let (mut is_named, mut is_types) = (false, false);
    while let Some(token) = scanner.next()? {
        let (named, types) = (std::mem::take(&mut is_named), std::mem::take(&mut is_types));
        let Range { start, end } = scanner.span();
        match token {
            Token::ObjectOpen => open.push(Open { start: end, is_named: named, ..Open::default() }),
            Token::ArrayOpen => open.push(Open { is_types: types, ..Open::default() }),
            Token::ArrayClose => drop(open.pop()),
            Token::ObjectClose => {
                let closed = open.pop().unwrap_or_default();
                if closed.begins_late && !closed.keeps {
                    edits.push((closed.start..start, ""));
                }
                if closed.is_object && !closed.says {
                    edits.push((start..start, CLOSED));
                }
            }
            Token::Key(key) => {
                let Some(inside) = open.last_mut() else { continue };
                if !inside.is_named {
                    let is_min_items = key.is("minItems");
                    if let Some(name) =
                        UNTAKEN.into_iter().find(|name| key.is(name)).or(is_min_items.then_some("minItems"))
                    {
                        let value = scanner.walk(|_| {})?;
                        let is_taken = is_min_items && TAKEN_MIN_ITEMS.contains(&&schema[value.clone()]);
                        if !is_taken {
                            untaken.push(name);
                            // Behind a member that stays, with the comma between them.
                            let comma = schema[..start].rfind(',').filter(|_| inside.keeps);
                            edits.extend(comma.map(|comma| (comma..value.end, "")));
                            inside.begins_late |= !inside.keeps;
                            continue;
                        }
                    }
                    inside.says |= key.is("additionalProperties");
                    is_types = key.is("type");
                    is_named = NAMED.iter().any(|name| key.is(name));
                    if VALUES.iter().any(|name| key.is(name)) {
                        scanner.walk(|_| {})?;
                    }
                }
                if inside.begins_late && !inside.keeps {
                    edits.push((inside.start..start, ""));
                }
                inside.keeps = true;
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
    Ok(Edits { edits, untaken })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &str, expect: &str) {
        let mut dropped = Dropped::default();
        assert_eq!(for_vendor(&Raw::from_text(schema).unwrap(), &mut dropped).as_str(), expect);
        assert!(dropped.is_empty(), "{}", dropped.header());
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

    #[test]
    fn bounds_that_the_vendor_refuses_are_left_out_by_name() {
        for (schema, expect, names) in [
            (
                r#"{"type":"integer", "minimum" : 1 , "maximum":{"$data":"1,2"}}"#,
                r#"{"type":"integer" }"#,
                "maximum minimum",
            ),
            (
                r#"{"minLength":1,"maxLength":2,"type":"string","pattern":"a,b"}"#,
                r#"{"type":"string","pattern":"a,b"}"#,
                "maxLength minLength",
            ),
            (
                r#"{"items":{"multipleOf":0.5},"minItems":2,"maxItems":3}"#,
                r#"{"items":{}}"#,
                "maxItems minItems multipleOf",
            ),
            (
                r#"{"minItems":1,"uniqueItems":true,"items":true}"#,
                r#"{"minItems":1,"items":true}"#,
                "uniqueItems",
            ),
            (
                r#"{"maxProperties":2,"type":"object","properties":{"minimum":{"type":"number","exclusiveMinimum":0,"const":{"maximum":1}}}}"#,
                r#"{"type":"object","properties":{"minimum":{"type":"number","const":{"maximum":1}}},"additionalProperties":false}"#,
                "exclusiveMinimum maxProperties",
            ),
        ] {
            let mut dropped = Dropped::default();
            assert_eq!(for_vendor(&Raw::from_text(schema).unwrap(), &mut dropped).as_str(), expect);
            let names = names.split(' ').map(|name| format!("response_format.{name}")).collect::<Vec<_>>();
            assert_eq!(dropped.names().collect::<Vec<_>>(), names, "{schema}");
        }
    }
}
