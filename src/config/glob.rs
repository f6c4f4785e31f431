//! The patterns of `include`: `*` and `?` within one name, folder by folder.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

/// What a pattern led to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Sorted, so that the order of merging does not depend on the file system.
    pub files: Vec<PathBuf>,
    /// Where a file that would match can appear.
    pub folders: Vec<PathBuf>,
}

/// The files under `folder` that `pattern` names. A pattern without a wildcard is one file,
/// whether it is there or not.
///
/// # Errors
/// A folder is there and cannot be listed.
pub(super) fn find(folder: &Path, pattern: &str) -> io::Result<Found> {
    let mut paths = vec![folder.to_owned()];
    let mut found = Found::default();
    for part in Path::new(pattern).components() {
        let name = part.as_os_str().to_str().filter(|name| is_pattern(name));
        match (part, name) {
            (Component::Normal(_), Some(name)) => {
                found.folders.extend(paths.iter().map(|path| listed(path).to_owned()));
                paths =
                    paths.iter().map(|path| matching(path, name)).collect::<io::Result<Vec<_>>>()?.concat();
            }
            _ => paths.iter_mut().for_each(|path| path.push(part)),
        }
    }
    if is_pattern(pattern) {
        paths.retain(|path| path.is_file());
        paths.sort();
    }
    found.files = paths;
    Ok(found)
}

fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// The folder of a file that is named without one is the process's own.
fn listed(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// The entries of `folder` that match; hidden ones never do, because editors and volume mounts
/// keep theirs there. A folder that is not there has none.
fn matching(folder: &Path, pattern: &str) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(listed(folder)) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry?;
        let fits = entry.file_name().to_str().is_some_and(|name| {
            let name_chars: Vec<char> = name.chars().collect();
            let pattern_chars: Vec<char> = pattern.chars().collect();
            !name.starts_with('.') && matches(&pattern_chars, &name_chars)
        });
        if fits {
            paths.push(folder.join(entry.file_name()));
        }
    }
    Ok(paths)
}

/// Walks both once and goes back to the last `*` only: linear in the pattern for each letter.
fn matches(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(letter) if *letter == '?' || Some(letter) == name.get(n) => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                p = star_at + 1;
                n = taken + 1;
            }
        }
    }
    pattern.iter().skip(p).all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_parts_of_a_name() {
        let check = |pattern: &str, name: &str| {
            matches(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
        };
        for (pattern, name) in [
            ("*.yaml", "a.yaml"),
            ("*", "x"),
            ("a?c", "abc"),
            ("a*b*c", "axxbyyc"),
            ("*ab", "aab"),
            ("é*", "été"),
        ] {
            assert!(check(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*.yaml", "a.yml"), ("?", ""), ("a", "ab"), ("*a", "b"), ("", "a"), ("a*b", "ac")]
        {
            assert!(!check(pattern, name), "{pattern} {name}");
        }
        assert!(!check(&"*a".repeat(50), &"a".repeat(40)));
    }

    #[test]
    fn files_are_found_in_order_and_hidden_ones_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b/2.yaml", "b/1.yaml", "a/3.yaml", "a/.4.yaml", "a/5.txt", "c/d/6.yaml"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, "").expect("a file");
        }
        let names = |pattern: &str| {
            let found = find(folder.path(), pattern).expect("readable");
            let relative = found.files.iter().map(|path| path.strip_prefix(folder.path()).unwrap_or(path));
            relative.map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names("*/*.yaml"), ["a/3.yaml", "b/1.yaml", "b/2.yaml"]);
        assert_eq!(names("gone/*.yaml"), Vec::<String>::new());
        assert_eq!(names("gone.yaml"), ["gone.yaml"]);
        assert_eq!(find(folder.path(), "?/*.yaml").expect("readable").folders.len(), 4);
    }

    #[test]
    fn beside_a_file_without_a_folder_names_have_none_either() {
        // Tests run in the folder of their package.
        let found = find(Path::new(""), "Cargo.tom?").expect("readable");
        assert_eq!(found.files, [Path::new("Cargo.toml")]);
        assert_eq!(found.folders, [Path::new(".")]);
    }
}
