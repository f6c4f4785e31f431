//! Recordings in words.

use super::*;

const TYPE: &str = "multipart/form-data; boundary=b";

fn hear(fields: &[(&str, &str)], directive: &str) -> Script {
    let mut body =
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\n".to_owned();
    body += &"s".repeat(25_000);
    for (name, value) in fields {
        body += &format!("\r\n--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}");
    }
    body += "\r\n--b--\r\n";
    let endpoint = Endpoint::Transcription { content_type: TYPE };
    answer(endpoint, body.as_bytes(), Some(directive), 1, CREATED)
}

#[test]
fn a_recording_is_told_in_every_format_and_by_its_models_unit() {
    let tokens = ("model", "gpt-4o-transcribe");
    let plain = json_of(hear(&[tokens, ("prompt", "Hello there")], "tokens=9"));
    let said = plain["text"].as_str().unwrap().to_owned();
    assert_eq!(count(&said), 9);
    assert_eq!(
        plain["usage"],
        json!({
            "type": "tokens", "input_tokens": 72, "output_tokens": 9, "total_tokens": 81,
            "input_token_details": { "text_tokens": 2, "audio_tokens": 70 },
        })
    );
    let streamed = events(hear(&[tokens, ("stream", "true")], "tokens=9"));
    assert_eq!(streamed.len(), 9 + 2);
    let told: String = streamed[..9].iter().map(|event| event["delta"].as_str().unwrap()).collect();
    assert_eq!((&*told, &streamed[9]["text"], &streamed[10]), (&*said, &json!(said), &json!("[DONE]")));
    assert_eq!(streamed[9]["usage"]["input_tokens"], 70);

    let seconds = ("model", "whisper-1");
    // It does not stream.
    let plain = json_of(hear(&[seconds, ("stream", "true")], ""));
    assert_eq!(plain["usage"], json!({ "type": "duration", "seconds": 7 }));
    let verbose = json_of(hear(&[seconds, ("response_format", "verbose_json")], ""));
    assert_eq!((&verbose["duration"], &verbose["segments"][0]["text"]), (&json!(7), &verbose["text"]));
    for (format, begin, end) in [
        ("text", "", "\n"),
        ("srt", "1\n00:00:00,000 --> 00:00:07,000\n", "\n\n"),
        ("vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:07.000\n", "\n\n"),
    ] {
        let script = hear(&[seconds, ("response_format", format)], "tokens=9");
        assert_eq!(script.headers[0].1, "text/plain; charset=utf-8");
        assert_eq!(bytes(script), format!("{begin}{said}{end}").into_bytes(), "{format}");
    }
    assert_eq!(json_of(hear(&[seconds], "no_usage")).get("usage"), None);
}

#[test]
fn what_is_no_recording_is_refused() {
    let refused = |script: Script| {
        assert_eq!(script.status, 400);
        json_of(script)["error"]["param"].clone()
    };
    assert_eq!(refused(hear(&[], "")), "model");
    assert_eq!(refused(hear(&[("model", "m"), ("response_format", "docx")], "")), "response_format");
    assert_eq!(refused(hear(&[("model", "m"), ("stream", "1")], "")), "stream");
    let endpoint = Endpoint::Translation { content_type: TYPE };
    let body = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b--\r\n";
    assert_eq!(refused(answer(endpoint, body.as_bytes(), None, 1, CREATED)), "file");
    assert_eq!(refused(answer(endpoint, b"{}", None, 1, CREATED)), Value::Null);
}
