//! Bodies that are wrong: every problem at once, in FastAPI's shape.

use crate::support::{Answer, Api, GLOBEX_TEAM, OWNER};
use serde_json::json;

async fn create(api: &Api, body: &str) -> Answer {
    api.post("/gateway/keys").with(OWNER).body(body).send().await
}

#[tokio::test]
async fn a_problem_has_the_shape_that_clients_know() {
    let api = Api::new();
    let answer = create(&api, r#"{"name":"ci","rpm_limit":0}"#).await;
    assert_eq!(answer.status, 422);
    assert_eq!(
        answer.text,
        concat!(
            r#"{"detail":[{"loc":["body","rpm_limit"],"msg":"Input should be greater than or equal to 1","#,
            r#""type":"greater_than_equal","input":0,"ctx":{"ge":1}}]}"#
        )
    );
    assert!(api.world.state().keys.is_empty());
}

#[tokio::test]
async fn every_problem_of_a_body_is_told_at_once() {
    let api = Api::new();
    let body = json!({
        "team_id": GLOBEX_TEAM.to_string(),
        "models_allowed": ["mini", 7, "nothing", "not-in-the-plan"],
        "rpm_limit": "60",
        "tpm_limit": 1.5,
        "rpd_limit": 9_223_372_036_854_775_808_u64,
        "max_concurrency": true,
        "is_sandbox": "yes",
        "allowed_ips": ["10.0.0.1", "10.0.0.1/8", "host"],
        "expires_at": "2026-11-23T16:30:00Z",
        "metadata": [],
        "budget_rmb": 10,
        "budget_period": "week",
        "scopes": [],
        "status": "active",
        "org_id": "x",
    });
    let answer = create(&api, &body.to_string()).await;
    assert_eq!(
        answer.problems(),
        [
            "body.team_id value_error",
            "body.name missing",
            "body.models_allowed.1 string_type",
            "body.models_allowed.2 value_error",
            "body.models_allowed.3 value_error",
            "body.rpm_limit int_type",
            "body.tpm_limit int_from_float",
            "body.is_sandbox bool_type",
            "body.allowed_ips.1 value_error",
            "body.allowed_ips.2 ip_any_network",
            "body.expires_at datetime_future",
            "body.max_concurrency int_type",
            "body.rpd_limit less_than_equal",
            "body.budget_rmb decimal_type",
            "body.budget_period enum",
            "body.metadata dict_type",
            "body.scopes not_supported",
            "body.org_id extra_forbidden",
            "body.status extra_forbidden",
        ]
    );
    assert!(api.world.state().keys.is_empty());
    assert!(api.world.state().announced.is_empty());
}

#[tokio::test]
async fn each_wrong_value_has_its_type() {
    let api = Api::new();
    let long = "x".repeat(129);
    let many = serde_json::to_string(&vec!["10.0.0.1"; 257]).unwrap();
    let fat = "x".repeat(4096);
    for (field, value, expected) in [
        ("name", r#""""#.to_owned(), "body.name string_too_short"),
        ("name", format!(r#""{long}""#), "body.name string_too_long"),
        ("name", r#""a\nb""#.to_owned(), "body.name value_error"),
        ("name", "null".to_owned(), "body.name string_type"),
        ("team_id", r#""x""#.to_owned(), "body.team_id uuid_parsing"),
        ("team_id", "7".to_owned(), "body.team_id uuid_type"),
        ("team_id", format!(r#""{}""#, uuid::Uuid::nil()), "body.team_id value_error"),
        ("models_allowed", r#""mini""#.to_owned(), "body.models_allowed list_type"),
        ("models_allowed", "null".to_owned(), "body.models_allowed list_type"),
        ("models_allowed", r#"["MINI"]"#.to_owned(), "body.models_allowed.0 value_error"),
        ("models_allowed", r#"["*"]"#.to_owned(), "body.models_allowed.0 value_error"),
        ("rpm_limit", "-1".to_owned(), "body.rpm_limit greater_than_equal"),
        ("rpm_limit", "1e300".to_owned(), "body.rpm_limit less_than_equal"),
        ("rpm_limit", "{}".to_owned(), "body.rpm_limit int_type"),
        ("is_sandbox", "1".to_owned(), "body.is_sandbox bool_type"),
        ("allowed_ips", many, "body.allowed_ips too_long"),
        ("allowed_ips", r#"["fe80::1/200"]"#.to_owned(), "body.allowed_ips.0 ip_any_network"),
        ("expires_at", "1".to_owned(), "body.expires_at datetime_type"),
        ("expires_at", r#""tomorrow""#.to_owned(), "body.expires_at datetime_parsing"),
        ("expires_at", r#""2030-01-01T00:00:00""#.to_owned(), "body.expires_at timezone_aware"),
        ("metadata", format!(r#"{{"a":"{fat}"}}"#), "body.metadata value_error"),
        ("key", r#""sk-mine""#.to_owned(), "body.key extra_forbidden"),
    ] {
        let name = if field == "name" { "" } else { r#""name":"ci","# };
        let answer = create(&api, &format!(r#"{{{name}"{field}":{value}}}"#)).await;
        assert_eq!(answer.problems(), [expected], "{field}");
    }
    assert!(api.world.state().keys.is_empty());
}

#[tokio::test]
async fn what_is_right_is_taken() {
    let api = Api::new();
    let name = "键".repeat(128);
    let body = json!({
        "name": name, "team_id": null, "models_allowed": ["mini", "gpt-4o-mini"], "rpm_limit": 60.0,
        "is_sandbox": true, "allowed_ips": ["::ffff:10.0.0.1", "2001:db8::/32"], "expires_at": null,
    });
    let made = create(&api, &body.to_string()).await.json();
    assert_eq!(made["name"], name);
    assert_eq!(made["models_allowed"], json!(["gpt-4o-mini"]));
    assert_eq!(made["rpm_limit"], 60);
    assert_eq!(made["is_sandbox"], true);
    assert_eq!(made["allowed_ips"], json!(["10.0.0.1", "2001:db8::/32"]));
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused() {
    let api = Api::new();
    for (body, expected) in [
        ("", "body missing"),
        ("[]", "body dict_type"),
        ("null", "body dict_type"),
        (r#"{"name":"a","#, "body.11 json_invalid"),
        (r#"{"name":"a"} x"#, "body.13 json_invalid"),
        ("{\"name\":\n \"a\",,}", "body.14 json_invalid"),
        ("\u{feff}{}", "body.0 json_invalid"),
        (r#"{"name":"a","name":"b"}"#, ""),
        (r#"{"name":"a","n\u0061me":"b"}"#, ""),
        (r#"{"name":"a","metadata":{"x":1,"x":2}}"#, ""),
        (r#"{"name":NaN}"#, ""),
        (r#"{"name":"\ud800"}"#, ""),
    ] {
        let answer = create(&api, body).await;
        let problems = answer.problems();
        assert_eq!(problems.len(), 1, "{body}");
        assert!(
            problems[0].ends_with(if expected.is_empty() { "json_invalid" } else { expected }),
            "{body}: {problems:?}"
        );
    }
    let deep = format!(r#"{{"name":{}}}"#, "[".repeat(30_000));
    assert!(create(&api, &deep).await.problems()[0].ends_with("json_invalid"));
    let twice = create(&api, r#"{"name":"a","name":"b"}"#).await;
    assert!(twice.text.contains("duplicate key `name`"), "{}", twice.text);
}

#[tokio::test]
async fn a_body_over_the_bound_is_refused() {
    let api = Api::new();
    let padded = |size: usize| format!(r#"{{"name":"a"{}}}"#, " ".repeat(size - 12));
    assert_eq!(create(&api, &padded(64 * 1024)).await.status, 201);
    let refused = create(&api, &padded(64 * 1024 + 1)).await;
    assert_eq!(refused.refusal(), (413, "request_too_large".to_owned()));
}

#[tokio::test]
async fn an_update_cannot_write_what_is_not_its_own() {
    let api = Api::new();
    let (id, _) = api.key(r#"{"name":"ci"}"#).await;
    let body = r#"{"team_id":null,"is_sandbox":true,"expires_at":null,"status":"active","key":"x","id":"x",
        "org_id":"x","key_prefix":"x","created_at":"x","last_used_at":"x","rotate_grace_until":"x",
        "name":null,"scopes":[],"models_allowed":["nothing"]}"#;
    let answer = api.put(&format!("/gateway/keys/{id}")).with(OWNER).body(body).send().await;
    let problems = answer.problems();
    assert_eq!(
        problems[..3],
        ["body.name string_type", "body.models_allowed.0 value_error", "body.scopes not_supported"]
    );
    assert_eq!(problems[3..].len(), 11);
    assert!(problems[3..].iter().all(|problem| problem.ends_with("extra_forbidden")), "{problems:?}");
}

#[tokio::test]
async fn an_id_in_a_path_must_be_one() {
    let api = Api::new();
    let answer = api.get("/gateway/keys/7").with(OWNER).send().await;
    assert_eq!(answer.problems(), ["path.key_id uuid_parsing"]);
    assert_eq!(answer.json()["detail"][0]["input"], "7");
}

#[tokio::test]
async fn control_characters_are_refused_in_every_text() {
    let api = Api::new();
    for control in ["\\u0000", "\\u001b", "\\u007f", "\\u0085"] {
        let made =
            create(&api, &format!(r#"{{"name":"a{control}","models_allowed":["mini{control}"]}}"#)).await;
        assert_eq!(
            made.problems(),
            ["body.name value_error", "body.models_allowed.0 value_error"],
            "{control}"
        );
    }
    for query in ["/gateway/keys?q=%1B", "/obs/usage?model=%00", "/obs/requests?model=%C2%85"] {
        assert_eq!(api.get(query).with(OWNER).send().await.status, 422, "{query}");
    }
    assert!(api.world.state().keys.is_empty());
}

#[tokio::test]
async fn a_query_that_is_no_utf_8_is_refused_where_it_is_wrong() {
    let api = Api::new();
    let answer = api.get("/gateway/keys?q=%FF&page=1&%FE=2").with(OWNER).send().await;
    assert_eq!(answer.problems(), ["query.q string_unicode", "query.%FE string_unicode"]);
    assert_eq!(answer.json()["detail"][0]["input"], "%FF");
    // A plus is a space, also where it is not the query's own.
    let answer = api.get("/gateway/keys?status=a+b%2B").with(OWNER).send().await;
    assert_eq!(answer.json()["detail"][0]["input"], "a b+");
}
