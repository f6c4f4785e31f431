//! The request as the upstream gets it: our credential, the caller's body with another model
//! name or in another dialect, and of the caller's headers only those on the list.

use super::{
    answer::Fault,
    sign::Signer,
    target::Target,
    tokens::{Token, Tokens},
};
use crate::{
    clock,
    proxy::{ask::Ask, authenticate, client::Client, endpoint::Endpoint, refusal::Refusal, world::Running},
};
use aione_core::{
    config::snapshot::Deployment,
    domain::id::RecordId,
    provider::{Credential, Entry, simulated::DIRECTIVE_HEADER},
    wire::{
        Dialect, Tongue,
        chat::Dropped,
        codec::{Malformed, Manner, Setting},
        splice::{self, Spliced},
        translate::Pair,
    },
};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ipnet::IpNet;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pingora_http::RequestHeader;
use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// The caller's headers that reach an upstream; the rest stays here. A list of what passes,
/// not of what does not: an unknown header may hold a secret. Not `idempotency-key` either:
/// organizations share a vendor's account, and one would be given another's answer.
const PASSED: [&str; 8] = [
    "accept",
    "user-agent",
    "openai-beta",
    "anthropic-version",
    "anthropic-beta",
    "traceparent",
    "tracestate",
    "x-client-request-id",
];
const PASSED_PREFIX: &str = "x-stainless-";
/// How a request is to be translated; `strict`: refused where something cannot be carried.
const TRANSLATION_HEADER: &str = "x-aione-translation";
/// What stands in a path as it is.
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// A body up to this size is copied behind the head; a longer one is written beside it.
const COPIED_MAX: usize = 64 * 1024;

/// A request that is ready to be sent, over whichever version of HTTP the connection speaks.
pub(super) struct Outgoing<'r> {
    /// Of the upstream.
    pub(super) endpoint: Endpoint,
    headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) method: Method,
    /// Of the body: the caller's where that is a form, whose boundary it names, or is passed on.
    pub(super) content_type: Option<HeaderValue>,
    /// In order; nothing was copied out of the caller's body.
    pub(super) body: Vec<Bytes>,
    pub(super) body_len: usize,
    /// Behind the provider's `base_url`, with a query where it has one.
    pub(super) path: Cow<'static, str>,
    /// The header that carries the credential.
    credential_name: HeaderName,
    pub(super) credential: Option<HeaderValue>,
    /// In its place, where it must be asked for.
    token: Option<Arc<Token>>,
    /// What else of the request an error must not repeat.
    signed_with: Vec<HeaderValue>,
    /// Where the upstream speaks another dialect than the caller.
    pub(super) translation: Option<Translation>,
    /// How its errors are read where its answers pass as they are.
    errors: Option<Translation>,
    /// What the caller asks of the simulated provider.
    pub(super) directive: Option<String>,
    /// Set once anything may have reached the upstream.
    sent: &'r AtomicBool,
}

/// How the answer comes back from another dialect.
#[derive(Clone)]
pub(super) struct Translation {
    pub(super) pair: Pair,
    /// What the upstream's dialect could not say of the request.
    pub(super) dropped: Dropped,
    /// What writers must know besides the answer.
    pub(super) setting: Setting,
}

