//! The members of a request that the gateway knows, dialect by dialect.

use crate::wire::Dialect;

/// What a member tells.
#[derive(Clone, Copy, Debug)]
pub(super) enum Means {
    /// Which model is asked.
    Model,
    /// The same as the URL, which is what counts.
    ModelOfUrl,
    /// Whether the answer comes as a stream.
    Stream,
    StreamOptions,
    /// Most tokens of an answer, and the least that they can be.
    Ceiling {
        least: u64,
    },
    /// How many answers are generated; the greatest counts.
    Choices,
    /// The conversation, a list. `Alone` is what may stand in the list's place.
    Messages(Alone),
    /// What the model reads besides.
    Text,
    /// What each answer begins with: one text, or several that are answered each for itself.
    Prompts,
    /// An object whose members tell something themselves.
    Members(&'static Table),
    /// A list of such objects.
    Each(&'static Table),
    /// The answer that this one goes on from.
    Previous,
    /// Whether the upstream keeps the answer.
    Store,
    /// Whether the caller wants to fetch the answer later.
    Background,
    /// Other models, for when the one that is asked declines.
    Fallbacks,
    /// Nothing that is taken: refused for this reason where it says something.
    Refused(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Alone {
    Nothing,
    /// One message without its list, as protobuf's JSON takes it.
    Message,
    /// What the user says.
    Text,
}

/// One member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// As refusals name it: with its path.
    pub(super) param: &'static str,
    pub(super) means: Means,
    name: &'static str,
    /// Its second spelling, or the first one again.
    second: &'static str,
}

impl Field {
    const fn new(name: &'static str, means: Means) -> Self {
        Self { param: name, means, name, second: name }
    }

    /// Protobuf's JSON has two spellings for each name.
    const fn or(self, second: &'static str) -> Self {
        Self { second, ..self }
    }

    const fn at(self, param: &'static str) -> Self {
        Self { param, ..self }
    }
}

const CHAT: &[Field] = &[
    Field::new("model", Means::Model),
    Field::new("stream", Means::Stream),
    Field::new("stream_options", Means::StreamOptions),
    Field::new("max_tokens", Means::Ceiling { least: 1 }),
    Field::new("max_completion_tokens", Means::Ceiling { least: 1 }),
    Field::new("n", Means::Choices),
    Field::new("best_of", Means::Choices),
    Field::new("messages", Means::Messages(Alone::Nothing)),
    Field::new("prompt", Means::Prompts),
    Field::new("suffix", Means::Text),
    Field::new("input", Means::Text),
    Field::new("tools", Means::Text),
    Field::new("functions", Means::Text),
    Field::new("response_format", Means::Text),
    // How a text is to be spoken, and what documents are ranked by.
    Field::new("instructions", Means::Text),
    Field::new("query", Means::Text),
    Field::new("documents", Means::Text),
];

/// <https://platform.claude.com/docs/en/api/messages>
const MESSAGES: &[Field] = &[
    Field::new("model", Means::Model),
    Field::new("stream", Means::Stream),
    // With 0 nothing is generated: the prompt is put into the vendor's cache.
    Field::new("max_tokens", Means::Ceiling { least: 0 }),
    Field::new("messages", Means::Messages(Alone::Nothing)),
    Field::new("system", Means::Text),
    Field::new("tools", Means::Text),
    // Where a schema for the answer stands, now and formerly.
    Field::new("output_config", Means::Text),
    Field::new("output_format", Means::Text),
    Field::new("fallbacks", Means::Fallbacks),
];

/// <https://platform.openai.com/docs/api-reference/responses/create>
const RESPONSES: &[Field] = &[
    Field::new("model", Means::Model),
    Field::new("stream", Means::Stream),
    Field::new("max_output_tokens", Means::Ceiling { least: 1 }),
    Field::new("input", Means::Messages(Alone::Text)),
    Field::new("instructions", Means::Text),
    Field::new("tools", Means::Text),
    // Where a schema for the answer stands.
    Field::new("text", Means::Text),
    Field::new("previous_response_id", Means::Previous),
    Field::new("store", Means::Store),
    Field::new("background", Means::Background),
    // Nobody gets the id of one through this gateway, so that it could only be somebody else's.
    Field::new("conversation", Means::Refused("names what a provider keeps: send its items in `input`")),
    Field::new("prompt", Means::Refused("names what a provider keeps: send its text in `instructions`")),
];

/// <https://ai.google.dev/api/generate-content>, and what its siblings count or embed.
const GENERATE_CONTENT: &[Field] = &[
    Field::new("generateContentRequest", Means::Members(&GENERATE_INNER_TABLE))
        .or("generate_content_request"),
    Field::new("requests", Means::Each(&EMBED_TABLE)),
    Field::new("content", Means::Text),
    GENERATE[0],
    GENERATE[1],
    GENERATE[2],
    GENERATE[3],
    GENERATE[4],
    GENERATE[5],
];

/// One request of a batch.
const EMBED: &[Field] = &[Field::new("model", Means::ModelOfUrl), Field::new("content", Means::Text)];

const GENERATE: &[Field] = &[
    Field::new("model", Means::ModelOfUrl),
    Field::new("contents", Means::Messages(Alone::Message)),
    Field::new("systemInstruction", Means::Text).or("system_instruction"),
    Field::new("tools", Means::Text),
    Field::new("generationConfig", Means::Members(&GENERATION)).or("generation_config"),
    // As `conversation` above.
    Field::new("cachedContent", Means::Refused("names what a provider keeps: send its contents"))
        .or("cached_content"),
];

const GENERATION_CONFIG: &[Field] = &[
    Field::new("maxOutputTokens", Means::Ceiling { least: 1 })
        .or("max_output_tokens")
        .at("generationConfig.maxOutputTokens"),
    Field::new("candidateCount", Means::Choices).or("candidate_count").at("generationConfig.candidateCount"),
    Field::new("responseSchema", Means::Text).or("response_schema").at("generationConfig.responseSchema"),
    Field::new("responseJsonSchema", Means::Text)
        .or("response_json_schema")
        .at("generationConfig.responseJsonSchema"),
    Field::new("_responseJsonSchema", Means::Text).at("generationConfig._responseJsonSchema"),
];

/// Of what is passed on, of which only its vendor knows more.
const RAW: &[Field] = &[
    Field::new("model", Means::Model),
    Field::new("stream", Means::Stream),
    Field::new("previous_response_id", KEPT),
    Field::new("cachedContent", KEPT).or("cached_content"),
];

const KEPT: Means = Means::Refused("names what a provider keeps, and is not passed through");

/// By which a request would choose its own upstream, or another model than the one that was looked at: a vendor of
/// other vendors' models asks the next of `models` where one fails, and has both in a `preset` of the account
/// (<https://openrouter.ai/docs/features/model-routing>).
const UPSTREAM: &[Field] = &[
    Field::new("api_base", OF_OPERATORS),
    Field::new("base_url", OF_OPERATORS),
    Field::new("api_key", OF_OPERATORS),
    Field::new("custom_llm_provider", OF_OPERATORS),
    Field::new("models", Means::Refused("names other models than the one that is asked")),
    Field::new("preset", OF_OPERATORS),
];

const OF_OPERATORS: Means = Means::Refused("is not taken from a request");

static CHAT_TABLE: Table = Table::of(CHAT);
static MESSAGES_TABLE: Table = Table::of(MESSAGES);
static RESPONSES_TABLE: Table = Table::of(RESPONSES);
static GENERATE_CONTENT_TABLE: Table = Table::of(GENERATE_CONTENT);
static GENERATE_INNER_TABLE: Table = Table::of(GENERATE);
static EMBED_TABLE: Table = Table::of(EMBED);
static GENERATION: Table = Table::of(GENERATION_CONFIG);
static RAW_TABLE: Table = Table::of(RAW);
static UPSTREAM_TABLE: Table = Table::of(UPSTREAM);

/// The members of a whole request.
pub(super) fn of(dialect: Dialect) -> &'static Table {
    match dialect {
        Dialect::OpenAiChat => &CHAT_TABLE,
        Dialect::OpenAiResponses => &RESPONSES_TABLE,
        Dialect::AnthropicMessages => &MESSAGES_TABLE,
        Dialect::Gemini => &GENERATE_CONTENT_TABLE,
    }
}

/// Of a request that is passed on as it is: what it must not say twice, or at all.
pub(super) fn of_raw() -> &'static Table {
    &RAW_TABLE
}

/// The member by which `name`, in any spelling, would choose an upstream.
pub(super) fn choosing_upstream(name: &str) -> Option<&'static Field> {
    UPSTREAM_TABLE.resembling(name)
}

