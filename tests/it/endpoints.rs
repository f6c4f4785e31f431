//! What is no conversation: images, voices, judgements, rankings; and answers that OpenAI keeps.

use crate::support::{
    client::{self, Answer, BodyEnd, Call, Version},
    dialects::{call, honest_of},
    gateway::{Gateway, TestGateway},
    settings::OPERATOR,
    upstream::{Script, Truth, Upstream},
};
use aione_core::wire::Dialect;
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

/// One model that can do everything, as `up-m` there.
async fn stage(upstream: &Upstream) -> (Gateway, String) {
    let gateway = TestGateway::new()
        .upstream("up", upstream)
        .model("m", &["up"])
        .set("/models/m/route/deployments", json!([{ "provider": "up", "model": "up-m" }]))
        .set("/models/m/price/image", "0.25")
        .set("/models/m/aliases", json!(["omni-moderation-latest"]))
        .start()
        .await;
    let key = gateway.key().await;
    (gateway, key)
}

fn post(path: &str, key: &str, body: &Value) -> Call {
    Call::post(path, body.to_string()).bearer(key)
}

#[tokio::test]
async fn images_are_sold_by_the_piece_where_no_tokens_are_told() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream).await;
    let drawn = json!({ "created": 1, "data": [{ "url": "https://x/1.png" }, { "url": "https://x/2.png" }] })
        .to_string();
    upstream.next(Script::json(200, &drawn));
    let ask = post("/v1/images/generations", &key, &json!({ "model": "m", "prompt": "A fox.", "n": 2 }));
    let answer = gateway.send(&ask).await.ok();
    assert_eq!(answer.text(), drawn);
    let seen = upstream.seen().pop().unwrap();
    assert!(seen.path().ends_with("/images/generations"));
    assert_eq!(seen.json(), json!({ "model": "up-m", "prompt": "A fox.", "n": 2 }));
    let record = gateway.record(&answer.request_id()).await;
    assert_eq!(
        (record.0["images"].as_str(), record.provenance(), record.end()),
        ("2", "estimated", "complete")
    );
    assert_eq!(record.cost(), 500_000_000_000);
    // Fewer than were asked for, or more, are as many as there are.
    for made in [0, 1, 3] {
        let drawn =
            json!({ "created": 1, "data": vec![json!({ "url": "https://x/1.png" }); made] }).to_string();
        upstream.next(Script::json(200, &drawn));
        let answer = gateway.send(&ask).await.ok();
        let record = gateway.record(&answer.request_id()).await;
        assert_eq!(record.0["images"], json!(made.to_string()));
    }
    // Of a stream nothing is asked for that images do not know.
    let made = b"event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"eA==\",\"usage\":{\"input_tokens\":7,\"output_tokens\":272,\"total_tokens\":279}}\n\n";
    upstream.next(Script::stream([made]));
    let body = json!({ "model": "m", "prompt": "A fox.", "stream": true });
    let streamed = gateway.send(&post("/v1/images/generations", &key, &body)).await.ok();
    assert_eq!(streamed.body, made);
    assert_eq!(
        upstream.seen().pop().unwrap().json(),
        json!({ "model": "up-m", "prompt": "A fox.", "stream": true })
    );
    let record = gateway.record(&streamed.request_id()).await;
    assert_eq!((record.prompt(), record.completion(), record.provenance()), (7, 272, "provider"));
    // An error costs nothing.
    upstream.next(Script::error(400, "Your prompt was rejected"));
    let refused = gateway.send(&ask).await;
    assert_eq!((refused.status, gateway.record(&refused.request_id()).await.cost()), (400, 0));
}

#[tokio::test]
async fn a_voice_passes_as_it_is_and_what_is_spoken_is_counted() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream).await;
    let sound: Vec<u8> = (0..200_000_u32).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect();
    let said =
        json!({ "model": "m", "voice": "alloy", "input": "Say this, please, and nothing else. ".repeat(20) });
    let ask = post("/v1/audio/speech", &key, &said);
    upstream.next(Script::answer(200, &[("content-type", "audio/mpeg")], &sound));
    let answer = gateway.send(&ask).await.ok();
    assert_eq!((answer.header("content-type"), answer.body == sound), (Some("audio/mpeg"), true));
    let record = gateway.record(&answer.request_id()).await;
    assert_eq!((record.end(), record.provenance(), record.completion()), ("complete", "estimated", 0));
    assert!((200..300).contains(&record.prompt()), "{record:?}");
    assert!(!record.flagged());
    // What comes in an encoding that was not asked for is no text either.
    upstream.next(Script::answer(
        200,
        &[("content-type", "audio/mpeg"), ("content-encoding", "gzip")],
        &sound,
    ));
    let answer = gateway.send(&ask).await.ok();
    assert_eq!(gateway.record(&answer.request_id()).await.completion(), 0);
    upstream.next(Script::chunked(200, &[("content-type", "audio/mpeg")]).chunk(&sound[..1000]).reset());
    let cut = gateway.send(&ask).await;
    assert!(matches!(cut.end, BodyEnd::Broken(_)));
    assert_eq!(gateway.record(&cut.request_id()).await.end(), "upstream_aborted");
    upstream.next(Script::error(429, "slow down"));
    assert_eq!(gateway.send(&ask).await.status, 429);
}

