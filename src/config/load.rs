//! Reads a configuration's files and what they refer to, and has it checked.

use super::glob;
use crate::tls;
use aione_core::config::{
    check::{self, Checked, FILE_BYTES_MAX, Lookup, Problem, Source},
    problem::Place,
    snapshot::Snapshot,
};
use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Files of one configuration, the main one included.
pub const FILES_MAX: usize = 256;
/// How the built-in configuration is called where a file's name would stand. Without a folder:
/// its relative paths start where the process does.
const BUILT_IN: &str = "quickstart.yaml";
const QUICKSTART: &str = include_str!("../../conf/quickstart.yaml");

/// Where the configuration comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The built-in quick start.
    BuiltIn,
    File(PathBuf),
}

/// A sound configuration as it was read.
#[derive(Debug)]
pub struct Loaded {
    pub snapshot: Snapshot,
    /// What is allowed and probably not meant.
    pub warnings: Vec<Problem>,
    /// Every file that was read or looked for: configuration, secrets, certificates.
    pub files: Vec<PathBuf>,
    pub(super) seen: Seen,
}

/// What a reading touched, sound or not.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Seen {
    pub files: BTreeSet<PathBuf>,
    /// Folders in which a new file would be included.
    pub folders: BTreeSet<PathBuf>,
    /// Over the names and contents of all files.
    pub fingerprint: u64,
}

impl Seen {
    /// What was read was not taken: at the next event the same content is read as another one.
    pub(super) fn forget(&mut self) {
        self.fingerprint = !self.fingerprint;
    }
}

impl Origin {
    /// The main file, as people find it.
    pub(super) fn name(&self) -> Arc<str> {
        match self {
            Self::BuiltIn => Arc::from(BUILT_IN),
            Self::File(path) => Arc::from(path.display().to_string()),
        }
    }
}

/// Reads and checks the configuration.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn load(origin: &Origin) -> Result<Loaded, Vec<Problem>> {
    let (seen, result) = read(origin);
    let Checked { snapshot, warnings } = result?;
    Ok(Loaded { snapshot, warnings, files: seen.files.iter().cloned().collect(), seen })
}

/// As [`load`], and says what was touched also where something is wrong.
pub(super) fn read(origin: &Origin) -> (Seen, Result<Checked, Vec<Problem>>) {
    let disk = Disk::default();
    let mut problems = Vec::new();
    let sources = sources(origin, &disk, &mut problems);
    // Checked in any case, for what it touches; but what a missing file would have said is
    // unknown, so that then any other problem might be none.
    let checked = check::check(&sources, &disk);
    let result = if problems.is_empty() { checked } else { Err(problems) };
    (disk.seen.into_inner().finish(), result)
}

/// The main file, then what it includes.
fn sources(origin: &Origin, disk: &Disk, problems: &mut Vec<Problem>) -> Vec<Source> {
    let main = match origin {
        Origin::BuiltIn => Ok(Source { name: Arc::from(BUILT_IN), text: QUICKSTART.to_owned() }),
        Origin::File(path) => source(path, None, disk),
    };
    let main = match main {
        Ok(main) => main,
        Err(problem) => {
            problems.push(problem);
            return Vec::new();
        }
    };
    let folder = Path::new(&*main.name).parent().unwrap_or(Path::new("")).to_owned();
    let mut known = BTreeSet::from([PathBuf::from(&*main.name)]);
    let mut included = Vec::new();
    for include in check::includes(&main) {
        let told = |message: String| Problem::new(include.place.clone(), "include", message);
        let found = match glob::find(&folder, &include.pattern) {
            Ok(found) => found,
            Err(error) => {
                problems.push(told(format!("`{}` cannot be listed: {error}", include.pattern)));
                continue;
            }
        };
        disk.seen.borrow_mut().folders.extend(found.folders);
        for path in found.files {
            if !known.insert(path.clone()) {
                continue;
            }
            if known.len() > FILES_MAX {
                problems.push(told(format!("more than {FILES_MAX} files")));
                break;
            }
            match source(&path, Some(&include.place), disk) {
                Ok(source) => included.push(source),
                Err(problem) => problems.push(problem),
            }
        }
    }
    std::iter::once(main).chain(included).collect()
}

/// One file's text; `from` is where it is included.
fn source(path: &Path, from: Option<&Place>, disk: &Disk) -> Result<Source, Problem> {
    let name: Arc<str> = Arc::from(path.display().to_string());
    let start = || Place { file: name.clone(), line: 1, column: 1 };
    match disk.read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Source { name, text }),
            Err(error) => {
                let sound = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
                let line = 1 + sound.iter().filter(|byte| **byte == b'\n').count();
                let line = u32::try_from(line).unwrap_or(u32::MAX);
                Err(Problem::new(Place { line, ..start() }, "", "not UTF-8"))
            }
        },
        Err(error) => {
            let place = from.cloned().unwrap_or_else(start);
            let at = if from.is_some() { "include" } else { "" };
            Err(Problem::new(place, at, format!("the file `{name}` cannot be read: {error}")))
        }
    }
}

/// The file system and the environment, noting what was touched.
#[derive(Default)]
struct Disk {
    seen: RefCell<Touched>,
}

#[derive(Default)]
struct Touched {
    files: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
    hasher: DefaultHasher,
}

impl Touched {
    fn finish(self) -> Seen {
        Seen { files: self.files, folders: self.folders, fingerprint: self.hasher.finish() }
    }
}

impl Disk {
    /// The first bytes of a regular file: one more than a file may have, so that a longer one
    /// is seen to be too long.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let bytes = read_bounded(path);
        let mut seen = self.seen.borrow_mut();
        seen.files.insert(path.to_owned());
        path.hash(&mut seen.hasher);
        bytes.as_ref().map_err(io::Error::kind).hash(&mut seen.hasher);
        bytes
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Lookup for Disk {
    #[expect(clippy::disallowed_methods, reason = "this is where the configuration reads the environment")]
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> Result<Option<String>, String> {
        match self.read(path) {
            Ok(bytes) if bytes.len() > FILE_BYTES_MAX => Err(format!("larger than {FILE_BYTES_MAX} bytes")),
            Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| "not UTF-8".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn pair(&self, cert: &Path, key: &Path) -> Result<(), String> {
        tls::read(cert, key).map(drop).map_err(|error| format!("{error:#}"))
    }
}
