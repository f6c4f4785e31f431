//! The JSON of `generateContent`, as far as a translation looks into it, in both ways. Everything may be
//! missing or null: what must be there is said by whoever decodes it.
//!
//! Follows <https://ai.google.dev/api/generate-content>. Requests are protobuf's JSON: names in camelCase
//! or snake_case, whole numbers also as text or with an empty fraction, one item where a list may be.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, IgnoredAny, IntoDeserializer},
};
use serde_json::{Number, value::RawValue};
use std::{collections::BTreeMap, fmt, marker::PhantomData};

/// What these types need not fear when they are written.
pub(super) const PLAIN: &str = "these types have text keys and no failing serializer";

/// Fields that are not known here. Those that are null say nothing.
pub(super) type Rest = BTreeMap<String, Option<IgnoredAny>>;

/// Declares the messages of the dialect: every field may be missing, and is not written where it is. It is
/// written in camelCase, and read under the names behind it too. `+ rest`: unknown fields are kept by name.
macro_rules! messages {
    ($($(#[$about:meta])* $name:ident $(+ $rest:ident)? {
        $($(#[$with:meta])* $field:ident $(($($alias:literal),+))?: $kind:ty,)*
    })*) => {$(
        $(#[$about])*
        #[derive(Deserialize, Serialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        pub(super) struct $name {
            $(
                $(#[$with])*
                $(#[serde($(alias = $alias),+)])?
                #[serde(skip_serializing_if = "Option::is_none")]
                pub(super) $field: Option<$kind>,
            )*
            $(
                #[serde(flatten, skip_serializing)]
                pub(super) $rest: Rest,
            )?
        }
    )*};
}

messages! {
    Request + rest {
        model: String,
        system_instruction("system_instruction"): Content,
        contents: List<Content>,
        tools: List<Tool>,
        tool_config("tool_config"): ToolConfig,
        generation_config("generation_config"): GenerationConfig,
        cached_content("cached_content"): String,
        labels: BTreeMap<String, String>,
        service_tier("service_tier"): String,
        store: bool,
    }

    /// Of a request or of an answer.
    Content + rest {
        role: String,
        parts: List<Part>,
    }

    Part + rest {
        text: String,
        thought: bool,
        inline_data("inline_data"): Blob,
        file_data("file_data"): FileData,
        function_call("function_call"): FunctionCall,
        function_response("function_response"): FunctionResponse,
        thought_signature("thought_signature"): String,
    }

    Blob {
        mime_type("mime_type"): String,
        data: String,
        display_name("display_name"): String,
    }

    FileData {
        mime_type("mime_type"): String,
        file_uri("file_uri"): String,
        display_name("display_name"): String,
    }

    FunctionCall {
        id: String,
        name: String,
        args: Box<RawValue>,
    }

    FunctionResponse + rest {
        id: String,
        name: String,
        response: Box<RawValue>,
        parts: List<Part>,
    }

    Tool + rest {
        function_declarations("function_declarations"): List<FunctionDeclaration>,
    }

    FunctionDeclaration + rest {
        name: String,
        description: String,
        /// A schema in the dialect's own form.
        parameters: Box<RawValue>,
        parameters_json_schema("parameters_json_schema"): Box<RawValue>,
    }

    ToolConfig + rest {
        function_calling_config("function_calling_config"): FunctionCallingConfig,
    }

    FunctionCallingConfig + rest {
        mode: String,
        allowed_function_names("allowed_function_names"): List<String>,
    }

    GenerationConfig + rest {
        temperature: Number,
        top_p("top_p"): Number,
        top_k("top_k"): Whole,
        max_output_tokens("max_output_tokens"): Whole,
        stop_sequences("stop_sequences"): List<String>,
        candidate_count("candidate_count"): Whole,
        seed: Whole,
        presence_penalty("presence_penalty"): Number,
        frequency_penalty("frequency_penalty"): Number,
        response_logprobs("response_logprobs"): bool,
        logprobs: Whole,
        response_mime_type("response_mime_type"): String,
        /// A schema in the dialect's own form.
        response_schema("response_schema"): Box<RawValue>,
        response_json_schema("response_json_schema", "_responseJsonSchema"): Box<RawValue>,
        thinking_config("thinking_config"): ThinkingConfig,
        response_modalities("response_modalities"): List<String>,
        image_config("image_config"): ImageConfig,
    }

    #[derive(PartialEq, Debug)]
    ThinkingConfig + rest {
        include_thoughts("include_thoughts"): bool,
        /// Below zero: as much as the model likes.
        thinking_budget("thinking_budget"): Whole,
        thinking_level("thinking_level"): String,
    }

    ImageConfig + rest {
        aspect_ratio("aspect_ratio"): String,
        image_size("image_size"): String,
    }

    /// A whole answer, or one chunk of a stream, or an error in the place of either.
    Answer {
        candidates: Vec<Candidate>,
        prompt_feedback: PromptFeedback,
        usage_metadata: Box<RawValue>,
        model_version: String,
        response_id: String,
        /// RFC 3339; Vertex alone has it.
        create_time: String,
        error: Box<RawValue>,
    }

    Candidate {
        content: Content,
        finish_reason: String,
        index: u32,
        grounding_metadata: GroundingMetadata,
        citation_metadata: CitationMetadata,
    }

    PromptFeedback {
        block_reason: String,
    }

    GroundingMetadata {
        grounding_chunks: Vec<GroundingChunk>,
        grounding_supports: Vec<GroundingSupport>,
        web_search_queries: Vec<String>,
    }

    #[derive(PartialEq)]
    GroundingChunk {
        web: Ground,
        retrieved_context: Ground,
        maps: Ground,
    }

    #[derive(PartialEq)]
    Ground {
        uri: String,
        title: String,
        text: String,
    }

    GroundingSupport {
        segment: Segment,
        grounding_chunk_indices: Vec<usize>,
    }

    /// In bytes of a part.
    Segment {
        part_index: usize,
        start_index: u64,
        end_index: u64,
    }

    CitationMetadata {
        citations("citationSources"): Vec<CitationSource>,
    }

    /// In bytes of the answer's text.
    CitationSource {
        start_index: u64,
        end_index: u64,
        uri: String,
        title: String,
    }

    UsageMetadata {
        prompt_token_count: u64,
        cached_content_token_count: u64,
        candidates_token_count: u64,
        thoughts_token_count: u64,
        /// What tools put into the prompt.
        tool_use_prompt_token_count: u64,
        total_token_count: u64,
        prompt_tokens_details: Vec<ModalityTokens>,
        cache_tokens_details: Vec<ModalityTokens>,
        candidates_tokens_details: Vec<ModalityTokens>,
        tool_use_prompt_tokens_details: Vec<ModalityTokens>,
    }

    ModalityTokens {
        modality: String,
        token_count: u64,
    }
}

impl Part {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }
}

/// Items, or the one that stands in the place of a list.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> List<T> {
    /// `None` where there are none.
    pub(super) fn of(items: Vec<T>) -> Option<Self> {
        (!items.is_empty()).then_some(Self(items))
    }

    pub(super) fn items(list: Option<Self>) -> Vec<T> {
        list.map_or_else(Vec::new, |list| list.0)
    }
}

/// By hand, since what serde reads as one of several shapes has lost the bytes of its JSON.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Items<T> {
            type Value = List<T>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a list, or one of its items")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, items: A) -> Result<List<T>, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(items)).map(List)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, item: A) -> Result<List<T>, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(item)).map(|item| List(vec![item]))
            }

            fn visit_str<E: de::Error>(self, item: &str) -> Result<List<T>, E> {
                T::deserialize(item.into_deserializer()).map(|item| List(vec![item]))
            }
        }
        deserializer.deserialize_any(Items(PhantomData))
    }
}

