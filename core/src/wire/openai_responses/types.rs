//! The JSON of responses, as far as a translation looks into it. Everything is optional and may be null:
//! what must be there is said by whoever decodes it.

use crate::wire::chat::{Citation, Dropped};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, IgnoredAny, SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::{Number, value::RawValue};
use std::{borrow::Cow, collections::BTreeMap, fmt};

/// Fields that the neutral form has not.
pub(super) type Rest = BTreeMap<String, Option<IgnoredAny>>;

/// Names what `rest` says, behind `prefix`.
pub(super) fn note_rest(rest: &Rest, prefix: &str, dropped: &mut Dropped) {
    let said = rest.iter().filter(|(_, value)| value.is_some());
    said.for_each(|(name, _)| dropped.note(&format!("{prefix}{name}")));
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Request<'a> {
    pub(super) model: Option<String>,
    pub(super) instructions: Option<String>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
    pub(super) tools: Option<Vec<Tool>>,
    pub(super) tool_choice: Option<Choice>,
    pub(super) parallel_tool_calls: Option<bool>,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) temperature: Option<Number>,
    pub(super) top_p: Option<Number>,
    pub(super) top_logprobs: Option<u64>,
    pub(super) include: Option<Vec<String>>,
    pub(super) reasoning: Option<Reasoning>,
    pub(super) text: Option<Text>,
    pub(super) stream: Option<bool>,
    /// Only how a stream is padded.
    pub(super) stream_options: Option<IgnoredAny>,
    pub(super) background: Option<bool>,
    pub(super) truncation: Option<String>,
    pub(super) user: Option<String>,
    pub(super) safety_identifier: Option<String>,
    pub(super) metadata: Option<BTreeMap<String, String>>,
    pub(super) service_tier: Option<String>,
    pub(super) prompt_cache_key: Option<String>,
    pub(super) store: Option<bool>,
    pub(super) previous_response_id: Option<IgnoredAny>,
    pub(super) conversation: Option<IgnoredAny>,
    pub(super) prompt: Option<IgnoredAny>,
    #[serde(flatten)]
    pub(super) rest: Rest,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Reasoning {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) effort: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary: Option<Cow<'static, str>>,
    /// The older name of `summary`.
    #[serde(skip_serializing)]
    pub(super) generate_summary: Option<Cow<'static, str>>,
    #[serde(flatten, skip_serializing)]
    pub(super) rest: Rest,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Text {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) format: Option<TextFormat>,
    #[serde(skip_serializing)]
    pub(super) verbosity: Option<String>,
    #[serde(flatten, skip_serializing)]
    pub(super) rest: Rest,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct TextFormat {
    #[serde(rename = "type")]
    pub(super) kind: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schema: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) strict: Option<bool>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Tool {
    #[serde(rename = "type")]
    pub(super) kind: Option<Cow<'static, str>>,
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    /// The vendor wants it, and `strict`, to be there.
    pub(super) parameters: Option<Box<RawValue>>,
    pub(super) strict: Option<bool>,
    /// Of a tool that takes plain text.
    #[serde(skip_serializing)]
    pub(super) format: Option<ToolFormat>,
    #[serde(flatten, skip_serializing)]
    pub(super) rest: Rest,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ToolFormat {
    pub(super) syntax: Option<String>,
    pub(super) definition: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Choice {
    Word(Cow<'static, str>),
    Named(NamedChoice),
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct NamedChoice {
    #[serde(rename = "type")]
    pub(super) kind: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<Cow<'static, str>>,
    /// Of `allowed_tools`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tools: Option<Vec<NamedChoice>>,
}

/// The type of an item or an event, to know how to read it.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Kind {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
}

/// An item of a conversation or an answer, of one of the types that are read at all.
#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Item {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<Contents>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary: Option<Vec<Content>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) encrypted_content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) call_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<String>,
    /// Of a call in plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<Contents>,
    /// An image that was generated, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<String>,
    #[serde(skip_serializing)]
    pub(super) output_format: Option<String>,
    #[serde(flatten, skip_serializing)]
    pub(super) rest: Rest,
}

impl Item {
    pub(super) fn of(kind: &'static str) -> Self {
        Self { kind: Some(Cow::Borrowed(kind)), ..Self::default() }
    }

    pub(super) fn message(role: &'static str, content: Contents) -> Self {
        Self { role: Some(Cow::Borrowed(role)), content: Some(content), ..Self::of("message") }
    }

    /// The parts of a message; those of a message that is one text are not to be changed.
    pub(super) fn parts_mut(&mut self) -> Option<&mut Vec<Content>> {
        match &mut self.content {
            Some(Contents::Parts(parts)) => Some(parts),
            _ => None,
        }
    }
}

/// A text, or parts. Not an untagged enum, which would lose the bytes of what is passed on.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Contents {
    Text(String),
    Parts(Vec<Content>),
}

impl Contents {
    pub(super) fn into_parts(self) -> Vec<Content> {
        match self {
            Self::Text(text) => vec![Content::text("input_text", text)],
            Self::Parts(parts) => parts,
        }
    }
}

impl<'de> Deserialize<'de> for Contents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Contents;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text or an array of parts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Contents, E> {
                Ok(Contents::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Contents, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(parts)).map(Contents::Parts)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A part of a message, a thought or a result.
#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Content {
    #[serde(rename = "type")]
    pub(super) kind: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotations: Option<Vec<Annotation>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_id: Option<String>,
    #[serde(skip_serializing)]
    pub(super) input_audio: Option<InputAudio>,
    #[serde(skip_serializing)]
    pub(super) prompt_cache_breakpoint: Option<Breakpoint>,
    #[serde(flatten, skip_serializing)]
    pub(super) rest: Rest,
}

impl Content {
    pub(super) fn of(kind: &'static str) -> Self {
        Self { kind: Some(Cow::Borrowed(kind)), ..Self::default() }
    }

    pub(super) fn text(kind: &'static str, text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::of(kind) }
    }

    pub(super) fn refusal(text: impl Into<String>) -> Self {
        Self { refusal: Some(text.into()), ..Self::of("refusal") }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct InputAudio {
    pub(super) data: String,
    pub(super) format: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Breakpoint {
    pub(super) ttl: Option<String>,
}

/// What a stretch of a text is taken from.
#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Annotation {
    #[serde(rename = "type")]
    kind: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing)]
    filename: Option<String>,
}

impl Annotation {
    /// The citation that it is; `None`: it is of another kind, such as the path of a file.
    pub(super) fn citation(self) -> Option<Citation> {
        let is_citation = self.kind.as_deref().is_some_and(|kind| kind.ends_with("citation"));
        is_citation.then_some(Citation {
            url: self.url,
            title: self.title.or(self.filename),
            quote: None,
            start: self.start_index,
            end: self.end_index,
        })
    }

    /// As the vendor writes a citation of `text`; `None`: the source has no URL, and the vendor's other
    /// kinds name files of its own.
    pub(super) fn of(citation: &Citation, text: &str) -> Option<Self> {
        let url = citation.url.clone()?;
        let characters = || u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        Some(Self {
            kind: Some(Cow::Borrowed("url_citation")),
            start_index: Some(citation.start.unwrap_or(0)),
            end_index: Some(citation.end.unwrap_or_else(characters)),
            title: Some(citation.title.clone().unwrap_or_else(|| url.clone())),
            url: Some(url),
            filename: None,
        })
    }
}

/// A response as an upstream writes it, whole or as far as it is known.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Response<'a> {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) created_at: Option<Number>,
    pub(super) status: Option<String>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    pub(super) incomplete_details: Option<Incomplete>,
    /// Each is read by its type: of items of unknown types nothing can be said.
    #[serde(borrow)]
    pub(super) output: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    pub(super) service_tier: Option<String>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Incomplete {
    pub(super) reason: Option<Cow<'static, str>>,
}