#[tokio::test]
async fn a_voice_that_is_sold_by_the_character_is_counted_in_characters() {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new()
        .upstream("up", &upstream)
        .model("m", &["up"])
        .set("/models/m/price", json!({ "character": "0.000015", "input": "1", "output": "10" }))
        .start()
        .await;
    let key = gateway.key().await;
    let said = json!({ "model": "m", "voice": "alloy", "input": "Grüße, 你好! ".repeat(72), "instructions": "slowly" });
    let ask = post("/v1/audio/speech", &key, &said);
    upstream.next(Script::answer(200, &[("content-type", "audio/mpeg")], "sound"));
    let answer = gateway.send(&ask).await.ok();
    let record = gateway.record(&answer.request_id()).await;
    assert_eq!(
        (record.0["characters"].as_str(), record.prompt(), record.provenance()),
        ("792", 0, "estimated")
    );
    assert_eq!(record.cost(), 792 * 15_000_000);
    // What tells its tokens is sold by those.
    let done = b"data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":300,\"output_tokens\":900,\"total_tokens\":1200}}\n\n";
    upstream.next(Script::stream([done]));
    let told = gateway.send(&ask).await.ok();
    let record = gateway.record(&told.request_id()).await;
    assert_eq!((record.0["characters"].as_str(), record.prompt(), record.completion()), ("0", 300, 900));
    let poor = gateway.create_key(json!({ "budget_rmb": "0.01" })).await.secret;
    assert_eq!(gateway.send(&post("/v1/audio/speech", &poor, &said)).await.status, 402);
}

#[tokio::test]
async fn what_is_judged_needs_no_model_and_what_is_ranked_tells_its_tokens() {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage(&upstream).await;
    let judged = json!({ "id": "modr-1", "model": "omni", "results": [{ "flagged": false }] }).to_string();
    upstream.next(Script::json(200, &judged));
    let answer = gateway.send(&post("/v1/moderations", &key, &json!({ "input": "Is this bad?" }))).await.ok();
    assert_eq!(answer.text(), judged);
    assert_eq!(upstream.seen().pop().unwrap().json(), json!({ "model": "up-m", "input": "Is this bad?" }));
    let record = gateway.record(&answer.request_id()).await;
    assert_eq!((record.model(), record.provenance(), record.completion()), ("m", "estimated", 0));
    assert!(record.prompt() > 0);
    assert_eq!(gateway.send(&post("/v1/moderations", &key, &json!({}))).await.status, 400);

    let ranked = json!({ "results": [{ "index": 0, "relevance_score": 0.5 }], "usage": { "prompt_tokens": 41, "total_tokens": 41 } });
    upstream.next(Script::json(200, ranked.to_string()));
    let ask = post("/v1/rerank", &key, &json!({ "model": "m", "query": "q", "documents": ["a", "b"] }));
    let answer = gateway.send(&ask).await.ok();
    let record = gateway.record(&answer.request_id()).await;
    assert_eq!((record.prompt(), record.completion(), record.provenance()), (41, 0, "provider"));
}

