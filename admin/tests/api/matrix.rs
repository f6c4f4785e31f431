//! The table of who may do what, and which fields a caller may write; and the walk over all of it.
//!
//! The calls are taken from the OpenAPI document, so that one which is not declared here fails.

use crate::invoices::{ACME_INVOICE, draft};
use crate::support::{ACME_TEAM, ADMIN, Api, FINANCE, OPERATOR, OTHER_OWNER, OWNER, VIEWER};
use Caller::{Admin, Finance, Key, Nobody, Operator, OtherOwner, Owner, Viewer};
use axum::http::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Caller {
    Nobody,
    /// An inference key of the organization.
    Key,
    Viewer,
    Finance,
    Admin,
    Owner,
    /// The owner of another organization, who names this one.
    OtherOwner,
    Operator,
}

const CALLERS: [Caller; 8] = [Nobody, Key, Viewer, Finance, Admin, Owner, OtherOwner, Operator];
/// Any token of the organization, and operators.
const READERS: &[Caller] = &[Viewer, Finance, Admin, Owner, Operator];
const WRITERS: &[Caller] = &[Admin, Owner, Operator];
const OPERATORS: &[Caller] = &[Operator];
const LIMITS: [&str; 4] = ["rpm_limit", "tpm_limit", "rpd_limit", "max_concurrency"];

/// A call: who may make it, and what may be written.
struct Declared {
    call: &'static str,
    who: &'static [Caller],
    fields: &'static [&'static str],
    /// The four limits may be written as well.
    limits: bool,
}

const fn may(call: &'static str, who: &'static [Caller]) -> Declared {
    Declared { call, who, fields: &[], limits: false }
}

const fn writes(
    call: &'static str,
    who: &'static [Caller],
    fields: &'static [&'static str],
    limits: bool,
) -> Declared {
    Declared { call, who, fields, limits }
}

const TABLE: &[Declared] = &[
    may("listKeys", READERS),
    writes(
        "createKey",
        WRITERS,
        &[
            "name",
            "team_id",
            "models_allowed",
            "is_sandbox",
            "allowed_ips",
            "expires_at",
            "budget_rmb",
            "budget_period",
            "metadata",
        ],
        true,
    ),
    may("getKey", READERS),
    writes(
        "updateKey",
        WRITERS,
        &["name", "models_allowed", "allowed_ips", "budget_rmb", "budget_period", "metadata"],
        true,
    ),
    may("deleteKey", WRITERS),
    writes("rotateKey", WRITERS, &["grace_seconds"], false),
    may("disableKey", WRITERS),
    may("enableKey", WRITERS),
    may("getOwnKey", &[Key]),
    may("listUsage", READERS),
    may("listRequests", READERS),
    may("getDashboard", READERS),
    may("listOrgs", OPERATORS),
    writes(
        "createOrg",
        OPERATORS,
        &[
            "name",
            "slug",
            "plan",
            "time_zone",
            "billing_mode",
            "credit_limit_rmb",
            "monthly_budget_rmb",
            "tax_rate_pct",
        ],
        true,
    ),
    may("getOrg", OPERATORS),
    writes(
        "updateOrg",
        OPERATORS,
        &["name", "time_zone", "billing_mode", "credit_limit_rmb", "monthly_budget_rmb", "tax_rate_pct"],
        true,
    ),
    writes("setPlan", OPERATORS, &["code", "effective_at"], false),
    may("listTeams", OPERATORS),
    writes("createTeam", OPERATORS, &["name", "monthly_budget_rmb"], true),
    may("getTeam", OPERATORS),
    writes("updateTeam", OPERATORS, &["name", "monthly_budget_rmb"], true),
    may("deleteTeam", OPERATORS),
    may("listTokens", OPERATORS),
    writes("createToken", OPERATORS, &["name", "role", "expires_at"], false),
    may("deleteToken", OPERATORS),
    may("listModels", READERS),
    may("getPlan", READERS),
    may("getAccount", READERS),
    may("listInvoices", READERS),
    may("getInvoice", READERS),
    writes("closeMonth", OPERATORS, &["period"], false),
    may("issueInvoice", OPERATORS),
    may("payInvoice", OPERATORS),
    may("voidInvoice", OPERATORS),
    writes("creditInvoice", OPERATORS, &["amount_rmb", "note"], false),
    may("listLedger", READERS),
    writes("createCredit", OPERATORS, &["amount_rmb", "kind", "note"], false),
    may("listMargins", OPERATORS),
    may("listUpstreams", OPERATORS),
    may("drainUpstream", OPERATORS),
    may("undrainUpstream", OPERATORS),
    may("explain", READERS),
    may("getConfig", OPERATORS),
    may("checkConfig", OPERATORS),
    may("reloadConfig", OPERATORS),
    may("listAudit", OPERATORS),
];

/// A call as the document describes it.
struct Documented {
    method: Method,
    path: String,
    takes_body: bool,
}

