//! What of a body is otherwise here than with the dialect's own vendor.

use crate::wire::members::Members;
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What the body of a request in Anthropic's dialect says in the place of the header.
const ANTHROPIC_VERSION: &str = "vertex-2023-10-16";

/// The model is in the path.
pub(super) fn of_claude(body: &[u8]) -> Option<Vec<u8>> {
    let mut members = Members::read(body)?;
    members.remove("model");
    members.set("anthropic_version", &ANTHROPIC_VERSION);
    Some(members.write())
}

/// Calls and their results have no ids here: with one, the request is refused. They are told apart by name
/// and order.
pub(super) fn of_gemini(body: &[u8]) -> Option<Vec<u8>> {
    memmem::find(body, b"\"id\"")?;
    let mut members = Members::read(body)?;
    let contents = list(members.get("contents")?)?;
    let turns: Option<Vec<_>> = contents.iter().map(|turn| without_ids(turn)).collect();
    members.set("contents", &turns?);
    Some(members.write())
}

fn without_ids(turn: &RawValue) -> Option<Box<RawValue>> {
    const CALLS: [&str; 4] = ["functionCall", "function_call", "functionResponse", "function_response"];
    let mut turn = Members::read(turn.get().as_bytes())?;
    if let Some(parts) = turn.get("parts").and_then(list) {
        let mut written = Vec::with_capacity(parts.len());
        for part in &parts {
            let mut part = Members::read(part.get().as_bytes())?;
            for name in CALLS {
                let call = part.get(name).map(RawValue::get).map(str::to_owned);
                if let Some(mut call) = call.as_deref().and_then(|call| Members::read(call.as_bytes())) {
                    call.remove("id");
                    part.set(name, &call);
                }
            }
            written.push(raw(&part)?);
        }
        turn.set("parts", &written);
    }
    raw(&turn)
}

/// The items of a list, or the one that stands alone.
fn list(json: &RawValue) -> Option<Vec<&RawValue>> {
    if json.get().starts_with('[') {
        return Vec::<&RawValue>::deserialize(&mut serde_json::Deserializer::from_str(json.get())).ok();
    }
    Some(vec![json])
}

fn raw(members: &Members<'_>) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(members).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claude_is_told_its_version_and_no_model() {
        let body = br#"{"model":"claude","max_tokens":5,"stream":true}"#;
        let text = String::from_utf8(of_claude(body).unwrap()).unwrap();
        assert_eq!(text, r#"{"max_tokens":5,"stream":true,"anthropic_version":"vertex-2023-10-16"}"#);
    }

    #[test]
    fn calls_lose_their_ids_and_nothing_else() {
        let body = br#"{"contents":[{"role":"model","parts":[{"functionCall":{"id":"c1","name":"f","args":{"id":1.0}},
            "thoughtSignature":"s"},{"text":"\"id\""}]},{"role":"user","parts":{"function_response":
            {"name":"f","id":"c1","response":{"id":"kept"}}}}],"tools":[{"id":7}]}"#;
        let text = String::from_utf8(of_gemini(body).unwrap()).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":{"id":1.0}},"#,
                r#""thoughtSignature":"s"},{"text":"\"id\""}]},{"role":"user","parts":[{"function_response":"#,
                r#"{"name":"f","response":{"id":"kept"}}}]}],"tools":[{"id":7}]}"#
            )
        );
        assert_eq!(of_gemini(br#"{"contents":[{"parts":[{"text":"x"}]}]}"#), None);
    }
}
