//! Requests that are let in by a signature: Amazon's, version 4, by the vendor's own crate. Of the
//! request's headers those are signed that say what it is; what a proxy on the way may touch is not.

use aione_core::{config::snapshot::Secret, domain::clock::Timestamp, provider::bedrock::AccessKeys};
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use std::time::{Duration, UNIX_EPOCH};

/// Who the keys are said to be from, which nobody reads.
const SOURCE: &str = "configuration";

/// Whose signature, and for what.
#[derive(Clone, Copy)]
pub(super) struct Signer<'a> {
    pub(super) keys: &'a AccessKeys,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

impl Signer<'_> {
    /// The headers that let in a `POST` of `body` as JSON to `url`, which is encoded. `None`: what is to be
    /// signed is no URL, which no base address is.
    pub(super) fn sign(
        self,
        url: &str,
        body: &[Bytes],
        now: Timestamp,
    ) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let AccessKeys { access_key_id, secret_access_key, session_token } = self.keys;
        let token = session_token.as_ref().map(|token| token.expose().to_owned());
        let identity =
            Credentials::new(access_key_id.expose(), secret_access_key.expose(), token, None, SOURCE).into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(UNIX_EPOCH + Duration::from_millis(u64::try_from(now.0).ok()?))
            .settings(SigningSettings::default())
            .build()
            .ok()?
            .into();
        let headers = [("content-type", "application/json")];
        let body = SignableBody::Precomputed(sha256(body));
        let request = SignableRequest::new("POST", url, headers.into_iter(), body).ok()?;
        let (signed, _) = sign(request, &params).ok()?.into_parts();
        let headers = signed.headers().map(|(name, value)| {
            let mut value = HeaderValue::from_str(value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        });
        headers.collect()
    }

    /// What an error may repeat of the request and must not be told: a signature that does not fit is answered
    /// with all that was signed.
    pub(super) fn secrets(self) -> Vec<HeaderValue> {
        let value = |secret: &Secret| HeaderValue::from_str(secret.expose()).ok();
        let AccessKeys { access_key_id, session_token, .. } = self.keys;
        [Some(access_key_id), session_token.as_ref()].into_iter().flatten().filter_map(value).collect()
    }
}

/// In lower-case hexadecimal.
fn sha256(parts: &[Bytes]) -> String {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn keys(session_token: Option<&str>) -> AccessKeys {
        AccessKeys {
            access_key_id: secret("AKIDEXAMPLE"),
            secret_access_key: secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: session_token.map(secret),
        }
    }

    /// 2015-08-30 12:36:00, the time of the vendor's published examples.
    const EXAMPLE: Timestamp = Timestamp(1_440_938_160_000);

    fn signed(keys: &AccessKeys, url: &str, body: &[Bytes]) -> Vec<(String, String)> {
        let signer = Signer { keys, region: "us-east-1", service: "service" };
        let headers = signer.sign(url, body, EXAMPLE).unwrap();
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
    }

    fn get<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
        headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_signature_has_its_time_its_scope_and_what_it_covers() {
        let headers = signed(&keys(None), "https://example.amazonaws.com/", &[Bytes::from_static(b"{}")]);
        assert_eq!(get(&headers, "x-amz-date"), Some("20150830T123600Z"));
        let authorization = get(&headers, "authorization").unwrap();
        let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                     SignedHeaders=content-type;host;x-amz-date, Signature=";
        let signature = authorization.strip_prefix(scope).unwrap_or_else(|| panic!("{authorization}"));
        assert_eq!(signature.len(), 64);
        let headers = signed(&keys(Some("t/+=")), "https://example.amazonaws.com/", &[]);
        assert_eq!(get(&headers, "x-amz-security-token"), Some("t/+="));
        let covered = "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,";
        assert!(get(&headers, "authorization").unwrap().contains(covered));
    }

    #[test]
    fn the_body_the_path_and_the_host_are_covered_and_pieces_are_one_body() {
        let keys = keys(None);
        let sign =
            |url: &str, body: &[Bytes]| get(&signed(&keys, url, body), "authorization").unwrap().to_owned();
        let one = [Bytes::from_static(b"{\"a\":1}")];
        let two = [Bytes::from_static(b"{\"a\""), Bytes::from_static(b":1}")];
        let url = "https://h.example/model/a%3A0/converse";
        assert_eq!(sign(url, &one), sign(url, &two));
        for (url, body) in [
            ("https://h.example/model/a%3A1/converse", &one[..]),
            ("https://other.example/model/a%3A0/converse", &one[..]),
            (url, &two[..1]),
        ] {
            assert_ne!(sign(url, body), sign("https://h.example/model/a%3A0/converse", &one), "{url}");
        }
        let signer = Signer { keys: &keys, region: "r", service: "s" };
        assert_eq!(signer.secrets(), [HeaderValue::from_static("AKIDEXAMPLE")]);
    }
}
