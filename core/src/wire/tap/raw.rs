//! The meter of an answer of which nobody has said what it is: it passes as it comes, and where it tells its
//! usage in the words of one of the dialects, that is read on the side.

use super::{PlainTap, Reading, StreamMeter, Written, walk};
use crate::wire::Dialect;

/// See the module. It keeps no more than a tap of each dialect does.
#[derive(Debug)]
pub struct RawTap {
    /// The dialect that is believed where nothing tells another.
    own: Dialect,
    kind: Kind,
    is_sized: bool,
}

#[derive(Debug)]
enum Kind {
    Json(Vec<(Dialect, PlainTap)>),
    Events(Vec<(Dialect, StreamMeter)>),
    /// Neither: nothing is read.
    Other,
}

/// In this order: what looks like a later one's usage is then none of an earlier one's.
const ORDER: [Dialect; 4] =
    [Dialect::OpenAiResponses, Dialect::AnthropicMessages, Dialect::Gemini, Dialect::OpenAiChat];

impl RawTap {
    /// Of a body of this `content-type`, from a provider that speaks `own`; `is_sized`: its length was said
    /// before it came.
    #[must_use]
    pub fn new(own: Dialect, content_type: Option<&[u8]>, is_sized: bool) -> Self {
        let essence = content_type.unwrap_or_default().split(|byte| *byte == b';').next().unwrap_or_default();
        let essence = essence.trim_ascii().to_ascii_lowercase();
        let kind = if essence == b"text/event-stream" {
            Kind::Events(ORDER.map(|dialect| (dialect, StreamMeter::new(dialect))).into())
        } else if essence == b"application/json" || essence.ends_with(b"+json") {
            Kind::Json(ORDER.map(|dialect| (dialect, PlainTap::new(dialect))).into())
        } else {
            Kind::Other
        };
        Self { own, kind, is_sized }
    }

    /// Whether it may come bit by bit, each of which is to be passed on at once.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        match self.kind {
            Kind::Json(_) => false,
            Kind::Events(_) => true,
            Kind::Other => !self.is_sized,
        }
    }

    pub fn feed(&mut self, chunk: &[u8]) {
        match &mut self.kind {
            Kind::Json(taps) => taps.iter_mut().for_each(|(_, tap)| tap.feed(chunk)),
            Kind::Events(meters) => meters.iter_mut().for_each(|(_, meter)| meter.feed(chunk)),
            Kind::Other => {}
        }
    }

    /// The body has come to its proper end.
    pub fn note_end(&mut self) {
        if let Kind::Events(meters) = &mut self.kind {
            meters.iter_mut().for_each(|(_, meter)| meter.finish());
        }
    }

    /// What was read. Whether the answer is whole, or an error, is not judged: only its own vendor knows.
    #[must_use]
    pub fn finish(self) -> Reading {
        let own = self.own;
        let reading = match self.kind {
            Kind::Json(taps) => {
                let read = taps.into_iter().map(|(dialect, tap)| (dialect, tap.finish())).collect();
                of_json(own, read)
            }
            Kind::Events(meters) => {
                let read = meters.into_iter().map(|(dialect, mut meter)| (dialect, meter.take_reading()));
                of_events(own, read.collect())
            }
            Kind::Other => Reading::default(),
        };
        Reading { error: false, blames_request: false, answer_id: None, ..reading }
    }
}

/// Three dialects have one name for the usage: the answer says elsewhere which of them it is of.
fn of_json(own: Dialect, mut read: Vec<(Dialect, Reading)>) -> Reading {
    let is_gemini = |(dialect, reading): &(Dialect, Reading)| {
        *dialect == Dialect::Gemini && (reading.usage.is_some() || reading.flagged)
    };
    let dialect = match read.first().map(|(_, reading)| &reading.written) {
        _ if read.iter().any(is_gemini) => Dialect::Gemini,
        Some(Written::Answer { beginning, .. }) => said_by(beginning).unwrap_or(match own {
            // What this vendor answers in others' words, it says in those of chat.
            Dialect::Gemini => Dialect::OpenAiChat,
            own => own,
        }),
        _ => own,
    };
    take(&mut read, dialect)
}

