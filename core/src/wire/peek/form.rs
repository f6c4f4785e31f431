//! What admission must know of a recording that is sent as a form:
//! <https://platform.openai.com/docs/api-reference/audio/createTranscription>.

use super::{
    Memory, Peek, PeekError,
    members::{self, Field, Means},
    reader::check_model,
};
use crate::{
    domain::estimate,
    wire::{
        Dialect,
        form::{self, FormError, Part},
    },
};

/// What a form says besides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recording {
    /// Seconds of sound in it, by its size.
    pub seconds: u64,
    /// The answer is asked for as text or as subtitles, and not as JSON.
    pub wants_text: bool,
}

/// The parts that the gateway decides by. Each may be there once.
const KNOWN: [&str; 6] = ["model", "file", "stream", "response_format", "prompt", "language"];
/// Of any recording: nothing that is heard costs nothing.
const SECONDS_LEAST: u64 = 1;
/// Names a recording whose length nobody here can tell; some vendors fetch it.
const ADDRESS: &str = "url";

impl From<FormError> for PeekError {
    fn from(error: FormError) -> Self {
        Self { message: format!("The body {error}"), param: None }
    }
}

/// As [`super::peek`], of a form that holds a recording.
///
/// # Errors
/// What is no form that all read alike, and what [`super::peek`] refuses of a body that says the same in JSON.
pub fn peek_form(content_type: Option<&str>, body: &[u8]) -> Result<Peek, PeekError> {
    let (mut seen, mut text_bytes, mut seconds) = ([false; KNOWN.len()], 0, None);
    let (mut named, mut stream, mut wants_text) = (None, false, false);
    for part in form::read(content_type, body)? {
        let content = &body[part.content.clone()];
        let Some(at) = KNOWN.iter().position(|known| *known == part.name) else {
            refuse_name(part.name)?;
            continue;
        };
        let param = KNOWN[at];
        if std::mem::replace(&mut seen[at], true) {
            return Err(PeekError::at(param, "is given twice"));
        }
        match param {
            "file" if !part.is_file => return Err(PeekError::at(param, "must be a file")),
            "file" => seconds = Some(estimate::sound_seconds(content).max(SECONDS_LEAST)),
            "model" => {
                let name = field(param, &part, content)?;
                check_model(name, name.len())?;
                named = Some((name.to_owned(), part.content));
            }
            "stream" => {
                stream = match field(param, &part, content)? {
                    yes if yes.eq_ignore_ascii_case("true") => true,
                    no if no.eq_ignore_ascii_case("false") => false,
                    _ => return Err(PeekError::at(param, "must be true or false")),
                }
            }
            "response_format" => {
                wants_text = ["text", "srt", "vtt"].contains(&field(param, &part, content)?);
            }
            "prompt" => text_bytes = content.len() as u64,
            // What is spoken is the upstream's to judge.
            _ => {}
        }
    }
    let (model, span) = named.ok_or_else(|| PeekError::at("model", "is required"))?;
    let seconds = seconds.ok_or_else(|| PeekError::at("file", "is required"))?;
    Ok(Peek {
        dialect: Dialect::OpenAiChat,
        model,
        model_span: Some(span),
        repeated_spans: Vec::new(),
        stream,
        stream_options: None,
        body_open: 0,
        ceiling: None,
        choices: 1,
        text_bytes,
        messages: 1,
        memory: Memory::default(),
        recording: Some(Recording { seconds, wants_text }),
    })
}

/// The text of a part that is no file.
fn field<'a>(param: &'static str, part: &Part<'_>, content: &'a [u8]) -> Result<&'a str, PeekError> {
    if part.is_file {
        return Err(PeekError::at(param, "must be a field, not a file"));
    }
    let text = std::str::from_utf8(content).ok().filter(|_| !part.is_recoded);
    text.ok_or_else(|| PeekError::at(param, "must be UTF-8"))
}

/// Refuses a name that chooses an upstream, that of a recording elsewhere, and one that some reader takes for
/// one we decide by: as `model[]` or `Model` are for some.
fn refuse_name(name: &str) -> Result<(), PeekError> {
    let bare = name.split('[').next().unwrap_or(name);
    if let Some(Field { param, means: Means::Refused(why), .. }) = members::choosing_upstream(bare) {
        return Err(PeekError::at(param, why));
    }
    if members::resembles(bare, ADDRESS) {
        return Err(PeekError::at(ADDRESS, "is not taken: send the recording itself in `file`"));
    }
    match KNOWN.iter().find(|known| members::resembles(bare, known)) {
        Some(param) => Err(PeekError::at(param, "is spelt in another way")),
        None => Ok(()),
    }
}
