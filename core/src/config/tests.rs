//! A configuration as an operator writes it: what is taken, what is refused, and how.

mod clouds;
mod meaning;
mod mutated;
mod pass_through;
mod plan_prices;
mod reload;
mod written;

use crate::config::check::{self, Checked, Lookup, Problem, Source};
use std::{collections::HashMap, path::Path, sync::Arc};

/// What surrounds a configuration in a test.
#[derive(Default)]
struct World {
    vars: HashMap<&'static str, String>,
    files: HashMap<&'static str, String>,
}

impl Lookup for World {
    fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).cloned()
    }

    fn file(&self, path: &Path) -> Result<Option<String>, String> {
        match path.to_str() {
            Some("conf/closed") => Err("permission denied".to_owned()),
            path => Ok(path.and_then(|path| self.files.get(path)).cloned()),
        }
    }

    fn pair(&self, cert: &Path, key: &Path) -> Result<(), String> {
        match (cert.to_str(), key.to_str()) {
            (Some("conf/ca.pem"), Some("conf/other.key")) => {
                Err("the certificate and the key do not belong together".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl World {
    fn new() -> Self {
        let pem = |label: &str| format!("-----BEGIN {label}-----\nAA==\n-----END {label}-----\n");
        let vars = [("OPENAI_API_KEY", "sk-upstream-canary"), ("SHORT", "short-canary")];
        let files = [
            ("conf/pepper", "p".repeat(32) + "\n"),
            ("conf/ca.pem", pem("CERTIFICATE")),
            ("conf/tls.key", pem("PRIVATE KEY")),
            ("conf/other.key", pem("PRIVATE KEY")),
            ("conf/sa.json", clouds::key_file()),
        ];
        Self { vars: vars.map(|(name, value)| (name, value.to_owned())).into(), files: files.into() }
    }
}

/// A sound configuration of few lines, to which a test adds what it is about.
const SOUND: &str = "\
providers: { sim: { kind: simulated } }
models:
  chat:
    price: { input: '1', cache_read: '0', output: '4' }
    route: { deployments: [{ provider: sim }] }
";

fn check_files(files: &[(&str, &str)]) -> Result<Checked, Vec<Problem>> {
    let sources: Vec<Source> = files
        .iter()
        .map(|(name, text)| Source { name: Arc::from(format!("conf/{name}")), text: (*text).to_owned() })
        .collect();
    check::check(&sources, &World::new())
}

fn check_text(text: &str) -> Result<Checked, Vec<Problem>> {
    check_files(&[("a.yaml", text)])
}

/// Exactly `expected` is wrong with `text`, each as a line without its `conf/` in front.
#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    refused_files(&[("a.yaml", text)], expected);
}

#[track_caller]
fn refused_files(files: &[(&str, &str)], expected: &[&str]) {
    let problems = check_files(files).expect_err("must be refused");
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let lines: Vec<&str> = lines.iter().map(|line| line.strip_prefix("conf/").unwrap_or(line)).collect();
    assert_eq!(lines, expected, "\n{}", lines.join("\n"));
}

/// `text` is taken, with exactly `expected` warnings.
#[track_caller]
fn warned(text: &str, expected: &[&str]) {
    let checked = check_text(text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let lines: Vec<String> = checked.warnings.iter().map(ToString::to_string).collect();
    let lines: Vec<&str> = lines.iter().map(|line| line.strip_prefix("conf/").unwrap_or(line)).collect();
    assert_eq!(lines, expected, "\n{}", lines.join("\n"));
}
