//! Upstreams that fail: before the first event, in the middle, or by falling silent.

use super::Stage;
use crate::support::{
    client::{Answer, BOTH, BodyEnd, Call, Version},
    gateway::TestGateway,
    upstream::{Events, Script, Truth, Upstream, openai, script},
};
use serde_json::json;

/// A cut answer either breaks the framing or ends with an error event: it never ends as a whole
/// one does.
fn assert_cut(what: &str, answer: &Answer, events: &Events) {
    let text = answer.text();
    let content = String::from_utf8(events.content[0].clone()).unwrap();
    assert!(text.starts_with(&content), "{what}: what was sent is passed on: {text}");
    assert!(!text.contains("[DONE]"), "{what}: a clean end: {text}");
    if answer.end == BodyEnd::Clean {
        let last = text.trim_end().rsplit("\n\n").next().unwrap();
        let data = last.trim_start_matches("data:").trim();
        let error: serde_json::Value = serde_json::from_str(data).unwrap_or_default();
        assert!(error["error"].is_object(), "{what}: neither broken nor an error event: {text}");
    }
}

#[tokio::test]
async fn an_upstream_that_dies_in_mid_stream_is_never_a_clean_end() {
    let stage = Stage::new().await;
    let truth = Truth::of(51);
    let events = Events::new(&truth, "m", 3);
    let first = &events.content[0];
    let short = script::head(200, &[("content-type", "text/event-stream")], &[("content-length", "100000")]);
    let scripts = [
        ("FIN", Script::events().chunk(first).fin()),
        ("RST", Script::events().chunk(first).reset()),
        ("FIN inside a chunk", Script::events().chunk(first).send("ff\r\ndata: {").fin()),
        ("a chunk that is none", Script::events().chunk(first).send("zz\r\n").fin()),
        ("a short content-length", Script::new().send(short).send(first.clone()).fin()),
    ];
    for (what, script) in scripts {
        for version in BOTH {
            stage.upstream.next(script.clone().truth(&truth));
            let answer = stage.gateway.send_over(version, &Call::stream(&stage.key, "m")).await;
            assert_eq!(answer.status, 200, "{what}");
            assert_cut(what, &answer, &events);
            let record = stage.gateway.record(&answer.request_id()).await;
            assert_eq!(record.end(), "upstream_aborted", "{what}: {record:#?}");
            // What was produced is counted: neither nothing nor all.
            assert!(record.completion() > 0 && record.completion() < 60, "{what}: {record:#?}");
            assert_ne!(record.provenance(), "provider", "{what}");
        }
    }
    stage.gateway.quiet().await;
}

#[tokio::test]
async fn a_plain_answer_that_is_cut_is_never_a_whole_one() {
    let stage = Stage::new().await;
    let truth = Truth::of(52);
    let body = openai::completion(&truth, "m");
    let length = body.len().to_string();
    let head = script::head(200, &[("content-type", "application/json")], &[("content-length", &length)]);
    for version in BOTH {
        for ending in [Script::fin, Script::reset] {
            let script = Script::new().send(head.clone()).send(&body[..body.len() / 2]);
            stage.upstream.next(ending(script).truth(&truth));
            let answer = stage.gateway.send_over(version, &Call::chat(&stage.key, "m")).await;
            let whole = answer.status == 200 && answer.end == BodyEnd::Clean;
            assert!(!whole, "{version:?}: {}", answer.text());
        }
    }
    stage.gateway.quiet().await;
}

#[tokio::test]
async fn an_upstream_that_falls_silent_is_cut_by_its_idle_timeout() {
    let timeouts = json!({ "first_byte": "20s", "idle": "1s" });
    let stage = Stage::with(|gateway| gateway.with(|settings| settings.timeouts("up", timeouts))).await;
    let truth = Truth::of(53);
    let events = Events::new(&truth, "m", 3);
    for version in BOTH {
        stage.upstream.next(Script::events().chunk(&events.content[0]).await_gone().truth(&truth));
        let answer = stage.gateway.send_over(version, &Call::stream(&stage.key, "m")).await;
        assert_cut("silence", &answer, &events);
        assert_eq!(stage.gateway.record(&answer.request_id()).await.end(), "upstream_aborted");
    }
    stage.gateway.quiet().await;
}

#[tokio::test]
async fn an_answer_is_bounded_by_its_total_timeout() {
    let timeouts = json!({ "first_byte": "20s", "idle": "20s", "total": "1s" });
    let stage = Stage::with(|gateway| gateway.with(|settings| settings.timeouts("up", timeouts))).await;
    let truth = Truth::of(54);
    let events = Events::new(&truth, "m", 3);
    let answer = stage.play(Script::events().chunk(&events.content[0]).await_gone().truth(&truth)).await;
    assert_cut("the total", &answer, &events);
}

fn error_event() -> Vec<u8> {
    openai::event(
        &json!({ "error": { "message": "overloaded", "type": "server_error", "param": null, "code": null } }),
    )
}