fn documented() -> BTreeMap<String, Documented> {
    let document: Value = serde_json::from_str(&aione_admin::openapi_json()).unwrap();
    let mut calls = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, call) in methods.as_object().unwrap() {
            let documented = Documented {
                method: method.to_uppercase().parse().unwrap(),
                path: path.strip_prefix("/api/v1").unwrap().to_owned(),
                takes_body: call.get("requestBody").is_some(),
            };
            calls.insert(call["operationId"].as_str().unwrap().to_owned(), documented);
        }
    }
    calls
}

/// Every field that any body or answer has, and one that none has.
fn all_fields() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(&aione_admin::openapi_json()).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap().values();
    let fields = schemas.filter_map(|schema| schema["properties"].as_object());
    let named = fields.flat_map(|properties| properties.keys().cloned());
    named.chain(["no_such_field".to_owned()]).collect()
}

/// What stands for each parameter of a path: things of acme's.
fn filled(path: &str, key: &str) -> String {
    path.replace("{org}", "acme")
        .replace("{key_id}", key)
        .replace("{deployment}", "openai%2Fgpt-4o-mini")
        .replace("{team_id}", &ACME_TEAM.to_string())
        .replace("{invoice_id}", &ACME_INVOICE.to_string())
        .replace("{token_id}", "000000f0-0000-0000-0000-000000000000")
}

#[test]
fn every_call_is_declared_once() {
    let declared: Vec<_> = TABLE.iter().map(|declared| declared.call.to_owned()).collect();
    let unique: BTreeSet<_> = declared.iter().cloned().collect();
    assert_eq!(declared.len(), unique.len());
    assert_eq!(unique, documented().into_keys().collect());
}

#[tokio::test]
async fn each_caller_may_make_the_calls_that_are_declared() {
    let mut cells = 0;
    for (call, documented) in documented() {
        let declared = TABLE.iter().find(|declared| declared.call == call).unwrap();
        for caller in CALLERS {
            let api = Api::new();
            let (id, secret) = api.key(r#"{"name":"ci"}"#).await;
            api.world.state().invoices.push(draft("2026-10"));
            let request = api.call(documented.method.clone(), &filled(&documented.path, &id)).body("{}");
            let request = match caller {
                Nobody => request,
                Key => request.with(&secret),
                Viewer => request.with(VIEWER),
                Finance => request.with(FINANCE),
                Admin => request.with(ADMIN),
                Owner => request.with(OWNER),
                OtherOwner => request.with(OTHER_OWNER).org("acme"),
                Operator => request.with(OPERATOR).org("acme"),
            };
            let answer = request.send().await;
            let status = answer.status.as_u16();
            let expected: &[u16] = match caller {
                _ if declared.who.contains(&caller) => &[200, 201, 204, 404, 409, 422],
                Nobody => &[401],
                // The other organization is as good as none.
                OtherOwner if declared.who.contains(&Owner) => &[404],
                _ => &[403],
            };
            assert!(expected.contains(&status), "{caller:?} {call}: {status} {}", answer.text);
            if declared.who.contains(&caller) && status == 404 {
                assert!(call.ends_with("Token"), "{call} found nothing of acme's: {}", answer.text);
            }
            cells += 1;
        }
    }
    assert_eq!(cells, TABLE.len() * CALLERS.len());
    println!("{cells} of {cells} cells of caller and call");
}

#[tokio::test]
async fn each_call_takes_the_fields_that_are_declared_and_refuses_all_others() {
    let api = Api::new();
    let (id, _) = api.key(r#"{"name":"ci"}"#).await;
    let (calls, fields) = (documented(), all_fields());
    let mut cells = 0;
    for declared in TABLE {
        let documented = &calls[declared.call];
        let may_write: BTreeSet<&str> = declared
            .fields
            .iter()
            .copied()
            .chain(declared.limits.then_some(LIMITS).into_iter().flatten())
            .collect();
        assert_eq!(documented.takes_body, !may_write.is_empty(), "{}", declared.call);
        if !documented.takes_body {
            continue;
        }
        for field in &fields {
            // No field is a list of lists: one that is taken is refused for its value.
            let body = json!({ field: [[]] }).to_string();
            let path = filled(&documented.path, &id);
            let call = api.call(documented.method.clone(), &path).with(OPERATOR).org("acme").body(&body);
            // More calls than one address may make at once.
            let call = call.from(&format!("192.0.2.{}", cells % 250));
            let problems = call.send().await.problems();
            let place = format!("body.{field}");
            let of_field: Vec<_> = problems.iter().filter(|problem| problem.starts_with(&place)).collect();
            assert!(!of_field.is_empty(), "{} {field}: {problems:?}", declared.call);
            let is_taken =
                !of_field.iter().any(|it| it.ends_with("extra_forbidden") || it.ends_with("not_supported"));
            assert_eq!(
                is_taken,
                may_write.contains(field.as_str()),
                "{} {field}: {problems:?}",
                declared.call
            );
            cells += 1;
        }
    }
    println!("{cells} of {cells} cells of call and field");
}
