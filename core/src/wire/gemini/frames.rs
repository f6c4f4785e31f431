//! The objects of a stream that is no event stream: an array of them, as the vendor sends without
//! `alt=sse`, one per line, or a single one.

use crate::wire::{
    codec::{SseData, TooLarge},
    sse::MAX_EVENT,
};

/// Finds the objects in chunks of any size. What stands between them is passed over.
#[derive(Debug, Default)]
pub(super) struct Objects {
    /// The object that is not whole yet, as far as it is not too large.
    object: Vec<u8>,
    /// How many containers are open within it.
    depth: u64,
    is_quoted: bool,
    is_escaped: bool,
    is_too_large: bool,
}

impl Objects {
    /// Calls `each` with every object that `bytes` make whole.
    pub(super) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(SseData<'_>)) {
        let mut begin = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if self.depth == 0 {
                if *byte == b'{' {
                    (self.depth, begin) = (1, at);
                }
                continue;
            }
            self.step(*byte);
            if self.depth == 0 {
                self.keep(&bytes[begin..=at]);
                each(if self.is_too_large { Err(TooLarge) } else { Ok(&self.object) });
                *self = Self::default();
            }
        }
        if self.depth > 0 {
            self.keep(&bytes[begin..]);
        }
    }

    /// Whether the stream ended within an object.
    pub(super) fn is_within(&self) -> bool {
        self.depth > 0
    }

    fn step(&mut self, byte: u8) {
        if std::mem::take(&mut self.is_escaped) {
            return;
        }
        match byte {
            b'"' => self.is_quoted = !self.is_quoted,
            b'\\' => self.is_escaped = self.is_quoted,
            b'{' | b'[' if !self.is_quoted => self.depth += 1,
            b'}' | b']' if !self.is_quoted => self.depth -= 1,
            _ => {}
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.is_too_large || self.object.len() + bytes.len() > MAX_EVENT {
            self.is_too_large = true;
            self.object = Vec::new();
            return;
        }
        self.object.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(pieces: &[&[u8]]) -> (Vec<String>, bool) {
        let (mut objects, mut found) = (Objects::default(), Vec::new());
        for piece in pieces {
            objects.feed(piece, |object| {
                found
                    .push(object.map_or("too large".to_owned(), |object| {
                        String::from_utf8(object.to_vec()).unwrap()
                    }));
            });
        }
        (found, objects.is_within())
    }

    #[test]
    fn objects_are_found_wherever_the_stream_is_cut() {
        let stream = "[{\"a\":\"}]\\\"{\"}\r\n,\r\n{\"b\":[{},\"\\\\\"]}\n]\n{\"c\":1}\n{\"d";
        let expect = ["{\"a\":\"}]\\\"{\"}", "{\"b\":[{},\"\\\\\"]}", "{\"c\":1}"];
        for cut in 0..=stream.len() {
            let (front, back) = stream.as_bytes().split_at(cut);
            let (found, is_within) = objects(&[front, back]);
            assert_eq!(found, expect, "cut at {cut}");
            assert!(is_within);
        }
        assert!(!objects(&[b"[]"]).1);
    }

    #[test]
    fn an_object_that_is_too_large_is_told_and_the_next_one_read() {
        let large = vec![b'x'; MAX_EVENT];
        let (found, _) = objects(&[b"[{\"a\":\"", &large, b"\"},", b"{}]"]);
        assert_eq!(found, ["too large", "{}"]);
    }
}