impl<'r> Outgoing<'r> {
    /// # Errors
    /// The request cannot be said in the deployment's dialect.
    pub(super) fn new(
        deployment: &Deployment,
        running: &Running,
        ask: &Ask,
        client: &Client<'_>,
        trusted: &[IpNet],
        sent: &'r AtomicBool,
        id: RecordId,
    ) -> Result<Self, Refusal> {
        let (kind, account) = (deployment.provider.kind, &deployment.provider.account);
        let own = ask.endpoint().dialect();
        let tongue = ask.endpoint().tongue_for(deployment).unwrap_or(own.into());
        let endpoint = match tongue {
            Tongue::Dialect(dialect) if dialect != own => Endpoint::of_chat(dialect, ask.peek.stream),
            _ => ask.endpoint(),
        };
        let (Spliced { parts: mut body, bytes: mut body_len }, translation) =
            if let Some(passed) = &ask.passed {
                (passed.body(&ask.body, &ask.peek, &deployment.model), None)
            } else if tongue == own.into() {
                let ask_usage =
                    ask.peek.stream && deployment.provider.stream_usage && endpoint.has_stream_options();
                let spliced = match ask.unsealed(&deployment.model) {
                    None => splice::splice(&ask.body, &ask.peek, &deployment.model, ask_usage),
                    Some((body, peek)) => splice::splice(&body, &peek, &deployment.model, ask_usage),
                };
                (spliced, None)
            } else {
                let (body, translation) = translated(ask, tongue, deployment, client.headers(), id)?;
                let bytes = body.len();
                (Spliced { parts: vec![body.into()], bytes }, Some(translation))
            };
        let betas = client.headers().get("anthropic-beta").and_then(|value| value.to_str().ok());
        if let Some(changed) = account.body(&body, &deployment.model, betas) {
            body_len = changed.len();
            body = vec![changed.into()];
        }
        let path = match &ask.passed {
            Some(passed) => passed.path.clone().into(),
            None => path(endpoint, tongue, &deployment.model),
        };
        let mut path = account
            .path(path, &deployment.model, ask.peek.stream)
            .ok_or_else(|| Refusal::invalid("The model's provider has nothing of the kind", Some("model")))?;
        if let Some(query) = ask.passed.as_ref().and_then(|passed| passed.query.as_deref()) {
            path = format!("{path}?{query}").into();
        }
        let errors = match (&translation, account.has_own_errors()) {
            (None, true) => Pair::of(own, tongue).map(|pair| Translation {
                pair,
                dropped: Dropped::default(),
                setting: setting(ask, &deployment.model, id),
            }),
            _ => None,
        };
        let mut headers = if translation.is_none() { passed(client.headers()) } else { Vec::new() };
        if account.rewrites_bodies() {
            // It would ask for a form of the answer, which is decided by where the request goes.
            headers.retain(|(name, _)| *name != http::header::ACCEPT);
        }
        for (name, value) in kind.headers {
            let name = HeaderName::from_static(name);
            if !headers.iter().any(|(passed, _)| *passed == name) {
                headers.push((name, HeaderValue::from_static(value)));
            }
        }
        if deployment.provider.forward_client_ip
            && let Some(address) = authenticate::address(client, trusted)
            && let Ok(value) = HeaderValue::from_str(&address.to_string())
        {
            headers.push((HeaderName::from_static("x-forwarded-for"), value));
        }
        let mut signed_with = Vec::new();
        if let (Entry::Signed { keys, region, service }, Some(target)) = (account.entry(), &running.target) {
            let signer = Signer { keys, region, service };
            let signature = signer.sign(&target.url(&path), &body, clock::now());
            headers.extend(signature.ok_or(Refusal::Internal)?);
            signed_with = signer.secrets();
        }
        let (method, content_type) = match &ask.passed {
            Some(passed) => (passed.method.clone(), passed.content_type.clone()),
            None => {
                let form =
                    client.headers().get(http::header::CONTENT_TYPE).filter(|_| ask.peek.recording.is_some());
                let json = HeaderValue::from_static("application/json");
                (Method::POST, Some(form.cloned().unwrap_or(json)))
            }
        };
        Ok(Self {
            headers,
            method,
            content_type,
            body_len,
            body,
            path,
            endpoint,
            token: running.token().cloned(),
            signed_with,
            errors,
            credential_name: match kind.credential {
                Credential::Header(name) => HeaderName::from_static(name),
                Credential::Bearer | Credential::KeyFile | Credential::None => http::header::AUTHORIZATION,
            },
            credential: running.credential().cloned(),
            translation,
            sent,
            directive: client
                .headers()
                .get(DIRECTIVE_HEADER)
                .and_then(|value| Some(value.to_str().ok()?.to_owned())),
        })
    }

    /// Waits for the token that lets it in, where it takes one and there is none yet.
    pub(super) async fn be_let_in(&mut self, patience: Duration) -> Result<(), Fault> {
        if let Some(token) = &self.token {
            self.credential = Some(token.value(patience).await.ok_or(Fault::Credential)?);
        }
        Ok(())
    }

    /// The upstream did not let it in.
    pub(super) fn note_refused(&self, tokens: &Tokens) {
        if let Some(token) = &self.token {
            tokens.refused(token);
        }
    }

    /// What an error must not repeat.
    pub(super) fn secrets(&self) -> Vec<HeaderValue> {
        self.credential.iter().chain(&self.signed_with).cloned().collect()
    }

    /// How an answer of this status comes back, where it does not pass as it is.
    pub(super) fn translation_of(&self, status: http::StatusCode) -> Option<&Translation> {
        let is_error = status.is_client_error() || status.is_server_error();
        self.translation.as_ref().or(self.errors.as_ref().filter(|_| is_error))
    }

    /// Notes that from now on something may reach the upstream.
    pub(super) fn note_sent(&self) {
        self.sent.store(true, Ordering::Relaxed);
    }

