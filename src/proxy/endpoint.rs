//! The endpoints whose traffic is metered: by which path each is called, and in whose words.

use super::client::Client;
use aione_core::{
    config::snapshot::Deployment,
    wire::{
        Dialect, Tongue,
        codec::{Manner, UrlSays},
    },
};
use http::HeaderMap;

/// The model of a moderation that names none, as most do:
/// <https://platform.openai.com/docs/api-reference/moderations/create>.
const MODERATION_MODEL: &str = "omni-moderation-latest";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    ChatCompletions,
    Completions,
    Embeddings,
    ImagesGenerations,
    AudioSpeech,
    AudioTranscriptions,
    AudioTranslations,
    Moderations,
    Rerank,
    Responses,
    Messages,
    MessagesCountTokens,
    GenerateContent(Manner),
    CountTokens,
    EmbedContent,
    BatchEmbedContents,
    /// None of the gateway's own: it is passed on as it is, to a provider of this dialect.
    Raw(Dialect),
}

/// An endpoint as it is called.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) endpoint: Endpoint,
    /// Where the path names it.
    pub(crate) model: Option<String>,
}

impl Called {
    /// What the path and the query of a URL ask for; `None`: nothing that is metered.
    pub(crate) fn at(path: &str, query: Option<&str>) -> Option<Self> {
        let endpoint = match path {
            "/v1/chat/completions" => Endpoint::ChatCompletions,
            "/v1/completions" => Endpoint::Completions,
            "/v1/embeddings" => Endpoint::Embeddings,
            "/v1/images/generations" => Endpoint::ImagesGenerations,
            "/v1/audio/speech" => Endpoint::AudioSpeech,
            "/v1/audio/transcriptions" => Endpoint::AudioTranscriptions,
            "/v1/audio/translations" => Endpoint::AudioTranslations,
            "/v1/moderations" => Endpoint::Moderations,
            "/v1/rerank" => Endpoint::Rerank,
            "/v1/responses" => Endpoint::Responses,
            "/v1/messages" => Endpoint::Messages,
            "/v1/messages/count_tokens" => Endpoint::MessagesCountTokens,
            _ => return Self::of_gemini(path, query),
        };
        Some(Self { endpoint, model: None })
    }

    /// `/v1beta/models/{model}:{method}`; google-genai calls it under `/v1`.
    fn of_gemini(path: &str, query: Option<&str>) -> Option<Self> {
        let named = path.strip_prefix("/v1beta/models/").or_else(|| path.strip_prefix("/v1/models/"))?;
        let (model, method) = named.rsplit_once(':')?;
        let endpoint = match method {
            "generateContent" => Endpoint::GenerateContent(Manner::Plain),
            "streamGenerateContent" if asks_for_events(query) => Endpoint::GenerateContent(Manner::Events),
            "streamGenerateContent" => Endpoint::GenerateContent(Manner::Array),
            "countTokens" => Endpoint::CountTokens,
            "embedContent" => Endpoint::EmbedContent,
            "batchEmbedContents" => Endpoint::BatchEmbedContents,
            _ => return None,
        };
        let model = percent_encoding::percent_decode_str(model).decode_utf8().ok()?;
        Some(Self { endpoint, model: Some(model.into_owned()) })
    }

    /// What stands in the URL and not in the body, or goes without saying.
    pub(crate) fn url(&self) -> UrlSays<'_> {
        let stream = match self.endpoint {
            Endpoint::GenerateContent(manner) => Some(manner != Manner::Plain),
            _ => None,
        };
        let unsaid = (self.endpoint == Endpoint::Moderations).then_some(MODERATION_MODEL);
        UrlSays { model: self.model.as_deref().or(unsaid), stream }
    }
}

