//! The scripted upstream in every dialect, with no gateway before it: what it writes by hand, the
//! product's codecs read, and what they read is the truth that was logged.

use crate::support::{
    client::{self, Answer, Call, Version},
    dialects::{call, classes, fold},
    upstream::{Truth, Upstream, gemini, honest, messages, openai, responses},
};
use aione_core::wire::{
    Dialect,
    chat::{ChatAnswer, ErrorKind, Finish, Part, Thinking},
    codec::{Codec, codec},
};

fn codecs() -> impl Iterator<Item = &'static dyn Codec> {
    Dialect::ALL.into_iter().map(|dialect| codec(dialect).expect("every dialect has one"))
}

async fn ask(upstream: &Upstream, call: &Call) -> Answer {
    client::send(Version::H1, upstream.addr, call).await.ok()
}

fn expect_true(dialect: Dialect, answer: &ChatAnswer, truth: &Truth) {
    assert_eq!((&answer.id, &*answer.model), (&truth.id, "m"), "{dialect:?}");
    assert_eq!(answer.usage, Some(classes(truth)), "{dialect:?}");
    let [choice] = &answer.choices[..] else { panic!("{dialect:?}: {answer:?}") };
    assert_eq!(choice.finish, Some(Finish::Stop));
    let (mut text, mut thought, mut signatures) = (String::new(), None, Vec::new());
    for part in &choice.parts {
        match part {
            Part::Text { text: more, signature, .. } => {
                text.push_str(more);
                signatures.extend(signature.clone());
            }
            Part::Thinking(Thinking { text, signature, .. }) => {
                thought = Some(&**text);
                signatures.extend(signature.clone());
            }
            other => panic!("{dialect:?}: {other:?}"),
        }
    }
    let signature = match dialect {
        // Its honest upstream says nothing of what was thought, and its plain answer has words of its own.
        Dialect::OpenAiChat => {
            assert!(text.contains("answer, with ünïcode ✓"));
            return;
        }
        Dialect::OpenAiResponses => responses::ENCRYPTED,
        Dialect::AnthropicMessages => messages::SIGNATURE,
        Dialect::Gemini => gemini::SIGNATURE,
    };
    assert_eq!(text, honest::texts(openai::CONTENT_EVENTS), "{dialect:?}");
    assert_eq!(thought, honest::thought(truth), "{dialect:?}");
    let data: Vec<_> = signatures.iter().map(|signature| &*signature.data).collect();
    assert_eq!(data, thought.map(|_| signature).into_iter().collect::<Vec<_>>(), "{dialect:?}");
}

#[tokio::test]
async fn every_dialects_codec_reads_the_truth_at_once_and_in_pieces() {
    let upstream = Upstream::start().await;
    let mut truths = 0;
    for codec in codecs() {
        let dialect = codec.dialect();
        for _ in 0..20 {
            let plain = ask(&upstream, &call(dialect, "m", false)).await;
            let answer = codec.decode_answer(&plain.body).unwrap();
            expect_true(dialect, &answer, upstream.truths().last().unwrap());

            let streamed = ask(&upstream, &call(dialect, "m", true)).await;
            let (fold, _) = fold(codec, &[&streamed.body]);
            assert!(fold.is_done() && fold.error().is_none(), "{dialect:?}");
            expect_true(dialect, fold.answer(), upstream.truths().last().unwrap());
            truths += 2;
        }
    }
    assert_eq!(upstream.truths().len(), truths);
}

#[tokio::test]
async fn geminis_array_is_one_json_value_with_the_same_items() {
    let upstream = Upstream::start().await;
    let array = Call::post("/v1beta/models/m:streamGenerateContent", "{\"contents\":[]}");
    let streamed = ask(&upstream, &array).await;
    assert!(streamed.headers.get("content-type").unwrap().starts_with("application/json"));
    let items: Vec<serde_json::Value> = serde_json::from_slice(&streamed.body).unwrap();
    let truth = upstream.truths().remove(0);
    let events = gemini::stream(&truth, "m", openai::CONTENT_EVENTS).all();
    assert_eq!(items.iter().map(openai::event).collect::<Vec<_>>(), events);
    let (fold, _) = fold(codec(Dialect::Gemini).unwrap(), &[&streamed.body]);
    expect_true(Dialect::Gemini, fold.answer(), &truth);
}

