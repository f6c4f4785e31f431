//! Python packages for tests, each in a virtual environment that is made once and kept beside the build.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

/// The Python of an environment that holds `package`, such as `openai==3.54.0`.
pub fn with(package: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(package.replace("==", "-"));
    let python = folder.join("bin/python");
    let installed = folder.join("installed");
    // Each test is a process: the first one makes it, the others wait.
    let door = File::create(folder.with_extension("lock")).unwrap();
    door.lock().unwrap();
    if installed.exists() {
        return python;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder), "python3 -m venv");
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]);
    run(&mut pip, "pip install");
    std::fs::write(installed, package).unwrap();
    python
}

/// What it said; panics, with that, when it fails.
pub fn run(command: &mut Command, what: &str) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{what}: {error}"));
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {}\n{said}", output.status);
    said
}
