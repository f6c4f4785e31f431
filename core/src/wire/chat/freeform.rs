//! Tools that take plain text instead of JSON ("custom" tools): to dialects that have none they are
//! functions with one string argument, and their calls are turned back for the caller.
//!
//! Whose calls are to be turned back is in [`super::ChatRequest::freeform_tools`], which
//! [`crate::wire::codec::Setting::freeform_tools`] repeats for the way back.

use super::{part::Raw, request::Tool};
use crate::wire::json::push_string;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};

/// The one argument's schema.
const SCHEMA: &str = r#"{"type":"object","properties":{"input":{"type":"string","description":"The tool's whole input, as plain text."}},"required":["input"],"additionalProperties":false}"#;
/// What stands before and after the escaped text of a call's arguments.
pub const OPENING: &str = r#"{"input":""#;
pub const CLOSING: &str = r#""}"#;

/// The function that stands for a freeform tool. `grammar` is its syntax and definition, which only
/// the description can pass on: nobody holds the model to it.
#[must_use]
pub fn tool(name: String, description: Option<String>, grammar: Option<(&str, &str)>) -> Tool {
    let grammar = grammar.map(|(syntax, definition)| {
        format!("The input is plain text in the language of this {syntax} grammar:\n{definition}")
    });
    let description = [description, grammar].into_iter().flatten().collect::<Vec<_>>().join("\n\n");
    Tool {
        name,
        description: (!description.is_empty()).then_some(description),
        parameters: Raw::from_text(SCHEMA),
        strict: None,
        cache: None,
    }
}

/// The arguments of a call with `input`.
#[must_use]
pub fn arguments(input: &str) -> String {
    format!("{OPENING}{}{CLOSING}", escaped(input))
}

/// `text` as it stands within a JSON string, so that arguments can be put together in pieces.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut quoted = Vec::with_capacity(text.len() + 2);
    push_string(&mut quoted, text);
    let inner = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or_default();
    String::from_utf8_lossy(inner).into_owned()
}

/// The input of a call with `arguments`; where the model did not keep to the schema, its only string,
/// or all that it wrote.
#[must_use]
pub fn input(arguments: &str) -> Cow<'_, str> {
    if let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(arguments) {
        let value = members.get("input").or_else(|| members.values().next().filter(|_| members.len() == 1));
        if let Some(text) = value.and_then(|value| serde_json::from_str::<String>(value.get()).ok()) {
            return Cow::Owned(text);
        }
    }
    serde_json::from_str::<String>(arguments).map_or(Cow::Borrowed(arguments), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_comes_back_byte_for_byte_also_in_pieces() {
        for text in ["", "*** Begin Patch\n+\t\"x\\\" 你好 \u{2028}\u{0}\n*** End Patch", "{\"input\":1}"] {
            assert_eq!(input(&arguments(text)), text);
            let pieces: String = text.chars().map(|each| escaped(&each.to_string())).collect();
            assert_eq!(input(&format!("{OPENING}{pieces}{CLOSING}")), text);
        }
    }

    #[test]
    fn what_does_not_keep_to_the_schema_is_an_input_nevertheless() {
        assert_eq!(input(r#"{"patch":"x"}"#), "x");
        assert_eq!(input(r#""x""#), "x");
        assert_eq!(input("x {"), "x {");
        assert_eq!(input(r#"{"a":"x","b":"y"}"#), r#"{"a":"x","b":"y"}"#);
    }

    #[test]
    fn a_grammar_is_told_in_the_description() {
        let tool = tool("p".to_owned(), Some("Patches.".to_owned()), Some(("lark", "start: X")));
        let description = tool.description.unwrap();
        assert!(description.starts_with("Patches.\n\n") && description.ends_with("lark grammar:\nstart: X"));
        assert!(tool.parameters.is_some());
    }
}
