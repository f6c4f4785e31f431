//! Recordings that are put in words: forms pass as they are, and what was heard is counted.

use crate::support::{
    client::{BOTH, BodyEnd, Call, Leave, Sending, Version},
    gateway::{Gateway, TestGateway},
    records::Record,
    upstream::{Gate, Script, Upstream},
    wait,
};
use serde_json::{Value, json};
use std::io::Write as _;

const TYPE: &str = "multipart/form-data; boundary=\"--of-the:caller\"";
const SOUND_BYTES: usize = 100_000;

/// A form as curl writes it, with a recording in front.
fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut body = b"----of-the:caller\r\nContent-Disposition: form-data; name=\"file\"; filename=\"speech.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n".to_vec();
    body.extend((0..SOUND_BYTES).map(|n| u8::try_from(n * 7 % 251).unwrap()));
    for (name, value) in fields {
        let part = format!(
            "\r\n----of-the:caller\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}"
        );
        body.extend_from_slice(part.as_bytes());
    }
    body.extend_from_slice(b"\r\n----of-the:caller--\r\n");
    body
}

fn hear_at(path: &str, key: &str, body: Vec<u8>) -> Call {
    let mut call = Call::new("POST", path).header("content-type", TYPE).bearer(key);
    call.body = body;
    call
}

fn hear(key: &str, fields: &[(&str, &str)]) -> Call {
    hear_at("/v1/audio/transcriptions", key, form(&[&[("model", "m")], fields].concat()))
}

/// One model that has a price for what is heard, as `up-m` there.
async fn stage(upstream: &Upstream, change: impl FnOnce(TestGateway) -> TestGateway) -> (Gateway, String) {
    let gateway = TestGateway::new()
        .upstream("up", upstream)
        .model("m", &["up"])
        .set("/models/m/route/deployments", json!([{ "provider": "up", "model": "up-m" }]))
        .set("/models/m/price/audio_in", "10");
    let gateway = change(gateway).start().await;
    let key = gateway.key().await;
    (gateway, key)
}

fn heard(record: &Record) -> [&str; 3] {
    ["input", "audio_in", "output"].map(|class| &*record.0[class])
}

const TOLD: &str = r#"{"text":"So it is.","usage":{"type":"tokens","input_tokens":34,"input_token_details":{"text_tokens":20,"audio_tokens":14},"output_tokens":45,"total_tokens":79}}"#;

#[tokio::test]
async fn a_form_passes_as_it_was_sent_but_for_the_models_name() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream, |gateway| gateway).await;
    for path in ["/v1/audio/transcriptions", "/v1/audio/translations"] {
        for version in BOTH {
            for sending in [Sending::Length, Sending::Chunked(4_000)] {
                upstream.next(Script::json(200, TOLD));
                let fields =
                    [("include[]", "logprobs"), ("model", "m"), ("prompt", "Ada, Grace"), ("include[]", "x")];
                let call = hear_at(path, &key, form(&fields)).sending(sending);
                let answer = gateway.send_over(version, &call).await.ok();
                assert_eq!(answer.text(), TOLD);
                let seen = upstream.seen().pop().unwrap();
                assert!(seen.path().ends_with(path.strip_prefix("/v1").unwrap()), "{}", seen.path());
                assert_eq!(seen.headers().get("content-type"), Some(TYPE));
                let expected =
                    form(&fields.map(|(name, value)| (name, if value == "m" { "up-m" } else { value })));
                assert!(seen.body == expected, "{version:?} {sending:?}");
                let record = gateway.record(&answer.request_id()).await;
                assert_eq!(
                    (heard(&record), record.provenance(), record.end()),
                    (["20", "14", "45"], "provider", "complete")
                );
                assert!(!record.flagged() && record.cost() > 0);
            }
        }
    }
    // In an encoding, it is the form that comes out of it.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&form(&[("model", "m")])).unwrap();
    upstream.next(Script::json(200, TOLD));
    let call = hear_at("/v1/audio/transcriptions", &key, encoder.finish().unwrap())
        .header("content-encoding", "gzip");
    gateway.send(&call).await.ok();
    assert!(upstream.seen().pop().unwrap().body == form(&[("model", "up-m")]));
}

