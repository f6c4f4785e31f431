//! What an operator sees and does while it serves: deployments drained and resting, a dry run of a
//! reload, why a request goes where it goes, and what an organization is shown of it.

use crate::support::{
    client::{Answer, Call, Version},
    gateway::{Gateway, TestGateway},
    upstream::{Events, Gate, Script, Truth, Upstream},
};
use serde_json::{Value, json};

/// A model `m` at `first` and then at `second`.
struct Stage {
    gateway: Gateway,
    first: Upstream,
    second: Upstream,
    key: String,
    key_id: String,
}

impl Stage {
    async fn new() -> Self {
        Self::with(|gateway| gateway).await
    }

    async fn with(change: impl FnOnce(TestGateway) -> TestGateway) -> Self {
        let [first, second] = [Upstream::start().await, Upstream::start().await];
        let gateway = TestGateway::new().upstream("first", &first).upstream("second", &second);
        let gateway = change(gateway.model("m", &["first", "second"])).start().await;
        let key = gateway.create_key(json!({})).await;
        Self { gateway, first, second, key: key.secret, key_id: key.id }
    }

    async fn chat(&self) -> Answer {
        self.gateway.send(&Call::chat(&self.key, "m")).await
    }

    /// How often each was asked since this was called before.
    fn asked(&self) -> [usize; 2] {
        [&self.first, &self.second].map(|upstream| upstream.take_seen().len())
    }

    async fn put(&self, deployment: &str, verb: &str) -> Value {
        let path = format!("/api/v1/upstreams/{deployment}%2Fm/{verb}");
        self.gateway.admin(Call::new("PUT", &path)).await.ok().json()
    }

    /// Of `first` and `second`, in this order.
    async fn upstreams(&self) -> [Value; 2] {
        let listed = self.gateway.admin(Call::get("/api/v1/upstreams")).await.ok().json();
        let [first, second] = &listed["items"].as_array().unwrap()[..] else { panic!("two: {listed}") };
        assert_eq!((&first["id"], &second["id"]), (&json!("first/m"), &json!("second/m")));
        [first.clone(), second.clone()]
    }

    async fn model_status(&self) -> Value {
        let listed = self.gateway.admin(Call::get("/api/v1/gateway/models")).await.ok().json();
        listed["items"][0]["status"].clone()
    }

    async fn explain(&self) -> Value {
        let path = format!("/api/v1/explain?model=m&key_id={}", self.key_id);
        self.gateway.admin(Call::get(&path)).await.ok().json()
    }

    async fn reload(&self) -> Answer {
        self.gateway.admin(Call::new("POST", "/api/v1/config/reload")).await
    }
}

#[tokio::test]
async fn a_drained_deployment_gets_no_requests_until_it_is_let_in_again() {
    let stage = Stage::new().await;
    stage.chat().await.ok();
    assert_eq!(stage.asked(), [1, 0]);
    let [first, second] = stage.upstreams().await;
    assert!(first["first_byte_ms"].is_u64() && second["first_byte_ms"].is_null(), "{first} {second}");

    assert_eq!(stage.put("first", "drain").await["drained"], true);
    for _ in 0..3 {
        stage.chat().await.ok();
    }
    assert_eq!(stage.asked(), [0, 3]);
    assert_eq!(stage.explain().await["reason"], "It goes to second/m");
    assert_eq!(stage.model_status().await, "available");

    stage.put("second", "drain").await;
    let refused = stage.chat().await;
    assert_eq!((refused.status, refused.code()), (503, "no_upstream_available".to_owned()));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(stage.model_status().await, "drained");
    let explained = stage.explain().await;
    assert_eq!(
        (&explained["verdict"], &explained["checks"][6]["passed"]),
        (&json!("refused"), &json!(false))
    );

    assert_eq!(stage.put("first", "undrain").await["drained"], false);
    stage.chat().await.ok();
    assert_eq!(stage.asked(), [1, 0]);
}

#[tokio::test]
async fn a_drained_deployment_stays_out_over_a_reload_and_comes_back_with_a_restart() {
    let mut stage = Stage::new().await;
    stage.put("first", "drain").await;
    stage.gateway.settings = stage.gateway.settings.clone().model("other", &["first"]);
    stage.gateway.write_settings();
    stage.reload().await.ok();
    // The provider's other deployment is another one.
    stage.gateway.send(&Call::chat(&stage.key, "other")).await.ok();
    stage.chat().await.ok();
    assert_eq!(stage.asked(), [1, 1]);
    stage.gateway.sigterm().await;
    stage.gateway.start().await;
    stage.chat().await.ok();
    assert_eq!(stage.asked(), [1, 0]);
}

