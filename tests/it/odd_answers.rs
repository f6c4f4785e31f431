//! Upstreams of every dialect that stall, break their word or miscount, before callers of every dialect.

use crate::support::{
    client::{Answer, BodyEnd},
    dialects::{call, codec_of, error_message, fold, honest_of, stage, stage_with},
    gateway::Gateway,
    records::Record,
    upstream::{Script, Truth, Upstream},
};
use aione_core::wire::{Dialect, chat::Fold};
use serde_json::json;

const WORDING: &str = "Overloaded, try  later";

/// Who calls, who is asked, and both for a message.
fn pairs() -> impl Iterator<Item = (Dialect, Dialect, String)> {
    Dialect::ALL.into_iter().flat_map(|caller| {
        let name = move |asked: Dialect| format!("{} to {}", caller.as_str(), asked.as_str());
        Dialect::ALL.into_iter().map(move |asked| (caller, asked, name(asked)))
    })
}

/// An error in mid-stream as the vendor writes it.
fn error_event(dialect: Dialect) -> String {
    match dialect {
        Dialect::OpenAiChat => {
            format!(
                "data: {}\n\n",
                json!({ "error": { "message": WORDING, "type": "server_error", "code": null } })
            )
        }
        Dialect::OpenAiResponses => format!(
            "event: error\ndata: {}\n\n",
            json!({ "type": "error", "code": "server_error", "message": WORDING, "param": null, "sequence_number": 7 })
        ),
        Dialect::AnthropicMessages => format!(
            "event: error\ndata: {}\n\n",
            json!({ "type": "error", "error": { "type": "overloaded_error", "message": WORDING } })
        ),
        Dialect::Gemini => format!(
            "data: {}\n\n",
            json!({ "error": { "code": 503, "message": WORDING, "status": "UNAVAILABLE" } })
        ),
    }
}

/// Every count of what was written replaced by `count`.
fn miscounted(piece: &[u8], count: &str) -> Vec<u8> {
    let mut text = String::from_utf8(piece.to_vec()).unwrap();
    for name in ["completion_tokens", "output_tokens", "candidatesTokenCount"] {
        let key = format!("\"{name}\":");
        let mut at = 0;
        while let Some(found) = text[at..].find(&key) {
            let begin = at + found + key.len();
            let value = text[begin..].trim_start();
            let begin = text.len() - value.len();
            let length = value.find(|each: char| !each.is_ascii_digit()).unwrap_or(value.len());
            text.replace_range(begin..begin + length, count);
            at = begin;
        }
    }
    text.into_bytes()
}

async fn play(
    gateway: &Gateway,
    upstream: &Upstream,
    key: &str,
    (caller, asked): (Dialect, Dialect),
    script: Script,
) -> (Answer, Record) {
    upstream.next(script);
    let answer = gateway.send(&call(caller, asked.as_str(), true).bearer(key)).await;
    let record = gateway.record(&answer.request_id()).await;
    (answer, record)
}

fn folded(caller: Dialect, answer: &Answer) -> Fold {
    fold(codec_of(caller), &[&answer.body]).0
}

#[tokio::test]
async fn an_error_as_the_first_event_is_no_success_and_costs_nothing() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream).await;
    for (caller, asked, shown) in pairs() {
        let script = Script::stream([error_event(asked)]);
        let (answer, record) = play(&gateway, &upstream, &key, (caller, asked), script).await;
        assert!(answer.status >= 400, "{shown}: {} {}", answer.status, answer.text());
        assert_eq!(error_message(caller, &answer.json()), WORDING, "{shown}");
        assert_eq!((record.end(), record.completion(), record.cost()), ("upstream_error", 0, 0), "{shown}");
    }
}

#[tokio::test]
async fn an_error_after_content_is_told_and_what_was_written_is_counted() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream).await;
    for (caller, asked, shown) in pairs() {
        let pieces = honest_of(asked, &Truth::of(71)).stream.after(3).0;
        let script = Script::events().chunks(pieces).chunk(error_event(asked)).end();
        let (answer, record) = play(&gateway, &upstream, &key, (caller, asked), script).await;
        assert_eq!(answer.status, 200, "{shown}");
        let fold = folded(caller, &answer);
        assert_eq!(fold.error().map(|error| &*error.message), Some(WORDING), "{shown}: {}", answer.text());
        assert!(["upstream_error", "upstream_aborted"].contains(&record.end()), "{shown}: {record:?}");
        assert!(record.prompt() > 0 && record.completion() > 0, "{shown}: {record:?}");
        assert_ne!(record.provenance(), "provider", "{shown}");
    }
}

