//! Whether an answer is whole and right, and when its chunks came: each answer is checked to its end.

use anyhow::{bail, ensure};
use memchr::memmem;

use super::Job;
use super::tally::Tally;
use crate::canned::{CONTENT, Mode, STAMP, STAMP_DIGITS};
use crate::clock;
use crate::http1::Message;

/// The answer that a connection is reading.
pub(super) struct Answer {
    message: Message,
    mode: Mode,
    chunks: u32,
    /// Up to here the body's events have been seen.
    seen: usize,
    next: u32,
    usage: bool,
    done: bool,
}

impl Answer {
    pub(super) fn new(job: &Job) -> Self {
        Self {
            message: Message::default(),
            mode: job.mode,
            chunks: job.chunks,
            seen: 0,
            next: 0,
            usage: false,
            done: false,
        }
    }

    pub(super) fn reset(&mut self) {
        self.message.reset();
        (self.seen, self.next) = (0, 0);
        (self.usage, self.done) = (false, false);
    }

    /// Takes what was read; true when the answer has ended.
    pub(super) fn take(&mut self, bytes: &[u8], tally: &mut Tally) -> anyhow::Result<bool> {
        let taken = self.message.feed(bytes)?;
        ensure!(taken == bytes.len(), "bytes behind the end of the answer");
        if self.mode.is_stream() {
            self.look_at_events(tally)?;
        }
        Ok(self.message.is_complete())
    }

    /// To be asked once `take` has said that the answer has ended.
    pub(super) fn verify(&self) -> anyhow::Result<()> {
        let body = self.message.body();
        let says = |text: &[u8]| memmem::find(body, text).is_some();
        let right = match self.mode {
            Mode::Stream | Mode::Paced | Mode::Idle => self.next == self.chunks && self.usage && self.done,
            Mode::Plain | Mode::Big => says(CONTENT.as_bytes()) && says(b"\"usage\"") && body.ends_with(b"}"),
            Mode::Models => says(br#""object":"list""#) && body.ends_with(b"}"),
        };
        if self.message.status() == 200 && right {
            return Ok(());
        }
        let start = String::from_utf8_lossy(&body[..body.len().min(300)]);
        bail!(
            "a wrong answer: status {}, {} chunks, usage {}, done {}: {start}",
            self.message.status(),
            self.next,
            self.usage,
            self.done
        )
    }

    /// How many chunks with content have come.
    pub(super) fn chunks_seen(&self) -> u32 {
        self.next
    }

    pub(super) fn closes(&self) -> bool {
        self.message.closes()
    }

    fn look_at_events(&mut self, tally: &mut Tally) -> anyhow::Result<()> {
        let now_ns = clock::epoch_ns();
        let body = self.message.body();
        while let Some(length) = memmem::find(&body[self.seen..], b"\n\n") {
            let event = &body[self.seen..self.seen + length];
            self.seen += length + 2;
            ensure!(!self.done, "an event behind [DONE]");
            if let Some(at) = memmem::find(event, STAMP) {
                let (sent_ns, index) = stamp(&event[at + STAMP.len()..]);
                ensure!(index == Some(self.next), "chunk {} is not next", self.next);
                self.next += 1;
                tally.chunk(now_ns.saturating_sub(sent_ns));
            } else if event == b"data: [DONE]" {
                self.done = true;
            } else if memmem::find(event, b"\"usage\":{").is_some() {
                self.usage = true;
            }
        }
        Ok(())
    }
}

/// Reads `<ns> n=<index> `.
fn stamp(bytes: &[u8]) -> (u64, Option<u32>) {
    let number = |digits: &[u8]| {
        digits
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .fold(0_u64, |sum, byte| sum * 10 + u64::from(byte - b'0'))
    };
    let index = bytes
        .get(STAMP_DIGITS..)
        .and_then(|rest| rest.strip_prefix(b" n="))
        .and_then(|rest| u32::try_from(number(rest)).ok());
    (number(&bytes[..STAMP_DIGITS.min(bytes.len())]), index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canned::{self, Chunk, Dialect};
    use crate::load::request::Request;

    fn answer(mode: Mode) -> Answer {
        Answer::new(&Job {
            address: ([127, 0, 0, 1], 1).into(),
            request: Request::new(Vec::new(), None),
            mode,
            chunks: 2,
        })
    }

    #[test]
    fn a_whole_stream_passes_and_a_cut_one_does_not() {
        for (chunks, passes) in [(2, true), (1, false)] {
            let mut bytes = canned::STREAM_HEAD.to_vec();
            for index in 0..chunks {
                bytes.extend_from_slice(Chunk::new(Dialect::Chat, index).stamped(clock::epoch_ns()));
            }
            bytes.extend_from_slice(&canned::usage_chunk());
            bytes.extend_from_slice(&canned::stream_end(Dialect::Chat));
            let mut answer = answer(Mode::Stream);
            assert!(answer.take(&bytes, &mut Tally::default()).unwrap());
            assert_eq!(answer.verify().is_ok(), passes);
        }
    }

    #[test]
    fn a_plain_answer_must_say_what_the_upstream_said() {
        let mut right = answer(Mode::Plain);
        assert!(right.take(&canned::plain_answer(Dialect::Chat), &mut Tally::default()).unwrap());
        right.verify().unwrap();
        let mut wrong = answer(Mode::Plain);
        assert!(wrong.take(canned::PROBE_ANSWER, &mut Tally::default()).unwrap());
        assert!(wrong.verify().is_err());
    }
}
