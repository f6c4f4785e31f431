//! How signatures travel in `encrypted_content`, the one field of this dialect that callers give back
//! unchanged: the vendor's own as they are, those of other dialects sealed.
//!
//! Other dialects also sign calls and texts, and have thoughts that are nothing but a signature. Which
//! of these a sealed one was, its beginning says, because some callers give nothing else back (Codex
//! drops the ids of reasoning items). A thought that nobody signed has a mark there, so that the vendor is
//! not given back what it never had ([`crate::wire::sealed`]).

use super::DIALECT;
use crate::wire::chat::Signature;

/// Before the sealed signature of a thought that is not shown at all.
const REDACTED: &str = "aione.redacted.";
/// Before the sealed signature of the call or text whose item comes before.
const BEFORE: &str = "aione.before.";

/// What a signature belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Of {
    Thought,
    RedactedThought,
    /// The call or the text that comes before.
    Before,
}

/// The `encrypted_content` for a caller.
pub(super) fn seal(signature: &Signature, of: Of) -> String {
    let sealed = signature.sealed(DIALECT);
    match of {
        Of::Before => format!("{BEFORE}{sealed}"),
        Of::RedactedThought if signature.dialect != DIALECT => format!("{REDACTED}{sealed}"),
        Of::Thought | Of::RedactedThought => sealed,
    }
}

/// What a caller gave back. `shown`: the item has text.
pub(super) fn open(text: &str, shown: bool) -> (Signature, Of) {
    if let Some(sealed) = text.strip_prefix(BEFORE) {
        return (Signature::opened(DIALECT, sealed), Of::Before);
    }
    if let Some(sealed) = text.strip_prefix(REDACTED) {
        return (Signature::opened(DIALECT, sealed), Of::RedactedThought);
    }
    let signature = Signature::opened(DIALECT, text);
    let redacted = signature.dialect == DIALECT && !shown;
    (signature, if redacted { Of::RedactedThought } else { Of::Thought })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Dialect;

    #[test]
    fn a_signature_comes_back_with_what_it_belongs_to() {
        for dialect in Dialect::ALL {
            let signature = Signature { dialect, data: "gAAA/+==.x".to_owned() };
            for (of, shown) in [(Of::Thought, true), (Of::RedactedThought, false), (Of::Before, false)] {
                assert_eq!(open(&seal(&signature, of), shown), (signature.clone(), of));
            }
        }
        // A thought whose text another dialect leaves out is not a redacted one there.
        let signature = Signature { dialect: Dialect::AnthropicMessages, data: "Eq".to_owned() };
        assert_eq!(open(&seal(&signature, Of::Thought), false), (signature, Of::Thought));
    }
}
