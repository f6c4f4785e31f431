//! Just enough HTTP/1.1 to read a message byte for byte, for both ends of the gateway.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Header fields in the order they came, names in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The first value of `name`, which is given in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn is_chunked(&self) -> bool {
        self.all("transfer-encoding").iter().any(|value| value.to_ascii_lowercase().ends_with("chunked"))
    }

    fn length(&self) -> Option<usize> {
        self.get("content-length")?.trim().parse().ok()
    }
}

/// The start line and header fields of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Every byte, up to and with the empty line.
    pub raw: Vec<u8>,
    pub start: String,
    pub headers: Headers,
}

impl Head {
    fn parse(raw: Vec<u8>) -> Self {
        let text = String::from_utf8_lossy(&raw).into_owned();
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let fields = lines.filter_map(|line| line.split_once(':'));
        let headers =
            fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        Self { raw, start, headers: Headers(headers) }
    }

    /// The status of an answer.
    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// How the body that follows is delimited, for a request, or an answer that may have one.
    pub fn framing(&self, is_answer: bool) -> Framing {
        if self.headers.is_chunked() {
            return Framing::Chunked;
        }
        match self.headers.length() {
            Some(length) => Framing::Length(length),
            None if is_answer && !matches!(self.status(), 100..=199 | 204 | 304) => Framing::UntilClose,
            None => Framing::Length(0),
        }
    }
}

/// How much is left of a body, and how its end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
    Over,
}

/// Bytes from a peer, some of them read ahead.
pub struct Wire<R> {
    inner: R,
    ahead: Vec<u8>,
}

/// A head longer than this is taken for a mistake of the sender.
const HEAD_MAX: usize = 1 << 20;
/// What is read ahead at most in one go.
const READ_AT_ONCE: usize = 64 * 1024;

impl<R: AsyncRead + Unpin> Wire<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, ahead: Vec::new() }
    }

    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// `None` when the peer closed before the first byte.
    pub async fn head(&mut self) -> io::Result<Option<Head>> {
        let mut scanned = 0;
        loop {
            if let Some(at) = find(&self.ahead[scanned..], b"\r\n\r\n") {
                let raw = self.ahead.drain(..scanned + at + 4).collect();
                return Ok(Some(Head::parse(raw)));
            }
            scanned = self.ahead.len().saturating_sub(3);
            if self.ahead.len() > HEAD_MAX {
                return Err(io::Error::other("the head never ends"));
            }
            if self.fill().await? == 0 {
                return if self.ahead.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    /// The next piece of a body; `None` at its proper end, an error where it is cut.
    pub async fn piece(&mut self, framing: &mut Framing) -> io::Result<Option<Vec<u8>>> {
        match *framing {
            Framing::Over | Framing::Length(0) => {
                *framing = Framing::Over;
                Ok(None)
            }
            Framing::Length(left) => {
                if self.ahead.is_empty() && self.fill().await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let take = left.min(self.ahead.len());
                *framing = Framing::Length(left - take);
                Ok(Some(self.ahead.drain(..take).collect()))
            }
            Framing::UntilClose => {
                if self.ahead.is_empty() && self.fill().await? == 0 {
                    *framing = Framing::Over;
                    return Ok(None);
                }
                Ok(Some(std::mem::take(&mut self.ahead)))
            }
            Framing::Chunked => self.chunk(framing).await,
        }
    }

    async fn chunk(&mut self, framing: &mut Framing) -> io::Result<Option<Vec<u8>>> {
        let line = self.line().await?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16)
            .map_err(|_| io::Error::other(format!("a chunk size of {digits:?}")))?;
        if size == 0 {
            while !self.line().await?.is_empty() {}
            *framing = Framing::Over;
            return Ok(None);
        }
        while self.ahead.len() < size + 2 {
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let data = self.ahead.drain(..size).collect();
        let end: Vec<u8> = self.ahead.drain(..2).collect();
        if end != b"\r\n" {
            return Err(io::Error::other("a chunk that does not end with CRLF"));
        }
        Ok(Some(data))
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = find(&self.ahead, b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads what there is; 0 at the end.
    pub async fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = vec![0; READ_AT_ONCE];
        let count = self.inner.read(&mut buffer).await?;
        self.ahead.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

/// Where `needle` starts in `hay`.
pub fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

/// One chunk of a chunked body; the last one where `data` is empty.
pub fn chunk(data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\r\n");
    bytes
}
