//! What is refused for the model's sake: 403, 404, and a window that is too small.

use super::Stage;
use crate::support::client::Call;
use serde_json::json;

#[tokio::test]
async fn an_unknown_model_and_one_outside_the_plan_get_the_same_answer() {
    let stage = Stage::with(|gateway| {
        gateway.model("outside", &["up"]).plan("standard", json!({ "name": "Standard", "models": ["m"] }))
    })
    .await;
    let mut bodies = Vec::new();
    for model in ["outside", "unknown"] {
        let answer = stage.expect(model, &Call::chat(&stage.key, model), 404, "model_not_found").await;
        assert_eq!(answer.message(), format!("Model '{model}' not found"));
        bodies.push(answer.text().replace(model, "x"));
    }
    assert_eq!(bodies[0], bodies[1]);
    let listed = stage.gateway.send(&Call::get("/v1/models").bearer(&stage.key)).await.ok();
    assert!(!listed.text().contains("outside"), "{}", listed.text());
    stage.expect_untouched().await;
}

#[tokio::test]
async fn the_allow_list_goes_by_the_resolved_model_and_exact_bytes() {
    let stage = Stage::with(|gateway| {
        gateway
            .model("other", &["up"])
            .set("/models/m/aliases", json!(["m-latest"]))
            .set("/models/other/aliases", json!(["m-other"]))
    })
    .await;
    let key = stage.gateway.create_key(json!({ "models_allowed": ["m"] })).await.secret;
    for model in ["m", "m-latest"] {
        stage.gateway.send(&Call::chat(&key, model)).await.ok();
    }
    for model in ["other", "m-other"] {
        stage.expect(model, &Call::chat(&key, model), 403, "model_not_allowed").await;
    }
    for model in [
        "M",
        "m ",
        " m",
        "m.",
        "m\0",
        "m/",
        "m%2f",
        "../m",
        "bedrock/m",
        "m:free",
        "*",
        "ｍ",
        "m\u{200b}",
        "м",
        "",
    ] {
        let answer = stage.gateway.send(&Call::chat(&key, model)).await;
        assert!([400, 403, 404].contains(&answer.status), "{model:?}: {}", answer.text());
    }
    assert_eq!(stage.upstream.asked(), 2);
}

#[tokio::test]
async fn the_model_is_named_in_one_place() {
    let stage = Stage::with(|gateway| gateway.model("other", &["up"])).await;
    let mut call = Call::chat(&stage.key, "m").header("x-model", "other").header("openai-model", "other");
    call.path = format!("{}?model=other", call.path);
    let answer = stage.gateway.send(&call).await;
    if answer.status == 200 {
        assert_eq!(stage.upstream.the_one().json()["model"], "m");
        assert!(!stage.upstream.the_one().path().contains("other"));
    } else {
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_prompt_over_the_window_is_refused_with_the_maximum() {
    let stage = Stage::with(|gateway| gateway.set("/models/m/context_window", 1_000)).await;
    let ask = |content: &str, ceiling: u64| {
        let messages = json!([{ "role": "user", "content": content }]);
        Call::chat_with(&stage.key, &json!({ "model": "m", "max_tokens": ceiling, "messages": messages }))
    };
    let long = "word ".repeat(2_000);
    for (what, call) in [("a long prompt", ask(&long, 1)), ("a high ceiling", ask("short", 2_000))] {
        let answer = stage.expect(what, &call, 400, "context_length_exceeded").await;
        let message = answer.message();
        assert!(message.contains("1000") || message.contains("1,000"), "{message}");
    }
    stage.expect_untouched().await;
    stage.gateway.send(&ask("short", 100)).await.ok();
}

#[tokio::test]
async fn a_sandbox_key_goes_only_to_the_sandbox() {
    let stage = Stage::with(|gateway| gateway.model("toy", &["up"]).set("/models/toy/sandbox", true)).await;
    let key = stage.gateway.create_key(json!({ "is_sandbox": true })).await.secret;
    let answer = stage.gateway.send(&Call::chat(&key, "toy")).await.ok();
    let record = stage.gateway.record(&answer.request_id()).await;
    assert_eq!(
        stage.gateway.usage("model").await.iter().map(|row| row.cost()).sum::<i128>(),
        0,
        "{record:?}"
    );
    let refused = stage.gateway.send(&Call::chat(&key, "m")).await;
    assert!([403, 404].contains(&refused.status), "{}", refused.text());
}

#[tokio::test]
async fn a_model_whose_price_begins_later_is_refused_until_then() {
    let later = serde_json::json!([{ "from": "2999-01-01T00:00:00Z", "input": "1", "output": "1" }]);
    let stage = Stage::with(|gateway| {
        gateway.model("unpriced", &["up"]).set("/models/unpriced/price", later.clone())
    });
    let stage = stage.await;
    let answer = stage.gateway.send(&Call::chat(&stage.key, "unpriced")).await;
    assert!(answer.status >= 400, "{}", answer.text());
    assert_eq!(stage.upstream.asked(), 0);
}
