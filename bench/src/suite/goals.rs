//! Holds the figures against the goals: which bar each one passes, with the journal mode that the goal names.

use std::fmt::{self, Write};

use Bar::{AtLeast, AtMost};

use super::figures::{Figures, Metric};
use super::table::write_row;
use super::target::{DRIVER, GROUP, INTERVAL, NGINX_NAME, PINGORA, TRANSLATED};

/// One goal: a figure, and the two bars that it is held against.
struct Goal {
    title: &'static str,
    metric: Metric,
    of: &'static str,
    by: By,
    first_bar: Bar,
    goal: Bar,
}

#[derive(Clone, Copy)]
enum By {
    Pingora,
    /// The driver alone.
    Driver,
    Nginx,
    /// The gateway where nothing is translated.
    Group,
    /// Not a ratio but the figure itself.
    Itself,
}

/// What a figure must not be above, or not below.
#[derive(Clone, Copy)]
enum Bar {
    AtMost(f64),
    AtLeast(f64),
}

/// CPU holds for `group`, latency for `interval` with `group` beside it.
const GOALS: [Goal; 18] = [
    Goal {
        title: "plain 1 KB, proxy CPU ÷ bare Pingora",
        metric: Metric::PlainProxy,
        of: GROUP,
        by: By::Pingora,
        first_bar: AtMost(1.10),
        goal: AtMost(0.75),
    },
    Goal {
        title: "plain 1 KB, recorder and store, µs per record",
        metric: Metric::PlainStore,
        of: GROUP,
        by: By::Itself,
        first_bar: AtMost(15.0),
        goal: AtMost(6.0),
    },
    Goal {
        title: "200 KB prompt, proxy CPU ÷ bare Pingora",
        metric: Metric::BigProxy,
        of: GROUP,
        by: By::Pingora,
        first_bar: AtMost(2.0),
        goal: AtMost(1.2),
    },
    Goal {
        title: "paced stream, per chunk ÷ bare Pingora",
        metric: Metric::PacedPerChunk,
        of: GROUP,
        by: By::Pingora,
        first_bar: AtMost(1.10),
        goal: AtMost(0.8),
    },
    // Nine tenths of the throughput kept is 1.11 times the CPU.
    Goal {
        title: "plain 1 KB, proxy CPU, governance on ÷ off",
        metric: Metric::PlainProxy,
        of: GROUP,
        by: By::Driver,
        first_bar: AtMost(1.11),
        goal: AtMost(1.05),
    },
    Goal {
        title: "the same with the background on the same core (for comparison)",
        metric: Metric::PlainSum,
        of: GROUP,
        by: By::Driver,
        first_bar: AtMost(1.11),
        goal: AtMost(1.05),
    },
    Goal {
        title: "added p99 at 1 000/s ÷ nginx, interval",
        metric: Metric::AddedP99,
        of: INTERVAL,
        by: By::Nginx,
        first_bar: AtMost(1.5),
        goal: AtMost(1.1),
    },
    Goal {
        title: "added p99 at 1 000/s ÷ nginx, group (for comparison)",
        metric: Metric::AddedP99,
        of: GROUP,
        by: By::Nginx,
        first_bar: AtMost(1.5),
        goal: AtMost(1.1),
    },
    Goal {
        title: "p99 chunk delay ÷ bare Pingora, interval",
        metric: Metric::ChunkP99,
        of: INTERVAL,
        by: By::Pingora,
        first_bar: AtMost(1.5),
        goal: AtMost(1.0),
    },
    Goal {
        title: "p99 chunk delay ÷ bare Pingora, group (for comparison)",
        metric: Metric::ChunkP99,
        of: GROUP,
        by: By::Pingora,
        first_bar: AtMost(1.5),
        goal: AtMost(1.0),
    },
    Goal {
        title: "KiB per open stream",
        metric: Metric::StreamKib,
        of: GROUP,
        by: By::Itself,
        first_bar: AtMost(56.0),
        goal: AtMost(24.0),
    },
    Goal {
        title: "idle MiB",
        metric: Metric::IdleMib,
        of: GROUP,
        by: By::Itself,
        first_bar: AtMost(25.0),
        goal: AtMost(12.0),
    },
    Goal {
        title: "ms until ready, first start (makes the database)",
        metric: Metric::ReadyFirst,
        of: GROUP,
        by: By::Itself,
        first_bar: AtMost(200.0),
        goal: AtMost(50.0),
    },
    Goal {
        title: "ms until ready, restart",
        metric: Metric::ReadyAgain,
        of: GROUP,
        by: By::Itself,
        first_bar: AtMost(200.0),
        goal: AtMost(50.0),
    },
    Goal {
        title: "journal, records/s on one core with group fsync",
        metric: Metric::JournalRate,
        of: GROUP,
        by: By::Itself,
        first_bar: AtLeast(100_000.0),
        goal: AtLeast(500_000.0),
    },
    Goal {
        title: "translated: plain 1 KB, proxy CPU ÷ same dialect",
        metric: Metric::PlainProxy,
        of: TRANSLATED,
        by: By::Group,
        first_bar: AtMost(2.0),
        goal: AtMost(1.3),
    },
    Goal {
        title: "translated: a stream's chunk, proxy CPU ÷ same dialect",
        metric: Metric::StreamPerChunk,
        of: TRANSLATED,
        by: By::Group,
        first_bar: AtMost(3.0),
        goal: AtMost(1.5),
    },
    // The median of the rounds' ratios, each of two runs beside each other.
    Goal {
        title: "keys known: proxy CPU at 1 000 000 keys ÷ at 10",
        metric: Metric::KeysRatio,
        of: GROUP,
        by: By::Itself,
        first_bar: AtMost(1.1),
        goal: AtMost(1.02),
    },
];

