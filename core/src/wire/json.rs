//! A strict JSON scanner: one pass over the bytes, no tree, no recursion, every bound named.
//!
//! [`Scanner::strict`] is for what callers send: it refuses everything that two parsers could
//! read differently. [`Scanner::lenient`] is for what upstreams answer: the same grammar, but
//! repeated keys, lone surrogates and invalid UTF-8 inside strings are put up with.

mod literal;
#[cfg(test)]
mod tests;
pub mod watch;

pub use literal::{Text, push_string};

use std::{borrow::Cow, ops::Range};

/// Deepest nesting of objects and arrays; one bit of [`Scanner::nesting`] each.
pub const MAX_DEPTH: u32 = 128;
/// Most object keys in one document. Agents' longest conversations have some ten thousand.
pub const MAX_KEYS: usize = 131_072;
/// Longest number, in bytes. A double needs at most 24, a 256-bit integer 78.
pub const MAX_NUMBER_BYTES: usize = 128;
/// Objects up to this many keys are compared pair by pair, larger ones are sorted.
const PAIRWISE_KEYS: usize = 8;
/// Longest part of a repeated key that an error repeats, in characters.
const SHOWN_KEY_CHARS: usize = 64;

/// Why a document is not taken. Offsets are bytes from its start.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum JsonError {
    #[error("{what} at byte {at}")]
    Syntax { what: &'static str, at: usize },
    #[error("more than {MAX_DEPTH} levels deep at byte {at}")]
    TooDeep { at: usize },
    #[error("more than {MAX_KEYS} keys")]
    TooManyKeys,
    #[error("a number of more than {MAX_NUMBER_BYTES} bytes at byte {at}")]
    NumberTooLong { at: usize },
    #[error("the key `{key}` is given twice in one object")]
    DuplicateKey { key: String },
    #[error("a byte order mark at byte 0")]
    ByteOrderMark,
    #[error("invalid UTF-8 at byte {at}")]
    NotUtf8 { at: usize },
}

