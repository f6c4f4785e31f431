//! A strict JSON scanner: one pass over the bytes, no tree, no recursion, every bound named.
//!
//! [`Scanner::strict`] is for what callers send: it refuses everything that two parsers could
//! read differently. [`Scanner::lenient`] is for what upstreams answer: the same grammar, but
//! repeated keys, lone surrogates and invalid UTF-8 inside strings are put up with.

mod literal;
mod outline;
mod sweep;
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
    /// The last key or string.
    text: Text<'a>,
    /// Why the last step failed.
    error: Option<JsonError>,
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

/// What a step has come to. The rest of a token, or of an error, is left in the scanner, so that a
/// step comes back in a register: there are a dozen of them in the smallest request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    ObjectOpen,
    ObjectClose,
    ArrayOpen,
    ArrayClose,
    Key,
    String,
    Number,
    True,
    False,
    Null,
    End,
    Failed,
}

impl<'a> Scanner<'a> {
    /// # Errors
    /// A byte order mark.
    pub fn strict(bytes: &'a [u8]) -> Result<Self, JsonError> {
        if bytes.starts_with(b"\xef\xbb\xbf") {
            return Err(JsonError::ByteOrderMark);
        }
        Ok(Self { keys: Some(KeyLog::default()), ..Self::lenient(bytes) })
    }

