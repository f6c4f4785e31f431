//! The codec of chat completions: <https://platform.openai.com/docs/api-reference/chat>.

#[cfg(test)]
mod tests;

use super::{answer, decode, encode, error_of, reader::Reader, usage, writer::Writer};
use crate::{
    domain::usage::Usage,
    wire::{
        Dialect,
        chat::{ChatAnswer, ChatError, ChatRequest, Dropped},
        codec::{Codec, Malformed, Setting, StreamReader, StreamWriter, UpstreamCodec, UrlSays},
    },
};

/// The dialect that most upstreams speak.
pub struct OpenAiChat;

impl UpstreamCodec for OpenAiChat {
    fn encode_request(
        &self,
        request: &ChatRequest,
        model: &str,
        dropped: &mut Dropped,
    ) -> Result<Vec<u8>, Malformed> {
        encode::request(request, model, false, dropped)
    }

    fn decode_answer(&self, body: &[u8]) -> Result<ChatAnswer, Malformed> {
        decode::answer(body)
    }

    fn reader(&self) -> Box<dyn StreamReader> {
        Box::new(Reader::default())
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> ChatError {
        error_of(Some(status), body)
    }
}

/// The same of upstreams that want back what their models thought.
pub(in crate::wire) struct GivingBackThoughts;

impl UpstreamCodec for GivingBackThoughts {
    fn encode_request(
        &self,
        request: &ChatRequest,
        model: &str,
        dropped: &mut Dropped,
    ) -> Result<Vec<u8>, Malformed> {
        encode::request(request, model, true, dropped)
    }

    fn decode_answer(&self, body: &[u8]) -> Result<ChatAnswer, Malformed> {
        OpenAiChat.decode_answer(body)
    }

    fn reader(&self) -> Box<dyn StreamReader> {
        OpenAiChat.reader()
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> ChatError {
        OpenAiChat.decode_error(status, body)
    }
}

impl Codec for OpenAiChat {
    fn dialect(&self) -> Dialect {
        Dialect::OpenAiChat
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
        answer::answer(answer, setting, dropped)
    }

    fn writer(&self, setting: &Setting) -> Box<dyn StreamWriter> {
        Box::new(Writer::new(setting))
    }

    fn decode_usage(&self, value: &[u8]) -> Option<Usage> {
        usage::decode(value).usage
    }
}
