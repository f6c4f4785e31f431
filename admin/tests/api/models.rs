//! What an organization can call.

use crate::support::{Api, FINANCE, OPERATOR, OWNER, VIEWER};

#[tokio::test]
async fn the_models_of_the_plan_are_listed_with_their_prices() {
    let api = Api::new();
    let expected = concat!(
        r#"{"items":[{"id":"gpt-4o-mini","display_name":"gpt-4o-mini","provider":"openai","#,
        r#""context_window":128000,"max_output_tokens":null,"capabilities":["chat","tools"],"#,
        r#""price_per_1m_tokens":{"gpt-4o-mini:cache_read":"0.525","gpt-4o-mini:input":"1.05","#,
        r#""gpt-4o-mini:output":"4.2"},"status":"available","aliases":["mini"]}]}"#,
    );
    for credential in [OWNER, VIEWER, FINANCE] {
        let listed = api.get("/gateway/models").with(credential).send().await;
        assert_eq!((listed.status.as_u16(), listed.text.as_str()), (200, expected), "{credential}");
    }
    let listed = api.get("/gateway/models").with(OPERATOR).org("globex").send().await;
    assert_eq!(listed.text, expected);
}

#[tokio::test]
async fn a_model_is_available_while_one_of_its_deployments_is() {
    let api = Api::new();
    let status = async || {
        let listed = api.get("/gateway/models").with(OWNER).send().await.json();
        listed["items"][0]["status"].as_str().unwrap().to_owned()
    };
    api.node.rest("openai/gpt-4o-mini", Some(1500));
    assert_eq!(status().await, "available");
    api.node.rest("spare/gpt-4o-mini", Some(9000));
    assert_eq!(status().await, "resting");
    api.node.change("openai/gpt-4o-mini", |upstream| upstream.condition.drained = true);
    assert_eq!(status().await, "drained");
    api.node.rest("spare/gpt-4o-mini", None);
    assert_eq!(status().await, "available");
}
