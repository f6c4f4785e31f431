//! How much a model is to read: the size of the text in a request, and how many messages it is in.

use super::members::Alone;
use crate::wire::{
    Dialect,
    json::{JsonError, Scanner, Text, Token},
};

/// An image or a clip inside a message counts as at most this many bytes of text.
pub const MAX_MEDIA_BYTES: u64 = 3 * 1024;
/// A token that the caller gives as a number counts as this many bytes of text.
const TOKEN_BYTES: u64 = 3;

/// Counts the text in values of any shape, token by token. Names of members do not count.
pub(super) struct TextCounter {
    bytes: u64,
    dialect: Dialect,
    /// Of the member that is being read.
    key: Key,
    /// Files are known by the object that they are in: where tools' arguments and results are JSON too, names
    /// of members alone say nothing.
    has_files: bool,
    file: Option<File>,
}

/// What the name of a member says of its strings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Text,
    /// A file in base64, or the address of one.
    Media,
    /// An image that a tool made, in the dialect whose tools say everything else in strings.
    Result,
    /// What only its vendor can read, and no model counts as text.
    Sealed,
    /// An object that is a file.
    File,
    /// What kind of file it is.
    MediaType,
}

/// The object that is a file, directly in which the counter is.
#[derive(Clone, Copy, Default)]
struct File {
    is_text: bool,
    /// Bytes that were not counted, as they seemed to be of a picture.
    spared: u64,
}

impl Key {
    fn of(key: &Text<'_>) -> Self {
        match &*key.decode_bytes() {
            b"url" | b"image_url" | b"data" | b"file_data" => Self::Media,
            b"result" => Self::Result,
            b"signature" | b"encrypted_content" | b"thoughtSignature" | b"thought_signature" => Self::Sealed,
            b"source" | b"inlineData" | b"inline_data" => Self::File,
            b"media_type" | b"mimeType" | b"mime_type" => Self::MediaType,
            _ => Self::Text,
        }
    }
}

impl TextCounter {
    pub(super) fn new(dialect: Dialect) -> Self {
        let has_files = matches!(dialect, Dialect::AnthropicMessages | Dialect::Gemini);
        Self { bytes: 0, dialect, key: Key::Text, has_files, file: None }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    #[inline]
    pub(super) fn see(&mut self, token: &Token<'_>) {
        let bytes = match token {
            Token::Key(key) => {
                self.key = Key::of(key);
                return;
            }
            Token::String(text) if self.key == Key::Text => text.decoded_bytes() as u64,
            Token::String(text) => self.string(text),
            Token::Number(_) => TOKEN_BYTES,
            Token::ObjectOpen | Token::ObjectClose if self.has_files => {
                let is_file = *token == Token::ObjectOpen && self.key == Key::File;
                self.file = is_file.then(File::default);
                return;
            }
            _ => return,
        };
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// What counts of a string whose name says something of it.
    fn string(&mut self, text: &Text<'_>) -> u64 {
        let bytes = text.decoded_bytes() as u64;
        let capped = bytes.min(MAX_MEDIA_BYTES);
        match (self.key, &mut self.file) {
            (Key::Sealed, _) => capped,
            (Key::Media, _) if !self.has_files => capped,
            (Key::Result, _) if self.dialect == Dialect::OpenAiResponses => capped,
            (Key::Media, Some(file)) if !file.is_text => {
                file.spared = file.spared.saturating_add(bytes - capped);
                capped
            }
            (Key::MediaType, Some(file)) if text.decode_bytes().starts_with(b"text/") => {
                file.is_text = true;
                bytes.saturating_add(std::mem::take(&mut file.spared))
            }
            _ => bytes,
        }
    }
}

/// How much a conversation is, besides its text.
#[derive(Default)]
pub(super) struct Conversation {
    pub(super) messages: u64,
    /// It names items that the upstream is to have.
    pub(super) refers_to_items: bool,
}

/// Reads a conversation; `None`: it is none.
pub(super) fn conversation(
    scanner: &mut Scanner<'_>,
    alone: Alone,
    counter: &mut TextCounter,
) -> Result<Option<Conversation>, JsonError> {
    let inside = scanner.depth() + 1;
    let Some(token) = scanner.next()? else { return Ok(None) };
    counter.see(&token);
    let one = Conversation { messages: 1, refers_to_items: false };
    match (token, alone) {
        (Token::ArrayOpen, Alone::Text) => {
            let mut items = Items::new(inside + 1);
            let messages = elements(scanner, inside, |token, depth| {
                counter.see(token);
                items.see(token, depth);
            })?;
            Ok(Some(Conversation { messages, refers_to_items: items.is_any_reference }))
        }
        (Token::ArrayOpen, _) => {
            let messages = elements(scanner, inside, |token, _| counter.see(token))?;
            Ok(Some(Conversation { messages, refers_to_items: false }))
        }
        (Token::ObjectOpen, Alone::Message) => {
            elements(scanner, inside, |token, _| counter.see(token))?;
            Ok(Some(one))
        }
        (Token::String(_), Alone::Text) => Ok(Some(one)),
        (Token::Null, _) => Ok(Some(Conversation::default())),
        _ => Ok(None),
    }
}

/// Reads to the end of the container that was opened at the depth `inside`, and shows each token with the
/// depth after it; how many containers were directly in it.
#[inline]
fn elements(
    scanner: &mut Scanner<'_>,
    inside: u32,
    mut see: impl FnMut(&Token<'_>, u32),
) -> Result<u64, JsonError> {
    let mut elements = 0;
    while let Some(token) = scanner.next()? {
        let depth = scanner.depth();
        if depth < inside {
            break;
        }
        let opens = matches!(token, Token::ObjectOpen | Token::ArrayOpen);
        if opens && depth == inside + 1 {
            elements += 1;
        }
        see(&token, depth);
    }
    Ok(elements)
}

/// Finds items that are only named. Their type says so; or they have none, as no message is without a role.
struct Items {
    /// Within an item.
    depth: u32,
    is_type: bool,
    is_said: bool,
    is_any_reference: bool,
}

impl Items {
    fn new(depth: u32) -> Self {
        Self { depth, is_type: false, is_said: false, is_any_reference: false }
    }

    fn see(&mut self, token: &Token<'_>, depth: u32) {
        let is_type = std::mem::take(&mut self.is_type);
        match token {
            Token::ObjectOpen if depth == self.depth => self.is_said = false,
            Token::Key(key) if depth == self.depth => {
                self.is_type = key.is("type");
                self.is_said |= key.is("role");
            }
            Token::String(text) if is_type && text.is("item_reference") => self.is_any_reference = true,
            Token::String(_) if is_type => self.is_said = true,
            Token::ObjectClose if depth + 1 == self.depth => self.is_any_reference |= !self.is_said,
            _ => {}
        }
    }
}
