//! Reads the members of a request by what they mean.

use super::{
    MAX_BATCH, MAX_ID_BYTES, MAX_MODEL_BYTES, Memory, Peek, PeekBounds, PeekError, StreamOptions,
    members::{self, Field, Means, Table},
    text::{self, TextCounter},
};
use crate::wire::{
    Dialect,
    codec::UrlSays,
    json::{Scanner, Token},
};
use std::ops::Range;

/// What the members seen so far say.
pub(super) struct Reader<'r> {
    dialect: Dialect,
    url: UrlSays<'r>,
    bounds: &'r PeekBounds,
    model: Option<(String, Range<usize>)>,
    repeated_spans: Vec<Range<usize>>,
    stream: bool,
    stream_options: Option<StreamOptions>,
    ceiling: Option<u64>,
    choices: u64,
    prompts: u64,
    text_bytes: u64,
    messages: u64,
    memory: Memory,
}

impl<'r> Reader<'r> {
    pub(super) fn new(dialect: Dialect, url: UrlSays<'r>, bounds: &'r PeekBounds) -> Self {
        // What is asked for in the one dialect that has a memory is kept unless it is said otherwise.
        let keeps_answer = dialect == Dialect::OpenAiResponses;
        Self {
            dialect,
            url,
            bounds,
            model: None,
            repeated_spans: Vec::new(),
            stream: false,
            stream_options: None,
            ceiling: None,
            choices: 1,
            prompts: 1,
            text_bytes: 0,
            messages: 0,
            memory: Memory { keeps_answer, ..Memory::default() },
        }
    }

    /// Reads the members of an object that was opened, up to its end.
    pub(super) fn members(
        &mut self,
        scanner: &mut Scanner<'_>,
        table: &'static Table,
    ) -> Result<(), PeekError> {
        let mut seen = 0;
        while let Some(Token::Key(key)) = scanner.next()? {
            let Some((bit, field)) = table.named(&key.decode_bytes()) else {
                refuse_name(table, &key.decode())?;
                scanner.walk(|_| {})?;
                continue;
            };
            // The scanner finds a name that is there twice, but not one that is there in both its spellings.
            if seen & bit != 0 {
                return Err(PeekError::at(field.param, "is given twice"));
            }
            seen |= bit;
            self.member(scanner, field)?;
        }
        Ok(())
    }

    fn member(&mut self, scanner: &mut Scanner<'_>, field: &'static Field) -> Result<(), PeekError> {
        let param = field.param;
        match field.means {
            Means::Model => self.model = Some(model(scanner)?),
            Means::ModelOfUrl => self.model_of_url(scanner)?,
            Means::Stream => self.stream = boolean(scanner, param)?.unwrap_or(false),
            Means::StreamOptions => self.stream_options = Some(stream_options(scanner)?),
            Means::Ceiling { least } => {
                let ceiling = self.count(scanner, param, least, self.bounds.ceiling_max)?;
                self.ceiling = match (self.ceiling, ceiling) {
                    (Some(before), Some(now)) if before != now => {
                        return Err(PeekError::at("max_tokens", "and `max_completion_tokens` disagree"));
                    }
                    (before, now) => now.or(before),
                };
            }
            Means::Choices => {
                let choices = self.count(scanner, param, 1, self.bounds.choices_max)?;
                self.choices = self.choices.max(choices.unwrap_or(1));
            }
            Means::Messages(alone) => {
                let mut counter = TextCounter::new(self.dialect);
                let counted = text::conversation(scanner, alone, &mut counter)?;
                let Some(conversation) = counted else {
                    return Err(PeekError::at(param, "must be an array"));
                };
                self.messages = conversation.messages;
                self.memory.refers_to_items = conversation.refers_to_items;
                self.text_bytes = self.text_bytes.saturating_add(counter.bytes());
            }
            Means::Text => {
                let mut counter = TextCounter::new(self.dialect);
                scanner.walk(|token| counter.see(token))?;
                self.text_bytes = self.text_bytes.saturating_add(counter.bytes());
            }
            Means::Prompts => self.prompts(scanner)?,
            Means::Members(table) => match first(scanner)? {
                Token::ObjectOpen => self.members(scanner, table)?,
                Token::Null => {}
                _ => return Err(PeekError::at(param, "must be an object")),
            },
            Means::Each(table) => self.each(scanner, param, table)?,
            Means::Previous => self.memory.previous = id(scanner, param)?,
            Means::Store => self.memory.keeps_answer = boolean(scanner, param)?.unwrap_or(true),
            Means::Background => {
                if boolean(scanner, param)? == Some(true) {
                    let what = "must not be true: an answer comes on the connection on which it is asked for";
                    return Err(PeekError::at(param, what));
                }
            }
            Means::Fallbacks => match first(scanner)? {
                // The vendor's own choice for the model that is asked.
                Token::Null | Token::String(_) => {}
                _ => return Err(PeekError::at(param, "names other models than the one that is asked")),
            },
            Means::Refused(why) => match first(scanner)? {
                Token::Null => {}
                Token::String(text) if text.decoded_bytes() == 0 => {}
                _ => return Err(PeekError::at(param, why)),
            },
        }
        Ok(())
    }

