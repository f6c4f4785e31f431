//! TLS to the server: verified where the address asks for it, and never given up for want of a match.

use super::{node, run};
use crate::support::{client::Call, postgres::Server, upstream::Upstream};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }
}

#[tokio::test]
async fn a_server_is_verified_by_the_authority_that_the_address_names() {
    let (ours, other, upstream) = (Authority::new(), Authority::new(), Upstream::start().await);
    let server = Server::start().await;
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &ours.issuer).unwrap();
    for (setting, file, text) in [
        ("ssl_cert_file", "server.crt", certificate.pem()),
        ("ssl_key_file", "server.key", key.serialize_pem()),
    ] {
        let path = server.put(file, &text);
        server.configure(setting, path.to_str().unwrap()).await;
    }
    server.configure("ssl", "on").await;
    server.stop();
    server.begin().await;

    let [trusted, stranger] = [("ours.pem", &ours.pem), ("other.pem", &other.pem)].map(|(file, pem)| {
        let path = server.put(file, pem);
        format!("{}?sslmode=verify-full&sslrootcert={}", server.url(), path.display())
    });
    let mut gateway = node(&trusted, &upstream).start().await;
    let key = gateway.key().await;
    gateway.send(&Call::chat(&key, "m")).await.ok();
    gateway.kill9();
    gateway.settings = gateway.settings.clone().set("/storage/database", stranger);
    gateway.write_settings();
    let (started, text) = run(&gateway, &["serve", "-c", "aione.yaml"]);
    assert!(!started && text.contains("certificate"), "{text}");
}
