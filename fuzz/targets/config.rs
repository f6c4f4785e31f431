//! The loader of configurations: every text is a snapshot, the same each time, or problems that have a place
//! in it and say nothing of what was looked up. Nothing is read from outside.

#![no_main]

use aione_core::config::{
    check::{Lookup, Source, check, includes},
    diff,
};
use libfuzzer_sys::fuzz_target;
use std::{path::Path, sync::Arc};

/// What no message may repeat.
const CANARY: &str = "canary-0123456789abcdef0123456789abcdef";

/// What stands around a configuration: a few variables and files.
struct World;

impl Lookup for World {
    fn var(&self, name: &str) -> Option<String> {
        match name.as_bytes().first() {
            Some(b'E') => Some(String::new()),
            Some(b'N') => None,
            _ => Some(CANARY.to_owned()),
        }
    }

    fn file(&self, path: &Path) -> Result<Option<String>, String> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("pem" | "crt") => {
                Ok(Some("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".to_owned()))
            }
            Some("key") => {
                Ok(Some("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n".to_owned()))
            }
            Some("no") => Ok(None),
            Some("closed") => Err("permission denied".to_owned()),
            _ => Ok(Some(CANARY.to_owned())),
        }
    }

    fn pair(&self, _: &Path, _: &Path) -> Result<(), String> {
        Ok(())
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // Further files stand behind bytes that YAML does not have.
    let texts = text.split('\u{1}').enumerate();
    let sources: Vec<Source> = texts
        .map(|(number, text)| Source {
            name: Arc::from(format!("conf/{number}.yaml")),
            text: text.to_owned(),
        })
        .collect();
    let _ = includes(&sources[0]);
    match check(&sources, &World) {
        Ok(checked) => {
            let again = check(&sources, &World).expect("it was taken before");
            assert_eq!(again.snapshot.version, checked.snapshot.version);
            assert_eq!(again.warnings, checked.warnings);
            assert_eq!(again.snapshot.prices, checked.snapshot.prices);
            assert_eq!(diff::forbids(&checked.snapshot, &again.snapshot), None);
            let (_, reloaded) = diff::apply(&checked.snapshot, again.snapshot);
            assert!(reloaded.changes.is_empty() && reloaded.needs_restart.is_empty(), "{reloaded:?}");
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            for problem in problems {
                let source = sources.iter().find(|source| *source.name == *problem.file());
                let source = source.expect("a problem is in one of the files");
                assert!(problem.line() > 0 && problem.column() > 0, "{problem}");
                // In YAML a carriage return alone ends a line as well.
                let ends = source.text.bytes().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
                assert!(problem.line() as usize <= ends + 1, "{problem}");
                assert!(!problem.to_string().chars().any(char::is_control), "{problem}");
                assert!(!problem.to_string().contains("canary-0"), "{problem}");
            }
        }
    }
});
