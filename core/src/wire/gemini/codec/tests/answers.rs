//! Answers at once.

use super::*;
use crate::wire::chat::{ChatAnswer, Choice, Citation, Finish, Thinking, ToolCall};

fn read(body: &str) -> ChatAnswer {
    Gemini.decode_answer(body.as_bytes()).unwrap()
}

fn write(answer: &ChatAnswer) -> Value {
    serde_json::from_slice(&Gemini.encode_answer(answer, &setting(), &mut Dropped::default())).unwrap()
}

fn said(parts: Vec<Part>) -> ChatAnswer {
    let choice = Choice { parts, finish: Some(Finish::Stop), ..Choice::default() };
    ChatAnswer { choices: vec![choice], ..ChatAnswer::default() }
}

/// The answer's parts, as a caller's next request gives them back.
fn given_back(answer: &Value) -> Vec<Part> {
    let content = &answer["candidates"][0]["content"];
    let body = serde_json::json!({"contents": [{"role": "user", "parts": [{"text": "a"}]}, content]});
    read_request(&body.to_string()).0.turns.remove(1).parts
}

#[test]
fn foreign_signatures_come_back_from_callers() {
    let foreign = |data: &str| Some(Signature { dialect: Dialect::AnthropicMessages, data: data.to_owned() });
    let parts = vec![
        Part::Thinking(Thinking {
            text: "hm".to_owned(),
            signature: foreign("Eq/+=="),
            summary: true,
            ..Thinking::default()
        }),
        Part::Thinking(Thinking {
            signature: foreign("hidden"),
            redacted: true,
            summary: true,
            ..Thinking::default()
        }),
        Part::ToolCall(ToolCall {
            id: "toolu_1".to_owned(),
            name: "f".to_owned(),
            arguments: r#"{"a":2}"#.to_owned(),
            signature: foreign("c"),
            cache: None,
        }),
        signed("x", own(SIGNATURE)),
    ];
    let answer = write(&said(parts.clone()));
    let carried = answer["candidates"][0]["content"]["parts"][0]["thoughtSignature"].as_str().unwrap();
    // base64 of `aione.anthropic_messages.Eq/+==`
    assert_eq!(carried, "YWlvbmUuYW50aHJvcGljX21lc3NhZ2VzLkVxLys9PQ==");
    assert_eq!(given_back(&answer), parts);
}

#[test]
fn a_call_without_an_id_has_the_same_one_at_once_and_in_pieces() {
    let answer = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}}},
        {"functionCall":{"name":"f","args":{}}}]},"finishReason":"STOP"}],"responseId":"r1"}"#;
    let ids = |parts: &[Part]| -> Vec<String> {
        let ids = parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call.id.clone()),
            _ => None,
        });
        ids.collect()
    };
    let whole = ids(&read(answer).choices[0].parts);
    let mut fold = crate::wire::chat::Fold::default();
    read_stream(&format!("data: {}\n\n", answer.replace('\n', ""))).iter().for_each(|event| fold.feed(event));
    assert_eq!(ids(&fold.answer().choices[0].parts), whole);
    assert_ne!(whole[0], whole[1]);
    // Another answer's are others, in dialects where ids are of a whole conversation.
    let other = read(&answer.replace("r1", "r2"));
    assert_ne!(ids(&other.choices[0].parts), whole);
    assert!(whole.iter().all(|id| crate::wire::chat::call_id::is_made(id)));
}

#[test]
fn citations_are_on_the_text_that_they_begin_in() {
    let answer = read(
        r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"Äß 1"},{"text":"é 2."}]},
        "groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://a"}}],"groundingSupports":[
            {"segment":{"partIndex":1,"endIndex":4},"groundingChunkIndices":[0]},
            {"segment":{"partIndex":2,"startIndex":3,"endIndex":5},"groundingChunkIndices":[0,7]},
            {"segment":{"partIndex":2,"startIndex":3,"endIndex":500},"groundingChunkIndices":[0]}]}}]}"#,
    );
    let cited = |at: usize| match &answer.choices[0].parts[at] {
        Part::Text { citations, .. } => {
            citations.iter().map(|citation| (citation.start, citation.end)).collect::<Vec<_>>()
        }
        _ => panic!(),
    };
    assert_eq!(cited(1), [(Some(0), Some(2))]);
    assert_eq!(cited(2), [(Some(6), Some(8)), (Some(6), None)]);
    let supports = write(&answer)["candidates"][0]["groundingMetadata"]["groundingSupports"].clone();
    // In bytes of the whole text: `Äß 1é 2.`
    assert_eq!(supports[0]["segment"], serde_json::json!({"startIndex": 0, "endIndex": 4}));
    assert_eq!(supports[1]["segment"], serde_json::json!({"startIndex": 9, "endIndex": 11}));
}

