//! The management API: the control plane over core's ports, the whole of it on one page.
//!
//! A handler is thin: it extracts, authorizes ([`auth`]), checks ([`validate`]), calls a port and
//! renders. Every refusal is one of [`error::Refusal`], whose table decides status and body.

mod account;
mod audit;
mod auth;
mod author;
mod config;
mod cursor;
mod dashboard;
mod detach;
mod docs;
mod error;
mod explain;
mod json;
mod keys;
mod models;
pub mod offline;
mod openapi;
mod orgs;
mod own_key;
mod pace;
mod page;
mod plan;
mod price_map;
mod repetition;
mod requests;
mod shape;
mod teams;
mod tokens;
mod upstreams;
mod usage;
mod validate;
mod write;

use aione_core::{
    config::snapshot::Secret,
    domain::key::KeyHash,
    ports::{ChangeStore, ConfigControl, Fleet, KeyStore, LiveUse, Surroundings, Upstreams, UsageStore},
};
use axum::{
    Router,
    http::{HeaderValue, header},
    middleware,
    response::Response,
};
use error::Refusal;
use pace::Pace;
use std::{net::IpAddr, sync::Arc};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Where every call is found.
pub const BASE: &str = "/api/v1";

/// What the control plane reaches the world through.
#[derive(Clone)]
pub struct Admin {
    pub keys: Arc<dyn KeyStore>,
    pub changes: Arc<dyn ChangeStore>,
    pub usage: Arc<dyn UsageStore>,
    pub fleet: Arc<dyn Fleet>,
    pub live: Arc<dyn LiveUse>,
    pub config: Arc<dyn ConfigControl>,
    pub upstreams: Arc<dyn Upstreams>,
    pub surroundings: Arc<dyn Surroundings>,
    pub mint: Arc<dyn Mint>,
}

/// Makes secrets and recognises them; the peppers and the randomness are behind it.
pub trait Mint: Send + Sync {
    /// A new inference key that begins with `prefix`, such as `sk-aione`.
    fn mint_key(&self, prefix: &str) -> Minted;
    /// A new management token, `mt-…`.
    fn mint_token(&self) -> Minted;
    /// What `secret` hashes to under each pepper, the one that mints first. Never empty.
    fn hashes(&self, secret: &str) -> Vec<KeyHash>;
    /// Keys for what leaves this gateway and is to come back unread or unchanged, one for each pepper:
    /// the first seals, all open. Another `label` gives other keys. Never empty.
    fn seal_keys(&self, label: &[u8]) -> Vec<[u8; 32]>;
    /// Whether form and checksum are those of an inference key, so that a look-up is worth it.
    fn looks_like_inference_key(&self, text: &str) -> bool;
    /// The same of a management token.
    fn looks_like_management_token(&self, text: &str) -> bool;
}

/// A secret that was just made. The clear text leaves in one answer and is kept nowhere.
pub struct Minted {
    pub secret: Secret,
    pub hash: KeyHash,
    /// The first characters and the last four, for people to recognise it by.
    pub prefix: String,
}

/// Where a request came in: a request extension. Without it a request counts as `Public`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listener {
    /// `admin.listen`.
    Admin,
    /// `server.listen`: operator tokens are not taken here.
    Public,
}

/// The caller's address, trusted proxies already seen through: a request extension. Without it
/// a key that is bound to addresses is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer(pub IpAddr);

/// Every call under [`BASE`]. Answers everything else with 404 in the API's shape.
pub fn router(admin: Admin) -> Router {
    let (router, _) = calls().split_for_parts();
    router
        .route(&format!("{BASE}/openapi.json"), axum::routing::get(openapi::committed))
        .route(&format!("{BASE}/docs"), axum::routing::get(docs::show))
        .fallback(async || Refusal::NoSuchPath)
        .method_not_allowed_fallback(async || Refusal::NoSuchMethod)
        .layer(middleware::from_fn_with_state((admin.clone(), Pace::default()), pace::keep))
        .layer(middleware::map_response(harden))
        .with_state(admin)
}

/// The OpenAPI 3.1 document of [`router`], as JSON with a final newline.
///
/// # Panics
/// Never: the document is made of strings.
#[must_use]
pub fn openapi_json() -> String {
    let (_, mut document) = calls().split_for_parts();
    openapi::describe_writes(&mut document);
    document.to_pretty_json().expect("a document of strings is JSON") + "\n"
}

fn calls() -> OpenApiRouter<Admin> {
    let api = OpenApiRouter::new()
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::get, keys::update, keys::delete))
        .routes(routes!(keys::rotate))
        .routes(routes!(keys::disable))
        .routes(routes!(keys::enable))
        .routes(routes!(own_key::show))
        .routes(routes!(models::list))
        .routes(routes!(plan::show))
        .routes(routes!(account::show))
        .routes(routes!(account::invoices))
        .routes(routes!(usage::list))
        .routes(routes!(requests::list))
        .routes(routes!(dashboard::show))
        .routes(routes!(orgs::list, orgs::create))
        .routes(routes!(orgs::get, orgs::update))
        .routes(routes!(orgs::set_plan))
        .routes(routes!(teams::list, teams::create))
        .routes(routes!(teams::get, teams::update, teams::delete))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::delete))
        .routes(routes!(config::show))
        .routes(routes!(config::check))
        .routes(routes!(config::reload))
        .routes(routes!(upstreams::list))
        .routes(routes!(upstreams::drain))
        .routes(routes!(upstreams::undrain))
        .routes(routes!(explain::show))
        .routes(routes!(audit::list));
    OpenApiRouter::with_openapi(openapi::frame()).nest(BASE, api)
}

/// Nothing here is for a cache, a frame or a script.
async fn harden(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // A page may have one of its own.
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    answer
}
