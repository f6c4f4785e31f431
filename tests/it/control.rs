//! The operators' listeners: one line a call, an id in every answer, honest metrics.

use crate::support::{
    client::{self, Call, Version},
    gateway::TestGateway,
    settings::OPERATOR,
    wait,
};
use serde_json::{Value, json};

#[tokio::test]
async fn every_admin_call_leaves_one_access_line_and_has_an_id() {
    let gateway = TestGateway::new().simulated("sim").model("m", &["sim"]).start().await;
    let admin = gateway.settings.admin;
    let good =
        Call::get("/api/v1/gateway/keys?q=hidden-query").bearer(OPERATOR).header("x-aione-org", "default");
    let stranger = Call::get("/api/v1/gateway/keys").bearer("op-a-planted-wrong-token");
    let nothing = Call::get("/nothing");
    for (call, status, path) in [
        (good, 200, "/api/v1/gateway/keys"),
        (stranger, 401, "/api/v1/gateway/keys"),
        (nothing, 404, "/nothing"),
    ] {
        let answer = client::send(Version::H1, admin, &call).await;
        assert_eq!(answer.status, status);
        let id = answer.request_id();
        let lines = wait::until(format_args!("the access line of {id}"), async || {
            let lines = gateway.log_lines();
            let lines: Vec<Value> = lines.into_iter().filter(|line| line["request_id"] == *id).collect();
            (!lines.is_empty()).then_some(lines)
        })
        .await;
        let [line] = &lines[..] else { panic!("one line: {lines:?}") };
        assert_eq!(line["type"], "access");
        assert_eq!(line["listener"], "admin");
        assert_eq!((&line["method"], &line["path"]), (&json!("GET"), &json!(path)));
        assert_eq!(line["status"], status);
        assert_eq!(line["client_ip"], "127.0.0.1");
    }
    let logs = gateway.logs();
    assert!(!logs.contains("hidden-query") && !logs.contains("planted-wrong"), "no query, no secret");
}

#[tokio::test]
async fn a_long_operator_token_that_checks_can_be_used() {
    let long = format!("op-{}", "x".repeat(4_000));
    let gateway = TestGateway::new()
        .simulated("sim")
        .model("m", &["sim"])
        .set("/admin/operator_tokens", json!([OPERATOR, long]))
        .start()
        .await;
    let call = Call::get("/api/v1/config").bearer(&long);
    client::send(Version::H1, gateway.settings.admin, &call).await.ok();
}

#[tokio::test]
async fn an_exchange_without_a_first_byte_is_not_measured_as_an_instant_one() {
    let nobody = crate::support::ports::free();
    let gateway = TestGateway::new()
        .with(|settings| settings.provider_at("gone", &format!("http://{nobody}/v1")))
        .model("m", &["gone"])
        .start()
        .await;
    let key = gateway.key().await;
    assert_eq!(gateway.send(&Call::chat(&key, "m")).await.status, 502);
    gateway.quiet().await;
    let metrics = gateway.metrics().await;
    assert_eq!(metrics.sum("aione_request_duration_seconds_count"), 1.0, "{}", metrics.0);
    assert_eq!(metrics.sum("aione_time_to_first_byte_seconds_count"), 0.0, "{}", metrics.0);
    for name in ["aione_journal_oldest_unrecorded_seconds", "aione_journal_alarms_total"] {
        assert!(metrics.series().any(|(series, _)| series == name), "no {name} in {}", metrics.0);
    }
}
