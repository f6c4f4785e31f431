//! Embeddings: a unit vector for each input, the same for the same input.

use super::{
    DIMENSIONS_MAX, INPUTS_MAX, Reply, Setting, VECTOR_NUMBERS_MAX,
    ask::{self, Body, Problem},
    text::Rng,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

const DIMENSIONS_DEFAULT: u64 = 8;

pub(super) fn reply(setting: &Setting, body: &Body) -> Result<Reply, Problem> {
    let model = ask::model(body)?;
    let inputs = ask::inputs(body.get("input"), "input")?;
    if inputs.len() > INPUTS_MAX {
        return Err(Problem::of("input", &format!("at most {INPUTS_MAX} inputs")));
    }
    let dimensions = ask::count(body, "dimensions", DIMENSIONS_MAX)?.unwrap_or(DIMENSIONS_DEFAULT);
    if dimensions * inputs.len() as u64 > VECTOR_NUMBERS_MAX {
        let must = format!("at most {VECTOR_NUMBERS_MAX} numbers over all inputs");
        return Err(Problem::of("dimensions", &must));
    }
    let as_json = match body.get("encoding_format").map(Value::as_str) {
        None | Some(Some("float")) => floats,
        Some(Some("base64")) => base64,
        Some(_) => return Err(Problem::of("encoding_format", "'float' or 'base64'")),
    };
    let seed = setting.directive.seed.unwrap_or(0);
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = unit_vector(&mut Rng::nth(input.hash, seed), dimensions);
            json!({ "object": "embedding", "index": index, "embedding": as_json(&vector) })
        })
        .collect();
    let mut answer = json!({ "object": "list", "data": data, "model": model });
    if !setting.directive.no_usage {
        let tokens: u64 = inputs.iter().map(|input| input.tokens).sum();
        answer["usage"] = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    }
    Ok(Reply::Plain(answer))
}

/// Whether several are asked for at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Batch {
    No,
    Yes,
}

/// As [`reply`], in Gemini's words: <https://ai.google.dev/api/embeddings>.
pub(super) fn contents(setting: &Setting, body: &Body, batch: Batch) -> Result<Value, Problem> {
    let requests = match batch {
        Batch::No => vec![body],
        Batch::Yes => objects(body.get("requests"), "requests")?,
    };
    if requests.len() > INPUTS_MAX {
        return Err(Problem::of("requests", &format!("at most {INPUTS_MAX} requests")));
    }
    let seed = setting.directive.seed.unwrap_or(0);
    let (mut vectors, mut tokens, mut numbers) = (Vec::with_capacity(requests.len()), 0, 0);
    for request in requests {
        let parts = request.get("content").and_then(|content| content.get("parts"));
        let texts =
            objects(parts, "content.parts")?.into_iter().filter_map(|part| part.get("text")?.as_str());
        let said = Value::from(texts.collect::<Vec<_>>().join("\n"));
        let dimensions = ask::count(request, "outputDimensionality", DIMENSIONS_MAX)?;
        let dimensions = dimensions.unwrap_or(DIMENSIONS_DEFAULT);
        numbers += dimensions;
        if numbers > VECTOR_NUMBERS_MAX {
            let must = format!("at most {VECTOR_NUMBERS_MAX} numbers over all requests");
            return Err(Problem::of("outputDimensionality", &must));
        }
        for input in ask::inputs(Some(&said), "content")? {
            tokens += input.tokens;
            vectors.push(json!({ "values": unit_vector(&mut Rng::nth(input.hash, seed), dimensions) }));
        }
    }
    let mut answer = match batch {
        Batch::No => json!({ "embedding": vectors.pop() }),
        Batch::Yes => json!({ "embeddings": vectors }),
    };
    if !setting.directive.no_usage {
        answer["usageMetadata"] = json!({ "promptTokenCount": tokens, "totalTokenCount": tokens });
    }
    Ok(answer)
}

fn objects<'v>(value: Option<&'v Value>, param: &'static str) -> Result<Vec<&'v Body>, Problem> {
    let wrong = || Problem::of(param, "an array of objects");
    let many = value.and_then(Value::as_array).filter(|many| !many.is_empty()).ok_or_else(wrong)?;
    many.iter().map(|one| one.as_object().ok_or_else(wrong)).collect()
}

/// Of length 1 within the precision of its numbers.
fn unit_vector(rng: &mut Rng, dimensions: u64) -> Vec<f32> {
    let numbers: Vec<f64> = (0..dimensions)
        .map(|_| {
            // 2⁻²³ apart, odd, so never zero, between -1 and 1.
            let step = i32::try_from(rng.below(1 << 24)).expect("24 bits");
            f64::from(2 * step - (1 << 24) + 1) / f64::from(1 << 24)
        })
        .collect();
    let length = numbers.iter().map(|number| number * number).sum::<f64>().sqrt();
    #[expect(clippy::cast_possible_truncation, reason = "the wire has single precision")]
    numbers.iter().map(|number| (number / length) as f32).collect()
}

fn floats(vector: &[f32]) -> Value {
    json!(vector)
}

/// Little-endian single precision, as the dialect has it.
fn base64(vector: &[f32]) -> Value {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    Value::String(BASE64_STANDARD.encode(bytes))
}
