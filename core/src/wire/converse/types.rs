//! The JSON of `Converse`, as far as a translation looks into it. Of each union one member is there.

use serde::{Deserialize, Serialize};
use serde_json::{Number, value::RawValue};
use std::collections::BTreeMap;

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request<'a> {
    pub(super) messages: Vec<Message>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) system: Vec<Block>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) inference_config: Option<InferenceConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_config: Option<ToolConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_config: Option<OutputConfig<'a>>,
    /// Fields of the model's vendor.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) additional_model_request_fields: BTreeMap<&'static str, serde_json::Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) additional_model_response_field_paths: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service_tier: Option<ServiceTier>,
}

#[derive(Serialize)]
pub(super) struct Message {
    pub(super) role: String,
    pub(super) content: Vec<Block>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct InferenceConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) temperature: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) top_p: Option<&'a Number>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) stop_sequences: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig {
    pub(super) tools: Vec<Tool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_choice: Option<ToolChoice>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Tool {
    ToolSpec(Box<ToolSpec>),
    CachePoint(CachePoint),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolSpec {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    pub(super) input_schema: InputSchema,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) strict: Option<bool>,
}

#[derive(Serialize)]
pub(super) struct InputSchema {
    pub(super) json: Box<RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ToolChoice {
    Auto {},
    Any {},
    Tool { name: String },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutputConfig<'a> {
    pub(super) text_format: TextFormat<'a>,
}

#[derive(Serialize)]
pub(super) struct TextFormat<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) structure: Structure<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Structure<'a> {
    pub(super) json_schema: JsonSchema<'a>,
}

/// The schema is JSON as text.
#[derive(Serialize)]
pub(super) struct JsonSchema<'a> {
    pub(super) schema: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<&'a str>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ServiceTier {
    #[serde(rename = "type")]
    pub(super) kind: String,
}

/// A piece of a message.
#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Block {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<Media>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) document: Option<Document>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_use: Option<ToolUse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_result: Option<ToolResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_content: Option<ReasoningContent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache_point: Option<CachePoint>,
    /// Text with what it is taken from; answers alone have it.
    #[serde(skip_serializing)]
    pub(super) citations_content: Option<CitationsContent>,
}

impl Block {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct Media {
    pub(super) format: String,
    pub(super) source: Source,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct Source {
    /// In base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct Document {
    pub(super) format: String,
    pub(super) name: String,
    pub(super) source: Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) citations: Option<Switch>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Switch {
    pub(super) enabled: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolUse {
    pub(super) tool_use_id: String,
    pub(super) name: String,
    pub(super) input: Option<Box<RawValue>>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ToolResult {
    pub(super) tool_use_id: String,
    pub(super) content: Vec<Block>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ReasoningContent {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_text: Option<ReasoningText>,
    /// In base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) redacted_content: Option<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct ReasoningText {
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signature: Option<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct CachePoint {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ttl: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct CitationsContent {
    pub(super) content: Vec<CitedText>,
    pub(super) citations: Vec<Citation>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct CitedText {
    pub(super) text: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Citation {
    pub(super) title: Option<String>,
    pub(super) source_content: Vec<CitedText>,
    pub(super) location: Option<Location>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Location {
    pub(super) web: Option<Web>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Web {
    pub(super) url: Option<String>,
}

/// A whole answer.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Answer {
    pub(super) output: Option<Output>,
    pub(super) stop_reason: Option<String>,
    pub(super) usage: Option<Box<RawValue>>,
    pub(super) service_tier: Option<ServiceTier>,
    pub(super) additional_model_response_fields: Option<AdditionalFields>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Output {
    pub(super) message: Option<AnswerMessage>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct AnswerMessage {
    pub(super) content: Vec<Block>,
}

/// What was asked for by path.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct AdditionalFields {
    pub(super) stop_sequence: Option<String>,
}

/// One event of a stream, under its name.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Event {
    pub(super) message_start: Option<serde::de::IgnoredAny>,
    pub(super) content_block_start: Option<BlockStart>,
    pub(super) content_block_delta: Option<BlockDelta>,
    pub(super) content_block_stop: Option<BlockStop>,
    pub(super) message_stop: Option<MessageStop>,
    pub(super) metadata: Option<Metadata>,
    /// Exceptions, and events of later versions.
    #[serde(flatten)]
    pub(super) others: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct BlockStart {
    pub(super) content_block_index: u64,
    pub(super) start: Started,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Started {
    pub(super) tool_use: Option<StartedTool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartedTool {
    pub(super) tool_use_id: String,
    pub(super) name: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct BlockDelta {
    pub(super) content_block_index: u64,
    pub(super) delta: More,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct More {
    pub(super) text: Option<String>,
    pub(super) tool_use: Option<MoreInput>,
    pub(super) reasoning_content: Option<MoreReasoning>,
    pub(super) citation: Option<Citation>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct MoreInput {
    pub(super) input: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MoreReasoning {
    pub(super) text: Option<String>,
    pub(super) signature: Option<String>,
    pub(super) redacted_content: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct BlockStop {
    pub(super) content_block_index: u64,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MessageStop {
    pub(super) stop_reason: Option<String>,
    pub(super) additional_model_response_fields: Option<AdditionalFields>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub(super) usage: Option<Box<RawValue>>,
    pub(super) service_tier: Option<ServiceTier>,
}