#[test]
fn what_is_cited_word_for_word_was_retrieved() {
    let cited = |quote: Option<&str>| Citation {
        url: Some("https://a".to_owned()),
        title: None,
        quote: quote.map(str::to_owned),
        start: Some(0),
        end: None,
    };
    let citations = vec![cited(Some("q")), cited(None), cited(Some("q"))];
    let text = Part::Text { text: "x".to_owned(), citations, signature: None, cache: None };
    let grounding = write(&said(vec![text]))["candidates"][0]["groundingMetadata"].clone();
    let expect = serde_json::json!({
        "groundingChunks": [
            {"retrievedContext": {"uri": "https://a", "text": "q"}},
            {"web": {"uri": "https://a"}},
        ],
        "groundingSupports": [
            {"segment": {"startIndex": 0}, "groundingChunkIndices": [0]},
            {"segment": {"startIndex": 0}, "groundingChunkIndices": [1]},
            {"segment": {"startIndex": 0}, "groundingChunkIndices": [0]},
        ],
    });
    assert_eq!(grounding, expect);
}

#[test]
fn sources_that_many_name_do_not_fill_the_memory() {
    let title = "t".repeat(100_000);
    let support = r#"{"groundingChunkIndices":[0,0,0,0,0,0,0,0,0,0]},"#.repeat(1_000);
    let support = support.trim_end_matches(',');
    let answer = read(&format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"text":"x"}}]}},"groundingMetadata":{{
        "groundingChunks":[{{"web":{{"title":"{title}","uri":"https://a"}}}}],"groundingSupports":[{support}]}}}}]}}"#
    ));
    let Part::Text { citations, .. } = &answer.choices[0].parts[0] else { panic!() };
    let expect =
        Citation { url: Some("https://a".to_owned()), title: None, quote: None, start: None, end: None };
    assert_eq!(citations.len(), 512);
    assert!(citations.iter().all(|citation| *citation == expect));
}

#[test]
fn images_and_searches_are_counted() {
    let answer = read(
        r#"{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA=="}},
        {"inlineData":{"mimeType":"image/png","data":"AA=="},"thought":true}]},
        "groundingMetadata":{"webSearchQueries":["a","b"]}}],"usageMetadata":{"promptTokenCount":1}}"#,
    );
    let usage = answer.usage.unwrap();
    assert_eq!((usage.images, usage.searches, usage.input), (1, 2, 1));
}

#[test]
fn what_is_no_answer_is_told_apart() {
    for body in ["", "null", "[]", "<html>", "{}", r#"{"candidates":[]}"#, r#"{"candidates":null}"#] {
        assert!(Gemini.decode_answer(body.as_bytes()).is_err(), "{body}");
    }
    let error = Gemini.decode_answer(br#"{"error":{"code":429,"message":"slow down"}}"#).unwrap_err();
    assert_eq!(error.message, "slow down");
    for (body, finish) in [
        (r#"{"promptFeedback":{"blockReason":"OTHER"}}"#, Finish::Filter),
        (r#"{"usageMetadata":{"promptTokenCount":3}}"#, Finish::Broken("OTHER".to_owned())),
        (r#"{"candidates":[{"finishReason":"RECITATION","content":null}]}"#, Finish::Filter),
        (r#"{"candidates":[{"finishReason":"MAX_TOKENS","content":{"parts":null}}]}"#, Finish::Length),
    ] {
        let answer = read(body);
        assert_eq!(answer.choices, [Choice { finish: Some(finish), ..Choice::default() }], "{body}");
    }
}

#[test]
fn what_the_answer_does_not_say_is_the_settings() {
    let answer = write(&said(vec![Part::text(""), Part::Refusal { text: "I cannot.".to_owned() }]));
    assert_eq!((&answer["responseId"], &answer["modelVersion"]), (&"gen-1".into(), &"up".into()));
    assert_eq!(answer["candidates"][0]["content"]["parts"], serde_json::json!([{"text": "I cannot."}]));
}
