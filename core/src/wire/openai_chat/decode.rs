//! Reads requests of callers and whole answers of upstreams.

use super::types::{
    self, Annotation, Answer, CacheControl, Call, Choice as WireChoice, Content, ExtraContent, File, Message,
    OneOrMany, Request, ResponseFormat, Rest,
};
use crate::wire::{
    Dialect,
    chat::{
        CacheMark, ChatAnswer, ChatRequest, Choice, Citation, Dropped, Effort, Finish, Format, ImageOutput,
        Part, Reasoning, Role, Sampling, Signature, Source, Thinking, Tool, ToolCall, ToolChoice, ToolResult,
        Turn, call_id, freeform, part::is_media_type,
    },
    codec::Malformed,
};

pub(super) fn request(body: &[u8], dropped: &mut Dropped) -> Result<ChatRequest, Malformed> {
    let wire: Request = serde_json::from_slice(body).map_err(|error| Malformed::new(error.to_string()))?;
    note(&wire.rest, dropped);
    let mut turns = Vec::new();
    for (at, message) in wire.messages.unwrap_or_default().into_iter().enumerate() {
        note(&message.rest, dropped);
        if let Some(Content::Parts(parts)) = &message.content {
            parts.iter().for_each(|part| note(&part.rest, dropped));
        }
        turn(message, &format!("messages[{at}]"), &mut turns)?;
    }
    let sampling = Sampling {
        temperature: wire.temperature,
        top_p: wire.top_p,
        top_k: wire.top_k,
        presence_penalty: wire.presence_penalty,
        frequency_penalty: wire.frequency_penalty,
        seed: wire.seed,
        choices: wire.n,
        logprobs: (wire.logprobs == Some(true)).then(|| wire.top_logprobs.unwrap_or(0)),
        logit_bias: wire.logit_bias.map(Into::into),
    };
    Ok(ChatRequest {
        model: wire.model.unwrap_or_default(),
        turns,
        tools: tools(wire.tools.unwrap_or_default(), dropped)?,
        tool_choice: wire.tool_choice.map(tool_choice).transpose()?,
        parallel_tools: wire.parallel_tool_calls,
        max_tokens: wire.max_completion_tokens.or(wire.max_tokens),
        sampling,
        stop: match wire.stop {
            Some(OneOrMany::One(stop)) => vec![stop],
            Some(OneOrMany::Many(stops)) => stops,
            None => Vec::new(),
        },
        format: wire.response_format.map(format).transpose()?.flatten(),
        reasoning: reasoning(wire.reasoning_effort)?,
        stream: wire.stream.unwrap_or(false),
        stream_usage: wire.stream_options.is_some_and(|options| options.include_usage == Some(true)),
        user: wire.user,
        metadata: wire.metadata.unwrap_or_default(),
        service_tier: wire.service_tier,
        cache_key: wire.prompt_cache_key,
        store: wire.store,
        modalities: wire.modalities.unwrap_or_default(),
        image_output: ImageOutput { aspect_ratio: wire.aspect_ratio, size: wire.image_size },
        ..ChatRequest::default()
    })
}

fn note(rest: &Rest, dropped: &mut Dropped) {
    let said = rest.iter().filter(|(_, value)| value.is_some());
    said.for_each(|(name, _)| dropped.note(name));
}

fn reasoning(effort: Option<String>) -> Result<Reasoning, Malformed> {
    let Some(word) = effort else { return Ok(Reasoning::default()) };
    match Effort::from_name(&word) {
        Some(effort) => Ok(Reasoning { effort: Some(effort), ..Reasoning::default() }),
        None => Err(Malformed::at("reasoning_effort", format!("`{word}` is no effort"))),
    }
}

fn format(wire: ResponseFormat) -> Result<Option<Format>, Malformed> {
    let param = "response_format";
    match &*wire.kind {
        "text" => Ok(Some(Format::Text)),
        "json_object" => Ok(Some(Format::Json)),
        "json_schema" => {
            let schema = wire.json_schema.unwrap_or_default();
            let Some(raw) = schema.schema else {
                return Err(Malformed::at("response_format.json_schema.schema", "is missing"));
            };
            let types::JsonSchema { name, description, strict, .. } = schema;
            Ok(Some(Format::Schema { name, description, schema: raw.into(), strict }))
        }
        "" => Err(Malformed::at("response_format.type", "is missing")),
        other => Err(Malformed::at(param, format!("`{other}` cannot be translated"))),
    }
}

fn tools(wire: Vec<types::Tool>, dropped: &mut Dropped) -> Result<Vec<Tool>, Malformed> {
    let mut tools = Vec::with_capacity(wire.len());
    for (at, tool) in wire.into_iter().enumerate() {
        let Some(function) = tool.function.filter(|_| matches!(&*tool.kind, "function" | "")) else {
            dropped.note(&format!("tools.{}", tool.kind));
            continue;
        };
        note(&tool.rest, dropped);
        note(&function.rest, dropped);
        if function.name.is_empty() {
            return Err(Malformed::at(format!("tools[{at}].function.name"), "is missing"));
        }
        tools.push(Tool {
            name: function.name,
            description: function.description,
            parameters: function.parameters.map(Into::into),
            strict: function.strict,
            cache: tool.cache_control.map(cache),
        });
    }
    Ok(tools)
}

