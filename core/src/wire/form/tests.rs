//! What forms are taken, and each way of writing that is not, with the words that say why.

use super::*;
use proptest::prelude::*;

const TYPE: &str = "multipart/form-data; boundary=xYz";

fn parts<'a>(content_type: &str, body: &'a str) -> Result<Vec<(&'a str, bool, &'a str)>, String> {
    let parts = read(Some(content_type), body.as_bytes()).map_err(|error| error.to_string())?;
    Ok(parts.into_iter().map(|part| (part.name, part.is_file, &body[part.content])).collect())
}

/// Both parts of one form.
fn form(first: &str, second: &str) -> String {
    format!("--xYz\r\n{first}\r\n--xYz\r\n{second}\r\n--xYz--\r\n")
}

#[test]
fn what_common_clients_write_is_read() {
    let file = "Content-Disposition: form-data; name=\"file\"; filename=\"ä\\b; name=.wav\"\r\nContent-Type: audio/wav\r\n\r\n\0\r\n--xY\n\r\n";
    let model = "content-disposition:form-data; name=\"model\"\r\n\r\nwhisper-1";
    let expected = Ok(vec![("file", true, "\0\r\n--xY\n\r\n"), ("model", false, "whisper-1")]);
    let body = form(file, model);
    for content_type in [
        TYPE,
        "Multipart/Form-Data;boundary=\"xYz\"",
        "multipart/form-data; charset=utf-8; boundary=xYz",
        "multipart/form-data ; Boundary=xYz ;",
    ] {
        assert_eq!(parts(content_type, &body), expected, "{content_type}");
    }
    let bare = body.strip_suffix("\r\n").unwrap();
    assert_eq!(parts(TYPE, bare), expected);
    assert_eq!(parts(TYPE, &format!("\r\n{body}")), expected);
    assert_eq!(parts(TYPE, "--xYz--"), Ok(Vec::new()));
    let empty =
        "Content-Disposition: form-data; name=prompt; filename*=UTF-8''a\r\nContent-Length: 0\r\n\r\n";
    let expected = Ok(vec![("prompt", true, ""), ("model", false, "whisper-1")]);
    assert_eq!(parts(TYPE, &form(empty, model)), expected);
}

