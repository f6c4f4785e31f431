//! `${ENV}`, `${ENV:-default}` and `file:path` in secrets, URLs and paths.

use std::path::{Path, PathBuf};

const FILE: &str = "file:";

/// Where a configuration's references are looked up; the caller does the I/O.
pub trait Lookup {
    /// The value of an environment variable.
    fn var(&self, name: &str) -> Option<String>;
    /// The text of a file; `None` where there is none.
    ///
    /// # Errors
    /// Why a file that is there cannot be read.
    fn file(&self, path: &Path) -> Result<Option<String>, String>;
    /// Whether a listener can serve with these two PEM files, which are there: each can be
    /// parsed, and the key is the certificate's.
    ///
    /// # Errors
    /// Why it cannot.
    fn pair(&self, cert: &Path, key: &Path) -> Result<(), String>;
}

/// For texts without references: no variable is set, and no file is there.
pub struct Nothing;

impl Lookup for Nothing {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> Result<Option<String>, String> {
        Ok(None)
    }

    fn pair(&self, _: &Path, _: &Path) -> Result<(), String> {
        Ok(())
    }
}

/// Why a text with references has no value. Never repeats what was looked up.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Unresolved {
    #[error("the environment variable `{0}` is not set")]
    NotSet(String),
    #[error("there is no file `{}`", .0.display())]
    NoFile(PathBuf),
    #[error("the file `{}` cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("{0}")]
    Malformed(&'static str),
}

/// Whether `text` is well-formed; nothing is looked up.
pub(super) fn check(text: &str) -> Result<(), String> {
    expand(text, |_| Some(String::new())).map(drop).map_err(|error| error.to_string())
}

/// The value of `text`; a `file:` that is relative starts at `folder`. One newline at the end of
/// a file is not part of its value.
pub(super) fn resolve(text: &str, folder: &Path, lookup: &dyn Lookup) -> Result<String, Unresolved> {
    let Some(path) = file_of(text, folder, lookup)? else {
        return expand(text, |name| lookup.var(name));
    };
    match lookup.file(&path) {
        Ok(Some(content)) => {
            let value = content.strip_suffix('\n').unwrap_or(&content);
            Ok(value.strip_suffix('\r').unwrap_or(value).to_owned())
        }
        Ok(None) => Err(Unresolved::NoFile(path)),
        Err(reason) => Err(Unresolved::Unreadable { path, reason }),
    }
}

/// The path of `text` when it is `file:path`. What a variable holds is never a reference itself.
pub(super) fn file_of(text: &str, folder: &Path, lookup: &dyn Lookup) -> Result<Option<PathBuf>, Unresolved> {
    let Some(path) = text.strip_prefix(FILE) else { return Ok(None) };
    let path = expand(path, |name| lookup.var(name))?;
    if path.is_empty() {
        return Err(Unresolved::Malformed("`file:` names no file"));
    }
    Ok(Some(folder.join(path)))
}

/// Replaces each `${NAME}` and `${NAME:-default}`. As in a shell, the default also stands for a
/// variable that is empty. A `$` without a brace is itself.
fn expand(text: &str, var: impl Fn(&str) -> Option<String>) -> Result<String, Unresolved> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let (reference, after) =
            after.split_once('}').ok_or(Unresolved::Malformed("`${` without its closing `}`"))?;
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        if !is_variable(name) {
            return Err(Unresolved::Malformed("expected `${NAME}` or `${NAME:-default}`"));
        }
        let value = var(name).filter(|value| default.is_none() || !value.is_empty());
        let value = value.or_else(|| default.map(str::to_owned));
        out.push_str(&value.ok_or_else(|| Unresolved::NotSet(name.to_owned()))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake;

    impl Lookup for Fake {
        fn var(&self, name: &str) -> Option<String> {
            match name {
                "HOST" => Some("example.com".to_owned()),
                "EMPTY" => Some(String::new()),
                "SLY" => Some("file:/etc/shadow".to_owned()),
                _ => None,
            }
        }

        fn file(&self, path: &Path) -> Result<Option<String>, String> {
            match path.to_str() {
                Some("/conf/example.com.txt") => Ok(Some("content\r\n".to_owned())),
                Some("/conf/closed") => Err("permission denied".to_owned()),
                _ => Ok(None),
            }
        }

        fn pair(&self, _cert: &Path, _key: &Path) -> Result<(), String> {
            unreachable!("a reference is no pair of files")
        }
    }

    fn check(text: &str, expected: Result<&str, &str>) {
        let result = resolve(text, Path::new("/conf"), &Fake).map_err(|error| error.to_string());
        assert_eq!(result.as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn references_are_replaced() {
        check("plain $text {}", Ok("plain $text {}"));
        check("https://${HOST}:${PORT:-8080}/v1", Ok("https://example.com:8080/v1"));
        check("${EMPTY}|${EMPTY:-x}|${NONE:-}", Ok("|x|"));
        check("file:${HOST}.txt", Ok("content"));
        check("${SLY}", Ok("file:/etc/shadow"));
        check("a file:b", Ok("a file:b"));
    }

    #[test]
    fn what_has_no_value_says_why() {
        check("${NONE}", Err("the environment variable `NONE` is not set"));
        check("file:none", Err("there is no file `/conf/none`"));
        check("file:closed", Err("the file `/conf/closed` cannot be read: permission denied"));
        check("file:", Err("`file:` names no file"));
        check("${HOST", Err("`${` without its closing `}`"));
        check("${a b}", Err("expected `${NAME}` or `${NAME:-default}`"));
        check("${}", Err("expected `${NAME}` or `${NAME:-default}`"));
    }
}
