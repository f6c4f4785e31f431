//! `multipart/form-data` (RFC 7578): where the parts of a form are and what they are called, without a copy
//! of any.
//!
//! Whoever reads the same bytes must find the same parts: an upstream that found another `model` would be
//! asked for what nobody has admitted. So a form is taken in the one way of writing that common clients have;
//! what readers could disagree about is refused.

#[cfg(test)]
mod tests;

use memchr::memmem::{self, Finder};
use std::ops::Range;

/// Longest boundary, in bytes: RFC 2046 has no longer one.
pub const MAX_BOUNDARY_BYTES: usize = 70;
/// Most parts of one form.
pub const MAX_PARTS: usize = 64;
/// Most bytes of one part's headers.
pub const MAX_HEADER_BYTES: usize = 4096;
/// Longest name of a part, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

const LINE_END: &[u8] = b"\r\n";
const HEADERS_END: &[u8] = b"\r\n\r\n";
/// Most parameters of one header.
const MAX_PARAMETERS: usize = 8;

/// One part of a form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part<'a> {
    pub name: &'a str,
    /// It has the name of a file.
    pub is_file: bool,
    /// It says that its text is in an encoding of which ASCII is no part.
    pub is_recoded: bool,
    /// Byte offsets into the body.
    pub content: Range<usize>,
}

/// Why a form cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct FormError(String);

fn wrong<T>(what: impl Into<String>) -> Result<T, FormError> {
    Err(FormError(what.into()))
}

/// The parts of `body`, in their order.
///
/// # Errors
/// `content_type` is not that of a form or names no boundary, or what it names does not part the body.
pub fn read<'a>(content_type: Option<&str>, body: &'a [u8]) -> Result<Vec<Part<'a>>, FormError> {
    let delimiter = format!("--{}", boundary(content_type)?);
    let finder = Finder::new(&delimiter);
    let mut parts = Vec::new();
    let mut at = if body.starts_with(LINE_END) { LINE_END.len() } else { 0 };
    if !body[at..].starts_with(delimiter.as_bytes()) {
        return wrong("does not begin with the boundary that its content type names");
    }
    loop {
        at += delimiter.len();
        if let Some(rest) = body[at..].strip_prefix(b"--") {
            return if matches!(rest, b"" | b"\r\n") { Ok(parts) } else { wrong("goes on behind its end") };
        }
        if !body[at..].starts_with(LINE_END) {
            return wrong("has its boundary in a line with something else");
        }
        at += LINE_END.len();
        if parts.len() == MAX_PARTS {
            return wrong(format!("has more than {MAX_PARTS} parts"));
        }
        let Some(length) = finder.find(&body[at..]) else {
            return wrong("is broken off: its boundary does not end it");
        };
        // The line's end before a boundary belongs to that.
        let Some(part) = body[at..at + length].strip_suffix(LINE_END) else {
            return wrong("has its boundary in a line with something else");
        };
        parts.push(one(part, at).map_err(|FormError(what)| FormError(format!("has {what}")))?);
        at += length;
    }
}

/// The boundary that a content type names.
fn boundary(content_type: Option<&str>) -> Result<&str, FormError> {
    let content_type = content_type.unwrap_or_default();
    let (kind, rest) = content_type.split_at(content_type.find(';').unwrap_or(content_type.len()));
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return wrong("must come with the content type `multipart/form-data`");
    }
    let Some(parameters) = parameters(rest) else {
        return wrong("has a content type that cannot be read");
    };
    let names_one = |name: &str| name.len() >= 8 && name.as_bytes()[..8].eq_ignore_ascii_case(b"boundary");
    let mut named = parameters.into_iter().filter(|(name, _)| names_one(name));
    match (named.next(), named.next()) {
        (Some((name, boundary)), None) if name.len() == 8 => {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
            if (1..=MAX_BOUNDARY_BYTES).contains(&boundary.len()) && boundary.bytes().all(fits) {
                return Ok(boundary);
            }
            wrong(format!("has a boundary that is not of 1 to {MAX_BOUNDARY_BYTES} of the characters for it"))
        }
        (None, _) => wrong("has a content type without a boundary"),
        _ => wrong("has a content type with more than one boundary"),
    }
}

