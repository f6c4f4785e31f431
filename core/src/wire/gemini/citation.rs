//! What texts are taken from: `groundingMetadata` and `citationMetadata`.
//!
//! Cited are in bytes there, in characters here, both of the answer's whole text:
//! <https://ai.google.dev/api/generate-content#GroundingMetadata>.

use super::types::{Candidate, Ground, GroundingChunk, GroundingMetadata, GroundingSupport, Segment};
use crate::wire::chat::Citation;

/// Most citations of one answer; those beyond are left out.
pub(super) const CITATIONS_MAX: usize = 512;
/// Longest address, title or passage, in bytes; a longer one is left out. Many supports can name one source.
const NAME_BYTES_MAX: usize = 8_192;
/// Longest text in which places are known, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 17;

/// The text of an answer so far, to find places in it.
#[derive(Debug, Default)]
pub(super) struct Cited {
    text: String,
    /// It was too long to be kept.
    is_cut: bool,
}

impl Cited {
    pub(super) fn push(&mut self, text: &str) {
        self.is_cut |= self.text.len() + text.len() > TEXT_BYTES_MAX;
        if self.is_cut {
            self.text = String::new();
            return;
        }
        self.text.push_str(text);
    }

    /// Its length in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.text.len() as u64
    }

    /// How many characters begin before byte `at`.
    fn chars_before(&self, at: u64) -> Option<u64> {
        let before = self.text.get(..usize::try_from(at).ok()?).filter(|_| !self.is_cut)?;
        Some(before.chars().count() as u64)
    }

    /// At which byte character `at` begins.
    fn byte_of(&self, at: u64) -> Option<u64> {
        let mut begins = self.text.char_indices().map(|(byte, _)| byte).chain([self.text.len()]);
        begins.nth(usize::try_from(at).ok()?).filter(|_| !self.is_cut).map(|byte| byte as u64)
    }
}

/// The citations of a candidate. `parts`: where the text of each of its parts begins, in bytes.
pub(super) fn read(candidate: &Candidate, text: &Cited, parts: &[u64]) -> Vec<Citation> {
    let mut found = Vec::new();
    if let Some(grounding) = &candidate.grounding_metadata {
        supports(grounding, text, parts, &mut found);
    }
    let sources = candidate.citation_metadata.as_ref().and_then(|wire| wire.citations.as_ref());
    for source in sources.into_iter().flatten().take(CITATIONS_MAX - found.len()) {
        found.push(Citation {
            url: short(source.uri.as_ref()),
            title: short(source.title.as_ref()),
            quote: None,
            start: source.start_index.or(source.end_index.map(|_| 0)).and_then(|at| text.chars_before(at)),
            end: source.end_index.and_then(|at| text.chars_before(at)),
        });
    }
    found
}

fn supports(grounding: &GroundingMetadata, text: &Cited, parts: &[u64], found: &mut Vec<Citation>) {
    let chunks = grounding.grounding_chunks.as_deref().unwrap_or_default();
    for support in grounding.grounding_supports.iter().flatten() {
        let segment = support.segment.as_ref();
        let base = segment.and_then(|segment| parts.get(segment.part_index.unwrap_or(0))).unwrap_or(&0);
        let place =
            |at: Option<u64>| at.and_then(|at| at.checked_add(*base)).and_then(|at| text.chars_before(at));
        let end = segment.and_then(|segment| segment.end_index);
        // A start that is zero is left out by the vendor.
        let start = segment.and_then(|segment| segment.start_index).or(end.map(|_| 0));
        for chunk in support.grounding_chunk_indices.iter().flatten().filter_map(|at| chunks.get(*at)) {
            if found.len() == CITATIONS_MAX {
                return;
            }
            let ground = chunk.web.as_ref().or(chunk.retrieved_context.as_ref()).or(chunk.maps.as_ref());
            let Some(ground) = ground else { continue };
            found.push(Citation {
                url: short(ground.uri.as_ref()),
                title: short(ground.title.as_ref()),
                quote: short(ground.text.as_ref()),
                start: place(start),
                end: place(end),
            });
        }
    }
}

fn short(text: Option<&String>) -> Option<String> {
    text.filter(|text| text.len() <= NAME_BYTES_MAX).cloned()
}

/// The citations as callers read them; `None`: there are none.
pub(super) fn write<'a>(
    citations: impl IntoIterator<Item = &'a Citation>,
    said: &Cited,
) -> Option<GroundingMetadata> {
    let (mut chunks, mut supports) = (Vec::new(), Vec::new());
    for citation in citations.into_iter().take(CITATIONS_MAX) {
        let Citation { url: uri, title, quote: text, .. } = citation.clone();
        let is_quoted = text.is_some();
        let ground = Some(Ground { uri, title, text });
        // A page of the web has no passage here, what was retrieved has.
        let chunk = if is_quoted {
            GroundingChunk { retrieved_context: ground, ..GroundingChunk::default() }
        } else {
            GroundingChunk { web: ground, ..GroundingChunk::default() }
        };
        let number = chunks.iter().position(|each| *each == chunk).unwrap_or(chunks.len());
        if number == chunks.len() {
            chunks.push(chunk);
        }
        let place = |at: Option<u64>| at.and_then(|at| said.byte_of(at));
        supports.push(GroundingSupport {
            segment: Some(Segment {
                part_index: None,
                start_index: place(citation.start),
                end_index: place(citation.end),
            }),
            grounding_chunk_indices: Some(vec![number]),
        });
    }
    (!supports.is_empty()).then(|| GroundingMetadata {
        grounding_chunks: Some(chunks),
        grounding_supports: Some(supports),
        ..GroundingMetadata::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_of_characters_and_of_bytes() {
        let mut text = Cited::default();
        ["é", "😀a"].iter().for_each(|piece| text.push(piece));
        let before = [0, 1, 2, 3, 6, 7, 8].map(|at| text.chars_before(at));
        assert_eq!(before, [Some(0), None, Some(1), None, Some(2), Some(3), None]);
        assert_eq!([0, 1, 2, 3, 4].map(|at| text.byte_of(at)), [Some(0), Some(2), Some(6), Some(7), None]);
    }

    #[test]
    fn a_text_that_is_too_long_has_no_places() {
        let mut text = Cited::default();
        text.push(&"x".repeat(TEXT_BYTES_MAX));
        assert_eq!((text.chars_before(7), text.byte_of(7)), (Some(7), Some(7)));
        text.push("y");
        assert_eq!((text.chars_before(0), text.byte_of(0)), (None, None));
        text.push("z");
        assert_eq!(text.chars_before(0), None);
    }
}