/// One step of a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Token<'a> {
    ObjectOpen,
    ObjectClose,
    ArrayOpen,
    ArrayClose,
    /// A member's name; its value comes next.
    Key(Text<'a>),
    String(Text<'a>),
    /// As written; its grammar is checked, its range is not.
    Number(&'a [u8]),
    Bool(bool),
    Null,
}

/// Reads a document token by token.
#[derive(Debug)]
pub struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the last token began.
    start: usize,
    expect: Expect,
    depth: u32,
    /// The open containers, innermost in bit 0; 1: an object.
    nesting: u128,
    /// `None`: lenient.
    keys: Option<KeyLog<'a>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expect {
    Value,
    ValueOrClose,
    KeyOrClose,
    CommaOrClose,
    End,
}

impl<'a> Scanner<'a> {
    /// # Errors
    /// A byte order mark, or bytes that are not UTF-8.
    pub fn strict(bytes: &'a [u8]) -> Result<Self, JsonError> {
        if bytes.starts_with(b"\xef\xbb\xbf") {
            return Err(JsonError::ByteOrderMark);
        }
        std::str::from_utf8(bytes).map_err(|error| JsonError::NotUtf8 { at: error.valid_up_to() })?;
        Ok(Self { keys: Some(KeyLog::default()), ..Self::lenient(bytes) })
    }

    #[must_use]
    pub fn lenient(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, start: 0, expect: Expect::Value, depth: 0, nesting: 0, keys: None }
    }

    /// The next token, or `None` after the end of the document's one value.
    ///
    /// # Errors
    /// What is not JSON, or is past a bound. Nothing may be read after an error.
    #[expect(clippy::should_implement_trait, reason = "an iterator would go on after an error")]
    pub fn next(&mut self) -> Result<Option<Token<'a>>, JsonError> {
        let Some(mut byte) = self.skip_whitespace() else {
            return if self.expect == Expect::End { Ok(None) } else { Err(self.wrong("unexpected end")) };
        };
        match self.expect {
            Expect::CommaOrClose if byte == b',' => {
                self.at += 1;
                byte = self.skip_whitespace().ok_or_else(|| self.wrong("unexpected end"))?;
                self.start = self.at;
                if self.in_object() { self.key(byte) } else { self.value(byte) }
            }
            Expect::CommaOrClose => {
                self.start = self.at;
                self.close(byte, "expected a comma or a closing bracket")
            }
            Expect::Value => {
                self.start = self.at;
                self.value(byte)
            }
            Expect::KeyOrClose => {
                self.start = self.at;
                if byte == b'"' { self.key(byte) } else { self.close(byte, "expected a key") }
            }
            Expect::ValueOrClose => {
                self.start = self.at;
                if byte == b']' { self.close(byte, "expected a value") } else { self.value(byte) }
            }
            Expect::End => Err(self.wrong("trailing bytes")),
        }
        .map(Some)
    }

    /// Reads the whole value that comes next and shows its tokens; the bytes it stands in.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn walk(&mut self, mut see: impl FnMut(&Token<'a>)) -> Result<Range<usize>, JsonError> {
        let outside = self.depth;
        let mut begin = None;
        loop {
            let token = self.next()?.ok_or_else(|| self.wrong("expected a value"))?;
            let begin = *begin.get_or_insert(self.start);
            see(&token);
            if self.depth == outside && !matches!(token, Token::Key(_)) {
                return Ok(begin..self.at);
            }
        }
    }

    /// The bytes of the last token: a string with its quotes, a key with its colon.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.start..self.at
    }

    /// How many containers are open after the last token.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.depth
    }

    fn in_object(&self) -> bool {
        self.nesting & 1 == 1
    }

    fn wrong(&self, what: &'static str) -> JsonError {
        JsonError::Syntax { what, at: self.at }
    }

    fn skip_whitespace(&mut self) -> Option<u8> {
        loop {
            match *self.bytes.get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    fn value(&mut self, byte: u8) -> Result<Token<'a>, JsonError> {
        match byte {
            b'"' => {
                let text = self.string()?;
                Ok(self.scalar(Token::String(text)))
            }
            b'{' => self.open(Token::ObjectOpen),
            b'[' => self.open(Token::ArrayOpen),
            b'-' | b'0'..=b'9' => {
                let number = self.number()?;
                Ok(self.scalar(Token::Number(number)))
            }
            b't' => self.word(b"true", Token::Bool(true)),
            b'f' => self.word(b"false", Token::Bool(false)),
            b'n' => self.word(b"null", Token::Null),
            _ => Err(self.wrong("expected a value")),
        }
    }

    fn scalar(&mut self, token: Token<'a>) -> Token<'a> {
        self.expect = if self.depth == 0 { Expect::End } else { Expect::CommaOrClose };
        token
    }

    fn word(&mut self, word: &'static [u8], token: Token<'a>) -> Result<Token<'a>, JsonError> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.wrong("expected a value"));
        }
        self.at += word.len();
        Ok(self.scalar(token))
    }

    fn open(&mut self, token: Token<'a>) -> Result<Token<'a>, JsonError> {
        if self.depth == MAX_DEPTH {
            return Err(JsonError::TooDeep { at: self.at });
        }
        let object = token == Token::ObjectOpen;
        self.at += 1;
        self.depth += 1;
        self.nesting = self.nesting << 1 | u128::from(object);
        self.expect = if object { Expect::KeyOrClose } else { Expect::ValueOrClose };
        if object && let Some(keys) = &mut self.keys {
            keys.open();
        }
        Ok(token)
    }

    fn close(&mut self, byte: u8, expected: &'static str) -> Result<Token<'a>, JsonError> {
        let token = match (byte, self.in_object()) {
            (b'}', true) => Token::ObjectClose,
            (b']', false) => Token::ArrayClose,
            _ => return Err(self.wrong(expected)),
        };
        if token == Token::ObjectClose
            && let Some(keys) = &mut self.keys
        {
            keys.close()?;
        }
        self.at += 1;
        self.depth -= 1;
        self.nesting >>= 1;
        Ok(self.scalar(token))
    }

    fn key(&mut self, byte: u8) -> Result<Token<'a>, JsonError> {
        if byte != b'"' {
            return Err(self.wrong("expected a key"));
        }
        let key = self.string()?;
        if self.skip_whitespace() != Some(b':') {
            return Err(self.wrong("expected a colon"));
        }
        if let Some(keys) = &mut self.keys {
            keys.push(key.decode_bytes())?;
        }
        self.at += 1;
        self.expect = Expect::Value;
        Ok(Token::Key(key))
    }

    fn string(&mut self) -> Result<Text<'a>, JsonError> {
        let (text, end) = literal::read(self.bytes, self.at, self.keys.is_some())?;
        self.at = end;
        Ok(text)
    }

    fn number(&mut self) -> Result<&'a [u8], JsonError> {
        let rest = &self.bytes[self.at..];
        let length = literal::number_length(rest).ok_or_else(|| self.wrong("a malformed number"))?;
        if length > MAX_NUMBER_BYTES {
            return Err(JsonError::NumberTooLong { at: self.at });
        }
        self.at += length;
        Ok(&rest[..length])
    }
}

/// The keys of the objects that are open, to find one that is given twice.
///
/// Sorting instead of hashing keeps the cost near linear for any keys a stranger chooses,
/// without a random seed.
#[derive(Debug, Default)]
struct KeyLog<'a> {
    keys: Vec<Cow<'a, [u8]>>,
    /// Where each open object's keys begin.
    begins: Vec<usize>,
    seen: usize,
}

impl<'a> KeyLog<'a> {
    fn open(&mut self) {
        self.begins.push(self.keys.len());
    }

    fn push(&mut self, key: Cow<'a, [u8]>) -> Result<(), JsonError> {
        self.seen += 1;
        if self.seen > MAX_KEYS {
            return Err(JsonError::TooManyKeys);
        }
        self.keys.push(key);
        Ok(())
    }

    fn close(&mut self) -> Result<(), JsonError> {
        let begin = self.begins.pop().expect("an object closes after it opened");
        let keys = &mut self.keys[begin..];
        let twice = if keys.len() <= PAIRWISE_KEYS {
            keys.iter().enumerate().find(|(at, key)| keys[..*at].contains(key)).map(|(_, key)| key)
        } else {
            keys.sort_unstable();
            keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| &pair[0])
        };
        if let Some(key) = twice {
            let key = String::from_utf8_lossy(key).chars().take(SHOWN_KEY_CHARS).collect();
            return Err(JsonError::DuplicateKey { key });
        }
        self.keys.truncate(begin);
        Ok(())
    }
}
