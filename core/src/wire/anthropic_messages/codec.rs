//! The codec of messages: what each file of this folder does, in one place.

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

/// The dialect of Claude and of those who speak as it does.
pub struct AnthropicMessages;

impl UpstreamCodec for AnthropicMessages {
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

    /// Errors have the members of OpenAI's: <https://platform.claude.com/docs/en/api/errors>.
    fn decode_error(&self, status: u16, body: &[u8]) -> ChatError {
        openai_chat::error_of(Some(status), body)
    }
}

impl Codec for AnthropicMessages {
    fn dialect(&self) -> Dialect {
        DIALECT
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
        Box::new(Writer::new(setting))
    }

    fn decode_usage(&self, value: &[u8]) -> Option<Usage> {
        usage::decode(value)
    }
}
