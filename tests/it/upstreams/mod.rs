//! Upstreams that misbehave in the protocol: HTTP/2 faults, encodings, framing, what they say of retries.

mod encodings;
mod framing;
mod http2;
mod retry_after;
