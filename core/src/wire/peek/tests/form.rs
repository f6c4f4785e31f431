//! Recordings, as forms.

use super::*;
use crate::wire::splice::splice;
use bytes::Bytes;

const TYPE: &str = "multipart/form-data; boundary=b";

fn form(parts: &[(&str, &str)]) -> String {
    let part = |(head, content): &(&str, &str)| {
        format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
    };
    parts.iter().map(part).collect::<String>() + "--b--\r\n"
}

const FILE: (&str, &str) = ("name=\"file\"; filename=\"a.mp3\"", "sound");
const MODEL: (&str, &str) = ("name=\"model\"", "whisper-1");

#[test]
fn a_recording_is_read_and_its_model_is_put_in_as_it_is() {
    let sound = "s".repeat(12_001);
    let body = form(&[
        ("name=\"language\"", "en"),
        (FILE.0, &sound),
        ("name=\"include[]\"", "logprobs"),
        ("name=\"include[]\"", "more"),
        ("name=\"prompt\"", "Names: Ada, Grace"),
        MODEL,
        ("name=\"stream\"", "True"),
        ("name=\"response_format\"", "srt"),
    ]);
    let peek = peek_form(Some(TYPE), body.as_bytes()).unwrap();
    assert_eq!((&*peek.model, &body[peek.model_span.clone().unwrap()]), ("whisper-1", "whisper-1"));
    assert_eq!((peek.stream, peek.text_bytes, peek.messages, peek.ceiling), (true, 17, 1, None));
    assert_eq!(peek.recording, Some(Recording { seconds: 4, wants_text: true }));
    let spliced = |model| splice(&Bytes::from(body.clone()), &peek, model, true).parts.concat();
    assert_eq!(spliced("whisper-1"), body.as_bytes());
    let expected = body.replace("\r\n\r\nwhisper-1\r\n", "\r\n\r\nwhisper \"large\" モデル\r\n");
    assert_eq!(spliced("whisper \"large\" モデル"), expected.as_bytes());
    let plain = peek_form(Some(TYPE), form(&[MODEL, FILE]).as_bytes()).unwrap();
    assert_eq!((plain.stream, plain.recording), (false, Some(Recording { seconds: 1, wants_text: false })));
}

#[test]
fn what_could_be_another_model_is_refused_in_a_form_too() {
    for (param, parts) in [
        ("model", &[FILE][..]),
        ("model", &[FILE, MODEL, MODEL]),
        ("model", &[FILE, MODEL, ("name=\"model\"", "")]),
        ("model", &[FILE, ("name=\"model\"", "")]),
        ("model", &[FILE, ("name=\"model\"", "a\r\nb")]),
        ("model", &[FILE, ("name=\"model\"; filename=\"m\"", "whisper-1")]),
        ("model", &[FILE, ("name=\"model\"\r\nContent-Type: text/plain; charset=utf-16", "whisper-1")]),
        ("model", &[FILE, MODEL, ("name=\"Model\"", "other")]),
        ("model", &[FILE, MODEL, ("name=\"model[]\"", "other")]),
        ("model", &[FILE, MODEL, ("name=\"model[0][name]\"", "other")]),
        ("base_url", &[FILE, MODEL, ("name=\"base_url\"", "http://x")]),
        ("api_key", &[FILE, MODEL, ("name=\"apiKey\"", "sk")]),
        ("url", &[FILE, MODEL, ("name=\"url\"", "http://x")]),
        ("file", &[MODEL]),
        ("file", &[MODEL, ("name=\"file\"", "sound")]),
        ("file", &[MODEL, FILE, FILE]),
        ("stream", &[MODEL, FILE, ("name=\"stream\"", "1")]),
        ("stream", &[MODEL, FILE, ("name=\"stream\"", "true"), ("name=\"stream\"", "false")]),
        ("response_format", &[MODEL, FILE, ("name=\"responseFormat\"", "text")]),
    ] {
        let body = form(parts);
        let error = peek_form(Some(TYPE), body.as_bytes()).expect_err(&body);
        assert_eq!(error.param, Some(param), "{body}: {error}");
    }
    let long = "m".repeat(MAX_MODEL_BYTES + 1);
    assert!(peek_form(Some(TYPE), form(&[FILE, ("name=\"model\"", &long)]).as_bytes()).is_err());
    let error = peek_form(Some("application/json"), b"{}").unwrap_err();
    assert_eq!((error.param, error.message.contains("`multipart/form-data`")), (None, true), "{error}");
}
