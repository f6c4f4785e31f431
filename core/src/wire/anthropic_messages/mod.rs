//! Anthropic's messages dialect, `POST /v1/messages`: <https://platform.claude.com/docs/en/api/messages>.
//!
//! Bodies that are written here are of version 2023-06-01 ([`VERSION`]); the later 2026-10-21 only refuses
//! more: sampling parameters above all. Bodies of both are read.
//!
//! What is decided here, beyond the plain correspondence of fields:
//! - **Tools of the vendor's own** (`web_search_20250305` and its like, also those that the caller runs,
//!   such as `bash_20250124`) are named as `tools.web_search`; their blocks in a conversation
//!   (`server_tool_use`, `web_search_tool_result`, …) are named by their type and left out.
//! - **A search result** that a caller gives becomes a document of text, a document in blocks a document
//!   of their texts.
//! - **A system message in mid-conversation** is read where it stands, but written in front: whether
//!   it may stand there depends on the model and on whose cloud it runs.
//! - **Arguments of a call** are an object in this dialect. None at all are `{}`; what a model wrote that is
//!   no object is put in one, as `{"arguments": "…"}`. In a stream they pass as they are.
//! - **A schema's name** is only a label and has no place here; its description is dropped by name.
//! - **Signatures of other dialects** reach callers sealed: of a thought in its own block, of a call in a
//!   block of empty thinking before it, of a text in a redacted one behind it. Callers return these blocks as
//!   they are; no upstream is ever sent them ([`super::sealed`]). A thought without any signature has a mark
//!   in its place.
//! - **Ids of calls** of other dialects that hold more than letters, digits, `_` and `-`, which is all that
//!   the vendor takes, are spelt in those, and as they were once they come back.

mod answer;
mod codec;
mod decode;
pub(super) mod encode;
mod model;
mod parts;
mod reader;
mod schema;
mod thinking;
mod turns;
pub(super) mod types;
mod usage;
mod writer;

pub use codec::AnthropicMessages;
pub(super) use usage::Counts;

use super::Dialect;

const DIALECT: Dialect = Dialect::AnthropicMessages;

/// The `anthropic-version` under which bodies of this codec are to be sent.
pub const VERSION: &str = "2023-06-01";