fn of_events(own: Dialect, mut read: Vec<(Dialect, Reading)>) -> Reading {
    let tells = |(_, reading): &&(Dialect, Reading)| reading.usage.is_some();
    let dialect = read.iter().find(tells).map_or(own, |(dialect, _)| *dialect);
    take(&mut read, dialect)
}

fn take(read: &mut Vec<(Dialect, Reading)>, wanted: Dialect) -> Reading {
    let place = read.iter().position(|(dialect, _)| *dialect == wanted);
    place.map(|place| read.swap_remove(place).1).unwrap_or_default()
}

/// The dialect by which an answer that begins so calls itself. Of one that was cut what came counts.
fn said_by(beginning: &[u8]) -> Option<Dialect> {
    let mut found = None;
    // An error is the end of what was kept.
    let _ = walk::document(beginning, |key, scanner| {
        let text = match key {
            b"type" | b"object" => walk::string(scanner)?,
            _ => return walk::skip(scanner),
        };
        let text = text.as_ref().map(|text| text.decode_bytes());
        match (key, text.as_deref()) {
            (b"type", Some(b"message")) => found = Some(Dialect::AnthropicMessages),
            (b"object", Some(b"response")) => found = Some(Dialect::OpenAiResponses),
            _ => {}
        }
        Ok(())
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::usage::Usage;

    fn read(own: Dialect, content_type: &str, body: &[u8]) -> Reading {
        let mut tap = RawTap::new(own, Some(content_type.as_bytes()), false);
        body.chunks(7).for_each(|chunk| tap.feed(chunk));
        tap.note_end();
        tap.finish()
    }

    const CHAT: &str = r#"{"x":1,"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":4}}}"#;
    const MESSAGE: &str = r#"{"id":"a","type":"message","usage":{"input_tokens":6,"cache_read_input_tokens":4,"output_tokens":3}}"#;
    const RESPONSE: &str = r#"{"object":"response","usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":3,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":13}}"#;
    const GEMINI: &str = r#"{"candidates":[],"usageMetadata":{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":3,"totalTokenCount":13}}"#;

    #[test]
    fn a_plain_answer_tells_its_usage_in_the_words_of_any_dialect() {
        let expected = Usage { input: 6, cache_read: 4, output: 3, ..Usage::default() };
        for own in Dialect::ALL {
            for body in [MESSAGE, RESPONSE, GEMINI] {
                let reading = read(own, "application/json; charset=utf-8", body.as_bytes());
                assert_eq!((reading.usage, reading.flagged), (Some(expected), false), "{own:?} {body}");
            }
        }
        for own in [Dialect::OpenAiChat, Dialect::Gemini] {
            assert_eq!(read(own, "application/vnd.x+json", CHAT.as_bytes()).usage, Some(expected));
        }
    }

    #[test]
    fn a_stream_tells_its_usage_in_the_words_of_any_dialect() {
        let expected = Usage { input: 6, cache_read: 4, output: 3, ..Usage::default() };
        let chat = format!("data: {{\"choices\":[]}}\n\ndata: {CHAT}\n\ndata: [DONE]\n\n");
        let messages = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":6,\"cache_read_input_tokens\":4,\"output_tokens\":1}}}\n\n\
             event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":3}}\n\n\
             event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
        let responses = format!(
            "event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{RESPONSE}}}\n\n"
        );
        let gemini = format!("data: {GEMINI}\n\n");
        for own in Dialect::ALL {
            for body in [&*chat, messages, &responses, &gemini] {
                let reading = read(own, "text/event-stream", body.as_bytes());
                assert_eq!(reading.usage, Some(expected), "{own:?} {body}");
            }
        }
    }

    #[test]
    fn what_tells_nothing_is_no_usage_and_no_error() {
        for (content_type, body) in [
            ("application/json", &br#"{"error":{"message":"x"}}"#[..]),
            ("application/json", b"[1,2"),
            ("application/json", b""),
            ("text/event-stream", b"data: {\"error\":{\"message\":\"x\"}}\n\n"),
            ("audio/mpeg", CHAT.as_bytes()),
            ("", CHAT.as_bytes()),
        ] {
            let reading = read(Dialect::OpenAiChat, content_type, body);
            assert_eq!((reading.usage, reading.error), (None, false), "{content_type} {body:?}");
        }
        assert_eq!(RawTap::new(Dialect::OpenAiChat, None, true).finish(), Reading::default());
    }
}
