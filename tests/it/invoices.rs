//! A month is closed, issued, corrected and paid: the documents as a customer gets them, on both stores.

use crate::support::{
    client::{self, Answer, Call, Version},
    gateway::{Gateway, TestGateway},
    past,
    postgres::{self, PEPPER},
    settings::OPERATOR,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const ISSUES: usize = 20;

async fn on_postgres() -> Gateway {
    let url = postgres::database().await;
    stage(TestGateway::new().set("/storage/database", url).set("/secrets/key_pepper", PEPPER)).await
}

async fn stage(gateway: TestGateway) -> Gateway {
    gateway.simulated("sim").model("m", &["sim"]).start().await
}

async fn post(gateway: &Gateway, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    gateway.admin(Call::post(&format!("/api/v1/orgs/default{path}"), body)).await
}

async fn org(gateway: &Gateway) -> String {
    let org = gateway.admin(Call::get("/api/v1/orgs/default")).await.ok().json();
    org["id"].as_str().unwrap().to_owned()
}

async fn balance(gateway: &Gateway) -> Value {
    gateway.admin(Call::get("/api/v1/billing/account")).await.ok().json()["balance_rmb"].clone()
}

async fn a_month_from_its_end_to_its_payment(gateway: Gateway) {
    let org = org(&gateway).await;
    let mut tax = Call::post("/api/v1/orgs/default", json!({ "tax_rate_pct": "6" }).to_string());
    tax.method = "PUT";
    gateway.admin(tax).await.ok();
    // In Shanghai the last of them is of November.
    let charges = [
        ("2025-10-05T00:00:00Z", 1_234_567_890_123),
        ("2025-10-31T15:59:59.999Z", 2_000_000_000_000),
        ("2025-10-31T16:00:00Z", 50_000_000_000_000),
    ];
    past::charge(&gateway, &org, &charges).await;
    let draft = post(&gateway, "/invoices/close", &json!({ "period": "2025-10" })).await;
    assert_eq!(draft.status, 201, "{}", draft.text());
    let id = draft.json()["id"].as_str().unwrap().to_owned();
    let issued = post(&gateway, &format!("/invoices/{id}/issue"), &Value::Null).await.ok().json();
    assert_eq!((&issued["number"], &issued["amount_rmb"]), (&json!("INV-000001"), &json!("3.42")));
    assert_eq!(balance(&gateway).await, "-53.42", "what is invoiced is owed as it stands there");
    let credit = json!({ "amount_rmb": "1.00", "note": "an outage on the 5th" });
    assert_eq!(post(&gateway, &format!("/invoices/{id}/credit-note"), &credit).await.status, 201);
    let paid = post(&gateway, &format!("/invoices/{id}/pay"), &Value::Null).await.ok().json();
    assert_eq!((&paid["status"], &paid["credited_rmb"]), (&json!("paid"), &json!("1.00")));
    assert_eq!(balance(&gateway).await, "-50.00");

    // Nobody changes it any more, whoever asks and however.
    for what in ["issue", "pay", "void"] {
        assert_eq!(
            post(&gateway, &format!("/invoices/{id}/{what}"), &Value::Null).await.status,
            409,
            "{what}"
        );
    }
    for method in ["PUT", "DELETE", "PATCH"] {
        for path in [format!("/api/v1/billing/invoices/{id}"), format!("/api/v1/orgs/default/invoices/{id}")]
        {
            let mut call = Call::post(&path, "{}");
            call.method = method;
            let refused = gateway.admin(call).await.status;
            assert!([404, 405].contains(&refused), "{method} {path}: {refused}");
        }
    }
    let show = async |query: &str| {
        gateway.admin(Call::get(&format!("/api/v1/billing/invoices/{id}{query}"))).await.ok()
    };
    assert_eq!(show("").await.json(), paid);
    let page = show("?format=html").await;
    if let Ok(folder) = std::env::var("AIONE_TEST_PAGES") {
        std::fs::write(std::path::Path::new(&folder).join("invoice.html"), page.text()).unwrap();
    }
    for part in ["Invoice INV-000001", "CN-000001", "an outage on the 5th", "Paid. Thank you."] {
        assert!(page.text().contains(part), "{part} in {}", page.text());
    }
    assert_eq!(show("?format=csv").await.text().lines().last().unwrap(), "credit_note,,CN-000001,,,,-1.00");

    // What is left is in the next one, and what comes late as well.
    past::charge(&gateway, &org, &[("2025-10-06T00:00:00Z", 5_000_000_000)]).await;
    let next = post(&gateway, "/invoices/close", &json!({ "period": "2025-11" })).await.json();
    let lines: Vec<_> =
        next["lines"].as_array().unwrap().iter().map(|line| (&line["month"], &line["amount_rmb"])).collect();
    assert_eq!(lines, [(&json!("2025-10"), &json!("0.01")), (&json!("2025-11"), &json!("50.00"))]);
    let audit = gateway.command(&["audit", "-c", "aione.yaml"]).output().unwrap();
    let said = String::from_utf8_lossy(&audit.stdout);
    assert!(said.contains("invoices  2"), "{said}");
}

#[tokio::test]
async fn a_month_from_its_end_to_its_payment_on_sqlite() {
    a_month_from_its_end_to_its_payment(stage(TestGateway::new()).await).await;
}

#[tokio::test]
async fn a_month_from_its_end_to_its_payment_on_postgres() {
    a_month_from_its_end_to_its_payment(on_postgres().await).await;
}

async fn numbers_have_no_gaps(gateway: Gateway) {
    let mut ids = Vec::new();
    for month in 0..ISSUES {
        let period = format!("{}-{:02}", 2020 + month / 12, 1 + month % 12);
        let draft = post(&gateway, "/invoices/close", &json!({ "period": period })).await.json();
        ids.push(draft["id"].as_str().unwrap().to_owned());
    }
    let admin = gateway.settings.admin;
    let mut issues = JoinSet::new();
    // Each of them twice: one of the two is refused, and takes no number.
    for id in ids.iter().chain(&ids) {
        let call = Call::post(&format!("/api/v1/orgs/default/invoices/{id}/issue"), "").bearer(OPERATOR);
        issues.spawn(async move { client::send(Version::H1, admin, &call).await });
    }
    let mut numbers = Vec::new();
    while let Some(answer) = issues.join_next().await {
        let answer = answer.unwrap();
        match answer.status {
            200 => numbers.push(answer.json()["number"].as_str().unwrap().to_owned()),
            status => assert_eq!(status, 409, "{}", answer.text()),
        }
    }
    numbers.sort();
    let expected: Vec<String> = (1..=ISSUES).map(|number| format!("INV-{number:06}")).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_have_no_gaps_on_sqlite() {
    numbers_have_no_gaps(stage(TestGateway::new()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_have_no_gaps_on_postgres() {
    numbers_have_no_gaps(on_postgres().await).await;
}
