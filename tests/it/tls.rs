//! The public listener with a certificate: which versions of TLS and HTTP it speaks.

use crate::support::{
    client::{Call, h1},
    gateway::{Gateway, TestGateway},
    http::Wire,
    upstream::{Upstream, openai},
    wait,
};
use bytes::Bytes;
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls};

struct Stage {
    gateway: Gateway,
    upstream: Upstream,
    key: String,
    certificate: rcgen::Certificate,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (cert, key) = (file("tls.crt"), file("tls.key"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let upstream = Upstream::start().await;
        let gateway = TestGateway::new()
            .upstream("up", &upstream)
            .model("m", &["up"])
            .set("/server/tls", serde_json::json!({ "cert": cert, "key": key }))
            .start()
            .await;
        let key = gateway.key().await;
        let stage = Self { gateway, upstream, key, certificate: made.cert, _folder: folder };
        wait::until("a handshake", async || stage.connect(&[b"h2"]).await.ok()).await;
        stage
    }

    /// A connection as `localhost` that offers `protocols` in ALPN.
    async fn connect(&self, protocols: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let tcp = TcpStream::connect(self.gateway.settings.public).await?;
        TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), tcp).await
    }

    /// The upstream's last answer, plain.
    fn expected(&self) -> Vec<u8> {
        openai::completion(&self.upstream.truths().pop().unwrap(), "m")
    }
}

#[tokio::test]
async fn http1_is_spoken_where_alpn_says_so_or_nothing() {
    let stage = Stage::new().await;
    for (offered, agreed) in [(&[&b"http/1.1"[..]][..], Some(&b"http/1.1"[..])), (&[], None)] {
        let mut tls = stage.connect(offered).await.unwrap();
        assert_eq!(tls.get_ref().1.alpn_protocol(), agreed);
        tls.write_all(&h1::bytes(&Call::chat(&stage.key, "m"), "localhost")).await.unwrap();
        let mut wire = Wire::new(tls);
        let head = wait::within("a head", wire.head()).await.unwrap().unwrap();
        assert_eq!(head.status(), 200);
        let (mut framing, mut body) = (head.framing(true), Vec::new());
        while let Some(piece) = wire.piece(&mut framing).await.unwrap() {
            body.extend_from_slice(&piece);
        }
        assert_eq!(body, stage.expected());
    }
    stage.gateway.all_records(2).await;
}

#[tokio::test]
async fn http2_is_spoken_where_alpn_offers_it() {
    let stage = Stage::new().await;
    for offered in [&[&b"h2"[..]][..], &[b"h2", b"http/1.1"], &[b"http/1.1", b"h2"]] {
        let tls = stage.connect(offered).await.unwrap();
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "{offered:?}");
        let (client, connection) = h2::client::handshake(tls).await.unwrap();
        let driver = tokio::spawn(connection);
        let call = Call::chat(&stage.key, "m");
        let mut request = http::Request::post("https://localhost/v1/chat/completions");
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let mut client = client.ready().await.unwrap();
        let (response, mut send) = client.send_request(request.body(()).unwrap(), false).unwrap();
        send.send_data(Bytes::from(call.body), true).unwrap();
        let answer = wait::within("an answer", response).await.unwrap();
        assert_eq!(answer.status(), 200);
        let (mut stream, mut body) = (answer.into_body(), Vec::new());
        while let Some(data) = wait::within("the body", stream.data()).await {
            body.extend_from_slice(&data.unwrap());
        }
        assert_eq!(body, stage.expected());
        driver.abort();
    }
    stage.gateway.all_records(3).await;
}

#[tokio::test]
async fn a_protocol_that_nobody_speaks_and_plain_http_are_refused() {
    let stage = Stage::new().await;
    if let Ok(mut tls) = stage.connect(&[b"smtp"]).await {
        // Where the handshake is let through, nothing but HTTP comes of it.
        assert_ne!(tls.get_ref().1.alpn_protocol(), Some(&b"smtp"[..]));
        tls.shutdown().await.unwrap();
    }
    let mut plain = h1::Connection::open(stage.gateway.settings.public).await;
    plain.start(&Call::chat(&stage.key, "m"));
    assert!(wait::within("a refusal", plain.try_answer()).await.is_err(), "an answer without TLS");
    stage.gateway.all_records(0).await;
    assert_eq!(stage.upstream.asked(), 0);
}

/// The newest version that an old client speaks, in the wire's numbers.
const SSL3: u16 = 0x0300;
const TLS1_1: u16 = 0x0302;
const TLS1_2: u16 = 0x0303;
/// Types of records.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// A client's first message where `version` is the newest that it speaks.
fn client_hello(version: u16) -> Vec<u8> {
    let with_length = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        [&length[..], bytes].concat()
    };
    let extension = |kind: u16, data: &[u8]| [&kind.to_be_bytes()[..], &with_length(data)].concat();
    // ECDHE with ECDSA and AES: in GCM for 1.2, in CBC for what came before.
    let suites = [0xc0, 0x2b, 0xc0, 0x09, 0xc0, 0x0a, 0x00, 0x2f];
    let extensions = [
        extension(10, &with_length(&[0x00, 0x1d, 0x00, 0x17])),
        extension(11, &[1, 0]),
        extension(13, &with_length(&[0x04, 0x03, 0x08, 0x04, 0x04, 0x01])),
        extension(0xff01, &[0]),
    ]
    .concat();
    let hello = [
        &version.to_be_bytes()[..],
        &[7; 32],
        &[0],
        &with_length(&suites),
        &[1, 0],
        &with_length(&extensions),
    ]
    .concat();
    let length = u32::try_from(hello.len()).unwrap().to_be_bytes();
    let message = [&[1], &length[1..], &hello].concat();
    [&[HANDSHAKE, 3, 1], &with_length(&message)[..]].concat()
}

#[tokio::test]
async fn versions_of_tls_before_1_2_are_refused() {
    let stage = Stage::new().await;
    for (version, answered) in [(TLS1_2, HANDSHAKE), (TLS1_1, ALERT), (TLS1_1 - 1, ALERT), (SSL3, ALERT)] {
        let mut tcp = TcpStream::connect(stage.gateway.settings.public).await.unwrap();
        tcp.write_all(&client_hello(version)).await.unwrap();
        let mut record = [0; 5];
        let read = wait::within("an answer or a close", tcp.read_exact(&mut record)).await;
        match (answered, read) {
            (HANDSHAKE, read) => assert_eq!((read.is_ok(), record[0]), (true, HANDSHAKE), "{version:#x}"),
            (_, Ok(_)) => assert_eq!(record[0], ALERT, "{version:#x}: {record:?}"),
            // A close without a word refuses as well.
            (_, Err(_)) => {}
        }
    }
    stage.gateway.quiet().await;
}
