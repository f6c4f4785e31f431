//! Use of months that are over, which no request of today's can make.

use super::gateway::Gateway;
use aione_core::{
    config::snapshot::{Database, Secret},
    domain::{
        clock::Timestamp,
        id::{KeyId, OrgId, RecordId, TeamId},
        money::Pico,
        outlay::Outlay,
        usage::{Closed, End, Opened, Provenance, Usage, UsageRecord},
    },
    ports::UsageStore as _,
};
use aione_gateway::store::Store;
use std::sync::Arc;

/// Charges an organization of a gateway's, by its id, at each of these times (RFC 3339) with so many 10⁻¹² of
/// a unit.
pub async fn charge(gateway: &Gateway, org: &str, charges: &[(&str, i128)]) {
    let settings: serde_json::Value = serde_json::from_str(&gateway.settings.text()).unwrap();
    let database = match settings.pointer("/storage/database").and_then(serde_json::Value::as_str) {
        Some(url) if url.starts_with("postgres") => Database::Postgres(Secret::new(url.to_owned())),
        _ => Database::Sqlite(gateway.database()),
    };
    let store = Store::open(&database).await.unwrap();
    let org: OrgId = org.parse().unwrap();
    let records: Vec<_> = charges
        .iter()
        .map(|(at, cost)| {
            let at = Timestamp(chrono::DateTime::parse_from_rfc3339(at).unwrap().timestamp_millis());
            record(org, at, Pico(*cost))
        })
        .collect();
    store.insert_records(&records).await.unwrap();
    store.close().await;
}

fn record(org: OrgId, started_at: Timestamp, cost: Pico) -> UsageRecord {
    let id = RecordId::new(started_at, rand::random());
    let opened = Opened {
        id,
        started_at,
        org,
        team: TeamId(org.0),
        key: KeyId(org.0),
        model: Arc::from("m"),
        dialect: Arc::from("openai_chat"),
        provider: Arc::from("up"),
        sandbox: false,
        streamed: false,
        price_version: 0,
        estimated_input: 1,
    };
    let closed = Closed {
        id,
        provider: Arc::from("up"),
        upstream_model: Arc::from("m"),
        end: End::Complete,
        status: 200,
        attempts: 1,
        usage: Usage { input: 1, ..Usage::default() },
        provenance: Provenance::Provider,
        flagged: false,
        unpriced: false,
        latency_ms: 1,
        first_byte_ms: 1,
        cost,
        outlay: Outlay::default(),
    };
    UsageRecord { opened, closed }
}
