//! The calls whose shape is fixed, beside conversations that clients have recorded: the same fields in the
//! same order, of the same types, bare or wrapped as they were.
//!
//! A recording is made to stand for a client: it is changed by nobody, also where an answer is.

use crate::{
    dashboard,
    ordered::Ordered,
    support::{ACME_TEAM, ADMIN, Answer, Api, FINANCE, OWNER, VIEWER},
};
use axum::http::Method;
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

/// Every call that is fixed, by the name that the document gives it. Each has a file.
const FIXED: [&str; 11] = [
    "listKeys",
    "createKey",
    "getKey",
    "updateKey",
    "deleteKey",
    "rotateKey",
    "disableKey",
    "enableKey",
    "getDashboard",
    "getPlan",
    "listInvoices",
];
/// Fields of ours, which may follow those that were recorded.
const OURS: [&str; 7] = [
    "last_used_at",
    "max_concurrency",
    "rpd_limit",
    "budget_rmb",
    "budget_period",
    "metadata",
    "daily_trend",
];
/// Objects whose fields are names of somebody's choosing.
const MAPS: [&str; 3] = ["rpm_limits", "tpm_limits", "price_per_1m_tokens"];
/// Fields whose very words are fixed.
const WORDS: [&str; 4] = ["status", "view_mode", "capacity_status", "service_status"];
/// What a recorded client can write of a key, and what `null` makes of it.
const WRITABLE: [&str; 5] = ["name", "models_allowed", "rpm_limit", "tpm_limit", "allowed_ips"];

/// Names of things in the recordings. The key that says all that can be said, and one that says nothing.
const RECORDED_FULL: &str = "01935b2e-7c40-7d31-9a55-0c4f6a1be001";
const RECORDED_BARE: &str = "01935b30-02f8-7a66-b1d2-77e09c34d502";
const RECORDED_TEAM: &str = "01935a00-5c1e-7f21-8a3b-91c4d0e5f602";

#[derive(Deserialize)]
struct Exchange {
    request: RecordedRequest,
    answer: RecordedAnswer,
}

#[derive(Deserialize)]
struct RecordedRequest {
    method: String,
    path: String,
    /// The role of the token that was sent.
    token: String,
    body: Option<Value>,
}

#[derive(Deserialize)]
struct RecordedAnswer {
    status: u16,
    /// Without one there was nothing at all.
    body: Option<Ordered>,
}

/// Two keys as they stand in the recordings, and some traffic.
struct Stage {
    api: Api,
    full: String,
    bare: String,
}

impl Stage {
    async fn new() -> Self {
        let api = Api::new();
        let (full, _) = api
            .key(
                r#"{"name":"checkout","models_allowed":["gpt-4o-mini"],"rpm_limit":60,"tpm_limit":90000,
                "allowed_ips":["10.0.0.1","192.168.0.0/16"],"expires_at":"2027-06-30T16:00:00Z"}"#,
            )
            .await;
        let rotated = api.put(&format!("/gateway/keys/{full}/rotate")).with(OWNER).send().await;
        assert_eq!(rotated.status, 200, "{}", rotated.text);
        let (bare, _) = api.key(r#"{"name":"scratch"}"#).await;
        let mut overview = dashboard::overview();
        overview.teams.truncate(1);
        overview.recent.clear();
        api.world.state().overview = overview;
        Self { api, full, bare }
    }

    /// What was recorded, about the things of this stage.
    fn of_here(&self, recorded: &str) -> String {
        recorded
            .replace(RECORDED_FULL, &self.full)
            .replace(RECORDED_BARE, &self.bare)
            .replace(RECORDED_TEAM, &ACME_TEAM.to_string())
    }

    async fn send(&self, request: &RecordedRequest) -> Answer {
        let path = self.of_here(&request.path);
        let path = path.strip_prefix("/api/v1").unwrap();
        let token = match request.token.as_str() {
            "owner" => OWNER,
            "admin" => ADMIN,
            "viewer" => VIEWER,
            "finance" => FINANCE,
            other => panic!("no token has the role {other}"),
        };
        let body = request.body.as_ref().map(|body| self.of_here(&body.to_string())).unwrap_or_default();
        let method: Method = request.method.parse().unwrap();
        self.api.call(method, path).with(token).body(&body).send().await
    }
}

