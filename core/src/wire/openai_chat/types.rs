//! The JSON of chat completions, as far as a translation looks into it. Everything is optional and may be
//! null: what must be there is said by whoever decodes it.
//!
//! Follows <https://platform.openai.com/docs/api-reference/chat>.

use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Number, value::RawValue};
use std::{borrow::Cow, collections::BTreeMap};

/// Fields that the neutral form has not. Those that are null say nothing: SDKs write out whole objects.
pub(super) type Rest = BTreeMap<String, Option<IgnoredAny>>;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Request {
    pub(super) model: Option<String>,
    pub(super) messages: Option<Vec<Message>>,
    pub(super) tools: Option<Vec<Tool>>,
    pub(super) tool_choice: Option<Choice>,
    pub(super) parallel_tool_calls: Option<bool>,
    pub(super) max_tokens: Option<u64>,
    pub(super) max_completion_tokens: Option<u64>,
    pub(super) temperature: Option<Number>,
    pub(super) top_p: Option<Number>,
    pub(super) top_k: Option<u64>,
    pub(super) presence_penalty: Option<Number>,
    pub(super) frequency_penalty: Option<Number>,
    pub(super) seed: Option<i64>,
    pub(super) n: Option<u64>,
    pub(super) logprobs: Option<bool>,
    pub(super) top_logprobs: Option<u64>,
    pub(super) logit_bias: Option<Box<RawValue>>,
    pub(super) stop: Option<OneOrMany>,
    pub(super) response_format: Option<ResponseFormat>,
    pub(super) reasoning_effort: Option<String>,
    pub(super) stream: Option<bool>,
    pub(super) stream_options: Option<StreamOptions>,
    pub(super) user: Option<String>,
    pub(super) metadata: Option<BTreeMap<String, String>>,
    pub(super) service_tier: Option<String>,
    pub(super) prompt_cache_key: Option<String>,
    pub(super) store: Option<bool>,
    pub(super) modalities: Option<Vec<String>>,
    /// This gateway's own, for models that draw.
    pub(super) aspect_ratio: Option<String>,
    pub(super) image_size: Option<String>,
    #[serde(flatten)]
    pub(super) rest: Rest,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct StreamOptions {
    pub(super) include_usage: Option<bool>,
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Of a request, an answer, or a stream's delta.
#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Message {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<Content>,
    /// DeepSeek's, Qwen's and vLLM's name of what was thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_content: Option<String>,
    /// OpenRouter's.
    #[serde(skip_serializing)]
    pub(super) reasoning: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_calls: Option<Vec<Call>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_call_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotations: Option<Vec<Annotation>>,
    #[serde(flatten, skip_serializing)]
    pub(super) rest: Rest,
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Part {
    #[serde(rename = "type")]
    pub(super) kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_url: Option<ImageUrl>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input_audio: Option<InputAudio>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<File>,
    /// OpenRouter's habit, after Anthropic's.
    #[serde(skip_serializing)]
    pub(super) cache_control: Option<CacheControl>,
    #[serde(flatten, skip_serializing)]
    pub(super) rest: Rest,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct ImageUrl {
    pub(super) url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct InputAudio {
    pub(super) data: String,
    pub(super) format: String,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct File {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_id: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct CacheControl {
    pub(super) ttl: Option<String>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Call {
    /// Only in a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function: Option<Function>,
    /// Of a tool that takes plain text.
    #[serde(skip_serializing)]
    pub(super) custom: Option<Custom>,
    /// Where Google's own endpoint of this dialect has its signatures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extra_content: Option<ExtraContent>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Function {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Custom {
    pub(super) name: String,
    pub(super) input: String,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct ExtraContent {
    pub(super) google: Option<Google>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Google {
    pub(super) thought_signature: Option<String>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Annotation {
    #[serde(rename = "type")]
    pub(super) kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url_citation: Option<UrlCitation>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct UrlCitation {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) start_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end_index: Option<u64>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Tool {
    #[serde(rename = "type")]
    pub(super) kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function: Option<FunctionTool>,
    #[serde(skip_serializing)]
    pub(super) cache_control: Option<CacheControl>,
    #[serde(flatten, skip_serializing)]
    pub(super) rest: Rest,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct FunctionTool {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parameters: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) strict: Option<bool>,
    #[serde(flatten, skip_serializing)]
    pub(super) rest: Rest,
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Choice {
    Word(String),
    Named(NamedChoice),
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct NamedChoice {
    #[serde(rename = "type")]
    pub(super) kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function: Option<Function>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) allowed_tools: Option<AllowedTools>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct AllowedTools {
    pub(super) mode: Cow<'static, str>,
    pub(super) tools: Vec<NamedChoice>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct ResponseFormat {
    #[serde(rename = "type")]
    pub(super) kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) json_schema: Option<JsonSchema>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct JsonSchema {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schema: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) strict: Option<bool>,
}

/// An answer, or a stream's chunk.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Answer {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) created: Option<i64>,
    pub(super) choices: Option<Vec<AnswerChoice>>,
    pub(super) usage: Option<Box<RawValue>>,
    /// Where Groq tells the usage to whom did not ask for it.
    pub(super) x_groq: Option<Box<RawValue>>,
    pub(super) service_tier: Option<String>,
    pub(super) error: Option<Box<RawValue>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct AnswerChoice {
    pub(super) index: Option<u32>,
    pub(super) message: Option<Message>,
    pub(super) delta: Option<Message>,
    pub(super) finish_reason: Option<String>,
    pub(super) logprobs: Option<Box<RawValue>>,
    /// Where Moonshot tells it.
    pub(super) usage: Option<Box<RawValue>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Error {
    #[serde(alias = "Message")]
    pub(super) message: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) param: Option<String>,
    /// A word, or with some upstreams a status.
    pub(super) code: Option<Box<RawValue>>,
}
