//! The same upstream over TLS and HTTP/2, with a certificate of its own making.

use super::{Script, Seen, Shared, Step, Truth, honest};
use crate::support::http::{Framing, Head, Headers, Wire};
use bytes::Bytes;
use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
};
use tokio::{net::TcpListener, task::AbortHandle};
use tokio_rustls::{TlsAcceptor, rustls};

/// An honest upstream that speaks only HTTP/2 over TLS.
pub struct TlsUpstream {
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
    certificate: String,
}

impl TlsUpstream {
    /// Listens as `localhost`, with a certificate for `name`.
    pub async fn start_as(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seed = AtomicU64::new(1 << 32);
        let shared = Arc::new(Shared::new(Arc::new(move |seen: &Seen| {
            honest::answer(seen, &Truth::of(seed.fetch_add(1, Ordering::Relaxed)))
        })));
        let acceptor = acceptor(&made);
        let accepting = tokio::spawn(accept(listener, acceptor, shared.clone())).abort_handle();
        Self { addr, shared, accepting, certificate: made.cert.pem() }
    }

    pub fn base_url(&self) -> String {
        format!("https://localhost:{}/v1", self.addr.port())
    }

    /// Writes the certificate, for `ca_file`.
    pub fn write_ca(&self, path: &Path) {
        std::fs::write(path, &self.certificate).unwrap();
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub fn truths(&self) -> Vec<Truth> {
        self.shared.truths.lock().unwrap().clone()
    }
}

impl Drop for TlsUpstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn acceptor(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> TlsAcceptor {
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        let number = shared.connections.fetch_add(1, Ordering::SeqCst);
        let (acceptor, shared) = (acceptor.clone(), shared.clone());
        connections.spawn(async move {
            let Ok(tls) = acceptor.accept(tcp).await else { return };
            let Ok(mut http) = h2::server::handshake(tls).await else { return };
            let mut streams = tokio::task::JoinSet::new();
            while let Some(Ok((request, respond))) = http.accept().await {
                streams.spawn(answer(number, request, respond, shared.clone()));
            }
        });
    }
}

async fn answer(
    connection: u64,
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    shared: Arc<Shared>,
) {
    let (parts, mut body) = request.into_parts();
    let mut seen = Seen { connection, ..Seen::default() };
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
        seen.body.extend_from_slice(&data);
    }
    let fields = parts.headers.iter();
    let fields =
        fields.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()));
    seen.head = Head {
        raw: Vec::new(),
        start: format!(
            "{} {} HTTP/2",
            parts.method,
            parts.uri.path_and_query().map_or("/", |path| path.as_str())
        ),
        headers: Headers(fields.collect()),
    };
    seen.complete = true;
    let script = shared.decide(&seen);
    shared.log_truth(&script);
    shared.note(seen);
    let Some((head, body)) = unframed(script).await else { return };
    let mut response = http::Response::builder().status(head.status());
    for (name, value) in &head.headers.0 {
        if name != "transfer-encoding" {
            response = response.header(name, value);
        }
    }
    let Ok(mut stream) = respond.send_response(response.body(()).unwrap(), false) else { return };
    let _ = stream.send_data(body.into(), true);
}

/// The head and the body that a script's HTTP/1.1 bytes stand for.
async fn unframed(script: Script) -> Option<(Head, Vec<u8>)> {
    let sent = script.steps.into_iter().filter_map(|step| match step {
        Step::Send(bytes) => Some(bytes),
        _ => None,
    });
    let bytes = sent.collect::<Vec<_>>().concat();
    let mut wire = Wire::new(&bytes[..]);
    let head = wire.head().await.ok()??;
    let mut framing: Framing = head.framing(true);
    let mut body = Vec::new();
    while let Ok(Some(piece)) = wire.piece(&mut framing).await {
        body.extend_from_slice(&piece);
    }
    Some((head, body))
}
