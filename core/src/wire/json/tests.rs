//! Tests of the scanner: what is refused, that what is taken is what serde_json takes, and that
//! hostile input costs little.

use super::{
    watch::{Member, Watch},
    *,
};
use proptest::prelude::*;

fn scan(bytes: &[u8]) -> Result<(), JsonError> {
    let mut scanner = Scanner::strict(bytes)?;
    while scanner.next()?.is_some() {}
    Ok(())
}

#[track_caller]
fn refused(json: impl AsRef<[u8]>, because: &str) {
    let json = json.as_ref();
    let error = scan(json).expect_err(&String::from_utf8_lossy(&json[..json.len().min(80)]));
    assert!(error.to_string().contains(because), "{error} does not say `{because}`");
}

#[test]
fn what_is_not_json_is_refused() {
    let table: &[(&str, &[u8])] = &[
        ("end", b""),
        ("end", b"  "),
        ("end", b"{"),
        ("end", b"{\"a\":1"),
        ("end", b"[1,"),
        ("end", b"\"abc"),
        ("end", b"{\"abc"),
        ("colon", b"{\"a\" 1}"),
        ("colon", b"{\"a\""),
        ("key", b"{a:1}"),
        ("key", b"{'a':1}"),
        ("key", b"{\"a\":1,}"),
        ("key", b"{,}"),
        ("value", b"[1,]"),
        ("value", b"[,1]"),
        ("value", b"{\"a\":}"),
        ("comma", b"[1 2]"),
        ("comma", b"{\"a\":1 \"b\":2}"),
        ("comma", b"[1}"),
        ("comma", b"{\"a\":1]"),
        ("trailing", b"{} {}"),
        ("trailing", b"{},"),
        ("trailing", b"1 2"),
        ("trailing", b"{}\0"),
        ("value", b"NaN"),
        ("value", b"[Infinity]"),
        ("malformed number", b"-Infinity"),
        ("value", b"nul"),
        ("value", b"True"),
        ("trailing", b"nulls"),
        ("value", b"// x\n1"),
        ("value", b"/* x */ 1"),
        ("comma", b"[1 // x\n]"),
        ("value", b"\xc2\xa01"),
        ("malformed number", b"-"),
        ("malformed number", b"01"),
        ("malformed number", b"-01"),
        ("malformed number", b"1."),
        ("value", b".5"),
        ("value", b"+1"),
        ("malformed number", b"1e"),
        ("malformed number", b"1e+"),
        ("trailing", b"0x10"),
        ("control character", b"\"a\nb\""),
        ("control character", b"\"\0\""),
        ("control character", b"\"0123456789012345678901234567890123456789\x1f\""),
        ("control character", b"{\"a\tb\":1}"),
        ("escape", b"\"\\x41\""),
        ("escape", b"\"\\u12\""),
        ("escape", b"\"\\u12g4\""),
        ("escape", b"\"\\u+123\""),
        ("escape", b"\"\\"),
        ("escape", b"\"\\ud800\""),
        ("escape", b"\"\\udc00\""),
        ("escape", b"\"\\ud800\\ud800\""),
        ("escape", b"\"\\ud800x\""),
        ("escape", b"{\"\\udfff\":1}"),
        ("byte order mark", b"\xef\xbb\xbf{}"),
        ("UTF-8 at byte 1", b"\"\xff\""),
        ("UTF-8", b"\"\xed\xa0\x80\""),
        ("UTF-8", b"\"\xc0\xaf\""),
        ("UTF-8", b"{}\xe2\x82"),
    ];
    for (because, json) in table {
        refused(json, because);
    }
}

#[test]
fn what_is_json_is_taken() {
    for json in [
        "{}",
        " [ ] ",
        "null",
        "\"\"",
        "-0.0e-10",
        "1e400",
        "{\"a\":{\"a\":[{\"a\":1},{\"a\":2}]},\"A\":3}",
        "\"\\ud83d\\ude42 \\u0000 \\\" \\/ \u{7f}\u{2028}\"",
        "[0,10,-1.5E+3,true,false,null,\"x\",{},[[]]]\r\n\t ",
    ] {
        assert_eq!(scan(json.as_bytes()), Ok(()), "{json}");
    }
}

