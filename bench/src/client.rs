//! One HTTP exchange on a connection of its own: what the suite needs for probes and for the management API.

use std::net::SocketAddr;

use anyhow::ensure;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http1::Message;

/// The status of a GET.
pub(crate) async fn get(address: SocketAddr, path: &str) -> anyhow::Result<u16> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    Ok(exchange(address, request.as_bytes()).await?.status())
}

/// The answer to a POST of JSON; `fields` are header lines, each with its line end.
pub(crate) async fn post(
    address: SocketAddr,
    path: &str,
    fields: &str,
    body: &str,
) -> anyhow::Result<Message> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(address, request.as_bytes()).await
}

async fn exchange(address: SocketAddr, request: &[u8]) -> anyhow::Result<Message> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut answer = Message::default();
    let mut buffer = [0; 4096];
    while !answer.is_complete() {
        let read = stream.read(&mut buffer).await?;
        ensure!(read > 0, "{address} closed in mid-answer");
        answer.feed(&buffer[..read])?;
    }
    Ok(answer)
}