#[test]
fn what_could_be_read_in_two_ways_is_refused_and_why_is_told() {
    let named = "Content-Disposition: form-data; name=\"a\"";
    let whole = format!("--xYz\r\n{named}\r\n\r\n1\r\n--xYz--\r\n");
    assert!(parts(TYPE, &whole).is_ok());
    for (content_type, why) in [
        ("application/json", "must come with the content type"),
        ("multipart/form-data", "without a boundary"),
        ("multipart/form-data; boundary=", "of 1 to 70"),
        ("multipart/form-data; boundary=\"x Yz\"", "of 1 to 70"),
        ("multipart/form-data; boundary=xYz; boundary=b", "cannot be read"),
        ("multipart/form-data; boundary=xYz; boundary*0=b", "more than one"),
        ("multipart/form-data; boundary*=xYz", "more than one"),
        ("multipart/form-data; boundary=\"xYz", "cannot be read"),
        ("multipart/form-data; boundary=xYz b=c", "cannot be read"),
        (&format!("multipart/form-data; boundary={}", "x".repeat(71)), "of 1 to 70"),
    ] {
        let error = parts(content_type, &whole).unwrap_err();
        assert!(error.contains(why), "{content_type}: {error}");
    }
    let long = format!("X: {}\r\n", "y".repeat(MAX_HEADER_BYTES));
    let many = format!("--xYz\r\n{named}\r\n\r\n1\r\n").repeat(MAX_PARTS + 1) + "--xYz--";
    for (body, why) in [
        ("", "does not begin"),
        ("hello", "does not begin"),
        (&format!("preamble\r\n{whole}"), "does not begin"),
        (&format!("{whole}more"), "behind its end"),
        (&whole.replace("\r\n--xYz--\r\n", ""), "broken off"),
        (&whole[..whole.len() - 3], "in a line with something else"),
        (&whole.replace("1\r\n--", "1\n--"), "in a line with something else"),
        (&whole.replace("1\r\n", "1--xYz\r\n"), "in a line with something else"),
        (&whole.replace("\r\n--xYz--", "\r\n--xYz \r\n--xYz--"), "in a line with something else"),
        (&whole.replace("--xYz\r\n", "--xYz  \r\n"), "in a line with something else"),
        // For some this part is empty, and for others it is one with all that follows.
        (&whole.replace("\r\n\r\n1", "\r\n"), "do not end within"),
        (&whole.replace(named, &format!("{long}{named}")), "do not end within"),
        (&whole.replace(named, "X: 1"), "without `Content-Disposition`"),
        (&whole.replace(named, &format!("{named}\r\n{named}")), "more than one `Content-Disposition`"),
        (&whole.replace(named, &format!("{named}\r\n folded: 1")), "that is none"),
        (&whole.replace(named, &format!("{named}\nX: 1")), "that is none"),
        (
            &whole.replace(named, &format!("{named}\r\nContent-Transfer-Encoding: base64")),
            "transfer encoding",
        ),
        (&whole.replace("form-data", "attachment"), "cannot be read"),
        (&whole.replace("; name=\"a\"", ""), "without a name"),
        (&whole.replace("\"a\"", "\"\""), "plain characters"),
        (&whole.replace("\"a\"", "\"%61\""), "plain characters"),
        (&whole.replace("\"a\"", "\"ä\""), "plain characters"),
        (&whole.replace("\"a\"", "\"a\"; name=\"b\""), "cannot be read"),
        (&whole.replace("\"a\"", "\"a\"; name*=b"), "more than its name"),
        (&whole.replace("\"a\"", "\"a\"; filename=\"\\\"; name=\"b\""), "cannot be read"),
        (&whole.replace("\"a\"", "\"a"), "cannot be read"),
        (&many, "more than 64 parts"),
    ] {
        let error = parts(TYPE, body).unwrap_err();
        assert!(error.contains(why), "{body}: {error}");
    }
    assert!(read(None, whole.as_bytes()).is_err());
    assert!(
        read(Some(TYPE), b"--xYz\r\nContent-Disposition: form-data; name=\"\xff\"\r\n\r\n1\r\n--xYz--")
            .is_err()
    );
}

#[test]
fn a_part_tells_of_an_encoding_in_which_its_bytes_say_something_else() {
    for (kind, is_recoded) in [
        ("text/plain", false),
        ("text/plain; charset=UTF-8", false),
        ("text/plain; charset=\"utf-8\"", false),
        ("application/json; charset=utf-16", true),
        ("text/plain; charset=utf-8; charset=utf-16", true),
    ] {
        let part = format!("Content-Disposition: form-data; name=\"a\"\r\nContent-Type: {kind}\r\n\r\n1");
        let body = form(&part, &part);
        assert_eq!(read(Some(TYPE), body.as_bytes()).unwrap()[0].is_recoded, is_recoded, "{kind}");
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        fields in prop::collection::vec(("[a-z_]{1,12}(\\[\\])?", any::<bool>(), any::<Vec<u8>>()), 0..8),
    ) {
        let boundary = "no-such-thing-within";
        let mut body = Vec::new();
        for (name, is_file, content) in &fields {
            let file = if *is_file { "; filename=\"f\"" } else { "" };
            let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let parts = read(Some(&format!("multipart/form-data; boundary={boundary}")), &body).unwrap();
        let found: Vec<_> = parts
            .into_iter()
            .map(|part| (part.name.to_owned(), part.is_file, body[part.content].to_vec()))
            .collect();
        prop_assert_eq!(found, fields);
    }

    #[test]
    fn a_form_that_is_cut_is_none(cut in 0_usize..400) {
        let part = "Content-Disposition: form-data; name=\"a\"\r\n\r\n1";
        let body = form(part, part);
        let whole = body.len() - 2;
        prop_assume!(cut < whole);
        prop_assert!(read(Some(TYPE), &body.as_bytes()[..cut]).is_err());
    }
}
