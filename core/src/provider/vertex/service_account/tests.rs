//! What is signed verifies with the public key, and nothing secret is told.

use super::*;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

const PEM: &str = include_str!("../../../../../tests/fixtures/service_account/key_for_tests.pem");
const NOW: Timestamp = Timestamp(1_800_000_000_123);

fn file() -> serde_json::Value {
    json!({
        "type": "service_account", "client_email": "gateway@p.iam.gserviceaccount.com",
        "private_key": PEM, "private_key_id": "k1", "token_uri": "https://oauth2.googleapis.com/token",
    })
}

fn read(file: &serde_json::Value) -> Result<ServiceAccount, &'static str> {
    ServiceAccount::read(Secret::new(file.to_string()), |url| match url.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.split('/').next().unwrap_or_default().to_owned();
            Ok(BaseUrl { tls: scheme == "https", host, port: 443, path: "/token".to_owned() })
        }
        None => Err("no"),
    })
}

#[test]
fn the_request_for_a_token_is_signed_and_says_who_asks_whom() {
    let account = read(&file()).unwrap();
    let body = account.request(NOW).unwrap();
    let assertion = body.expose().split("assertion=").nth(1).unwrap();
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, account.key.public().as_ref());
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    public.verify(signed.as_bytes(), &signature).unwrap();
    let part = |at: usize| -> serde_json::Value {
        let part = signed.split('.').nth(at).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(part(0), json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
    assert_eq!(
        part(1),
        json!({
            "iss": "gateway@p.iam.gserviceaccount.com", "scope": SCOPE,
            "aud": "https://oauth2.googleapis.com/token", "iat": 1_800_000_000, "exp": 1_800_003_600,
        })
    );
    assert!(body.expose().starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&"));
}

#[test]
fn a_token_lives_from_when_it_was_asked_for() {
    let account = read(&file()).unwrap();
    let body = br#"{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}"#;
    let minted = account.answer(200, body, NOW).unwrap();
    assert_eq!((minted.token.expose(), minted.expires), ("ya29.x", Timestamp(NOW.0 + 3_599_000)));
    let refused = account.answer(
        400,
        br#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#,
        NOW,
    );
    assert_eq!(refused, Err("status 400: invalid_grant: Invalid JWT Signature.".to_owned()));
    for body in ["", "<html>", "{}", r#"{"access_token":""}"#, r#"{"access_token":"a b"}"#] {
        assert!(account.answer(200, body.as_bytes(), NOW).is_err(), "{body}");
    }
}

#[test]
fn what_is_wrong_with_a_key_file_is_told_without_what_it_holds() {
    let without = |name: &str| {
        let mut file = file();
        file.as_object_mut().unwrap().remove(name);
        read(&file).unwrap_err()
    };
    let with = |name: &str, value: &str| {
        let mut file = file();
        file[name] = value.into();
        read(&file).unwrap_err()
    };
    assert_eq!(without("client_email"), "has no `client_email`");
    assert_eq!(without("private_key"), "has no `private_key`");
    assert!(
        with("private_key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----").contains("PEM")
    );
    assert!(with("private_key", PEM.replace("PRIVATE", "RSA PRIVATE").as_str()).contains("PEM"));
    assert!(with("type", "authorized_user").contains("`type`"));
    assert!(with("token_uri", "nowhere").contains("`token_uri`"));
    assert!(with("token_uri", "http://evil.example/token").contains("unencrypted"));
    let mut local = file();
    local["token_uri"] = "http://127.0.0.1/token".into();
    assert!(read(&local).is_ok());
    let shown = format!("{:?}", read(&file()).unwrap());
    assert_eq!(shown, "ServiceAccount(gateway@p.iam.gserviceaccount.com)");
}
