//! Keys and tokens for who has the store itself at hand, such as the command line: made from the
//! same fields, by the same checks, as through the API.

use crate::{
    error::Refusal,
    keys::{Models, NewKey, Rotation},
    shape,
    tokens::NewToken,
    validate::Fields,
};
use aione_core::{
    config::snapshot::Snapshot,
    domain::{
        audit::{Actor, AuditEntry},
        clock::Timestamp,
        credential::ManagementToken,
        id::{AuditId, KeyId, OrgId, TeamId, TokenId},
        key::Key,
    },
    ports::{Organization, Sign, Trail},
};
use serde_json::{Map, Value};
use std::time::Duration;

/// The row in the trail that whoever has the store itself at hand leaves of a change. `entropy` is ten
/// random bytes.
pub fn sign(org: OrgId, action: &'static str, now: Timestamp, entropy: [u8; 10]) -> Sign {
    Box::new(move |changed| {
        let (before, after) = shape::difference(changed, now);
        let audit = AuditEntry {
            id: AuditId::new(now, entropy),
            at: now,
            org: Some(org),
            actor: Actor::Local,
            address: None,
            action: action.to_owned(),
            object: changed.row().object(),
            object_id: changed.row().id(),
            before,
            after,
        };
        Trail { audit, answer: None }
    })
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
