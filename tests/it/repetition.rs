//! A create that is tried again because its answer was lost: one object, one secret.

use crate::{
    secrets::files,
    support::{
        admin::Key,
        client::Call,
        gateway::{Gateway, TestGateway},
        postgres::{self, PEPPER},
        settings::OPERATOR,
        wait,
    },
};
use serde_json::Value;
use std::fs;
use tokio::{io::AsyncWriteExt, net::TcpStream};

const BODY: &str = r#"{"name":"of a repetition"}"#;

async fn keys(gateway: &Gateway) -> Vec<Value> {
    let list = gateway.admin(Call::get("/api/v1/gateway/keys?q=repetition")).await.ok().json();
    list["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_lost_answer_comes_again_also_after_a_kill() {
    lost_answer(TestGateway::new()).await;
}

#[tokio::test]
async fn a_lost_answer_comes_again_also_from_postgres() {
    let url = postgres::database().await;
    let node = TestGateway::new().set("/storage/database", url.as_str());
    let secret = lost_answer(node.set("/secrets/key_pepper", PEPPER)).await;
    let everything = postgres::dump(&url).await;
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(everything.contains("of a repetition"), "it is all there");
    assert!(!everything.contains(&secret) && !everything.contains(&hex), "the secret is in the database");
}

/// Gives the secret of the one key that was made.
async fn lost_answer(gateway: TestGateway) -> String {
    let mut gateway = gateway.simulated("sim").model("m", &["sim"]).start().await;
    // The caller never reads the answer.
    let request = format!(
        "POST /api/v1/gateway/keys HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {OPERATOR}\r\n\
         x-aione-org: default\r\nidempotency-key: deploy-42\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let mut connection = TcpStream::connect(gateway.settings.admin).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let made = wait::until_within(wait::PATIENCE, async || keys(&gateway).await.into_iter().next()).await;
    let made = made.expect("the key is made");
    drop(connection);

    let again = || Call::post("/api/v1/gateway/keys", BODY).header("idempotency-key", "deploy-42");
    let first = gateway.admin(again()).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, Some("true")));
    assert_eq!(first.json()["id"], made["id"]);
    gateway.kill9();
    gateway.start().await;
    let second = gateway.admin(again()).await;
    assert_eq!((second.status, second.text()), (201, first.text()));
    assert_eq!(keys(&gateway).await.len(), 1);

    let json = first.json();
    let secret = json["key"].as_str().unwrap().to_owned();
    let key = Key { id: json["id"].as_str().unwrap().to_owned(), secret: secret.clone(), json };
    gateway.send(&Call::chat(&key.secret, "m")).await.ok();
    for file in files(gateway.folder()) {
        let found = memchr::memmem::find(&fs::read(&file).unwrap(), secret.as_bytes());
        assert!(found.is_none(), "the secret is in {}", file.display());
    }
    let other =
        Call::post("/api/v1/gateway/keys", r#"{"name":"other"}"#).header("idempotency-key", "deploy-42");
    assert_eq!(gateway.admin(other).await.status, 409);
    secret
}

#[tokio::test]
async fn what_the_command_line_does_is_in_the_trail_too() {
    let gateway = TestGateway::new().simulated("sim").model("m", &["sim"]).start().await;
    let create =
        gateway.command(&["keys", "create", "--name", "by hand", "-c", "aione.yaml"]).output().unwrap();
    assert!(create.status.success(), "{}", String::from_utf8_lossy(&create.stderr));
    let trail = gateway.admin(Call::get("/api/v1/audit?actor=local&object=key")).await.ok().json();
    let row = &trail["items"][0];
    assert_eq!(
        (row["action"].as_str(), row["after"]["name"].as_str()),
        (Some("key.create"), Some("by hand"))
    );
    assert_eq!(row["address"], Value::Null);
}
