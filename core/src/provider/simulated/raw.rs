//! What is passed through: the answer says what was asked.

use super::{Script, directed, plain, text::count};
use serde_json::{Value, json};

/// Longest part of a path that an answer repeats, in bytes.
const SHOWN_MAX: usize = 256;

pub(super) fn answer(method: &str, path: &str, body: &[u8], directive: Option<&str>, id_seed: u64) -> Script {
    let directive = match directed(directive) {
        Ok(directive) => directive,
        Err(refused) => return refused,
    };
    let mut answer = json!({
        "id": format!("raw_{id_seed:016x}"),
        "object": "simulated.raw",
        "method": method,
        "path": &path[..path.floor_char_boundary(SHOWN_MAX)],
        "bytes": body.len(),
    });
    if matches!(serde_json::from_slice(body), Ok(Value::Object(_))) && !directive.no_usage {
        let read = count(&String::from_utf8_lossy(body));
        answer["usage"] = json!({ "prompt_tokens": read, "completion_tokens": 1, "total_tokens": read + 1 });
    }
    plain(&directive, 200, answer.to_string().into())
}
