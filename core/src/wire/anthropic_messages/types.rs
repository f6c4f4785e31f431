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
pub(in crate::wire) type Rest = BTreeMap<String, Option<IgnoredAny>>;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(in crate::wire) struct Request {
    pub(in crate::wire) model: Option<String>,
    pub(in crate::wire) messages: Option<Vec<Message>>,
    pub(in crate::wire) system: Option<Content>,
    pub(in crate::wire) max_tokens: Option<u64>,
    pub(in crate::wire) tools: Option<Vec<Tool>>,
    pub(in crate::wire) tool_choice: Option<ToolChoice>,
    pub(in crate::wire) thinking: Option<ThinkingConfig>,
    pub(in crate::wire) output_config: Option<OutputConfig>,
    /// The older place of `output_config.format`.
    pub(in crate::wire) output_format: Option<OutputFormat>,
    pub(in crate::wire) temperature: Option<Number>,
    pub(in crate::wire) top_p: Option<Number>,
    pub(in crate::wire) top_k: Option<u64>,
    pub(in crate::wire) stop_sequences: Option<Vec<String>>,
    pub(in crate::wire) stream: Option<bool>,
    pub(in crate::wire) metadata: Option<Metadata>,
    pub(in crate::wire) service_tier: Option<String>,
    /// Marks the last block that can be marked.
    pub(in crate::wire) cache_control: Option<CacheControl>,
    #[serde(flatten)]
    pub(in crate::wire) rest: Rest,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(in crate::wire) struct Message {
    pub(in crate::wire) role: Cow<'static, str>,
    pub(in crate::wire) content: Option<Content>,
    #[serde(flatten, skip_serializing)]
    pub(in crate::wire) rest: Rest,
}

/// What stands in the places that are not always of one shape.
#[derive(Serialize)]
#[serde(untagged)]
pub(in crate::wire) enum Content {
    /// The short form of one text block; of a search result's source, its address.
    Text(String),
    Blocks(Vec<Block>),
    /// Where the data of an image or a document are; also what the vendor's own tools came to.
    Source(Box<Source>),
}

impl Content {
    /// In its short form, where that says all.
    pub(in crate::wire) fn short(mut blocks: Vec<Block>) -> Self {
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
pub(in crate::wire) struct Block {
    #[serde(rename = "type")]
    pub(in crate::wire) kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) thinking: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) input: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) tool_use_id: Option<String>,
    /// A tool result's, a search result's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) content: Option<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) is_error: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) source: Option<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) citations: Option<Citations>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) cache_control: Option<CacheControl>,
    #[serde(skip_serializing)]
    pub(in crate::wire) caller: Option<Caller>,
    #[serde(flatten, skip_serializing)]
    pub(in crate::wire) rest: Rest,
}

impl Block {
    pub(in crate::wire) fn of(kind: &'static str) -> Self {
        Self { kind: Cow::Borrowed(kind), ..Self::default() }
    }

    pub(in crate::wire) fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::of("text") }
    }
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(in crate::wire) struct Source {
    #[serde(rename = "type")]
    pub(in crate::wire) kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) file_id: Option<String>,
    #[serde(skip_serializing)]
    pub(in crate::wire) content: Option<Content>,
}

/// Who made a call: the model itself (`direct`), or code that it wrote.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in crate::wire) struct Caller {
    #[serde(rename = "type")]
    pub(in crate::wire) kind: String,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(in crate::wire) struct CacheControl {
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
pub(in crate::wire) enum Citations {
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
pub(in crate::wire) struct Citation {
    #[serde(rename = "type")]
    pub(in crate::wire) kind: Cow<'static, str>,
    pub(in crate::wire) url: Option<String>,
    pub(in crate::wire) title: Option<String>,
    pub(in crate::wire) cited_text: Option<String>,
    /// Proves a search result to the vendor; nobody else has one.
    pub(in crate::wire) encrypted_index: Option<String>,
    #[serde(skip_serializing)]
    pub(in crate::wire) document_title: Option<String>,
    #[serde(skip_serializing)]
    pub(in crate::wire) source: Option<String>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(in crate::wire) struct Tool {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) kind: Option<String>,
    pub(in crate::wire) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) input_schema: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) strict: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) cache_control: Option<CacheControl>,
    #[serde(flatten, skip_serializing)]
    pub(in crate::wire) rest: Rest,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(in crate::wire) struct ToolChoice {
    #[serde(rename = "type")]
    pub(in crate::wire) kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) disable_parallel_tool_use: Option<bool>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(in crate::wire) struct ThinkingConfig {
    #[serde(rename = "type")]
    pub(in crate::wire) kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) budget_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) display: Option<Cow<'static, str>>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(in crate::wire) struct OutputConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) effort: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) format: Option<OutputFormat>,
    #[serde(flatten, skip_serializing)]
    pub(in crate::wire) rest: Rest,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(in crate::wire) struct OutputFormat {
    #[serde(rename = "type")]
    pub(in crate::wire) kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) schema: Option<Box<RawValue>>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(in crate::wire) struct Metadata {
    pub(in crate::wire) user_id: Option<String>,
    #[serde(flatten, skip_serializing)]
    pub(in crate::wire) rest: Rest,
}

/// An answer as it is read, or the beginning of a stream's.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in crate::wire) struct Answer {
    pub(in crate::wire) id: Option<String>,
    pub(in crate::wire) model: Option<String>,
    pub(in crate::wire) content: Option<Vec<Block>>,
    pub(in crate::wire) stop_reason: Option<String>,
    pub(in crate::wire) stop_sequence: Option<String>,
    pub(in crate::wire) usage: Option<Box<RawValue>>,
    pub(in crate::wire) error: Option<Box<RawValue>>,
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
