//! The deployments, as an operator sees and drains them.

use crate::support::{Api, OPERATOR, OWNER};

const FIRST: &str = "/upstreams/openai%2Fgpt-4o-mini";

#[tokio::test]
async fn each_deployment_is_listed_with_how_it_does() {
    let api = Api::new();
    api.node.change("openai/gpt-4o-mini", |upstream| {
        upstream.condition.rests_for_ms = Some(1500);
        upstream.in_flight = 2;
        upstream.first_byte_ms = Some(340);
    });
    let listed = api.get("/upstreams").with(OPERATOR).send().await;
    assert_eq!(listed.status, 200);
    let first = concat!(
        r#"{"items":[{"id":"openai/gpt-4o-mini","provider":"openai","model":"gpt-4o-mini","#,
        r#""serves":["gpt-4o-mini"],"health":"resting","rests_for_ms":1500,"drained":false,"#,
        r#""in_flight":2,"first_byte_ms":340},{"#,
    );
    assert!(listed.text.starts_with(first), "{}", listed.text);
    let listed = listed.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 4);
    assert_eq!(listed["items"][1]["health"], "serving");
    assert!(listed["items"][1]["first_byte_ms"].is_null());
}

#[tokio::test]
async fn a_deployment_is_drained_until_it_is_let_in_again() {
    let api = Api::new();
    for (verb, drained) in [("drain", true), ("drain", true), ("undrain", false), ("undrain", false)] {
        let answer = api.put(&format!("{FIRST}/{verb}")).with(OPERATOR).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json()["id"], "openai/gpt-4o-mini");
        assert_eq!(answer.json()["drained"], drained);
        let listed = api.get("/upstreams").with(OPERATOR).send().await.json();
        assert_eq!(listed["items"][0]["drained"], drained);
        assert_eq!(listed["items"][1]["drained"], false);
    }
    let unknown = api.put("/upstreams/nobody%2Fx/drain").with(OPERATOR).send().await;
    assert_eq!(unknown.text, r#"{"detail":"Deployment not found","code":"not_found"}"#);
    assert_eq!(unknown.status, 404);
    for path in ["/upstreams/%ff/drain", "/upstreams/openai/gpt-4o-mini/drain", "/upstreams"] {
        let answer = api.put(path).with(OPERATOR).send().await;
        assert!([404, 405].contains(&answer.status.as_u16()), "{path}: {}", answer.text);
    }
    assert_eq!(api.put(&format!("{FIRST}/drain")).with(OWNER).send().await.status, 403);
    let listed = api.get("/upstreams").with(OPERATOR).send().await;
    assert!(!listed.text.contains(r#""drained":true"#), "nobody else took it out");
}
