//! Callers of every dialect in front of upstreams of every dialect.

use crate::support::{
    client::{Answer, BodyEnd, Call, Version},
    dialects::{array_call, call, classes, codec_of, error_message, fold, honest_of, stage, stage_with},
    gateway::Gateway,
    records::Record,
    upstream::{Gate, Script, Truth, Upstream, gemini, honest, openai},
};
use aione_core::wire::{
    Dialect,
    chat::{ChatAnswer, Finish, Part},
    codec::keep_alive,
};
use serde_json::{Value, json};

/// The last answer of the upstream, and what became of it.
async fn told(gateway: &Gateway, upstream: &Upstream, answer: &Answer) -> (Truth, Record) {
    assert_eq!(answer.end, BodyEnd::Clean);
    let record = gateway.record(&answer.request_id()).await;
    (upstream.truths().pop().unwrap(), record)
}

fn expect_recorded(record: &Record, truth: &Truth, caller: Dialect, shown: &str) {
    assert_eq!(record.0["dialect"], caller.as_str(), "{shown}");
    assert_eq!((record.end(), record.provenance()), ("complete", "provider"), "{shown}");
    assert_eq!((record.prompt(), record.cached()), (truth.prompt, truth.cached), "{shown}");
    assert_eq!((record.completion(), record.reasoning()), (truth.completion, truth.reasoning), "{shown}");
    assert!(!record.flagged(), "{shown}");
}

fn expect_said(answer: &ChatAnswer, truth: &Truth, upstream: Dialect, streamed: bool, shown: &str) {
    assert_eq!(answer.usage, Some(classes(truth)), "{shown}");
    let [choice] = &answer.choices[..] else { panic!("{shown}: {answer:?}") };
    assert_eq!(choice.finish, Some(Finish::Stop), "{shown}");
    let text: String = choice
        .parts
        .iter()
        .filter_map(|part| if let Part::Text { text, .. } = part { Some(&**text) } else { None })
        .collect();
    if upstream == Dialect::OpenAiChat && !streamed {
        // That honest upstream has words of its own for a plain answer.
        assert!(text.contains("answer, with ünïcode ✓"), "{shown}");
    } else {
        assert_eq!(text, honest::texts(openai::CONTENT_EVENTS), "{shown}");
    }
}

#[tokio::test]
async fn every_caller_is_answered_by_every_upstream_and_each_token_is_counted() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream).await;
    let mut exchanges = 0;
    for caller in Dialect::ALL {
        for asked in Dialect::ALL {
            let shown = format!("{} to {}", caller.as_str(), asked.as_str());
            let codec = codec_of(caller);
            let plain = gateway.send(&call(caller, asked.as_str(), false).bearer(&key)).await.ok();
            let answer = codec.decode_answer(&plain.body).unwrap();
            let (truth, record) = told(&gateway, &upstream, &plain).await;
            expect_said(&answer, &truth, asked, false, &shown);
            expect_recorded(&record, &truth, caller, &shown);

            let mut calls = vec![call(caller, asked.as_str(), true)];
            if caller == Dialect::Gemini {
                calls.push(array_call(asked.as_str()));
            }
            for call in calls {
                let is_array = !call.path.contains("alt=sse") && caller == Dialect::Gemini;
                let streamed = gateway.send(&call.bearer(&key)).await.ok();
                let kind = streamed.header("content-type").unwrap();
                let expected = if is_array { "application/json" } else { "text/event-stream" };
                assert!(kind.starts_with(expected), "{shown}: {kind}");
                if is_array {
                    streamed.json().as_array().unwrap();
                }
                let (fold, _) = fold(codec, &[&streamed.body]);
                assert!(fold.is_done() && fold.error().is_none(), "{shown}: {}", streamed.text());
                let (truth, record) = told(&gateway, &upstream, &streamed).await;
                expect_said(fold.answer(), &truth, asked, true, &shown);
                expect_recorded(&record, &truth, caller, &shown);
                exchanges += 1;
            }
            exchanges += 1;
        }
    }
    gateway.quiet().await;
    assert_eq!(gateway.records().await.len(), exchanges);
}

