//! OpenAI's Responses dialect: `/v1/responses`, as SDKs and coding agents speak it without the
//! vendor's memory.
//!
//! A conversation is a list of items: messages, thoughts, calls and what they came to. What the vendor
//! keeps for its callers (earlier responses, stored prompts, conversations, items by reference) is not
//! here, so a request that leans on it is refused by the name of its field.
//!
//! - `types`: the objects, as they are read and written; `usage`, `error`: what some of them mean.
//! - `decode` and `turns`: what a caller asks; `encode` and `items`: what an upstream is asked.
//! - `answer`: what comes back at once; `reader`, `writer` and `event`: what comes back piece by piece.
//! - `seal`: how the signatures of other dialects travel.

mod answer;
mod codec;
mod decode;
mod encode;
mod error;
mod event;
mod items;
mod reader;
mod seal;
mod turns;
mod types;
mod usage;
mod writer;

pub use codec::OpenAiResponses;
pub(crate) use encode::MAX_OUTPUT_LEAST;

/// The dialect of this folder.
const DIALECT: super::Dialect = super::Dialect::OpenAiResponses;
