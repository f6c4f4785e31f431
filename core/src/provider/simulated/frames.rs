//! The chunks of a stream that a codec writes: one event each, or one item of an array.

use crate::wire::{
    Dialect,
    chat::{ChatError, ChatEvent},
    codec::{Codec, Setting, StreamWriter},
    error::{self, ErrorText},
};
use bytes::Bytes;
use memchr::memmem;
use std::{collections::VecDeque, vec};

/// The end of an event.
const BLANK: &[u8] = b"\n\n";

pub(super) struct Frames {
    dialect: Dialect,
    setting: Setting,
    writer: Box<dyn StreamWriter>,
    events: vec::IntoIter<ChatEvent>,
    /// Written and not taken yet.
    ready: VecDeque<Bytes>,
    /// How many were taken.
    taken: u64,
    /// After how many the stream fails, and how.
    failure: Option<(u64, ChatError)>,
    change: fn(&Bytes) -> Bytes,
}

impl Frames {
    pub(super) fn new(
        codec: &dyn Codec,
        setting: Setting,
        events: Vec<ChatEvent>,
        failure: Option<(u64, ChatError)>,
    ) -> Self {
        Self {
            dialect: codec.dialect(),
            writer: codec.writer(&setting),
            setting,
            events: events.into_iter(),
            ready: VecDeque::new(),
            taken: 0,
            failure,
            change: Bytes::clone,
        }
    }

    /// With every chunk as `change` makes it.
    pub(super) fn each(self, change: fn(&Bytes) -> Bytes) -> Self {
        Self { change, ..self }
    }

    /// Ends the stream with `error`.
    fn fail(&mut self, error: &ChatError) -> Option<Bytes> {
        self.ready.clear();
        self.events = Vec::new().into_iter();
        let mut out = Vec::new();
        if self.setting.as_array {
            self.writer.write(&ChatEvent::Error(error.clone()), &mut out);
        } else {
            let text = ErrorText::of(error, &self.setting.id);
            out = error::event(self.dialect, text, self.taken);
        }
        self.push(out);
        self.ready.pop_front()
    }

    /// Takes apart what was written at once.
    fn push(&mut self, written: Vec<u8>) {
        let mut rest = Bytes::from(written);
        while !rest.is_empty() {
            let event = memmem::find(&rest, BLANK).filter(|_| !self.setting.as_array);
            let frame = rest.split_to(event.map_or(rest.len(), |at| at + BLANK.len()));
            self.ready.push_back(frame);
        }
    }
}

impl Iterator for Frames {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if let Some((_, error)) = self.failure.take_if(|(after, _)| *after == self.taken) {
            return self.fail(&error);
        }
        while self.ready.is_empty() {
            let Some(event) = self.events.next() else {
                let (_, error) = self.failure.take()?;
                return self.fail(&error);
            };
            let mut written = Vec::new();
            self.writer.write(&event, &mut written);
            self.push(written);
        }
        let frame = self.ready.pop_front()?;
        self.taken += 1;
        Some((self.change)(&frame))
    }
}
