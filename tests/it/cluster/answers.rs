//! An answer that a provider keeps is gone on from through any node.

use super::Pair;
use crate::support::{client::Call, dialects::call, upstream::Upstream, wait};
use aione_core::wire::Dialect;
use serde_json::json;

#[tokio::test]
async fn what_one_node_was_answered_another_goes_on_from() {
    let pair = Pair::start(Upstream::start().await, |node| {
        node.set("/providers/up/dialects", json!(["openai_responses"]))
    })
    .await;
    let key = pair.nodes[0].key().await;
    let answer =
        pair.nodes[0].send(&call(Dialect::OpenAiResponses, "m", false).bearer(&key)).await.ok().json();
    let body = json!({ "model": "m", "input": "And then?", "previous_response_id": answer["id"] });
    let going_on = Call::post("/v1/responses", body.to_string()).bearer(&key);
    // It is told to Redis after the answer.
    wait::until("the other node knows", async || {
        (pair.nodes[1].send(&going_on).await.status == 200).then_some(())
    })
    .await;
}
