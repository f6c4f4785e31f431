//! What the targets share: how an input says its dialects and where it is cut, and what every answer
//! must keep on its way from one dialect to another.

use aione_core::wire::{
    Dialect,
    chat::{ChatAnswer, ChatEvent, Delta, Fold, Part},
    codec::{Codec, Setting},
};
use serde_json::value::RawValue;

/// Bytes in front of what is read.
const HEAD: usize = 8;
/// A byte that no JSON has outside of its escapes stands for so many others, so that short inputs reach
/// the bounds of what is held.
const STRETCHED: u8 = 0x07;
const STRETCH: usize = 20 * 1024;
const STRETCHES_MAX: usize = 5;

/// What a fuzzer's bytes are taken for.
pub struct Input<'a> {
    /// The lowest two bits of the first byte.
    pub dialect: Dialect,
    /// The two bits above.
    pub other: Dialect,
    /// The bit above those.
    pub flag: bool,
    /// Lengths of the pieces, less one, again and again.
    cuts: &'a [u8],
    pub bytes: &'a [u8],
}

impl<'a> Input<'a> {
    #[must_use]
    pub fn of(data: &'a [u8]) -> Option<Self> {
        let (head, bytes) = data.split_at_checked(HEAD)?;
        let dialect = |bits: u8| Dialect::ALL[usize::from(bits & 3)];
        Some(Self {
            dialect: dialect(head[0]),
            other: dialect(head[0] >> 2),
            flag: head[0] & 16 != 0,
            cuts: &head[1..],
            bytes,
        })
    }

    /// The bytes, some of them many times.
    #[must_use]
    pub fn stretched(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len());
        let mut stretches = 0;
        for byte in self.bytes {
            if *byte == STRETCHED && stretches < STRETCHES_MAX {
                stretches += 1;
                out.resize(out.len() + STRETCH, b'x');
            } else {
                out.push(*byte);
            }
        }
        out
    }

    /// `bytes` in pieces. Behind the first kilobytes they are longer, so that nothing is cut very often.
    pub fn cut<'b>(&self, bytes: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
        let mut lengths = self.cuts.iter().cycle();
        let (mut rest, mut done) = (bytes, 0);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let length = 1 + usize::from(*lengths.next()?) * if done < 4096 { 1 } else { 64 };
            let (piece, after) = rest.split_at(length.min(rest.len()));
            rest = after;
            done += piece.len();
            Some(piece)
        })
    }
}

/// What writers are told.
#[must_use]
pub fn setting() -> Setting {
    Setting {
        id: "gen-0001".to_owned(),
        created: 1_795_442_112,
        model: "upstream-model".to_owned(),
        stream_usage: true,
        estimated_input: 11,
        as_array: false,
        freeform_tools: ["apply_patch".to_owned()].into(),
    }
}

/// For messages.
#[must_use]
pub fn shown(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// # Panics
/// `bytes` is no JSON.
pub fn expect_json(bytes: &[u8]) {
    if let Err(error) = serde_json::from_slice::<&RawValue>(bytes) {
        panic!("{error}: {}", shown(bytes));
    }
}

/// What `codec` reads of a stream in `pieces`.
pub fn read<'b>(codec: &dyn Codec, pieces: impl IntoIterator<Item = &'b [u8]>) -> Vec<ChatEvent> {
    let (mut reader, mut events) = (codec.reader(), Vec::new());
    pieces.into_iter().for_each(|piece| reader.feed(piece, &mut events));
    reader.end(&mut events);
    joined(events)
}

/// With deltas of one part that follow each other made one, and nothing behind the end.
fn joined(events: Vec<ChatEvent>) -> Vec<ChatEvent> {
    let mut out: Vec<ChatEvent> = Vec::new();
    for event in events {
        if let ChatEvent::Delta { choice, part, delta } = &event
            && let Some(ChatEvent::Delta { choice: of, part: before, delta: last }) = out.last_mut()
            && (&*of, &*before) == (choice, part)
        {
            match (last, delta) {
                (Delta::Text(text), Delta::Text(more)) | (Delta::Arguments(text), Delta::Arguments(more)) => {
                    text.push_str(more);
                    continue;
                }
                _ => {}
            }
        }
        let is_last = matches!(event, ChatEvent::Done | ChatEvent::Error(_));
        out.push(event);
        if is_last {
            break;
        }
    }
    out
}

#[must_use]
pub fn fold(events: &[ChatEvent]) -> Fold {
    let mut fold = Fold::default();
    events.iter().for_each(|event| fold.feed(event));
    fold
}

/// The stream that `codec` writes of `events`.
#[must_use]
pub fn write(codec: &dyn Codec, events: &[ChatEvent]) -> Vec<u8> {
    let (mut writer, mut out) = (codec.writer(&setting()), Vec::new());
    events.iter().for_each(|event| writer.write(event, &mut out));
    out
}

/// The text of the first choice, which every dialect can say.
fn text(answer: &ChatAnswer) -> String {
    let mut written = String::new();
    for part in answer.choices.iter().take(1).flat_map(|choice| &choice.parts) {
        if let Part::Text { text, .. } | Part::Refusal { text } = part {
            written.push_str(text);
        }
    }
    written
}

/// # Panics
/// The text or the sums of tokens are others, or there is no end where there was one.
pub fn expect_same(what: impl Fn() -> String, before: &ChatAnswer, after: &ChatAnswer) {
    expect_equal(text(after).as_bytes(), text(before).as_bytes(), &what);
    let has_finish = |answer: &ChatAnswer| answer.choices.first().is_some_and(|first| first.finish.is_some());
    assert!(has_finish(after) || !has_finish(before), "{}", what());
    let Some(used) = before.usage else { return };
    let again = after.usage.unwrap_or_else(|| panic!("no usage: {}", what()));
    assert_eq!(
        (again.prompt_tokens(), again.completion_tokens()),
        (used.prompt_tokens(), used.completion_tokens()),
        "{}",
        what()
    );
}

/// # Panics
/// They differ; tells where.
pub fn expect_equal(after: &[u8], before: &[u8], what: impl Fn() -> String) {
    const AROUND: usize = 60;
    if after == before {
        return;
    }
    let at = after.iter().zip(before).take_while(|(one, other)| one == other).count();
    let window = |bytes: &[u8]| {
        let near = &bytes[at.saturating_sub(AROUND)..bytes.len().min(at + AROUND)];
        String::from_utf8_lossy(near).into_owned()
    };
    panic!("at byte {at}\n now: {:?}\nwere: {:?}\n{}", window(after), window(before), what());
}