fn tool_choice(wire: WireChoice) -> Result<ToolChoice, Malformed> {
    let unknown = |what: &str| Malformed::at("tool_choice", format!("`{what}` cannot be translated"));
    let named = |choice: types::NamedChoice| {
        choice.function.and_then(|function| function.name).ok_or_else(|| unknown(&choice.kind))
    };
    match wire {
        WireChoice::Word(word) => match &*word {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Any),
            other => Err(unknown(other)),
        },
        WireChoice::Named(choice) => match choice.allowed_tools {
            Some(allowed) => {
                let names = allowed.tools.into_iter().map(named).collect::<Result<_, _>>()?;
                Ok(ToolChoice::Allowed { names, required: allowed.mode == "required" })
            }
            None => named(choice).map(ToolChoice::Named),
        },
    }
}

fn turn(message: Message, here: &str, turns: &mut Vec<Turn>) -> Result<(), Malformed> {
    let role = match message.role.as_deref() {
        Some("system") => Role::System,
        Some("developer") => Role::Developer,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool" | "function") => Role::Tool,
        Some(other) => {
            return Err(Malformed::at(format!("{here}.role"), format!("`{other}` is no role")));
        }
        None => return Err(Malformed::at(format!("{here}.role"), "is missing")),
    };
    let calls = message.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty());
    if calls && role != Role::Assistant {
        return Err(Malformed::at(format!("{here}.tool_calls"), "only the assistant calls tools"));
    }
    let name = message.name.clone();
    let mut parts = said(message, here)?;
    if role == Role::Tool {
        // The older form, which has no ids, is not known any more.
        let missing = || Malformed::at(format!("{here}.tool_call_id"), "is missing");
        let call_id = parts.1.ok_or_else(missing)?;
        let result = ToolResult { call_id, name, parts: parts.0, ..ToolResult::default() };
        parts.0 = vec![Part::ToolResult(result)];
    }
    match turns.last_mut() {
        // Results of one round, and what the assistant said in several messages, stand together.
        Some(last) if last.role == role && matches!(role, Role::Tool | Role::Assistant) => {
            last.parts.append(&mut parts.0);
        }
        _ => {
            let name = if role == Role::Tool { None } else { parts.2 };
            turns.push(Turn { role, parts: parts.0, name });
        }
    }
    Ok(())
}

/// The parts of a message, what it answers, and the speaker's name.
type Said = (Vec<Part>, Option<String>, Option<String>);

fn said(message: Message, here: &str) -> Result<Said, Malformed> {
    let mut parts = Vec::new();
    if let Some(text) = message.reasoning_content.or(message.reasoning).filter(|text| !text.is_empty()) {
        parts.push(Part::Thinking(Thinking { text, ..Thinking::default() }));
    }
    let citations: Vec<_> = message.annotations.into_iter().flatten().filter_map(citation).collect();
    match message.content {
        Some(Content::Text(text)) if text.is_empty() => {}
        Some(Content::Text(text)) => {
            parts.push(Part::Text { text, citations, signature: None, cache: None });
        }
        Some(Content::Parts(wire)) => {
            for (at, wire) in wire.into_iter().enumerate() {
                parts.push(part(wire, &format!("{here}.content[{at}]"))?);
            }
        }
        None => {}
    }
    if let Some(text) = message.refusal.filter(|text| !text.is_empty()) {
        parts.push(Part::Refusal { text });
    }
    for call in message.tool_calls.into_iter().flatten() {
        parts.push(Part::ToolCall(tool_call(call)));
    }
    Ok((parts, message.tool_call_id, message.name))
}

fn tool_call(call: Call) -> ToolCall {
    let function = call.function.unwrap_or_default();
    let (name, arguments) = match call.custom {
        Some(custom) => (custom.name, freeform::arguments(&custom.input)),
        None => (function.name.unwrap_or_default(), function.arguments.unwrap_or_default()),
    };
    ToolCall {
        id: call.id.unwrap_or_default(),
        name,
        arguments,
        signature: signature(call.extra_content),
        cache: None,
    }
}

/// The signature beside a call: Google's own, or another dialect's that was carried in its place.
pub(super) fn signature(extra: Option<ExtraContent>) -> Option<Signature> {
    let text = extra?.google?.thought_signature?;
    let opened = Signature::opened(Dialect::OpenAiChat, &text);
    // This dialect has none of its own.
    let dialect = if opened.dialect == Dialect::OpenAiChat { Dialect::Gemini } else { opened.dialect };
    Some(Signature { dialect, ..opened })
}

