//! An honest Vertex AI with the endpoint that gives tokens: the signed request is verified with the account's
//! public key, and models are asked with a token that was given and has not ended.

use super::{Seen, Upstream, gemini, messages, openai::CONTENT_EVENTS, script::Script, truth::Truth};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

pub const EMAIL: &str = "gateway@my-project.iam.gserviceaccount.com";
const PEM: &str = include_str!("../../../fixtures/service_account/key_for_tests.pem");

/// A listening Vertex AI.
pub struct Google {
    pub upstream: Upstream,
    state: Arc<Mutex<State>>,
}

struct State {
    seed: u64,
    /// Of tokens that are given from now on, in seconds.
    life: u64,
    is_giving: bool,
    /// When each token ends.
    given: HashMap<String, Instant>,
    asked: usize,
}

impl Google {
    pub async fn start(life: u64) -> Self {
        let given = HashMap::new();
        let state = State { seed: 1, life, is_giving: true, given, asked: 0 };
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        let upstream = Upstream::deciding(move |seen| decide(seen, &mut shared.lock().unwrap())).await;
        Self { upstream, state }
    }

    /// The key file of the account, whose tokens are given here.
    pub fn key_file(&self) -> String {
        key_file(self.upstream.addr)
    }

    /// What goes into `base_url`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.upstream.addr)
    }

    /// How often a token was asked for.
    pub fn asked(&self) -> usize {
        self.state.lock().unwrap().asked
    }

    /// How many tokens were given.
    pub fn given(&self) -> usize {
        self.state.lock().unwrap().given.len()
    }

    pub fn give(&self, is_giving: bool) {
        self.state.lock().unwrap().is_giving = is_giving;
    }

    pub fn set_life(&self, seconds: u64) {
        self.state.lock().unwrap().life = seconds;
    }
}

/// The key file of the account, whose tokens are given at `addr`.
pub fn key_file(addr: SocketAddr) -> String {
    json!({
        "type": "service_account", "project_id": "my-project", "client_email": EMAIL,
        "private_key": PEM, "private_key_id": "key-1", "token_uri": format!("http://{addr}/token"),
    })
    .to_string()
}

fn decide(seen: &Seen, state: &mut State) -> Script {
    if seen.path() == "/token" {
        return token(seen, state);
    }
    let token = seen.headers().get("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let ends = token.and_then(|token| state.given.get(token));
    if ends.is_none_or(|ends| *ends <= Instant::now()) {
        let message = "Request had invalid authentication credentials.";
        return Script::json(401, gemini::error(401, "UNAUTHENTICATED", message).to_string());
    }
    state.seed += 1;
    answer(seen, &Truth::of(state.seed))
}

fn token(seen: &Seen, state: &mut State) -> Script {
    state.asked += 1;
    if !state.is_giving {
        let error = json!({ "error": "internal_failure", "error_description": "later" });
        return Script::json(503, error.to_string());
    }
    if let Err(reason) = verify(seen) {
        let error = json!({ "error": "invalid_grant", "error_description": reason });
        return Script::json(400, error.to_string());
    }
    let token = format!("ya29.token-number-{}", state.given.len());
    state.given.insert(token.clone(), Instant::now() + Duration::from_secs(state.life));
    let answer = json!({ "access_token": token, "expires_in": state.life, "token_type": "Bearer" });
    Script::json(200, answer.to_string())
}

/// Checks a signed request for a token.
fn verify(seen: &Seen) -> Result<(), String> {
    let kind = seen.headers().get("content-type");
    if kind != Some("application/x-www-form-urlencoded") {
        return Err(format!("the body is {kind:?}"));
    }
    let body = std::str::from_utf8(&seen.body).map_err(|error| error.to_string())?;
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    let assertion = body.strip_prefix(grant).ok_or("another grant")?;
    let (signed, signature) = assertion.rsplit_once('.').ok_or("no signature")?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|error| error.to_string())?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key())
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| "the signature does not match")?;
    let claims = signed.split_once('.').ok_or("no claims")?.1;
    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|error| error.to_string())?;
    let claims: Value = serde_json::from_slice(&claims).map_err(|error| error.to_string())?;
    let audience = format!("http://{}/token", seen.headers().get("host").unwrap_or_default());
    let (issued, ends) = (claims["iat"].as_i64().unwrap_or(0), claims["exp"].as_i64().unwrap_or(0));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let is_now = i64::try_from(now).unwrap().abs_diff(issued) < 60;
    let scope = "https://www.googleapis.com/auth/cloud-platform";
    if claims["iss"] != EMAIL || claims["aud"] != audience || claims["scope"] != scope {
        return Err(format!("the claims are {claims}"));
    }
    if !is_now || ends - issued != 3_600 { Err(format!("the times are {claims}")) } else { Ok(()) }
}

fn public_key() -> Vec<u8> {
    let base64: String = PEM.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(base64).unwrap();
    RsaKeyPair::from_pkcs8(&der).unwrap().public().as_ref().to_vec()
}

/// An honest answer, for Gemini or for Claude.
fn answer(seen: &Seen, truth: &Truth) -> Script {
    let place = "/v1/projects/my-project/locations/europe-west4/publishers/";
    let Some(rest) = seen.path().strip_prefix(place) else {
        return Script::json(404, gemini::error(404, "NOT_FOUND", "no such place").to_string());
    };
    let ask = seen.json();
    if rest.starts_with("google/models/") {
        let has_ids = ask["contents"].as_array().into_iter().flatten().any(|turn| {
            let parts = turn["parts"].as_array().into_iter().flatten();
            parts.into_iter().any(|part| {
                ["functionCall", "functionResponse"].iter().any(|call| part[call].get("id").is_some())
            })
        });
        if has_ids {
            let message = "Invalid JSON payload received. Unknown name \"id\" at 'contents[1].parts[0]': Cannot find field.";
            return Script::json(400, gemini::error(400, "INVALID_ARGUMENT", message).to_string());
        }
        return gemini::answer(seen, truth);
    }
    if ask["anthropic_version"] != "vertex-2023-10-16" || ask.get("model").is_some() {
        return Script::json(
            400,
            messages::error("invalid_request_error", "model: Extra inputs are not permitted").to_string(),
        );
    }
    let truth = messages::renamed(truth);
    let model = "claude-sonnet-4-5@20250929";
    match rest.rsplit_once(':').map(|(_, call)| call) {
        Some("rawPredict") => Script::json(200, messages::message(&truth, model)).truth(&truth),
        Some("streamRawPredict") => {
            Script::stream(messages::stream(&truth, model, CONTENT_EVENTS).all()).truth(&truth)
        }
        _ => Script::json(404, gemini::error(404, "NOT_FOUND", "no such method").to_string()),
    }
}