/// A whole number, as protobuf's JSON may write it: `40`, `40.0`, `"40"`.
#[derive(Deserialize, Serialize, Clone, Copy, PartialEq, Debug)]
#[serde(try_from = "NumberOrText")]
pub(super) struct Whole(pub(super) i64);

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(Number),
    Text(String),
}

impl TryFrom<NumberOrText> for Whole {
    type Error = &'static str;

    fn try_from(written: NumberOrText) -> Result<Self, Self::Error> {
        let whole = match written {
            NumberOrText::Text(text) => text.parse().ok(),
            NumberOrText::Number(number) => number.as_i64().or_else(|| {
                // Beyond 2^53 a double does not say which whole number is meant.
                let double = number.as_f64()?;
                (double.fract() == 0.0 && double.abs() <= 9_007_199_254_740_992.0).then_some(double as i64)
            }),
        };
        whole.map(Self).ok_or("a number that is not whole, or too large")
    }
}

/// The name that protobuf gives a field: `topK` is `top_k`.
pub(super) fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for each in name.chars() {
        if each.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(each.to_ascii_lowercase());
    }
    out
}

/// The fields of `rest` that say something, under protobuf's names.
pub(super) fn unknown(rest: &Rest) -> impl Iterator<Item = String> {
    rest.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| snake(name))
}
