//! A service account: its key file, and the signed request for a token that it is given by Google's way for
//! machines, RFC 7523: <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>.
//!
//! Signed by ring, which TLS brings along. The usual crate for tokens comes with aws-lc or with the crate
//! `rsa`, which has an advisory that nothing fixes.

use crate::{
    config::snapshot::{BaseUrl, Secret},
    domain::clock::Timestamp,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde::Deserialize;
use serde_json::json;
use std::fmt;

/// What a token is good for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const DEFAULT_TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// How long a request for a token may be used, in seconds: the most that is taken.
const ASSERTION_SECS: i64 = 3_600;
/// The longest life of a token that is believed, in seconds.
const LIFE_MAX_SECS: u64 = 24 * 3_600;
/// Longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// One service account, ready to sign.
pub struct ServiceAccount {
    /// The whole key file: two accounts are the same when this is.
    file: Secret,
    email: String,
    key_id: String,
    key: RsaKeyPair,
    /// Where tokens are given.
    pub token_endpoint: BaseUrl,
    /// The same as it is written: whom the signed request is for.
    audience: String,
}

/// A token and when it ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Minted {
    pub token: Secret,
    pub expires: Timestamp,
}

impl PartialEq for ServiceAccount {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file
    }
}

impl Eq for ServiceAccount {}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceAccount({})", self.email)
    }
}

impl ServiceAccount {
    /// Reads a key file. `address` reads where tokens are given.
    ///
    /// # Errors
    /// What is wrong with it, without a word of what it holds.
    pub fn read(
        file: Secret,
        address: impl Fn(&str) -> Result<BaseUrl, &'static str>,
    ) -> Result<Self, &'static str> {
        #[derive(Deserialize)]
        struct File {
            #[serde(rename = "type")]
            kind: Option<String>,
            client_email: Option<String>,
            private_key: Option<String>,
            private_key_id: Option<String>,
            token_uri: Option<String>,
        }
        let read: File = serde_json::from_str(file.expose()).map_err(
            |_| "expected the JSON key file of a service account, such as `file:service-account.json`",
        )?;
        if read.kind.as_deref().is_some_and(|kind| kind != "service_account") {
            return Err("is not the key file of a service account: its `type` says otherwise");
        }
        let email = read.client_email.filter(|email| !email.is_empty()).ok_or("has no `client_email`")?;
        let pem = Secret::new(read.private_key.ok_or("has no `private_key`")?);
        let key = key(&pem).ok_or("its `private_key` is no RSA key in PEM (PKCS#8)")?;
        let audience = read.token_uri.unwrap_or_else(|| DEFAULT_TOKEN_URI.to_owned());
        let token_endpoint = address(&audience).map_err(|_| "its `token_uri` is no URL that can be asked")?;
        if !token_endpoint.tls && !token_endpoint.is_loopback() {
            return Err("its `token_uri` is http, over which a token would travel unencrypted");
        }
        let key_id = read.private_key_id.unwrap_or_default();
        Ok(Self { file, email, key_id, key, token_endpoint, audience })
    }

    /// Who it is, for the log.
    #[must_use]
    pub fn email(&self) -> &str {
        &self.email
    }

    /// What tells it from others, and must not be shown.
    #[must_use]
    pub fn file(&self) -> &Secret {
        &self.file
    }

    /// The body of the request for a token, as `application/x-www-form-urlencoded`. `None`: the key cannot
    /// sign, which no key does that could be read.
    #[must_use]
    pub fn request(&self, now: Timestamp) -> Option<Secret> {
        let issued = now.0.div_euclid(1000);
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.key_id });
        let claims = json!({
            "iss": self.email, "scope": SCOPE, "aud": self.audience,
            "iat": issued, "exp": issued.saturating_add(ASSERTION_SECS),
        });
        let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        // Signatures of this kind are the same each time: the source of chance is asked for nothing.
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
        let assertion = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        // Neither needs to be encoded any further, but for the colons.
        Some(Secret::new(format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"
        )))
    }

    /// What was answered to a request that left at `asked_at`.
    ///
    /// # Errors
    /// Why there is no token, in the words of who refused it.
    pub fn answer(&self, status: u16, body: &[u8], asked_at: Timestamp) -> Result<Minted, String> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Told {
            access_token: Option<String>,
            expires_in: Option<u64>,
            error: Option<serde_json::Value>,
            error_description: Option<String>,
        }
        let told: Told = serde_json::from_slice(body).unwrap_or_default();
        let is_token = |token: &String| {
            (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if let (200, Some(token)) = (status, told.access_token.filter(is_token)) {
            let life = told.expires_in.unwrap_or(0).min(LIFE_MAX_SECS);
            let life_ms = i64::try_from(life.saturating_mul(1000)).unwrap_or(0);
            return Ok(Minted {
                token: Secret::new(token),
                expires: Timestamp(asked_at.0.saturating_add(life_ms)),
            });
        }
        let error = told.error.as_ref().and_then(|error| error.as_str()).unwrap_or("no token");
        let description = told.error_description.unwrap_or_default();
        let reason: String = format!("status {status}: {error}: {description}").chars().take(300).collect();
        Err(reason)
    }
}

/// The key in a PEM of PKCS#8.
fn key(pem: &Secret) -> Option<RsaKeyPair> {
    let (_, rest) = pem.expose().split_once("-----BEGIN PRIVATE KEY-----")?;
    let (inside, _) = rest.split_once("-----END PRIVATE KEY-----")?;
    let base64: String = inside.split_whitespace().collect();
    let der = zeroize::Zeroizing::new(STANDARD.decode(zeroize::Zeroizing::new(base64).as_bytes()).ok()?);
    RsaKeyPair::from_pkcs8(&der).ok()
}

#[cfg(test)]
mod tests;
