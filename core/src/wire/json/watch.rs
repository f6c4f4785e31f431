//! Picks a few top-level members out of a JSON object that goes by in chunks, however long.
//!
//! It keeps nothing but those members, so that an answer of many megabytes (embeddings, images)
//! is metered in constant memory. It judges the outline only: what is inside of other members is
//! somebody else's to validate.

use super::literal;
use memchr::memchr2;

/// Longest member that is kept, in bytes. Usage objects have less than one thousand.
pub const MAX_MEMBER: usize = 64 * 1024;
/// Longest key that can match, in bytes, as written.
const MAX_KEY: usize = 64;

/// Watches for the members named `names`.
#[derive(Debug)]
pub struct Watch<const N: usize> {
    names: [&'static str; N],
    members: [Member; N],
    state: State,
    key: Vec<u8>,
    /// Which member is being kept.
    keeping: Option<usize>,
    /// Containers open within the member's value.
    depth: u32,
    in_string: bool,
    /// Within a string: the byte before was a backslash that escapes this one.
    escaped: bool,
}

/// The last value of a member, as far as it was seen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Member {
    #[default]
    Absent,
    Value(Vec<u8>),
    /// More than [`MAX_MEMBER`].
    TooLong,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Begin,
    Key,
    InKey,
    Colon,
    Value,
    End,
    Broken,
}

impl<const N: usize> Watch<N> {
    #[must_use]
    pub fn new(names: [&'static str; N]) -> Self {
        Self {
            names,
            members: std::array::from_fn(|_| Member::Absent),
            state: State::Begin,
            key: Vec::new(),
            keeping: None,
            depth: 0,
            in_string: false,
            escaped: false,
        }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Broken {
            at = match self.state {
                State::InKey => self.in_key(bytes, at),
                State::Value => self.in_value(bytes, at),
                _ => {
                    self.between(bytes[at]);
                    at + 1
                }
            };
        }
    }

    /// Whether one whole object was seen and nothing after it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.state == State::End
    }

    /// What was seen of each member, in the order of the names.
    #[must_use]
    pub fn members(&self) -> &[Member; N] {
        &self.members
    }

    fn between(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (state, b' ' | b'\n' | b'\r' | b'\t') => state,
            (State::Begin, b'{') | (State::Key, b',') => State::Key,
            (State::Key, b'}') => State::End,
            (State::Key, b'"') => {
                self.key.clear();
                self.key.push(b'"');
                State::InKey
            }
            (State::Colon, b':') => {
                self.begin_member();
                State::Value
            }
            _ => State::Broken,
        };
    }

    fn begin_member(&mut self) {
        let key = literal::read(&self.key, 0, false).map(|(key, _)| key);
        self.keeping = self.names.iter().position(|name| key.as_ref().is_ok_and(|key| key.is(name)));
        if let Some(member) = self.keeping {
            self.members[member] = Member::Value(Vec::new());
        }
    }

    fn in_key(&mut self, bytes: &[u8], from: usize) -> usize {
        let (to, ended) = self.string_end(bytes, from);
        let room = MAX_KEY.saturating_sub(self.key.len());
        self.key.extend_from_slice(&bytes[from..to.min(from + room)]);
        if ended {
            self.state = State::Colon;
        }
        to
    }

    fn in_value(&mut self, bytes: &[u8], from: usize) -> usize {
        let mut at = from;
        while at < bytes.len() && self.state == State::Value {
            if self.in_string {
                let (to, ended) = self.string_end(bytes, at);
                self.in_string = !ended;
                at = to;
                continue;
            }
            at = next_mark(bytes, at, self.depth == 0);
            let Some(&mark) = bytes.get(at) else { break };
            match mark {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 0 => self.depth -= 1,
                b'}' => self.state = State::End,
                b']' => self.state = State::Broken,
                b',' if self.depth == 0 => self.state = State::Key,
                _ => {}
            }
            at += 1;
        }
        // A mark that ends the value is not a part of it.
        let end = if self.state == State::Value { at } else { at - 1 };
        self.keep(&bytes[from..end]);
        at
    }

    fn keep(&mut self, bytes: &[u8]) {
        let Some(member) = self.keeping.map(|member| &mut self.members[member]) else { return };
        match member {
            Member::Value(kept) if kept.len() + bytes.len() <= MAX_MEMBER => kept.extend_from_slice(bytes),
            _ => *member = Member::TooLong,
        }
    }

    /// Goes on within a string; the offset where it or the chunk ends, and whether it ended.
    fn string_end(&mut self, bytes: &[u8], from: usize) -> (usize, bool) {
        let mut at = from;
        if std::mem::take(&mut self.escaped) {
            at += 1;
        }
        while let Some(next) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
            at += next;
            if bytes[at] == b'"' {
                return (at + 1, true);
            }
            if at + 1 == bytes.len() {
                self.escaped = true;
                break;
            }
            at += 2;
        }
        (bytes.len(), false)
    }
}

/// The offset of the next byte that matters outside of strings, or the end. Commas matter only
/// between the members themselves, so that long arrays of numbers are passed over in blocks,
/// which the compiler turns into vector compares.
fn next_mark(bytes: &[u8], mut at: usize, commas: bool) -> usize {
    const BLOCK: usize = 32;
    let is_mark = |byte: u8| {
        // Both brackets of a pair with the braces that differ from them in one bit.
        (byte | 0x20 == b'{') | (byte | 0x20 == b'}') | (byte == b'"') | (commas & (byte == b','))
    };
    while let Some(block) = bytes.get(at..at + BLOCK) {
        if block.iter().fold(false, |found, &byte| found | is_mark(byte)) {
            break;
        }
        at += BLOCK;
    }
    at + bytes[at..].iter().take_while(|byte| !is_mark(**byte)).count()
}
