//! Writes the report: machine, command, the table of medians, CPU by thread, and what each target does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::time::Duration;

use super::figures::{Figures, Metric, Spread};
use super::target::{PINGORA, Target};
use super::{Options, goals, process, rounds};

/// Beside a build, two copies of one proxy were seen 17 % apart over three rounds.
const QUIET_LOAD: f64 = 0.5;

/// When the suite ran, and beside what.
pub(super) struct Run<'a> {
    pub(super) date: &'a str,
    /// The machine's load average before anything was started: it should be near zero.
    pub(super) load_before: &'a str,
    pub(super) took: Duration,
}

pub(super) fn report(
    options: &Options,
    targets: &[Target],
    figures: &Figures,
    run: &Run,
) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    write_head(&mut text, options, run)?;
    write_figures(&mut text, targets, figures)?;
    if options.aione.is_some() {
        goals::write(&mut text, figures)?;
    }
    write_threads(&mut text, targets, figures)?;
    writeln!(text, "\n## What each target does\n")?;
    for target in targets {
        writeln!(text, "- **{}**: {}.", target.name, target.does)?;
    }
    if !figures.notes().is_empty() {
        writeln!(text, "\n## Went wrong\n")?;
        for note in figures.notes() {
            writeln!(text, "- {note}")?;
        }
    }
    Ok(text)
}

fn write_head(text: &mut String, options: &Options, run: &Run) -> std::fmt::Result {
    let first_field = |file: &str, name: &str| {
        let content = fs::read_to_string(file).unwrap_or_default();
        let line = content.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    writeln!(text, "# Measured on {}\n", run.date)?;
    writeln!(
        text,
        "{}, {} MHz, {} cores, Linux {}. The target has one core to itself, the upstream and the load \
         share another; loopback, HTTP/1.1 keep-alive, no TLS.",
        first_field("/proc/cpuinfo", "model name"),
        first_field("/proc/cpuinfo", "cpu MHz"),
        process::cores(),
        kernel.trim()
    )?;
    writeln!(
        text,
        "Command: `{}`; {} rounds of {} s each, {} s in all. Load average before the start: {}.\n",
        command_line(),
        options.rounds,
        options.seconds,
        run.took.as_secs(),
        run.load_before
    )?;
    if run.load_before.parse().is_ok_and(|load: f64| load > QUIET_LOAD) {
        writeln!(text, "**The machine was not quiet: no figure or ratio below is fit to be quoted.**\n")?;
    }
    writeln!(
        text,
        "Medians, with the least and the most in parentheses. CPU is that of the target's process \
         tree, of its proxy threads unless stated; a floor has no others. Request 1 KB, answer \
         600 B; a stream has 20 chunks, a usage chunk and `[DONE]`, each in a write of its own. \
         Latency: open loop at {}/s for {} times as long, from the time due; what is added is beside \
         the upstream itself in the same round. Every answer was checked to its end.\n",
        rounds::RATE_PER_S,
        rounds::LATENCY_TIMES
    )
}

/// As it was called, but without the folders, which say nothing elsewhere.
fn command_line() -> String {
    let words: Vec<String> = std::env::args()
        .map(|word| match word.rsplit_once('/') {
            Some((_, name)) if word.starts_with('/') => name.to_owned(),
            _ => word,
        })
        .collect();
    words.join(" ")
}

fn write_figures(text: &mut String, targets: &[Target], figures: &Figures) -> std::fmt::Result {
    let ours: Vec<&Target> = targets.iter().filter(|target| target.is_ours()).collect();
    let mut head: Vec<String> = vec![String::new()];
    head.extend(targets.iter().map(|target| target.name.to_owned()));
    head.extend(ours.iter().map(|target| format!("{} ÷ {PINGORA}", target.name)));
    write_row(text, &head)?;
    write_row(text, &vec!["---".to_owned(); head.len()])?;
    for (metric, title) in Metric::ALL {
        let cells = targets.iter().map(|target| figures.spread(target.name, metric));
        let cells: Vec<Option<Spread>> = cells.collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        let mut row = vec![title.to_owned()];
        row.extend(cells.iter().map(|cell| cell.map_or("–".to_owned(), show)));
        for target in &ours {
            let ratio = figures.ratio(metric, target.name, PINGORA);
            let note = match metric.is_throughput() {
                true => " (more is better)",
                false => "",
            };
            row.push(ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}{note}")));
        }
        write_row(text, &row)?;
    }
    Ok(())
}

pub(super) fn write_row(text: &mut String, cells: &[String]) -> std::fmt::Result {
    writeln!(text, "| {} |", cells.join(" | "))
}

fn show(spread: Spread) -> String {
    let digits = match spread.median.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{:.digits$} ({:.digits$}–{:.digits$})", spread.median, spread.least, spread.most)
}

fn write_threads(text: &mut String, targets: &[Target], figures: &Figures) -> std::fmt::Result {
    let mut by_thread: BTreeMap<(&str, &str), BTreeMap<&str, f64>> = BTreeMap::new();
    let mut workloads = BTreeSet::new();
    for (target, workload, thread, us) in figures.threads() {
        workloads.insert(workload);
        by_thread.entry((target, thread)).or_default().insert(workload, us);
    }
    if by_thread.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n## CPU by thread name, µs per request, stream or record\n")?;
    let mut head = vec!["target".to_owned(), "threads".to_owned()];
    head.extend(workloads.iter().map(|name| (*name).to_owned()));
    write_row(text, &head)?;
    write_row(text, &vec!["---".to_owned(); head.len()])?;
    for target in targets {
        let own = by_thread.iter().filter(|((of, _), _)| *of == target.name);
        for ((_, thread), spent) in own {
            let mut row = vec![target.name.to_owned(), format!("`{thread}`")];
            row.extend(workloads.iter().map(|workload| {
                let us = spent.get(workload);
                us.map_or("–".to_owned(), |us| format!("{us:.2}"))
            }));
            if spent.values().any(|us| *us > 0.005) {
                write_row(text, &row)?;
            }
        }
    }
    Ok(())
}
