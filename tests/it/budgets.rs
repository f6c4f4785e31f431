//! Money that is not there is not spent: balances and budgets, over both protocols and over a kill.

use crate::support::{
    account::{Account, assert_unpaid, decimal, put},
    client::{self, BOTH, Call, Version},
    gateway::{Gateway, TestGateway},
    money,
    upstream::{Gate, Script, Step, Truth, Upstream, openai},
    wait,
};
use serde_json::json;
use tokio::task::JoinSet;

const CALLERS: usize = 50;
const TENTH: usize = 10;

struct Stage {
    gateway: Gateway,
    upstream: Upstream,
    gate: Gate,
    truth: Truth,
}

impl Stage {
    async fn new() -> Self {
        let truth = Truth::plain("x", 3, 10);
        let gate = Gate::closed();
        let mut script = Script::json(200, openai::completion(&truth, "m")).truth(&truth);
        script.steps.insert(1, Step::Wait(gate.clone()));
        let upstream = Upstream::always(script).await;
        let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
        Self { gateway, upstream, gate, truth }
    }

    fn account(&self) -> Account<'_> {
        Account(&self.gateway)
    }

    /// What one request reserves: seen while one is held at the upstream.
    async fn reservation(&self, key: &str) -> i128 {
        self.account().org(json!({ "credit_limit_rmb": "1000000" })).await;
        let (public, call, before) = (self.gateway.settings.public, ask(key), self.upstream.asked());
        let held = tokio::spawn(async move { client::send(Version::H1, public, &call).await });
        wait::until("one is held", async || (self.upstream.asked() > before).then_some(())).await;
        let reserved = self.account().amount("reserved_rmb").await;
        self.gate.open_once();
        held.await.unwrap().ok();
        self.gateway.quiet().await;
        assert_eq!(self.account().amount("reserved_rmb").await, 0);
        assert!(reserved >= money::cost(&self.truth), "{reserved}");
        reserved
    }
}