    #[must_use]
    pub fn lenient(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            start: 0,
            expect: Expect::Value,
            depth: 0,
            nesting: 0,
            text: Text::default(),
            error: None,
            keys: None,
        }
    }

    /// The next token, or `None` after the end of the document's one value.
    ///
    /// # Errors
    /// What is not JSON, or is past a bound. Nothing may be read after an error.
    #[expect(clippy::should_implement_trait, reason = "an iterator would go on after an error")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Token<'a>>, JsonError> {
        Ok(Some(match self.step() {
            Step::ObjectOpen => Token::ObjectOpen,
            Step::ObjectClose => Token::ObjectClose,
            Step::ArrayOpen => Token::ArrayOpen,
            Step::ArrayClose => Token::ArrayClose,
            Step::Key => Token::Key(self.text),
            Step::String => Token::String(self.text),
            Step::Number => Token::Number(&self.bytes[self.start..self.at]),
            Step::True => Token::Bool(true),
            Step::False => Token::Bool(false),
            Step::Null => Token::Null,
            Step::End => return Ok(None),
            Step::Failed => return Err(self.take_error()),
        }))
    }

    /// Reads the whole value that comes next and shows its tokens; the bytes it stands in.
    ///
    /// # Errors
    /// As [`Self::next`].
    #[inline]
    pub fn walk(&mut self, mut see: impl FnMut(&Token<'a>)) -> Result<Range<usize>, JsonError> {
        let outside = self.depth;
        let mut begin = None;
        loop {
            let Some(token) = self.next()? else { return Err(self.wrong("expected a value")) };
            let begin = *begin.get_or_insert(self.start);
            see(&token);
            if self.depth == outside && !matches!(token, Token::Key(_)) {
                return Ok(begin..self.at);
            }
        }
    }

    /// Passes over the value that comes next, of which only the outline is looked at: [`Self::walk`] without its
    /// judgement, for what an upstream has written. The bytes it stands in.
    ///
    /// # Errors
    /// There is no value, or the document ends before it does.
    pub fn skip(&mut self) -> Result<Range<usize>, JsonError> {
        debug_assert!(self.keys.is_none(), "what a caller sends is judged");
        match self.skip_whitespace() {
            Some(b'{' | b'[') if self.expect == Expect::Value => {
                let begin = self.at;
                let end = outline::end(self.bytes, begin);
                self.start = begin;
                self.at = end.unwrap_or(self.bytes.len());
                if end.is_none() {
                    return Err(self.wrong("unexpected end"));
                }
                self.scalar(Step::ObjectClose);
                Ok(begin..self.at)
            }
            _ => self.walk(|_| {}),
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

    fn step(&mut self) -> Step {
        let Some(mut byte) = self.skip_whitespace() else {
            return if self.expect == Expect::End { Step::End } else { self.fail("unexpected end") };
        };
        self.start = self.at;
        match self.expect {
            Expect::CommaOrClose if byte == b',' => {
                self.at += 1;
                let Some(next) = self.skip_whitespace() else { return self.fail("unexpected end") };
                byte = next;
                self.start = self.at;
                if self.in_object() { self.key(byte) } else { self.value(byte) }
            }
            Expect::CommaOrClose => self.close(byte, "expected a comma or a closing bracket"),
            Expect::Value => self.value(byte),
            Expect::KeyOrClose if byte == b'"' => self.key(byte),
            Expect::KeyOrClose => self.close(byte, "expected a key"),
            Expect::ValueOrClose if byte == b']' => self.close(byte, "expected a value"),
            Expect::ValueOrClose => self.value(byte),
            Expect::End => self.fail("trailing bytes"),
        }
    }

    fn in_object(&self) -> bool {
        self.nesting & 1 == 1
    }

    #[cold]
    fn wrong(&self, what: &'static str) -> JsonError {
        let at = self.at;
        match std::str::from_utf8(&self.bytes[at..]) {
            Err(error) if error.valid_up_to() == 0 => JsonError::NotUtf8 { at },
            _ => JsonError::Syntax { what, at },
        }
    }

    #[cold]
    fn fail(&mut self, what: &'static str) -> Step {
        self.fail_with(self.wrong(what))
    }

    #[cold]
    fn fail_with(&mut self, error: JsonError) -> Step {
        self.error = Some(error);
        Step::Failed
    }

    #[cold]
    fn take_error(&mut self) -> JsonError {
        self.error.take().unwrap_or_else(|| self.wrong("nothing is read after an error"))
    }

    #[inline]
    fn skip_whitespace(&mut self) -> Option<u8> {
        loop {
            match *self.bytes.get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    #[inline]
    fn value(&mut self, byte: u8) -> Step {
        match byte {
            b'"' if self.string() => self.scalar(Step::String),
            b'"' => Step::Failed,
            b'{' => self.open(Step::ObjectOpen),
            b'[' => self.open(Step::ArrayOpen),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true", Step::True),
            b'f' => self.word(b"false", Step::False),
            b'n' => self.word(b"null", Step::Null),
            _ => self.fail("expected a value"),
        }
    }

    #[inline]
    fn scalar(&mut self, step: Step) -> Step {
        self.expect = if self.depth == 0 { Expect::End } else { Expect::CommaOrClose };
        step
    }

    #[inline]
    fn word(&mut self, word: &'static [u8], step: Step) -> Step {
        if !self.bytes[self.at..].starts_with(word) {
            return self.fail("expected a value");
        }
        self.at += word.len();
        self.scalar(step)
    }

    #[inline]
    fn open(&mut self, step: Step) -> Step {
        if self.depth == MAX_DEPTH {
            return self.fail_with(JsonError::TooDeep { at: self.at });
        }
        let object = step == Step::ObjectOpen;
        self.at += 1;
        self.depth += 1;
        self.nesting = self.nesting << 1 | u128::from(object);
        self.expect = if object { Expect::KeyOrClose } else { Expect::ValueOrClose };
        if object && let Some(keys) = &mut self.keys {
            keys.open();
        }
        step
    }

    #[inline]
    fn close(&mut self, byte: u8, expected: &'static str) -> Step {
        let step = match (byte, self.in_object()) {
            (b'}', true) => Step::ObjectClose,
            (b']', false) => Step::ArrayClose,
            _ => return self.fail(expected),
        };
        if step == Step::ObjectClose
            && let Some(keys) = &mut self.keys
            && let Err(error) = keys.close()
        {
            return self.fail_with(error);
        }
        self.at += 1;
        self.depth -= 1;
        self.nesting >>= 1;
        self.scalar(step)
    }

    #[inline]
    fn key(&mut self, byte: u8) -> Step {
        if byte != b'"' {
            return self.fail("expected a key");
        }
        if !self.string() {
            return Step::Failed;
        }
        if self.skip_whitespace() != Some(b':') {
            return self.fail("expected a colon");
        }
        if let Some(keys) = &mut self.keys
            && let Err(error) = keys.push(self.text.decode_bytes())
        {
            return self.fail_with(error);
        }
        self.at += 1;
        self.expect = Expect::Value;
        Step::Key
    }

    /// Reads a string literal into `text`.
    #[inline]
    fn string(&mut self) -> bool {
        match literal::read(self.bytes, self.at, self.keys.is_some()) {
            Ok((text, end)) => {
                self.text = text;
                self.at = end;
                true
            }
            Err(error) => {
                self.fail_with(error);
                false
            }
        }
    }

    #[inline]
    fn number(&mut self) -> Step {
        match literal::number_length(&self.bytes[self.at..]) {
            Some(length) if length > MAX_NUMBER_BYTES => {
                self.fail_with(JsonError::NumberTooLong { at: self.at })
            }
            Some(length) => {
                self.at += length;
                self.scalar(Step::Number)
            }
            None => self.fail("a malformed number"),
        }
    }
}

/// Whether `text` is a JSON object that no reader can take for another, within the bounds of
/// [`Scanner::strict`].
#[must_use]
pub fn is_object(text: &str) -> bool {
    let Ok(mut scanner) = Scanner::strict(text.as_bytes()) else { return false };
    let mut first = None;
    let walked = scanner.walk(|token| {
        first.get_or_insert(*token);
    });
    walked.is_ok() && first == Some(Token::ObjectOpen) && scanner.next() == Ok(None)
}

/// The keys of the objects that are open, to find one that is given twice.
///
/// Sorting instead of hashing keeps the cost near linear for any keys a stranger chooses,
/// without a random seed.
#[derive(Debug)]
struct KeyLog<'a> {
    keys: Vec<Cow<'a, [u8]>>,
    /// Where each open object's keys begin.
    begins: Vec<usize>,
    seen: usize,
}

impl Default for KeyLog<'_> {
    /// With room for most requests.
    fn default() -> Self {
        Self { keys: Vec::with_capacity(16), begins: Vec::with_capacity(8), seen: 0 }
    }
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

    #[inline]
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
