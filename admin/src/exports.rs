//! Files of any length: how many are on their way at once, and whole or not at all for those who cannot
//! tell a file that broke off from a whole one.

use crate::error::Refusal;
use aione_core::{domain::id::OrgId, ports::StoreError};
use axum::{
    body::{self, Body, HttpBody as _},
    extract::Request,
    http::Version,
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{
    collections::HashMap,
    error::Error as _,
    sync::{Arc, Mutex, PoisonError},
};

/// Files at once, of one organization and of all: each holds what the store is ahead of its reader.
const OF_ONE_MAX: usize = 4;
const OF_ALL_MAX: usize = 64;
/// Bytes of a file for a caller of HTTP/1.0: it is held whole before it is sent.
const HELD_BYTES_MAX: usize = 256 * 1024;

/// Who has how many files on their way.
#[derive(Clone, Default)]
pub(crate) struct Exports(Arc<Mutex<HashMap<OrgId, usize>>>);

/// A file on its way. It has ended when this is dropped.
pub(crate) struct Turn {
    exports: Exports,
    org: OrgId,
}

impl Exports {
    /// # Errors
    /// As many are on their way as may be.
    pub(crate) fn begin(&self, org: OrgId) -> Result<Turn, Refusal> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = under_way.get(&org).copied().unwrap_or_default();
        if of_one >= OF_ONE_MAX || under_way.values().sum::<usize>() >= OF_ALL_MAX {
            return Err(Refusal::TooManyExports);
        }
        under_way.insert(org, of_one + 1);
        Ok(Turn { exports: self.clone(), org })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut under_way = self.exports.0.lock().unwrap_or_else(PoisonError::into_inner);
        match under_way.get_mut(&self.org) {
            Some(of_one) if *of_one > 1 => *of_one -= 1,
            _ => drop(under_way.remove(&self.org)),
        }
    }
}

/// An answer of unknown length ends with the connection where HTTP/1.0 is spoken, and one that broke off
/// does too: it is sent with its length, or not at all.
pub(crate) async fn keep_whole(request: Request, next: Next) -> Response {
    let is_told_apart = request.version() > Version::HTTP_10;
    let answer = next.run(request).await;
    if is_told_apart || answer.body().size_hint().exact().is_some() {
        return answer;
    }
    let (parts, body) = answer.into_parts();
    match body::to_bytes(body, HELD_BYTES_MAX).await {
        Ok(bytes) => Response::from_parts(parts, Body::from(bytes)),
        Err(error)
            if error.source().is_some_and(|source| source.is::<http_body_util::LengthLimitError>()) =>
        {
            Refusal::TooLongForHttp10.into_response()
        }
        Err(error) => Refusal::Store(StoreError::Unavailable(error.to_string())).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn so_many_files_are_on_their_way_at_once() {
        let exports = Exports::default();
        let org = |number| OrgId(Uuid::from_u128(number));
        let begin = |number| exports.begin(org(number));
        let mut of_one: Vec<_> = (0..OF_ONE_MAX).map(|_| begin(1).ok().unwrap()).collect();
        assert!(matches!(begin(1), Err(Refusal::TooManyExports)));
        of_one.pop();
        of_one.push(begin(1).ok().unwrap());
        let rest = OF_ALL_MAX - OF_ONE_MAX;
        let others: Vec<_> = (0..rest).map(|number| begin(2 + number as u128).ok().unwrap()).collect();
        assert!(matches!(begin(99), Err(Refusal::TooManyExports)));
        drop((of_one, others));
        assert!(exports.0.lock().unwrap().is_empty());
    }
}
