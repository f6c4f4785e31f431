//! The calls of the management API as its document has them, each filled with what is an organization's.

use super::tenant::Tenant;
use crate::support::client::Call;
use serde_json::{Map, Value, json};

/// An id that nothing has.
const NOTHING: &str = "01935a00-0000-7000-8000-000000000000";
/// A name that nobody has.
pub(super) const NOBODY: &str = "nobody";
/// What every write is sent under: of each organization and each caller it is another.
const IDEMPOTENCY_KEY: &str = "the-same-for-all";

/// Where a parameter stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Path,
    Query,
    Header,
    Body,
}

/// What a parameter is filled with.
#[derive(Clone)]
enum Filling {
    /// Something of an organization's, or what stands for nothing of anybody's.
    Of(fn(&Tenant) -> &str, &'static str),
    /// The same for everybody.
    Plain(Value),
    /// Each of these makes an answer of another kind.
    Each(&'static [&'static str]),
    /// Nothing.
    LeftOut,
}

pub(super) struct Parameter {
    pub(super) place: Place,
    pub(super) name: String,
    /// Also where nothing is said of another's.
    is_needed: bool,
    filling: Filling,
}

impl Parameter {
    /// What names something of `tenant`'s here, and what names nothing.
    pub(super) fn names<'t>(&self, tenant: &'t Tenant) -> Option<(&'t str, &'static str)> {
        match &self.filling {
            Filling::Of(of, nothing) => Some((of(tenant), nothing)),
            _ => None,
        }
    }
}

/// A call as the document describes it.
pub(super) struct Documented {
    pub(super) name: String,
    pub(super) method: &'static str,
    path: String,
    pub(super) parameters: Vec<Parameter>,
    takes_body: bool,
}

/// Every call of the document. Panics at what it does not know how to fill.
pub(super) fn documented(document: &Value) -> Vec<Documented> {
    let mut calls = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, call) in methods.as_object().unwrap() {
            calls.push(Documented::read(document, path, method, call));
        }
    }
    calls
}

impl Documented {
    fn read(document: &Value, path: &str, method: &str, call: &Value) -> Self {
        let name = call["operationId"].as_str().unwrap().to_owned();
        let mut places: Vec<(Place, String, bool)> = Vec::new();
        for parameter in call["parameters"].as_array().into_iter().flatten() {
            let place = match parameter["in"].as_str().unwrap() {
                "path" => Place::Path,
                "query" => Place::Query,
                "header" => Place::Header,
                other => panic!("{name} has a parameter in {other}"),
            };
            let name = parameter["name"].as_str().unwrap().to_owned();
            // Without it, the trail is of all organizations.
            let is_needed = parameter["required"] == true || name == "org";
            places.push((place, name, is_needed));
        }
        let body = &call["requestBody"]["content"]["application/json"]["schema"];
        places.extend(fields(document, body).into_iter().map(|field| (Place::Body, field, false)));
        let in_path = places.iter().filter(|(place, ..)| *place == Place::Path).count();
        assert_eq!(in_path, path.matches('{').count(), "{name} says what stands in its path");
        let parameters = places.into_iter().map(|(place, parameter, is_needed)| Parameter {
            filling: filling(&name, place, &parameter)
                .unwrap_or_else(|| panic!("how is {parameter} of {name} filled, in {place:?}?")),
            place,
            is_needed,
            name: parameter,
        });
        let parameters = parameters.collect();
        let method = ["GET", "POST", "PUT", "DELETE"].into_iter().find(|it| it.eq_ignore_ascii_case(method));
        let method = method.unwrap_or_else(|| panic!("{name} has a method of its own"));
        Self { name, method, path: path.to_owned(), parameters, takes_body: !body.is_null() }
    }

    /// The kinds of answer that it has, for [`Self::call`].
    pub(super) fn kinds(&self) -> Vec<Option<&'static str>> {
        let each = self.parameters.iter().find_map(|parameter| match parameter.filling {
            Filling::Each(kinds) => Some(kinds),
            _ => None,
        });
        each.map_or(vec![None], |kinds| kinds.iter().copied().map(Some).collect())
    }

    /// About what is `tenant`'s, but for one parameter, which is said to be something else.
    pub(super) fn call(&self, tenant: &Tenant, kind: Option<&str>, but: Option<(&Parameter, &str)>) -> Call {
        let (mut path, mut query, mut body) = (self.path.clone(), Vec::new(), Map::new());
        let mut headers = Vec::new();
        for parameter in &self.parameters {
            let other = but.filter(|(it, _)| std::ptr::eq(*it, parameter)).map(|(_, value)| json!(value));
            let own = || match &parameter.filling {
                Filling::Of(of, _) => parameter.is_needed.then(|| json!(of(tenant))),
                Filling::Plain(value) => Some(value.clone()),
                Filling::Each(_) => kind.map(|kind| json!(kind)),
                Filling::LeftOut => None,
            };
            let Some(value) = other.or_else(own) else { continue };
            let text = value.as_str().unwrap_or_default().to_owned();
            match parameter.place {
                Place::Path => path = path.replace(&format!("{{{}}}", parameter.name), &text),
                Place::Query => query.push(format!("{}={text}", parameter.name)),
                Place::Header => headers.push((parameter.name.to_lowercase(), text)),
                Place::Body => drop(body.insert(parameter.name.clone(), value)),
            }
        }
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        let mut call = Call::new(self.method, &path);
        if self.takes_body {
            call.body = Value::Object(body).to_string().into_bytes();
        }
        // An answer that was kept would hide what this request finds.
        let headers = headers.into_iter().filter(|_| but.is_none());
        headers.fold(call, |call, (name, value)| call.header(&name, &value))
    }
}

