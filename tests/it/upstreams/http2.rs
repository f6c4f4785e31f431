//! HTTP/2 to the upstream, broken off: asked again only where nothing was generated, cut visibly where it was.

use crate::support::{
    client::{Answer, BOTH, BodyEnd, Call, Version},
    gateway::{Gateway, TestGateway},
    records::Record,
    upstream::{
        Events, Truth,
        frames::{CANCEL, Frame, FrameUpstream, INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM, Reply},
        openai,
    },
};

const JSON: Frame = Frame::Head("application/json");
const STREAM: Frame = Frame::Head("text/event-stream");

struct Stage {
    gateway: Gateway,
    upstream: FrameUpstream,
    key: String,
}

impl Stage {
    async fn new() -> Self {
        let upstream = FrameUpstream::start().await;
        let gateway = TestGateway::new()
            .with(|settings| settings.provider_at("up", &upstream.base_url()))
            .set("/providers/up/http2", "always")
            .model("m", &["up"])
            .set("/models/m/route/attempts", 1)
            .start()
            .await;
        let key = gateway.key().await;
        Self { gateway, upstream, key }
    }

    /// A plain call and a streamed one.
    fn calls(&self) -> [Call; 2] {
        [Call::chat(&self.key, "m"), Call::stream(&self.key, "m")]
    }

    /// One exchange that meets `reply`, its record, and the generations that it took.
    async fn meet(&self, version: Version, call: &Call, reply: Reply) -> (Answer, Record, usize) {
        let before = self.upstream.truths().len();
        self.upstream.next(reply);
        let answer = self.gateway.send_over(version, call).await;
        let record = self.gateway.record(&answer.request_id()).await;
        (answer, record, self.upstream.truths().len() - before)
    }
}

#[tokio::test]
async fn an_honest_upstream_is_understood_and_its_connection_kept() {
    let stage = Stage::new().await;
    for version in BOTH {
        for call in stage.calls() {
            let answer = stage.gateway.send_over(version, &call).await.ok();
            let truth = stage.upstream.truths().pop().unwrap();
            let record = stage.gateway.record(&answer.request_id()).await;
            assert_eq!((record.prompt(), record.completion()), (truth.prompt, truth.completion));
        }
    }
    assert_eq!((stage.upstream.asked(), stage.upstream.connections()), (4, 1));
    stage.gateway.all_records(4).await;
}

#[tokio::test]
async fn a_request_that_was_provably_not_processed_is_asked_again_and_generates_once() {
    let stage = Stage::new().await;
    let replies = [
        ("REFUSED_STREAM", vec![Frame::Reset(REFUSED_STREAM)]),
        ("GOAWAY that leaves it out", vec![Frame::GoAway { taken: false, code: NO_ERROR }]),
        ("the same and a close", vec![Frame::GoAway { taken: false, code: NO_ERROR }, Frame::Close]),
    ];
    let mut count = 0;
    for (what, frames) in replies {
        for version in BOTH {
            for call in stage.calls() {
                let before = stage.upstream.asked();
                let (answer, record, generations) =
                    stage.meet(version, &call, Reply::unprocessed(frames.clone())).await;
                assert_eq!(answer.status, 200, "{what} {version:?}: {}", answer.text());
                assert_eq!(generations, 1, "{what} {version:?}");
                assert_eq!(stage.upstream.asked() - before, 2, "{what} {version:?}");
                let truth = stage.upstream.truths().pop().unwrap();
                assert_eq!((record.end(), record.provenance()), ("complete", "provider"), "{what}");
                assert_eq!((record.prompt(), record.completion()), (truth.prompt, truth.completion));
                count += 1;
            }
        }
    }
    stage.gateway.all_records(count).await;
}

#[tokio::test]
async fn an_upstream_that_refuses_every_stream_is_not_asked_for_ever() {
    let stage = Stage::new().await;
    for _ in 0..8 {
        stage.upstream.next(Reply::unprocessed([Frame::Reset(REFUSED_STREAM)]));
    }
    let answer = stage.gateway.send(&Call::chat(&stage.key, "m")).await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_error"), "{}", answer.text());
    assert!((1..=3).contains(&stage.upstream.asked()), "asked {} times", stage.upstream.asked());
    let record = stage.gateway.all_records(1).await.remove(0);
    assert_eq!((record.end(), record.completion()), ("upstream_error", 0));
}

/// Whether the request goes over a connection that has served another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Fresh,
    Used,
}

/// Expects that a request that meets `frames`, behind which there is a generation, is refused and
/// not asked again.
async fn expect_asked_once(over: Over, what: &str, frames: &[Frame]) {
    let truth = Truth::of(501);
    for streamed in [false, true] {
        let stage = Stage::new().await;
        let call = stage.calls()[usize::from(streamed)].clone();
        if over == Over::Used {
            stage.gateway.send(&call).await.ok();
        }
        let before = stage.upstream.asked();
        let reply = Reply::generated(&truth, frames);
        let (answer, record, generations) = stage.meet(Version::H1, &call, reply).await;
        let what = format!("{what} {over:?} streamed={streamed}");
        assert_eq!((generations, stage.upstream.asked() - before), (1, 1), "{what}: generations, requests");
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_error"), "{what}");
        assert_eq!(record.end(), "upstream_error", "{what}");
        assert_eq!(stage.upstream.connections(), 1, "{what}");
        stage.gateway.all_records(1 + usize::from(over == Over::Used)).await;
    }
}

