//! The names of what a dialect could not say.

use std::collections::BTreeSet;

/// Most names that are kept of one request.
pub const NAMES_MAX: usize = 64;
/// Longest name, in bytes; a longer one is cut.
pub const NAME_BYTES_MAX: usize = 64;

/// What was left out on the way from one dialect to another, for `x-aione-dropped`.
///
/// A name is the request's own field, such as `logit_bias`, or a field of many places without its
/// path, such as `cache_control`; what is only of some kind has it behind a point, as `tools.web_search`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dropped(BTreeSet<String>);

impl Dropped {
    /// Notes `name`. Whatever a header cannot hold becomes `_`.
    pub fn note(&mut self, name: &str) {
        let clean: String = name
            .chars()
            .map(|each| if each.is_ascii_alphanumeric() || "._-[]".contains(each) { each } else { '_' })
            .take(NAME_BYTES_MAX)
            .collect();
        if self.0.len() < NAMES_MAX {
            self.0.insert(clean);
        }
    }

    /// Notes `name` if there is something to be dropped.
    pub fn note_if(&mut self, is_dropped: bool, name: &str) {
        if is_dropped {
            self.note(name);
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The value of the header.
    #[must_use]
    pub fn header(&self) -> String {
        self.names().collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_a_headers_whatever_a_caller_calls_its_fields() {
        let mut dropped = Dropped::default();
        dropped.note("top_k");
        dropped.note("x\r\ny: 你好,z");
        dropped.note("top_k");
        dropped.note(&"n".repeat(1000));
        assert_eq!(dropped.header(), format!("{},top_k,x__y_____z", "n".repeat(NAME_BYTES_MAX)));
        (0..1000).for_each(|number| dropped.note(&format!("f{number}")));
        assert_eq!(dropped.names().count(), NAMES_MAX);
    }
}
