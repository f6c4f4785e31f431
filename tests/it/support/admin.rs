//! The operator's side of a running gateway: keys, usage, metrics.

use super::{
    client::{self, Answer, Call, Version},
    gateway::Gateway,
    money,
    records::Record,
    settings::OPERATOR,
    wait,
};
use serde_json::{Value, json};

/// An inference key and what the management API said of it.
#[derive(Clone, Debug)]
pub struct Key {
    pub id: String,
    pub secret: String,
    pub json: Value,
}

/// A row of `/obs/usage`.
#[derive(Clone, Debug)]
pub struct UsageRow(pub Value);

impl UsageRow {
    fn count(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or_else(|| panic!("no number {name} in {}", self.0))
    }

    pub fn requests(&self) -> u64 {
        self.count("requests")
    }

    pub fn prompt(&self) -> u64 {
        self.count("prompt_tokens")
    }

    pub fn cached(&self) -> u64 {
        self.count("cached_tokens")
    }

    pub fn completion(&self) -> u64 {
        self.count("completion_tokens")
    }

    pub fn reasoning(&self) -> u64 {
        self.count("reasoning_tokens")
    }

    /// In units of 10⁻¹².
    pub fn cost(&self) -> i128 {
        money::pico(self.0["cost_rmb"].as_str().expect("money is a decimal string"))
    }
}

impl Gateway {
    /// A call to the admin listener as operator, in the organization `default`.
    pub async fn admin(&self, call: Call) -> Answer {
        let call = call.bearer(OPERATOR).header("x-aione-org", "default");
        client::send(Version::H1, self.settings.admin, &call).await
    }

    /// Creates a key; `fields` are added to its name.
    pub async fn create_key(&self, fields: Value) -> Key {
        let mut body = json!({ "name": "a key of a test" });
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        let answer = self.admin(Call::post("/api/v1/gateway/keys", body.to_string())).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let json = answer.json();
        let text =
            |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned();
        Key { id: text("id"), secret: text("key"), json }
    }

    /// A key without limits of its own.
    pub async fn key(&self) -> String {
        self.create_key(json!({})).await.secret
    }

    pub async fn usage(&self, group_by: &str) -> Vec<UsageRow> {
        let answer = self.admin(Call::get(&format!("/api/v1/obs/usage?group_by={group_by}"))).await.ok();
        let Value::Array(rows) = answer.json() else { panic!("not a bare array: {}", answer.text()) };
        rows.into_iter().map(UsageRow).collect()
    }

    /// The usage by model once `enough` says so.
    pub async fn usage_eventually(&self, enough: impl Fn(&[UsageRow]) -> bool) -> Vec<UsageRow> {
        let found = wait::until_within(wait::PATIENCE, async || {
            let rows = self.usage("model").await;
            enough(&rows).then_some(rows)
        });
        match found.await {
            Some(rows) => rows,
            None => panic!("the usage stays {:#?}", self.usage("model").await),
        }
    }

    pub async fn metrics(&self) -> Metrics {
        let answer = client::send(Version::H1, self.settings.metrics, &Call::get("/metrics")).await.ok();
        Metrics(answer.text())
    }

    /// Waits until no request is in flight, nothing is reserved, and every exchange that has ended
    /// is in the store: from then on a record that is not there will not come.
    pub async fn quiet(&self) {
        let looked = wait::until_within(wait::PATIENCE, async || {
            let metrics = self.metrics().await;
            let over =
                ["in_flight", "reserv", "unrecorded_records"].iter().all(|part| metrics.sum(part) == 0.0);
            over.then_some(())
        });
        if looked.await.is_none() {
            panic!("still in flight, reserved or unrecorded:\n{}", self.metrics().await.0);
        }
    }

    /// All records, of which there are `count`, once none can come any more.
    pub async fn all_records(&self, count: usize) -> Vec<Record> {
        self.quiet().await;
        let records = self.records().await;
        assert_eq!(records.len(), count, "{records:#?}");
        records
    }
}

/// A Prometheus exposition.
#[derive(Clone, Debug)]
pub struct Metrics(pub String);

impl Metrics {
    /// Every series with its value.
    pub fn series(&self) -> impl Iterator<Item = (&str, f64)> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value in {line:?}"));
            (series, value.parse().unwrap_or_else(|_| panic!("not a number in {line:?}")))
        })
    }

    /// The sum over all gauges and counters whose series contains `part`.
    pub fn sum(&self, part: &str) -> f64 {
        self.series().filter(|(series, _)| series.contains(part)).map(|(_, value)| value).sum()
    }
}
