//! The codec of the dialect.

#[cfg(test)]
mod tests;

use super::{answer, decode, encode, error, reader, usage, writer};
use crate::{
    domain::usage::Usage,
    wire::{
        Dialect,
        chat::{ChatAnswer, ChatError, ChatRequest, Dropped},
        codec::{Codec, Malformed, Setting, StreamReader, StreamWriter, UpstreamCodec, UrlSays},
    },
};

/// The dialect of Google's models, on its developers' platform and in its cloud.
pub struct Gemini;

impl UpstreamCodec for Gemini {
    fn encode_request(
        &self,
        request: &ChatRequest,
        model: &str,
        dropped: &mut Dropped,
    ) -> Result<Vec<u8>, Malformed> {
        encode::request(request, model, dropped)
    }

    fn decode_answer(&self, body: &[u8]) -> Result<ChatAnswer, Malformed> {
        answer::decode(body)
    }

    fn reader(&self) -> Box<dyn StreamReader> {
        Box::new(reader::Reader::default())
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> ChatError {
        error::decode(status, body)
    }
}

impl Codec for Gemini {
    fn dialect(&self) -> Dialect {
        Dialect::Gemini
    }

    fn decode_request(
        &self,
        body: &[u8],
        url: UrlSays<'_>,
        dropped: &mut Dropped,
    ) -> Result<ChatRequest, Malformed> {
        decode::request(body, url, dropped)
    }

    fn encode_answer(&self, answer: &ChatAnswer, setting: &Setting, dropped: &mut Dropped) -> Vec<u8> {
        answer::encode(answer, setting, dropped)
    }

    fn writer(&self, setting: &Setting) -> Box<dyn StreamWriter> {
        Box::new(writer::Writer::new(setting))
    }

    fn decode_usage(&self, value: &[u8]) -> Option<Usage> {
        usage::decode(value)
    }
}
