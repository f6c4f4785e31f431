//! Reads what a process tree has used from /proc: CPU time by thread, and resident memory.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context;

/// /proc counts CPU time in hundredths of a second, on every Linux that there is.
const TICK_US: f64 = 10_000.0;

/// CPU time that a process tree has used so far.
pub(crate) struct Cpu {
    /// User and system time, also of threads that have ended.
    total_us: f64,
    /// By thread id, since a name is not unique: name and µs.
    threads: BTreeMap<u32, (String, f64)>,
}

/// CPU time used between two looks, in µs.
#[derive(Default)]
pub(crate) struct Spent {
    pub(crate) total_us: f64,
    /// By thread name; what threads used that have ended since has no name.
    pub(crate) threads_us: BTreeMap<String, f64>,
}

impl Cpu {
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let mut cpu = Self { total_us: 0.0, threads: BTreeMap::new() };
        for process in tree(pid)? {
            let stat = fs::read_to_string(format!("/proc/{process}/stat"))
                .with_context(|| format!("process {process} has ended"))?;
            let stat = Stat::parse(&stat).context("/proc/PID/stat")?;
            cpu.total_us += stat.ticks as f64 * TICK_US;
            cpu.read_threads(process)?;
        }
        Ok(cpu)
    }

    fn read_threads(&mut self, process: u32) -> anyhow::Result<()> {
        for entry in fs::read_dir(format!("/proc/{process}/task"))? {
            let folder = entry?.path();
            // A thread may end between being listed and being read.
            let Ok(stat) = fs::read_to_string(folder.join("stat")) else {
                continue;
            };
            let stat = Stat::parse(&stat).context("/proc/PID/task/TID/stat")?;
            // Nanoseconds, where the kernel keeps them: a tick is more than a short run's
            // background work.
            let exact_us = fs::read_to_string(folder.join("schedstat"))
                .ok()
                .and_then(|line| line.split(' ').next()?.parse::<f64>().ok())
                .map(|ns| ns / 1000.0);
            let us = exact_us.unwrap_or(stat.ticks as f64 * TICK_US);
            self.threads.insert(stat.id, (stat.name.to_owned(), us));
        }
        Ok(())
    }

    pub(crate) fn since(&self, before: &Cpu) -> Spent {
        let mut threads_us: BTreeMap<String, f64> = BTreeMap::new();
        for (id, (name, us)) in &self.threads {
            let earlier_us = before.threads.get(id).map_or(0.0, |(_, us)| *us);
            *threads_us.entry(name.clone()).or_default() += us - earlier_us;
        }
        let living_us: f64 = threads_us.values().sum();
        // Less than that is rounding.
        let ended_us = self.total_us - before.total_us - living_us;
        if ended_us > 3.0 * TICK_US {
            threads_us.insert("(ended)".to_owned(), ended_us);
        }
        Spent { total_us: threads_us.values().sum(), threads_us }
    }
}

impl Spent {
    /// By the threads whose names contain one of `parts`, in any case.
    pub(crate) fn of(&self, parts: &[impl AsRef<str>]) -> f64 {
        let is_of = |name: &str| {
            let name = name.to_lowercase();
            parts.iter().any(|part| name.contains(&part.as_ref().to_lowercase()))
        };
        self.threads_us.iter().filter(|(name, _)| is_of(name)).map(|(_, us)| us).sum()
    }
}

/// Resident memory of a process tree.
pub(crate) struct Resident {
    pub(crate) all_kib: f64,
    /// Without the pages of files, which the kernel maps as it likes and may take back.
    pub(crate) anonymous_kib: f64,
}

impl Resident {
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let mut resident = Self { all_kib: 0.0, anonymous_kib: 0.0 };
        for process in tree(pid)? {
            let status = fs::read_to_string(format!("/proc/{process}/status"))
                .with_context(|| format!("process {process} has ended"))?;
            resident.all_kib += status_kib(&status, "VmRSS:")?;
            resident.anonymous_kib += status_kib(&status, "RssAnon:")?;
        }
        Ok(resident)
    }
}

fn status_kib(status: &str, field: &str) -> anyhow::Result<f64> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|value| value.trim().strip_suffix("kB"))
        .and_then(|value| value.trim().parse().ok())
        .with_context(|| format!("no {field} in /proc/PID/status"))
}

/// The process and its descendants.
fn tree(root: u32) -> anyhow::Result<Vec<u32>> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if let Some(stat) = Stat::parse(&stat) {
            parents.insert(pid, stat.parent);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| **of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    Ok(found)
}

/// The fields of a stat line that are of use here.
struct Stat<'a> {
    id: u32,
    name: &'a str,
    parent: u32,
    ticks: u64,
}

impl<'a> Stat<'a> {
    /// The name is in parentheses and may hold any character, also `)`.
    fn parse(line: &'a str) -> Option<Self> {
        let (id, rest) = line.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let parent = fields.nth(1)?.parse().ok()?;
        let user: u64 = fields.nth(9)?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(Self { id: id.parse().ok()?, name, parent, ticks: user + system })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_although_the_name_has_parentheses() {
        let line = "42 (a) b) S 7 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0 9 0 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.id, stat.name, stat.parent), (42, "a) b", 7));
        assert_eq!(stat.ticks, 200);
    }

    #[test]
    fn this_process_has_memory_and_threads() {
        let pid = std::process::id();
        assert!(Resident::of(pid).unwrap().all_kib > 100.0);
        assert!(!Cpu::of(pid).unwrap().threads.is_empty());
    }
}