#[tokio::test]
async fn what_tells_no_tokens_is_estimated_from_the_recording_and_the_text() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream, |gateway| gateway).await;
    let said = "The river goes over the old bridge and the quiet garden. ".repeat(40);
    let subtitles = format!("1\n00:00:00,000 --> 00:00:25,000\n{said}\n\n");
    for (format, kind, body) in [
        ("text", "text/plain; charset=utf-8", said.clone()),
        ("srt", "application/x-subrip", subtitles),
        // Without a usage, as compatible upstreams have it.
        ("json", "application/json", json!({ "text": said }).to_string()),
    ] {
        upstream.next(
            Script::chunked(200, &[("content-type", kind)]).chunk(&body[..500]).chunk(&body[500..]).end(),
        );
        let answer = gateway.send(&hear(&key, &[("response_format", format)])).await.ok();
        assert_eq!((answer.text(), answer.header("content-type")), (body, Some(kind)));
        let record = gateway.record(&answer.request_id()).await;
        assert_eq!((record.provenance(), record.end(), record.flagged()), ("estimated", "complete", false));
        // A tenth of a second is a token, and a second is 4 000 bytes; a form is one message.
        assert_eq!(record.prompt(), 250 + 8);
        assert!((400..=640).contains(&record.completion()), "{format}: {record:?}");
    }
    // Who was asked for a text, and answers in JSON, tells more.
    upstream.next(Script::json(200, TOLD));
    let answer = gateway.send(&hear(&key, &[("response_format", "vtt")])).await.ok();
    assert_eq!(heard(&gateway.record(&answer.request_id()).await), ["20", "14", "45"]);
    upstream.next(Script::chunked(200, &[("content-type", "text/plain")]).chunk("So it").reset());
    let cut = gateway.send(&hear(&key, &[("response_format", "text")])).await;
    assert!(matches!(cut.end, BodyEnd::Broken(_)));
    assert_eq!(gateway.record(&cut.request_id()).await.end(), "upstream_aborted");
}

/// The events of a stream, and what its last but one tells.
fn events() -> Vec<String> {
    let event = |value: Value| format!("data: {value}\n\n");
    let mut events: Vec<_> = ["The river ", "goes over ", "the bridge."]
        .iter()
        .map(|text| event(json!({ "type": "transcript.text.delta", "delta": text })))
        .collect();
    let usage = json!({ "type": "tokens", "input_tokens": 250, "input_token_details": { "text_tokens": 0, "audio_tokens": 250 }, "output_tokens": 8, "total_tokens": 258 });
    let text = "The river goes over the bridge.";
    events.push(event(json!({ "type": "transcript.text.done", "text": text, "usage": usage })));
    events
}

#[tokio::test]
async fn a_stream_of_words_ends_with_what_was_heard() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream, |gateway| gateway).await;
    let call = hear(&key, &[("stream", "true")]);
    for done in ["data: [DONE]\n\n", ""] {
        let stream = events().concat() + done;
        for size in [7, 100_000] {
            upstream.next(Script::stream(stream.as_bytes().chunks(size)));
            let answer = gateway.send(&call).await.ok();
            assert_eq!(answer.text(), stream);
            let record = gateway.record(&answer.request_id()).await;
            assert_eq!(
                (heard(&record), record.provenance(), record.end()),
                (["0", "250", "8"], "provider", "complete")
            );
        }
    }
    assert!(upstream.seen().pop().unwrap().body == form(&[("model", "up-m"), ("stream", "true")]));
    upstream.next(Script::events().chunks(&events()[..2]).reset());
    let cut = gateway.send(&call).await;
    assert!(cut.text().contains("\"error\"") && matches!(cut.end, BodyEnd::Broken(_)), "{}", cut.text());
    let record = gateway.record(&cut.request_id()).await;
    assert_eq!((record.end(), record.provenance()), ("upstream_aborted", "estimated"));
    assert!((1..=8).contains(&record.completion()), "{record:?}");
}