#[tokio::test]
async fn a_request_that_may_have_been_processed_is_not_asked_again() {
    for over in [Over::Fresh, Over::Used] {
        expect_asked_once(over, "INTERNAL_ERROR", &[Frame::Reset(INTERNAL_ERROR)]).await;
        expect_asked_once(over, "CANCEL", &[Frame::Reset(CANCEL)]).await;
    }
    for code in [NO_ERROR, INTERNAL_ERROR] {
        let frames = [Frame::GoAway { taken: true, code }, Frame::Close];
        expect_asked_once(Over::Fresh, "GOAWAY that takes it on, and a close", &frames).await;
    }
    expect_asked_once(Over::Fresh, "a bare close", &[Frame::Close]).await;
}

#[tokio::test]
async fn a_stream_that_is_broken_off_after_its_head_ends_with_an_error() {
    let stage = Stage::new().await;
    let truth = Truth::of(502);
    let events = Events::new(&truth, "m", 3);
    let breaks = [
        ("RST INTERNAL_ERROR", vec![Frame::Reset(INTERNAL_ERROR)]),
        ("RST CANCEL", vec![Frame::Reset(CANCEL)]),
        ("RST NO_ERROR", vec![Frame::Reset(NO_ERROR)]),
        ("RST REFUSED_STREAM", vec![Frame::Reset(REFUSED_STREAM)]),
        ("GOAWAY and a close", vec![Frame::GoAway { taken: true, code: NO_ERROR }, Frame::Close]),
        ("a bare close", vec![Frame::Close]),
    ];
    let mut count = 0;
    for (what, mut end) in breaks {
        let mut frames = vec![STREAM, Frame::Data(events.content[0].clone())];
        frames.append(&mut end);
        for version in BOTH {
            let before = stage.upstream.asked();
            let reply = Reply::generated(&truth, frames.clone());
            let (answer, record, generations) =
                stage.meet(version, &Call::stream(&stage.key, "m"), reply).await;
            let text = answer.text();
            assert_eq!(answer.status, 200, "{what} {version:?}");
            assert!(text.starts_with(std::str::from_utf8(&events.content[0]).unwrap()), "{what}: {text}");
            assert!(text.contains("\"error\"") && !text.contains("[DONE]"), "{what} {version:?}: {text}");
            assert_ne!(answer.end, BodyEnd::Clean, "{what} {version:?}: an error event, and a cut");
            assert_eq!(record.end(), "upstream_aborted", "{what} {version:?}: {record:#?}");
            assert_eq!((generations, stage.upstream.asked() - before), (1, 1), "{what} {version:?}");
            count += 1;
        }
    }
    stage.gateway.all_records(count).await;
}

#[tokio::test]
async fn a_connection_that_is_being_given_up_finishes_its_answer_and_takes_no_more() {
    let stage = Stage::new().await;
    let truth = Truth::of(503);
    let events = Events::new(&truth, "m", 3);
    for version in BOTH {
        let before = stage.upstream.connections();
        let frames = [
            STREAM,
            Frame::Data(events.content[0].clone()),
            Frame::GoAway { taken: true, code: NO_ERROR },
            Frame::Data(events.all()[1..].concat()),
            Frame::End,
        ];
        let call = Call::stream(&stage.key, "m");
        let (answer, record, generations) =
            stage.meet(version, &call, Reply::generated(&truth, frames)).await;
        assert_eq!(answer.ok().body, events.without_usage(), "{version:?}");
        assert_eq!((record.end(), record.completion(), generations), ("complete", truth.completion, 1));
        let after = stage.upstream.connections();
        stage.gateway.send_over(version, &call).await.ok();
        assert!(stage.upstream.connections() > after.max(before), "{version:?}: a connection in its last");
    }
}

#[tokio::test]
async fn trailers_of_an_http2_upstream_are_dropped() {
    let stage = Stage::new().await;
    let truth = Truth::of(504);
    let events = Events::new(&truth, "m", 2);
    let trailers = vec![("x-trailer", "1"), ("set-cookie", "a=b"), ("content-length", "5")];
    let plain = openai::completion(&truth, "m");
    let answers = [
        (Call::chat(&stage.key, "m"), JSON, plain.clone(), plain),
        (Call::stream(&stage.key, "m"), STREAM, events.with_usage(), events.without_usage()),
    ];
    for (call, head, sent, expected) in answers {
        for version in BOTH {
            let frames = [head.clone(), Frame::Data(sent.clone()), Frame::Trailers(trailers.clone())];
            let (answer, record, _) = stage.meet(version, &call, Reply::generated(&truth, frames)).await;
            let answer = answer.ok();
            assert_eq!(answer.body, expected, "{version:?}");
            for name in ["x-trailer", "set-cookie"] {
                assert!(!answer.headers.has(name), "{version:?}: {name} came down");
            }
            assert_eq!((record.end(), record.completion()), ("complete", truth.completion));
        }
    }
    stage.gateway.all_records(4).await;
}

#[tokio::test]
async fn a_request_that_a_goaway_took_on_is_not_asked_again_on_a_used_connection() {
    for code in [NO_ERROR, INTERNAL_ERROR] {
        let frames = [Frame::GoAway { taken: true, code }, Frame::Close];
        expect_asked_once(Over::Used, "GOAWAY that takes it on, and a close", &frames).await;
    }
}
