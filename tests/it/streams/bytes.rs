//! What the caller gets equals what the upstream sent, but for the hidden usage chunk.

use super::Stage;
use crate::support::{
    client::{BOTH, BodyEnd, Call},
    upstream::{Events, Script, Truth, openai::event, truth::Seeded},
};
use serde_json::json;

/// Random splits of one stream; more are tried on the reader itself, without a network.
const RANDOM_SPLITS: u64 = 300;

fn split(bytes: &[u8], mut cuts: Vec<usize>) -> Vec<Vec<u8>> {
    cuts.sort_unstable();
    cuts.dedup();
    let mut pieces = Vec::new();
    let mut from = 0;
    for cut in cuts.into_iter().chain([bytes.len()]).filter(|cut| *cut > 0) {
        if cut > from {
            pieces.push(bytes[from..cut].to_vec());
            from = cut;
        }
    }
    pieces
}

#[tokio::test]
async fn a_stream_split_at_every_byte_is_the_same_stream() {
    let stage = Stage::new().await;
    let truth = Truth::of(41);
    let events = Events::new(&truth, "m", 2);
    let bytes = events.with_usage();
    let expected = events.without_usage();
    for cut in 1..bytes.len() {
        let answer = stage.play(Script::stream(split(&bytes, vec![cut])).truth(&truth)).await.ok();
        assert!(answer.body == expected, "split at {cut}: {}", answer.text());
    }
    expect_all_exact(&stage, &truth, bytes.len() - 1).await;
}

#[tokio::test]
async fn a_stream_split_at_random_is_the_same_stream() {
    let seed = 20_261_123;
    println!("seed {seed}");
    let mut seeded = Seeded::new(seed);
    let stage = Stage::new().await;
    let truth = Truth::of(42);
    let events = Events::new(&truth, "m", 3);
    let bytes = events.with_usage();
    for round in 0..RANDOM_SPLITS {
        let count = seeded.between(1, 40);
        let cuts =
            (0..count).map(|_| usize::try_from(seeded.between(1, bytes.len() as u64)).unwrap()).collect();
        let answer = stage.play(Script::stream(split(&bytes, cuts)).truth(&truth)).await.ok();
        assert!(answer.body == events.without_usage(), "round {round}: {}", answer.text());
    }
    expect_all_exact(&stage, &truth, usize::try_from(RANDOM_SPLITS).unwrap()).await;
}

async fn expect_all_exact(stage: &Stage, truth: &Truth, count: usize) {
    for record in stage.gateway.records_eventually(count).await {
        assert_eq!((record.prompt(), record.cached()), (truth.prompt, truth.cached));
        assert_eq!((record.completion(), record.reasoning()), (truth.completion, truth.reasoning));
        assert_eq!((record.end(), record.provenance()), ("complete", "provider"));
    }
}

#[tokio::test]
async fn a_caller_who_asks_for_the_usage_gets_every_byte() {
    let stage = Stage::new().await;
    let truth = Truth::of(43);
    let events = Events::new(&truth, "m", 4);
    stage.upstream.decide({
        let script = Script::stream(events.all()).truth(&truth);
        move |_| script.clone()
    });
    let messages = json!([{ "role": "user", "content": "Say it." }]);
    for (options, shown) in [
        (json!({ "include_usage": true }), true),
        (json!({ "include_usage": false }), false),
        (json!({}), false),
        (json!(null), false),
        (json!({ "include_obfuscation": false }), false),
    ] {
        for version in BOTH {
            let ask =
                json!({ "model": "m", "stream": true, "stream_options": options, "messages": messages });
            let answer = stage.gateway.send_over(version, &Call::chat_with(&stage.key, &ask)).await.ok();
            let expected = if shown { events.with_usage() } else { events.without_usage() };
            assert!(answer.body == expected, "{options}: {}", answer.text());
            let seen = stage.upstream.take_seen().remove(0).json();
            assert_eq!(seen["stream_options"]["include_usage"], true, "{options}");
            if options.get("include_obfuscation").is_some() {
                assert_eq!(seen["stream_options"]["include_obfuscation"], false);
            }
        }
    }
}

