//! An honest Bedrock: `Converse` and `InvokeModel` with their binary streams, behind a signature that is
//! computed anew by the published steps. Shares no code with the product.

use super::{
    Seen,
    honest::{Pieces, text, texts},
    messages,
    openai::CONTENT_EVENTS,
    script::Script,
    truth::Truth,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What requests are signed with.
pub const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
pub const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub const SESSION_TOKEN: &str = "IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQD+x/y=";
pub const REGION: &str = "eu-west-1";

/// Chunks of so many bytes, so that no message lies in one.
const CUT_BYTES: usize = 11;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Checks a signature of version 4 step by step: the canonical request, the text to be signed, the key.
pub fn verify(seen: &Seen, session_token: Option<&str>) -> Result<(), String> {
    let header = |name: &str| seen.headers().get(name).ok_or_else(|| format!("no {name}"));
    let authorization = header("authorization")?;
    let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("not the algorithm")?;
    let part = |name: &str| {
        let parts = rest.split(", ").filter_map(|part| part.split_once('='));
        parts.filter(|(key, _)| *key == name).map(|(_, value)| value).next().ok_or(format!("no {name}"))
    };
    let (credential, names, signature) = (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
    let date = header("x-amz-date")?;
    let scope = format!("{}/{REGION}/bedrock/aws4_request", &date[..8]);
    if credential != format!("{ACCESS_KEY_ID}/{scope}") {
        return Err(format!("the scope is {credential}"));
    }
    if seen.headers().get("x-amz-security-token") != session_token {
        return Err("another session token".to_owned());
    }
    for name in ["host", "x-amz-date"].into_iter().chain(session_token.map(|_| "x-amz-security-token")) {
        if !names.split(';').any(|signed| signed == name) {
            return Err(format!("{name} is not signed"));
        }
    }
    let headers: String = names
        .split(';')
        .map(|name| {
            Ok(format!("{name}:{}\n", header(name)?.split_whitespace().collect::<Vec<_>>().join(" ")))
        })
        .collect::<Result<_, String>>()?;
    let (path, query) = seen.path().split_once('?').unwrap_or((seen.path(), ""));
    // Of a path that is encoded each segment is encoded once more.
    let path = path.replace('%', "%25");
    let canonical = format!("POST\n{path}\n{query}\n{headers}\n{names}\n{}", sha256(&seen.body));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let key = ["bedrock", "aws4_request"]
        .iter()
        .fold(hmac(&hmac(format!("AWS4{SECRET_ACCESS_KEY}").as_bytes(), &date[..8]), REGION), |key, step| {
            hmac(&key, step)
        });
    let expected = hex(&hmac(&key, &text));
    if signature == expected { Ok(()) } else { Err(format!("the signature is {signature}:\n{canonical}")) }
}

/// One message of a binary stream.
pub fn message(kind: &str, name: &str, payload: &[u8]) -> Vec<u8> {
    let named = if kind == "event" { ":event-type" } else { ":exception-type" };
    let mut headers = Vec::new();
    for (name, value) in [(named, name), (":content-type", "application/json"), (":message-type", kind)] {
        headers.push(u8::try_from(name.len()).unwrap());
        headers.extend_from_slice(name.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let mut bytes = u32::try_from(16 + headers.len() + payload.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(&u32::try_from(headers.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes.extend_from_slice(&headers);
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

pub fn event(name: &str, payload: &Value) -> Vec<u8> {
    message("event", name, payload.to_string().as_bytes())
}

pub fn exception(name: &str, text: &str) -> Vec<u8> {
    message("exception", name, json!({ "message": text }).to_string().as_bytes())
}

/// The head of a binary stream; chunks follow.
pub fn stream_head() -> Script {
    Script::chunked(200, &[("content-type", "application/vnd.amazon.eventstream")])
}

/// A whole binary stream, cut where no message ends.
pub fn stream(messages: &[Vec<u8>]) -> Script {
    stream_head().chunks(messages.concat().chunks(CUT_BYTES)).end()
}

/// What was read from a cache is apart; what was thought is not told.
fn usage(truth: &Truth) -> Value {
    json!({
        "inputTokens": truth.prompt - truth.cached, "outputTokens": truth.completion,
        "totalTokens": truth.prompt + truth.completion, "cacheReadInputTokens": truth.cached,
        "cacheWriteInputTokens": 0,
    })
}

/// A whole answer of `Converse`.
pub fn converse(truth: &Truth) -> Value {
    json!({
        "metrics": { "latencyMs": 12 },
        "output": { "message": { "role": "assistant", "content": [{ "text": texts(CONTENT_EVENTS) }] } },
        "stopReason": "end_turn", "usage": usage(truth),
    })
}

/// The messages of a stream of `Converse`.
pub fn converse_stream(truth: &Truth, count: usize) -> Pieces {
    let delta = |n| {
        event(
            "contentBlockDelta",
            &json!({ "contentBlockIndex": 0, "delta": { "text": text(n) }, "p": "ab" }),
        )
    };
    Pieces {
        opening: vec![event("messageStart", &json!({ "role": "assistant", "p": "abc" }))],
        content: (0..count).map(delta).collect(),
        closing: vec![
            event("contentBlockStop", &json!({ "contentBlockIndex": 0 })),
            event("messageStop", &json!({ "stopReason": "end_turn" })),
            event("metadata", &json!({ "usage": usage(truth), "metrics": { "latencyMs": 12 } })),
        ],
    }
}

/// The messages of a stream in Anthropic's dialect: each event's data in base64.
pub fn invoke_stream(truth: &Truth, model: &str) -> Vec<Vec<u8>> {
    let events = messages::stream(truth, model, CONTENT_EVENTS).all();
    let data = events.iter().filter_map(|event| {
        let text = std::str::from_utf8(event).unwrap();
        text.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned)
    });
    data.map(|data| event("chunk", &json!({ "bytes": STANDARD.encode(data), "p": "abcdef" }))).collect()
}

/// What the front answers to a signature that does not fit.
pub fn refusal(reason: &str) -> Script {
    let kind = [("content-type", "application/json"), ("x-amzn-errortype", "InvalidSignatureException")];
    Script::answer(
        403,
        &kind,
        json!({ "message": format!("The signature does not match: {reason}") }).to_string(),
    )
}

/// An honest answer to a request that is let in.
pub fn answer(seen: &Seen, truth: &Truth) -> Script {
    let named = seen.path().strip_prefix("/model/").and_then(|rest| rest.split_once('/'));
    let Some((model, call)) = named else {
        return Script::json(404, json!({ "message": "no such operation" }).to_string());
    };
    match call {
        "converse" => Script::json(200, converse(truth).to_string()).truth(truth),
        "converse-stream" => stream(&converse_stream(truth, CONTENT_EVENTS).all()).truth(truth),
        "invoke" | "invoke-with-response-stream" => {
            let ask = seen.json();
            if ask["anthropic_version"] != "bedrock-2023-05-31"
                || ask.get("model").is_some()
                || ask.get("stream").is_some()
            {
                let message = "Malformed input request: extraneous key [model] is not permitted";
                return Script::json(400, json!({ "message": message }).to_string());
            }
            let truth = messages::renamed(truth);
            if call == "invoke" {
                return Script::json(200, messages::message(&truth, model)).truth(&truth);
            }
            stream(&invoke_stream(&truth, model)).truth(&truth)
        }
        _ => Script::json(404, json!({ "message": "no such operation" }).to_string()),
    }
}
