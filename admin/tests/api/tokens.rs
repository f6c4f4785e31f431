//! Management tokens, made and taken back by an operator.

use crate::support::{ACME, Api, GLOBEX, OPERATOR};
use axum::http::Method;

#[tokio::test]
async fn a_token_works_from_its_making_until_it_is_taken_back() {
    let api = Api::new();
    let body = r#"{"name":"console","role":"viewer","expires_at":null}"#;
    let made = api.post("/orgs/acme/tokens").with(OPERATOR).body(body).send().await;
    assert_eq!(made.status, 201);
    let (id, token) = (made.json()["id"].clone(), made.json()["token"].clone());
    let expected =
        format!(r#"{{"id":{id},"org_id":"{ACME}","name":"console","token":{token},"role":"viewer","#)
            + r#""expires_at":null,"created_at":"2026-11-23T16:30:00.000Z"}"#;
    assert_eq!(made.text, expected);

    let token = token.as_str().unwrap();
    assert_eq!(api.get("/gateway/keys").with(token).send().await.status, 200);
    let path = |org: &str| format!("/orgs/{org}/tokens/{}", id.as_str().unwrap());
    let foreign = api.call(Method::DELETE, &path(&GLOBEX.to_string())).with(OPERATOR).send().await;
    assert_eq!(foreign.status, 404);
    let deleted = api.call(Method::DELETE, &path("acme")).with(OPERATOR).send().await;
    assert_eq!(deleted.status, 204);
    assert_eq!(api.get("/gateway/keys").with(token).send().await.status, 401);
}

#[tokio::test]
async fn a_wrong_token_request_is_refused() {
    let api = Api::new();
    let create = async |org: &str, body: &str| {
        api.post(&format!("/orgs/{org}/tokens")).with(OPERATOR).body(body).send().await
    };
    let wrong = create("acme", r#"{"role":"root","expires_at":"2020-01-01T00:00:00Z","org_id":"x"}"#).await;
    assert_eq!(
        wrong.problems(),
        [
            "body.name missing",
            "body.role enum",
            "body.expires_at datetime_future",
            "body.org_id extra_forbidden"
        ]
    );
    assert_eq!(wrong.json()["detail"][1]["msg"], "Input should be 'owner', 'admin', 'viewer' or 'finance'");
    assert_eq!(create("nobody", r#"{"name":"a","role":"owner"}"#).await.status, 404);
}
