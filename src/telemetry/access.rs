//! The access log: one JSON line a request, on standard error, without bodies or secrets.
//!
//! What a line tells gathers in a list, and one thread writes it out, so that a request neither waits
//! for a pipe nor spends its time on digits; where the reader of the pipe stands still, lines are
//! dropped and counted.

use crate::{background, proxy::Line};
use parking_lot::{Condvar, Mutex};
use std::{
    fmt::Write as _,
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Lines that may wait, each of some four hundred bytes.
const LINES_MAX: usize = 16 * 1024;
/// Bytes that are written at a time.
const WRITE_BYTES: usize = 64 * 1024;
/// How long a line may wait for others.
const GATHER: Duration = Duration::from_millis(50);
/// Of a field that a caller chose, no more than this is written, in characters.
pub(crate) const FIELD_MAX: usize = 256;

#[derive(Clone)]
pub(crate) struct AccessLog(Arc<Shared>);

/// A line that waits.
#[expect(clippy::large_enum_variant, reason = "nearly all are requests")]
pub(crate) enum Entry {
    /// Of a request to the data plane.
    Request(Line),
    /// As it will stand in the log.
    Text(String),
}

#[derive(Default)]
struct Shared {
    lines: Mutex<Vec<Entry>>,
    some: Condvar,
    /// Held from taking lines out until they are written, so that they stay in order.
    writing: Mutex<()>,
    dropped: AtomicU64,
}

impl AccessLog {
    /// Starts the thread that writes. It ends with the process.
    pub(crate) fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let writer = shared.clone();
        std::thread::Builder::new().name("access-log".into()).spawn(move || {
            background::give_way();
            write_on(&writer);
        })?;
        Ok(Self(shared))
    }

    /// Appends a line, or counts it as dropped.
    pub(crate) fn append(&self, entry: Entry) {
        let mut lines = self.0.lines.lock();
        if lines.len() >= LINES_MAX {
            drop(lines);
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = lines.is_empty();
        lines.push(entry);
        drop(lines);
        if was_empty {
            self.0.some.notify_one();
        }
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Writes what waits; called once, at the end.
    pub(crate) fn flush(&self) {
        let _writing = self.0.writing.lock();
        let mut lines = std::mem::take(&mut *self.0.lines.lock());
        write_out(&mut lines, &mut String::new());
    }
}

fn write_on(shared: &Shared) {
    let mut spare = Vec::new();
    let mut text = String::with_capacity(WRITE_BYTES);
    loop {
        {
            let mut lines = shared.lines.lock();
            while lines.is_empty() {
                shared.some.wait(&mut lines);
            }
        }
        std::thread::sleep(GATHER);
        let _writing = shared.writing.lock();
        std::mem::swap(&mut *shared.lines.lock(), &mut spare);
        write_out(&mut spare, &mut text);
    }
}

fn write_out(lines: &mut Vec<Entry>, text: &mut String) {
    // What a reader of the log does not take is lost; there is nowhere else to say so.
    let flush = |text: &mut String| {
        let _ = std::io::stderr().write_all(text.as_bytes());
        text.clear();
    };
    for line in lines.drain(..) {
        match line {
            Entry::Request(line) => line.append_to(text),
            Entry::Text(line) => text.push_str(&line),
        }
        if text.len() >= WRITE_BYTES {
            flush(text);
        }
    }
    flush(text);
}

/// Appends a JSON string, cut at [`FIELD_MAX`] characters.
pub(crate) fn append_text(out: &mut String, text: &str) {
    out.push('"');
    if text.len() <= FIELD_MAX && text.bytes().all(is_harmless) {
        out.push_str(text);
        out.push('"');
        return;
    }
    for character in text.chars().take(FIELD_MAX) {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            // Control characters and what reorders text on a terminal.
            '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// What stands in a JSON string as it is, and on a terminal.
fn is_harmless(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_field_cannot_break_its_line_or_a_terminal() {
        let mut out = String::new();
        super::append_text(&mut out, "a\"\r\n\u{1b}[31m\u{202e}\\");
        assert_eq!(out, r#""a\"\u000d\u000a\u001b[31m\u202e\\""#);
        assert!(serde_json::from_str::<String>(&out).is_ok());
        let mut long = String::new();
        super::append_text(&mut long, &"x".repeat(1_000_000));
        assert_eq!(long.len(), 258);
    }
}
