//! Holds the figures against the goals: which bar each one passes, with the journal mode that the goal names.

use std::fmt::Write;

use super::figures::{Figures, Metric};
use super::table::write_row;
use super::target::{DRIVER, GROUP, INTERVAL, NGINX_NAME, PINGORA};

/// One goal; less is better in all of them.
struct Goal {
    title: &'static str,
    metric: Metric,
    of: &'static str,
    by: By,
    first_bar: f64,
    goal: f64,
}

enum By {
    Pingora,
    /// The driver alone.
    Driver,
    Nginx,
    /// Not a ratio but the figure itself.
    Itself,
}

/// CPU holds for `group`, latency for `interval` with `group` beside it.
const GOALS: [Goal; 14] = [
    Goal {
        title: "plain 1 KB, proxy CPU ÷ bare Pingora",
        metric: Metric::PlainProxy,
        of: GROUP,
        by: By::Pingora,
        first_bar: 1.10,
        goal: 0.75,
    },
    Goal {
        title: "plain 1 KB, background µs per record",
        metric: Metric::PlainBackground,
        of: GROUP,
        by: By::Itself,
        first_bar: 15.0,
        goal: 6.0,
    },
    Goal {
        title: "200 KB prompt, proxy CPU ÷ bare Pingora",
        metric: Metric::BigProxy,
        of: GROUP,
        by: By::Pingora,
        first_bar: 2.0,
        goal: 1.2,
    },
    Goal {
        title: "paced stream, per chunk ÷ bare Pingora",
        metric: Metric::PacedPerChunk,
        of: GROUP,
        by: By::Pingora,
        first_bar: 1.10,
        goal: 0.8,
    },
    // Nine tenths of the throughput kept is 1.11 times the CPU.
    Goal {
        title: "plain 1 KB, proxy CPU, governance on ÷ off",
        metric: Metric::PlainProxy,
        of: GROUP,
        by: By::Driver,
        first_bar: 1.11,
        goal: 1.05,
    },
    Goal {
        title: "the same with the background on the same core (for comparison)",
        metric: Metric::PlainSum,
        of: GROUP,
        by: By::Driver,
        first_bar: 1.11,
        goal: 1.05,
    },
    Goal {
        title: "added p99 at 1 000/s ÷ nginx, interval",
        metric: Metric::AddedP99,
        of: INTERVAL,
        by: By::Nginx,
        first_bar: 1.5,
        goal: 1.1,
    },
    Goal {
        title: "added p99 at 1 000/s ÷ nginx, group (for comparison)",
        metric: Metric::AddedP99,
        of: GROUP,
        by: By::Nginx,
        first_bar: 1.5,
        goal: 1.1,
    },
    Goal {
        title: "p99 chunk delay ÷ bare Pingora, interval",
        metric: Metric::ChunkP99,
        of: INTERVAL,
        by: By::Pingora,
        first_bar: 1.5,
        goal: 1.0,
    },
    Goal {
        title: "p99 chunk delay ÷ bare Pingora, group (for comparison)",
        metric: Metric::ChunkP99,
        of: GROUP,
        by: By::Pingora,
        first_bar: 1.5,
        goal: 1.0,
    },
    Goal {
        title: "KiB per open stream",
        metric: Metric::StreamKib,
        of: GROUP,
        by: By::Itself,
        first_bar: 56.0,
        goal: 24.0,
    },
    Goal {
        title: "idle MiB",
        metric: Metric::IdleMib,
        of: GROUP,
        by: By::Itself,
        first_bar: 25.0,
        goal: 12.0,
    },
    Goal {
        title: "ms until ready, first start (makes the database)",
        metric: Metric::ReadyFirst,
        of: GROUP,
        by: By::Itself,
        first_bar: 200.0,
        goal: 50.0,
    },
    Goal {
        title: "ms until ready, restart",
        metric: Metric::ReadyAgain,
        of: GROUP,
        by: By::Itself,
        first_bar: 200.0,
        goal: 50.0,
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
            format!("{measured:.2}"),
            format!("≤ {}", goal.first_bar),
            format!("≤ {}", goal.goal),
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
            By::Nginx => figures.ratio(self.metric, self.of, NGINX_NAME),
        }
    }

    fn verdict(&self, measured: f64) -> &'static str {
        match measured {
            it if it <= self.goal => "goal",
            it if it <= self.first_bar => "first bar",
            _ => "**no**",
        }
    }
}
