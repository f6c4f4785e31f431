//! What a caller asks in one dialect is asked in each: as JSON that the dialect itself reads, and that says
//! the same each time it is written again.

#![no_main]

use aione_core::wire::{
    chat::Dropped,
    codec::{CODECS, UrlSays, codec},
};
use aione_fuzz::{Input, expect_equal, expect_json, shown};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(input) = Input::of(data) else { return };
    let url = UrlSays { model: Some("a-model"), stream: Some(input.flag) };
    let from = codec(input.dialect).expect("each dialect has a codec");
    let Ok(request) = from.decode_request(input.bytes, url, &mut Dropped::default()) else { return };
    for to in CODECS {
        let mut dropped = Dropped::default();
        let Ok(body) = to.encode_request(&request, "upstream-model", &mut dropped) else { continue };
        let _ = dropped.header();
        expect_json(&body);
        let what = || format!("{} as {}: {}", shown(input.bytes), to.dialect().as_str(), shown(&body));
        // What the dialect's own reader makes of it comes to rest: some writings become others once.
        let mut said = body.clone();
        for is_first in [true, false] {
            let again = to.decode_request(&said, url, &mut Dropped::default());
            // Gemini takes videos by their address, which its callers' reader refuses: no other model takes any.
            if again.as_ref().is_err_and(|error| error.to_string().ends_with("a video cannot be carried")) {
                break;
            }
            let again = again.unwrap_or_else(|error| panic!("{error}: {}", what()));
            let next = to.encode_request(&again, "upstream-model", &mut Dropped::default());
            let next = next.unwrap_or_else(|error| panic!("{error}: {}", what()));
            if !is_first {
                expect_equal(&next, &said, what);
            }
            said = next;
        }
    }
});
