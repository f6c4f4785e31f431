//! TLS to Redis is verified by the authorities that the machine trusts.

use super::node;
use crate::support::{client::Call, gateway::Gateway, ports, postgres, redis::Server, upstream::Upstream};
use serde_json::json;
use std::fs;

#[tokio::test]
async fn a_redis_over_tls_is_asked_where_its_certificate_is_trusted() {
    let (url, upstream, folder) =
        (postgres::database().await, Upstream::start().await, tempfile::tempdir().unwrap());
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let [ours, other] =
        [(); 2].map(|()| rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap());
    let (certificate, key) =
        (write("ours.pem", &ours.cert.pem()), write("ours.key", &ours.signing_key.serialize_pem()));
    let port = ports::free().port().to_string();
    let tls = ["--tls-port", &port, "--tls-auth-clients", "no", "--tls-cert-file", &certificate];
    let files = ["--tls-key-file", &key, "--tls-ca-cert-file", &certificate];
    let _server = Server::start_with(&[&tls[..], &files[..]].concat()).await;
    for (trusted, is_away) in [(certificate.clone(), 0.0), (write("other.pem", &other.cert.pem()), 1.0)] {
        let redis = format!("rediss://localhost:{port}/0");
        let gateway: Gateway =
            node(&url, &redis, &upstream).environment("SSL_CERT_FILE", &trusted).start().await;
        let key = gateway.create_key(json!({ "rpm_limit": 5 })).await.secret;
        gateway.send(&Call::chat(&key, "m")).await.ok();
        assert_eq!(gateway.metrics().await.sum("aione_redis_away"), is_away, "{}", gateway.logs());
    }
}