    /// The request's head as HTTP/1.1 bytes, followed by the body where that is small enough to be copied.
    /// The flag tells whether the body is in it.
    pub(super) fn http1(&self, target: &Target) -> (Bytes, bool) {
        let fits = self.body_len <= COPIED_MAX;
        let mut wire = BytesMut::with_capacity(1024 + if fits { self.body_len } else { 0 });
        let mut line = |parts: &[&[u8]]| parts.iter().for_each(|part| wire.put_slice(part));
        let method = self.method.as_str().as_bytes();
        line(&[method, b" ", target.path().as_bytes(), self.path.as_bytes(), b" HTTP/1.1\r\nhost: "]);
        line(&[target.authority.as_bytes(), b"\r\n"]);
        if let Some(kind) = &self.content_type {
            line(&[b"content-type: ", kind.as_bytes(), b"\r\n"]);
        }
        if let Some(credential) = &self.credential {
            let name = self.credential_name.as_str().as_bytes();
            line(&[name, b": ", credential.as_bytes(), b"\r\n"]);
        }
        for (name, value) in &self.headers {
            line(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
        }
        if self.tells_length() {
            line(&[b"content-length: ", self.body_len.to_string().as_bytes(), b"\r\n"]);
        }
        line(&[b"accept-encoding: identity\r\n\r\n"]);
        if fits {
            self.body.iter().for_each(|part| wire.put_slice(part));
        }
        (wire.freeze(), fits)
    }

    /// Methods that have no body unless one is sent need not say so.
    fn tells_length(&self) -> bool {
        self.body_len > 0 || !matches!(self.method, Method::GET | Method::DELETE)
    }

    /// The same head for HTTP/2.
    pub(super) fn http2(&self, target: &Target) -> Option<Box<RequestHeader>> {
        let path = format!("{}{}", target.path(), self.path);
        let mut head = RequestHeader::build_no_case(self.method.clone(), path.as_bytes(), Some(16)).ok()?;
        head.set_version(http::Version::HTTP_2);
        let scheme = if target.is_tls() { "https" } else { "http" };
        let uri = format!("{scheme}://{}{path}", target.authority).parse().ok()?;
        head.set_uri(uri);
        if let Some(kind) = &self.content_type {
            head.insert_header(http::header::CONTENT_TYPE, kind.clone()).ok()?;
        }
        head.insert_header(http::header::ACCEPT_ENCODING, "identity").ok()?;
        if self.tells_length() {
            head.insert_header(http::header::CONTENT_LENGTH, self.body_len).ok()?;
        }
        if let Some(credential) = &self.credential {
            head.insert_header(self.credential_name.clone(), credential.clone()).ok()?;
        }
        for (name, value) in &self.headers {
            head.append_header(name.clone(), value.clone()).ok()?;
        }
        Some(Box::new(head))
    }
}

/// The caller's request in an upstream's dialect.
fn translated(
    ask: &Ask,
    tongue: Tongue,
    deployment: &Deployment,
    headers: &HeaderMap,
    id: RecordId,
) -> Result<(Vec<u8>, Translation), Refusal> {
    let model = &*deployment.model;
    let refused = |error: &Malformed| Refusal::InvalidRequest {
        message: error.message.clone().into(),
        param: error.param.clone().map(Cow::Owned),
    };
    let own = ask.endpoint().dialect();
    let mut pair = Pair::of(own, tongue).ok_or(Refusal::Internal)?;
    if deployment.provider.give_back_reasoning {
        pair = pair.giving_back_thoughts();
    }
    let (request, dropped) = ask.neutral(&pair).map_err(refused)?;
    let mut dropped = dropped.clone();
    let body = pair.encode_request(request, model, &mut dropped).map_err(|error| refused(&error))?;
    let is_strict = headers.get(TRANSLATION_HEADER).is_some_and(|value| value.as_bytes() == b"strict");
    if is_strict && !dropped.is_empty() {
        let names = dropped.header();
        let message = format!("The model's dialect cannot carry this of the request: {names}");
        return Err(Refusal::invalid(message, None));
    }
    let freeform_tools = request.freeform_tools.clone();
    let setting = Setting { freeform_tools, ..setting(ask, model, id) };
    Ok((body, Translation { pair, dropped, setting }))
}

/// What writers must know of the exchange.
fn setting(ask: &Ask, model: &str, id: RecordId) -> Setting {
    Setting {
        id: id.to_string(),
        created: clock::now().0 / 1000,
        model: model.to_owned(),
        stream_usage: ask.peek.wants_usage(),
        estimated_input: ask.estimated_input,
        as_array: ask.endpoint() == Endpoint::GenerateContent(Manner::Array),
        ..Setting::default()
    }
}

/// Where the vendor of a dialect is asked, behind its `base_url`; nowhere in what no vendor has for its own.
fn path(endpoint: Endpoint, tongue: Tongue, model: &str) -> Cow<'static, str> {
    if tongue == Tongue::Converse {
        return "".into();
    }
    if endpoint.dialect() == Dialect::Gemini {
        let model = utf8_percent_encode(model, PATH_SEGMENT);
        return format!("/models/{model}:{}", endpoint.path()).into();
    }
    endpoint.path().into()
}

/// The caller's headers on the list, but for those that its `Connection` names.
fn passed(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let nominated = |name: &HeaderName| {
        headers.get_all(http::header::CONNECTION).into_iter().any(|value| {
            value.to_str().is_ok_and(|list| {
                list.split(',').any(|nominee| nominee.trim().eq_ignore_ascii_case(name.as_str()))
            })
        })
    };
    headers
        .iter()
        .filter(|(name, _)| PASSED.contains(&name.as_str()) || name.as_str().starts_with(PASSED_PREFIX))
        .filter(|(name, _)| !nominated(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
