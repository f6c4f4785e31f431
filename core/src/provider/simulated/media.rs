//! What is no conversation: images, a voice, a judgement, an order of documents.

use super::{
    CHOICES_MAX, INPUTS_MAX, Reply, Setting,
    ask::{self, Body, Input, Problem},
    text::Rng,
};
use serde_json::{Value, json};

/// A picture of one grey dot: a PNG.
const DOT: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJRU5ErkJggg==";
/// Tokens that a picture is said to have.
const IMAGE_TOKENS: u64 = 272;
/// Samples of silence for each token that is spoken, one byte each, 8 000 a second.
const SAMPLES_PER_TOKEN: u64 = 800;
/// Longest recording, in tokens of what is said.
const SPOKEN_MAX: u64 = 4_096;
/// What is judged, of the dialect's categories.
const CATEGORIES: [&str; 5] = ["harassment", "hate", "self-harm", "sexual", "violence"];

/// <https://platform.openai.com/docs/api-reference/images/create>
pub(super) fn images(setting: &Setting, body: &Body) -> Result<Reply, Problem> {
    ask::model(body)?;
    let prompt = one(body, "prompt")?;
    let count = ask::count(body, "n", CHOICES_MAX)?.unwrap_or(1);
    let image = json!({ "b64_json": DOT });
    let data: Vec<_> = (0..count).map(|_| image.clone()).collect();
    let mut answer = json!({ "created": setting.created, "data": data });
    if !setting.directive.no_usage {
        let made = count * IMAGE_TOKENS;
        answer["usage"] = json!({
            "input_tokens": prompt.tokens,
            "input_tokens_details": { "text_tokens": prompt.tokens, "image_tokens": 0 },
            "output_tokens": made,
            "output_tokens_details": { "text_tokens": 0, "image_tokens": made },
            "total_tokens": prompt.tokens + made,
        });
    }
    Ok(Reply::Plain(answer))
}

/// <https://platform.openai.com/docs/api-reference/audio/createSpeech>; always a WAV file.
pub(super) fn speech(_: &Setting, body: &Body) -> Result<Reply, Problem> {
    ask::model(body)?;
    let input = one(body, "input")?;
    if !body.get("voice").is_some_and(|voice| voice.is_string() || voice.is_object()) {
        return Err(Problem::of("voice", "a string"));
    }
    let samples = input.tokens.clamp(1, SPOKEN_MAX) * SAMPLES_PER_TOKEN;
    Ok(Reply::Media("audio/wav", wav(u32::try_from(samples).unwrap_or(u32::MAX))))
}

/// Silence: 8 000 samples of 8 bits a second.
fn wav(samples: u32) -> Vec<u8> {
    let mut file = Vec::with_capacity(44 + samples as usize);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + samples).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data");
    file.extend_from_slice(&samples.to_le_bytes());
    file.resize(44 + samples as usize, 0x80);
    file
}

/// <https://platform.openai.com/docs/api-reference/moderations/create>: nothing is ever flagged.
pub(super) fn moderation(_: &Setting, body: &Body) -> Result<Reply, Problem> {
    let model = ask::model(body)?;
    let inputs = texts(body, "input")?;
    let judged =
        |mark: Value| CATEGORIES.iter().map(|name| ((*name).to_owned(), mark.clone())).collect::<Body>();
    let result = json!({
        "flagged": false,
        "categories": judged(json!(false)),
        "category_scores": judged(json!(0.01)),
        "category_applied_input_types": judged(json!(["text"])),
    });
    let results: Vec<_> = inputs.iter().map(|_| result.clone()).collect();
    Ok(Reply::Plain(json!({ "id": "modr-simulated", "model": model, "results": results })))
}

/// <https://jina.ai/reranker>, which vLLM and others follow. The same pair has the same relevance.
pub(super) fn rerank(setting: &Setting, body: &Body) -> Result<Reply, Problem> {
    let model = ask::model(body)?;
    let query = one(body, "query")?;
    let documents = texts(body, "documents")?;
    let most = ask::count(body, "top_n", INPUTS_MAX as u64)?.unwrap_or(INPUTS_MAX as u64);
    let seed = setting.directive.seed.unwrap_or(0);
    let mut ranked: Vec<(u64, usize)> = documents
        .iter()
        .enumerate()
        .map(|(index, document)| (Rng::nth(query.hash ^ document.hash, seed).below(10_000), index))
        .collect();
    ranked.sort_unstable_by_key(|(relevance, index)| (std::cmp::Reverse(*relevance), *index));
    ranked.truncate(usize::try_from(most).unwrap_or(INPUTS_MAX));
    let result = |(relevance, index): (u64, usize)| {
        let thousandths = u32::try_from(relevance).unwrap_or(0);
        json!({ "index": index, "relevance_score": f64::from(thousandths) / 10_000.0 })
    };
    let mut answer = json!({ "model": model, "results": ranked.into_iter().map(result).collect::<Vec<_>>() });
    if !setting.directive.no_usage {
        let read: u64 = documents.iter().map(|document| document.tokens + query.tokens).sum();
        answer["usage"] = json!({ "prompt_tokens": read, "total_tokens": read });
    }
    Ok(Reply::Plain(answer))
}

fn one(body: &Body, param: &'static str) -> Result<Input, Problem> {
    let text = body.get(param).filter(|value| value.is_string());
    let mut inputs = ask::inputs(text, param)?;
    inputs.pop().ok_or_else(|| Problem::of(param, "a string"))
}

fn texts(body: &Body, param: &'static str) -> Result<Vec<Input>, Problem> {
    let inputs = ask::inputs(body.get(param), param)?;
    if inputs.len() > INPUTS_MAX {
        return Err(Problem::of(param, &format!("at most {INPUTS_MAX} texts")));
    }
    Ok(inputs)
}
