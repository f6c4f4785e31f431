//! Completions, the dialect's older endpoint: texts for prompts, plain and streamed.

use super::{
    ANSWER_TOKENS_MAX, CHOICES_MAX, Reply, Setting,
    ask::{self, Body, Problem},
    chat::{interleave, usage},
    text::{self, Rng},
};
use serde_json::{Value, json};

/// As the dialect has it.
const MAX_TOKENS_DEFAULT: u64 = 16;

pub(super) fn reply(setting: &Setting, body: &Body) -> Result<Reply, Problem> {
    let model = ask::model(body)?.to_owned();
    let prompts = ask::inputs(body.get("prompt"), "prompt")?;
    let each = ask::choices(body)?;
    let choices = each.saturating_mul(prompts.len() as u64);
    if choices > CHOICES_MAX {
        return Err(Problem::of("n", &format!("such that there are at most {CHOICES_MAX} answers")));
    }
    let max = ask::count(body, "max_tokens", u64::MAX)?.unwrap_or(MAX_TOKENS_DEFAULT);
    let seed = ask::seed(setting.directive.seed, body, body.get("prompt"));
    let texts: Vec<_> = (0..choices).map(|index| said(setting, seed, index, max)).collect();

    let prompt_tokens = prompts.iter().map(|prompt| prompt.tokens).sum();
    let usage = usage(prompt_tokens, texts.iter().map(|text| text.pieces.len() as u64).sum());
    let (head, no_usage) = (Head::new(setting, model), setting.directive.no_usage);
    if !ask::streamed(body)? {
        let choices = texts
            .iter()
            .zip(0..)
            .map(|(text, index)| choice(index, &text.pieces.concat(), Some(text.finish)));
        let mut answer = head.object(choices.collect());
        if !no_usage {
            answer["usage"] = usage;
        }
        return Ok(Reply::Plain(answer));
    }

    let shows_usage = ask::wants_usage(body) && !no_usage;
    let steps = texts.into_iter().map(|text| {
        let said = text.pieces.into_iter().map(|piece| (piece, None));
        said.chain([("", Some(text.finish))]).collect()
    });
    let events = interleave(steps.collect())
        .map(move |(index, (piece, finish))| (json!([choice(index, piece, finish)]), Value::Null));
    let last = shows_usage.then(|| (json!([]), usage));
    Ok(Reply::Stream(Box::new(events.chain(last).map(move |(choices, usage)| {
        let mut event = head.object(choices);
        if shows_usage {
            event["usage"] = usage;
        }
        event
    }))))
}

struct Text {
    pieces: Vec<&'static str>,
    finish: &'static str,
}

fn said(setting: &Setting, seed: u64, index: u64, max: u64) -> Text {
    let mut pieces = text::sentences(&mut Rng::nth(seed, index), setting.directive.tokens);
    let whole = pieces.len() as u64;
    pieces.truncate(usize::try_from(max.min(ANSWER_TOKENS_MAX)).expect("a small bound"));
    Text { pieces, finish: if max < whole { "length" } else { "stop" } }
}

struct Head {
    id: String,
    created: i64,
    model: String,
}

impl Head {
    fn new(setting: &Setting, model: String) -> Self {
        let id = format!("cmpl-{:016x}", Rng::new(setting.id_seed).next());
        Self { id, created: setting.created, model }
    }

    fn object(&self, choices: Value) -> Value {
        json!({
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }
}

fn choice(index: u64, text: &str, finish: Option<&str>) -> Value {
    json!({ "text": text, "index": index, "logprobs": null, "finish_reason": finish })
}
