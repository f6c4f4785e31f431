//! A stream on its way from an upstream of one dialect to a caller of another: the same bytes and the same
//! reading wherever it was cut.

#![no_main]

use aione_core::wire::{
    chat::Dropped,
    tap::{First, Reading},
    translate::Pair,
};
use aione_fuzz::{Input, expect_equal, expect_json, setting, shown};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(input) = Input::of(data) else { return };
    let pair = Pair::of(input.other, input.dialect).expect("each dialect has a codec");
    let whole = translate(&pair, [input.bytes]);
    let cut = translate(&pair, input.cut(input.bytes));
    let what = || format!("{pair:?}: {}", shown(input.bytes));
    expect_equal(&cut.0, &whole.0, what);
    assert_eq!(cut.1, whole.1, "{}", what());
    let (status, body, _) = pair.error(500 + u16::from(data[1] & 63), input.bytes, "gen-0001");
    assert!((400..600).contains(&status));
    expect_json(&body);
    if let Ok((said, reading)) = pair.answer(input.bytes, &setting(), &mut Dropped::default()) {
        expect_json(&said);
        assert!(reading.complete);
    }
});

fn translate<'b>(pair: &Pair, pieces: impl IntoIterator<Item = &'b [u8]>) -> (Vec<u8>, Reading) {
    let mut translator = pair.stream(&setting());
    let mut out = Vec::new();
    for piece in pieces {
        translator.feed(piece, &mut out);
    }
    translator.finish(&mut out);
    if translator.first() == First::Error {
        let body = translator.error(502).expect("it began with one");
        expect_json(&body);
    }
    out.extend(translator.take_terminal());
    let reading = translator.take_reading();
    assert!(reading.complete != reading.error);
    (out.concat(), reading)
}
