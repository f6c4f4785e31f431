//! The driver alone: an exchange carried as the gateway carries it, without anything that it is
//! carried for. No key, no look at the body, no limit, no meter, no journal: what is left is the
//! price of the way itself.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora::connectors::http::v1::Connector;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server, ShutdownWatch};
use pingora::services::listening::Service;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, OrErr};
use tokio::io::AsyncWriteExt;

/// How long a connection may lie idle between two requests, in seconds.
const KEEPALIVE_SECS: u64 = 60;
/// What is ours to decide, of the upstream's head.
const KEPT_BACK: [&str; 4] = ["connection", "keep-alive", "transfer-encoding", "date"];

#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    upstream: SocketAddr,
}

struct Driver {
    peer: HttpPeer,
    authority: String,
    connector: Connector,
}

#[async_trait]
impl HttpServerApp for Driver {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        _shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if !session.read_request().await.ok()? {
            return None;
        }
        session.set_keepalive(Some(KEEPALIVE_SECS));
        self.exchange(&mut session).await.ok()?;
        let settings = HttpPersistentSettings::for_session(&session);
        let reusable = session.finish().await.ok()??;
        Some(ReusedHttpStream::from_reusable_stream(reusable, settings))
    }
}

impl Driver {
    async fn exchange(&self, session: &mut ServerSession) -> pingora::Result<()> {
        let request = self.request(session).await?;
        let (idle, _) = self.connector.get_http_session(&self.peer).await?;
        let mut stream = idle.into_inner();
        stream.write_all(&request).await.or_err(ErrorType::WriteError, "request")?;
        stream.flush().await.or_err(ErrorType::WriteError, "request")?;
        let mut upstream = HttpSession::new_with_options(stream, &self.peer);
        upstream.read_response().await?;
        let head = upstream.resp_header().ok_or_else(|| Error::new(ErrorType::InvalidHTTPHeader))?;
        session.write_response_header(Box::new(for_caller(head)?)).await?;
        loop {
            // The caller is watched while the upstream is waited for, as the gateway does.
            let part = tokio::select! {
                biased;
                _ = session.read_body_or_idle(true) => return Err(Error::new(ErrorType::ConnectionClosed)),
                part = upstream.read_body_bytes() => part?,
            };
            let Some(part) = part else { break };
            session.write_response_body(part, false).await?;
        }
        session.write_response_body(Bytes::new(), true).await?;
        self.connector.release_http_session(upstream, &self.peer, None).await;
        Ok(())
    }

    /// Head and body, to leave in one write.
    async fn request(&self, session: &mut ServerSession) -> pingora::Result<Bytes> {
        let mut body = BytesMut::new();
        while let Some(part) = session.read_request_body().await? {
            body.extend_from_slice(&part);
        }
        let asked = session.req_header();
        let head = format!(
            "{} {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            asked.method,
            asked.uri.path(),
            self.authority,
            body.len()
        );
        let mut request = BytesMut::with_capacity(head.len() + body.len());
        request.extend_from_slice(head.as_bytes());
        request.extend_from_slice(&body);
        Ok(request.freeze())
    }
}

fn for_caller(upstream: &ResponseHeader) -> pingora::Result<ResponseHeader> {
    let mut head = ResponseHeader::build_no_case(upstream.status, Some(upstream.headers.len() + 4))?;
    for (name, value) in &upstream.headers {
        if !KEPT_BACK.contains(&name.as_str()) {
            head.append_header(name.clone(), value.clone())?;
        }
    }
    if !upstream.headers.contains_key("content-length") {
        head.insert_header("transfer-encoding", "chunked")?;
    }
    Ok(head)
}

/// Runs until it is killed, on one thread that steals no work, as the gateway's do.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let conf = ServerConf { threads: 1, work_stealing: false, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let driver = Driver {
        peer: HttpPeer::new(options.upstream, false, String::new()),
        authority: options.upstream.to_string(),
        connector: Connector::new(None),
    };
    let mut service = Service::new("proxy".to_owned(), driver);
    service.add_tcp(&options.listen.to_string());
    server.add_service(service);
    server.run(RunArgs::default());
    Ok(())
}
