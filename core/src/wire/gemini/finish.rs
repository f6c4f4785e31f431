//! Why an answer ended: <https://ai.google.dev/api/generate-content#FinishReason>.

use crate::wire::chat::Finish;

const STOP: &str = "STOP";
const MAX_TOKENS: &str = "MAX_TOKENS";
const SAFETY: &str = "SAFETY";
pub(super) const OTHER: &str = "OTHER";

/// The reason of a word; `None`: it has not ended. This dialect stops for tool calls as for anything.
pub(super) fn read(word: Option<&str>, has_calls: bool) -> Option<Finish> {
    Some(match word? {
        "" | "FINISH_REASON_UNSPECIFIED" => return None,
        STOP if has_calls => Finish::ToolCalls,
        STOP => Finish::Stop,
        // A continuation is for those who have its token; to others the answer is cut.
        MAX_TOKENS | "CONTINUATION" => Finish::Length,
        // The model, or the account, was not let say more.
        SAFETY
        | "RECITATION"
        | "BLOCKLIST"
        | "LANGUAGE"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "ESCALATION"
        | "PUP_LIMITED_DISABLED"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Finish::Filter,
        // Calls that cannot be read, too many of them, no image: what is left is not what was asked for.
        word => Finish::Broken(word.to_owned()),
    })
}

/// The nearest word. One that no other dialect has is known by its capitals.
pub(super) fn word(finish: &Finish) -> &str {
    match finish {
        Finish::Stop | Finish::StopSequence | Finish::ToolCalls | Finish::Pause => STOP,
        Finish::Length | Finish::ContextFull => MAX_TOKENS,
        Finish::Filter | Finish::Refusal => SAFETY,
        Finish::Other(word) | Finish::Broken(word) if is_own(word) => word,
        Finish::Broken(_) => OTHER,
        Finish::Other(_) => STOP,
    }
}

fn is_own(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_meaning_and_the_nearest_word() {
        for (word_read, finish, back) in [
            ("STOP", Finish::Stop, "STOP"),
            ("MAX_TOKENS", Finish::Length, "MAX_TOKENS"),
            ("CONTINUATION", Finish::Length, "MAX_TOKENS"),
            ("RECITATION", Finish::Filter, "SAFETY"),
            ("LANGUAGE", Finish::Filter, "SAFETY"),
            ("PROHIBITED_CONTENT", Finish::Filter, "SAFETY"),
            (
                "MALFORMED_FUNCTION_CALL",
                Finish::Broken("MALFORMED_FUNCTION_CALL".to_owned()),
                "MALFORMED_FUNCTION_CALL",
            ),
            ("SOMETHING_NEW", Finish::Broken("SOMETHING_NEW".to_owned()), "SOMETHING_NEW"),
        ] {
            assert_eq!(read(Some(word_read), false), Some(finish.clone()));
            assert_eq!(word(&finish), back);
        }
        assert_eq!(read(Some("STOP"), true), Some(Finish::ToolCalls));
        assert_eq!(read(Some("MAX_TOKENS"), true), Some(Finish::Length));
        assert_eq!(read(Some("FINISH_REASON_UNSPECIFIED"), true), None);
        let other = Finish::Other("recitation".to_owned());
        for finish in [Finish::StopSequence, Finish::ToolCalls, Finish::Pause, other] {
            assert_eq!(word(&finish), "STOP");
        }
        assert_eq!(word(&Finish::Broken("network_error".to_owned())), "OTHER");
        assert_eq!((word(&Finish::Refusal), word(&Finish::ContextFull)), ("SAFETY", "MAX_TOKENS"));
    }
}
