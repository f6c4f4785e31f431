//! What is not passed on: before an upstream is asked, and by whom.

use super::{OPEN, SOLD, Stage};
use crate::support::{
    client::{self, BOTH, Call, Version},
    settings::OPERATOR,
    upstream::Script,
};
use serde_json::{Value, json};

fn expect(answer: &client::Answer, status: u16, code: &str, what: &str) {
    assert_eq!(
        (answer.status, answer.header("x-aione-refused")),
        (status, Some(code)),
        "{what}: {}",
        answer.text()
    );
}

#[tokio::test]
async fn what_is_not_written_is_closed() {
    let stage = Stage::new().await;
    for (method, path, status, code) in [
        ("GET", "/v1/other", 404, "not_found"),
        ("GET", "/v1/things/7/parts", 404, "not_found"),
        ("GET", "/v1/things/", 404, "not_found"),
        ("GET", "/v1//things", 404, "not_found"),
        ("GET", "/v1/Things", 404, "not_found"),
        ("GET", "/v1beta/things", 404, "not_found"),
        ("GET", "/things", 404, "not_found"),
        ("GET", "/v1/things/..", 404, "not_found"),
        ("GET", "/v1/things/%37", 404, "not_found"),
        ("GET", "/v1/things/a%2fb", 404, "not_found"),
        ("GET", "/v1/things/a;b", 404, "not_found"),
        ("GET", "/v1/things/files", 404, "not_found"),
        ("POST", "/v1/tools/../things", 404, "not_found"),
        ("POST", "/v1/tools/x/batches/y", 404, "not_found"),
        ("POST", "/v1/tools", 404, "not_found"),
        ("POST", "/v1/files", 404, "not_found"),
        ("GET", "/v1/responses/resp_1", 404, "not_found"),
        ("POST", "/v1/things/7", 405, "method_not_allowed"),
        ("PATCH", "/v1/things/7", 405, "method_not_allowed"),
        ("HEAD", "/v1/things", 405, "method_not_allowed"),
        ("OPTIONS", "/v1/things", 405, "method_not_allowed"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
    ] {
        let answer = stage.send(Call::new(method, path)).await;
        expect(&answer, status, code, &format!("{method} {path}"));
    }
    let answer = stage.send(Call::new("PATCH", "/v1/things/7")).await;
    assert_eq!(answer.header("allow"), Some("GET, PUT, DELETE"));
    let upgrade = Call::get("/v1/things").header("connection", "upgrade").header("upgrade", "websocket");
    expect(&stage.send(upgrade).await, 426, "upgrade_refused", "a WebSocket");
    for version in BOTH {
        let nobody = stage.gateway.send_over(version, &Call::get("/v1/things")).await;
        expect(&nobody, 401, "invalid_api_key", "without a key");
        let wrong = stage.gateway.send_over(version, &Call::get("/v1/things").bearer("sk-aione-wrong")).await;
        expect(&wrong, 401, "invalid_api_key", "with a wrong key");
    }
    assert_eq!(stage.upstream.asked(), 0);
    stage.gateway.all_records(0).await;
}

#[tokio::test]
async fn a_body_that_could_be_read_in_two_ways_is_refused() {
    let stage = Stage::new().await;
    for (content_type, path, body, param) in [
        ("application/json", "/v1/things", "{\"model\":\"m\",\"model\":\"x\"}", json!("model")),
        ("application/json", "/v1/things", "{\"model\":\"m\",\"Model\":\"x\"}", json!("model")),
        ("text/plain", "/v1/things", " {\"model\":\"m\",\"model\":\"x\"}", json!("model")),
        ("application/json", "/v1/things", "{\"a\":1,\"a\":2}", Value::Null),
        ("application/json", "/v1/things", "not JSON", Value::Null),
        ("application/json", "/v1/things", "{\"api_base\":\"http://127.0.0.1\"}", json!("api_base")),
        ("application/json", "/v1/things", "{\"previous_response_id\":\"r\"}", json!("previous_response_id")),
        ("application/json", "/v1/things?model=x", "{\"model\":\"m\"}", json!("model")),
        ("application/json", "/v1/things?a=1;key=x", "{}", Value::Null),
    ] {
        let mut call = Call::new("POST", path).header("content-type", content_type);
        call.body = body.into();
        let answer = stage.send(call).await;
        expect(&answer, 400, "invalid_request", body);
        assert_eq!(answer.json()["error"]["param"], param, "{body}");
    }
    let bounded = Stage::with(|settings| settings.set("/server/max_body", "64KiB")).await;
    let mut call = Call::new("POST", "/v1/things");
    call.body = vec![b'x'; 65_537];
    expect(&bounded.send(call).await, 413, "request_too_large", "a body over the bound");
    assert_eq!((stage.upstream.asked(), bounded.upstream.asked()), (0, 0));
}

#[tokio::test]
async fn who_may_not_have_it_or_the_model_that_it_names_is_refused() {
    let stage = Stage::with(|settings| {
        settings.simulated("elsewhere").model("far", &["elsewhere"]).model("n", &["up"])
    })
    .await;
    let ask = async |fields: Value, body: Value| {
        let key = stage.gateway.create_key(fields).await.secret;
        stage.upstream.next(Script::json(200, "{}"));
        let before = stage.upstream.asked();
        let answer = stage.gateway.send(&Call::post("/v1/things", body.to_string()).bearer(&key)).await;
        let asked = stage.upstream.asked() - before;
        assert_eq!(asked == 1, answer.status == 200, "{}", answer.text());
        if asked == 0 {
            // The script is for who comes next.
            stage.send(Call::get("/v1/things")).await.ok();
        }
        answer
    };
    let (unnamed, named) = (json!({ "a": 1 }), json!({ "model": "m" }));
    for (fields, body, status, code) in [
        (json!({}), &unnamed, 200, ""),
        (json!({}), &named, 200, ""),
        (json!({ "models_allowed": ["m"] }), &named, 200, ""),
        (json!({ "models_allowed": [SOLD] }), &unnamed, 200, ""),
        (json!({ "allowed_ips": ["127.0.0.0/8"] }), &unnamed, 200, ""),
        // A key that is for some models is for nothing that names none.
        (json!({ "models_allowed": ["m"] }), &unnamed, 403, "model_not_allowed"),
        (json!({ "models_allowed": [SOLD] }), &named, 403, "model_not_allowed"),
        (json!({ "models_allowed": ["n"] }), &named, 403, "model_not_allowed"),
        (json!({ "allowed_ips": ["203.0.113.0/24"] }), &unnamed, 403, "ip_not_allowed"),
        (json!({ "is_sandbox": true }), &unnamed, 403, "scope_not_allowed"),
        (json!({}), &json!({ "model": "none" }), 404, "model_not_found"),
        (json!({}), &json!({ "model": SOLD }), 404, "model_not_found"),
        (json!({}), &json!({ "model": "far" }), 400, "invalid_request"),
    ] {
        let what = format!("{fields} {body}");
        let answer = ask(fields, body.clone()).await;
        match status {
            200 => assert_eq!(answer.status, 200, "{what}: {}", answer.text()),
            _ => expect(&answer, status, code, &what),
        }
    }
}

#[tokio::test]
async fn another_organizations_plan_may_leave_it_out() {
    let stage = Stage::with(|settings| settings.plan("bare", json!({ "models": ["m"] }))).await;
    let as_others = async |path: &str, body: Value| {
        let call = Call::post(path, body.to_string()).bearer(OPERATOR).header("x-aione-org", "others");
        client::send(Version::H1, stage.gateway.settings.admin, &call).await
    };
    let org = json!({ "name": "Others", "slug": "others", "time_zone": "UTC", "plan": "bare" });
    let made = as_others("/api/v1/orgs", org).await;
    assert!(made.status < 300, "{}", made.text());
    let key = as_others("/api/v1/gateway/keys", json!({ "name": "theirs" })).await.json()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let refused = stage.gateway.send(&Call::get("/v1/things").bearer(&key)).await;
    expect(&refused, 404, "model_not_found", "the plan leaves it out");
    assert_eq!(stage.upstream.asked(), 0);
    // To name it in a key, the plan must have it.
    let named = as_others("/api/v1/gateway/keys", json!({ "name": "k", "models_allowed": [SOLD] })).await;
    assert_eq!(named.status, 422, "{}", named.text());
    stage.upstream.next(Script::json(200, "{}"));
    let theirs = stage.gateway.send(&Call::post("/v1/things", "{\"model\":\"m\"}").bearer(&key)).await.ok();
    let mine = stage.send(Call::get("/v1/things")).await.ok();
    let [theirs, mine] =
        [stage.gateway.record(&theirs.request_id()).await, stage.gateway.record(&mine.request_id()).await];
    assert_ne!(theirs.0["org_id"], mine.0["org_id"]);
}

#[tokio::test]
async fn a_reload_opens_and_closes() {
    let mut stage = Stage::new().await;
    let reload = async |stage: &mut Stage, entries: Value| {
        stage.gateway.settings = stage.gateway.settings.clone().set("/providers/up/pass_through", entries);
        stage.gateway.write_settings();
        stage.gateway.admin(Call::new("POST", "/api/v1/config/reload")).await
    };
    stage.send(Call::get("/v1/things")).await.ok();
    let told = reload(&mut stage, json!(["GET /v1/others"])).await.ok();
    assert!(told.text().contains("pass_through") || told.json()["changes"] == json!([]), "{}", told.text());
    expect(&stage.send(Call::get("/v1/things")).await, 404, "not_found", "it was closed");
    stage.send(Call::get("/v1/others")).await.ok();
    // What must stay closed changes nothing.
    let refused = reload(&mut stage, json!(["GET /v1/others", "GET /v1/files"])).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains("providers.up.pass_through[1]"), "{}", refused.text());
    stage.send(Call::get("/v1/others")).await.ok();
    reload(&mut stage, json!(OPEN)).await.ok();
    stage.send(Call::get("/v1/things")).await.ok();
    expect(&stage.send(Call::get("/v1/others")).await, 404, "not_found", "it was closed again");
}

