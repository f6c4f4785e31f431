//! Golden streams, cut at every byte and at random: the client's bytes and the reading are the
//! same every time.

use super::*;

struct Golden {
    name: &'static str,
    stream: &'static str,
    /// Prompt, completion and cached tokens.
    usage: Option<(u64, u64, u64)>,
    text: &'static str,
}

macro_rules! stream {
    ($name:literal) => {
        include_str!(concat!("../../../../../tests/fixtures/wire/openai_chat/", $name))
    };
}

const WORDS: &str = "Grüße aus 東京, \"quoted\"\n 🙂 data: [DONE] \"usage\":{";

const GOLDEN: &[Golden] = &[
    Golden { name: "usage", stream: stream!("stream_usage.sse"), usage: Some((23, 11, 16)), text: WORDS },
    Golden { name: "no usage", stream: stream!("stream_no_usage.sse"), usage: None, text: WORDS },
    Golden {
        name: "tools",
        stream: stream!("stream_tools.sse"),
        usage: Some((88, 31, 0)),
        text: "get_weather{\"city\":\"Zürich\"}get_time{}",
    },
    Golden { name: "odd", stream: stream!("stream_odd.sse"), usage: Some((7, 3, 0)), text: "one two three" },
    Golden {
        name: "azure, unterminated",
        stream: stream!("stream_azure_unterminated.sse"),
        usage: Some((23, 11, 16)),
        text: WORDS,
    },
    Golden {
        name: "cumulative",
        stream: stream!("stream_cumulative.sse"),
        usage: Some((9, 5, 0)),
        text: "The answer is 42",
    },
    Golden { name: "error first", stream: stream!("stream_error_first.sse"), usage: None, text: "" },
    Golden {
        name: "error later",
        stream: stream!("stream_error_later.sse"),
        usage: None,
        text: "Grüße aus 東京",
    },
    Golden {
        name: "completions",
        stream: stream!("stream_completions.sse"),
        usage: Some((5, 4, 0)),
        text: "Once upon a time",
    },
];

/// The stream without its chunk that holds only usage, found without the code under test.
fn without_usage_chunk(stream: &str) -> String {
    let blocks = stream.split_inclusive("\n\n").map(|block| {
        let plain = block.replace(": ", ":").replace(", ", ",");
        let hidden = plain.contains("\"choices\":[],\"usage\":{");
        if hidden { &block[..block.find("data:").unwrap()] } else { block }
    });
    blocks.collect()
}

/// The golden streams in each line ending, hiding and not, with what is expected of each.
fn cases() -> impl Iterator<Item = (String, String, bool, Outcome)> {
    let variants = GOLDEN.iter().flat_map(|golden| {
        ["\n", "\r", "\r\n"]
            .into_iter()
            .flat_map(move |ending| [false, true].map(|hide| (golden, ending, hide)))
    });
    variants.map(|(golden, ending, hide)| {
        let name = format!("{}, {ending:?}, hide {hide}", golden.name);
        let stream = golden.stream.replace('\n', ending);
        let expect = if hide { without_usage_chunk(golden.stream) } else { golden.stream.to_owned() };
        let expect = expect.replace('\n', ending);

        let outcome = Outcome::of([stream.as_bytes()], hide);
        let told = [&*outcome.client, &*outcome.terminal].concat();
        assert_eq!(String::from_utf8(told).unwrap(), expect, "{name}");
        let usage = outcome.reading.usage;
        let usage = usage.map(|usage| (usage.prompt_tokens(), usage.completion_tokens(), usage.cache_read));
        assert_eq!(usage, golden.usage, "{name}");
        assert_eq!(outcome.reading.text().kept(), golden.text, "{name}");
        assert_eq!(outcome.reading.text().bytes(), golden.text.len() as u64, "{name}");
        assert!(!outcome.reading.flagged, "{name}");
        assert_eq!(outcome.reading.error, golden.name.starts_with("error"), "{name}");
        (name, stream, hide, outcome)
    })
}

#[test]
fn a_golden_stream_split_at_every_byte_is_the_same() {
    for (name, stream, hide, expect) in cases() {
        let stream = stream.as_bytes();
        for at in 0..=stream.len() {
            assert_eq!(Outcome::of([&stream[..at], &stream[at..]], hide), expect, "{name}, split at {at}");
        }
        assert_eq!(Outcome::of(stream.chunks(1), hide), expect, "{name}, byte by byte");
    }
}

#[test]
fn a_golden_stream_split_at_random_10_000_times_is_the_same() {
    let cases: Vec<_> = cases().collect();
    for seed in 0..10_000_u64 {
        let mut random = Random::new(seed);
        let (name, stream, hide, expect) = &cases[random.below(cases.len())];
        let chunks = random.cut(stream.as_bytes());
        assert_eq!(&Outcome::of(chunks, *hide), expect, "{name}, seed {seed}");
    }
}
