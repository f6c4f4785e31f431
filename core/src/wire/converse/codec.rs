//! What each file of this folder does, in one place.

use super::{answer, encode, reader::Reader};
use crate::wire::{
    chat::{ChatAnswer, ChatError, ChatRequest, Dropped},
    codec::{Malformed, StreamReader, UpstreamCodec},
    openai_chat,
};

/// Asks models of any vendor.
pub struct Converse;

impl UpstreamCodec for Converse {
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

    /// Errors are `{"message": …}`, with a capital letter where the service's front refuses.
    fn decode_error(&self, status: u16, body: &[u8]) -> ChatError {
        openai_chat::error_of(Some(status), body)
    }
}
