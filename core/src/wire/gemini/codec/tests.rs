//! What the matrix does not look at: signatures over turns, what is dropped, odd inputs.

mod answers;
mod encoded;
mod requests;
mod streams;

use super::*;
use crate::wire::chat::{ChatEvent, Part, Role, Signature, Turn};
use serde_json::Value;

const SIGNATURE: &str = "CkEB0e2Kb9aQ7cVfM1hUuLr5Yx/Tn8Zs+G6jWqEoI3dPkXtBvCyNmRAl4wHgJf0SzDpO1uQ=";

fn read_request(body: &str) -> (ChatRequest, String) {
    let mut dropped = Dropped::default();
    let url = UrlSays { model: Some("m"), stream: Some(false) };
    let request = Gemini.decode_request(body.as_bytes(), url, &mut dropped).unwrap();
    (request, dropped.header())
}

fn refused(body: &str) -> Malformed {
    let url = UrlSays { model: Some("m"), stream: None };
    Gemini.decode_request(body.as_bytes(), url, &mut Dropped::default()).unwrap_err()
}

fn write_request(request: &ChatRequest, model: &str) -> (Value, String) {
    let mut dropped = Dropped::default();
    let body = Gemini.encode_request(request, model, &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped.header())
}

fn asked(turns: Vec<Turn>) -> ChatRequest {
    ChatRequest { turns, ..ChatRequest::default() }
}

fn setting() -> Setting {
    Setting { id: "gen-1".to_owned(), model: "up".to_owned(), ..Setting::default() }
}

fn write_stream(events: &[ChatEvent], as_array: bool) -> String {
    let mut writer = Gemini.writer(&Setting { as_array, ..setting() });
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.write(event, &mut out));
    String::from_utf8(out).unwrap()
}

fn read_stream(stream: &str) -> Vec<ChatEvent> {
    let (mut reader, mut events) = (Gemini.reader(), Vec::new());
    reader.feed(stream.as_bytes(), &mut events);
    reader.end(&mut events);
    events
}

fn own(data: &str) -> Option<Signature> {
    Some(Signature { dialect: Dialect::Gemini, data: data.to_owned() })
}

fn signed(text: &str, signature: Option<Signature>) -> Part {
    Part::Text { text: text.to_owned(), citations: Vec::new(), signature, cache: None }
}

fn user(text: &str) -> Turn {
    Turn::new(Role::User, vec![Part::text(text)])
}