#[tokio::test]
async fn a_caller_who_leaves_a_stream_of_words_pays_for_what_was_heard() {
    for policy in ["drain", "estimate"] {
        let upstream = Upstream::start().await;
        let change = |gateway: TestGateway| gateway.with(|settings| settings.on_disconnect("up", policy));
        let (gateway, key) = stage(&upstream, change).await;
        for version in BOTH {
            let (gate, events) = (Gate::closed(), events());
            upstream.next(Script::events().chunks(&events[..2]).wait(&gate).chunks(&events[2..]).end());
            let mut exchange = gateway.open_over(version, &hear(&key, &[("stream", "true")])).await;
            let id = exchange.headers().get("x-request-id").unwrap().to_owned();
            let mut body = Vec::new();
            exchange.read_to(&mut body, events[..2].concat().len()).await;
            exchange.leave(Leave::Fin).await;
            wait::until("the gateway notices", async || {
                let metrics = gateway.metrics().await;
                let (drains, open) = (metrics.sum("drains_in_flight"), metrics.sum("requests_in_flight"));
                (if policy == "drain" { drains >= 1.0 } else { open == 0.0 }).then_some(())
            })
            .await;
            gate.open();
            let record = gateway.record(&id).await;
            assert_eq!(record.end(), "client_closed", "{policy} {version:?}");
            if policy == "drain" {
                assert_eq!((heard(&record), record.provenance()), (["0", "250", "8"], "provider"));
            } else {
                assert_eq!((record.prompt(), record.provenance()), (258, "estimated"), "{record:?}");
                assert!((2..=6).contains(&record.completion()), "{record:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_sold_by_the_second_is_counted_in_seconds() {
    let upstream = Upstream::start().await;
    let change = |gateway: TestGateway| {
        gateway
            .set("/models/m/price", json!({ "second": "0.0001" }))
            .simulated("sim")
            .model("whisper", &["sim"])
            .set("/models/whisper/price", json!({ "second": "0.0001" }))
    };
    let (gateway, key) = stage(&upstream, change).await;
    let seconds = async |call: &Call| {
        let answer = gateway.send(call).await.ok();
        let record = gateway.record(&answer.request_id()).await;
        assert_eq!((heard(&record), record.flagged()), (["0", "0", "0"], false));
        let told = (record.0["seconds"].clone(), record.provenance().to_owned());
        assert_eq!(record.cost(), told.0.parse::<i128>().unwrap() * 100_000_000);
        told
    };
    for (told, counted) in [("9", "9"), ("8.0", "8"), ("8.01", "9")] {
        let body = format!(r#"{{"text":"So it is.","usage":{{"type":"duration","seconds":{told}}}}}"#);
        upstream.next(Script::json(200, body));
        assert_eq!(seconds(&hear(&key, &[])).await, (counted.to_owned(), "provider".to_owned()));
    }
    // Who tells nothing is believed to have heard all of the file: 4 000 bytes are a second.
    upstream.next(Script::answer(200, &[("content-type", "text/plain")], "So it is.\n"));
    let estimated = seconds(&hear(&key, &[("response_format", "text")])).await;
    assert_eq!(estimated, ("25".to_owned(), "estimated".to_owned()));
    let simulated = hear_at(
        "/v1/audio/translations",
        &key,
        form(&[("model", "whisper"), ("response_format", "verbose_json")]),
    );
    assert_eq!(seconds(&simulated).await, ("25".to_owned(), "provider".to_owned()));
    // A purse must hold them all.
    let poor = gateway.create_key(json!({ "budget_rmb": "0.0024" })).await.secret;
    let refused = gateway.send(&hear(&poor, &[])).await;
    assert_eq!((refused.status, refused.code()), (402, "insufficient_balance".to_owned()));
    let rich = gateway.create_key(json!({ "budget_rmb": "0.0025" })).await.secret;
    upstream.next(Script::json(200, r#"{"text":"So it is.","usage":{"type":"duration","seconds":25}}"#));
    assert_eq!(seconds(&hear(&rich, &[])).await.0, "25");
}

#[tokio::test]
async fn what_is_no_sound_form_reaches_no_upstream() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream, |gateway| gateway).await;
    let whole = form(&[("model", "m")]);
    let path = "/v1/audio/transcriptions";
    let twice = form(&[("model", "m"), ("model", "other")]);
    let cut = whole[..whole.len() - 8].to_vec();
    for (call, param, words) in [
        (hear_at(path, &key, twice), json!("model"), "given twice"),
        (hear_at(path, &key, form(&[])), json!("model"), "is required"),
        (
            hear_at(path, &key, form(&[("model", "m"), ("stream", "perhaps")])),
            json!("stream"),
            "true or false",
        ),
        (
            hear_at(path, &key, form(&[("model", "m"), ("base_url", "http://x")])),
            json!("base_url"),
            "not taken",
        ),
        (hear_at(path, &key, cut), Value::Null, "broken off"),
        (hear_at(path, &key, Vec::new()), Value::Null, "does not begin with the boundary"),
        (
            Call::post(path, json!({ "model": "m" }).to_string()).bearer(&key),
            Value::Null,
            "multipart/form-data",
        ),
        (
            hear_at(path, &key, whole.clone()).header("content-type", "multipart/form-data; boundary=b"),
            Value::Null,
            "more than one content type",
        ),
    ] {
        let answer = gateway.send(&call).await;
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status, &error["type"], &error["code"]),
            (400, &json!("invalid_request_error"), &json!("invalid_request")),
            "{words}"
        );
        assert_eq!(error["param"], param, "{error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
        assert_eq!(answer.header("x-aione-refused"), Some("invalid_request"));
    }
    let unknown = gateway.send(&hear_at(path, &key, form(&[("model", "nobody")]))).await;
    assert_eq!((unknown.status, unknown.code()), (404, "model_not_found".to_owned()));
    assert_eq!(upstream.asked(), 0);
    // The bound on bodies is a recording's as well.
    let (gateway, key) = stage(&upstream, |gateway| gateway.set("/server/max_body", "64KiB")).await;
    let large = gateway.send_over(Version::H1, &hear_at(path, &key, whole)).await;
    assert_eq!((large.status, large.code()), (413, "request_too_large".to_owned()));
    assert_eq!(upstream.asked(), 0);
}

#[tokio::test]
async fn only_upstreams_of_openais_dialect_are_asked_and_the_next_where_one_fails() {
    let upstreams = [Upstream::start().await, Upstream::start().await, Upstream::start().await];
    let gateway = TestGateway::new()
        .upstream("claude", &upstreams[0])
        .set("/providers/claude/kind", "anthropic")
        .upstream("one", &upstreams[1])
        .upstream("two", &upstreams[2])
        .model("m", &["claude", "one", "two"])
        .model("claude", &["claude"])
        .model("chatter", &["one"])
        .set("/models/chatter/capabilities", json!(["chat"]))
        .start()
        .await;
    let key = gateway.key().await;
    upstreams[1].next(Script::error(503, "out of order"));
    upstreams[2].next(Script::json(200, TOLD));
    let answer = gateway.send(&hear(&key, &[])).await.ok();
    assert_eq!(
        (answer.text(), gateway.record(&answer.request_id()).await.provider()),
        (TOLD.to_owned(), "two")
    );
    assert!(upstreams[2].the_one().body == form(&[("model", "m")]));
    for model in ["claude", "chatter"] {
        let call = hear_at("/v1/audio/transcriptions", &key, form(&[("model", model)]));
        let refused = gateway.send(&call).await;
        assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("model")), "{model}");
    }
    assert_eq!((upstreams[0].asked(), upstreams[1].asked()), (0, 1));
    // An upstream's refusal is the caller's to read.
    upstreams[1].next(Script::error(400, "The audio file could not be decoded"));
    let refused = gateway.send(&hear(&key, &[])).await;
    assert_eq!((refused.status, refused.message()), (400, "The audio file could not be decoded".to_owned()));
    assert_eq!(gateway.record(&refused.request_id()).await.cost(), 0);
}

#[tokio::test]
async fn the_simulated_provider_puts_recordings_in_words() {
    let gateway = TestGateway::new()
        .simulated("sim")
        .model("m", &["sim"])
        .set("/models/m/price/audio_in", "10")
        .start()
        .await;
    let key = gateway.key().await;
    let answer = gateway.send(&hear(&key, &[])).await.ok();
    let record = gateway.record(&answer.request_id()).await;
    assert_eq!((record.0["audio_in"].as_str(), record.provenance()), ("250", "provider"));
    assert_eq!(answer.json()["usage"]["output_tokens"], record.completion());
    let again = gateway.send(&hear_at("/v1/audio/translations", &key, form(&[("model", "m")]))).await.ok();
    assert_eq!(again.json()["text"], answer.json()["text"]);
    let streamed = gateway.send(&hear(&key, &[("stream", "true")])).await.ok();
    assert!(
        streamed.text().ends_with("data: [DONE]\n\n") && streamed.text().contains("transcript.text.done")
    );
    let record = gateway.record(&streamed.request_id()).await;
    assert_eq!((record.0["audio_in"].as_str(), record.provenance()), ("250", "provider"));
    let text = gateway.send(&hear(&key, &[("response_format", "text")])).await.ok();
    assert_eq!(text.text().trim_end(), answer.json()["text"].as_str().unwrap());
    let error = gateway.send(&hear(&key, &[]).header("x-aione-simulate", "status=429")).await;
    assert_eq!(error.status, 429);
}
