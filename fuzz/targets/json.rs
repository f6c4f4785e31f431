//! The scanner: what the strict one takes, serde takes and reads alike; what serde takes, the lenient one
//! does, within its bounds.

#![no_main]

use aione_core::wire::json::{JsonError, Scanner, Token};
use aione_fuzz::shown;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

fuzz_target!(|data: &[u8]| {
    let theirs = std::str::from_utf8(data).ok().map(serde_json::from_str::<&RawValue>);
    let strict = Scanner::strict(data).and_then(|scanner| walk(scanner, true));
    if strict.is_ok() {
        assert!(matches!(theirs, Some(Ok(_))), "taken: {}", shown(data));
    }
    let lenient = walk(Scanner::lenient(data), false);
    if let Some(Ok(_)) = theirs {
        let is_bounded = matches!(
            lenient,
            Ok(())
                | Err(JsonError::TooDeep { .. } | JsonError::NumberTooLong { .. } | JsonError::TooManyKeys)
        );
        assert!(is_bounded, "{lenient:?}: {}", shown(data));
    }
    if strict.is_ok() {
        assert_eq!(lenient, Ok(()), "{}", shown(data));
    }
});

/// Reads everything; of strict documents every string is what serde reads.
fn walk(mut scanner: Scanner<'_>, is_strict: bool) -> Result<(), JsonError> {
    while let Some(token) = scanner.next()? {
        let (Token::String(text) | Token::Key(text)) = token else { continue };
        let decoded = text.decode();
        assert_eq!(decoded.len(), text.decode_bytes().len().max(decoded.len()));
        if !is_strict {
            continue;
        }
        assert_eq!(text.decoded_bytes(), decoded.len());
        assert!(text.is(&decoded));
        let mut literal = Vec::new();
        aione_core::wire::json::push_string(&mut literal, &decoded);
        let again: String = serde_json::from_slice(&literal).expect("a literal that we wrote");
        assert_eq!(again, decoded);
    }
    Ok(())
}
