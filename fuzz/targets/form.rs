//! What is read of a form is where it says, and its model is put in without a change of anything else.

#![no_main]

use aione_core::wire::{
    form,
    peek::{MAX_MODEL_BYTES, peek_form},
    splice::splice,
};
use aione_fuzz::shown;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

const TYPE: &str = "multipart/form-data; boundary=b";
const MODEL: &str = "an\"other\\モデル";

fuzz_target!(|data: &[u8]| {
    // The first line may be another content type.
    let (content_type, body) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) if data.starts_with(b"multipart") => match std::str::from_utf8(&data[..at]) {
            Ok(line) => (line, &data[at + 1..]),
            Err(_) => return,
        },
        _ => (TYPE, data),
    };
    let Ok(parts) = form::read(Some(content_type), body) else {
        assert!(peek_form(Some(content_type), body).is_err());
        return;
    };
    assert!(parts.len() <= form::MAX_PARTS);
    let mut behind = 0;
    for part in &parts {
        assert!(behind <= part.content.start && part.content.end <= body.len(), "{}", shown(body));
        assert!((1..=form::MAX_NAME_BYTES).contains(&part.name.len()));
        behind = part.content.end;
    }
    let body = Bytes::copy_from_slice(body);
    let Ok(read) = peek_form(Some(content_type), &body) else { return };
    let named: Vec<_> = parts.iter().filter(|part| part.name == "model").collect();
    assert!(named.len() == 1 && read.model.len() <= MAX_MODEL_BYTES);
    let span = read.model_span.clone().expect("a form names its model");
    assert_eq!((&named[0].content, &body[span.clone()]), (&span, read.model.as_bytes()));
    let spliced = splice(&body, &read, MODEL, true).parts.concat();
    let expected = [&body[..span.start], MODEL.as_bytes(), &body[span.end..]].concat();
    assert_eq!(spliced, expected, "{}", shown(&body));
    let again = peek_form(Some(content_type), &spliced).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((&*again.model, again.stream, again.recording), (MODEL, read.stream, read.recording));
});