/// Bytes of the longest name, and one.
const LENGTHS: usize = 32;

/// Fields, found by the length of a name first: most lengths leave one to compare with, or none.
#[derive(Debug)]
pub(super) struct Table {
    fields: &'static [Field],
    /// For each length, the fields that have a name of it: one bit each.
    of_length: [u32; LENGTHS],
    /// The same by the length of the folded name.
    of_folded: [u32; LENGTHS],
}

impl Table {
    const fn of(fields: &'static [Field]) -> Self {
        assert!(fields.len() <= u32::BITS as usize);
        let mut table = Self { fields, of_length: [0; LENGTHS], of_folded: [0; LENGTHS] };
        let mut at = 0;
        while at < fields.len() {
            let bit = 1 << at;
            table.of_length[fields[at].name.len()] |= bit;
            table.of_length[fields[at].second.len()] |= bit;
            let (name, mut letters, mut next) = (fields[at].name.as_bytes(), 0, 0);
            while next < name.len() {
                letters += (name[next] != b'_') as usize;
                next += 1;
            }
            table.of_folded[letters] |= bit;
            at += 1;
        }
        table
    }

    /// The field that is called so, and its bit.
    #[inline]
    pub(super) fn named(&self, name: &[u8]) -> Option<(u32, &'static Field)> {
        let mut left = *self.of_length.get(name.len())?;
        while left != 0 {
            let at = left.trailing_zeros();
            let field = &self.fields[at as usize];
            if field.name.as_bytes() == name || field.second.as_bytes() == name {
                return Some((1 << at, field));
            }
            left &= left - 1;
        }
        None
    }

