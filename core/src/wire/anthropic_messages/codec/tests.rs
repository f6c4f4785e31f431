//! What the matrix does not look at: what is dropped and refused, what models differ in, blocks that
//! must wait, signatures on their way there and back.

mod answers;
mod requests;
mod streams;
mod thinking;

use super::*;
use crate::wire::chat::{Part, Role, Turn};
use serde_json::Value;

fn decoded(body: &str) -> (ChatRequest, String) {
    let mut dropped = Dropped::default();
    let request = AnthropicMessages
        .decode_request(body.as_bytes(), UrlSays::default(), &mut dropped)
        .unwrap_or_else(|error| panic!("{body}: {error}"));
    (request, dropped.header())
}

fn refused(body: &str) -> Malformed {
    AnthropicMessages
        .decode_request(body.as_bytes(), UrlSays::default(), &mut Dropped::default())
        .expect_err(body)
}

/// The body for `model`, and what was dropped.
fn asked_of(model: &str, request: &ChatRequest) -> (Value, String) {
    let mut dropped = Dropped::default();
    let body = AnthropicMessages.encode_request(request, model, &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped.header())
}

fn said(turns: Vec<Turn>) -> ChatRequest {
    ChatRequest { turns, ..ChatRequest::default() }
}

fn user(text: &str) -> Turn {
    Turn::new(Role::User, vec![Part::text(text)])
}

fn assistant(parts: Vec<Part>) -> Turn {
    Turn::new(Role::Assistant, parts)
}

fn setting() -> Setting {
    Setting { id: "gen-1".to_owned(), model: "m".to_owned(), estimated_input: 11, ..Setting::default() }
}