/// The same events in other legal writings of SSE.
fn writings(events: &Events) -> Vec<(&'static str, Vec<u8>)> {
    let text = String::from_utf8(events.with_usage()).unwrap();
    let crlf = text.replace('\n', "\r\n");
    let cr = text.replace('\n', "\r");
    let commented = text.replace("data: ", ": a comment\ndata: ");
    let fields = text.replace("data: ", "event: message\nid: 7\nretry: 10\ndata: ");
    // A JSON text may be broken over several data lines where white space may stand.
    let multi = text.replace(",\"choices\"", ",\ndata: \"choices\"");
    vec![
        ("LF", text.clone().into_bytes()),
        ("CRLF", crlf.into_bytes()),
        ("CR", cr.into_bytes()),
        ("no space", text.replace("data: ", "data:").into_bytes()),
        ("comments", commented.into_bytes()),
        ("fields", fields.into_bytes()),
        ("several lines", multi.into_bytes()),
        ("BOM", format!("\u{feff}{text}").into_bytes()),
        ("no final blank line", text.strip_suffix('\n').unwrap().as_bytes().to_vec()),
    ]
}

#[tokio::test]
async fn every_writing_of_sse_passes_unchanged_and_is_read() {
    let stage = Stage::new().await;
    let truth = Truth::of(44);
    let events = Events::new(&truth, "m", 3);
    let ask = json!({
        "model": "m", "stream": true, "stream_options": { "include_usage": true },
        "messages": [{ "role": "user", "content": "Say it." }],
    });
    for (what, bytes) in writings(&events) {
        for pieces in [vec![bytes.clone()], bytes.chunks(7).map(<[u8]>::to_vec).collect()] {
            stage.upstream.next(Script::stream(pieces).truth(&truth));
            let answer = stage.gateway.send(&Call::chat_with(&stage.key, &ask)).await.ok();
            assert!(answer.body == bytes, "{what}: {}", answer.text());
            let record = stage.gateway.record(&answer.request_id()).await;
            assert_eq!((record.prompt(), record.completion()), (truth.prompt, truth.completion), "{what}");
            assert_eq!(record.provenance(), "provider", "{what}");
        }
    }
}

#[tokio::test]
async fn the_usage_chunk_is_hidden_in_every_writing_of_sse() {
    let stage = Stage::new().await;
    let truth = Truth::of(45);
    let events = Events::new(&truth, "m", 3);
    for (what, bytes) in writings(&events) {
        let (answer, record) = stage.play_recorded(Script::stream(bytes.chunks(11)).truth(&truth)).await;
        let text = answer.ok().text();
        assert!(!text.contains("prompt_tokens"), "{what}: {text}");
        assert!(text.contains("piece 2") && text.contains("[DONE]"), "{what}: {text}");
        assert_eq!(record.provenance(), "provider", "{what}");
    }
}

#[tokio::test]
async fn broken_json_in_one_event_passes_and_later_events_are_read() {
    let stage = Stage::new().await;
    let truth = Truth::of(46);
    let events = Events::new(&truth, "m", 2);
    for broken in [
        "data: {\"usage\": {broken\n\n",
        "data: \n\n",
        "data: [1,2\n\n",
        "data: {\"choices\":null}\n\n",
        "data: \u{0}\n\n",
    ] {
        let pieces = [events.content[0].clone(), broken.into(), events.content[1].clone()];
        let expected = [pieces.concat(), events.done.clone()].concat();
        let tail = [events.usage.clone(), events.done.clone()];
        let (answer, record) =
            stage.play_recorded(Script::stream(pieces.into_iter().chain(tail)).truth(&truth)).await;
        assert!(answer.clone().ok().body == expected, "{broken:?}: {}", answer.text());
        assert_eq!((record.prompt(), record.completion()), (truth.prompt, truth.completion), "{broken:?}");
    }
}

