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
