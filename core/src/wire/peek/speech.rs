//! How long a text is that is to be spoken: <https://platform.openai.com/docs/api-reference/audio/createSpeech>.

use crate::wire::json::{JsonError, Scanner, Token};

/// The member that is spoken.
const SPOKEN: &str = "input";

/// Characters of Unicode in the text of a body that [`super::peek`] has taken; 0 where there is none.
#[must_use]
pub fn spoken_characters(body: &[u8]) -> u64 {
    read(body).unwrap_or(0)
}

fn read(body: &[u8]) -> Result<u64, JsonError> {
    let mut scanner = Scanner::strict(body)?;
    let mut characters = 0;
    if scanner.next()? != Some(Token::ObjectOpen) {
        return Ok(0);
    }
    while let Some(Token::Key(key)) = scanner.next()? {
        let is_spoken = key.is(SPOKEN);
        let mut first = None;
        scanner.walk(|token| {
            first.get_or_insert(*token);
        })?;
        if let (true, Some(Token::String(text))) = (is_spoken, first) {
            characters = text.decode().chars().count() as u64;
        }
    }
    Ok(characters)
}

#[cfg(test)]
mod tests {
    use super::spoken_characters;

    #[test]
    fn characters_are_those_of_unicode_in_what_is_spoken() {
        for (body, characters) in [
            (r#"{"model":"m","input":"Grüße, 你好","instructions":"slowly"}"#, 9),
            (r#"{"in\u0070ut":"\ud83d\ude00\n","other":{"input":"no"}}"#, 2),
            (r#"{"input":["a"]}"#, 0),
            (r#"{"input":""}"#, 0),
            ("[]", 0),
            ("{", 0),
        ] {
            assert_eq!(spoken_characters(body.as_bytes()), characters, "{body}");
        }
    }
}