fn recorded(call: &str) -> Vec<Exchange> {
    let file = folder().join(format!("{call}.json"));
    let exchanges: Vec<Exchange> = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert!(!exchanges.is_empty());
    exchanges
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/recorded"))
}

/// What text stands for: the contract knows more of it than that it is text.
fn form(text: &str) -> &'static str {
    let is_time = text.len() == 24
        && text
            .bytes()
            .zip(*b"0000-00-00T00:00:00.000Z")
            .all(|(is, form)| if form == b'0' { is.is_ascii_digit() } else { is == form });
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if text.parse::<uuid::Uuid>().is_ok() {
        "an id"
    } else if is_time {
        "a time"
    } else if digits(whole.trim_start_matches('-')) && digits(fraction) {
        "a decimal"
    } else {
        "a text"
    }
}

/// Where what came differs from what was recorded.
fn like(recorded: &Ordered, came: &Ordered, at: &str) -> Result<(), String> {
    let field = at.rsplit('.').next().unwrap();
    let unlike = || Err(format!("{at}: recorded was {recorded:?}, {came:?} came"));
    match (recorded, came) {
        (Ordered::Null, Ordered::Null)
        | (Ordered::Flag(_), Ordered::Flag(_))
        | (Ordered::Whole(_), Ordered::Whole(_))
        | (Ordered::Fraction(_), Ordered::Fraction(_)) => Ok(()),
        (Ordered::Text(was), Ordered::Text(is)) => {
            let is_same = if WORDS.contains(&field) { was == is } else { form(was) == form(is) };
            if is_same { Ok(()) } else { unlike() }
        }
        (Ordered::List(were), Ordered::List(are)) => each_like(were.iter(), are.iter(), at),
        (Ordered::Object(were), Ordered::Object(are)) if MAPS.contains(&field) => {
            each_like(were.iter().map(|(_, was)| was), are.iter().map(|(_, is)| is), at)
        }
        (Ordered::Object(were), Ordered::Object(are)) => {
            let names = |fields: &[(String, Ordered)]| -> Vec<String> {
                fields.iter().map(|(name, _)| name.clone()).collect()
            };
            let (was, is) = (names(were), names(are));
            let ours = is.strip_prefix(was.as_slice());
            if !ours.is_some_and(|ours| ours.iter().all(|name| OURS.contains(&name.as_str()))) {
                return Err(format!("{at}: recorded was {was:?}, {is:?} came"));
            }
            were.iter().zip(are).try_for_each(|((name, was), (_, is))| like(was, is, &format!("{at}.{name}")))
        }
        _ => unlike(),
    }
}

/// Each that came is like one that was recorded, and each that was recorded came.
fn each_like<'a>(
    recorded: impl Iterator<Item = &'a Ordered> + Clone,
    came: impl Iterator<Item = &'a Ordered> + Clone,
    at: &str,
) -> Result<(), String> {
    let at = format!("{at}[]");
    for is in came.clone() {
        let found = recorded.clone().map(|was| like(was, is, &at)).collect::<Vec<_>>();
        if !found.iter().any(Result::is_ok) {
            let why = found.into_iter().find_map(Result::err);
            return Err(why.unwrap_or_else(|| format!("{at}: none was recorded, {is:?} came")));
        }
    }
    match recorded.clone().find(|was| !came.clone().any(|is| like(was, is, &at).is_ok())) {
        Some(was) => Err(format!("{at}: {was:?} was recorded and did not come")),
        None => Ok(()),
    }
}

#[test]
fn every_fixed_call_is_recorded_and_nothing_else_is() {
    let files = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let expected = FIXED.map(|call| format!("{call}.json"));
    assert_eq!(files.collect::<BTreeSet<_>>(), BTreeSet::from(expected));
    let document: Value = serde_json::from_str(&aione_admin::openapi_json()).unwrap();
    for call in FIXED {
        for Exchange { request, .. } in recorded(call) {
            let path = request.path.split('?').next().unwrap();
            let path = path.replace(RECORDED_FULL, "{key_id}").replace(RECORDED_BARE, "{key_id}");
            let described = &document["paths"][path][request.method.to_lowercase()];
            assert_eq!(described["operationId"], call);
        }
    }
}