#[tokio::test]
async fn an_error_as_the_first_event_is_not_success() {
    let stage = Stage::new().await;
    for version in BOTH {
        stage.upstream.next(Script::stream([error_event()]));
        let answer = stage.gateway.send_over(version, &Call::stream(&stage.key, "m")).await;
        assert!(answer.status >= 400, "{} {}", answer.status, answer.text());
        assert!(answer.text().contains("overloaded"), "its wording passes: {}", answer.text());
        assert_eq!(answer.end, BodyEnd::Clean);
    }
    stage.gateway.quiet().await;
    for record in stage.gateway.records().await {
        assert_eq!((record.end(), record.completion()), ("upstream_error", 0));
    }
}

#[tokio::test]
async fn an_error_object_with_status_200_is_not_success() {
    let stage = Stage::new().await;
    stage.upstream.decide(|_| Script::json(200, script::error_body(500, "overloaded")));
    let answer = stage.gateway.send(&Call::chat(&stage.key, "m")).await;
    assert!(answer.text().contains("overloaded"), "{}", answer.text());
    stage.gateway.quiet().await;
    for record in stage.gateway.records().await {
        assert_eq!((record.end(), record.completion()), ("upstream_error", 0));
    }
}

#[tokio::test]
async fn an_error_before_the_first_event_fails_over() {
    let bad = Upstream::start().await;
    let good = Upstream::start().await;
    let gateway = TestGateway::new()
        .upstream("bad", &bad)
        .upstream("good", &good)
        .with(|settings| settings.timeouts("bad", json!({ "first_byte": "1s" })))
        .model("m", &["bad", "good"])
        .start()
        .await;
    let key = gateway.key().await;
    let scripts = [
        ("an error event", Script::stream([error_event()])),
        ("429", Script::error(429, "slow down")),
        ("503", Script::error(503, "later")),
        ("a close after the head", Script::events().fin()),
        ("silence after the head", Script::events().await_gone()),
        ("silence", Script::new().await_gone()),
    ];
    for (what, script) in scripts {
        bad.decide(move |_| script.clone());
        for version in BOTH {
            let answer = gateway.send_over(version, &Call::stream(&key, "m")).await;
            assert_eq!(answer.status, 200, "{what}: {}", answer.text());
            let truth = good.truths().pop().unwrap();
            let events = Events::new(&truth, "m", openai::CONTENT_EVENTS);
            assert!(answer.body == events.without_usage(), "{what}: {}", answer.text());
            let record = gateway.record(&answer.request_id()).await;
            assert_eq!((record.provider(), record.attempts()), ("good", 2), "{what}");
            assert_eq!(record.completion(), truth.completion, "{what}");
        }
    }
}

#[tokio::test]
async fn what_the_caller_did_wrong_does_not_fail_over() {
    let bad = Upstream::always(Script::error(400, "your fault")).await;
    let good = Upstream::start().await;
    let gateway = TestGateway::new()
        .upstream("bad", &bad)
        .upstream("good", &good)
        .model("m", &["bad", "good"])
        .start()
        .await;
    let key = gateway.key().await;
    let answer = gateway.send(&Call::chat(&key, "m")).await;
    assert_eq!((answer.status, answer.message().as_str()), (400, "your fault"));
    assert_eq!(good.asked(), 0);
}

#[tokio::test]
async fn an_error_after_content_passes_and_what_was_produced_is_counted() {
    let stage = Stage::new().await;
    let truth = Truth::of(55);
    let events = Events::new(&truth, "m", 3);
    let pieces = [events.content[0].clone(), events.content[1].clone(), error_event()];
    let (answer, record) = stage.play_recorded(Script::stream(pieces.clone()).truth(&truth)).await;
    assert!(answer.body == pieces.concat(), "{}", answer.text());
    assert!(["upstream_error", "upstream_aborted"].contains(&record.end()), "{record:#?}");
    assert!(record.completion() > 0 && record.completion() < 80, "{record:#?}");
    assert_ne!(record.provenance(), "provider");
}

#[tokio::test]
async fn a_retry_after_that_is_absurd_is_no_trap() {
    let stage = Stage::new().await;
    for value in ["99999999999999999999", "-5", "soon", "Mon, 23 Nov 2099 12:00:00 GMT", ""] {
        let body = script::error_body(429, "slow down");
        let json = ("content-type", "application/json");
        stage.upstream.next(Script::answer(429, &[json, ("retry-after", value)], body));
        let answer = stage.gateway.send_over(Version::H1, &Call::chat(&stage.key, "m")).await;
        assert_eq!(answer.status, 429, "{value}");
    }
    stage.gateway.send(&Call::chat(&stage.key, "m")).await.ok();
}

#[tokio::test]
async fn bytes_after_the_end_of_an_answer_are_never_the_next_answer() {
    let stage = Stage::new().await;
    let truth = Truth::of(56);
    let mut script = Script::json(200, openai::completion(&truth, "m")).truth(&truth);
    script = script.send("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged");
    stage.upstream.next(script);
    stage.gateway.send(&Call::chat(&stage.key, "m")).await.ok();
    for _ in 0..3 {
        let answer = stage.gateway.send(&Call::chat(&stage.key, "m")).await.ok();
        assert_ne!(answer.text(), "forged");
    }
}
