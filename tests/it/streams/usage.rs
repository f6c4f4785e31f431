//! The usage is read once, believed within bounds, and estimated where it is missing.

use super::Stage;
use crate::support::upstream::{Events, Script, Truth, openai::event};
use serde_json::{Value, json};

/// A stream whose usage chunks carry these `usage` values.
fn with_usage(events: &Events, truth: &Truth, usages: &[Value]) -> Script {
    let chunks = usages.iter().map(|usage| event(&json!({ "id": truth.id, "choices": [], "usage": usage })));
    let pieces: Vec<_> = events.content.iter().cloned().chain(chunks).chain([events.done.clone()]).collect();
    Script::stream(pieces).truth(truth)
}

#[tokio::test]
async fn a_missing_usage_is_estimated_and_marked() {
    let stage = Stage::new().await;
    let truth = Truth::of(61);
    let events = Events::new(&truth, "m", 5);
    for usages in [vec![], vec![Value::Null]] {
        let (answer, record) = stage.play_recorded(with_usage(&events, &truth, &usages)).await;
        answer.ok();
        assert_eq!((record.end(), record.provenance()), ("complete", "estimated"));
        assert!((30..=120).contains(&record.completion()), "{record:#?}");
        assert!((1..50).contains(&record.prompt()), "{record:#?}");
    }
}

#[tokio::test]
async fn a_provider_that_must_not_be_asked_is_not() {
    let stage = Stage::with(|gateway| gateway.set("/providers/up/stream_usage", "never")).await;
    let truth = Truth::of(62);
    let events = Events::new(&truth, "m", 5);
    let (answer, record) = stage.play_recorded(with_usage(&events, &truth, &[])).await;
    assert!(answer.ok().body == events.without_usage());
    assert!(stage.upstream.the_one().json().get("stream_options").is_none());
    assert_eq!(record.provenance(), "estimated");
}

#[tokio::test]
async fn of_several_usages_the_last_counts() {
    let stage = Stage::new().await;
    let truth = Truth::of(63);
    let events = Events::new(&truth, "m", 2);
    let earlier = json!({ "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 });
    let script = with_usage(&events, &truth, &[earlier, truth.usage()]);
    let (_, record) = stage.play_recorded(script).await;
    assert_eq!((record.prompt(), record.completion()), (truth.prompt, truth.completion));
}

#[tokio::test]
async fn a_usage_on_every_content_chunk_is_not_summed_and_not_hidden() {
    let stage = Stage::new().await;
    let truth = Truth::plain("chatcmpl-x", 10, 3);
    let chunk = |n: u64| {
        let usage = json!({ "prompt_tokens": 10, "completion_tokens": n, "total_tokens": 10 + n });
        event(&json!({ "choices": [{ "index": 0, "delta": { "content": "a" } }], "usage": usage }))
    };
    let pieces = [chunk(1), chunk(2), chunk(3), b"data: [DONE]\n\n".to_vec()];
    let (answer, record) = stage.play_recorded(Script::stream(pieces.clone()).truth(&truth)).await;
    assert!(answer.body == pieces.concat(), "{}", answer.text());
    assert_eq!((record.prompt(), record.completion()), (10, 3));
}

#[tokio::test]
async fn token_counts_that_are_no_counts_are_estimated_and_flagged() {
    let stage = Stage::new().await;
    let truth = Truth::of(64);
    let events = Events::new(&truth, "m", 5);
    for bad in
        ["-5", "1.5", "\"7\"", "1e400", "9223372036854775808", "18446744073709551616", "null", "[]", "{}"]
    {
        let usage = format!(
            "data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":10,\"completion_tokens\":{bad},\"total_tokens\":10}}}}\n\n"
        );
        let pieces: Vec<_> =
            events.content.iter().cloned().chain([usage.into_bytes(), events.done.clone()]).collect();
        let (answer, record) = stage.play_recorded(Script::stream(pieces).truth(&truth)).await;
        answer.ok();
        assert_eq!(record.provenance(), "estimated", "{bad}: {record:#?}");
        assert!(record.flagged(), "{bad}: {record:#?}");
        assert!((30..=120).contains(&record.completion()), "{bad}: {record:#?}");
    }
    assert!(!stage.gateway.logs().contains("panicked"));
}

#[tokio::test]
async fn numbers_that_contradict_each_other_are_flagged() {
    let stage = Stage::new().await;
    let truth = Truth::of(65);
    let events = Events::new(&truth, "m", 2);
    for usage in [
        json!({ "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 99 }),
        json!({ "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
                "prompt_tokens_details": { "cached_tokens": 11 } }),
        json!({ "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
                "completion_tokens_details": { "reasoning_tokens": 6 } }),
    ] {
        let (_, record) =
            stage.play_recorded(with_usage(&events, &truth, std::slice::from_ref(&usage))).await;
        assert!(record.flagged(), "{usage}: {record:#?}");
        assert_eq!(record.prompt(), 10, "{usage}: no token is counted twice: {record:#?}");
        assert_eq!(record.completion(), 5, "{usage}: no token is counted twice: {record:#?}");
    }
}

#[tokio::test]
async fn an_inflated_usage_is_flagged() {
    let stage = Stage::new().await;
    let truth = Truth::plain("chatcmpl-inflated", 10, 10_000_000);
    let events = Events::new(&truth, "m", 2);
    let (_, record) = stage.play_recorded(Script::stream(events.all()).truth(&truth)).await;
    assert!(record.flagged(), "{record:#?}");
}

#[tokio::test]
async fn an_explicit_zero_stands() {
    let stage = Stage::new().await;
    let truth = Truth::plain("chatcmpl-zero", 12, 0);
    let finish =
        event(&json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "content_filter" }] }));
    let usage = event(&json!({ "choices": [], "usage": truth.usage() }));
    let (_, record) = stage
        .play_recorded(Script::stream([finish, usage, b"data: [DONE]\n\n".to_vec()]).truth(&truth))
        .await;
    assert_eq!((record.prompt(), record.completion(), record.provenance()), (12, 0, "provider"));
}

#[tokio::test]
async fn the_same_answer_id_twice_is_two_records() {
    let stage = Stage::new().await;
    let truth = Truth::of(66);
    let events = Events::new(&truth, "m", 2);
    for _ in 0..2 {
        stage.play(Script::stream(events.all()).truth(&truth)).await.ok();
    }
    stage.gateway.records_eventually(2).await;
}

#[tokio::test]
async fn a_class_without_a_rate_is_counted_and_never_silently_free() {
    let price = json!({ "input": "1.05", "output": "4.20" });
    let stage = Stage::with(|gateway| gateway.set("/models/m/price", price)).await;
    let truth = Truth { cached: 5, ..Truth::of(64) };
    let events = Events::new(&truth, "m", 2);
    let (answer, record) = stage.play_recorded(with_usage(&events, &truth, &[truth.usage()])).await;
    answer.ok();
    assert_eq!(record.0["unpriced"], "1", "{record:#?}");
    assert!(!record.flagged(), "its numbers do not contradict each other");
    let rows = stage.gateway.usage_eventually(|rows| rows.iter().any(|row| row.requests() == 1)).await;
    assert_eq!(rows[0].0["unpriced_requests"], 1);
    assert_eq!(rows[0].cached(), 5);
    let audit = stage.gateway.command(&["audit", "-c", "aione.yaml"]).output().unwrap();
    let report = String::from_utf8_lossy(&audit.stdout).into_owned();
    let told = report.lines().any(|line| line.split_whitespace().eq(["unpriced", "1"]));
    assert!(audit.status.success() && told, "{report}");
}
