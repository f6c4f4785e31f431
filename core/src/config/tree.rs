//! YAML text as a tree in which every key and value knows its place.
//!
//! The parser is bounded (depth, nodes, aliases, size), takes no merge keys, lets repeated keys
//! through so that all of them can be told, and reads only `true`, `false` and decimal numbers
//! as anything else than text: `NO` and `1e3` are never a boolean or a number here.

use crate::config::problem::{Place, Problem};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, MergeKeyPolicy, NonFiniteFloatPolicy, Options, Spanned};
use std::{fmt, sync::Arc};

/// Bytes of one file; a larger one is refused unread.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Containers inside containers. The deepest path that the model knows has seven.
const DEPTH_MAX: usize = 32;
/// Keys, values and containers of one file, aliases expanded.
const NODES_MAX: usize = 200_000;
/// `*alias` uses in one file.
const ALIASES_MAX: usize = 1_000;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub place: Place,
    pub data: Data,
}

#[derive(Clone, Debug)]
pub(super) enum Data {
    Null,
    Bool(bool),
    /// A plain number as it was written; the value is there when it is a whole decimal number.
    Number {
        raw: String,
        whole: Option<i128>,
    },
    Text(String),
    List(Vec<Node>),
    /// In the order of the file, repeated keys included until files are merged.
    Map(Vec<Entry>),
}

/// A key of a map with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: String,
    pub place: Place,
    pub value: Node,
}

impl Node {
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.data {
            Data::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    pub(super) fn items(&self) -> &[Node] {
        match &self.data {
            Data::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.data, Data::Null)
    }
}

/// Reads one file. An empty one is an empty map.
///
/// # Errors
/// The first place where the text stops being YAML, or breaks a bound: a parser cannot know
/// what was meant after it.
pub(super) fn parse(file: &Arc<str>, text: &str) -> Result<Node, Problem> {
    let start = Place { file: file.clone(), line: 1, column: 1 };
    if text.len() > FILE_BYTES_MAX {
        return Err(Problem::new(start, "", format!("the file is larger than {FILE_BYTES_MAX} bytes")));
    }
    let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let place = error.location().map_or_else(|| start.clone(), |location| place(file, location));
        Problem::new(
            place,
            "",
            format!("not valid YAML: {}", without_place(&error.without_snippet().to_string())),
        )
    })?;
    Ok(match raw.value {
        Raw::Null => Node { place: start, data: Data::Map(Vec::new()) },
        _ => Source { file, text }.node(raw),
    })
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_events: NODES_MAX * 2,
            max_aliases: ALIASES_MAX,
            max_anchors: ALIASES_MAX,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: NODES_MAX,
            max_replay_stack_depth: DEPTH_MAX,
            max_alias_expansions_per_anchor: ALIASES_MAX,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        strict_booleans: true,
        strict_indentation: true,
        underscored_numbers_as_strings: true,
        leading_zero_numbers_as_strings: true,
        reject_unsupported_tags: true,
        reject_tagged_field_names: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    }
}

/// The parser's message without the place that it appends, which a [`Problem`] says itself.
fn without_place(message: &str) -> &str {
    message.split(" at line ").next().unwrap_or(message)
}

fn place(file: &Arc<str>, location: Location) -> Place {
    let within = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).max(1);
    Place { file: file.clone(), line: within(location.line()), column: within(location.column()) }
}

/// A value as the parser hands it over, before its numbers are looked up in the text.
enum Raw {
    Null,
    Bool(bool),
    Number,
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries: Vec<(Spanned<String>, Spanned<Raw>)> = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
            if entries.len() > NODES_MAX {
                return Err(A::Error::custom("too many keys"));
            }
        }
        Ok(Raw::Map(entries))
    }
}

/// What places and numbers are looked up in.
struct Source<'a> {
    file: &'a Arc<str>,
    text: &'a str,
}

