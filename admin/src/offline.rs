//! Keys and tokens for who has the store itself at hand, such as the command line: made from the
//! same fields, by the same checks, as through the API.

use crate::{
    author::Author,
    error::Refusal,
    keys::{Models, NewKey, Rotation},
    tokens::NewToken,
    validate::Fields,
};
use aione_core::{
    config::snapshot::Snapshot,
    domain::{
        audit::Actor,
        clock::Timestamp,
        credential::ManagementToken,
        id::{KeyId, OrgId, TeamId, TokenId},
        key::Key,
    },
    ports::{Organization, Sign, Trail},
};
use serde_json::{Map, Value};
use std::time::Duration;

/// The row in the trail that whoever has the store itself at hand leaves of a change. `entropy` is ten
/// random bytes.
pub fn sign(org: OrgId, action: &'static str, now: Timestamp, entropy: [u8; 10]) -> Sign {
    let author = Author { actor: Actor::Local, address: None, org: Some(org), now, entropy };
    Box::new(move |changed| Trail { audit: author.row_of(action, changed), answer: None })
}

/// The key that `POST /gateway/keys` would make of `fields`, in `team`.
///
/// # Errors
/// Everything that is wrong with the fields, a line each.
pub fn new_key(
    fields: Map<String, Value>,
    snapshot: &Snapshot,
    org: &Organization,
    team: TeamId,
    now: Timestamp,
) -> Result<impl FnOnce(KeyId, String) -> Key, Vec<String>> {
    let models = Models::of(snapshot, org);
    let asked = NewKey::take(Fields::of_body(fields), &models, Some(team), now).map_err(lines)?;
    Ok(move |id, prefix| asked.into_key(id, org, prefix, now))
}

/// The token that `POST /orgs/{org}/tokens` would make of `fields`.
///
/// # Errors
/// Everything that is wrong with the fields, a line each.
pub fn new_token(
    fields: Map<String, Value>,
    id: TokenId,
    org: OrgId,
    now: Timestamp,
) -> Result<ManagementToken, Vec<String>> {
    let asked = NewToken::take(Fields::of_body(fields), now).map_err(lines)?;
    Ok(asked.into_token(id, org, now))
}

/// Until when `PUT /gateway/keys/{key_id}/rotate` would take the former secret.
///
/// # Errors
/// Everything that is wrong with the fields, a line each.
pub fn grace_until(
    fields: Map<String, Value>,
    default: Duration,
    now: Timestamp,
) -> Result<Timestamp, Vec<String>> {
    let asked = Rotation::take(Fields::of_body(fields)).map_err(lines)?;
    Ok(asked.grace_until(now, default))
}

fn lines(refusal: Refusal) -> Vec<String> {
    match refusal {
        Refusal::Invalid(problems) => problems.iter().map(ToString::to_string).collect(),
        other => vec![other.detail().into_owned()],
    }
}
