//! What each attempt cost the operator, which no organization sees.

use crate::support::{
    client::{self, Call, Leave, Version, h1},
    gateway::{Gateway, TestGateway},
    money::{self, pico},
    upstream::{Script, Truth, Upstream},
    wait,
};
use serde_json::{Value, json};

/// Rates that are found nowhere else, so that a leak is seen.
const FIRST: [&str; 3] = ["0.713", "0.337", "3.191"];
const SECOND: [&str; 3] = ["0.517", "0.173", "2.939"];

fn rates([input, cache_read, output]: [&str; 3]) -> Value {
    json!({ "input": input, "cache_read": cache_read, "output": output })
}

/// `first` and then `second`, at these costs.
fn deployments(first: Option<Value>, second: Option<Value>) -> Value {
    json!([
        { "provider": "first", "priority": 0, "cost": first },
        { "provider": "second", "priority": 1, "cost": second },
    ])
}

/// `input`, `cache_read` and `output` tokens at `rates`.
fn cost(rates: [&str; 3], tokens: [u64; 3]) -> i128 {
    let each = |(rate, count): (&str, u64)| pico(rate) / 1_000_000 * i128::from(count);
    rates.into_iter().zip(tokens).map(each).sum()
}

/// An amount as an API would write it.
fn decimal(pico: i128) -> String {
    let text = format!("{}.{:012}", pico / 1_000_000_000_000, pico % 1_000_000_000_000);
    text.trim_end_matches('0').to_owned()
}

/// The margins by deployment: attempts, failed ones, and in units of 10⁻¹² revenue, cost and margin.
async fn margins(gateway: &Gateway) -> Vec<(String, [u64; 2], [i128; 3])> {
    let rows = gateway.admin(Call::get("/api/v1/obs/margins?group_by=deployment")).await.ok().json();
    let row = |row: &Value| {
        let amounts = ["revenue_rmb", "cost_rmb", "margin_rmb"].map(|name| pico(row[name].as_str().unwrap()));
        let counts = ["attempts", "failed_attempts"].map(|name| row[name].as_u64().unwrap());
        (row["deployment"].as_str().unwrap().to_owned(), counts, amounts)
    };
    rows.as_array().unwrap().iter().map(row).collect()
}