#[tokio::test]
async fn one_huge_event_passes_in_bounded_memory() {
    let stage = Stage::new().await;
    let truth = Truth::of(47);
    let events = Events::new(&truth, "m", 2);
    let huge = event(&json!({ "choices": [{ "index": 0, "delta": { "content": "z".repeat(32 << 20) } }] }));
    let pieces = [events.content[0].clone(), huge.clone(), events.content[1].clone()];
    stage.play(Script::stream(events.all()).truth(&truth)).await.ok();
    let before = stage.gateway.resident_kib();
    let tail = [events.usage.clone(), events.done.clone()];
    let script = Script::stream(pieces.clone().into_iter().chain(tail)).truth(&truth);
    let (answer, record) = stage.play_recorded(script).await;
    assert_eq!(answer.end, BodyEnd::Clean);
    // Once reading was given up the usage chunk may pass; nothing else may change.
    let hidden = [pieces.concat(), events.done.clone()].concat();
    let shown = [pieces.concat(), events.usage.clone(), events.done.clone()].concat();
    assert!(answer.body == hidden || answer.body == shown, "{} bytes", answer.body.len());
    assert!(["provider", "estimated"].contains(&record.provenance()));
    if record.provenance() == "provider" {
        assert_eq!(record.completion(), truth.completion);
    }
    let growth = stage.gateway.resident_kib().saturating_sub(before);
    assert!(growth < 24 << 10, "grew by {growth} KiB");
}

#[tokio::test]
async fn trailers_are_dropped() {
    let stage = Stage::new().await;
    let truth = Truth::of(48);
    let events = Events::new(&truth, "m", 2);
    let trailers = "0\r\ncontent-length: 5\r\nauthorization: Bearer x\r\nx-trailer: 1\r\n\r\n";
    let script = Script::events().chunks(events.all()).send(trailers).truth(&truth);
    for version in BOTH {
        stage.upstream.next(script.clone());
        let answer = stage.gateway.send_over(version, &Call::stream(&stage.key, "m")).await.ok();
        assert!(answer.body == events.without_usage());
        assert!(answer.header("x-trailer").is_none());
        // The connection was left at the right place.
        stage.gateway.send_over(version, &Call::chat(&stage.key, "m")).await.ok();
    }
}

#[tokio::test]
async fn a_compressed_stream_is_metered_or_marked_and_never_garbled() {
    use std::io::{Read as _, Write as _};
    let stage = Stage::new().await;
    let truth = Truth::of(49);
    let events = Events::new(&truth, "m", 2);
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(&events.with_usage()).unwrap();
    let packed = writer.finish().unwrap();
    let length = packed.len().to_string();
    let head =
        [("content-type", "text/event-stream"), ("content-encoding", "gzip"), ("content-length", &length)];
    let script = Script::new()
        .send(crate::support::upstream::script::head(200, &head, &[]))
        .send(packed)
        .truth(&truth);
    stage.upstream.next(script);
    let call = Call::stream(&stage.key, "m").header("accept-encoding", "gzip");
    let answer = stage.gateway.send(&call).await.ok();
    let accepted = stage.upstream.the_one().headers().get("accept-encoding").unwrap_or("identity").to_owned();
    let body = if answer.header("content-encoding") == Some("gzip") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut plain).unwrap();
        plain
    } else {
        answer.body.clone()
    };
    assert!(
        body == events.without_usage() || body == events.with_usage(),
        "{}",
        String::from_utf8_lossy(&body)
    );
    let record = stage.gateway.record(&answer.request_id()).await;
    match record.provenance() {
        "provider" => assert_eq!(record.completion(), truth.completion),
        "estimated" => assert_eq!(accepted, "identity", "what cannot be read must not be asked for"),
        other => panic!("{other}"),
    }
}
