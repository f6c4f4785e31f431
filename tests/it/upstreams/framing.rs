//! Framing that lies, in both directions: no byte of one message is taken for another, no trailer for a header.

use crate::support::{
    client::{Answer, BOTH, BodyEnd, Call, Version, h1},
    gateway::{Gateway, TestGateway},
    upstream::{Events, Script, Truth, Upstream, openai, script},
    wait,
};
use bytes::Bytes;

struct Stage {
    gateway: Gateway,
    upstream: Upstream,
    key: String,
}

impl Stage {
    async fn new() -> Self {
        let upstream = Upstream::start().await;
        let gateway = TestGateway::new()
            .upstream("up", &upstream)
            .model("m", &["up"])
            .set("/models/m/route/attempts", 1)
            .start()
            .await;
        let key = gateway.key().await;
        Self { gateway, upstream, key }
    }

    /// One answer by `script`, and then an honest one: over another connection.
    async fn meet_and_go_on(&self, what: &str, version: Version, call: &Call, script: Script) -> Answer {
        let (answer, used_again) = self.meet(what, version, call, script).await;
        assert!(!used_again, "{what} {version:?}: used again");
        answer
    }

    /// One answer by `script` and then an honest one, which is its own; whether both came over one
    /// connection.
    async fn meet(&self, what: &str, version: Version, call: &Call, script: Script) -> (Answer, bool) {
        self.upstream.next(script);
        let answer = self.gateway.send_over(version, call).await;
        let honest = self.gateway.send_over(version, &Call::chat(&self.key, "m")).await.ok();
        let truth = self.upstream.truths().pop().unwrap();
        assert_eq!(honest.body, openai::completion(&truth, "m"), "{what} {version:?}: another's bytes");
        let seen = self.upstream.take_seen();
        assert_eq!(seen.len(), 2, "{what} {version:?}");
        (answer, seen[0].connection == seen[1].connection)
    }
}

/// An answer that would be somebody else's.
fn smuggled() -> Vec<u8> {
    let other = openai::completion(&Truth::plain("chatcmpl-smuggled", 1, 1), "m");
    let length = other.len().to_string();
    let mut bytes =
        script::head(200, &[("content-type", "application/json")], &[("content-length", &length)]);
    bytes.extend_from_slice(&other);
    bytes
}

fn head(fields: &[(&str, &str)]) -> Vec<u8> {
    script::head(200, &[("content-type", "application/json")], fields)
}

#[tokio::test]
async fn two_content_lengths_or_bytes_beyond_one_never_reach_another_exchange() {
    let stage = Stage::new().await;
    let truth = Truth::of(701);
    let body = openai::completion(&truth, "m");
    let length = body.len().to_string();
    let longer = (body.len() + 7).to_string();
    let chunked = [crate::support::http::chunk(&body), b"0\r\n\r\n".to_vec()].concat();
    let new = || Script::new().truth(&truth);
    let lengths = [("content-length", length.as_str())];
    let scripts = [
        ("extra bytes", new().send([head(&lengths), body.clone(), b"extra".to_vec()].concat())),
        ("an extra answer", new().send([head(&lengths), body.clone(), smuggled()].concat())),
        (
            "an extra answer after chunks",
            new().send([head(&[("transfer-encoding", "chunked")]), chunked.clone(), smuggled()].concat()),
        ),
        (
            "two content-lengths",
            new().send(
                [head(&[("content-length", &length), ("content-length", &longer)]), body.clone()].concat(),
            ),
        ),
    ];
    let mut count = 0;
    for (what, script) in scripts {
        for version in BOTH {
            let call = Call::chat(&stage.key, "m");
            let answer = stage.meet_and_go_on(what, version, &call, script.clone()).await;
            expect_exact_or_refused(what, &answer, &body);
            count += 2;
        }
    }
    stage.gateway.all_records(count).await;
}

fn expect_exact_or_refused(what: &str, answer: &Answer, body: &[u8]) {
    match answer.status {
        200 => assert!(answer.body == body && answer.end == BodyEnd::Clean, "{what}: {}", answer.text()),
        502 => assert_eq!(answer.code(), "upstream_error", "{what}"),
        other => panic!("{what}: {other} {}", answer.text()),
    }
}

/// Answers with both lengths, of which the chunks are right: in one write and in two.
fn with_both_lengths(truth: &Truth) -> Vec<Script> {
    let body = openai::completion(truth, "m");
    let longer = (body.len() + 7).to_string();
    let chunked = [crate::support::http::chunk(&body), b"0\r\n\r\n".to_vec()].concat();
    let mut scripts = Vec::new();
    for fields in [
        [("content-length", longer.as_str()), ("transfer-encoding", "chunked")],
        [("transfer-encoding", "chunked"), ("content-length", longer.as_str())],
        [("content-length", "0"), ("transfer-encoding", "chunked")],
    ] {
        let new = || Script::new().truth(truth);
        scripts.push(new().send([head(&fields), chunked.clone()].concat()));
        scripts.push(new().send(head(&fields)).send(chunked.clone()));
    }
    scripts
}

#[tokio::test]
async fn of_both_lengths_the_chunks_count_or_nothing_does() {
    let stage = Stage::new().await;
    let truth = Truth::of(704);
    for script in with_both_lengths(&truth) {
        for version in BOTH {
            let what = format!("both lengths {version:?}");
            let call = Call::chat(&stage.key, "m");
            let (answer, _) = stage.meet(&what, version, &call, script.clone()).await;
            expect_exact_or_refused(&what, &answer, &openai::completion(&truth, "m"));
        }
    }
    stage.gateway.all_records(6 * BOTH.len() * 2).await;
}

