//! `Idempotency-Key`: the same request again gets the answer of the first, for a day, also after a
//! crash; another request under the same key is refused.
//!
//! Of the key itself only a hash is kept. The answer, which may hold a secret, is sealed under a
//! key that is derived from it and from the pepper: a copy of the store does not open it.

use crate::{
    Admin,
    error::Refusal,
    validate::{Fault, Problem},
    write::{Acting, respond},
};
use aione_core::{domain::clock::Timestamp, ports::KeptAnswer};
use axum::{
    http::{HeaderValue, StatusCode, request::Parts},
    response::Response,
};
use chacha20poly1305::{
    XChaCha20Poly1305,
    aead::{Aead, KeyInit, Payload},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

const HEADER: &str = "idempotency-key";
/// Says that an answer is an earlier one.
const REPLAYED: &str = "idempotent-replayed";
/// Characters that a key may have.
const KEY_MAX: usize = 255;
/// How long an answer is kept, in milliseconds.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// Random bytes in front of what is sealed.
const NONCE_BYTES: usize = 24;

/// What makes a request the same as another.
pub(crate) struct Repetition {
    key: String,
    /// Organization, actor, route and key.
    pub(crate) scope: [u8; 32],
    body: [u8; 32],
}

impl Repetition {
    /// `None` where the caller asks for none.
    pub(crate) fn of(parts: &Parts, acting: &Acting, body: &[u8]) -> Result<Option<Self>, Refusal> {
        let mut given = parts.headers.get_all(HEADER).iter();
        let Some(only) = given.next() else { return Ok(None) };
        let key = match only.to_str().map(str::trim) {
            Ok(key) if given.next().is_none() && !key.is_empty() && key.len() <= KEY_MAX => key.to_owned(),
            _ => return Err(malformed()),
        };
        let mut scope = Sha256::new();
        let org = acting.org.map(|org| org.to_string()).unwrap_or_default();
        let actor = acting.actor.id();
        let route = [parts.method.as_str(), parts.uri.path()];
        for part in [&org, acting.actor.kind(), &actor, route[0], route[1], &key] {
            scope.update((part.len() as u64).to_be_bytes());
            scope.update(part);
        }
        Ok(Some(Self { scope: scope.finalize().into(), body: Sha256::digest(body).into(), key }))
    }

    /// Seals an answer that is not known yet.
    pub(crate) fn keeper(
        &self,
        admin: &Admin,
        now: Timestamp,
    ) -> Result<impl FnOnce(StatusCode, &[u8]) -> KeptAnswer + Send + use<>, Refusal> {
        let first = admin.mint.seal_keys(self.key.as_bytes()).into_iter().next().ok_or(Refusal::Internal)?;
        let mut nonce = [0; NONCE_BYTES];
        admin.surroundings.entropy(&mut nonce);
        let (scope, request) = (self.scope, self.body);
        Ok(move |status: StatusCode, body: &[u8]| {
            let sealed = XChaCha20Poly1305::new(&first.into())
                .encrypt(&nonce.into(), Payload { msg: body, aad: &scope })
                .expect("an answer is far below what the cipher takes");
            KeptAnswer {
                scope,
                request,
                status: status.as_u16(),
                sealed: [&nonce[..], &sealed].concat(),
                kept_until: now.plus_ms(KEPT_MS),
            }
        })
    }
}

/// The answer of the first request, byte by byte.
///
/// # Errors
/// The request is not the same, or the answer cannot be opened.
pub(crate) fn replayed(
    admin: &Admin,
    repetition: &Repetition,
    kept: KeptAnswer,
) -> Result<Response, Refusal> {
    if kept.request != repetition.body {
        return Err(Refusal::KeyReused);
    }
    let body = open(admin, repetition, &kept.sealed).ok_or(Refusal::Internal)?;
    let status = StatusCode::from_u16(kept.status).map_err(|_| Refusal::Internal)?;
    let mut answer = respond(status, body);
    answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(answer)
}

/// An older pepper opens what was sealed while it was the first.
fn open(admin: &Admin, repetition: &Repetition, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    admin.mint.seal_keys(repetition.key.as_bytes()).into_iter().find_map(|key| {
        let payload = Payload { msg: sealed, aad: &repetition.scope };
        XChaCha20Poly1305::new(&key.into()).decrypt(&(*nonce).into(), payload).ok()
    })
}

fn malformed() -> Refusal {
    let fault = Fault::new("value_error", "Value error, one key of 1 to 255 visible ASCII characters");
    Refusal::Invalid(vec![Problem::new(vec!["header".into(), HEADER.into()], fault, Value::Null)])
}
