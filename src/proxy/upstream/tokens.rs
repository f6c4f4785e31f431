//! Tokens that service accounts are given: asked for in the background, ahead of the end of the one that is
//! in use, one request at a time for each account. A request waits only for the first.

use super::{
    connectors::{Connection, Connectors},
    target::Target,
};
use crate::clock;
use aione_core::{
    domain::clock::Timestamp,
    provider::vertex::{Minted, Schedule, ServiceAccount},
};
use bytes::Bytes;
use dashmap::DashMap;
use futures_util::{StreamExt, stream::FuturesUnordered};
use http::{HeaderValue, Version, header};
use parking_lot::Mutex;
use pingora_core::protocols::http::{client::HttpSession, v1::client::HttpSession as Http1Session};
use pingora_http::RequestHeader;
use sha2::{Digest, Sha256};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, watch};

/// The longest time without a look at what is due.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How long being given a token may take.
const ASK_MAX: Duration = Duration::from_secs(15);
/// Largest answer with a token, in bytes.
const ANSWER_MAX: usize = 64 * 1024;

/// All of the process, by account and by where it is asked from.
#[derive(Default)]
pub(crate) struct Tokens {
    all: DashMap<([u8; 32], usize), Arc<Token>>,
    changed: Notify,
}

/// One account's.
pub(crate) struct Token {
    account: Arc<ServiceAccount>,
    target: Arc<Target>,
    schedule: Mutex<Schedule>,
    is_asked_for: AtomicBool,
    told: watch::Sender<Told>,
}

/// What requests know of it.
#[derive(Clone, Default)]
struct Told {
    present: Option<Present>,
    /// The last time that it was asked for it was not given.
    failed: bool,
}

#[derive(Clone)]
struct Present {
    value: HeaderValue,
    expires: Timestamp,
}

impl Tokens {
    /// The token of `account`, which is asked for at `target`; from now on it is kept fresh.
    pub(crate) fn get(&self, account: &Arc<ServiceAccount>, target: &Arc<Target>) -> Arc<Token> {
        let file = Sha256::digest(account.file().expose().as_bytes()).into();
        let key = (file, Arc::as_ptr(target).addr());
        let entry = self.all.entry(key).or_insert_with(|| {
            Arc::new(Token {
                account: account.clone(),
                target: target.clone(),
                schedule: Mutex::new(Schedule::new(clock::now())),
                is_asked_for: AtomicBool::new(false),
                told: watch::Sender::new(Told::default()),
            })
        });
        self.changed.notify_one();
        entry.clone()
    }

    /// An upstream did not take the token.
    pub(super) fn refused(&self, token: &Token) {
        token.schedule.lock().refused(clock::now());
        self.changed.notify_one();
    }