#[tokio::test]
async fn silence_in_mid_stream_ends_with_an_error_and_what_came_is_counted() {
    let upstream = Upstream::start().await;
    let timeouts = json!({ "first_byte": "20s", "idle": "300ms" });
    let (gateway, key) = stage_with(&upstream, |gateway| {
        Dialect::ALL.into_iter().fold(gateway, |gateway, dialect| {
            gateway.set(&format!("/providers/{}/timeouts", dialect.as_str()), timeouts.clone())
        })
    })
    .await;
    for (caller, asked, shown) in pairs() {
        let pieces = honest_of(asked, &Truth::of(72)).stream.after(2).0;
        let script = Script::events().chunks(pieces).await_gone();
        let (answer, record) = play(&gateway, &upstream, &key, (caller, asked), script).await;
        assert_eq!(answer.status, 200, "{shown}");
        assert!(matches!(answer.end, BodyEnd::Broken(_)), "{shown}: {}", answer.text());
        let fold = folded(caller, &answer);
        assert!(fold.error().is_some() && !fold.is_done(), "{shown}: {}", answer.text());
        assert_eq!(record.end(), "upstream_aborted", "{shown}");
        assert!(record.prompt() > 0 && record.completion() > 0, "{shown}: {record:?}");
    }
}

#[tokio::test]
async fn counts_that_are_none_are_flagged_and_the_answer_passes() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream).await;
    for (caller, asked, shown) in pairs() {
        for count in ["-5", "1.5", "\"7\"", "1e400", "9223372036854775808", "18446744073709551616", "[]"] {
            let pieces = honest_of(asked, &Truth::of(73)).stream.all();
            let pieces = pieces.iter().map(|piece| miscounted(piece, count));
            let (answer, record) =
                play(&gateway, &upstream, &key, (caller, asked), Script::stream(pieces)).await;
            let shown = format!("{shown}, {count}");
            assert_eq!((answer.status, &answer.end), (200, &BodyEnd::Clean), "{shown}: {}", answer.text());
            let fold = folded(caller, &answer);
            assert!(fold.error().is_none() && fold.is_done(), "{shown}: {}", answer.text());
            assert_eq!(record.end(), "complete", "{shown}: {record:?}");
            assert!(record.flagged(), "{shown}: {record:?}");
            assert!((1..1000).contains(&record.completion()), "{shown}: {record:?}");
        }
    }
}

#[tokio::test]
async fn an_event_that_is_no_json_hides_nothing_of_what_follows() {
    const BROKEN: &[u8] = b"data: {\"broken\": [1, \n\n";
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream).await;
    for dialect in Dialect::ALL {
        let shown = dialect.as_str();
        let truth = Truth::of(74);
        let (before, after) = honest_of(dialect, &truth).stream.after(1);
        let pieces: Vec<_> = before.into_iter().chain([BROKEN.to_vec()]).chain(after).collect();
        let script = Script::stream(pieces);
        let (answer, record) = play(&gateway, &upstream, &key, (dialect, dialect), script).await;
        assert_eq!((answer.status, &answer.end), (200, &BodyEnd::Clean), "{shown}: {}", answer.text());
        assert!(memchr::memmem::find(&answer.body, BROKEN).is_some(), "{shown}: {}", answer.text());
        assert_eq!(
            (record.end(), record.completion()),
            ("complete", truth.completion),
            "{shown}: {record:?}"
        );
    }
    // Of an answer that is translated, nobody can tell what is missing.
    for (caller, asked, shown) in pairs().filter(|(caller, asked, _)| caller != asked) {
        let (before, after) = honest_of(asked, &Truth::of(75)).stream.after(1);
        let pieces = before.into_iter().chain([BROKEN.to_vec()]).chain(after);
        let (answer, record) = play(&gateway, &upstream, &key, (caller, asked), Script::stream(pieces)).await;
        assert!(folded(caller, &answer).error().is_some(), "{shown}: {}", answer.text());
        assert_eq!(record.end(), "upstream_aborted", "{shown}: {record:?}");
        assert!(record.prompt() > 0 && record.completion() > 0, "{shown}: {record:?}");
    }
}