#[tokio::test]
async fn in_one_dialect_the_bytes_pass_as_they_are_but_for_the_models_name() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream).await;
    for dialect in Dialect::ALL {
        let name = dialect.as_str();
        let truth = Truth::of(77);
        let said = honest_of(dialect, &truth);
        let (plain, stream, error) = (said.plain, said.stream.all(), said.error);

        upstream.next(Script::json(200, &plain));
        let asks = call(dialect, name, false).bearer(&key).header("anthropic-beta", "b1,b2");
        let answer = gateway.send(&asks).await.ok();
        assert_eq!(answer.body, plain, "{name}");
        let seen = upstream.seen().pop().unwrap();
        let sent = String::from_utf8(asks.body.clone()).unwrap();
        let expected = sent.replace(&format!("\"model\":\"{name}\""), &format!("\"model\":\"up-{name}\""));
        assert_eq!(String::from_utf8(seen.body.clone()).unwrap(), expected, "{name}");
        assert_eq!(seen.headers().get("anthropic-beta"), Some("b1,b2"), "{name}");
        if dialect == Dialect::Gemini {
            assert!(seen.path().ends_with("/models/up-gemini:generateContent"), "{}", seen.path());
        }

        upstream.next(Script::stream(&stream));
        let answer = gateway.send(&call(dialect, name, true).bearer(&key)).await.ok();
        assert_eq!(answer.text(), String::from_utf8(stream.concat()).unwrap(), "{name}");

        upstream.next(Script::json(422, &error));
        let answer = gateway.send(&call(dialect, name, false).bearer(&key)).await;
        assert_eq!((answer.status, &answer.body), (422, &error), "{name}");
    }
    let truth = gemini::renamed(&Truth::of(78));
    let pieces = gemini::array(&truth, "up-gemini", 3);
    let kind = [("content-type", "application/json; charset=UTF-8")];
    upstream.next(Script::chunked(200, &kind).chunks(&pieces).end());
    let answer = gateway.send(&array_call("gemini").bearer(&key)).await.ok();
    assert_eq!(answer.body, pieces.concat());
    assert!(upstream.seen().pop().unwrap().path().ends_with("/models/up-gemini:streamGenerateContent"));
}

#[tokio::test]
async fn refusals_are_told_in_the_callers_dialect() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream).await;
    let limited = gateway.create_key(json!({ "rpm_limit": 1 })).await.secret;
    for dialect in Dialect::ALL {
        let name = dialect.as_str();
        let broken = |call: Call| Call { body: b"{".to_vec(), ..call };
        let without_model = {
            let mut call = call(dialect, "nope", true);
            call.headers.clear();
            call.bearer(&key)
        };
        for (call, status, code) in [
            (call(dialect, name, false), 401, "invalid_api_key"),
            (call(dialect, name, false).bearer("sk-aione-wrong"), 401, "invalid_api_key"),
            (without_model, 404, "model_not_found"),
            (broken(call(dialect, name, false)).bearer(&key), 400, "invalid_request"),
            (Call { method: "PUT", ..call(dialect, name, false).bearer(&key) }, 405, "method_not_allowed"),
        ] {
            let answer = gateway.send(&call).await;
            assert_eq!((answer.status, answer.header("x-aione-refused")), (status, Some(code)), "{name}");
            assert!(!error_message(dialect, &answer.json()).is_empty());
            let id = answer.header("x-request-id").unwrap();
            let expected = (dialect == Dialect::AnthropicMessages).then_some(id);
            assert_eq!(answer.header("request-id"), expected, "{name}");
        }
        let upgrade = call(dialect, name, true)
            .bearer(&key)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket");
        let answer = gateway.send(&upgrade).await;
        assert_eq!(answer.status, 426);
        error_message(dialect, &answer.json());
    }
    assert_eq!(upstream.asked(), 0);
    // A limit is told in the headers that the vendor's own clients know.
    let limited_call = call(Dialect::AnthropicMessages, "anthropic_messages", false).bearer(&limited);
    let first = gateway.send(&limited_call).await.ok();
    let refused = gateway.send(&limited_call).await;
    assert_eq!(refused.status, 429);
    for answer in [first, refused] {
        assert_eq!(answer.header("anthropic-ratelimit-requests-limit"), Some("1"));
        assert_eq!(answer.header("anthropic-ratelimit-requests-remaining"), Some("0"));
        let reset = answer.header("anthropic-ratelimit-requests-reset").unwrap();
        chrono::DateTime::parse_from_rfc3339(reset).unwrap();
        assert!(answer.header("x-ratelimit-limit-requests").is_none());
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_the_dialects_own_error() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream).await;
    for caller in Dialect::ALL {
        for asked in Dialect::ALL {
            let shown = format!("{} to {}", caller.as_str(), asked.as_str());
            let pieces = honest_of(asked, &Truth::of(79)).stream.after(2).0;
            upstream.next(Script::events().chunks(pieces).reset());
            let answer = gateway.send(&call(caller, asked.as_str(), true).bearer(&key)).await;
            assert_eq!(answer.status, 200, "{shown}");
            assert!(matches!(answer.end, BodyEnd::Broken(_)), "{shown}: {}", answer.text());
            let (fold, _) = fold(codec_of(caller), &[&answer.body]);
            assert!(fold.error().is_some() && !fold.is_done(), "{shown}: {}", answer.text());
            let record = gateway.record(&answer.request_id()).await;
            assert_eq!(record.end(), "upstream_aborted", "{shown}");
            assert!(record.prompt() > 0 && record.completion() > 0, "{shown}: {record:?}");
        }
    }
    // Of an array the error is the last item.
    let pieces = gemini::array(&gemini::renamed(&Truth::of(80)), "up-gemini", 5);
    let kind = [("content-type", "application/json")];
    upstream.next(Script::chunked(200, &kind).chunks(&pieces[..3]).reset());
    let answer = gateway.send(&array_call("gemini").bearer(&key)).await;
    let items = answer.json();
    let items = items.as_array().unwrap();
    assert_eq!(items.len(), 4);
    error_message(Dialect::Gemini, &items[3]);
    let pieces = honest_of(Dialect::AnthropicMessages, &Truth::of(81)).stream.after(2).0;
    upstream.next(Script::events().chunks(pieces).reset());
    let answer = gateway.send(&array_call("anthropic_messages").bearer(&key)).await;
    error_message(Dialect::Gemini, answer.json().as_array().unwrap().last().unwrap());
}

