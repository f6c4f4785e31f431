//! Google's dialect: `generateContent` and `streamGenerateContent`.
//!
//! <https://ai.google.dev/api/generate-content>. The URL says the model and whether the answer is a
//! stream. `types` is the JSON of both ways; `decode` and `turns` read requests, `encode` and
//! `contents` write them, `answer` does both with whole answers, `reader` and `writer` with
//! streams. What one part says is the same in all of them: `part`.

mod answer;
mod citation;
mod codec;
mod contents;
mod decode;
mod encode;
mod error;
mod finish;
mod frames;
mod openapi;
mod part;
mod reader;
mod signature;
mod thinking;
mod turns;
mod types;
mod usage;
mod writer;

pub use codec::Gemini;

use super::chat::ErrorKind;

/// What stands for the signature of a call that another model made.
pub(super) const NO_SIGNATURE: &str = signature::NONE[0];

/// Whether the model refuses calls that have no signature.
pub(super) fn wants_signatures(model: &str) -> bool {
    thinking::is_third(model)
}

/// What sort of error the value of an `error` member tells of, where no status is with it.
pub(super) fn error_kind(error: &[u8]) -> ErrorKind {
    error::read(None, error).kind
}
