//! The invariants of the source tree that a machine can keep.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The product's code; tests and bench are read by the rules that name them.
const PRODUCT: [&str; 3] = ["core/src", "admin/src", "src"];
const WHOLE: [&str; 6] = ["core", "admin", "src", "bench", "tests", "fuzz"];

/// Nine files in ten of the product are shorter.
const USUAL_LINES: usize = 400;
/// No file of the product is longer.
const MOST_LINES: usize = 600;

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The path from the root of the tree.
    fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap().display().to_string()
    }

    /// Tests are in a file of their own, or after `#[cfg(test)]` at the end of one.
    fn without_tests(&self) -> &str {
        let name = self.name();
        if name.ends_with("tests.rs") || name.contains("/tests/") {
            return "";
        }
        self.text.split("#[cfg(test)]\nmod ").next().unwrap()
    }

    /// Lines of code that are neither comments nor tests, numbered from 1.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.without_tests().lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
        lines.filter(|(_, line)| !line.starts_with("//"))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target" && name != "node_modules") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                sources.push(Source { path, text });
            }
        }
    }
    assert!(!sources.is_empty());
    sources
}

fn expect_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

/// Where `wanted` is found in a line of product code.
fn found_in_product(wanted: impl Fn(&Source, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources(&PRODUCT) {
        for (number, line) in source.code() {
            if wanted(&source, line) {
                found.push(format!("{}:{number}: {line}", source.name()));
            }
        }
    }
    found
}

#[test]
fn every_file_says_its_responsibility_first() {
    let found: Vec<_> =
        sources(&WHOLE).iter().filter(|source| !source.text.starts_with("//! ")).map(Source::name).collect();
    expect_none("a file begins with `//! …`", &found);
}

#[test]
fn files_are_short() {
    let sources = sources(&PRODUCT);
    let length = |source: &Source| source.text.lines().count();
    let long: Vec<_> = sources
        .iter()
        .filter(|source| length(source) > USUAL_LINES)
        .map(|source| format!("{}: {} lines", source.name(), length(source)))
        .collect();
    assert!(
        long.len() * 10 <= sources.len(),
        "{} of {} files are long:\n{}",
        long.len(),
        sources.len(),
        long.join("\n")
    );
    let longest: Vec<_> =
        sources.iter().filter(|source| length(source) > MOST_LINES).map(Source::name).collect();
    expect_none("no file is longer than 600 lines", &longest);
}

#[test]
fn nothing_is_left_to_do_and_nothing_unwraps() {
    let found =
        found_in_product(|_, line| line.contains(concat!("todo", "!(")) || line.contains("unimplemented!("));
    expect_none("no unfinished code", &found);
    expect_none(
        "`expect` says why, `unwrap` does not",
        &found_in_product(|_, line| line.contains(".unwrap()")),
    );
}

#[test]
fn lints_are_expected_with_a_reason_never_allowed() {
    let found: Vec<_> = sources(&WHOLE)
        .iter()
        .filter(|source| !source.path.ends_with("tidy.rs"))
        .flat_map(|source| {
            let lines: Vec<_> = source
                .code()
                .filter(|(_, line)| line.contains("#[allow(") || line.contains("#![allow("))
                .collect();
            lines
                .into_iter()
                .map(|(number, line)| format!("{}:{number}: {line}", source.name()))
                .collect::<Vec<_>>()
        })
        .collect();
    expect_none("`#[expect(lint, reason = …)]` in place of `allow`", &found);
}

#[test]
fn a_providers_name_appears_only_among_the_providers() {
    let names = [
        "\"openai_compatible\"",
        "\"simulated\"",
        "\"anthropic\"",
        "\"gemini\"",
        "\"bedrock\"",
        "\"azure\"",
        "\"vertex\"",
    ];
    let found = found_in_product(|source, line| {
        !source.name().starts_with("core/src/provider/") && names.iter().any(|name| line.contains(name))
    });
    expect_none("a provider is a value of `PROVIDERS`", &found);
}

#[test]
fn core_cannot_do_io() {
    let manifest = fs::read_to_string(root().join("core/Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let found: Vec<_> = dependencies
        .lines()
        .filter(|line| {
            let name = line.split(['.', ' ', '=']).next().unwrap();
            ["tokio", "axum", "sqlx", "notify", "rand", "redis"].contains(&name)
                || name.starts_with("pingora")
        })
        .map(str::to_owned)
        .collect();
    expect_none("core has nothing to do I/O with", &found);
    let doors = [
        "std::fs",
        "std::net::Tcp",
        "std::env",
        "std::thread",
        "SystemTime::now",
        "Instant::now",
        "Utc::now",
    ];
    let found = found_in_product(|source, line| {
        source.name().starts_with("core/") && doors.iter().any(|door| line.contains(door))
    });
    expect_none("core reads no file, socket, clock or environment", &found);
}

#[test]
fn concrete_stores_are_named_only_where_they_are_put_together() {
    let found = found_in_product(|source, line| {
        let name = source.name();
        let inside = ["src/store/", "src/assemble", "src/cli", "src/main.rs", "src/lib.rs"];
        line.contains("sqlx::") && !inside.iter().any(|place| name.starts_with(place))
    });
    expect_none("SQL lives in src/store", &found);
}

#[test]
fn tests_wait_for_conditions_never_for_a_time() {
    let found: Vec<_> = sources(&["tests"])
        .iter()
        .filter(|source| !source.path.ends_with("tidy.rs"))
        .flat_map(|source| {
            let name = source.name();
            let lines = source.text.lines().enumerate();
            let bad = lines
                .filter(|(_, line)| line.contains("sleep(") || line.trim_start().starts_with("#[ignore"));
            bad.map(|(n, line)| format!("{name}:{}: {}", n + 1, line.trim())).collect::<Vec<_>>()
        })
        .collect();
    expect_none("no sleep, no ignored test", &found);
}
