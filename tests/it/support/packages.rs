//! Packages for tests, from their registries: each set is installed once, in a folder beside the build.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

/// The Python of a virtual environment that holds `packages`, such as `openai==3.54.0`; several are parted by spaces.
pub fn python(packages: &str) -> PathBuf {
    let folder = once(packages, |folder| {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder), "python3 -m venv");
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        run(pip.args(packages.split(' ')), "pip install");
    });
    folder.join("bin/python")
}

/// The `node_modules` that holds `packages`, such as `openai@6.49.0`; several are parted by spaces.
pub fn node(packages: &str) -> PathBuf {
    let folder = once(packages, |folder| {
        std::fs::create_dir_all(folder).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]).arg(folder);
        run(npm.args(packages.split(' ')), "npm install");
    });
    folder.join("node_modules")
}

/// The folder of `packages`, which `install` is asked to fill where nobody has.
fn once(packages: &str, install: impl FnOnce(&Path)) -> PathBuf {
    let name = packages.replace("==", "-").replace(['/', '@'], "-").replace(' ', "+");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name.trim_start_matches('-'));
    let installed = folder.join("installed");
    // Each test is a process: the first one makes it, the others wait.
    let door = File::create(folder.with_extension("lock")).unwrap();
    door.lock().unwrap();
    if !installed.exists() {
        install(&folder);
        std::fs::write(installed, packages).unwrap();
    }
    folder
}

/// What it said; panics, with that, when it fails.
pub fn run(command: &mut Command, what: &str) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{what}: {error}"));
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {}\n{said}", output.status);
    said
}
