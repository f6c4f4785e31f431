//! An organization with teams, keys, tokens and traffic, and all by which it can be recognised.

use crate::support::{
    client::{self, Answer, Call, Version},
    gateway::Gateway,
    past,
    settings::OPERATOR,
};
use serde_json::{Value, json};

pub(super) const ROLES: [&str; 4] = ["owner", "admin", "viewer", "finance"];
/// Requests with each of its keys.
const REQUESTS: usize = 2;

pub(super) struct Tenant {
    /// A part of every name of its own.
    pub(super) slug: &'static str,
    pub(super) id: String,
    pub(super) team: String,
    /// The key that calls are about.
    pub(super) key: String,
    /// The secret of another one, which stays as it is.
    pub(super) secret: String,
    /// A token's id.
    pub(super) token: String,
    /// The tokens themselves, in the order of [`ROLES`].
    pub(super) tokens: Vec<String>,
    /// The id of one of its usage records.
    pub(super) request: String,
    pub(super) requests_cursor: String,
    pub(super) trail_cursor: String,
    pub(super) ledger_cursor: String,
    /// A draft, and three that are issued.
    pub(super) invoices: Vec<String>,
    /// Ids, secrets and names that nobody else may see.
    pub(super) marks: Vec<String>,
}

/// A call by an operator, about `org`.
pub(super) async fn as_operator(gateway: &Gateway, org: &str, call: Call) -> Answer {
    let call = call.bearer(OPERATOR).header("x-aione-org", org);
    let answer = client::send(Version::H1, gateway.settings.admin, &call).await;
    assert!(answer.status < 300, "{}: {}", call.path, answer.text());
    answer
}

impl Tenant {
    pub(super) async fn new(gateway: &Gateway, slug: &'static str) -> Self {
        let org = json!({ "name": format!("the firm {slug}"), "slug": slug, "time_zone": "UTC" });
        let created = Call::post("/api/v1/orgs", org.to_string()).bearer(OPERATOR);
        let created = client::send(Version::H1, gateway.settings.admin, &created).await;
        assert_eq!(created.status, 201, "{}", created.text());
        let id = text(&created.json(), "id");
        let mut marks = vec![slug.to_owned(), id.clone()];
        let mut make = async |path: String, body: Value, kept: &[&str]| {
            let call = Call::post(&format!("/api/v1{path}"), body.to_string());
            let made = as_operator(gateway, slug, call).await.json();
            let kept: Vec<String> = kept.iter().map(|field| text(&made, field)).collect();
            marks.extend(kept.iter().cloned());
            kept
        };
        let team = json!({ "name": format!("a team of {slug}") });
        let team = make(format!("/orgs/{slug}/teams"), team, &["id"]).await.remove(0);
        let (mut token, mut tokens) = (String::new(), Vec::new());
        for role in ROLES {
            let body = json!({ "name": format!("a token of {slug}"), "role": role });
            let made = make(format!("/orgs/{slug}/tokens"), body, &["id", "token"]).await;
            token.clone_from(&made[0]);
            tokens.push(made[1].clone());
        }
        let (mut ids, mut secrets) = (Vec::new(), Vec::new());
        for team in [json!(team), Value::Null] {
            let body = json!({ "name": format!("a key of {slug}"), "team_id": team });
            let made = make("/gateway/keys".to_owned(), body, &["id", "key"]).await;
            ids.push(made[0].clone());
            secrets.push(made[1].clone());
        }
        past::charge(gateway, &id, &[("2019-04-15T00:00:00Z", 1_000_000_000_000)]).await;
        let mut invoices = Vec::new();
        for month in 1..=4 {
            let body = json!({ "period": format!("2019-{month:02}") });
            invoices.push(make(format!("/orgs/{slug}/invoices/close"), body, &["id"]).await.remove(0));
            if month > 1 {
                let issue = format!("/orgs/{slug}/invoices/{}/issue", invoices[month - 1]);
                make(issue, Value::Null, &["number"]).await;
            }
        }
        let mut requests = Vec::new();
        for secret in &secrets {
            for _ in 0..REQUESTS {
                requests.push(gateway.send(&Call::chat(secret, "m")).await.ok().request_id());
            }
        }
        gateway.quiet().await;
        let cursor = async |path: String| {
            let page = as_operator(gateway, slug, Call::get(&format!("/api/v1{path}"))).await.json();
            text(&page, "next_cursor")
        };
        let requests_cursor = cursor("/obs/requests?page_size=1".to_owned()).await;
        let trail_cursor = cursor(format!("/audit?org={slug}&page_size=1")).await;
        let ledger_cursor = cursor("/billing/ledger?page_size=1".to_owned()).await;
        marks.extend([requests_cursor.clone(), trail_cursor.clone(), ledger_cursor.clone()]);
        marks.extend(requests.iter().cloned());
        Self {
            slug,
            id,
            team,
            key: ids.swap_remove(0),
            secret: secrets.swap_remove(1),
            token,
            tokens,
            request: requests.swap_remove(0),
            requests_cursor,
            trail_cursor,
            ledger_cursor,
            invoices,
            marks,
        }
    }
}

fn text(of: &Value, field: &str) -> String {
    of[field].as_str().unwrap_or_else(|| panic!("no text {field} in {of}")).to_owned()
}
