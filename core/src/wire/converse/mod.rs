//! Bedrock's `Converse`: one way of asking for models of every vendor, spoken by upstreams alone:
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.
//!
//! A conversation is built as in Anthropic's dialect: roles alternate, instructions are apart, results of
//! tools come first in a user's message, thoughts go back under their signature. So what is asked is made
//! by that codec and put in other words here; its rules of what each Claude takes hold as well. What is
//! decided here beyond that:
//! - **Pictures and documents** are bytes in the request. One that is somewhere else cannot be sent.
//! - **A document's name** has to be there, of few characters, and is made to fit.
//! - **Tools that were called** must be declared as long as the conversation has a call: where the request
//!   declares none, they are, with a schema of any object.
//! - **No tool at all** cannot be said beside declared tools. Where nothing was called yet, none is declared.
//! - **How much is thought** is a field of each vendor's own; those of Claude, gpt-oss and Nova are known.
//! - **Signatures** are Anthropic's own: the models are the same.

mod answer;
mod codec;
mod encode;
mod media;
mod reader;
#[cfg(test)]
mod tests;
mod types;
mod usage;

pub use codec::Converse;
pub(crate) use reader::exception_status;