#[tokio::test]
async fn the_simulated_provider_makes_them_all() {
    let gateway = TestGateway::new().simulated("sim").model("m", &["sim"]).start().await;
    let key = gateway.key().await;
    let ask = async |path: &str, body: Value| gateway.send(&post(path, &key, &body)).await.ok();
    let drawn =
        ask("/v1/images/generations", json!({ "model": "m", "prompt": "A fox.", "n": 3 })).await.json();
    assert_eq!(drawn["data"].as_array().unwrap().len(), 3);
    assert!(drawn["data"][0]["b64_json"].as_str().unwrap().starts_with("iVBORw0KGgo"));
    let spoken =
        ask("/v1/audio/speech", json!({ "model": "m", "input": "Hello there", "voice": "alloy" })).await;
    assert_eq!((spoken.header("content-type"), &spoken.body[..4]), (Some("audio/wav"), &b"RIFF"[..]));
    let judged = ask("/v1/moderations", json!({ "model": "m", "input": ["a", "b"] })).await.json();
    assert_eq!(judged["results"].as_array().unwrap().len(), 2);
    let rank = json!({ "model": "m", "query": "q", "documents": ["a", "b", "c"], "top_n": 2 });
    let [first, again] = [ask("/v1/rerank", rank.clone()).await.json(), ask("/v1/rerank", rank).await.json()];
    assert_eq!((first["results"].as_array().unwrap().len(), &first["results"]), (2, &again["results"]));
    for path in ["embedContent", "batchEmbedContents"] {
        let one = json!({ "content": { "parts": [{ "text": "Embed me" }] }, "outputDimensionality": 4 });
        let body = if path == "embedContent" { one } else { json!({ "requests": [one.clone(), one] }) };
        let answer = ask(&format!("/v1beta/models/m:{path}"), body).await.json();
        let values = answer.pointer("/embedding/values").or(answer.pointer("/embeddings/1/values")).unwrap();
        assert_eq!(values.as_array().unwrap().len(), 4);
    }
    for (path, body) in [
        ("/v1/images/generations", json!({ "model": "m" })),
        ("/v1/audio/speech", json!({ "model": "m", "input": "x" })),
        ("/v1/rerank", json!({ "model": "m", "query": "q" })),
    ] {
        assert_eq!(gateway.send(&post(path, &key, &body)).await.status, 400, "{path}");
    }
}

#[tokio::test]
async fn an_image_of_geminis_comes_through_chat_as_a_part_of_the_content() {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new()
        .upstream("up", &upstream)
        .set("/providers/up/kind", "gemini")
        .model("m", &["up"])
        .set("/models/m/capabilities", json!(["chat", "image_output"]))
        .set("/models/m/price/image", "0.25")
        .start()
        .await;
    let key = gateway.key().await;
    let fixture =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat/gemini/answer_image.json");
    upstream.next(Script::json(200, fs::read(fixture).unwrap()));
    let dot = "data:image/png;base64,iVBORw0KGgo=";
    let mut body = json!({
        "model": "m", "aspect_ratio": "16:9", "image_size": "2K", "max_completion_tokens": 900,
        "messages": [{ "role": "user", "content": [
            { "type": "text", "text": "Draw it again." }, { "type": "image_url", "image_url": { "url": dot } },
        ] }],
    });
    let answer = gateway.send(&Call::chat_with(&key, &body)).await.ok().json();
    let asked = upstream.seen().pop().unwrap().json();
    assert_eq!(asked["generationConfig"]["imageConfig"], json!({ "aspectRatio": "16:9", "imageSize": "2K" }));
    assert_eq!(asked["generationConfig"]["maxOutputTokens"], 900);
    assert_eq!(asked["contents"][0]["parts"][1]["inlineData"]["data"], "iVBORw0KGgo=");
    let content = answer["choices"][0]["message"]["content"].as_array().unwrap();
    let kinds: Vec<_> = content.iter().map(|part| part["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["text", "image_url"]);
    assert!(content[1]["image_url"]["url"].as_str().unwrap().starts_with("data:image/png;base64,"));
    body["stream"] = json!(true);
    let refused = gateway.send(&Call::chat_with(&key, &body)).await;
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("stream")));
}

/// Two accounts with one vendor, the second for when the first fails.
async fn accounts() -> (Gateway, [Upstream; 2]) {
    let upstreams = [Upstream::start().await, Upstream::start().await];
    let gateway = TestGateway::new()
        .upstream("one", &upstreams[0])
        .upstream("two", &upstreams[1])
        .set("/providers/one/dialects", json!(["openai_responses"]))
        .set("/providers/two/dialects", json!(["openai_responses"]))
        .model("m", &["one", "two"])
        .model("only-one", &["one"])
        .start()
        .await;
    (gateway, upstreams)
}

fn going_on(model: &str, previous: &str, stream: bool, key: &str) -> Call {
    let body =
        json!({ "model": model, "input": "And then?", "previous_response_id": previous, "stream": stream });
    post("/v1/responses", key, &body)
}