/// The fields of a body's schema.
fn fields(document: &Value, schema: &Value) -> Vec<String> {
    let one_of = schema["oneOf"].as_array().into_iter().flatten();
    let references = std::iter::once(schema).chain(one_of).filter_map(|schema| schema["$ref"].as_str());
    let shapes = references.map(|reference| &document.pointer(&reference[1..]).unwrap()["properties"]);
    shapes.flat_map(|shape| shape.as_object().unwrap().keys().cloned()).collect()
}

fn filling(call: &str, place: Place, name: &str) -> Option<Filling> {
    use Filling::{Each, LeftOut, Of, Plain};
    use Place::{Body, Header, Path, Query};
    Some(match (place, name) {
        (Path | Query, "org") => Of(|tenant| tenant.slug, NOBODY),
        (Path | Query, "key_id") => Of(|tenant| &tenant.key, NOTHING),
        (Path | Query | Body, "team_id") => Of(|tenant| &tenant.team, NOTHING),
        (Path, "token_id") => Of(|tenant| &tenant.token, NOTHING),
        (Path, "deployment") => Plain(json!("sim%2Fm")),
        (Query, "request_id") => Of(|tenant| &tenant.request, NOTHING),
        (Query, "actor") => Of(|tenant| &tenant.token, NOTHING),
        (Query, "object") => Of(|tenant| &tenant.key, NOTHING),
        (Query, "q") => Of(|tenant| tenant.slug, NOBODY),
        (Query, "cursor") if call == "listAudit" => Of(|tenant| &tenant.trail_cursor, "never-given"),
        (Query, "cursor") if call == "listRequests" => Of(|tenant| &tenant.requests_cursor, "never-given"),
        (Query, "cursor") if call == "listLedger" => Of(|tenant| &tenant.ledger_cursor, "never-given"),
        (Query, "model") => Plain(json!("m")),
        (Query, "group_by") if call == "listMargins" => Plain(json!("day,org,model,provider,deployment")),
        (Query, "group_by") => Plain(json!("day,hour,model,team,key,provider")),
        (Query, "format") if call == "getInvoice" => Each(&["json", "csv", "html"]),
        (Query, "format") => Each(&["json", "csv"]),
        (Query, "view") => Each(&["tech", "business"]),
        (
            Query,
            "page" | "page_size" | "status" | "outcome" | "start_date" | "end_date" | "from" | "until"
            | "range_days",
        ) => LeftOut,
        (Header, "Idempotency-Key") => Plain(json!(IDEMPOTENCY_KEY)),
        (Body, "note") if call == "creditInvoice" => Plain(json!("an outage")),
        (Body, "name") => Plain(json!(format!("made by {call}"))),
        (Body, "slug") => Plain(json!("made-by-a-walk")),
        (Body, "plan" | "code") => Plain(json!("standard")),
        (Body, "time_zone") => Plain(json!("UTC")),
        (Body, "kind") => Plain(json!("adjustment")),
        (Body, "amount_rmb") => Plain(json!("0.01")),
        (Body, "role") => Plain(json!("viewer")),
        (Body, "models_allowed") => Plain(json!(["m"])),
        (Body, "allowed_ips") => Plain(json!([])),
        (Body, "is_sandbox") => Plain(json!(false)),
        (Body, "metadata") => Plain(json!({ "by": call })),
        (Body, "effective_at") => Plain(json!("2099-01-01T00:00:00Z")),
        (Body, "billing_mode") => Plain(json!("postpaid")),
        (Body, "budget_period") => Plain(json!("day")),
        // Each of these calls needs one that no other has changed.
        (Path, "invoice_id") if call == "issueInvoice" => Of(|tenant| &tenant.invoices[0], NOTHING),
        (Path, "invoice_id") if call == "payInvoice" => Of(|tenant| &tenant.invoices[1], NOTHING),
        (Path, "invoice_id") if call == "voidInvoice" => Of(|tenant| &tenant.invoices[2], NOTHING),
        (Path, "invoice_id") => Of(|tenant| &tenant.invoices[3], NOTHING),
        (Body, "period") => Plain(json!("2020-01")),
        (Body, "tax_rate_pct") => Plain(json!("6")),
        (Body, "grace_seconds") => Plain(json!(60)),
        (
            Body,
            "expires_at" | "note" | "rpm_limit" | "tpm_limit" | "rpd_limit" | "max_concurrency"
            | "budget_rmb" | "credit_limit_rmb" | "monthly_budget_rmb",
        ) => Plain(Value::Null),
        _ => return None,
    })
}