#[tokio::test]
async fn a_stream_is_in_flight_at_its_deployment_until_it_ends() {
    let stage = Stage::new().await;
    let (truth, gate) = (Truth::of(7), Gate::closed());
    let events = Events::new(&truth, "m", 2);
    let rest = [&events.content[1], &events.usage, &events.done];
    let script = Script::events().chunk(&events.content[0]).wait(&gate).chunks(rest).end().truth(&truth);
    stage.first.next(script);
    let mut open = stage.gateway.open_over(Version::H1, &Call::stream(&stage.key, "m")).await;
    open.read_to(&mut Vec::new(), events.content[0].len()).await;
    let [first, second] = stage.upstreams().await;
    assert_eq!((&first["in_flight"], &second["in_flight"]), (&json!(1), &json!(0)));
    // What was begun before goes on.
    stage.put("first", "drain").await;
    gate.open();
    open.whole().await.ok();
    let [first, _] = stage.upstreams().await;
    assert_eq!((&first["in_flight"], &first["drained"]), (&json!(0), &json!(true)));
}

#[tokio::test]
async fn a_deployment_that_fails_is_seen_to_rest() {
    let stage = Stage::with(|gateway| {
        let cool_down = json!({ "after": 1, "within": "10s", "for": "10m", "max": "10m" });
        gateway.set("/models/m/route/cool_down", cool_down)
    })
    .await;
    stage.first.next(Script::error(503, "out of order"));
    stage.chat().await.ok();
    let [first, second] = stage.upstreams().await;
    assert_eq!((&first["health"], &second["health"]), (&json!("resting"), &json!("serving")));
    let rests_for_ms = first["rests_for_ms"].as_u64().unwrap();
    assert!((1..=600_000).contains(&rests_for_ms), "{rests_for_ms}");
    assert_eq!((&first["in_flight"], &first["first_byte_ms"]), (&json!(0), &Value::Null));
    let explained = stage.explain().await;
    assert_eq!(explained["deployments"][0]["would_be_tried"], false);
    assert_eq!(explained["deployments"][0]["asked_in"], json!(["openai_chat"]));
    let reason = explained["deployments"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("It rests for "), "{reason}");

    stage.second.next(Script::error(503, "out of order"));
    assert_eq!(stage.chat().await.status, 503);
    assert_eq!(stage.model_status().await, "resting");
}

#[tokio::test]
async fn an_organization_sees_the_models_that_its_keys_can_call() {
    let later = json!([{ "from": "2999-01-01T00:00:00Z", "input": "1", "output": "1" }]);
    let stage = Stage::with(|gateway| {
        gateway
            .model("outside", &["first"])
            .model("unpriced", &["first"])
            .set("/models/unpriced/price", later)
            .plan("standard", json!({ "name": "Standard", "models": ["m", "unpriced"] }))
    })
    .await;
    let called = stage.gateway.send(&Call::get("/v1/models").bearer(&stage.key)).await.ok().json();
    let shown = stage.gateway.admin(Call::get("/api/v1/gateway/models")).await.ok().json();
    let ids = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&called["data"]), ["m"]);
    assert_eq!(ids(&shown["items"]), ["m"]);
    assert_eq!(shown["items"][0]["provider"], called["data"][0]["owned_by"]);
    let plan = stage.gateway.admin(Call::get("/api/v1/billing/plan")).await.ok().json();
    assert_eq!(plan["models"], json!(["m", "unpriced"]));
    assert_eq!(plan["price_per_1m_tokens"], shown["items"][0]["price_per_1m_tokens"]);
}

#[tokio::test]
async fn a_dry_run_tells_what_a_reload_would_and_a_refused_one_is_remembered() {
    let stage = Stage::new().await;
    let check = async || stage.gateway.admin(Call::new("POST", "/api/v1/config/check")).await.ok().json();
    let config = async || stage.gateway.admin(Call::get("/api/v1/config")).await.ok().json();
    let before = config().await;
    assert_eq!(before["last_problems"], json!([]));
    let same = check().await;
    assert_eq!((&same["sound"], &same["changes"]), (&json!(true), &json!([])));
    assert_eq!(same["version"], before["version"]);

    stage.gateway.write_text(&stage.gateway.settings.text().replace("\"providers\"", "\"provders\""));
    let unsound = check().await;
    assert_eq!((&unsound["sound"], &unsound["version"]), (&json!(false), &Value::Null));
    assert!(unsound["problems"].to_string().contains("provders"), "{unsound}");
    assert_eq!(stage.reload().await.status, 409);
    let after = config().await;
    assert_eq!((&after["version"], &after["last_problems"]), (&before["version"], &unsound["problems"]));
    stage.chat().await.ok();

    // A listener's address waits for a restart, whether or not the watch has taken the rest.
    let elsewhere = crate::support::ports::free().to_string();
    stage.gateway.write_text(&stage.gateway.settings.clone().set("/server/listen", elsewhere.clone()).text());
    let waiting = check().await;
    assert_eq!(waiting["sound"], true, "{waiting}");
    assert!(waiting["needs_restart"].to_string().contains(&elsewhere), "{waiting}");
}
