//! The eight calls on keys, and what they do.

use crate::support::{ACME, ACME_TEAM, Api, NOW, OTHER_OWNER, OWNER, VIEWER};
use aione_core::{domain::id::KeyId, ports::StoreError};
use axum::http::Method;
use serde_json::json;

fn id(text: &str) -> KeyId {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_new_key_is_what_was_asked_for() {
    let api = Api::new();
    let body = r#"{"name":"ci","models_allowed":["mini"],"rpm_limit":60,"tpm_limit":null,
        "allowed_ips":["10.0.0.1","192.168.0.0/16"],"expires_at":"2027-01-01T00:00:00+08:00",
        "max_concurrency":4,"budget_rmb":"12.5","budget_period":"day","metadata":{"team":"b","area":"a"}}"#;
    let made = api.post("/gateway/keys").with(OWNER).body(body).send().await;
    assert_eq!(made.status, 201);
    let json = made.json();
    let expected = json!({
        "id": json["id"], "org_id": ACME.to_string(), "team_id": ACME_TEAM.to_string(), "name": "ci",
        "key": "sk-aione-secret0002", "key_prefix": "sk-aione-…0002", "models_allowed": ["gpt-4o-mini"],
        "rpm_limit": 60, "tpm_limit": null, "is_sandbox": false,
        "allowed_ips": ["10.0.0.1", "192.168.0.0/16"], "expires_at": "2026-12-31T16:00:00.000Z",
        "rotate_grace_until": null, "status": "active", "created_at": "2026-11-23T16:30:00.000Z",
        "last_used_at": null, "max_concurrency": 4, "rpd_limit": null,
        "budget_rmb": "12.50", "budget_period": "day",
        "metadata": { "area": "a", "team": "b" },
    });
    assert_eq!(json, expected);

    let id = json["id"].as_str().unwrap();
    let shown = api.get(&format!("/gateway/keys/{id}")).with(VIEWER).send().await;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.text, made.text.replace(r#""sk-aione-secret0002""#, "null"));
    let listed = api.get("/gateway/keys").with(VIEWER).send().await;
    assert_eq!(listed.text, format!(r#"{{"items":[{}]}}"#, shown.text));
}

#[tokio::test]
async fn a_secret_is_shown_once() {
    let api = Api::new();
    let (id, secret) = api.key(r#"{"name":"ci"}"#).await;
    let path = format!("/gateway/keys/{id}");
    let update = api.put(&path).with(OWNER).body("{}").send().await;
    let disable = api.put(&format!("{path}/disable")).with(OWNER).send().await;
    let enable = api.put(&format!("{path}/enable")).with(OWNER).send().await;
    let rotate = api.put(&format!("{path}/rotate")).with(OWNER).send().await;
    let get = api.get(&path).with(OWNER).send().await;
    let list = api.get("/gateway/keys").with(OWNER).send().await;
    for answer in [&update, &disable, &enable, &rotate, &get, &list] {
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(!answer.text.contains(&secret), "{}", answer.text);
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
    let rotated = rotate.json()["key"].as_str().unwrap().to_owned();
    for answer in [&get, &list] {
        assert!(!answer.text.contains(&rotated), "{}", answer.text);
    }
}

#[tokio::test]
async fn an_update_changes_what_is_named_and_null_goes_back_to_the_default() {
    let api = Api::new();
    let body = r#"{"name":"ci","rpm_limit":60,"tpm_limit":100,"rpd_limit":7,"models_allowed":["gpt-4o-mini"],
        "allowed_ips":["::1"],"metadata":{"a":1}}"#;
    let (id, _) = api.key(body).await;
    let path = format!("/gateway/keys/{id}");
    let changed = api.put(&path).with(OWNER).body(r#"{"name":"new","rpm_limit":null}"#).send().await.json();
    assert_eq!(changed["name"], "new");
    assert!(changed["rpm_limit"].is_null());
    assert_eq!(changed["tpm_limit"], 100);
    assert_eq!(changed["rpd_limit"], 7);
    assert_eq!(changed["allowed_ips"][0], "::1");

    let body =
        r#"{"models_allowed":null,"allowed_ips":null,"metadata":null,"tpm_limit":9223372036854775807}"#;
    let changed = api.put(&path).with(OWNER).body(body).send().await.json();
    assert_eq!(changed["models_allowed"], json!([]));
    assert_eq!(changed["allowed_ips"], json!([]));
    assert_eq!(changed["metadata"], json!({}));
    assert_eq!(changed["tpm_limit"], i64::MAX);
}

#[tokio::test]
async fn a_rotation_keeps_the_id_and_leaves_the_former_secret_its_grace() {
    let api = Api::new();
    let (id, former) = api.key(r#"{"name":"ci"}"#).await;
    let rotate = format!("/gateway/keys/{id}/rotate");
    let rotated = api.put(&rotate).with(OWNER).send().await;
    let rotated = rotated.json();
    assert_eq!(
        (&rotated["id"], &rotated["rotate_grace_until"]),
        (&json!(id), &json!("2026-11-24T16:30:00.000Z"))
    );
    let key = &rotated["key"];
    assert_eq!(api.get("/gateway/key").with(&former).send().await.status, 200);
    let key = key.as_str().unwrap().to_owned();
    assert_eq!(api.get("/gateway/key").with(&key).send().await.status, 200);

    let at_once = api.put(&rotate).with(OWNER).body(r#"{"grace_seconds":0}"#).send().await;
    assert_eq!(at_once.json()["rotate_grace_until"], NOW.rfc3339());
    assert_eq!(api.get("/gateway/key").with(&key).send().await.status, 401);

    let refused = api.put(&rotate).with(OWNER).body(r#"{"grace_seconds":-1,"x":1}"#).send().await;
    assert_eq!(refused.problems(), ["body.grace_seconds greater_than_equal", "body.x extra_forbidden"]);
}

#[tokio::test]
async fn a_disabled_key_says_so_and_can_be_enabled() {
    let api = Api::new();
    let (id, secret) = api.key(r#"{"name":"ci"}"#).await;
    let path = format!("/gateway/keys/{id}");
    let disabled = api.put(&format!("{path}/disable")).with(OWNER).send().await;
    assert_eq!(disabled.json()["status"], "disabled");
    assert_eq!(api.get("/gateway/key").with(&secret).send().await.status, 401);
    let enabled = api.put(&format!("{path}/enable")).with(OWNER).send().await;
    assert_eq!(enabled.json()["status"], "active");
    assert_eq!(api.get("/gateway/key").with(&secret).send().await.status, 200);
}

#[tokio::test]
async fn a_deleted_key_is_gone() {
    let api = Api::new();
    let (id, secret) = api.key(r#"{"name":"ci"}"#).await;
    let path = format!("/gateway/keys/{id}");
    let deleted = api.call(Method::DELETE, &path).with(OWNER).send().await;
    assert_eq!((deleted.status.as_u16(), deleted.text.as_str()), (204, ""));
    assert_eq!(api.get(&path).with(OWNER).send().await.status, 404);
    assert_eq!(api.call(Method::DELETE, &path).with(OWNER).send().await.status, 404);
    assert_eq!(api.get("/gateway/key").with(&secret).send().await.status, 401);
}

#[tokio::test]
async fn every_write_is_announced() {
    let api = Api::new();
    let (key, _) = api.key(r#"{"name":"ci"}"#).await;
    let path = format!("/gateway/keys/{key}");
    for write in ["disable", "enable", "rotate"] {
        api.put(&format!("{path}/{write}")).with(OWNER).send().await;
    }
    api.put(&path).with(OWNER).body("{}").send().await;
    api.call(Method::DELETE, &path).with(OWNER).send().await;
    assert_eq!(api.world.state().announced, vec![id(&key); 6]);
}

#[tokio::test]
async fn a_write_whose_outcome_is_unknown_is_announced_too() {
    let api = Api::new();
    let (key, _) = api.key(r#"{"name":"ci"}"#).await;
    api.world.state().announced.clear();
    api.world.state().loses_answers = true;
    let answer = api.put(&format!("/gateway/keys/{key}/disable")).with(OWNER).send().await;
    assert_eq!(answer.refusal(), (503, "store_unavailable".to_owned()));
    assert_eq!(api.world.state().announced, [id(&key)]);
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_keep_a_write_from_being_announced() {
    let api = Api::new();
    let (key, _) = api.key(r#"{"name":"ci"}"#).await;
    api.world.announcement.notified().await;
    let closed = api.world.gate.write().await;
    tokio::select! {
        biased;
        _ = api.put(&format!("/gateway/keys/{key}/disable")).with(OWNER).send() => {
            panic!("answered before the store had")
        }
        () = std::future::ready(()) => {}
    }
    drop(closed);
    api.world.announcement.notified().await;
    assert_eq!(api.world.state().announced, [id(&key), id(&key)]);
    assert!(api.world.state().keys[0].key.disabled);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_a_503_that_keeps_its_words_to_itself() {
    let api = Api::new();
    api.world.state().fault = Some(StoreError::Unavailable("/var/lib/secret.db is locked".to_owned()));
    let answer = api.get("/gateway/keys").with(OWNER).send().await;
    assert_eq!(answer.refusal(), (503, "store_unavailable".to_owned()));
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(!answer.text.contains("secret.db"));

    api.world.state().fault = Some(StoreError::Conflict("a row".to_owned()));
    assert_eq!(api.get("/gateway/keys").with(OWNER).send().await.refusal(), (409, "conflict".to_owned()));
}

#[tokio::test]
async fn another_organizations_key_is_as_absent_as_one_that_never_was() {
    let api = Api::new();
    let (theirs, _) = api.key(r#"{"name":"ci"}"#).await;
    let never = uuid::Uuid::from_u128(9).to_string();
    for (method, call) in [
        (Method::GET, ""),
        (Method::PUT, ""),
        (Method::DELETE, ""),
        (Method::PUT, "/rotate"),
        (Method::PUT, "/disable"),
        (Method::PUT, "/enable"),
    ] {
        let body = if call.is_empty() && method == Method::PUT { r#"{"name":"mine"}"# } else { "" };
        let mut answers = Vec::new();
        for key in [&theirs, &never] {
            let path = format!("/gateway/keys/{key}{call}");
            answers.push(api.call(method.clone(), &path).with(OTHER_OWNER).body(body).send().await);
        }
        assert_eq!(answers[0].status, 404, "{method} {call}");
        assert_eq!(answers[0].text, r#"{"detail":"Key not found","code":"not_found"}"#);
        assert_eq!(answers[0].text, answers[1].text);
    }
    let list = api.get("/gateway/keys").with(OTHER_OWNER).send().await;
    assert_eq!(list.text, r#"{"items":[]}"#);
    assert_eq!(api.get(&format!("/gateway/keys/{theirs}")).with(OWNER).send().await.json()["name"], "ci");
}

#[tokio::test]
async fn a_list_is_filtered_and_paged() {
    let api = Api::new();
    for name in ["one", "two", "three"] {
        api.key(&format!(r#"{{"name":"{name}"}}"#)).await;
    }
    let names = |answer: crate::support::Answer| -> Vec<String> {
        assert_eq!(answer.status, 200, "{}", answer.text);
        let list = answer.json();
        let items = list["items"].as_array().unwrap().iter();
        items.map(|key| key["name"].as_str().unwrap().to_owned()).collect()
    };
    let list = async |query: &str| api.get(&format!("/gateway/keys?{query}")).with(VIEWER).send().await;
    let first = list("page=1&page_size=2").await;
    assert_eq!(first.headers["x-next-page"], "2");
    assert_eq!(names(first), ["one", "two"]);
    let second = list("page=2&page_size=2").await;
    assert!(!second.headers.contains_key("x-next-page"));
    assert_eq!(names(second), ["three"]);
    assert_eq!(names(list("q=tw").await), ["two"]);
    assert_eq!(names(list("status=disabled").await), [""; 0]);
    assert_eq!(names(list(&format!("team_id={ACME_TEAM}&status=active&_=1")).await).len(), 3);
    assert_eq!(
        list("page=0&page_size=1e9&team_id=x&status=dead").await.problems(),
        [
            "query.page greater_than_equal",
            "query.page_size int_parsing",
            "query.team_id uuid_parsing",
            "query.status enum",
        ]
    );
    assert_eq!(list("page_size=1001&page=-1").await.problems().len(), 2);
}

#[tokio::test]
async fn an_inference_key_sees_itself_and_where_it_stands() {
    let api = Api::new();
    let (id, secret) = api.key(r#"{"name":"ci","rpm_limit":60}"#).await;
    let answer = api.get("/gateway/key").public().with(&secret).send().await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.starts_with(&format!(r#"{{"id":"{id}","org_id":"{ACME}""#)), "{}", answer.text);
    assert!(answer.text.contains(r#""name":"ci","key":null,"#));
    let tail = concat!(
        r#""metadata":{},"usage":{"requests":3,"tokens":40,"in_flight":1,"#,
        r#""month":{"requests":0,"total_tokens":0,"cost_rmb":"0.00"}},"#,
        r#""limits":{"key":{"rpm_limit":60,"tpm_limit":null,"rpd_limit":null,"max_concurrency":null},"#,
        r#""team":{"rpm_limit":null,"tpm_limit":5000,"rpd_limit":null,"max_concurrency":null},"#,
        r#""organization":{"rpm_limit":null,"tpm_limit":null,"rpd_limit":null,"max_concurrency":null}},"#,
        r#""budget":null}"#,
    );
    assert!(answer.text.ends_with(tail), "{}", answer.text);

    let body = r#"{"budget_rmb":"3"}"#;
    let changed = api.put(&format!("/gateway/keys/{id}")).with(OWNER).body(body).send().await.json();
    assert_eq!((&changed["budget_rmb"], &changed["budget_period"]), (&json!("3.00"), &json!("month")));
    let budget = api.get("/gateway/key").with(&secret).send().await.json()["budget"].clone();
    let expected = json!({
        "budget_rmb": "3.00", "budget_period": "month", "spent_rmb": "0.00", "reserved_rmb": "0.000000000004",
    });
    assert_eq!(budget, expected);
}

#[tokio::test]
async fn an_organization_whose_plan_is_gone_has_the_models_of_the_default_plan() {
    let api = Api::new();
    api.world.state().orgs[0].plan = "removed-from-the-file".into();
    let body = r#"{"name":"a","models_allowed":["mini"]}"#;
    let made = api.post("/gateway/keys").with(OWNER).body(body).send().await;
    assert_eq!(made.json()["models_allowed"][0], "gpt-4o-mini", "{}", made.text);
    let body = r#"{"name":"a","models_allowed":["not-in-the-plan"]}"#;
    assert_eq!(api.post("/gateway/keys").with(OWNER).body(body).send().await.status, 422);
}