    /// Asks for what is due, for as long as the process lives.
    pub(crate) async fn refresh(&self) {
        // Connections of its own: requests' are of other runtimes.
        let connectors = Connectors::new();
        let mut under_way = FuturesUnordered::new();
        loop {
            self.all.retain(|_, token| Arc::strong_count(token) > 1);
            let mut wait = LOOK_EVERY;
            let all: Vec<_> = self.all.iter().map(|entry| entry.value().clone()).collect();
            for token in all {
                if token.is_asked_for.load(Ordering::Relaxed) {
                    continue;
                }
                let rest = token.schedule.lock().wait(clock::now());
                if rest.is_zero() {
                    token.is_asked_for.store(true, Ordering::Relaxed);
                    under_way.push(renew(token, &connectors));
                } else {
                    wait = wait.min(rest);
                }
            }
            tokio::select! {
                _ = under_way.next(), if !under_way.is_empty() => {}
                () = self.changed.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

impl Token {
    /// The value of the header. Waits, `patience` at the most, where there is none yet. `None`: none is given.
    pub(super) async fn value(&self, patience: Duration) -> Option<HeaderValue> {
        let mut told = self.told.subscribe();
        if let Some(value) = told.borrow_and_update().value() {
            return Some(value);
        }
        // Where it was refused, the next try is not waited for: another deployment may be there.
        if told.borrow().failed && !self.is_asked_for.load(Ordering::Relaxed) {
            return None;
        }
        tokio::time::timeout(patience, told.changed()).await.ok()?.ok()?;
        told.borrow().value()
    }
}

impl Told {
    fn value(&self) -> Option<HeaderValue> {
        let present = self.present.as_ref()?;
        (present.expires > clock::now()).then(|| present.value.clone())
    }
}

/// Asks for one, and tells what came of it.
async fn renew(token: Arc<Token>, connectors: &Connectors) {
    let asked_at = clock::now();
    let asked = tokio::time::timeout(ASK_MAX, ask(&token, connectors, asked_at)).await;
    let minted = match asked {
        Ok(Ok((status, body))) => token.account.answer(status, &body, asked_at),
        Ok(Err(reason)) => Err(reason.to_owned()),
        Err(_) => Err("no answer in time".to_owned()),
    };
    let now = clock::now();
    let given = minted.and_then(|minted| present(&minted).map(|present| (present, minted.expires)));
    match given {
        Ok((present, expires)) => {
            tracing::debug!(service_account = token.account.email(), "a token was given");
            token.schedule.lock().minted(now, expires);
            token.is_asked_for.store(false, Ordering::Relaxed);
            token.told.send_replace(Told { present: Some(present), failed: false });
        }
        Err(reason) => {
            tracing::warn!(service_account = token.account.email(), %reason, "no token was given");
            token.schedule.lock().failed(now);
            token.is_asked_for.store(false, Ordering::Relaxed);
            // The one before is good until its end.
            token.told.send_modify(|told| told.failed = true);
        }
    }
}

fn present(minted: &Minted) -> Result<Present, String> {
    let text = zeroize::Zeroizing::new(format!("Bearer {}", minted.token.expose()));
    let mut value = HeaderValue::from_str(&text).map_err(|_| "a token that fits no header".to_owned())?;
    value.set_sensitive(true);
    Ok(Present { value, expires: minted.expires })
}

/// Sends the signed request on a connection of its own; its answer's status and body.
async fn ask(token: &Token, connectors: &Connectors, now: Timestamp) -> Result<(u16, Vec<u8>), &'static str> {
    let Token { account, target, .. } = token;
    let body = account.request(now).ok_or("the key cannot sign")?;
    let peer = target.peer().await.map_err(|_| "the address of its token endpoint could not be looked up")?;
    let connected = connectors.get(target, &peer, true, clock::steady()).await;
    let (connection, _) = connected.map_err(|_| "its token endpoint could not be reached")?;
    let (mut session, version) = match connection {
        Connection::Http1(stream) => {
            (HttpSession::H1(Http1Session::new_with_options(stream, &*peer)), Version::HTTP_11)
        }
        Connection::Http2(session) => (*session, Version::HTTP_2),
    };
    let broke = "its token endpoint broke off";
    let head = head(target, version, body.expose().len()).ok_or("no request for a token")?;
    session.write_request_header(head).await.map_err(|_| broke)?;
    let body = Bytes::copy_from_slice(body.expose().as_bytes());
    session.write_request_body(body, true).await.map_err(|_| broke)?;
    session.finish_request_body().await.map_err(|_| broke)?;
    session.read_response_header().await.map_err(|_| broke)?;
    let status = session.response_header().ok_or(broke)?.status.as_u16();
    let mut answer = Vec::new();
    while let Some(part) = session.read_response_body().await.map_err(|_| broke)? {
        if answer.len() + part.len() > ANSWER_MAX {
            return Err("its token endpoint says too much");
        }
        answer.extend_from_slice(&part);
    }
    Ok((status, answer))
}

fn head(target: &Target, version: Version, length: usize) -> Option<Box<RequestHeader>> {
    let path = if target.path().is_empty() { "/" } else { target.path() };
    let mut head = RequestHeader::build("POST", path.as_bytes(), Some(6)).ok()?;
    head.set_version(version);
    if version == Version::HTTP_2 {
        let url = target.url("");
        head.set_uri(if target.path().is_empty() { format!("{url}/") } else { url }.parse().ok()?);
    } else {
        head.insert_header(header::HOST, &*target.authority).ok()?;
    }
    head.insert_header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").ok()?;
    head.insert_header(header::ACCEPT, "application/json").ok()?;
    head.insert_header(header::CONTENT_LENGTH, length).ok()?;
    Some(Box::new(head))
}