    /// The field that a reader takes `name` for who folds case, as Go's JSON package does, or does not mind
    /// where words are joined, as protobuf's JSON.
    pub(super) fn resembling(&self, name: &str) -> Option<&'static Field> {
        // No character has more bytes than four.
        if name.len() > 4 * LENGTHS {
            return None;
        }
        let mut left = *self.of_folded.get(folded(name).count())?;
        while left != 0 {
            let field = &self.fields[left.trailing_zeros() as usize];
            if resembles(name, field.name) {
                return Some(field);
            }
            left &= left - 1;
        }
        None
    }
}

/// Whether `name` is `known` to such a reader.
pub(super) fn resembles(name: &str, known: &str) -> bool {
    folded(name).eq(folded(known))
}

/// `name` without underscores and case. Besides the ASCII letters Go takes the long s for `s` and the Kelvin
/// sign for `k`.
fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(|character| *character != '_').map(|character| match character {
        'ſ' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_names_and_by_none_that_is_alike() {
        for dialect in Dialect::ALL {
            for table in [of(dialect), &GENERATION, &GENERATE_INNER_TABLE, &EMBED_TABLE, &UPSTREAM_TABLE] {
                let mut bits = 0;
                for field in table.fields {
                    for name in [field.name, field.second] {
                        let (bit, found) = table.named(name.as_bytes()).unwrap();
                        assert_eq!(found.name, field.name);
                        bits |= bit;
                        let upper = name.to_uppercase();
                        assert!(table.named(upper.as_bytes()).is_none(), "{upper}");
                        // Two names may have one fold.
                        assert!(folded(table.resembling(&upper).unwrap().name).eq(folded(name)), "{name}");
                    }
                    assert!(field.param.ends_with(field.name));
                }
                assert_eq!(bits.count_ones() as usize, table.fields.len());
            }
        }
    }

    #[test]
    fn what_is_only_close_is_another_name() {
        let table = of(Dialect::OpenAiChat);
        for name in
            ["", "_", "mode", "models", "modél", "n2", "max-tokens", &"n_".repeat(500), &"n".repeat(500)]
        {
            assert!(table.named(name.as_bytes()).is_none() && table.resembling(name).is_none(), "{name}");
        }
        for name in ["Model", "_model", "maxTokens", "MAX_TO\u{212a}ENS", "be\u{17f}tOf", "N"] {
            assert!(table.resembling(name).is_some(), "{name}");
        }
        assert_eq!(choosing_upstream("apiBase").unwrap().param, "api_base");
    }
}