#[tokio::test]
async fn an_upstreams_error_comes_in_every_callers_dialect_with_its_wording() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream).await;
    for caller in Dialect::ALL {
        for asked in Dialect::ALL {
            let shown = format!("{} to {}", caller.as_str(), asked.as_str());
            for stream in [false, true] {
                upstream.next(Script::json(422, honest_of(asked, &Truth::of(82)).error));
                let answer = gateway.send(&call(caller, asked.as_str(), stream).bearer(&key)).await;
                assert!((400..500).contains(&answer.status), "{shown}: {}", answer.status);
                assert_eq!(error_message(caller, &answer.json()), "Odd  wording", "{shown}");
                assert!(answer.header("x-aione-refused").is_none());
                assert_eq!(gateway.record(&answer.request_id()).await.cost(), 0, "{shown}");
            }
            // Some say it with a 200.
            upstream.next(Script::json(200, honest_of(asked, &Truth::of(82)).error));
            let answer = gateway.send(&call(caller, asked.as_str(), false).bearer(&key)).await;
            assert!(answer.status >= 400, "{shown}: {}", answer.status);
            assert_eq!(error_message(caller, &answer.json()), "Odd  wording", "{shown}");
        }
    }
}

#[tokio::test]
async fn a_stream_without_its_own_end_is_cut_though_its_framing_is_whole() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream).await;
    for dialect in [Dialect::OpenAiResponses, Dialect::AnthropicMessages, Dialect::Gemini] {
        let pieces = honest_of(dialect, &Truth::of(85)).stream.after(2).0;
        upstream.next(Script::stream(pieces));
        let answer = gateway.send(&call(dialect, dialect.as_str(), true).bearer(&key)).await;
        assert!(matches!(answer.end, BodyEnd::Broken(_)), "{dialect:?}: {}", answer.text());
        let (fold, _) = fold(codec_of(dialect), &[&answer.body]);
        assert!(fold.error().is_some(), "{dialect:?}: {}", answer.text());
        assert_eq!(gateway.record(&answer.request_id()).await.end(), "upstream_aborted", "{dialect:?}");
    }
}