#[tokio::test]
async fn tokens_are_counted_without_a_generation() {
    let upstream = Upstream::start().await;
    let counted = ask(&upstream, &Call::post("/v1/messages/count_tokens", "{}")).await.json();
    assert_eq!(counted["input_tokens"], Truth::of(1).prompt);
    let counted = ask(&upstream, &Call::post("/v1beta/models/m:countTokens", "{}")).await.json();
    assert_eq!(counted["totalTokens"], Truth::of(2).prompt);
    assert_eq!(upstream.truths(), []);
}

/// A stream of `dialect`, with its truth.
fn stream(dialect: Dialect, truth: &Truth) -> (honest::Pieces, Truth) {
    let (write, truth): (fn(&Truth, &str, usize) -> honest::Pieces, _) = match dialect {
        Dialect::OpenAiChat => panic!("its events have a type of their own"),
        Dialect::OpenAiResponses => (responses::stream, responses::renamed(truth)),
        Dialect::AnthropicMessages => (messages::stream, messages::renamed(truth)),
        Dialect::Gemini => (gemini::stream, gemini::renamed(truth)),
    };
    (write(&truth, "m", openai::CONTENT_EVENTS), truth)
}

fn others() -> impl Iterator<Item = &'static dyn Codec> {
    codecs().filter(|codec| codec.dialect() != Dialect::OpenAiChat)
}

#[test]
fn a_stream_is_a_function_of_the_truth_and_reads_the_same_wherever_it_is_cut() {
    for codec in others() {
        for decided in [Truth::of(7), Truth::plain("chatcmpl-plain", 9, 4)] {
            let (pieces, truth) = stream(codec.dialect(), &decided);
            let bytes = pieces.all().concat();
            assert_eq!(bytes, stream(codec.dialect(), &decided).0.all().concat());
            let (whole, events) = fold(codec, &[&bytes]);
            expect_true(codec.dialect(), whole.answer(), &truth);
            // A prime, so that over all streams every sort of place is met.
            for cut in (0..bytes.len()).step_by(7) {
                let (front, back) = bytes.split_at(cut);
                assert_eq!(fold(codec, &[front, back]).1.len(), events.len(), "cut at {cut}");
            }
        }
    }
}

#[test]
fn a_stream_that_is_broken_off_has_no_end() {
    for codec in others() {
        let pieces = stream(codec.dialect(), &Truth::of(7)).0.all();
        for count in 0..pieces.len() {
            let (fold, _) = fold(codec, &[&pieces[..count].concat()]);
            assert!(!fold.is_done(), "{:?} after {count}", codec.dialect());
        }
    }
}

#[test]
fn an_error_in_the_dialects_shape_is_read_as_one() {
    for codec in others() {
        let (pieces, _) = stream(codec.dialect(), &Truth::of(7));
        let begun = pieces.opening.concat();
        let number = pieces.opening.len() as u64;
        let event = match codec.dialect() {
            Dialect::OpenAiResponses => honest::named(&responses::error("server_error", "No.", number)),
            Dialect::AnthropicMessages => honest::named(&messages::error("api_error", "No.")),
            _ => openai::event(&gemini::error(500, "INTERNAL", "No.")),
        };
        for before in [&b""[..], &begun] {
            let (fold, _) = fold(codec, &[before, &event]);
            let error = fold.error().unwrap();
            assert_eq!((error.kind, &*error.message), (ErrorKind::Internal, "No."), "{:?}", codec.dialect());
            assert!(!fold.is_done());
        }
    }
}
