//! What messages are made of.

use crate::wire::Dialect;
use serde_json::value::RawValue;
use std::sync::Arc;

/// JSON that is passed on byte for byte. Equal when the bytes are.
#[derive(Clone, Debug)]
pub struct Raw(pub Arc<RawValue>);

impl Raw {
    /// `text` as JSON; `None`: it is none.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        RawValue::from_string(text.to_owned()).ok().map(|raw| Self(raw.into()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl From<Box<RawValue>> for Raw {
    fn from(raw: Box<RawValue>) -> Self {
        Self(raw.into())
    }
}

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Raw {}

/// One piece of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    Text {
        text: String,
        citations: Vec<Citation>,
        signature: Option<Signature>,
        cache: Option<CacheMark>,
    },
    /// What the model would not do, and says so.
    Refusal {
        text: String,
    },
    Thinking(Thinking),
    Image {
        source: Source,
        detail: Option<String>,
        cache: Option<CacheMark>,
    },
    /// A file to be read, such as a PDF.
    Document {
        source: Source,
        name: Option<String>,
        citations: bool,
        cache: Option<CacheMark>,
    },
    Audio {
        source: Source,
        cache: Option<CacheMark>,
    },
    ToolCall(ToolCall),
    ToolResult(ToolResult),
}

impl Part {
    /// Plain text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), citations: Vec::new(), signature: None, cache: None }
    }
}

/// What the model thought before it answered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Thinking {
    /// The provider's id of it, where it has one.
    pub id: Option<String>,
    /// As far as it is shown; a summary of several paragraphs has them one after the other.
    pub text: String,
    /// What its provider wants back, unchanged, in the next turn.
    pub signature: Option<Signature>,
    /// The provider shows none of it: the signature is all there is.
    pub redacted: bool,
    /// Its text is a summary that was made of it.
    pub summary: bool,
}

/// A call that the model makes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ToolCall {
    /// What its result refers to, byte for byte as whoever made it wrote it.
    pub id: String,
    pub name: String,
    /// JSON as text, as the model wrote it: it may be broken.
    pub arguments: String,
    pub signature: Option<Signature>,
    pub cache: Option<CacheMark>,
}

/// What a call came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ToolResult {
    pub call_id: String,
    /// The tool's name, where the dialect gives it with the result.
    pub name: Option<String>,
    /// Texts, images and documents.
    pub parts: Vec<Part>,
    pub is_error: bool,
    pub cache: Option<CacheMark>,
}

/// Whether `text` can be a media type. It may have to stand in a `data:` URI, which ends it at a comma.
#[must_use]
pub fn is_media_type(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b',');
    is_plain && text.split_once('/').is_some_and(|(kind, rest)| !kind.is_empty() && !rest.is_empty())
}

/// Where media are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// In the request itself, in standard base64.
    Data {
        media_type: String,
        base64: String,
    },
    /// Text in the request itself, where a document can be one.
    Text(String),
    Url {
        url: String,
        media_type: Option<String>,
    },
    /// Stored with the provider of this dialect.
    File {
        dialect: Dialect,
        id: String,
    },
}

/// Up to here the prompt is to be kept for the next request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CacheMark {
    #[default]
    FiveMinutes,
    OneHour,
}

/// What a stretch of text is taken from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Citation {
    pub url: Option<String>,
    pub title: Option<String>,
    /// The passage that is cited.
    pub quote: Option<String>,
    /// Where in the answer's text, in characters; `None`: the dialect does not say.
    pub start: Option<u64>,
    pub end: Option<u64>,
}

/// Opaque bytes of a provider's, as text, to be returned unchanged: they prove that the model
/// itself thought or called so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signature {
    /// Whose they are: only this dialect's providers understand them.
    pub dialect: Dialect,
    pub data: String,
}

/// How a signature begins that a foreign dialect carries, whatever else it says.
pub(in crate::wire) const SEAL: &str = "aione.";
/// What stands in the place of the signature of a thought that nobody signed, in dialects that demand one: a
/// vendor would refuse the thought, so that it must be known again.
pub(in crate::wire) const UNSIGNED: &str = "aione.unsigned";

impl Signature {
    /// As `carrier`'s callers are given it: their own one as it is, a foreign one with its dialect's
    /// name, so that [`Self::opened`] knows it again.
    #[must_use]
    pub fn sealed(&self, carrier: Dialect) -> String {
        if self.dialect == carrier {
            return self.data.clone();
        }
        format!("{SEAL}{}.{}", self.dialect.as_str(), self.data)
    }

    /// What a caller of `carrier` gave back.
    #[must_use]
    pub fn opened(carrier: Dialect, text: &str) -> Self {
        let foreign =
            text.strip_prefix(SEAL).and_then(|rest| rest.split_once('.')).and_then(|(name, data)| {
                Dialect::ALL
                    .into_iter()
                    .find(|dialect| dialect.as_str() == name)
                    .map(|dialect| (dialect, data))
            });
        let (dialect, data) = foreign.unwrap_or((carrier, text));
        Self { dialect, data: data.to_owned() }
    }

    /// The bytes, where a provider of `dialect` is asked; `None`: they are another's.
    #[must_use]
    pub fn own(&self, dialect: Dialect) -> Option<&str> {
        (self.dialect == dialect).then_some(&*self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_can_stand_in_a_data_uri() {
        for kind in
            ["image/png", "audio/L16;rate=24000", "application/vnd.ms-excel", "text/plain; charset=utf-8"]
        {
            assert!(is_media_type(kind), "{kind}");
        }
        for kind in ["", "png", "/png", "image/", "image/png,", "a,b/c", "image/\n", "image/\u{e4}"] {
            assert!(!is_media_type(kind), "{kind}");
        }
    }

    #[test]
    fn a_signature_comes_back_byte_for_byte_through_every_dialect() {
        for of in Dialect::ALL {
            for carrier in Dialect::ALL {
                for data in ["", "EqQB/+==", "aione.x", "a.b.c", "aione.gemini.x"] {
                    let signature = Signature { dialect: of, data: data.to_owned() };
                    // One that looks sealed is a foreign one to whoever reads it: nobody's own looks so.
                    if of == carrier && data == "aione.gemini.x" {
                        continue;
                    }
                    assert_eq!(Signature::opened(carrier, &signature.sealed(carrier)), signature);
                }
            }
        }
    }
}
