//! The trees of several files as one: maps are joined, and nothing is said twice.

use crate::config::{
    path,
    problem::{Place, Problem},
    tree::{Data, Entry, Node},
};
use std::collections::HashMap;

const VERSION: &str = "version";
const INCLUDE: &str = "include";

/// Joins `files`, of which the first is the main one, into one tree without repeated keys. Of a
/// key that is there twice the first stays, and both places are told.
pub(super) fn merge(files: Vec<Node>, problems: &mut Vec<Problem>) -> Option<Node> {
    let files: Vec<Node> = files.into_iter().map(|file| without_repeats(file, "", problems)).collect();
    let mut files = files.into_iter();
    let mut main = files.next()?;
    for file in files {
        let place = file.place.clone();
        match file.data {
            Data::Map(entries) => join(&mut main, entries, "", problems),
            _ => problems.push(Problem::new(place, "", "expected a map of sections")),
        }
    }
    Some(main)
}

/// The tree without the second and later of equal keys, at every depth.
fn without_repeats(node: Node, at: &str, problems: &mut Vec<Problem>) -> Node {
    let data = match node.data {
        Data::List(items) => {
            let items = items.into_iter().enumerate();
            Data::List(items.map(|(i, item)| without_repeats(item, &path::item(at, i), problems)).collect())
        }
        Data::Map(entries) => {
            let mut seen = HashMap::with_capacity(entries.len());
            let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
            for mut entry in entries {
                let here = path::key(at, &entry.key);
                if let Some(first) = seen.get(&entry.key) {
                    problems.push(repeated(&entry.key, entry.place, first, here));
                    continue;
                }
                seen.insert(entry.key.clone(), entry.place.clone());
                entry.value = without_repeats(entry.value, &here, problems);
                kept.push(entry);
            }
            Data::Map(kept)
        }
        scalar => scalar,
    };
    Node { place: node.place, data }
}

fn join(base: &mut Node, entries: Vec<Entry>, at: &str, problems: &mut Vec<Problem>) {
    if let Data::Null = base.data {
        base.data = Data::Map(Vec::new());
    }
    let Data::Map(known) = &mut base.data else { return };
    let mut index: HashMap<String, usize> =
        known.iter().enumerate().map(|(position, entry)| (entry.key.clone(), position)).collect();
    for entry in entries {
        let here = path::key(at, &entry.key);
        if at.is_empty() && entry.key == INCLUDE {
            problems.push(Problem::new(entry.place, here, "only the main file may include others"));
            continue;
        }
        let Some(first) = index.get(&entry.key).and_then(|position| known.get_mut(*position)) else {
            index.insert(entry.key.clone(), known.len());
            known.push(entry);
            continue;
        };
        let same_version = at.is_empty() && entry.key == VERSION && same_number(&first.value, &entry.value);
        let is_section = matches!(first.value.data, Data::Map(_) | Data::Null);
        match entry.value.data {
            Data::Map(inner) if is_section => join(&mut first.value, inner, &here, problems),
            // An empty section says nothing, so it contradicts nothing.
            Data::Null if is_section => {}
            _ if same_version => {}
            _ => problems.push(repeated(&entry.key, entry.place, &first.place, here)),
        }
    }
}

fn same_number(one: &Node, other: &Node) -> bool {
    match (&one.data, &other.data) {
        (Data::Number { raw: one, .. }, Data::Number { raw: other, .. }) => one == other,
        _ => false,
    }
}

fn repeated(key: &str, place: Place, first: &Place, at: String) -> Problem {
    Problem::new(place, at, format!("`{key}` is already defined at {first}"))
}
