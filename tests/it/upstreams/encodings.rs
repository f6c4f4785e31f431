//! Answers that an upstream encodes though identity was asked for: as sent or refused, flagged, in bounded memory.

use crate::support::{
    client::{Answer, BOTH, BodyEnd, Call, Version},
    gateway::{Gateway, TestGateway},
    upstream::{Events, Script, Truth, Upstream, openai, script},
};
use std::io::Write as _;

/// What a bomb unpacks to, and what the gateway may grow by meanwhile.
const BOMB: usize = 256 << 20;
const GROWTH_KIB: u64 = 24 << 10;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(plain).unwrap();
    writer.finish().unwrap()
}

fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(plain).unwrap();
    writer.finish().unwrap()
}

fn br(plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    brotli::CompressorWriter::new(&mut packed, 4096, 5, 22).write_all(plain).unwrap();
    packed
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 3).unwrap()
}

fn bomb() -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..BOMB / zeros.len() {
        writer.write_all(&zeros).unwrap();
    }
    writer.finish().unwrap()
}

/// Each way of writing `plain`: what it is, its label, its bytes.
fn writings(plain: &[u8]) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let whole = gzip(plain);
    let half = whole[..whole.len() / 2].to_vec();
    vec![
        ("gzip", "gzip", whole.clone()),
        ("upper case", "GZIP", whole.clone()),
        ("x-gzip", "x-gzip", whole.clone()),
        ("br", "br", br(plain)),
        ("zstd", "zstd", zstd(plain)),
        ("deflate", "deflate", deflate(plain)),
        ("stacked", "gzip, br", br(&whole)),
        ("frames one after the other", "gzip", [whole.clone(), gzip(b" ")].concat()),
        ("a wrong label", "br", whole),
        ("a label on plain bytes", "gzip", plain.to_vec()),
        ("an unknown label", "made-up", plain.to_vec()),
        ("truncated inside", "gzip", half),
    ]
}

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

    /// An answer of ours or the upstream's very bytes under its label; recorded once, and not as
    /// if its usage had been read.
    async fn meet(&self, version: Version, call: &Call, what: &str, script: Script) -> Answer {
        self.upstream.next(script);
        let answer = self.gateway.send_over(version, call).await;
        let seen = self.upstream.take_seen().remove(0);
        assert_eq!(seen.headers().all("accept-encoding"), ["identity"], "{what}");
        let record = self.gateway.record(&answer.request_id()).await;
        assert_ne!(record.provenance(), "provider", "{what} {version:?}: {record:#?}");
        assert!(record.flagged() || record.status() >= 400, "{what} {version:?}: {record:#?}");
        answer
    }
}

fn expect_as_sent(what: &str, answer: &Answer, label: &str, sent: &[u8]) {
    if answer.status == 502 {
        assert_eq!(answer.code(), "upstream_error", "{what}");
        return;
    }
    assert_eq!((answer.status, &answer.end), (200, &BodyEnd::Clean), "{what}");
    assert_eq!(answer.header("content-encoding"), Some(label), "{what}");
    assert!(answer.body == sent, "{what}: {} bytes of {}", answer.body.len(), sent.len());
}

#[tokio::test]
async fn plain_answers_in_every_encoding_pass_as_sent_or_are_refused() {
    let stage = Stage::new().await;
    let truth = Truth::of(601);
    let writings = writings(&openai::completion(&truth, "m"));
    for (what, label, bytes) in &writings {
        for version in BOTH {
            let headers = [("content-type", "application/json"), ("content-encoding", *label)];
            let script = Script::answer(200, &headers, bytes).truth(&truth);
            let answer = stage.meet(version, &Call::chat(&stage.key, "m"), what, script).await;
            expect_as_sent(what, &answer, label, bytes);
        }
    }
    stage.gateway.all_records(writings.len() * BOTH.len()).await;
}

#[tokio::test]
async fn streams_in_every_encoding_pass_as_sent_or_are_refused() {
    let stage = Stage::new().await;
    let truth = Truth::of(602);
    let writings = writings(&Events::new(&truth, "m", 3).with_usage());
    for (what, label, bytes) in &writings {
        for version in BOTH {
            let head = [("content-type", "text/event-stream"), ("content-encoding", *label)];
            let script = Script::new()
                .send(script::head(200, &head, &[("transfer-encoding", "chunked")]))
                .chunks(bytes.chunks(50))
                .end()
                .truth(&truth);
            let answer = stage.meet(version, &Call::stream(&stage.key, "m"), what, script).await;
            expect_as_sent(what, &answer, label, bytes);
        }
    }
    stage.gateway.all_records(writings.len() * BOTH.len()).await;
}

#[tokio::test]
async fn an_encoded_answer_that_is_cut_is_never_a_clean_end() {
    let stage = Stage::new().await;
    let truth = Truth::of(603);
    let packed = gzip(&openai::completion(&truth, "m"));
    let length = (packed.len() + 1).to_string();
    for version in BOTH {
        let head = [("content-type", "application/json"), ("content-encoding", "gzip")];
        let script = Script::new()
            .send(script::head(200, &head, &[("content-length", &length)]))
            .send(packed.clone())
            .fin()
            .truth(&truth);
        let answer = stage.meet(version, &Call::chat(&stage.key, "m"), "cut", script).await;
        assert!(answer.status == 502 || answer.end != BodyEnd::Clean, "{version:?}: {answer:?}");
    }
    for record in stage.gateway.all_records(2).await {
        assert!(["upstream_aborted", "upstream_error"].contains(&record.end()), "{record:#?}");
    }
}

#[tokio::test]
async fn a_bomb_is_not_unpacked() {
    let stage = Stage::new().await;
    let truth = Truth::of(604);
    let packed = bomb();
    stage.gateway.send(&Call::chat(&stage.key, "m")).await.ok();
    stage.upstream.take_seen();
    let before = stage.gateway.resident_kib();
    for (call, kind) in [
        (Call::chat(&stage.key, "m"), "application/json"),
        (Call::stream(&stage.key, "m"), "text/event-stream"),
    ] {
        let headers = [("content-type", kind), ("content-encoding", "gzip")];
        let script = Script::answer(200, &headers, &packed).truth(&truth);
        let answer = stage.meet(Version::H1, &call, "a bomb", script).await;
        expect_as_sent("a bomb", &answer, "gzip", &packed);
    }
    let growth = stage.gateway.resident_kib().saturating_sub(before);
    assert!(growth < GROWTH_KIB, "grew by {growth} KiB");
    stage.gateway.all_records(3).await;
}
