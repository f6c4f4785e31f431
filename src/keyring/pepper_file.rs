//! The pepper that is made by itself beside the embedded store.

use crate::clock::System;
use aione_core::{config::snapshot::Secret, domain::key::pepper::PEPPER_MIN, ports::Surroundings as _};
use std::{
    fs, io,
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

const FILE_MODE: u32 = 0o600;
const PEPPER_BYTES: usize = 32;
/// The most of a file that is read: a longer one is no pepper.
const FILE_MAX: u64 = 4_096;

/// Why there is no pepper.
#[derive(Debug, thiserror::Error)]
pub enum PepperFileError {
    #[error("the key pepper {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the key pepper {} has fewer than {PEPPER_MIN} characters: was the file cut short?", path.display())]
    TooShort { path: PathBuf },
}

/// Reads the pepper, or makes one where there is no file: 32 random bytes in hexadecimal,
/// readable by the owner alone, on the disk before this returns.
///
/// It is for the embedded store alone: nodes that share a store must be given the same pepper,
/// and one that made its own would know none of their keys.
///
/// # Errors
/// The file cannot be read or made, or is too short to be a pepper.
pub fn load_or_make_pepper(path: &Path) -> Result<Secret, PepperFileError> {
    let failed = |source| PepperFileError::Io { path: path.to_owned(), source };
    match load(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(path).map_err(failed)?;
        }
        found => return long_enough(found.map_err(failed)?, path),
    }
    // Another process may have been first: what counts is what the file holds.
    long_enough(load(path).map_err(failed)?, path)
}

fn load(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    fs::File::open(path)?.take(FILE_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn long_enough(text: Zeroizing<String>, path: &Path) -> Result<Secret, PepperFileError> {
    let pepper = text.trim();
    if pepper.len() < PEPPER_MIN {
        return Err(PepperFileError::TooShort { path: path.to_owned() });
    }
    Ok(Secret::new(pepper.to_owned()))
}

/// Writes a file under another name and links it to its own, which fails where there is one: at
/// no time is there half a pepper, and none is ever replaced.
fn make(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let draft = folder.join(name);
    let made = write(&draft).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let removed = fs::remove_file(&draft);
    made.and(removed)?;
    fs::File::open(folder)?.sync_all()
}

fn write(path: &Path) -> io::Result<()> {
    let mut bytes = Zeroizing::new([0; PEPPER_BYTES]);
    System.entropy(bytes.as_mut_slice());
    let mut text = Zeroizing::new(String::with_capacity(2 * PEPPER_BYTES + 1));
    for byte in bytes.iter() {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).expect("four bits are a digit"));
        }
    }
    text.push('\n');
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_pepper_is_made_once_and_is_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/pepper");
        let made = load_or_make_pepper(&path).unwrap();
        assert_eq!(made.expose().len(), 64);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load_or_make_pepper(&path).unwrap(), made);
        assert_eq!(fs::read_dir(folder.path().join("data")).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn processes_that_start_together_agree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pepper");
        fs::write(&path, "the pepper of the process that was first\n").unwrap();
        make(&path).unwrap();
        assert_eq!(load_or_make_pepper(&path).unwrap().expose(), "the pepper of the process that was first");
    }

    #[test]
    fn a_file_that_is_no_pepper_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pepper");
        fs::write(&path, "short\n").unwrap();
        assert!(matches!(load_or_make_pepper(&path), Err(PepperFileError::TooShort { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "short\n");
        assert!(matches!(load_or_make_pepper(folder.path()), Err(PepperFileError::Io { .. })));
    }
}
