//! What an upstream answered at once, an error or not, reaches callers of every dialect: the text, the end and
//! the tokens are the same, and the meter that reads answers in passing reads those too.

#![no_main]

use aione_core::wire::{
    chat::Dropped,
    codec::{CODECS, codec},
    tap::PlainTap,
};
use aione_fuzz::{Input, expect_json, expect_same, fold, read, setting, shown, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(input) = Input::of(data) else { return };
    let from = codec(input.dialect).expect("each dialect has a codec");
    let _ = from.decode_usage(input.bytes);
    let status = 400 + u16::from(data[1]);
    let error = from.decode_error(status, input.bytes);
    for to in CODECS {
        let said = to.encode_error(&error, "gen-0001");
        expect_json(&said);
        let again = to.decode_error(error.status, &said);
        assert_eq!((again.status, &again.message), (error.status, &error.message), "{}", shown(&said));
    }

    let Ok(answer) = from.decode_answer(input.bytes) else { return };
    let mut tap = PlainTap::new(input.dialect);
    tap.feed(input.bytes);
    let reading = tap.finish();
    if let (Some(passed), Some(translated)) = (reading.usage, answer.usage)
        && !reading.flagged
    {
        assert_eq!(passed, translated, "{}", shown(input.bytes));
    }
    for to in CODECS {
        let said = to.encode_answer(&answer, &setting(), &mut Dropped::default());
        expect_json(&said);
        let what = || format!("{} as {}: {}", shown(input.bytes), to.dialect().as_str(), shown(&said));
        let again = to.decode_answer(&said).unwrap_or_else(|error| panic!("{error}: {}", what()));
        expect_same(what, &answer, &again);
        let stream = write(to, &answer.events());
        let streamed = fold(&read(to, [&*stream]));
        expect_same(|| format!("{}\n{}", what(), shown(&stream)), &answer, streamed.answer());
    }
});