#[tokio::test]
async fn a_silent_upstream_is_bridged_in_each_dialects_way() {
    let upstream = Upstream::start().await;
    let (gateway, key) =
        stage_with(&upstream, |gateway| gateway.set("/server/keep_alive_after", "100ms")).await;
    for caller in Dialect::ALL {
        for asked in Dialect::ALL {
            let shown = format!("{} to {}", caller.as_str(), asked.as_str());
            let (before, after) = honest_of(asked, &Truth::of(83)).stream.after(2);
            let gate = Gate::closed();
            let script = Script::events().chunks(before).wait(&gate).chunks(after).end();
            upstream.next(script);
            let mut exchange =
                gateway.open_over(Version::H1, &call(caller, asked.as_str(), true).bearer(&key)).await;
            let (mut body, mut told) = (Vec::new(), 0);
            while told < 2 {
                let piece = exchange.piece().await.unwrap().expect(&shown);
                told += usize::from(piece == keep_alive(caller));
                body.extend(piece);
            }
            gate.open();
            while let Some(piece) = exchange.piece().await.unwrap() {
                body.extend(piece);
            }
            let (fold, _) = fold(codec_of(caller), &[&body]);
            assert!(fold.is_done() && fold.error().is_none(), "{shown}: {}", String::from_utf8_lossy(&body));
        }
    }
}

#[tokio::test]
async fn counts_are_asked_of_the_upstream_where_it_can_and_estimated_elsewhere() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream).await;
    let limited = gateway.create_key(json!({ "rpm_limit": 1 })).await.secret;
    let messages = |model: &str, key: &str| {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "How many words are this?" }] });
        Call::post("/v1/messages/count_tokens?beta=true", body.to_string()).header("x-api-key", key)
    };
    let contents = |model: &str| {
        let body = json!({ "contents": [{ "parts": [{ "text": "How many words are this?" }] }] });
        Call::post(&format!("/v1beta/models/{model}:countTokens"), body.to_string())
            .header("x-goog-api-key", &key)
    };
    let counted = gateway.send(&messages("anthropic_messages", &key)).await.ok();
    assert!(counted.header("x-aione-estimated").is_none());
    let seen = upstream.seen().pop().unwrap();
    assert!(seen.path().ends_with("/messages/count_tokens"));
    assert_eq!(seen.json()["model"], "up-anthropic_messages");
    assert!(counted.json()["input_tokens"].as_u64().unwrap() > 0);
    let counted = gateway.send(&contents("gemini")).await.ok();
    assert!(upstream.seen().pop().unwrap().path().ends_with("/models/up-gemini:countTokens"));
    assert!(counted.json()["totalTokens"].as_u64().unwrap() > 0);

    let asked = upstream.asked();
    for model in ["openai_chat", "openai_responses", "gemini"] {
        let counted = gateway.send(&messages(model, &key)).await.ok();
        assert_eq!(counted.header("x-aione-estimated"), Some("input_tokens"));
        assert!((6..=20).contains(&counted.json()["input_tokens"].as_u64().unwrap()));
    }
    let counted = gateway.send(&contents("anthropic_messages")).await.ok();
    assert!((6..=20).contains(&counted.json()["totalTokens"].as_u64().unwrap()));
    assert_eq!(upstream.asked(), asked);
    // What is wrong with the request is told; that an upstream is out of order is not.
    upstream.next(Script::json(
        400,
        json!({ "type": "error", "error": { "type": "invalid_request_error", "message": "Odd" } })
            .to_string(),
    ));
    assert_eq!(gateway.send(&messages("anthropic_messages", &key)).await.status, 400);
    upstream.next(Script::error(503, "out of order"));
    let counted = gateway.send(&messages("anthropic_messages", &key)).await.ok();
    assert_eq!(counted.header("x-aione-estimated"), Some("input_tokens"));

    gateway.send(&messages("anthropic_messages", &limited)).await.ok();
    assert_eq!(gateway.send(&messages("anthropic_messages", &limited)).await.status, 429);
    let strangers = gateway.send(&messages("anthropic_messages", "sk-aione-x")).await;
    assert_eq!(strangers.status, 401);
    gateway.quiet().await;
    assert_eq!(gateway.records().await, [], "a count is no usage");
}

