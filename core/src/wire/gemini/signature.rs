//! Thought signatures.
//!
//! SDKs hold a signature as bytes and write it back in base64, some in the URL's alphabet:
//! <https://ai.google.dev/gemini-api/docs/thought-signatures>. So a foreign one travels as base64 of
//! its sealed text; an own one is passed on as the text that it is.

use crate::wire::{Dialect, chat::Signature};
use base64::{Engine, engine};

/// What stands for the signature of a call that another model made, by the vendor's document; the
/// first is what is written.
pub(super) const NONE: [&str; 2] =
    ["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];

/// Base64 in either alphabet, padded or not.
const ANY_PADDING: engine::GeneralPurposeConfig =
    engine::GeneralPurposeConfig::new().with_decode_padding_mode(engine::DecodePaddingMode::Indifferent);
const ANY_STANDARD: engine::GeneralPurpose =
    engine::GeneralPurpose::new(&base64::alphabet::STANDARD, ANY_PADDING);

/// What a caller gave back; `None`: it stands for none.
pub(super) fn opened(text: String) -> Option<Signature> {
    if text.is_empty() || NONE.contains(&&*text) {
        return None;
    }
    let sealed =
        ANY_STANDARD.decode(standard(text.clone())).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let foreign = sealed.map(|sealed| Signature::opened(Dialect::Gemini, &sealed));
    Some(match foreign {
        Some(signature) if signature.dialect != Dialect::Gemini => signature,
        _ => own(text),
    })
}

/// As an upstream gave it.
pub(super) fn own(data: String) -> Signature {
    Signature { dialect: Dialect::Gemini, data }
}

/// As a caller is given it.
pub(super) fn sealed(signature: &Signature) -> String {
    let text = signature.sealed(Dialect::Gemini);
    if signature.dialect == Dialect::Gemini { text } else { engine::general_purpose::STANDARD.encode(text) }
}

/// Base64 in the standard alphabet with its padding, whichever it was in.
pub(super) fn standard(base64: String) -> String {
    let mut out =
        if base64.contains(['-', '_']) { base64.replace('-', "+").replace('_', "/") } else { base64 };
    let missing = [0, 0, 2, 1][out.len() % 4];
    out.extend(std::iter::repeat_n('=', missing));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_signature_is_base64_and_comes_back_in_either_alphabet() {
        let signature = Signature { dialect: Dialect::AnthropicMessages, data: "Eq>>??~~+/=".to_owned() };
        let carried = sealed(&signature);
        let bytes = engine::general_purpose::STANDARD.decode(&carried).unwrap();
        assert_eq!(bytes, signature.sealed(Dialect::Gemini).as_bytes());
        let url = engine::general_purpose::URL_SAFE.encode(&bytes);
        for text in [carried, url.clone(), url.trim_end_matches('=').to_owned()] {
            assert_eq!(opened(text), Some(signature.clone()));
        }
    }

    #[test]
    fn an_own_signature_keeps_its_bytes() {
        for data in ["CqQBAVSoXO4=", "Cq-_", "not base64 at all", "YWlvbmUu", "YWlvbmUuZ2VtaW5pLng="] {
            let signature = opened(data.to_owned()).unwrap();
            assert_eq!(signature, own(data.to_owned()));
            assert_eq!(sealed(&signature), data);
        }
        assert_eq!(opened(NONE[0].to_owned()), None);
        assert_eq!(opened(String::new()), None);
    }
}
