//! `GET /docs`: the OpenAPI document as one page for people, without scripts or anything from elsewhere.

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt::Write, sync::LazyLock};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color:#1a1a1a;background:#fff}code{font:14px ui-monospace,monospace;background:#f3f3f3;padding:0 .25em}\
h3 code{background:none}table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;\
padding:.25rem .75rem .25rem 0;border-bottom:1px solid #ddd}section{margin:2rem 0}\
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}code{background:#2a2a2a}a{color:#9cf}}";

/// The page, and the policy under which its one style is let in.
static PAGE: LazyLock<(String, HeaderValue)> = LazyLock::new(|| {
    let document = serde_json::from_str(crate::openapi::COMMITTED).expect("the committed document is JSON");
    (page(&document), policy_of(STYLE))
});

/// The policy of a page that lets in one style and nothing else.
pub(crate) fn policy_of(style: &str) -> HeaderValue {
    let digest = STANDARD.encode(Sha256::digest(style));
    let policy = format!("default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'");
    HeaderValue::try_from(policy).expect("a policy is ASCII")
}

/// It says nothing that the source does not, so it asks for no credential.
pub(crate) async fn show() -> Response {
    let (page, policy) = &*PAGE;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy.clone()),
    ];
    (headers, page.as_str()).into_response()
}

/// A call: its method and path, and what the document says of it.
struct Call<'d> {
    method: &'d str,
    path: &'d str,
    says: &'d Value,
}

fn page(document: &Value) -> String {
    let mut out = String::new();
    let title = text(&document["info"]["title"]);
    push(&mut out, format_args!("<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"));
    push(&mut out, format_args!("<meta name=viewport content=\"width=device-width\"><style>{STYLE}</style>"));
    push(&mut out, format_args!("<h1>{title}</h1><p>{}</p>", prose(&document["info"]["description"])));
    let groups = groups(document);
    for (tag, calls) in &groups {
        push(&mut out, format_args!("<h2>{}</h2><ul>", escaped(tag)));
        for Call { method, path, says } in calls {
            let (id, summary) = (text(&says["operationId"]), prose(&says["summary"]));
            let method = method.to_uppercase();
            push(
                &mut out,
                format_args!("<li><a href=#{id}><code>{method} {}</code></a> {summary}", escaped(path)),
            );
        }
        out.push_str("</ul>");
    }
    for call in groups.values().flatten() {
        push_call(&mut out, call);
    }
    out.push_str("<h2>Shapes</h2>");
    for (name, shape) in members(&document["components"]["schemas"]) {
        push_shape(&mut out, name, shape);
    }
    out
}

fn groups(document: &Value) -> BTreeMap<&str, Vec<Call<'_>>> {
    let mut groups: BTreeMap<&str, Vec<Call<'_>>> = BTreeMap::new();
    for (path, methods) in members(&document["paths"]) {
        for (method, says) in members(methods) {
            let tag = says["tags"][0].as_str().unwrap_or_default();
            groups.entry(tag).or_default().push(Call { method, path, says });
        }
    }
    groups
}

fn push_call(out: &mut String, Call { method, path, says }: &Call<'_>) {
    let id = text(&says["operationId"]);
    let method = method.to_uppercase();
    push(out, format_args!("<section id={id}><h3><code>{method} {}</code></h3>", escaped(path)));
    push(out, format_args!("<p>{}</p>", prose(&says["summary"])));
    if let Some(parameters) = says["parameters"].as_array() {
        out.push_str("<table><tr><th>Parameter<th>In<th>");
        for parameter in parameters {
            push(
                out,
                format_args!(
                    "<tr><td><code>{}</code><td>{}<td>{}",
                    text(&parameter["name"]),
                    text(&parameter["in"]),
                    prose(&parameter["description"])
                ),
            );
        }
        out.push_str("</table>");
    }
    if let Some(body) = says.get("requestBody") {
        push(out, format_args!("<p>Body: {}</p>", kind(content(body))));
    }
    out.push_str("<table><tr><th>Answer<th>Body<th>");
    for (status, answer) in members(&says["responses"]) {
        let body = answer.get("content").map(|_| kind(content(answer))).unwrap_or_default();
        let said = prose(&answer["description"]);
        push(out, format_args!("<tr><td><code>{}</code><td>{body}<td>{said}", escaped(status)));
    }
    out.push_str("</table></section>");
}

fn push_shape(out: &mut String, name: &str, shape: &Value) {
    let name = escaped(name);
    push(
        out,
        format_args!("<section id=\"shape-{name}\"><h3>{name}</h3><p>{}</p>", prose(&shape["description"])),
    );
    out.push_str("<table><tr><th>Field<th>Is<th>");
    for (field, says) in members(&shape["properties"]) {
        let said = prose(&says["description"]);
        push(out, format_args!("<tr><td><code>{}</code><td>{}<td>{said}", escaped(field), kind(says)));
    }
    out.push_str("</table></section>");
}

/// The first content of a body or an answer.
fn content(of: &Value) -> &Value {
    members(&of["content"]).map(|(_, content)| &content["schema"]).next().unwrap_or(&Value::Null)
}

/// What a value is, in a few words: a link where it has a shape of its own.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        let name = escaped(name);
        return format!("<a href=\"#shape-{name}\">{name}</a>");
    }
    let several = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
    if let Some(several) = several {
        return several.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let named = |kind: &Value| match kind.as_str() {
        Some("array") => format!("list of {}", self::kind(&schema["items"])),
        _ => text(schema.get("format").filter(|_| kind == "string").unwrap_or(kind)),
    };
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(named).collect::<Vec<_>>().join(" or "),
        kind => named(kind),
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).map(|(name, value)| (name.as_str(), value))
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

/// Text in which what stands between backticks is code.
fn prose(value: &Value) -> String {
    let parts = value.as_str().unwrap_or_default().split('`').enumerate();
    let parts = parts.map(|(at, part)| match at % 2 {
        0 => escaped(part),
        _ => format!("<code>{}</code>", escaped(part)),
    });
    parts.collect()
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}