impl Endpoint {
    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::ChatCompletions
            | Self::Completions
            | Self::Embeddings
            | Self::ImagesGenerations
            | Self::AudioSpeech
            | Self::AudioTranscriptions
            | Self::AudioTranslations
            | Self::Moderations
            | Self::Rerank => Dialect::OpenAiChat,
            Self::Responses => Dialect::OpenAiResponses,
            Self::Messages | Self::MessagesCountTokens => Dialect::AnthropicMessages,
            Self::GenerateContent(_) | Self::CountTokens | Self::EmbedContent | Self::BatchEmbedContents => {
                Dialect::Gemini
            }
            Self::Raw(dialect) => dialect,
        }
    }

    /// Behind a provider's `base_url`; in Gemini's dialect the method, behind the model's name.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::ImagesGenerations => "/images/generations",
            Self::AudioSpeech => "/audio/speech",
            Self::AudioTranscriptions => "/audio/transcriptions",
            Self::AudioTranslations => "/audio/translations",
            Self::Moderations => "/moderations",
            Self::Rerank => "/rerank",
            Self::Responses => "/responses",
            Self::Messages => "/messages",
            Self::MessagesCountTokens => "/messages/count_tokens",
            Self::GenerateContent(Manner::Plain) => "generateContent",
            Self::GenerateContent(Manner::Events) => "streamGenerateContent?alt=sse",
            Self::GenerateContent(Manner::Array) => "streamGenerateContent",
            Self::CountTokens => "countTokens",
            Self::EmbedContent => "embedContent",
            Self::BatchEmbedContents => "batchEmbedContents",
            // The caller's own.
            Self::Raw(_) => "",
        }
    }

    /// The endpoint of an upstream that speaks `dialect`, where a chat comes here.
    pub(crate) fn of_chat(dialect: Dialect, stream: bool) -> Self {
        match dialect {
            Dialect::OpenAiChat => Self::ChatCompletions,
            Dialect::OpenAiResponses => Self::Responses,
            Dialect::AnthropicMessages => Self::Messages,
            Dialect::Gemini if stream => Self::GenerateContent(Manner::Events),
            Dialect::Gemini => Self::GenerateContent(Manner::Plain),
        }
    }

    /// What `deployment` is asked in: the caller's own dialect where it speaks that, and something else for a
    /// chat, which can be translated. `None`: it cannot be asked.
    pub(crate) fn tongue_for(self, deployment: &Deployment) -> Option<Tongue> {
        // What is passed on is nobody's to judge: the provider itself opens its path.
        if let Self::Raw(dialect) = self {
            return Some(dialect.into());
        }
        // Where only tokens are counted, it is chats whose tokens they are.
        deployment.tongue_for(self.dialect(), self.is_chat() || self.counts())
    }

    /// What a model that states its capabilities must name among them.
    pub(crate) fn capability(self) -> Option<&'static str> {
        match self {
            Self::Embeddings | Self::EmbedContent | Self::BatchEmbedContents => Some("embeddings"),
            Self::ImagesGenerations => Some("image_output"),
            Self::AudioSpeech | Self::AudioTranscriptions | Self::AudioTranslations => Some("audio"),
            Self::Moderations => Some("moderation"),
            Self::Rerank => Some("rerank"),
            Self::Completions | Self::Raw(_) => None,
            _ => Some("chat"),
        }
    }

    /// Whether it is a conversation, which every dialect can say.
    fn is_chat(self) -> bool {
        matches!(self, Self::ChatCompletions | Self::Responses | Self::Messages | Self::GenerateContent(_))
    }

    /// Whether an answer has output tokens that a ceiling can bound.
    pub(crate) fn generates(self) -> bool {
        self.is_chat()
            || self.hears()
            || matches!(self, Self::Completions | Self::ImagesGenerations | Self::Raw(_))
    }

    /// Whether a stream's usage has to be asked for.
    pub(crate) fn has_stream_options(self) -> bool {
        matches!(self, Self::ChatCompletions | Self::Completions)
    }

    /// Whether what is answered is said in bytes that nobody reads, and not in JSON.
    pub(crate) fn makes_media(self) -> bool {
        self == Self::AudioSpeech
    }

    /// Whether a recording is put in words: the body is a form that holds it.
    pub(crate) fn hears(self) -> bool {
        matches!(self, Self::AudioTranscriptions | Self::AudioTranslations)
    }

    /// Whether tokens are only counted.
    pub(crate) fn counts(self) -> bool {
        matches!(self, Self::MessagesCountTokens | Self::CountTokens)
    }
}

/// In whose words a caller reads what is said of a request, whatever it asks for.
pub(crate) fn dialect_of(client: &Client<'_>) -> Dialect {
    let path = client.path();
    let below =
        |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if below("/v1/messages") {
        Dialect::AnthropicMessages
    } else if below("/v1/responses") {
        Dialect::OpenAiResponses
    } else if below("/v1beta") {
        Dialect::Gemini
    } else if below("/v1/models") {
        dialect_of_models(path, client.headers(), client.head().uri.query())
    } else {
        Dialect::OpenAiChat
    }
}

/// Three vendors have `/v1/models`: how it is asked for tells which of them the caller takes us for.
fn dialect_of_models(path: &str, headers: &HeaderMap, query: Option<&str>) -> Dialect {
    let is_method = Called::at(path, None).is_some();
    if is_method || headers.contains_key("x-goog-api-key") || parameter(query, "pageSize").is_some() {
        Dialect::Gemini
    } else if headers.contains_key("anthropic-version") {
        Dialect::AnthropicMessages
    } else {
        Dialect::OpenAiChat
    }
}

fn asks_for_events(query: Option<&str>) -> bool {
    // Google's own name for it has a dollar, which most leave out.
    parameter(query, "alt").or_else(|| parameter(query, "$alt")).as_deref() == Some("sse")
}

/// A query's parameter of this name, the first of several.
pub(super) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = form_urlencoded::parse(query?.as_bytes());
    pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_endpoint_and_where_it_does_the_model() {
        for (path, query, endpoint, model) in [
            ("/v1/chat/completions", None, Endpoint::ChatCompletions, None),
            ("/v1/messages", Some("beta=true"), Endpoint::Messages, None),
            ("/v1/messages/count_tokens", None, Endpoint::MessagesCountTokens, None),
            ("/v1/responses", None, Endpoint::Responses, None),
            ("/v1/models/m:generateContent", None, Endpoint::GenerateContent(Manner::Plain), Some("m")),
            (
                "/v1beta/models/m:streamGenerateContent",
                Some("key=x&alt=sse"),
                Endpoint::GenerateContent(Manner::Events),
                Some("m"),
            ),
            (
                "/v1beta/models/m:streamGenerateContent",
                Some("%24alt=sse"),
                Endpoint::GenerateContent(Manner::Events),
                Some("m"),
            ),
            (
                "/v1beta/models/m:streamGenerateContent",
                Some("alt=json"),
                Endpoint::GenerateContent(Manner::Array),
                Some("m"),
            ),
            ("/v1beta/models/org/m:8b:countTokens", None, Endpoint::CountTokens, Some("org/m:8b")),
            ("/v1beta/models/org%2Fm:embedContent", None, Endpoint::EmbedContent, Some("org/m")),
        ] {
            let called = Called::at(path, query).expect(path);
            assert_eq!((called.endpoint, called.model.as_deref()), (endpoint, model), "{path}");
        }
        for path in [
            "/v1/models",
            "/v1/models/llama:8b",
            "/v1beta/models/m",
            "/v1/messages/",
            "/v1/responses/resp_1",
            "/v1beta/models/%ff:generateContent",
            "/v1beta/chat/completions",
        ] {
            assert!(Called::at(path, None).is_none(), "{path}");
        }
    }
}
