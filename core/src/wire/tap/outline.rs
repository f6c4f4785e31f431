//! What Gemini's answers tell beside their usage, of answers of any length, in constant memory: images
//! come as text of megabytes, and the usage does not count them.
//!
//! It judges the outline only, as [`crate::wire::json::watch`] does.

use super::reader::Beside;
use memchr::memchr2;

/// Longest string that is looked at, in bytes; of a longer one the beginning is.
const STRING_MAX: usize = 256;
/// Deeper than the types of media are there is nothing to be found.
const DEPTHS: usize = 8;

/// The names on the way to what is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Name {
    #[default]
    Other,
    Candidates,
    FinishReason,
    Content,
    Parts,
    Thought,
    Media,
    MimeType,
    Grounding,
    Queries,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// Containers that are open.
    depth: usize,
    /// The member under way at each depth.
    names: [Name; DEPTHS],
    after_colon: bool,
    in_string: bool,
    /// Within a string: the byte before was a backslash that escapes this one.
    escaped: bool,
    /// The last string, as written.
    string: Vec<u8>,
    /// Of the part under way.
    is_image: bool,
    is_thought: bool,
    finish: bool,
    beside: Beside,
}

impl Outline {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if self.in_string {
                at = self.string_end(bytes, at);
                continue;
            }
            at += 1;
            match byte {
                b'"' => {
                    self.in_string = true;
                    self.string.clear();
                }
                b':' => {
                    self.after_colon = true;
                    if let Some(name) = self.names.get_mut(self.depth) {
                        *name = Name::of(&self.string);
                    }
                }
                b',' => self.after_colon = false,
                b'{' | b'[' => {
                    self.after_colon = false;
                    self.depth += 1;
                    if let Some(name) = self.names.get_mut(self.depth) {
                        *name = Name::Other;
                    }
                }
                b'}' | b']' => {
                    if self.depth == 6 {
                        let is_shown =
                            std::mem::take(&mut self.is_image) & !std::mem::take(&mut self.is_thought);
                        self.beside.images += u64::from(is_shown);
                    }
                    self.depth = self.depth.saturating_sub(1);
                }
                b't' if self.depth == 6 && self.is_part() && self.names[6] == Name::Thought => {
                    self.is_thought = true;
                }
                _ => {}
            }
        }
    }

    /// Whether it says why the answer ended.
    pub(super) fn has_finish(&self) -> bool {
        self.finish
    }

    pub(super) fn beside(&self) -> &Beside {
        &self.beside
    }

    fn is_part(&self) -> bool {
        let [_, first, _, third, fourth, ..] = self.names;
        (first, third, fourth) == (Name::Candidates, Name::Content, Name::Parts)
    }

    /// Goes on within a string; the offset behind it, or the end.
    fn string_end(&mut self, bytes: &[u8], from: usize) -> usize {
        let mut at = from + usize::from(std::mem::take(&mut self.escaped));
        let mut end = bytes.len();
        while let Some(next) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
            at += next;
            if bytes[at] == b'"' {
                self.in_string = false;
                end = at;
                break;
            }
            if at + 1 == bytes.len() {
                self.escaped = true;
                break;
            }
            at += 2;
        }
        let room = STRING_MAX - self.string.len();
        self.string.extend_from_slice(&bytes[from..end.min(from + room)]);
        if self.in_string {
            return bytes.len();
        }
        self.value();
        end + 1
    }

    /// A string has ended, which may be a key as well.
    fn value(&mut self) {
        let [_, first, _, third, fourth, _, sixth, seventh] = self.names;
        if first != Name::Candidates {
            return;
        }
        match (self.depth, self.after_colon) {
            (3, true) if third == Name::FinishReason => {
                self.finish |= !matches!(&*self.string, b"" | b"FINISH_REASON_UNSPECIFIED");
            }
            (5, false) if (third, fourth) == (Name::Grounding, Name::Queries) => {
                self.beside.note_query(&String::from_utf8_lossy(&self.string));
            }
            (7, true) if self.is_part() && (sixth, seventh) == (Name::Media, Name::MimeType) => {
                self.is_image |= self.string.starts_with(b"image/") || self.string.starts_with(b"image\\/");
            }
            _ => {}
        }
    }
}

impl Name {
    fn of(key: &[u8]) -> Self {
        match key {
            b"candidates" => Self::Candidates,
            b"finishReason" => Self::FinishReason,
            b"content" => Self::Content,
            b"parts" => Self::Parts,
            b"thought" => Self::Thought,
            b"inlineData" | b"inline_data" | b"fileData" | b"file_data" => Self::Media,
            b"mimeType" | b"mime_type" => Self::MimeType,
            b"groundingMetadata" => Self::Grounding,
            b"webSearchQueries" => Self::Queries,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &str, size: usize) -> (u64, u64, bool) {
        let mut outline = Outline::default();
        answer.as_bytes().chunks(size).for_each(|chunk| outline.feed(chunk));
        let finish = outline.has_finish();
        let usage = outline.beside().usage();
        (usage.images, usage.searches, finish)
    }

    #[test]
    fn images_searches_and_the_end_are_found_wherever_they_are_cut() {
        let image = r#"{"inlineData":{"data":"\"AA==","mimeType":"image/png"}}"#;
        let thought = r#"{"inlineData":{"mimeType" : "image/png"} , "thought" : true}"#;
        let audio = r#"{"inlineData":{"mimeType":"audio/wav"},"thought":false}"#;
        let call = r#"{"functionCall":{"name":"image/x","args":{"mimeType":"image/png","inlineData":{"mimeType":"image/png"}}}}"#;
        let grounds = r#""groundingMetadata":{"webSearchQueries":["a","b","a"],"chunks":["c"]}"#;
        let answer = format!(
            r#"{{"x":{{"parts":[{image}]}},"candidates":[{{"content":{{"parts":[{image},{thought},{audio},{call},{image}],"role":"model"}},"finishReason":"STOP",{grounds}}}],"usageMetadata":{{}}}}"#
        );
        for size in 1..=answer.len() {
            assert_eq!(read(&answer, size), (2, 2, true), "in chunks of {size}");
        }
        let going_on = answer.replace("\"STOP\"", "\"\"");
        assert_eq!(read(&going_on, 9), (2, 2, false));
    }
}
