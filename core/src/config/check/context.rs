//! What the checks for meaning share: places in the tree, references, and the two lists.

use crate::config::{
    form::{Interpolated, format_span},
    interpolate::{self, Lookup},
    path,
    problem::{Place, Problem},
    snapshot::TlsFiles,
    tree::Node,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// What a value says that only a later version does.
pub(super) const NOT_YET: &str = "is not supported yet by this version";

/// A value of the configuration, there or not, and where to tell of it.
#[derive(Clone)]
pub(super) struct Spot<'a> {
    node: Option<&'a Node>,
    place: &'a Place,
    path: String,
}

impl<'a> Spot<'a> {
    pub(super) fn key(&self, name: &str) -> Self {
        let entry = self.node.and_then(|node| node.get(name));
        let path = path::key(&self.path, name);
        match entry {
            // A container begins on the line after its key, which is not where one looks.
            Some(entry) if !entry.value.entries().is_empty() || !entry.value.items().is_empty() => {
                Self { node: Some(&entry.value), place: &entry.place, path }
            }
            Some(entry) => Self { node: Some(&entry.value), place: &entry.value.place, path },
            None => Self { node: None, place: self.place, path },
        }
    }

    pub(super) fn item(&self, index: usize) -> Self {
        let node = self.node.and_then(|node| node.items().get(index));
        let path = path::item(&self.path, index);
        Self { node, place: node.map_or(self.place, |node| &node.place), path }
    }

    /// The spot of one of several, or of the one that stands alone.
    pub(super) fn one_of(&self, index: usize) -> Self {
        let alone = self.node.is_none_or(|node| node.items().is_empty());
        if alone { self.clone() } else { self.item(index) }
    }

    /// Whether something stands there, sound or not.
    pub(super) fn is_there(&self) -> bool {
        self.node.is_some_and(|node| !node.is_null())
    }

    /// The keys that stand there, with sound values or not.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.node.map(Node::entries).unwrap_or_default().iter().map(|entry| entry.key.as_str())
    }

    pub(super) fn place(&self) -> &'a Place {
        self.place
    }

    fn folder(&self) -> &'a Path {
        Path::new(&*self.place.file).parent().unwrap_or(Path::new(""))
    }
}

pub(super) struct Context<'a> {
    root: &'a Node,
    lookup: &'a dyn Lookup,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    /// Over all that the snapshot is made of.
    digest: Sha256,
}

impl<'a> Context<'a> {
    pub(super) fn new(root: &'a Node, lookup: &'a dyn Lookup, problems: Vec<Problem>) -> Self {
        Self { root, lookup, problems, warnings: Vec::new(), digest: Sha256::new() }
    }

    pub(super) fn root(&self) -> Spot<'a> {
        Spot { node: Some(self.root), place: &self.root.place, path: String::new() }
    }

    pub(super) fn problem(&mut self, spot: &Spot<'_>, message: impl Into<String>) {
        self.suggest(spot, message, None);
    }

    pub(super) fn suggest(
        &mut self,
        spot: &Spot<'_>,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) {
        self.problems.push(Problem::new(spot.place.clone(), spot.path.as_str(), message).suggest(suggestion));
    }

    pub(super) fn warn(&mut self, spot: &Spot<'_>, message: impl Into<String>) {
        self.warnings.push(Problem::new(spot.place.clone(), spot.path.as_str(), message));
    }

    /// `value`, told of when it is outside of `least..=most`.
    pub(super) fn bounded(
        &mut self,
        spot: &Spot<'_>,
        value: Duration,
        least: Duration,
        most: Duration,
    ) -> Duration {
        if !(least..=most).contains(&value) {
            self.problem(spot, format!("must be from {} to {}", format_span(least), format_span(most)));
        }
        value
    }

    /// The text that `text` stands for.
    pub(super) fn resolve(&mut self, spot: &Spot<'_>, text: &Interpolated) -> Option<String> {
        let value = self.resolve_unsealed(spot, text)?;
        self.digest(value.as_bytes());
        Some(value)
    }

    /// As [`Self::resolve`], without a part in the version.
    pub(super) fn resolve_unsealed(&mut self, spot: &Spot<'_>, text: &Interpolated) -> Option<String> {
        let resolved = interpolate::resolve(&text.0, spot.folder(), self.lookup);
        resolved.map_err(|error| self.problem(spot, error.to_string())).ok()
    }

    /// The path that `text` stands for, from the folder of the file in which it stands.
    pub(super) fn path(&mut self, spot: &Spot<'_>, text: &Interpolated) -> Option<PathBuf> {
        let path = self.resolve(spot, text)?;
        if path.is_empty() || path.contains('\0') {
            self.problem(spot, "names no file");
            return None;
        }
        Some(spot.folder().join(path))
    }

    /// The path of a PEM file that can be read and holds something labelled `label`.
    pub(super) fn pem(&mut self, spot: &Spot<'_>, text: &Interpolated, label: &str) -> Option<PathBuf> {
        let path = self.path(spot, text)?;
        let wrong = match self.lookup.file(&path) {
            Ok(Some(pem)) => {
                self.digest(pem.as_bytes());
                if pem.contains("-----BEGIN ") && pem.contains(&format!("{label}-----")) {
                    return Some(path);
                }
                format!("the file `{}` holds no PEM {}", path.display(), label.to_lowercase())
            }
            Ok(None) => format!("there is no file `{}`", path.display()),
            Err(reason) => format!("the file `{}` cannot be read: {reason}", path.display()),
        };
        self.problem(spot, wrong);
        None
    }

    /// Tells where a listener cannot serve with these files.
    pub(super) fn pair(&mut self, spot: &Spot<'_>, files: &TlsFiles) {
        if let Err(reason) = self.lookup.pair(&files.cert, &files.key) {
            self.problem(spot, reason);
        }
    }

    /// The file that `text` names as `file:`, with its content if it is there.
    pub(super) fn file(&mut self, spot: &Spot<'_>, text: &Interpolated) -> Option<(PathBuf, bool)> {
        let path = interpolate::file_of(&text.0, spot.folder(), self.lookup).ok()??;
        let is_there = !matches!(self.lookup.file(&path), Ok(None));
        Some((path, is_there))
    }

    pub(super) fn folder_of(spot: &Spot<'a>) -> &'a Path {
        spot.folder()
    }

    /// Takes the text of the configuration into its version.
    pub(super) fn seal(&mut self, sections: &Value) {
        self.digest(sections.to_string().as_bytes());
    }

    /// The first eight bytes of the SHA-256 over everything that was sealed, looked up or read.
    pub(super) fn version(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(self.digest.clone().finalize());
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.problems, self.warnings)
    }

    fn digest(&mut self, bytes: &[u8]) {
        self.digest.update((bytes.len() as u64).to_be_bytes());
        self.digest.update(bytes);
    }
}
