//! One entry of `pass_through`: a method and a path, such as `GET /v1/things/{id}` or `POST /v1/things/*`.

use super::Method;
use crate::config::suggest;
use std::fmt;

/// What a path begins with.
pub(super) const VERSIONS: [&str; 2] = ["/v1beta", "/v1"];

/// The gateway's own: these paths, and what is below them.
const OWN: [&str; 13] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/images/generations",
    "/v1/audio/speech",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/v1/moderations",
    "/v1/rerank",
    "/v1/responses",
    "/v1/messages",
    "/v1/models",
    "/v1beta/models",
];

/// What vendors keep in an account, which organizations share: one would be given what another has left
/// there. Compared without case, hyphens and underscores, wherever in a path it stands.
const KEPT: [&str; 42] = [
    "agents",
    "assistants",
    "batches",
    "cachedcontents",
    "chatkit",
    "checkpoints",
    "containers",
    "conversations",
    "corpora",
    "datasets",
    "documents",
    "environments",
    "evals",
    "files",
    "filesearchstores",
    "finetunes",
    "finetuning",
    "generatedfiles",
    "graders",
    "inputitems",
    "interactions",
    "invites",
    "memories",
    "memorystores",
    "operations",
    "organization",
    "organizations",
    "permissions",
    "projects",
    "prompts",
    "responses",
    "runs",
    "sessions",
    "skills",
    "threads",
    "tunedmodels",
    "uploads",
    "users",
    "vaults",
    "vectorstores",
    "videos",
    "voices",
];

/// What is given a caller would be a key to the vendor itself, which goes past the gateway.
const MINTS: [&str; 4] = ["clientsecrets", "ephemeralkeys", "authtokens", "apikeys"];

/// Bytes of an entry.
const BYTES_MAX: usize = 512;
/// Segments of a path.
const SEGMENTS_MAX: usize = 16;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    pub method: Method,
    /// The version first.
    segments: Vec<Segment>,
    /// `*` is its end: one or more segments may follow.
    is_open: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Segment {
    Exactly(Box<str>),
    /// `{name}`
    Any,
}

/// What is wrong with an entry, and what was probably meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PatternError {
    pub message: String,
    pub suggestion: Option<String>,
}

impl PatternError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), suggestion: None }
    }

    fn or(self, suggestion: impl Into<String>) -> Self {
        Self { suggestion: Some(suggestion.into()), ..self }
    }
}

