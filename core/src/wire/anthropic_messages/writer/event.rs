//! The events of a stream as they are written.

use super::super::{
    types::{self, Block, Citation},
    usage,
};
use serde::Serialize;

/// `kind` tells which of the fields there are.
#[derive(Serialize)]
pub(super) struct Event<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<types::Written<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_block: Option<Block>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta: Option<Told<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<usage::Written>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Told<'a> {
    Block(BlockDelta<'a>),
    Message { stop_reason: &'static str, stop_sequence: Option<&'a str> },
}

/// More of a block.
#[derive(Serialize)]
#[serde(tag = "type")]
pub(super) enum BlockDelta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "citations_delta")]
    Citation { citation: Box<Citation> },
    #[serde(rename = "input_json_delta")]
    Arguments { partial_json: &'a str },
}

impl Event<'_> {
    pub(super) fn of(kind: &'static str) -> Self {
        Self { kind, message: None, index: None, content_block: None, delta: None, usage: None }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(self.kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        serde_json::to_writer(&mut *out, self).expect("text keys, and a vector takes every byte");
        out.extend_from_slice(b"\n\n");
    }
}

/// Begins a block; its number.
pub(super) fn start(next_index: &mut u64, block: Block, out: &mut Vec<u8>) -> u64 {
    let index = *next_index;
    *next_index = next_index.saturating_add(1);
    let event = Event::of("content_block_start");
    Event { index: Some(index), content_block: Some(block), ..event }.write(out);
    index
}

pub(super) fn delta(index: u64, delta: BlockDelta<'_>, out: &mut Vec<u8>) {
    let event = Event::of("content_block_delta");
    Event { index: Some(index), delta: Some(Told::Block(delta)), ..event }.write(out);
}

pub(super) fn stop(index: u64, out: &mut Vec<u8>) {
    Event { index: Some(index), ..Event::of("content_block_stop") }.write(out);
}

/// A block that comes at once.
pub(super) fn whole(next_index: &mut u64, block: Block, out: &mut Vec<u8>) {
    let index = start(next_index, block, out);
    stop(index, out);
}
