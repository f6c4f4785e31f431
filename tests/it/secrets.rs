//! Planted secrets are found nowhere but where they must be: in the file, and at the upstream.

use crate::support::{
    admin::Key,
    client::{self, Answer, BOTH, Call, Version},
    gateway::{Gateway, TestGateway},
    settings::{CREDENTIAL, OPERATOR},
    upstream::{Script, Upstream, openai::event, script},
};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

const WRONG: &str = "sk-aione-PLANTEDPLANTEDPLANTEDPLANTEDPLANTED01";
const PROMPT: &str = "planted-prompt-7f3a";
const COOKIE: &str = "planted-cookie-91bc";

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
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
    for part in ["aione.db", "aione.db-wal", "data/journal/", "stdout.1.log", "stderr.1.log"] {
        assert!(shown(part), "{part} is not among {names:?}");
    }
    hidden("the metrics", gateway.metrics().await.0.as_bytes());
    for text in said {
        hidden(text, text.as_bytes());
    }
    let argv = fs::read(format!("/proc/{}/cmdline", gateway.pid())).unwrap();
    hidden("argv", &argv);
}

/// An upstream that repeats all that it was given, in errors of every kind: the head, and so our
/// credential, and the body.
async fn blabbing() -> Upstream {
    let turn = AtomicUsize::new(0);
    Upstream::deciding(move |seen| {
        let told =
            format!("{} {}", String::from_utf8_lossy(&seen.head.raw), String::from_utf8_lossy(&seen.body));
        match turn.fetch_add(1, Ordering::SeqCst) % 6 {
            0 => Script::error(401, &told),
            1 => Script::error(400, &told),
            2 => Script::error(500, &told),
            3 => Script::json(200, script::error_body(200, &told)),
            4 => Script::stream([event(&json!({ "error": { "message": told } }))]),
            _ => Script::answer(502, &[("content-type", "text/html"), ("x-told", CREDENTIAL)], told),
        }
    })
    .await
}

/// All that a caller with `secret` may try at the public listener, in every place of a key.
fn tries(secret: &str, model: &str) -> Vec<Call> {
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": PROMPT }] });
    let stream =
        json!({ "model": model, "stream": true, "messages": [{ "role": "user", "content": PROMPT }] });
    let bare = |body: &serde_json::Value| {
        let mut call = Call::chat_with("", body).header("cookie", COOKIE).header("referer", secret);
        call.headers.retain(|(name, _)| name != "authorization");
        call
    };
    let by_query = |mut call: Call| {
        call.path = format!("{}?key={secret}", call.path);
        call
    };
    vec![
        bare(&body).bearer(secret),
        bare(&stream).bearer(secret),
        bare(&body).header("x-api-key", secret),
        bare(&body).header("x-goog-api-key", secret),
        bare(&body).header("authorization", secret),
        bare(&body).header("authorization", &format!("Basic {secret}")),
        bare(&body).bearer(secret).header("x-api-key", WRONG),
        by_query(bare(&body)),
        by_query(bare(&stream)),
        by_query(Call::get("/v1/models")),
        by_query(Call::get("/v1/nothing")),
        by_query(Call::get("/v1/things")),
        Call::post("/v1/things", PROMPT).bearer(secret),
        by_query(Call::get("/api/v1/gateway/keys")),
        by_query(Call::get("/v1/realtime").header("connection", "upgrade").header("upgrade", "websocket")),
        Call::get("/v1/models").bearer(secret),
        Call::get("/api/v1/gateway/keys").bearer(secret),
        Call::post("/v1/chat/completions", format!("{{\"model\":\"{secret}")).bearer(secret),
    ]
}

#[tokio::test]
async fn after_every_kind_of_request_no_secret_is_in_any_output() {
    let (good, blabbing) = (Upstream::start().await, blabbing().await);
    let mut gateway = TestGateway::new()
        .upstream("good", &good)
        .upstream("blabbing", &blabbing)
        .model("m", &["good"])
        .model("blab", &["blabbing"])
        .model("blab-then-good", &["blabbing", "good"])
        .set("/providers/good/pass_through", json!(["GET /v1/things", "POST /v1/things"]))
        .set("/providers/good/pass_through_price", json!({ "request": "0" }))
        .set("/log/level", "trace")
        .set("/admin/public", true)
        .start()
        .await;
    let key = gateway.create_key(json!({})).await;
    let token = gateway.command(&["tokens", "create", "--name", "t", "-c", "aione.yaml"]).output().unwrap();
    let token = String::from_utf8(token.stdout).unwrap().trim().to_owned();
    let secrets = [key.secret.as_str(), WRONG, CREDENTIAL, OPERATOR, &token, PROMPT, COOKIE];
    let mut ours = Vec::new();
    for version in BOTH {
        for secret in [key.secret.as_str(), WRONG, OPERATOR, &token] {
            for model in ["m", "blab", "blab-then-good", "missing"] {
                for call in tries(secret, model) {
                    if version == Version::H2 && call.headers.iter().any(|(name, _)| name == "upgrade") {
                        continue;
                    }
                    let answer = gateway.send_over(version, &call).await;
                    let headers: Vec<_> =
                        answer.headers.0.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                    // An upstream's words pass as they are.
                    if answer.header("x-aione-refused").is_some() || !model.starts_with("blab") {
                        ours.push(format!("{} {} {}", answer.status, headers.join("; "), answer.text()));
                    }
                }
            }
        }
    }
    gateway.quiet().await;
    assert!(blabbing.asked() > 20 && good.asked() > 20 && ours.len() > 300, "not much was tried");
    expect_hidden(&gateway, &secrets, &ours).await;
    expect_hidden(
        &gateway,
        &[&key.secret["sk-aione-".len()..], &CREDENTIAL[3..], &OPERATOR[3..], &token[3..]],
        &ours,
    )
    .await;
    gateway.kill9();
    gateway.start().await;
    expect_hidden(&gateway, &secrets, &ours).await;
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

#[tokio::test]
async fn our_credential_does_not_reach_a_caller_in_an_upstreams_own_words() {
    let blabbing = blabbing().await;
    let gateway = TestGateway::new()
        .upstream("up", &blabbing)
        .model("m", &["up"])
        .set("/models/m/route/attempts", 1)
        .start()
        .await;
    let key = gateway.key().await;
    for version in BOTH {
        for turn in 0..6 {
            let call = if turn == 4 { Call::stream(&key, "m") } else { Call::chat(&key, "m") };
            let answer = gateway.send_over(version, &call).await;
            let headers = format!("{:?}", answer.headers);
            assert!(answer.status >= 400, "{turn}");
            assert!(!answer.text().contains(CREDENTIAL), "{version:?} {turn}: in the body {}", answer.text());
            assert!(!headers.contains(CREDENTIAL), "{version:?} {turn}: in the head {headers}");
        }
    }
}