#[test]
fn a_key_given_twice_is_refused_however_it_is_spelt() {
    let many = |extra: &str| {
        let keys: Vec<String> = (0..1000).map(|key| format!("\"key{key}\":0")).collect();
        format!("{{{},{extra}}}", keys.join(","))
    };
    for json in [
        r#"{"model":1,"model":2}"#.to_owned(),
        r#"{"model":1,"x":{},"m\u006fdel":2}"#.to_owned(),
        r#"{"\u006d\u006F\u0064\u0065\u006c":1,"model":2}"#.to_owned(),
        r#"{"\/":1,"/":2}"#.to_owned(),
        r#"{"🙂":1,"\ud83d\ude42":2}"#.to_owned(),
        r#"{"a":[{"b":{"c":1,"c":1}}]}"#.to_owned(),
        r#"{"a":1,"b":{"x":1},"a":2}"#.to_owned(),
        r#"{"":1,"":2}"#.to_owned(),
        many("\"key500\":1"),
        many("\"k\\u0065y999\":1"),
    ] {
        refused(json, "given twice");
    }
    assert_eq!(scan(many("\"key1000\":1").as_bytes()), Ok(()));
    let error = scan(format!("{{\"{0}\":1,\"{0}\":1}}", "x".repeat(10_000)).as_bytes()).unwrap_err();
    assert!(error.to_string().len() < 200, "the message is short whatever the key");
}

#[test]
fn bombs_are_refused_at_their_bound() {
    refused("[".repeat(100_000), "levels deep");
    refused("{\"a\":".repeat(100_000), "levels deep");
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(scan(nested(MAX_DEPTH as usize).as_bytes()), Ok(()));
    refused(nested(MAX_DEPTH as usize + 1), "levels deep");

    let keys: Vec<String> = (0..1_000_000).map(|key| format!("\"{key}\":0")).collect();
    refused(format!("{{{}}}", keys.join(",")), "more than 131072 keys");
    let spread: Vec<&str> = vec!["{\"a\":0}"; 1_000_000];
    refused(format!("[{}]", spread.join(",")), "more than 131072 keys");

    refused("1".repeat(10_000_000), "a number of more than");
    assert_eq!(scan("1".repeat(MAX_NUMBER_BYTES).as_bytes()), Ok(()));
}

