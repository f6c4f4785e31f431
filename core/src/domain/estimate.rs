//! How many tokens a text has, where no upstream says so: by size at admission, by tokenizer
//! at the end.

/// Bytes of text that are taken for one token. English has about four, code about three;
/// what is denser is paid for when the exchange settles.
const BYTES_PER_TOKEN: u64 = 3;
/// Tokens that each message's frame costs at most.
const TOKENS_PER_MESSAGE: u64 = 8;
/// Most text that is tokenised, in bytes; the rest is scaled.
pub const MAX_TOKENISED_BYTES: usize = 1 << 20;

/// Input tokens of a request, from the size of its text alone.
#[must_use]
pub fn input_tokens(text_bytes: u64, messages: u64) -> u64 {
    (text_bytes / BYTES_PER_TOKEN).saturating_add(messages.saturating_mul(TOKENS_PER_MESSAGE))
}

/// Bytes of text that no token has more of on the average, but for text that nobody writes.
const BYTES_PER_TOKEN_MOST: u64 = 8;

/// Input tokens that a request has at the least, from the size of its text: to refuse what is sure
/// not to fit.
#[must_use]
pub fn input_tokens_least(text_bytes: u64) -> u64 {
    text_bytes / BYTES_PER_TOKEN_MOST
}

/// Characters of text that `tokens` are taken for, half as many again: records count tokens alone. A
/// token is about one and a half characters of Chinese, and about four of English.
#[must_use]
pub fn characters(tokens: u64) -> u64 {
    tokens.saturating_add(tokens / 2)
}

/// Output tokens of an answer of `total_bytes` bytes of text, of which `text` is the beginning
/// that was kept. Counts `text` with the `o200k` vocabulary, which is loaded at first use, and
/// scales it to the whole.
#[must_use]
pub fn output_tokens(text: &str, total_bytes: u64) -> u64 {
    let counted = &text[..text.floor_char_boundary(MAX_TOKENISED_BYTES)];
    let total_bytes = total_bytes.max(text.len() as u64);
    if counted.is_empty() {
        return total_bytes.div_ceil(BYTES_PER_TOKEN);
    }
    let tokens = bpe_openai::o200k_base().count(counted) as u128;
    let scaled = (tokens * u128::from(total_bytes)).div_ceil(counted.len() as u128);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_a_third_of_the_bytes_and_eight_for_each_message() {
        assert_eq!(input_tokens(0, 0), 0);
        assert_eq!(input_tokens(299, 2), 99 + 16);
        assert_eq!(input_tokens(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn output_is_counted_by_the_tokenizer() {
        assert_eq!(output_tokens("", 0), 0);
        assert_eq!(output_tokens("hello world", 11), 2);
        assert_eq!(output_tokens("hello world", 0), 2, "a total below what is there is not believed");
    }

    #[test]
    fn output_that_was_not_kept_is_scaled() {
        assert_eq!(output_tokens("hello world", 110), 20);
        assert_eq!(output_tokens("", 30), 10, "without any text the size must do");
        assert_eq!(output_tokens("hello world", u64::MAX), u64::MAX / 11 * 2 + 1);
    }

    #[test]
    fn more_than_a_mebibyte_is_not_tokenised() {
        let text = "é ".repeat(MAX_TOKENISED_BYTES);
        let tokens = output_tokens(&text, text.len() as u64);
        let part = &text[..text.floor_char_boundary(MAX_TOKENISED_BYTES)];
        let expected = bpe_openai::o200k_base().count(part) as u64 * 3;
        assert!(tokens.abs_diff(expected) <= 3, "{tokens} is not close to {expected}");
    }
}