/// Reads a part that begins at `at` of the body.
fn one(part: &[u8], at: usize) -> Result<Part<'_>, FormError> {
    let head = &part[..part.len().min(MAX_HEADER_BYTES + HEADERS_END.len())];
    let Some(length) = memmem::find(head, HEADERS_END) else {
        return wrong(format!("a part whose headers do not end within {MAX_HEADER_BYTES} bytes"));
    };
    let Ok(headers) = std::str::from_utf8(&part[..length]) else {
        return wrong("a part whose headers are not UTF-8");
    };
    let begin = at + length + HEADERS_END.len();
    let mut found = Part { name: "", is_file: false, is_recoded: false, content: begin..at + part.len() };
    let mut has_disposition = false;
    for line in headers.split("\r\n") {
        let split = line.split_once(':').filter(|(name, _)| is_token(name));
        let Some((name, value)) = split.filter(|_| !line.contains(is_unfit)) else {
            return wrong("a part with a line among its headers that is none");
        };
        if name.eq_ignore_ascii_case("content-disposition") {
            if std::mem::replace(&mut has_disposition, true) {
                return wrong("a part with more than one `Content-Disposition`");
            }
            (found.name, found.is_file) = disposition(value)?;
        } else if name.eq_ignore_ascii_case("content-transfer-encoding") {
            // Some readers undo it, and others do not.
            if !["7bit", "8bit", "binary"].iter().any(|plain| value.trim().eq_ignore_ascii_case(plain)) {
                return wrong("a part in a transfer encoding");
            }
        } else if name.eq_ignore_ascii_case("content-type") {
            found.is_recoded = is_recoded(value);
        }
    }
    if has_disposition { Ok(found) } else { wrong("a part without `Content-Disposition`") }
}

/// The name of a part, and whether it is a file.
fn disposition(value: &str) -> Result<(&str, bool), FormError> {
    let (kind, rest) = value.split_at(value.find(';').unwrap_or(value.len()));
    let parameters = parameters(rest).filter(|_| kind.trim().eq_ignore_ascii_case("form-data"));
    let Some(parameters) = parameters else {
        return wrong("a part whose `Content-Disposition` cannot be read");
    };
    let (mut found, mut is_file) = (None, false);
    for (name, value) in parameters {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("name") {
            found = Some(value);
        } else if is("filename") || is("filename*") {
            is_file = true;
        } else {
            return wrong("a part whose `Content-Disposition` says more than its name");
        }
    }
    // Nobody reads these in two ways: quotes and line ends are written with `%` by some, with `\` by others.
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'%' && byte != b'\\';
    match found {
        Some(name) if (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(fits) => {
            Ok((name, is_file))
        }
        Some(_) => wrong(format!("a part whose name is not of 1 to {MAX_NAME_BYTES} plain characters")),
        None => wrong("a part without a name"),
    }
}

/// Whether a content type names an encoding of which ASCII is no part.
fn is_recoded(content_type: &str) -> bool {
    const PLAIN: [&str; 3] = ["utf-8", "us-ascii", "iso-8859-1"];
    let Some(rest) = content_type.find(';').map(|at| &content_type[at..]) else { return false };
    let Some(parameters) = parameters(rest) else { return true };
    let mut charsets = parameters.into_iter().filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
    charsets.any(|(_, charset)| !PLAIN.iter().any(|plain| charset.eq_ignore_ascii_case(plain)))
}

/// Names and values behind the `;` of a header; `None`: they cannot be read, or not in one way only.
fn parameters(mut rest: &str) -> Option<Vec<(&str, &str)>> {
    const SPACES: [char; 2] = [' ', '\t'];
    let mut all: Vec<(&str, &str)> = Vec::new();
    loop {
        rest = rest.trim_start_matches(SPACES);
        if rest.is_empty() {
            return Some(all);
        }
        rest = rest.strip_prefix(';')?.trim_start_matches(SPACES);
        if rest.is_empty() {
            return Some(all);
        }
        let (name, after) = rest.split_once('=')?;
        let (value, behind) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, behind) = quoted.split_once('"')?;
                // For some this quote ends the value, and for others it does not.
                if value.ends_with('\\') {
                    return None;
                }
                (value, behind)
            }
            None => after.split_at(after.find([';', ' ', '\t']).unwrap_or(after.len())),
        };
        let is_known = all.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        if !is_token(name) || is_known || all.len() == MAX_PARAMETERS {
            return None;
        }
        all.push((name, value));
        rest = behind;
    }
}

fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

fn is_unfit(character: char) -> bool {
    character.is_control() && character != '\t'
}
