//! What was used, at a glance and one by one: the same to the token, and nobody else's.

use crate::support::{
    client::{self, Answer, Call, Version},
    gateway::{Gateway, TestGateway},
    settings::OPERATOR,
    upstream::{Script, Truth, Upstream},
};
use serde_json::{Value, json};

struct Stage {
    gateway: Gateway,
    upstream: Upstream,
    key: String,
}

impl Stage {
    async fn new() -> Self {
        let upstream = Upstream::start().await;
        let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]);
        let gateway = gateway.plan("standard", json!({ "models": ["*"], "rpm_limits": { "m": 2 } }));
        let gateway = gateway.start().await;
        let key = gateway.key().await;
        Self { gateway, upstream, key }
    }

    /// One answer that succeeds and one that fails, both in the store.
    async fn two_requests(&self) -> Truth {
        self.gateway.send(&Call::chat(&self.key, "m")).await.ok();
        self.upstream.next(Script::error(500, "it failed"));
        let failed = self.gateway.send(&Call::chat(&self.key, "m")).await;
        assert!(failed.status >= 500, "{}", failed.text());
        self.gateway.all_records(2).await;
        self.upstream.truths().remove(0)
    }

    fn token(&self, role: &str) -> String {
        let create = ["tokens", "create", "--name", "of a test", "--role", role, "-c", "aione.yaml"];
        let output = self.gateway.command(&create).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    async fn as_member(&self, token: &str, path: &str) -> Answer {
        let call = Call::get(&format!("/api/v1{path}")).bearer(token);
        client::send(Version::H1, self.gateway.settings.admin, &call).await
    }

    async fn get(&self, path: &str) -> Value {
        self.gateway.admin(Call::get(&format!("/api/v1{path}"))).await.ok().json()
    }
}

#[tokio::test]
async fn a_dashboard_shows_what_was_used_and_what_failed() {
    let stage = Stage::new().await;
    let truth = stage.two_requests().await;
    let tech = stage.get("/obs/dashboard?range_days=2").await;
    let tech = &tech["tech"];
    assert_eq!((&tech["total_requests"], &tech["error_rate_pct"]), (&json!(2), &json!("50")), "{tech}");
    assert_eq!(tech["total_tokens"], json!(truth.prompt + truth.completion));
    assert!(tech["p99_latency_ms"].as_u64().unwrap() >= tech["avg_latency_ms"].as_u64().unwrap() * 9 / 10);
    // Two in a quarter of an hour, of two a minute; one each where they fell into two quarters.
    assert!([json!("6.67"), json!("3.33")].contains(&tech["rpm_usage_pct"]), "{tech}");
    let usage = stage.get("/obs/usage?group_by=model").await;
    assert_eq!(tech["total_cost_rmb"], usage[0]["cost_rmb"]);
    assert_eq!(tech["model_distribution"][0]["model"], "m");
    assert_eq!(tech["daily_trend"].as_array().unwrap().len(), 2);

    let finance = stage.as_member(&stage.token("finance"), "/obs/dashboard").await.ok().json();
    assert_eq!(finance["view_mode"], "business");
    let teams = &finance["business"]["team_cost_ranking"];
    assert_eq!((&teams[0]["team_name"], &teams[0]["conversations"]), (&json!("default"), &json!(2)));
}

#[tokio::test]
async fn requests_are_listed_one_by_one() {
    let stage = Stage::new().await;
    stage.two_requests().await;
    let records = stage.gateway.records().await;
    let first = stage.get("/obs/requests?page_size=1").await;
    assert_eq!(first["items"][0]["outcome"], "upstream_error", "the newest first: {first}");
    let next = format!("/obs/requests?page_size=1&cursor={}", first["next_cursor"].as_str().unwrap());
    let second = stage.get(&next).await;
    assert_eq!((&second["items"][0]["outcome"], &second["next_cursor"]), (&json!("complete"), &Value::Null));
    let id = second["items"][0]["id"].as_str().unwrap();
    assert!(records.iter().any(|record| record.id() == id));

    let viewer = stage.token("viewer");
    let same = stage.as_member(&viewer, &next).await.ok().json();
    assert_eq!(same, second, "a cursor is the organization's, not a credential's");
    let one = stage.get(&format!("/obs/requests?request_id={id}&outcome=complete")).await;
    assert_eq!(one["items"], second["items"]);
    let none = stage.get(&format!("/obs/requests?request_id={id}&outcome=interrupted")).await;
    assert_eq!(none["items"], json!([]));
    assert_eq!(stage.as_member(&viewer, "/obs/requests?cursor=AAAA").await.status, 422);
}

#[tokio::test]
async fn only_those_who_may_read_an_organization_see_its_reports() {
    let stage = Stage::new().await;
    for path in ["/obs/dashboard", "/obs/requests"] {
        let bare = Call::get(&format!("/api/v1{path}"));
        for (call, status) in [
            (bare.clone(), 401),
            (bare.clone().bearer(&stage.key), 403),
            (bare.clone().bearer(OPERATOR), 422),
            (bare.clone().bearer(OPERATOR).header("x-aione-org", "nobody"), 404),
            (bare.clone().bearer(&stage.token("viewer")), 200),
        ] {
            let answer = client::send(Version::H1, stage.gateway.settings.admin, &call).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
        }
    }
}
