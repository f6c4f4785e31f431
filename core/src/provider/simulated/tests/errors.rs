//! What goes wrong in the other dialects, as it was asked for or because of the request.

use super::{
    tongue::{More, Tongue, tongues},
    *,
};
use crate::wire::chat::{ChatEvent, ErrorKind};

const STREAM: More = More { stream: true, tools: false, json: false, max: None, thinks: true, shows: true };

/// The chunks of a stream.
fn chunks(script: Script) -> Vec<Vec<u8>> {
    script.parts.map(|part| part.bytes.to_vec()).collect()
}

#[test]
fn an_error_is_answered_in_the_dialects_shape() {
    for tongue in tongues() {
        for (status, kind) in [
            (400, ErrorKind::InvalidRequest),
            (401, ErrorKind::Authentication),
            (403, ErrorKind::Permission),
            (404, ErrorKind::NotFound),
            (429, ErrorKind::RateLimit),
            (500, ErrorKind::Internal),
            (503, ErrorKind::Overloaded),
            (529, ErrorKind::Overloaded),
        ] {
            for more in [STREAM, More::default()] {
                let script = tongue.ask(more, &format!("status={status}, retry_after=2, delay_ms=30"));
                assert_eq!((script.status, script.wait_ms, script.abort), (status, 30, false));
                assert!(script.headers.contains(&("retry-after", "2".to_owned())));
                let error = tongue.codec().decode_error(status, &bytes(script));
                assert_eq!((error.kind, error.status), (kind, status), "{tongue:?}");
                assert_eq!(error.message, format!("Simulated error {status}"));
            }
        }
    }
    let shape = |dialect| json_of(Tongue(dialect).ask(More::default(), "status=429"));
    assert_eq!(
        shape(Dialect::AnthropicMessages),
        json!({
            "type": "error",
            "error": { "type": "rate_limit_error", "message": "Simulated error 429" },
            "request_id": "req_910a2dec89025cc1",
        })
    );
    assert_eq!(
        shape(Dialect::Gemini),
        json!({ "error": { "code": 429, "message": "Simulated error 429", "status": "RESOURCE_EXHAUSTED" } })
    );
}

#[test]
fn a_stream_ends_with_an_error_event_after_so_many_chunks() {
    for tongue in tongues() {
        let whole = chunks(tongue.ask(STREAM, ""));
        for after in 0..whole.len() {
            let script = tongue.ask(STREAM, &format!("error_event={after}"));
            assert_eq!((script.status, script.abort), (200, false));
            let failed = chunks(script);
            assert_eq!(failed[..after], whole[..after], "{tongue:?}");
            let told_twice = tongue.0 == Dialect::OpenAiResponses;
            assert_eq!(failed.len(), after + 1 + usize::from(told_twice));
            let last = String::from_utf8(failed.last().unwrap().to_vec()).unwrap();
            assert_eq!(
                last.starts_with("event: response.failed\n"),
                told_twice,
                "Codex acts on nothing else"
            );
            let events = tongue.events(&failed.concat());
            let Some(ChatEvent::Error(error)) = events.last() else { panic!("{tongue:?}: {events:?}") };
            assert_eq!((error.kind, &*error.message), (ErrorKind::Internal, stream::BROKEN));
            assert!(!events.contains(&ChatEvent::Done));
        }
        let plain = bytes(tongue.ask(More::default(), "error_event=2"));
        assert!(tongue.codec().decode_answer(&plain).is_err(), "{tongue:?}");
        assert_eq!(tongue.codec().decode_error(500, &plain).message, stream::BROKEN);
    }
}

#[test]
fn an_array_fails_within_its_brackets() {
    let body = Tongue(Dialect::Gemini).body(More::default());
    let endpoint = Endpoint::GenerateContent { model: "m", manner: Manner::Array };
    for after in 0..3 {
        let failed = bytes(ask(endpoint, &body, &format!("error_event={after}")));
        let items: Vec<Value> = serde_json::from_slice(&failed).unwrap();
        assert_eq!((items.len(), &items[after]["error"]["code"]), (after + 1, &json!(500)));
    }
}

#[test]
fn streams_are_cut_and_paced_by_their_events() {
    for tongue in tongues() {
        let whole = chunks(tongue.ask(STREAM, ""));
        for chunk in &whole {
            let text = std::str::from_utf8(chunk).unwrap();
            assert_eq!((text.matches("\n\n").count(), text.ends_with("\n\n")), (1, true), "{text}");
        }
        for after in 0..whole.len() + 2 {
            let script = tongue.ask(STREAM, &format!("cut_after={after}, pace_ms=20, delay_ms=500"));
            assert!(script.abort && script.wait_ms == 500);
            let parts: Vec<Part> = script.parts.collect();
            assert_eq!(parts.len(), after.min(whole.len()));
            for (index, part) in parts.iter().enumerate() {
                assert_eq!((&*part.bytes, part.wait_ms), (&*whole[index], if index == 0 { 0 } else { 20 }));
            }
            let is_done = tongue.fold(&whole[..after.min(whole.len())].concat()).is_done();
            assert_eq!(is_done, after >= whole.len(), "{tongue:?} {after}");
        }
        let plain = bytes(tongue.ask(More::default(), ""));
        assert_eq!(bytes(tongue.ask(More::default(), "cut_after=0")), plain[..plain.len() / 2]);
    }
}

#[test]
fn usage_can_be_left_out_in_every_dialect() {
    for tongue in tongues() {
        for stream in [false, true] {
            let more = More { stream, ..STREAM };
            let bytes = bytes(tongue.ask(more, "no_usage"));
            let answer = match stream {
                true => tongue.fold(&bytes).answer().clone(),
                false => tongue.codec().decode_answer(&bytes).unwrap(),
            };
            assert_eq!(answer.usage, None, "{tongue:?} {stream}");
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.contains("put_tokens") && !text.contains("usageMetadata"), "{text}");
        }
    }
}

#[test]
fn a_wrong_request_is_refused_in_the_dialects_shape() {
    for tongue in tongues() {
        let told = |body: &[u8], directive: &str| {
            let script = answer(tongue.endpoint(false), body, Some(directive), 1, CREATED);
            assert_eq!(script.status, 400, "{tongue:?} {}", String::from_utf8_lossy(body));
            tongue.codec().decode_error(400, &bytes(script)).message
        };
        for body in ["", "[]", "{", "null", "\u{feff}{}", "{}"] {
            assert!(!told(body.as_bytes(), "").is_empty());
        }
        let body = tongue.body(More::default());
        assert!(
            told(body.to_string().as_bytes(), "pace=3").starts_with("x-aione-simulate: unknown directive")
        );
        let none = tongue.body(More { max: Some(0), ..More::default() });
        assert!(told(none.to_string().as_bytes(), "").ends_with("must be at least 1"));
    }
    let messages = Tongue(Dialect::AnthropicMessages);
    let mut body = messages.body(More { tools: true, ..More::default() });
    body["tool_choice"] = json!({ "type": "tool", "name": "x" });
    let refused = json_of(ask(Endpoint::Messages, &body, ""));
    assert_eq!(refused["error"]["message"], "'tool_choice' must be the name of one of the tools");
    let mut body = messages.body(More::default());
    body.as_object_mut().unwrap().remove("max_tokens");
    let refused = json_of(ask(Endpoint::Messages, &body, ""));
    assert_eq!(
        (&refused["error"]["type"], &refused["error"]["message"]),
        (&json!("invalid_request_error"), &json!("max_tokens: Field required"))
    );
}