#[tokio::test]
async fn a_provider_that_fails_is_told_and_rests_and_nobody_else_is_asked() {
    let stage =
        Stage::with(|settings| settings.set("/providers/up/timeouts", json!({ "first_byte": "2s" }))).await;
    stage.upstream.next(Script::answer(302, &[("location", "http://127.0.0.1:1/v1/things")], ""));
    expect(&stage.send(Call::get("/v1/things")).await, 502, "upstream_error", "a redirect");
    stage.upstream.next(Script::new().await_gone());
    expect(&stage.send(Call::get("/v1/things")).await, 504, "upstream_timeout", "silence");
    stage.upstream.next(Script::error(500, "out of order"));
    let failed = stage.send(Call::get("/v1/things")).await;
    assert_eq!((failed.status, failed.message().as_str()), (500, "out of order"));
    // Three failures: what is passed through rests, and the provider's models do not.
    let resting = stage.send(Call::get("/v1/things")).await;
    expect(&resting, 503, "no_upstream_available", "a rest");
    assert!(resting.header("retry-after").is_some());
    stage.gateway.send(&Call::chat(&stage.key, "m")).await.ok();
    assert_eq!(stage.gateway.record(&failed.request_id()).await.attempts(), 1);
    let records = stage.gateway.all_records(4).await;
    assert!(records.iter().filter(|record| record.model() == SOLD).all(|record| record.cost() == 0));
}
