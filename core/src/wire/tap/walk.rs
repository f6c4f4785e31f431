//! Walking through JSON to the few values that a meter looks for, without a tree and without
//! allocation.

use crate::wire::json::{JsonError, Scanner, Text, Token};

/// Shows `each` the members of a document that is an object, by name; it must read or [`skip`] each
/// one's value. Another document has none.
pub(super) fn document<'a>(
    json: &'a [u8],
    each: impl FnMut(&[u8], &mut Scanner<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    let mut scanner = Scanner::lenient(json);
    object(&mut scanner, each)?;
    // What follows the object must be nothing.
    scanner.next().map(drop)
}

/// As [`document`], of the value that comes next.
pub(super) fn object<'a>(
    scanner: &mut Scanner<'a>,
    each: impl FnMut(&[u8], &mut Scanner<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    let depth = scanner.depth();
    if scanner.next()? != Some(Token::ObjectOpen) {
        return pass_over(scanner, depth);
    }
    members(scanner, each)
}

/// As [`document`], of an object that has been opened.
pub(super) fn members<'a>(
    scanner: &mut Scanner<'a>,
    mut each: impl FnMut(&[u8], &mut Scanner<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    while let Some(Token::Key(key)) = scanner.next()? {
        each(&key.decode_bytes(), scanner)?;
    }
    Ok(())
}

/// Lets `each` read the [`members`] of every object in the array that comes next, or of the object
/// that stands in its place.
pub(super) fn objects<'a>(
    scanner: &mut Scanner<'a>,
    mut each: impl FnMut(&mut Scanner<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    match scanner.next()? {
        Some(Token::ObjectOpen) => return each(scanner),
        Some(Token::ArrayOpen) => {}
        _ => return Ok(()),
    }
    loop {
        let depth = scanner.depth();
        match scanner.next()? {
            Some(Token::ArrayClose) | None => return Ok(()),
            Some(Token::ObjectOpen) => each(scanner)?,
            Some(_) => pass_over(scanner, depth)?,
        }
    }
}

/// The value that comes next, where it is a string.
pub(super) fn string<'a>(scanner: &mut Scanner<'a>) -> Result<Option<Text<'a>>, JsonError> {
    let depth = scanner.depth();
    if let Some(Token::String(text)) = scanner.next()? {
        return Ok(Some(text));
    }
    pass_over(scanner, depth)?;
    Ok(None)
}

pub(super) fn skip(scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    scanner.walk(|_| {}).map(drop)
}

/// Passes over the rest of a value whose first token was read at `depth`.
fn pass_over(scanner: &mut Scanner<'_>, depth: u32) -> Result<(), JsonError> {
    while scanner.depth() > depth {
        scanner.next()?;
    }
    Ok(())
}

/// The `type` of an event, also of one of which only the beginning has come: once it is known, it
/// stays.
pub(super) fn kind(data: &[u8]) -> Option<Text<'_>> {
    let mut scanner = Scanner::lenient(data);
    if !matches!(scanner.next(), Ok(Some(Token::ObjectOpen))) {
        return None;
    }
    while let Ok(Some(Token::Key(key))) = scanner.next() {
        if key.is("type") {
            return string(&mut scanner).ok().flatten();
        }
        skip(&mut scanner).ok()?;
    }
    None
}

/// What stands for a count that is none.
const BAD: u64 = u64::MAX;

/// The counts of a usage object that have these names, at any depth but within arrays; `None`: not
/// given, or null. One that is no whole number is out of all bounds.
pub(super) fn counts<const N: usize>(usage: &[u8], names: [&str; N]) -> [Option<u64>; N] {
    let mut found = [None; N];
    let (mut scanner, mut arrays) = (Scanner::lenient(usage), 0);
    let mut named = None;
    while let Ok(Some(token)) = scanner.next() {
        let at = named.take().filter(|_| arrays == 0);
        match token {
            Token::Key(key) => named = names.iter().position(|name| key.is(name)),
            Token::ArrayOpen => arrays += 1,
            Token::ArrayClose => arrays -= 1,
            Token::Null | Token::ObjectClose => {}
            Token::Number(digits) => {
                if let Some(at) = at {
                    let count = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
                    found[at] = Some(count.unwrap_or(BAD));
                }
            }
            _ => {
                if let Some(at) = at {
                    found[at] = Some(BAD);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_an_event_is_known_once_it_has_come_and_stays() {
        for (event, known) in [
            (r#"{"type":"message_stop"}"#, 22),
            (r#"{ "a":{"type":"x"}, "n":12, "type" : "message_stop" , "b":1}"#, 51),
        ] {
            for to in 0..=event.len() {
                let kind = kind(&event.as_bytes()[..to]);
                assert_eq!(kind.is_some_and(|kind| kind.is("message_stop")), to >= known, "{}", &event[..to]);
            }
        }
        for other in ["", "[]", "{}", "[{\"type\":\"x\"}]", "{\"type\":7}", "{\"a\":{\"type\":\"x\"}}", "{]"]
        {
            assert_eq!(kind(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn counts_are_found_by_name_and_bad_ones_are_out_of_bounds() {
        let found = counts(
            br#"{"a":1,"more":{"b":2,"list":[{"a":9}]},"c":null,"d":-1,"e":"5","f":{"x":1},"a2":3}"#,
            ["a", "b", "c", "d", "e", "f", "g"],
        );
        assert_eq!(found, [Some(1), Some(2), None, Some(BAD), Some(BAD), Some(BAD), None]);
    }
}
