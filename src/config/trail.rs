//! What must be watched so that a change of a file is seen, however it is brought about.
//!
//! Editors put a new file in the place of the old one, volume mounts swap a link somewhere on
//! the way: the folder tells of both, the file itself of neither.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Links on the way to one file; as many as the system itself follows.
const LINKS_MAX: usize = 40;

/// The folders to watch, and the paths in them that matter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Trail {
    /// With device and inode: a folder that was put in the place of another is another.
    pub folders: BTreeSet<(PathBuf, u64, u64)>,
    /// Files, the links on the way to them, and the folders above: absolute.
    pub paths: BTreeSet<PathBuf>,
    /// Folders of which every entry matters.
    pub listed: BTreeSet<PathBuf>,
}

impl Trail {
    /// The trail of `files`, and of `listed` folders, in which any file may be a new one.
    pub(super) fn of<'a>(
        files: impl IntoIterator<Item = &'a PathBuf>,
        listed: impl IntoIterator<Item = &'a PathBuf>,
    ) -> Self {
        let mut trail = Self::default();
        for file in files {
            trail.follow(absolute(file));
        }
        for folder in listed {
            let folder = absolute(folder);
            trail.watch(&folder);
            trail.follow(folder.clone());
            trail.listed.insert(folder);
        }
        trail
    }

    /// Whether an event at `path` can have changed something.
    pub(super) fn matters(&self, path: &Path) -> bool {
        self.paths.contains(path) || path.parent().is_some_and(|folder| self.listed.contains(folder))
    }

    fn follow(&mut self, path: PathBuf) {
        let mut path = path;
        for _ in 0..LINKS_MAX {
            if let Some(folder) = path.parent() {
                self.watch(folder);
            }
            self.paths.extend(path.ancestors().map(Path::to_owned));
            let Some((link, target)) = first_link(&path) else { return };
            let folder = link.parent().unwrap_or(Path::new("/"));
            self.watch(folder);
            let rest = path.strip_prefix(&link).unwrap_or(Path::new(""));
            let target = absolute(&folder.join(target));
            path = if rest.as_os_str().is_empty() { target } else { target.join(rest) };
        }
    }

    /// Watches `folder`, or the nearest one above it that is there.
    fn watch(&mut self, folder: &Path) {
        let identity = |folder: &Path| fs::metadata(folder).ok().filter(fs::Metadata::is_dir);
        let found = folder.ancestors().find_map(|folder| Some((folder.to_owned(), identity(folder)?)));
        if let Some((folder, identity)) = found {
            self.folders.insert((folder, identity.dev(), identity.ino()));
        }
    }
}

/// The first part of `path` that is a link, with what it says.
fn first_link(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut parts: Vec<&Path> = path.ancestors().collect();
    parts.reverse();
    parts.into_iter().find_map(|part| {
        let is_link = fs::symlink_metadata(part).is_ok_and(|data| data.is_symlink());
        let target: io::Result<PathBuf> = fs::read_link(part);
        if is_link { Some((part.to_owned(), target.ok()?)) } else { None }
    })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