#[test]
fn strings_decode_and_spans_hold_them() {
    let json = br#"{"k\u0065y" : "a\n\u4e2d\ud83d\ude42\"" }"#;
    let mut scanner = Scanner::strict(json).unwrap();
    scanner.next().unwrap();
    let Some(Token::Key(key)) = scanner.next().unwrap() else { panic!("no key") };
    assert!(key.is("key") && !key.is("kex"));
    let Some(Token::String(text)) = scanner.next().unwrap() else { panic!("no string") };
    assert_eq!(text.decode(), "a\n中🙂\"");
    assert_eq!(text.decoded_bytes(), "a\n中🙂\"".len());
    assert_eq!(&json[scanner.span()], br#""a\n\u4e2d\ud83d\ude42\"""#);
}

#[test]
fn the_lenient_scanner_puts_up_with_what_upstreams_write() {
    let mut scanner = Scanner::lenient(b"{\"a\":\"\\ud83d\",\"a\":\"\xff\"}");
    let mut texts = Vec::new();
    scanner
        .walk(|token| {
            if let Token::String(text) = token {
                texts.push(text.decode().into_owned());
            }
        })
        .unwrap();
    assert_eq!(texts, ["\u{fffd}", "\u{fffd}"]);
}

#[test]
fn a_watch_finds_top_level_members_however_the_text_is_cut() {
    let check = |json: &str, expect: [Option<&str>; 2], whole: bool| {
        for size in 1..=json.len() {
            let mut watch = Watch::new(["usage", "error"]);
            json.as_bytes().chunks(size).for_each(|chunk| watch.feed(chunk));
            let found = watch.members().clone().map(|member| match member {
                Member::Value(value) => Some(String::from_utf8(value).unwrap().trim().to_owned()),
                _ => None,
            });
            assert_eq!(found, expect.map(|value| value.map(str::to_owned)), "{json} cut at {size}");
            assert_eq!(watch.is_whole(), whole, "{json}");
        }
    };
    check(
        r#" {"a":"\"usage\":{\"x\":1}","usage" : {"b":[1,2,"}"]} , "error":null} "#,
        [Some(r#"{"b":[1,2,"}"]}"#), Some("null")],
        true,
    );
    check(r#"{"a":{"usage":{}},"b":[{"usage":1}],"c\\":"\\","d":"\\\""}"#, [None, None], true);
    check(r#"{"us\u0061ge":1,"error":[]}"#, [Some("1"), Some("[]")], true);
    check(r#"{"usage":1,"usage":22}"#, [Some("22"), None], true);
    check(r#"{"usage":{"a":1}"#, [Some(r#"{"a":1}"#), None], false);
    check(r#"{"usage":{"a":1}} x"#, [Some(r#"{"a":1}"#), None], false);
    check(r#"[{"usage":1}]"#, [None, None], false);
    check("<html>\"usage\":1</html>", [None, None], false);
    check("{]", [None, None], false);
    check("{}", [None, None], true);
}

#[test]
fn a_watch_keeps_little_of_a_long_answer() {
    let mut watch = Watch::new(["usage", "error"]);
    watch.feed(b"{\"data\":[");
    for _ in 0..10_000 {
        watch.feed(b"{\"embedding\":[-0.00692, 1e-05, 0.25]},");
    }
    watch.feed(b"{}],\"error\":\"");
    for _ in 0..10 {
        watch.feed(&[b'x'; 10_000]);
    }
    watch.feed(b"\",\"usage\":{\"prompt_tokens\":1}}");
    assert!(watch.is_whole());
    assert_eq!(watch.members(), &[Member::Value(b"{\"prompt_tokens\":1}".to_vec()), Member::TooLong]);
}

#[test]
fn a_string_of_any_length_ends_where_it_ends() {
    let error = |document: &[u8]| Scanner::strict(document).unwrap().next().unwrap_err();
    for length in 0..400 {
        let plain = "x".repeat(length);
        let document = format!("\"{plain}\"{}", " ".repeat(200));
        let mut scanner = Scanner::strict(document.as_bytes()).unwrap();
        let Ok(Some(Token::String(text))) = scanner.next() else { panic!("{document}") };
        assert_eq!((text.decode(), scanner.span()), (plain.as_str().into(), 0..length + 2));
        let document = format!("\"{plain}\\n{plain}ü\"");
        let Ok(Some(Token::String(text))) = Scanner::strict(document.as_bytes()).unwrap().next() else {
            panic!("{document}")
        };
        assert_eq!(text.decode(), format!("{plain}\n{plain}ü"));
        let control = format!("\"{plain}\u{1}{plain}\"");
        let what = "a control character in a string";
        assert_eq!(error(control.as_bytes()), JsonError::Syntax { what, at: length + 1 });
        let invalid = [b"\"", plain.as_bytes(), b"\xff", plain.as_bytes(), b"\""].concat();
        assert_eq!(error(&invalid), JsonError::NotUtf8 { at: length + 1 });
    }
}

#[test]
fn escapes_are_found_however_many_stand_in_a_string_and_wherever_they_do() {
    for gap in 0..140 {
        for rest in [0, 1, 70] {
            let plain = "x".repeat(gap);
            let line = format!("{plain}\\u201c{plain}\\n{plain}\\\\");
            let document = format!("\"{}\"{}", line.repeat(4), " ".repeat(rest));
            let mut scanner = Scanner::strict(document.as_bytes()).unwrap();
            let Ok(Some(Token::String(text))) = scanner.next() else { panic!("{document}") };
            let decoded = format!("{plain}\u{201c}{plain}\n{plain}\\").repeat(4);
            assert_eq!((text.decode().as_ref(), text.decoded_bytes()), (decoded.as_str(), decoded.len()));
            assert_eq!(scanner.span(), 0..document.len() - rest);
            let control = document.replacen("\\n", "\n", 1);
            let at = control.find('\n').unwrap();
            let what = "a control character in a string";
            assert_eq!(
                Scanner::strict(control.as_bytes()).unwrap().next(),
                Err(JsonError::Syntax { what, at })
            );
        }
    }
}

#[test]
fn a_value_is_passed_over_by_its_outline() {
    for value in [
        "{}",
        " [ ] ",
        r#"{"a":"}","b":["\\\"]",{"c":{}}],"d":"\u007d"}"#,
        "[1,2,3.5e7,null,true]",
        "\"a string with } and ] in it\"",
        "-12.5",
        "null",
        // Judged by nobody.
        "{ not: json }",
        "{\"a\":1]",
    ] {
        for room in 0..40 {
            let pad = " ".repeat(room);
            let document = format!("{{{pad}\"k\":{value},{pad}\"l\":7}}");
            let mut scanner = Scanner::lenient(document.as_bytes());
            assert_eq!(scanner.next(), Ok(Some(Token::ObjectOpen)));
            assert!(matches!(scanner.next(), Ok(Some(Token::Key(key))) if key.is("k")), "{document}");
            let skipped = scanner.skip().unwrap_or_else(|error| panic!("{document}: {error}"));
            assert_eq!(&document[skipped], value.trim());
            assert!(matches!(scanner.next(), Ok(Some(Token::Key(key))) if key.is("l")), "{document}");
            assert_eq!(scanner.next(), Ok(Some(Token::Number(b"7"))));
            assert_eq!(scanner.next(), Ok(Some(Token::ObjectClose)));
            assert_eq!(scanner.next(), Ok(None));
            for cut in
                document.find(value).unwrap()..document.find(value).unwrap() + value.trim_end().len() - 1
            {
                let mut scanner = Scanner::lenient(&document.as_bytes()[..=cut]);
                scanner.next().unwrap();
                scanner.next().unwrap();
                let number = value.starts_with('-');
                assert!(number || scanner.skip().is_err(), "{document} cut at {cut}");
            }
        }
    }
}

proptest! {
    /// Of what is JSON, the outline ends where the value ends.
    #[test]
    fn what_is_passed_over_is_what_is_walked_over(json in "[\\[\\]{}\",:0-9a-f\\\\u. -]{0,60}") {
        let document = format!("{{\"k\":{json}}}");
        let after_key = || {
            let mut scanner = Scanner::lenient(document.as_bytes());
            scanner.next().unwrap();
            scanner.next().unwrap();
            scanner
        };
        if let Ok(walked) = after_key().walk(|_| {}) {
            let mut scanner = after_key();
            prop_assert_eq!(scanner.skip(), Ok(walked));
            let mut other = after_key();
            other.walk(|_| {}).unwrap();
            prop_assert_eq!(scanner.next(), other.next());
        }
    }

    /// Whatever the bytes, the scanner ends without a panic, and what it takes serde_json takes.
    #[test]
    fn the_scanner_takes_nothing_that_serde_json_refuses(json in "[\\[\\]{}\",:0-9a-f\\\\u. \n+-]{0,40}") {
        if scan(json.as_bytes()).is_ok() && !json.contains(['e', 'E']) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{}", json);
        }
    }

    #[test]
    fn any_text_survives_being_written_and_read(text in any::<String>()) {
        let mut json = Vec::new();
        push_string(&mut json, &text);
        let mut scanner = Scanner::strict(&json).unwrap();
        let Some(Token::String(read)) = scanner.next().unwrap() else { panic!("no string") };
        prop_assert_eq!(&read.decode(), &text);
        prop_assert_eq!(read.decoded_bytes(), text.len());
        prop_assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
    }

    /// The block-wise search sees a special byte at every offset.
    #[test]
    fn a_string_ends_where_its_quote_is(plain in "[ -!#-\\[\\]-~é中🙂]{0,200}", rest in ".{0,50}") {
        let json = format!("\"{plain}\"{rest}");
        let mut scanner = Scanner::strict(json.as_bytes()).unwrap();
        scanner.next().unwrap();
        prop_assert_eq!(scanner.span(), 0..plain.len() + 2);
    }
}

#[test]
fn a_control_character_is_found_wherever_it_stands_in_a_string_of_any_length() {
    for length in 1..100 {
        for at in 0..length {
            let mut text = vec![b'x'; length];
            text[at] = 0x1f;
            let document = [b"\"", &text[..], b"\""].concat();
            let mut scanner = Scanner::lenient(&document);
            let error = scanner.next().expect_err("a control character");
            assert_eq!(error, JsonError::Syntax { what: "a control character in a string", at: at + 1 });
            text[at] = b'\\';
            text.insert(at + 1, b'n');
            let document = [b"\"", &text[..], b"\""].concat();
            let Ok(Some(Token::String(read))) = Scanner::lenient(&document).next() else {
                panic!("{at} of {length}")
            };
            assert_eq!(read.decoded_bytes(), length);
        }
    }
}
