//! Answers that come bit by bit, and callers who do not wait for their end.

use super::{SOLD, Stage, usage};
use crate::support::{
    client::{BOTH, BodyEnd, Call, Leave},
    upstream::{Gate, Script},
    wait,
};
use serde_json::json;

fn last_event() -> String {
    format!("data: {}\n\n", json!({ "choices": [], "usage": usage(70, 30) }))
}

#[tokio::test]
async fn each_piece_passes_as_it_comes_and_the_usage_is_read_on_the_side() {
    let stage = Stage::new().await;
    for version in BOTH {
        for kind in ["text/event-stream", "application/x-ndjson", "audio/mpeg"] {
            let pieces = ["data: {\"odd\":1}\n\n", "event: odd\ndata: no JSON\n\n", ": a comment\n\n"];
            let gates = [Gate::closed(), Gate::closed(), Gate::closed()];
            let mut script = Script::chunked(200, &[("content-type", kind)]);
            for (piece, gate) in pieces.iter().zip(&gates) {
                script = script.chunk(piece).wait(gate);
            }
            let last = last_event();
            stage.upstream.next(script.chunk(&last).end());
            let call = Call::post("/v1/things", "{\"stream\":true}").bearer(&stage.key);
            let mut exchange = stage.gateway.open_over(version, &call).await;
            assert_eq!(exchange.headers().get("content-type"), Some(kind));
            let mut body = Vec::new();
            let mut expected = String::new();
            for (piece, gate) in pieces.iter().zip(&gates) {
                expected.push_str(piece);
                exchange.read_to(&mut body, expected.len()).await;
                assert_eq!(String::from_utf8_lossy(&body), expected, "{version:?} {kind}");
                gate.open();
            }
            let rest = exchange.whole().await;
            assert_eq!((rest.end.clone(), rest.text()), (BodyEnd::Clean, last.clone()), "{version:?} {kind}");
            let record = stage.gateway.record(&rest.request_id()).await;
            assert_eq!((record.end(), record.model(), &*record.0["streamed"]), ("complete", SOLD, "1"));
            let is_read = kind == "text/event-stream";
            let expected = if is_read { (70, 30, "provider", false) } else { (0, 0, "estimated", true) };
            assert_eq!(
                (record.prompt(), record.completion(), record.provenance(), record.flagged()),
                expected,
                "{version:?} {kind}"
            );
        }
    }
}

#[tokio::test]
async fn what_breaks_off_is_never_whole() {
    for version in BOTH {
        // Three failures and it rests.
        let stage = Stage::new().await;
        let scripts = [
            Script::events().chunk("data: 1\n\n").reset(),
            Script::chunked(200, &[("content-type", "audio/mpeg")]).chunk("1234").fin(),
            Script::new()
                .send("HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ncontent-length: 200000\r\n\r\nabc")
                .fin(),
        ];
        for script in scripts {
            stage.upstream.next(script);
            let answer = stage.gateway.send_over(version, &Call::get("/v1/things").bearer(&stage.key)).await;
            let is_refused = answer.header("x-aione-refused").is_some();
            assert!(is_refused || matches!(answer.end, BodyEnd::Broken(_)), "{version:?}: {answer:?}");
            let record = stage.gateway.record(&answer.request_id()).await;
            assert!(["upstream_aborted", "upstream_error"].contains(&record.end()), "{record:?}");
        }
    }
}

#[tokio::test]
async fn a_caller_who_leaves_is_counted_by_the_providers_policy() {
    for (policy, end, expected) in [
        ("drain", "client_closed", (70, 30, "provider")),
        ("estimate", "client_closed", (0, 0, "estimated")),
        ("none", "client_closed", (0, 0, "partial")),
    ] {
        let stage = Stage::with(|settings| settings.on_disconnect("up", policy)).await;
        for version in BOTH {
            let gate = Gate::closed();
            stage.upstream.next(Script::events().chunk("data: 1\n\n").wait(&gate).chunk(last_event()).end());
            let call = Call::get("/v1/things").bearer(&stage.key);
            let known = stage.gateway.records().await.len();
            let mut exchange = stage.gateway.open_over(version, &call).await;
            let mut body = Vec::new();
            exchange.read_to(&mut body, 9).await;
            exchange.leave(Leave::Fin).await;
            wait::until("the gateway notices", async || {
                let metrics = stage.gateway.metrics().await;
                let is_left =
                    metrics.sum("drains_in_flight") >= 1.0 || metrics.sum("requests_in_flight") == 0.0;
                is_left.then_some(())
            })
            .await;
            gate.open();
            let record = stage.gateway.records_eventually(known + 1).await.pop().unwrap();
            assert_eq!(record.end(), end, "{policy} {version:?}");
            assert_eq!(
                (record.prompt(), record.completion(), record.provenance()),
                expected,
                "{policy} {version:?}"
            );
        }
    }
}
