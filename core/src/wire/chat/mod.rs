//! What is said in a chat, apart from how a dialect says it: the form in which all dialects meet.
//!
//! [`request`] is what is asked, [`part`] what messages are made of, [`answer`] what comes back at
//! once, [`event`] what comes back piece by piece. N codecs that read and write this form are N²
//! translations. What a dialect cannot say is named in [`Dropped`]; nothing goes missing in silence.
//!
//! JSON that is passed on (schemas, arguments) keeps its bytes: its order means something to models.

pub mod answer;
pub(super) mod call_id;
pub mod dropped;
pub mod error;
pub mod event;
pub mod freeform;
pub mod part;
pub mod request;

pub use answer::{ChatAnswer, Choice, Finish};
pub use dropped::Dropped;
pub(super) use error::code_of_words;
pub use error::{ChatError, ErrorKind};
pub use event::{ChatEvent, Delta, Fold, Start};
pub(super) use event::{empty, extend, pieces};
pub use part::{CacheMark, Citation, Part, Raw, Signature, Source, Thinking, ToolCall, ToolResult};
pub(super) use part::{SEAL, UNSIGNED};
pub use request::{
    ChatRequest, Effort, Format, ImageOutput, Reasoning, Role, Sampling, Tool, ToolChoice, Turn,
};