#[tokio::test]
async fn a_failed_attempt_that_burned_tokens_is_at_the_operators_cost_and_no_organization_sees_it() {
    let [first, second] = [Upstream::start().await, Upstream::start().await];
    let gateway = TestGateway::new().upstream("first", &first).upstream("second", &second);
    let gateway = gateway
        .model("m", &["first", "second"])
        .set("/models/m/route/deployments", deployments(Some(rates(FIRST)), Some(rates(SECOND))))
        .start()
        .await;
    let key = gateway.key().await;
    // The first one thinks, breaks off with an error, and says what that took.
    let usage = json!({ "prompt_tokens": 90, "completion_tokens": 40, "total_tokens": 130 });
    let failed =
        json!({ "error": { "message": "the model fell over", "type": "server_error" }, "usage": usage });
    first.next(Script::json(200, failed.to_string()));
    gateway.send(&Call::chat(&key, "m")).await.ok();
    // And once without having made anything.
    first.next(Script::error(503, "out of order"));
    gateway.send(&Call::chat(&key, "m")).await.ok();
    gateway.send(&Call::chat(&key, "m")).await.ok();

    let tokens = |upstream: &Upstream| {
        upstream.truths().iter().fold([0; 3], |[input, cached, output], truth| {
            [input + truth.prompt - truth.cached, cached + truth.cached, output + truth.completion]
        })
    };
    assert_eq!((first.truths().len(), second.truths().len()), (1, 2));
    let charged = |upstream: &Upstream| upstream.truths().iter().map(money::cost).sum::<i128>();
    let costs = [cost(FIRST, tokens(&first)) + cost(FIRST, [90, 0, 40]), cost(SECOND, tokens(&second))];
    gateway.all_records(3).await;
    let amounts = |upstream, cost| [charged(upstream), cost, charged(upstream) - cost];
    assert_eq!(
        margins(&gateway).await,
        [
            ("first/m".to_owned(), [3, 2], amounts(&first, costs[0])),
            ("second/m".to_owned(), [2, 0], amounts(&second, costs[1])),
        ]
    );
    // The organization paid for the answers alone.
    let paid: i128 = gateway.usage("model").await.iter().map(|row| row.cost()).sum();
    assert_eq!(paid, charged(&first) + charged(&second));
    let audit = gateway.command(&["audit", "-c", "aione.yaml"]).output().unwrap();
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));

    let made =
        gateway.admin(Call::post("/api/v1/orgs/default/tokens", r#"{"name":"t","role":"owner"}"#)).await;
    let owner = made.json()["token"].as_str().unwrap().to_owned();
    let ask = async |path: &str| {
        client::send(Version::H1, gateway.settings.admin, &Call::get(path).bearer(&owner)).await
    };
    assert_eq!(ask("/api/v1/obs/margins").await.status, 403);
    // What each attempt cost, and all of a deployment's, as decimals and as whole numbers.
    let once =
        |rates, truth: &Truth| cost(rates, [truth.prompt - truth.cached, truth.cached, truth.completion]);
    let each = [
        once(FIRST, &first.truths()[0]),
        once(SECOND, &second.truths()[0]),
        once(SECOND, &second.truths()[1]),
    ];
    let figures: Vec<_> = costs
        .into_iter()
        .chain(each)
        .chain([cost(FIRST, [90, 0, 40])])
        .flat_map(|cost| [cost.to_string(), decimal(cost)])
        .collect();
    for path in [
        "/api/v1/obs/requests",
        "/api/v1/obs/requests?format=csv",
        "/api/v1/obs/usage?group_by=provider,model",
        "/api/v1/obs/dashboard",
        "/api/v1/gateway/models",
        "/api/v1/billing/plan",
        "/api/v1/billing/ledger",
        "/api/v1/explain?model=m",
    ] {
        let said = ask(path).await.text();
        for secret in FIRST.into_iter().chain(SECOND).map(str::to_owned).chain(figures.clone()) {
            assert!(!said.contains(&secret), "{path}: {said}");
        }
        for word in ["outlay", "margin", "failed_attempts"] {
            assert!(!said.contains(word), "{path}: {said}");
        }
    }
}

#[tokio::test]
async fn what_was_sent_and_never_answered_has_no_known_cost() {
    let [first, second] = [Upstream::start().await, Upstream::start().await];
    let gateway = TestGateway::new().upstream("first", &first).upstream("second", &second);
    let gateway = gateway
        .model("m", &["first", "second"])
        .set("/models/m/route/deployments", deployments(Some(rates(FIRST)), None))
        .start()
        .await;
    let key = gateway.key().await;
    first.next(Script::new().reset());
    gateway.send(&Call::chat(&key, "m")).await.ok();
    gateway.all_records(1).await;
    let path = "/api/v1/obs/margins?group_by=deployment,model";
    let rows = gateway.admin(Call::get(path)).await.ok().json();
    let revenue = money::cost(&second.truths()[0]);
    let unknown: Vec<_> = rows.as_array().unwrap().iter().map(|row| &row["attempts_without_cost"]).collect();
    assert_eq!(unknown, [1, 1], "{rows}");
    // The second deployment states no cost: nobody can say what is left.
    assert_eq!(pico(rows[1]["revenue_without_cost_rmb"].as_str().unwrap()), revenue);
    assert_eq!((&rows[1]["revenue_rmb"], &rows[1]["margin_rmb"]), (&json!("0.00"), &json!("0.00")));
}

#[tokio::test]
async fn an_error_that_burned_tokens_is_at_the_operators_cost_alone_also_when_the_caller_got_it() {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new()
        .upstream("first", &upstream)
        .model("m", &["first"])
        .set("/models/m/route/deployments", json!([{ "provider": "first", "cost": rates(FIRST) }]))
        .start()
        .await;
    let key = gateway.key().await;
    let usage = json!({ "prompt_tokens": 90, "completion_tokens": 40, "total_tokens": 130 });
    let failed = json!({ "error": { "message": "it fell over", "type": "server_error" }, "usage": usage });
    upstream.next(Script::json(500, failed.to_string()));
    let answer = gateway.send(&Call::chat(&key, "m")).await;
    assert!(answer.status >= 500, "{answer:?}");
    let records = gateway.all_records(1).await;
    assert_eq!((records[0].prompt(), records[0].completion()), (90, 40), "nothing is lost");
    assert_eq!(gateway.usage("model").await.iter().map(|row| row.cost()).sum::<i128>(), 0);
    let cost = cost(FIRST, [90, 0, 40]);
    assert_eq!(margins(&gateway).await, [("first/m".to_owned(), [1, 1], [0, cost, -cost])]);
    let audit = gateway.command(&["audit", "-c", "aione.yaml"]).output().unwrap();
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}

#[tokio::test]
async fn an_attempt_before_one_whose_caller_left_is_not_forgotten() {
    let [first, second] = [Upstream::start().await, Upstream::start().await];
    let gateway = TestGateway::new().upstream("first", &first).upstream("second", &second);
    let gateway = gateway
        .with(|settings| settings.on_disconnect("second", "none"))
        .model("m", &["first", "second"])
        .set("/models/m/route/deployments", deployments(Some(rates(FIRST)), Some(rates(SECOND))))
        .start()
        .await;
    let key = gateway.key().await;
    let usage = json!({ "prompt_tokens": 90, "completion_tokens": 40, "total_tokens": 130 });
    let failed = json!({ "error": { "message": "it fell over", "type": "server_error" }, "usage": usage });
    first.next(Script::json(200, failed.to_string()));
    second.next(Script::new().await_gone());
    let mut connection = h1::Connection::open(gateway.settings.public).await;
    connection.start(&Call::chat(&key, "m"));
    wait::until("the second deployment is asked", async || (second.asked() > 0).then_some(())).await;
    connection.leave(Leave::Fin).await;
    gateway.all_records(1).await;
    let burned = cost(FIRST, [90, 0, 40]);
    let expected =
        [("first/m".to_owned(), [1, 1], [0, burned, -burned]), ("second/m".to_owned(), [1, 0], [0; 3])];
    assert_eq!(margins(&gateway).await, expected);
    // Of the second nobody heard what it made.
    let rows = gateway.admin(Call::get("/api/v1/obs/margins?group_by=deployment")).await.ok().json();
    assert_eq!(
        (&rows[0]["attempts_without_cost"], &rows[1]["attempts_without_cost"]),
        (&json!(0), &json!(1))
    );
}