fn ask(key: &str) -> Call {
    let messages = json!([{ "role": "user", "content": "Say it." }]);
    Call::chat_with(key, &json!({ "model": "m", "max_tokens": 10, "messages": messages }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_50_who_each_need_a_tenth_of_the_balance_ten_pass() {
    let stage = Stage::new().await;
    let key = stage.gateway.key().await;
    let each = stage.reservation(&key).await;
    stage.account().org(json!({ "billing_mode": "prepaid" })).await;
    let owed = -stage.account().amount("balance_rmb").await;
    assert_eq!(owed, money::cost(&stage.truth));
    stage.account().top_up(owed + each * i128::try_from(TENTH).unwrap()).await;

    let (public, before) = (stage.gateway.settings.public, stage.upstream.asked());
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (version, call) = (client::BOTH[caller % 2], ask(&key));
        callers.spawn(async move { client::send(version, public, &call).await });
    }
    for _ in 0..CALLERS - TENTH {
        let answer = wait::within("a refusal", callers.join_next()).await.unwrap().unwrap();
        assert_unpaid(&answer, "balance of the organization");
    }
    wait::until("ten are held", async || (stage.upstream.asked() - before == TENTH).then_some(())).await;
    assert_eq!(stage.account().amount("reserved_rmb").await, each * i128::try_from(TENTH).unwrap());
    (0..TENTH).for_each(|_| stage.gate.open_once());
    while let Some(answer) = wait::within("the ten", callers.join_next()).await {
        answer.unwrap().ok();
    }
    stage.gateway.quiet().await;
    let left = (each - money::cost(&stage.truth)) * i128::try_from(TENTH).unwrap();
    assert_eq!(stage.account().amount("balance_rmb").await, left);
    assert!(left >= 0);
    stage.gateway.all_records(TENTH + 1).await;
}

#[tokio::test]
async fn each_budget_refuses_by_itself_and_what_it_refuses_is_no_usage() {
    let stage = Stage::new().await;
    let keyed = stage.gateway.create_key(json!({ "budget_rmb": "0.000001", "budget_period": "day" })).await;
    let plain = stage.gateway.key().await;
    for version in BOTH {
        assert_unpaid(
            &stage.gateway.send_over(version, &ask(&keyed.secret)).await,
            "key's budget for this day",
        );
    }
    let teams = stage.account().operator(Call::get("/api/v1/orgs/default/teams"), 200).await;
    let team = format!("/api/v1/orgs/default/teams/{}", teams["items"][0]["id"].as_str().unwrap());
    stage.account().operator(put(&team, &json!({ "monthly_budget_rmb": "0" })), 200).await;
    assert_unpaid(&stage.gateway.send(&ask(&plain)).await, "team's budget for this month");
    stage.account().operator(put(&team, &json!({ "monthly_budget_rmb": null })), 200).await;
    stage.account().org(json!({ "monthly_budget_rmb": "0" })).await;
    assert_unpaid(&stage.gateway.send(&ask(&plain)).await, "organization's budget for this month");
    stage.account().org(json!({ "monthly_budget_rmb": null, "credit_limit_rmb": "0" })).await;
    assert_unpaid(&stage.gateway.send(&ask(&plain)).await, "balance of the organization");
    stage.account().top_up(1_000_000_000_000).await;
    stage.gate.open_once();
    stage.gateway.send(&ask(&plain)).await.ok();
    assert_eq!(stage.upstream.asked(), 1);
    stage.gateway.all_records(1).await;

    let own = Call::get("/api/v1/gateway/key").bearer(&keyed.secret);
    let own = client::send(Version::H1, stage.gateway.settings.admin, &own).await.ok().json();
    let budget = json!({
        "budget_rmb": "0.000001", "budget_period": "day", "spent_rmb": "0.00", "reserved_rmb": "0.00"
    });
    assert_eq!(own["budget"], budget);
}

#[tokio::test]
async fn images_reserve_what_they_are_sold_for() {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new()
        .upstream("up", &upstream)
        .model("m", &["up"])
        .set("/models/m/price", json!({ "input": "0", "output": "0", "image": "0.25" }))
        .start()
        .await;
    let key = gateway.create_key(json!({ "budget_rmb": "0.9" })).await;
    let ask = |n: u64| {
        let body = json!({ "model": "m", "prompt": "A fox.", "n": n });
        Call::post("/v1/images/generations", body.to_string()).bearer(&key.secret)
    };
    assert_unpaid(&gateway.send(&ask(4)).await, "key's budget");
    assert_eq!(upstream.asked(), 0);
    upstream.next(Script::json(200, json!({ "data": [{ "url": "https://x/1.png" }] }).to_string()));
    let answer = gateway.send(&ask(3)).await.ok();
    assert_eq!(gateway.record(&answer.request_id()).await.cost(), 250_000_000_000);
}

#[tokio::test]
async fn what_was_spent_is_spent_also_after_a_kill() {
    let mut stage = Stage::new().await;
    let key = stage.gateway.create_key(json!({ "budget_rmb": "1" })).await;
    let each = stage.reservation(&key.secret).await;
    let cost = money::cost(&stage.truth);
    let path = format!("/api/v1/gateway/keys/{}", key.id);
    let budget = |amount: i128| put(&path, &json!({ "budget_rmb": decimal(amount) }));
    stage.gateway.admin(budget(cost + each)).await.ok();
    // The answer is out, and nothing says that it is in the store.
    stage.gate.open_once();
    stage.gateway.send(&ask(&key.secret)).await.ok();
    stage.gateway.kill9();
    stage.gateway.start().await;
    assert_unpaid(&stage.gateway.send(&ask(&key.secret)).await, "key's budget for this month");
    stage.gateway.admin(budget(2 * cost + each)).await.ok();
    stage.gate.open_once();
    stage.gateway.send(&ask(&key.secret)).await.ok();
    stage.gateway.all_records(3).await;
}
