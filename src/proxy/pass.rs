//! What is passed on as it is: whether its path is open, what it is sold as, and what of it reaches the
//! provider.

use super::{
    Gateway,
    client::Client,
    endpoint::{Called, Endpoint},
    refusal::Refusal,
    trace::Trace,
};
use aione_core::{
    config::{
        pass_through::{Closed, Passage, behind_version},
        snapshot::Snapshot,
    },
    wire::{
        peek::{self, Peek, Raw},
        splice::{self, Spliced},
    },
};
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use std::sync::Arc;

/// Parameters by which a caller would be somebody else to the upstream, or ask for another method than the one
/// that is open. They stay here. Compared without case, `$`, hyphens and underscores.
const KEPT_BACK: [&str; 9] = [
    "key",
    "apikey",
    "accesstoken",
    "oauthtoken",
    "authtoken",
    "bearertoken",
    "subscriptionkey",
    "httpmethod",
    "xhttpmethodoverride",
];

/// A request to a path that a provider opens.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) passage: Arc<Passage>,
    pub(crate) method: Method,
    /// Behind the provider's address.
    pub(crate) path: String,
    /// What is passed on of it.
    pub(crate) query: Option<String>,
    pub(crate) content_type: Option<HeaderValue>,
    /// The body names a model, which it is sold as.
    pub(crate) names_model: bool,
}

/// What is called where the path is none of the gateway's own; `None`: nothing that is open.
pub(super) fn called(
    gateway: &Gateway,
    client: &Client<'_>,
    trace: &mut Trace,
) -> Result<Option<Called>, Refusal> {
    match gateway.world().snapshot.passage(client.method().as_str(), client.path()) {
        Ok(passage) => {
            let dialect = passage.dialect();
            trace.dialect = Some(dialect);
            Ok(Some(Called { endpoint: Endpoint::Raw(dialect), model: None }))
        }
        Err(Closed::Path) => Ok(None),
        Err(Closed::Method(methods)) => {
            let allowed = methods.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", ");
            Err(Refusal::MethodNotPassed { allowed })
        }
    }
}

impl Passed {
    /// Looks again, in the configuration that the exchange has pinned: since the path was read it may have been
    /// closed.
    pub(super) fn open(world: &Snapshot, client: &Client<'_>) -> Result<Self, Refusal> {
        let (method, path) = (client.method(), client.path());
        let passage = world.passage(method.as_str(), path).map_err(|_| Refusal::NoSuchEndpoint)?;
        Ok(Self {
            passage: passage.clone(),
            method: method.clone(),
            path: behind_version(path).to_owned(),
            query: query(client.head().uri.query())?,
            content_type: client.headers().get(header::CONTENT_TYPE).cloned(),
            names_model: false,
        })
    }

    /// What the body says, which becomes known now.
    pub(super) fn peek(&mut self, body: &[u8]) -> Result<Peek, Refusal> {
        let says_json = self.content_type.as_ref().is_some_and(is_json);
        let Raw { peek, names_model } =
            peek::raw(self.passage.dialect(), body, says_json, &self.passage.model.id)
                .map_err(|error| Refusal::invalid(error.message, error.param))?;
        self.names_model = names_model;
        // A model is named in one place, and asked about in that.
        let names_another = || {
            let mut names = self.query.iter().flat_map(|query| query.split('&')).map(name_of);
            names.any(|name| name == "model")
        };
        if names_model && names_another() {
            return Err(Refusal::invalid("The model is named in the body and in the query", Some("model")));
        }
        Ok(peek)
    }

    /// The body as the provider gets it: with its own name for a model that is named.
    pub(super) fn body(&self, body: &Bytes, peek: &Peek, upstream_model: &str) -> Spliced {
        if self.names_model {
            return splice::splice(body, peek, upstream_model, false);
        }
        let parts = if body.is_empty() { Vec::new() } else { vec![body.clone()] };
        Spliced { parts, bytes: body.len() }
    }
}

fn is_json(content_type: &HeaderValue) -> bool {
    let essence = content_type.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    let essence = essence.trim_ascii().to_ascii_lowercase();
    essence == b"application/json" || essence == b"text/json" || essence.ends_with(b"+json")
}

/// A query without what stays here.
fn query(query: Option<&str>) -> Result<Option<String>, Refusal> {
    let Some(query) = query else { return Ok(None) };
    // Some servers part pairs at semicolons too, and would read names in it that were not looked at.
    if !query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';') {
        return Err(Refusal::invalid("The query has characters that must be encoded", None));
    }
    let passed: Vec<&str> = query.split('&').filter(|pair| !KEPT_BACK.contains(&&*name_of(pair))).collect();
    let passed = passed.join("&");
    Ok((!passed.is_empty()).then_some(passed))
}

/// The name of a pair as a careless reader may take it.
fn name_of(pair: &str) -> String {
    let name = pair.split('=').next().unwrap_or_default();
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    name.chars()
        .filter(|character| !matches!(character, '$' | '-' | '_' | '+' | ' ' | '.' | '\0'))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aione_core::config::pass_through::Pattern;

    #[test]
    fn a_query_goes_on_without_what_would_make_its_caller_somebody_else() {
        for (given, passed) in [
            ("a=1&b=2", Some("a=1&b=2")),
            ("key=sk-1&alt=sse", Some("alt=sse")),
            ("alt=sse&k%65y=sk-1&$key=x&$.key=y", Some("alt=sse")),
            ("API-Key=x&api_key=y&access_token=z&%24httpMethod=DELETE&pageToken=t", Some("pageToken=t")),
            ("key=x", None),
            ("", None),
            ("keys=1", Some("keys=1")),
        ] {
            assert_eq!(query(Some(given)).unwrap().as_deref(), passed, "{given}");
        }
        for refused in ["a=1;key=x", "a=\u{e9}"] {
            assert!(query(Some(refused)).is_err(), "{refused}");
        }
    }

    #[test]
    fn none_of_the_gateways_own_endpoints_can_be_opened() {
        for path in [
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/embeddings",
            "/v1/images/generations",
            "/v1/audio/speech",
            "/v1/audio/transcriptions",
            "/v1/audio/translations",
            "/v1/moderations",
            "/v1/rerank",
            "/v1/responses",
            "/v1/messages",
            "/v1/messages/count_tokens",
            "/v1/models/m:generateContent",
            "/v1beta/models/m:embedContent",
        ] {
            assert!(Called::at(path, None).is_some(), "{path}");
            for method in ["GET", "POST", "DELETE"] {
                assert!(Pattern::parse(&format!("{method} {path}")).is_err(), "{path}");
            }
        }
    }
}
