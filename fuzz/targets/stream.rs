//! What is read of a stream does not depend on where it was cut, and reaches callers of every dialect.

#![no_main]

use aione_core::wire::codec::{CODECS, codec};
use aione_fuzz::{Input, expect_same, fold, read, shown, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(input) = Input::of(data) else { return };
    let from = codec(input.dialect).expect("each dialect has a codec");
    let events = read(from, [input.bytes]);
    assert_eq!(read(from, input.cut(input.bytes)), events, "{}", shown(input.bytes));
    assert_eq!(read(from, input.bytes.chunks(1)), events, "{}", shown(input.bytes));
    let before = fold(&events);
    for to in CODECS {
        let said = write(to, &events);
        let again = fold(&read(to, [&*said]));
        let what = || format!("{} as {}: {}", shown(input.bytes), to.dialect().as_str(), shown(&said));
        assert_eq!(again.error().is_some(), before.error().is_some(), "{}", what());
        if before.error().is_none() && before.is_done() {
            assert!(again.is_done(), "{}", what());
            expect_same(what, before.answer(), again.answer());
        }
    }
});