    /// Reads one prompt or a list of them: of texts, or of lists of tokens. A list of tokens is one.
    fn prompts(&mut self, scanner: &mut Scanner<'_>) -> Result<(), PeekError> {
        let mut counter = TextCounter::new(self.dialect);
        let (mut prompts, mut depth) = (0_u64, 0_u32);
        scanner.walk(|token| {
            counter.see(token);
            match token {
                Token::ArrayOpen | Token::ObjectOpen => {
                    prompts += u64::from(depth == 1);
                    depth += 1;
                }
                Token::ArrayClose | Token::ObjectClose => depth -= 1,
                Token::String(_) => prompts += u64::from(depth == 1),
                _ => {}
            }
        })?;
        self.prompts = prompts.max(1);
        self.text_bytes = self.text_bytes.saturating_add(counter.bytes());
        Ok(())
    }

    /// Reads a list of objects that have these members.
    fn each(
        &mut self,
        scanner: &mut Scanner<'_>,
        param: &'static str,
        table: &'static Table,
    ) -> Result<(), PeekError> {
        match first(scanner)? {
            Token::Null => return Ok(()),
            Token::ArrayOpen => {}
            _ => return Err(PeekError::at(param, "must be an array")),
        }
        let mut count = 0;
        loop {
            match scanner.next()? {
                Some(Token::ObjectOpen) if count == MAX_BATCH => {
                    return Err(PeekError::at(param, &format!("must have at most {MAX_BATCH} elements")));
                }
                Some(Token::ObjectOpen) => self.members(scanner, table)?,
                Some(Token::ArrayClose) => return Ok(()),
                _ => return Err(PeekError::at(param, "must be an array of objects")),
            }
            count += 1;
        }
    }

    pub(super) fn conclude(self, body_open: usize) -> Result<Peek, PeekError> {
        let (model, model_span, stream) = match self.dialect {
            Dialect::Gemini => {
                let name = self.url.model.ok_or_else(|| PeekError::at("model", "is required"))?;
                check_model(name, name.len())?;
                (name.to_owned(), None, self.url.stream.unwrap_or(false))
            }
            _ => match self.model {
                Some((name, span)) => (name, Some(span), self.stream),
                // What goes without saying does so in a request that says something.
                None => {
                    let unsaid = self.url.model.filter(|_| self.text_bytes > 0);
                    let name = unsaid.ok_or_else(|| PeekError::at("model", "is required"))?;
                    (name.to_owned(), None, self.stream)
                }
            },
        };
        let wants_ceiling = self.dialect == Dialect::AnthropicMessages && self.bounds.needs_ceiling;
        if wants_ceiling && self.ceiling.is_none() {
            return Err(PeekError::at("max_tokens", "is required"));
        }
        Ok(Peek {
            dialect: self.dialect,
            model,
            model_span,
            repeated_spans: self.repeated_spans,
            stream,
            stream_options: self.stream_options,
            body_open,
            ceiling: self.ceiling,
            choices: self.choices.saturating_mul(self.prompts),
            text_bytes: self.text_bytes,
            messages: self.messages,
            memory: self.memory,
            recording: None,
        })
    }

    /// The body's model, which must be the URL's; both may have the vendor's prefix.
    fn model_of_url(&mut self, scanner: &mut Scanner<'_>) -> Result<(), PeekError> {
        let text = match first(scanner)? {
            Token::Null => return Ok(()),
            Token::String(text) => text,
            _ => return Err(PeekError::at("model", "must be a string")),
        };
        let name = text.decode();
        let bare = |name| str::strip_prefix(name, "models/").unwrap_or(name);
        if self.url.model.map(bare) != Some(bare(&name)) {
            return Err(PeekError::at("model", "is not the one that the URL names"));
        }
        self.repeated_spans.push(scanner.span());
        Ok(())
    }

