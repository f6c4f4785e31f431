//! The JSON of messages, as far as a translation looks into it. Everything is optional and may be null:
//! what must be there is said by whoever decodes it.
//!
//! Follows <https://platform.claude.com/docs/en/api/messages>.

use super::usage;
use crate::wire::chat::CacheMark;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Number, Value, value::RawValue};
use std::{borrow::Cow, collections::BTreeMap, fmt};

/// Fields that the neutral form has not. Those that are null say nothing.
pub(super) type Rest = BTreeMap<String, Option<IgnoredAny>>;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Request {
    pub(super) model: Option<String>,
    pub(super) messages: Option<Vec<Message>>,
    pub(super) system: Option<Content>,
    pub(super) max_tokens: Option<u64>,
    pub(super) tools: Option<Vec<Tool>>,
    pub(super) tool_choice: Option<ToolChoice>,
    pub(super) thinking: Option<ThinkingConfig>,
    pub(super) output_config: Option<OutputConfig>,
    /// The older place of `output_config.format`.
    pub(super) output_format: Option<OutputFormat>,
    pub(super) temperature: Option<Number>,
    pub(super) top_p: Option<Number>,
    pub(super) top_k: Option<u64>,
    pub(super) stop_sequences: Option<Vec<String>>,
    pub(super) stream: Option<bool>,
    pub(super) metadata: Option<Metadata>,
    pub(super) service_tier: Option<String>,
    /// Marks the last block that can be marked.
    pub(super) cache_control: Option<CacheControl>,
    #[serde(flatten)]
    pub(super) rest: Rest,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Message {
    pub(super) role: Cow<'static, str>,
    pub(super) content: Option<Content>,
    #[serde(flatten, skip_serializing)]
    pub(super) rest: Rest,
}

/// What stands in the places that are not always of one shape.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content {
    /// The short form of one text block; of a search result's source, its address.
    Text(String),
    Blocks(Vec<Block>),
    /// Where the data of an image or a document are; also what the vendor's own tools came to.
    Source(Box<Source>),
}

impl Content {
    /// In its short form, where that says all.
    pub(super) fn short(mut blocks: Vec<Block>) -> Self {
        match blocks.as_mut_slice() {
            [Block { kind, text: Some(text), cache_control: None, .. }] if &**kind == "text" => {
                Self::Text(std::mem::take(text))
            }
            _ => Self::Blocks(blocks),
        }
    }
}

impl<'de> Deserialize<'de> for Content {
    // What is derived for an untagged enum reads a tree first, in which no JSON keeps its bytes.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shapes;
        impl<'de> Visitor<'de> for Shapes {
            type Value = Content;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a string or an array of content blocks")
            }

            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
                let mut blocks = Vec::new();
                while let Some(block) = items.next_element()? {
                    blocks.push(block);
                }
                Ok(Content::Blocks(blocks))
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Content, A::Error> {
                Source::deserialize(MapAccessDeserializer::new(members)).map(Box::new).map(Content::Source)
            }
        }
        deserializer.deserialize_any(Shapes)
    }
}

/// A piece of content. `kind` tells which of the fields there are.
#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Block {
    #[serde(rename = "type")]
    pub(super) kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_use_id: Option<String>,
    /// A tool result's, a search result's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) is_error: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) citations: Option<Citations>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache_control: Option<CacheControl>,
    #[serde(skip_serializing)]
    pub(super) caller: Option<Caller>,
    #[serde(flatten, skip_serializing)]
    pub(super) rest: Rest,
}

impl Block {
    pub(super) fn of(kind: &'static str) -> Self {
        Self { kind: Cow::Borrowed(kind), ..Self::default() }
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::of("text") }
    }
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Source {
    #[serde(rename = "type")]
    pub(super) kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_id: Option<String>,
    #[serde(skip_serializing)]
    pub(super) content: Option<Content>,
}

/// Who made a call: the model itself (`direct`), or code that it wrote.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Caller {
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct CacheControl {
    #[serde(rename = "type")]
    kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<Cow<'static, str>>,
}

impl From<CacheControl> for CacheMark {
    fn from(control: CacheControl) -> Self {
        if control.ttl.as_deref() == Some("1h") { Self::OneHour } else { Self::FiveMinutes }
    }
}

impl From<CacheMark> for CacheControl {
    fn from(mark: CacheMark) -> Self {
        let ttl = (mark == CacheMark::OneHour).then_some(Cow::Borrowed("1h"));
        Self { kind: Cow::Borrowed("ephemeral"), ttl }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Citations {
    /// What a text cites.
    List(Vec<Citation>),
    /// Whether a document may be cited.
    Switch {
        enabled: bool,
    },
    Other(Value),
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Citation {
    #[serde(rename = "type")]
    pub(super) kind: Cow<'static, str>,
    pub(super) url: Option<String>,
    pub(super) title: Option<String>,
    pub(super) cited_text: Option<String>,
    /// Proves a search result to the vendor; nobody else has one.
    pub(super) encrypted_index: Option<String>,
    #[serde(skip_serializing)]
    pub(super) document_title: Option<String>,
    #[serde(skip_serializing)]
    pub(super) source: Option<String>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Tool {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input_schema: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) strict: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache_control: Option<CacheControl>,
    #[serde(flatten, skip_serializing)]
    pub(super) rest: Rest,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct ToolChoice {
    #[serde(rename = "type")]
    pub(super) kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) disable_parallel_tool_use: Option<bool>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct ThinkingConfig {
    #[serde(rename = "type")]
    pub(super) kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) budget_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) display: Option<Cow<'static, str>>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct OutputConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) effort: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) format: Option<OutputFormat>,
    #[serde(flatten, skip_serializing)]
    pub(super) rest: Rest,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct OutputFormat {
    #[serde(rename = "type")]
    pub(super) kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schema: Option<Box<RawValue>>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Metadata {
    pub(super) user_id: Option<String>,
    #[serde(flatten, skip_serializing)]
    pub(super) rest: Rest,
}

/// An answer as it is read, or the beginning of a stream's.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Answer {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) content: Option<Vec<Block>>,
    pub(super) stop_reason: Option<String>,
    pub(super) stop_sequence: Option<String>,
    pub(super) usage: Option<Box<RawValue>>,
    pub(super) error: Option<Box<RawValue>>,
}

/// An answer as it is written.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    pub(super) id: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) role: &'static str,
    pub(super) model: &'a str,
    pub(super) content: Vec<Block>,
    pub(super) stop_reason: Option<&'a str>,
    pub(super) stop_sequence: Option<&'a str>,
    pub(super) usage: usage::Written,
}
