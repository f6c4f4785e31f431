//! What the trail shows of a row: the shape in which the API answers it, without any secret.

use crate::{
    invoices::InvoiceResponse, keys::KeyResponse, ledger::LedgerEntryResponse, orgs::OrgResponse,
    teams::TeamResponse, tokens::TokenResponse,
};
use aione_core::{
    domain::clock::Timestamp,
    ports::{Changed, Row},
};
use serde_json::Value;

/// Before and after; of a row that was there and is still, only the fields that differ: a write that
/// changes little, or nothing, must not fill the trail.
pub(crate) fn difference(changed: &Changed, now: Timestamp) -> (Option<Value>, Option<Value>) {
    let of = |row: Option<&Row>| row.map(|row| of(row, now));
    let (mut before, mut after) = (of(changed.before()), of(changed.after()));
    if let (Some(Value::Object(before)), Some(Value::Object(after))) = (&mut before, &mut after) {
        before.retain(|field, value| {
            let differs = after.get(field) != Some(value);
            if !differs {
                after.remove(field);
            }
            differs
        });
    }
    (before, after)
}

fn of(row: &Row, now: Timestamp) -> Value {
    let shape = match row {
        Row::Key(key) => serde_json::to_value(KeyResponse::of(key, now)),
        Row::Token(token) => serde_json::to_value(TokenResponse::of(token)),
        Row::Organization(org) => serde_json::to_value(OrgResponse::of(org)),
        Row::Team(team) => serde_json::to_value(TeamResponse::of(team)),
        Row::Entry(entry) => serde_json::to_value(LedgerEntryResponse::of(entry)),
        Row::Invoice(invoice) => serde_json::to_value(InvoiceResponse::of(invoice)),
    };
    shape.expect("an answer is made of strings and numbers")
}
