//! What every write has in common: repetitions, and a row in the trail.

use crate::support::{ACME, ADMIN, Answer, Api, NOW, OPERATOR, OTHER_OWNER, OWNER, VIEWER};
use aione_core::{
    domain::{audit::Actor, clock::Timestamp},
    ports::Reloaded,
};
use axum::http::Method;
use serde_json::{Value, json};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

async fn create(api: &Api, credential: &str, key: &str, body: &str) -> Answer {
    api.post("/gateway/keys").with(credential).header("idempotency-key", key).body(body).send().await
}

fn names(api: &Api) -> Vec<String> {
    api.world.state().keys.iter().map(|stored| stored.key.name.clone()).collect()
}

#[tokio::test]
async fn the_same_request_again_gets_the_same_answer_and_makes_nothing() {
    let api = Api::new();
    let first = create(&api, OWNER, "k1", r#"{"name":"ci"}"#).await;
    assert_eq!(first.status, 201, "{}", first.text);
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let again = create(&api, OWNER, "k1", r#"{"name":"ci"}"#).await;
    assert_eq!((again.status, &again.text), (first.status, &first.text), "with the secret in it");
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.headers["content-type"], first.headers["content-type"]);
    assert_eq!(names(&api), ["ci"]);

    let other = create(&api, OWNER, "k1", r#"{"name":"other"}"#).await;
    assert_eq!(other.refusal(), (409, "idempotency_key_reused".to_owned()));
    assert_eq!(names(&api), ["ci"]);
}

#[tokio::test]
async fn a_key_is_the_callers_own_and_the_routes_own() {
    let api = Api::new();
    let body = r#"{"name":"ci"}"#;
    let first = create(&api, OWNER, "k1", body).await.json()["id"].clone();
    for credential in [ADMIN, OTHER_OWNER] {
        let made = create(&api, credential, "k1", body).await;
        assert_eq!(made.status, 201);
        assert_ne!(made.json()["id"], first, "{credential}");
    }
    assert_eq!(
        create(&api, VIEWER, "k1", body).await.status,
        403,
        "who may not write gets no answer of others"
    );
    let path = format!("/gateway/keys/{}/disable", first.as_str().unwrap());
    let disabled = api.put(&path).with(OWNER).header("idempotency-key", "k1").send().await;
    assert_eq!((disabled.status.as_u16(), &disabled.json()["status"]), (200, &json!("disabled")));
}

#[tokio::test]
async fn what_was_refused_is_not_remembered_and_what_is_a_day_old_is_forgotten() {
    let api = Api::new();
    assert_eq!(create(&api, OWNER, "k1", r#"{"name":5}"#).await.status, 422);
    assert_eq!(create(&api, OWNER, "k1", r#"{"name":"ci"}"#).await.status, 201);
    api.world.state().now = Timestamp(NOW.0 + DAY_MS - 1);
    assert!(create(&api, OWNER, "k1", r#"{"name":"ci"}"#).await.headers.contains_key("idempotent-replayed"));
    api.world.state().now = Timestamp(NOW.0 + DAY_MS);
    let made = create(&api, OWNER, "k1", r#"{"name":"ci"}"#).await;
    assert!(!made.headers.contains_key("idempotent-replayed"));
    assert_eq!(names(&api), ["ci", "ci"]);
}

#[tokio::test]
async fn a_delete_and_a_rotation_can_be_repeated() {
    let api = Api::new();
    let (id, _) = api.key(r#"{"name":"ci"}"#).await;
    let path = format!("/gateway/keys/{id}");
    let rotate = async || {
        api.put(&format!("{path}/rotate")).with(OWNER).header("idempotency-key", "r").send().await.text
    };
    assert_eq!(rotate().await, rotate().await, "one new secret, told twice");
    let delete =
        async || api.call(Method::DELETE, &path).with(OWNER).header("idempotency-key", "d").send().await;
    assert_eq!(delete().await.status, 204);
    assert_eq!(delete().await.status, 204);
    assert_eq!(api.call(Method::DELETE, &path).with(OWNER).send().await.status, 404);
}

#[tokio::test]
async fn a_delete_that_overlaps_itself_gets_the_answer_of_the_first() {
    let api = Api::new();
    let (key, _) = api.key(r#"{"name":"ci"}"#).await;
    let make = async |what: &str, body: &str| {
        let made = api.post(&format!("/orgs/acme/{what}")).with(OPERATOR).body(body).send().await.json();
        format!("/orgs/acme/{what}/{}", made["id"].as_str().unwrap())
    };
    let team = make("teams", r#"{"name":"t"}"#).await;
    let token = make("tokens", r#"{"name":"t","role":"viewer"}"#).await;
    for path in [format!("/gateway/keys/{key}"), team, token] {
        let delete = async |idempotency_key: &str| {
            let call = api.call(Method::DELETE, &path).with(OPERATOR).org("acme");
            call.header("idempotency-key", idempotency_key).send().await
        };
        assert_eq!(delete("d").await.status, 204, "{path}");
        api.world.state().looks_too_early = true;
        let second = delete("d").await;
        assert_eq!(second.status, 204, "{path}: {}", second.text);
        assert_eq!(second.headers["idempotent-replayed"], "true");
        assert_eq!(delete("another").await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_drain_and_a_reload_can_be_repeated() {
    let api = Api::new();
    let call = async |method: Method, path: &str, body: &str| {
        api.call(method, path).with(OPERATOR).header("idempotency-key", "d").body(body).send().await
    };
    let reload = async |body: &str| call(Method::POST, "/config/reload", body).await;
    let drain = async || call(Method::PUT, "/upstreams/spare%2Fgpt-4o-mini/drain", "").await;
    api.world.state().reload = Ok(Reloaded { version: 1, ..Reloaded::default() });
    let first = (drain().await, reload("").await);
    assert_eq!((first.0.status.as_u16(), first.1.status.as_u16()), (200, 200));
    // What would be said now is another thing.
    api.node.change("spare/gpt-4o-mini", |upstream| upstream.in_flight = 7);
    api.world.state().reload = Ok(Reloaded { version: 2, ..Reloaded::default() });
    let again = (drain().await, reload("").await);
    assert_eq!((again.0.text, again.1.text), (first.0.text, first.1.text));
    assert_eq!(again.0.headers["idempotent-replayed"], "true");
    assert_eq!(api.world.state().audit.len(), 2);
    assert_eq!(reload("{}").await.refusal(), (409, "idempotency_key_reused".to_owned()));

    api.world.state().reload = Err(vec!["a problem".to_owned()]);
    let refused = async || {
        api.post("/config/reload").with(OPERATOR).header("idempotency-key", "r").send().await.refusal().1
    };
    assert_eq!(refused().await, "config_refused");
    api.world.state().reload = Ok(Reloaded::default());
    assert_eq!(refused().await, "", "what was refused is not remembered");
}

#[tokio::test]
async fn a_reload_that_overlaps_itself_is_answered_once_and_told_twice() {
    let api = Api::new();
    let reload =
        async || api.post("/config/reload").with(OPERATOR).header("idempotency-key", "r").send().await;
    api.world.state().reload = Ok(Reloaded { version: 1, ..Reloaded::default() });
    let first = reload().await;
    api.world.state().looks_too_early = true;
    api.world.state().reload = Ok(Reloaded { version: 2, ..Reloaded::default() });
    assert_eq!(reload().await.text, first.text);
    assert_eq!(api.world.state().audit.len(), 2);
}

#[tokio::test]
async fn a_malformed_key_is_refused() {
    let api = Api::new();
    let long = "x".repeat(256);
    for key in ["", " ", &long] {
        let answer = create(&api, OWNER, key, r#"{"name":"ci"}"#).await;
        assert_eq!(answer.problems(), ["header.idempotency-key value_error"], "{key:?}");
    }
    let twice =
        api.post("/gateway/keys").with(OWNER).header("idempotency-key", "a").header("idempotency-key", "b");
    assert_eq!(twice.body(r#"{"name":"ci"}"#).send().await.status, 422);
    assert!(names(&api).is_empty());
}

#[tokio::test]
async fn what_is_kept_opens_only_with_the_key() {
    let api = Api::new();
    let made = create(&api, OWNER, "k1", r#"{"name":"ci"}"#).await.json();
    let secret = made["key"].as_str().unwrap().as_bytes().to_vec();
    let kept = api.world.state().answers[0].clone();
    assert!(!kept.sealed.windows(secret.len()).any(|part| part == secret));
    // Another key's answer in this one's place: it is not taken for it.
    api.world.state().answers[0].sealed.reverse();
    assert_eq!(create(&api, OWNER, "k1", r#"{"name":"ci"}"#).await.status, 500);
}

#[tokio::test]
async fn every_write_leaves_a_row_that_holds_no_secret() {
    let api = Api::new();
    let made =
        api.post("/gateway/keys").with(OWNER).from("192.0.2.7").body(r#"{"name":"ci"}"#).send().await.json();
    let id = made["id"].as_str().unwrap();
    let path = format!("/gateway/keys/{id}");
    api.put(&path).with(OWNER).body(r#"{"name":"new"}"#).send().await;
    let rotated = api.put(&format!("{path}/rotate")).with(OPERATOR).org("acme").send().await.json();
    api.put(&format!("{path}/disable")).with(OWNER).send().await;
    api.put(&format!("{path}/enable")).with(OWNER).send().await;
    api.call(Method::DELETE, &path).with(OWNER).send().await;
    let token = api
        .post("/orgs/acme/tokens")
        .with(OPERATOR)
        .body(r#"{"name":"t","role":"viewer"}"#)
        .send()
        .await
        .json();
    let token_path = format!("/orgs/acme/tokens/{}", token["id"].as_str().unwrap());
    api.call(Method::DELETE, &token_path).with(OPERATOR).send().await;
    api.post("/config/reload").with(OPERATOR).send().await;

    let list = api.get("/audit").with(OPERATOR).send().await;
    assert_eq!(list.status, 200, "{}", list.text);
    for secret in [&made["key"], &rotated["key"], &token["token"]] {
        assert!(!list.text.contains(secret.as_str().unwrap()), "{secret}");
    }
    let items = list.json()["items"].as_array().unwrap().clone();
    let actions: Vec<_> = items.iter().rev().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "key.create",
            "key.update",
            "key.rotate",
            "key.disable",
            "key.enable",
            "key.delete",
            "token.create",
            "token.delete",
            "config.reload",
        ]
    );
    let created = &items[8];
    assert_eq!(created["address"], "192.0.2.7");
    assert_eq!(created["org_id"], ACME.to_string());
    assert_eq!((&created["object"], &created["object_id"]), (&json!("key"), &json!(id)));
    assert_eq!((&created["before"], &created["after"]["name"]), (&Value::Null, &json!("ci")));
    let updated = &items[7];
    assert_eq!((&updated["before"]["name"], &updated["after"]["name"]), (&json!("ci"), &json!("new")));
    assert_eq!(items[6]["actor"]["kind"], "operator");
    assert_eq!(items[6]["actor"]["id"], "668dd7c2");
    assert_eq!(items[3]["after"], Value::Null);
}

#[tokio::test]
async fn the_trail_is_the_operators_and_comes_in_pages() {
    let api = Api::new();
    for number in 0..3 {
        api.key(&format!(r#"{{"name":"{number}"}}"#)).await;
    }
    assert_eq!(api.get("/audit").with(OWNER).send().await.status, 403);
    let first = api.get("/audit?page_size=2").with(OPERATOR).send().await.json();
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    let cursor = first["next_cursor"].as_str().unwrap();
    let last = api.get(&format!("/audit?page_size=2&cursor={cursor}")).with(OPERATOR).send().await.json();
    assert_eq!((last["items"].as_array().unwrap().len(), &last["next_cursor"]), (1, &Value::Null));
    assert_eq!(api.get("/audit?org=nobody").with(OPERATOR).send().await.status, 404);

    let ours = api.get("/audit?org=acme&page_size=1").with(OPERATOR).send().await.json();
    let ours = ours["next_cursor"].as_str().unwrap();
    let id = first["items"][0]["id"].as_str().unwrap();
    for query in [format!("cursor={ours}"), format!("org=globex&cursor={ours}"), format!("cursor={id}")] {
        let refused = api.get(&format!("/audit?{query}")).with(OPERATOR).send().await;
        assert_eq!(refused.problems(), ["query.cursor value_error"], "{query}");
    }
    let same = api.get(&format!("/audit?org=acme&cursor={ours}")).with(OPERATOR).send().await;
    assert_eq!(same.json()["items"].as_array().unwrap().len(), 2);
    let wrong = api.get("/audit?page_size=0&cursor=x&from=yesterday").with(OPERATOR).send().await;
    assert_eq!(wrong.problems().len(), 3);
}

#[tokio::test]
async fn an_actor_is_told_by_its_token() {
    let api = Api::new();
    api.key(r#"{"name":"ci"}"#).await;
    let state = api.world.state();
    assert!(matches!(&state.audit[0].actor, Actor::Token { name, .. } if name == "a token"));
}

#[tokio::test]
async fn a_write_that_takes_no_body_takes_none() {
    let api = Api::new();
    let (id, _) = api.key(r#"{"name":"ci"}"#).await;
    let path = format!("/gateway/keys/{id}");
    let disable = api.put(&format!("{path}/disable")).with(OWNER).body(r#"{"disabled":false}"#).send().await;
    assert_eq!(disable.problems(), ["body.disabled extra_forbidden"]);
    let delete = api.call(Method::DELETE, &path).with(OWNER).body("not json").send().await;
    assert_eq!(delete.status, 422);
    assert_eq!(names(&api), ["ci"]);
    assert_eq!(api.put(&format!("{path}/disable")).with(OWNER).body("{}").send().await.status, 200);
}

#[tokio::test]
async fn the_trail_keeps_what_differs() {
    let api = Api::new();
    let (id, _) = api.key(r#"{"name":"ci","metadata":{"a":1}}"#).await;
    let path = format!("/gateway/keys/{id}");
    api.put(&path).with(OWNER).body(r#"{"name":"new"}"#).send().await;
    api.put(&path).with(OWNER).body("{}").send().await;
    let state = api.world.state();
    let (changed, same) = (&state.audit[1], &state.audit[2]);
    assert_eq!(
        (&changed.before, &changed.after),
        (&Some(json!({"name":"ci"})), &Some(json!({"name":"new"})))
    );
    assert_eq!((&same.before, &same.after), (&Some(json!({})), &Some(json!({}))));
}