#[tokio::test]
async fn a_connection_that_told_both_lengths_is_not_used_again() {
    let stage = Stage::new().await;
    let truth = Truth::of(705);
    for script in with_both_lengths(&truth) {
        for version in BOTH {
            let what = "both lengths";
            let call = Call::chat(&stage.key, "m");
            stage.meet_and_go_on(what, version, &call, script.clone()).await;
        }
    }
}

#[tokio::test]
async fn a_length_that_is_too_long_is_a_cut_and_one_that_is_too_short_an_end() {
    let stage = Stage::new().await;
    let truth = Truth::of(702);
    let body = openai::completion(&truth, "m");
    let (short, long) = ((body.len() - 1).to_string(), (body.len() + 1).to_string());
    for version in BOTH {
        let call = Call::chat(&stage.key, "m");
        let script = Script::new().send(head(&[("content-length", &long)])).send(body.clone()).fin();
        let answer = stage.meet_and_go_on("too long", version, &call, script.truth(&truth)).await;
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_error"), "{version:?}");
        // What is left is half an object: no answer.
        let script = Script::new().send([head(&[("content-length", &short)]), body.clone()].concat());
        let answer = stage.meet_and_go_on("too short", version, &call, script.truth(&truth)).await;
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_error"), "{version:?}");
    }
    stage.gateway.all_records(8).await;
}

#[tokio::test]
async fn bytes_after_a_stream_never_reach_another_exchange() {
    let stage = Stage::new().await;
    let truth = Truth::of(703);
    let events = Events::new(&truth, "m", 2);
    for version in BOTH {
        let tail = [b"0\r\n\r\n".to_vec(), smuggled()].concat();
        let script = Script::events().chunks(events.all()).send(tail).truth(&truth);
        let call = Call::stream(&stage.key, "m");
        let answer = stage.meet_and_go_on("a stream", version, &call, script).await;
        assert_eq!(answer.ok().body, events.without_usage(), "{version:?}");
    }
    stage.gateway.all_records(4).await;
}

/// Fields that would mean something if they came in a head.
const TRAILERS: [(&str, &str); 6] = [
    ("x-stainless-trailer", "1"),
    ("authorization", "Bearer sk-aione-of-another"),
    ("x-api-key", "sk-aione-of-another"),
    ("content-length", "5"),
    ("host", "elsewhere.example"),
    ("idempotency-key", "trailer"),
];

fn expect_no_trailer(stage: &Stage, what: &str, sent: &[u8]) {
    let seen = stage.upstream.take_seen();
    assert_eq!(seen.len(), 1, "{what}");
    assert!(seen[0].body == sent, "{what}");
    let head = String::from_utf8_lossy(&seen[0].head.raw).to_lowercase();
    for wrong in ["trailer", "of-another", "elsewhere", "content-length: 5\r\n"] {
        assert!(!head.contains(wrong), "{what}: {wrong} in {head}");
    }
}

#[tokio::test]
async fn trailers_of_a_chunked_request_never_become_headers() {
    let stage = Stage::new().await;
    let call = Call::chat(&stage.key, "m").sending(crate::support::client::Sending::Chunked(20));
    let whole = h1::bytes(&call, "gateway");
    let fields: String = TRAILERS.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let with_trailers = [whole.strip_suffix(b"\r\n").unwrap(), fields.as_bytes(), b"\r\n"].concat();
    let mut connection = h1::Connection::open(stage.gateway.settings.public).await;
    connection.start_raw(with_trailers);
    let mut exchange = wait::within("the answer", connection.answer()).await;
    assert_eq!(exchange.status, 200);
    while wait::within("the body", exchange.piece()).await.unwrap().is_some() {}
    expect_no_trailer(&stage, "HTTP/1", &call.body);
    // The connection, where it lives on, is at the right place.
    if let Some(mut connection) = exchange.connection.settled().await {
        connection.start(&Call::chat(&stage.key, "m"));
        if let Ok(next) = wait::within("the next answer", connection.try_answer()).await {
            assert_eq!(next.status, 200);
        }
    }
    stage.gateway.quiet().await;
}

#[tokio::test]
async fn trailers_of_an_http2_request_never_become_headers() {
    let stage = Stage::new().await;
    let call = Call::chat(&stage.key, "m");
    let tcp = tokio::net::TcpStream::connect(stage.gateway.settings.public).await.unwrap();
    let (client, connection) = h2::client::handshake(tcp).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut request = http::Request::post("http://gateway/v1/chat/completions");
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    let mut client = client.ready().await.unwrap();
    let (response, mut send) = client.send_request(request.body(()).unwrap(), false).unwrap();
    send.send_data(Bytes::from(call.body.clone()), false).unwrap();
    let mut trailers = http::HeaderMap::new();
    for (name, value) in TRAILERS {
        trailers.insert(name, value.parse().unwrap());
    }
    send.send_trailers(trailers).unwrap();
    let answer = wait::within("the answer", response).await.unwrap();
    assert_eq!(answer.status(), 200);
    expect_no_trailer(&stage, "HTTP/2", &call.body);
    driver.abort();
    stage.gateway.all_records(1).await;
}