fn part(wire: types::Part, here: &str) -> Result<Part, Malformed> {
    let cache = wire.cache_control.map(cache);
    let missing = |name: &str| Malformed::at(format!("{here}.{name}"), "is missing");
    Ok(match &*wire.kind {
        "text" => {
            let text = wire.text.ok_or_else(|| missing("text"))?;
            Part::Text { text, citations: Vec::new(), signature: None, cache }
        }
        "refusal" => Part::Refusal { text: wire.refusal.ok_or_else(|| missing("refusal"))? },
        "image_url" => {
            let image = wire.image_url.filter(|image| !image.url.is_empty());
            let image = image.ok_or_else(|| missing("image_url.url"))?;
            let source = data_uri(&image.url).unwrap_or(Source::Url { url: image.url, media_type: None });
            Part::Image { source, detail: image.detail, cache }
        }
        "input_audio" => {
            let audio = wire.input_audio.ok_or_else(|| missing("input_audio"))?;
            let source = recording(audio.format, audio.data).ok_or_else(|| {
                Malformed::at(format!("{here}.input_audio.format"), "is no format of sound")
            })?;
            Part::Audio { source, cache }
        }
        "file" => {
            let File { filename, file_data, file_id } = wire.file.ok_or_else(|| missing("file"))?;
            let source = match (file_data, file_id) {
                (Some(data), _) => data_uri(&data)
                    .ok_or_else(|| Malformed::at(format!("{here}.file.file_data"), "is no data URI"))?,
                (None, Some(id)) => Source::File { dialect: Dialect::OpenAiChat, id },
                (None, None) => return Err(missing("file.file_data")),
            };
            Part::Document { source, name: filename, citations: false, cache }
        }
        other => return Err(Malformed::at(format!("{here}.type"), format!("`{other}` is no kind of part"))),
    })
}

fn cache(wire: CacheControl) -> CacheMark {
    if wire.ttl.as_deref() == Some("1h") { CacheMark::OneHour } else { CacheMark::FiveMinutes }
}

/// What a `data:` URI in base64 holds.
pub(in crate::wire) fn data_uri(url: &str) -> Option<Source> {
    let (head, base64) = url.strip_prefix("data:")?.split_once(',')?;
    let media_type = head.strip_suffix(";base64").filter(|kind| is_media_type(kind))?.to_owned();
    Some(Source::Data { media_type, base64: base64.to_owned() })
}

/// `None`: there can be no such format.
pub(in crate::wire) fn recording(format: String, base64: String) -> Option<Source> {
    let media_type = format!("audio/{format}");
    is_media_type(&media_type).then_some(Source::Data { media_type, base64 })
}

pub(super) fn citation(wire: Annotation) -> Option<Citation> {
    let wire = wire.url_citation?;
    Some(Citation {
        url: wire.url,
        title: wire.title,
        quote: None,
        start: wire.start_index,
        end: wire.end_index,
    })
}

pub(super) fn answer(body: &[u8]) -> Result<ChatAnswer, Malformed> {
    let wire: Answer = serde_json::from_slice(body).map_err(|error| Malformed::new(error.to_string()))?;
    if let Some(error) = wire.error.as_ref().filter(|error| super::is_error(error.get().as_bytes())) {
        return Err(Malformed::new(super::error_of(None, error.get().as_bytes()).message));
    }
    let Some(choices) = wire.choices else { return Err(Malformed::at("choices", "is missing")) };
    let mut answer = ChatAnswer {
        id: wire.id.unwrap_or_default(),
        model: wire.model.unwrap_or_default(),
        created: wire.created,
        choices: Vec::with_capacity(choices.len()),
        usage: wire.usage.and_then(|usage| super::usage::decode(usage.get().as_bytes()).usage),
        service_tier: wire.service_tier,
    };
    for (number, choice) in (0..).zip(choices) {
        let (mut parts, ..) = said(choice.message.unwrap_or_default(), "choices[].message")?;
        name_calls(&mut parts, &answer.id, number);
        answer.choices.push(Choice {
            parts,
            finish: choice.finish_reason.as_deref().map(finish),
            stop_sequence: None,
            logprobs: choice.logprobs.filter(|raw| raw.get() != "null").map(Into::into),
        });
    }
    Ok(answer)
}

/// Gives ids to the calls of an upstream that gave them none.
fn name_calls(parts: &mut [Part], answer: &str, choice: u32) {
    let calls =
        parts.iter_mut().filter_map(|part| if let Part::ToolCall(call) = part { Some(call) } else { None });
    for (number, call) in (0..).zip(calls).filter(|(_, call)| call.id.is_empty()) {
        call.id = made_id(answer, choice, number, &call.name);
    }
}

/// The id of a call that has none: the same whether the answer comes at once or in pieces.
pub(super) fn made_id(answer: &str, choice: u32, number: u32, name: &str) -> String {
    call_id::made(&[answer, &choice.to_string(), &number.to_string(), name])
}

pub(super) fn finish(word: &str) -> Finish {
    match word {
        "stop" => Finish::Stop,
        // Mistral's for a prompt that leaves no room.
        "length" | "model_length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        // Zhipu's.
        "content_filter" | "sensitive" => Finish::Filter,
        "model_context_window_exceeded" => Finish::ContextFull,
        // DeepSeek's, Zhipu's, vLLM's, and that of OpenRouter and Mistral.
        "insufficient_system_resource" | "network_error" | "abort" | "error" => {
            Finish::Broken(word.to_owned())
        }
        other => Finish::Other(other.to_owned()),
    }
}
