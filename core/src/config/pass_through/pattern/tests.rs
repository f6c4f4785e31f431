//! What an entry takes, what it keeps off, and which entries meet.

use super::*;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn takes(text: &str, path: &str) -> bool {
    segments_of(path).is_some_and(|segments| pattern(text).takes(&segments))
}

#[test]
fn a_path_is_taken_as_it_is_written_and_no_other() {
    for (text, path, expected) in [
        ("GET /v1/things", "/v1/things", true),
        ("GET /v1/things", "/v1/things/", false),
        ("GET /v1/things", "/v1/Things", false),
        ("GET /v1/things", "/v1beta/things", false),
        ("GET /v1/things", "/v1/things/a", false),
        ("GET /v1/things", "//v1/things", false),
        ("GET /v1/things", "/v1/./things", false),
        ("GET /v1/things", "/v1/x/../things", false),
        ("GET /v1/things", "/v1/thin%67s", false),
        ("GET /v1/things/{id}", "/v1/things/a-1", true),
        ("GET /v1/things/{id}", "/v1/things/", false),
        ("GET /v1/things/{id}", "/v1/things/a/b", false),
        ("GET /v1/things/{id}", "/v1/things/..", false),
        ("GET /v1/things/{id}", "/v1/things/...", false),
        ("GET /v1/things/{id}", "/v1/things/a%2fb", false),
        ("GET /v1/things/{id}", "/v1/things/a;b", false),
        ("GET /v1/things/{id}", "/v1/things/a\\b", false),
        ("POST /v1/things/{id}", "/v1/things/a:delete", false),
        ("POST /v1beta/things/{id}/parts", "/v1beta/things/a/parts", true),
        ("POST /v1beta/things:search", "/v1beta/things:search", true),
        ("GET /v1/things/*", "/v1/things", false),
        ("GET /v1/things/*", "/v1/things/a", true),
        ("GET /v1/things/*", "/v1/things/a/b/c", true),
        ("GET /v1/things/*", "/v1/things/a/../b", false),
        ("GET /v1/things/*", "/v1/things/files/b", false),
        ("GET /v1/things/*", "/v1/things/Vector-Stores", false),
        ("POST /v1/things/*", "/v1/things/a:delete", false),
        ("POST /v1/things/*", "/v1/things/client_secrets", false),
    ] {
        assert_eq!(takes(text, path), expected, "{text} {path}");
    }
    let long = format!("/v1/things{}", "/a".repeat(40));
    assert!(!takes("GET /v1/things/*", &long));
}

#[test]
fn entries_meet_where_one_path_is_taken_by_both() {
    for (one, other, expected) in [
        ("GET /v1/a", "GET /v1/a", true),
        ("GET /v1/a", "GET /v1/b", false),
        ("GET /v1/a", "GET /v1beta/a", false),
        ("GET /v1/a/{x}", "GET /v1/a/b", true),
        ("GET /v1/a/{x}", "GET /v1/a/{y}", true),
        ("GET /v1/a/{x}", "GET /v1/a/b:c", false),
        ("GET /v1/a/{x}/c", "GET /v1/a/b", false),
        ("GET /v1/a/*", "GET /v1/a", false),
        ("GET /v1/a/*", "GET /v1/a/b/c", true),
        ("GET /v1/a/*", "GET /v1/a/b/*", true),
        ("GET /v1/a/b/*", "GET /v1/a/c/*", false),
        ("GET /v1/a/*", "GET /v1/a/{x}", true),
    ] {
        let (one, other) = (pattern(one), pattern(other));
        assert_eq!((one.meets(&other), other.meets(&one)), (expected, expected), "{one} {other}");
    }
}

#[test]
fn nothing_opens_what_is_kept_or_what_is_the_gateways_own() {
    for path in [
        "/v1/files",
        "/v1/files/{id}",
        "/v1/Files",
        "/v1/batches",
        "/v1/responses/{id}",
        "/v1/fine_tuning/jobs",
        "/v1/fine-tunes",
        "/v1/vector_stores/{id}",
        "/v1beta/cachedContents",
        "/v1beta/operations:list",
        "/v1/messages/batches",
        "/v1/chat/completions",
        "/v1/chat/completions/{id}",
        "/v1/chat/{what}",
        "/v1/chat/*",
        "/v1/audio/*",
        "/v1/models",
        "/v1/models/{id}",
        "/v1beta/models/x:predict",
        "/v1/realtime/client_secrets",
    ] {
        for method in Method::ALL {
            let text = format!("{} {path}", method.as_str());
            assert!(Pattern::parse(&text).is_err(), "{text}");
        }
    }
    for text in ["POST /v1/images/variations", "POST /v1/images/edits", "GET /v1/chat/presets"] {
        assert_eq!(pattern(text).to_string(), text);
    }
    assert_eq!(pattern("GET /v1/a/{id}/b/*").to_string(), "GET /v1/a/{}/b/*");
}
