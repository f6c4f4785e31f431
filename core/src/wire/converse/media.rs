//! Pictures and documents, which are bytes in the request and have a short word for their kind.

use super::types::{Document, Media, Source, Switch};
use crate::wire::{anthropic_messages::types as said, codec::Malformed};
use base64::{Engine, engine::general_purpose::STANDARD};

/// Longest name of a document, in characters.
const NAME_CHARS_MAX: usize = 200;

/// The kinds of documents, by what a `data:` URI calls them.
const DOCUMENTS: [(&str, &str); 11] = [
    ("application/pdf", "pdf"),
    ("text/csv", "csv"),
    ("text/html", "html"),
    ("text/markdown", "md"),
    ("text/x-markdown", "md"),
    ("text/plain", "txt"),
    ("application/msword", "doc"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ("application/vnd.ms-excel", "xls"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    ("application/json", "txt"),
];

const IMAGES: [(&str, &str); 5] = [
    ("image/png", "png"),
    ("image/jpeg", "jpeg"),
    ("image/jpg", "jpeg"),
    ("image/gif", "gif"),
    ("image/webp", "webp"),
];

fn format(known: &[(&'static str, &'static str)], media_type: &str) -> Option<&'static str> {
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    known.iter().find(|(name, _)| *name == media_type).map(|(_, format)| *format)
}

/// What an answer's picture is, by its word.
pub(super) fn media_type(format: &str) -> String {
    let known = IMAGES.iter().find(|(_, known)| *known == format);
    known.map_or_else(|| format!("image/{format}"), |(name, _)| (*name).to_owned())
}

/// # Errors
/// It lies elsewhere, or is of a kind that cannot be sent.
pub(super) fn image(source: said::Source) -> Result<Media, Malformed> {
    let refused = |message| Malformed::at("image", message);
    let bytes = source.data.filter(|_| source.kind == "base64");
    let bytes =
        bytes.ok_or_else(|| refused("An image of this upstream must be in the request, as a data: URI"))?;
    let format = source.media_type.as_deref().and_then(|media_type| format(&IMAGES, media_type));
    let format = format.ok_or_else(|| refused("An image of this kind cannot be sent to this upstream"))?;
    Ok(Media { format: format.to_owned(), source: Source { bytes: Some(bytes) } })
}

/// # Errors
/// It lies elsewhere, or is of a kind that cannot be sent.
pub(super) fn document(
    source: said::Source,
    title: Option<&str>,
    citations: bool,
) -> Result<Document, Malformed> {
    let refused = |message| Malformed::at("document", message);
    let bytes = match (&*source.kind, source.data) {
        ("base64", Some(bytes)) => bytes,
        ("text", Some(text)) => STANDARD.encode(text),
        _ => return Err(refused("A document of this upstream must be in the request, as a data: URI")),
    };
    let format = source.media_type.as_deref().and_then(|media_type| format(&DOCUMENTS, media_type));
    let format = format.ok_or_else(|| refused("A document of this kind cannot be sent to this upstream"))?;
    Ok(Document {
        format: format.to_owned(),
        name: name(title),
        source: Source { bytes: Some(bytes) },
        citations: citations.then_some(Switch { enabled: true }),
    })
}

/// A name of what names may have: letters, digits, single spaces, hyphens, brackets.
fn name(title: Option<&str>) -> String {
    let clean = |each: char| if each.is_ascii_alphanumeric() || "-()[]".contains(each) { each } else { ' ' };
    let text: String = title.unwrap_or_default().chars().take(NAME_CHARS_MAX).map(clean).collect();
    let words: Vec<_> = text.split_whitespace().collect();
    if words.is_empty() { "document".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_documents_name_is_made_to_fit() {
        assert_eq!(name(Some("报告 Q3_final.v2.pdf")), "Q3 final v2 pdf");
        assert_eq!(name(Some("..")), "document");
        assert_eq!(name(None), "document");
        assert_eq!(name(Some(&"x".repeat(1000))).len(), NAME_CHARS_MAX);
    }
}
