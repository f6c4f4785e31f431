//! What the upstream driver owes: bodies, conversation, flow, headers, over HTTP/1 and HTTP/2.

mod bodies;
mod conversation;
mod failover;
mod flow;
mod headers;
mod leaving;
