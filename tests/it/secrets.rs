//! Planted secrets are found nowhere but where they must be: in the file, and at the upstream.

use crate::support::{
    admin::Key,
    client::{self, Answer, BOTH, Call, Version},
    gateway::{Gateway, TestGateway},
    settings::{CREDENTIAL, OPERATOR},
    upstream::{Script, Upstream},
};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

const WRONG: &str = "sk-aione-PLANTEDPLANTEDPLANTEDPLANTEDPLANTED01";
const PROMPT: &str = "planted-prompt-7f3a";
const COOKIE: &str = "planted-cookie-91bc";

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

/// Asserts that none of `secrets` is in any file of the gateway but its configuration, nor in
/// what it has said.
async fn expect_hidden(gateway: &Gateway, secrets: &[&str], said: &[String]) {
    let hidden = |place: &str, bytes: &[u8]| {
        for secret in secrets {
            let found = memchr::memmem::find(bytes, secret.as_bytes());
            assert!(found.is_none(), "{secret} is in {place}");
        }
    };
    let names: Vec<_> = files(gateway.folder());
    for file in &names {
        if *file != gateway.file() {
            hidden(&file.display().to_string(), &fs::read(file).unwrap());
        }
    }
    let shown = |part: &str| names.iter().any(|file| file.to_string_lossy().contains(part));
    assert!(shown("aione.db") && shown("journal") && shown(".log"), "{names:?}");
    hidden("the metrics", gateway.metrics().await.0.as_bytes());
    for text in said {
        hidden(text, text.as_bytes());
    }
    let argv = fs::read(format!("/proc/{}/cmdline", gateway.pid())).unwrap();
    hidden("argv", &argv);
}

#[tokio::test]
async fn no_secret_is_written_logged_or_said() {
    let good = Upstream::start().await;
    // An upstream that repeats what it was given in its error.
    let telling = Upstream::deciding(|seen| {
        let key = seen.headers().get("authorization").unwrap_or_default().to_owned();
        Script::error(401, &format!("Incorrect API key provided: {}", &key[..key.len().min(12)]))
    })
    .await;
    let broken = Upstream::always(Script::new().send("HTTP/1.1 200 OK\r\nbroken").fin()).await;
    let mut gateway = TestGateway::new()
        .upstream("good", &good)
        .upstream("telling", &telling)
        .upstream("broken", &broken)
        .model("m", &["good"])
        .model("telling", &["telling"])
        .model("broken", &["broken"])
        .set("/log/level", "debug")
        .start()
        .await;
    let key: Key = gateway.create_key(json!({})).await;
    let mut said: Vec<String> = Vec::new();
    let mut keep = |answer: Answer| {
        let headers: Vec<_> =
            answer.headers.0.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        said.push(format!("{} {} {}", answer.status, headers.join("; "), answer.text()));
    };
    for version in BOTH {
        for model in ["m", "telling", "broken", "missing"] {
            let body = json!({ "model": model, "messages": [{ "role": "user", "content": PROMPT }] });
            for secret in [key.secret.as_str(), WRONG] {
                let call = Call::chat_with(secret, &body).header("cookie", COOKIE);
                keep(gateway.send_over(version, &call).await);
                let mut by_query = Call::chat_with("", &body);
                by_query.headers.retain(|(name, _)| name != "authorization");
                by_query.path = format!("{}?key={secret}", by_query.path);
                keep(gateway.send_over(version, &by_query).await);
                keep(gateway.send_over(version, &Call::get(&format!("/v1/nothing?key={secret}"))).await);
                let own = Call::get("/api/v1/gateway/key").bearer(secret);
                keep(client::send(Version::H1, gateway.settings.admin, &own).await);
            }
        }
    }
    keep(gateway.admin(Call::get("/api/v1/gateway/keys")).await);
    keep(gateway.admin(Call::get("/api/v1/config")).await);
    keep(gateway.admin(Call::post("/api/v1/gateway/keys", r#"{"name":5}"#)).await);
    let mut rotate = Call::post(&format!("/api/v1/gateway/keys/{}/rotate", key.id), r#"{"grace_seconds":0}"#);
    rotate.method = "PUT";
    gateway.admin(rotate).await.ok();
    gateway.write_text("{ broken");
    keep(gateway.admin(Call::new("POST", "/api/v1/config/reload")).await);
    gateway.quiet().await;
    let secrets = [key.secret.as_str(), WRONG, CREDENTIAL, OPERATOR, PROMPT, COOKIE];
    expect_hidden(&gateway, &secrets, &said).await;
    // The secret without its prefix, as a careless mask might leave it.
    let tail = &key.secret["sk-aione-".len()..];
    expect_hidden(&gateway, &[tail, &CREDENTIAL[3..], &OPERATOR[3..]], &said).await;
    gateway.write_settings();
    gateway.kill9();
    gateway.start().await;
    expect_hidden(&gateway, &secrets, &said).await;
}