impl Source<'_> {
    fn node(&self, raw: Spanned<Raw>) -> Node {
        let data = match raw.value {
            Raw::Null => Data::Null,
            Raw::Bool(value) => Data::Bool(value),
            Raw::Number => self.number(raw.defined),
            Raw::Text(text) => Data::Text(text),
            Raw::List(items) => Data::List(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Map(entries) => Data::Map(entries.into_iter().map(|entry| self.entry(entry)).collect()),
        };
        Node { place: place(self.file, raw.referenced), data }
    }

    fn entry(&self, (key, value): (Spanned<String>, Spanned<Raw>)) -> Entry {
        Entry { place: place(self.file, key.referenced), key: key.value, value: self.node(value) }
    }

    fn number(&self, defined: Location) -> Data {
        let span = defined.span();
        let range = span.byte_offset().zip(span.byte_len()).and_then(|(start, length)| {
            Some(usize::try_from(start).ok()?..usize::try_from(start.checked_add(length)?).ok()?)
        });
        let raw = range.and_then(|range| self.text.get(range)).unwrap_or_default().trim().to_owned();
        let digits = raw.strip_prefix('-').unwrap_or(&raw);
        let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let whole = if decimal { raw.parse().ok() } else { None };
        Data::Number { raw, whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node, Problem> {
        parse(&Arc::from("a.yaml"), text)
    }

    fn value(text: &str) -> Data {
        let root = read(&format!("key: {text}\n")).expect("valid YAML");
        root.get("key").expect("the key").value.data.clone()
    }

    #[test]
    fn only_true_false_and_decimals_are_not_text() {
        for text in ["NO", "yes", "off", "1_000", "010", "'true'", "\"12\"", "12:30", "2026-01-01", ".inf"] {
            assert!(matches!(value(text), Data::Text(_)), "{text}: {:?}", value(text));
        }
        assert!(matches!(value("true"), Data::Bool(true)));
        assert!(matches!(value("~"), Data::Null));
        assert!(matches!(value("-12"), Data::Number { whole: Some(-12), .. }));
        for text in ["1e3", "1.05", "0x10", "0o17", "99999999999999999999999999999999999999999999"] {
            assert!(matches!(value(text), Data::Number { whole: None, raw } if raw == text), "{text}");
        }
    }

    #[test]
    fn repeated_keys_come_through_with_their_places() {
        let root = read("a: 1\nb:\n  c: 2\n  c: 3\na: 4\n").expect("valid YAML");
        let lines: Vec<_> =
            root.entries().iter().map(|entry| (entry.key.as_str(), entry.place.line)).collect();
        assert_eq!(lines, [("a", 1), ("b", 2), ("a", 5)]);
        let inner = root.get("b").expect("b").value.entries();
        assert_eq!((inner[1].place.line, inner[1].place.column, inner[1].value.place.column), (4, 3, 6));
    }

    #[test]
    fn aliases_stand_where_they_are_used() {
        let root = read("a: &x {n: 1.5}\nb: *x\n").expect("valid YAML");
        let copy = &root.get("b").expect("b").value;
        assert_eq!(copy.place.line, 2);
        assert!(matches!(&copy.get("n").expect("n").value.data, Data::Number { raw, .. } if raw == "1.5"));
    }

    #[test]
    fn bombs_are_refused_at_a_place() {
        let aliases = (1..12).fold("a0: &a0 [x,x,x,x,x,x,x,x]\n".to_owned(), |text, i| {
            let uses = vec![format!("*a{}", i - 1); 8].join(",");
            format!("{text}a{i}: &a{i} [{uses}]\n")
        });
        let deep = "[".repeat(100_000);
        let long = "a: 1\n".repeat(FILE_BYTES_MAX / 5 + 1);
        for text in [aliases.as_str(), &deep, &long, "a: 1\n---\nb: 2\n", "a: &x [*x]\n", "a: !!python/x 1\n"]
        {
            let problem = read(text).expect_err("must be refused");
            assert!(problem.line() >= 1, "{problem}");
        }
    }
}