#[tokio::test]
async fn models_are_listed_in_three_shapes_page_by_page() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream).await;
    let names: Vec<_> = {
        let mut names: Vec<_> = Dialect::ALL.map(Dialect::as_str).to_vec();
        names.sort_unstable();
        names
    };
    let listed = |value: &Value, list: &str, name: &str| -> Vec<String> {
        let entries = value[list].as_array().unwrap();
        entries
            .iter()
            .map(|entry| entry[name].as_str().unwrap().trim_start_matches("models/").to_owned())
            .collect()
    };
    let get = |path: &str| Call::get(path).bearer(&key);
    let openai = gateway.send(&get("/v1/models")).await.ok().json();
    assert_eq!(listed(&openai, "data", "id"), names);

    let anthropic = async |query: &str| {
        let call = get(&format!("/v1/models{query}")).header("anthropic-version", "2026-10-21");
        gateway.send(&call).await.ok().json()
    };
    let all = anthropic("").await;
    assert_eq!(listed(&all, "data", "id"), names);
    assert_eq!((&all["has_more"], &all["data"][0]["type"]), (&json!(false), &json!("model")));
    let first = anthropic("?limit=3").await;
    assert_eq!(
        (listed(&first, "data", "id"), &first["has_more"]),
        (names[..3].iter().map(|&name| name.to_owned()).collect(), &json!(true))
    );
    let rest = anthropic(&format!("?limit=3&after_id={}", first["last_id"].as_str().unwrap())).await;
    assert_eq!((listed(&rest, "data", "id"), &rest["has_more"]), (vec![names[3].to_owned()], &json!(false)));
    let back = anthropic(&format!("?limit=2&before_id={}", rest["first_id"].as_str().unwrap())).await;
    assert_eq!(
        (listed(&back, "data", "id"), &back["has_more"]),
        (vec![names[1].to_owned(), names[2].to_owned()], &json!(true))
    );
    for query in ["?limit=0", "?limit=x", "?after_id=nope"] {
        let call = get(&format!("/v1/models{query}")).header("anthropic-version", "2026-10-21");
        let answer = gateway.send(&call).await;
        assert_eq!(answer.status, 400, "{query}");
        error_message(Dialect::AnthropicMessages, &answer.json());
    }

    let gemini =
        async |path: &str| gateway.send(&Call::get(path).header("x-goog-api-key", &key)).await.ok().json();
    let mut seen = Vec::new();
    let mut page = gemini("/v1beta/models?pageSize=3").await;
    assert!(
        page["models"][0]["supportedGenerationMethods"]
            .as_array()
            .unwrap()
            .contains(&json!("generateContent"))
    );
    seen.extend(listed(&page, "models", "name"));
    page =
        gemini(&format!("/v1/models?pageSize=3&pageToken={}", page["nextPageToken"].as_str().unwrap())).await;
    assert!(page.get("nextPageToken").is_none());
    seen.extend(listed(&page, "models", "name"));
    assert_eq!(seen, names);
    let one = gemini("/v1beta/models/gemini").await;
    assert_eq!(one["name"], "models/gemini");
    let one =
        gateway.send(&get("/v1/models/gemini").header("anthropic-version", "2023-06-01")).await.ok().json();
    assert_eq!((&one["id"], &one["type"]), (&json!("gemini"), &json!("model")));
    let none = gateway.send(&Call::get("/v1beta/models/nope").header("x-goog-api-key", &key)).await;
    assert_eq!(none.status, 404);
    error_message(Dialect::Gemini, &none.json());
}

#[tokio::test]
async fn what_another_dialect_signed_does_not_reach_a_vendor_of_the_callers() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream).await;
    let thoughtful = Truth { reasoning: 40, completion: 90, ..Truth::of(84) };
    upstream.next(Script::json(200, honest_of(Dialect::Gemini, &thoughtful).plain));
    let first =
        gateway.send(&call(Dialect::AnthropicMessages, "gemini", false).bearer(&key)).await.ok().json();
    let thought = &first["content"][0];
    assert_eq!(thought["type"], "thinking", "{first}");
    let next = |model: &str| {
        let body = json!({
            "model": model, "max_tokens": 4096, "thinking": { "type": "enabled", "budget_tokens": 1024 },
            "messages": [
                { "role": "user", "content": "Say it." },
                { "role": "assistant", "content": first["content"] },
                { "role": "user", "content": "And again." },
            ],
        });
        Call::post("/v1/messages", body.to_string()).bearer(&key)
    };
    gateway.send(&next("anthropic_messages")).await.ok();
    let asked = upstream.seen().pop().unwrap().json();
    assert!(!asked.to_string().contains("aione."), "{asked}");
    assert_eq!(asked["model"], "up-anthropic_messages");
    assert_eq!(asked["messages"].as_array().unwrap().len(), 3);
    // Whoever signed it gets it back.
    gateway.send(&next("gemini")).await.ok();
    let asked = upstream.seen().pop().unwrap().json().to_string();
    assert!(asked.contains(gemini::SIGNATURE), "{asked}");
}