pub(super) fn write(text: &mut String, figures: &Figures) -> std::fmt::Result {
    writeln!(text, "\n## Against the goals\n")?;
    let head = ["", "measured", "first bar", "goal", "reached"];
    write_row(text, &head.map(str::to_owned))?;
    write_row(text, &["---"; 5].map(str::to_owned))?;
    for goal in &GOALS {
        let Some(measured) = goal.measured(figures) else {
            continue;
        };
        let row = [
            goal.title.to_owned(),
            show(measured),
            goal.first_bar.to_string(),
            goal.goal.to_string(),
            goal.verdict(measured).to_owned(),
        ];
        write_row(text, &row)?;
    }
    Ok(())
}

impl Goal {
    fn measured(&self, figures: &Figures) -> Option<f64> {
        match self.by {
            By::Itself => figures.median(self.of, self.metric),
            By::Pingora => figures.ratio(self.metric, self.of, PINGORA),
            By::Driver => figures.ratio(self.metric, self.of, DRIVER),
            By::Group => figures.ratio(self.metric, self.of, GROUP),
            By::Nginx => figures.ratio(self.metric, self.of, NGINX_NAME),
        }
    }

    fn verdict(&self, measured: f64) -> &'static str {
        match measured {
            it if self.goal.is_passed_by(it) => "goal",
            it if self.first_bar.is_passed_by(it) => "first bar",
            _ => "**no**",
        }
    }
}

impl Bar {
    fn is_passed_by(self, measured: f64) -> bool {
        match self {
            AtMost(bar) => measured <= bar,
            AtLeast(bar) => measured >= bar,
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AtMost(bar) => write!(f, "≤ {}", grouped(&bar.to_string())),
            AtLeast(bar) => write!(f, "≥ {}", grouped(&bar.to_string())),
        }
    }
}

/// Two places, of which large numbers have no need.
fn show(measured: f64) -> String {
    match measured {
        large if large >= 1000.0 => grouped(&format!("{large:.0}")),
        small => format!("{small:.2}"),
    }
}

/// Spaces between the thousands of a number without a fraction; one with a fraction as it is.
fn grouped(number: &str) -> String {
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return number.to_owned();
    }
    let mut text = String::with_capacity(number.len() * 4 / 3);
    for (place, digit) in number.chars().enumerate() {
        if place > 0 && (number.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(first_bar: Bar, goal: Bar, verdicts: [(f64, &str); 5]) {
        let wanted = Goal { first_bar, goal, ..GOALS[0] };
        for (measured, verdict) in verdicts {
            assert_eq!(wanted.verdict(measured), verdict, "{measured}");
        }
    }

    #[test]
    fn a_bar_is_passed_from_its_own_side() {
        let less = [(0.9, "goal"), (1.0, "goal"), (1.05, "first bar"), (1.1, "first bar"), (1.2, "**no**")];
        check(AtMost(1.1), AtMost(1.0), less);
        let more =
            [(9.0, "**no**"), (10.0, "first bar"), (49.0, "first bar"), (50.0, "goal"), (51.0, "goal")];
        check(AtLeast(10.0), AtLeast(50.0), more);
    }

    #[test]
    fn every_goal_is_harder_than_its_first_bar() {
        for wanted in &GOALS {
            let (AtMost(bar) | AtLeast(bar)) = wanted.goal;
            assert!(wanted.first_bar.is_passed_by(bar), "{}", wanted.title);
        }
    }

    #[test]
    fn large_numbers_are_readable() {
        assert_eq!(AtLeast(100_000.0).to_string(), "≥ 100 000");
        assert_eq!(AtMost(1.02).to_string(), "≤ 1.02");
        assert_eq!(AtMost(200.0).to_string(), "≤ 200");
        assert_eq!((show(1_234_567.8), show(999.0)), ("1 234 568".to_owned(), "999.00".to_owned()));
    }
}
