//! Request encodings: zstd, gzip, br and deflate, undone once and under a cap on the output.

use bytes::Bytes;
use http::HeaderMap;
use std::io::{BufReader, Read};

/// A body is decoded once: no client stacks encodings, and attackers do.
const STACKED_MAX: usize = 1;
/// Window of a zstd frame, as a power of two: 8 MiB, what a decoder must support.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
const BROTLI_BUFFER_BYTES: usize = 8 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Zstd,
    Gzip,
    Brotli,
    Deflate,
}

/// An encoding is not one that we decode.
#[derive(Debug)]
pub(crate) struct Unsupported;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// The output is over the cap, whatever the frame declares.
    TooLarge,
    Broken,
}

/// The encodings of a request, in the order in which they were applied.
pub(crate) fn encodings(headers: &HeaderMap) -> Result<Vec<Encoding>, Unsupported> {
    let mut encodings = Vec::new();
    for value in headers.get_all(http::header::CONTENT_ENCODING) {
        for name in value.to_str().map_err(|_| Unsupported)?.split(',') {
            let name = name.trim();
            let encoding = match name.to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                "zstd" => Encoding::Zstd,
                "gzip" | "x-gzip" => Encoding::Gzip,
                "br" => Encoding::Brotli,
                "deflate" => Encoding::Deflate,
                _ => return Err(Unsupported),
            };
            encodings.push(encoding);
        }
    }
    if encodings.len() > STACKED_MAX { Err(Unsupported) } else { Ok(encodings) }
}

/// `body` with `encodings` undone; at most `max` bytes at every step.
pub(crate) fn decode(body: Bytes, encodings: &[Encoding], max: usize) -> Result<Bytes, DecodeError> {
    encodings.iter().rev().try_fold(body, |body, encoding| undo(&body, *encoding, max))
}

fn undo(body: &[u8], encoding: Encoding, max: usize) -> Result<Bytes, DecodeError> {
    match encoding {
        Encoding::Zstd => {
            let mut reader = zstd::Decoder::new(body).map_err(|_| DecodeError::Broken)?;
            reader.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|_| DecodeError::Broken)?;
            read_capped(reader, max)
        }
        Encoding::Gzip => read_capped(flate2::bufread::MultiGzDecoder::new(BufReader::new(body)), max),
        Encoding::Brotli => read_capped(brotli::Decompressor::new(body, BROTLI_BUFFER_BYTES), max),
        Encoding::Deflate => {
            // RFC 9110 means zlib by it; some clients send the bare stream.
            read_capped(flate2::read::ZlibDecoder::new(body), max).or_else(|error| match error {
                DecodeError::Broken => read_capped(flate2::read::DeflateDecoder::new(body), max),
                DecodeError::TooLarge => Err(DecodeError::TooLarge),
            })
        }
    }
}

fn read_capped(reader: impl Read, max: usize) -> Result<Bytes, DecodeError> {
    let mut output = Vec::new();
    let mut capped = reader.take(max as u64 + 1);
    capped.read_to_end(&mut output).map_err(|_| DecodeError::Broken)?;
    if output.len() > max { Err(DecodeError::TooLarge) } else { Ok(output.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn each_encoding_is_undone_and_stacked_ones_in_reverse() {
        let plain = b"{\"model\":\"m\"}".repeat(50);
        let zstd = zstd::encode_all(&plain[..], 3).unwrap();
        assert_eq!(decode(zstd.clone().into(), &[Encoding::Zstd], 1 << 20).unwrap(), plain);
        let stacked = gzip(&zstd);
        assert_eq!(decode(stacked.into(), &[Encoding::Zstd, Encoding::Gzip], 1 << 20).unwrap(), plain);
        let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        deflate.write_all(&plain).unwrap();
        assert_eq!(decode(deflate.finish().unwrap().into(), &[Encoding::Deflate], 1 << 20).unwrap(), plain);
    }

    #[test]
    fn a_bomb_ends_at_the_cap_and_a_torn_body_is_broken() {
        let bomb = gzip(&vec![0; 10 << 20]);
        assert_eq!(decode(bomb.clone().into(), &[Encoding::Gzip], 1 << 20), Err(DecodeError::TooLarge));
        let torn = Bytes::from(bomb).slice(..200);
        assert_eq!(decode(torn, &[Encoding::Gzip], 1 << 24), Err(DecodeError::Broken));
    }
}
