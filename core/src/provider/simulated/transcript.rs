//! Recordings in words: the same recording has the same text, and nobody listens.

use super::{
    Reply, Setting,
    ask::{self, Body, Problem},
    text::{self, Rng},
};
use crate::{domain::estimate, wire::form};
use serde_json::{Value, json};

/// What is named so is sold by the second, as its vendor has it, and answers at once.
const BY_THE_SECOND: &str = "whisper";
/// A second at the least, so that everything that is heard costs something.
const SECONDS_LEAST: u64 = 1;

/// The fields of a form, and of its file what is heard of it.
///
/// # Errors
/// Not a form.
pub(super) fn fields(content_type: &str, body: &[u8]) -> Result<Body, Problem> {
    let parts = form::read(Some(content_type), body)
        .map_err(|error| Problem { message: format!("The body {error}"), param: None })?;
    let mut fields = Body::new();
    for part in parts {
        let content = &body[part.content];
        let value = if part.is_file {
            let seconds = estimate::sound_seconds(content).max(SECONDS_LEAST);
            json!({ "seconds": seconds, "hash": text::hash(content) })
        } else {
            String::from_utf8_lossy(content).into()
        };
        fields.insert(part.name.to_owned(), value);
    }
    Ok(fields)
}

/// <https://platform.openai.com/docs/api-reference/audio/createTranscription>
pub(super) fn transcription(setting: &Setting, body: &Body) -> Result<Reply, Problem> {
    let heard = Heard::of(setting, body, "transcribe")?;
    match body.get("stream").and_then(Value::as_str) {
        Some("true") if !heard.by_the_second => Ok(Reply::Stream(heard.events())),
        None | Some("true" | "false") => heard.whole(body),
        _ => Err(Problem::of("stream", "'true' or 'false'")),
    }
}

/// <https://platform.openai.com/docs/api-reference/audio/createTranslation>
pub(super) fn translation(setting: &Setting, body: &Body) -> Result<Reply, Problem> {
    Heard::of(setting, body, "translate")?.whole(body)
}

struct Heard {
    task: &'static str,
    pieces: Vec<&'static str>,
    seconds: u64,
    by_the_second: bool,
    /// Of the text that goes with the recording.
    prompt_tokens: u64,
    tells_usage: bool,
}

impl Heard {
    fn of(setting: &Setting, body: &Body, task: &'static str) -> Result<Self, Problem> {
        let model = ask::model(body)?;
        let seconds = body.get("file").and_then(|file| file.get("seconds")?.as_u64());
        let seed = ask::seed(setting.directive.seed, body, body.get("file"));
        Ok(Self {
            task,
            pieces: text::sentences(&mut Rng::new(seed), setting.directive.tokens),
            seconds: seconds.ok_or_else(|| Problem::of("file", "a file"))?,
            by_the_second: model.contains(BY_THE_SECOND),
            prompt_tokens: body.get("prompt").and_then(Value::as_str).map_or(0, text::count),
            tells_usage: !setting.directive.no_usage,
        })
    }

    fn whole(&self, body: &Body) -> Result<Reply, Problem> {
        let said = self.pieces.concat();
        let end = |point| format!("00:{:02}:{:02}{point}000", self.seconds / 60 % 60, self.seconds % 60);
        let as_text = |text: String| Ok(Reply::Media("text/plain; charset=utf-8", text.into_bytes()));
        let mut answer = match body.get("response_format").map(Value::as_str) {
            None | Some(Some("json")) => json!({ "text": said }),
            Some(Some("verbose_json")) => json!({
                "task": self.task,
                "language": "english",
                "duration": self.seconds,
                "text": said,
                "segments": [{
                    "id": 0, "seek": 0, "start": 0.0, "end": self.seconds, "text": said, "tokens": [],
                    "temperature": 0.0, "avg_logprob": -0.5, "compression_ratio": 1.0, "no_speech_prob": 0.0,
                }],
            }),
            Some(Some("text")) => return as_text(format!("{said}\n")),
            Some(Some("srt")) => {
                return as_text(format!("1\n00:00:00,000 --> {}\n{said}\n\n", end(',')));
            }
            Some(Some("vtt")) => {
                return as_text(format!("WEBVTT\n\n00:00:00.000 --> {}\n{said}\n\n", end('.')));
            }
            Some(_) => {
                let must = "'json', 'verbose_json', 'text', 'srt' or 'vtt'";
                return Err(Problem::of("response_format", must));
            }
        };
        if self.tells_usage {
            answer["usage"] = self.usage();
        }
        Ok(Reply::Plain(answer))
    }

    fn events(self) -> Box<dyn Iterator<Item = Value> + Send> {
        let mut done = json!({ "type": "transcript.text.done", "text": self.pieces.concat() });
        if self.tells_usage {
            done["usage"] = self.usage();
        }
        let deltas =
            self.pieces.into_iter().map(|piece| json!({ "type": "transcript.text.delta", "delta": piece }));
        Box::new(deltas.chain([done]))
    }

    fn usage(&self) -> Value {
        if self.by_the_second {
            return json!({ "type": "duration", "seconds": self.seconds });
        }
        let (sound, said) = (estimate::sound_tokens(self.seconds), text::count(&self.pieces.concat()));
        let heard = self.prompt_tokens + sound;
        json!({
            "type": "tokens",
            "input_tokens": heard,
            "input_token_details": { "text_tokens": self.prompt_tokens, "audio_tokens": sound },
            "output_tokens": said,
            "total_tokens": heard + said,
        })
    }
}