fn id_of(answer: &Answer, stream: bool) -> String {
    if !stream {
        return answer.json()["id"].as_str().unwrap().to_owned();
    }
    let text = answer.text();
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    serde_json::from_str::<Value>(data).unwrap()["response"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_answer_is_gone_on_from_where_it_was_given_and_by_whom() {
    let (gateway, [one, two]) = accounts().await;
    let key = gateway.key().await;
    for stream in [false, true] {
        one.next(Script::error(503, "out of order"));
        let answer = gateway.send(&call(Dialect::OpenAiResponses, "m", stream).bearer(&key)).await.ok();
        let id = id_of(&answer, stream);
        let (before_one, before_two) = (one.asked(), two.asked());
        gateway.send(&going_on("m", &id, stream, &key)).await.ok();
        assert_eq!((one.asked(), two.asked()), (before_one, before_two + 1), "it is with the second");
        assert_eq!(two.seen().pop().unwrap().json()["previous_response_id"], *id);
        let elsewhere = gateway.send(&going_on("only-one", &id, stream, &key)).await;
        assert_eq!(
            (elsewhere.status, &elsewhere.json()["error"]["param"]),
            (400, &json!("previous_response_id"))
        );
        // What was not kept cannot be gone on from, nor what nobody gave.
        let forgotten = post(
            "/v1/responses",
            &key,
            &json!({ "model": "m", "input": "Say it.", "store": false, "stream": stream }),
        );
        // Under an id that neither has given before.
        let said = honest_of(Dialect::OpenAiResponses, &Truth::of(900 + u64::from(stream)));
        let script = if stream { Script::stream(said.stream.all()) } else { Script::json(200, said.plain) };
        one.next(script);
        let id = id_of(&gateway.send(&forgotten).await.ok(), stream);
        for id in [&*id, "resp_made_up"] {
            let answer = gateway.send(&going_on("m", id, stream, &key)).await;
            let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
            assert_eq!(
                (answer.status, message),
                (400, format!("Previous response with id '{id}' not found."))
            );
        }
    }
    let items = json!({ "model": "m", "input": [{ "type": "item_reference", "id": "msg_1" }] });
    assert_eq!(gateway.send(&post("/v1/responses", &key, &items)).await.status, 400);
}

#[tokio::test]
async fn another_organizations_answer_cannot_be_gone_on_from() {
    let (gateway, [one, _]) = accounts().await;
    let key = gateway.key().await;
    let id = id_of(&gateway.send(&call(Dialect::OpenAiResponses, "m", false).bearer(&key)).await.ok(), false);
    let as_others = async |path: &str, body: Value| {
        let call = Call::post(path, body.to_string()).bearer(OPERATOR).header("x-aione-org", "others");
        client::send(Version::H1, gateway.settings.admin, &call).await
    };
    as_others("/api/v1/orgs", json!({ "name": "Others", "slug": "others", "time_zone": "UTC" })).await;
    let made = as_others("/api/v1/gateway/keys", json!({ "name": "strangers" })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let strangers = made.json()["key"].as_str().unwrap_or_else(|| panic!("{}", made.text())).to_owned();
    let before = one.asked();
    assert_eq!(gateway.send(&going_on("m", &id, false, &strangers)).await.status, 400);
    assert_eq!(one.asked(), before);
    gateway.send(&going_on("m", &id, false, &key)).await.ok();
}

#[tokio::test]
async fn a_thought_that_is_another_accounts_is_asked_of_that_one() {
    let (gateway, [one, two]) = accounts().await;
    let key = gateway.key().await;
    let error = json!({ "error": { "message": "The encrypted content could not be verified.", "type": "invalid_request_error", "param": null, "code": "invalid_encrypted_content" } }).to_string();
    one.next(Script::json(400, &error));
    let answer = gateway.send(&call(Dialect::OpenAiResponses, "m", false).bearer(&key)).await.ok();
    assert_eq!((one.asked(), two.asked()), (1, 1));
    assert_eq!(gateway.record(&answer.request_id()).await.attempts(), 2);
    // Where nobody has thought it, the vendor's words pass.
    one.next(Script::json(400, &error));
    two.next(Script::json(400, &error));
    let refused = gateway.send(&call(Dialect::OpenAiResponses, "m", false).bearer(&key)).await;
    assert_eq!((refused.status, refused.text()), (400, error));
    let plain = honest_of(Dialect::OpenAiResponses, &Truth::of(3)).error;
    one.next(Script::json(400, &plain));
    assert_eq!(gateway.send(&call(Dialect::OpenAiResponses, "m", false).bearer(&key)).await.body, plain);
}
