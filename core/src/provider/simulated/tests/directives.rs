//! What the header asks for.

use super::*;

#[test]
fn an_error_is_answered_where_it_is_asked_for() {
    let script =
        ask(Endpoint::Chat, &hello(json!({ "stream": true })), "status=429, retry_after=2,delay_ms=30");
    assert_eq!((script.status, script.wait_ms, script.abort), (429, 30, false));
    assert!(script.headers.contains(&("retry-after", "2".to_owned())));
    assert_eq!(
        json_of(script),
        json!({ "error": {
            "message": "Simulated error 429",
            "type": "rate_limit_error",
            "param": null,
            "code": "rate_limit_exceeded",
        } })
    );
}

#[test]
fn the_pace_waits_before_every_chunk_but_the_first() {
    let script = ask(Endpoint::Chat, &hello(json!({ "stream": true })), "pace_ms=20,delay_ms=500,tokens=2");
    assert_eq!(script.wait_ms, 500);
    let waits: Vec<u64> = script.parts.map(|part| part.wait_ms).collect();
    assert_eq!(waits, [0, 20, 20, 20, 20]);
}

#[test]
fn a_stream_is_cut_after_so_many_chunks() {
    let whole = events(chat(&hello(json!({ "stream": true }))));
    for after in 0..whole.len() + 2 {
        let script = ask(Endpoint::Chat, &hello(json!({ "stream": true })), &format!("cut_after={after}"));
        assert!(script.abort);
        assert_eq!(events(script), whole[..after.min(whole.len())]);
    }
}

#[test]
fn a_plain_answer_is_cut_in_its_middle() {
    let whole = bytes(chat(&hello(json!({}))));
    let script = ask(Endpoint::Chat, &hello(json!({})), "cut_after=0");
    assert!(script.abort);
    assert!(script.headers.contains(&("content-length", whole.len().to_string())));
    assert_eq!(bytes(script), whole[..whole.len() / 2]);
}

#[test]
fn an_error_event_ends_a_stream_without_done() {
    let error = json!({ "error": {
        "message": "Simulated error in the answer",
        "type": "api_error",
        "param": null,
        "code": "server_error",
    } });
    let script = ask(Endpoint::Chat, &hello(json!({ "stream": true })), "error_event=2");
    assert_eq!((script.status, script.abort), (200, false));
    let events = events(script);
    assert_eq!((events.len(), &events[2]), (3, &error));
    let plain = ask(Endpoint::Chat, &hello(json!({})), "error_event=2");
    assert_eq!((plain.status, json_of(plain)), (200, error));
}

#[test]
fn usage_can_be_left_out_everywhere() {
    let streamed = hello(json!({ "stream": true, "stream_options": { "include_usage": true } }));
    let stream = events(ask(Endpoint::Chat, &streamed, "no_usage"));
    assert!(stream.iter().all(|event| event.get("usage").is_none()));
    assert_eq!(json_of(ask(Endpoint::Chat, &hello(json!({})), "no_usage")).get("usage"), None);
    let body = json!({ "model": "m", "input": "x", "prompt": "x" });
    for endpoint in [Endpoint::Completion, Endpoint::Embedding] {
        assert_eq!(json_of(ask(endpoint, &body, "no_usage")).get("usage"), None);
    }
}

#[test]
fn a_wrong_directive_is_refused_and_told() {
    let told = |directive: &str| refused(ask(Endpoint::Chat, &hello(json!({})), directive)).0;
    assert_eq!(
        told("pace=3"),
        "x-aione-simulate: unknown directive `pace`; there are status, retry_after, delay_ms, pace_ms, \
         tokens, seed, no_usage, cut_after, error_event"
    );
    for (directive, message) in [
        ("status=200", "`status` must be a whole number from 400 to 599"),
        ("status", "`status` must be a whole number from 400 to 599"),
        ("tokens=0", "`tokens` must be a whole number from 1 to 8192"),
        ("tokens=+5", "`tokens` must be a whole number from 1 to 8192"),
        ("delay_ms=600001", "`delay_ms` must be a whole number from 0 to 600000"),
        ("pace_ms=-1", "`pace_ms` must be a whole number from 0 to 60000"),
        ("no_usage=1", "`no_usage` takes no value"),
        ("seed=1,seed=2", "`seed` is given twice"),
    ] {
        assert_eq!(told(directive), format!("x-aione-simulate: {message}"));
    }
    assert!(told(&"x".repeat(DIRECTIVE_BYTES_MAX + 1)).ends_with("is longer than 512 bytes"));
    assert_eq!(ask(Endpoint::Chat, &hello(json!({})), " , seed = 1 ,").status, 200);
}