#[tokio::test]
async fn answers_are_as_recorded() {
    for call in FIXED {
        for (number, exchange) in recorded(call).iter().enumerate() {
            let stage = Stage::new().await;
            let answer = stage.send(&exchange.request).await;
            let what = format!("{call}[{number}]: {}", answer.text);
            assert_eq!(answer.status.as_u16(), exchange.answer.status, "{what}");
            let Some(recorded) = &exchange.answer.body else {
                assert_eq!((answer.text.as_str(), answer.headers.get("content-type")), ("", None), "{what}");
                continue;
            };
            assert_eq!(answer.headers["content-type"], "application/json", "{what}");
            let came: Ordered = serde_json::from_str(&answer.text).unwrap();
            if let Err(why) = like(recorded, &came, call) {
                panic!("{why}\n{what}");
            }
        }
    }
}

#[tokio::test]
async fn recorded_bodies_say_what_they_said() {
    for call in ["createKey", "updateKey"] {
        for exchange in recorded(call) {
            let stage = Stage::new().await;
            let before = if call == "updateKey" {
                let path = stage.of_here(&exchange.request.path);
                let path = path.strip_prefix("/api/v1").unwrap().to_owned();
                stage.api.get(&path).with(VIEWER).send().await.json()
            } else {
                Value::Null
            };
            let after = stage.send(&exchange.request).await.json();
            let body = exchange.request.body.unwrap();
            for (field, said) in body.as_object().unwrap() {
                let said: Value = serde_json::from_str(&stage.of_here(&said.to_string())).unwrap();
                let expected = match (field.as_str(), said) {
                    ("models_allowed" | "allowed_ips", Value::Null) => Value::Array(Vec::new()),
                    ("team_id", Value::Null) => Value::from(ACME_TEAM.to_string()),
                    (_, said) => said,
                };
                assert_eq!(after[field], expected, "{call} {body}: {field}");
            }
            if call == "updateKey" {
                for absent in WRITABLE.iter().filter(|field| body.get(field).is_none()) {
                    assert_eq!(after[absent], before[absent], "{call} {body}: {absent}");
                }
            }
        }
    }
}

#[test]
fn an_invoice_is_told_by_its_id() {
    // None has been made yet, so its shape is the document's.
    let document: Value = serde_json::from_str(&aione_admin::openapi_json()).unwrap();
    let invoice = &document["components"]["schemas"]["InvoiceListResponse"];
    assert_eq!(invoice["properties"]["id"], serde_json::json!({ "type": "string", "format": "uuid" }));
    assert!(invoice["required"].as_array().unwrap().contains(&Value::from("id")));
}

#[test]
fn what_differs_from_a_recording_is_noticed() {
    let ordered = |text: &str| serde_json::from_str::<Ordered>(text).unwrap();
    let recorded = r#"{"id":"01935b2e-7c40-7d31-9a55-0c4f6a1be001","n":1,"cost":"1.5","status":"active","x":null,
        "at":"2026-11-24T16:30:00.000Z","list":[{"a":true}],"f":0.5}"#;
    let check = |came: &str| like(&ordered(recorded), &ordered(came), "it");
    assert_eq!(check(recorded), Ok(()));
    assert_eq!(check(&recorded.replace("0.5}", r#"2.5,"metadata":{}}"#)), Ok(()), "a field of ours, behind");
    for (was, is) in [
        (r#""n":1,"cost":"1.5""#, r#""cost":"1.5","n":1"#),
        (r#""n":1"#, r#""n":"1""#),
        (r#""n":1"#, r#""n":1.0"#),
        (r#""n":1"#, r#""n":null"#),
        (r#""n":1,"#, ""),
        (r#""n":1"#, r#""metadata":{},"n":1"#),
        (r#""n":1"#, r#""n":1,"other":1"#),
        (r#""1.5""#, "1.5"),
        (r#""1.5""#, r#""1,5""#),
        (r#""active""#, r#""on""#),
        ("null", "0"),
        ("00.000Z", "00Z"),
        ("[{", "[1,{"),
        (r#"[{"a":true}]"#, "[]"),
        (r#"[{"a":true}]"#, r#"{"a":true}"#),
        ("true", "1"),
        ("01935b2e-", ""),
        ("0.5}", r#"0.5,"other":1}"#),
    ] {
        let came = recorded.replacen(was, is, 1);
        assert_ne!(came, recorded);
        assert!(check(&came).is_err(), "{came}");
    }
}