impl Pattern {
    /// # Errors
    /// It is none, or opens what must stay closed.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        const SHAPE: &str = "expected a method and a path, such as `GET /v1/things/{id}`";
        if text.len() > BYTES_MAX {
            return Err(PatternError::new(format!("is longer than {BYTES_MAX} bytes")));
        }
        let Some((method, path)) = text.split_once(' ') else {
            let error = PatternError::new(SHAPE);
            return Err(if text.starts_with('/') { error.or(format!("GET {text}")) } else { error });
        };
        let Some(known) = Method::named(method) else {
            let names = Method::ALL.map(Method::as_str);
            let error = PatternError::new(format!("`{method}` is not one of {}", names.join(", ")));
            let meant = suggest::nearest(method, names);
            return Err(match meant {
                Some(name) => error.or(format!("{name} {path}")),
                None => error,
            });
        };
        if path.contains("://") || path.starts_with("//") {
            let message = "names another host: where a provider is asked is what its `base_url` says";
            return Err(PatternError::new(message));
        }
        let pattern = Self::of_path(known, path)?;
        pattern.check()?;
        Ok(pattern)
    }

    fn of_path(method: Method, path: &str) -> Result<Self, PatternError> {
        if !VERSIONS.iter().any(|version| is_below(path, version)) {
            let error = PatternError::new("only what is below `/v1/` or `/v1beta/` can be opened");
            let is_bare = path.starts_with('/') && path.len() > 1 && !VERSIONS.contains(&path);
            return Err(if is_bare { error.or(format!("{} /v1{path}", method.as_str())) } else { error });
        }
        let (path, is_open) = path.strip_suffix("/*").map_or((path, false), |path| (path, true));
        let texts: Vec<&str> = path[1..].split('/').collect();
        let mut segments = Vec::with_capacity(texts.len());
        for text in texts {
            segments.push(segment(text)?);
        }
        if segments.len() > SEGMENTS_MAX {
            return Err(PatternError::new(format!("has more than {SEGMENTS_MAX} segments")));
        }
        if !matches!(segments.get(1), Some(Segment::Exactly(_))) {
            let message = "would open everything: the segment behind the version must be written out";
            return Err(PatternError::new(message));
        }
        Ok(Self { method, segments, is_open })
    }

    /// Whether it keeps off what must stay closed.
    fn check(&self) -> Result<(), PatternError> {
        for segment in &self.segments {
            let Segment::Exactly(text) = segment else { continue };
            if is_one_of(text, &KEPT) {
                let message = format!(
                    "`{text}` are kept in the vendor's account, which organizations share, and are never opened"
                );
                return Err(PatternError::new(message));
            }
            if is_one_of(text, &MINTS) {
                let message = format!("`{text}` lets callers past the gateway, and is never opened");
                return Err(PatternError::new(message));
            }
        }
        let is_own = |own: &&&str| {
            let segments = own[1..].split('/').map(|text| Segment::Exactly(text.into())).collect();
            // Below it is the gateway's as well.
            let itself = Self { method: self.method, segments, is_open: false };
            let below = Self { is_open: true, ..itself.clone() };
            self.meets(&itself) || self.meets(&below)
        };
        match OWN.iter().find(is_own) {
            Some(own) => Err(PatternError::new(format!("takes in `{own}`, which is the gateway's own"))),
            None => Ok(()),
        }
    }

    /// Whether some path is taken by both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let fit = |(one, two): (&Segment, &Segment)| match (one, two) {
            (Segment::Exactly(one), Segment::Exactly(two)) => one == two,
            (Segment::Any, Segment::Exactly(text)) | (Segment::Exactly(text), Segment::Any) => {
                !text.contains(':')
            }
            (Segment::Any, Segment::Any) => true,
        };
        let (one, two) = (self.segments.len(), other.segments.len());
        let lengths = match (self.is_open, other.is_open) {
            (false, false) => one == two,
            (true, false) => one < two,
            (false, true) => two < one,
            (true, true) => true,
        };
        lengths && self.segments.iter().zip(&other.segments).all(fit)
    }

    /// Whether it takes a path of these segments.
    pub(super) fn takes(&self, path: &[&str]) -> bool {
        let fit = |(segment, text): (&Segment, &&str)| match segment {
            Segment::Exactly(exact) => **exact == **text,
            // Behind a colon stands what is to be done, with vendors that write it there.
            Segment::Any => !text.contains(':'),
        };
        let known = self.segments.len();
        let rest_fits = if self.is_open { path.len() > known } else { path.len() == known };
        let rest = path.get(known..).unwrap_or_default();
        rest_fits && rest.iter().all(|text| !text.contains(':')) && self.segments.iter().zip(path).all(fit)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.method.as_str())?;
        for segment in &self.segments {
            match segment {
                Segment::Exactly(text) => write!(f, "/{text}")?,
                Segment::Any => f.write_str("/{}")?,
            }
        }
        f.write_str(if self.is_open { "/*" } else { "" })
    }
}

fn segment(text: &str) -> Result<Segment, PatternError> {
    if text.contains('*') {
        return Err(PatternError::new("`*` stands at the end, for one or more whole segments"));
    }
    if text.contains(['{', '}']) {
        let name = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default();
        let is_name =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let message = "`{name}` stands for one whole segment";
        return if is_name { Ok(Segment::Any) } else { Err(PatternError::new(message)) };
    }
    if text.is_empty() || is_dots(text) {
        return Err(PatternError::new("the path must not hold empty, `.` or `..` segments"));
    }
    if text.contains('%') {
        return Err(PatternError::new(
            "the path must not be encoded: nothing that is encoded is passed through",
        ));
    }
    if text.contains(['?', '#']) {
        return Err(PatternError::new("the path must have no query, which callers add"));
    }
    if !text.bytes().all(is_plain) {
        return Err(PatternError::new("a segment has letters, digits and `-._~:@+=,` alone"));
    }
    Ok(Segment::Exactly(text.into()))
}

/// The segments of a caller's path, where all of it is plain and none is what must stay closed.
pub(super) fn segments_of(path: &str) -> Option<Vec<&str>> {
    if !VERSIONS.iter().any(|version| is_below(path, version)) {
        return None;
    }
    let segments: Vec<&str> = path[1..].split('/').take(2 * SEGMENTS_MAX + 1).collect();
    let fits = |text: &&str| {
        !text.is_empty()
            && !is_dots(text)
            && text.bytes().all(is_plain)
            && !is_one_of(text, &KEPT)
            && !is_one_of(text, &MINTS)
    };
    (segments.len() <= 2 * SEGMENTS_MAX && segments.iter().all(fits)).then_some(segments)
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
}

/// Some servers take more dots for the folder above, too.
fn is_dots(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'.')
}

/// No percent sign, backslash or semicolon, which servers read in different ways.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:@+=,".contains(&byte)
}

fn is_one_of(text: &str, names: &[&str]) -> bool {
    // What is done to it may stand behind a colon.
    let noun = text.split(':').next().unwrap_or_default();
    let plain =
        noun.bytes().filter(|byte| !matches!(byte, b'-' | b'_')).map(|byte| byte.to_ascii_lowercase());
    names.iter().any(|name| plain.clone().eq(name.bytes()))
}

#[cfg(test)]
mod tests;
