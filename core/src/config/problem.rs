//! What is wrong with a configuration, where, and what was probably meant.

use std::{fmt, sync::Arc};

/// Characters of a path, a message or a suggestion.
const CHARS_MAX: usize = 400;

/// A position in a file, counted from 1.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    pub file: Arc<str>,
    pub line: u32,
    /// In characters.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One thing that is wrong, or (in a list of warnings) one that is probably not meant.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Problem {
    pub place: Place,
    /// The keys that lead there, such as `models.gpt-4o.route.attempts`; empty for a whole file.
    pub path: String,
    /// Without secrets: what is read from the environment or a file is never repeated.
    pub message: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl Problem {
    #[must_use]
    pub fn new(place: Place, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place, path: printable(path.into()), message: printable(message.into()), suggestion: None }
    }

    #[must_use]
    pub fn suggest(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion.map(printable);
        self
    }

    #[must_use]
    pub fn file(&self) -> &str {
        &self.place.file
    }

    #[must_use]
    pub fn line(&self) -> u32 {
        self.place.line
    }

    #[must_use]
    pub fn column(&self) -> u32 {
        self.place.column
    }
}

/// `text` in one line of bounded length: keys and values of a file end up in logs and terminals.
fn printable(text: String) -> String {
    if text.chars().count() <= CHARS_MAX && !text.chars().any(char::is_control) {
        return text;
    }
    let mut line = String::with_capacity(CHARS_MAX);
    for (count, letter) in text.chars().enumerate() {
        match letter {
            _ if count == CHARS_MAX => {
                line.push('…');
                break;
            }
            control if control.is_control() => line.extend(control.escape_default()),
            plain => line.push(plain),
        }
    }
    line
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        self.suggestion.as_ref().map_or(Ok(()), |suggestion| write!(f, " (did you mean `{suggestion}`?)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_of_bounded_length() {
        let place = Place { file: Arc::from("a.yaml"), line: 3, column: 5 };
        let problem = Problem::new(place, "a\nb", "x".repeat(9_000)).suggest(Some("\u{1b}[1m".to_owned()));
        let line = problem.to_string();
        assert!(line.starts_with(r"a.yaml:3:5: a\nb: xxx"), "{line}");
        assert!(line.ends_with(r"x… (did you mean `\u{1b}[1m`?)"), "{line}");
        assert!(line.len() < 600);
    }
}
