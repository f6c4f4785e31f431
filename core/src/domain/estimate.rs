//! How many tokens a text has, where no upstream says so: by size at admission, by tokenizer
//! at the end.

use std::ops::RangeInclusive;

/// Bytes of text that are taken for one token. English has about four, code about three;
/// what is denser is paid for when the exchange settles.
const BYTES_PER_TOKEN: u64 = 3;
/// Tokens that each message's frame costs at most.
const TOKENS_PER_MESSAGE: u64 = 8;
/// Most text that is tokenised, in bytes; the rest is scaled.
pub const MAX_TOKENISED_BYTES: usize = 1 << 20;

/// Bytes of a second of speech in a file that is compressed: 32 kbit/s, about half of what most recorders write.
const BYTES_PER_SECOND: u64 = 4_000;
/// Bounds of what is believed of a second of speech that is not compressed: from 8 bits of a telephone's to 16 of
/// a studio's two channels.
const PCM_BYTES_PER_SECOND: RangeInclusive<u64> = 8_000..=192_000;
/// Tokens that a second of speech is: <https://platform.openai.com/docs/guides/realtime-costs>.
const TOKENS_PER_SECOND: u64 = 10;

/// Seconds of sound in a file, rounded up. A WAV file tells how many bytes a second of it has; of all others it is
/// taken from their size alone.
#[must_use]
pub fn sound_seconds(file: &[u8]) -> u64 {
    let told = match file {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', rest @ ..] => {
            rest.get(16..20).and_then(|rate| <[u8; 4]>::try_from(rate).ok()).map(u32::from_le_bytes)
        }
        _ => None,
    };
    let told = told.map(u64::from).filter(|rate| PCM_BYTES_PER_SECOND.contains(rate));
    (file.len() as u64).div_ceil(told.unwrap_or(BYTES_PER_SECOND))
}

/// Tokens of so many seconds of speech.
#[must_use]
pub fn sound_tokens(seconds: u64) -> u64 {
    seconds.saturating_mul(TOKENS_PER_SECOND)
}

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
    fn a_recording_is_as_long_as_its_size_says() {
        assert_eq!([0, 1, 4_000, 4_001].map(|size| sound_seconds(&vec![0; size])), [0, 1, 1, 2]);
        let wav = |rate: u32| {
            let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0".to_vec();
            file.extend_from_slice(&rate.to_le_bytes());
            file.resize(64_001, 0);
            sound_seconds(&file)
        };
        assert_eq!([wav(32_000), wav(64_001), wav(0), wav(u32::MAX)], [3, 1, 17, 17]);
        assert_eq!(sound_seconds(b"RIFF\0\0\0\0WAVE"), 1);
        assert_eq!(sound_tokens(6), 60);
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
