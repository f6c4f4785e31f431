//! What the trail shows of a row: the shape in which the API answers it, without any secret.

use crate::{keys::KeyResponse, orgs::OrgResponse, teams::TeamResponse, tokens::TokenResponse};
use aione_core::{domain::clock::Timestamp, ports::Row};
use serde_json::Value;

pub(crate) fn of(row: &Row, now: Timestamp) -> Value {
    let shape = match row {
        Row::Key(key) => serde_json::to_value(KeyResponse::of(key, now)),
        Row::Token(token) => serde_json::to_value(TokenResponse::of(token)),
        Row::Organization(org) => serde_json::to_value(OrgResponse::of(org)),
        Row::Team(team) => serde_json::to_value(TeamResponse::of(team)),
    };
    shape.expect("an answer is made of strings and numbers")
}