    /// A whole number from `least` to `most`, or `null`. Written as digits alone: upstreams do not agree on
    /// `1.0` and `1e3`. In protobuf's JSON all take `1.0` and `"1"`.
    fn count(
        &self,
        scanner: &mut Scanner<'_>,
        param: &'static str,
        least: u64,
        most: u64,
    ) -> Result<Option<u64>, PeekError> {
        let is_protobuf = self.dialect == Dialect::Gemini;
        let token = first(scanner)?;
        let text;
        let digits = match token {
            Token::Null => return Ok(None),
            Token::Number(number) if is_protobuf => without_fraction(number),
            Token::Number(number) => number,
            Token::String(quoted) if is_protobuf => {
                text = quoted.decode_bytes();
                &*text
            }
            _ => return Err(PeekError::at(param, "must be a whole number")),
        };
        if !digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-') {
            return Err(PeekError::at(param, "must be a whole number"));
        }
        let value = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        match value {
            Some(value) if (least..=most).contains(&value) => Ok(Some(value)),
            _ => Err(PeekError::at(param, &format!("must be from {least} to {most}"))),
        }
    }
}

/// `12` of `12.00`.
fn without_fraction(number: &[u8]) -> &[u8] {
    match memchr::memchr(b'.', number) {
        Some(point) if number[point + 1..].iter().all(|digit| *digit == b'0') => &number[..point],
        _ => number,
    }
}

/// Refuses a name that chooses an upstream, or that some upstream takes for one we decide by: it would be a
/// second value that was not looked at.
pub(super) fn refuse_name(table: &Table, name: &str) -> Result<(), PeekError> {
    if let Some(Field { param, means: Means::Refused(why), .. }) = members::choosing_upstream(name) {
        return Err(PeekError::at(param, why));
    }
    match table.resembling(name) {
        Some(field) => Err(PeekError::at(field.param, "is spelt in another way")),
        None => Ok(()),
    }
}

/// Reads the next token, which is the first of a member's value.
pub(super) fn first<'a>(scanner: &mut Scanner<'a>) -> Result<Token<'a>, PeekError> {
    Ok(scanner.next()?.expect("a key is followed by a value or an error"))
}

pub(super) fn model(scanner: &mut Scanner<'_>) -> Result<(String, Range<usize>), PeekError> {
    let Token::String(text) = first(scanner)? else {
        return Err(PeekError::at("model", "must be a string"));
    };
    let name = text.decode();
    check_model(&name, text.decoded_bytes())?;
    Ok((name.into_owned(), scanner.span()))
}

pub(super) fn check_model(name: &str, bytes: usize) -> Result<(), PeekError> {
    if bytes == 0 {
        return Err(PeekError::at("model", "must not be empty"));
    }
    if bytes > MAX_MODEL_BYTES {
        return Err(PeekError::at("model", &format!("must have at most {MAX_MODEL_BYTES} bytes")));
    }
    if name.contains(char::is_control) {
        return Err(PeekError::at("model", "must not contain control characters"));
    }
    Ok(())
}

/// The id of something, or `null`.
fn id(scanner: &mut Scanner<'_>, param: &'static str) -> Result<Option<String>, PeekError> {
    let text = match first(scanner)? {
        Token::Null => return Ok(None),
        Token::String(text) => text,
        _ => return Err(PeekError::at(param, "must be a string")),
    };
    match text.decoded_bytes() {
        0 => Err(PeekError::at(param, "must not be empty")),
        1..=MAX_ID_BYTES => Ok(Some(text.decode().into_owned())),
        _ => Err(PeekError::at(param, &format!("must have at most {MAX_ID_BYTES} bytes"))),
    }
}

fn boolean(scanner: &mut Scanner<'_>, param: &'static str) -> Result<Option<bool>, PeekError> {
    match first(scanner)? {
        Token::Bool(value) => Ok(Some(value)),
        Token::Null => Ok(None),
        _ => Err(PeekError::at(param, "must be true or false")),
    }
}

fn stream_options(scanner: &mut Scanner<'_>) -> Result<StreamOptions, PeekError> {
    const PARAM: &str = "stream_options";
    let token = first(scanner)?;
    let begin = scanner.span().start;
    let mut options = StreamOptions {
        span: scanner.span(),
        open: None,
        empty: true,
        include_usage: None,
        include_usage_span: None,
    };
    match token {
        Token::Null => return Ok(options),
        Token::ObjectOpen => options.open = Some(scanner.span().end),
        _ => return Err(PeekError::at(PARAM, "must be an object")),
    }
    while let Some(Token::Key(key)) = scanner.next()? {
        options.empty = false;
        if key.is("include_usage") {
            options.include_usage = boolean(scanner, "stream_options.include_usage")?;
            options.include_usage_span = Some(scanner.span());
            continue;
        }
        if members::resembles(&key.decode(), "include_usage") {
            return Err(PeekError::at(PARAM, "spells `include_usage` in another way"));
        }
        scanner.walk(|_| {})?;
    }
    options.span = begin..scanner.span().end;
    Ok(options)
}
