//! What admission must know of a body that is passed on as it is: which model it names, and its size.

use super::{
    MAX_MEDIA_BYTES, Memory, Peek, PeekError,
    members::{self, Means},
    reader::{first, model, refuse_name},
    text::TextCounter,
};
use crate::wire::{
    Dialect,
    json::{Scanner, Token},
};
use std::ops::Range;

/// What a body that is passed on says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Raw {
    /// Where the body names no model, that which it is sold as.
    pub peek: Peek,
    pub names_model: bool,
}

/// Reads `body` once. It is JSON where that is said (`says_json`) or where it begins like an object, since an
/// upstream may take it for one whatever is said; anything else names no model that can be read.
/// `sold_as` is the model of a body that names none; `dialect` is the provider's.
///
/// # Errors
/// JSON that is not strict, a member that is there twice or resembles one that the gateway decides by, a model
/// that is no name, and what leans on something that a provider keeps.
pub fn raw(dialect: Dialect, body: &[u8], says_json: bool, sold_as: &str) -> Result<Raw, PeekError> {
    let mut found = Found { counter: TextCounter::new(dialect), named: None, stream: false };
    let is_json = !body.is_empty() && (says_json || begins_like_an_object(body));
    if is_json {
        found.read(body)?;
    }
    let names_model = found.named.is_some();
    let (model, model_span) =
        found.named.map_or((sold_as.to_owned(), None), |(name, span)| (name, Some(span)));
    let peek = Peek {
        recording: None,
        dialect,
        model,
        model_span,
        repeated_spans: Vec::new(),
        stream: found.stream,
        stream_options: None,
        body_open: 0,
        // Where nothing is said, nothing is generated.
        ceiling: body.is_empty().then_some(0),
        choices: 1,
        text_bytes: if is_json { found.counter.bytes() } else { MAX_MEDIA_BYTES.min(body.len() as u64) },
        messages: 0,
        memory: Memory::default(),
    };
    Ok(Raw { peek, names_model })
}

struct Found {
    counter: TextCounter,
    named: Option<(String, Range<usize>)>,
    stream: bool,
}

impl Found {
    fn read(&mut self, body: &[u8]) -> Result<(), PeekError> {
        let mut scanner = Scanner::strict(body)?;
        if scanner.next()? == Some(Token::ObjectOpen) {
            self.members(&mut scanner)?;
        }
        // Of what is no object nothing is decided by, but JSON it must be. Behind either is nothing.
        while let Some(token) = scanner.next()? {
            self.counter.see(&token);
        }
        Ok(())
    }

    fn members(&mut self, scanner: &mut Scanner<'_>) -> Result<(), PeekError> {
        let table = members::of_raw();
        let mut seen = 0;
        while let Some(Token::Key(key)) = scanner.next()? {
            let Some((bit, field)) = table.named(&key.decode_bytes()) else {
                refuse_name(table, &key.decode())?;
                self.counter.see(&Token::Key(key));
                scanner.walk(|token| self.counter.see(token))?;
                continue;
            };
            if seen & bit != 0 {
                return Err(PeekError::at(field.param, "is given twice"));
            }
            seen |= bit;
            match field.means {
                Means::Model => self.named = Some(model(scanner)?),
                Means::Refused(why) => {
                    if first(scanner)? != Token::Null {
                        return Err(PeekError::at(field.param, why));
                    }
                }
                // With some vendors this name is of something else.
                _ => {
                    let mut tokens = 0;
                    let stream = &mut self.stream;
                    scanner.walk(|token| {
                        tokens += 1;
                        *stream = tokens == 1 && *token == Token::Bool(true);
                    })?;
                }
            }
        }
        Ok(())
    }
}

/// Behind what some readers pass over: white space, and a mark of the order of bytes.
fn begins_like_an_object(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Raw, PeekError> {
        raw(Dialect::OpenAiChat, body.as_bytes(), true, "up/pass_through")
    }

    #[test]
    fn a_model_that_is_named_is_found_and_what_names_none_is_sold_as_itself() {
        let named = read(r#"{"a":{"model":"x"},"mod\u0065l":"m","stream":true}"#).unwrap();
        assert_eq!((named.names_model, &*named.peek.model, named.peek.stream), (true, "m", true));
        assert_eq!(named.peek.model_span, Some(32..35));
        for body in ["", "{}", r#"{"a":{"model":"x"}}"#, "[1,{\"model\":\"x\"}]", "\"text\"", "7"] {
            let found = read(body).unwrap();
            assert_eq!((found.names_model, &*found.peek.model), (false, "up/pass_through"), "{body}");
        }
        assert_eq!(read("").unwrap().peek.ceiling, Some(0));
        assert_eq!(read(r#"{"prompt":"twelve bytes"}"#).unwrap().peek.text_bytes, 12);
        assert!(!read(r#"{"stream":{"x":true}}"#).unwrap().peek.stream);
        let form = [&b"--x\r\n\r\n"[..], &[0xff; 5000]].concat();
        let found = raw(Dialect::OpenAiChat, &form, false, "p").unwrap();
        assert_eq!((found.names_model, found.peek.text_bytes), (false, MAX_MEDIA_BYTES));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused_whatever_it_is_said_to_be() {
        for body in [
            r#"{"model":"a","model":"b"}"#,
            r#"{"model":"a","Model":"b"}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"model":7}"#,
            r#"{"model":""}"#,
            r#"{"model":null}"#,
            r#"{"api_base":"http://x"}"#,
            r#"{"previous_response_id":"resp_1"}"#,
            r#"{"cachedContent":"c"}"#,
            r#"{"model":"a"} x"#,
            "\u{feff}{\"model\":\"a\"}",
            " {\"model\":",
        ] {
            for says_json in [true, false] {
                let found = raw(Dialect::OpenAiChat, body.as_bytes(), says_json, "p");
                assert!(found.is_err(), "{body} {found:?}");
            }
        }
        assert!(read("not JSON").is_err());
        assert!(raw(Dialect::OpenAiChat, b"not JSON", false, "p").is_ok());
    }
}
