//! Fuzzing: whoever reads bytes from outside does it without a panic, in time and in little memory, and what
//! `fuzz/targets/` says of it holds for bytes that nobody has thought of.

use std::{
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// Every target of `fuzz/`, with its share of the executions in thousandths: what runs fast runs often.
const TARGETS: [(&str, u64); 11] = [
    ("json", 220),
    ("secret", 220),
    ("peek", 150),
    ("form", 50),
    ("sse", 120),
    ("tap", 70),
    ("request", 40),
    ("answer", 40),
    ("stream", 40),
    ("translate", 40),
    ("config", 10),
];
/// Seconds for all of them together. `AIONE_TEST_FUZZ_RUNS` asks for so many executions instead.
const SECONDS: u64 = 60;

#[test]
fn no_bytes_from_outside_break_a_reader() {
    script(&["build"]);
    let runs = number("AIONE_TEST_FUZZ_RUNS");
    let limit = |share: u64| match runs {
        Some(runs) => format!("-runs={}", runs * share / 1000),
        None => format!("-max_total_time={}", SECONDS / TARGETS.len() as u64),
    };
    let next = AtomicUsize::new(0);
    let work = || {
        let mut executed = 0;
        while let Some((target, share)) = TARGETS.get(next.fetch_add(1, Ordering::Relaxed)) {
            let count = executions(&script(&["run", target, &limit(*share)]));
            println!("{target}: {count} executions, no crash, no hang");
            executed += count;
        }
        executed
    };
    // Beside the other tests one at a time, alone as many as there are processors.
    let workers = if runs.is_some() { thread::available_parallelism().map_or(1, usize::from) } else { 1 };
    let executed: u64 = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    println!("{executed} executions of {} targets", TARGETS.len());
    assert!(executed >= runs.unwrap_or(1_000), "only {executed}");
}

#[test]
fn every_target_is_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/targets");
    let mut there: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let mut run = TARGETS.map(|(name, _)| name);
    there.sort();
    run.sort_unstable();
    assert_eq!(there, run);
    assert_eq!(TARGETS.iter().map(|(_, share)| share).sum::<u64>(), 1000);
}

/// What `scripts/fuzz.sh` said; panics with it when it fails.
fn script(arguments: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let builds = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut command = Command::new(root.join("scripts/fuzz.sh"));
    command.args(arguments).current_dir(root).env("CARGO_TARGET_DIR", builds);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {}\n{}", output.status, end_of(&said));
    said
}

fn executions(said: &str) -> u64 {
    let line = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or_else(|| panic!("{}", end_of(said)))
}

/// From the first panic on, else the last lines: the rest only tells of the fuzzer's progress.
fn end_of(said: &str) -> &str {
    const SHOWN: usize = 20_000;
    let at = said.find("panicked at").unwrap_or(said.len().saturating_sub(SHOWN));
    let rest = &said[said.floor_char_boundary(at)..];
    &rest[..rest.floor_char_boundary(SHOWN)]
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
