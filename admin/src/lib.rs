//! The management API: the control plane over core's ports, the whole of it on one page.
//!
//! A handler is thin: it extracts, authorizes ([`auth`]), checks ([`validate`]), calls a port and
//! renders. Every refusal is one of [`error::Refusal`], whose table decides status and body.

mod account;
mod audit;
mod auth;
mod author;
mod config;
mod csv;
mod cursor;
mod dashboard;
mod detach;
mod docs;
mod error;
mod explain;
mod exports;
mod invoices;
mod json;
mod keys;
mod ledger;
mod margins;
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
    ports::{
        ChangeStore, ConfigControl, Fleet, InvoiceStore, KeyStore, LedgerStore, LiveUse, MarginStore,
        Spending, Surroundings, Upstreams, UsageStore,
    },
};
use axum::{
    Extension, Router,
    http::{HeaderValue, header},
    middleware,
    response::Response,
    routing::MethodRouter,
};
use error::Refusal;
use exports::Exports;
use pace::Pace;
use std::{net::IpAddr, sync::Arc};
use utoipa::OpenApi;

/// Where every call is found.
pub const BASE: &str = "/api/v1";

/// What the control plane reaches the world through.
#[derive(Clone)]
pub struct Admin {
    pub keys: Arc<dyn KeyStore>,
    pub changes: Arc<dyn ChangeStore>,
    pub usage: Arc<dyn UsageStore>,
    pub ledger: Arc<dyn LedgerStore>,
    pub margins: Arc<dyn MarginStore>,
    pub invoices: Arc<dyn InvoiceStore>,
    pub fleet: Arc<dyn Fleet>,
    pub live: Arc<dyn LiveUse>,
    pub spending: Arc<dyn Spending>,
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

/// The whole API: its paths, each with the calls on it. From this one table is made what answers a call
/// and what describes it, so that a start needs no description. A test compares the paths and methods
/// with those that the handlers name.
macro_rules! with_every_call {
    ($do:ident) => {
        $do! {
            "/gateway/keys" => get keys::list, post keys::create;
            "/gateway/keys/{key_id}" => get keys::get, put keys::update, delete keys::delete;
            "/gateway/keys/{key_id}/rotate" => put keys::rotate;
            "/gateway/keys/{key_id}/disable" => put keys::disable;
            "/gateway/keys/{key_id}/enable" => put keys::enable;
            "/gateway/key" => get own_key::show;
            "/gateway/models" => get models::list;
            "/billing/plan" => get plan::show;
            "/billing/account" => get account::show;
            "/billing/invoices" => get invoices::list;
            "/billing/invoices/{invoice_id}" => get invoices::show;
            "/billing/ledger" => get ledger::list;
            "/obs/usage" => get usage::list;
            "/obs/margins" => get margins::list;
            "/obs/requests" => get requests::list;
            "/obs/dashboard" => get dashboard::show;
            "/orgs" => get orgs::list, post orgs::create;
            "/orgs/{org}" => get orgs::get, put orgs::update;
            "/orgs/{org}/plan" => put orgs::set_plan;
            "/orgs/{org}/credits" => post ledger::credit;
            "/orgs/{org}/invoices/close" => post invoices::close;
            "/orgs/{org}/invoices/{invoice_id}/issue" => post invoices::issue;
            "/orgs/{org}/invoices/{invoice_id}/pay" => post invoices::pay;
            "/orgs/{org}/invoices/{invoice_id}/void" => post invoices::void;
            "/orgs/{org}/invoices/{invoice_id}/credit-note" => post invoices::credit;
            "/orgs/{org}/teams" => get teams::list, post teams::create;
            "/orgs/{org}/teams/{team_id}" => get teams::get, put teams::update, delete teams::delete;
            "/orgs/{org}/tokens" => get tokens::list, post tokens::create;
            "/orgs/{org}/tokens/{token_id}" => delete tokens::delete;
            "/config" => get config::show;
            "/config/check" => post config::check;
            "/config/reload" => post config::reload;
            "/upstreams" => get upstreams::list;
            "/upstreams/{deployment}/drain" => put upstreams::drain;
            "/upstreams/{deployment}/undrain" => put upstreams::undrain;
            "/explain" => get explain::show;
            "/audit" => get audit::list;
        }
    };
}

macro_rules! answered {
    ($($path:literal => $($method:ident $module:ident::$handler:ident),+;)+) => {
        Router::new()$(.route($path, MethodRouter::new()$(.$method($module::$handler))+))+
    };
}

macro_rules! described {
    ($($path:literal => $($method:ident $module:ident::$handler:ident),+;)+) => {
        #[derive(OpenApi)]
        #[openapi(paths($($($module::$handler),+),+))]
        struct Described;
    };
}

with_every_call!(described);

/// Every call under [`BASE`]. Answers everything else with 404 in the API's shape.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .nest(BASE, with_every_call!(answered))
        .route(&format!("{BASE}/openapi.json"), axum::routing::get(openapi::committed))
        .route(&format!("{BASE}/docs"), axum::routing::get(docs::show))
        .fallback(async || Refusal::NoSuchPath)
        .method_not_allowed_fallback(async || Refusal::NoSuchMethod)
        .layer(Extension(Exports::default()))
        .layer(middleware::from_fn(exports::keep_whole))
        .layer(middleware::from_fn_with_state((admin.clone(), Pace::default()), pace::keep))
        .layer(middleware::map_response(harden))
        .with_state(admin)
}

/// The OpenAPI 3.1 document of [`router`], as JSON with a final newline; made anew each time.
///
/// # Panics
/// Never: the document is made of strings.
#[must_use]
pub fn openapi_json() -> String {
    let mut document = openapi::frame().nest(BASE, Described::openapi());
    openapi::describe_writes(&mut document);
    openapi::close_bodies(&mut document);
    openapi::describe_texts(&mut document);
    document.to_pretty_json().expect("a document of strings is JSON") + "\n"
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    macro_rules! listed {
        ($($path:literal => $($method:ident $module:ident::$handler:ident),+;)+) => {
            [$($((stringify!($method), $path)),+),+]
        };
    }

    #[test]
    fn what_is_answered_is_what_is_described() {
        let answered = with_every_call!(listed).map(|(method, path)| format!("{method} {BASE}{path}"));
        let document: serde_json::Value = serde_json::from_str(&openapi_json()).expect("it is JSON");
        let paths = document["paths"].as_object().expect("it has paths");
        let described = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("a path has methods");
            methods.keys().map(move |method| format!("{method} {path}"))
        });
        assert_eq!(BTreeSet::from(answered), described.collect());
    }
}
