//! Events of a stream as they are written, and the response that some of them hold.

use super::{
    types::{Annotation, Content, Incomplete, Item},
    usage::Counts,
};
use memchr::memmem;
use serde::Serialize;

/// A response. What it repeats of the request is not known to whoever writes it: there stands what the
/// vendor has where nothing was said.
#[derive(Serialize)]
pub(super) struct Response {
    pub(super) id: String,
    pub(super) object: &'static str,
    pub(super) created_at: i64,
    pub(super) status: &'static str,
    pub(super) error: Option<Failure>,
    pub(super) incomplete_details: Option<Incomplete>,
    instructions: (),
    metadata: Empty,
    pub(super) model: String,
    pub(super) output: Vec<Item>,
    parallel_tool_calls: bool,
    temperature: (),
    tool_choice: &'static str,
    tools: [(); 0],
    top_p: (),
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service_tier: Option<String>,
    pub(super) usage: Option<Counts>,
}

#[derive(Serialize)]
pub(super) struct Failure {
    pub(super) code: String,
    pub(super) message: String,
}

/// `{}`.
#[derive(Serialize)]
struct Empty {}

impl Response {
    /// In which nothing has been said yet.
    pub(super) fn begun(id: String, model: String, created_at: i64) -> Self {
        Self {
            id,
            object: "response",
            created_at,
            status: "in_progress",
            error: None,
            incomplete_details: None,
            instructions: (),
            metadata: Empty {},
            model,
            output: Vec::new(),
            parallel_tool_calls: true,
            temperature: (),
            tool_choice: "auto",
            tools: [],
            top_p: (),
            service_tier: None,
            usage: None,
        }
    }
}

#[derive(Serialize, Default)]
pub(super) struct Event<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) sequence_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<&'a Response>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotation_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<&'a Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<&'a Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotation: Option<&'a Annotation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<[(); 0]>,
}

/// Gives events their numbers.
#[derive(Default)]
pub(super) struct Say {
    pub(super) sequence: u64,
    /// Nobody listens: the response is wanted at once.
    pub(super) silent: bool,
}

impl Say {
    /// Writes an event with the next number, its data on one line also for those who end lines where
    /// Unicode does.
    pub(super) fn say(&mut self, event: Event<'_>, out: &mut Vec<u8>) {
        if self.silent {
            return;
        }
        out.extend_from_slice(format!("event: {}\ndata: ", event.kind).as_bytes());
        let json = serde_json::to_vec(&Event { sequence_number: self.sequence, ..event })
            .expect(super::encode::PLAIN);
        if memmem::find(&json, b"\xe2\x80").is_none() {
            out.extend_from_slice(&json);
        } else {
            // Outside of strings there are no such characters, and in them the escape means the same.
            let text = String::from_utf8_lossy(&json);
            let line = text.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
            out.extend_from_slice(line.as_bytes());
        }
        out.extend_from_slice(b"\n\n");
        self.sequence += 1;
    }
}
