//! The default organization's account, as an operator and its own admin see it through one node.

use super::{
    client::{self, Answer, Call, Version},
    gateway::Gateway,
    money,
    settings::OPERATOR,
};
use serde_json::{Value, json};

pub struct Account<'g>(pub &'g Gateway);

impl Account<'_> {
    pub async fn operator(&self, call: Call, status: u16) -> Value {
        let answer = client::send(Version::H1, self.0.settings.admin, &call.bearer(OPERATOR)).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        answer.json()
    }

    pub async fn org(&self, change: Value) {
        self.operator(put("/api/v1/orgs/default", &change), 200).await;
    }

    pub async fn top_up(&self, amount: i128) {
        let body = json!({ "kind": "top_up", "amount_rmb": decimal(amount) });
        self.operator(Call::post("/api/v1/orgs/default/credits", body.to_string()), 201).await;
    }

    /// What the account says of `name`, in units of 10⁻¹².
    pub async fn amount(&self, name: &str) -> i128 {
        let account = self.0.admin(Call::get("/api/v1/billing/account")).await.ok().json();
        money::pico(account[name].as_str().unwrap())
    }
}

pub fn put(path: &str, body: &Value) -> Call {
    let mut call = Call::post(path, body.to_string());
    call.method = "PUT";
    call
}

pub fn decimal(pico: i128) -> String {
    format!("{}.{:012}", pico / 1_000_000_000_000, pico % 1_000_000_000_000)
}

pub fn assert_unpaid(answer: &Answer, whose: &str) {
    assert_eq!(answer.status, 402, "{}", answer.text());
    assert_eq!(answer.json()["error"]["type"], "billing_error");
    assert_eq!(answer.code(), "insufficient_balance");
    assert_eq!(answer.header("x-aione-refused"), Some("insufficient_balance"));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert_eq!(answer.header("retry-after"), None);
    assert!(answer.message().contains(whose), "{}", answer.message());
}
