//! The codec of responses: <https://developers.openai.com/api/reference/resources/responses>.

#[cfg(test)]
mod tests;

use super::{DIALECT, answer, decode, encode, reader::Reader, usage, writer::Writer};
use crate::{
    domain::usage::Usage,
    wire::{
        Dialect,
        chat::{ChatAnswer, ChatError, ChatRequest, Dropped},
        codec::{Codec, Malformed, Setting, StreamReader, StreamWriter, UpstreamCodec, UrlSays},
        openai_chat,
    },
};

/// The dialect of OpenAI's newer SDKs, and the only one of Codex.
pub struct OpenAiResponses;

impl UpstreamCodec for OpenAiResponses {
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
        Box::new(Reader::default())
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> ChatError {
        openai_chat::error_of(Some(status), body)
    }
}

impl Codec for OpenAiResponses {
    fn dialect(&self) -> Dialect {
        DIALECT
    }

    fn decode_request(
        &self,
        body: &[u8],
        _: UrlSays<'_>,
        dropped: &mut Dropped,
    ) -> Result<ChatRequest, Malformed> {
        decode::request(body, dropped)
    }

    fn encode_answer(&self, answer: &ChatAnswer, setting: &Setting, dropped: &mut Dropped) -> Vec<u8> {
        answer::encode(answer, setting, dropped)
    }

    fn writer(&self, setting: &Setting) -> Box<dyn StreamWriter> {
        Box::new(Writer::new(setting))
    }

    fn decode_usage(&self, value: &[u8]) -> Option<Usage> {
        usage::decode(value)
    }
}
